"""Study folders -> results.csv, results.json and report.html. Several folders are pooled; what an interrupted study lacks is counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from sensecf_edge import __version__
from sensecf_edge.errors import TableError

from . import effects, figures
from .folders import MARK, Cell, Study, read
from .methods import METHODS
from .scarcity import FULL
from .variants import BASE, DERIVED, MOVED, TOLD, TRIED, named

RESULTS_FORMAT = 2
CHOSEN = (50, 70)
"""Reductions (%) that the summary is about; all where a study has none of these."""
CSV = ("table", "seed", "scenario", "reduction", "classifier", "method", *figures.METRICS, "slope", "added", "distinct", "why",
       "seconds")  # fmt: skip


def write(folders: tuple[Path, ...], out: Path, seed: int = 0, resamples: int = figures.RESAMPLES) -> dict[str, Any]:
    """Read study folders, write results.csv, results.json and report.html to `out` (made private where it is made). Returns the results.

    Raises TableError for a folder that holds no cell of a study, one of another format, or a study given twice; and where `out` holds
    something else.
    """
    from . import page

    _free(folders, out)
    studies = read(folders)
    results = summarise(studies, seed, resamples)
    if not out.exists():
        out.mkdir(parents=True, mode=0o700)
    _csv(studies, results, out / "results.csv")
    (out / "results.json").write_text(json.dumps(results, indent=1, allow_nan=False), encoding="utf-8")
    (out / "report.html").write_text(page.render(results), encoding="utf-8")
    return results


def _free(folders: tuple[Path, ...], out: Path) -> None:
    """A report replaces no other: `out` is new, holds an earlier pool, or is the one study that is reported on."""
    if not out.exists() or not any(out.iterdir()) or [out.resolve()] == [f.resolve() for f in folders]:
        return
    try:
        known = json.loads((out / "results.json").read_text(encoding="utf-8"))["methods"] is not None and not (out / MARK).exists()
    except (OSError, ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise TableError(f"{out} holds something else; name another folder for the pooled results")


def summarise(studies: tuple[Study, ...], seed: int = 0, resamples: int = figures.RESAMPLES) -> dict[str, Any]:
    """All figures, ready for JSON: shares from 0 to 1 in `metrics`, points (hundredths) in `gain`, `loss` and `beside`."""
    draws = figures.draws(((s.name, s.cells) for s in studies), seed, resamples)
    methods = _ordered({r.method for s in studies for c in s.cells for r in c.runs}, _order())
    classifiers = _ordered({r.classifier for s in studies for c in s.cells for r in c.runs}, tuple(studies[0].about["classifiers"]))
    scenarios = sorted({c.scenario for s in studies for c in s.cells} - {FULL})
    reductions = sorted({c.reduction for s in studies for c in s.cells} - {0})
    order = [(s.name, a, r, k) for s in studies for a in scenarios for r in reductions for k in classifiers]
    cells = [c for c in order if draws.shared((*c, BASE))]
    chosen = [c for c in cells if c[2] in CHOSEN] or cells
    auc = _checker_auc(studies)
    blocks = {
        by: {name: effects.block(draws, [c for c in chosen if c[at] == name], methods, auc) for name in names}
        for by, at, names in (("table", 0, [s.name for s in studies]), ("scenario", 1, scenarios), ("classifier", 3, classifiers))
    }
    return {
        "format": RESULTS_FORMAT, "versions": {"sensecf-edge": __version__}, "seed": seed, "resamples": resamples,
        "tables": [_about(s) for s in studies],
        "methods": methods, "classifiers": classifiers, "scenarios": scenarios, "reductions": reductions,
        "chosen_reductions": sorted({c[2] for c in chosen}),
        "chosen": effects.block(draws, chosen, methods, auc), "all": effects.block(draws, cells, methods, auc), "by": blocks,
        "papers": effects.beside_papers(draws, cells, methods),
        "curves": effects.curves(draws, cells, methods),
        "cells": effects.table(draws, cells, methods),
        "full": effects.full(draws, [s.name for s in studies], classifiers),
        "training": _training(studies), "rows": _rows(studies), "left_out": _left_out(studies),
    }  # fmt: skip


def _order() -> tuple[str, ...]:
    return (*METHODS, *DERIVED, *(named(m, v) for v in (MOVED, TRIED, TOLD) for m in METHODS if m != BASE))


def _ordered(names: set[str], first: tuple[str, ...]) -> list[str]:
    return [n for n in first if n in names] + sorted(names - set(first))


def _about(study: Study) -> dict[str, Any]:
    return {**study.about, "cells": len(study.cells), "parts": study.parts, "missing": study.missing, "extra": study.extra}


def _checker_auc(studies: tuple[Study, ...]) -> dict[tuple[str, str, int], float]:
    """(table, scenario, reduction) -> the checking classifier's AUC on the test people, the mean over seeds."""
    got: dict[tuple[str, str, int], list[float]] = {}
    for study in studies:
        for c in study.cells:
            if c.auc is not None:
                got.setdefault((study.name, c.scenario, c.reduction), []).append(c.auc)
    return {key: round(float(np.mean(values)), 6) for key, values in got.items()}


