"""Study folders -> results.csv, results.json and report.html. Several folders are pooled; what an interrupted study lacks is counted."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensecf_edge import __version__
from sensecf_edge.errors import TableError

from . import figures, gains
from .methods import METHODS
from .scarcity import FULL
from .study import FORMAT
from .trial import TRIED, Trial

RESULTS_FORMAT = 1
CHOSEN = (50, 70)
"""Reductions (%) that the summary is about; all where a study has none of these."""
CSV = ("table", "seed", "scenario", "reduction", "classifier", "method", *figures.METRICS, "added_negative", "added_positive",
       "made_negative", "made_positive", "why", "seconds")  # fmt: skip
MARK = "study.json"


@dataclass(frozen=True)
class Run:
    """One classifier trained on one method's rows. `why`: the reason it was left out, then without scores.

    added      rows added to the reduced training set: negatives, positives
    made       how many of them are no repetition of another one added
    seconds    to make the rows, whatever classifier they are for
    scores     shape (test rows,), higher is more positive
    predicted  shape (test rows,), the class it puts each test row in
    """

    classifier: str
    method: str
    added: tuple[int, int]
    made: tuple[int, int]
    why: str
    seconds: float
    scores: NDArray[np.float32]
    predicted: NDArray[np.bool_]


@dataclass(frozen=True)
class Cell:
    """All runs of one seed, scenario and reduction (%). `rows`: negatives and positives left for training; `auc`: the checker's;
    `trials`: what each classifier's trial said."""

    seed: int
    scenario: str
    reduction: int
    rows: tuple[int, int]
    people: int
    auc: float | None
    persons: NDArray[np.intp]
    y: NDArray[np.bool_]
    trials: dict[str, Trial]
    runs: tuple[Run, ...]


@dataclass(frozen=True)
class Study:
    """What one folder holds: `about` is its study.json. `missing`: cells it has not got to; `extra`: cells that are not of its grid."""

    about: dict[str, Any]
    cells: tuple[Cell, ...]
    missing: int
    extra: int

    @property
    def name(self) -> str:
        """The table's."""
        return str(self.about["name"])


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


def read(folders: tuple[Path, ...]) -> tuple[Study, ...]:
    """The studies in these folders, called by their tables' names, or by their folders' where two tables are called alike.

    Raises TableError as `write` does.
    """
    studies = [_study(folder) for folder in folders]
    tables, names = [s.about.get("table", s.name) for s in studies], [s.name for s in studies]
    if twice := sorted({s.name for s, t in zip(studies, tables, strict=True) if tables.count(t) > 1}):
        raise TableError(f"{', '.join(twice)} is given more than once; its cells would count twice")
    alike = [names.count(s.name) > 1 for s in studies]
    return tuple(
        replace(s, about={**s.about, "name": f"{s.name} ({folder.name})"}) if same else s
        for s, folder, same in zip(studies, folders, alike, strict=True)
    )


