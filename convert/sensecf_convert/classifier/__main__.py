"""Compare classifiers on a table before a fit: `python -m sensecf_convert.classifier TABLE --target COLUMN …`.

The same split, seed and schema as `sensecf-edge fit`, so the figures are those its card would hold. Nothing is kept.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click

from sensecf_edge.errors import SenseCFError
from sensecf_edge.settings import LOOP

from ..progress import console
from ..table import fit_relations, leakage
from ..table.cohort import Cohort, cohort, read_table
from ..table.split import divided, final_people
from .kinds import KINDS
from .making import facts_line, make

COLUMNS = {
    "recipes_tried": "recipes", "auc_cv": "AUC, folds, the best of these", "auc": "AUC, unseen", "brier_cv": "Brier, folds",
    "brier": "Brier, unseen", "calibration_error": "calibration error, unseen", "parity": "parity, rows",
    "parity_lattice": "parity, lattice", "parity_ties": "ties", "graph_bytes": "bytes", "seconds": "CPU s",
}  # fmt: skip


@click.command()
@click.argument("table", type=click.Path(path_type=Path))
@click.option("--target", required=True, metavar="COLUMN", help="Column to predict.")
@click.option("--wanted", required=True, metavar="VALUE", help="Class to move people to.")
@click.option("--schema", "schema_file", required=True, type=click.Path(path_type=Path), help="Schema file.")
@click.option("--person", metavar="COLUMN", help="Column that names the person; people are never split.")
@click.option("--classifier", "choices", multiple=True, metavar="KIND|FILE", help="Repeatable.  [default: all kinds]")
@click.option("--allow", multiple=True, metavar="COLUMN", help="As of `sensecf-edge fit`. Repeatable.")
@click.option("--test-share", type=click.FloatRange(0.05, 0.9), default=0.3, show_default=True, help="Share of people kept unseen.")
@click.option("--final-share", type=click.FloatRange(0, 0.5), default=0.0, help="People left out, as `sensecf-edge fit` does.")
@click.option("--seed", type=int, default=LOOP.seed, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print every fact as JSON lines.")
def main(choices: tuple[str, ...], as_json: bool, **table: Any) -> None:
    """AUC, calibration, parity, size and time of classifiers on TABLE."""
    try:
        train, test = _parts(**table)
        facts = [_measured(choice, train, test, int(table["seed"]), as_json) for choice in choices or KINDS]
    except SenseCFError as error:
        raise click.ClickException(str(error)) from error
    if not as_json:
        click.echo(f"| | {' | '.join(COLUMNS.values())} |\n|{'---|' * (len(COLUMNS) + 1)}")
        for row in facts:
            click.echo(f"| {row['kind']} | {' | '.join(_cell(row.get(key)) for key in COLUMNS)} |")


def _parts(
    table: Path,
    target: str,
    wanted: str,
    schema_file: Path,
    person: str | None,
    allow: tuple[str, ...],
    test_share: float,
    final_share: float,
    seed: int,
) -> tuple[Cohort, Cohort]:
    from ..table.reference_ranges import with_references

    data = cohort(read_table(table), fit_relations.read_schema(schema_file)[0], target, wanted, person)
    for warning in leakage.refuse_leaks(data.take(~final_people(data, final_share, seed)), allow):
        console.print(f"note: {warning}")
    drawn = divided(data, test_share, final_share, seed)
    drawn = drawn.under(with_references(data.schema, drawn.train))
    return drawn.train, drawn.test


def _measured(choice: str, train: Cohort, test: Cohort, seed: int, as_json: bool) -> dict[str, Any]:
    began = time.process_time()
    made = make(choice, train, test, seed, lambda _: None)
    facts = {**made.facts, "seconds": round(time.process_time() - began, 1)}
    console.print(facts_line(facts))
    if as_json:
        click.echo(json.dumps(facts))
    return facts


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.1e}" if 0 < value < 1e-3 else f"{value:.3f}" if value < 1 else f"{value:.1f}"


if __name__ == "__main__":
    main(prog_name="python -m sensecf_convert.classifier")
