"""From readings to days: the one function behind `days`, `explain --from`, `watch --readings` and the table that a model is fitted on.

A pure function: the same readings in any order give the same days. Coverage stands beside every measure.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo

import numpy as np
from numpy.typing import NDArray

from ..errors import TableError
from .cleaning import Track, cleaned
from .clocks import check_fixed, date_text, is_weekend, midnight, zone
from .measures import BY_NAME, MEASURES, QUARTER
from .nights import Sleep, by_waking
from .readings import COUNTS, DEEP, MOMENTS, REM, Readings, Values
from .slots import IN_A_DAY, Calendar, Slots, owned, pieces

Columns = dict[str, Values]
"""By measure one value a day, shape (days,), NaN where there is none."""
Mask = NDArray[np.bool_]
GMI_BASE, GMI_SLOPE = 3.31, 0.02392


@dataclass(frozen=True)
class Rules:
    """What may be asked of days: the zone, whose sources go first, other floors (0..1 by measure), the present moment."""

    place: tzinfo | None = None
    prefer: tuple[str, ...] = ()
    floors: Mapping[str, float] = field(default_factory=dict)
    now: int | None = None


@dataclass(frozen=True)
class Day:
    """One person's local date: its number since 1970, how many hours it has, its measures (None: unknown) and their coverage."""

    person: str
    number: int
    hours: float
    values: dict[str, float | None]
    coverage: dict[str, float]

    @property
    def date(self) -> str:
        """2026-05-01."""
        return date_text(self.number)

    @property
    def weekend(self) -> str:
        """yes or no."""
        return "yes" if is_weekend(self.number) else "no"


def days(readings: Readings, rules: Rules) -> list[Day]:
    """Every day that holds a reading, by person and date. What was left out is counted in `readings.notes`.

    Raises TableError where a person has no zone, and where two people seem to be one.
    """
    now = round(time.time()) if rules.now is None else rules.now
    out: list[Day] = []
    for person in readings.persons():
        out += _of_person(readings, person, _place(readings, person, rules), rules, now)
    return out


def unmeasured(person: str, number: int, place: tzinfo) -> Day:
    """A date of which no reading counts."""
    hours = (midnight(number + 1, place) - midnight(number, place)) / 3600
    return Day(person, number, hours, dict.fromkeys(BY_NAME), dict.fromkeys(BY_NAME, 0.0))


def _place(readings: Readings, person: str, rules: Rules) -> tzinfo:
    if rules.place is not None:
        return rules.place
    if person in readings.zones:
        return zone(readings.zones[person])
    raise TableError(
        "a day begins and ends by somebody's clock, and the files do not say where they live; give --zone, for example --zone Europe/London"
    )


def _of_person(readings: Readings, person: str, place: tzinfo, rules: Rules, now: int) -> list[Day]:
    moments = {kind: cleaned(readings, person, kind, place, now) for kind in MOMENTS}
    moments["heart_rate"] = [_thinned(track) for track in moments["heart_rate"]]
    counts = {kind: cleaned(readings, person, kind, place, now) for kind in COUNTS}
    nights = by_waking(cleaned(readings, person, "sleep", place, now), place, rules.prefer, readings.notes)
    tracks = [t for found in (*moments.values(), *counts.values()) for t in found]
    if not tracks and not nights:
        return []
    ends = [night.end for night, _ in nights.values()]
    first = min([int(t.start.min()) for t in tracks] + ends)
    last = max([int((t.start + np.maximum(t.length - 1, 0)).max()) for t in tracks] + ends)
    check_fixed(place, first, last)
    calendar = Calendar(first, last, place)
    values: Columns = {m.name: np.full(len(calendar), np.nan) for m in MEASURES}
    cover = {m.of: np.zeros(len(calendar)) for m in MEASURES}
    there = np.zeros(len(calendar), bool)
    for kind, found in moments.items():
        there |= _moments(kind, found, calendar, rules, values, cover)
    pulse = _pulses(readings.pulses.setdefault(person, set()), calendar, [*moments["heart_rate"], *moments["stress"]])
    for kind, found in counts.items():
        there |= _counts(kind, found, calendar, rules, pulse, values, cover)
    for number, (night, naps) in nights.items():
        at = number - calendar.first
        there[at] = True
        _night(at, night, naps, values, cover)
    _tell_sources(readings, moments | counts)
    return [_day(person, int(i), calendar, rules, values, cover) for i in np.flatnonzero(there)]


