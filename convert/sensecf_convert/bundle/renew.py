"""Gives a bundle a density fitted anew, and touches neither its classifier nor its generator.

For bundles of format 1, whose density filled unknown values in and took choices for numbers. Figures of realism that the
bundle's manifest and card hold were measured with the earlier density: measure them again (`sensecf-edge evaluate`).
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import click

from sensecf_edge.bundle.bundle import Bundle, write_manifest
from sensecf_edge.bundle.manifest import DENSITY, MANIFEST, POPULATION, REALISM, REFERENCE
from sensecf_edge.errors import SenseCFError
from sensecf_edge.judge.density import Density

from ..density import fitting
from ..table.split import parts
from ..work import write
from .pack import pretty_json


def renew(table: Path, model: str | Path, out: Path) -> Bundle:
    """A copy of the bundle in `out` with a density of the training people of `table`, which is the one it was fitted on.

    Raises TableError for another table, BundleError.
    """
    bundle = Bundle.open(model)
    train, _ = parts(bundle, table)
    seed = bundle.manifest.seed or 0
    made = fitting.fit(train, seed)
    everybody = fitting.population(train, Density.from_json(made, bundle.schema), seed)
    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for name in {*bundle.manifest.files} - {REALISM}:
        shutil.copyfile(bundle.folder / name, part / name)
    write(part / DENSITY, fitting.packed(made))
    write(part / POPULATION, fitting.packed(everybody))
    reference = json.loads((part / REFERENCE).read_text(encoding="utf-8"))
    reference.pop("realism_quantiles", None)
    write(part / REFERENCE, pretty_json(reference))
    manifest = json.loads((bundle.folder / MANIFEST).read_text(encoding="utf-8"))
    del manifest["format"]
    write_manifest(part, manifest)
    Bundle.open(part)
    part.rename(out)
    return Bundle.open(out)


@click.command()
@click.argument("table", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--model", required=True, help="Shipped bundle by name, or a bundle's folder.")
@click.option("-o", "--output", type=click.Path(path_type=Path, exists=False), required=True, help="Folder of the new bundle.")
def main(table: Path, model: str, output: Path) -> None:
    """Copy a bundle with a density fitted anew on TABLE, the one that the bundle was fitted on."""
    if output.exists():
        raise click.ClickException(f"{output} is there already; name another folder")
    try:
        renew(table, model, output)
    except SenseCFError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{output}: measure its figures again with `sensecf-edge evaluate`", err=True)


if __name__ == "__main__":
    main()
