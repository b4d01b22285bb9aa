"""Repair a near miss, prune a needless change, shrink a change: every step through the checker, in batches.

All three are the same move: set one feature of a candidate to another admissible value, or back to the factual. A pass
tries every such move of every candidate in one batch and takes the best one of each; passes go on until nothing
improves. The order is total: what passes the goal comes before what does not, then the lower cost, and among misses the
higher probability. So a result is never worse than its input in that order, and ends in a local optimum (not: the
global one; `loop` starts from several proposals).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import measure, rules
from .admissible import Admissible
from .check import Checker, OnnxRealism
from .rules import Mask
from .schema import Vector
from .settings import COST, REFINE, CostSettings

Rows = NDArray[np.intp]
_Step = tuple[Vector, float, float]
Known = dict[bytes, "_Step | None"]

GAIN = 1e-9
TINY = 1e-12


@dataclass(frozen=True)
class Judge:
    """What candidates are judged by. `goal` is the probability of the wanted class to reach: threshold + margin.

    `price` is what those that reach it are compared by.
    """

    checker: Checker
    realism: OnnxRealism | None
    goal: float
    price: CostSettings = COST

    def percentile(self, Y: Vector) -> Vector | None:
        """How ordinary candidates are, 0 to 100, shape (candidates,); None without a realism model."""
        return self.realism.percentile(Y) if self.realism else None

    def cost(self, space: Admissible, Y: Vector) -> Vector:
        """The whole cost of candidates, the realism floor included, shape (candidates,). The classifier is not asked."""
        x = space.record.vector
        percentile = self.percentile(np.concatenate([x[None], Y])) if len(Y) else None
        if percentile is None:
            return measure.cost(space.record.schema, x, Y, None, space.weights, self.price)
        out = measure.cost(space.record.schema, x, Y, percentile[1:], space.weights, self.price)
        out += self.price.below * (percentile[1:] < min(self.price.floor, percentile[0]) - TINY)
        return out


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

    def rows(self, at: Sequence[int]) -> Scored:
        """Some of the rows."""
        picked = np.array(at, dtype=np.intp)
        return Scored(self.Y[picked], self.p[picked], self.key[picked])

    @staticmethod
    def joined(parts: Sequence[Scored]) -> Scored:
        """The rows of several, one below the other; at least one part."""
        return Scored(*(np.concatenate(column) for column in zip(*((s.Y, s.p, s.key) for s in parts), strict=True)))


def score(judge: Judge, space: Admissible, Y: Vector, beat: Vector | None = None) -> Scored:
    """Judge candidates of one record: rules first, then one batch through the checker of those that break none.

    With `beat`, a key for each candidate, those that could not reach a lower one are not asked about; their key is infinite.
    """
    ok = rules.admitted(space, Y) if beat is None else _may_beat(judge, space, Y, beat)
    p, key = np.zeros(len(Y)), np.full(len(Y), np.inf)
    p[ok] = judge.checker.p_target(Y[ok])
    key[ok] = 1.0 - p[ok]
    good = np.flatnonzero(ok & (p >= judge.goal))
    if good.size:
        key[good] = keys(judge.cost(space, Y[good]))
    return Scored(Y, p, key)


def keys(cost: Vector) -> Vector:
    """The rank keys of what passed, below 0 and in the order of its cost."""
    out: Vector = -1.0 / np.maximum(cost, TINY)
    return out


def _may_beat(judge: Judge, space: Admissible, Y: Vector, beat: Vector) -> Mask:
    """False for what breaks a rule, and for what would not be better even if it passed. Cheap questions first."""
    least = measure.cost(space.record.schema, space.record.vector, Y, None, space.weights, judge.price)
    ok: Mask = (beat >= 0) | (keys(least) < beat - GAIN)
    ok[ok] = rules.admitted(space, Y[ok])
    rivals = np.flatnonzero(ok & (beat < 0))
    if rivals.size and judge.realism:
        ok[rivals] = keys(judge.cost(space, Y[rivals])) < beat[rivals] - GAIN
    return ok


def moves(space: Admissible, y: Vector) -> Vector:
    """Every candidate one move away from y, shape (moves, features). See `_moves`."""
    return _moves(space, y[None, :])[0]


def _moves(space: Admissible, rows: Vector) -> tuple[Vector, Rows]:
    """Every candidate one move away from one of the rows, shape (moves, features), and the row each belongs to.

    A move sets one feature to another admissible value or back. Features that follow others are completed. A move may
    exceed the number of changes; `rules` refuses it.
    """
    schema, x = space.record.schema, space.record.vector
    rows = rules.said(schema, x, rows) if schema.moved - schema.completed else rows
    columns = np.concatenate([np.full(len(space.values[i]) + 1, i) for i in space.features])
    values = np.concatenate([part for i in space.features for part in (space.values[i], x[i : i + 1])])
    owner, move = np.nonzero(rows[:, columns] != values)
    out = rows[owner]
    out[np.arange(len(out)), columns[move]] = values[move]
    return rules.complete(schema, x, out), owner


def refine(judge: Judge, space: Admissible, Y: Vector, scored: Scored | None = None, known: Known | None = None) -> Scored:
    """The best candidate each row of Y leads to, shape (candidates, features), with probability and key.

    Rows often arrive at the same candidate; what one led to is remembered for the others in `known`, which a caller may
    keep for later rows of the same record and judge. `scored` is what `score` said of Y, where that is known already.
    """
    best = scored or score(judge, space, Y)
    Y, p, key = best.Y.copy(), best.p.copy(), best.key.copy()
    active, known = list(range(len(Y))), {} if known is None else known
    for _ in range(REFINE.passes):
        new = list({Y[i].tobytes(): i for i in active if Y[i].tobytes() not in known}.values())
        if new:
            known.update(zip((Y[i].tobytes() for i in new), _steps(judge, space, Y[new], key[new]), strict=True))
        steps = [(i, step) for i in active if (step := known[Y[i].tobytes()])]
        for i, (y, p[i], key[i]) in steps:
            Y[i] = y
        active = [i for i, _ in steps]
    return Scored(Y, p, key)


def _steps(judge: Judge, space: Admissible, rows: Vector, keys: Vector) -> list[_Step | None]:
    """For each row its best move, with probability and key; None where none is better than the row."""
    candidates, owner = _moves(space, rows)
    tried = score(judge, space, candidates, keys[owner])
    out: list[_Step | None] = []
    for at, (first, behind) in enumerate(zip(*np.searchsorted(owner, ([*range(len(rows))], [*range(1, len(rows) + 1)])), strict=True)):
        top = first + int(tried.key[first:behind].argmin()) if behind > first else -1
        better = top >= 0 and tried.key[top] < keys[at] - GAIN
        out.append((tried.Y[top], float(tried.p[top]), float(tried.key[top])) if better else None)
    return out
