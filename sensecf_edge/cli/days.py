"""`days`: raw exports of sensors in, daily records out; and what `explain --from` shares with it. Everything heavy is imported inside."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import terminal
from .options import MODEL_HELP, encoding

if TYPE_CHECKING:
    from ..schema.schema import Schema
    from ..sensors.daily import Day, Rules
    from ..sensors.sources import ReadResult

NO_DAY = 2
ZONE_HELP = "Where the people live, an IANA name: Europe/London. Not needed where the files say it."


_READING = (
    ("--zone", ZONE_HELP, {"metavar": "ZONE"}),
    ("--source reader", "Read only this export.  [default: by content]", {"metavar": "NAME", "default": "", "show_default": False}),
    ("--prefer", "Device that goes before others. Repeatable.", {"multiple": True, "metavar": "DEVICE"}),
    ("--unit units", "Unit a file lacks: glucose=mmol/L. Repeatable.", {"multiple": True, "metavar": "KIND=UNIT"}),
    ("--dates", "Order of day and month, where no date tells it.", {"type": click.Choice(["DMY", "MDY"]), "default": None}),
    ("--floor floors", "Least coverage (0 to 1) at which a measure is known. Repeatable.", {"multiple": True, "metavar": "MEASURE=SHARE"}),
    ("--by-folder", "Every folder of a SOURCE is a person.", {"is_flag": True}),
)  # fmt: skip


def reading_options(command: Callable[..., Any], begin: str = "") -> Callable[..., Any]:
    """The options that say how exports are read and days are made; `begin` stands before the help of each."""
    for names, told, how in reversed(_READING):
        told = f"{begin}{told[0].lower()}{told[1:]}" if begin else told
        command = click.option(*names.split(), help=told, **how)(command)
    return command


@click.command()
@click.argument("sources", nargs=-1, metavar="SOURCE...")
@click.option("--model", help=MODEL_HELP + " Its features become the columns.  [default: every measure]")
@click.option("-o", "--output", required=True, metavar="OUTPUT", help="CSV to write; - for standard output.")
@reading_options
@click.option("--person", default="", metavar="NAME", help="Whose files these are.  [default: as the files say]")
@encoding
@click.option("--report", metavar="FILE", help="JSON of all that was left out, and why.  [default: OUTPUT.report.json]")
@click.option("--force", is_flag=True, help="Replace OUTPUT.")
def days(sources: tuple[str, ...], model: str | None, output: str, **options: Any) -> int:
    """Make daily records from raw exports of sensors: files or folders of one or more sources.

    One row for each person and day, with the coverage of each measure beside it; under its floor a measure is unknown. The table goes
    into batch and fit as it is; explain --from explains one of the days. All that was left out is said and written down. See
    docs/sensors.md for the exports and rules.
    """
    if not sources:
        raise click.UsageError("say what to read: days SOURCE... -o days.csv (a file or folder of an export)")
    target = None if output == "-" else Path(output)
    report = Path(options["report"]) if options["report"] else target and target.with_name(target.name + ".report.json")
    if target is not None and target.exists() and not options["force"]:
        raise click.UsageError(f"{output} exists; give another name, or --force to replace it")
    from ..sensors import records

    schema = _schema(model)
    records.columns(schema)
    found, made = _days(sources, options, options["person"], options["by_folder"])
    _write(target, made, schema)
    if report:
        _replace(report, json.dumps(_facts(found, made, schema), indent=2) + "\n")
    _tell(found, made, schema, output, model)
    return 0 if made else NO_DAY


def _schema(model: str | None) -> Schema | None:
    if model is None:
        return None
    from ..bundle.bundle import Bundle

    return Bundle.open(model).schema


def _days(sources: Sequence[str], options: dict[str, Any], person: str, by_folder: bool) -> tuple[ReadResult, list[Day]]:
    from ..sensors.daily import days as make
    from ..sensors.exports import ReadOptions
    from ..sensors.sources import read_sources

    rules, units = day_rules(options)
    found = read_sources(sources, ReadOptions(person, units, options["dates"] or ""), options["reader"], by_folder)
    return found, make(found.readings, rules)


def day_rules(options: Mapping[str, Any]) -> tuple[Rules, dict[str, str]]:
    """What `--zone`, `--prefer` and `--floor` say of days, and `--unit` of kinds. Raises TableError."""
    from ..sensors.clocks import zone
    from ..sensors.daily import Rules, check_floors

    floors = _shares(options["floors"])
    check_floors(floors)
    place = zone(options["zone"]) if options["zone"] else None
    return Rules(place, tuple(options["prefer"]), floors), _pairs(options["units"], "--unit", "glucose=mmol/L")


def _pairs(texts: Sequence[str], option: str, example: str) -> dict[str, str]:
    out = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name or not value:
            raise click.UsageError(f"{option} {text!r} is not NAME=VALUE, for example {option} {example}")
        out[name.strip()] = value.strip()
    return out


def _shares(texts: Sequence[str]) -> dict[str, float]:
    try:
        return {name: float(value) for name, value in _pairs(texts, "--floor", "steps=0.3").items()}
    except ValueError:
        raise click.UsageError("--floor takes a share of the day, for example --floor steps=0.3") from None


def of_a_day(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of `explain --from`."""
    command = reading_options(encoding(command), "With --from: ")
    for option in reversed([
        click.option("--from", "export", metavar="SOURCE", help="Explain a day of this raw export (see `days`): a file or folder."),
        click.option("--day", "date", metavar="DATE", help="With --from: which day, 2026-05-01.  [default: the latest]"),
        click.option("--person", metavar="NAME", help="With --from: whose day, where the export holds several people."),
    ]):  # fmt: skip
        command = option(command)
    return command


