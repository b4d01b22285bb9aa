"""What every method of the study is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.errors import SenseCFError
from sensecf_edge.schema.feature import Vector

from ..table.cohort import Cohort, folds_by_person
from ..work import Work, alone
from . import rows
from .relaxed import towards_class
from .training import SHORT, Effort, train_bundle

FOLDS = 5
UNWILLING = "it makes no row here"


@dataclass(frozen=True)
class Remaining:
    """What a method is given: the rows that are left (y: positive), the class it makes rows of, chance, and a folder. No more than whoever
    has these rows has: that there were others once, it is not told.

    directions  which way each feature leads to the positive class, shape (features,): 1 up, -1 down, 0 not stated
    unlabelled  people whose labels were taken away (its y says nothing), where both classes lost some: else having no label would tell
                the class
    elsewhere   another table's labelled rows, of the same columns, or None
    bundles     holds the checker and generator once they are trained
    """

    data: Cohort
    made: str
    seed: int
    work: Path
    checker: str
    effort: Effort = SHORT
    ratio: float = 1.0
    directions: Vector = field(default_factory=lambda: np.zeros(0))
    unlabelled: Cohort | None = None
    elsewhere: Cohort | None = None
    bundles: dict[str, Bundle] = field(default_factory=dict)

    @property
    def towards(self) -> Cohort:
        """The rows with y true for the class that is made."""
        return towards_class(self.data, self.made)

    @property
    def wanting(self) -> int:
        """How many rows bring that class to `ratio` times the other: what `augment` makes."""
        y = self.towards.y
        return max(0, round(self.ratio * int((~y).sum())) - int(y.sum()))

    def bundle(self) -> Bundle:
        """The checker and generator for rows of the class, trained once: also where several methods share the folder."""
        if self.made not in self.bundles:
            work = Work(self.work)
            with alone(work / "lock"):
                self.bundles[self.made] = train_bundle(self.towards, self.effort, work, self.seed, self.checker, lambda _: None)
        return self.bundles[self.made]

    def folds(self) -> list[tuple[Remaining, NDArray[np.intp]]]:
        """The rows of some people, and the numbers of those that belong to the others, shape (rows,): everybody is left out once.

        Nothing that a fold makes or learns has seen the people left out; its generator is taught anew.
        """
        divided = folds_by_person(self.data.persons, self.data.y, FOLDS, self.seed)
        return [(self._without(test, train, self.work / f"fold-{at}"), test) for at, (train, test) in enumerate(divided)]

    def _without(self, away: NDArray[np.intp], rest: NDArray[np.intp], work: Path) -> Remaining:
        pool = self.unlabelled
        if pool is not None:  # a person may have rows with a label and rows without
            pool = pool.take(~np.isin(pool.persons, self.data.persons[away]))
        return replace(self, data=self.data.take(rest), work=work, unlabelled=pool, bundles={})


@dataclass(frozen=True)
class Added:
    """Rows that join the real ones: codes X, shape (rows, features), y true for the positive class; `distinct` counts those that are
    not repeated. `weights`: of real and added rows, or None."""

    X: Vector
    y: NDArray[np.bool_]
    distinct: int
    weights: Vector | None = None


Method = Callable[[Remaining], Added]


def nothing(left: Remaining) -> Added:
    """The reduced rows as they are."""
    return Added(np.empty((0, len(left.data.schema))), np.empty(0, dtype=bool), 0)


def filled(left: Remaining, make: Callable[[int], Vector]) -> Added:
    """As many rows as are wanting, repeated where there are too few. Raises SenseCFError where there are none."""
    count = left.wanting
    if not count:
        return nothing(left)
    X = make(count)[:count]
    if not len(X):
        raise SenseCFError(f"{UNWILLING}: none of class {left.made}")
    again = np.random.default_rng(left.seed).permutation(len(X))
    repeated = np.resize(np.concatenate([np.arange(len(X)), again]), count)
    return Added(X[repeated], np.full(count, left.made == left.data.classes[1]), len(X))


def ours(left: Remaining) -> Added:
    """This project's pipeline, trained on the reduced rows: the rows that `augment` writes."""

    def make(count: int) -> Vector:
        made, _ = rows.make_rows(left.bundle(), left.towards, count, left.seed)
        return np.array([row.y for row in made]).reshape(-1, len(left.data.schema))

    return filled(left, make)
