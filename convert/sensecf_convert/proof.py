"""Whether any admissible answer exists at all: the whole lattice tried, or, on trees, ruled out by branch and bound.

"None found" says something about a method, "none exists" about a person and a classifier. Only the second excuses.
"""

from __future__ import annotations

import dataclasses
import heapq
import itertools
import math
import time
from collections.abc import Iterator

import numpy as np

from sensecf_edge import rules
from sensecf_edge.admissible import Admissible
from sensecf_edge.check import Checker
from sensecf_edge.schema import Vector

from .bounds import Ends, Levels, Mask
from .compare import trees
from .compare.trees import Forest
from .tables import Cohort

EXHAUSTIVE = 30_000_000
CHUNK = 50_000
SLACK = 1e-6
DRAWN = 64


def highest(checker: Checker, space: Admissible, goal: float, until: float = math.inf) -> float | None:
    """The highest p that any admissible answer reaches, over the whole lattice of the space. Stops early at the goal.

    None where the lattice holds more than 30 million points, or the monotonic clock passes `until`.
    """
    schema, x = space.record.schema, space.record.vector
    space = without_dead_ends(space)
    if np.prod([float(len(v) + 1) for v in space.values]) > EXHAUSTIVE:
        return None
    best = 0.0
    for Y in every_answer(space):
        Y = rules.complete(schema, x, Y)
        Y = Y[rules.admitted(space, Y)]
        best = max(best, float(checker.p_target(Y).max(initial=0.0)))
        if best >= goal:
            break
        if time.monotonic() > until:
            return None
    return best


def without_dead_ends(space: Admissible) -> Admissible:
    """The space less those values that break a relation whatever else changes: no other feature of it can move."""
    schema, x, values = space.record.schema, space.record.vector, list(space.values)
    for relation in schema.relations:
        movable = [i for i in map(schema.index.get, relation.features) if i is not None and values[i].size]
        if len(movable) == 1:
            (i,) = movable
            Y = np.repeat(x[None, :], len(values[i]), axis=0)
            Y[:, i] = values[i]
            values[i] = values[i][rules.admitted(space, rules.complete(schema, x, Y))]
    return dataclasses.replace(space, values=tuple(values))


def every_answer(space: Admissible) -> Iterator[Vector]:
    """All combinations of admissible values, the record itself among them, in chunks of shape (<= 50,000, features)."""
    x = space.record.vector
    options = [np.append(v, x[i]) for i, v in enumerate(space.values)]
    total = int(np.prod([len(o) for o in options]))
    for start in range(0, total, CHUNK):
        at = np.arange(start, min(start + CHUNK, total))
        Y = np.empty((len(at), len(x)))
        for i, values in enumerate(options):
            at, digit = np.divmod(at, len(values))
            Y[:, i] = values[digit]
        yield Y


class Prover:
    """Says for any record whether an answer exists. Trees are taken from the ONNX graph where it holds any.

    `train`: what the graph puts in place of unknown values is guessed from these rows, and checked.
    """

    def __init__(self, checker: Checker, graph: bytes, train: Cohort) -> None:
        self.checker, self.graph, self.schema = checker, graph, train.schema
        self.complete = train.X[~np.isnan(train.X).any(axis=1)][:500]
        self.fill = np.array(
            [_middle(f.kind, column[~np.isnan(column)]) for f, column in zip(train.schema.features, train.X.T, strict=True)]
        )
        self._known: dict[tuple[bytes, float], bool] = {}
        self._forests: dict[float, tuple[Forest, Levels] | None] = {}

    def reaches(self, space: Admissible, goal: float, until: float) -> bool | None:
        """Whether some admissible answer reaches the goal; None where the time ended before that was known. What is known
        of a record is remembered: ask one prover about one kind of space only."""
        name = (space.record.vector.tobytes(), goal)
        if name not in self._known and (found := self._prove(space, goal, until)) is not None:
            self._known[name] = found
        return self._known.get(name)

    def _prove(self, space: Admissible, goal: float, until: float) -> bool | None:
        forest = self._forest(goal)
        if forest is not None:
            return Search(self.checker, space, goal, *forest, self.fill).exists(until)
        top = highest(self.checker, space, goal, until)
        return None if top is None else top >= goal

    def _forest(self, goal: float) -> tuple[Forest, Levels] | None:
        if goal not in self._forests:
            try:
                forest = trees.read(self.graph, self.schema, 1, goal, self.complete)
                codes = max([1, *(len(f.choices) for f in self.schema.features)])
                self._forests[goal] = forest, Levels.of(forest, codes)
            except trees.NoTreesError:
                self._forests[goal] = None
        return self._forests[goal]


