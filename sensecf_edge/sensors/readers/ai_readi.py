"""AI-READI, releases 1 to 3: the JSON of the Garmin watch and of the Dexcom G6, one file a person and kind.

Times are UTC; the zone is the file's (v3: pst, cst) or follows from the person's number (1 and 4: Pacific, 7: Central). The field
that calls itself steps is a code of movement and intensity, so there are no steps. Calories are a counter that is set back.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from ..clocks import parse
from ..exports import Export, finite
from ..readings import STAGES, Readings
from .dexcom import reading

NAME, LOOKS_FOR = "ai-readi", "AI-READI's JSON: a header with AIREADI-<id> and a body"
SOURCE, CGM = "garmin", "dexcom_g6"
ZONES = {"pst": "America/Los_Angeles", "cst": "America/Chicago"}
_ZONE_OF_ID = {"1": "pst", "4": "pst", "7": "cst"}
_VALUES = {"heart_rate": ("heart_rate", "bpm"), "stress": ("stress", "score")}
_UNUSED = ("oxygen_saturation", "respiratory_rate")


def recognises(export: Export) -> bool:
    """Whether it is such a file."""
    begin = export.head.lstrip()
    return begin.startswith("{") and "AIREADI-" in begin and '"header"' in begin


def read(export: Export, readings: Readings) -> None:
    """Puts what the file holds into `readings`. Raises TableError."""
    whole = export.json()
    header, body = whole.get("header", {}), whole.get("body", {})
    said = next((str(header[k]) for k in ("patient_id", "user_id", "uuid") if header.get(k)), "")
    identity = said.removeprefix("AIREADI-")
    person = export.asked.person or identity
    place = ZONES.get(str(header.get("timezone") or _ZONE_OF_ID.get(identity[:1], "")).lower())
    if place:
        readings.zones.setdefault(person, place)
    listed = body.items() if isinstance(body, dict) else [("cgm", body)]
    for name, records in listed:
        for at, record in enumerate(records if isinstance(records, list) else [], 1):
            if isinstance(record, dict):
                _record(name, record, person, readings, f"{export.path}, {name} {at:,}")


def _record(name: str, record: dict[str, Any], person: str, readings: Readings, where: str) -> None:
    if "blood_glucose" in record:
        _glucose(record, person, readings, where)
    elif "sleep_stage_state" in record:
        _stage(record, person, readings, where)
    elif "sleep_duration" in record:
        _span(record, "asleep", person, readings, where)
    elif name == "activity":
        _activity(record, person, readings, where)
    elif any(kind in record for kind in _VALUES):
        kind, unit = next(_VALUES[k] for k in _VALUES if k in record)
        moment, value = _moment(record), _number(record[kind].get("value"))
        if moment is None:
            _lost(readings, where)
        else:
            readings.series(kind, SOURCE, unit, person, moment[1]).add(moment[0], value)
    elif any(kind in record for kind in _UNUSED):
        readings.notes.drop("ai-readi: oxygen saturation and breathing, of which no measure is made", 1, where)
    else:
        readings.notes.drop("ai-readi: records of a kind that is not known", 1, where)


def _frames(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for key in ("effective_time_frame", "sleep_stage_time_frame"):
        frame = record.get(key)
        if isinstance(frame, dict):
            yield frame


def _moment(record: dict[str, Any]) -> tuple[int, bool] | None:
    for frame in _frames(record):
        text = frame.get("date_time") or frame.get("time_interval", {}).get("start_date_time")
        if text:
            return parse(str(text))
    return None


def _interval(record: dict[str, Any]) -> tuple[int, int] | None:
    """Old files leave the Z out; they are UTC all the same."""
    for frame in _frames(record):
        span = frame.get("time_interval", {})
        a, b = parse(str(span.get("start_date_time", ""))), parse(str(span.get("end_date_time", "")))
        if a and b:
            return a[0], b[0]
    return None


def _number(given: object) -> float:
    value = finite(given)
    return -1.0 if math.isnan(value) else value


def _lost(readings: Readings, where: str) -> None:
    readings.notes.drop("a record without a time that can be read", 1, where)


def _glucose(record: dict[str, Any], person: str, readings: Readings, where: str) -> None:
    moment, held = _moment(record), record["blood_glucose"]
    value = reading(str(held.get("value")), "mg/dL")
    if moment is None:
        _lost(readings, where)
    elif math.isnan(value):
        readings.notes.drop("glucose that is no number", 1, where)
    else:
        unit = str(held.get("unit") or "")
        readings.series("glucose", CGM, unit, person, limits=(40.0, 400.0)).add(moment[0], value)


def _stage(record: dict[str, Any], person: str, readings: Readings, where: str) -> None:
    stage = str(record["sleep_stage_state"])
    if stage in STAGES:
        _span(record, stage, person, readings, where)
    else:
        readings.notes.drop("sleep of a stage that the watch calls unknown", 1, where)


def _span(record: dict[str, Any], stage: str, person: str, readings: Readings, where: str) -> None:
    span = _interval(record)
    if span is None:
        _lost(readings, where)
    else:
        readings.series("sleep", SOURCE, "stage", person).add(span[0], STAGES.index(stage), span[1] - span[0])


def _activity(record: dict[str, Any], person: str, readings: Readings, where: str) -> None:
    if record.get("activity_name") == "kcal_burned":
        moment, held = _moment(record), record.get("calories_value") or record.get("duration") or {}
        if moment is None or _number(held.get("value")) < 0:
            _lost(readings, where)
        else:
            readings.count_up("active_energy", SOURCE, "kcal", person, "", moment[0], _number(held.get("value")))
        return
    readings.notes.drop("ai-readi: a code of movement that calls itself steps, not used as such", 1, where)
    span = _interval(record)
    if span is not None and record.get("activity_name") == "sedentary" and 0 < span[1] - span[0] <= 90_000:
        length = span[1] - span[0]
        readings.series("sedentary_time", SOURCE, "s", person).add(span[0], length, length)
