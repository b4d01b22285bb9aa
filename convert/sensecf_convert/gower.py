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


def nearest(schema: Schema, A: Vector, B: Vector, count: int) -> Vector:
    """Distances of every row of A to its `count` nearest rows of B, ascending; shape (rows of A, count), fewer columns where B has
    fewer rows. Takes memory for one row of A at a time."""
    count = min(count, len(B))
    out = np.empty((len(A), count))
    for i in range(len(A) if count else 0):
        out[i] = np.sort(np.partition(gower(schema, A[i : i + 1], B)[0], count - 1)[:count])
    return out