def _middle(kind: str, known: Vector) -> float:
    """The median of a number, the most frequent code of a choice."""
    if not known.size:
        return float("nan")
    return float(np.median(known)) if kind == "number" else float(np.bincount(known.astype(int)).argmax())


class Search:
    """Branch and bound over one record's lattice: boxes of admissible values, split where that tightens the bound most."""

    def __init__(self, checker: Checker, space: Admissible, goal: float, forest: Forest, levels: Levels, fill: Vector) -> None:
        """`fill`: what the graph is thought to put in place of unknown values, shape (features,); checked before it is believed."""
        self.checker, self.goal, self.forest, self.codes = checker, goal, forest, levels.sets.shape[1]
        self.space = without_dead_ends(space)
        x = self.space.record.vector
        self.options = [np.sort(np.append(v, x[i])) if v.size else x[i : i + 1] for i, v in enumerate(self.space.values)]
        self.free = [i for i, o in enumerate(self.options) if len(o) > 1]
        self.own = np.array([int(np.flatnonzero((o == x[i]) | (np.isnan(o) & np.isnan(x[i])))[0]) for i, o in enumerate(self.options)])
        self.fill = np.where(np.isnan(x), fill, np.nan) if self._fills(fill) else np.full(len(x), np.nan)
        self.following = [self._following(r) for r in self.space.record.schema.following]
        low, high, open_, _ = self._ends(np.array([[[0, len(o) - 1] for o in self.options]]))
        self.levels = levels.within(low, high, open_)

    def _fills(self, fill: Vector) -> bool:
        """Whether the classifier answers alike with the unknown values filled, on 64 random answers."""
        rng = np.random.default_rng(0)
        Y = np.stack([o[rng.integers(len(o), size=64)] for o in self.options], axis=1)
        filled = np.where(np.isnan(Y), fill, Y)
        return bool(np.abs(self.checker.p_target(Y) - self.checker.p_target(filled)).max() < SLACK)

    def _following(self, relation: object) -> tuple[int, list[int], Ends, Vector]:
        """A followed feature: its column, the free features it follows, all their combinations and its value at each."""
        schema, x = self.space.record.schema, self.space.record.vector
        names = relation.features  # type: ignore[attr-defined]
        column = schema.index[str(relation.completes)]  # type: ignore[attr-defined]
        inputs = [i for i in map(schema.index.get, names) if i is not None and i != column and i in self.free]
        every = list(np.ndindex(*(len(self.options[i]) for i in inputs)))
        at = np.array(every, dtype=np.intp).reshape(len(every), len(inputs))
        Y = np.repeat(x[None, :], len(at), axis=0)
        for k, i in enumerate(inputs):
            Y[:, i] = self.options[i][at[:, k]]
        return column, inputs, at, rules.complete(schema, x, Y)[:, column]

    def exists(self, until: float) -> bool | None:
        """True with an answer found, False where none can be, None where the time ended first."""
        start = np.array([[0, len(o) - 1] for o in self.options])
        waiting, count = [(-math.inf, 0, start)], itertools.count(1)
        while waiting:
            if time.monotonic() > until:
                return None
            _, _, box = heapq.heappop(waiting)
            if self._met(box):
                return True
            for bound, child in self._split(box):
                if bound >= self.forest.goal - SLACK:
                    heapq.heappush(waiting, (-bound, next(count), child))
        return False

    def _met(self, box: Ends) -> bool:
        """Whether one of 64 points of the box, its corners among them, is an answer. What need not change stays as it is for all
        but as many features as may."""
        x, schema = self.space.record.vector, self.space.record.schema
        rng = np.random.default_rng(int(box.sum()))
        at = np.concatenate([box.T, rng.integers(box[:, 0], box[:, 1] + 1, size=(DRAWN - 2, len(box)))])
        may = (self.own >= box[:, 0]) & (self.own <= box[:, 1])
        order = np.where(may, rng.random(at.shape), -1.0).argsort(axis=1).argsort(axis=1)
        at = np.where(may & (order >= self.space.max_changes), self.own, at)
        Y = rules.complete(schema, x, np.stack([o[at[:, i]] for i, o in enumerate(self.options)], axis=1))
        Y = Y[rules.admitted(self.space, Y)]
        return bool((self.checker.p_target(Y) >= self.goal).any())

    def _split(self, box: Ends) -> list[tuple[float, Ends]]:
        """The halves of the box along the feature whose halving lowers the two bounds most."""
        wide = [i for i in self.free if box[i, 1] > box[i, 0]]
        if not wide:
            return []
        halves = []
        for i in wide:
            middle = (box[i, 0] + box[i, 1]) // 2
            for ends in ((box[i, 0], middle), (middle + 1, box[i, 1])):
                half = box.copy()
                half[i] = ends
                halves.append(self._within_limit(half))
        bounds = self._bounds(np.array(halves)).reshape(-1, 2)
        best = int(np.maximum(bounds - self.forest.goal, 0).sum(axis=1).argmin())
        return [(float(bounds[best, k]), halves[2 * best + k]) for k in (0, 1)]

    def _within_limit(self, box: Ends) -> Ends:
        """The box less what would change too many features: once as many as may must change, all others stay as they are.
        A box in which too many must change is turned inside out: it holds nothing."""
        must = (self.own < box[:, 0]) | (self.own > box[:, 1])
        if must.sum() > self.space.max_changes:
            box[:, 0], box[:, 1] = 1, 0
        elif must.sum() == self.space.max_changes:
            box[~must] = self.own[~must, None]
        return box

    def _bounds(self, boxes: Ends) -> Vector:
        low, high, open_, empty = self._ends(boxes)
        return np.where(empty, -np.inf, self.forest.base + self.levels.upper(low, high, open_))

    def _ends(self, boxes: Ends) -> tuple[Vector, Vector, Mask, Mask]:
        """Ends of numbers and open choices of each box, as `Levels.upper` takes them, and whether a box holds no answer."""
        empty = (boxes[:, :, 0] > boxes[:, :, 1]).any(axis=1)
        boxes = np.where(empty[:, None, None], 0, boxes)
        low = np.stack([o[boxes[:, i, 0]] for i, o in enumerate(self.options)], axis=1)
        high = np.stack([o[boxes[:, i, 1]] for i, o in enumerate(self.options)], axis=1)
        for column, inputs, at, value in self.following:
            inside = ((at >= boxes[:, None, inputs, 0]) & (at <= boxes[:, None, inputs, 1])).all(axis=2)
            low[:, column] = np.where(inside, value, np.inf).min(axis=1)
            high[:, column] = np.where(inside, value, -np.inf).max(axis=1)
            empty |= ~inside.any(axis=1)
        low, high = (np.where(np.isnan(ends), self.fill, ends) for ends in (low, high))
        unknown = np.isnan(low)  # whatever the graph fills in, it lies between these
        low, high = np.where(unknown, -np.inf, low), np.where(unknown, np.inf, high)
        codes = np.arange(self.codes)
        return low, high, (codes >= low[:, :, None]) & (codes <= high[:, :, None]), empty
