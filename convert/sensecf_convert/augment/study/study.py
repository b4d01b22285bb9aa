"""`augment study`: what added rows are worth where labels are scarce. Every method's every cell once, whatever interrupts it.

    split by person -> scarcer training rows -> a method's rows -> four classifiers -> the untouched test people
                                             -> the same in folds of people: where the threshold lies, whether rows help

A cell is (seed, scenario, reduction). Of the table a cell's methods are given the reduced training rows alone; test rows are only
judged, after everything is made. The folder holds people's data and trained weights: keep it where the table is kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from sensecf_edge.errors import TableError
from sensecf_edge.judge.classifier import OnnxChecker
from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.schema import Schema

from ...bundle.pack import versions
from ...classifier.kinds import KINDS
from ...table.cohort import Cohort, cohort, read_table, split_people
from ...work import Work, save, write_json
from ..out_of_fold import crossed, judged, noting_refusals
from ..relaxed import relaxed_schema, towards_class
from ..remaining import Remaining, nothing
from ..training import EFFORTS, require_enough_rows
from . import processes
from .folders import FORMAT, MARK
from .methods import METHODS, environments
from .outside_knowledge import towards_positive
from .scarcity import FULL, SCENARIOS, Scarcity
from .variants import BASE

REDUCTIONS, SEEDS = (50, 70), 2


@dataclass(frozen=True)
class StudyPlan:
    """All that decides a study's figures beside the table. `effort` names how ours is tuned (see `training.EFFORTS`); `elsewhere`: another
    table with the same columns, for the methods that use one."""

    target: str
    positive: str
    person: str | None = None
    seeds: tuple[int, ...] = tuple(range(SEEDS))
    scenarios: tuple[str, ...] = tuple(SCENARIOS)
    reductions: tuple[int, ...] = REDUCTIONS
    classifiers: tuple[str, ...] = tuple(KINDS)
    methods: tuple[str, ...] = ("none", "class-weights", "smote", "ours")
    checker: str = "random-forest"
    effort: str = "short"
    test_share: float = 0.3
    sample: int | None = None
    elsewhere: str | None = None

    def cells(self) -> list[Cell]:
        """Every cell, the unreduced ones first."""
        whole = [Cell(seed, Scarcity()) for seed in self.seeds]
        return whole + [Cell(s, Scarcity(n, r)) for s in self.seeds for n in self.scenarios for r in self.reductions]

    def tasks(self) -> list[tuple[str, Cell]]:
        """What each method does in each cell, method by method; the unreduced rows are learnt from as they are."""
        return [(m, c) for m in self.methods for c in self.cells() if m == BASE or c.scarcity.scenario != FULL]


@dataclass(frozen=True)
class Cell:
    """One point of the study."""

    seed: int
    scarcity: Scarcity

    @property
    def name(self) -> str:
        """What its files' names begin with."""
        return f"{self.seed}-{self.scarcity}"


@dataclass(frozen=True)
class TrainTest:
    """One seed's people: those who are trained on, and those nobody looks at before the end."""

    train: Cohort
    test: Cohort

    @classmethod
    def of(cls, data: Cohort, plan: StudyPlan, seed: int) -> TrainTest:
        """Split by person. Sizes and labels decide, and chance."""
        test, _ = split_people(data, plan.test_share, seed)
        return cls(data.take(~test), data.take(test))


@dataclass(frozen=True)
class Material:
    """What a study reads: the table (`y` true for the positive class, every feature free), the schema's directions, another table."""

    data: Cohort
    directions: Vector
    elsewhere: Cohort | None = None


def load(table: Path, schema: Schema, plan: StudyPlan) -> Material:
    """The table, or a sample of its people where the plan asks for one, and what else the methods may be told.

    Raises TableError for what does not fit, and for reductions that leave too few rows: says how many are needed.
    """
    data = cohort(read_table(table), relaxed_schema(schema), plan.target, plan.positive, plan.person)
    if plan.sample is not None and plan.sample < len(people := np.unique(data.persons)):
        data = data.take(np.isin(data.persons, np.random.default_rng(0).choice(people, plan.sample, replace=False)))
    trains = {seed: TrainTest.of(data, plan, seed).train for seed in plan.seeds}
    for cell in plan.cells():
        train = trains[cell.seed]
        try:
            require_enough_rows(train.take(cell.scarcity.left(train.y, cell.seed)))
        except TableError as error:
            raise TableError(f"scenario {cell.scarcity.scenario} at {cell.scarcity.reduction} % (seed {cell.seed}): {error}, or leave "
                             "that reduction out (--reduction)") from error  # fmt: skip
    return Material(data, towards_positive(schema), _elsewhere(Path(plan.elsewhere), schema, plan) if plan.elsewhere else None)


def _elsewhere(table: Path, schema: Schema, plan: StudyPlan) -> Cohort:
    """Another table's rows; there any value may be unknown."""
    free = relaxed_schema(schema)
    free = replace(free, features=tuple(replace(f, optional=True) for f in free.features))
    return cohort(read_table(table), free, plan.target, plan.positive)


