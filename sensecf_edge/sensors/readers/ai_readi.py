"""AI-READI, releases 1 to 3: the JSON of the Garmin watch and of the Dexcom G6, one file a person and kind.

Times are UTC; the zone is the file's (v3: pst, cst) or follows from the person's number (1 and 4: Pacific, 7: Central). The field
that calls itself steps is a code of movement and intensity, so there are no steps. Calories are a counter that is set back.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from ...errors import TableError
from ..clocks import parse
from ..exports import Export, finite, inside, listed, word
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
    header, body = inside(whole, "header"), inside(whole, "body")
    said = next((name for k in ("patient_id", "user_id", "uuid") if (name := word(inside(header, k)))), "")
    identity = said.removeprefix("AIREADI-")
    person = export.asked.person or identity
    if not person:
        raise TableError(f"{export.path}: its header names nobody (patient_id, user_id or uuid); say whose it is with --person")
    place = ZONES.get((word(inside(header, "timezone")) or _ZONE_OF_ID.get(identity[:1], "")).lower())
    if place:
        readings.zones.setdefault(person, place)
    for name, records in body.items() if isinstance(body, dict) else [("cgm", body)]:
        export.places.called(f"{name} record" if len(name) < 40 else "record")
        if not isinstance(records, list):
            readings.notes.drop("ai-readi: a body that is no list of records")
        for at, record in enumerate(listed(records), 1):
            export.places.at(at)
            _record(name, record, person, readings)


def _record(name: str, record: object, person: str, readings: Readings) -> None:
    if not isinstance(record, dict):
        readings.notes.drop("entries that are no JSON objects")
    elif "blood_glucose" in record:
        _glucose(record, person, readings)
    elif "sleep_stage_state" in record:
        _stage(record, person, readings)
    elif "sleep_duration" in record:
        _span(record, "asleep", person, readings)
    elif name == "activity":
        _activity(record, person, readings)
    elif any(kind in record for kind in _VALUES):
        kind, unit = next(_VALUES[k] for k in _VALUES if k in record)
        moment, value = _moment(record), finite(inside(record, kind, "value"))
        if moment is None:
            _lost(readings)
        elif math.isnan(value):
            readings.notes.drop(f"{kind.replace('_', ' ')} that is no number")
        else:
            readings.series(kind, SOURCE, unit, person, moment[1]).add(moment[0], value)
    elif any(kind in record for kind in _UNUSED):
        readings.notes.drop("ai-readi: oxygen saturation and breathing, of which no measure is made")
    else:
        readings.notes.drop("ai-readi: records of a kind that is not known")


def _frames(record: dict[str, Any]) -> Iterator[object]:
    for key in ("effective_time_frame", "sleep_stage_time_frame"):
        yield record.get(key)


def _moment(record: dict[str, Any]) -> tuple[int, bool] | None:
    for frame in _frames(record):
        text = inside(frame, "date_time") or inside(frame, "time_interval", "start_date_time")
        if text:
            return parse(word(text))
    return None


def _interval(record: dict[str, Any]) -> tuple[int, int] | None:
    """Old files leave the Z out; they are UTC all the same."""
    for frame in _frames(record):
        a, b = (parse(word(inside(frame, "time_interval", f"{end}_date_time"))) for end in ("start", "end"))
        if a and b:
            return a[0], b[0]
    return None


def _lost(readings: Readings) -> None:
    readings.notes.drop("a record without a time that can be read")


def _glucose(record: dict[str, Any], person: str, readings: Readings) -> None:
    moment, held = _moment(record), record["blood_glucose"]
    value = reading(str(inside(held, "value")), "mg/dL")
    if moment is None:
        _lost(readings)
    elif math.isnan(value):
        readings.notes.drop("glucose that is no number")
    else:
        unit = word(inside(held, "unit"))
        readings.series("glucose", CGM, unit, person, limits=(40.0, 400.0)).add(moment[0], value)


def _stage(record: dict[str, Any], person: str, readings: Readings) -> None:
    stage = word(record["sleep_stage_state"])
    if stage in STAGES:
        _span(record, stage, person, readings)
    else:
        readings.notes.drop("sleep of a stage that the watch calls unknown")


def _span(record: dict[str, Any], stage: str, person: str, readings: Readings) -> None:
    span = _interval(record)
    if span is None:
        _lost(readings)
    else:
        readings.series("sleep", SOURCE, "stage", person).add(span[0], STAGES.index(stage), span[1] - span[0])


def _activity(record: dict[str, Any], person: str, readings: Readings) -> None:
    if record.get("activity_name") == "kcal_burned":
        moment = _moment(record)
        value = finite(inside(record, "calories_value" if record.get("calories_value") else "duration", "value"))
        if moment is None:
            _lost(readings)
        elif not value >= 0:
            readings.notes.drop("active energy that is no number")
        else:
            readings.count_up("active_energy", SOURCE, "kcal", person, "", moment[0], value)
        return
    readings.notes.drop("ai-readi: a code of movement that calls itself steps, not used as such")
    span = _interval(record)
    if span is not None and record.get("activity_name") == "sedentary" and 0 < span[1] - span[0] <= 90_000:
        length = span[1] - span[0]
        readings.series("sedentary_time", SOURCE, "s", person).add(span[0], length, length)
