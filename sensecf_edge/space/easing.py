"""The limits around one record's answers that could give, and a request in which some of them have given, by how much.

The request's own may give: features kept as they are, bounds, the number of changes. Of the schema's: how far a change may go, what is
advised, and to whom. Never: what may not change or is never advised, the way a change goes, the moves of a choice, relations, the
range that training people keep to, and what is unknown. An answer that broke one of those would be no way for anybody, or one of which
the model knows nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..schema.feature import Feature, Vector
from ..schema.record import Record
from . import rules
from .constraints import EPSILON, Constraints

FREEZE, BOUND, CHANGES = "freeze", "bound", "max_changes"
REACH, ADVISE, WHOM = "reach", "advise", "whom"
MARGIN = "margin"
REQUEST = (FREEZE, BOUND, CHANGES, MARGIN)
"""Kinds that are the request's own; the others are the schema's."""
LOW, HIGH = "low", "high"


@dataclass(frozen=True)
class Limit:
    """One limit of one record. `steps`: where it could be moved to, the least first; one step where it is either kept or not.

    stood  a bound or what is advised: the end on this `side`, in units; a reach: how far, in units, or places of a choice's list; the
           number of changes; NaN where it is either kept or not
    """

    kind: str
    feature: str
    side: str
    stood: float = field(compare=False)  # NaN is not equal to itself; the other three name a limit of one record
    steps: tuple[float, ...] = field(compare=False)

    def needed(self, record: Record, y: Vector) -> int:
        """The first step that lets this answer be, as far as this limit alone says; the last where none says so."""
        if len(self.steps) == 1:
            return 0
        if self.kind == CHANGES:
            value = float(len(rules.proposed(record.schema, record.vector, y)))
        else:
            i = record.schema.index[self.feature]
            value = float(abs(y[i] - record.vector[i]) if self.kind == REACH else y[i])
        enough = [k for k, step in enumerate(self.steps) if (step <= value + EPSILON if self.side == LOW else step >= value - EPSILON)]
        return enough[0] if enough else len(self.steps) - 1


Given = Mapping[Limit, int]
"""Limits that have given, each up to one of its steps."""


def limits(record: Record, constraints: Constraints) -> list[Limit]:
    """All that could give, the request's own first, in schema order."""
    schema, out = record.schema, list[Limit]()
    named = [(f, float(record.vector[i])) for i, f in enumerate(schema.features) if f.mutable and not math.isnan(record.vector[i])]
    out += [Limit(FREEZE, f.name, "", math.nan, (math.nan,)) for f, _ in named if f.name in constraints.freeze]
    for f, code in named:
        if f.name in constraints.bounds:
            out += _ends(BOUND, f, constraints.bounds[f.name], (code,))
    most = sum(f.name not in schema.completed for f, _ in named)
    if most > constraints.max_changes:
        out.append(Limit(CHANGES, "", "", constraints.max_changes, tuple(map(float, range(constraints.max_changes + 1, most + 1)))))
    for f, code in named:
        far = f.farthest(code)
        steps = np.unique(np.round(np.abs(f.lattice - code), 9))
        if math.isfinite(far) and (steps > far + EPSILON).any():
            out.append(Limit(REACH, f.name, "", far, tuple(map(float, steps[steps > far + EPSILON]))))
        out += _ends(ADVISE, f, f.advise, ()) if f.advise else []
        if f.advise_for or f.advise_if:
            out.append(Limit(WHOM, f.name, "", math.nan, (math.nan,)))
    return out


def _ends(kind: str, feature: Feature, ends: tuple[float, float], more: tuple[float, ...]) -> list[Limit]:
    """Both ends of a range, each with the lattice's values beyond it, nearest first."""
    if feature.kind != "number":
        return []
    values = np.unique([*feature.lattice, *more])
    below, above = values[values < ends[0] - EPSILON][::-1], values[values > ends[1] + EPSILON]
    found = [(LOW, ends[0], below), (HIGH, ends[1], above)]
    return [Limit(kind, feature.name, side, stood, tuple(map(float, steps))) for side, stood, steps in found if steps.size]


def eased(record: Record, constraints: Constraints, given: Given) -> tuple[Record, Constraints]:
    """The record and the request with these limits moved to these steps."""
    features = {f.name: f for f in record.schema.features}
    freeze, bounds, most = set(constraints.freeze), dict(constraints.bounds), constraints.max_changes
    for limit, step in given.items():
        name, value = limit.feature, limit.steps[step]
        if limit.kind == FREEZE:
            freeze.discard(name)
        elif limit.kind == CHANGES:
            most = int(value)
        elif limit.kind == BOUND:
            bounds[name] = _moved(bounds[name], limit.side, value)
        else:
            features[name] = _given(features[name], limit, value)
    changed = tuple(features[name] for name in record.schema.names)
    schema = record.schema if changed == record.schema.features else replace(record.schema, features=changed)
    return Record(schema, record.vector), replace(constraints, freeze=frozenset(freeze), bounds=bounds, max_changes=most)


def _given(feature: Feature, limit: Limit, value: float) -> Feature:
    if limit.kind == REACH:
        return _as(feature, max_change=value, relative_max_change=None)
    if limit.kind == ADVISE:
        assert feature.advise is not None
        return _as(feature, advise=_moved(feature.advise, limit.side, value))
    return _as(feature, advise_for=None, advise_if=(), advise_source=feature.advise_source if feature.advise else "")


def _moved(ends: tuple[float, float], side: str, value: float) -> tuple[float, float]:
    return (value, ends[1]) if side == LOW else (ends[0], value)


def _as(feature: Feature, **keys: Any) -> Feature:
    """The feature with other limits; its lattice stays, and is not computed again."""
    out = replace(feature, **keys)
    out.__dict__["lattice"] = feature.lattice
    return out


def free(record: Record) -> tuple[Record, Constraints]:
    """The record with everything that may change at all free over all that a record may hold, as many features as there are, and no
    request: what may not change, relations and what is unknown stay. Wider than what may give, for proofs alone."""
    none: dict[str, Any] = {"direction": "either", "max_change": None, "relative_max_change": None, "reference": None, "advise": None,
                            "advise_for": None, "advise_if": (), "advise_source": "", "moves": ()}  # fmt: skip
    features = tuple(_as(f, **none) if f.mutable else f for f in record.schema.features)
    return Record(replace(record.schema, features=features), record.vector), Constraints(max_changes=len(features))
