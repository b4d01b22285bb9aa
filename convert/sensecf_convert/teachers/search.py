"""Sparse search with margin: all single changes, then the most promising sets of two, made of the best changes of each feature, and so on.

At the first depth that reaches the goal the cheapest answer is taken and refined. The goal is stricter than the runtime's, so
that what a generator gets slightly wrong is still valid.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from sensecf_edge.judge.objective import Judge, score
from sensecf_edge.schema.feature import Vector
from sensecf_edge.search.coarse import Places
from sensecf_edge.search.refine import moves, refine
from sensecf_edge.space import measure
from sensecf_edge.space.admissible import Admissible

from .lesson import NOBODY, Lesson
from .people import Drawn, People
from .sparsify import realistic

BEAM, EACH = 4, 6
"""Sets that are made larger at each depth, and changes of each feature that they are made larger by: those that alone raise the
probability most. All changes of eight sets take twice as long, for answers that cost 0.1 % less."""


@dataclass
class Search:
    """The answer is looked for on the whole lattice; invented people are asked about."""

    lesson: Lesson
    judge: Judge
    name: str = field(default="search", init=False)
    _people: People | None = field(default=None, init=False)

    def people(self, count: int, rng: np.random.Generator) -> Drawn:
        """Invented people."""
        self._people = self._people or People(self.lesson.rows())
        return self._people.invented(count, rng)

    def answer(self, space: Admissible, person: str = NOBODY) -> Vector | None:
        """See `search`; None as well for an answer below the lesson's floor of realism."""
        y = search(self.judge, space, self.lesson.goals)
        return y if y is not None and realistic(self.judge, space, y[None], self.lesson.floor)[0] else None


def search(judge: Judge, space: Admissible, goals: tuple[float, ...]) -> Vector | None:
    """The cheapest answer at the smallest depth that reaches the first goal, refined; shape (features,).

    Where no depth reaches it, the likeliest candidate seen is refined towards the highest goal that it does reach;
    None where it reaches none. A beam search: exhaustive over single changes, not beyond.
    """
    states, start, top, places = space.record.vector[None, :], space.record.vector, 0.0, None
    judge, before = replace(judge, goal=goals[0]), float(judge.checker.p_target(states)[0])
    for depth in range(1, space.max_changes + 1):
        tried = score(judge, space, np.concatenate([moves(space, y, places) for y in states]))
        if not len(tried.Y):
            break
        if tried.passed.any():
            start, top = tried.Y[tried.key.argmin()], goals[0]
            break
        if tried.p.max() > top:
            start, top = tried.Y[tried.p.argmax()], float(tried.p.max())
        places = _best_of_each(space, tried.p) if places is None else places
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


def _best_of_each(space: Admissible, p: Vector) -> Places:
    """The places in `Admissible.targets` of the changes of each feature that lead to the highest p, shape (places,), where p, shape
    (changes,), is that of every single change."""
    columns, values = space.targets
    singles = np.flatnonzero(space.record.vector[columns] != values)
    best = singles[np.argsort(-p, kind="stable")]
    return np.concatenate([best[columns[best] == i][:EACH] for i in space.features])


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
