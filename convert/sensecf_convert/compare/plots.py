"""Figures as pictures: PNG bytes, drawn by matplotlib without a display. The rows are those of `scoring`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from ..presentation.pictures import STYLE, png
from .methods import CURVE, METHODS
from .trade_off import edge, verdict

FAMILIES = {"ours": "#1f6feb", "dice": "#d1782a", "cfnow": "#2e8b57", "nice": "#8250df", "treecf": "#cf222e",
            "oceanpy": "#bf8700"}  # fmt: skip
SHAPES = ("o", "s", "^", "D")
CROWD = frozenset((
    "ours-without-llm-rows", "ours-without-llm-time", "ours-distance-exact", *CURVE, *(n for n, m in METHODS.items() if m.pinned)
)) - {"ours"}  # fmt: skip
"""Methods that stand in tables of their own: left out of crowded pictures."""
WORDS = {"n_changed": "features changed", "distance": "L1 / range", "knn_ratio": "kNN ratio"}

COUNTS = ("#dbe9ff", "#9ec5fe", "#5a9bf6", "#1f6feb", "#0b3d91")


def color(method: str) -> str:
    """One colour a family of methods."""
    return next((c for name, c in FAMILIES.items() if method.startswith(name)), "#57606a")


def roomy(names: Iterable[str]) -> list[str]:
    """The methods that a crowded picture has room for; all where there are no others."""
    names = list(dict.fromkeys(names))
    return [n for n in names if n not in CROWD] or names


def _names(rows: pd.DataFrame) -> list[str]:
    return roomy(str(n) for n in rows.method)


def radar(rows: pd.DataFrame, features: Sequence[str], table: str) -> bytes:
    """Which features each method changes: share of its answers, one small radar a method, ours as an outline in each."""
    answers = rows[rows.answered & (rows.table == table) & rows.method.isin(_names(rows))]
    shares = {n: _shares(part, features) for n, part in answers.groupby("method", sort=False)}
    across = max(1, min(4, len(shares)))
    down = max(1, -(-len(shares) // across))  # an empty one where nobody answers
    angles = np.linspace(0, 2 * np.pi, len(features), endpoint=False)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(down, across, figsize=(3.9 * across, 3.4 * down), subplot_kw={"projection": "polar"}, squeeze=False)
        for axis, (name, share) in zip(axes.flat, shares.items(), strict=False):
            _spider(axis, angles, share, color(name), fill=True)
            if "ours" in shares and name != "ours":
                _spider(axis, angles, shares["ours"], FAMILIES["ours"], fill=False)
            axis.set_title(f"{name}  ({int((answers.method == name).sum())})", pad=16, color=color(name))
            axis.set_xticks(angles, [_short(f) for f in features], fontsize=6.5)
            axis.set_ylim(0, 1)
            axis.set_yticks([0.5, 1.0], ["50 %", "100 %"], fontsize=6, color="#8c959f")
        for axis in axes.flat[len(shares) :]:
            axis.set_visible(False)
        figure.tight_layout(w_pad=2.5)
    return png(figure)


def _short(name: str) -> str:
    return name if len(name) <= 14 else name[:13] + "…"


def _shares(part: pd.DataFrame, features: Sequence[str]) -> list[float]:
    lists = [set(json.loads(text)) for text in part.changed]
    return [sum(f in names for names in lists) / max(1, len(lists)) for f in features]


def _spider(axis: Any, angles: Any, share: Sequence[float], tone: str, fill: bool) -> None:
    around, values = np.append(angles, angles[0]), np.append(share, share[0])
    axis.plot(around, values, color=tone, linewidth=1.2 if fill else 0.9, linestyle="-" if fill else ":")
    if fill:
        axis.fill(around, values, color=tone, alpha=0.22)


def counts(rows: pd.DataFrame) -> bytes:
    """How many features answers change: a bar a method, of all records asked; what is missing to 100 % got no answer."""
    names = _names(rows)[::-1]
    labels = ("1", "2", "3", "4", "5 and more")
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(7.5, 0.36 * len(names) + 1.2))
        left = np.zeros(len(names))
        for at, label in enumerate(labels):
            low, high = at + 1, at + 1 if at < 4 else np.inf
            width = np.array([100 * rows[rows.method == n].n_changed.between(low, high).mean() for n in names])
            axis.barh(names, width, left=left, color=COUNTS[at], edgecolor="white", label=label)
            left += width
        axis.set_xlim(0, 100)
        axis.set_xlabel("% of the records asked")
        axis.legend(title="features changed", ncols=5, frameon=False, loc="lower center", bbox_to_anchor=(0.4, 1.0))
        axis.tick_params(axis="y", length=0)
    return png(figure)


def box_plot(rows: pd.DataFrame, column: str, label: str, line: float | None = None) -> bytes:
    """Distribution of a figure over the answers, a box a method: median, quartiles, 5 to 95 %, and the mean as a dot."""
    names = [n for n in _names(rows) if rows[(rows.method == n)][column].notna().any()][::-1]
    data = [rows[rows.method == n][column].dropna().to_numpy(float) for n in names]
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(7.5, 0.36 * len(names) + 1.0))
        dot = {"marker": "o", "markerfacecolor": "white", "markeredgecolor": "black", "markersize": 4}
        drawn = axis.boxplot(data, orientation="horizontal", whis=(5, 95), showfliers=False, patch_artist=True, widths=0.6, showmeans=True,
                             meanprops=dot, medianprops={"color": "black"})  # fmt: skip
        axis.set_yticks(range(1, len(names) + 1), names)
        for box, name in zip(drawn["boxes"], names, strict=False):  # without any answer there is one box, of nothing
            box.set(facecolor=color(name), alpha=0.55, edgecolor=color(name))
        if line is not None:
            axis.axvline(line, color="#8c959f", linewidth=0.8, linestyle="--")
        axis.set_xlabel(label)
        axis.grid(axis="x", color="#eaeef2")
        axis.set_axisbelow(True)
        axis.tick_params(axis="y", length=0)
    return png(figure)


def latency(rows: pd.DataFrame, cold: dict[str, float | None]) -> bytes:
    """Time of a warm record: a bar from p50 to p95, on a logarithmic axis; the cold start as a hollow mark."""
    names = [n for n in _names(rows) if rows[rows.method == n].seconds.notna().any()][::-1]
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(7.5, 0.36 * len(names) + 1.0))
        for at, name in enumerate(names):
            seconds = 1000 * rows[rows.method == name].seconds.dropna().to_numpy(float)
            half, most = float(np.median(seconds)), float(np.quantile(seconds, 0.95))
            axis.plot([half, most], [at, at], color=color(name), linewidth=5, alpha=0.45, solid_capstyle="round")
            axis.plot(half, at, "o", color=color(name), markersize=6)
            axis.annotate(
                f"{half:,.1f}" if half < 100 else f"{half:,.0f}", (half, at), (0, 7), textcoords="offset points", ha="center", fontsize=7
            )
            if cold.get(name):
                axis.plot(1000 * float(cold[name] or 0), at, "D", markerfacecolor="white", markeredgecolor=color(name), markersize=5)
        axis.set_xscale("log")
        axis.set_yticks(range(len(names)), names)
        axis.set_ylim(-0.7, len(names) - 0.2)
        axis.set_xlabel("milliseconds a record: p50 (dot) to p95 (bar); start of the program (diamond)")
        axis.grid(axis="x", color="#eaeef2")
        axis.set_axisbelow(True)
        axis.tick_params(axis="y", length=0)
    return png(figure)


def trade(figures: dict[str, dict[str, Any]], across: tuple[str, str], up: tuple[str, str]) -> bytes:
    """One figure against another, a mark a method: colour for the family, shape within it, size for records answered at the goal."""
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(7.5, 4.4))
        seen: dict[str, int] = {}
        for name in roomy(figures):
            got = figures[name]
            x, y = got.get(across[0]), got.get(up[0])
            if not x or not y:
                continue
            share = (got.get("at_goal") or {"value": 0.0})["value"]
            shape = SHAPES[seen.setdefault(color(name), 0) % len(SHAPES)]
            seen[color(name)] += 1
            axis.plot(x["value"], y["value"], shape, color=color(name), alpha=0.8, markersize=5 + 8 * share**0.5, markeredgecolor="white",
                      linestyle="none", label=f"{name}  ({100 * share:.0f} %)")  # fmt: skip
        axis.margins(0.12)
        if seen:
            axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8, title="answered at the goal",
                        labelspacing=0.9)  # fmt: skip
        axis.set_xlabel(across[1])
        axis.set_ylabel(up[1])
        axis.grid(color="#eaeef2")
        axis.set_axisbelow(True)
    return png(figure)


def curves(beside: dict[str, dict[str, Any]], axes: tuple[str, str]) -> bytes:
    """A panel a method: its point, all that ours trades on the same records as a line, ours at its default price as a dot."""
    across = min(4, len(beside))
    down = -(-len(beside) // across)
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(down, across, figsize=(2.9 * across, 2.6 * down), squeeze=False)
        for panel, (name, made) in zip(panels.flat, beside.items(), strict=False):
            ours = {n: (x, y) for n, (x, y) in made["ours"].items()}
            line = np.array(edge(list(ours.values())))
            panel.plot(*np.array(list(ours.values())).T, ".", color=FAMILIES["ours"], alpha=0.6, markersize=7)
            panel.plot(*line.T, color=FAMILIES["ours"], linewidth=1.6)
            panel.plot(*ours["ours"], "o", color=FAMILIES["ours"], markersize=6) if "ours" in ours else None
            panel.plot(*made["point"], "D", color=color(name), markersize=7, markeredgecolor="white")
            panel.set_title(f"{name}  ({made['n']}: {verdict(made)})", color=color(name), fontsize=8.5)
            panel.margins(0.15)
            panel.grid(color="#eaeef2")
            panel.tick_params(labelsize=7)
            panel.locator_params(nbins=4)
        for panel in panels.flat[len(beside) :]:
            panel.set_visible(False)
        figure.supxlabel(WORDS[axes[0]], fontsize=9)
        figure.supylabel(WORDS[axes[1]], fontsize=9)
        figure.tight_layout()
    return png(figure)
