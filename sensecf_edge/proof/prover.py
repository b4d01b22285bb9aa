"""Whether any admissible answer exists at all: ruled out by branch and bound on trees, or the whole lattice tried.

"None found" says something about a method, "none exists" about a person and a classifier. Only the second excuses.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..judge.classifier import Checker
from ..judge.imputation import Imputed
from ..schema.feature import Feature, Vector
from ..schema.schema import Schema
from ..space.admissible import Admissible
from . import trees
from .bounds import Levels
from .branch_and_bound import Search
from .effort import Effort
from .every import best_of_all, combinations

ROW, ROW_BYTES = 10.0, 2_000.0
"""Units of work that a row takes on any graph, and bytes of a graph that take one more: large graphs are slow."""
ROWS = 500
"""Rows that the trees are held against."""


class Sought(NamedTuple):
    """Whether an answer exists, None where the effort was spent before that was known; and one, where one was met."""

    exists: bool | None
    answer: Vector | None = None


class Prover:
    """Says for any record whether an answer exists. Trees are taken from the ONNX graph where it holds any.

    `people` gives some, shape (rows, features), real or made up: what the graph puts in place of unknown values is guessed from them,
    and checked. `column`: which of the graph's outputs the wanted class is. `patient`: try all answers of a space without trees even
    if the effort may end before.
    """

    patient = False

    def __init__(self, checker: Checker, graph: bytes, schema: Schema, people: Callable[[], Vector], column: int = 1) -> None:
        self.checker, self.graph, self.schema, self.column, self.people = checker, graph, schema, column, people
        self._known: dict[tuple[object, ...], Sought] = {}
        self._forests: dict[float, trees.Forest | None] = {}

    def reaches(self, space: Admissible, goal: float, effort: Effort, most: float = math.inf) -> bool | None:
        """Whether some admissible answer reaches the goal that changes at most `most` features, those that follow included. None
        where the effort was spent before that was known. What is known is remembered."""
        name = (goal, most, space.max_changes, space.record.vector.tobytes(), *(values.tobytes() for values in space.values))
        if name not in self._known and (found := self.seek(space, goal, effort, most)).exists is not None:
            self._known[name] = found
        return self._known[name].exists if name in self._known else None

    def seek(self, space: Admissible, goal: float, effort: Effort, most: float = math.inf, ask: Checker | None = None) -> Sought:
        """As `reaches`, with the answer that shows it; nothing is remembered. The space's schema may allow more than the prover's own.
        `ask`: the same classifier, where somebody counts what it is asked, or where it judges over completions."""
        forest, ask, each = self._forest(goal), ask or self.checker, ROW + len(self.graph) / ROW_BYTES
        each *= len(ask.rows) if isinstance(ask, Imputed) else 1
        if forest is not None:
            search = Search(ask, space, goal, forest, self.levels, self.fill, most)
            return Sought(search.exists(effort), search.answer)
        if not self.patient and combinations(space) * each > effort.left:
            return Sought(None)
        best = best_of_all(ask, space, goal, effort, most, each)
        if best is None:
            return Sought(None)
        return Sought(True, best[1]) if best[0] >= goal else Sought(False)

    @cached_property
    def complete(self) -> Vector:
        """People of whom all is known, shape (rows, features)."""
        X = self.people()
        return X[~np.isnan(X).any(axis=1)][:ROWS]

    @cached_property
    def fill(self) -> Vector:
        """What the graph may put in place of each unknown value, shape (features,)."""
        pairs = zip(self.schema.features, self.people().T, strict=True)
        return np.array([_middle(f, held[~np.isnan(held)]) for f, held in pairs])

    @cached_property
    def reading(self) -> trees.Reading | None:
        """The trees of the graph; None where it holds none that can be read."""
        try:
            return trees.read(self.graph, self.schema, self.column, self.complete) if len(self.complete) else None
        except trees.NoTreesError:
            return None

    @cached_property
    def levels(self) -> Levels:
        """The same as arrays."""
        assert self.reading is not None
        return Levels.of(self.reading.trees, max([1, *(len(f.choices) for f in self.schema.features)]))

    def _forest(self, goal: float) -> trees.Forest | None:
        if goal not in self._forests:
            try:
                self._forests[goal] = self.reading.forest(goal) if self.reading else None
            except trees.NoTreesError:
                self._forests[goal] = None
        return self._forests[goal]


def _middle(feature: Feature, known: Vector) -> float:
    """The median of a number, the most frequent code of a choice."""
    if not known.size:
        return float("nan")
    return float(np.median(known)) if feature.kind == "number" else float(np.bincount(known.astype(int)).argmax())
