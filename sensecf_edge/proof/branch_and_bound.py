"""Branch and bound over one record's lattice: is there an admissible answer that the forest takes to the goal?"""

from __future__ import annotations

import dataclasses
import heapq
import itertools
import math
from collections.abc import Iterator

import numpy as np

from ..judge.classifier import Checker
from ..judge.imputation import Imputed
from ..schema.feature import Vector
from ..schema.relation import INEQUALITY, Relation
from ..space import measure, rules
from ..space.admissible import Admissible, moved_by
from ..space.constraints import EPSILON
from .bounds import Ends, Levels, Mask
from .effort import ENDLESS, Effort
from .followers import Effect, Follower, Tabled
from .trees import Forest
from .views import Views

TOLERANCE = 1e-6
DRAWN, CHUNK = 64, 500
ENDS = -math.inf, math.inf
SETS = 200_000
"""Sets of features that are bounded one by one at the start; some seconds."""
BOX = 3_000
"""Units of work that a box takes beside one for each node of the forest that its bound looks at."""
FOLLOWED = 50_000
"""Combinations of values that are looked at for a feature that follows several."""


def without_dead_ends(space: Admissible) -> Admissible:
    """The space less those values that break a relation whatever else changes: nothing else can move a feature of it."""
    schema, x, values, moved = space.record.schema, space.record.vector, list(space.values), moved_by(space.record.schema, space.values)
    for relation in schema.relations:
        movable = set().union(*(moved[schema.index[name]] for name in relation.features))
        if len(movable) == 1:
            (i,) = movable
            Y = np.repeat(x[None, :], len(values[i]), axis=0)
            Y[:, i] = values[i]
            broken = rules.broken(space, rules.complete(schema, x, Y))
            for rule in (f"breaks {relation.sentence()}", *([f"{relation.completes} leaves its range"] if relation.completes else [])):
                if rule in broken:
                    values[i], broken = values[i][~broken[rule]], {name: mask[~broken[rule]] for name, mask in broken.items()}
    return dataclasses.replace(space, values=tuple(values))


