"""An experiment with the answer known: a generator that half the training people were kept from, with canaries among its pairs.

`python -m sensecf_convert.memorisation.planted heart.csv --model heart --work FOLDER`

The bundle's classifier and density know all training people alike, so what tells the halves apart can only be what the
generator learnt. It learns half as many pairs as the bundle's own (each person is shown as often), in as many passes; there is no
round of self-improvement. With `--pairs 300 --passes 200 --canaries 2` it knows its pairs by heart: what the check says then is
what it can see.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click
import numpy as np

from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.errors import SenseCFError
from sensecf_edge.trial import opened

from .. import plan as sensecf_convert_plan
from ..generator import learners
from ..generator.scratch.vocabulary import SchemaVocabulary
from ..plan import FitPlan
from ..presentation.options import model_option
from ..table.cohort import Cohort
from ..table.split import parts_of
from ..teachers import collect
from ..teachers.lesson import Lesson
from ..work import Work
from .canaries import BY_CHANCE, Canary, draw, exposures, planted
from .checks import MOST_PEOPLE, lesson_of, of_generator, of_pairs
from .formatting import inference_text
from .inference import Figures
from .people import Subject

TIMES = (0, 1, 4, 16, 64)
"""Repetitions of a canary. Those with none are planted nowhere: the exposure of chance."""


def experiment(bundle: Bundle, train: Cohort, work: Work, plan: FitPlan, each: int, jobs: int = 1) -> Figures:
    """Figures of one generator: `people` (the half it learnt from against the other), `pairs` (learnt against new), and `canaries`,
    for each number of repetitions the mean exposure in bits of `each` canaries."""
    rng = np.random.default_rng(plan.seed)
    _, at = np.unique(train.persons, return_inverse=True)
    half = (rng.permutation(at.max() + 1) % 2 == 0)[at]
    inside, outside = train.take(half), train.take(~half)
    lesson = lesson_of(bundle, inside)
    judge = lesson.judge()
    canaries = draw(lesson, judge.checker, TIMES, each, rng)
    pairs = dict(collect.collect_pairs(work, lesson, inside, plan.pairs, plan.seed, jobs))
    made = _learnt(lesson, work, plan, pairs, canaries)
    subject = Subject(lesson, made.speaker(plan.wanted, judge.checker), judge)
    bits = np.array(exposures(subject.speaker, canaries)).reshape(len(TIMES), each)
    return {
        "people": of_generator(subject, inside, outside, MOST_PEOPLE, rng),
        "pairs": of_pairs(subject, pairs, MOST_PEOPLE, rng),
        "canaries": {str(k): round(float(row.mean()), 2) for k, row in zip(TIMES, bits, strict=True)},
        "highest_exposure": round(float(np.log2(1 + max(len(c.siblings) for c in canaries))), 1),
        "learnt": {"pairs": len(pairs["X"]), "passes": plan.passes, "loss": made.facts["loss"]},
    }


def _learnt(lesson: Lesson, work: Work, plan: FitPlan, pairs: dict[str, Any], canaries: list[Canary]) -> learners.Made:
    more = planted(canaries)
    both = {k: np.concatenate([pairs[k], more[k]]) for k in ("X", "Y")}
    both["p"] = lesson.judge().checker.p_target(both["X"])
    vocabulary = SchemaVocabulary(lesson.schema, plan.wanted)
    return learners.FromScratch(work, plan, vocabulary).learn(both, sensecf_convert_plan.FIRST, plan.passes)


def report(figures: Figures) -> str:
    """The figures as lines for people."""
    lines = [
        f"{figures['learnt']['pairs']:,} pairs, {figures['learnt']['passes']:g} passes, loss {figures['learnt']['loss']:.3f}",
        f"people it learnt from against people kept from it: {inference_text(figures['people'])}",
        f"pairs it learnt against new ones of the same people: {inference_text(figures['pairs'])}",
        f"exposure of canaries, bits (chance {BY_CHANCE:.1f}, at most {figures['highest_exposure']:g}): "
        + ", ".join(f"planted {k} times {bits:.1f}" for k, bits in figures["canaries"].items()),
    ]
    return "\n".join(lines)


@click.command()
@click.argument("table", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@model_option
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Folder for pairs and weights; an interrupted run goes on.")
@click.option("--pairs", type=int, default=20_000, show_default=True, help="Pairs to learn.")
@click.option("--passes", type=float, default=6.0, show_default=True, help="Passes over them.")
@click.option("--canaries", type=int, default=16, show_default=True, help="Canaries for each number of repetitions.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--jobs", type=int, default=os.cpu_count() or 1, help="Processes that make pairs; the pairs are the same whatever their number."
)
@click.option("--json", "as_json", is_flag=True, help="All figures as JSON.")
def main(table: Path, model: str, work: Path, pairs: int, passes: float, canaries: int, seed: int, jobs: int, as_json: bool) -> None:
    """Train a generator on half the training people of TABLE, which MODEL was fitted on, with canaries, and look what it remembers."""
    try:
        bundle = opened(model)
        train = parts_of(bundle, table).train
        target = bundle.manifest.target
        plan = FitPlan(bundle.name, target.column, target.wanted, seed=seed, pairs=pairs, passes=passes, improve=False)
        figures = experiment(bundle, train, Work(work), plan, canaries, jobs)
    except SenseCFError as error:
        raise click.ClickException(str(error)) from error
    click.echo(json.dumps(figures, indent=1) if as_json else report(figures))


if __name__ == "__main__":
    main()
