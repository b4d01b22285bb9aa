"""Dates and times of FHIR as spans of time: what is stated to the day may have been at any moment of that day."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone
from typing import Any, NamedTuple

from ..errors import RecordError

_MOMENT = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d):(\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d))?)?)?",
    re.ASCII,
)
_WITHIN = re.compile(r"(\d{1,5})\s*(h|d|w|y)")
_HOURS = {"h": 1, "d": 24, "w": 168, "y": 8766}
_WORDS = {"h": "hour", "d": "day", "w": "week", "y": "year"}
GRACE = timedelta(days=1)
"""How far a time may lie ahead before it is said to lie in the future: clocks differ, and a date has no zone."""


class Span(NamedTuple):
    """From `start` up to `end`, which is not part of it. `day` is the day as it was written, in the zone of whoever wrote it, or the
    month or the year where no more is stated."""

    start: datetime
    end: datetime
    day: str

    @property
    def days(self) -> tuple[date, date]:
        """The first and the last day that it may be of."""
        if len(self.day) == len("2026-05-01"):
            return date.fromisoformat(self.day), date.fromisoformat(self.day)
        return self.start.date(), (self.end - timedelta(seconds=1)).date()


def span(text: Any, where: str) -> Span:
    """A date, a dateTime or an instant. Raises RecordError with the path."""
    found = _MOMENT.fullmatch(text) if isinstance(text, str) else None
    try:
        if not found:
            raise ValueError
        year, month, day, hour, *_ = found.groups()
        if hour:
            start = datetime.fromisoformat(re.sub(r"\.\d+", "", text).replace("Z", "+00:00")).astimezone(timezone.utc)
            return Span(start, start + timedelta(seconds=1), text[:10])
        start = datetime(int(year), int(month or 1), int(day or 1), tzinfo=timezone.utc)
        return Span(start, _next(start, month, day), text)
    except (ValueError, OverflowError):
        raise RecordError(f"{where} {text!r} is no date of FHIR; it is written as 2026-05-01 or 2026-05-01T08:30:00+02:00") from None


def _next(start: datetime, month: str | None, day: str | None) -> datetime:
    if day:
        return start + timedelta(days=1)
    return datetime(start.year + (not month or start.month == 12), start.month % 12 + 1 if month else 1, 1, tzinfo=timezone.utc)


def within(text: str) -> timedelta:
    """A window of time: 12h, 30d, 8w, 1y. Raises RecordError."""
    found = _WITHIN.fullmatch(text.strip())
    if not found or not int(found[1]):
        raise RecordError(f"{text!r} is no length of time; write hours, days, weeks or years: 12h, 30d, 8w, 1y")
    return timedelta(hours=int(found[1]) * _HOURS[found[2]])


def told(text: str) -> str:
    """A window that `within` reads, in words: 12 hours, 1 year."""
    number, unit = text.strip()[:-1].strip(), text.strip()[-1]
    return f"{number} {_WORDS[unit]}{'s' if int(number) != 1 else ''}"


def before(moment: datetime, length: timedelta) -> datetime:
    """The moment that lies so long before another; the first of all where that is longer than time is counted."""
    try:
        return moment - length
    except OverflowError:
        return datetime.min.replace(tzinfo=timezone.utc)


def today(moment: datetime) -> Span:
    """The day of a moment, in UTC."""
    return span(moment.astimezone(timezone.utc).date().isoformat(), "the day")


def ages(birth: Any, on: Span, where: str) -> tuple[int, int]:
    """Whole years from a birth date to a day, at least and at most: a year, of birth or of that day, leaves two open. Raises
    RecordError."""
    (first, last), (begins, ends) = span(birth, where).days, on.days
    least, most = _years(last, begins), _years(first, ends)
    if least < 0:
        raise RecordError(f"{where} {birth!r} lies after {on.day}; mend it or leave it out")
    return least, most


def _years(born: date, on: date) -> int:
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))
