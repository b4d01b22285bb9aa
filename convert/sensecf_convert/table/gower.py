"""Gower distances between many records at once, unknown values left out on both sides."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.schema import Schema
from sensecf_edge.space import measure


def gower(schema: Schema, A: Vector, B: Vector) -> Vector:
    """Distance of every row of A to every row of B, shape (rows of A, rows of B), 0 alike to 1 unlike (above, outside the
    reference range).

    The mean of `measure.relative_changes` over the features that both rows know; 1 where they know none in common (Gower 1971).
    Works row by row, so memory stays that of B.
    """
    out = np.empty((len(A), len(B)))
    known = ~np.isnan(B)
    for i, a in enumerate(A):
        both = (known & ~np.isnan(a)).sum(axis=1)
        out[i] = np.where(both, measure.relative_changes(schema, a, B).sum(axis=1) / np.maximum(both, 1), 1.0)
    return out


def nearest(schema: Schema, A: Vector, B: Vector, count: int) -> Vector:
    """Distances of every row of A to its `count` nearest rows of B, ascending, shape (rows of A, count); see
    `neighbours`."""
    return neighbours(schema, A, B, count)[0]


def neighbours(schema: Schema, A: Vector, B: Vector, count: int, others: bool = False) -> tuple[Vector, NDArray[np.intp]]:
    """Distances of every row of A to its `count` nearest rows of B, ascending, and their places in B; shape (rows of A, count),
    fewer columns where B has fewer rows. `others`: A is B, and no row is its own neighbour. Takes memory for one row of A at a
    time."""
    count = max(0, min(count, len(B) - others))
    distances, places = np.empty((len(A), count)), np.empty((len(A), count), dtype=np.intp)
    for i in range(len(A) if count else 0):
        far = gower(schema, A[i : i + 1], B)[0]
        if others:
            far[i] = np.inf
        at = np.argpartition(far, count - 1)[:count]
        places[i] = at[np.argsort(far[at], kind="stable")]
        distances[i] = far[places[i]]
    return distances, places
