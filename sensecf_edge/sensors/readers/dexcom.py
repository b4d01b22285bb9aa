"""Dexcom Clarity: the CSV that patients and clinics download, in mg/dL (US) or mmol/L (EU), in any language.

Ten or so lines under the names hold the patient and alert settings, thresholds among them: only rows of event type EGV are
readings. Times are those of the display's clock. `Low` and `High` are below 40 and above 400 mg/dL.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from ...errors import TableError
from ..clocks import parse
from ..exports import Export, has_sheet, number
from ..readings import HIGH, LOW, Readings, beyond

NAME, LOOKS_FOR = "dexcom", "Dexcom Clarity's CSV: Timestamp (YYYY-MM-DDThh:mm:ss), Event Type, Glucose Value (mg/dL or mmol/L)"
RESEMBLES = re.compile(r"hh:mm:ss\)[^\n]*\((?:mg/dL|mmol/L)\)|[,;\t]\"*EGV\"*[,;\t]", re.IGNORECASE)
LIMITS = {"mg/dL": (40.0, 400.0), "mmol/L": (2.2, 22.2)}
WORDS = {"low": LOW, "niedrig": LOW, "bas": LOW, "faible": LOW, "bajo": LOW, "basso": LOW, "laag": LOW, "lavt": LOW, "låg": LOW,
         "baixo": LOW, "high": HIGH, "hoch": HIGH, "élevé": HIGH, "haut": HIGH, "alto": HIGH, "hoog": HIGH, "høyt": HIGH, "hög": HIGH,
         "højt": HIGH}  # fmt: skip
"""Low and High in the languages of the exports."""
_TIME = re.compile(r".*\(.{4}-.{2}-.{2}.?hh:mm:ss\)", re.IGNORECASE)
_GLUCOSE = re.compile(r".*\((mg/dL|mmol/L)\)", re.IGNORECASE)


def _header(names: Sequence[str]) -> bool:
    return any(_TIME.fullmatch(n) for n in names) and any(_GLUCOSE.fullmatch(n) for n in names)


recognises = has_sheet(_header)


def read(export: Export, readings: Readings) -> None:
    """Puts the readings of the sensor into `readings`. Raises TableError where none is marked as one."""
    sheet = export.sheet(_header)
    assert sheet is not None
    when = next(i for i, n in enumerate(sheet.names) if _TIME.fullmatch(n))
    where, found = next((i, m) for i, n in enumerate(sheet.names) if (m := _GLUCOSE.fullmatch(n)))
    unit = "mmol/L" if found[1].lower() == "mmol/l" else "mg/dL"
    what, names, events = when + 1, ["", ""], dict[str, int]()
    timed, odd = 0, ""
    for _, cells in sheet.rows():
        if len(cells) <= what:
            readings.notes.drop("a line without a time that can be read, or cut short")
            continue
        event = cells[what].strip()
        if event in ("FirstName", "LastName"):
            names[int(event == "LastName")] = next((c.strip() for c in cells[what + 1 :] if c.strip()), "")
            continue
        events[event] = events.get(event, 0) + 1
        if event != "EGV":
            continue
        second = _second(cells[when], export) if len(cells) > where else None
        if second is None:
            odd = odd or cells[when].strip()[:30] if len(cells) > when else odd
            readings.notes.drop("a line without a time that can be read, or cut short")
            continue
        timed += 1
        person = export.asked.person or " ".join(filter(None, names))
        value = reading(cells[where], unit)
        if math.isnan(value):
            readings.notes.drop("glucose that is no number")
            continue
        readings.series("glucose", NAME, unit, person, wall=second[1], limits=LIMITS[unit]).add(second[0], value)
    if odd and not timed:
        raise TableError(
            f"{export.path}: no time in it is as Clarity writes them (2026-05-01T08:00:00), the first is {odd!r}; did a spreadsheet save "
            "it again? Download it anew and open it in none, or say the order of day and month with --dates DMY or --dates MDY"
        )
    if events and "EGV" not in events:
        raise TableError(f"{export.path}: no row has the event type EGV; export it again with sensor readings")


def _second(text: str, export: Export) -> tuple[int, bool] | None:
    """ISO as it is exported; or what a spreadsheet made of it, where the user says in which order."""
    found = parse(text)
    if found is None:
        slashed = export.slashed(text)
        found = None if slashed is None else (slashed, True)
    return found


def reading(text: str, unit: str) -> float:
    """A value, Low or High; NaN for what is neither."""
    word = WORDS.get(text.strip().lower())
    if word is not None:
        return word
    return beyond(number(text), unit)
