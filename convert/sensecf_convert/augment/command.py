"""`augment`: a small table in, counterfactual rows of its short class out."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.metrics import f1_score

from sensecf_edge.errors import TableError
from sensecf_edge.schema.cells import without_value
from sensecf_edge.schema.schema import Schema
from sensecf_edge.table.labelled import class_key, other_names
from sensecf_edge.table.read import Cells

from ..classifier.kinds import KINDS
from ..progress import bar, console, note, step
from ..table import fit_relations, leakage
from ..table.cohort import Cohort, cohort, frame, read_table
from ..table.draft import drafted
from ..work import Work
from . import output_table, relaxed
from .decision_threshold import best_threshold
from .out_of_fold import crossed, noting_refusals
from .relaxed import towards_class
from .remaining import Remaining, nothing, ours
from .rows import Row, make_rows
from .training import EFFORTS, require_enough_rows, train_bundle


@dataclass(frozen=True)
class Made:
    """How many rows were asked for, and how many could be made."""

    asked: int
    rows: int


@dataclass(frozen=True)
class AugmentPlan:
    """What decides the rows. `made`: the class to make, None for the short one, to `ratio` times the other. `positive`: the class that the
    trial's F1 is of, None for the one made. `trial`: say what a classifier may expect of such rows, made anew in folds of people."""

    target: str
    person: str | None = None
    made: str | None = None
    positive: str | None = None
    ratio: float = 1.0
    seed: int = 0
    checker: str = "random-forest"
    effort: str = "short"
    allow: tuple[str, ...] = ()
    trial: bool = True


def augment(
    table: Path, target: str, out: Path, schema_file: Path | None = None, work: Path | None = None, append: bool = False,
    force: bool = False, **choices: Any,
) -> Made:  # fmt: skip
    """Write rows of one class of `table`; `choices` are fields of AugmentPlan. With `append`, the real rows stand before them.

    Raises TableError before anything long begins for what cannot be augmented.
    """
    plan = AugmentPlan(target, **choices)
    cells = read_table(table)
    whole = frame(cells)
    output_table.check(whole, out, force)
    data = _cohort(cells, plan, schema_file)
    require_enough_rows(data)
    for warning in leakage.refuse_leaks(data, (*plan.allow, leakage.PEOPLE)):
        note(warning)
    short, count = data.classes[1], wanted_rows(data, plan.ratio)
    faced = towards_class(data, plan.positive or short)
    console.print(f"{len(data):,} rows, {int(data.y.sum()):,} of them {short}; making {count:,} more")
    folder = Work(work or Path("augment-work") / out.stem)
    got = _made(plan, data, count, folder)
    if got and plan.trial:
        _worth(Remaining(faced, short, plan.seed, folder / "trial", plan.checker, EFFORTS[plan.effort], plan.ratio))
    if got:
        _write(whole, output_table.as_table(whole, data.schema, target, short, got, plan.seed), out, append)
    return Made(count, len(got))


def _made(plan: AugmentPlan, data: Cohort, count: int, folder: Work) -> list[Row]:
    """The rows, of a generator trained on `data` alone; what was refused is said."""
    short = data.classes[1]
    with step("generator") as say:
        bundle = train_bundle(data, EFFORTS[plan.effort], folder, plan.seed, plan.checker, say, jobs=max(1, os.cpu_count() or 1))
        auc = bundle.manifest.classifier.auc or 0.0
        best = f"the best of {folder.facts('classifier.json').get('recipes_tried', 1)}"
        say(f"checker's AUC {auc:.3f} over folds of {data.unit}, {best}" + (", weak: read its rows with doubt" if auc < 0.7 else ""))
    with step("rows") as say, bar("rows") as show:
        got, refused = make_rows(bundle, data, count, plan.seed, show)
        say(f"{len(got):,} of {count:,}: " + ", ".join(f"{n:,} {how}" for how, n in Counter(r.method for r in got).most_common()))
    for why, number in refused.most_common():
        console.print(f"left out     {number:,} x {why}")
    if len(got) < count:
        note(f"only {len(got):,} of the {count:,} rows that were asked for could be made: no more are both new and of class {short}")
    return got


def _cohort(table: Cells, plan: AugmentPlan, schema_file: Path | None) -> Cohort:
    target, person, made = plan.target, plan.person, plan.made
    if target not in table.columns:
        raise TableError(f"the table lacks {target!r}; {other_names(table, [target, *([person] if person else [])], [target])}")
    schema, left = relaxed.read(schema_file) if schema_file else (Schema.from_json(drafted(table, target, person)), [])
    counts = Counter(class_key(c) for c in table.columns[target].rows() if not without_value(c)).most_common()
    if made is None and len(counts) == 2 and counts[0][1] == counts[1][1]:
        raise TableError(f"{counts[0][0]} and {counts[1][0]} have {counts[0][1]} rows each; say which class to make with --make")
    data = cohort(table, relaxed.relaxed_schema(schema), target, made or (counts[-1][0] if counts else ""), person)
    return replace(data, schema=fit_relations.with_fitted_relations(data.schema, left, data))


def wanted_rows(data: Cohort, ratio: float) -> int:
    """How many rows bring the made class to `ratio` times the other. Raises TableError where none are missing."""
    have, other = int(data.y.sum()), int((~data.y).sum())
    count = round(ratio * other) - have
    if count < 1:
        raise TableError(f"{data.classes[1]} has {have} rows, {have / other:.2f} times as many as {data.classes[0]}; ask for more with "
                         f"--ratio above {have / other:.2f}")  # fmt: skip
    return count


def _worth(left: Remaining) -> None:
    """What a plain classifier of the checker's kind may expect of such rows, made anew from the training part of every fold."""
    kind, y = left.checker, left.data.y
    with step("worth") as say, bar("worth") as show:
        plain = crossed(nothing, (kind,), left)[0]
        with noting_refusals() as why:
            made = crossed(ours, (kind,), left, lambda done: show(done, "folds of people, rows made anew in each"))[0]
        without = best_threshold(plain, y)
        rows = "" if why else f", {best_threshold(made, y).f1:.2f} with such rows and its threshold moved"
        now = f"{f1_score(y, plain >= 0, zero_division=0.0):.2f} as it comes, {without.f1:.2f} with its threshold moved{rows}"
        say(f"F1 of {left.data.classes[1]} by a plain {kind} over folds of {left.data.unit}: {now}")
    if why:
        note(f"whether rows help cannot be told from so few: {why[0]}")
    elif round(best_threshold(made, y).f1, 2) <= round(without.f1, 2):
        note(f"these rows give no more than a moved threshold: call a row {left.data.classes[1]} {_from(kind, without.at)}, without them")


def _from(kind: str, at: float) -> str:
    if not np.isfinite(at):
        return "whatever it scores"
    return f"from a margin of {at:.2f} on" if KINDS[kind].margin else f"from a probability of {expit(at):.2f} on"


def _write(whole: pd.DataFrame, rows: pd.DataFrame, out: Path, append: bool) -> None:
    if append:
        real = whole.assign(**{output_table.METHOD: "real"})
        rows = pd.concat([real, rows.astype({n: object for n in rows.columns if rows[n].isna().all()})], ignore_index=True)
        rows = rows[[*whole.columns, *output_table.PROVENANCE]].astype({output_table.SEED: "Int64"})
    output_table.write(rows, out)
    console.print(f"wrote {out}; like the table it holds people's data, and so does the work folder")
