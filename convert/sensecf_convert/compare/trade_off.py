"""Where two goals pull apart: what ours can trade one for the other, beside each other method on the same records.

Ours at several prices gives several points in a plane of two figures. Whoever takes one price for some records and another
for the rest gets every point between them, so the lower left edge of all these mixtures is what ours can have. Which mixture is held
against a method is chosen on training people: there each price has so many times the default's figures, and of the mixtures
that this promises the one is taken that comes nearest to the method's point. `factor` says what became of it on the people asked: the
larger of its two figures over the method's. Below 1 ours is better in both at once; above 1 the method has something that
ours has not shown. `hindsight` is the same with the mixture that is best for these very records: a bound, no figure of ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .. import statistics
from .figures import people
from .methods import CURVE, METHODS, OWN, RIVALS

Points = NDArray[np.float64]
PLANES = {
    "sparse and typical": ("n_changed", "knn_ratio"),
    "near and typical": ("distance", "knn_ratio"),
    "sparse and near": ("n_changed", "distance"),
}
"""Pairs of figures, lower is better in each."""

OURS = frozenset(m.name for m in METHODS.values() if m.environment == OWN) - {*RIVALS, "teacher"}
FEWEST = 5
"""Fewer records than this, answered by both, say nothing."""


def trade(rows: pd.DataFrame, trained: pd.DataFrame, seed: int) -> dict[str, dict[str, Any]]:
    """plane -> method -> records, the method's point, ours' points on those records, the mixture chosen, factor, its 95 % interval and
    `hindsight`.

    Records count that the method and every price of ours answer at the goal. `trained` are rows of training people. Empty
    without at least two prices of ours.
    """
    good = rows[rows.at_goal.astype(bool)]
    curve = [name for name in CURVE if (good.method == name).any() and (trained.method == name).any()]
    others = [str(n) for n in good.method.unique() if n not in OURS]
    if len(curve) < 2 or "ours" not in curve:
        return {}
    return {
        plane: {name: made for name in others if (made := _beside(good, trained, name, curve, axes, seed)) is not None}
        for plane, axes in PLANES.items()
    }


def _held(good: pd.DataFrame, names: Sequence[str], axes: tuple[str, str]) -> tuple[pd.Index, Points]:
    """Records that all of `names` answer, (table, record), and their figures, shape (records, methods, 2)."""
    parts = [good[good.method == n].set_index(["table", "record"]) for n in names]
    both = parts[0].index
    for part in parts[1:]:
        both = both.intersection(part.index)
    return both, np.stack([part.loc[both, list(axes)].to_numpy(float) for part in parts], axis=1)


def promised(trained: pd.DataFrame, curve: Sequence[str], axes: tuple[str, str]) -> dict[str, Points]:
    """table -> how many times the default's figures each price has on training people, shape (prices, 2)."""
    good, out = trained[trained.at_goal.astype(bool)], dict[str, Points]()
    for table, part in good.groupby("table"):
        _, held = _held(part, curve, axes)
        if len(held) >= FEWEST:
            mean = held.mean(axis=0)
            out[str(table)] = mean / mean[list(curve).index("ours")]
    return out


def _beside(
    good: pd.DataFrame, trained: pd.DataFrame, name: str, curve: Sequence[str], axes: tuple[str, str], seed: int
) -> dict[str, Any] | None:
    ratios = promised(trained, curve, axes)
    both, held = _held(good[good.table.isin(ratios)], (name, *curve), axes)
    if len(both) < FEWEST:
        return None
    default = held[:, 1 + list(curve).index("ours")]
    expected = np.stack([default[k] * ratios[table] for k, (table, _) in enumerate(both)])
    mean = held.mean(axis=0)
    weights = mixture(mean[0], expected.mean(axis=0))
    pair = np.stack([held[:, 0], np.tensordot(held[:, 1:], weights, axes=(1, 0))], axis=1)
    persons = people(good[good.method == name].set_index(["table", "record"]).loc[both].reset_index())
    told = _factor(pair, persons, seed)
    chosen = {n: round(float(w), 3) for n, w in zip(curve, weights, strict=True) if w > 0}
    return {"n": len(both), "point": mean[0].tolist(), "ours": dict(zip(curve, mean[1:].tolist(), strict=True)), "chosen": chosen,
            "factor": told["value"], "low": told["low"], "high": told["high"],
            "hindsight": float(factor(mean[None])[0])}  # fmt: skip


def mixture(point: Points, ours: Points) -> Points:
    """Weights of the prices, shape (prices,), whose mixture of `ours`, shape (prices, 2), has the least factor beside `point`."""
    alone = list[Points](np.eye(len(ours)))
    best, out = np.inf, alone[0]
    for a, b in [(k, k) for k in range(len(ours))] + list(combinations(range(len(ours)), 2)):
        ends = (ours[[a, b]] / point) @ np.array([1.0, -1.0])
        share = ends[0] / (ends[0] - ends[1]) if ends[0] * ends[1] < 0 else 0.0
        weights = alone[a] * (1 - share) + alone[b] * share
        if (got := float(((weights @ ours) / point).max())) < best:
            best, out = got, weights
    return out


def _factor(pair: Points, persons: NDArray[np.intp], seed: int) -> statistics.Figure:
    """The factor with its interval when people are drawn again, the mixture as it is; `pair`: shape (records, 2, 2)."""

    def of(at: NDArray[np.intp], W: NDArray[np.float64]) -> NDArray[np.float64]:
        counts = W[at]
        return factor(np.tensordot(counts.T, pair, axes=1) / counts.sum(axis=0)[:, None, None])

    return statistics.statistic(of, persons, seed)


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
    """ahead, level or behind, by the interval; without one nothing is said."""
    if made["low"] is None:
        return "too few people to say"
    return "ours behind" if made["low"] > 1 else "ours ahead" if made["high"] < 1 else "ours level"
