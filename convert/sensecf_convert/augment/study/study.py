"""`augment study`: what added rows are worth where labels are scarce. Every cell once, whatever interrupts it.

    split by person -> scarcer training rows -> each method's rows -> four classifiers -> the untouched test people
                                             -> a trial: would filling up help at all?

A cell is (seed, scenario, reduction). Of the table a cell's methods are given the reduced training rows alone; test rows are only
judged, after everything is made. The folder holds people's data and trained weights: keep it where the table is kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from sensecf_edge.errors import MissingExtraError, SenseCFError, TableError
from sensecf_edge.judge.classifier import OnnxChecker
from sensecf_edge.schema.schema import Schema

from ...bundle.pack import versions
from ...classifier import recipes
from ...table.cohort import Cohort, cohort, read_table, split_people
from ...work import OtherWorkError, Work, save, write_json
from .. import learners
from ..relaxed import relaxed_schema, towards_class
from ..training import BASE, EFFORTS, require_enough_rows, train_bundle, weights
from ..trial import trial
from . import processes
from .folders import FORMAT, MARK
from .methods import METHODS, Added, Left, environments
from .scarcity import FULL, SCENARIOS, Scarcity

QUICK_REDUCTIONS, REDUCTIONS = (50, 70), (10, 20, 30, 40, 50, 60, 70)
QUICK_SEEDS, SEEDS = 2, 5
OURS_FULL = "ours-full"
FORGED = frozenset({"ours", "dice", "nice"})
"""Methods that need the short forge's checker."""


@dataclass(frozen=True)
class StudyPlan:
    """All that decides a study's figures beside the table. `effort` names how ours is tuned in a cell (see `training.EFFORTS`)."""

    target: str
    positive: str
    person: str | None = None
    seeds: tuple[int, ...] = tuple(range(SEEDS))
    scenarios: tuple[str, ...] = tuple(SCENARIOS)
    reductions: tuple[int, ...] = REDUCTIONS
    classifiers: tuple[str, ...] = recipes.KINDS
    methods: tuple[str, ...] = tuple(METHODS)
    checker: str = "random-forest"
    effort: str = "short"
    test_share: float = 0.3
    sample: int | None = None
    quick: bool = False

    def quickly(self) -> StudyPlan:
        """The plan cut to what two cores do in an hour: two seeds, reductions of 50 and 70 %; the full budget in one cell."""
        return replace(self, seeds=self.seeds[:QUICK_SEEDS], reductions=QUICK_REDUCTIONS, quick=True)

    def cells(self) -> list[Cell]:
        """Every cell, the unreduced ones first."""
        whole = [Cell(seed, Scarcity()) for seed in self.seeds]
        return whole + [Cell(s, Scarcity(n, r)) for s in self.seeds for n in self.scenarios for r in self.reductions]

    def asked(self, cell: Cell) -> tuple[str, ...]:
        """The methods of a cell. On the full budget ours takes ten minutes a class: `quick` has it in one cell alone."""
        if cell.scarcity.scenario == FULL:
            return ("none",)
        once = Cell(self.seeds[0], Scarcity(self.scenarios[0], max(self.reductions)))
        return tuple(m for m in self.methods if m != OURS_FULL or not self.quick or cell == once)


@dataclass(frozen=True)
class Cell:
    """One point of the study."""

    seed: int
    scarcity: Scarcity

    @property
    def name(self) -> str:
        """Its files' name."""
        return f"{self.seed}-{self.scarcity}"


@dataclass(frozen=True)
class Parts:
    """One seed's people: those who are trained on, and those nobody looks at before the end."""

    train: Cohort
    test: Cohort

    @classmethod
    def of(cls, data: Cohort, plan: StudyPlan, seed: int) -> Parts:
        """Split by person. Sizes and labels decide, and chance."""
        test, _ = split_people(data, plan.test_share, seed)
        return cls(data.take(~test), data.take(test))


