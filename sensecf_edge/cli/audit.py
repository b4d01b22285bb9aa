"""`audit`: look an audit log through, and note what came of an answer."""

from __future__ import annotations

from pathlib import Path

import click

from . import terminal


@click.group()
def audit() -> None:
    """The log that `explain --audit` and `serve --audit` write."""


@audit.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--anchor", metavar="HASH", help="A hash that was told earlier: finds lines that were cut off the end, or all written anew.")
def verify(file: Path, anchor: str | None) -> int:
    """Say which lines of FILE were altered, removed, put in or moved. Exit code 1 where one was."""
    from ..audit.chain import verify as looked_through

    found = looked_through(file, anchor)
    for line, fault in found.faults:
        click.echo(f"FAIL  line {line}: {terminal.one_line(fault)}")
    if found.faults:
        return 1
    click.echo(f"ok    {found.lines} lines; anchor {found.last}")
    if anchor is None:
        click.echo("without --anchor, lines cut off the end and a file written anew are not found: keep this anchor elsewhere", err=True)
    return 0


@audit.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--of", "answer", metavar="HASH", required=True, help="The answer's line, by its hash, or by the first letters of it.")
@click.option("--accepted/--not-followed", required=True, help="What came of it.")
@click.option("--option", type=click.IntRange(1, 100), help="Which of several answers.")
@click.option("--reason", default="", help="Why, in one sentence; name nobody.")
def note(file: Path, answer: str, accepted: bool, option: int | None, reason: str) -> int:
    """Note in FILE whether an answer was followed, and why."""
    from ..audit.chain import answers
    from ..audit.log import Log

    named = [one for one in answers(file) if one[0].startswith(answer)] if answer else []
    if len(named) != 1:
        raise click.UsageError(f"{len(named)} answers in {file} have a hash that begins with {answer!r}; name one")
    key, options = named[0]
    if option is not None and option > options:
        raise click.UsageError(f"--option {option}: this answer showed {options}")
    click.echo(Log(file).noted(key, accepted, reason, option))
    return 0
