"""How near records are to people of the wanted class who are made up: drawn from the density, because no bundle holds anybody's row.

A record of high density is ordinary as a whole; one that is near to people is ordinary where it stands. The nearness of real people is
what `compare` measures answers by, and made-up ones are what a device may hold.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..schema.feature import Vector
from ..schema.schema import Schema

NEIGHBOURS = 20
"""Of the people, whose mean distance counts."""
ASKED = 100
"""People who are asked how far they are from the others."""
GAPS = 2**17
"""Gaps between records and people that are held at once."""
LEAST = 1e-9


class Nearness:
    """Distances (the sum over the features of the difference over the reference range, choices 0 or 1) to made-up people."""

    def __init__(self, schema: Schema, people: Vector, counted: NDArray[np.bool_]) -> None:
        """`people`: records, shape (people, features), at least two; `counted`: the features that count, which all of them know."""
        self._at = np.flatnonzero(counted)
        self._spans, self._most = schema.spans[self._at], schema.largest_steps[self._at]
        self._people = np.ascontiguousarray((people[:, self._at] / self._spans).T)

    def ratio(self, Y: Vector) -> Vector:
        """Mean distance to the nearest of the people over what it is among themselves, shape (records,): 1 is as near as they are to each
        other, less is nearer. All that counts is known of Y."""
        return self._far((Y[:, self._at] / self._spans).T, NEIGHBOURS) / self._yard

    @cached_property
    def _yard(self) -> float:
        """The median of some of the people's own distances to the nearest of the others."""
        each = self._far(self._people[:, :ASKED], NEIGHBOURS + 1)  # one of them is oneself, at 0
        return max(LEAST, float(np.median(each)) * (1 + 1 / NEIGHBOURS))

    def _far(self, columns: Vector, count: int) -> Vector:
        """Mean distance of records, shape (counted features, records), to the `count` nearest people, shape (records,)."""
        out, people = np.empty(columns.shape[1]), self._people.shape[1]
        count, size = min(count, people), max(1, GAPS // people)
        for start in range(0, len(out), size):
            part = columns[:, start : start + size]
            far = np.zeros((part.shape[1], people))
            for own, theirs, most in zip(part, self._people, self._most, strict=True):
                gaps = np.abs(own[:, None] - theirs)
                far += np.minimum(gaps, most, out=gaps) if np.isfinite(most) else gaps
            far.partition(count - 1, axis=1)
            out[start : start + size] = far[:, :count].mean(axis=1)
        return out
