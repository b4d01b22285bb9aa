"""Exchange: take one change of an answer partly back, and make up for it with another feature; where single moves end.

Two features move at once. Which pairs are asked about is said by what each move does alone to the answer, added up in
logits; only pairs that would be cheaper are. Every step goes through the checker, so a result is never dearer than its start.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..judge.objective import LEAST_GAIN, Judge, Scored, keys
from ..schema.feature import Vector
from ..space import rules
from ..space.admissible import Admissible
from .refine import without_followers

Picks = NDArray[np.intp]
ROWS = 128
PASSES = 6
PAIRS = 2**17
"""Pairs that are weighed at once: fine lattices have tens of millions."""
LEAST_P = 1e-6


@dataclass(frozen=True)
class _SingleMoves:
    """Single moves from an answer: column, value, its part of the least cost less that of the present value, change in logits."""

    column: Picks
    value: Vector
    dearer: Vector
    gain: Vector


def exchange(judge: Judge, space: Admissible, start: Scored) -> Scored:
    """The answer that exchanges of two features lead to from the one row of `start`, which passed; one row."""
    best = start
    for _ in range(PASSES):
        step = _step(judge, space, best)
        if step is None:
            break
        best = step
    return best


def _step(judge: Judge, space: Admissible, best: Scored) -> Scored | None:
    """The cheapest answer one exchange away; None where none is cheaper."""
    schema, x = space.record.schema, space.record.vector
    y = without_followers(space, best.Y)[0]
    moves, surplus = _singles(judge, space, y)
    pairs = _pairs(moves, surplus)
    Y = np.repeat(y[None], len(pairs[0]), axis=0)
    for at in pairs:
        Y[np.arange(len(Y)), moves.column[at]] = moves.value[at]
    Y = rules.complete(schema, x, Y)
    Y = Y[rules.admitted(space, Y)]
    cost = judge.cost(space, Y)
    cheaper = np.flatnonzero(keys(cost) < best.key[0] - LEAST_GAIN)[:ROWS]
    Y, cost = Y[cheaper], cost[cheaper]
    p = judge.checker.p_target(Y)
    good = np.flatnonzero(p >= judge.goal)
    if not good.size:
        return None
    top = good[cost[good].argmin()][None]
    return Scored(Y[top], p[top], keys(cost[top]))


def _pairs(moves: _SingleMoves, surplus: float) -> tuple[Picks, Picks]:
    """The most promising pairs of moves that would be cheaper together, the best first; numbers of the moves back and on."""
    back, on = np.flatnonzero(moves.dearer < -LEAST_GAIN), np.flatnonzero(moves.dearer > LEAST_GAIN)
    best: tuple[Picks, Picks] = np.empty(0, np.intp), np.empty(0, np.intp)
    block = max(1, PAIRS // max(1, len(on)))
    for start in range(0, len(back), block):
        first, second = (part.ravel() for part in np.meshgrid(back[start : start + block], on, indexing="ij"))
        fit = (moves.column[first] != moves.column[second]) & (moves.dearer[first] + moves.dearer[second] < -LEAST_GAIN)
        first, second = np.append(best[0], first[fit]), np.append(best[1], second[fit])
        short = np.maximum(0.0, -(surplus + moves.gain[first] + moves.gain[second]))
        order = np.argsort(short + moves.dearer[first] + moves.dearer[second], kind="stable")[: 8 * ROWS]
        best = first[order], second[order]
    return best


def _singles(judge: Judge, space: Admissible, y: Vector) -> tuple[_SingleMoves, float]:
    """All single moves from y, back to the record's own value among them; and how far y is above the goal, in logits."""
    column, value = space.targets
    other = np.flatnonzero(value != y[column])
    column, value = column[other], value[other]
    Y = np.repeat(y[None], len(value) + 1, axis=0)
    Y[np.arange(len(value)), column] = value
    p = np.clip(judge.checker.p_target(rules.complete(space.record.schema, space.record.vector, Y)), LEAST_P, 1 - LEAST_P)
    logit = np.log(p / (1 - p))
    cost = judge.least(space, Y)
    return _SingleMoves(column, value, cost[:-1] - cost[-1], logit[:-1] - logit[-1]), float(
        logit[-1] - np.log(judge.goal / (1 - judge.goal))
    )
