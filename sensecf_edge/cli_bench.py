"""The `bench` command. Everything heavy is imported inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import terminal
from .cli_jobs import MODEL_HELP, named


class Threads(click.ParamType):  # type: ignore[type-arg, unused-ignore]  # generic only in newer versions
    """`auto`, or a number from 1."""

    name = "auto|N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """0 for auto."""
        if value in ("auto", 0):
            return 0
        return int(click.IntRange(1, 1024).convert(value, param, ctx))


threads_option = click.option("--threads", type=Threads(), default="auto", help="Threads of the language model.")


@click.command()
@click.option("--model", help=MODEL_HELP)
@click.option("--generator", type=click.Path(path_type=Path, exists=True), metavar="GGUF", help="Measure the engine on another generator.")
@click.option("--seconds", type=click.FloatRange(0.01), default=5.0, help="Least time for each comparison.")
@click.option("--records", type=click.IntRange(1), default=1000, help="Records in one call.")
@threads_option
@click.option("--beside", type=click.Choice(["nice"]), help="Time another method on the same records; needs --table.")
@click.option("--table", type=click.Path(path_type=Path, exists=True), help="The table that the model was fitted on.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def bench(model: str | None, generator: Path | None, beside: str | None, table: Path | None, as_json: bool, **options: Any) -> int:
    """Measure MODEL beside llama.cpp alone, llama-cpp-python and an idle Python, as ratios of one run.

    `make bench` also builds llama.cpp's own bench and a model with a large vocabulary, and measures against those.
    """
    if (beside is None) != (table is None):
        raise click.UsageError("--beside and --table belong together")
    from . import bench as room

    plan = room.plan(named(model), options["seconds"], options["records"], options["threads"], generator)
    people, others = None, None
    if beside and table:
        with terminal.extra("convert"):
            from sensecf_convert.peer_bench import run

            people, others = run(plan.bundle, table, options["records"])
    lines = []
    for line in room.run(plan, people, others):
        lines.append(line)
        what, ours, theirs, ratio, goal = room.row(line)
        click.echo(f"{what:<38} {ours:>22}  {ratio:>7}  {goal:<16} {theirs}".rstrip(), err=as_json)
    if as_json:
        click.echo(terminal.json_text(room.to_json(plan, lines)))
    return 0
