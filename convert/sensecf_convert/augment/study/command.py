"""The study's commands: settle the plan, fill the cells, write the report."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from sensecf_edge.errors import TableError
from sensecf_edge.schema.schema import Schema

from ...progress import bar, console, step
from .. import relaxed
from . import results
from .folders import MARK
from .methods import METHODS
from .study import StudyPlan, load, study


def run(
    table: Path, target: str, positive: str, schema_file: Path, out: Path, seeds: int | None = None, jobs: int | None = None,
    **choices: Any,
) -> dict[str, Any]:  # fmt: skip
    """Run or resume a study and write its report; `choices` are fields of StudyPlan, None or () for the default. Returns the results."""
    plan = StudyPlan(target, positive)
    given = {k: v for k, v in choices.items() if v not in (None, ())}
    if "methods" in given:
        given["methods"] = tuple(m for m in METHODS if m in {"none", *given["methods"]})
    for name in ("scenarios", "reductions", "classifiers"):
        if name in given:
            given[name] = tuple(sorted(set(given[name])))
    if seeds:
        given["seeds"] = tuple(range(seeds))
    plan = replace(plan, **given)
    _folder(out)
    if out.exists() and not (out / MARK).exists() and any(out.iterdir()):
        raise TableError(f"{out} is there already and holds no study; name another folder")
    with step("table") as say:
        material = load(table, _schema(schema_file), plan)
        y = material.data.y
        say(f"{len(y):,} rows, {int(y.sum()):,} of them {positive}; {len(plan.cells())} cells, {len(plan.methods)} methods")
    with step("study") as say, bar("study") as show:
        study(material, plan, table.stem, out, jobs or max(1, os.cpu_count() or 1), show)
        say(f"{len(plan.tasks())} cells of all methods")
    return pool((out,), out)


def _schema(file: Path) -> Schema:
    """The schema; every slope has to be stated. One fitted to the whole table would have seen the test people."""
    schema, left = relaxed.read(file)
    if left:
        names = " and ".join(left[0]["features"])
        raise TableError(
            f"{file}: {left[0]['kind']} of {names} states no slope; a study needs it stated, or it would be fitted in every cell anew"
        )
    return schema


def pool(folders: tuple[Path, ...], out: Path) -> dict[str, Any]:
    """One report over one or several studies."""
    _folder(out)
    found = results.write(folders, out)
    print(results.lines(found))
    console.print(f"wrote results.csv, results.json and report.html to {out}")
    return found


def _folder(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise TableError(f"{out} is a file; name a folder")
