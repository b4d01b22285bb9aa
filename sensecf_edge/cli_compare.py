"""Commands that hold other packages against ours on a table's unseen people. Their work is done by `sensecf_convert.compare`."""

from __future__ import annotations

from pathlib import Path

import click

from . import terminal
from .cli_jobs import MODEL_HELP, encoding, named
from .settings import LOOP

NAMES = (
    "ours", "ours-first-try", "ours-without-llm", "ours-without-llm-rows", "ours-without-llm-time", "search",
    "ours-distance-exact", "ours-distance", "ours-distance-0.25", "ours-distance-1", "ours-nearest", "ours-realism-0", "ours-realism-5",
    "ours-realism-12", "ours-typical",
    "dice-random", "dice-genetic", "dice-kdtree", "cfnow-greedy", "cfnow-random", "nice-sparsity", "nice-proximity", "nice-plausibility",
    "treecf", "treecf-exact",
)  # fmt: skip


@click.command()
@click.argument("table", type=click.Path(path_type=Path))
@encoding
@click.option("--model", help=MODEL_HELP)
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), metavar="OUTDIR", help="Folder for results; made if need be.")
@click.option("--methods", type=click.Choice(NAMES), multiple=True, help="Only this one. Repeatable.  [default: all]")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Ask about at most N records.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=LOOP.seed, help="Same seed, same answers, where a package has a seed.")
@click.option("--seconds", type=click.FloatRange(0.1), default=5.0, help="Limit on one record, processor time.")
@click.option("--minutes", type=click.FloatRange(0.1), default=30.0, help="Limit on one method, by the clock.")
@click.option("--max-changes", type=click.IntRange(1), default=LOOP.max_changes, help="Most features for ours; packages know no limit.")
@click.option("--shift", is_flag=True, help="Show packages that cannot be asked for a probability a classifier whose 0.5 is the goal.")
@click.option("--fewest", is_flag=True, help="Prove as well how few features an answer must change; 15 minutes at most.")
def compare(table: Path, model: str | None, out: Path, methods: tuple[str, ...], limit: int | None, seed: int, seconds: float,
            minutes: float, max_changes: int, shift: bool, fewest: bool) -> int:  # fmt: skip
    """Ask other packages for counterfactuals of TABLE's unseen people, and hold MODEL against them.

    Each method runs in a process of its own; packages get environments of their own, made on first use (that needs a network).
    What cannot be installed or run is left out, with its reason. Run again to go on: finished methods are kept.

    OUTDIR holds people's data afterwards: results.csv (a row per record and method), results.json, report.html and the
    answers. Keep it where the table is kept.
    """
    with terminal.extra("compare"):
        from sensecf_convert.compare.asked import Options
        from sensecf_convert.compare.command import compare as run

        run(table, named(model), methods, Options(limit, seed, seconds, minutes, shift, max_changes), out, fewest)
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
