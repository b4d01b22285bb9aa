"""The common form of everything a sensor says, and where readers put it.

A reading is a value at a moment (glucose, pulse, stress) or a count over a time (steps, energy, minutes); an episode is a
stretch of sleep. They are kept in columns, 24 bytes each, by person, kind, source and unit; over a million of them in a file.
"""

from __future__ import annotations

import math
import os
import tempfile
import weakref
from array import array
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import TableError
from .notes import Notes, Places, printable

MOMENTS = ("glucose", "heart_rate", "resting_heart_rate", "stress")
COUNTS = ("steps", "active_energy", "active_time", "vigorous_time", "sedentary_time")
STAGES = ("awake", "light", "deep", "rem", "asleep", "unmeasured")
"""Stages of sleep by their codes; `asleep` is sleep of which no stage is known."""
AWAKE, LIGHT, DEEP, REM, ASLEEP, UNMEASURED = range(len(STAGES))
LOW, HIGH = -math.inf, math.inf
"""What a sensor says instead of a number outside the range that it measures."""
_BEYOND = {39.0: LOW, 401.0: HIGH}
"""How Dexcom's sensors write Low and High in mg/dL: under and over the 40 to 400 that they measure."""

NOT_SAID = 1_000_000
FAR = 1 << 40
"""Seconds: 35,000 years."""
IN_MEMORY = 1_000_000
"""Readings that are held before they are put into a file: 24 MB."""
SIZE = 24
"""Bytes of a reading: start, value, length, place."""
Times = NDArray[np.int64]
Lengths = NDArray[np.int32] | NDArray[np.int64]
Where = NDArray[np.int32]
"""Places of readings (see `notes.Places`)."""
Values = NDArray[np.float64]


def beyond(glucose: float, unit: str) -> float:
    """A reading of glucose as it came, or Low or High where its number stands for that."""
    return _BEYOND.get(glucose, glucose) if unit == "mg/dL" else glucose


class Reading(NamedTuple):
    """One value. `time` is in seconds since 1970 (UTC); `length` in seconds is how long a count took, 0 for a moment."""

    time: int
    kind: str
    value: float
    unit: str
    source: str
    person: str = ""
    length: int = 0


class Episode(NamedTuple):
    """A stretch of time in seconds since 1970 (UTC) with a stage, one of STAGES for kind `sleep`."""

    start: int
    end: int
    kind: str
    stage: str
    source: str
    person: str = ""


class Key(NamedTuple):
    """Whose readings of what. `wall`: times are those of a clock on the wall, which a zone turns into UTC later; `offset` are
    the seconds by which the file says that clock was ahead of UTC, where it says so."""

    person: str
    kind: str
    source: str
    unit: str
    wall: bool
    offset: int = NOT_SAID


class Series:
    """Readings of one person, kind, source and unit, in the order in which they came.

    `limits` are the values that stand for Low and High, in the series' unit. What `room` has no place for lies in its file.
    """

    def __init__(self, key: Key, room: Room, limits: tuple[float, float] = (math.nan, math.nan)) -> None:
        self.key, self.limits, self._room = key, limits, room
        self._empty()
        self._away: list[tuple[int, int]] = []

    def _empty(self) -> None:
        self._starts, self._lengths, self._values, self._places = array("q"), array("i"), array("d"), array("i")

    def add(self, start: int, value: float, length: int = 0, place: int = 0) -> None:
        """One reading; a length below 0 is one that cannot be, and so is a time beyond all calendars. It stands at `place`, else where is
        being read."""
        self._starts.append(start if -FAR < start < FAR else -FAR)
        self._lengths.append(length if 0 <= length < 1 << 31 else -1)
        self._values.append(value)
        self._places.append(place or self._room.places.now)
        if not len(self._starts) % 256:
            self._room.taken(256)

    def extend(self, starts: Times, values: Values, lengths: Times | None = None) -> None:
        """Many readings, each array of shape (n,)."""
        self._starts.frombytes(np.ascontiguousarray(starts, np.int64).tobytes())
        self._values.frombytes(np.ascontiguousarray(values, np.float64).tobytes())
        spans = np.zeros(len(starts), np.int32) if lengths is None else np.asarray(lengths, np.int32)
        self._lengths.frombytes(spans.tobytes())
        self._places.frombytes(bytes(4 * len(starts)))
        self._room.taken(len(starts))

    def __len__(self) -> int:
        return len(self._starts) + sum(count for _, count in self._away)

    def columns(self) -> tuple[Times, Lengths, Values]:
        """Starts, lengths and values, each of shape (n,)."""
        return self.held()[:3]

    def held(self) -> tuple[Times, Lengths, Values, Where]:
        """Starts, lengths, values and places, each of shape (n,)."""
        here = (np.frombuffer(self._starts, np.int64), np.frombuffer(self._lengths, np.int32), np.frombuffer(self._values),
                np.frombuffer(self._places, np.int32))  # fmt: skip
        if not self._away:
            return here
        size, at = len(self), 0
        starts, lengths, values, places = np.empty(size, np.int64), np.empty(size, np.int32), np.empty(size), np.empty(size, np.int32)
        for part in (*(self._room.back(place, count) for place, count in self._away), here):
            upto = slice(at, at + len(part[0]))
            starts[upto], lengths[upto], values[upto], places[upto] = part
            at = upto.stop
        return starts, lengths, values, places

    def put_away(self) -> None:
        """Into the file, so that memory is free for others."""
        if self._starts:
            self._away.append((self._room.put(self._starts, self._values, self._lengths, self._places), len(self._starts)))
            self._empty()


