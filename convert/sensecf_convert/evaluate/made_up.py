"""How often the generator of a bundle is valid at first try, on people made up of training rows: where unseen people are too few to tell.

    python -m sensecf_convert.evaluate.made_up TABLE --model BUNDLE [--count N] [--general N] [--seed S]

Of people who were made up for nothing else, those for whom the whole loop finds an answer are asked. Beside the generator stand the
additive guess, one random answer and, where it wears an adapter, the weights without it: on the same prompts, whose shorthand they never
learnt, and as a general model is asked, told the whole schema with the same hints, which takes seconds a person. It says nothing of real
people: made-up ones lie near those it learnt from, though none of them is one it was taught. As they are mixed from the same few people,
the intervals are those of other such draws alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from sensecf_edge.budget import Budget
from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.errors import SenseCFError
from sensecf_edge.explain import Explainer
from sensecf_edge.generators.choice import NONE, Choice
from sensecf_edge.generators.prompting import Prompting
from sensecf_edge.judge.objective import score
from sensecf_edge.propose.engine import Request, Unanswered
from sensecf_edge.propose.grammar import Grammar
from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.record import Record
from sensecf_edge.settings import LOOP
from sensecf_edge.space.admissible import Admissible, admissible
from sensecf_edge.space.constraints import Constraints
from sensecf_edge.space.measure import sparsity
from sensecf_edge.trial import opened

from ..baselines import methods
from ..generator.practice import Speaker, read
from ..presentation.options import model_option
from ..statistics import share, with_interval
from ..table.split import parts_of
from ..teachers.people import People

if TYPE_CHECKING:
    from ..table.cohort import Cohort

MADE_UP = 77
"""A stream of chance of its own: neither pairs nor practice nor what decides between weights draws from it."""
CHUNK = 128
MOST_CHUNKS = 200
Answers = Mapping[str, list[Vector | None]]
"""By way: the changed record of each person, shape (features,), None where nothing could be read."""


def able(explainer: Explainer, train: Cohort, count: int, seed: int) -> list[tuple[Admissible, float]]:
    """`count` made-up people, or as many as some thousand hold, of the unwanted class for whom the loop finds an answer; and their
    probability of the wanted one. `explainer` has no generator, so nobody is chosen because one answers them."""
    people, out = People(train), list[tuple[Admissible, float]]()
    for k in range(MOST_CHUNKS):
        records = [Record(explainer.schema, x) for x in people.invented(CHUNK, np.random.default_rng((seed, MADE_UP, k))).X]
        for record, made in zip(records, explainer.explain_many(records, budget=Budget(answers=1)), strict=True):
            if made.found:
                out.append((admissible(record, Constraints()), made.p_target))
        if len(out) >= count:
            break
    return out[:count]


def asked(bundle: Bundle, explainer: Explainer, people: list[tuple[Admissible, float]], seed: int, general: int) -> Answers:
    """The greedy first answer of every way; as a general model the weights are asked of the first `general` people."""
    out = dict[str, list[Vector | None]]()
    for name, speaker in _speakers(bundle, explainer):
        out[name] = [said[0] if said else None for _, said in speaker.answers(people, 1, seed)]
    if bundle.adapter_path is not None and general:
        out["as a general model"] = _told_all(bundle, people[:general], seed)
    for name in ("additive", "chance"):
        out[name] = [
            methods.answer(name, explainer.checker, explainer.schema, space.record, explainer.goal, seed=seed)[0] for space, _ in people
        ]
    return out


def _speakers(bundle: Bundle, explainer: Explainer) -> Iterator[tuple[str, Speaker]]:
    context = bundle.manifest.generator.context
    own = Speaker(bundle.generator_path, Prompting.of(bundle), context, explainer.checker, bundle.adapter_path)
    yield "the bundle's own", own
    if bundle.adapter_path is not None:
        yield "without its adapter", replace(own, adapter=None)


def _told_all(bundle: Bundle, people: list[tuple[Admissible, float]], seed: int) -> list[Vector | None]:
    """What the weights without their adapter say when they are told the schema, in their own chat template, with hints."""
    choice = replace(Choice.parse(str(bundle.generator_path)), hints=True)
    with Explainer.load(bundle.folder, generator=choice) as general:
        prompts = [general.prompting.prompt(space, p, general.checker) for space, p in people]
        requests = [Request(prompt, Grammar(space), 1, seed, LOOP.temperature) for prompt, (space, _) in zip(prompts, people, strict=True)]
        said = general.engine.propose(requests)
    readable = [[] if isinstance(one, Unanswered) else read(space, one) for (space, _), one in zip(people, said, strict=True)]
    return [rows[0] if rows else None for rows in readable]


def line(name: str, explainer: Explainer, people: list[tuple[Admissible, float]], said: list[Vector | None]) -> str:
    """How many are valid: the threshold reached and every limit kept."""
    judge, valid, changed = replace(explainer.judge, goal=explainer.target.threshold), list[float](), list[float]()
    for (space, _), y in zip(people, said, strict=False):  # of a slow way the first ones alone
        good = y is not None and bool(score(judge, space, y[None]).passed[0])
        valid.append(float(good))
        if good and y is not None:
            changed.append(float(sparsity(space.record.vector, y[None])[0]))
    told = with_interval(share(valid, np.arange(len(valid))), lambda value: f"{value:.1%}")
    mean = f", {np.mean(changed):.2f} features changed" if changed else ""
    return f"{name:<20} {int(sum(valid))} valid, {told}{mean}"


@click.command()
@click.argument("file", metavar="TABLE", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@model_option
@click.option("--count", default=200, show_default=True, help="People with an answer to ask.")
@click.option("--general", default=50, show_default=True, help="Of these so many at most are asked of the weights as a general model.")
@click.option("--seed", default=0, show_default=True, help="Where chance starts.")
def main(file: Path, model: str, count: int, general: int, seed: int) -> None:
    """First tries on people made up of the training rows of TABLE."""
    try:
        bundle = opened(model)
        train = parts_of(bundle, file).train
        with Explainer.load(bundle.folder, generator=NONE) as explainer:
            people = able(explainer, train, count, seed)
            for name, said in asked(bundle, explainer, people, seed, general).items():
                click.echo(line(name, explainer, people, said))
    except SenseCFError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
