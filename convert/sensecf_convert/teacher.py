"""Pairs to learn from: invented people in the unwanted class, each with a sparse, near, realistic way out.

The people are invented from training rows only. The way out is found by searching the lattice: all single changes, then
the most promising sets of two, and so on; at the first depth that reaches the goal the cheapest answer is taken and
refined. The goal is stricter than the runtime's, so that what a generator gets slightly wrong is still valid.
"""

from __future__ import annotations

import itertools
import multiprocessing
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sensecf_edge import measure, rules
from sensecf_edge.admissible import Admissible, Constraints, admissible
from sensecf_edge.check import OnnxChecker, OnnxRealism
from sensecf_edge.errors import ConstraintError
from sensecf_edge.record import Record
from sensecf_edge.refine import Judge, moves, refine, score
from sensecf_edge.schema import Schema, Vector

from .tables import Cohort

BEAM = 8
CHUNK = 64


@dataclass(frozen=True)
class Lesson:
    """What a worker needs to teach: models as bytes, goals from the strictest down, the largest number of changes."""

    schema: Schema
    classifier: bytes
    realism: bytes
    quantiles: list[float]
    threshold: float
    goals: tuple[float, ...]
    max_changes: int

    def judge(self) -> Judge:
        """A judge with sessions of its own, for the first goal."""
        size = len(self.schema)
        return Judge(OnnxChecker(self.classifier, size, wanted=1), OnnxRealism(self.realism, size, self.quantiles), self.goals[0])


def search(judge: Judge, space: Admissible, goals: tuple[float, ...]) -> Vector | None:
    """The cheapest answer at the smallest depth that reaches the first goal, refined; shape (features,).

    Where no depth reaches it, the likeliest candidate seen is refined towards the highest goal that it does reach;
    None where it reaches none. A beam search: exhaustive over single changes, not beyond.
    """
    states, start, top = space.record.vector[None, :], space.record.vector, 0.0
    judge, before = replace(judge, goal=goals[0]), float(judge.checker.p_target(states)[0])
    for depth in range(1, space.max_changes + 1):
        tried = score(judge, space, np.concatenate([moves(space, y) for y in states]))
        if tried.passed.any():
            start, top = tried.Y[tried.key.argmin()], goals[0]
            break
        if tried.p.max() > top:
            start, top = tried.Y[tried.p.argmax()], float(tried.p.max())
        states = _beam(space, tried.Y, tried.p)
        # Gains shrink with depth: one that would have to grow to reach the lowest goal is not worth the search.
        if not len(states) or top + (space.max_changes - depth) * max(0.0, top - before) < goals[-1]:
            break
        before = top
    reached = [goal for goal in goals if goal <= top]
    if not reached:
        return None
    out: Vector = refine(replace(judge, goal=reached[0]), space, start[None, :]).Y[0]
    return out


def _beam(space: Admissible, Y: Vector, p: Vector) -> Vector:
    """The most promising candidates, at most two for each set of changed features."""
    changed = measure.changed(space.record.vector, Y)
    kept: list[int] = []
    taken: dict[bytes, int] = {}
    for i in np.argsort(-p, kind="stable"):
        name = changed[i].tobytes()
        if p[i] > 0 and taken.get(name, 0) < 2:
            taken[name] = taken.get(name, 0) + 1
            kept.append(int(i))
        if len(kept) == BEAM:
            break
    return Y[kept]


def invent(data: Cohort, count: int, rng: np.random.Generator) -> Vector:
    """`count` people made from training rows, shape (count, features): mixes of two rows, columns swapped, noise added.

    A third are blends of two rows, a third take each feature from one of two, a third are single rows with noise.
    Unknown values come along with the rows; features that follow others are computed again.
    """
    schema = data.schema
    numbers = np.array([f.kind == "number" for f in schema.features])
    a, b = (data.X[rng.integers(len(data), size=count)] for _ in range(2))
    style = rng.integers(3, size=(count, 1))
    share = rng.random((count, 1))
    blend = np.where(np.isnan(a) | np.isnan(b), a, share * a + (1 - share) * np.nan_to_num(b))
    swap = np.where(rng.random(a.shape) < rng.random((count, 1)), b, a)
    X = np.where(style == 0, np.where(numbers, blend, swap), np.where(style == 1, swap, a))
    X = np.where(numbers, X + rng.normal(0, 0.06, X.shape) * np.nanstd(data.X, axis=0) * (style != 1), X)
    low = np.array([f.reference[0] if f.reference else 0 for f in schema.features])
    high = np.array([f.reference[1] if f.reference else len(f.choices) - 1 for f in schema.features])
    return settle(schema, np.clip(X, low, high))


def settle(schema: Schema, X: Vector) -> Vector:
    """X with whole steps kept where a feature has them and completed features computed; rows that cannot be are dropped."""
    X = X.copy()
    for i, feature in enumerate(schema.features):
        if feature.step and float(feature.step).is_integer():
            X[:, i] = np.round(X[:, i])
    keep = np.ones(len(X), dtype=bool)
    for relation in schema.relations:
        if relation.completes:
            i = schema.index[relation.completes]
            expected = rules.expected(schema, relation, X)
            X[:, i] = np.where(np.isnan(expected), X[:, i], np.round(expected, 6))
            feature = schema.features[i]
            keep &= ~((X[:, i] < (feature.low or 0)) | (X[:, i] > (feature.high or 0)))
    return X[keep]


def answer(lesson: Lesson, judge: Judge, record: Record) -> Vector | None:
    """The lesson's answer for one record, shape (features,); None where nothing may change or no goal is reached."""
    try:
        space = admissible(record, Constraints(max_changes=lesson.max_changes))
    except ConstraintError:
        return None
    return search(judge, space, lesson.goals)


_lesson: tuple[Lesson, Judge] | None = None


def _open(lesson: Lesson) -> None:
    global _lesson
    _lesson = (lesson, lesson.judge())


def _teach(X: Vector) -> list[tuple[Vector, Vector]]:
    """Pairs (factual, counterfactual) for those rows of X that are unwanted and have an answer."""
    assert _lesson is not None
    lesson, judge = _lesson
    out = []
    for x in X[judge.checker.p_target(X) < lesson.threshold]:
        y = answer(lesson, judge, Record(lesson.schema, x))
        if y is not None:
            out.append((x, y))
    return out


def teach(lesson: Lesson, data: Cohort, seed: int, jobs: int, skip: int = 0) -> Iterator[list[tuple[Vector, Vector]]]:
    """Endless chunks of pairs, from chunk `skip` on; what chunk k holds depends on (seed, k) alone.

    Close the iterator to stop the workers.
    """
    context: Any = multiprocessing.get_context("spawn")
    chunks = itertools.count(skip)

    def people() -> Vector:
        return invent(data, CHUNK, np.random.default_rng((seed, next(chunks))))

    with context.Pool(jobs, initializer=_open, initargs=(lesson,)) as pool:
        waiting = deque(pool.apply_async(_teach, (people(),)) for _ in range(4 * jobs))
        while True:
            waiting.append(pool.apply_async(_teach, (people(),)))
            yield waiting.popleft().get()
