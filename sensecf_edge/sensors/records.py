"""Days as records of a model, and as a table that `batch`, `explain` and `fit` read: measures by the schema's names and units."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from ..errors import RecordError, TableError
from ..schema.feature import Feature, number_text
from ..schema.schema import Schema
from .daily import Day
from .measures import BY_NAME, MEASURES
from .quantities import factor

WEEKEND = "weekend"
BESIDE = ("id", "person", "date", "hours")
COVERAGE = "_coverage"
FORMULA = ("=", "+", "-", "@")
"""How what a spreadsheet computes begins."""
_PLAIN = re.compile(r"\s*(?:/day|per day|of .*)$")


def _plain(unit: str) -> str:
    """A unit without what it is counted over: % of sleep and % of day are percent."""
    plain = _PLAIN.sub("", unit).strip()
    return "" if plain == "steps" else plain


def columns(schema: Schema | None) -> list[tuple[str, float]]:
    """The features that days can fill, each with the factor into the schema's unit; all measures where there is no schema.

    Raises TableError for a schema of which days know nothing, and for a unit that a measure cannot have.
    """
    if schema is None:
        return [(m.name, 1.0) for m in MEASURES]
    out = [(f.name, _factor(f)) for f in schema.features if f.name in BY_NAME]
    if not out:
        raise TableError(
            f"none of the model's features can be made from sensors ({', '.join(schema.names[:8])}, …); days know {', '.join(BY_NAME)}"
        )
    return out


def _factor(feature: Feature) -> float:
    have, want = _plain(BY_NAME[feature.name].unit), _plain(feature.unit)
    if not want or have.lower() == want.lower():
        return 1.0
    return factor(have, want, f"the feature {feature.name} of the schema")


def values(day: Day, schema: Schema | None) -> dict[str, Any]:
    """A day's values under the schema's names and in its units; None where unknown, or where days know nothing of a feature."""
    made: dict[str, Any] = {WEEKEND: day.weekend}
    for name, by in columns(schema):
        value = day.values[name]
        made[name] = None if value is None else _rounded(value * by, BY_NAME[name].digits + (by < 1) * 2)
    if schema is None:
        return made
    return {name: made.get(name) for name in schema.names}


def _rounded(value: float, digits: int) -> float | int:
    rounded = round(value, digits)
    return int(rounded) if rounded == int(rounded) else rounded


def usable(day: Day, schema: Schema) -> bool:
    """Whether all is known that the model needs, and possible as its schema has it."""
    held = values(day, schema)
    for feature in schema.features:
        value = held[feature.name]
        if value is None and not feature.optional:
            return False
        if isinstance(value, int | float) and feature.kind == "number" and feature.coded(value) is None:
            return False
    return True


def write(out: TextIO, found: Sequence[Day], schema: Schema | None) -> None:
    """A CSV with a row for each day: id, person, date and hours, the features, and the coverage of each."""
    made = [name for name, _ in columns(schema)]
    features = list(schema.names) if schema is not None else [*made, WEEKEND]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*BESIDE, *features, *(name + COVERAGE for name in made)])
    for day in found:
        held = values(day, schema)
        cells = ["" if held[name] is None else text(held[name]) for name in features]
        beside = (as_cell(f"{named(day)} {day.date}"), as_cell(named(day)), day.date, number_text(day.hours))
        writer.writerow([*beside, *cells, *(number_text(day.coverage[name]) for name in made)])


def text(value: Any) -> str:
    """A value as a cell."""
    return value if isinstance(value, str) else number_text(value)


def as_cell(name: str) -> str:
    """A name that a file brings, so that no spreadsheet takes it for a formula: behind an apostrophe where it begins as one."""
    return f"'{name}" if name[:1] in FORMULA else name


def named(day: Day) -> str:
    """Whose day it is; 1 where nobody said."""
    return day.person or "1"


def pick(found: Sequence[Day], date: str, person: str) -> Day:
    """The one day that is meant; the latest where no date is. Raises RecordError with what there is."""
    people = sorted({named(day) for day in found})
    if not person and len(people) > 1:
        raise RecordError(f"the readings are of {len(people)} people; say whose day: --person, one of {', '.join(people[:8])}")
    mine = [day for day in found if not person or named(day) == person]
    if not mine:
        raise RecordError(f"there are no readings of {person!r}; there are some of {', '.join(people[:8]) or 'nobody'}")
    chosen = next((day for day in mine if day.date == date), None) if date else mine[-1]
    if chosen is None:
        raise RecordError(f"there are no readings of {date}; they reach from {mine[0].date} to {mine[-1].date} ({len(mine):,} days)")
    return chosen


def record(day: Day, schema: Schema, floors: Mapping[str, float] | None = None) -> dict[str, Any]:
    """A day as a record to be explained; `floors` are those it was made with, where others than the measures' own. Raises RecordError
    where something is unknown that the model cannot do without."""
    held = values(day, schema)
    lacking = [f.name for f in schema.features if held[f.name] is None and not f.optional]
    if lacking:
        needs = ", ".join(_lacks(day, name, floors or {}) for name in lacking)
        raise RecordError(f"{day.date} cannot be explained: the model needs {needs}")
    return {name: value for name, value in held.items() if value is not None}


def _lacks(day: Day, name: str, floors: Mapping[str, float]) -> str:
    if name not in BY_NAME:
        return f"{name} (no sensor says it)"
    share, floor = day.coverage[name], floors.get(name, BY_NAME[name].floor)
    told = f"{100 * share:.0f} % of the day covered, {100 * floor:.0f} needed" if share < floor else "not in these readings"
    return f"{name} ({told})"