def study(material: Material, plan: StudyPlan, name: str, out: Path, jobs: int, report: Callable[[float, str], None]) -> None:
    """Fill the folder `out` with what each method does in each cell; what is there already is kept, and methods may join later.

    Raises TableError for another study's folder, MissingExtraError where a package's environment cannot be made: before any cell.
    """
    work, data = Work(out), material.data
    (out / "cells").mkdir(exist_ok=True)
    decides = {k: v for k, v in asdict(plan).items() if k not in ("methods", "elsewhere")}
    work.belongs({"format": FORMAT, "plan": decides, "table": data.fingerprint, "schema": data.schema.hash,
                  **({"elsewhere": material.elsewhere.fingerprint} if material.elsewhere else {})})  # fmt: skip
    write_json(out / MARK, _about(data, plan, name, out))
    waiting = [(m, c) for m, c in plan.tasks() if not _place(out, m, c).exists()]
    environments(plan.methods if waiting else ())
    with processes.pool(jobs) as executor:
        clock = processes.Clock(len(waiting), jobs, report)
        clock.wait(executor, [(_task, (material, plan, out, *task)) for task in waiting], "{} cells to go")


def _about(data: Cohort, plan: StudyPlan, name: str, out: Path) -> dict[str, Any]:
    lists = {k: list(getattr(plan, k)) for k in ("seeds", "reductions", "scenarios", "classifiers")}
    before = Work(out).facts(MARK)["methods"] if (out / MARK).exists() else []
    return {
        "format": FORMAT, "name": name, "target": plan.target, "positive": data.classes[1], "negative": data.classes[0], "rows": len(data),
        "people": len(np.unique(data.persons)), "table": data.fingerprint, **lists,
        "methods": [m for m in METHODS if m in {*before, *plan.methods}], "checker": {"kind": plan.checker},
        "options": asdict(plan), "versions": versions(),
    }  # fmt: skip


def _place(out: Path, method: str, cell: Cell) -> Path:
    return out / "cells" / f"{cell.name}-{method}.json"


def _task(material: Material, plan: StudyPlan, out: Path, method: str, cell: Cell) -> float:
    """Make a method's rows, learn, judge, and write it whole. Returns its seconds."""
    began, parts = time.monotonic(), TrainTest.of(material.data, plan, cell.seed)
    left, kinds = given(parts.train, material, plan, cell, out / "work" / cell.name), plan.classifiers
    nobody = np.full((len(kinds), len(parts.test)), np.nan), np.zeros((len(kinds), len(parts.test)), dtype=bool)
    held, (scores, predicted) = np.full((len(kinds), len(left.data)), np.nan), nobody
    added = nothing(left)
    with noting_refusals() as why:
        added = METHODS[method](left)
        scores, predicted = judged(kinds, left, added, parts.test.X)
        held = crossed(METHODS[method], kinds, left)
    place = _place(out, method, cell)
    people = np.unique(material.data.persons)
    save(place.with_suffix(".npz"), {
        "persons": np.searchsorted(people, parts.test.persons), "y": parts.test.y, "scores": scores.astype(np.float32),
        "predicted": predicted, "left_y": left.data.y, "held": held.astype(np.float32),
    })  # fmt: skip
    y, seconds = left.data.y, time.monotonic() - began
    write_json(place, {
        "seed": cell.seed, "scenario": cell.scarcity.scenario, "reduction": cell.scarcity.reduction, "method": method,
        "rows": [int((~y).sum()), int(y.sum())], "whole": [int((~parts.train.y).sum()), int(parts.train.y.sum())],
        "people": len(np.unique(left.data.persons)), "auc": _auc(left, parts.test), "made": left.made, "added": len(added.y),
        "distinct": added.distinct, "why": why[0] if why else "", "seconds": round(seconds, 1),
    })  # fmt: skip
    return seconds


def given(train: Cohort, material: Material, plan: StudyPlan, cell: Cell, work: Path) -> Remaining:
    """What the methods of a cell may read."""
    kept = cell.scarcity.left(train.y, cell.seed)
    rows = train.take(kept)
    pool = None
    if all(cell.scarcity.loses):
        pool = train.take(np.setdiff1d(np.arange(len(train)), kept))
        pool = replace(pool, y=np.zeros(len(pool), dtype=bool))
    made = rows.classes[int(rows.y.sum() <= (~rows.y).sum())]
    return Remaining(rows, made, cell.seed, work, plan.checker, EFFORTS[plan.effort], 1.0, material.directions,
                pool, material.elsewhere)  # fmt: skip


def _auc(left: Remaining, test: Cohort) -> float | None:
    """The AUC of the checker that judged this cell's counterfactuals, on the untouched test people; None where none was made."""
    for bundle in left.bundles.values():
        target = bundle.manifest.target
        p = OnnxChecker(bundle.classifier_bytes(), len(test.schema), target.index).p_target(test.X)
        return float(roc_auc_score(towards_class(test, target.wanted).y, p))
    return None
