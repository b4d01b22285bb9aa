"""Where two goals pull apart: all that ours can trade one for the other, beside each other method on the same records.

Ours at several prices gives several points in a plane of two figures. Whoever takes one price for some records and another
for the rest gets every point between them, so the lower left edge of all these mixtures is what ours can have. `factor` says
how that edge lies to a method's own point: the smallest number such that some mixture of ours has both figures at most
that many times the method's. Below 1 ours is better in both at once; above 1 the method has something that ours has not.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .figures import LEVEL, RESAMPLES, people
from .methods import CURVE, METHODS, OWN

Points = NDArray[np.float64]
PLANES = {
    "sparse and typical": ("n_changed", "knn_ratio"),
    "near and typical": ("distance", "knn_ratio"),
    "sparse and near": ("n_changed", "distance"),
}
"""Pairs of figures, lower is better in each."""

OURS = frozenset(m.name for m in METHODS.values() if m.environment == OWN) - {"search"}
FEWEST = 5
"""Fewer records than this, answered by both, say nothing."""


def trade(rows: pd.DataFrame, seed: int) -> dict[str, dict[str, Any]]:
    """plane -> method -> records, the method's point, ours' points on those records, factor and its 95 % interval.

    Records count that the method and every price of ours answer at the goal, no relation broken: what breaks one is no answer
    that ours could give. Empty without at least two prices of ours.
    """
    good = rows[rows.at_goal & ~rows.relations_broken.eq(True)]
    curve = [name for name in CURVE if (good.method == name).any()]
    others = [str(n) for n in good.method.unique() if n not in OURS]
    if len(curve) < 2:
        return {}
    return {
        plane: {name: made for name in others if (made := _beside(good, name, curve, axes, seed)) is not None}
        for plane, axes in PLANES.items()
    }


def _beside(good: pd.DataFrame, name: str, curve: Sequence[str], axes: tuple[str, str], seed: int) -> dict[str, Any] | None:
    keys = ["table", "record"]
    parts = [good[good.method == n].set_index(keys) for n in (name, *curve)]
    both = parts[0].index
    for part in parts[1:]:
        both = both.intersection(part.index)
    if len(both) < FEWEST:
        return None
    held = np.stack([part.loc[both, list(axes)].to_numpy(float) for part in parts], axis=1)
    persons = people(parts[0].loc[both].reset_index())
    low, high = _interval(held, persons, seed)
    mean = held.mean(axis=0)
    return {"n": len(both), "point": mean[0].tolist(), "ours": dict(zip(curve, mean[1:].tolist(), strict=True)),
            "factor": float(factor(mean[None])[0]), "low": low, "high": high}  # fmt: skip


def _interval(held: Points, persons: NDArray[np.intp], seed: int) -> tuple[float | None, float | None]:
    """The bootstrap's interval of the factor when people are drawn again; `held` has shape (records, methods, 2)."""
    count = int(persons.max()) + 1
    if count < 2:
        return None, None
    sums = np.zeros((count, *held.shape[1:]))
    np.add.at(sums, persons, held)
    sizes = np.bincount(persons, minlength=count)
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    means = np.tensordot(drawn, sums, axes=1) / (drawn @ sizes)[:, None, None]
    low, high = np.quantile(factor(means), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def factor(means: Points) -> NDArray[np.float64]:
    """The factor for each of several cases, shape (cases,). `means`, shape (cases, 1 + prices, 2): the method first, then ours.

    On the way from one price to another the larger of the two ratios is smallest at an end or where the ratios are equal.
    """
    ratio = means[:, 1:] / means[:, :1]
    best = ratio.max(axis=2).min(axis=1)
    for a, b in combinations(range(ratio.shape[1]), 2):
        here, there = (ratio[:, k, 0] - ratio[:, k, 1] for k in (a, b))
        crosses = here * there < 0
        share = np.divide(here, here - there, out=np.zeros(len(here)), where=crosses)
        at = ratio[:, a, 0] + share * (ratio[:, b, 0] - ratio[:, a, 0])
        best = np.where(crosses, np.minimum(best, at), best)
    return np.asarray(best)


def edge(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The lower left edge of all mixtures of some points, from the leftmost to the lowest."""
    out: list[tuple[float, float]] = []
    for x, y in sorted(set(points)):
        if out and y >= out[-1][1]:
            continue
        while len(out) > 1 and _right_turn(out[-2], out[-1], (x, y)):
            out.pop()
        out.append((x, y))
    return out


def _right_turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) <= 0


def verdict(made: dict[str, Any]) -> str:
    """ahead, level or behind, by the interval; without one by the factor alone."""
    low, high = (made[end] if made[end] is not None else made["factor"] for end in ("low", "high"))
    return "behind" if low > 1 else "ahead" if high < 1 else "level"
