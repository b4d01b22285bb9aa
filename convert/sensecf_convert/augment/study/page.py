"""The study's report.html: results -> tables in words, pictures, and the template that holds them."""

from __future__ import annotations

from typing import Any

from ...presentation.pages import template
from ..trial import TRIED
from . import plots
from .figures import METRICS
from .folders import BASE
from .gains import LEAST_CELLS, SEVERE, points_text

TEMPLATE = "augment/study/study.html.j2"
TITLES = {"accuracy": "accuracy", "precision": "precision", "recall": "recall", "f1": "F1", "auc": "AUC", "mean_f1": "F1, scenarios A-C"}
HOW = {
    "none": "The reduced training rows as they are.",
    "duplicate": "Rows of the class that lost some are drawn again, all once before any twice.",
    "class-weights": "No new row: both classes weigh alike in the classifier's loss.",
    "smote": "New rows between a row of the class and one of its nearest neighbours (SMOTE; SMOTE-NC with choices); medians stand for "
             "unknown values.",
    "dice": "Counterfactuals by DiCE's random search, of the rows that ours is asked about, with the same checker and the same freedom.",
    "nice": "Counterfactuals by NICE, which borrows values from the nearest real row of the class; asked as DiCE is.",
    "ours": "Rows of this project's pipeline, trained on the reduced rows: a fifth are counterfactuals of real people of the other class, "
            "the rest invented people of the class, moved where the checker did not recognise them. The generator is tuned briefly "
            "from shared weights, learnt from rows that all cells of the seed have in common.",
    "ours-full": "As ours, its generator tuned from nothing, as long as a fit is.",
}  # fmt: skip


def render(results: dict[str, Any]) -> str:
    """The whole page from what `results.summarise` made."""
    block = results["chosen"]
    return template(TEMPLATE).render(
        r=results, block=block, summary=summary(block), tried=summary(block, tried=True), severe=severe(block),
        severe_all=severe(results["all"]),
        by_seed=by_seed(block), over=_over(results), titles=TITLES, metrics=METRICS, severe_points=SEVERE,
        worse=[{"method": m, **cell, "text": points_text(cell)} for m, got in block["methods"].items() for cell in got["worse"]],
        papers=papers(results["papers"]), full=[_full(f) for f in results["full"]],
        details={k: {"summary": summary(part), "cells": details(results, k)} for k, part in results["by"]["classifier"].items()},
        tables={k: summary(part) for k, part in results["by"]["table"].items()},
        scenarios={k: summary(part) for k, part in results["by"]["scenario"].items()},
        how={m: HOW.get(m, "") for m in results["methods"] if not m.endswith(TRIED)}, rows=rows_added(results["rows"]),
        checked=_checked(results["tables"]), pictures=pictures(results, block), color=plots.color,
        points=points_text, level=level, ends=ends, scenario=plots.scenario, least=f"{100 * LEAST_CELLS:.0f} %",
    )  # fmt: skip


def _over(results: dict[str, Any]) -> str:
    """The reductions that the summary is about, in words."""
    return " and ".join(f"{r} %" for r in results["chosen_reductions"])


def level(figure: dict[str, Any] | None) -> str:
    """A metric from 0 to 1."""
    return "-" if figure is None else f"{figure['value']:.3f}"


def ends(figure: dict[str, Any] | None, scale: float = 1, digits: int = 3) -> str:
    """A figure's interval; nothing where it has none."""
    if figure is None or figure["low"] is None:
        return ""
    low, high = (round(scale * figure[end], digits) + 0.0 for end in ("low", "high"))  # + 0.0: never -0.0
    return f"{low:.{digits}f} to {high:.{digits}f}"


def _points(figure: dict[str, Any] | None) -> dict[str, Any]:
    """A cell of points: text, interval, whether the interval leaves out 0 (`sure`), and whether it is below (`bad`)."""
    if figure is None:
        return {"text": "-", "interval": "", "sure": False, "bad": False}
    known = figure["low"] is not None
    above, below = known and figure["low"] > 0, known and figure["high"] < 0
    return {"text": points_text({**figure, "low": None}), "interval": ends(figure, digits=1), "sure": above or below, "bad": below}


def _share(figure: dict[str, Any] | None) -> dict[str, Any]:
    text = "-" if figure is None else f"{round(100 * figure['value']) + 0} %"
    return {"text": text, "interval": ends(figure, 100, 0), "sure": False, "bad": False}


def summary(block: dict[str, Any], tried: bool = False) -> list[dict[str, Any]]:
    """A row a method: mean F1, F1 recovered, share of the loss, AUC gained, ours minus it, cells surely worse than none.

    `tried`: `none` and the methods behind the trial, instead of all that a picture shows."""
    out = []
    shown = [m for m in block["methods"] if m == BASE or m.endswith(TRIED)] if tried else plots.drawn(list(block["methods"]))
    for name in shown:
        got = block["methods"][name]
        gain, other = got["gain"], block["beside"].get(name)
        f1 = {"text": level(got["f1"]), "interval": ends(got["f1"]), "sure": False, "bad": False}
        beside = _points(other) | ({"more": _seeds(other["by_seed"])} if other else {})
        cells = [f1, _points(gain.get("f1")), _share(got["share"]), _points(gain.get("auc")), beside]
        worse = None if name == BASE else len(got["worse"])
        few = got["cells"] < LEAST_CELLS * block["cells"]
        out.append({"name": name, "cells": cells, "n": got["cells"], "missing": block["cells"] - got["cells"], "worse": worse, "few": few})
    return out


