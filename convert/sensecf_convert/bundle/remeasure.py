"""Measures a finished bundle again, as its fit did: the figures of the last part of people and what it remembers of its training people.

For a bundle whose figures were measured by earlier code, and for one whose relations are stated more narrowly than when it was fitted
(`--relations`): classifier, generator and density stay, so the generator has not been taught what is new in them. What needs the
fit's work folder, the pairs that the generator learnt, stands as the fit found it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from sensecf_edge.bundle.bundle import Bundle, write_manifest
from sensecf_edge.errors import SenseCFError, TableError
from sensecf_edge.schema.schema import Schema
from sensecf_edge.trial import opened

from ..evaluate.measure import measure_bundle
from ..memorisation import checks
from ..plan import About
from ..presentation.options import model_option, new_bundle_option
from ..progress import bar
from ..table.fit_relations import read_schema
from ..table.split import parts_of
from ..work import write
from .pack import free_or_own, pretty_json
from .revised import revised, told

OF_PAIRS = ("pairs", "exact_factuals")
"""What a check of memorisation says of the pairs that a generator learnt, which lie in the fit's work folder."""


def remeasure(table: Path, model: str | Path, about: About, out: Path, relations: Path | None = None) -> Bundle:
    """The bundle measured again, at `out`, which may be its own folder. `relations`: a schema file whose relations take the place of
    the bundle's. Raises TableError for another table or open relations, SchemaError, BundleError."""
    bundle = opened(model)
    drawn = parts_of(bundle, table)
    schema = bundle.schema if relations is None else _with_relations(bundle.schema, relations)

    def change(folder: Path, manifest: dict[str, Any]) -> None:
        write(folder / "schema.json", pretty_json(schema.to_json()))
        write_manifest(folder, manifest)
        made, parts = Bundle.open(folder), drawn.under(schema)
        name, people = parts.last
        with bar("evaluate") as show:
            figures = replace(measure_bundle(made, parts.train, people, None, show), part=name)
        remembered = checks.check(made, parts.train, parts.untrained)
        figures.memorisation.update({**remembered, **_kept(manifest["metrics"].get("memorisation", {}))})
        told(manifest, made, parts, figures)

    return revised(bundle, about, out, ("figures", *(() if schema == bundle.schema else ("relations",))), change)


def _with_relations(schema: Schema, path: Path) -> Schema:
    stated, left = read_schema(path)
    if left:
        raise TableError(f"{path} leaves {len(left)} relations to be fitted; state their numbers, as the bundle's schema.json does")
    return Schema.from_json({**schema.to_json(), "relations": [relation.to_json() for relation in stated.relations]})


def _kept(found: Mapping[str, Any]) -> dict[str, Any]:
    """What the fit found of its pairs. An interval that an earlier version drew over pairs goes: they are mixed of several people."""
    out = {name: found[name] for name in OF_PAIRS if name in found}
    if "auc" in out.get("pairs", {}):
        out["pairs"] = {**out["pairs"], "low": None, "high": None}
    return out


@click.command()
@click.argument("table", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@model_option
@click.option("--about", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="The description that the fit had.")
@click.option("--relations", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="A schema whose relations take the place of the bundle's.")  # fmt: skip
@new_bundle_option
def main(table: Path, model: str, about: Path | None, relations: Path | None, output: Path) -> None:
    """Measure a bundle that was fitted on TABLE again."""
    try:
        made = remeasure(table, model, About.load(about), free_or_own(output, Bundle.open(model)), relations)
    except SenseCFError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{output}: measured again; manifest {made.hash[:12]}", err=True)


if __name__ == "__main__":
    main()
