"""The study's report.html: results -> tables in words, pictures, and the template that holds them."""

from __future__ import annotations

from typing import Any

from ...presentation.pages import rendered
from ...statistics import LEAST_PEOPLE
from . import effects, plots
from .effects import LEAST_CELLS, points_text
from .figures import METRICS
from .variants import BASE, EVERYBODY, MOVED, PRIOR, THRESHOLD, TOLD, TRIED

TEMPLATE = "augment/study/study.html.j2"
TITLES = {"accuracy": "accuracy", "balanced": "balanced accuracy", "precision": "precision", "recall": "recall", "f1": "F1", "auc": "AUC",
          "auprc": "AUPRC", "brier": "Brier score", "log_loss": "log loss", "mean_f1": "F1, scenarios A-C"}  # fmt: skip
SHOWN = ("f1", "balanced", "auc", "auprc", "brier", "log_loss")
PAPERS = ("accuracy", "precision", "recall", "f1", "auc", "mean_f1")
HOW = {
    "none": "The reduced training rows as they are.",
    "class-weights": "No new row: both classes weigh alike in the classifier's loss.",
    "smote": "New rows between a row of the class and one of its nearest neighbours (SMOTE; SMOTE-NC with choices); medians stand "
             "for unknown values.",
    "dice": "Counterfactuals by DiCE's random search, of the rows that ours is asked about, with the same checker and the same freedom.",
    "nice": "Counterfactuals by NICE, which borrows values from the nearest real row of the class; asked as DiCE is.",
    "ours": "The rows that `augment` writes, from the reduced rows: a fifth are counterfactuals of real people of the other class, "
            "the rest invented people of the class, moved where the checker did not recognise them.",
    "directions": "Real rows of the class with up to three features moved further the way that the schema states for them.",
    "unlabelled": "People whose labels were taken away, as rows of both classes, weighing as a random forest of the labelled rows says. "
                  "Only where both classes lost labels: else having none would tell the class.",
    "elsewhere": "Another table's labelled rows, all of them.",
    "taught": "Invented people, as rows of both classes, weighing as a random forest of another table's labelled rows says.",
    THRESHOLD: "No new row: the decision threshold lies where F1 was highest over folds of the reduced rows' people.",
    TOLD[1:]: "As threshold, each class counting as often as it was before labels were taken away. A study knows that; elsewhere somebody "
              "has to know how common the condition is.",
    PRIOR: "No new row and no search: positive from the share of positives among the reduced rows on.",
    EVERYBODY: "Everybody is called positive.",
    "METHOD" + MOVED: "A method's rows, and the threshold as for threshold; in each fold the rows are made from its training part alone.",
    "METHOD" + TRIED: "METHOD" + MOVED + " where it has the higher F1 over those folds, else threshold.",
}  # fmt: skip


def render(results: dict[str, Any]) -> str:
    """The whole page from what `results.summarise` made."""
    block = results["chosen"]
    return rendered(
        TEMPLATE,
        r=results, block=block, plain=summary(block, effects.plain), moved=summary(block, effects.moved), told=summary(block, _told),
        over=_over(results), titles=TITLES, metrics=METRICS, shown=SHOWN, few=LEAST_PEOPLE, paper_keys=PAPERS,
        papers=papers(results["papers"]),
        worse=[{"method": m, **cell, "text": points_text(cell)} for m, got in block["methods"].items() for cell in got["worse"]],
        by_seed=by_seed(block), full=[_full(f) for f in results["full"]],
        classifiers={k: {"plain": summary(part, effects.plain), "moved": summary(part, effects.moved), "cells": details(results, k)}
                     for k, part in results["by"]["classifier"].items()},
        places={k: {n: (summary(part, effects.plain), summary(part, effects.moved))
                    for n, part in results["by"][k].items() if part["cells"]} for k in ("table", "scenario")},
        how={m: HOW[m] for m in HOW if m in results["methods"] or m.startswith("METHOD")}, rows=rows_added(results["rows"]),
        pictures=pictures(results, block), color=plots.color, points=points_text, level=level, scenario=plots.scenario,
        least=f"{100 * LEAST_CELLS:.0f} %",
    )  # fmt: skip


def _told(methods: list[str]) -> list[str]:
    return [m for m in methods if m == TOLD[1:] or m.endswith(TOLD)]


def _over(results: dict[str, Any]) -> str:
    """The reductions that the summary is about, in words."""
    return " and ".join(f"{r} %" for r in results["chosen_reductions"])


def level(figure: dict[str, Any] | None) -> str:
    """A metric from 0 to 1."""
    return "-" if figure is None else f"{figure['value']:.3f}"


