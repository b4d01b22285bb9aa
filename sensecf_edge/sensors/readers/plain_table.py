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
from ...table.lines import Lines
from ...table.read import table
from ..clocks import parse
from ..exports import Export, finite
from ..quantities import CANONICAL, fits, spelled
from ..readings import HIGH, LOW, MOMENTS, STAGES, Readings, Series

NAME, LOOKS_FOR = "table", "a table with the columns time, kind, value and unit (and end, person, source)"
LIMITS = {"mg/dL": (40.0, 400.0), "mmol/L": (2.2, 22.2)}
NAMES = {"time": ("time", "timestamp", "start"), "kind": ("kind",), "value": ("value",), "unit": ("unit",), "end": ("end",),
         "person": ("person", "participant", "subject"), "source": ("source", "device")}  # fmt: skip
MILLISECONDS = 1e11
_NEEDED = ("time", "kind", "value")
_REPEATED, MOST_KEPT = ("kind", "unit", "person", "source"), 10_000
_OTHER_END = {"low": LOW, "high": HIGH}


def _columns(names: Sequence[str]) -> dict[str, str]:
    small = {name.strip().lower(): name for name in names}
    return {what: small[one] for what, spellings in NAMES.items() for one in spellings if one in small}


def _check_once(export: Export, names: Sequence[str]) -> None:
    """Raises TableError where two columns stand for one thing: whose a reading is must not depend on which is taken."""
    for what, spellings in NAMES.items():
        several = [name for name in names if name.strip().lower() in spellings]
        if len(several) > 1:
            raise TableError(f"{export.path}: the columns {' and '.join(several)} both stand for {what}; keep one, and rename the others")


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
    sheet = None if export.first.startswith(b"PAR1") or export.head.lstrip().startswith("{") else export.sheet(_header)
    known = {name for spellings in NAMES.values() for name in spellings}
    with table(str(export.path), known, sheet.header - 1 if sheet else 0) as source:
        columns = _columns(source.names)
        if source.names and not _header(source.names):
            lacking = ", ".join(n for n in _NEEDED if n not in columns)
            raise TableError(f"{export.path}: the columns {lacking} are missing in its first line; it needs {LOOKS_FOR}")
        _check_once(export, source.names)
        rows = _Rows(export, readings)
        if not isinstance(source, Lines):
            export.places.called("row")
        for line in source.rows():
            export.places.at(source.line if isinstance(source, Lines) else line.number)
            if line.fault is None and line.cells is not None:
                reason = rows.take(line.cells, columns or _columns(list(line.cells)))
            elif line.fault is not None and "--encoding" in line.fault.remedy:
                raise TableError(f"{export.places.text(export.places.now)}: {line.fault.reason}; {line.fault.remedy}")
            else:
                reason = (line.fault.quiet or line.fault.reason) if line.fault is not None else ""
            if reason:
                readings.notes.drop(reason)


class _Rows:
    """Takes rows. What many of them repeat (kind, unit, person, source) is looked at once."""

    def __init__(self, export: Export, readings: Readings) -> None:
        self.export, self.readings = export, readings
        self.known = dict[tuple[Cell, ...], tuple[str, dict[bool, Series]]]()

    def take(self, cells: Mapping[str, Cell], columns: Mapping[str, str]) -> str:
        """One row; why it cannot be, or ''. Raises TableError where it has no unit."""
        names = tuple([cells.get(columns[what]) if what in columns else None for what in _REPEATED])
        kind, series = self.known.get(names) or self._met(names)
        if kind not in CANONICAL:
            return "rows of a kind that is not known"
        begin = self._second(cells.get(columns["time"]))
        if begin is None:
            return "rows without a time that can be read (2026-05-01T08:00:00; 01/05/2026 needs --dates DMY or MDY)"
        length = 0
        if kind not in MOMENTS:
            end = self._second(cells.get(columns["end"])) if "end" in columns else None
            if end is None or end[1] != begin[1]:
                return "rows of what takes time without its end"
            length = end[0] - begin[0]
        found = series.get(begin[1])
        if found is None:
            found = series[begin[1]] = self._series(kind, names, begin[1])
        value = value_of(kind, cells.get(columns["value"]))
        if value is None:
            return f"{kind.replace('_', ' ')} that is no number"
        found.add(begin[0], value, length)
        return ""

    def _met(self, names: tuple[Cell, ...]) -> tuple[str, dict[bool, Series]]:
        made = _text(names[0]).lower().replace(" ", "_"), dict[bool, Series]()
        if len(self.known) < MOST_KEPT and all(name is None or isinstance(name, str) for name in names):  # 1 and True are equal
            self.known[names] = made
        return made

    def _series(self, kind: str, names: tuple[Cell, ...], wall: bool) -> Series:
        stated, person, source = map(_text, names[1:])
        unit = "stage" if kind == "sleep" else self.export.asked.unit(kind, stated)
        if not fits(kind, unit):
            where, has = self.export.places.text(self.export.places.now) or self.export.path, f"the unit {unit!r}" if unit else "no unit"
            raise TableError(
                f"{where}: {kind} has {has}; name one in a column unit, or with --unit "
                f"{kind}={'mmol/L' if kind == 'glucose' else CANONICAL[kind]}"
            )
        limits = LIMITS.get(spelled(unit) or "") if kind == "glucose" else None
        return self.readings.series(kind, source or NAME, unit, self.export.asked.person or person, wall, limits)

    def _second(self, given: Cell) -> tuple[int, bool] | None:
        if isinstance(given, int | float) and not isinstance(given, bool):
            return _since_1970(given)
        found = parse(given if isinstance(given, str) else _text(given))
        if found is None:
            slashed = self.export.slashed(_text(given))
            return None if slashed is None else (slashed, True)
        return found


def _since_1970(given: float) -> tuple[int, bool] | None:
    """A number of JSON as a time: seconds since 1970 (UTC), milliseconds where seconds would lie beyond the year 5000, as in a stream."""
    second = finite(given)
    return None if math.isnan(second) else (math.floor(second / 1000 if abs(second) >= MILLISECONDS else second), False)


def _text(given: Cell) -> str:
    return "" if without_value(given) else as_text(given)


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
