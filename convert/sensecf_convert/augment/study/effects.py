"""What a method gives: differences to what it is counted from and between methods, made draw by draw of the same people, hence paired.

A cell here is (table, scenario, reduction, classifier). Differences are in points, hundredths of a metric. Means over cells give every cell
the same weight; a method's figures are over the cells that it has, and its differences over those that the other has too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...statistics import DIGITS
from .figures import METRICS, Draw, Draws, figure
from .scarcity import FULL
from .variants import BASE, DERIVED, MOVED, THRESHOLD, TOLD, TRIED, base_of

OURS = "ours"
HALF = 50
LEAST_CELLS = 0.6
"""Share of the cells that a method must have to be drawn as a bar."""
PAPERS = (
    {"who": "papers: LLaMA-3.1-8B, fine-tuned",
     "accuracy": 21.0, "precision": 20.0, "recall": 24.6, "f1": 22.4, "auc": 25.4, "mean_f1": 19.9},
    {"who": "papers: predecessor (2025), setting not known", "accuracy": 5.0},
)  # fmt: skip
"""arXiv 2601.14590: scenario A against the reduced set, and mean F1 recovered over three scenarios with half the labels removed;
arXiv 2507.05541: accuracy gained."""

Cell = tuple[str, str, int, str]


def difference(draws: Draws, cell: Cell, method: str, base: str = BASE, metric: str = "f1") -> Draw | None:
    """Points of a metric that `method` is above `base` in a cell, shape (draws,), over the seeds that have both. None where there is
    none."""
    one, other = (*cell, method), (*cell, base)
    seeds = draws.shared(one, other)
    return 100 * (draws.mean(one, metric, seeds) - draws.mean(other, metric, seeds)) if seeds else None


def loss(draws: Draws, cell: Cell, base: str = BASE, metric: str = "f1") -> Draw | None:
    """Points of a metric that `base` is under the same with the full data, shape (draws,), over the seeds that have both. None where none
    has."""
    whole, now = (cell[0], FULL, 0, cell[3], base), (*cell, base)
    seeds = draws.shared(whole, now)
    return 100 * (draws.mean(whole, metric, seeds) - draws.mean(now, metric, seeds)) if seeds else None


def average(parts: Sequence[Draw | None]) -> Draw | None:
    """The mean of those that are there, same shape."""
    held = [p for p in parts if p is not None]
    return np.asarray(np.mean(held, axis=0)) if held else None


def shown(draw: Draw | None) -> dict[str, float | None] | None:
    """A figure, or None for nothing."""
    return None if draw is None else figure(draw)


def block(draws: Draws, cells: Sequence[Cell], methods: Sequence[str], auc: Mapping[tuple[str, str, int], float]) -> dict[str, Any]:
    """Everything over some cells: each method, what labels were worth (at even odds and with the threshold moved), the checker's AUC."""
    about = {m: one for m in methods if (one := _method(draws, cells, m)) is not None}
    return {
        "cells": len(cells),
        "checker_auc": _range(auc, cells),
        "loss": {base: shown(average([loss(draws, c, base) for c in cells])) for base in (BASE, THRESHOLD)},
        "methods": about,
        "beside": {m: shown(average([difference(draws, c, mine, m) for c in cells]))
                   for m in about if m != (mine := counterpart(m)) and mine in about},
    }  # fmt: skip


def _range(auc: Mapping[tuple[str, str, int], float], cells: Sequence[Cell]) -> dict[str, float] | None:
    """Mean, least and most of the checker's AUC over the training sets behind some cells."""
    seen = [auc[place] for place in dict.fromkeys(c[:3] for c in cells) if place in auc]
    return {"mean": round(float(np.mean(seen)), 6), "low": min(seen), "high": max(seen)} if seen else None


def counterpart(method: str) -> str:
    """Which of ours a method stands beside: the one whose threshold lies where the method's own does."""
    for variant in (MOVED, TOLD, TRIED):
        if method.endswith(variant) or method == variant[1:]:
            return OURS + variant
    return OURS


def plain(methods: Sequence[str]) -> list[str]:
    """The methods as they come, and what is made of `none`'s scores."""
    return [m for m in methods if not m.endswith((MOVED, TOLD, TRIED)) and m not in DERIVED] + [m for m in DERIVED if m in methods]


def moved(methods: Sequence[str]) -> list[str]:
    """The methods whose threshold was moved, `threshold` first: what rows add once the threshold is right."""
    return [m for m in methods if m == THRESHOLD or m.endswith((MOVED, TRIED))]


def _method(draws: Draws, cells: Sequence[Cell], method: str) -> dict[str, Any] | None:
    held = [c for c in cells if draws.shared((*c, method))]
    if not held:
        return None
    seeds = {c: draws.shared((*c, method)) for c in held}
    slopes = [v for c in held for v in draws.slopes.get((*c, method), {}).values() if v is not None]
    out: dict[str, Any] = {
        "cells": len(held), "metrics": {k: shown(average([draws.mean((*c, method), k, seeds[c]) for c in held])) for k in METRICS},
        "slope": round(float(np.median(slopes)), DIGITS) if slopes else None, "base": None, "gain": {}, "by_seed": {}, "worse": [],
    }  # fmt: skip
    if method == BASE:
        return out
    base = base_of(method)
    out |= {"base": base, "by_seed": _by_seed(draws, held, method, base),
            "gain": {k: shown(average([difference(draws, c, method, base, k) for c in held])) for k in METRICS}}  # fmt: skip
    for cell in held:
        known = shown(difference(draws, cell, method, base))
        if known is not None and known["high"] is not None and known["high"] < 0:
            out["worse"].append(_named(cell) | known)
    return out


