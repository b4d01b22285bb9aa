"""Time: texts of exports, zones, and the days that they make. Days have 23, 24 or 25 hours where clocks change.

Time that a file states with its offset (or as UTC) is certain. Time of a clock on the wall needs an IANA zone; what stands in the
hour that comes twice, or in the one that never was, cannot be placed and is left out.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import numpy as np
from numpy.typing import NDArray

from ..errors import TableError
from .readings import Times

DAY = 86_400
BOTH = "both"
_EPOCH = date(1970, 1, 1).toordinal()
_OFFSET = re.compile(r"([+-])([0-9]{1,2}):?([0-9]{2})?|UTC([+-])([0-9]{1,2})(?::?([0-9]{2}))?")
_FIXED = re.compile(r"Etc/GMT[+-][0-9]+")
_TIME = re.compile(
    r"\s*([0-9]{4})[-/.]?([0-9]{2})[-/.]?([0-9]{2})(?:[T ]\s*([0-9]{1,2}):?([0-9]{2})(?::?([0-9]{2})(?:[.,][0-9]+)?)?)?"
    r"\s*(Z|z|[+-][0-9]{2}(?::?[0-9]{2})?)?\s*"
)
_SLASHED = re.compile(
    r"\s*([0-9]{1,2})[-/.]([0-9]{1,2})[-/.]([0-9]{2,4})[ T,]\s*([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?\s*([AaPp]\.?[Mm]\.?)?\s*"
)


def zone(name: str) -> tzinfo:
    """The zone of an IANA name (Europe/London) or of a fixed offset (+01:00). Raises TableError."""
    offset = _OFFSET.fullmatch(name)
    if offset:
        sign, hours, minutes = (offset[1], offset[2], offset[3]) if offset[1] else (offset[4], offset[5], offset[6])
        span = timedelta(hours=int(hours), minutes=int(minutes or 0))
        if span <= timedelta(hours=14) and int(minutes or 0) < 60:
            return timezone(-span if sign == "-" else span)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        near = [z for z in sorted(available_timezones()) if name.lower().replace(" ", "_") in z.lower()][:3]
        hint = f" (did you mean {', '.join(near)}?)" if near else ""
        raise TableError(f"there is no time zone {name!r}{hint}; give an IANA name, for example --zone Europe/London") from error


def is_fixed(place: tzinfo) -> bool:
    """Whether the zone is an offset and no place."""
    return isinstance(place, timezone) or _FIXED.fullmatch(str(place)) is not None


def check_fixed(place: tzinfo, first: int, last: int) -> None:
    """Refuse an offset that stays while clocks of places that have it change. Raises TableError."""
    if not is_fixed(place) or last <= first:
        return
    begin = datetime.fromtimestamp(first, place)
    for name in sorted(available_timezones()):
        if name.startswith(("Etc/", "SystemV/", "posix/", "right/")) or "/" not in name:
            continue
        other = ZoneInfo(name)
        here = begin.astimezone(other).utcoffset()
        if here == begin.utcoffset() and any(
            datetime.fromtimestamp(at, other).utcoffset() != here for at in (*range(first, last, 7 * DAY), last)
        ):
            raise TableError(
                f"the readings reach over a change of clocks ({name}, for one, has another offset within them), so an offset of "
                f"{place} may put part of them into the wrong day; give the place, for example --zone Europe/London"
            )


def date_text(day: int) -> str:
    """A day's number since 1970 as 2026-05-01."""
    return date.fromordinal(day + _EPOCH).isoformat()


def day_number(text: str) -> int:
    """2026-05-01 as a day's number since 1970. Raises TableError."""
    try:
        return date.fromisoformat(text).toordinal() - _EPOCH
    except ValueError as error:
        raise TableError(f"{text!r} is no date; write it as 2026-05-01") from error


def is_weekend(day: int) -> bool:
    """Saturday or Sunday."""
    return (day + 3) % 7 >= 5


@lru_cache(maxsize=40_000)
def midnight(day: int, place: tzinfo) -> int:
    """The first second (UTC) of a local date. Where midnight is left out by a change of clocks, the first moment there is."""
    return round(datetime.fromordinal(day + _EPOCH).replace(tzinfo=place).timestamp())


def midnights(first: int, last: int, place: tzinfo) -> Times:
    """First seconds of the local dates `first` to `last` + 1, shape (last - first + 2,), ascending."""
    return np.array([midnight(day, place) for day in range(first, last + 2)], np.int64)


def local_day(second: int, place: tzinfo) -> int:
    """The number of the local date of a moment."""
    return datetime.fromtimestamp(second, place).toordinal() - _EPOCH


