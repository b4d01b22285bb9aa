"""Gower distances between many records at once, unknown values left out on both sides."""

from __future__ import annotations

import numpy as np

from sensecf_edge import measure
from sensecf_edge.schema import Schema, Vector


def gower(schema: Schema, A: Vector, B: Vector) -> Vector:
    """Distance of every row of A to every row of B, shape (rows of A, rows of B), 0 alike to 1 unlike (above, outside the
    reference range).

    The mean of `measure.steps` over the features that both rows know; 1 where they know none in common (Gower 1971).
    Works row by row, so memory stays that of B.
    """
    out = np.empty((len(A), len(B)))
    known = ~np.isnan(B)
    for i, a in enumerate(A):
        both = (known & ~np.isnan(a)).sum(axis=1)
        out[i] = np.where(both, measure.steps(schema, a, B).sum(axis=1) / np.maximum(both, 1), 1.0)
    return out
