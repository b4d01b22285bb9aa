"""Fine lattices in steps: an even part of each first, then what lies around the best of it, until next neighbours are left.

Spaces of ordinary size are taken whole, so nothing is lost there. `places` are positions in `Admissible.targets`.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..space.admissible import Admissible
from ..space.measure import distinct

Places = NDArray[np.intp]
ZOOM = 16
FEWEST = 8


class Coarse:
    """A space with at most about `most` targets to begin with; `stride` is how many lattice values lie between two of them."""

    def __init__(self, space: Admissible, most: int) -> None:
        self.space = space
        counts = np.array([len(space.values[i]) for i in space.features], dtype=np.intp)
        allowed = most if counts.sum() + len(counts) <= most else max(FEWEST, most // len(counts) - 1)
        self._ends = np.cumsum(counts + 1) - 1  # where each feature's present value stands
        self._starts, self._strides = self._ends - counts, -(-counts // allowed)
        self.stride = int(self._strides.max(initial=1))
        self._present = [int(np.searchsorted(space.values[i], space.record.vector[i])) for i in space.features]

    @cached_property
    def places(self) -> Places:
        """Where to begin, shape (places,): every so many values of each feature, its ends, those beside the present one, and that one."""
        if self.stride == 1:
            return np.arange(int(self._ends[-1]) + 1 if len(self._ends) else 0)
        parts = []
        for start, end, stride, now in zip(self._starts, self._ends, self._strides, self._present, strict=True):
            near = np.clip([now - 1, now], 0, end - start - 1)
            parts.append(start + distinct(np.array([*range(0, end - start, stride), *near, end - start - 1, end - start])))
        return np.concatenate(parts)

    def around(self, place: int, stride: int) -> Places:
        """What lies within `stride` of a place, ZOOM times as dense, shape (places,); nothing around a present value, or where nothing was
        left out."""
        at = int(np.searchsorted(self._ends, place))
        stride = min(stride, int(self._strides[at]))
        if stride == 1 or place == self._ends[at]:
            return np.empty(0, dtype=np.intp)
        out: Places = place + np.arange(-stride + 1, stride, finer(stride), dtype=np.intp)
        out = out[(out >= self._starts[at]) & (out < self._ends[at]) & (out != place)]
        return out


def finer(stride: int) -> int:
    """The next stride below."""
    return -(-stride // ZOOM)
