"""Commands that make training rows and say what they are worth. Their work is done by `sensecf_convert.augment`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..settings import LOOP
from . import terminal
from .build import KINDS
from .options import encoding

NONE_MADE, FEWER_MADE = 3, 4
EFFORTS = ("short", "try")
SCENARIOS = ("A", "B", "C")
METHODS = ("none", "class-weights", "smote", "dice", "nice", "ours", "directions", "unlabelled", "elsewhere", "taught")


class _Augment(click.Group):
    """A group whose first word may be a table: `augment TABLE` is `augment rows TABLE`."""

    def spelled_out(self, args: list[str]) -> list[str]:
        """The words with the command that they leave out."""
        plain = not args or args[0] in self.commands or args[0] in ("-h", "--help")
        return args if plain else ["rows", *args]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, self.spelled_out(args))


@click.group(cls=_Augment, options_metavar="", subcommand_metavar="TABLE|study|pool ...")
def augment() -> None:
    """Make counterfactual training rows of the class that TABLE is short of; or study what such rows are worth.

    \b
    sensecf-edge augment TABLE --target COLUMN -o ROWS.csv    see `augment rows --help`
    sensecf-edge augment study TABLE ...                      the label-scarcity study
    sensecf-edge augment pool OUTDIR... -o DIR                several studies as one
    """


@augment.command(short_help="Make rows (what `augment TABLE` does).")
@click.argument("table", type=click.Path(path_type=Path))
@encoding
@click.option("--target", required=True, metavar="COLUMN", help="Column of the class.")
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), metavar="OUT", help="Rows to write: .csv or .parquet.")
@click.option("--schema", "schema_file", type=click.Path(path_type=Path), help="Schema file.  [default: drafted from TABLE]")
@click.option("--person", metavar="COLUMN", help="Column that names the person a row belongs to.")
@click.option("--make", "made", metavar="VALUE", help="Class to make rows of.  [default: the one with fewer rows]")
@click.option("--ratio", type=click.FloatRange(0, min_open=True), default=1.0, help="Rows of that class for one of the other, in the end.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=LOOP.seed, help="Same seed, same rows.")
@click.option("--checker", type=click.Choice(KINDS), default=KINDS[0], help="The classifier that judges the rows.")
@click.option("--positive", metavar="VALUE", help="Class that the trial's F1 is about.  [default: the one made]")
@click.option("--trial/--no-trial", default=True, help="Whether to say what rows are worth, by making them anew in folds of people.")
@click.option("--effort", type=click.Choice(EFFORTS), default="short", hidden=True)
@click.option("--work", type=click.Path(path_type=Path), metavar="DIR", help="Where it resumes.  [default: augment-work/OUT]")
@click.option("--allow", multiple=True, metavar="COLUMN", help="Use a column that looks like a leak or an id. Repeatable.")
@click.option("--append", is_flag=True, help="Write the real rows too, before the made ones.")
@click.option("--force", is_flag=True, help="Replace OUT.")
def rows(**options: Any) -> int:
    """Make counterfactual rows of the class that TABLE is short of.

    Everything is trained on TABLE alone. Rows keep TABLE's columns; augmented_source, _method, _p, _realism and _seed say where each
    came from. A row that copies a real person is refused. OUT and the work folder hold people's data. Exit code 4: fewer rows than
    asked for; 3: none.
    """
    with terminal.extra("augment"):
        from sensecf_convert.augment.command import augment as run

        made = run(**options)
    return 0 if made.rows == made.asked else FEWER_MADE if made.rows else NONE_MADE


@augment.command()
@click.argument("table", type=click.Path(path_type=Path))
@encoding
@click.option("--target", required=True, metavar="COLUMN", help="Column of the class.")
@click.option("--positive", required=True, metavar="VALUE", help="The class that F1 is about (the condition).")
@click.option("--schema", "schema_file", required=True, type=click.Path(path_type=Path), help="Schema file; see `schema draft`.")
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), metavar="OUTDIR", help="Folder for cells and report.")
@click.option("--person", metavar="COLUMN", help="Column that names the person; people are never split.")
@click.option("--seeds", type=click.IntRange(1, 100), metavar="N", help="Repetitions with other splits.  [default: 2]")
@click.option("--reduction", "reductions", type=click.IntRange(1, 95), multiple=True,
              help="Per cent of labels taken away. Repeatable.  [default: 50 and 70]")  # fmt: skip
@click.option("--scenario", "scenarios", type=click.Choice(SCENARIOS), multiple=True,
              help="Positive class reduced (A), negative (B), both (C). Repeatable.")  # fmt: skip
@click.option("--classifier", "classifiers", type=click.Choice(KINDS), multiple=True, help="Only this one. Repeatable.")
@click.option("--method", "methods", type=click.Choice(METHODS), multiple=True,
              help="Only this one (and none). Repeatable.  [default: none, class-weights, smote, ours]")  # fmt: skip
@click.option("--elsewhere", type=click.Path(dir_okay=False), metavar="TABLE", help="Another table with the same columns, for two methods.")
@click.option("--checker", type=click.Choice(KINDS), default=KINDS[0], help="The classifier that judges counterfactuals.")
@click.option("--people", "sample", type=click.IntRange(50), metavar="N", help="A draw of N people instead of all of TABLE.")
@click.option("--jobs", type=click.IntRange(1, 256), metavar="N", help="Processes.  [default: one a core]")
@click.option("--effort", type=click.Choice(EFFORTS), default="short", hidden=True)
def study(**options: Any) -> int:
    """Take labels away from TABLE, make them good by each method, and see how well classifiers then do on untouched people.

    Every method stands there as it comes, and with its line moved. Writes results.csv, results.json and report.html into OUTDIR, which
    holds people's data. Interrupted, run it again: finished cells are kept, and methods may join later.
    """
    with terminal.extra("augment"):
        from sensecf_convert.augment.study.command import run

        run(**options)
    return 0


@augment.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="OUTDIR...")
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Folder for the pooled results.")
def pool(folders: tuple[Path, ...], out: Path) -> int:
    """Pool several studies: one report over all their tables."""
    with terminal.extra("augment"):
        from sensecf_convert.augment.study.command import pool as run

        run(folders, out)
    return 0
