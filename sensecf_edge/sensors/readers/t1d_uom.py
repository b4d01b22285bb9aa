"""T1D-UOM (Alsuhaymi et al., Sci Data 2025; Zenodo 15169263): CSV files of glucose, Garmin's 5-minute values, activity and sleep.

Dates are day/month/year, whatever its own description says. Glucose is in mmol/L, which the files do not repeat. Activity has
the clock on the wall and its offset; the start of a sleep is in UTC with the offset beside it. Sleep has sums by stage: they are
laid one behind the other, and only sums are made of them again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ...errors import TableError
from ..clocks import parse_slashed
from ..exports import Export, Sheet, number
from ..readings import AWAKE, DEEP, LIGHT, REM, UNMEASURED, Readings

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


def _header(names: Sequence[str]) -> bool:
    return "participant" in names and any(stream in names for stream in (*_STREAMS, *_UNUSED))


def recognises(export: Export) -> bool:
    """Whether it is a file of this data set."""
    return export.sheet(_header) is not None


def read(export: Export, readings: Readings) -> None:
    """Puts what the file holds into `readings`. Raises TableError."""
    sheet = export.sheet(_header)
    assert sheet is not None
    stream = next((name for name in _STREAMS if name in sheet.names), None)
    if stream is None:
        readings.notes.tell("t1d-uom: a file of meals or insulin, not used", 1, str(export.path))
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
            readings.notes.drop("a line that was cut short", 1, sheet.export.at(line))


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


def _timed(text: str, sheet: Sheet, line: int, readings: Readings) -> int | None:
    wall = _wall(text)
    if wall is None:
        readings.notes.drop("a line without a time that can be read", 1, sheet.export.at(line))
    return wall


def _glucose(sheet: Sheet, at: Sequence[int], readings: Readings) -> None:
    for line, (person, when, value) in _rows(sheet, at, readings):
        wall = _timed(when, sheet, line, readings)
        if wall is not None:
            readings.series("glucose", "cgm", "mmol/L", person, wall=True).add(wall, _real(value))


def _real(text: str) -> float:
    value = number(text)
    return -1.0 if math.isnan(value) else value


def _five_minutes(sheet: Sheet, at: Sequence[int], readings: Readings) -> None:
    for line, (person, when, pulse, stress, rest) in _rows(sheet, at, readings):
        wall = _timed(when, sheet, line, readings)
        if wall is None:
            continue
        readings.series("heart_rate", SOURCE, "bpm", person, wall=True).add(wall, _real(pulse))
        readings.series("stress", SOURCE, "score", person, wall=True).add(wall, _real(stress))
        if rest not in ("", "0"):
            readings.series("resting_heart_rate", SOURCE, "bpm", person, wall=True).add(wall, _real(rest))


def _activity(sheet: Sheet, at: Sequence[int], readings: Readings) -> None:
    """An epoch has a row for each kind of movement; they are added up. An epoch that two clocks claim is nobody's."""
    seen = dict[tuple[str, ...], tuple[str, ...]]()
    bad, clocks = set[tuple[str, ...]](), dict[tuple[str, str], set[str]]()
    for line, cells in _rows(sheet, at, readings):
        key, held = tuple(cells[:5]), tuple(cells[5:])
        clocks.setdefault((cells[0], cells[1]), set()).add(cells[2])
        before = seen.setdefault(key, held)
        if before is not held:
            same = before == held
            readings.notes.drop("activity that stands there already (duplicates, exports that overlap)" if same else
                                "activity with different values for one epoch (nobody can say which is right)", 1 if same else 2,
                                sheet.export.at(line))  # fmt: skip
            if not same:
                bad.add(key)
    sums = dict[tuple[str, int, int, int, str], float]()
    for key, (active, steps, energy, duration) in seen.items():
        person, start, offset, _, intensity = key
        if key in bad:
            continue
        if len(clocks[person, start]) > 1:
            readings.notes.drop("activity of one moment by two clocks (nobody can say whose)")
            continue
        ahead, length = int(_real(offset)), int(_real(duration))
        minutes = ((kind, active if name == intensity else "0") for name, kind in _TIMES.items())
        for kind, value in (("steps", steps), ("active_energy", energy), *minutes):
            place = (person, int(_real(start)) + ahead, ahead, length, kind)
            sums[place] = sums.get(place, 0.0) + _real(value)
    units = {"steps": "steps", "active_energy": "kcal"}
    for (person, wall, ahead, length, kind), total in sums.items():
        readings.series(kind, SOURCE, units.get(kind, "s"), person, wall=True, offset=ahead).add(wall, total, length)


def _sleep(sheet: Sheet, at: Sequence[int], readings: Readings) -> None:
    """Of two nights that begin together the final one counts; where both are, none."""
    nights = dict[tuple[str, int, int], dict[tuple[float, ...], str]]()
    for line, (person, start, offset, validation, *stages) in _rows(sheet, at, readings):
        begin = _timed(start, sheet, line, readings)
        if begin is not None:
            ahead = int(_real(offset))
            found = nights.setdefault((person, begin + ahead, ahead), {})
            spans = tuple(map(_real, stages))
            if spans in found:
                readings.notes.drop("sleep that stands there already (duplicates, exports that overlap)", 1, sheet.export.at(line))
            found[spans] = max(validation, found.get(spans, ""), key=_final)
    for (person, wall, ahead), found in nights.items():
        best = max(map(_final, found.values()))
        chosen = [spans for spans, validation in found.items() if _final(validation) == best]
        readings.notes.drop("tentative nights beside final ones", len(found) - len(chosen))
        if len(chosen) > 1:
            readings.notes.drop("nights of one beginning with different stages (nobody can say which is right)", len(chosen))
            continue
        series = readings.series("sleep", SOURCE, "stage", person, wall=True, offset=ahead)
        for stage, span in zip((DEEP, LIGHT, REM, AWAKE, UNMEASURED), chosen[0], strict=True):
            if span > 0:
                series.add(wall, stage, int(span))
                wall += int(span)


def _final(validation: str) -> int:
    return int(validation.endswith("FINAL"))
