"""What each teacher is worth, measured on people made of training rows. No test person is looked at.

python -m sensecf_convert.evaluate.teacher_answers TABLE --target COLUMN --wanted CLASS --schema FILE [--person COLUMN]
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from itertools import count as numbers
from pathlib import Path
from typing import Any

import click
import numpy as np

from sensecf_edge.errors import SenseCFError, TableError
from sensecf_edge.judge.density import Density
from sensecf_edge.schema.feature import Vector
from sensecf_edge.settings import LOOP
from sensecf_edge.space import measure, rules

from ..plan import FitPlan
from ..table import fit_relations
from ..table.cohort import Cohort
from ..teachers.classroom import CHUNK, TEACHERS, check, open_lesson, room, space_of
from ..teachers.lesson import Lesson, turned
from ..teachers.people import Copies

MOST_CHUNKS = 2_000


@dataclass(frozen=True)
class Contribution:
    """One teacher's figures. Shares are 0..1; means are over answers, nan where there is none.

    asked      people in the other class that were asked about
    answered   share of them with an answer
    p          probability of the taught class
    n_changed  features changed, those that follow a relation included
    distance   Gower distance to the factual
    realism    percentile of the answer among real people of the class
    knn_ratio  distance to the 5 nearest training rows of the class over those rows' own figure (see `plausibility.Realism`)
    broken     answers that break a rule (must be 0)
    dropped    share of the made-up people left out because they came out as somebody's own row
    natural    share of those asked about that coincide with training rows where that is natural (see `people.Copies`)
    seconds    CPU seconds for a pair, those spent on people without an answer included
    """

    asked: int
    answered: float
    p: float
    n_changed: float
    distance: float
    realism: float
    knn_ratio: float
    broken: int
    dropped: float
    natural: float
    seconds: float


@dataclass(frozen=True)
class _Chunk:
    """What one chunk of one teacher brought: factuals X and answers Y (nan rows for none) of the same shape."""

    X: Vector
    Y: Vector
    found: Vector
    dropped: int
    seconds: float


def contributions(lesson: Lesson, train: Cohort, seed: int, jobs: int, count: int) -> dict[str, Contribution]:
    """Figures of every teacher of the lesson over `count` people each, by name.

    search and neighbours are asked about the same invented people, pairs about its own. Raises TableError as `teach` does, and
    where 2,000 chunks hold fewer than `count` people to ask about.
    """
    check(lesson.teachers, train)
    lesson = replace(lesson, data=train)
    with _workers(lesson, jobs) as pool:
        return {name: _figures(lesson, *_ask(pool, k, seed, jobs, count)) for k, name in enumerate(lesson.teachers)}


@contextmanager
def _workers(lesson: Lesson, jobs: int) -> Iterator[Any]:
    context: Any = multiprocessing.get_context("spawn")
    with context.Pool(jobs, initializer=open_lesson, initargs=(lesson,)) as pool:
        yield pool


def _ask(pool: Any, teacher: int, seed: int, jobs: int, count: int) -> tuple[list[_Chunk], int, int]:
    """Chunks until `count` people are asked, that number, and how many people were made up for it."""
    out: list[_Chunk] = []
    for wave in numbers(0, jobs):
        if wave >= MOST_CHUNKS:
            raise TableError(f"{wave * CHUNK:,} made-up people hold fewer than {count} in the class to leave; ask for fewer")
        out += pool.starmap(_chunk, [(teacher, seed, number) for number in range(wave, wave + jobs)], chunksize=1)
        if sum(len(part.X) for part in out) >= count:
            return out, count, CHUNK * len(out)
    raise AssertionError("unreachable")


def _chunk(teacher: int, seed: int, number: int) -> _Chunk:
    here = room[0]
    drawn = here.asked(teacher, CHUNK, np.random.default_rng((seed, number)))
    Y, began = np.full(drawn.X.shape, np.nan), time.process_time()
    found = np.zeros(len(Y), dtype=bool)
    for i, (x, person) in enumerate(zip(drawn.X, drawn.persons, strict=True)):
        space = space_of(here.lesson, x)
        y = None if space is None else here.teachers[teacher].answer(space, str(person))
        if y is not None:
            Y[i], found[i] = y, True
    return _Chunk(drawn.X, Y, found, drawn.dropped, time.process_time() - began)


def _figures(lesson: Lesson, parts: list[_Chunk], count: int, made: int) -> Contribution:
    from .plausibility import Realism

    X, Y, found = (np.concatenate([getattr(part, name) for part in parts]) for name in ("X", "Y", "found"))
    seconds, people = sum(part.seconds for part in parts) / max(found.sum(), 1), X[:count]
    X, Y = people[found[:count]], Y[:count][found[:count]]
    rows = lesson.rows()
    return Contribution(
        asked=count,
        answered=float(found[:count].mean()),
        **means(lesson, X, Y),
        knn_ratio=_mean(Realism(rows).knn_ratio(Y)),
        broken=sum(_broken(lesson, x, y) for x, y in zip(X, Y, strict=True)),
        dropped=sum(part.dropped for part in parts) / made,
        natural=float(Copies(rows).natural(people).mean()),
        seconds=seconds,
    )


def means(lesson: Lesson, X: Vector, Y: Vector) -> dict[str, float]:
    """p, n_changed, distance and realism of answers Y to factuals X, both of shape (answers, features): see Contribution."""
    judge, pairs = lesson.judge(), list(zip(X, Y, strict=True))
    assert judge.realism is not None
    return {
        "p": _mean(judge.checker.p_target(Y)),
        "n_changed": _mean([measure.sparsity(x, y[None])[0] for x, y in pairs]),
        "distance": _mean([measure.proximity(lesson.schema, x, y[None])[0] for x, y in pairs]),
        "realism": _mean(judge.realism.percentile(Y)),
    }


def _broken(lesson: Lesson, x: Vector, y: Vector) -> bool:
    space = space_of(lesson, x)
    return space is None or not rules.admitted(space, y[None])[0]


def _mean(values: Any) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def table(figures: Mapping[str, Contribution]) -> str:
    """The figures as a Markdown table, one row a teacher."""
    names = [f.name for f in fields(Contribution)]
    rows = [" | ".join([name, *(_text(key, getattr(row, key)) for key in names)]) for name, row in figures.items()]
    head = " | ".join(["teacher", *(name.replace("_", " ") for name in names)])
    return "\n".join([f"| {head} |", "|" + "---|" * (len(names) + 1), *(f"| {row} |" for row in rows)])


def _text(key: str, value: float) -> str:
    if key in ("answered", "dropped", "natural"):
        return f"{100 * value:.1f} %"
    return f"{value:,}" if isinstance(value, int) else f"{value:.0f}" if key == "realism" else f"{value:.3f}"


def quick_lesson(train: Cohort, teachers: tuple[str, ...], wanted: int, seed: int, kind: str = "random-forest") -> Lesson:
    """A lesson over training people with a classifier and a density fitted for it, as `fit` would."""
    from ..classifier import onnx, recipes
    from ..density import fitting
    from ..plan import GOALS_ABOVE, THRESHOLD

    graph = onnx.to_onnx(recipes.choose(kind, train, seed, lambda _: None).model, len(train.schema))
    typical = Density.from_json(fitting.fit(train if wanted else replace(train, y=~train.y), seed), train.schema)
    goals = tuple(THRESHOLD + above for above in GOALS_ABOVE)
    return Lesson(train.schema, graph, typical, THRESHOLD, goals, LOOP.max_changes, teachers, wanted)


@click.command()
@click.argument("file", metavar="TABLE", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--target", required=True, help="Column that is predicted.")
@click.option("--wanted", required=True, help="Its wanted class.")
@click.option("--schema", "schema_file", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=True)
@click.option("--person", help="Column that says who a row belongs to.")
@click.option("--teacher", "teachers", multiple=True, default=("search", "neighbours"), help=f"Any of {', '.join(TEACHERS)}; repeatable.")
@click.option("--away", is_flag=True, help="Teach the other direction, out of the wanted class, with one-way features turned round.")
@click.option("--test-share", default=FitPlan.test_share, show_default=True, help="As of `sensecf-edge fit`.")
@click.option("--final-share", default=0.0, show_default=True, help="As of `sensecf-edge fit`.")
@click.option("--count", default=500, show_default=True, help="People to ask each teacher about.")
@click.option("--seed", default=0, show_default=True)
@click.option("--jobs", default=1, show_default=True)
def main(file: Path, target: str, wanted: str, schema_file: Path, person: str | None, teachers: tuple[str, ...], away: bool,
         test_share: float, final_share: float, count: int, seed: int, jobs: int) -> None:  # fmt: skip
    """Compare teachers on people made of the training rows of TABLE, split as `fit` splits it."""
    from ..table.cohort import cohort, read_table
    from ..table.reference_ranges import with_references
    from ..table.split import divided

    try:
        schema, left = fit_relations.read_schema(schema_file)
        data = cohort(read_table(file), turned(schema) if away else schema, target, wanted, person)
        train = divided(data, test_share, final_share, seed).train
        train = replace(train, schema=with_references(fit_relations.with_fitted_relations(train.schema, left, train), train))
        check(teachers, train)
        lesson = quick_lesson(train, teachers, int(not away), seed)
        click.echo(table(contributions(lesson, train, seed, jobs, count)))
    except SenseCFError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
