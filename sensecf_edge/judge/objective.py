"""What candidates are judged by: rules, the classifier, and one cost that says which of two answers is the better.

The order is total: what passes the goal comes before what does not, then the lower cost, and among misses the higher probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..schema.feature import Vector
from ..settings import COST, CostSettings
from ..space import measure, rules
from ..space.admissible import Admissible
from ..space.rules import Mask
from .classifier import Checker
from .density import Realism
from .nearness import Nearness

Rows = NDArray[np.intp]


LEAST_GAIN = EPS = 1e-9


TINY = 1e-12


@dataclass(frozen=True)
class Judge:
    """What candidates are judged by. `goal` is the probability of the wanted class to reach: threshold + margin.

    `price` is what those that reach it are compared by; `nearness` says how near to people they are, where that has a price.
    """

    checker: Checker
    realism: Realism | None
    goal: float
    price: CostSettings = COST
    nearness: Nearness | None = None

    def percentile(self, Y: Vector) -> Vector | None:
        """How ordinary candidates are, 0 to 100, shape (candidates,); None without a realism model."""
        return self.realism.percentile(Y) if self.realism else None

    def least(self, space: Admissible, Y: Vector) -> Vector:
        """What candidates cost at least, realism aside, shape (candidates,)."""
        return measure.change_cost(space.record.schema, space.record.vector, Y, None, space.weights, self.price)

    def cost(self, space: Admissible, Y: Vector, least: Vector | None = None) -> Vector:
        """The whole cost of candidates, the realism floor included, shape (candidates,). The classifier is not asked."""
        least = self.least(space, Y) if least is None else least
        if self.nearness is not None and len(Y):
            least = least + self.price.near * self.nearness.ratio(Y)
        percentile = self.percentile(np.concatenate([space.record.vector[None], Y])) if len(Y) else None
        if percentile is None:
            return least
        out = least + self.price.realism * (1.0 - percentile[1:] / 100.0)
        out += self.price.below * (percentile[1:] < min(self.price.floor, percentile[0]) - TINY)
        return out

    def parts(self, space: Admissible, columns: Rows, values: Vector) -> Vector:
        """What setting one feature to a value adds to the least cost of what leaves it alone, shape (values,)."""
        schema, now = space.record.schema, space.record.vector[columns]
        step = np.minimum(np.abs(values - now) / schema.spans[columns], schema.largest_steps[columns])
        out: Vector = self.price.count * (values != now) + self.price.distance * step * space.weights[columns]
        return out


@dataclass(frozen=True)
class Scored:
    """Candidates with their probability of the wanted class and their rank key; rows belong together.

    The key (lower is better) is -1 / cost for what passes, the lack of probability for a miss, infinite for a broken rule.
    """

    Y: Vector
    p: Vector
    key: Vector

    @property
    def passed(self) -> Mask:
        """True where the goal is reached and no rule broken, shape (candidates,)."""
        out: Mask = self.key < 0
        return out

    def rows(self, at: Sequence[int]) -> Scored:
        """Some of the rows."""
        picked = np.array(at, dtype=np.intp)
        return Scored(self.Y[picked], self.p[picked], self.key[picked])

    @staticmethod
    def joined(parts: Sequence[Scored]) -> Scored:
        """The rows of several, one below the other; at least one part."""
        return Scored(*(np.concatenate(column) for column in zip(*((s.Y, s.p, s.key) for s in parts), strict=True)))


def score(judge: Judge, space: Admissible, Y: Vector, beat: Vector | None = None) -> Scored:
    """Judge candidates of one record: rules first, then one batch through the checker of those that break none.

    With `beat`, a key for each candidate, those that could not reach a lower one are not asked about; their key is infinite.
    """
    ok = rules.admitted(space, Y) if beat is None else _may_beat(judge, space, Y, beat)
    p, key = np.zeros(len(Y)), np.full(len(Y), np.inf)
    p[ok] = judge.checker.p_target(Y[ok])
    key[ok] = 1.0 - p[ok]
    good = np.flatnonzero(ok & (p >= judge.goal))
    if good.size:
        key[good] = keys(judge.cost(space, Y[good]))
    return Scored(Y, p, key)


def keys(cost: Vector) -> Vector:
    """The rank keys of what passed, below 0 and in the order of its cost; same shape."""
    out: Vector = -1.0 / np.maximum(cost, TINY)
    return out


def _may_beat(judge: Judge, space: Admissible, Y: Vector, beat: Vector) -> Mask:
    """False for what breaks a rule, and for what would not be better even if it passed. Cheap questions first."""
    least = judge.least(space, Y)
    ok: Mask = (beat >= 0) | (keys(least) < beat - LEAST_GAIN)
    ok[ok] = rules.admitted(space, Y[ok])
    rivals = np.flatnonzero(ok & (beat < 0))
    if rivals.size and judge.realism:
        ok[rivals] = keys(judge.cost(space, Y[rivals], least[rivals])) < beat[rivals] - LEAST_GAIN
    return ok
