"""What a method gives back: differences to `none` and between methods, made draw by draw of the same seeds, hence paired.

A cell here is (table, scenario, reduction, classifier). Differences are in points, hundredths of a metric. Means over cells give every cell
the same weight; a method's figures are over the cells that it has, and its differences over those that the other has too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..trial import TRIED
from .figures import LEVEL, METRICS, Draw, Draws, figure
from .folders import BASE
from .scarcity import FULL

OURS = "ours"
SEVERE = 15.0
"""Points of F1 under the full-data F1 from which a cell counts as severe (the mark this study was given)."""
LEAST_LOSS = 1.0
"""Points of mean loss under which no share of it is formed: it would be noise over noise."""
HALF = 50
LEAST_CELLS = 0.6
"""Share of the cells that a method must have to be ranked, drawn as a bar, or said to reach a mark."""
PAPERS = (
    {"who": "papers: LLaMA-3.1-8B, fine-tuned",
     "accuracy": 21.0, "precision": 20.0, "recall": 24.6, "f1": 22.4, "auc": 25.4, "mean_f1": 19.9},
    {"who": "papers: predecessor (2025), setting not known", "accuracy": 5.0},
)  # fmt: skip
"""arXiv 2601.14590: scenario A against the reduced set, and mean F1 recovered over three scenarios with half the labels removed;
arXiv 2507.05541: accuracy gained."""

Cell = tuple[str, str, int, str]


def difference(draws: Draws, cell: Cell, method: str, base: str = BASE, metric: str = "f1") -> Draw | None:
    """Points of a metric that `method` is above `base` in a cell, over the seeds that have both. None where there is none."""
    one, other = (*cell, method), (*cell, base)
    seeds = draws.shared(one, other)
    return 100 * (draws.mean(one, metric, seeds) - draws.mean(other, metric, seeds)) if seeds else None


def loss(draws: Draws, cell: Cell, *methods: str, metric: str = "f1") -> Draw | None:
    """Points of a metric that `none` is under the full data, over the seeds that have both and these methods. None where none has."""
    whole, base = (cell[0], FULL, 0, cell[3], BASE), (*cell, BASE)
    seeds = draws.shared(whole, base, *((*cell, m) for m in methods))
    return 100 * (draws.mean(whole, metric, seeds) - draws.mean(base, metric, seeds)) if seeds else None


def average(parts: Sequence[Draw | None]) -> Draw | None:
    """The mean of those that are there."""
    held = [p for p in parts if p is not None]
    return np.asarray(np.mean(held, axis=0)) if held else None


def shown(draw: Draw | None) -> dict[str, float | None] | None:
    """A figure, or None for nothing."""
    return None if draw is None else figure(draw)


def share(draws: Draws, cells: Sequence[Cell], method: str) -> dict[str, float | None] | None:
    """Share of the loss that `method` gives back: sum of (F1 - F1 none) over sum of (F1 full - F1 none).

    A ratio of means: single cells' ratios explode where the loss is near zero. None where the mean loss is under a point, or is not
    sure to be above nothing (a resample in 40 has none): noise over noise, and easily a thousand per cent.
    """
    lost, gained = [], []
    for cell in cells:
        gap = loss(draws, cell, method)
        if gap is not None:
            whole, mine, base = (cell[0], FULL, 0, cell[3], BASE), (*cell, method), (*cell, BASE)
            seeds = draws.shared(whole, base, mine)
            lost.append(gap)
            gained.append(100 * (draws.mean(mine, "f1", seeds) - draws.mean(base, "f1", seeds)))
    below, above = average(lost), average(gained)
    known = None if below is None else figure(below)
    if below is None or above is None or known is None or not below[0] >= LEAST_LOSS or not (known["low"] or 0) > 0:
        return None
    return figure(above / below)


def block(draws: Draws, cells: Sequence[Cell], methods: Sequence[str], auc: Mapping[tuple[str, str, int], float]) -> dict[str, Any]:
    """Everything over some cells: each method, ours minus each other of its sort, the severe cells, and the checker's AUC in them."""
    losses = {c: gap for c in cells if (gap := loss(draws, c)) is not None}
    severe = [c for c, gap in losses.items() if gap[0] >= SEVERE]
    about = {m: one for m in methods if (one := _method(draws, cells, m)) is not None}
    return {
        "cells": len(cells),
        "checker_auc": _range(auc, cells),
        "loss": shown(average(list(losses.values()))),
        "methods": about,
        "beside": {m: _beside(draws, cells, m, mine) for m in about if m != (mine := rival(m)) and mine in about},
        "severe": {"cells": [_named(c) | {"loss": figure(losses[c])} for c in severe],
                   "loss": shown(average([losses[c] for c in severe])), "checker_auc": _range(auc, severe),
                   "methods": {m: _severe(draws, severe, m) for m in about if m != BASE and severe}},
    }  # fmt: skip


