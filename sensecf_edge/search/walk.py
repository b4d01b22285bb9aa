"""Walks from a record towards made-up people: one feature after another takes the value that somebody typical has.

An answer of the search stands just past the classifier's line, between the classes. A made-up person of the wanted class who shares with
the record what may not change stands among the wanted ones, and the way there goes by values that people have. All walks go abreast, so
that each step is one batch of the classifier; each takes next what gains most, and what reaches the goal on the way is an answer.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..judge.nearness import Nearness
from ..judge.objective import Judge, Rows, Scored, score
from ..schema.feature import Vector
from ..settings import NEAR, WALK, WalkSettings
from ..space import measure, rules
from ..space.admissible import Admissible
from ..space.rules import Mask
from .refine import without_followers


def made_up(judge: Judge, space: Admissible, seed: int) -> Vector | None:
    """People of the wanted class drawn from the density given what may not change in the record, shape (people, features), numbers on
    their lattices; None without a density."""
    draw = getattr(judge.realism, "given", None)
    people: Vector | None = draw(space.record.vector, _free(space), WALK.drawn, seed) if draw else None
    return people


def near_to(judge: Judge, space: Admissible, people: Vector) -> Judge:
    """The judge of how near to these people answers are."""
    counted = _free(space) & ~np.isnan(space.record.vector)
    return replace(judge, price=NEAR, nearness=Nearness(space.record.schema, people, counted))


def _free(space: Admissible) -> Mask:
    """What may change, itself or with others, shape (features,)."""
    free: Mask = np.array([values.size > 0 for values in space.values])
    free[space.record.schema.moved_at] = True
    return free


def toward(judge: Judge, space: Admissible, people: Vector, most: WalkSettings = WALK) -> Scored:
    """What reaches the goal on the way to people, shape (people, features), the nearest ones first; `most.rows` are asked at most."""
    targets = _nearest(space, _brought(space, people), most)
    walkers = np.repeat(space.record.vector[None], len(targets), axis=0)
    parts, left = [score(judge, space, walkers[:0])], most.rows
    for _ in range(space.max_changes):
        owner, column = np.nonzero(walkers != targets)
        steps = _moved(space, walkers, targets, owner, column)
        fits = np.flatnonzero(rules.admitted(space, steps))[: max(0, left)]
        left -= len(fits)
        if not fits.size:
            break
        tried = score(judge, space, steps[fits])
        parts.append(tried.rows(np.flatnonzero(tried.passed).tolist()))
        best = _best(owner[fits], tried.p)
        walkers, targets = without_followers(space, tried.Y[best]), targets[owner[fits][best]]
    return Scored.joined(parts)


def wanted(judge: Judge, space: Admissible, people: Vector) -> Vector:
    """Those of the people whom the classifier puts in the wanted class once their values are ones that the record may take; shape
    (people, features)."""
    moved = rules.complete(space.record.schema, space.record.vector, _brought(space, people))
    out: Vector = people[judge.checker.p_target(moved) >= judge.goal]
    return out


def _brought(space: Admissible, people: Vector) -> Vector:
    """The record with the values of people, as near as it may take them, shape (people, features)."""
    x, schema = space.record.vector, space.record.schema
    Y = np.repeat(x[None], len(people), axis=0)
    for i in space.features:
        values = np.append(space.values[i], x[i])
        if schema.features[i].kind == "choice":
            Y[:, i] = np.where(np.isin(people[:, i], values), people[:, i], x[i])
        else:
            values = np.sort(values)
            at = np.clip(np.searchsorted(values, people[:, i]), 1, len(values) - 1)
            Y[:, i] = np.where(people[:, i] - values[at - 1] <= values[at] - people[:, i], values[at - 1], values[at])
    return Y


def _nearest(space: Admissible, Y: Vector, most: WalkSettings) -> Vector:
    """The targets nearest to the record, each once: no more than there are rows to walk for."""
    x, schema = space.record.vector, space.record.schema
    count = max(1, min(most.people, most.rows // (len(space.features) * min(space.max_changes, len(space.features)))))
    kept = {row.tobytes(): k for k, row in reversed(list(enumerate(Y)))}
    distinct = Y[sorted(kept.values())]
    far = (measure.relative_changes(schema, x, distinct) * space.weights).sum(axis=1)
    return distinct[np.argsort(far, kind="stable")[:count]]


def _moved(space: Admissible, walkers: Vector, targets: Vector, owner: Rows, column: Rows) -> Vector:
    """Every next step: one more feature as the target has it, what follows completed; shape (len(owner), features)."""
    out = walkers[owner]
    out[np.arange(len(out)), column] = targets[owner, column]
    return rules.complete(space.record.schema, space.record.vector, out)


def _best(owner: Rows, p: Vector) -> Rows:
    """Of each owner's steps the one of the highest probability, shape (owners,)."""
    order = np.lexsort((-p, owner))
    out: Rows = order[np.append(True, np.diff(owner[order]) > 0)]
    return out
