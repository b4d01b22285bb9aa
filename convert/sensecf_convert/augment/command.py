"""`augment`: a small table in, counterfactual rows of its short class out."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pandas as pd

from sensecf_edge.errors import TableError
from sensecf_edge.schema.cells import without_value
from sensecf_edge.schema.schema import Schema
from sensecf_edge.table.labelled import class_key, other_names
from sensecf_edge.table.read import Cells

from ..progress import bar, console, note, step
from ..table import fit_relations, leakage
from ..table.cohort import Cohort, cohort, frame, read_table
from ..table.draft import drafted
from ..work import Work
from . import output_table
from .relaxed import relaxed_schema
from .rows import make_rows
from .training import EFFORTS, require_enough_rows, train_bundle
from .trial import trial


def augment(
    table: Path, target: str, out: Path, schema_file: Path | None = None, person: str | None = None, made: str | None = None,
    ratio: float = 1.0, seed: int = 0, checker: str = "random-forest", effort: str = "full", work: Path | None = None,
    allow: tuple[str, ...] = (), append: bool = False, force: bool = False,
) -> int:  # fmt: skip
    """Write rows of class `made` (the short one), as many as bring it to `ratio` times the other class; returns how many.

    Raises TableError before anything long begins for what cannot be augmented. With `append`, the real rows stand before them.
    """
    cells = read_table(table)
    whole = frame(cells)
    output_table.check(whole, out, force)
    data = _cohort(cells, target, schema_file, person, made)
    require_enough_rows(data)
    for warning in leakage.refuse_leaks(data, (*allow, leakage.PEOPLE)):
        note(warning)
    short, count = data.classes[1], wanted_rows(data, ratio)
    console.print(f"{len(data):,} rows, {int(data.y.sum()):,} of them {short}; making {count:,} more")
    folder = Work(work or Path("augment-work") / out.stem)
    with step("generator") as say:
        bundle = train_bundle(data, EFFORTS[effort], folder, seed, checker, say, jobs=max(1, os.cpu_count() or 1))
        auc = bundle.manifest.classifier.auc or 0.0
        best = f"the best of {folder.facts('classifier.json').get('recipes_tried', 1)}"
        say(f"checker's AUC {auc:.3f} over folds of {data.unit}, {best}" + (", weak: read its rows with doubt" if auc < 0.7 else ""))
    with step("rows") as say, bar("rows") as show:
        rows, refused = make_rows(bundle, data, count, seed, show)
        say(f"{len(rows):,} of {count:,}: " + ", ".join(f"{n:,} {how}" for how, n in Counter(r.method for r in rows).most_common()))
    for why, number in refused.most_common():
        console.print(f"left out     {number:,} x {why}")
    if len(rows):
        _worth(data, checker, len(rows), seed)
        _write(whole, output_table.as_table(whole, bundle.schema, target, short, rows, seed), out, append)
    return len(rows)


def _cohort(table: Cells, target: str, schema_file: Path | None, person: str | None, made: str | None) -> Cohort:
    if target not in table.columns:
        raise TableError(f"the table lacks {target!r}; {other_names(table, [target, *([person] if person else [])], [target])}")
    schema, left = fit_relations.read_schema(schema_file) if schema_file else (Schema.from_json(drafted(table, target, person)), [])
    counts = Counter(class_key(c) for c in table.columns[target].rows() if not without_value(c)).most_common()
    if made is None and len(counts) == 2 and counts[0][1] == counts[1][1]:
        raise TableError(f"{counts[0][0]} and {counts[1][0]} have {counts[0][1]} rows each; say which class to make with --make")
    data = cohort(table, relaxed_schema(schema), target, made or (counts[-1][0] if counts else ""), person)
    return replace(data, schema=fit_relations.with_fitted_relations(data.schema, left, data))


def wanted_rows(data: Cohort, ratio: float) -> int:
    """How many rows bring the made class to `ratio` times the other. Raises TableError where none are missing."""
    have, other = int(data.y.sum()), int((~data.y).sum())
    count = round(ratio * other) - have
    if count < 1:
        raise TableError(f"{data.classes[1]} has {have} rows, {have / other:.2f} times as many as {data.classes[0]}; ask for more with "
                         f"--ratio above {have / other:.2f}")  # fmt: skip
    return count


def _worth(data: Cohort, kind: str, count: int, seed: int) -> None:
    """What a plain classifier of the checker's kind may expect of so many rows, told before they are used."""
    with step("worth") as say:
        got = trial(kind, data, (0, count), seed)
        moves = [f"{b:.2f} -> {a:.2f} for {name}" for name, b, a in zip(data.classes, got.before, got.after, strict=True)]
        say(f"F1 of a plain {kind} over folds of people, real rows weighing so: {', '.join(reversed(moves))}")
    if not got.helps:
        note(f"F1 of {data.classes[1]} falls: a {kind} may do better without these rows")


def _write(whole: pd.DataFrame, rows: pd.DataFrame, out: Path, append: bool) -> None:
    if append:
        real = whole.assign(**{output_table.METHOD: "real"})
        rows = pd.concat([real, rows.astype({n: object for n in rows.columns if rows[n].isna().all()})], ignore_index=True)
        rows = rows[[*whole.columns, *output_table.PROVENANCE]].astype({output_table.SEED: "Int64"})
    output_table.write(rows, out)
    console.print(f"wrote {out}; like the table it holds people's data, and so does the work folder")
