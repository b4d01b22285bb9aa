"""The study's scenarios: which labelled rows of the training people are left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FULL = "full"
SCENARIOS = {"A": (False, True), "B": (True, False), "C": (True, True)}
"""Which class loses rows, (negative, positive): the positive one in A, the negative one in B, both in C."""


@dataclass(frozen=True)
class Scarcity:
    """One scenario at one reduction, in per cent of the rows of the classes that lose some."""

    scenario: str = FULL
    reduction: int = 0

    @property
    def loses(self) -> tuple[bool, bool]:
        """Whether the negative and whether the positive class loses rows."""
        return SCENARIOS.get(self.scenario, (False, False))

    def left(self, y: NDArray[np.bool_], seed: int) -> NDArray[np.intp]:
        """Numbers of the rows that are left, ascending, shape (rows left,). Labels alone decide, and chance.

        The rows of a class go in one order for all scenarios and reductions of a seed: what is left at 70 % is left at 50 %
        too, and what C leaves, A and B leave. So whatever was learnt from the most reduced rows has read nothing that
        another cell of the same seed may not read.
        """
        kept = []
        for positive, loses in zip((False, True), self.loses, strict=True):
            order = np.random.default_rng((seed, int(positive))).permutation(np.flatnonzero(y == positive))
            kept.append(order[: round(len(order) * (1 - self.reduction / 100))] if loses else order)
        return np.sort(np.concatenate(kept))

    def __str__(self) -> str:
        return self.scenario if self.scenario == FULL else f"{self.scenario}{self.reduction}"
