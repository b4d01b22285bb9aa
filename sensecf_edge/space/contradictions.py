"""What a record says against itself, by the schema's relations, and whether it is like anybody: remarks for people.

They name the person's own values, so they belong beside the answer and into no log.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from ..schema.feature import number_text
from ..schema.record import Record
from ..schema.relation import CHANGE, INEQUALITY, Relation
from . import rules
from .constraints import EPSILON

UNLIKE = 1.0
"""Percentile under which a record is remarked upon."""


def record_remarks(record: Record, bounds: Mapping[str, tuple[float, float]] | None = None) -> list[str]:
    """Remarks for people: values that are read as an end of their feature, values that are possible but outside the range the training
    people had, `bounds` of a request on what is unknown, and relations that the record breaks. Some name its values, so no log may
    hold them."""
    out = []
    for name, given in record.stated.items():
        feature, end = record.schema[name], float(record.vector[record.schema.index[name]])
        read = f"{feature.title} {number_text(given)} is read as {number_text(end)}{feature.beyond(end)}"
        out.append(f"{read}, because the data that the model was made of tell no further values apart")
    for feature, code in zip(record.schema.features, record.vector, strict=True):
        if feature.reference and not math.isnan(code) and not feature.reference[0] <= code <= feature.reference[1]:
            low, high = (number_text(v) for v in feature.reference)
            out.append(f"{feature.title} is outside the range seen in training ({low} to {high} {feature.unit}".rstrip() + ")")
    for name, ends in (bounds or {}).items():
        if math.isnan(record.vector[record.schema.index[name]]):
            low, high = (number_text(v) for v in ends)
            out.append(f"{record.schema[name].title} is unknown, so no answer has to bring it into the range asked for, {low} to {high}")
    return out + contradictions(record)


def contradictions(record: Record) -> list[str]:
    """A remark for every relation that the record breaks by more than its tolerance and the rounding of its values."""
    return [f"{remark}; check the record" for relation in record.schema.relations for remark in _broken(record, relation)]


def unlike_anybody(percentile: float | None, likeness: float | None = None) -> str | None:
    """A remark on a record that hardly anybody is as unusual as: among all people (`likeness`, 0..100) where that is known, else among
    people of the wanted class (`percentile`). None where there is nothing to remark."""
    share, whom = (percentile, "people of the wanted class") if likeness is None else (likeness, "anybody this model has learnt from")
    if share is None or not share < UNLIKE:
        return None
    return f"This record is unlike {whom}: fewer than 1 of 100 of them are as unusual; look whether it is right"


def _broken(record: Record, relation: Relation) -> Iterator[str]:
    schema, x = record.schema, record.vector
    at = [schema.index[name] for name in relation.features]
    if relation.holds == CHANGE or np.isnan(x[at]).any():
        return
    if relation.holds == INEQUALITY:
        steps = [schema.features[i].step or 0.0 for i in at]
        most = float(relation.most(x[at[1]]))
        if x[at[0]] > most + (0.0 if steps[0] == steps[1] else max(steps) / 2) + EPSILON:
            first, second = _values_in_words(record, at)
            plain = most == x[at[1]]
            yield f"{first} is over {second}" if plain else f"{first} is over {number_text(round(most, 2))}, the most beside {second}"
    elif relation.kind == "implies":
        if rules.violates_implication(schema, relation, x[None])[0]:
            first, second = _values_in_words(record, at)
            yield f"{first} goes only with {schema.features[at[1]].title} {' or '.join(relation.then_values)}, not with {second}"
    elif _beyond(record, relation):
        unit, said = schema.features[at[0]].unit, _values_in_words(record, at)
        if relation.kind == "sum":
            whole = number_text(round(float(x[at].sum()), 2))
            yield f"{' '.join(filter(None, [', '.join(said), unit]))} add up to {whole}, not {number_text(relation.total or 0.0)}"
            return
        target = relation.completes or relation.features[0]
        own = schema.index[target]
        fits = number_text(round(float(rules.expected(schema, relation, x[None])[0]), 1))
        others = " and ".join(text for i, text in zip(at, said, strict=True) if i != own)
        yield f"{said[at.index(own)]} does not fit {others}, which go with about {fits}"


def _beyond(record: Record, relation: Relation) -> bool:
    """Whether a sum, a ratio or a band is missed by more than tolerance and rounding explain."""
    off = float(rules.deviation(record.schema, relation, record.vector[None])[0])
    return off > relation.tolerance + EPSILON and off > relation.tolerance + _rounding(record, relation) + EPSILON


def _values_in_words(record: Record, at: list[int]) -> list[str]:
    """Titles and values of some features."""
    features = record.schema.features
    return [f"{features[i].title} {features[i].text(record.vector[i])}" for i in at]


def _rounding(record: Record, relation: Relation) -> float:
    """How far the deviation may be off because each value was rounded to its step."""
    schema, x, total = record.schema, record.vector, 0.0
    for name in relation.features:
        i, half = schema.index[name], (schema[name].step or 0.0) / 2
        moved = np.array([x, x])
        moved[:, i] += (-half, half)
        gaps = moved[:, schema.index[relation.completes or relation.features[0]]] - rules.expected(schema, relation, moved)
        total += float(abs(gaps[1] - gaps[0])) / 2
    return total
