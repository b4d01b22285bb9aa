"""The study's pictures: PNG bytes in the style of `compare`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...compare.plots import FAMILIES
from ...presentation.pictures import STYLE, plt, png
from . import effects
from .effects import LEAST_CELLS
from .variants import BASE, EVERYBODY, MOVED, PRIOR, THRESHOLD, TOLD, TRIED

COLORS = {
    "none": "#24292f", "class-weights": "#2e8b57", "smote": "#cf222e", "dice": FAMILIES["dice"], "nice": FAMILIES["nice"],
    "ours": FAMILIES["ours"], "directions": "#9a6700", "unlabelled": "#0b3d91", "elsewhere": "#8250df", "taught": "#bf3989",
    THRESHOLD: "#24292f", TOLD[1:]: "#57606a", PRIOR: "#8c959f", EVERYBODY: "#d0d7de",
}  # fmt: skip
SHAPES = {"none": "", "class-weights": "D", "smote": "^", "dice": "v", "nice": "P", "ours": "o", "directions": "X", "unlabelled": "s",
          "elsewhere": "<", "taught": ">", THRESHOLD: "*"}  # fmt: skip
"""A shape beside each colour: curves are told apart without seeing red and green."""
BANDS = (THRESHOLD, "ours" + MOVED)
"""Methods whose interval is drawn along the curve; eight bands would hide each other."""
SCENARIOS = {"A": "A: positive class reduced{positive}", "B": "B: negative class reduced{negative}", "C": "C: both classes reduced"}


def maker(method: str) -> str:
    """Whose rows a variant stands on."""
    for variant in (MOVED, TOLD, TRIED):
        method = method.removesuffix(variant)
    return method


def color(method: str) -> str:
    """One colour a method, all its variants the same; grey for one that is not known here."""
    return COLORS.get(maker(method), "#57606a")


def drawn(methods: Sequence[str]) -> list[str]:
    """What the curves show: `none`, and every method with its threshold moved."""
    return [BASE, *(m for m in effects.moved(methods) if not m.endswith(TRIED))]


def plain(text: str, most: int = 22) -> str:
    """A name as matplotlib shall show it: no formula, not too long."""
    short = text if len(text) <= most else text[: most - 1] + "…"
    return short.replace("$", r"\$")


def scenario(name: str, table: dict[str, Any] | None = None) -> str:
    """A scenario in words, with a table's own names of the classes."""
    named = {k: f" ({table[k]})" if table else "" for k in ("positive", "negative")}
    return SCENARIOS.get(name, name).format(**named)


def curves(results: dict[str, Any], classifier: str | None) -> bytes:
    """F1 over the reduction, a curve a method: a panel for each scenario (across) and table (down). None: mean over classifiers."""
    scenarios, tables = results["scenarios"], results["tables"]
    points = [p for p in results["curves"] if p["classifier"] == classifier]
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(len(tables), len(scenarios), figsize=(3.5 * len(scenarios) + 1.2, 2.7 * len(tables) + 0.5),
                                    sharex=True, sharey="row", squeeze=False)  # fmt: skip
        for row, table in zip(axes, tables, strict=True):
            whole = _whole(results, table["name"], classifier)
            for axis, name in zip(row, scenarios, strict=True):
                part = [p for p in points if p["table"] == table["name"] and p["scenario"] == name]
                _panel(axis, part, drawn(results["methods"]), whole)
                axis.set_title(plain(scenario(name, table), 40))
            row[0].set_ylabel(f"{plain(table['name'])}: F1")
        for axis in axes[-1]:
            axis.set_xlabel("labels removed, %")
            axis.set_xticks(results["reductions"])
        handles = {label: h for axis in axes.flat for h, label in zip(*axis.get_legend_handles_labels(), strict=True)}
        order = [n for n in (*results["methods"], "full data, threshold") if n in handles]
        figure.tight_layout(w_pad=1.2)
        figure.legend([handles[n] for n in order], order, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, labelspacing=0.8)
    return png(figure)


