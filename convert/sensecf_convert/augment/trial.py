"""Whether filling classes up does a classifier good, asked of the rows at hand alone, before any row is made.

    folds of people, real rows only -> F1 as they are
                                    -> F1 with each row weighing as much as its class would with the rows that are to come

Weights stand in for rows, so the trial costs seconds, and nothing that was made from a held-out person can flatter it. It sees what a
shifted balance of classes does, not what new rows tell: where it says no, balance is the harm; where it says yes, rows may do better.
F1 depends on how common the classes are. It is that of the shares which are expected where the classifier will be used, where somebody
knows them; else of the shares at hand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from sensecf_edge.schema.feature import Vector

from ..table.cohort import Cohort, folds_by_person
from .learners import learn

FOLDS, REPEATS = 5, 3
TRIED = "+trial"
"""Behind a method's name: its rows only where the trial lets them in."""


@dataclass(frozen=True)
class Trial:
    """F1 (negative class, positive class) over folds of people: of the rows as they are, and weighing as if filled up."""

    before: tuple[float, float]
    after: tuple[float, float]

    @property
    def gain(self) -> float:
        """Points of F1 of the positive class."""
        return 100 * (self.after[1] - self.before[1])

    @property
    def helps(self) -> bool:
        """Whether F1 of the positive class does not fall."""
        return self.gain >= 0


def filled(y: NDArray[np.bool_], share: tuple[float, float]) -> Vector:
    """Weights of rows, shape (rows,), mean 1: those of each class (negative, positive) counted `share` times."""
    weights = np.where(y, share[1], share[0])
    return np.asarray(weights / weights.mean())


def trial(kind: str, data: Cohort, adding: tuple[int, int], seed: int, expected: tuple[int, int] | None = None) -> Trial:
    """What adding so many rows (negative, positive) to `data` would do to a classifier of this kind. Reads `data` only.

    `expected`: how the classes (negative, positive) stand to each other where the classifier will be used; None: as in `data`.
    """
    have = int((~data.y).sum()), int(data.y.sum())
    share = 1 + adding[0] / have[0], 1 + adding[1] / have[1]
    counted = (1.0, 1.0) if expected is None else (expected[0] / have[0], expected[1] / have[1])
    scores = [_over_folds(kind, data, share, counted, seed * REPEATS + k) for k in range(REPEATS)]
    before, after = np.mean(scores, axis=0)
    return Trial((float(before[0]), float(before[1])), (float(after[0]), float(after[1])))


def _over_folds(kind: str, data: Cohort, share: tuple[float, float], counted: tuple[float, float], seed: int) -> Vector:
    """F1 of both classes, shape (before and after, classes), over all held-out rows of one division into folds; a held-out row of a class
    counts `counted` times."""
    said, held = np.zeros((2, len(data)), dtype=bool), np.zeros(len(data), dtype=bool)
    for train, test in folds_by_person(data.persons, data.y, FOLDS, seed):
        X, y = data.X[train], data.y[train]
        if y.any() and not y.all():
            held[test] = True
            for at, times in enumerate(((1.0, 1.0), share)):  # weighed both times: a forest without weights draws other rows
                said[at, test] = learn(kind, data.schema, X, y, filled(y, times), data.X[test], seed).predicted
    y, times = data.y[held], filled(data.y[held], counted)
    return np.array([[f1_score(y, p[held], pos_label=c, sample_weight=times, zero_division=0.0) for c in (False, True)] for p in said])
