"""How like real people of the wanted class a record is, by yardsticks that are none of the runtime's: it holds no rows."""

from __future__ import annotations

import warnings

import numpy as np

from sensecf_edge.schema import Vector

from .gower import nearest
from .tables import Cohort

NEIGHBOURS, LOF_NEIGHBOURS = 5, 20
MOST_ROWS = 5_000
"""Rows of the wanted class that records are held against; of more, so many are drawn, the same ones each time."""


class Realism:
    """Nearness to real people of the wanted class, measured against training rows (build side only)."""

    def __init__(self, train: Cohort) -> None:
        from sklearn.neighbors import LocalOutlierFactor

        self.schema, self.rows = train.schema, sampled(train.X[train.y], MOST_ROWS)
        own = nearest(self.schema, self.rows, self.rows, NEIGHBOURS + 1)[:, 1:]
        self.yardstick = float(np.median(own.mean(axis=1))) if own.size else 0.0
        known = ~np.isnan(self.rows).all(axis=0)
        self.middle = np.zeros(len(self.schema))
        self.middle[known] = np.nanmedian(self.rows[:, known], axis=0)
        self.lof = None
        if len(self.rows) > 1:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # many twins: then many are inliers, which is true
                self.lof = LocalOutlierFactor(min(LOF_NEIGHBOURS, len(self.rows) - 1), novelty=True).fit(self._fill(self.rows))

    def _fill(self, X: Vector) -> Vector:
        return np.where(np.isnan(X), self.middle, X) / self.schema.spans

    def knn_ratio(self, Y: Vector) -> Vector:
        """Mean distance to the 5 nearest wanted training rows over the rows' own median figure, shape (records,).

        NaN where that figure is 0, because most rows have five twins: then no ratio says anything.
        """
        if not self.yardstick:
            return np.full(len(Y), np.nan)
        return np.asarray(nearest(self.schema, Y, self.rows, NEIGHBOURS).mean(axis=1) / self.yardstick)

    def lof_inliers(self, Y: Vector) -> Vector:
        """1.0 where LOF calls a record an inlier, shape (records,); NaN where there are too few rows for it."""
        if self.lof is None or not len(Y):
            return np.full(len(Y), np.nan)
        return np.asarray(self.lof.predict(self._fill(Y)) == 1, dtype=float)


def sampled(X: Vector, most: int) -> Vector:
    """X, or `most` of its rows, drawn alike each time and in their order: what is compared with all of them would take their
    square in time."""
    if len(X) <= most:
        return X
    return X[np.sort(np.random.default_rng(0).choice(len(X), most, replace=False))]
