"""Adds to a finished bundle what a later version measures, and touches neither classifier nor generator nor density.

From the table that the bundle was fitted on, parted as its fit parted it: how ordinary the training people are among all of them
(population.json), and how well the classifier does on groups of final people, where the fit kept some, else of test people. The card
is written anew, so it needs the description that the fit had (`--about`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.bundle.manifest import POPULATION
from sensecf_edge.errors import SenseCFError, TableError
from sensecf_edge.trial import opened

from ..density import fitting
from ..evaluate import groups
from ..plan import About
from ..presentation.options import model_option, new_bundle_option
from ..table.split import parts_of
from ..work import write
from .pack import free_or_own
from .revised import revised


def add(table: Path, model: str | Path, about: About, out: Path) -> Bundle:
    """The bundle with what is added, at `out`, which may be its own folder. Raises TableError for another table, BundleError."""
    bundle = opened(model)
    density = bundle.density
    if density is None:
        raise TableError(f"{bundle.name} has no density.json; make one first: python -m sensecf_convert.bundle.refit_density")
    drawn = parts_of(bundle, table)

    def change(folder: Path, manifest: dict[str, Any]) -> None:
        write(folder / POPULATION, fitting.packed(fitting.population(drawn.train, density, bundle.manifest.seed or 0)))
        manifest["groups"] = groups.measured(bundle, drawn.train, drawn.last[1])

    return revised(bundle, about, out, ("population", "groups"), change)


@click.command()
@click.argument("table", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@model_option
@click.option("--about", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="The description that the fit had.")
@new_bundle_option
def main(table: Path, model: str, about: Path | None, output: Path) -> None:
    """Add what later versions measure to a bundle that was fitted on TABLE."""
    try:
        made = add(table, model, About.load(about), free_or_own(output, Bundle.open(model)))
    except SenseCFError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{output}: {len(made.manifest.groups)} groups; manifest {made.hash[:12]}", err=True)


if __name__ == "__main__":
    main()
