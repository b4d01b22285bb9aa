"""report.html: one file, nothing fetched. Pictures are data URIs; text is escaped by the template engine."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from ..evaluate import formatting
from ..presentation.pages import rendered
from . import plots
from .figures import MEASURES, TITLES, cell
from .methods import CURVE, EQUAL_BUDGET, METHODS
from .trade_off import PLANES, verdict

TEMPLATE = "compare/report.html.j2"
MAIN = ("asked", *(m.key for m in MEASURES if m.key not in ("usable", "kept")), "p50_ms", "p95_ms")
FREE = ("asked", "valid", "kept", "at_goal", "n_changed", "distance", "relations_broken")
BUDGET = ("at_goal", "n_changed", "distance", "knn_ratio", "realism", "rows", "p50_ms", "p95_ms")
PRICES = ("at_goal", "n_changed", "distance", "knn_ratio", "lof_inliers", "realism")
BESIDE = ("n_changed", "distance", "knn_ratio", "realism")
EXAMPLES = 3


def render(results: dict[str, Any], rows: pd.DataFrame) -> str:
    """The whole page."""
    pooled = results["pooled"]
    return rendered(
        TEMPLATE,
        results=results,
        main=grid(_main(pooled), MAIN),
        free=grid({n: got for n, got in pooled.items() if METHODS[n].pinned}, FREE),
        possible=formatting.possible(results["possible"]),
        prices=grid({n: pooled[n] for n in CURVE if n in pooled}, PRICES),
        factors=factors(results["trade"]),
        fewest=formatting.fewest_text(results["fewest"]),
        classes={name: grid(_main(part), MAIN) for name, part in results["classes"].items()},
        budget=grid({n: pooled[n] for n in EQUAL_BUDGET if n in pooled}, BUDGET),
        beside=_beside({n: got for n, got in results["paired"].items() if n not in CURVE and not METHODS[n].pinned}),
        titles={key: TITLES[key] for key in (*MAIN, *FREE, *BUDGET, *PRICES)}, free_keys=FREE,
        main_keys=MAIN, budget_keys=BUDGET, beside_keys=BESIDE, price_keys=PRICES, planes=list(PLANES),
        measures=MEASURES,
        methods=[{"name": n, "how": METHODS[n].how, **about} for n, about in results["methods"].items()],
        pictures=_pictures(results, rows),
        examples=examples(rows[rows.method.isin(plots.roomy(rows.method))]),
        color=plots.color,
    )  # fmt: skip


def _main(figures: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {n: got for n, got in figures.items() if n == "ours" or (n not in CURVE and not METHODS[n].pinned)}


def grid(figures: dict[str, dict[str, Any]], keys: tuple[str, ...]) -> list[dict[str, Any]]:
    """Rows of a table: each cell in words, with its interval."""
    return [{"name": n, "cells": [_cell(k, got.get(k)) for k in keys]} for n, got in figures.items()]


def _cell(key: str, figure: Any) -> dict[str, str]:
    out = {"text": cell(key, figure), "interval": ""}
    if isinstance(figure, dict) and figure["low"] is not None and figure["low"] != figure["high"]:
        low, high = (cell(key, figure[end]).removesuffix(" %") for end in ("low", "high"))
        out["interval"] = f"{low} to {high}"
    return out


def _beside(paired: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    out = []
    for name, got in paired.items():
        cells = []
        for key in BESIDE:
            made = _cell(key, got[key])
            gap = got[key]
            sure = gap and gap["low"] is not None and (gap["low"] > 0 or gap["high"] < 0)
            text = made["text"] if made["text"].startswith("-") else f"+{made['text']}"
            cells.append({**made, "text": text, "sure": bool(sure)})
        out.append({"name": name, "n": got["n"], "cells": cells})
    return out


def factors(trade: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the table beside the curve: a method, its records, and in each plane the factor with its interval and verdict."""
    names = dict.fromkeys(name for plane in trade.values() for name in plane)
    out = []
    for name in names:
        made = [trade[plane].get(name) for plane in PLANES]
        cells = [{"text": f"{m['factor']:.2f}", "interval": "" if m["low"] is None else f"{m['low']:.2f} to {m['high']:.2f}",
                  "verdict": verdict(m), "bound": f"{m['hindsight']:.2f}"} if m else None for m in made]  # fmt: skip
        out.append({"name": name, "n": max(m["n"] for m in made if m), "cells": cells})
    return out


def _pictures(results: dict[str, Any], rows: pd.DataFrame) -> dict[str, Any]:
    cold = {n: about["cold_start"] for n, about in results["methods"].items()}
    pooled = results["pooled"]
    return {
        "radars": {t["name"]: plots.radar(rows, t["mutable"], t["name"]) for t in results["tables"]},
        "counts": plots.counts(rows),
        "distance": plots.box_plot(rows, "distance", "L1 / range of an answer (Gower)"),
        "typical": plots.box_plot(rows, "knn_ratio", "kNN ratio of an answer; 1 is as typical as real people of the wanted class", 1.0),
        "trade": plots.trade(pooled, ("n_changed", "features changed"), ("knn_ratio", "kNN ratio (lower is more typical)")),
        "near": plots.trade(pooled, ("distance", "L1 / range"), ("knn_ratio", "kNN ratio (lower is more typical)")),
        "curves": {plane: plots.curves(made, PLANES[plane]) for plane, made in results["trade"].items() if made},
        "latency": plots.latency(rows, cold),
    }


def examples(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Three records that ours answers at the goal (else any): the least, the middle and the most likely to begin with."""
    base = "ours" if (rows.method == "ours").any() else str(rows.method.iloc[0])
    mine = rows[(rows.method == base)]
    good = mine[mine.at_goal] if mine.at_goal.any() else mine
    order = good.sort_values(["p_factual", "record"])
    at = sorted({round(k * (len(order) - 1) / (EXAMPLES - 1)) for k in range(EXAMPLES)})
    return [_example(rows[(rows.table == one.table) & (rows.record == one.record)]) for one in order.iloc[at].itertuples()]


def _example(part: pd.DataFrame) -> dict[str, Any]:
    before: dict[str, Any] = {}
    answers = []
    for one in part.itertuples():
        changed = {}
        if one.answered:
            names, old, new = (json.loads(text) for text in (one.changed, one.before, one.after))
            before |= dict(zip(names, old, strict=True))
            changed = dict(zip(names, new, strict=True))
        answers.append({"name": one.method, "answered": one.answered, "why": one.why or "no answer", "changed": changed,
                        "p": f"{one.p:.2f}" if one.answered else "", "at_goal": one.at_goal, "plausible": one.plausible,
                        "distance": f"{one.distance:.3f}" if one.answered else ""})  # fmt: skip
    first = part.iloc[0]
    return {"table": first.table, "record": int(first.record) + 1, "p": f"{first.p_factual:.2f}", "class": first["class"],
            "features": list(before), "before": {n: _value(v) for n, v in before.items()},
            "answers": [{**a, "changed": {n: _value(v) for n, v in a["changed"].items()}} for a in answers]}  # fmt: skip


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float | int) else str(value)
