"""Gives a bundle a density fitted anew, and touches neither its classifier nor its generator.

For bundles of format 1, whose density filled unknown values in and took choices for numbers. Figures of realism that the
bundle's manifest and card hold were measured with the earlier density: measure them again (`sensecf-edge evaluate`).
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from sensecf_edge.bundle.bundle import Bundle, write_manifest
from sensecf_edge.bundle.manifest import DENSITY, POPULATION, REALISM, REFERENCE
from sensecf_edge.errors import SenseCFError
from sensecf_edge.judge.density import Density

from ..density import fitting
from ..presentation.options import model_option, new_bundle_option
from ..table.split import parts
from ..work import write
from .pack import copied, free_or_own, pretty_json


def refit_density(table: Path, model: str | Path, out: Path) -> Bundle:
    """The bundle in `out`, which may be its own folder, with a density of the training people of `table`, the one it was fitted on.

    Raises TableError for another table, BundleError.
    """
    bundle = Bundle.open(model)
    train, _ = parts(bundle, table)
    seed = bundle.manifest.seed or 0
    made = fitting.fit(train, seed)
    everybody = fitting.population(train, Density.from_json(made, bundle.schema), seed)
    with copied(bundle, out) as (folder, manifest):
        (folder / REALISM).unlink(missing_ok=True)
        write(folder / DENSITY, fitting.packed(made))
        write(folder / POPULATION, fitting.packed(everybody))
        reference = json.loads((folder / REFERENCE).read_text(encoding="utf-8"))
        reference.pop("realism_quantiles", None)
        write(folder / REFERENCE, pretty_json(reference))
        del manifest["format"]
        write_manifest(folder, manifest)
    return Bundle.open(out)


@click.command()
@click.argument("table", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@model_option
@new_bundle_option
def main(table: Path, model: str, output: Path) -> None:
    """Copy a bundle with a density fitted anew on TABLE, the one that the bundle was fitted on."""
    try:
        refit_density(table, model, free_or_own(output, Bundle.open(model)))
    except SenseCFError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{output}: measure its figures again with `sensecf-edge evaluate`", err=True)


if __name__ == "__main__":
    main()
