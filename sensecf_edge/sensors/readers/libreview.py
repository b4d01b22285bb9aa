"""LibreView and the FreeStyle Libre software: CSV or tab-separated, in any language, history and scans in two columns.

Only the history (record type 0) counts: scans are made when somebody looks, and would count moments of worry twice. The order of
day and month follows the account's country, not its language: all dates of a file together tell it, or the user does.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import islice

from ...errors import TableError
from ..clocks import BOTH, order_of, parse, parse_slashed
from ..exports import Export, Sheet, has_sheet, number
from ..readings import HIGH, LOW, Readings
from .dexcom import WORDS

NAME, LOOKS_FOR = "libreview", "LibreView's CSV: Device Timestamp, Record Type, Historic Glucose and Scan Glucose in mg/dL or mmol/L"
RESEMBLES = re.compile(r"(?:mg/dL|mmol/L)\)?\W+[^\n,;\t]*(?:mg/dL|mmol/L)", re.IGNORECASE)
LIMITS = {"mg/dL": (40.0, 500.0), "mmol/L": (2.2, 27.8)}
HISTORY, SCAN = "0", "1"
_GLUCOSE = re.compile(r".*\b(mg/dL|mmol/L)\)?", re.IGNORECASE)
_WORDS = {**WORDS, "lo": LOW, "hi": HIGH}


def _column(names: Sequence[str]) -> int | None:
    """The column of the history: the first of two neighbours in a unit of glucose, behind time and record type."""
    for i in range(2, len(names) - 1):
        if _GLUCOSE.fullmatch(names[i]) and _GLUCOSE.fullmatch(names[i + 1]):
            return i
    return None


def _header(names: Sequence[str]) -> bool:
    return _column(names) is not None


recognises = has_sheet(_header)


def read(export: Export, readings: Readings) -> None:
    """Puts the history into `readings`. Raises TableError where no date tells day from month."""
    sheet = export.sheet(_header)
    assert sheet is not None
    column = _column(sheet.names)
    assert column is not None
    found = _GLUCOSE.fullmatch(sheet.names[column])
    assert found is not None
    unit = "mmol/L" if found[1].lower() == "mmol/l" else "mg/dL"
    order = _order(sheet, column - 2)
    series = readings.series("glucose", NAME, unit, export.asked.person, wall=True, limits=LIMITS[unit])
    for _, cells in sheet.rows():
        kind = cells[column - 1].strip() if len(cells) > column else ""
        if kind == SCAN:
            readings.notes.drop("libreview: scans (made when somebody looks; the history counts)")
        if kind != HISTORY:
            if len(cells) <= column:
                readings.notes.drop("a line that was cut short")
            continue
        iso = parse(cells[column - 2])
        second = iso[0] if iso else parse_slashed(cells[column - 2], order)
        value = _WORDS.get(cells[column].strip().lower(), number(cells[column]))
        if second is None or math.isnan(value):
            reason = "a line without a time that can be read" if second is None else "glucose that is no number"
            readings.notes.drop(reason)
            continue
        series.add(second, value)


def _order(sheet: Sheet, column: int) -> str:
    texts = [cells[column] for _, cells in islice(sheet.rows(), 200_000) if len(cells) > column]
    if all(parse(text) for text in texts):
        return "DMY"
    order = order_of(texts)
    if order == BOTH:
        raise TableError(f"{sheet.export.path}: some of its dates have the day first and others the month; export it anew")
    order = order or sheet.export.asked.dates
    if not order:
        raise TableError(
            f"{sheet.export.path}: no date in it tells the day from the month (such as {texts[0].strip()!r}); say it with --dates DMY "
            "or --dates MDY"
        )
    return order