class Room:
    """How many readings may be in memory; the others lie in a file without a name, which is gone with the process."""

    def __init__(self, places: Places) -> None:
        self.all: list[Series] = []
        self.places = places
        self._held, self._file = 0, -1

    def taken(self, count: int) -> None:
        """So many more are in memory."""
        self._held += count
        if self._held >= IN_MEMORY:
            for series in self.all:
                series.put_away()
            self._held = 0

    def put(self, *columns: array[Any]) -> int:
        """Where they lie now. Raises TableError where there is no place for them."""
        try:
            if self._file < 0:
                with tempfile.TemporaryFile() as made:
                    self._file = os.dup(made.fileno())
                weakref.finalize(self, os.close, self._file)
            place = os.lseek(self._file, 0, os.SEEK_END)
            for column in columns:
                view = memoryview(column).cast("B")
                while view:
                    view = view[os.write(self._file, view) :]
        except OSError as error:
            raise TableError(f"over {IN_MEMORY:,} readings need {tempfile.gettempdir()} as well: {error.strerror}; free space there, "
                             "or set TMPDIR") from error  # fmt: skip
        return place

    def back(self, place: int, count: int) -> tuple[Times, Lengths, Values, Where]:
        """Starts, lengths, values and places that were put there, each of shape (count,). Raises TableError where the file is cut short."""
        os.lseek(self._file, place, os.SEEK_SET)
        data = bytearray()
        while len(data) < SIZE * count:
            got = os.read(self._file, SIZE * count - len(data))
            if not got:
                raise TableError("the temporary file of readings was cut short; run it again")
            data += got
        starts, values = np.frombuffer(data, np.int64, count), np.frombuffer(data, np.float64, count, 8 * count)
        lengths, places = np.frombuffer(data, np.int32, count, 16 * count), np.frombuffer(data, np.int32, count, 20 * count)
        return starts, lengths, values, places


class Readings:
    """All that readers found. `notes` says what was left out; `zones` the zone of a person whose export states it; `pulses` which of a
    person's devices measure a pulse, also where these readings hold none of it: `days` adds those it meets."""

    def __init__(self) -> None:
        self.all: dict[Key, Series] = {}
        self.notes = Notes()
        self.zones: dict[str, str] = {}
        self.pulses: dict[str, set[str]] = {}
        self.counters: dict[tuple[str, str, str, str, str], dict[tuple[int, float], int]] = {}
        self._room = Room(self.notes.places)

    def series(
        self, kind: str, source: str, unit: str, person: str = "", wall: bool = False, limits: tuple[float, float] | None = None,
        offset: int = NOT_SAID,
    ) -> Series:  # fmt: skip
        """Where readings of that kind go."""
        key = Key(printable(person), kind, printable(source), unit, wall, offset)
        found = self.all.get(key)
        if found is None:
            found = self.all[key] = Series(key, self._room)
            self._room.all.append(found)
        if limits is not None:
            found.limits = limits
        return found

    @classmethod
    def of(cls, given: Iterable[Reading | Episode]) -> Readings:
        """From readings and episodes one by one."""
        out = cls()
        for one in given:
            if isinstance(one, Episode):
                series = out.series(one.kind, one.source, "stage", one.person)
                series.add(one.start, STAGES.index(one.stage), one.end - one.start)
            else:
                out.series(one.kind, one.source, one.unit, one.person).add(one.time, one.value, one.length)
        return out

    def count_up(self, kind: str, source: str, unit: str, person: str, which: str, at: int, value: float) -> None:
        """What a counter shows that is set back now and then, at a moment; `which` names one of several counters."""
        self.counters.setdefault((person, kind, source, unit, which), {}).setdefault((at, value), self.notes.places.now)

    def settle(self) -> None:
        """Turn what counters showed into counts, when all files are read: each rise, and after each fall what it shows then."""
        for (person, kind, source, unit, _), shown in self.counters.items():
            series, before = self.series(kind, source, unit, person), sorted(shown)
            for (t, a), (u, b) in pairwise(before):
                if u > t:
                    series.add(t, b - a if b >= a else b, u - t, shown[u, b])
            self.notes.drop(f"{kind.replace('_', ' ')}: the first value of a counter, which says nothing of when", 1, [shown[before[0]]])
        self.counters.clear()

    def __len__(self) -> int:
        return sum(map(len, self.all.values()))

    @property
    def told(self) -> int:
        """How much has been said of files so far: readings, values of counters, what was left out."""
        return len(self) + sum(map(len, self.counters.values())) + self.notes.total

    def persons(self) -> list[str]:
        """Everybody who has a reading, in order."""
        return sorted({key.person for key, series in self.all.items() if len(series)})

    def of_person(self, person: str, kind: str) -> Iterator[Series]:
        """The series of a person and kind that hold something, by source and unit."""
        for key in sorted(self.all):
            if key.person == person and key.kind == kind and len(self.all[key]):
                yield self.all[key]