def _whole(results: dict[str, Any], table: str, classifier: str | None) -> float | None:
    """F1 with the full data and its threshold moved, over the same classifiers as the curves."""
    mine = [f for f in results["full"] if (f["table"], f["method"]) == (table, THRESHOLD) and classifier in (None, f["classifier"])]
    held = [f["metrics"]["f1"]["value"] for f in mine if f["metrics"]["f1"]]
    return sum(held) / len(held) if held else None


def _panel(axis: Any, points: Sequence[dict[str, Any]], methods: Sequence[str], whole: float | None) -> None:
    if whole is not None:
        axis.axhline(whole, color="#8c959f", linewidth=1.0, linestyle=":", label="full data, threshold")
    for name in methods:
        mine = sorted((p for p in points if p["method"] == name and "value" in p), key=lambda p: p["reduction"])
        if not mine:
            continue
        across, up = [p["reduction"] for p in mine], [p["value"] for p in mine]
        front = 3 if name in BANDS else 2
        style = {"color": color(name), "marker": SHAPES.get(maker(name), "."), "linewidth": 2.0 if name in BANDS else 1.1}
        axis.plot(across, up, **style, linestyle=_line(name), label=name, zorder=front, markersize=5.5, markeredgecolor="white",
                  markeredgewidth=0.3)  # fmt: skip
        if name in BANDS and all(p["low"] is not None for p in mine):
            axis.fill_between(across, [p["low"] for p in mine], [p["high"] for p in mine], color=color(name), alpha=0.12, linewidth=0)
    axis.grid(color="#eaeef2")
    axis.set_axisbelow(True)


def _line(method: str) -> str:
    return "--" if method == BASE else "-"


def bars(blocks: dict[str, dict[str, Any]], methods: Sequence[str]) -> bytes | None:
    """Points of F1 over a moved threshold alone, a bar a method with its interval; a panel for each (title -> block), all on one scale.

    None where there is no such method. No bar for one with too few of a block's cells (`LEAST_CELLS`): it would stand for others than its
    neighbours do.
    """
    names = [m for m in effects.moved(methods) if m != THRESHOLD and any(_gain(b, m) for b in blocks.values())][::-1]
    if not names:
        return None
    across = min(4, len(blocks))
    down = -(-len(blocks) // across)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(down, across, figsize=(2.8 * across + 1.4, (0.3 * len(names) + 0.9) * down), sharex=True, sharey=True,
                                    squeeze=False)  # fmt: skip
        for axis, (title, block) in zip(axes.flat, blocks.items(), strict=False):
            _bars(axis, block, names)
            axis.set_title(plain(title, 28))
        for at, axis in enumerate(axes.flat):
            axis.set_visible(at < len(blocks))
            if at < len(blocks) <= at + across:
                axis.set_xlabel("points of F1 over threshold")
                axis.tick_params(axis="x", labelbottom=True)
        figure.tight_layout(w_pad=1.5)
    return png(figure)


def _gain(block: dict[str, Any], method: str) -> dict[str, Any] | None:
    mine = block["methods"].get(method)
    return mine["gain"].get("f1") if mine and mine["cells"] >= LEAST_CELLS * block["cells"] else None


def _bars(axis: Any, block: dict[str, Any], names: Sequence[str]) -> None:
    for at, name in enumerate(names):
        got = _gain(block, name)
        if got is None:
            continue
        axis.barh(
            at, got["value"], color=color(name), height=0.62, alpha=0.85, hatch="///" if name.endswith(TRIED) else None, edgecolor="white"
        )
        if got["low"] is not None:
            axis.plot([got["low"], got["high"]], [at, at], color="#24292f", linewidth=1.2)
            axis.plot([got["low"], got["high"]], [at, at], "|", color="#24292f", markersize=5)
    axis.axvline(0, color="#24292f", linewidth=0.8)
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(-0.6, len(names) - 0.4)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x", color="#eaeef2")
    axis.set_axisbelow(True)
