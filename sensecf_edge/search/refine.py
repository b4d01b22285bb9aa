"""Repair a near miss, prune a needless change, shrink a change: every step through the checker, in batches.

All three are the same move: set one feature of a candidate to another admissible value, or back to the factual. A pass
tries every such move of every candidate in one batch and takes the best one of each; passes go on until nothing
improves. The order is total: what passes the goal comes before what does not, then the lower cost, and among misses the
higher probability. So a result is never worse than its input in that order, and ends in a local optimum (not: the
global one; `explain` starts from several proposals).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from ..judge.objective import EPS, LEAST_GAIN, Judge, Rows, Scored, keys, score
from ..schema.feature import Vector
from ..settings import REFINE
from ..space import measure, rules
from ..space.admissible import Admissible
from ..space.rules import Mask
from .coarse import Coarse, Places, finer

_Step = tuple[Vector, float, float]

CELLS = 2**20
"""Numbers of candidates that are made at once: what one record needs of memory does not grow with its lattices."""


@dataclass
class Known:
    """What was found out about one record: the step that each candidate led to, and how many moves may still be tried."""

    steps: dict[bytes, _Step | None] = field(default_factory=dict)
    left: int = REFINE.rows


def moves(space: Admissible, y: Vector, places: Places | None = None) -> Vector:
    """Every candidate one move away from y, shape (moves, features); `places`: only those of these places of `Admissible.targets`.

    A move sets one feature to another admissible value or back. Features that follow others are completed. A move may
    exceed the number of changes; `rules` refuses it.
    """
    (columns, values), rows = space.targets, without_followers(space, y[None])
    places = np.arange(len(values)) if places is None else places
    places = places[rows[0, columns[places]] != values[places]]
    return _moved(space, rows, np.zeros(len(places), dtype=np.intp), places)


def without_followers(space: Admissible, rows: Vector) -> Vector:
    """Rows, shape (rows, features), as they were proposed, for moves that complete them again: what is always computed is left as it is."""
    schema = space.record.schema
    return rules.without_followers(schema, space.record.vector, rows) if schema.moved - schema.completed else rows


def _moved(space: Admissible, rows: Vector, owner: Rows, move: Rows) -> Vector:
    """Copies of rows[owner], each with one move made and what follows completed, shape (len(owner), features)."""
    (columns, values), out = space.targets, rows[owner]
    out[np.arange(len(out)), columns[move]] = values[move]
    return rules.complete(space.record.schema, space.record.vector, out)


def refine(judge: Judge, space: Admissible, Y: Vector, scored: Scored | None = None, known: Known | None = None) -> Scored:
    """The best candidate each row of Y leads to, shape (candidates, features), with probability and key.

    Rows often arrive at the same candidate; what one led to is remembered for the others in `known`, which a caller may
    keep for later rows of the same record and judge. `scored` is what `score` said of Y, where that is known already.
    """
    best = scored or score(judge, space, Y)
    Y, p, key = best.Y.copy(), best.p.copy(), best.key.copy()
    active, known, coarse = list(range(len(Y))), known or Known(), Coarse(space, REFINE.moves)
    for _ in range(REFINE.passes):
        new = list({Y[i].tobytes(): i for i in active if Y[i].tobytes() not in known.steps}.values())
        if new:
            known.steps.update(zip((Y[i].tobytes() for i in new), _steps(judge, coarse, Y[new], key[new], known), strict=True))
        steps = [(i, step) for i in active if (step := known.steps[Y[i].tobytes()])]
        for i, (y, p[i], key[i]) in steps:
            Y[i] = y
        active = [i for i, _ in steps]
    return Scored(Y, p, key)


def _steps(judge: Judge, coarse: Coarse, rows: Vector, beat: Vector, known: Known) -> list[_Step | None]:
    """For each row, whose key is in `beat`, its best move with probability and key; None where none is better than the row.

    On fine lattices a coarse part is tried first, then what lies around the best of it.
    """
    space, places, stride = coarse.space, coarse.places, coarse.stride
    rows, tries = without_followers(space, rows), _Tries(judge, space, known, beat)
    size = max(1, CELLS // max(1, len(places)))
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        owner, at = np.nonzero(_worth_a_look(judge, space, rows[part], beat[part], places))
        tries.make(rows, owner + start, places[at])
    while stride > 1:
        near = [coarse.around(place, stride) if place >= 0 else places[:0] for place in tries.places]
        tries.make(rows, np.repeat(np.arange(len(rows)), [len(part) for part in near]), np.concatenate(near))
        stride = finer(stride)
    return tries.best


class _Tries:
    """The best move found so far for each of some rows, whose keys are in `beat`."""

    def __init__(self, judge: Judge, space: Admissible, known: Known, beat: Vector) -> None:
        self.judge, self.space, self.known, self.beat = judge, space, known, beat.copy()
        self.best: list[_Step | None] = [None] * len(beat)
        self.places = [-1] * len(beat)

    def make(self, rows: Vector, owner: Rows, move: Rows) -> None:
        """Make moves of rows, as many as the budget allows, a part at a time; `owner` ascends."""
        count = max(0, min(len(owner), self.known.left))
        self.known.left -= count
        size = max(1, CELLS // rows.shape[1])
        for start in range(0, count, size):
            part = slice(start, min(start + size, count))
            self._judged(owner[part], move[part], _moved(self.space, rows, owner[part], move[part]))

    def _judged(self, owner: Rows, move: Rows, Y: Vector) -> None:
        tried = score(self.judge, self.space, Y, self.beat[owner])
        starts = np.flatnonzero(np.diff(owner, prepend=-1))
        for first, behind in pairwise([*starts.tolist(), len(owner)]):
            top, at = first + int(tried.key[first:behind].argmin()), int(owner[first])
            if tried.key[top] < self.beat[at] - LEAST_GAIN:
                self.best[at], self.places[at] = (tried.Y[top], float(tried.p[top]), float(tried.key[top])), int(move[top])
                self.beat[at] = tried.key[top]


def _worth_a_look(judge: Judge, space: Admissible, rows: Vector, beat: Vector, places: Places) -> Mask:
    """Which moves of which rows could be better at all, shape (rows, places): told from each change's part of the least cost.

    What follows others is left out of the parts, so that they never add up to more than the cost. Nothing is said yet of
    rules but the number of changes.
    """
    x, schema = space.record.vector, space.record.schema
    columns, values = space.targets[0][places], space.targets[1][places]
    changed = measure.changed(x, rows)
    parts = judge.price.count * changed + judge.price.distance * measure.relative_changes(schema, x, rows) * space.weights
    new, one = judge.parts(space, columns, values), (values != x[columns]).astype(np.intp)
    if schema.moved:
        parts[:, schema.moved_at], changed[:, schema.moved_at] = 0.0, False
        follows = np.isin(columns, schema.moved_at)
        new[follows], one[follows] = 0.0, 0
    least = parts.sum(axis=1)[:, None] - parts[:, columns] + new
    few = changed.sum(axis=1)[:, None] - changed[:, columns] + one <= space.max_changes
    cheap = (beat >= 0)[:, None] | (keys(least - EPS) < (beat - LEAST_GAIN)[:, None])
    out: Mask = few & cheap & (rows[:, columns] != values)
    return out
