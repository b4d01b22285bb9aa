"""What an answer must keep: immutables, lattice, direction, reach, number of changes, relations between features.

Vectorised over candidates: a matrix Y of shape (candidates, features) beside the factual vector x, shape (features,).
Nothing here says whether the prediction changes; that is `check`.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .admissible import EPSILON, Admissible, reach
from .schema import Relation, Schema, Vector

Mask = NDArray[np.bool_]


def complete(schema: Schema, x: Vector, Y: Vector) -> Vector:
    """Y with every completed feature computed from the others, whatever Y says of it. Returns a new array.

    A record's own deviation from the relation is kept: the completed feature moves by as much as the relation moves, and
    not at all where a feature of the relation is unknown in x.
    """
    Y = np.array(Y, dtype=np.float64)
    for relation in schema.following:
        out = schema.index[str(relation.completes)]
        Y[:, out] = x[out]
        if np.isnan(x[[schema.index[n] for n in relation.features]]).any():
            continue
        shift = expected(schema, relation, Y) - expected(schema, relation, x[None, :])
        moved = np.abs(shift) > EPSILON
        Y[moved, out] = np.round(x[out] + shift[moved], 9)
    return Y


def broken(space: Admissible, Y: Vector) -> dict[str, Mask]:
    """Which candidates break which rule: rule in words -> mask of shape (candidates,). Only rules broken by someone."""
    schema, x = space.record.schema, space.record.vector
    out: dict[str, Mask] = {}

    def note(rule: str, mask: Mask) -> None:
        if mask.any():
            out[rule] = out[rule] | mask if rule in out else mask

    changed = ~((x == Y) | (np.isnan(Y) & np.isnan(x)))
    note("nothing changes", ~changed.any(axis=1))
    counted, followed = changed.copy(), complete(schema, x, Y) if schema.completed else Y
    for i, feature in enumerate(schema.features):
        if feature.name in schema.completed:
            counted[:, i] = False
            follows = np.isclose(Y[:, i], followed[:, i], rtol=0, atol=EPSILON, equal_nan=True)
            note(f"{feature.name} does not follow the others", ~follows)
            note(f"{feature.name} leaves its range", changed[:, i] & ~_inside(space, i, Y[:, i]))
        elif not space.values[i].size:
            note(f"{feature.name} may not change", changed[:, i])
        else:
            note(f"{feature.name} is off its admissible values", changed[:, i] & ~_member(space.values[i], Y[:, i]))
    note(f"more than {space.max_changes} changes", counted.sum(axis=1) > space.max_changes)
    for relation in schema.relations:
        note(f"breaks {relation.words()}", _breaks(schema, relation, x, Y))
    return out


def admitted(space: Admissible, Y: Vector) -> Mask:
    """True for candidates that break no rule, shape (candidates,)."""
    bad = np.zeros(len(Y), dtype=bool)
    for mask in broken(space, Y).values():
        bad |= mask
    return ~bad


def _inside(space: Admissible, i: int, codes: Vector) -> Mask:
    """For a feature that follows: within reach, and in the reference range or no further outside it than the record is."""
    feature, present = space.record.schema.features[i], space.record.vector[i]
    low, high = feature.reference or (feature.low, feature.high)
    assert low is not None and high is not None
    near, far = reach(feature, present, space.constraints)
    inside: Mask = (codes >= max(near, min(low, present)) - EPSILON) & (codes <= min(far, max(high, present)) + EPSILON)
    return inside


def _member(values: Vector, codes: Vector) -> Mask:
    at = np.minimum(np.searchsorted(values, codes - EPSILON), len(values) - 1)
    near: Mask = np.abs(values[at] - codes) <= EPSILON
    return near


def expected(schema: Schema, relation: Relation, Y: Vector) -> Vector:
    """What the relation says the completed (or first) feature should be, shape (candidates,)."""
    name = relation.completes or relation.features[0]
    others = [schema.index[n] for n in relation.features if n != name]
    if relation.kind == "sum":
        total: Vector = relation.total - Y[:, others].sum(axis=1)
        return total
    above, below = Y[:, others[0]], Y[:, others[1]]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Vector = relation.scale * above / below**relation.power
    return ratio


def _deviation(schema: Schema, relation: Relation, Y: Vector) -> Vector:
    name = relation.completes or relation.features[0]
    off: Vector = np.abs(Y[:, schema.index[name]] - expected(schema, relation, Y))
    return np.where(np.isnan(off), np.inf, off)


def _breaks(schema: Schema, relation: Relation, x: Vector, Y: Vector) -> Mask:
    at = [schema.index[n] for n in relation.features]
    breaks: Mask = np.zeros(len(Y), dtype=bool)
    if np.isnan(x[at]).any():
        return breaks
    moved: Mask = (Y[:, at] != x[at]).any(axis=1)
    if relation.kind in ("sum", "ratio"):
        own = _deviation(schema, relation, x[None, :])[0]
        allowed = max(relation.tolerance, own) + 1e-6
        breaks = moved & (_deviation(schema, relation, Y) > allowed)
        return breaks
    first, second = at
    if relation.kind == "le":
        gap = max(0.0, x[first] - x[second])
        breaks = moved & (Y[:, first] > Y[:, second] + gap + EPSILON)
        return breaks
    inside, then = _codes(schema, relation)
    breaks = moved & np.isin(Y[:, first], inside) & ~np.isin(Y[:, second], then)
    return breaks


@lru_cache(maxsize=256)
def _codes(schema: Schema, relation: Relation) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Codes of an implication's two lists of values."""
    pairs = zip(relation.features, (relation.if_values, relation.then_values), strict=True)
    first, second = (tuple(float(schema[n].lattice[schema[n].texts.index(v)]) for v in values) for n, values in pairs)
    return first, second
