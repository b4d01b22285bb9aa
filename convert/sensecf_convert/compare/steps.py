"""An answer as a package gave it -> the records on the schema's steps that it may be taken for, the first the one it was shown as.

A number between two steps goes to the next one away from the record's own value, because the nearest would often undo what was just
enough: so the classifier showed it. Where that breaks a relation or falls short of the goal, the step before may be right; the ruler
looks at both sides of every number before an answer counts as lost (`scoring`).
"""

from __future__ import annotations

from itertools import chain, combinations, islice

import numpy as np

from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.schema import Schema
from sensecf_edge.space import rules

from .programs.limits import SAME, Limits
from .question import Questions

MOST = 1_024
"""Ways to put one answer on its steps that are looked at; ten numbers between two steps have so many."""


def as_given(asked: Questions, k: int, y: list[float | None]) -> Vector:
    """A method's answer for record k as it came, with what was unknown and stays untouched unknown again, shape (features,)."""
    given = np.array([np.nan if v is None else v for v in y])
    untouched = np.isnan(given) | (np.abs(given - asked.filled[k]) <= SAME)
    out: Vector = np.where(untouched, asked.rows[k], given)
    return out


def brought(asked: Questions, k: int, given: Vector) -> Vector:
    """An answer inside record k's limits, with its followers, shape (ways, features): as the classifier showed it, then with few and
    with more numbers on the step before."""
    limits, x = Limits(asked.schema, asked.rows[k]), asked.rows[k]
    said = rules.without_followers(asked.schema, x, given[None])[0]
    values = {i: limits.space.values[i] for i in limits.space.features} if limits.space else {}
    return np.asarray(limits.brought(_either_side(asked.schema, x, said, values)))


def rounded(schema: Schema, x: Vector, given: Vector) -> Vector:
    """The same, shape (ways, features), where only the immutables were asked for: changed numbers on steps, choices on a place, followers
    as they came."""
    at = rules.proposed(schema, x, given)
    Y = _either_side(schema, x, given, {i: schema.features[i].lattice for i in at})
    for y in Y:
        for i in at:
            feature, lattice = schema.features[i], schema.features[i].lattice
            if feature.kind == "choice" or np.isnan(x[i]):
                y[i] = lattice[feature.nearest(float(y[i]))]
            elif abs(y[i] - x[i]) > SAME:
                beyond = lattice[lattice >= y[i] - SAME][:1] if y[i] > x[i] else lattice[lattice <= y[i] + SAME][-1:]
                y[i] = beyond[0] if beyond.size else lattice[feature.nearest(float(y[i]))]
            if abs(y[i] - x[i]) <= SAME:
                y[i] = x[i]
    return Y


def _either_side(schema: Schema, x: Vector, y: Vector, values: dict[int, Vector]) -> Vector:
    """y, then y with sets of those numbers that lie between two of their values moved back to the one before, or to x; small sets
    first. `values`: feature -> the codes it may take. Shape (ways, features)."""
    before = {}
    for i, codes in values.items():
        if schema.features[i].kind == "number" and not np.isnan(x[i]) and abs(y[i] - x[i]) > SAME:
            side = np.sign(y[i] - x[i])
            passed = codes[(side * (codes - x[i]) > SAME) & (side * (codes - y[i]) <= SAME)]
            before[i] = x[i] if not passed.size else passed[-1] if side > 0 else passed[0]
    between = [i for i, code in before.items() if abs(code - y[i]) > SAME]
    sets = chain.from_iterable(combinations(between, n) for n in range(len(between) + 1))
    few = list(islice(sets, MOST))
    out = np.repeat(y[None], len(few), axis=0)
    for row, some in zip(out, few, strict=True):
        row[list(some)] = [before[i] for i in some]
    return out
