"""Fitbit, as Google Takeout gives it: JSON files by kind and date. Dates are month/day/year.

Steps and pulses are in UTC, a minute or some seconds apart; sleep and a day's totals are by the clock on the wall. Short wakes
stand beside the stages and are cut out of them. Calories count the body at rest too, so there is no active energy.
"""

from __future__ import annotations

import re
from typing import Any

from ...errors import TableError
from ..clocks import parse, parse_slashed
from ..exports import Export, finite
from ..nights import Stretch, clipped
from ..readings import ASLEEP, AWAKE, DEEP, LIGHT, REM, Readings

NAME, LOOKS_FOR = "fitbit", "Google Takeout's Fitbit files: steps-*.json, heart_rate-*.json, sleep-*.json, very_active_minutes-*.json, …"
_FILE = re.compile(r"(?i)(steps|heart_rate|resting_heart_rate|sleep|sedentary_minutes|lightly_active_minutes|moderately_active_minutes|"
                   r"very_active_minutes|calories)-[0-9]{4}-[0-9]{2}-[0-9]{2}\.json(?:\.gz)?")  # fmt: skip
_MINUTES = {"very_active_minutes": "vigorous_time", "sedentary_minutes": "sedentary_time"}
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
        readings.notes.tell(told, 1, str(export.path))
        return
    for at, entry in enumerate(export.objects(), 1):
        where = f"{export.path}, entry {at:,}"
        try:
            if not _entry(kind, entry, export.asked.person, readings):
                readings.notes.drop("an entry without a time or a number that can be read", 1, where)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise TableError(f"{where}: this is not what Fitbit writes ({type(error).__name__}); export it again") from error


def _wall(text: str) -> int | None:
    """01/15/24 08:00:00, or ISO where newer files have it."""
    iso = parse(text)
    return iso[0] if iso else parse_slashed(text, "MDY")


def _entry(kind: str, entry: dict[str, Any], person: str, readings: Readings) -> bool:
    if kind == "sleep":
        return _sleep(entry, person, readings)
    second = _wall(str(entry["dateTime"]))
    if second is None:
        return False
    if kind == "steps":
        readings.series("steps", NAME, "steps", person).add(second, finite(entry["value"]), 60)
    elif kind == "heart_rate":
        held = entry["value"]
        readings.series("heart_rate", NAME, "bpm", person).add(second, finite(held["bpm"]) if held.get("confidence", 1) else 0.0)
    elif kind == "resting_heart_rate":
        if finite(entry["value"]["value"]):  # 0 with no date: none was found that day
            readings.series(kind, NAME, "bpm", person, wall=True).add(second + _HALF, finite(entry["value"]["value"]))
    else:  # the sum of a day, placed inside of it whatever the clocks do that night
        readings.series(_MINUTES[kind], NAME, "min", person, wall=True).add(second + _MIDDAY, finite(entry["value"]), _HALF)
    return True


def _sleep(entry: dict[str, Any], person: str, readings: Readings) -> bool:
    levels = entry["levels"]
    stages, wakes = _stretches(levels.get("data", [])), sorted(_stretches(levels.get("shortData", [])))
    if not stages:
        return False
    series = readings.series("sleep", NAME, "stage", person, wall=True)
    for begin, end, stage in clipped(sorted(stages), wakes) + wakes:
        series.add(begin, stage, end - begin)
    return True


def _stretches(levels: list[dict[str, Any]]) -> list[Stretch]:
    out = []
    for level in levels:
        begin, stage = _wall(str(level["dateTime"])), _STAGES.get(str(level["level"]))
        if begin is not None and stage is not None:
            out.append((begin, begin + int(level["seconds"]), stage))
    return out