def _training(studies: tuple[Study, ...]) -> list[dict[str, Any]]:
    """What was left for training in each (table, scenario, reduction): means over seeds."""
    out = []
    for study in studies:
        for key in sorted({(c.scenario, c.reduction) for c in study.cells}, key=lambda k: (k[0] != FULL, k)):
            part = [c for c in study.cells if (c.scenario, c.reduction) == key]
            aucs = [c.auc for c in part if c.auc is not None]
            out.append({"table": study.name, "scenario": key[0], "reduction": key[1], "seeds": len(part),
                        "negatives": float(np.mean([c.rows[0] for c in part])), "positives": float(np.mean([c.rows[1] for c in part])),
                        "people": float(np.mean([c.people for c in part])),
                        "auc": [round(float(f(aucs)), 6) for f in (np.mean, min, max)] if aucs else None})  # fmt: skip
    return out


def _rows(studies: tuple[Study, ...]) -> list[dict[str, Any]]:
    """What each method added in each table, a mean over the cells: rows, the share of them that repeat no other; a cell's
    seconds, the median."""
    out = []
    for study in studies:
        for method in METHODS:
            runs = [r for c in study.cells if c.scenario != FULL for r in c.runs if r.method == method and not r.why]
            if runs:
                added, distinct = sum(r.added for r in runs), sum(r.distinct for r in runs)
                out.append({"table": study.name, "method": method, "added": added / len(runs), "made": distinct / added if added else None,
                            "seconds": float(np.median([r.seconds for r in runs]))})  # fmt: skip
    return out


def _left_out(studies: tuple[Study, ...]) -> list[dict[str, Any]]:
    """Runs without figures, those of one table, classifier, method and reason together."""
    got: dict[tuple[str, str, str, str], list[Cell]] = {}
    for study in studies:
        for cell in study.cells:
            for run in cell.runs:
                if run.why:
                    got.setdefault((study.name, run.classifier, run.method, run.why), []).append(cell)
    names = ("table", "classifier", "method", "why")
    return [{**dict(zip(names, key, strict=True)), "runs": len(cells),
             "where": sorted({f"{c.scenario} {c.reduction} %" for c in cells})} for key, cells in got.items()]  # fmt: skip


def _csv(studies: tuple[Study, ...], results: dict[str, Any], place: Path) -> None:
    """A row a table, seed, scenario, reduction, classifier and method; metrics empty where the run was left out."""
    import pandas as pd

    rows = []
    for study in studies:
        for c in sorted(study.cells, key=lambda c: (c.seed, c.scenario != FULL, c.scenario, c.reduction)):
            for r in c.runs:
                got = (None,) * (len(figures.METRICS) + 1) if r.why else (*figures.point(c.y, r), figures.slope(c.y, r.p))
                where = (study.name, c.seed, c.scenario, c.reduction, r.classifier, r.method)
                rows.append((*where, *got, r.added, r.distinct, r.why, r.seconds))
    pd.DataFrame(rows, columns=list(CSV)).to_csv(place, index=False)


def lines(results: dict[str, Any]) -> str:
    """Plain tables for the terminal: each method as it comes, then with its threshold moved, and what the study still lacks."""
    out = list[str]()
    for title, names in (("as it comes", effects.plain), ("threshold moved", effects.moved)):
        out += [*([""] if out else []), *_lines(results, title, names(results["methods"]))]
    for t in results["tables"]:
        if t["missing"]:
            parts = f"{t['missing']} of {t['missing'] + t['parts']} parts (a method in a cell)"
            out.append(f"{t['name']}: {parts} are missing; the study can run on")
    return "\n".join(out)


def _lines(results: dict[str, Any], title: str, names: list[str]) -> list[str]:
    """F1 over everything and of each table, points over the base with its interval, and the other metrics."""
    block, tables = results["chosen"], results["by"]["table"]
    heads = "".join(f"{name[:11]:>12}" for name in tables)
    out = [f"{title:<25}{'cells':>6}{'F1':>7}{heads}{'points of F1 over':>34}{'bal.acc':>9}{'AUC':>7}{'AUPRC':>7}{'Brier':>7}{'logloss':>8}"
           f"{'slope':>7}"]  # fmt: skip
    for name in names:
        got = block["methods"].get(name)
        if got is None:
            continue
        m = {k: "-" if v is None else f"{v['value']:.3f}" for k, v in got["metrics"].items()}
        each = "".join(f"{_level(part, name):>12}" for part in tables.values())
        gain = f"{got['base']}: {effects.points_text(got['gain'].get('f1'))}" if got["base"] else "-"
        steep = "-" if got["slope"] is None else f"{got['slope']:.2f}"
        out.append(f"{name:<25}{got['cells']:>6}{m['f1']:>7}{each}{gain:>34}{m['balanced']:>9}{m['auc']:>7}{m['auprc']:>7}{m['brier']:>7}"
                   f"{m['log_loss']:>8}{steep:>7}")  # fmt: skip
    return out


def _level(block: dict[str, Any], method: str) -> str:
    got = block["methods"].get(method)
    return "-" if got is None or got["metrics"]["f1"] is None else f"{got['metrics']['f1']['value']:.3f}"
