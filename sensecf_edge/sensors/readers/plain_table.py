"""A table of readings with named columns: CSV, JSON Lines or Parquet, read as every table of this program is.

    time, kind, value, unit                 and where there is more: end, person, source

`kind` is one of glucose, heart_rate, resting_heart_rate, stress, steps, active_energy, active_time, vigorous_time, sedentary_time,
sleep. What is counted, and sleep, needs `end`; sleep has its stage as value. A unit stands in the table or is stated with --unit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ...errors import TableError
from ...schema.cells import Cell, as_text, plain_number, without_value
from ...table.lines import Line
from ...table.read import table
from ..clocks import parse, parse_slashed
from ..exports import Export
from ..quantities import CANONICAL, fits, spelled
from ..readings import HIGH, LOW, MOMENTS, STAGES, Readings

NAME, LOOKS_FOR = "table", "a table with the columns time, kind, value and unit (and end, person, source)"
LIMITS = {"mg/dL": (40.0, 400.0), "mmol/L": (2.2, 22.2)}
NAMES = {"time": ("time", "timestamp", "start"), "kind": ("kind",), "value": ("value",), "unit": ("unit",), "end": ("end",),
         "person": ("person", "participant", "subject"), "source": ("source", "device")}  # fmt: skip
_NEEDED = ("time", "kind", "value")
_OTHER_END = {"low": LOW, "high": HIGH}


def _columns(names: Sequence[str]) -> dict[str, str]:
    small = {name.strip().lower(): name for name in names}
    return {what: small[one] for what, spellings in NAMES.items() for one in spellings if one in small}


def _header(names: Sequence[str]) -> bool:
    return all(what in _columns(names) for what in _NEEDED)


def recognises(export: Export) -> bool:
    """Whether it is such a table."""
    begin = export.head.lstrip()
    if export.first.startswith(b"PAR1"):
        return export.name.lower().endswith(".parquet")
    if begin.startswith("{"):
        return all(f'"{what}"' in begin for what in _NEEDED)
    sheet = export.sheet(_header)
    return sheet is not None


def read(export: Export, readings: Readings) -> None:
    """Puts its rows into `readings`. Raises TableError."""
    with table(str(export.path), {name for spellings in NAMES.values() for name in spellings}) as source:
        columns = _columns(source.names)
        if source.names and not _header(source.names):
            lacking = ", ".join(n for n in _NEEDED if n not in columns)
            raise TableError(f"{export.path}: the columns {lacking} are missing; it needs {LOOKS_FOR}")
        for line in source.rows():
            where = f"{export.path}, data row {line.number:,}"
            reason = _fault(line) or _row(line.cells or {}, columns or _columns(list(line.cells or {})), export, readings)
            if reason:
                readings.notes.drop(reason, 1, where)


def _fault(line: Line) -> str:
    return (line.fault.quiet or line.fault.reason) if line.fault is not None else ""


def _row(cells: Mapping[str, Cell], columns: Mapping[str, str], export: Export, readings: Readings) -> str:
    """Takes one row; why it cannot be, or ''."""
    held = {what: cells.get(name) for what, name in columns.items()}
    text = {what: "" if without_value(given) else as_text(given) for what, given in held.items()}
    kind = text.get("kind", "").lower().replace(" ", "_")
    if kind not in CANONICAL:
        return "rows of a kind that is not known"
    begin, end = (_second(text.get(name, ""), export) for name in ("time", "end"))
    if begin is None or (kind not in MOMENTS and (end is None or end[1] != begin[1])):
        return "rows without a time that can be read" if begin is None else "rows of what takes time without its end"
    unit = "stage" if kind == "sleep" else export.asked.unit(kind, text.get("unit", ""))
    if not fits(kind, unit):
        raise TableError(
            f"{export.path}: {kind} has {f'the unit {unit!r}' if unit else 'no unit'}; name one in a column unit, or with --unit "
            f"{kind}={'mmol/L' if kind == 'glucose' else CANONICAL[kind]}"
        )
    value = value_of(kind, held.get("value"))
    if value is None:
        return f"{kind.replace('_', ' ')} that is no number"
    person = export.asked.person or text.get("person", "")
    limits = LIMITS.get(spelled(unit) or "") if kind == "glucose" else None
    length = 0 if kind in MOMENTS or end is None else end[0] - begin[0]
    readings.series(kind, text.get("source", "") or NAME, unit, person, begin[1], limits).add(begin[0], value, length)
    return ""


def _second(text: str, export: Export) -> tuple[int, bool] | None:
    found = parse(text) if text else None
    if found is None and text and export.asked.dates:
        slashed = parse_slashed(text, export.asked.dates)
        found = None if slashed is None else (slashed, True)
    return found


def value_of(kind: str, given: Cell) -> float | None:
    """A cell as a value of that kind: a number, Low or High of glucose, a stage of sleep; None for what is none."""
    text = given.lower() if isinstance(given, str) and not without_value(given) else ""
    if kind == "sleep":
        return float(STAGES.index(text)) if text in STAGES else None
    if kind == "glucose" and text in _OTHER_END:
        return _OTHER_END[text]
    value = plain_number(given) if isinstance(given, str) else given
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # a whole number of hundreds of digits
        return None
