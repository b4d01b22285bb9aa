"""schema draft --generator: what a language model takes the columns of a table for, each part a suggestion that a person has to check.

A model is told a column's name, its range or its choices, and no row. It answers within a grammar; whatever comes back is read strictly,
and what is no feature is dropped. Suggestions are marked in the draft, and a draft with a mark left in it is no schema yet.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from sensecf_edge.errors import RecordError, SchemaError
from sensecf_edge.generators.choice import Choice
from sensecf_edge.generators.opening import plain_engine
from sensecf_edge.propose.branching import Branching, Steps
from sensecf_edge.propose.engine import Closing, Engine, Proposal, Request, Unanswered
from sensecf_edge.schema.feature import DIRECTIONS, MAX_LATTICE, Feature, number_text
from sensecf_edge.schema.parsing import SUGGESTED
from sensecf_edge.schema.record import parse_object
from sensecf_edge.schema.schema import Schema

UNITS = (
    "", "years", "months", "days", "h", "min", "s", "per day", "per week", "per month", "per year", "min/day", "h per night",
    "kcal/day", "g/day", "kg", "g", "mg", "cm", "m", "mm", "km", "kg/m2", "%", "mm Hg", "bpm", "per min", "mg/dL", "g/dL", "mmol/L",
    "umol/L", "nmol/L", "ng/mL", "pg/mL", "U/L", "mIU/L", "mmol/mol", "10^9/L", "10^12/L", "fL", "pg", "ms", "mV", "°C", "mL", "L",
    "mL/min", "points", "EUR", "USD",
)  # fmt: skip
"""What a unit may be; another one is written by hand."""

LONGEST = 40
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
SIGNS = LETTERS + "0123456789 -/%.()"
FLAGS = ("false", "true")
SHOWN = (
    ("wt_kg", "number from 41 to 132", '{"label":"Weight","unit":"kg","mutable":true,"direction":"either","low":20,"high":500}'),
    ("AgeYrs", "number from 18 to 90", '{"label":"Age","unit":"years","mutable":false,"direction":"either","low":0,"high":120}'),
    ("fam_hist", "one of no, yes", '{"label":"Family history","mutable":false}'),
    ("ldl", "number from 40 to 240",
     '{"label":"LDL cholesterol","unit":"mg/dL","mutable":true,"direction":"decrease","low":10,"high":500}'),
)  # fmt: skip
"""Examples: a column's name, what it holds, and the answer."""


def suggested(schema: Schema, choice: Choice, say: Callable[[str], None]) -> dict[str, Any]:
    """The draft as JSON with what the model suggests in it; the changed keys of each feature stand under `suggested`.

    Raises ConstraintError for a generator that is none for this, EngineError where it does not open. Nothing else raises: a column
    without a usable answer stays as it was drafted, and that is said.
    """
    longest = max((_prompt(f) for f in schema.features), key=len)
    engine, name = plain_engine(choice, longest, _longest_answer(), say, "names, ranges and choices of columns")
    try:
        answers = _asked(engine, schema)
    finally:
        if isinstance(engine, Closing):
            engine.close()
    out = schema.to_json()
    for at, (feature, answer) in enumerate(zip(schema.features, answers, strict=True)):
        better, keys = _better(feature, answer, say)
        out["features"][at] = better.to_json() | ({SUGGESTED: {key: name for key in keys}} if keys else {})
        if keys:
            told = ", ".join(f"{key} {_told(getattr(better, key))}" for key in keys)
            say(f"suggested for {feature.name}: {told}; check it")
    return out


def _asked(engine: Engine, schema: Schema) -> list[Any]:
    requests = [Request(_prompt(f), language(f), 1, 0, 0.0) for f in schema.features]
    return list(engine.propose(requests))


