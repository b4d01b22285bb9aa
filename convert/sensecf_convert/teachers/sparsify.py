"""From a real row to an answer: onto the values that the factual may take, then change after change taken back."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from sensecf_edge.judge.objective import Judge, score
from sensecf_edge.schema.feature import Vector
from sensecf_edge.space import measure, rules
from sensecf_edge.space.admissible import Admissible
from sensecf_edge.space.rules import Mask


def towards(judge: Judge, space: Admissible, rows: Vector, goals: tuple[float, ...], floor: float = 0.0) -> Vector | None:
    """The cheapest answer that leads from the factual towards one of `rows`, shape (features,); None where none reaches a goal.

    Every row is moved onto admissible values and sparsified; the first goal that some result reaches within the number of
    changes decides. Its changed features hold (nearest admissible) values of one real row, all others are the factual's.
    """
    starts = _starts(space, rows)
    starts = starts[holds(replace(judge, goal=goals[-1]), space, starts, floor)[0]]
    for goal in goals if len(starts) else ():
        aimed = replace(judge, goal=goal)
        Y = sparsify(aimed, space, starts, floor)
        scored = score(aimed, space, Y)
        if scored.passed.any():
            out: Vector = scored.Y[scored.key.argmin()]
            return out
    return None


def holds(judge: Judge, space: Admissible, Y: Vector, floor: float) -> tuple[Mask, Vector]:
    """Which candidates break no rule (but perhaps the number of changes), reach the goal and lie above the floor; and p. Both
    (candidates,)."""
    wide = replace(space, max_changes=len(space.record.schema))
    ok, p = rules.admitted(wide, Y), np.zeros(len(Y))
    p[ok] = judge.checker.p_target(Y[ok])
    ok &= p >= judge.goal
    ok[ok] = realistic(judge, space, Y[ok], floor)
    return ok, p


def realistic(judge: Judge, space: Admissible, Y: Vector, floor: float) -> Mask:
    """True where the realism percentile is `floor` or more, or no lower than the factual's own, shape (candidates,)."""
    if judge.realism is None or floor <= 0 or not len(Y):
        return np.ones(len(Y), dtype=bool)
    percentile = judge.realism.percentile(np.concatenate([space.record.vector[None], Y]))
    enough: Mask = percentile[1:] >= min(floor, percentile[0])
    return enough


def sparsify(judge: Judge, space: Admissible, Y: Vector, floor: float = 0.0) -> Vector:
    """Those rows of Y that hold, shape (rows, features), each with changes taken back one at a time until none can be without losing the
    goal.

    Backward elimination: of the changes that can be taken back, the one that leaves the highest probability goes first, so
    that there is room for the next. All rows go through the classifier together, once a round. What comes out is minimal
    against single reverts; it may still have too many changes.
    """
    Y = Y[holds(judge, space, Y, floor)[0]].copy()
    active = np.arange(len(Y))
    while len(active):
        tried, owner = _reverts(space, Y[active])
        ok, p = holds(judge, space, tried, floor)
        going = []
        for k, row in enumerate(active):
            mine = np.flatnonzero((owner == k) & ok)
            if len(mine):
                Y[row] = tried[mine[p[mine].argmax()]]
                going.append(row)
        active = np.array(going, dtype=int)
    return Y


def _reverts(space: Admissible, Y: Vector) -> tuple[Vector, NDArray[np.intp]]:
    """Every row with each one of its proposed changes taken back, and the row each belongs to."""
    x, schema = space.record.vector, space.record.schema
    proposed = measure.changed(x, Y)
    proposed[:, [schema.index[n] for n in schema.completed]] = False
    owner, feature = np.nonzero(proposed)
    out = Y[owner]
    out[np.arange(len(out)), feature] = x[feature]
    return rules.complete(schema, x, out), owner


def _starts(space: Admissible, rows: Vector) -> Vector:
    """Each row on admissible values; beside it the same with the features of one relation, or of all, left as they are,
    for those that would break it."""
    x, schema = space.record.vector, space.record.schema
    moved = np.column_stack([_nearest(space, i, rows[:, i]) for i in range(len(schema))])
    parts = [[schema.index[n] for n in relation.features] for relation in schema.relations]
    out = [rules.complete(schema, x, moved)]
    wide = replace(space, max_changes=len(schema))
    for part in [*parts, sorted(set(chain.from_iterable(parts)))]:
        bad = ~rules.admitted(wide, out[0])
        Y = moved[bad]
        Y[:, part] = x[part]
        out.append(rules.complete(schema, x, Y))
    return np.concatenate(out)


def _nearest(space: Admissible, i: int, values: Vector) -> Vector:
    """Feature i's admissible value nearest to each given one; its present value where that is nearer, or the given one unknown.

    A choice is taken as it is or not at all: places in a list of choices are no distances.
    """
    present = space.record.vector[i]
    if not space.values[i].size:
        return np.full(len(values), present)
    options = np.append(present, space.values[i])
    gaps = np.abs(np.nan_to_num(values, nan=present)[:, None] - options)
    out: Vector = options[gaps.argmin(axis=1)]
    if space.record.schema.features[i].kind == "choice":
        out = np.where(out == values, out, present)
    return out
