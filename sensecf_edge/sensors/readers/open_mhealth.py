"""Open mHealth and IEEE 1752.1: data points, each with a header that names its schema, and a body.

Read are blood-glucose, heart-rate, resting heart rate, step-count, sleep-duration, total-sleep-time, sleep-episode and
sleep-stage. Units are those of the data point. Calories burned are not used: the schema does not say whether rest is among them.
"""

from __future__ import annotations

import math
from typing import Any

from ..clocks import parse
from ..exports import Export, finite, inside, word
from ..quantities import fits
from ..readings import ASLEEP, AWAKE, DEEP, LIGHT, REM, STAGES, Readings

NAME, LOOKS_FOR = "open-mhealth", "Open mHealth or IEEE 1752.1: JSON objects with header.schema_id and body"
_VALUES = {"blood-glucose": ("glucose", "blood_glucose"), "heart-rate": ("heart_rate", "heart_rate"), "step-count": ("steps", "step_count")}
_SLEEP = {"sleep-duration": "sleep_duration", "total-sleep-time": "total_sleep_time", "sleep-episode": "total_sleep_time"}
_STAGES = {LIGHT: "light_sleep_duration", DEEP: "deep_sleep_duration", REM: "rem_sleep_duration"}
_SPANS = {"d": 86_400, "day": 86_400, "h": 3600, "hr": 3600, "min": 60, "s": 1, "sec": 1, "ms": 0.001}


Span = tuple[int, int, bool]


def recognises(export: Export) -> bool:
    """Whether it is such a file."""
    begin = export.head.lstrip()
    return begin[:1] in ("[", "{") and '"schema_id"' in begin and '"body"' in begin and "AIREADI-" not in begin


def read(export: Export, readings: Readings) -> None:
    """Puts the data points that count into `readings`. Raises TableError."""
    for point in export.objects(readings.notes):
        header, body = point.get("header"), point.get("body")
        if not isinstance(header, dict) or not isinstance(body, dict):
            readings.notes.drop("data points without header or body")
            continue
        name = word(inside(header, "schema_id", "name")).replace("_", "-").lower()
        person = export.asked.person or word(header.get("user_id"))
        source = word(inside(header, "acquisition_provenance", "source_name")) or NAME
        span = _span(body)
        if span is None:
            readings.notes.drop("data points without a time that can be read")
        elif name in _VALUES:
            _value(name, body, span, readings, (person, source), export)
        elif name in _SLEEP:
            _slept(_SLEEP[name], body, span, readings, (person, source))
        elif name == "sleep-stage" and word(body.get("sleep_stage_state")) in STAGES:
            stage = STAGES.index(word(body["sleep_stage_state"]))
            readings.series("sleep", source, "stage", person, span[2]).add(span[0], stage, span[1])
        else:
            readings.notes.drop(f"open-mhealth: {name[:80] or 'a data point without a schema'}, of which no measure is made")


def _span(body: dict[str, Any]) -> Span | None:
    """Begin, length and whether it is a clock on the wall's."""
    frame = body.get("effective_time_frame")
    if inside(frame, "date_time"):
        moment = parse(word(inside(frame, "date_time")))
        return (moment[0], 0, moment[1]) if moment else None
    held = inside(frame, "time_interval")
    begin, end = (parse(word(inside(held, f"{which}_date_time"))) for which in ("start", "end"))
    lasts = _seconds(inside(held, "duration"))
    if begin and (end or lasts):
        return begin[0], end[0] - begin[0] if end else lasts or 0, begin[1]
    return (end[0] - lasts, lasts, end[1]) if end and lasts else None


def _seconds(given: object) -> int | None:
    by = _SPANS.get(word(inside(given, "unit")))
    value = finite(inside(given, "value"))
    return None if by is None or math.isnan(value) else round(value * by)


def _value(name: str, body: dict[str, Any], span: Span, readings: Readings, of: tuple[str, str], export: Export) -> None:
    kind, key = _VALUES[name]
    person, source = of
    held = body.get(key)
    value, stated = (held.get("value"), word(held.get("unit"))) if isinstance(held, dict) else (held, "")
    unit = export.asked.unit(kind, stated) or ("steps" if kind == "steps" else "")
    value = finite(value) if isinstance(value, int | float) else math.nan
    if math.isnan(value) or not fits(kind, unit):
        readings.notes.drop(f"{kind.replace('_', ' ')} without a number or a unit that can be read")
        return
    if kind == "heart_rate" and body.get("temporal_relationship_to_physical_activity") == "at rest":
        readings.notes.tell("open-mhealth: pulses at rest, used as pulses")
    readings.series(kind, source, unit, person, span[2]).add(span[0], value, span[1] if kind == "steps" else 0)


def _slept(key: str, body: dict[str, Any], span: Span, readings: Readings, of: tuple[str, str]) -> None:
    """The time asleep, by stages where their sums are stated and make it up, and the rest of the episode awake: laid one behind the
    other, for only sums are made of them."""
    person, source = of
    asleep = _seconds(body.get(key))
    if asleep is None or not 0 < asleep <= span[1]:
        readings.notes.drop("sleep without a duration that can be read, or longer than its episode")
        return
    series, at = readings.series("sleep", source, "stage", person, span[2]), span[0]
    staged = [(stage, _seconds(body.get(name)) or 0) for stage, name in _STAGES.items()]
    if sum(lasts for _, lasts in staged) != asleep:
        staged = [(ASLEEP, asleep)]
    for stage, lasts in [*staged, (AWAKE, span[1] - asleep)]:
        if lasts > 0:
            series.add(at, stage, lasts)
            at += lasts