def _slots(calendar: Calendar, track: Track) -> Slots:
    return np.unique(calendar.slot(track.start))


def _thinned(track: Track) -> Track:
    """One reading for each quarter of an hour: of a pulse nothing counts but that there is one."""
    quarter = track.start // QUARTER
    return track.of(np.flatnonzero(np.r_[True, quarter[1:] != quarter[:-1]]))


def _pulses(known: set[str], calendar: Calendar, tracks: Sequence[Track]) -> dict[str, Slots]:
    """Where each device that measures a pulse has one, or a stress value, which is made of it; `known` gets the devices' names."""
    known.update(t.source for t in tracks)
    return {name: np.unique(np.concatenate([_NONE, *(_slots(calendar, t) for t in tracks if t.source == name)])) for name in known}


def _moments(kind: str, tracks: Sequence[Track], calendar: Calendar, rules: Rules, values: Columns, cover: Columns) -> Mask:
    """Fills in what is made of values at moments. Which days there are readings of, shape (days,)."""
    presence = {t.source: _slots(calendar, t) for t in tracks}
    mine = owned(presence, calendar, rules.prefer, {})
    kept = [t if len(tracks) == 1 else t.of(np.isin(calendar.slot(t.start), mine[t.source])) for t in tracks]
    there = np.zeros(len(calendar), bool)
    if not kept:
        return there
    slots = np.unique(np.concatenate(list(presence.values())))
    if kind in cover:
        cover[kind] = calendar.share(slots)
    there[slots // IN_A_DAY] = True
    day = calendar.day(np.concatenate([t.start for t in kept]))
    value = np.concatenate([t.value for t in kept])
    if kind == "glucose":
        _glucose(day, value, np.concatenate([t.band for t in kept]), values)
    elif kind == "stress":
        values["stress_mean"] = _mean(day, value, len(calendar))
    elif kind == "resting_heart_rate":
        order = np.argsort(np.concatenate([t.start for t in kept]), kind="stable")
        values["resting_hr"][day[order]] = value[order]  # the last one of a date is written last
    return there


def _mean(day: Slots, value: Values, count: int) -> Values:
    with np.errstate(invalid="ignore"):
        return np.bincount(day, value, count) / np.bincount(day, minlength=count)


def _glucose(day: Slots, value: Values, band: NDArray[np.int8], values: Columns) -> None:
    size = len(values["glucose_mean"])
    n, mean = np.bincount(day, minlength=size), _mean(day, value, size)
    with np.errstate(invalid="ignore", divide="ignore"):
        sd = np.sqrt(np.bincount(day, (value - mean[day]) ** 2, size) / (n - 1))
        sd[n < 2] = np.nan
        values["glucose_mean"], values["glucose_sd"] = mean, sd
        values["glucose_cv"], values["gmi"] = 100 * sd / mean, GMI_BASE + GMI_SLOPE * mean
        for name, which in (("below", -1), ("in", 0), ("above", 1)):
            values[f"time_{name}_range_pct"] = 100 * np.bincount(day[band == which], minlength=size) / n


_NONE = np.zeros(0, np.int64)
NAMES = {"steps": "steps", "active_energy": "active_kcal", "active_time": "active_min", "vigorous_time": "vigorous_min",
         "sedentary_time": "sedentary_min"}  # fmt: skip


def _counts(kind: str, tracks: Sequence[Track], calendar: Calendar, rules: Rules, pulse: Mapping[str, Slots], values: Columns,
            cover: Columns) -> Mask:  # fmt: skip
    """Fills in what is counted. Worn is a device where it gave a pulse or a stress value, or, if it never does, anything.

    Where several devices count, in each quarter of an hour one counts (see `owned`); one that is worn and counts nothing has counted 0.
    """
    there, total = np.zeros(len(calendar), bool), np.zeros(len(calendar))
    presence = {t.source: np.unique(np.concatenate([_spanned(calendar, t), pulse.get(t.source, _NONE)])) for t in tracks}
    mine = owned(presence, calendar, rules.prefer, pulse)
    for part in (part for t in tracks for part in t.parts()):
        slots, counted = pieces(calendar, part.start, part.length, part.value, len(tracks) == 1)
        there[slots // IN_A_DAY] = True
        ours = np.ones(len(slots), bool) if len(tracks) == 1 else np.isin(slots, mine[part.source])
        total += np.bincount(slots[ours] // IN_A_DAY, counted[ours], len(calendar))
    if tracks:
        worn = np.unique(np.concatenate([pulse.get(t.source, presence[t.source]) for t in tracks]))
        values[NAMES[kind]], cover[kind] = np.where(there, total, np.nan), calendar.share(worn)
    return there


def _spanned(calendar: Calendar, track: Track) -> Slots:
    """The different quarters of an hour that counts reach over."""
    found = [_NONE]
    for part in track.parts():
        first, last = calendar.slot(part.start), calendar.slot(part.start + part.length - 1)
        long = np.flatnonzero(last - first > 1)
        between = [pieces(calendar, part.start[i : i + 1], part.length[i : i + 1], part.value[i : i + 1], False)[0] for i in long]
        found.append(np.unique(np.concatenate([np.unique(first), np.unique(last), *between])))
    return np.unique(np.concatenate(found))


def _night(at: int, night: Sleep, naps: Sequence[Sleep], values: Columns, cover: Columns) -> None:
    """One date's sleep. Shares of stages are whole percent that add up to 100."""
    values["sleep_h"][at] = night.asleep / 3600
    values["nap_h"][at] = sum(nap.asleep for nap in naps) / 3600
    deep, rem = (round(100 * night.stages.get(stage, 0) / max(night.staged, 1)) for stage in (DEEP, REM))
    for name, share in (("deep", deep), ("rem", rem), ("light", 100 - deep - rem)):
        values[f"{name}_sleep_pct"][at] = share
    cover["sleep"][at] = night.measured / (night.end - night.start)
    cover["stages"][at] = cover["sleep"][at] * night.staged / night.asleep


def _day(person: str, at: int, calendar: Calendar, rules: Rules, values: Columns, cover: Columns) -> Day:
    known: dict[str, float | None] = {}
    covered = dict[str, float]()
    for measure in MEASURES:
        share, value = float(cover[measure.of][at]), float(values[measure.name][at])
        enough = share >= rules.floors.get(measure.name, measure.floor) - 1e-9
        known[measure.name] = round(value, measure.digits) + 0.0 if enough and math.isfinite(value) else None
        covered[measure.name] = round(share, 3)
    return Day(person, calendar.first + at, float(calendar.seconds[at]) / 3600, known, covered)


def _tell_sources(readings: Readings, found: Mapping[str, Sequence[Track]]) -> None:
    for kind, tracks in found.items():
        if len(tracks) > 1:
            names = ", ".join(t.source for t in tracks)
            readings.notes.tell(
                f"{kind.replace('_', ' ')} from {names}: in each quarter of an hour one counts, the one asked for with --prefer, "
                "else one that is worn, else the one that the day has most of (people)", 1, ())  # fmt: skip


def check_floors(floors: Mapping[str, float]) -> None:
    """Raises TableError for a measure that does not exist or a floor that is no share."""
    for name, floor in floors.items():
        if name not in BY_NAME:
            raise TableError(f"--floor {name}: there is no such measure; there are {', '.join(BY_NAME)}")
        if not 0 <= floor <= 1:
            raise TableError(f"--floor {name}={floor:g}: a floor is a share of the day, 0 to 1")
