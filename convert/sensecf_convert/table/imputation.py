"""What stands for an unknown value where a package takes none. Nothing of this project is asked about such values."""

from __future__ import annotations

import numpy as np

from sensecf_edge.schema.feature import Vector

from .cohort import Cohort


def imputed_values(train: Cohort) -> Vector:
    """What stands for an unknown value, shape (features,): the median, for choices the commonest; 0 where nothing is known."""
    out = np.zeros(len(train.schema))
    for i, feature in enumerate(train.schema.features):
        known = train.X[~np.isnan(train.X[:, i]), i]
        if known.size:
            out[i] = np.median(known) if feature.kind == "number" else np.bincount(known.astype(int)).argmax()
    return out