def from_wall(wall: Times, place: tzinfo) -> tuple[Times, NDArray[np.bool_]]:
    """Moments of clocks on the wall as UTC, and which of them cannot be placed (an hour that comes twice, or never was).

    `wall` holds seconds since 1970 as the clock shows them, shape (n,).
    """
    days, at = np.unique(wall // DAY, return_inverse=True)
    offset, doubtful = np.zeros(len(days), np.int64), np.zeros(len(days), bool)
    for i, day in enumerate(days):
        if not -_EPOCH < day < 2_000_000:
            continue
        a = _offset(int(day) * DAY, place, 0)
        b = _offset(int(day) * DAY + DAY - 1, place, 1)
        offset[i], doubtful[i] = a, a != b or a != _offset(int(day) * DAY, place, 1)
    utc, bad = wall - offset[at], np.zeros(len(wall), bool)
    for i in np.flatnonzero(doubtful[at]).tolist():
        early, late = (_offset(int(wall[i]), place, fold) for fold in (0, 1))
        utc[i], bad[i] = int(wall[i]) - early, early != late
    return utc, bad


def from_stated(wall: Times, offset: int, place: tzinfo) -> tuple[Times, NDArray[np.bool_]]:
    """The same, both of shape (n,), where the file says how far that clock was ahead of UTC, in seconds.

    Within half a day of a moment at which clocks in the zone had that offset it is certain; elsewhere somebody travelled, and the date
    is that of the clock they wore.
    """
    utc, bad = from_wall(wall, place)
    said = wall - offset
    hours, at = np.unique(said // 3600, return_inverse=True)
    fits = np.array([any(_ahead(int(hour) * 3600 + shift, place) == offset for shift in (-DAY // 2, 0, DAY // 2)) for hour in hours], bool)
    sure = fits[at] if len(wall) else np.zeros(0, bool)
    return np.where(sure, said, utc), bad & ~sure


@lru_cache(maxsize=100_000)
def _ahead(second: int, place: tzinfo) -> int:
    return round((datetime.fromtimestamp(second, place).utcoffset() or timedelta(0)).total_seconds())


def _offset(wall: int, place: tzinfo, fold: int) -> int:
    moment = datetime.fromtimestamp(wall, timezone.utc).replace(tzinfo=place, fold=fold)
    return round((moment.utcoffset() or timedelta(0)).total_seconds())


@lru_cache(maxsize=4_096)
def _day_start(year: int, month: int, day: int) -> int | None:
    try:
        return (date(year, month, day).toordinal() - _EPOCH) * DAY
    except ValueError:
        return None


def parse(text: str) -> tuple[int, bool] | None:
    """A time written in ISO 8601, or as Apple does, as seconds since 1970, and whether it is that of a clock on the wall."""
    digits = text[11:13] + text[14:16] + text[17:19]
    if len(digits) == 6 and text[13] == text[16] == ":" and digits.isdecimal() and digits.isascii():  # nearly all: quickly
        begin, ahead = _date(text[:11]), _offset_text(text[19:])
        hour, minute, second = int(digits[:2]), int(digits[2:4]), int(digits[4:])
        if begin is not None and ahead is not None and hour <= 24 and minute <= 59 and second <= 60:
            return begin + hour * 3600 + minute * 60 + second - ahead[0], ahead[1]
    return _parse(text)


@lru_cache(maxsize=4_096)
def _date(text: str) -> int | None:
    """2026-05-01 and what parts it from the time, as its first second."""
    found = _parse(f"{text}00:00:00") if text[10:] in ("T", " ") and text[4] == text[7] == "-" else None
    return None if found is None else found[0]


@lru_cache(maxsize=256)
def _offset_text(text: str) -> tuple[int, bool] | None:
    """What stands behind a time: seconds ahead of UTC, and whether nothing does (a clock on the wall)."""
    found = _parse(f"2000-01-01T00:00:00{text}")
    return None if found is None else (_parse("2000-01-01T00:00:00Z")[0] - found[0], found[1])  # type: ignore[index]


def _parse(text: str) -> tuple[int, bool] | None:
    found = _TIME.fullmatch(text)
    if not found:
        return None
    begin = _day_start(int(found[1]), int(found[2]), int(found[3]))
    hour, minute, second = (int(found[i] or 0) for i in (4, 5, 6))
    if begin is None or hour > 24 or minute > 59 or second > 60:
        return None
    seconds, offset = begin + hour * 3600 + minute * 60 + second, found[7]
    if offset is None:
        return seconds, True
    if offset in "Zz":
        return seconds, False
    digits = offset[1:].replace(":", "").ljust(4, "0")
    shift = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return seconds - (-shift if offset[0] == "-" else shift), False


def parse_slashed(text: str, order: str) -> int | None:
    """13-02-2026 14:05 or 02/13/2026 02:05 PM as seconds of a clock on the wall; `order` is DMY or MDY."""
    found = _SLASHED.fullmatch(text)
    if not found:
        return None
    day, month = (int(found[1]), int(found[2])) if order == "DMY" else (int(found[2]), int(found[1]))
    year = int(found[3]) + (2000 if len(found[3]) == 2 else 0)
    begin, hour = _day_start(year, month, day), int(found[4])
    if found[7]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if found[7][0] in "Pp" else 0)
    minute, second = int(found[5]), int(found[6] or 0)
    return None if begin is None or hour > 23 or minute > 59 or second > 60 else begin + hour * 3600 + minute * 60 + second


def order_of(texts: list[str]) -> str:
    """DMY or MDY by all dates of a file: a first number over 12 is a day, so is a second one. '' where no date tells, BOTH where they
    contradict each other."""
    first = second = False
    for text in texts:
        found = _SLASHED.fullmatch(text)
        if found:
            a, b = int(found[1]) > 12, int(found[2]) > 12
            first, second = first or a > b, second or b > a
    if first and second:
        return BOTH
    return "DMY" if first else "MDY" if second else ""
