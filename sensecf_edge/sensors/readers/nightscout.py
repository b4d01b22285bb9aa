"""Nightscout: entries.json, a list of objects (or one a line) with sgv in mg/dL and date in milliseconds (UTC).

39 and 401 are how the sensor says Low and High, up to 12 are its error codes. Entries of other types (mbg of a meter, cal) are not used.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..clocks import parse
from ..exports import Export, finite, listed, word
from ..readings import Readings, beyond

NAME, LOOKS_FOR = "nightscout", "Nightscout's entries.json: objects with sgv (or mbg) and date"
LIMITS = {"mg/dL": (40.0, 400.0), "mmol/L": (2.2, 22.2)}


def recognises(export: Export) -> bool:
    """Whether it is such a file."""
    begin = export.head.lstrip()
    return begin[:1] in ("[", "{") and ('"sgv"' in begin or '"mbg"' in begin) and ('"date"' in begin or '"dateString"' in begin)


def read(export: Export, readings: Readings) -> None:
    """Puts the entries of the sensor into `readings`. Raises TableError."""
    for entry in _entries(export, readings):
        if entry.get("type", "sgv") != "sgv" or "sgv" not in entry:
            readings.notes.drop("nightscout: entries that are no reading of a sensor (mbg, cal)")
            continue
        unit = "mmol/L" if word(entry.get("units")).lower().startswith("mmol") else "mg/dL"
        second, value = _second(entry), beyond(finite(entry["sgv"]), unit)
        if second is None or math.isnan(value):
            readings.notes.drop("an entry without a time or a number that can be read")
            continue
        person = export.asked.person or word(entry.get("subject"))
        readings.series("glucose", NAME, unit, person, wall=second[1], limits=LIMITS[unit]).add(second[0], value)


def _entries(export: Export, readings: Readings) -> Iterator[dict[str, object]]:
    """One by one; what version 3 of the interface answers holds them as its result."""
    for one in export.objects(readings.notes):
        if not isinstance(one.get("result"), list):
            yield one
            continue
        for at, entry in enumerate(listed(one["result"]), 1):
            export.places.at(at)
            if isinstance(entry, dict):
                yield entry
            else:
                readings.notes.drop("entries that are no JSON objects")


def _second(entry: dict[str, object]) -> tuple[int, bool] | None:
    date = entry.get("date")
    if isinstance(date, int | float) and not math.isnan(finite(date)):
        return int(date // 1000), False
    return parse(word(entry.get("dateString")))
