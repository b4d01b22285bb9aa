"""T1D-UOM (Alsuhaymi et al., Sci Data 2025; Zenodo 15169263): CSV files of glucose, Garmin's 5-minute values, activity and sleep.

Dates are day/month/year, whatever its own description says. Glucose is in mmol/L, which the files do not repeat. Activity has
the clock on the wall and its offset; the start of a sleep is in UTC with the offset beside it. Sleep has sums by stage: they are
laid one behind the other, and only sums are made of them again.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import TableError
from ..clocks import DAY, parse_slashed
from ..exports import Export, Sheet, has_sheet, number
from ..notes import SHOWN, Notes
from ..readings import AWAKE, DEEP, FAR, LIGHT, REM, UNMEASURED, Readings

NAME, LOOKS_FOR = "t1d-uom", "CSV files with the columns participant and bg_ts, sleep_ts, activity_ts or start_date_ts"
SOURCE = "garmin"
_STREAMS = {"bg_ts": ("participant", "bg_ts", "value"),
            "sleep_ts": ("participant", "sleep_ts", "heart_rate", "stress_level_value", "resting_heart_rate"),
            "activity_ts": ("participant", "start_time_s", "start_time_offset_s", "activity_type", "intensity", "active_time_s",
                            "step_count", "active_Kcal", "duration_s"),
            "start_date_ts": ("participant", "start_date_ts", "start_time_offset_s", "validation", "deep_sleep_s", "light_sleep_s",
                              "rem_sleep_s", "awake_s", "unmeasurable_sleep_s")}  # fmt: skip
_UNUSED = ("meal_ts", "bolus_ts", "basal_ts")
_TIMES = {"ACTIVE": "active_time", "HIGHLY_ACTIVE": "vigorous_time", "SEDENTARY": "sedentary_time"}
_DAYS = dict[str, int | None]()
_NO_NUMBER = -1e15


def _header(names: Sequence[str]) -> bool:
    return "participant" in names and any(stream in names for stream in (*_STREAMS, *_UNUSED))


recognises = has_sheet(_header)


def read(export: Export, readings: Readings) -> None:
    """Puts what the file holds into `readings`. Raises TableError."""
    sheet = export.sheet(_header)
    assert sheet is not None
    stream = next((name for name in _STREAMS if name in sheet.names), None)
    if stream is None:
        readings.notes.tell("t1d-uom: a file of meals or insulin, not used")
        return
    lacking = [name for name in _STREAMS[stream] if name not in sheet.names]
    if lacking:
        raise TableError(f"{export.at(sheet.header)}: the columns {', '.join(lacking)} are missing; export the whole table")
    at = [sheet.names.index(name) for name in _STREAMS[stream]]
    {"bg_ts": _glucose, "sleep_ts": _five_minutes, "activity_ts": _activity, "start_date_ts": _sleep}[stream](sheet, at, readings)


def _rows(sheet: Sheet, at: Sequence[int], readings: Readings) -> Iterator[tuple[int, list[str]]]:
    least = max(at)
    for line, cells in sheet.rows():
        if len(cells) > least:
            yield line, [cells[i] for i in at]
        else:
            readings.notes.drop("a line that was cut short")


def _wall(text: str) -> int | None:
    """dd/mm/yyyy HH:MM, quickly: a day is looked up once."""
    day = text[:10]
    if day not in _DAYS:
        _DAYS[day] = parse_slashed(f"{day} 00:00", "DMY")
    begin = _DAYS[day]
    if begin is None or len(text) != 16:
        return parse_slashed(text, "DMY")
    try:
        return begin + int(text[11:13]) * 3600 + int(text[14:16]) * 60
    except ValueError:
        return None


def _timed(text: str, readings: Readings) -> int | None:
    wall = _wall(text)
    if wall is None:
        readings.notes.drop("a line without a time that can be read")
    return wall


def _glucose(sheet: Sheet, at: Sequence[int], readings: Readings) -> None:
    for _, (person, when, value) in _rows(sheet, at, readings):
        wall = _timed(when, readings)
        if wall is not None:
            readings.series("glucose", "cgm", "mmol/L", person, wall=True).add(wall, _real(value))


def _real(text: str) -> float:
    value = number(text)
    return -1.0 if math.isnan(value) else value


def _five_minutes(sheet: Sheet, at: Sequence[int], readings: Readings) -> None:
    for _, (person, when, pulse, stress, rest) in _rows(sheet, at, readings):
        wall = _timed(when, readings)
        if wall is None:
            continue
        readings.series("heart_rate", SOURCE, "bpm", person, wall=True).add(wall, _real(pulse))
        readings.series("stress", SOURCE, "score", person, wall=True).add(wall, _real(stress))
        if rest not in ("", "0"):
            readings.series("resting_heart_rate", SOURCE, "bpm", person, wall=True).add(wall, _real(rest))


def _counted(text: str) -> float:
    """A number; far below any for what is none, so that no sum that it is part of counts."""
    value = number(text)
    return _NO_NUMBER if math.isnan(value) else max(min(value, -_NO_NUMBER), _NO_NUMBER)


class _Names:
    """Texts as numbers, each once."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self._numbers = dict[str, int]()

    def number(self, name: str) -> int:
        """The number of a text."""
        if name not in self._numbers:
            self._numbers[name] = len(self.all)
            self.all.append(name)
        return self._numbers[name]


