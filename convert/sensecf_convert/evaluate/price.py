"""What each limit of a bundle's advice costs: how many training people an answer exists for, with it and without.

    python -m sensecf_convert.evaluate.price TABLE --model NAME [--limit N]

A limit is a feature's direction with the ranges that are advised, whom it is advised to and how far it may go, or what moves along
with other features. Every count is proven by branch and bound; what is not proven within its effort counts as none and is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from sensecf_edge.errors import ConstraintError, SenseCFError
from sensecf_edge.judge.classifier import Checker, OnnxChecker
from sensecf_edge.judge.objective import Judge
from sensecf_edge.proof.effort import Effort
from sensecf_edge.schema.feature import Feature, Vector
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.schema import Schema
from sensecf_edge.space.admissible import admissible
from sensecf_edge.space.constraints import Constraints
from sensecf_edge.trial import opened

from ..classifier.threshold import goal_of
from ..presentation.options import model_option
from ..progress import bar
from ..proof.prover import Prover
from ..table.cohort import Cohort
from ..teachers.search import search


@dataclass(frozen=True)
class Priced:
    """One set of limits: what is left out of the schema, in words, and whom an answer exists for, of those asked."""

    without: str
    answered: int
    unproven: int
    asked: int


def variants(schema: Schema) -> Iterator[tuple[str, Schema]]:
    """The schema, the schema less each of its limits in turn, and less all of them."""
    yield "nothing", schema
    limited = [f.name for f in schema.features if f.mutable and f.name not in schema.completed and _freed(f) != f]
    for name in limited:
        yield f"what limits {schema[name].title}", _less(schema, {name}, set())
    effects = list(dict.fromkeys(r.moves for r in schema.relations if r.fitted and r.moves))
    for name in effects:
        yield f"{schema[name].title} following", _less(schema, set(), {name})
    if limited or effects:
        yield "any of these", _less(schema, set(limited), set(effects))


def _freed(feature: Feature) -> Feature:
    keys = ("direction", "direction_source", "advise", "advise_for", "advise_if", "advise_source", "max_change", "relative_max_change")
    free: dict[str, Any] = {key: Feature.__dataclass_fields__[key].default for key in keys}
    return replace(feature, **free)


def _less(schema: Schema, free: set[str], apart: set[str]) -> Schema:
    features = tuple(_freed(f) if f.name in free else f for f in schema.features)
    return replace(schema, features=features, relations=tuple(r for r in schema.relations if not r.fitted or r.moves not in apart))


def priced(checker: Checker, graph: bytes, train: Cohort, rows: Vector, goal: float, column: int = 1) -> Iterator[Priced]:
    """Counts under each of `variants`. rows: records of training people that are asked about, shape (rows, features)."""
    for without, schema in variants(train.schema):
        prover, judge = Prover(checker, graph, replace(train, schema=schema), column), Judge(checker, None, goal)
        effort, said = Effort(), list[bool | None]()
        for x in rows:
            try:
                space = admissible(Record(schema, x), Constraints())
            except ConstraintError:
                said.append(False)
                continue
            found = search(judge, space, (goal,)) is not None
            said.append(found or prover.reaches(space, goal, effort.record()))
        yield Priced(without, said.count(True), said.count(None), len(rows))


def table(rows: Sequence[Priced]) -> str:
    """As Markdown."""
    lines = [f"| {r.without} | {r.answered:,} of {r.asked:,}{f' ({r.unproven} unproven)' if r.unproven else ''} |" for r in rows]
    return "\n".join(["| without | an answer at the goal exists for |", "|---|---|", *lines])


@click.command()
@click.argument("file", metavar="TABLE", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@model_option
@click.option("--limit", default=1_000, show_default=True, help="Ask about so many training records at most, drawn.")
def main(file: Path, model: str, limit: int) -> None:
    """What each limit of a bundle's advice costs, counted on the people of TABLE that it was trained on."""
    from ..table.split import parts

    try:
        bundle = opened(model)
        train, _ = parts(bundle, file)
        target, graph = bundle.manifest.target, bundle.classifier_bytes()
        checker = OnnxChecker(graph, len(bundle.schema), wanted=target.index)
        rows = train.X[checker.p_target(train.X) < target.threshold]
        rows = rows[np.random.default_rng(0).permutation(len(rows))[:limit]]
        made, count = list[Priced](), len(list(variants(bundle.schema)))
        with bar("price") as show:
            for row in priced(checker, graph, train, rows, goal_of(target.threshold), target.index):
                made.append(row)
                show(len(made) / count, row.without)
        click.echo(table(made))
    except SenseCFError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
