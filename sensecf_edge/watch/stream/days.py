"""Whose days are open, what they say now, and when they close.

A date is over when a reading has come from a quarter of an hour after its end, or when the clock shows that and nothing came for as
long. It closes `late` seconds after that, by readings again, or when nothing came for as long: then its readings go. So what decides is
what readings say and not when they come: what a broker kept for days makes the same days.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import tzinfo

from ...errors import TableError
from ...sensors.clocks import DAY, local_day, midnight
from ...sensors.daily import Day, Rules, days, unmeasured
from ...settings import STREAM
from ...table.unusable import UnusableRecord
from ..loop import UnusableMessage
from .arriving import Arrived
from .store import Store

MARGIN = 2
"""Dates before the first open one of which readings are kept: a night begins on the evening before, a count may reach over midnight."""
Told = tuple[str, int, str, bool]
"""Name, date, a hash of what was told, whether the date was over."""


@dataclass
class Person:
    """Somebody's stream. `closed` is the first date that is open, `begin` its first second; `newest` by kind and `last` of all are the
    ends of readings; `edge` is the end at which a date turns over or closes; `heard` and `due` are on the monotonic clock;
    `uncounted` says why none of the readings counts, where none does."""

    number: int
    name: str
    closed: int
    newest: dict[str, int]
    series: dict[tuple[str, str, str], int]
    heard: float
    held: int
    begin: int = 0
    last: int = 0
    edge: int = 0
    due: float = 0.0
    changed: bool = True
    sending: dict[int, str] = field(default_factory=dict)
    pulses: set[str] = field(default_factory=set)
    uncounted: str = ""


@dataclass(frozen=True)
class OpenDay:
    """A date as it stands. `until` is the second up to which readings may end that still close nothing of it, `told` what was last
    told of it, `newest` the second at which the newest reading of it ended, or it did."""

    day: Day
    over: bool
    until: int
    newest: int
    told: str


class OpenDays:
    """All that is open. `late` are the seconds for which a date that is over takes readings, `every` those between two looks at
    somebody's dates. What is appended to `said`, from any thread, has been told for good."""

    def __init__(self, store: Store, rules: Rules, place: tzinfo, late: int, every: float, monotonic: float) -> None:
        self.store, self.rules, self.place, self.late, self.every = store, rules, place, STREAM.quiet + late, every
        self.people = dict[str, Person]()
        self.crossed = dict[str, Person]()
        self.said = deque[Told]()
        for number, name, closed, newest in store.people():
            self._join(Person(number, name, closed, newest, store.all_series(number), monotonic, store.held(number)))

    def _join(self, person: Person) -> Person:
        person.last = max(person.newest.values(), default=0)
        person.begin = midnight(person.closed, self.place) if person.closed else 0
        self._edge(person, person.last)
        self.people[person.name] = person
        return person

    def take(self, reading: Arrived, monotonic: float) -> None:
        """Takes a reading, to be kept with the next commit. Raises UnusableMessage where its date is closed or there are too many."""
        person = self.people.get(reading.person)
        if person is None:
            if len(self.people) >= STREAM.people:
                raise _too_many(f"{STREAM.people:,} people", "look for a sender that makes up names, or run several watches")
            number, newest = self.store.person(reading.person), {reading.kind: reading.end}
            person = self._join(Person(number, reading.person, 0, newest, {}, monotonic, 0, due=monotonic + self.every))
        back = DAY if reading.kind == "sleep" else 0  # of a night that ends on an open date
        if max(reading.start, reading.end - 1) + back < person.begin:
            raise UnusableMessage(UnusableRecord(
                f"its date ended over {self.late / 3600:g} hours before the newest reading and is closed",
                "send readings sooner, give more --late, or make such days with `sensecf-edge days`"))  # fmt: skip
        self.store.add(self._series(person, reading), reading)
        person.held += 1
        person.newest[reading.kind] = max(reading.end, person.newest.get(reading.kind, 0))
        person.last = max(person.last, reading.end)
        person.heard, person.changed = monotonic, True
        if reading.end >= person.edge:
            self.crossed[person.name] = person

    def _series(self, person: Person, reading: Arrived) -> int:
        if person.held >= STREAM.held:
            self.store.commit()
            person.held = self.store.held(person.number)
            if person.held >= STREAM.held:
                raise _too_many(f"{STREAM.held:,} readings of open days", "send fewer a day, or give less --late")
        key = (reading.kind, reading.source, reading.unit)
        number = person.series.get(key)
        if number is None:
            if len(person.series) >= STREAM.series:
                raise _too_many(f"{STREAM.series:,} devices and kinds of one person", "look for a sender that makes up names of devices")
            number = person.series[key] = self.store.series(person.number, *key)
        return number

    def ripe(self, now: int, monotonic: float) -> Iterator[Person]:
        """Who is to be looked at: a date of theirs is over or closes, or something has changed and enough time has gone by."""
        while self.crossed:
            yield self.crossed.pop(next(iter(self.crossed)))
        for person in list(self.people.values()):
            passed = now >= person.edge and monotonic - person.heard >= STREAM.quiet and person.last
            if passed or (person.changed and monotonic >= person.due):
                yield person

    def look(self, person: Person, now: int, monotonic: float, last: bool = False) -> list[OpenDay]:
        """The open dates of somebody, in order; those that are not over only where enough time has gone by, or it is the `last` look.
        A date that was told and of which no reading counts any more, because a later one contradicts it, comes back without a measure.

        Raises UnusableMessage where the readings are of several people, SenseCFError where the store cannot be read.
        """
        self.store.commit()
        so_far = last or monotonic >= person.due
        if so_far:
            person.changed, person.due = False, monotonic + self.every
        readings = self.store.readings(person.number, person.name)
        told, quiet = self.store.told(person.number), monotonic - person.heard
        at = max(person.last, now) if quiet >= STREAM.quiet else person.last
        self._edge(person, at)
        try:
            made = days(readings, replace(self.rules, place=self.place, now=now))
        except TableError as error:
            raise UnusableMessage(UnusableRecord(str(error), "")) from None
        person.pulses = readings.pulses.get(person.name, set())
        person.uncounted = "" if made else "; ".join(readings.notes.left)
        gone = {*told, *person.sending}.difference(day.number for day in made)
        made += [unmeasured(person.name, number, self.place) for number in gone]
        out = []
        for day in sorted(made, key=lambda day: day.number):
            if day.number >= person.closed:
                end = midnight(day.number + 1, self.place)
                before, over = told.get(day.number, ("", False))
                over = over or end + STREAM.quiet <= at
                if over or so_far:
                    told_now = person.sending.get(day.number, before)
                    out.append(OpenDay(day, over, end + self.late, min(person.last, end), told_now))
        return out

    def settle(self, person: Person, untold: int | None, now: int, monotonic: float) -> None:
        """Remembers what has been told, and closes what can be closed: nothing from `untold` on, nor what is still on its way."""
        self.remember()
        quiet = monotonic - person.heard >= self.late
        closed = local_day((max(person.last, now) if quiet else person.last) - self.late, self.place)
        closed = max(person.closed, min([closed, *person.sending, *([] if untold is None else [untold])]))
        if closed > person.closed:
            self.store.close_days(person.number, closed, midnight(closed - MARGIN, self.place), person.pulses)
            person.closed, person.begin, person.held = closed, midnight(closed, self.place), self.store.held(person.number)

    def remember(self) -> None:
        """Writes down what has been told meanwhile."""
        rows = list[tuple[int, int, str, bool]]()
        while self.said:
            name, day, digest, over = self.said.popleft()
            person = self.people[name]
            rows.append((person.number, day, digest, over))
            if person.sending.get(day) == digest:
                del person.sending[day]
        if rows:
            self.store.tell(rows)

    def _edge(self, person: Person, at: int) -> None:
        """The next second at which one of somebody's dates is over, or closes."""
        closes = midnight(max(local_day(at - self.late, self.place), person.closed) + 1, self.place) + self.late
        person.edge = min(midnight(local_day(at - STREAM.quiet, self.place) + 1, self.place) + STREAM.quiet, closes)


def _too_many(what: str, remedy: str) -> UnusableMessage:
    return UnusableMessage(UnusableRecord(f"there are over {what} already", remedy))
