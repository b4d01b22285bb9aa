"""Whether any admissible answer exists at all: the whole lattice tried, or, on trees, ruled out by branch and bound.

"None found" says something about a method, "none exists" about a person and a classifier. Only the second excuses. The same
holds for "three features changed" and "no answer changes fewer".
"""

from __future__ import annotations

import dataclasses
import heapq
import itertools
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sensecf_edge import measure, rules
from sensecf_edge.admissible import EPSILON, Admissible
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
FOLLOWED = 50_000
"""Combinations of values that are looked at for a feature that follows several."""


def highest(checker: Checker, space: Admissible, goal: float, until: float = math.inf, most: float = math.inf) -> float | None:
    """The highest p that any admissible answer reaches that changes at most `most` features, those that follow included.
    Stops early at the goal.

    None where there are more than 30 million combinations to try, or the monotonic clock passes `until`.
    """
    schema, x = space.record.schema, space.record.vector
    space = without_dead_ends(space)
    if combinations(space) > EXHAUSTIVE:
        return None
    best = 0.0
    for Y in every_answer(space):
        Y = rules.complete(schema, x, Y)
        Y = Y[rules.admitted(space, Y) & (measure.sparsity(x, Y) <= most)]
        best = max(best, float(checker.p_target(Y).max(initial=0.0)))
        if best >= goal:
            break
        if time.monotonic() > until:
            return None
    return best


def without_dead_ends(space: Admissible) -> Admissible:
    """The space less those values that break a relation whatever else changes: nothing else can move a feature of it."""
    schema, x, values, moved = space.record.schema, space.record.vector, list(space.values), moved_by(space)
    for relation in schema.relations:
        movable = set().union(*(moved[schema.index[name]] for name in relation.features))
        if len(movable) == 1:
            (i,) = movable
            Y = np.repeat(x[None, :], len(values[i]), axis=0)
            Y[:, i] = values[i]
            broken = rules.broken(space, rules.complete(schema, x, Y))
            for rule in (f"breaks {relation.words()}", *([f"{relation.completes} leaves its range"] if relation.completes else [])):
                if rule in broken:
                    values[i], broken = values[i][~broken[rule]], {name: mask[~broken[rule]] for name, mask in broken.items()}
    return dataclasses.replace(space, values=tuple(values))


def moved_by(space: Admissible) -> list[set[int]]:
    """For each feature those that move it when they change: itself where it may change, and all that it follows."""
    schema = space.record.schema
    out: list[set[int]] = [{i} if values.size else set() for i, values in enumerate(space.values)]
    for name, relations in schema.followers:
        out[schema.index[name]].update(*(out[schema.index[read]] for relation in relations for read in relation.features))
    return out


def combinations(space: Admissible) -> float:
    """How many combinations of values `every_answer` gives."""
    of_size = np.eye(1, space.max_changes + 1)[0]
    for values in space.values:
        of_size[1:] += len(values) * of_size[:-1]
    return float(of_size.sum())


def every_answer(space: Admissible) -> Iterator[Vector]:
    """All combinations of as many admissible values as may change, the record itself first, each once, in chunks of shape
    (<= 50,000, features)."""
    x = space.record.vector
    for size in range(min(space.max_changes, len(space.features)) + 1):
        for columns in itertools.combinations(space.features, size):
            total = math.prod(len(space.values[i]) for i in columns)
            for start in range(0, total, CHUNK):
                at = np.arange(start, min(start + CHUNK, total))
                Y = np.repeat(x[None, :], len(at), axis=0)
                for i in columns:
                    at, digit = np.divmod(at, len(space.values[i]))
                    Y[:, i] = space.values[i][digit]
                yield Y