def check(export: str | None, **options: Any) -> None:
    """Refuses what belongs to `--from` where that is missing."""
    if not export and any(options.values()):
        raise click.UsageError("--day, --person, --zone and the options of raw exports belong to --from SOURCE")


def record(schema: Schema, export: str, date: str | None, person: str | None, by_folder: bool, **options: Any) -> dict[str, Any]:
    """The record of one day, for `explain --from`; what it is made of goes to standard error."""
    from ..sensors import records
    from ..sensors.clocks import day_number

    if date:
        day_number(date)
    records.columns(schema)
    found, made = _days([export], options, "", by_folder)
    day = records.pick(made, date or "", person or "")
    known = [f"{name} {100 * day.coverage[name]:.0f} %" for name, _ in records.columns(schema) if day.values[name] is not None]
    terminal.say(f"{day.date}, {day.hours:g} h; covered: {', '.join(known) or 'nothing'}")
    if found.readings.notes.dropped:
        terminal.say(f"{found.readings.notes.dropped:,} readings of all days were left out; `sensecf-edge days` says which and why")
    return records.record(day, schema, day_rules(options)[0].floors)


def _write(target: Path | None, made: Sequence[Day], schema: Schema | None) -> None:
    import io

    from ..sensors import records

    text = io.StringIO()
    records.write(text, made, schema)
    if target is None:
        sys.stdout.write(text.getvalue())
    else:
        _replace(target, text.getvalue())


def _replace(path: Path, text: str) -> None:
    """Whole or not at all, readable by its owner only: these are people's data. Raises TableError."""
    from .. import private_files
    from ..errors import TableError

    try:
        private_files.replace(path, text)
    except OSError as error:
        raise TableError(f"cannot write {path}: {error.strerror}; give another name") from error


def _facts(found: ReadResult, made: Sequence[Day], schema: Schema | None) -> dict[str, Any]:
    from ..sensors import records
    from ..sensors.measures import BY_NAME

    names = [name for name, _ in records.columns(schema)]
    return {
        "format": 1, "files": found.known, "files_not_known": found.unknown, "readings": len(found.readings), "days": len(made),
        "people": len({day.person for day in made}),
        "known": {name: sum(day.values[name] is not None for day in made) for name in names},
        "floors": {name: BY_NAME[name].floor for name in names}, **found.readings.notes.to_json(),
    }  # fmt: skip


def _tell(found: ReadResult, made: Sequence[Day], schema: Schema | None, output: str, model: str | None) -> None:
    from ..sensors import records

    files = ", ".join(f"{name} ({count} file{'s' if count > 1 else ''})" for name, count in sorted(found.known.items()))
    terminal.say(f"read {len(found.readings):,} readings of {files}")
    if found.unknown:
        passed = ", ".join(f"{count} {ending}" for ending, count in sorted(found.unknown.items()))
        terminal.say(f"passed over: {passed} (no known export)")
    for line in found.readings.notes.lines():
        terminal.say(f"  {line}")
    people = len({day.person for day in made})
    where = "standard output" if output == "-" else output
    terminal.say(f"{where}: {len(made):,} {'day' if len(made) == 1 else 'days'} of {people} {'person' if people == 1 else 'people'}")
    if schema is not None and made:
        lacking = [(f.name, sum(records.values(day, schema)[f.name] is None for day in made)) for f in schema.features if not f.optional]
        fit = sum(records.usable(day, schema) for day in made)
        why = ", ".join(f"{name} on {count:,}" for name, count in lacking if count)
        terminal.say(f"{fit:,} of them hold all that {model} needs" + (f"; unknown is {why}" if why else ""))
        if fit and output != "-":
            terminal.say(f"next: sensecf-edge batch {output} -o advice.csv --model {model} --id id")
