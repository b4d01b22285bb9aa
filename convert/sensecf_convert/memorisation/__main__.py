"""`python -m sensecf_convert.memorisation TABLE --model NAME`: what a bundle remembers of the people it was made of."""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np

from sensecf_edge.errors import SenseCFError
from sensecf_edge.trial import opened

from ..presentation.options import model_option
from ..table.split import parts_of
from .checks import MOST_PEOPLE, check
from .formatting import COVERS, markdown


@click.command()
@click.argument("table", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@model_option
@click.option(
    "--work", type=click.Path(path_type=Path, exists=True), help="Work folder of its fit: the pairs it learnt are asked about, too."
)
@click.option("--people", type=int, default=MOST_PEOPLE, show_default=True, help="People asked about on either side, at most.")
@click.option("--json", "as_json", is_flag=True, help="All figures as JSON.")
def main(table: Path, model: str, work: Path | None, people: int, as_json: bool) -> None:
    """What MODEL remembers of the people of TABLE, which it was fitted on, beside people it never saw."""
    try:
        bundle = opened(model)
        drawn = parts_of(bundle, table)
        pairs = dict(np.load(work / "pairs.npz")) if work else None
        figures = check(bundle, drawn.train, drawn.untrained, pairs, people)
    except (SenseCFError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(json.dumps(figures, indent=1) if as_json else f"{markdown(figures)}\n\n{COVERS}")


if __name__ == "__main__":
    main()
