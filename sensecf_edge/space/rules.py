"""What an answer must keep: immutables, lattice, direction, reach, number of changes, relations between features.

Vectorised over candidates: a matrix Y of shape (candidates, features) beside the factual vector x, shape (features,).
Nothing here says whether the prediction changes; that is `classifier`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..schema.feature import Vector
from ..schema.relation import CHANGE, EQUALITY, INEQUALITY, Relation
from ..schema.schema import Schema
from . import measure
from .admissible import Admissible, outside_bounds, reach
from .constraints import EPSILON

Mask = NDArray[np.bool_]


def complete(schema: Schema, x: Vector, Y: Vector) -> Vector:
    """Y with every feature that follows computed from the others. Returns a new array of the same shape.

    What Y says of a completed feature does not count; what it says of the effect of a cause does, unless that is where
    the record stands. A record's own deviation from a relation is kept: the feature moves by as much as the relation
    moves, and not at all where a feature of the relation is unknown in x.
    """
    Y = np.array(Y, dtype=np.float64)
    for name, relations in schema.followers:
        i = schema.index[name]
        still = Y[:, i] == x[i] if name not in schema.completed else slice(None)
        Y[still, i] = _follows(schema, relations, i, x, Y[still])
    return Y


def without_followers(schema: Schema, x: Vector, Y: Vector) -> Vector:
    """Y as it was proposed: what only follows others stands where the record does. `complete` undoes it. A new array, same shape."""
    out = np.array(Y, dtype=np.float64)
    followed = following(schema, x, Y)
    out[followed] = np.broadcast_to(x, out.shape)[followed]
    return out


def proposed(schema: Schema, x: Vector, y: Vector) -> list[int]:
    """Positions of the features that an answer has to name to turn x into y, both of shape (features,): changed, and no follower."""
    return [int(i) for i in np.flatnonzero(measure.changed(x, without_followers(schema, x, y[None]))[0])]


def following(schema: Schema, x: Vector, Y: Vector) -> Mask:
    """Which features stand where the others put them and nobody proposed, shape (candidates, features)."""
    return _followed(schema, x, Y)[0]


def _followed(schema: Schema, x: Vector, Y: Vector) -> tuple[Mask, Vector]:
    """`following` and `complete` of the same candidates. Where nothing was put elsewhere so far, both read the same values."""
    follows: Mask = np.zeros(Y.shape, dtype=bool)
    out, as_given = np.array(Y, dtype=np.float64), True
    for name, relations in schema.followers:
        i = schema.index[name]
        put = _follows(schema, relations, i, x, Y)
        follows[:, i] = True if name in schema.completed else np.abs(Y[:, i] - put) <= EPSILON
        put = put if as_given else _follows(schema, relations, i, x, out)
        out[:, i] = put if name in schema.completed else np.where(Y[:, i] == x[i], put, Y[:, i])
        as_given = as_given and bool((out[:, i] == Y[:, i]).all())
    return follows, out


def _follows(schema: Schema, relations: tuple[Relation, ...], i: int, x: Vector, Y: Vector) -> Vector:
    """Where the others put feature i, shape (candidates,)."""
    first = relations[0]
    if first.kind == "causes":
        causes = [schema.index[r.features[0]] for r in relations]
        steps = Y[:, causes] - x[causes]
        steps[np.isnan(steps)] = 0.0  # an unknown cause moves nothing
        return _moved(x[i], steps @ np.array([r.slope for r in relations]))
    if any(math.isnan(x[schema.index[n]]) for n in first.features):
        return np.full(len(Y), x[i])
    line, present = expected(schema, first, Y), expected(schema, first, x[None, :])
    if first.kind == "band":
        width = max(first.tolerance, abs(float(x[i] - present[0])))
        return _moved(x[i], np.clip(x[i], line - width, line + width) - x[i])
    return _moved(x[i], line - present)


def _moved(present: float, shift: Vector) -> Vector:
    """Rounded where it moves, untouched to the last digit where it does not."""
    return np.asarray(np.where(np.abs(shift) > EPSILON, (present + shift).round(9), present))


def broken(space: Admissible, Y: Vector) -> dict[str, Mask]:
    """Which candidates break which rule: rule in words -> mask of shape (candidates,). Only rules broken by someone."""
    out: dict[str, Mask] = {}
    for rule, mask in _verdicts(space, Y):
        if mask.any():
            out[rule] = out[rule] | mask if rule in out else mask
    return out


def admitted(space: Admissible, Y: Vector) -> Mask:
    """True for candidates that break no rule, shape (candidates,)."""
    bad: Mask = np.zeros(len(Y), dtype=bool)
    for _, mask in _verdicts(space, Y):
        bad |= mask
    return ~bad


def computed(schema: Schema, x: Vector) -> dict[str, float]:
    """What a record does not hold and yet says exactly, by name: the one open feature of a sum or a ratio."""
    whole, out = np.array(x, dtype=np.float64), dict[str, float]()
    for relation in (*schema.following, *(r for r in schema.relations if r.exact and not r.completes)):
        gaps = [name for name in relation.features if np.isnan(whole[schema.index[name]])]
        if len(gaps) == 1:
            lattice, i = schema[gaps[0]].lattice, schema.index[gaps[0]]
            whole[i] = out[gaps[0]] = float(np.clip(left(schema, relation, gaps[0], whole[None])[0], lattice[0], lattice[-1]))
    return out


def _verdicts(space: Admissible, Y: Vector) -> Iterator[tuple[str, Mask]]:
    """Every rule with the candidates that break it."""
    schema, x = space.record.schema, space.record.vector
    changed: Mask = measure.changed(x, Y)
    count = measure.count_marked(changed)
    yield "nothing changes", count == 0
    proposed: Mask = changed
    if schema.moved:
        follows, completed = _followed(schema, x, Y)
        proposed = changed & ~(follows & (completed != x))  # what nothing moves has not followed, however little it changed
        for name in schema.moved:
            i = schema.index[name]
            away = np.abs(Y[:, i] - completed[:, i]) > EPSILON
            yield f"{name} does not follow the others", away | (np.isnan(Y[:, i]) != np.isnan(completed[:, i]))
            yield f"{name} leaves its range", changed[:, i] & follows[:, i] & ~_inside(space, i, x[i], Y[:, i])
        yield from _unknown_followers(space, Y, changed)
    marked = np.flatnonzero(proposed)
    row, column = np.divmod(marked, len(schema))
    off = ~space.holds(column, Y.take(marked))
    row, column = row[off], column[off]
    for i in sorted(set(column.tolist())):
        mask: Mask = np.zeros(len(Y), dtype=bool)
        mask[row[column == i]] = True
        yield f"{schema.names[i]} {'is off its admissible values' if space.values[i].size else 'may not change'}", mask
    yield f"more than {space.max_changes} changes", (measure.count_marked(proposed) if schema.moved else count) > space.max_changes
    for i in outside_bounds(space.record, space.constraints):
        low, high = space.constraints.bounds[schema.names[i]]
        yield f"{schema.names[i]} stays outside its bound", (Y[:, i] < low - EPSILON) | (Y[:, i] > high + EPSILON)
    for relation in schema.relations:
        yield _broken_relation(relation), _breaks(schema, relation, x, Y, changed)


@lru_cache(maxsize=1024)
def _broken_relation(relation: Relation) -> str:
    return f"breaks {relation.sentence()}"


def _unknown_followers(space: Admissible, Y: Vector, changed: Mask) -> Iterator[tuple[str, Mask]]:
    """A sum or a ratio completes a feature, and a value is unknown. What it completes is bound all the same where it can be
    worked out; where it cannot, nothing that moves it may change: nobody would know how far it went, nor whether it was advised."""
    schema, x = space.record.schema, space.record.vector
    for relation in schema.following:
        at = [schema.index[name] for name in relation.features]
        unknown, own = [i for i in at if np.isnan(x[i])], schema.index[relation.completes or ""]
        if not unknown:
            continue
        if unknown == [own]:
            present = float(expected(schema, relation, x[None])[0])
            away = ~_inside(space, own, present, expected(schema, relation, Y))
            yield f"{relation.completes} leaves its range", np.asarray(away & changed[:, at].any(axis=1))
        else:
            yield f"{relation.completes} cannot be worked out", np.asarray(changed[:, [i for i in at if i != own]].any(axis=1))


def _inside(space: Admissible, i: int, present: float, codes: Vector) -> Mask:
    """For a feature that follows: whether it stands inside `_range`."""
    low, high = _range(space, i, present)
    inside: Mask = (codes >= low - EPSILON) & (codes <= high + EPSILON)
    return inside


def _range(space: Admissible, i: int, present: float) -> tuple[float, float]:
    """Where a feature that follows may move to: within reach, and in the reference range and what is advised or no further
    outside them than the record is."""
    feature = space.record.schema.features[i]
    assert feature.low is not None and feature.high is not None
    low, high = feature.reference or (feature.low, feature.high)
    if feature.advise:
        low, high = max(low, feature.advise[0]), min(high, feature.advise[1])
    near, far = reach(space.record, feature, present, space.constraints)
    return max(near, min(low, present)), min(far, max(high, present))


def limits(space: Admissible, i: int, present: float) -> tuple[float, float]:
    """Least and greatest value of a feature that follows in any answer: where it may move to, or its present one. Without end
    where that is unknown."""
    if math.isnan(present):
        return -math.inf, math.inf
    low, high = _range(space, i, present)
    return min(low, present), max(high, present)


def expected(schema: Schema, relation: Relation, Y: Vector) -> Vector:
    """What the relation says the completed (or first) feature should be, shape (candidates,)."""
    name = relation.completes or relation.features[0]
    others = [schema.index[n] for n in relation.features if n != name]
    if relation.kind == "band":
        line: Vector = relation.slope * Y[:, others[0]] + relation.intercept
        return line
    return left(schema, relation, name, Y)


def left(schema: Schema, relation: Relation, name: str, Y: Vector) -> Vector:
    """What a sum or a ratio leaves for the feature `name` beside the values of its others, shape (candidates,)."""
    if relation.kind == "sum":
        others = [schema.index[n] for n in relation.features if n != name]
        total: Vector = (relation.total or 0.0) - Y[:, others].sum(axis=1)
        return total
    if relation.kind != "ratio":
        raise NotImplementedError(f"what {relation.kind} leaves for a feature")
    first, above, below = (Y[:, schema.index[n]] for n in relation.features)
    with np.errstate(divide="ignore", invalid="ignore"):
        if name == relation.features[0]:
            return np.asarray(relation.scale * above / below**relation.power)
        if name == relation.features[1]:
            return np.asarray(first * below**relation.power / relation.scale)
        return np.asarray((relation.scale * above / first) ** (1 / relation.power))


def deviation(schema: Schema, relation: Relation, Y: Vector) -> Vector:
    """How far each candidate is from what a sum, a ratio or a band says, shape (candidates,). NotImplementedError for no equality."""
    if relation.holds != EQUALITY:
        raise NotImplementedError(f"how far a record is from what {relation.kind} says")
    name = relation.completes or relation.features[0]
    off: Vector = np.abs(Y[:, schema.index[name]] - expected(schema, relation, Y))
    return np.where(np.isnan(off), np.inf, off)


def _breaks(schema: Schema, relation: Relation, x: Vector, Y: Vector, changed: Mask) -> Mask:
    at = [schema.index[n] for n in relation.features]
    if relation.holds == CHANGE or any(math.isnan(x[i]) for i in at):
        return np.zeros(len(Y), dtype=bool)
    breaks: Mask = np.logical_or.reduce([changed[:, i] for i in at])  # only what moves one of them can break it
    rows = breaks.nonzero()[0]
    if not rows.size:
        return breaks
    (first, second), moved = at[:2], Y[rows]
    if relation.holds == INEQUALITY:
        breaks[rows] = moved[:, first] > relation.most(moved[:, second]) + max(0.0, x[first] - relation.most(x[second])) + EPSILON
    elif relation.kind == "implies":
        breaks[rows] = violates_implication(schema, relation, moved)
    else:
        own = deviation(schema, relation, x[None, :])[0]
        breaks[rows] = deviation(schema, relation, moved) > max(relation.tolerance, own) + 1e-6
    return breaks


def violates_implication(schema: Schema, relation: Relation, Y: Vector) -> Mask:
    """Which candidates an implication forbids, shape (candidates,)."""
    inside, then = _codes(schema, relation)
    first, second = (schema.index[name] for name in relation.features)
    out: Mask = _among(Y[:, first], inside)
    return out & ~_among(Y[:, second], then) if out.any() else out


def _among(column: Vector, codes: tuple[float, ...]) -> Mask:
    """Where a column holds one of few codes; in a part of the time of numpy's own way."""
    return np.asarray(np.logical_or.reduce([column == code for code in codes]))


@lru_cache(maxsize=256)
def _codes(schema: Schema, relation: Relation) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Codes of an implication's two lists of values."""
    pairs = zip(relation.features, (relation.if_values, relation.then_values), strict=True)
    first, second = (tuple(float(schema[n].lattice[schema[n].texts.index(v)]) for v in values) for n, values in pairs)
    return first, second