def _named(cell: Cell) -> dict[str, Any]:
    return dict(zip(("table", "scenario", "reduction", "classifier"), cell, strict=True))


def _by_seed(draws: Draws, cells: Sequence[Cell], method: str, base: str) -> dict[str, float]:
    """Points of F1 over `base` of each seed alone, the mean over its cells: how much the training set's luck matters."""
    got: dict[int, list[float]] = {}
    at = METRICS.index("f1")
    for cell in cells:
        one, other = draws.runs.get((*cell, method), {}), draws.runs.get((*cell, base), {})
        for seed in sorted(set(one) & set(other)):
            got.setdefault(seed, []).append(100 * float(one[seed][at, 0] - other[seed][at, 0]))
    return {str(seed): round(float(np.mean(values)), 6) for seed, values in sorted(got.items())}


def curves(draws: Draws, cells: Sequence[Cell], methods: Sequence[str]) -> list[dict[str, Any]]:
    """F1 of each (table, scenario, reduction, method): once over all classifiers ("classifier" is None), once for each of them.

    Over all classifiers a method that lacks one stands at the mean of `none` plus what it adds where it is, so that a curve does not jump
    with the classifiers it is made of; for a method that has them all this is its mean.
    """
    out = []
    for kind in (None, *dict.fromkeys(c[3] for c in cells)):
        for place in dict.fromkeys(c[:3] for c in cells if kind in (None, c[3])):
            part = [c for c in cells if c[:3] == place and kind in (None, c[3])]
            level = average([draws.mean((*c, BASE), "f1", draws.shared((*c, BASE))) for c in part])
            for method in methods:
                gap = average([difference(draws, c, method) for c in part])
                if level is not None and gap is not None:
                    where = dict(zip(("table", "scenario", "reduction"), place, strict=True))
                    out.append({**where, "classifier": kind, "method": method, **(figure(level + gap / 100) or {})})
    return out


def table(draws: Draws, cells: Sequence[Cell], methods: Sequence[str]) -> list[dict[str, Any]]:
    """Every metric of each (cell, method) with its interval, and the F1 gained."""
    out = []
    for cell in cells:
        for method in methods:
            if seeds := draws.shared((*cell, method)):
                metrics = {k: figure(draws.mean((*cell, method), k, seeds)) for k in METRICS}
                gain = None if method == BASE else shown(difference(draws, cell, method, base_of(method)))
                out.append({**_named(cell), "method": method, "seeds": seeds, "metrics": metrics, "gain": gain})
    return out


def full(draws: Draws, tables: Sequence[str], classifiers: Sequence[str]) -> list[dict[str, Any]]:
    """The metrics of each (table, classifier) trained on the unreduced training set."""
    out = []
    for name in tables:
        for kind in classifiers:
            for base in (BASE, THRESHOLD):
                key = (name, FULL, 0, kind, base)
                if seeds := draws.shared(key):
                    metrics = {k: figure(draws.mean(key, k, seeds)) for k in METRICS}
                    out.append({"table": name, "classifier": kind, "method": base, "seeds": seeds, "metrics": metrics})
    return out


def beside_papers(draws: Draws, cells: Sequence[Cell], methods: Sequence[str]) -> dict[str, Any]:
    """The papers' figures, and every method's measured the same way: points over `none` at even odds, half of the labels removed.

    `lost`: what the full training set is above `none` there.
    """
    half = [c for c in cells if c[2] == HALF]
    first = [c for c in half if c[1] == "A"]
    keys = ("accuracy", "precision", "recall", "f1", "auc")
    rows = []
    for method in methods:
        if method != BASE:
            row = {k: shown(average([difference(draws, c, method, metric=k) for c in first])) for k in keys}
            row["mean_f1"] = shown(average([difference(draws, c, method) for c in half]))
            if any(row.values()):
                rows.append({"who": method, **row})
    lost = {k: shown(average([loss(draws, c, metric=k) for c in first])) for k in keys}
    lost["mean_f1"] = shown(average([loss(draws, c) for c in half]))
    return {"papers": list(PAPERS), "lost": lost, "methods": rows}


def points_text(points: Mapping[str, Any] | None) -> str:
    """Points with their interval: +4.2 (2.1 to 6.3); - for none."""
    if points is None or points["value"] is None:
        return "-"
    ends = "" if points["low"] is None else f" ({_tenths(points['low']):.1f} to {_tenths(points['high']):.1f})"
    return f"{_tenths(points['value']):+.1f}{ends}"


def _tenths(value: float) -> float:
    """Rounded as shown; never -0.0."""
    return round(value, 1) + 0.0