def _activity(sheet: Sheet, at: Sequence[int], readings: Readings) -> None:
    """An epoch has a row for each kind of movement; they are added up. An epoch that two clocks claim is nobody's.

    It may stand anywhere in the file twice, so all of it is looked at at once, in columns: person, start, offset, kind, intensity;
    active time, steps, energy, duration; the place.
    """
    names, which, held, places = _Names(), array("q"), array("d"), array("i")
    for _, (person, start, offset, kind, intensity, *values) in _rows(sheet, at, readings):
        begin, ahead = _real(start), number(offset)
        if not -FAR < begin < FAR or not abs(ahead) <= DAY:
            readings.notes.drop("a line without a time that can be read")
            continue
        which.extend((names.number(person), int(begin), int(ahead), names.number(kind), names.number(intensity)))
        held.extend(map(_counted, values))
        places.append(readings.notes.places.now)
    epochs = _Epochs(np.frombuffer(which, np.int64).reshape(-1, 5), np.frombuffer(held).reshape(-1, 4), np.frombuffer(places, np.int32))
    _put(_undisputed(epochs, readings.notes), names.all, readings)


class _Epochs(NamedTuple):
    """Rows of activity, shapes (n, 5), (n, 4) and (n,)."""

    which: NDArray[np.int64]
    held: NDArray[np.float64]
    places: NDArray[np.int32]

    def of(self, rows: NDArray[Any]) -> _Epochs:
        """Some of them."""
        return _Epochs(self.which[rows], self.held[rows], self.places[rows])


def _changes(columns: NDArray[Any]) -> NDArray[np.bool_]:
    """Which rows differ from the one before them; the first does."""
    found: NDArray[np.bool_] = np.r_[True, (columns[1:] != columns[:-1]).any(axis=1)][: len(columns)]
    return found


def _undisputed(rows: _Epochs, notes: Notes) -> _Epochs:
    """Each once, without those that say two things of one epoch, or one thing by two clocks."""
    rows = rows.of(np.lexsort((rows.places, *rows.held.T[::-1], *rows.which.T[::-1])))
    new = _changes(rows.which)
    again = ~new & ~_changes(rows.held)
    _left(notes, "activity that stands there already (duplicates, exports that overlap)", again, rows.places)
    rows = rows.of(~again)
    group = np.cumsum(_changes(rows.which)) - 1
    bad = np.bincount(group)[group] > 1 if len(group) else np.zeros(0, bool)
    _left(notes, "activity with different values for one epoch (nobody can say which is right)", bad, rows.places)
    moment = np.cumsum(_changes(rows.which[:, :2])) - 1
    clocks = np.bincount(moment, _changes(rows.which[:, :3]))[moment] > 1 if len(moment) else np.zeros(0, bool)
    _left(notes, "activity of one moment by two clocks (nobody can say whose)", clocks & ~bad, rows.places)
    return rows.of(~bad & ~clocks)


def _left(notes: Notes, reason: str, which: NDArray[np.bool_], places: NDArray[np.int32]) -> None:
    notes.drop(reason, int(which.sum()), sorted(places[which].tolist())[:SHOWN])


def _put(rows: _Epochs, names: Sequence[str], readings: Readings) -> None:
    """What was counted in each epoch: a person's begin, clock and length."""
    whose = np.column_stack([rows.which[:, :3], rows.held[:, 3].astype(np.int64)])
    order = np.lexsort((rows.places, *whose.T[::-1]))
    rows, whose = rows.of(order), whose[order]
    first = np.flatnonzero(_changes(whose))
    group = np.repeat(np.arange(len(first)), np.diff(np.r_[first, len(whose)]))
    active, steps, energy, _ = rows.held.T
    intensity = np.array(names or [""])[rows.which[:, 4]]
    timed = [(kind, "s", np.where(intensity == name, active, 0)) for name, kind in _TIMES.items()]
    for kind, unit, counted in (("steps", "steps", steps), ("active_energy", "kcal", energy), *timed):
        total = np.bincount(group, counted, len(first)) if len(first) else np.zeros(0)
        columns = whose[first].tolist(), total.tolist(), rows.places[first].tolist()
        for (person, start, ahead, length), value, place in zip(*columns, strict=True):
            series = readings.series(kind, SOURCE, unit, names[person], wall=True, offset=ahead)
            series.add(start + ahead, value, length, place)


def _sleep(sheet: Sheet, at: Sequence[int], readings: Readings) -> None:
    """Of two nights that begin together the final one counts; where both are, none."""
    nights = dict[tuple[str, int, int], dict[tuple[float, ...], tuple[str, int]]]()
    for _, (person, start, offset, validation, *stages) in _rows(sheet, at, readings):
        begin, ahead = _timed(start, readings), number(offset)
        if begin is None:
            continue
        if not abs(ahead) <= DAY:
            readings.notes.drop("a line without a time that can be read")
            continue
        found = nights.setdefault((person, begin + int(ahead), int(ahead)), {})
        spans = tuple(map(_real, stages))
        if spans in found:
            readings.notes.drop("sleep that stands there already (duplicates, exports that overlap)")
        before, place = found.get(spans, ("", readings.notes.places.now))
        found[spans] = max(validation, before, key=_final), place
    for (person, wall, ahead), found in nights.items():
        best = max(_final(validation) for validation, _ in found.values())
        chosen = [spans for spans, (validation, _) in found.items() if _final(validation) == best]
        others = [place for spans, (_, place) in found.items() if spans not in chosen]
        readings.notes.drop("tentative nights beside final ones", len(others), others)
        if len(chosen) > 1:
            reason = "nights of one beginning with different stages (nobody can say which is right)"
            readings.notes.drop(reason, len(chosen), [found[spans][1] for spans in chosen])
            continue
        series = readings.series("sleep", SOURCE, "stage", person, wall=True, offset=ahead)
        for stage, span in zip((DEEP, LIGHT, REM, AWAKE, UNMEASURED), chosen[0], strict=True):
            if span > 0:
                series.add(wall, stage, int(span), found[chosen[0]][1])
                wall += int(span)


def _final(validation: str) -> int:
    return int(validation.endswith("FINAL"))
