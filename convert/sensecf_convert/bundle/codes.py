"""Gives the features of a finished bundle the codes that a schema states for them, and says which of their ends stand for all beyond.

Nothing is touched that the answer to a record depends on which the bundle took before: a coded end lets more records in.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from sensecf_edge.bundle.bundle import Bundle, write_manifest
from sensecf_edge.bundle.manifest import SCHEMA
from sensecf_edge.errors import SchemaError, SenseCFError
from sensecf_edge.schema.schema import Schema

from ..presentation.options import model_option, new_bundle_option
from ..table.fit_relations import read_schema
from ..work import write
from .pack import copied, free_or_own, pretty_json

KEYS = ("code", "ucum", "choice_codes", "cut", "unit", "bottom_coded", "top_coded")
"""Taken over from the schema. A unit is words for people."""


def coded(bundle: Bundle, stated: Schema) -> Schema:
    """The bundle's schema with the codes of another schema of the same features. Raises SchemaError."""
    if stated.names != bundle.schema.names:
        raise SchemaError(f"the schema's features are not those of {bundle.name}: {', '.join(stated.names[:6])}, …")
    features = (replace(f, **{key: getattr(stated[f.name], key) for key in KEYS}) for f in bundle.schema.features)
    return replace(bundle.schema, features=tuple(features))


def give(model: str | Path, stated: Schema, out: Path) -> Bundle:
    """The bundle with these codes, at `out`, which may be its own folder. Raises SchemaError, BundleError."""
    bundle = Bundle.open(model)
    with copied(bundle, out) as (folder, manifest):
        write(folder / SCHEMA, pretty_json(coded(bundle, stated).to_json()))
        write_manifest(folder, manifest)
    return Bundle.open(out)


@click.command()
@click.argument("schema", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@model_option
@new_bundle_option
def main(schema: Path, model: str, output: Path) -> None:
    """Give a bundle the codes that SCHEMA states for its features."""
    try:
        made = give(model, read_schema(schema)[0], free_or_own(output, Bundle.open(model)))
    except SenseCFError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{output}: {sum(bool(f.code) for f in made.schema.features)} features with codes; manifest {made.hash[:12]}", err=True)


if __name__ == "__main__":
    main()
