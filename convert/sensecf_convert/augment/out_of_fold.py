"""What a method is worth, asked of the rows at hand alone: out-of-fold scores, whose rows are made from the training folds only.

    folds of people -> rows made from four fifths of them -> a classifier -> scores of the last fifth

From these scores comes a decision threshold, and whether rows are worth adding once the threshold is right: F1 over all scores with
them against F1 without, each at its own best threshold. Nobody is told how common the classes were before labels were taken away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from sensecf_edge.errors import MissingExtraError, SenseCFError
from sensecf_edge.schema.feature import Vector

from ..work import OtherWorkError
from .learners import learn
from .remaining import Added, Method, Remaining

Report = Callable[[float], None]


def crossed(method: Method, kinds: Sequence[str], left: Remaining, report: Report = lambda _: None) -> Vector:
    """Log-odds of each row by classifiers that have seen neither it nor its person, nor a row made from them: shape (kinds, rows).

    NaN where a fold's training part lacks a class. Raises SenseCFError where the method makes no row in some fold.
    """
    out, folds = np.full((len(kinds), len(left.data)), np.nan), left.folds()
    for at, (part, test) in enumerate(folds):
        if part.data.y.any() and not part.data.y.all():
            out[:, test] = judged(kinds, part, method(part), left.data.X[test])[0]
        report((at + 1) / len(folds))
    return out


def judged(kinds: Sequence[str], left: Remaining, added: Added, X: Vector) -> tuple[Vector, Vector]:
    """Scores and decisions of classifiers that learnt from real and added rows, each of shape (kinds, rows of X)."""
    rows, labels = np.concatenate([left.data.X, added.X]), np.concatenate([left.data.y, added.y])
    got = [learn(kind, left.data.schema, rows, labels, added.weights, X, left.seed) for kind in kinds]
    return np.stack([g.scores for g in got]), np.stack([g.predicted for g in got])


@contextmanager
def noting_refusals() -> Iterator[list[str]]:
    """Notes why something cannot be made from these rows; lets through what the machine lacks, or work of another study."""
    why = list[str]()
    try:
        yield why
    except (MissingExtraError, OtherWorkError):
        raise
    except SenseCFError as error:
        why.append(str(error))
