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
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensecf_edge import rules
from sensecf_edge.admissible import Admissible
from sensecf_edge.check import Checker
from sensecf_edge.schema import Vector

from .compare import trees
from .compare.trees import Forest
from .tables import Cohort

EXHAUSTIVE = 30_000_000
CHUNK = 50_000
SLACK = 1e-6
Ends = NDArray[np.intp]


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
        top = highest(self.checker, space, goal, until)
        if top is not None:
            return top >= goal
        forest = self._forest(goal)
        return None if forest is None else Search(self.checker, space, goal, *forest, self.fill).exists(until)

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


@dataclass(frozen=True)
class Levels:
    """A forest's nodes as arrays, children behind parents. A split sends values up to `last` (float32) to `left`.

    Choices are split by a table: `sets[k, code]` says whether the code goes left; `of_set` is k, -1 for numbers.
    """

    feature: Ends
    last: NDArray[np.float32]
    of_set: Ends
    sets: NDArray[np.bool_]
    left: Ends
    right: Ends
    value: Vector
    depths: list[Ends]
    roots: Ends

    @classmethod
    def of(cls, forest: Forest, codes: int) -> Levels:
        """From plain nodes; `codes` is the largest number of choices of any feature."""
        offset, rows, sets, roots = 0, list[tuple[float, ...]](), list[list[bool]](), list[int]()
        depths: list[list[int]] = []
        for tree in forest.trees:
            roots.append(offset)
            depth = {0: 0}
            for k, node in enumerate(tree):
                while len(depths) <= depth[k]:
                    depths.append([])
                depths[depth[k]].append(offset + k)
                if "value" in node:
                    rows.append((-1, 0, -1, 0, 0, node["value"]))
                    continue
                depth[node["left"]] = depth[node["right"]] = depth[k] + 1
                last, of_set = 0.0, -1
                if "codes" in node:
                    of_set = len(sets)
                    sets.append([code in node["codes"] for code in range(codes)])
                else:
                    last = np.float32(node["threshold"])
                    last = float(last if node["op"] == "le" else np.nextafter(last, np.float32(-np.inf)))
                rows.append((node["feature"], last, of_set, offset + node["left"], offset + node["right"], 0.0))
            offset += len(tree)
        feature, last32, of, left, right, value = (np.array(column) for column in zip(*rows, strict=True))
        whole = [np.array(d, dtype=np.intp) for d in depths]
        table = np.array(sets, dtype=bool).reshape(-1, codes)
        return cls(feature.astype(np.intp), last32.astype(np.float32), of.astype(np.intp), table, left.astype(np.intp),
                   right.astype(np.intp), value, whole, np.array(roots))  # fmt: skip

    def upper(self, low: Vector, high: Vector, open_: NDArray[np.bool_]) -> Vector:
        """An upper bound of the forest's sum over each box, shape (boxes,): every tree takes its best leaf that the box meets.

        `low`, `high`: ends of the numbers, shape (boxes, features); `open_`: choices, shape (boxes, features, codes).
        """
        best = np.empty((len(self.value), len(low)))
        low32, high32 = low.astype(np.float32), high.astype(np.float32)
        for nodes in reversed(self.depths):
            best[nodes] = self.value[nodes, None]
            inner = nodes[self.feature[nodes] >= 0]
            f = self.feature[inner]
            left, right = (low32[:, f] <= self.last[inner]).T, (high32[:, f] > self.last[inner]).T
            chosen = np.flatnonzero(self.of_set[inner] >= 0)
            if chosen.size:
                may, goes = open_[:, f[chosen]], self.sets[self.of_set[inner[chosen]]]
                left[chosen], right[chosen] = (may & goes).any(axis=2).T, (may & ~goes).any(axis=2).T
            best[inner] = np.maximum(np.where(left, best[self.left[inner]], -np.inf), np.where(right, best[self.right[inner]], -np.inf))
        return np.asarray(best[self.roots].sum(axis=0))


class Search:
    """Branch and bound over one record's lattice: boxes of admissible values, split where that tightens the bound most."""

    def __init__(self, checker: Checker, space: Admissible, goal: float, forest: Forest, levels: Levels, fill: Vector) -> None:
        """`fill`: what the graph is thought to put in place of unknown values, shape (features,); checked before it is believed."""
        self.checker, self.goal, self.forest, self.levels = checker, goal, forest, levels
        self.space = without_dead_ends(space)
        x = self.space.record.vector
        self.options = [np.sort(np.append(v, x[i])) if v.size else x[i : i + 1] for i, v in enumerate(self.space.values)]
        self.free = [i for i, o in enumerate(self.options) if len(o) > 1]
        self.fill = np.where(np.isnan(x), fill, np.nan) if self._fills(fill) else np.full(len(x), np.nan)
        self.following = [self._following(r) for r in self.space.record.schema.following]

    def _fills(self, fill: Vector) -> bool:
        """Whether the classifier answers alike with the unknown values filled, on 64 random answers."""
        rng = np.random.default_rng(0)
        Y = np.stack([o[rng.integers(len(o), size=64)] for o in self.options], axis=1)
        filled = np.where(np.isnan(Y), fill, Y)
        return bool(np.abs(self.checker.p_target(Y) - self.checker.p_target(filled)).max() < SLACK)

    def _following(self, relation: object) -> tuple[int, list[int], NDArray[np.intp], Vector]:
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
        """Whether a corner or the middle of the box is an answer."""
        x, schema = self.space.record.vector, self.space.record.schema
        corners = np.array([box[:, 0], box[:, 1], box.mean(axis=1).round().astype(int)])
        rng = np.random.default_rng(int(box.sum()))
        drawn = rng.integers(box[:, 0], box[:, 1] + 1, size=(61, len(box)))
        at = np.concatenate([corners, drawn])
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
                halves.append(half)
        bounds = self._bounds(np.array(halves)).reshape(-1, 2)
        best = int(np.maximum(bounds - self.forest.goal, 0).sum(axis=1).argmin())
        return [(float(bounds[best, k]), halves[2 * best + k]) for k in (0, 1)]

    def _bounds(self, boxes: Ends) -> Vector:
        low = np.stack([o[boxes[:, i, 0]] for i, o in enumerate(self.options)], axis=1)
        high = np.stack([o[boxes[:, i, 1]] for i, o in enumerate(self.options)], axis=1)
        empty = np.zeros(len(boxes), dtype=bool)
        for column, inputs, at, value in self.following:
            inside = ((at >= boxes[:, None, inputs, 0]) & (at <= boxes[:, None, inputs, 1])).all(axis=2)
            low[:, column] = np.where(inside, value, np.inf).min(axis=1)
            high[:, column] = np.where(inside, value, -np.inf).max(axis=1)
            empty |= ~inside.any(axis=1)
        low, high = (np.where(np.isnan(ends), self.fill, ends) for ends in (low, high))
        unknown = np.isnan(low)  # whatever the graph fills in, it lies between these
        low, high = np.where(unknown, -np.inf, low), np.where(unknown, np.inf, high)
        codes = np.arange(self.levels.sets.shape[1])
        open_ = (codes >= low[:, :, None]) & (codes <= high[:, :, None])
        return np.where(empty, -np.inf, self.forest.base + self.levels.upper(low, high, open_))
