"""A watch of readings: each is kept before it is acknowledged, and each person's days are told as they grow and when they are over.

A day is what `sensecf-edge days` makes of the same readings. Where it is too thin, or too old, no advice is given on it, and why is said.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from ...answer.result import Explanation
from ...errors import CheckError, EngineError, RecordError, SenseCFError, TableError, place
from ...explain import Explainer
from ...judge.imputation import ALREADY, Case
from ...schema.record import Record
from ...sensors import records
from ...sensors.daily import Rules
from ...sensors.measures import BY_NAME
from ...settings import STREAM, WATCH
from ...table.unusable import UnusableRecord
from .. import age
from ..loop import FAULTS, Loop, UnusableMessage, WatchOptions, held
from ..ports import Done, Message, Port, Say
from .arriving import arrived
from .days import OpenDay, OpenDays, Person
from .store import Store


@dataclass(frozen=True)
class Stream(WatchOptions):
    """What to do with readings. `store` is the file that keeps open days, `rules` (with a zone) are those of `days`, `units` by kind are
    of readings that state none, for `late` hours a date that has ended takes readings."""

    store: Path = Path("readings.sqlite")
    rules: Rules = field(default_factory=Rules)
    units: Mapping[str, str] = field(default_factory=dict)
    late: float = STREAM.late


class Verdict(NamedTuple):
    """What is said of a date: `explained`, `fine` or `silent` with the reason; `digest` of all that would be news."""

    status: str
    digest: str
    record: Record | None = None
    case: Case | None = None
    reason: str | None = None


class DayWatcher(Loop):
    """A watch of readings. Raises SenseCFError at the end of the input where some of it could not be kept."""

    def __init__(self, stream: Stream, port: Port, say: Say) -> None:
        self.stream = stream
        super().__init__(stream, port, say)
        assert stream.rules.place is not None
        self.store = Store(stream.store, str(stream.rules.place))
        self.days = OpenDays(self.store, stream.rules, stream.rules.place, round(3600 * stream.late), stream.every, time.monotonic())
        self.done: list[Done] = []
        self.again: Message | None = None
        self.trouble = ""
        self.looked = 0.0

    def _check(self, explainer: Explainer) -> None:
        super()._check(explainer)
        records.columns(explainer.schema)
        lacking = [f.name for f in explainer.schema.features if not f.optional and f.name not in (*BY_NAME, records.WEEKEND)]
        if lacking:
            raise TableError(f"this model needs {', '.join(lacking)}, which no sensor says; give it records, without --readings")

    @property
    def _state(self) -> str:
        return self.trouble or self.port.state

    def _next(self) -> Message | None:
        """While readings cannot be kept, no more are taken."""
        if self.trouble:
            time.sleep(WATCH.patience)
            self._keep()
            if self.trouble:
                return None
        message, self.again = self.again, None
        return message or super()._next()

    def _one(self, message: Message) -> None:
        try:
            self.days.take(arrived(held(message.data), self.stream.units, age.now()), time.monotonic())
        except UnusableMessage as aside:
            self._set_aside(message, aside.unusable)
        except (SenseCFError, OSError) as error:
            self._cannot_keep(error)
            self.again = message
        except Exception as error:
            self._set_aside(message, UnusableRecord(f"a fault in this program ({place(error)})", "please report it, without the reading"))
        else:
            self.counts["readings"] += 1
            self.done.append(message.done)

    def _between(self) -> None:
        if self.done and (not len(self.waiting) or len(self.done) >= STREAM.group):
            self._keep()
        now = time.monotonic()
        if self.trouble or not (self.days.crossed or now - self.looked >= STREAM.look):
            return
        self.looked = now
        for person in self.days.ripe(_second(), now):
            self._look(person)
            if time.monotonic() - now > STREAM.look:
                break  # the others have their turn after the next message

    def _keep(self) -> None:
        """Onto the disk; only then whoever sent a reading may forget it."""
        try:
            self.days.remember()
            self.store.commit()
        except (SenseCFError, OSError) as error:
            self._cannot_keep(error)
            return
        if self.trouble:
            self.say("readings are kept again")
        self.trouble = ""
        for done in self.done:
            done()
        self.done.clear()

    def _cannot_keep(self, error: Exception) -> None:
        if not self.trouble:
            self.say(f"{error}; what comes waits, and is tried again")
        self.trouble = f"cannot write {self.stream.store}"

    def _last(self) -> None:
        """No more will come: what has changed is told as it stands."""
        self._keep()
        if self.trouble or self.again is not None:
            left = len(self.done) + (self.again is not None)
            raise SenseCFError(f"{left:,} readings could not be kept; free space, then send them again")
        for person in list(self.days.people.values()):
            if person.changed:
                self._look(person, last=True)
        self._keep()

    def _close(self) -> None:
        try:
            if not self.trouble:
                self._keep()
            if self.done:
                self.say(f"{len(self.done):,} readings were not kept; send them again")
        finally:
            self.store.close()
            super()._close()

    def _look(self, person: Person, last: bool = False) -> None:
        """Tells what is new of somebody's open dates, and closes those that take nothing any more."""
        now, monotonic = _second(), time.monotonic()
        try:
            self._keep()
            untold = self._tell_days(person, now, monotonic, last)
            self.days.settle(person, untold, now, monotonic)
        except (EngineError, CheckError):
            raise
        except (SenseCFError, OSError) as error:
            self._cannot_keep(error)
            person.changed = True

    def _tell_days(self, person: Person, now: int, monotonic: float, last: bool) -> int | None:
        """The first date that could not be told, because the engine failed."""
        try:
            found = self.days.look(person, now, monotonic, last)
        except UnusableMessage as fault:
            self._no_days(fault.unusable.reason)
            return None
        if person.uncounted:
            self._no_days(f"none of the readings counts: {person.uncounted}")
        for day in found:
            try:
                self._tell_day(person, day)
            except (EngineError, CheckError):
                self.faults += 1
                if self.faults >= FAULTS:
                    raise
                self.counts["not answered"] += 1
                person.changed = True
                return day.day.number
        return None

    def _no_days(self, reason: str) -> None:
        self.counts["people not told"] += 1
        if self.counts["people not told"] <= WATCH.told:
            self.say(f"no days of one person: {reason}")

    def _tell_day(self, person: Person, found: OpenDay) -> None:
        moment = datetime.fromtimestamp(found.newest, timezone.utc)
        seconds = max(0.0, (age.now() - moment).total_seconds())
        verdict = self._verdict(found, seconds)
        if verdict.digest == found.told:
            return
        made = None
        if verdict.status == "explained" and verdict.record is not None:
            try:
                made = self._explained(verdict.record)
            except UnusableMessage as aside:
                verdict = verdict._replace(status="silent", reason=aside.unusable.reason)
        name = records.named(found.day)
        if verdict.case is not None:
            self._show(name, verdict.case, moment, seconds, made)
        number = found.day.number
        person.sending[number] = verdict.digest
        self.port.answer(
            self._line(person, found, verdict, made), lambda: self.days.said.append((person.name, number, verdict.digest, found.over))
        )
        self.counts["days told"] += 1
        if made is not None:
            self._count(made)
        else:
            self.counts[verdict.status] += 1

    def _verdict(self, found: OpenDay, seconds: float) -> Verdict:
        day, schema = found.day, self.explainer.schema
        news: list[Any] = [found.over, records.values(day, schema)]
        try:
            values = records.record(day, schema, self.stream.rules.floors)
            record = Record.from_mapping(schema, values)
        except RecordError as error:
            if not found.over:  # a day so far that says nothing is news when it lacks something else
                news[1] = [f.name for f in schema.features if news[1][f.name] is None]
            return Verdict("silent", _digest(news, "silent"), reason=str(error))
        if not self._within(seconds):
            reason = f"the newest reading is {seconds:,.0f} s old, and --max-age is {self.asked.max_age:,.0f}"
            return Verdict("silent", _digest(news, "too old"), reason=reason)
        case = self._case(record)
        return Verdict("fine" if case.verdict.status == ALREADY else "explained", _digest(news, "told"), record, case)

    def _line(self, person: Person, found: OpenDay, verdict: Verdict, made: Explanation | None) -> dict[str, Any]:
        day, now = found.day, age.now().timestamp()
        names = [name for name, _ in records.columns(self.explainer.schema)]
        return {
            "id": records.named(day), "day": day.date, "partial": not found.over, "hours": day.hours, "open_until": _iso(found.until),
            "record": records.values(day, self.explainer.schema), "coverage": {name: day.coverage[name] for name in names},
            "newest": {kind: {"at": _iso(at), "age": round(max(0.0, now - at))} for kind, at in sorted(person.newest.items())},
            "status": verdict.status, **({"reason": verdict.reason} if verdict.reason else {}),
            "explanation": None if made is None else made.to_json(),
        }  # fmt: skip

    def _more(self) -> dict[str, Any]:
        newest = dict[str, int]()
        for person in self.days.people.values():
            for kind, at in person.newest.items():
                newest[kind] = max(at, newest.get(kind, 0))
        return {"people": len(self.days.people), "newest": _iso(max(newest.values())) if newest else None,
                "newest_by_kind": {kind: _iso(at) for kind, at in sorted(newest.items())}}  # fmt: skip


def _digest(news: list[Any], what: str) -> str:
    return blake2b(json.dumps([*news, what]).encode(), digest_size=12).hexdigest()


def _iso(second: int) -> str:
    return datetime.fromtimestamp(second, timezone.utc).isoformat()


def _second() -> int:
    return round(age.now().timestamp())
