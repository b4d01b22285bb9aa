"""How like real people of the wanted class a record is, by yardsticks that are none of the runtime's: it holds no rows.

All of them take choices as alike or not, whatever the order of their list, and leave out what is unknown on either side.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.schema import Schema

from ..table.cohort import Cohort
from ..table.gower import nearest, neighbours

NEIGHBOURS, LOF_NEIGHBOURS = 5, 20
OUTLIER = 1.5
"""Local outlier factor above which a record is none of theirs (scikit-learn's threshold)."""
MOST_ROWS = 5_000
"""Rows of the wanted class that records are held against; of more, so many are drawn, the same ones each time."""
TINY = 1e-10
NORMAL_MAD = 0.263
"""Median absolute deviation of a normal spread over the way from its 10 to its 90 % quantile."""


class Realism:
    """Nearness to real people of the wanted class, measured against training rows (build side only)."""

    def __init__(self, train: Cohort) -> None:
        self.schema, self.rows = train.schema, sampled(train.X[train.y], MOST_ROWS)
        far, at = neighbours(self.schema, self.rows, self.rows, LOF_NEIGHBOURS, others=True)
        self.yardstick = float(np.median(far[:, :NEIGHBOURS].mean(axis=1))) if far.size else 0.0
        self._reach = far[:, -1] if far.size else np.empty(0)
        self._density = self._densities(far, at)

    def _densities(self, far: Vector, at: NDArray[np.intp]) -> Vector:
        """Local reachability densities (Breunig et al. 2000) of rows with these neighbours, shape (rows,)."""
        reach = np.maximum(far, self._reach[at]) if far.size else far
        out: Vector = 1.0 / (reach.mean(axis=1) + TINY) if far.size else np.zeros(len(far))
        return out

    def knn_ratio(self, Y: Vector) -> Vector:
        """Mean distance to the 5 nearest wanted training rows over the rows' own median figure, shape (records,).

        NaN where that figure is 0, because most rows have five twins: then no ratio says anything.
        """
        if not self.yardstick:
            return np.full(len(Y), np.nan)
        return np.asarray(nearest(self.schema, Y, self.rows, NEIGHBOURS).mean(axis=1) / self.yardstick)

    def lof_inliers(self, Y: Vector) -> Vector:
        """1.0 where the local outlier factor over Gower distances calls a record an inlier, shape (records,); NaN where there
        are too few rows for it."""
        if not self._reach.size or not len(Y):
            return np.full(len(Y), np.nan)
        far, at = neighbours(self.schema, Y, self.rows, self._neighbours)
        factor = self._density[at].mean(axis=1) / self._densities(far, at)
        return np.asarray(factor <= OUTLIER, dtype=float)

    @property
    def _neighbours(self) -> int:
        return min(LOF_NEIGHBOURS, len(self.rows) - 1)


def deviations(bundle: Bundle) -> Vector:
    """By what a change of each number is divided in L1 / MAD, shape (features,); 1 for choices.

    The median absolute deviation of the training people. Where it is 0, because over half of them hold one value, what it
    would be for a normal spread between their 10 and 90 % quantiles; where that is 0, too, the reference range.
    """
    out, reference = np.array(bundle.schema.spans), bundle.reference
    for i, feature in enumerate(bundle.schema.features):
        if feature.kind == "number":
            quantiles = reference.quantiles.get(feature.name, (0.0,) * 11)
            out[i] = reference.mad.get(feature.name) or NORMAL_MAD * (quantiles[9] - quantiles[1]) or out[i]
    return out


def mad_distance(schema: Schema, scale: Vector, x: Vector, Y: Vector) -> Vector:
    """Mean over all features of |change| / `deviations`, shape (records,): a changed choice counts 1, whatever its place in the
    list; unknown on either side 0."""
    gaps = np.nan_to_num(np.abs(Y - x)) / scale
    out: Vector = np.minimum(gaps, schema.largest_steps).mean(axis=1)
    return out


def sampled(X: NDArray[Any], most: int) -> NDArray[Any]:
    """X, shape (rows, features), or `most` of its rows, drawn alike each time and in their order: what is compared with all of them would
    take their square in time."""
    if len(X) <= most:
        return X
    return X[np.sort(np.random.default_rng(0).choice(len(X), most, replace=False))]
