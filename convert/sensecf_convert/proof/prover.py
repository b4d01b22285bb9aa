"""Whether any admissible answer exists at all: the whole lattice tried, or, on trees, ruled out by branch and bound.

"None found" says something about a method, "none exists" about a person and a classifier. Only the second excuses. The same
holds for "three features changed" and "no answer changes fewer".
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sensecf_edge.judge.classifier import Checker
from sensecf_edge.schema.feature import Vector
from sensecf_edge.space import measure, rules
from sensecf_edge.space.admissible import Admissible

from ..classifier import trees
from ..classifier.trees import Forest
from ..table.cohort import Cohort
from .bounds import Levels
from .branch_and_bound import Search, without_dead_ends
from .effort import ENDLESS, Effort

EXHAUSTIVE = 30_000_000
CHUNK = 50_000


def highest(
    checker: Checker, space: Admissible, goal: float, effort: Effort = ENDLESS, most: float = math.inf, each: float = 1.0
) -> float | None:
    """The highest p that any admissible answer reaches that changes at most `most` features, those that follow included.
    Stops early at the goal.

    None where there are more than 30 million combinations to try, or the effort is spent; a row costs `each` units.
    """
    schema, x = space.record.schema, space.record.vector
    space = without_dead_ends(space)
    if combinations(space) > EXHAUSTIVE:
        return None
    best = 0.0
    for Y in every_answer(space):
        effort.spend(each * len(Y))
        Y = rules.complete(schema, x, Y)
        Y = Y[rules.admitted(space, Y) & (measure.sparsity(x, Y) <= most)]
        best = max(best, float(checker.p_target(Y).max(initial=0.0)))
        if best >= goal:
            break
        if effort.over:
            return None
    return best


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


ROW, ROW_BYTES = 10.0, 2_000.0
"""Units of work that a row takes on any graph, and bytes of a graph that take one more: large graphs are slow."""


def summed(counts: Sequence[int], proven: Sequence[Fewest]) -> dict[str, Any]:
    """How few features answers that change `counts` must change.

    answers  such records
    proven   of those, how many have a proven figure: so many are enough, fewer are not
    mean     the mean; a record without a proven figure counts as what is proven so far, so the true mean is no lower. None where
             nothing was proven
    more     answers that change more than the proven figure
    """
    exact = sum(f.exact for f in proven)
    return {
        "answers": len(proven),
        "proven": exact,
        "mean": round(sum(f.least for f in proven) / len(proven), 4) if exact else None,
        "more": sum(f.exact and n > f.least for n, f in zip(counts, proven, strict=True)),
    }


class Prover:
    """Says for any record whether an answer exists. Trees are taken from the ONNX graph where it holds any.

    `train`: what the graph puts in place of unknown values is guessed from these rows, and checked. `column`: which of the graph's
    outputs the wanted class is.
    """

    def __init__(self, checker: Checker, graph: bytes, train: Cohort, column: int = 1) -> None:
        self.checker, self.graph, self.schema, self.column = checker, graph, train.schema, column
        self.complete = train.X[~np.isnan(train.X).any(axis=1)][:500]
        self.fill = np.array(
            [_middle(f.kind, column[~np.isnan(column)]) for f, column in zip(train.schema.features, train.X.T, strict=True)]
        )
        self._known: dict[tuple[float | bytes, ...], bool] = {}
        self._forests: dict[float, tuple[Forest, Levels] | None] = {}

    def reaches(self, space: Admissible, goal: float, effort: Effort, most: float = math.inf) -> bool | None:
        """Whether some admissible answer reaches the goal that changes at most `most` features, those that follow included. None
        where the effort was spent before that was known. What is known is remembered."""
        name = (goal, most, space.max_changes, space.record.vector.tobytes(), *(values.tobytes() for values in space.values))
        if name not in self._known and (found := self._prove(space, goal, effort, most)) is not None:
            self._known[name] = found
        return self._known.get(name)

    def fewest(self, space: Admissible, goal: float, effort: Effort, known: int) -> Fewest:
        """The fewest features that an answer at the goal must change, where `known` are enough: an answer at hand shows that."""
        for most in range(1, known):
            few = dataclasses.replace(space, max_changes=min(most, space.max_changes))
            reached = self.reaches(few, goal, effort, most)
            if reached is not False:
                return Fewest(most, exact=bool(reached))
        return Fewest(known, exact=True)

    def _prove(self, space: Admissible, goal: float, effort: Effort, most: float) -> bool | None:
        forest = self._forest(goal)
        if forest is not None:
            return Search(self.checker, space, goal, *forest, self.fill, most).exists(effort)
        top = highest(self.checker, space, goal, effort, most, ROW + len(self.graph) / ROW_BYTES)
        return None if top is None else top >= goal

    def _forest(self, goal: float) -> tuple[Forest, Levels] | None:
        if goal not in self._forests:
            try:
                forest = trees.read(self.graph, self.schema, self.column, goal, self.complete)
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
