"""Study folders as they lie on disk -> cells and their runs, each method behind the trial among them. What is damaged is named."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensecf_edge.errors import TableError

from ..trial import TRIED, Trial
from .scarcity import FULL

FORMAT = 2
MARK = "study.json"
BASE = "none"
"""The method that all others are held against."""


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


def read(folders: tuple[Path, ...]) -> tuple[Study, ...]:
    """The studies in these folders, called by their tables' names, or by their folders' where two tables are called alike.

    Raises TableError for one that holds no cell of a study, one of another format, and a study given twice.
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
    plain = {r.classifier: r for r in runs if r.method == BASE}
    for run in runs:
        if run.method != BASE and not run.why and run.classifier in trials:
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
