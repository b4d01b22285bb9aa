"""Sleep as nights: stretches of one source joined where less than an hour lies between them, by the date of waking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import tzinfo

import numpy as np

from .cleaning import Track
from .clocks import local_day, midnight
from .notes import SHOWN, Notes
from .readings import ASLEEP, AWAKE, DEEP, LIGHT, REM, UNMEASURED

APART = 3600
"""Seconds without any stage that end a sleep."""
NAP, BY_DAY = 3 * 3600, (9 * 3600, 21 * 3600)
"""A sleep that is shorter and lies between these seconds of its date is a nap, and no night that somebody hardly slept."""


@dataclass
class Sleep:
    """One sleep: first and last second, and the seconds of each stage."""

    start: int
    end: int
    stages: dict[int, int] = field(default_factory=dict)

    @property
    def asleep(self) -> int:
        """Seconds asleep."""
        return sum(self.stages.get(stage, 0) for stage in (LIGHT, DEEP, REM, ASLEEP))

    @property
    def staged(self) -> int:
        """Seconds asleep of which the stage is known."""
        return self.asleep - self.stages.get(ASLEEP, 0)

    @property
    def measured(self) -> int:
        """Seconds of which anything is known."""
        return self.asleep + self.stages.get(AWAKE, 0)


Stretch = tuple[int, int, int]


def flat(stretches: Sequence[Stretch]) -> list[Stretch]:
    """(start, end, stage) so that no moment counts twice: a stage goes before sleep without one, what began first before the rest."""
    known = clipped(sorted(s for s in stretches if s[2] not in (ASLEEP, UNMEASURED)), [])
    plain = clipped(sorted(s for s in stretches if s[2] == ASLEEP), known)
    return sorted(known + plain + clipped(sorted(s for s in stretches if s[2] == UNMEASURED), sorted(known + plain)))


def clipped(stretches: list[Stretch], taken: list[Stretch]) -> list[Stretch]:
    """What of each stretch is not taken, neither by `taken` nor by one before it; both are sorted."""
    out: list[Stretch] = []
    done, first = 0, 0
    for begin, end, stage in stretches:
        begin = max(begin, done)
        while first < len(taken) and taken[first][1] <= begin:
            first += 1
        at = first
        while begin < end:
            if at == len(taken) or taken[at][0] >= end:
                out.append((begin, end, stage))
                break
            if taken[at][0] > begin:
                out.append((begin, taken[at][0], stage))
            begin, at = max(begin, taken[at][1]), at + 1
        done = max(done, end)
    return out


def sleeps(track: Track, notes: Notes) -> list[Sleep]:
    """Every sleep of one source, in order."""
    stretches = _undisputed(track, notes)
    out: list[Sleep] = []
    for begin, end, stage in flat(stretches):
        if not out or begin - out[-1].end > APART:
            out.append(Sleep(begin, end))
        out[-1].end = max(out[-1].end, end)
        out[-1].stages[stage] = out[-1].stages.get(stage, 0) + end - begin
    return [sleep for sleep in out if sleep.asleep]


def _undisputed(track: Track, notes: Notes) -> list[Stretch]:
    """Without those that say different stages of one and the same time."""
    said = dict[tuple[int, int], dict[int, int]]()
    columns = (track.start.tolist(), track.length.tolist(), track.value.tolist(), track.places.tolist())
    for begin, length, stage, place in zip(*columns, strict=True):
        said.setdefault((begin, begin + length), {}).setdefault(int(stage), place)
    for stages in said.values():
        if len(stages) > 1:
            notes.drop("sleep with different stages over one time (nobody can say which is right)", len(stages), stages.values())
    return [(begin, end, min(stages)) for (begin, end), stages in said.items() if len(stages) == 1]


def by_waking(tracks: Sequence[Track], place: tzinfo, prefer: Sequence[str], notes: Notes) -> dict[int, tuple[Sleep, list[Sleep]]]:
    """The night and the naps of each date, by its number: the longest sleep that ended on it, and the others.

    Of several sources one counts for a date: the preferred one, else the one that measured most of that date's sleep.
    """
    found = dict[int, dict[str, list[Sleep]]]()
    for track in tracks:
        for sleep in sleeps(track, notes):
            found.setdefault(local_day(sleep.end, place), {}).setdefault(track.source, []).append(sleep)
    out = {}
    for day, sources in found.items():
        source = min(sources, key=lambda name: (_wish(name, prefer), -sum(s.measured for s in sources[name]), name))
        others = [(name, sleep) for name, held in sources.items() if name != source for sleep in held]
        reason = "sleep of a source beside another that counts for the date"
        notes.drop(reason, len(others), [_place(tracks, name, sleep) for name, sleep in others[:SHOWN]])
        ranked = sorted(sources[source], key=lambda s: (-s.asleep, -s.end))
        if _is_nap(ranked[0], midnight(day, place)):
            reason = "sleep of under 3 hours by day on dates without another: a nap, and of the night nothing is known"
            notes.drop(reason, len(ranked), [_place(tracks, source, nap) for nap in ranked[:SHOWN]])
        else:
            out[day] = ranked[0], ranked[1:]
    return out


def _place(tracks: Sequence[Track], source: str, sleep: Sleep) -> int:
    """Where the first reading of a sleep stands."""
    track = next(t for t in tracks if t.source == source)
    return int(track.places[min(int(np.searchsorted(track.start, sleep.start)), len(track) - 1)])


def _is_nap(sleep: Sleep, begin: int) -> bool:
    return sleep.asleep < NAP and sleep.start - begin >= BY_DAY[0] and sleep.end - begin <= BY_DAY[1]


def _wish(name: str, prefer: Sequence[str]) -> int:
    return list(prefer).index(name) if name in prefer else len(prefer)
