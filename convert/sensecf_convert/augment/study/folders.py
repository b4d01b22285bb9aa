"""Study folders as they lie on disk -> cells and their runs, each method as it comes and with moved threshold. Names what is damaged."""

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
from sensecf_edge.schema.feature import Vector

from . import variants
from .scarcity import FULL
from .variants import BASE, Run

FORMAT = 3
MARK = "study.json"


@dataclass(frozen=True)
class Cell:
    """All runs of one seed, scenario and reduction (%).

    rows     negatives and positives left for training; whole: the same before labels were taken away
    auc      of the checker that judged ours, on the test people; None where none was made
    persons  numbers of the test rows' people in the table, shape (test rows,); y: their labels
    """

    seed: int
    scenario: str
    reduction: int
    rows: tuple[int, int]
    whole: tuple[int, int]
    people: int
    auc: float | None
    persons: NDArray[np.intp]
    y: NDArray[np.bool_]
    runs: tuple[Run, ...]


@dataclass(frozen=True)
class Study:
    """What one folder holds: `about` is its study.json. `parts`: how many of its parts (a method in a cell) are there; `missing`: those it
    has not got to; `extra`: those that are not of its grid."""

    about: dict[str, Any]
    cells: tuple[Cell, ...]
    parts: int
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
    parts = [_part(p) for p in places]
    mine = [p for p in parts if (p.method, *p.cell) in grid]
    cells = _cells(mine, about["classifiers"], folder)
    if not cells:
        raise TableError(f"{folder} holds a study without a finished cell; let `sensecf-edge augment study` run on")
    return Study(about, cells, len(mine), len(grid) - len(mine), len(parts) - len(mine))


def _grid(about: dict[str, Any]) -> Iterator[tuple[str, int, str, int]]:
    """(method, seed, scenario, reduction) of every part the study is made of."""
    for seed in about["seeds"]:
        yield BASE, seed, FULL, 0
        yield from ((m, seed, s, r) for m in about["methods"] for s in about["scenarios"] for r in about["reductions"])


@dataclass(frozen=True)
class MethodResult:
    """One method in one cell: what its files say. Arrays hold a row a classifier."""

    place: Path
    said: dict[str, Any]
    persons: NDArray[np.intp]
    y: NDArray[np.bool_]
    left_y: NDArray[np.bool_]
    scores: Vector
    predicted: NDArray[np.bool_]
    held: Vector

    @property
    def method(self) -> str:
        """Its name."""
        return str(self.said["method"])

    @property
    def cell(self) -> tuple[int, str, int]:
        """(seed, scenario, reduction)."""
        return int(self.said["seed"]), str(self.said["scenario"]), int(self.said["reduction"])


def _part(place: Path) -> MethodResult:
    try:
        said = json.loads(place.read_text(encoding="utf-8"))
        with place.with_suffix(".npz").open("rb") as file, np.load(file, allow_pickle=False) as held:
            part = MethodResult(place, said, *(held[k] for k in ("persons", "y", "left_y", "scores", "predicted", "held")))
        part.cell, part.method, said["why"], said["rows"], said["whole"], said["added"], said["distinct"], said["seconds"]
    except (OSError, ValueError, KeyError, TypeError, IndexError, zipfile.BadZipFile) as error:
        raise TableError(f"{place} is damaged; delete it and let the study run on") from error
    if part.scores.shape != part.predicted.shape or part.scores.shape[-1] != len(part.y) or part.held.shape[-1] != len(part.left_y):
        raise TableError(f"{place} is damaged: it does not hold a score for each row; delete it and run on")
    if not said["why"] and np.isnan(part.scores).any():
        raise TableError(f"{place} is damaged: {part.method} has no score for some test row; delete it and run on")
    return part


def _cells(parts: list[MethodResult], classifiers: list[str], folder: Path) -> tuple[Cell, ...]:
    """The parts of each cell together, those that have the base all others are held against."""
    held: dict[tuple[int, str, int], dict[str, MethodResult]] = {}
    for part in parts:
        if part.method in held.setdefault(part.cell, {}):
            seed, scenario, reduction = part.cell
            raise TableError(f"{folder} holds {part.method} of seed {seed}, scenario {scenario}, {reduction} % twice; delete one")
        held[part.cell][part.method] = part
    _check(parts, folder)
    return tuple(_cell(key, each, classifiers) for key, each in sorted(held.items()) if BASE in each)


def _cell(key: tuple[int, str, int], parts: dict[str, MethodResult], classifiers: list[str]) -> Cell:
    base = parts[BASE]
    rows, whole = ((int(base.said[k][0]), int(base.said[k][1])) for k in ("rows", "whole"))
    runs = [_run(part, at, kind) for part in parts.values() for at, kind in enumerate(classifiers)]
    aucs = [p.said["auc"] for p in parts.values() if p.said["auc"] is not None]
    return Cell(*key, rows, whole, int(base.said["people"]), aucs[0] if aucs else None, base.persons, base.y.astype(bool),
                variants.of(runs, base.left_y.astype(bool), whole))  # fmt: skip


def _run(part: MethodResult, at: int, classifier: str) -> Run:
    said = part.said
    return Run(classifier, part.method, int(said["added"]), int(said["distinct"]), said["why"], float(said["seconds"]), part.scores[at],
               part.predicted[at].astype(bool), np.empty(0), part.held[at])  # fmt: skip


def _check(parts: list[MethodResult], folder: Path) -> None:
    """One seed's parts all tested on the same untouched rows, one cell's on the same rows left: draws and lines are paired by them."""
    tested, left = dict[int, MethodResult](), dict[tuple[int, str, int], MethodResult]()
    for part in parts:
        other = tested.setdefault(part.cell[0], part)
        if not (np.array_equal(part.y, other.y) and np.array_equal(part.persons, other.persons)):
            raise TableError(f"{folder}: two cells of seed {part.cell[0]} were tested on different rows; run the study again")
        if not np.array_equal(part.left_y, left.setdefault(part.cell, part).left_y):
            raise TableError(f"{folder}: {part.place.name} was left other rows than the rest of its cell; run the study again")
