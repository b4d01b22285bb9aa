"""Who gets an answer, and what the others are told: what would have to give, or the proof that nothing helps.

    python -m sensecf_convert.evaluate.easing TABLE --model NAME [--limit N] [--final]

Over unseen people of the unwanted class as they came, what is unknown of them left unknown.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import click
import numpy as np

from sensecf_edge.errors import SenseCFError
from sensecf_edge.explain import Explainer
from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.record import Record
from sensecf_edge.space.easing import REQUEST
from sensecf_edge.trial import opened

from ..table.split import kept_back, parts_of

ANSWERED, OPEN = "answered within all limits", "it depends on what is unknown"
ASKED, SCHEMA, TOGETHER = "a limit of the request", "one limit of the schema", "several limits of the schema together"
FIXED, EVERY = "nothing: the fixed findings decide, proven", "nothing: no limit that could give helps, proven"
NOTHING = "nothing found, no proof"
ORDER = (ANSWERED, OPEN, ASKED, SCHEMA, TOGETHER, FIXED, EVERY, NOTHING)


def counted(explainer: Explainer, rows: Vector) -> tuple[Counter[str], list[float]]:
    """How many of the records, shape (records, features), are told what; and the seconds of processor time of those without an answer."""
    told, seconds = Counter[str](), list[float]()
    for x in rows:
        began = time.process_time()
        made = explainer.explain(Record(explainer.schema, x))
        if made.found:
            told[ANSWERED] += 1
            continue
        if made.easing is None:
            told[OPEN] += 1
            continue
        seconds.append(time.process_time() - began)
        first, proof = next(iter(made.easing.openings), None), made.easing.proof
        if first is not None:
            told[ASKED if first.limits[0].kind in REQUEST else SCHEMA if len(first.limits) == 1 else TOGETHER] += 1
        else:
            told[NOTHING if proof is None else FIXED if proof.scope == "all" else EVERY] += 1
    return told, seconds


def text(told: Counter[str], seconds: list[float]) -> str:
    """A line each."""
    whole = sum(told.values())
    lines = [f"{told[name]:>6,}  {name}" for name in ORDER if told[name]]
    without = sum(count for name, count in told.items() if name not in (ANSWERED, OPEN))
    helped = without - told[NOTHING]
    told_what = f"{helped:,} of {without:,} without an answer are told what would have to give, or that nothing helps"
    share = told_what if without else "all have one"
    took = f"; seconds each: {np.mean(seconds):.2f} on average, {np.max(seconds):.2f} at most" if seconds else ""
    return "\n".join([f"{whole:>6,}  asked", *lines, f"{share}{took}"])


@click.command()
@click.argument("file", metavar="TABLE", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--model", required=True, help="Shipped bundle by name, or a bundle's folder.")
@click.option("--limit", default=200, show_default=True, help="Ask about so many records at most, the first ones.")
@click.option("--final", is_flag=True, help="The final part instead of the test part.")
def main(file: Path, model: str, limit: int, final: bool) -> None:
    """What people of TABLE are told for whom no answer keeps all limits."""
    try:
        bundle = opened(model)
        drawn = parts_of(bundle, file)
        people = kept_back(bundle, drawn) if final else drawn.test
        with Explainer.load(bundle.folder) as explainer:
            rows = people.X[explainer.checker.p_target(people.X) < explainer.target.threshold][:limit]
            click.echo(text(*counted(explainer, rows)))
    except SenseCFError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