def load(table: Path, schema: Schema, plan: StudyPlan) -> Cohort:
    """The table with `y` true for the positive class, every feature free; a sample of people where the plan asks for one.

    Raises TableError for what does not fit, and for reductions that leave too few rows: says how many are needed.
    """
    data = cohort(read_table(table), relaxed_schema(schema), plan.target, plan.positive, plan.person)
    if plan.sample is not None and plan.sample < len(people := np.unique(data.persons)):
        data = data.take(np.isin(data.persons, np.random.default_rng(0).choice(people, plan.sample, replace=False)))
    trains = {seed: Parts.of(data, plan, seed).train for seed in plan.seeds}
    for cell in plan.cells():
        train = trains[cell.seed]
        try:
            require_enough_rows(train.take(cell.scarcity.left(train.y, cell.seed)))
        except TableError as error:
            raise TableError(f"scenario {cell.scarcity.scenario} at {cell.scarcity.reduction} % (seed {cell.seed}): {error}, or leave "
                             "that reduction out (--reduction)") from error  # fmt: skip
    return data


def study(data: Cohort, plan: StudyPlan, name: str, out: Path, jobs: int, report: Callable[[float, str], None]) -> None:
    """Fill the folder `out` with the plan's cells; those that are there already are kept.

    Raises TableError for another study's folder, MissingExtraError where a package's environment cannot be made: before any cell.
    """
    work = Work(out)
    (out / "cells").mkdir(exist_ok=True)
    work.belongs({"format": FORMAT, "plan": asdict(plan), "table": data.fingerprint, "schema": data.schema.hash})
    write_json(out / MARK, _about(data, plan, name))
    waiting = [c for c in plan.cells() if not (out / "cells" / f"{c.name}.json").exists()]
    environments(plan.methods if waiting else ())
    starts = _starting(data, plan, out, waiting)
    with processes.pool(jobs) as executor:
        clock = processes.Clock(len(starts) + len(waiting), jobs, report)
        clock.wait(executor, [(_start, (data, plan, out, *s)) for s in starts], f"{{}} shared weights and {len(waiting)} cells to go")
        clock.wait(executor, [(_cell, (data, plan, out, c)) for c in waiting], "{} cells to go")


def _about(data: Cohort, plan: StudyPlan, name: str) -> dict[str, Any]:
    lists = {k: list(getattr(plan, k)) for k in ("seeds", "reductions", "scenarios", "classifiers", "methods")}
    return {
        "format": FORMAT, "name": name, "target": plan.target, "positive": data.classes[1], "negative": data.classes[0], "rows": len(data),
        "people": len(np.unique(data.persons)), "table": data.fingerprint, **lists, "quick": plan.quick, "checker": {"kind": plan.checker},
        "options": asdict(plan), "versions": versions(),
    }  # fmt: skip


def _starting(data: Cohort, plan: StudyPlan, out: Path, cells: list[Cell]) -> list[tuple[int, str]]:
    """(seed, class) for which shared weights are still to be made: classes that `ours` makes rows of in some waiting cell."""
    if "ours" not in plan.methods or plan.effort != "short":
        return []
    needed = {(c.seed, name) for c in cells for name, loses in zip(data.classes, c.scarcity.loses, strict=True) if loses}
    return [(seed, name) for seed, name in sorted(needed) if not weights(_base(out, data, seed, name)).with_suffix(".gguf").exists()]


def _base(out: Path, data: Cohort, seed: int, made: str) -> Work:
    return Work(out / "work" / f"base-{seed}-{data.classes.index(made)}")


def shared_rows(train: Cohort, plan: StudyPlan, seed: int) -> NDArray[np.intp]:
    """The training rows that every cell of a seed may read: what shared weights are learnt from."""
    left = [set(c.scarcity.left(train.y, seed).tolist()) for c in plan.cells() if c.seed == seed]
    return np.array(sorted(set.intersection(*left)), dtype=np.intp)


def _start(data: Cohort, plan: StudyPlan, out: Path, seed: int, made: str) -> float:
    """Shared weights for rows of one class, learnt from the rows that all cells of the seed have in common.

    None where no generator can be taught on those: a cell may have more rows, and says itself where they do not do either.
    """
    began, train = time.monotonic(), Parts.of(data, plan, seed).train
    common = towards_class(train.take(shared_rows(train, plan, seed)), made)
    with told():
        train_bundle(common, BASE, _base(out, data, seed, made), seed, plan.checker, lambda _: None)
    return time.monotonic() - began


