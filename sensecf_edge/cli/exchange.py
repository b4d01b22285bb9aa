"""`explain --fhir` and `--format fhir`: a record from a FHIR Bundle, an answer as a RiskAssessment. Imports what is heavy inside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from ..errors import RecordError
from ..settings import FHIR
from . import terminal

if TYPE_CHECKING:
    from ..answer.result import Explanation
    from ..fhir.reading import Reading
    from ..schema.schema import Schema

FORMATS = ("text", "json", "fhir")


def of_a_bundle(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of `explain --fhir`."""
    for option in reversed([
        click.option("--fhir", "bundle", metavar="FILE",
                     help="Explain the person of this FHIR R4 Bundle; RECORD, if given, says what it lacks and goes before it."),
        click.option("--within", default=FHIR.within, metavar="TIME", help="With --fhir: how old a value may be: 12h, 30d, 8w, 1y."),
        click.option("--at", "moment", metavar="DATE", help="With --fhir: as it was on this day, 2026-05-01.  [default: now]"),
    ]):  # fmt: skip
        command = option(command)
    return command


def shape(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--json` and `--format`."""
    command = click.option("--format", "shape", type=click.Choice(FORMATS), default="text",
                           help="What is printed; fhir is a RiskAssessment of FHIR R4.")(command)  # fmt: skip
    return click.option("--json", "as_json", is_flag=True, help="Print the whole Explanation as JSON: --format json.")(command)


def record(schema: Schema, bundle: str, beside: Mapping[str, Any] | None, within: str, moment: str | None) -> Reading:
    """The record of a Bundle; what it was read from goes to standard error. `beside` goes before it. Raises RecordError."""
    from dataclasses import replace
    from datetime import datetime, timedelta, timezone

    from ..fhir import moments
    from ..fhir.reading import lacking, read

    window, asof = moments.within(within), moments.span(moment, "--at") if moment else None
    if asof and asof.start > datetime.now(timezone.utc) + moments.GRACE:
        raise RecordError(f"--at {asof.day} lies in the future; name a day that has been")
    data = terminal.read_record(bundle, FHIR.max_bytes)
    reading = read(schema, data, window, asof.end - timedelta(seconds=1) if asof else None, beside=beside)
    own = tuple(source for source in reading.sources if source.feature not in (beside or {}))
    for line in replace(reading, sources=own).lines(values=False):
        terminal.say(line)
    values = {**reading.values, **(beside or {})}
    lacked = [f for f in lacking(schema, reading) if values.get(f.name) is None]
    missing = [f"{f.name} ({f'{f.title}: ' if f.title != f.name else ''}{f.allowed()})" for f in lacked]
    if missing:
        write = "write them into a file and give it beside the Bundle: sensecf-edge explain rest.json --fhir ..."
        raise RecordError(f"the Bundle says nothing of the last {moments.told(within)} on {'; '.join(missing)}; {write}")
    return replace(reading, values=values, sources=own)


def printed(explanation: Explanation, schema: Schema, reading: Reading | None) -> str:
    """The RiskAssessment as text."""
    from datetime import datetime, timezone

    from ..fhir.writing import risk_assessment

    return terminal.json_text(risk_assessment(explanation, schema, datetime.now(timezone.utc), reading))
