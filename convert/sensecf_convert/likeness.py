"""How like real people of the wanted class a record is, by yardsticks that are none of the runtime's: it holds no rows."""

from __future__ import annotations

import numpy as np

from sensecf_edge.schema import Vector

from .gower import gower
from .tables import Cohort

NEIGHBOURS, LOF_NEIGHBOURS = 5, 20


class Realism:
    """Nearness to real people of the wanted class, measured against training rows (build side only)."""

    def __init__(self, train: Cohort) -> None:
        from sklearn.neighbors import LocalOutlierFactor

        self.schema, self.rows = train.schema, train.X[train.y]
        own = np.sort(gower(self.schema, self.rows, self.rows), axis=1)[:, 1 : NEIGHBOURS + 1]
        self.yardstick = float(np.median(own.mean(axis=1)))
        self.middle = np.nanmedian(self.rows, axis=0)
        filled = self._fill(self.rows)
        self.lof = LocalOutlierFactor(min(LOF_NEIGHBOURS, len(filled) - 1), novelty=True).fit(filled)

    def _fill(self, X: Vector) -> Vector:
        return np.where(np.isnan(X), self.middle, X) / self.schema.spans

    def knn_ratio(self, Y: Vector) -> Vector:
        """Mean distance to the 5 nearest wanted training rows over the rows' own median figure, shape (records,)."""
        return np.sort(gower(self.schema, Y, self.rows), axis=1)[:, :NEIGHBOURS].mean(axis=1) / self.yardstick

    def lof_inliers(self, Y: Vector) -> Vector:
        """1.0 where LOF calls a record an inlier, shape (records,)."""
        return np.asarray(self.lof.predict(self._fill(Y)) == 1, dtype=float) if len(Y) else np.empty(0)