def _free(folders: tuple[Path, ...], out: Path) -> None:
    """A report replaces no other: `out` is new, holds an earlier pool, or is the one study that is reported on."""
    if not out.exists() or not any(out.iterdir()) or [out.resolve()] == [f.resolve() for f in folders]:
        return
    try:
        known = json.loads((out / "results.json").read_text(encoding="utf-8"))["marks"] is not None and not (out / MARK).exists()
    except (OSError, ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise TableError(f"{out} holds something else; name another folder for the pooled results")


def _study(folder: Path) -> Study:
    try:
        about = json.loads((folder / MARK).read_text(encoding="utf-8"))
        known = about["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TableError(f"{folder} holds no study; run `sensecf-edge augment study ... -o {folder}` first") from error
    if known != FORMAT:
        raise TableError(f"{folder} holds a study of format {known}; this version reads {FORMAT}: run the study again")
    grid = set(_grid(about))
    places = [p for p in sorted((folder / "cells").glob("*.json")) if p.with_suffix(".npz").exists()]
    read_cells = [_cell(p) for p in places]
    cells = [c for c in read_cells if (c.seed, c.scenario, c.reduction) in grid]
    if not cells:
        raise TableError(f"{folder} holds a study without a finished cell; let `sensecf-edge augment study` run on")
    _check(cells, folder)
    return Study(about, tuple(cells), len(grid) - len(cells), len(read_cells) - len(cells))


def _grid(about: dict[str, Any]) -> Iterator[tuple[int, str, int]]:
    """(seed, scenario, reduction) of every cell that the study is made of."""
    for seed in about["seeds"]:
        yield seed, FULL, 0
        yield from ((seed, s, r) for s in about["scenarios"] for r in about["reductions"])


def _cell(place: Path) -> Cell:
    try:
        said = json.loads(place.read_text(encoding="utf-8"))
        with place.with_suffix(".npz").open("rb") as file, np.load(file, allow_pickle=False) as held:
            persons, y, scores, predicted = (held[k] for k in ("persons", "y", "scores", "predicted"))
        runs = [_run(r, s, p) for r, s, p in zip(said["runs"], scores, predicted, strict=True)]
        trials = {kind: Trial(**{k: (v[0], v[1]) for k, v in got.items()}) for kind, got in said["trials"].items()}
        cell = Cell(int(said["seed"]), said["scenario"], int(said["reduction"]), (said["rows"][0], said["rows"][1]), int(said["people"]),
                    said["auc"], persons, y.astype(bool), trials, (*runs, *_tried(runs, trials)))  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, IndexError, zipfile.BadZipFile) as error:
        raise TableError(f"{place} is damaged; delete it and let the study run on") from error
    for run in runs:
        if len(run.scores) != len(y) or len(run.predicted) != len(y) or (not run.why and np.isnan(run.scores).any()):
            raise TableError(f"{place} is damaged: {run.classifier} with {run.method} has no score for some test row; delete it and run on")
    return cell


def _run(said: dict[str, Any], scores: NDArray[np.float32], predicted: NDArray[Any]) -> Run:
    added, made = ((int(rows[0]), int(rows[1])) for rows in (said["added"], said.get("made", said["added"])))
    return Run(said["classifier"], said["method"], added, made, said["why"], float(said["seconds"]), scores, predicted.astype(bool))


def _tried(runs: list[Run], trials: dict[str, Trial]) -> Iterator[Run]:
    """Each method behind the trial: the run itself where the trial lets it in, else what `none` is."""
    plain = {r.classifier: r for r in runs if r.method == gains.BASE}
    for run in runs:
        if run.method != gains.BASE and not run.why and run.classifier in trials:
            let_in = run if trials[run.classifier].helps else plain[run.classifier]
            yield replace(let_in, method=run.method + TRIED, seconds=run.seconds)


def _check(cells: list[Cell], folder: Path) -> None:
    """Each cell once, and one seed's cells all tested on the same untouched rows: the draws are paired by them."""
    seen: dict[tuple[int, str, int], Cell] = {}
    first: dict[int, Cell] = {}
    for cell in cells:
        key = (cell.seed, cell.scenario, cell.reduction)
        if key in seen:
            raise TableError(f"{folder} holds the cell of seed {key[0]}, scenario {key[1]}, {key[2]} % twice; delete one")
        seen[key] = cell
        other = first.setdefault(cell.seed, cell)
        if not (np.array_equal(cell.y, other.y) and np.array_equal(cell.persons, other.persons)):
            raise TableError(f"{folder}: two cells of seed {cell.seed} were tested on different rows; run the study again")


def summarise(studies: tuple[Study, ...], seed: int = 0, resamples: int = figures.RESAMPLES) -> dict[str, Any]:
    """All figures, ready for JSON: shares from 0 to 1 in `metrics` and `f1`, points (hundredths) in `gain`, `loss` and `beside`."""
    draws = figures.draws(((s.name, s.cells) for s in studies), seed, resamples)
    methods = _ordered({r.method for s in studies for c in s.cells for r in c.runs}, (*METHODS, *(m + TRIED for m in METHODS)))
    classifiers = _ordered({r.classifier for s in studies for c in s.cells for r in c.runs}, tuple(studies[0].about["classifiers"]))
    scenarios = sorted({c.scenario for s in studies for c in s.cells} - {FULL})
    reductions = sorted({c.reduction for s in studies for c in s.cells} - {0})
    order = [(s.name, a, r, k) for s in studies for a in scenarios for r in reductions for k in classifiers]
    cells = [c for c in order if draws.shared((*c, gains.BASE))]
    chosen = [c for c in cells if c[2] in CHOSEN] or cells
    auc = _checker_auc(studies)
    blocks = {
        by: {name: gains.block(draws, [c for c in chosen if c[at] == name], methods, auc) for name in names}
        for by, at, names in (("table", 0, [s.name for s in studies]), ("scenario", 1, scenarios), ("classifier", 3, classifiers))
    }
    return {
        "format": RESULTS_FORMAT, "versions": {"sensecf-edge": __version__}, "seed": seed, "resamples": resamples,
        "tables": [_about(s) for s in studies],
        "methods": methods, "classifiers": classifiers, "scenarios": scenarios, "reductions": reductions,
        "chosen_reductions": sorted({c[2] for c in chosen}),
        "chosen": gains.block(draws, chosen, methods, auc), "all": gains.block(draws, cells, methods, auc), "by": blocks,
        "best": {s.name: gains.best(draws, [c for c in chosen if c[0] == s.name], methods) for s in studies},
        "marks": gains.marks(draws, chosen, methods),
        "papers": gains.beside_papers(draws, cells, methods),
        "curves": gains.curves(draws, cells, methods),
        "cells": gains.table(draws, cells, methods),
        "full": gains.full(draws, [s.name for s in studies], classifiers),
        "training": _training(studies), "rows": _rows(studies, methods), "left_out": _left_out(studies),
        "trials": _trials(studies),
    }  # fmt: skip


def _ordered(names: set[str], first: tuple[str, ...]) -> list[str]:
    return [n for n in first if n in names] + sorted(names - set(first))


def _about(study: Study) -> dict[str, Any]:
    return {**study.about, "cells": len(study.cells), "missing": study.missing, "extra": study.extra}


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


def _rows(studies: tuple[Study, ...], methods: list[str]) -> list[dict[str, Any]]:
    """What each method added in each table, a mean over the cells: rows, the share of them that repeat no other, median seconds."""
    out = []
    for study in studies:
        for method in (m for m in methods if not m.endswith(TRIED)):
            runs = [r for c in study.cells if c.scenario != FULL for r in c.runs if r.method == method and not r.why]
            if runs:
                added, made = sum(sum(r.added) for r in runs), sum(sum(r.made) for r in runs)
                out.append({"table": study.name, "method": method, "added": added / len(runs), "made": made / added if added else None,
                            "seconds": float(np.median([r.seconds for r in runs]))})  # fmt: skip
    return out


def _trials(studies: tuple[Study, ...]) -> list[dict[str, Any]]:
    """How often the trial let rows in, and the points of F1 that it promised (all its cells, open or not); by table and scenario."""
    out = []
    for study in studies:
        for scenario in sorted({c.scenario for c in study.cells} - {FULL}):
            held = [t for c in study.cells if c.scenario == scenario for t in c.trials.values()]
            if held:
                out.append({"table": study.name, "scenario": scenario, "trials": len(held), "open": sum(t.helps for t in held),
                            "promised": round(float(np.mean([t.gain for t in held])), 6)})  # fmt: skip
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
                got = (None,) * len(figures.METRICS) if r.why else figures.point(c.y, r.predicted, r.scores)
                where = (study.name, c.seed, c.scenario, c.reduction, r.classifier, r.method)
                rows.append((*where, *got, *r.added, *r.made, r.why, r.seconds))
    pd.DataFrame(rows, columns=list(CSV)).to_csv(place, index=False)


def lines(results: dict[str, Any]) -> str:
    """A plain table for the terminal: each method over the chosen reductions, and what the study still lacks."""
    block = results["chosen"]
    out = [f"{'method':<15}{'cells':>6}{'F1':>8}{'recovered, points':>26}{'of the loss':>13}{'ours minus it':>26}{'worse':>7}"]
    for name, got in block["methods"].items():
        share = f"{100 * got['share']['value']:.0f} %" if got["share"] else "-"
        other = gains.words(block["beside"].get(name))
        out.append(f"{name:<15}{got['cells']:>6}{got['f1']['value']:>8.3f}{gains.words(got['gain'].get('f1')):>26}{share:>13}{other:>26}"
                   f"{len(got['worse']):>7}")  # fmt: skip
    for t in results["tables"]:
        if t["missing"]:
            out.append(f"{t['name']}: {t['missing']} of {t['missing'] + t['cells']} cells are missing; the study can run on")
    return "\n".join(out)
