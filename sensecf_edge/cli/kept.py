"""What is kept of an answer beside standard output: the report, the audit log. Everything heavy is imported inside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import RecordError

if TYPE_CHECKING:
    from ..answer.result import Explanation
    from ..audit.log import Log
    from ..bundle.bundle import Bundle


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
