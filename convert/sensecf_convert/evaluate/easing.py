"""Who gets an answer, how few changes it takes, and what the others are told: what would have to give, or that nothing helps.

    python -m sensecf_convert.evaluate.easing TABLE --model NAME [--limit N] [--drawn] [--final] [--max-changes K]

Over unseen people of the unwanted class as they came, what is unknown of them left unknown: an answer has to hold over all that it may
be, as users are told. `evaluate` takes unknown values as the classifier fills them in; how many would be answered so stands beside.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np

from sensecf_edge.answer.result import Explanation
from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.errors import SenseCFError
from sensecf_edge.explain import Explainer
from sensecf_edge.proof.effort import Effort
from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.record import Record
from sensecf_edge.settings import LOOP
from sensecf_edge.space.admissible import admissible
from sensecf_edge.space.constraints import Constraints
from sensecf_edge.space.easing import REQUEST
from sensecf_edge.trial import opened

from ..baselines import methods
from ..presentation.options import model_option
from ..proof.prover import Fewest, Prover, summed
from ..table.split import Parts, kept_back, parts_of
from .plausibility import sampled

ANSWERED, OPEN = "answered within all limits", "it depends on what is unknown"
ASKED, SCHEMA, TOGETHER = "a limit of the request", "one limit of the schema", "several limits of the schema together"
FIXED, EVERY = "nothing: the fixed findings decide, proven", "nothing: no limit that could give helps, proven"
NOTHING = "nothing found, no proof"
ORDER = (ANSWERED, OPEN, ASKED, SCHEMA, TOGETHER, FIXED, EVERY, NOTHING)


@dataclass
class Told:
    """What people were told: how many what, the seconds of processor time with an answer and without, of how many of those answered the
    guess was valid untouched, and of those of whom all is known how many features changed and how few are enough; and how many would be
    answered if unknown values were what the classifier fills in."""

    kinds: Counter[str] = field(default_factory=Counter)
    answered: list[float] = field(default_factory=list)
    eased: list[float] = field(default_factory=list)
    guessed: int = 0
    changed: list[int] = field(default_factory=list)
    fewest: list[Fewest] = field(default_factory=list)
    filled_in: int = 0


def counted(explainer: Explainer, prover: Prover, rows: Vector, limits: Constraints) -> Told:
    """Records of shape (records, features) asked one by one."""
    told, effort = Told(), Effort()
    for x in rows:
        record, began = Record(explainer.schema, x), time.process_time()
        made = explainer.explain(record, constraints=limits)
        seconds, kind = time.process_time() - began, _kind(made)
        told.kinds[kind] += 1
        told.filled_in += _answered_filled_in(explainer, record, limits) if np.isnan(x).any() else kind == ANSWERED
        if kind == ANSWERED:
            told.answered.append(seconds)
            guess, _ = methods.answer("additive", explainer.checker, explainer.schema, record, explainer.goal, constraints=limits)
            told.guessed += guess is not None and bool(explainer.checker.p_target(guess[None])[0] >= explainer.target.threshold)
            if not np.isnan(x).any():
                told.changed.append(made.found[0].n_changed)
                told.fewest.append(prover.fewest(admissible(record, limits), explainer.goal, effort.record(), told.changed[-1]))
        elif kind != OPEN:
            told.eased.append(seconds)
    return told


def _answered_filled_in(explainer: Explainer, record: Record, limits: Constraints) -> bool:
    """Whether there is an answer if what is unknown were what the classifier fills in."""
    impute, explainer.impute = explainer.impute, None
    try:
        return bool(explainer.explain(record, constraints=limits, ease=False).found)
    finally:
        explainer.impute = impute


def _kind(made: Explanation) -> str:
    if made.found:
        return ANSWERED
    if made.easing is None:
        return OPEN
    first, proof = next(iter(made.easing.openings), None), made.easing.proof
    if first is not None:
        return ASKED if first.limits[0].kind in REQUEST else SCHEMA if len(first.limits) == 1 else TOGETHER
    return NOTHING if proof is None else FIXED if proof.scope == "all" else EVERY


def text(told: Told) -> str:
    """A line each."""
    lines = [f"{told.kinds.total():>6,}  asked", *(f"{told.kinds[name]:>6,}  {name}" for name in ORDER if told.kinds[name])]
    lines.append(f"{told.filled_in:>6,}  would be answered with unknown values as the classifier fills them in")
    if told.answered:
        lines.append(f"first try by a guess valid for {told.guessed} of {len(told.answered)} answered")
    if told.fewest:
        proven = summed(told.changed, told.fewest)
        fewest = f"the fewest possible {proven['mean']}, proven for {proven['proven']} of {proven['answers']}; {proven['more']} change more"
        lines.append(f"features changed {np.mean(told.changed):.2f}, {fewest}")
    without = len(told.eased)
    said = f"{without - told.kinds[NOTHING]:,} of {without:,} without an answer are told what would have to give, or that nothing helps"
    lines.append(said if without else "all have one")
    times = [("an answer", told.answered), ("what would have to give", told.eased)]
    lines += [f"{name}: {np.mean(took):.2f} seconds of processor time, {np.max(took):.2f} at most" for name, took in times if took]
    return "\n".join(lines)


def _prover(bundle: Bundle, explainer: Explainer, drawn: Parts) -> Prover:
    return Prover(explainer.checker, bundle.classifier_bytes(), drawn.train, bundle.manifest.target.index)


@click.command()
@click.argument("file", metavar="TABLE", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@model_option
@click.option("--limit", default=200, show_default=True, help="Ask about so many records at most, the first ones.")
@click.option("--drawn", is_flag=True, help="Draw them, the same ones each time, instead of the first.")
@click.option("--final", is_flag=True, help="The final part instead of the test part.")
@click.option("--max-changes", default=LOOP.max_changes, show_default=True, help="Features that an answer may change.")
def main(file: Path, model: str, limit: int, drawn: bool, final: bool, max_changes: int) -> None:
    """What people of TABLE are told for whom no answer keeps all limits."""
    try:
        bundle = opened(model)
        parts = parts_of(bundle, file)
        people = kept_back(bundle, parts) if final else parts.test
        with Explainer.load(bundle.folder) as explainer:
            rows = people.X[explainer.checker.p_target(people.X) < explainer.target.threshold]
            rows = sampled(rows, limit) if drawn else rows[:limit]
            click.echo(text(counted(explainer, _prover(bundle, explainer, parts), rows, Constraints(max_changes=max_changes))))
    except SenseCFError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
