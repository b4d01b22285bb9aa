"""Metrics of an answer: how much it changes, and how like real people of the wanted class it is. No metric asks a classifier.

A row of `METRICS` is all that a metric needs: `evaluate` tells its mean with an interval, in its table, the manifest and the card;
`compare` has a column of it in results.csv and in the tables of its report.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.bundle.realism import realism
from sensecf_edge.judge import density
from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.schema import Schema
from sensecf_edge.space import measure

from ..presentation.numbers import percent, plain
from ..table.cohort import Cohort
from .plausibility import Realism, deviations, mad_distance


@dataclass(frozen=True)
class Context:
    """What metrics compute with, made once for a bundle and its training people; `deviations`: see there."""

    schema: Schema
    deviations: Vector
    people: Realism
    density: density.Realism

    @classmethod
    def of(cls, bundle: Bundle, train: Cohort) -> Context:
        """For answers by a bundle that was fitted on these people."""
        return cls(bundle.schema, deviations(bundle), Realism(train), realism(bundle))


@dataclass(frozen=True)
class Metric:
    """`of(context, X, Y)`: its values for answers Y to records X, both of shape (answers, features) -> (answers,), NaN where it has none.

    key      its name in JSON and CSV
    title    heads a column
    label    begins a line of the table and of the card
    better   higher or lower
    digits   behind the point; a `share` (of answers, each 0 or 1) is told in per cent
    typical  says something of the records as they came, too, and is told of them beside
    shown    in `compare`'s table on the terminal as well
    """

    key: str
    title: str
    label: str
    better: str
    of: Callable[[Context, Vector, Vector], Vector]
    about: str
    digits: int = 2
    share: bool = False
    typical: bool = False
    shown: bool = True

    def text(self, value: float | None) -> str:
        """A value in words."""
        return percent(value) if self.share else plain(value, self.digits)


def _each(figure: Callable[[Context, Vector, Vector], ArrayLike]) -> Callable[[Context, Vector, Vector], Vector]:
    """Of a figure of one record and its candidates, shape (1, features), one of pairs."""
    return lambda c, X, Y: np.array([np.asarray(figure(c, x, y[None]))[0] for x, y in zip(X, Y, strict=True)], dtype=float)


METRICS = (
    Metric("n_changed", "changed", "features changed, mean", "lower", _each(lambda c, x, Y: measure.sparsity(x, Y)),
           "features changed, those that follow others included"),
    Metric("n_unchanged", "unchanged", "features left as they are, mean", "higher",
           _each(lambda c, x, Y: len(c.schema) - measure.sparsity(x, Y)), "features not changed", shown=False),
    Metric("distance", "L1/range", "distance: Gower, mean", "lower", _each(lambda c, x, Y: measure.proximity(c.schema, x, Y)),
           "Gower distance: mean over all features of |change| / reference range", digits=4),
    Metric("distance_mad", "L1/MAD", "distance: L1 in MADs, mean", "lower",
           _each(lambda c, x, Y: mad_distance(c.schema, c.deviations, x, Y)),
           "mean over all features of |change| / median absolute deviation, a changed choice counting 1 (`plausibility.deviations` says "
           "what stands for a deviation of 0)", digits=3, shown=False),
    Metric("knn_ratio", "kNN ratio", "kNN ratio, mean", "lower", lambda c, X, Y: c.people.knn_ratio(Y),
           "mean distance to the 5 nearest wanted training rows over those rows' own median figure; 1 is as typical as real", typical=True),
    Metric("lof_inliers", "LOF inliers", "LOF inliers", "higher", lambda c, X, Y: c.people.lof_inliers(Y),
           "share that LOF(20) over Gower distances to the wanted training rows calls inliers", share=True, typical=True),
    Metric("realism", "realism", "realism percentile, mean", "higher", lambda c, X, Y: c.density.percentile(Y),
           "percentile of the answer's density among unseen real people of the wanted class", digits=0, typical=True, shown=False),
)  # fmt: skip
