"""Why nothing of a record may change: the true cause for each feature, and all of them in one sentence."""

from __future__ import annotations

import math

import numpy as np

from ..errors import NothingToChangeError
from ..schema.feature import Feature, Vector, number_text
from ..schema.record import Record
from .constraints import EPSILON, Constraints, concerns, unmet_conditions

ENDLESS = (-math.inf, math.inf)
FROZEN = "frozen"
UNKNOWN = "unknown"
WELL = "where nothing else is advised"
OTHERS = "not advised to people of this"
SIDE = "at the end of the allowed side"
MOVES = "allowed no move from the present choice"
STEP = "left no value by how far it may change"
FAR = "further from where advice begins than it may change"
PAST = "where advice ends already"
BOUND = "left no value by the bound"


def causes(record: Record, constraints: Constraints) -> dict[str, str]:
    """Feature -> why it has no value to move to, one of the causes above; of those that the schema lets change, in its order."""
    out = {}
    for feature, code in zip(record.schema.features, record.vector, strict=True):
        if feature.mutable and feature.name not in record.schema.completed:
            out[feature.name] = _cause(record, feature, float(code), constraints)
    return out


def _cause(record: Record, feature: Feature, code: float, constraints: Constraints) -> str:
    if feature.name in constraints.freeze:
        return FROZEN
    if math.isnan(code):
        return UNKNOWN
    others = unmet_conditions(record, feature)
    if others:
        return f"{OTHERS} {' and '.join(others)}"
    if not concerns(record, feature, code):
        return WELL
    values = feature.lattice[np.abs(feature.lattice - code) > EPSILON]
    if feature.direction != "either":
        values = values[values > code] if feature.direction == "increase" else values[values < code]
    if not values.size:
        return SIDE
    allowed = feature.moves_from(code)
    if allowed is not None:
        values = values[[feature.text(value) in allowed for value in values]]
        if not values.size:
            return MOVES
    near = values[np.abs(values - code) <= feature.farthest(code) + EPSILON]
    if not near.size:
        return STEP
    if not _advised(feature, near).size:
        return FAR if _advised(feature, values).size else PAST
    return BOUND


def _advised(feature: Feature, values: Vector) -> Vector:
    """The values within what training people had and what may be advised."""
    for low, high in (feature.reference or ENDLESS, feature.advise or ENDLESS):
        values = values[(values >= low - EPSILON) & (values <= high + EPSILON)]
    return values


def nothing_to_change(record: Record, constraints: Constraints) -> NothingToChangeError:
    """The error that says it, features of one cause together."""
    found, schema = causes(record, constraints), record.schema
    parts = []
    for cause in dict.fromkeys(found.values()):
        names = [name for name, other in found.items() if other == cause]
        if cause == BOUND:
            ends = {n: " to ".join(map(number_text, constraints.bounds[n])) for n in names}
            stated = ", ".join(f"{schema[n].title} {ends[n]}" for n in names)
            parts.append(f"the bounds {stated} leave no value to move to")
        else:
            parts.append(f"{', '.join(schema[n].title for n in names)} {'is' if len(names) == 1 else 'are'} {cause}")
    way = "; widen them" if BOUND in found.values() else ""
    way += f"{' or' if way else ';'} free another feature" if FROZEN in found.values() else ""
    return NothingToChangeError("nothing may change: " + "; ".join(parts) + way, found)
