"""`PYTHONPATH=tools python -m sensecf_bench --model NAME`: ratios of one run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sensecf_edge.cli import terminal
from sensecf_edge.cli.options import MODEL_HELP, model_or_usage_error, threads_option


@click.command()
@click.option("--model", help=MODEL_HELP)
@click.option("--generator", type=click.Path(path_type=Path, exists=True), metavar="GGUF", help="Measure the engine on another generator.")
@click.option("--seconds", type=click.FloatRange(0.01), default=5.0, help="Least time for each comparison.")
@click.option("--records", type=click.IntRange(1), default=1000, help="Records in one call.")
@threads_option
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(model: str | None, generator: Path | None, as_json: bool, **options: Any) -> int:
    """Measure MODEL beside llama.cpp alone, llama-cpp-python and an idle Python, as ratios of one run.

    `make bench` also builds llama.cpp's own bench and a model with a large vocabulary, and measures against those.
    """
    from . import comparisons

    plan = comparisons.plan(model_or_usage_error(model), options["seconds"], options["records"], options["threads"], generator)
    lines = []
    for line in comparisons.run(plan):
        lines.append(line)
        what, ours, theirs, ratio, goal = comparisons.row(line)
        click.echo(f"{what:<38} {ours:>22}  {ratio:>7}  {goal:<16} {theirs}".rstrip(), err=as_json)
    if as_json:
        click.echo(terminal.json_text(comparisons.to_json(plan, lines)))
    return 0


if __name__ == "__main__":
    main(prog_name="python -m sensecf_bench")
