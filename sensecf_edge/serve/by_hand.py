"""A record moved by hand: what follows, what is predicted then, and which rules of advice that would break."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..answer.result import Change
from ..answer.risk import Risk
from ..errors import ConstraintError
from ..explain import Explainer
from ..report.phrases import class_text, percents
from ..report.wording import listed, plain, realism_text
from ..schema.feature import Vector, number_text
from ..schema.record import Record, decode
from ..schema.schema import Schema
from ..settings import LOOP
from ..space import reasons, rules
from ..space.admissible import admissible, reach
from ..space.constraints import EPSILON, Constraints
from ..space.contradictions import record_remarks
from .answers import PageQuestion, change_row
from .form import cell_text, record_of
from .texts import text


def moved_by_hand(explainer: Explainer, asked: PageQuestion) -> dict[str, Any]:
    """What the model would say of the record with `moved` in place of some values. Raises FieldsError, ConstraintError."""
    schema, record = explainer.schema, record_of(explainer.schema, asked.values)
    if not isinstance(asked.moved, dict):
        raise ConstraintError("a try by hand says which values it moves")
    wished = record_of(schema, {**asked.values, **asked.moved})
    moved = Record(schema, rules.complete(schema, record.vector, wished.vector[None])[0])
    verdict = explainer.case(moved, float(explainer.checker.p_target(moved.vector[None])[0]), LOOP.seed).verdict
    risk = Risk.of(explainer.scale, (verdict.p, verdict.low, verdict.high), explainer.target.threshold, explainer.goal)
    write = percents(risk.threshold, (risk.now, risk.low, risk.high, risk.goal))
    own = set(record_remarks(record))
    target, said = explainer.target, {"already": "try_wanted", "unwanted": "try_unwanted", "depends": "try_depends"}[verdict.status]
    classes = {"wanted": plain(class_text(target.wanted, target.column)), "unwanted": plain(class_text(target.unwanted, target.column))}
    return {
        "risk": {key: getattr(risk, key) for key in ("now", "low", "high", "threshold", "goal")},
        "texts": {key: write(getattr(risk, key)) for key in ("now", "low", "high", "threshold", "goal")},
        "predicted": text(said, **classes),
        "status": verdict.status,
        "values": {name: cell_text(held) for name, held in moved.to_mapping().items()},
        "changes": [_row(schema, record, moved, i) for i in record.differences(moved.vector)],
        "rules": [*_beyond(record, moved, wished, asked.constraints), *(plain(r) for r in record_remarks(moved) if r not in own)],
        "typical": _typical(explainer, record, moved),
    }  # fmt: skip


def _row(schema: Schema, record: Record, moved: Record, i: int) -> dict[str, Any]:
    feature, follows = schema.features[i], rules.following(schema, record.vector, moved.vector[None])[0]
    change = Change(feature.name, decode(feature, record.vector[i]), decode(feature, moved.vector[i]), feature.unit, bool(follows[i]))
    return change_row(change, feature)


def _beyond(record: Record, moved: Record, wished: Record, constraints: Constraints) -> list[str]:
    """What of this the model would never advise, feature by feature, and why."""
    schema, out = record.schema, []
    for i in record.differences(moved.vector):
        feature, code = schema.features[i], float(record.vector[i])
        title = plain(feature.title)
        if np.isnan(code):
            continue  # an unknown value that is tried is no advice
        if feature.name in schema.completed:
            low, high = reach(record, feature, code, constraints)
            if not low - EPSILON <= moved.vector[i] <= high + EPSILON:
                out.append(text("try_follows_far", title=title))
            continue
        if not feature.mutable:
            out.append(text("try_fixed", title=title))
            continue
        out += _off(record, i, float(moved.vector[i]), title, constraints)
    set_back = {*wished.differences(moved.vector)} & {*wished.differences(record.vector)}  # what is unknown in both is the same
    for name in schema.completed:
        if schema.index[name] in set_back:
            out.append(text("try_follows", title=plain(schema[name].title)))
    return out


def _off(record: Record, i: int, code: float, title: str, constraints: Constraints) -> list[str]:
    """Where advice on one feature may go, if not here."""
    feature = record.schema.features[i]
    try:
        values: Vector = admissible(record, constraints).values[i]
    except ConstraintError:
        values = np.empty(0)
    if not values.size:
        cause = reasons.causes(record, constraints).get(feature.name, reasons.SIDE)
        return [text("try_never", title=title, cause=cause)]
    if feature.kind == "choice":
        if not (np.abs(values - code) <= EPSILON).any():
            return [text("try_choices", title=title, choices=plain(listed([feature.text(v) for v in values], "or")))]
    elif not values[0] - EPSILON <= code <= values[-1] + EPSILON:
        ends = number_text(float(values[0])), number_text(float(values[-1]))
        return [text("try_beyond", title=title, low=ends[0], high=ends[1], unit=plain(feature.unit)).replace(" .", ".")]
    return []


def _typical(explainer: Explainer, record: Record, moved: Record) -> str:
    both = explainer.judge.percentile(np.array([record.vector, moved.vector]))
    wanted = plain(class_text(explainer.target.wanted, explainer.target.column))
    return "" if both is None else realism_text(float(both[1]), wanted, float(both[0]))
