"""Fitbit, as Google Takeout gives it: JSON files by kind and date. Dates are month/day/year.

Steps and pulses are in UTC, a minute or some seconds apart; sleep and a day's totals are by the clock on the wall. Short wakes
stand beside the stages and are cut out of them. Calories count the body at rest too, so there is no active energy.
"""

from __future__ import annotations

import math
import re
from typing import Any

from ..clocks import parse, parse_slashed
from ..exports import Export, finite, inside, listed, word
from ..nights import Stretch, clipped
from ..readings import ASLEEP, AWAKE, DEEP, LIGHT, REM, Readings

NAME, LOOKS_FOR = "fitbit", "Google Takeout's Fitbit files: steps-*.json, heart_rate-*.json, sleep-*.json, very_active_minutes-*.json, …"
_FILE = re.compile(r"(?i)(steps|heart_rate|resting_heart_rate|sleep|sedentary_minutes|lightly_active_minutes|moderately_active_minutes|"
                   r"very_active_minutes|calories)-[0-9]{4}-[0-9]{2}-[0-9]{2}\.json(?:\.gz)?")  # fmt: skip
_MINUTES = {"very_active_minutes": "vigorous_time", "sedentary_minutes": "sedentary_time"}
_INSIDE = {"heart_rate": "bpm", "resting_heart_rate": "value"}
_STAGES = {"wake": AWAKE, "awake": AWAKE, "light": LIGHT, "deep": DEEP, "rem": REM, "asleep": ASLEEP, "restless": AWAKE}
_MIDDAY, _HALF = 6 * 3600, 12 * 3600


def _kind(export: Export) -> str:
    found = _FILE.fullmatch(export.name)
    return found[1].lower() if found else ""


def recognises(export: Export) -> bool:
    """Whether it is such a file."""
    return bool(_kind(export)) and export.head.lstrip()[:1] == "["


def read(export: Export, readings: Readings) -> None:
    """Puts what the file holds into `readings`. Raises TableError."""
    kind = _kind(export)
    if kind in ("calories", "lightly_active_minutes", "moderately_active_minutes"):
        told = f"fitbit: a file of {kind.replace('_', ' ')}, not used (another definition than the models')"
        readings.notes.tell(told)
        return
    for entry in export.objects(readings.notes):
        if not _entry(kind, entry, export.asked.person, readings):
            readings.notes.drop("an entry without a time or a number that can be read")


def _wall(text: str) -> int | None:
    """01/15/24 08:00:00, or ISO where newer files have it."""
    iso = parse(text)
    return iso[0] if iso else parse_slashed(text, "MDY")


def _entry(kind: str, entry: dict[str, Any], person: str, readings: Readings) -> bool:
    """Takes one, unless its time or its number cannot be read."""
    if kind == "sleep":
        return _sleep(entry, person, readings)
    second, held = _wall(word(entry.get("dateTime"))), entry.get("value")
    value = finite(inside(held, _INSIDE[kind]) if kind in _INSIDE else held)
    if second is None or math.isnan(value):
        return False
    if kind == "steps":
        readings.series("steps", NAME, "steps", person).add(second, value, 60)
    elif kind == "heart_rate" and inside(held, "confidence") == 0:
        readings.notes.drop("fitbit: pulses with confidence 0 (the watch was not worn)")
    elif kind == "heart_rate":
        readings.series("heart_rate", NAME, "bpm", person).add(second, value)
    elif kind == "resting_heart_rate":
        if value:  # 0 with no date: none was found that day
            readings.series(kind, NAME, "bpm", person, wall=True).add(second + _HALF, value)
    else:  # the sum of a day, placed inside of it whatever the clocks do that night
        readings.series(_MINUTES[kind], NAME, "min", person, wall=True).add(second + _MIDDAY, value, _HALF)
    return True


def _sleep(entry: dict[str, Any], person: str, readings: Readings) -> bool:
    levels = entry.get("levels")
    stages, wakes = (_stretches(listed(inside(levels, name)), readings) for name in ("data", "shortData"))
    if not stages:
        return False
    series, wakes = readings.series("sleep", NAME, "stage", person, wall=True), sorted(wakes)
    for begin, end, stage in clipped(sorted(stages), wakes) + wakes:
        series.add(begin, stage, end - begin)
    return True


def _stretches(levels: list[Any], readings: Readings) -> list[Stretch]:
    out = []
    for level in levels:
        begin, stage = _wall(word(inside(level, "dateTime"))), _STAGES.get(word(inside(level, "level")))
        lasts = finite(inside(level, "seconds"))
        if begin is None or stage is None or not 0 < lasts < 1 << 31:
            readings.notes.drop("fitbit: a stage of sleep without a time, a name or a length that can be read")
        else:
            out.append((begin, begin + int(lasts), stage))
    return out