def _told(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else number_text(value) if isinstance(value, int | float) else f"“{value}”"


def _better(feature: Feature, answer: list[Proposal] | Unanswered, say: Callable[[str], None]) -> tuple[Feature, list[str]]:
    """The feature with what can be used of an answer, and the keys that it changed."""
    if isinstance(answer, Unanswered) or not answer or not answer[0].complete:
        say(f"nothing suggested for {feature.name}: {answer.reason if isinstance(answer, Unanswered) else 'the answer had no end'}")
        return feature, []
    try:
        said = parse_object(answer[0].text, "the suggestion")
    except RecordError:
        say(f"nothing suggested for {feature.name}: the answer is no JSON object")
        return feature, []
    keys = list[str]()
    for changes in _usable(feature, said):
        try:
            better = replace(feature, **changes)
        except SchemaError:
            continue
        keys += [key for key, value in changes.items() if value != getattr(feature, key)]
        feature = better
    return feature, keys


def _usable(feature: Feature, said: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What is of the right kind in an answer, key by key; the ends of a range together."""
    label = said.get("label")
    if isinstance(label, str) and 0 < len(label.strip()) <= LONGEST and set(label) <= set(SIGNS):
        yield {"label": label.strip()}
    if feature.mutable and said.get("mutable") is False:  # never the other way round: what the draft holds to be fixed stays so
        yield {"mutable": False}
    if feature.kind != "number":
        return
    if said.get("unit") in UNITS:
        yield {"unit": said["unit"]}
    if said.get("direction") in DIRECTIONS and said.get("mutable") is not False and feature.mutable:
        yield {"direction": said["direction"]}
    low, high = said.get("low"), said.get("high")
    if low in _ends(feature)[0] and high in _ends(feature)[1]:
        yield {"low": float(low), "high": float(high)}


def language(feature: Feature) -> Branching:
    """The answers for one column: a label in plain signs, a unit of the list, and a range that holds the drafted one."""
    number = feature.kind == "number"

    def steps(state: Any) -> Steps:
        kind, count = state
        if kind == "begin":
            return [('{"label":"', ("label", 0))]
        if kind == "label":
            on = [(sign, ("label", count + 1)) for sign in (SIGNS if count else LETTERS)] if count < LONGEST else []
            end = [('","unit":"', ("unit", 0)) if number else ('","mutable":', ("choice", 0))] if count > 1 else []
            return [*on, *end]
        if kind == "choice":
            return [(f"{flag}}}", ("end", 0)) for flag in FLAGS]
        if kind == "unit":
            return [(f'{unit}","mutable":', ("mutable", 0)) for unit in UNITS]
        if kind == "mutable":
            return [(f'{flag},"direction":"', ("direction", 0)) for flag in FLAGS]
        if kind == "direction":
            return [(f'{way}","low":', ("low", 0)) for way in DIRECTIONS]
        if kind == "low":
            return [(f'{number_text(low)},"high":', ("high", 0)) for low in _ends(feature)[0]]
        return [(f"{number_text(high)}}}", ("end", 0)) for high in _ends(feature)[1]] if kind == "high" else []

    return Branching(("begin", 0), steps, _json_schema(feature))


def _json_schema(feature: Feature) -> dict[str, Any]:
    """The same for servers that read no grammar."""
    told: dict[str, Any] = {"label": {"type": "string", "maxLength": LONGEST}, "mutable": {"type": "boolean"}}
    if feature.kind == "number":
        lows, highs = _ends(feature)
        told |= {"unit": {"enum": list(UNITS)}, "direction": {"enum": list(DIRECTIONS)}, "low": {"enum": lows}, "high": {"enum": highs}}
    return {"type": "object", "properties": told, "required": list(told), "additionalProperties": False}


def _ends(feature: Feature) -> tuple[list[float], list[float]]:
    """Ends that a range may have: the drafted ones and round numbers beyond them, as far as its lattice allows."""
    assert feature.low is not None and feature.high is not None and feature.step is not None
    room = feature.step * MAX_LATTICE / 2
    low, high = feature.low, feature.high
    size = max(abs(low), abs(high), feature.step)
    powers = range(math.floor(math.log10(feature.step)), math.ceil(math.log10(size)) + 2)
    round_ones = [0.0, *(sign * m * 10.0**k for k in powers for m in (1, 2, 5) for sign in (1, -1))]
    on_steps = [v for v in round_ones if abs(v / feature.step - round(v / feature.step)) < 1e-9]
    below = {round(v, 9) for v in on_steps if low - room <= v < low and (v >= 0 or low < 0)}
    above = {round(v, 9) for v in on_steps if high < v <= high + room}
    return [low, *sorted(below, reverse=True)], [high, *sorted(above)]


def _prompt(feature: Feature) -> str:
    lines = [f"Column {name}: {holds}\n{answer}" for name, holds, answer in SHOWN]
    begin = (
        "A table of people has columns. Say for each what it means, in which unit, whether a person could change it, which way is "
        "healthier, and what it can be at all."
    )
    return "\n\n".join([begin, *lines, f"Column {feature.name}: {_holds(feature)}\n"])


def _holds(feature: Feature) -> str:
    if feature.kind == "number":
        return f"number from {number_text(feature.low or 0.0)} to {number_text(feature.high or 0.0)}"
    return f"one of {', '.join(feature.choices)}"


def _longest_answer() -> str:
    unit = max(UNITS, key=len)
    return (
        f'{{"label":"{"Aq" * (LONGEST // 2)}","unit":"{unit}","mutable":false,"direction":"increase","low":-123456.789,"high":-123456.789}}'
    )