def ends(figure: dict[str, Any] | None, digits: int = 3) -> str:
    """A figure's interval; nothing where it has none."""
    if figure is None or figure["low"] is None:
        return ""
    low, high = (round(figure[end], digits) + 0.0 for end in ("low", "high"))  # + 0.0: never -0.0
    return f"{low:.{digits}f} to {high:.{digits}f}"


def _metric(figure: dict[str, Any] | None) -> dict[str, Any]:
    return {"text": level(figure), "interval": ends(figure), "sure": False, "bad": False}


def _points(figure: dict[str, Any] | None) -> dict[str, Any]:
    """A cell of points: text, interval, whether the interval leaves out 0 (`sure`), and whether it is below (`bad`)."""
    if figure is None:
        return {"text": "-", "interval": "", "sure": False, "bad": False}
    known = figure["low"] is not None
    above, below = known and figure["low"] > 0, known and figure["high"] < 0
    return {"text": points_text({**figure, "low": None}), "interval": ends(figure, digits=1), "sure": above or below, "bad": below}


def summary(block: dict[str, Any], which: Any) -> list[dict[str, Any]]:
    """A row a method: points of F1 over what it is counted from, ours minus it, the metrics, the slope, cells surely worse."""
    out = []
    for name in which(list(block["methods"])):
        got = block["methods"][name]
        slope = "-" if got["slope"] is None else f"{got['slope']:.2f}"
        cells = [_points(got["gain"].get("f1")), _points(block["beside"].get(name)), *(_metric(got["metrics"][k]) for k in SHOWN),
                 {"text": slope, "interval": "", "sure": False, "bad": False}]  # fmt: skip
        out.append({"name": name, "base": got["base"], "cells": cells, "n": got["cells"], "missing": block["cells"] - got["cells"],
                    "worse": None if name == BASE else len(got["worse"])})  # fmt: skip
    return out


def by_seed(block: dict[str, Any]) -> list[dict[str, Any]]:
    """Each method's points of F1, seed by seed."""
    held = {m: got["by_seed"] for m, got in block["methods"].items() if got["by_seed"]}
    return [{"name": m, "values": {s: points_text({"value": v, "low": None}) for s, v in each.items()}} for m, each in held.items()]


def papers(got: dict[str, Any]) -> list[dict[str, Any]]:
    """The papers' rows, what was lost here, and each method here, in one table."""

    def paper_cells(row: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"text": f"{row[k]:+.1f}" if k in row else "", "interval": "", "sure": False, "bad": False} for k in PAPERS]

    lost = [_points(got["lost"][k]) | {"sure": False, "bad": False} for k in PAPERS]
    rows = [{"name": p["who"], "kind": "paper", "cells": paper_cells(p)} for p in got["papers"]]
    rows.append({"name": "here: what the full labels are worth", "kind": "lost", "cells": lost})
    here = {m["who"]: m for m in got["methods"] if not m["who"].endswith((TRIED, TOLD))}
    return rows + [{"name": m, "kind": "method", "cells": [_points(row[k]) for k in PAPERS]} for m, row in here.items()]


def rows_added(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows a method added in a cell of each table, in words; methods that add none are left out."""
    out = []
    for r in rows:
        if r["added"]:
            spent = f"{r['seconds']:,.0f}" if r["seconds"] >= 10 else f"{r['seconds']:.1f}"
            out.append({**r, "cells": [f"{r['added']:,.0f}", f"{100 * r['made']:.0f} %", spent]})
    return out


def details(results: dict[str, Any], classifier: str) -> list[dict[str, Any]]:
    """The cells of one classifier at the summary's reductions, all metrics."""
    names = {*effects.plain(results["methods"]), *effects.moved(results["methods"])}
    out = []
    for c in results["cells"]:
        if c["classifier"] == classifier and c["reduction"] in results["chosen_reductions"] and c["method"] in names:
            out.append({**c, "gained": _points(c["gain"]), "values": [_metric(c["metrics"][k]) for k in METRICS]})
    return out


def _full(got: dict[str, Any]) -> dict[str, Any]:
    return {**got, "cells": [_metric(got["metrics"][k]) for k in METRICS]}


def pictures(results: dict[str, Any], block: dict[str, Any]) -> dict[str, Any]:
    """Curves over all classifiers; bars of F1 gained over `threshold` by table (where there are several) and by scenario."""
    by = results["by"]
    places = {"all tables": block, **by["table"]} if len(by["table"]) > 1 else {}
    named = {"all scenarios": block, **{plots.scenario(k): v for k, v in by["scenario"].items()}}
    held = {k: {t: b for t, b in part.items() if b["cells"]} for k, part in (("tables", places), ("scenarios", named))}
    return {
        "curves": plots.curves(results, None) if results["curves"] else None,
        "tables": plots.bars(held["tables"], results["methods"]) if held["tables"] else None,
        "scenarios": plots.bars(held["scenarios"], results["methods"]) if held["scenarios"] else None,
    }
