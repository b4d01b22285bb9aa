"""A wish on the command line: told back before anything is answered. Everything heavy is imported inside."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from ..errors import ConstraintError
from . import terminal

if TYPE_CHECKING:
    from ..schema.schema import Schema
    from ..space.constraints import Constraints


def option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--wish` and `--yes`; `agreed` does what they say."""
    for made in reversed([
        click.option("--wish", metavar="TEXT",
                     help="What this person wishes, in English: kept, bounded or weighed. It is told back first."),
        click.option("--yes", is_flag=True, help="Go on with what was understood of the wish without being asked."),
    ]):  # fmt: skip
        command = made(command)
    return command


def agreed(wish: str | None, yes: bool, schema: Schema, values: Mapping[str, Any], asked: Constraints) -> Constraints:
    """What was asked for with what was understood of the wish, once that was agreed to.

    Raises ConstraintError where nobody can be asked or it is declined: then nothing is answered.
    """
    if wish is None:
        if yes:
            raise click.UsageError("--yes belongs to --wish")
        return asked
    from ..wish.reading import understand

    understood = understand(schema, wish)
    terminal.say("Understood of the wish:" if understood.rules else "Nothing of the wish was understood.")
    for sentence in understood.sentences(schema):
        terminal.say(f"  {sentence}")
    limits = understood.constraints(schema, values, asked)
    options = understood.options(schema, values)
    if not yes:
        again = f"run it again with --yes{f', or with {chr(32).join(options)}' if options else ', or without --wish'}"
        if not somebody():
            raise ConstraintError(f"nobody was asked whether the wish was understood, so nothing is answered; {again}")
        if not click.confirm("Go on so?", err=True):
            raise ConstraintError(f"nothing was answered; say the wish in other words, or {again}")
    return limits


def somebody() -> bool:
    """Whether anybody sits there who can be asked."""
    return sys.stdin is not None and sys.stdin.isatty()
