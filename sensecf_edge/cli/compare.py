"""Commands that hold other packages against ours on a table's unseen people. Their work is done by `sensecf_convert.compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..settings import LOOP
from . import terminal
from .options import MODEL_HELP, choice_of, encoding, generators, model_or_usage_error

NAMES = (
    "ours", "ours-first-try", "ours-without-llm", "ours-without-llm-rows", "ours-without-llm-time", "additive", "chance",
    "search", "teacher",
    "ours-distance-exact", "ours-distance", "ours-distance-0.25", "ours-distance-1", "ours-nearest", "ours-realism-0", "ours-realism-5",
    "ours-realism-12", "ours-typical", "ours-typical-people",
    "dice-random", "dice-genetic", "dice-kdtree", "cfnow-greedy", "cfnow-random", "nice-sparsity", "nice-proximity", "nice-plausibility",
    "treecf", "treecf-exact", "oceanpy-fewest", "oceanpy-nearest",
    "dice-random-pinned", "dice-genetic-pinned", "dice-kdtree-pinned", "cfnow-greedy-pinned", "cfnow-random-pinned",
    "nice-sparsity-pinned", "nice-proximity-pinned", "nice-plausibility-pinned", "treecf-pinned",
)  # fmt: skip


@click.command()
@click.argument("table", type=click.Path(path_type=Path))
@encoding
@click.option("--model", help=MODEL_HELP)
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), metavar="OUTDIR", help="Folder for results; made if need be.")
@click.option("--methods", type=click.Choice(NAMES), multiple=True, help="Only this one. Repeatable.  [default: all]")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Ask about N records at most, drawn by chance.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=LOOP.seed, help="Of the draw, and of methods that take one.")
@click.option("--seconds", type=click.FloatRange(0.1), default=5.0, help="Limit on one record, processor time.")
@click.option("--minutes", type=click.FloatRange(0.1), default=30.0, help="Limit on one method, by the clock.")
@click.option("--max-changes", type=click.IntRange(1), default=LOOP.max_changes, help="Most features for ours; packages know no limit.")
@click.option("--shift", is_flag=True, help="Show packages that cannot be asked for a probability a classifier whose 0.5 is the goal.")
@click.option("--final", is_flag=True, help="People of the final part (`fit --final-share`) instead of the test part.")
@generators
@click.option("--generators", "who", is_flag=True, help="Ask who proposes instead: a general language model (SmolLM2, or --generator) with "
              "examples and hints, the bundle's own, and ways that need none; --methods adds packages.")  # fmt: skip
@click.option("--fewest", is_flag=True, help="Prove as well how few features are enough, or that none is; 15 minutes at most.")
def compare(table: Path, model: str | None, out: Path, methods: tuple[str, ...], limit: int | None, seed: int, seconds: float,
            minutes: float, max_changes: int, shift: bool, final: bool, who: bool, fewest: bool, **generator: Any) -> int:  # fmt: skip
    """Ask other packages for counterfactuals of TABLE's unseen people, and hold MODEL against them.

    Each method runs in a process of its own; packages get environments of their own, made on first use (that needs a network).
    What cannot be installed or run is left out, with its reason. Run again to go on: finished methods are kept.
    oceanpy needs Python 3.12 or newer; where that is not on the path, SENSECF_PYTHON_OCEANPY names it.

    OUTDIR holds people's data afterwards: results.csv (a row per record and method), results.json, report.html and the
    answers. Keep it where the table is kept.
    """
    with terminal.extra("compare"):
        from sensecf_convert.compare.command import compare as run
        from sensecf_convert.compare.question import Options

        options = Options(limit, seed, seconds, minutes, shift, max_changes, final, choice_of(generator))
        if who:
            from sensecf_convert.compare.generators import compare_generators

            compare_generators(table, model_or_usage_error(model), methods, options, out)
        else:
            run(table, model_or_usage_error(model), methods, options, out, fewest)
    return 0


@click.command("compare-pool")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="OUTDIR...")
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Folder for the pooled results.")
def pool(folders: tuple[Path, ...], out: Path) -> int:
    """Pool what several runs of `compare` found: one table of figures and one page over all their records.

    DIR holds people's data afterwards, as the folders do.
    """
    with terminal.extra("compare"):
        from sensecf_convert.compare.command import pool as run

        run(folders, out)
    return 0
