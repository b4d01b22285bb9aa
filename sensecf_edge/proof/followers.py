"""Ends of features that follow others, over boxes of answers: what branch and bound needs to know of them.

A table of all combinations of what a feature follows is exact and grows with their product: three causes in a chain come to
tens of thousands of rows that every box has to be held against. What causes move is a sum, so its ends are the sums of theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..schema.feature import Vector
from ..space.constraints import EPSILON
from .bounds import Ends, Mask

Limits = tuple[float, float]
Three = tuple[Vector, Vector, Mask]


class Follower(Protocol):
    """A feature that follows; `limits` are those of answers in which it moves (`rules.limits`)."""

    @property
    def column(self) -> int:
        """Its place in the schema."""
        ...

    def ends(self, boxes: Ends, low: Vector, high: Vector) -> Three:
        """Its least and greatest value in each box, shape (boxes,), and whether it is inside its limits nowhere in the box.

        boxes are places of the lattice, shape (boxes, features, 2); low and high the values there, shape (boxes, features),
        already right for whatever this feature follows.
        """
        ...


@dataclass(frozen=True)
class Tabled:
    """From a table: `at` holds all combinations of places of the free features `inputs`, `value` what follows at each."""

    column: int
    limits: Limits
    inputs: list[int]
    at: Ends
    value: Vector

    def ends(self, boxes: Ends, low: Vector, high: Vector) -> Three:
        """See `Follower`. The ends are exact."""
        inside: Mask = np.all((self.at >= boxes[:, None, self.inputs, 0]) & (self.at <= boxes[:, None, self.inputs, 1]), axis=2)
        least, greatest = np.where(inside, self.value, np.inf).min(axis=1), np.where(inside, self.value, -np.inf).max(axis=1)
        return _limited(least, greatest, self.limits, ~np.any(inside, axis=1))


@dataclass(frozen=True)
class Effect:
    """From the ends of its causes: slope times how far each has moved away from the record `x`, added up.

    Exact where causes are not causes of one another; else the ends may lie further out than any answer, which costs time
    and no truth.
    """

    column: int
    limits: Limits
    x: Vector
    causes: list[int]
    slopes: Vector

    def ends(self, boxes: Ends, low: Vector, high: Vector) -> Three:
        """See `Follower`. Where the effect is unknown, so are its ends; an unknown cause moves nothing."""
        near, far = (np.nan_to_num(end[:, self.causes] - self.x[self.causes]) * self.slopes for end in (low, high))
        present = self.x[self.column]
        least, greatest = present + np.minimum(near, far).sum(axis=1), present + np.maximum(near, far).sum(axis=1)
        return _limited(least - EPSILON, greatest + EPSILON, self.limits, np.zeros(len(boxes), dtype=bool))


def _limited(least: Vector, greatest: Vector, limits: Limits, nowhere: Mask) -> Three:
    """Ends cut to the limits of answers; a comparison with what is unknown cuts nothing."""
    nowhere = nowhere | (least > limits[1] + EPSILON) | (greatest < limits[0] - EPSILON)
    least, greatest = (np.where(np.isnan(end), end, np.clip(end, *limits)) for end in (least, greatest))
    return least, greatest, nowhere
