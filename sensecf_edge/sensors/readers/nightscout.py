"""Nightscout: entries.json, a list of objects (or one a line) with sgv in mg/dL and date in milliseconds (UTC).

39 and 401 are how the sensor says Low and High, up to 12 are its error codes. Entries of other types (mbg of a meter, cal) are not used.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..clocks import parse
from ..exports import Export, finite
from ..readings import HIGH, LOW, Readings

NAME, LOOKS_FOR = "nightscout", "Nightscout's entries.json: objects with sgv (or mbg) and date"
LIMITS = {"mg/dL": (40.0, 400.0), "mmol/L": (2.2, 22.2)}


def recognises(export: Export) -> bool:
    """Whether it is such a file."""
    begin = export.head.lstrip()
    return begin[:1] in ("[", "{") and ('"sgv"' in begin or '"mbg"' in begin) and ('"date"' in begin or '"dateString"' in begin)


def read(export: Export, readings: Readings) -> None:
    """Puts the entries of the sensor into `readings`. Raises TableError."""
    for at, entry in enumerate(_entries(export), 1):
        where = f"{export.path}, entry {at:,}"
        if entry.get("type", "sgv") != "sgv" or "sgv" not in entry:
            readings.notes.drop("nightscout: entries that are no reading of a sensor (mbg, cal)", 1, where)
            continue
        unit = "mmol/L" if str(entry.get("units", "mg/dl")).lower().startswith("mmol") else "mg/dL"
        second, value = _second(entry), _value(entry["sgv"], unit)
        if second is None or math.isnan(value):
            readings.notes.drop("an entry without a time or a number that can be read", 1, where)
            continue
        person = export.asked.person or str(entry.get("subject") or "")
        readings.series("glucose", NAME, unit, person, wall=second[1], limits=LIMITS[unit]).add(second[0], value)


def _entries(export: Export) -> Iterator[dict[str, object]]:
    """One by one; what version 3 of the interface answers holds them as its result."""
    for one in export.objects():
        inside = one.get("result")
        yield from (e for e in inside if isinstance(e, dict)) if isinstance(inside, list) else (one,)


def _second(entry: dict[str, object]) -> tuple[int, bool] | None:
    date = entry.get("date")
    if isinstance(date, int | float) and math.isfinite(date):
        return int(date // 1000), False
    return parse(str(entry.get("dateString", "")))


def _value(given: object, unit: str) -> float:
    value = finite(given)
    if unit == "mg/dL" and value in (39, 401):
        return LOW if value == 39 else HIGH
    return value