def _range(auc: Mapping[tuple[str, str, int], float], cells: Sequence[Cell]) -> dict[str, float] | None:
    """Mean, least and most of the checker's AUC over the training sets behind some cells."""
    seen = [auc[place] for place in dict.fromkeys(c[:3] for c in cells) if place in auc]
    return {"mean": round(float(np.mean(seen)), 6), "low": min(seen), "high": max(seen)} if seen else None


def rival(method: str) -> str:
    """Which of ours a method stands beside: behind the trial where it is, else as it comes."""
    return OURS + TRIED if method.endswith(TRIED) else OURS


def _beside(draws: Draws, cells: Sequence[Cell], method: str, mine: str) -> dict[str, Any] | None:
    """Ours (`mine`) minus `method` over the cells that both have, and the same of each seed alone."""
    known = shown(average([difference(draws, c, mine, method) for c in cells]))
    return None if known is None else {**known, "by_seed": _by_seed(draws, cells, mine, method)}


def _named(cell: Cell) -> dict[str, Any]:
    return dict(zip(("table", "scenario", "reduction", "classifier"), cell, strict=True))


def _method(draws: Draws, cells: Sequence[Cell], method: str) -> dict[str, Any] | None:
    held = [c for c in cells if draws.shared((*c, method))]
    if not held:
        return None
    f1 = average([draws.mean((*c, method), "f1", draws.shared((*c, method))) for c in held])
    out: dict[str, Any] = {"cells": len(held), "f1": shown(f1), "gain": {}, "share": None, "by_seed": {}, "worse": []}
    if method == BASE:
        return out
    each = {c: gap for c in held if (gap := difference(draws, c, method)) is not None}
    out["gain"] = {k: shown(average([difference(draws, c, method, metric=k) for c in held])) for k in METRICS}
    out["share"] = share(draws, held, method)
    out["by_seed"] = _by_seed(draws, held, method)
    for cell, gap in each.items():
        known = figure(gap)
        if known is not None and known["high"] is not None and known["high"] < 0:
            out["worse"].append(_named(cell) | known)
    return out


def _by_seed(draws: Draws, cells: Sequence[Cell], method: str, base: str = BASE) -> dict[str, float]:
    """Points of F1 over `base` of each seed alone, the mean over its cells: how much the training set's luck matters."""
    got: dict[int, list[float]] = {}
    at = METRICS.index("f1")
    for cell in cells:
        one, other = draws.runs.get((*cell, method), {}), draws.runs.get((*cell, base), {})
        for seed in sorted(set(one) & set(other)):
            got.setdefault(seed, []).append(100 * float(one[seed][at, 0] - other[seed][at, 0]))
    return {str(seed): round(float(np.mean(values)), 6) for seed, values in sorted(got.items())}


def _severe(draws: Draws, cells: Sequence[Cell], method: str) -> dict[str, Any]:
    held = [c for c in cells if loss(draws, c, method) is not None]
    return {"cells": len(held), "loss": shown(average([loss(draws, c, method) for c in held])),
            "gain": shown(average([difference(draws, c, method) for c in held])), "share": share(draws, held, method)}  # fmt: skip


def best(draws: Draws, cells: Sequence[Cell], methods: Sequence[str]) -> dict[str, Any] | None:
    """The method of the highest mean F1 over the cells that all methods have, and its lead over the next. None without such cells.

    Methods with too few of the cells (`LEAST_CELLS`) are not ranked: they would leave too few in common.
    """
    there = [m for m in methods if sum(bool(draws.shared((*c, m))) for c in cells) >= max(1, LEAST_CELLS * len(cells))]
    common = {c: seeds for c in cells if there and (seeds := draws.shared(*((*c, m) for m in there)))}
    if not common:
        return None
    means = {m: np.asarray(np.mean([draws.mean((*c, m), "f1", s) for c, s in common.items()], axis=0)) for m in there}
    order = sorted(there, key=lambda m: -means[m][0])
    out: dict[str, Any] = {"method": order[0], "f1": figure(means[order[0]]), "cells": len(common), "next": None, "ahead": None}
    if len(order) > 1:
        out |= {"next": order[1], "ahead": figure(100 * (means[order[0]] - means[order[1]]))}
    return out


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
    """Every metric of each (cell, method) with its interval, and the F1 recovered."""
    out = []
    for cell in cells:
        gap = loss(draws, cell)
        for method in methods:
            seeds = draws.shared((*cell, method))
            if seeds:
                metrics = {k: figure(draws.mean((*cell, method), k, seeds)) for k in METRICS}
                gain = None if method == BASE else shown(difference(draws, cell, method))
                out.append({**_named(cell), "method": method, "seeds": seeds, "metrics": metrics, "gain": gain, "loss": shown(gap)})
    return out


