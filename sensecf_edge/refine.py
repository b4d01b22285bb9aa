"""Repair a near miss, prune a needless change, shrink a change: every step through the checker, in batches.

All three are the same move: set one feature of a candidate to another admissible value, or back to the factual. A pass
tries every such move of every candidate in one batch and takes the best one of each; passes go on until nothing
improves. The order is total: what passes the goal comes before what does not, then the lower cost, and among misses the
higher probability. So a result is never worse than its input in that order, and ends in a local optimum (not: the
global one; `loop` starts from several proposals).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import measure, rules
from .admissible import Admissible
from .check import Checker, OnnxRealism
from .rules import Mask
from .schema import Vector
from .settings import REFINE

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Judge:
    """What candidates are judged by. `goal` is the probability of the wanted class to reach: threshold + margin."""

    checker: Checker
    realism: OnnxRealism | None
    goal: float


@dataclass(frozen=True)
class Scored:
    """Candidates with their probability of the wanted class and their rank key; rows belong together.

    The key (lower is better) is -1 / cost for what passes, the lack of probability for a miss, infinite for a broken rule.
    """

    Y: Vector
    p: Vector
    key: Vector

    @property
    def passed(self) -> Mask:
        """True where the goal is reached and no rule broken, shape (candidates,)."""
        out: Mask = self.key < 0
        return out


def score(judge: Judge, space: Admissible, Y: Vector) -> Scored:
    """Judge candidates of one record: rules first, then one batch through the checker of those that break none."""
    x, schema = space.record.vector, space.record.schema
    ok = rules.admitted(space, Y)
    p, key = np.zeros(len(Y)), np.full(len(Y), np.inf)
    p[ok] = judge.checker.p_target(Y[ok])
    key[ok] = 1.0 - p[ok]
    good = np.flatnonzero(ok & (p >= judge.goal))
    if good.size:
        percentile = judge.realism.percentile(Y[good]) if judge.realism else None
        key[good] = -1.0 / measure.cost(schema, x, Y[good], percentile)
    return Scored(Y, p, key)


def moves(space: Admissible, y: Vector) -> Vector:
    """Every candidate one move away from y: one feature to another admissible value or back. Shape (moves, features).

    Features that follow others are completed. A move may exceed the number of changes; `rules` refuses it.
    """
    x = space.record.vector
    rows = []
    for i in space.features:
        values = np.append(space.values[i], x[i])
        block = np.repeat(y[None, :], len(values), axis=0)
        block[:, i] = values
        rows.append(block[values != y[i]])
    return rules.complete(space.record.schema, x, np.concatenate(rows))


def refine(judge: Judge, space: Admissible, Y: Vector) -> Scored:
    """The best candidate each row of Y leads to, shape (candidates, features), with probability and key."""
    best = score(judge, space, Y)
    active: Rows = np.arange(len(Y))
    for _ in range(REFINE.passes):
        if not active.size:
            break
        blocks = [moves(space, best.Y[i]) for i in active]
        tried = score(judge, space, np.concatenate(blocks))
        best, active = _improve(best, active, tried, np.repeat(active, [len(b) for b in blocks]))
    return best


def _improve(best: Scored, active: Rows, tried: Scored, owner: Rows) -> tuple[Scored, Rows]:
    """Each active row replaced by its best move, where that is better; and the rows that did improve."""
    Y, p, key = best.Y.copy(), best.p.copy(), best.key.copy()
    improved = []
    for i in active:
        mine = np.flatnonzero(owner == i)
        top = mine[tried.key[mine].argmin()]
        if tried.key[top] < key[i] - 1e-9:
            Y[i], p[i], key[i] = tried.Y[top], tried.p[top], tried.key[top]
            improved.append(i)
    return Scored(Y, p, key), np.array(improved, dtype=np.intp)