def _seeds(each: dict[str, float]) -> str:
    """In how many seeds a difference is above 0: a check that no interval over test people makes."""
    return f"above 0 in {sum(v > 0 for v in each.values())} of {len(each)} seeds"


def severe(block: dict[str, Any]) -> list[dict[str, Any]]:
    """A row a method over the cells where `none` lost the most."""
    held = block["severe"]["methods"]
    return [
        {"name": m, "n": got["cells"], "cells": [_points(got["loss"]) | {"sure": False}, _points(got["gain"]), _share(got["share"])]}
        for m, got in ((m, held[m]) for m in plots.drawn(list(held)))
    ]


def by_seed(block: dict[str, Any]) -> list[dict[str, Any]]:
    """Each method's F1 recovered, seed by seed."""
    held = {m: got["by_seed"] for m in plots.drawn(list(block["methods"])) if (got := block["methods"][m])["by_seed"]}
    return [{"name": m, "values": {s: points_text({"value": v, "low": None}) for s, v in each.items()}} for m, each in held.items()]


def papers(got: dict[str, Any]) -> list[dict[str, Any]]:
    """The papers' rows, what was lost here, and each method here, in one table."""
    keys = (*METRICS, "mean_f1")

    def said(row: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"text": f"{row[k]:+.1f}" if k in row else "", "interval": "", "sure": False, "bad": False} for k in keys]

    lost = [_points(got["lost"][k]) | {"sure": False, "bad": False} for k in keys]
    rows = [{"name": p["who"], "kind": "paper", "cells": said(p)} for p in got["papers"]]
    rows.append({"name": "here: what the full labels are worth", "kind": "lost", "cells": lost})
    here = {m["who"]: m for m in got["methods"]}
    return rows + [{"name": m, "kind": "method", "cells": [_points(here[m][k]) for k in keys]} for m in plots.drawn(list(here))]


def rows_added(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows a method added in a cell of each table, in words; methods that add none are left out."""
    out = []
    for r in rows:
        if r["added"]:
            made = "-" if r["method"] == "duplicate" else f"{100 * r['made']:.0f} %"  # it repeats by its nature
            spent = f"{r['seconds']:,.0f}" if r["seconds"] >= 10 else f"{r['seconds']:.1f}"
            out.append({**r, "cells": [f"{r['added']:,.0f}", made, spent]})
    return out


def _checked(tables: list[dict[str, Any]]) -> bool:
    """Whether any study states the AUC of a checker on the full labels."""
    return any(t["checker"].get("auc") is not None for t in tables)


def details(results: dict[str, Any], classifier: str) -> list[dict[str, Any]]:
    """The cells of one classifier at the summary's reductions, all metrics."""
    shown, methods = results["chosen_reductions"], plots.drawn(results["methods"])
    aucs = {(t["table"], t["scenario"], t["reduction"]): t["auc"] for t in results["training"]}
    out = []
    for c in results["cells"]:
        if c["classifier"] == classifier and c["reduction"] in shown and c["method"] in methods:
            checker = aucs.get((c["table"], c["scenario"], c["reduction"]))
            out.append({**c, "auc": f"{checker[0]:.2f}" if checker else "-", "recovered": _points(c["gain"]),
                        "values": [{"text": level(c["metrics"][k]), "interval": ends(c["metrics"][k])} for k in METRICS]})  # fmt: skip
    return out


def _full(got: dict[str, Any]) -> dict[str, Any]:
    return {**got, "cells": [{"text": level(got["metrics"][k]), "interval": ends(got["metrics"][k])} for k in METRICS]}


def pictures(results: dict[str, Any], block: dict[str, Any]) -> dict[str, Any]:
    """Curves over all classifiers and for each; bars of F1 recovered by table (where there are several) and by scenario."""
    by, methods = results["by"], results["methods"]
    several = len(by["table"]) > 1
    places = {"all tables": block, **by["table"]} if several else {}
    named = {"all scenarios": block, **{plots.scenario(k): v for k, v in by["scenario"].items()}}
    held = {k: {t: b for t, b in part.items() if b["cells"]} for k, part in (("tables", places), ("scenarios", named))}
    return {
        "curves": plots.curves(results, None) if results["curves"] else None,
        "each": {k: plots.curves(results, k) for k in results["classifiers"]} if results["curves"] else {},
        "tables": plots.bars(held["tables"], methods) if held["tables"] else None,
        "scenarios": plots.bars(held["scenarios"], methods) if held["scenarios"] else None,
    }