@dataclass(frozen=True)
class Fewest:
    """What is proven of one record: no answer at the goal changes fewer than `least` features, and, where `exact`, one changes
    as many. Those that follow others are counted, as in every figure."""

    least: int
    exact: bool


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
        self._known: dict[tuple[float | bytes, ...], bool] = {}
        self._forests: dict[float, tuple[Forest, Levels] | None] = {}

    def reaches(self, space: Admissible, goal: float, until: float, most: float = math.inf) -> bool | None:
        """Whether some admissible answer reaches the goal that changes at most `most` features, those that follow included. None
        where the time ended before that was known. What is known is remembered."""
        name = (goal, most, space.max_changes, space.record.vector.tobytes(), *(values.tobytes() for values in space.values))
        if name not in self._known and (found := self._prove(space, goal, until, most)) is not None:
            self._known[name] = found
        return self._known.get(name)

    def fewest(self, space: Admissible, goal: float, until: float, known: int) -> Fewest:
        """The fewest features that an answer at the goal must change, where `known` are enough: an answer at hand shows that."""
        for most in range(1, known):
            few = dataclasses.replace(space, max_changes=min(most, space.max_changes))
            reached = self.reaches(few, goal, until, most)
            if reached is not False:
                return Fewest(most, exact=bool(reached))
        return Fewest(known, exact=True)

    def _prove(self, space: Admissible, goal: float, until: float, most: float) -> bool | None:
        forest = self._forest(goal)
        if forest is not None:
            return Search(self.checker, space, goal, *forest, self.fill, most).exists(until)
        top = highest(self.checker, space, goal, until, most)
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

    def __init__(
        self, checker: Checker, space: Admissible, goal: float, forest: Forest, levels: Levels, fill: Vector, most: float = math.inf
    ) -> None:
        """`fill`: what the graph is thought to put in place of unknown values, shape (features,); checked before it is believed.
        `most`: features that may change, those that follow included."""
        self.checker, self.goal, self.forest, self.codes, self.most = checker, goal, forest, levels.sets.shape[1], most
        self.space = without_dead_ends(space)
        x = self.space.record.vector
        self.options = [np.sort(np.append(v, x[i])) if v.size else x[i : i + 1] for i, v in enumerate(self.space.values)]
        self.free = [i for i, o in enumerate(self.options) if len(o) > 1]
        self.own = np.array([int(np.flatnonzero((o == x[i]) | (np.isnan(o) & np.isnan(x[i])))[0]) for i, o in enumerate(self.options)])
        self.fill = np.where(np.isnan(x), fill, np.nan) if self._fills(fill) else np.full(len(x), np.nan)
        moved = moved_by(self.space)
        self.following = [self._following(i, sorted(moved[i] - {i})) for i in self.space.record.schema.moved_at]
        low, high, open_, _ = self._ends(np.array([[[0, len(o) - 1] for o in self.options]]))
        self.levels = levels.within(low, high, open_)

    def _fills(self, fill: Vector) -> bool:
        """Whether the classifier answers alike with the unknown values filled, on 64 random answers."""
        rng = np.random.default_rng(0)
        Y = np.stack([o[rng.integers(len(o), size=64)] for o in self.options], axis=1)
        filled = np.where(np.isnan(Y), fill, Y)
        return bool(np.abs(self.checker.p_target(Y) - self.checker.p_target(filled)).max() < SLACK)

    def _following(self, column: int, inputs: list[int]) -> tuple[int, list[int], Ends, Vector]:
        """A feature that follows: its column, the free features it follows, all their combinations and its value at each. Where
        they are too many, it is taken to follow nothing and to be anything."""
        schema, x = self.space.record.schema, self.space.record.vector
        sizes = [len(self.options[i]) for i in inputs]
        if math.prod(sizes) > FOLLOWED:
            return column, [], np.empty((2, 0), dtype=np.intp), np.array([-np.inf, np.inf])
        at = np.array(list(np.ndindex(*sizes)), dtype=np.intp).reshape(math.prod(sizes), len(inputs))
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
        Y = Y[rules.admitted(self.space, Y) & (measure.sparsity(x, Y) <= self.most)]
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
        must, x = ((self.own < boxes[:, :, 0]) | (self.own > boxes[:, :, 1])).sum(axis=1), self.space.record.vector
        for column, inputs, at, value in self.following:
            inside = ((at >= boxes[:, None, inputs, 0]) & (at <= boxes[:, None, inputs, 1])).all(axis=2)
            least, greatest = np.where(inside, value, np.inf).min(axis=1), np.where(inside, value, -np.inf).max(axis=1)
            empty |= ~inside.any(axis=1)
            if column in self.free:  # an effect of a cause: it follows only where nobody proposes it
                follows = (self.own[column] >= boxes[:, column, 0]) & (self.own[column] <= boxes[:, column, 1])
                low[:, column] = np.where(follows, np.minimum(low[:, column], least), low[:, column])
                high[:, column] = np.where(follows, np.maximum(high[:, column], greatest), high[:, column])
            else:
                low[:, column], high[:, column] = least, greatest
                must += (least > x[column] + EPSILON) | (greatest < x[column] - EPSILON)
        empty |= must > self.most
        low, high = (np.where(np.isnan(ends), self.fill, ends) for ends in (low, high))
        unknown = np.isnan(low)  # whatever the graph fills in, it lies between these
        low, high = np.where(unknown, -np.inf, low), np.where(unknown, np.inf, high)
        codes = np.arange(self.codes)
        return low, high, (codes >= low[:, :, None]) & (codes <= high[:, :, None]), empty