def full(draws: Draws, tables: Sequence[str], classifiers: Sequence[str]) -> list[dict[str, Any]]:
    """The metrics of each (table, classifier) trained on the unreduced training set."""
    out = []
    for name in tables:
        for kind in classifiers:
            key = (name, FULL, 0, kind, BASE)
            if seeds := draws.shared(key):
                metrics = {k: figure(draws.mean(key, k, seeds)) for k in METRICS}
                out.append({"table": name, "classifier": kind, "seeds": seeds, "metrics": metrics})
    return out


def beside_papers(draws: Draws, cells: Sequence[Cell], methods: Sequence[str]) -> dict[str, Any]:
    """The papers' figures, and every method's measured the same way: points over `none`, half of the labels removed.

    `lost`: what the full training set is above `none` there; no method can be asked for more.
    """
    half = [c for c in cells if c[2] == HALF]
    first = [c for c in half if c[1] == "A"]
    rows = []
    for method in methods:
        if method != BASE:
            row = {k: shown(average([difference(draws, c, method, metric=k) for c in first])) for k in METRICS}
            row["mean_f1"] = shown(average([difference(draws, c, method) for c in half]))
            if any(row.values()):
                rows.append({"who": method, **row})
    lost = {k: shown(average([loss(draws, c, metric=k) for c in first])) for k in METRICS}
    lost["mean_f1"] = shown(average([loss(draws, c) for c in half]))
    return {"papers": list(PAPERS), "lost": lost, "methods": rows}


def marks(draws: Draws, cells: Sequence[Cell], methods: Sequence[str]) -> list[dict[str, Any]]:
    """The figures this study was asked to reach, for each of our own methods: method, title, whether met (None: no case), and in words.

    A method of ours that has too few of the cells (`LEAST_CELLS`) is not judged. Behind the trial it has to hold its own against the others
    with and without it; as it comes, against the others as they come.
    """
    severe = [c for c in cells if (gap := loss(draws, c)) is not None and gap[0] >= SEVERE]
    out = []
    for name in methods:
        mine = _method(draws, cells, name) if name.startswith(OURS) else None
        if mine is None or mine["cells"] < LEAST_CELLS * len(cells):
            continue
        wrong, held = len(mine["worse"]), mine["cells"]
        text = (f"{wrong} of {held} cells have an interval wholly below 0; if it changed nothing, chance alone would make about "
                f"{(1 - LEVEL) / 2 * held:.1f}")  # fmt: skip
        part = share(draws, severe, name)
        said = f"{100 * (part['value'] or 0):.0f} %, {len(severe)} such cells" if part else "there is no such cell"
        out += [
            _first(draws, cells, name, [m for m in methods if not m.startswith(OURS) and (name.endswith(TRIED) or not m.endswith(TRIED))]),
            {"method": name, "title": "nowhere worse than none, within intervals", "met": not wrong, "text": text},
            {"method": name, "title": f"half of the loss recovered where none is {SEVERE:.0f} points or more under the full-data F1",
             "met": part and (part["value"] or 0) >= 0.5, "text": said},
        ]  # fmt: skip
    return out


def _first(draws: Draws, cells: Sequence[Cell], name: str, others: Sequence[str]) -> dict[str, Any]:
    """Whether a method's mean F1 is at least that of each other, over the cells that both have."""
    gaps = {m: figure(gap) for m in others if (gap := average([difference(draws, c, name, m) for c in cells])) is not None}
    behind = {m: gap for m, gap in gaps.items() if gap is not None and (gap["value"] or 0) < 0}
    text = "; ".join(f"{m} is ahead: {points_text(gap)} points" for m, gap in behind.items()) or f"at least that of {', '.join(gaps)}"
    return {"method": name, "title": "mean F1 at least every other method's", "met": not behind, "text": text}


def points_text(points: Mapping[str, Any] | None) -> str:
    """Points with their interval: +4.2 (2.1 to 6.3); - for none."""
    if points is None or points["value"] is None:
        return "-"
    ends = "" if points["low"] is None else f" ({_tenths(points['low']):.1f} to {_tenths(points['high']):.1f})"
    return f"{_tenths(points['value']):+.1f}{ends}"


def _tenths(value: float) -> float:
    """Rounded as shown; never -0.0."""
    return round(value, 1) + 0.0
