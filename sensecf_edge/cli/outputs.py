"""What is made of an answer beside standard output: report, letter, audit log. Everything heavy is imported inside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ..errors import RecordError
from . import terminal

if TYPE_CHECKING:
    from ..answer.result import Explanation
    from ..audit.log import Log
    from ..bundle.bundle import Bundle
    from ..letter.telling import Teller
    from ..schema.schema import Schema


def _place(_context: click.Context, _option: click.Parameter, path: Path | None) -> Path | None:
    """A file that can be written, known before anything long begins."""
    if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
        raise click.BadParameter(f"{path} is a folder or lies in none; name a file in a folder that is there")
    return path


def audit(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--audit` and `--audit-values`."""
    for option in reversed([
        click.option(
            "--audit", type=click.Path(path_type=Path), metavar="FILE.jsonl", callback=_place,
            help="Add a line to an audit log: what was asked and shown, no value of the record. Off by default.",
        ),
        click.option("--audit-values", is_flag=True, help="Write the record and the answers' values to the audit log as well."),
    ]):  # fmt: skip
        command = option(command)
    return command


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--why`, `--report`, `--audit` and `--audit-values`."""
    command = audit(command)
    for option in reversed([
        click.option("--why", is_flag=True, help="Say as well what the prediction goes by, and what it rests on."),
        click.option(
            "--report", type=click.Path(path_type=Path), metavar="FILE.html", callback=_place,
            help="Write the answer as one page as well, with what it rests on, to print and to keep; a file there is replaced.",
        ),
    ]):  # fmt: skip
        command = option(command)
    return command


def letters(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--tell`, `--tell-as` and `--teller`; `told` does what they say."""
    for option in reversed([
        click.option("--tell", is_flag=True, help="Say the answer as a letter in plain words, in place of the tables."),
        click.option("--tell-as", type=click.Choice(["letter", "note"]), help="A letter to the person, or a note for the file; with --tell."
                     "  [default: letter]"),
        click.option("--teller", metavar="TEXT", help="Who words it: auto (smollm2 where it was fetched, else the template), template, "
                     "smollm2, FILE.gguf or raw:FILE.gguf; with --tell.  [default: auto]"),
    ]):  # fmt: skip
        command = option(command)
    return command


class Tell(NamedTuple):
    """What `letters` asks for: `kind` is letter or note, `teller` the text that names who words it."""

    kind: str
    teller: str

    @classmethod
    def of(cls, tell: bool, tell_as: str | None, teller: str | None) -> Tell | None:
        """None where no letter is asked for. Raises UsageError."""
        if not tell and (tell_as or teller):
            raise click.UsageError("--tell-as and --teller belong to --tell")
        return cls(tell_as or "letter", teller or "auto") if tell else None

    def opened(self) -> Teller:
        """Who words it. Raises ConstraintError, EngineError."""
        from ..letter.telling import Teller

        return Teller.of(self.teller, say=terminal.say)

    def told(self, explanation: Explanation, schema: Schema, teller: Teller) -> Explanation:
        """The explanation with its letter."""
        from ..letter.telling import tell

        return tell(explanation, schema, self.kind, teller, terminal.say)


def log_of(path: Path | None, values: bool) -> Log | None:
    """The audit log that was asked for, looked at before anything long begins. Raises AuditError."""
    if path is None:
        if values:
            raise click.UsageError("--audit-values belongs to --audit")
        return None
    from ..audit.log import Log

    return Log(path, values)


def keep(explanation: Explanation, bundle: Bundle, report: Path | None, log: Log | None) -> None:
    """Write what is kept, before the answer is shown: the audit log first."""
    if log:
        click.echo(f"audit: {log.answered(explanation)}", err=True)
    if report:
        write_report(report, explanation, bundle)


def write_report(path: Path, explanation: Explanation, bundle: Bundle) -> None:
    """The sheet as a file that its owner alone can read. Raises RecordError where it cannot be written."""
    from ..page.sheet import report_html
    from ..private_files import replace

    try:
        replace(path, report_html(explanation, bundle))
    except OSError as error:
        raise RecordError(f"cannot write {path}: {error.strerror}; name another place for the report") from error