def _cell(data: Cohort, plan: StudyPlan, out: Path, cell: Cell) -> float:
    """Make, learn, judge, and write the cell whole. Returns its seconds."""
    began, parts = time.monotonic(), Parts.of(data, plan, cell.seed)
    left = given(parts.train, plan, cell, out)
    runs, judged = list[dict[str, Any]](), list[learners.Judged]()
    forged = _forged(left) if FORGED & set(plan.asked(cell)) else 0.0
    for name in plan.asked(cell):
        start = time.monotonic()
        added, why = added_by(name, left)
        spent = time.monotonic() - start + forged * (name == "ours")
        for kind in plan.classifiers:
            judged.append(_judged(kind, left, added, parts.test, cell.seed))
            runs.append({"classifier": kind, "method": name, "added": [int((~added.y).sum()), int(added.y.sum())] if added else [0, 0],
                         "made": list(added.made) if added else [0, 0], "why": why, "seconds": round(spent, 2)})  # fmt: skip
    whole = int((~parts.train.y).sum()), int(parts.train.y.sum())  # `wanting` tells as much: labels, no row
    trials = {k: asdict(trial(k, left.data, left.wanting, cell.seed, whole)) for k in plan.classifiers if any(left.wanting)}
    persons = np.unique(parts.test.persons, return_inverse=True)[1]
    save(out / "cells" / f"{cell.name}.npz", {
        "persons": persons, "y": parts.test.y, "scores": np.stack([j.scores for j in judged]),
        "predicted": np.stack([j.predicted for j in judged]),
    })  # fmt: skip
    y, seconds = left.data.y, time.monotonic() - began
    write_json(out / "cells" / f"{cell.name}.json", {
        "seed": cell.seed, "scenario": cell.scarcity.scenario, "reduction": cell.scarcity.reduction,
        "rows": [int((~y).sum()), int(y.sum())], "people": len(np.unique(left.data.persons)), "auc": _auc(left, parts.test), "runs": runs,
        "trials": trials, "seconds": round(seconds, 1),
    })  # fmt: skip
    return seconds


def _forged(left: Left) -> float:
    """Seconds that checker and generator take; they are made first, so that no other method is charged for them."""
    began = time.monotonic()
    with told():  # each method that needs one meets the reason again
        for made, _ in left.missing():
            left.bundle(made)
    return time.monotonic() - began


def given(train: Cohort, plan: StudyPlan, cell: Cell, out: Path) -> Left:
    """What the methods of a cell may read."""
    rows = train.take(cell.scarcity.left(train.y, cell.seed))
    bases = {name: weights(_base(out, train, cell.seed, name)) for name in train.classes}
    return Left(rows, cell.scarcity.wanting(rows.y, train.y), cell.seed, out / "work" / cell.name, plan.checker, EFFORTS[plan.effort],
                {name: path for name, path in bases.items() if path.exists()})  # fmt: skip


def added_by(name: str, left: Left) -> tuple[Added | None, str]:
    """A method's rows, or why there are none.

    Raises what is no fault of the method's: a cell is written once, and would say for good what may be gone tomorrow.
    """
    with told() as why:
        return METHODS[name](left), ""
    return None, why[0]


@contextmanager
def told() -> Iterator[list[str]]:
    """Notes why something cannot be made from these rows; lets through what the machine lacks, or work of another study."""
    why = list[str]()
    try:
        yield why
    except (MissingExtraError, OtherWorkError):
        raise
    except SenseCFError as error:
        why.append(str(error))


def _judged(kind: str, left: Left, added: Added | None, test: Cohort, seed: int) -> learners.Judged:
    """One classifier on one method's rows; not a number for a method that has none."""
    if added is None:
        return learners.Judged(np.full(len(test), np.nan, dtype=np.float32), np.zeros(len(test), dtype=bool))
    X, y = np.concatenate([left.data.X, added.X]), np.concatenate([left.data.y, added.y])
    return learners.learn(kind, left.data.schema, X, y, added.weights, test.X, seed)


def _auc(left: Left, test: Cohort) -> float | None:
    """The AUC of the checker that judged this cell's counterfactuals, on the untouched test people; None where none was made.

    Where both classes lack rows there is a checker for each, and this is their mean.
    """
    aucs = []
    for bundle in left.bundles.values():
        target = bundle.manifest.target
        p = OnnxChecker(bundle.classifier_bytes(), len(test.schema), target.index).p_target(test.X)
        aucs.append(roc_auc_score(towards_class(test, target.wanted).y, p))
    return float(np.mean(aucs)) if aucs else None
