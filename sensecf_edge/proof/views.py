"""What a forest can say of a box of answers where something of the record is unknown: one cut of the trees for each completion.

In a completion all that is unknown stands still, so its splits are decided and fall away; what is left are trees over the same boxes. An
answer has to reach the goal for a stated share of the completions. So a box is dead once those in which its bound stays under the goal
weigh more than the rest that may be missed. Only the least favourable completions are cut; the others count as reached.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..judge.imputation import EPS, Imputed
from ..schema.feature import Vector
from ..settings import UNKNOWN
from .bounds import Levels, Mask

VIEWED = 0.25
"""Share of the completions that are cut, those of the lowest scores as the record stands."""


@dataclass(frozen=True)
class Views:
    """Cut forests beside each other as one, `count` of them with as many trees each, and the weights of what each stands for."""

    levels: Levels
    weights: Vector

    @classmethod
    def one(cls, levels: Levels) -> Views:
        """Of a record of which all is known, or filled in by the graph."""
        return cls(levels, np.ones(1))

    @classmethod
    def over(cls, levels: Levels, low: Vector, high: Vector, open_: Mask, imputed: Imputed) -> Views:
        """For the completions; ends of the whole space as `Levels.within` takes them."""
        still, weights = imputed.still, imputed.weights
        enough = int(np.searchsorted(np.cumsum(weights), VIEWED)) + 1
        codes, cut, levels = np.arange(open_.shape[2]), list[Levels](), levels.within(low, high, open_)
        for row in imputed.rows[:enough]:
            near, far, choices = low.copy(), high.copy(), open_.copy()
            near[0, still] = far[0, still] = row[still]
            choices[0, still] = codes == row[still, None]
            cut.append(levels.within(near, far, choices))
        return cls(Levels.joined(cut), weights[:enough])

    def upper(self, low: Vector, high: Vector, open_: Mask) -> Vector:
        """The sum that the forest reaches at most for the share of completions that it has to, shape (boxes,)."""
        each = self.levels.upper(low, high, open_, len(self.weights))
        if len(self.weights) == 1:
            return np.asarray(each[0])
        order = np.argsort(each, axis=0)
        missed = np.cumsum(self.weights[order], axis=0) > 1 - UNKNOWN.share + EPS
        bound = np.take_along_axis(np.take_along_axis(each, order, axis=0), missed.argmax(axis=0)[None], axis=0)[0]
        return np.asarray(np.where(missed.any(axis=0), bound, np.inf))