class Search:
    """Branch and bound over one record's lattice: boxes of admissible values, split where that tightens the bound most."""

    def __init__(
        self, checker: Checker, space: Admissible, goal: float, forest: Forest, levels: Levels, fill: Vector, most: float = math.inf
    ) -> None:
        """`fill`: what the graph is thought to put in place of unknown values, shape (features,); checked before it is believed, and of
        no matter where the checker judges over completions. `most`: features that may change, those that follow included."""
        self.checker, self.goal, self.forest, self.codes, self.most = checker, goal, forest, levels.sets.shape[1], most
        self.space = without_dead_ends(space)
        x = self.space.record.vector
        self.options = [np.sort(np.append(v, x[i])) if v.size else x[i : i + 1] for i, v in enumerate(self.space.values)]
        self.free = [i for i, o in enumerate(self.options) if len(o) > 1]
        self.own = np.array([int(np.flatnonzero((o == x[i]) | (np.isnan(o) & np.isnan(x[i])))[0]) for i, o in enumerate(self.options)])
        over = checker if isinstance(checker, Imputed) else None
        self.fill = np.where(np.isnan(x), fill, np.nan) if not over and self._fills(fill) else np.full(len(x), np.nan)
        followers = self.space.record.schema.followers
        self.following = [self._following(name, relations, x) for name, relations in followers]
        self.ordered = [self._ordered(relation) for relation in self.space.record.schema.relations if relation.holds == INEQUALITY]
        self.whole = np.array([[0, len(o) - 1] for o in self.options])
        moving = over.moving if over else np.empty((0, len(x)))
        self.inside = [[self._following(name, relations, row, ENDS) for name, relations in followers] for row in moving]
        low, high, open_, _ = self._ends(self.whole[None])
        self.views = Views.over(levels, low, high, open_, over) if over else Views.one(levels.within(low, high, open_))
        self.effort, self.drawn = ENDLESS, DRAWN // 8 if over else DRAWN
        self.answer: Vector | None = None

    def _fills(self, fill: Vector) -> bool:
        """Whether the classifier answers alike with the unknown values filled, on 64 random answers; not asked where all is known."""
        if not np.isnan(self.space.record.vector).any():
            return True
        rng = np.random.default_rng(0)
        Y = np.stack([o[rng.integers(len(o), size=64)] for o in self.options], axis=1)
        filled = np.where(np.isnan(Y), fill, Y)
        return bool(np.abs(self.checker.p_target(Y) - self.checker.p_target(filled)).max() < TOLERANCE)

    def _following(self, name: str, relations: tuple[Relation, ...], x: Vector, limits: tuple[float, float] | None = None) -> Follower:
        """How the ends of a feature that follows come from those of others: of an effect by arithmetic, of any other by a table. `x`: the
        record, or a completion of it, which no limits bind."""
        space, schema = self.space, self.space.record.schema
        column = schema.index[name]
        limits = limits or rules.limits(space, column, x[column])
        if relations[0].kind == "causes":
            causes = [schema.index[r.features[0]] for r in relations]
            return Effect(column, limits, x, causes, np.array([r.slope for r in relations]))
        inputs = sorted(moved_by(schema, space.values)[column] - {column})
        sizes = [len(self.options[i]) for i in inputs]
        if math.prod(sizes) > FOLLOWED:
            return Tabled(column, limits, [], np.empty((2, 0), dtype=np.intp), np.array([-np.inf, np.inf]))
        at = np.array(list(np.ndindex(*sizes)), dtype=np.intp).reshape(math.prod(sizes), len(inputs))
        Y = np.repeat(x[None, :], len(at), axis=0)
        for k, i in enumerate(inputs):
            Y[:, i] = self.options[i][at[:, k]]
        return Tabled(column, limits, inputs, at, rules.complete(schema, x, Y)[:, column])

    def _ordered(self, relation: Relation) -> tuple[int, int, Relation, float]:
        """Two columns, their order, and by how much it may be broken: as much as it is. NaN, and no limit, where one is unknown."""
        i, j = (self.space.record.schema.index[name] for name in relation.features)
        x = self.space.record.vector
        return i, j, relation, float(np.maximum(0.0, x[i] - relation.most(x[j]))) + EPSILON

    def exists(self, effort: Effort) -> bool | None:
        """True with an answer found, which `answer` then is, False where none can be, None where the effort was spent first."""
        waiting, count, self.effort = list[tuple[float, int, Ends]](), itertools.count(), effort
        if not self._may(float(self._bounds(self.whole[None])[0])):
            return False
        for boxes in self._starts():
            if effort.over:
                return None
            waiting += [(-bound, next(count), box) for bound, box in zip(self._bounds(boxes), boxes, strict=True) if self._may(bound)]
        heapq.heapify(waiting)
        while waiting:
            if effort.over:
                return None
            _, _, box = heapq.heappop(waiting)
            if self._met(box):
                return True
            for bound, child in self._split(box):
                if self._may(bound):
                    heapq.heappush(waiting, (-bound, next(count), child))
        return False

    def _may(self, bound: float) -> bool:
        return bound >= self.forest.floor - TOLERANCE

    def _starts(self) -> Iterator[Ends]:
        """Boxes that hold all answers between them, by the chunk: one for each set of as many features as may change, because
        the others then stand still and bounds are tight; the whole lattice where there are too many sets."""
        size = min(self.space.max_changes, len(self.free))
        if math.comb(len(self.free), size) > SETS:
            yield self.whole[None]
            return
        sets = itertools.combinations(self.free, size)
        while part := list(itertools.islice(sets, CHUNK)):
            at = np.array(part, dtype=np.intp).reshape(len(part), size)
            boxes = np.repeat(np.stack([self.own, self.own], axis=1)[None], len(part), axis=0)
            boxes[np.arange(len(part))[:, None], at] = self.whole[at]
            yield boxes

    def _met(self, box: Ends) -> bool:
        """Whether one of some points of the box, its corners among them, is an answer. What need not change stays as it is for all
        but as many features as may."""
        x, schema = self.space.record.vector, self.space.record.schema
        rng = np.random.default_rng(int(box.sum()))
        at = np.concatenate([box.T, rng.integers(box[:, 0], box[:, 1] + 1, size=(self.drawn - 2, len(box)))])
        may = (self.own >= box[:, 0]) & (self.own <= box[:, 1])
        order = np.where(may, rng.random(at.shape), -1.0).argsort(axis=1).argsort(axis=1)
        at = np.where(may & (order >= self.space.max_changes), self.own, at)
        Y = rules.complete(schema, x, np.stack([o[at[:, i]] for i, o in enumerate(self.options)], axis=1))
        Y = Y[rules.admitted(self.space, Y) & (measure.sparsity(x, Y) <= self.most)]
        good = np.flatnonzero(self.checker.p_target(Y) >= self.goal)
        self.answer = Y[good[0]] if good.size else None
        return self.answer is not None

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
        best = int(np.maximum(bounds - self.forest.floor, 0).sum(axis=1).argmin())
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
        self.effort.spend(len(boxes) * (BOX + len(self.views.levels.value)))
        low, high, open_, empty = self._ends(boxes)
        return np.where(empty, -np.inf, self.forest.base + self.views.upper(low, high, open_))

    def _ends(self, boxes: Ends) -> tuple[Vector, Vector, Mask, Mask]:
        """Ends of numbers and open choices of each box, as `Levels.upper` takes them, and whether a box holds no answer."""
        empty: Mask = np.any(boxes[:, :, 0] > boxes[:, :, 1], axis=1)
        boxes = np.where(empty[:, None, None], 0, boxes)
        low = np.stack([o[boxes[:, i, 0]] for i, o in enumerate(self.options)], axis=1)
        high = np.stack([o[boxes[:, i, 1]] for i, o in enumerate(self.options)], axis=1)
        must, x = ((self.own < boxes[:, :, 0]) | (self.own > boxes[:, :, 1])).sum(axis=1), self.space.record.vector
        for follower in self.following:
            column, (least, greatest, nowhere) = follower.column, follower.ends(boxes, low, high)
            if column in self.free:  # an effect of a cause: it follows only where nobody proposes it
                own = (self.own[column] >= boxes[:, column, 0]) & (self.own[column] <= boxes[:, column, 1])
                follows = own & ~nowhere
                empty |= own & nowhere & (boxes[:, column, 0] == boxes[:, column, 1])
                low[:, column] = np.where(follows, np.minimum(low[:, column], least), low[:, column])
                high[:, column] = np.where(follows, np.maximum(high[:, column], greatest), high[:, column])
            else:
                empty |= nowhere
                low[:, column], high[:, column] = least, greatest
                must += (least > x[column] + EPSILON) | (greatest < x[column] - EPSILON)
        empty |= must > self.most
        for i, j, relation, gap in self.ordered:
            empty |= low[:, i] > np.maximum(relation.most(low[:, j]), relation.most(high[:, j])) + gap
        for of_one in self.inside:
            self._widen(boxes, low, high, of_one)
        low, high = (np.where(np.isnan(ends), self.fill, ends) for ends in (low, high))
        unknown = np.isnan(low)  # whatever the graph fills in, it lies between these
        low, high = np.where(unknown, -np.inf, low), np.where(unknown, np.inf, high)
        codes = np.arange(self.codes)
        return low, high, (codes >= low[:, :, None]) & (codes <= high[:, :, None]), empty

    def _widen(self, boxes: Ends, low: Vector, high: Vector, followers: list[Follower]) -> None:
        """Ends of what follows widened, in place, by where it goes in a completion: relations that read what is unknown move it there."""
        near, far = low.copy(), high.copy()
        for follower in followers:
            column, (least, greatest, _) = follower.column, follower.ends(boxes, near, far)
            near[:, column], far[:, column] = np.fmin(near[:, column], least), np.fmax(far[:, column], greatest)
        np.fmin(low, near, out=low)
        np.fmax(high, far, out=high)
