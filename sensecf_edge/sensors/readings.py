"""The common form of everything a sensor says, and where readers put it.

A reading is a value at a moment (glucose, pulse, stress) or a count over a time (steps, energy, minutes); an episode is a
stretch of sleep. They are kept in columns, 20 bytes each, by person, kind, source and unit.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .notes import Notes

MOMENTS = ("glucose", "heart_rate", "resting_heart_rate", "stress")
COUNTS = ("steps", "active_energy", "active_time", "vigorous_time", "sedentary_time")
STAGES = ("awake", "light", "deep", "rem", "asleep", "unmeasured")
"""Stages of sleep by their codes; `asleep` is sleep of which no stage is known."""
AWAKE, LIGHT, DEEP, REM, ASLEEP, UNMEASURED = range(len(STAGES))
LOW, HIGH = -math.inf, math.inf
"""What a sensor says instead of a number outside the range that it measures."""

NOT_SAID = 1_000_000
Times = NDArray[np.int64]
Values = NDArray[np.float64]


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


@dataclass
class Series:
    """Readings of one person, kind, source and unit, in the order in which they came.

    `limits` are the values that stand for Low and High, in the series' unit.
    """

    key: Key
    limits: tuple[float, float] = (math.nan, math.nan)
    starts: array[int] = field(default_factory=lambda: array("q"))
    lengths: array[int] = field(default_factory=lambda: array("i"))
    held: array[float] = field(default_factory=lambda: array("d"))

    def add(self, start: int, value: float, length: int = 0) -> None:
        """One reading; a length below 0 is one that cannot be."""
        self.starts.append(start)
        self.lengths.append(length if 0 <= length < 1 << 31 else -1)
        self.held.append(value)

    def extend(self, starts: Times, values: Values, lengths: Times | None = None) -> None:
        """Many readings, each array of shape (n,)."""
        self.starts.frombytes(np.ascontiguousarray(starts, np.int64).tobytes())
        self.held.frombytes(np.ascontiguousarray(values, np.float64).tobytes())
        spans = np.zeros(len(starts), np.int32) if lengths is None else np.asarray(lengths, np.int32)
        self.lengths.frombytes(spans.tobytes())

    def __len__(self) -> int:
        return len(self.starts)

    def columns(self) -> tuple[Times, Times, Values]:
        """Starts, lengths and values, each of shape (n,); views of what is kept."""
        if not self.starts:
            return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
        return np.frombuffer(self.starts, np.int64), np.frombuffer(self.lengths, np.int32), np.frombuffer(self.held, np.float64)


class Readings:
    """All that readers found. `notes` says what was left out; `zones` the zone of a person whose export states it; `pulses` which of a
    person's devices measure a pulse, also where these readings hold none of it: `days` adds those it meets."""

    def __init__(self) -> None:
        self.all: dict[Key, Series] = {}
        self.notes = Notes()
        self.zones: dict[str, str] = {}
        self.pulses: dict[str, set[str]] = {}
        self.counters: dict[tuple[str, str, str, str, str], set[tuple[int, float]]] = {}

    def series(
        self, kind: str, source: str, unit: str, person: str = "", wall: bool = False, limits: tuple[float, float] | None = None,
        offset: int = NOT_SAID,
    ) -> Series:  # fmt: skip
        """Where readings of that kind go."""
        key = Key(person, kind, source, unit, wall, offset)
        found = self.all.get(key)
        if found is None:
            found = self.all[key] = Series(key)
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
        self.counters.setdefault((person, kind, source, unit, which), set()).add((at, value))

    def settle(self) -> None:
        """Turn what counters showed into counts, when all files are read: each rise, and after each fall what it shows then."""
        for (person, kind, source, unit, _), shown in self.counters.items():
            series, before = self.series(kind, source, unit, person), sorted(shown)
            for (t, a), (u, b) in pairwise(before):
                if u > t:
                    series.add(t, b - a if b >= a else b, u - t)
            self.notes.drop(f"{kind.replace('_', ' ')}: the first value of a counter, which says nothing of when", 1)
        self.counters.clear()

    def __len__(self) -> int:
        return sum(map(len, self.all.values()))

    def persons(self) -> list[str]:
        """Everybody who has a reading, in order."""
        return sorted({key.person for key, series in self.all.items() if len(series)})

    def of_person(self, person: str, kind: str) -> Iterator[Series]:
        """The series of a person and kind that hold something, by source and unit."""
        for key in sorted(self.all):
            if key.person == person and key.kind == kind and len(self.all[key]):
                yield self.all[key]
