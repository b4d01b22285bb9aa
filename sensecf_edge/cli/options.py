"""Options that several commands share. Everything heavy is imported inside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..settings import LOOP
from . import terminal

if TYPE_CHECKING:
    from ..generators.choice import Choice
    from ..space.constraints import Constraints


MODEL_HELP = "A shipped model's name, or a bundle's folder."
QUANTIZED = ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0")
"""llama.cpp's types that `fit` ships and `export` makes and measures."""


def model_or_usage_error(model: str | None) -> str:
    """The model that was asked for; without one, a usage error that lists the shipped ones."""
    if model:
        return model
    from ..bundle.bundle import Bundle

    names = [name for name, _ in Bundle.available()]
    raise click.UsageError(f"say which model: --model {names[0] if names else 'PATH'} (shipped: {', '.join(names) or 'none'})")


def _encoded(context: click.Context, option: click.Parameter, name: str | None) -> None:
    """Every table of this command is read so."""
    from ..table.opening import ENCODING

    ENCODING.set(name or "")


encoding = click.option("--encoding", metavar="NAME", expose_value=False, callback=_encoded,
                        help="Encoding of a CSV that is not UTF-8: latin-1, cp1252, …")  # fmt: skip


def _required(context: click.Context, option: click.Parameter, place: Path | None) -> None:
    """Every bundle of this command, and of no other in this process, has to be signed with one of these keys."""
    from ..bundle.required import REQUIRED

    if place is not None:
        REQUIRED.keys = place
        context.call_on_close(lambda: setattr(REQUIRED, "keys", None))


require_signed = click.option("--require-signed", metavar="KEYS", type=click.Path(path_type=Path), expose_value=False, callback=_required,
                              help="Open only a model that one of these public keys signed: a PEM file, or a folder of them.")  # fmt: skip


BOUND_HELP = (
    "Range that F must lie in; a record outside it is moved in, or refused where it cannot be; an unknown F is left as it is. Repeatable."
)


base_rate_option = click.option(
    "--base-rate", metavar="SHARE", callback=lambda _context, _option, text: terminal.base_rate(text),
    help="Share of people with the unwanted class where this is used, 0.14 or 14%: what risks are told at.  "
         "[default: the schema's, else that among the training rows]",
)  # fmt: skip
"""Risks are told at a base rate; the search, which works on scores, does not change with it."""


TYPICAL_HELP = "The answer nearest to people of the wanted class within all limits, rather than the smallest change."


def request(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say what is asked of each record."""
    for option in reversed([
        click.option("--model", help=MODEL_HELP),
        require_signed,
        click.option("-n", "answers", type=click.IntRange(1, 100), default=LOOP.answers, help="Answers wanted per record."),
        click.option("--freeze", multiple=True, metavar="F", help="Feature that must not change. Repeatable."),
        click.option("--bound", multiple=True, metavar="F=LO:HI", help=BOUND_HELP),
        base_rate_option,
        click.option("--cost", multiple=True, metavar="F=W", help="How hard a change of a feature is; 1 is ordinary. Repeatable."),
        click.option("--max-changes", type=int, default=LOOP.max_changes, help="Most features to change."),
        click.option("--typical", is_flag=True, help=TYPICAL_HELP),
        click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=LOOP.seed, help="Same seed, same answers."),
    ]):  # fmt: skip
        command = option(command)
    return command


def constraints_of(options: Mapping[str, Any]) -> Constraints:
    """What the options of a request say."""
    from ..space.constraints import Constraints

    limits = terminal.bounds(options["bound"])
    return Constraints(frozenset(options["freeze"]), limits, options["max_changes"], terminal.costs(options["cost"]))


class Threads(click.ParamType):  # type: ignore[type-arg, unused-ignore]  # generic only in newer versions
    """`auto`, or a number from 1."""

    name = "auto|N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """0 for auto."""
        if value in ("auto", 0):
            return 0
        return int(click.IntRange(1, 1024).convert(value, param, ctx))


threads_option = click.option("--threads", type=Threads(), default="auto", help="Threads of the language model.")


def generators(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which generator proposes; `choice_of` understands them."""
    for option in reversed([
        click.option("--generator", default="bundle", metavar="TEXT",
                     help="Who proposes: bundle, none (search alone), smollm2, FILE.gguf, raw:FILE.gguf (no chat template) or "
                          "openai:URL#MODEL."),
        click.option("--shots", type=click.IntRange(0, 10), default=0, metavar="K",
                     help="Show another generator K made-up people with their answers."),
        click.option("--hints", is_flag=True, help="Tell another generator what single changes alone would give."),
        click.option("--allow-host", multiple=True, metavar="HOST",
                     help="Let records go to this other machine, with openai:. Repeatable."),
    ]):  # fmt: skip
        command = option(command)
    return command


def choice_of(options: Mapping[str, Any]) -> Choice:
    """What the options of `generators` say."""
    from ..generators.choice import Choice

    return Choice.parse(options["generator"], options["shots"], options["hints"], tuple(options["allow_host"]))
