"""`batch`: a table in, a table of answers out. Everything heavy is imported inside."""

from __future__ import annotations

from typing import Any

import click

from ..settings import BATCH
from . import terminal
from .options import choice_of, constraints_of, encoding, generators, model_or_usage_error, request

NOTHING_USABLE, NONE_FOUND = 2, 3


@click.command()
@click.argument("source", metavar="INPUT", required=False)
@click.option("-o", "--output", required=True, metavar="OUTPUT", help=".csv, .jsonl or .parquet; - for standard output.")
@request
@generators
@click.option("--id", "id_column", metavar="COLUMN", help="Column that names the records.  [default: the row number]")
@click.option("--drop", multiple=True, metavar="COLUMN", help="Column to pass over. Repeatable.")
@encoding
@click.option("--layout", type=click.Choice(["long", "wide", "json"]),
              help="A row per change, a row per answer, or whole Explanations.  [default: long; json for .jsonl]")  # fmt: skip
@click.option("--ease", is_flag=True,
              help="Say what would have to give where fewer answers than asked for are found. Takes several times as long.")  # fmt: skip
@click.option("--tell", is_flag=True, help="Add each record's answer as a letter to the person, by the template.")
@click.option("--tell-as", type=click.Choice(["letter", "note"]), help="A letter, or a note for the file.  [default: letter]")
@click.option("--rejects", metavar="FILE", help="CSV of the records that could not be used.  [default: OUTPUT.rejects.csv]")
@click.option("--workers", type=click.IntRange(1, 256), default=1, help="Processes, each with an engine of its own.")
@click.option("--ray", metavar="[ADDRESS]", is_flag=False, flag_value="", help="Run the workers on Ray: local, or a cluster's address.")
@click.option("--chunk", type=click.IntRange(1, 100_000), default=BATCH.chunk, help="Rows answered and written together.")
@click.option("--resume", is_flag=True, help="Go on where the same command was interrupted.")
@click.option("--force", is_flag=True, help="Replace OUTPUT, or start an interrupted job again.")
def batch(source: str | None, output: str, **options: Any) -> int:
    """Explain every record of INPUT, a table: CSV, JSON Lines, Parquet, or - for standard input.

    Results come in the order of the input. Interrupted in any way, the same command with --resume loses no row and
    doubles none. Exit code 2: no record could be used; 3: none was fine or found an answer.
    """
    if options["resume"] and options["force"]:
        raise click.UsageError("give --resume to go on or --force to start again, not both")
    if options["tell_as"] and not options["tell"]:
        raise click.UsageError("--tell-as belongs to --tell")
    if source is None:  # `--ray INPUT`: what stands behind --ray is the table, unless it looks like the address of a cluster
        source, options["ray"] = options["ray"], ""
        if not source or "://" in source or source.rpartition(":")[2].isdigit():
            raise click.UsageError("say which table: batch INPUT -o OUTPUT, or - for standard input")
    with terminal.extra("ray" if options["ray"] is not None else "batch"):
        from ..batch.job import Job, run
        from ..batch.records import OtherColumns
        from ..budget import Budget

        job = Job(
            source, output, model_or_usage_error(options["model"]), options["layout"], options["rejects"],
            columns=OtherColumns(options["id_column"], frozenset(options["drop"])),
            budget=Budget(options["answers"], seed=options["seed"], ease=options["ease"], typical=options["typical"]),
            constraints=constraints_of(options), generator=choice_of(options),
            tell=(options["tell_as"] or "letter") if options["tell"] else "",
            **{k: options[k] for k in ("base_rate", "workers", "chunk", "ray", "resume", "force")},
        )  # fmt: skip
        counts = run(job, terminal.say)
    if counts and not sum(counts[status] for status in ("found", "none", "already", "depends")):
        return NOTHING_USABLE
    return NONE_FOUND if counts and not counts["answered"] + counts["already"] else 0
