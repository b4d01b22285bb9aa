"""Apple Health: export.xml, read a piece at a time and never whole.

The file is known for not being well-formed (a doctype that parsers refuse, records that break off), so its records are looked for
one by one, and what is none is left out with its line. Every record has its own offset from UTC. Active time is not taken from
exercise minutes: Apple's definition is another than the models'.
"""

from __future__ import annotations

import html
import math
import re
import zlib
from collections.abc import Iterator

from ...errors import TableError
from ..clocks import parse
from ..exports import DamagedError, Export, finite
from ..notes import MOST
from ..quantities import fits
from ..readings import ASLEEP, AWAKE, DEEP, LIGHT, REM, Readings

NAME, LOOKS_FOR = "apple-health", 'Apple Health\'s export.xml: <HealthData> with <Record type="HK…">'
KINDS = {
    "HKQuantityTypeIdentifierStepCount": "steps", "HKQuantityTypeIdentifierActiveEnergyBurned": "active_energy",
    "HKQuantityTypeIdentifierHeartRate": "heart_rate", "HKQuantityTypeIdentifierRestingHeartRate": "resting_heart_rate",
    "HKQuantityTypeIdentifierBloodGlucose": "glucose", "HKCategoryTypeIdentifierSleepAnalysis": "sleep",
}  # fmt: skip
_SLEEP = "HKCategoryValueSleepAnalysis"
STAGES = {"Awake": AWAKE, "AsleepCore": LIGHT, "AsleepDeep": DEEP, "AsleepREM": REM, "AsleepUnspecified": ASLEEP, "Asleep": ASLEEP}
BLOCK, LONGEST = 1 << 20, 1 << 16
_RECORD = re.compile(r'<Record\s([^<>"]*(?:"[^"<]*"[^<>"]*)*)>')
_NEXT = re.compile(r"<Record\s")
_PARTS = re.compile(r'(type|sourceName|unit|startDate|endDate|value)="([^"]*)"')


def recognises(export: Export) -> bool:
    """Whether it is such a file."""
    return "<HealthData" in export.head and export.head.lstrip()[:1] == "<"


def read(export: Export, readings: Readings) -> None:
    """Puts the records that count into `readings`. Raises TableError for a file that holds no record at all."""
    times = dict[str, tuple[int, bool] | None]()
    count, unused = 0, dict[str, int]()
    for text in _records(export, readings):
        count += 1
        held = dict(_PARTS.findall(text))
        kind = KINDS.get(held.get("type", ""))
        if kind is None:
            name = held.get("type", "").removeprefix("HKQuantityTypeIdentifier").removeprefix("HKCategoryTypeIdentifier")
            name = name if name in unused or len(unused) < MOST else "other types"
            unused[name] = unused.get(name, 0) + 1
            continue
        if len(times) > 100_000:
            times.clear()
        _one(kind, held, times, readings, export.asked.person)
    if not count:
        raise TableError(f"{export.path} holds no <Record>; is the file cut off? Export it again")
    for name, many in sorted(unused.items()):
        readings.notes.drop(f"apple-health: {name[:80] or 'records without a type'}, of which no measure is made", many, ())


def _records(export: Export, readings: Readings) -> Iterator[str]:
    """The attributes of each record; what begins as one and is none is left out."""
    left, line = "", 1
    for block in _blocks(export):
        text, at, counted = left + block, 0, 0
        for found in _RECORD.finditer(text):
            begin = found.start()
            if (skipped := _broken(text, at, begin)) is not None:
                export.places.at(line + text.count("\n", counted, skipped))
                readings.notes.drop("records that are no XML")
            line, counted, at = line + text.count("\n", counted, begin), begin, found.end()
            export.places.at(line)
            yield found[1]
        rest = text.rfind("<Record", at)
        keep = rest if rest >= 0 and len(text) - rest < LONGEST else max(at, len(text) - len("<Record"))
        if (skipped := _broken(text, at, keep)) is not None:
            export.places.at(line + text.count("\n", counted, skipped))
            readings.notes.drop("records that are no XML")
        line += text.count("\n", counted, keep)
        left = text[keep:]
    export.places.at(line)
    if _NEXT.search(left):
        readings.notes.drop("a record that breaks off at the end (is the file cut off?)")


def _broken(text: str, begin: int, end: int) -> int | None:
    found = _NEXT.search(text, begin, end)
    return found.start() if found else None


def _blocks(export: Export) -> Iterator[str]:
    """Text of about a million characters each. A byte that is no UTF-8 spoils one name and no more."""
    import codecs

    decoder = codecs.getincrementaldecoder(export.encoding)(errors="replace")
    try:
        with export.opened() as file:
            while block := file.read(BLOCK):
                yield decoder.decode(block)
            yield decoder.decode(b"", final=True)
    except (OSError, EOFError, zlib.error) as error:
        raise DamagedError(f"{export.path}: the file is damaged or cut off (gzip); export it again") from error


def _one(kind: str, held: dict[str, str], times: dict[str, tuple[int, bool] | None], readings: Readings, person: str) -> None:
    if "&" in held.get("unit", ""):  # mmol&lt;180.1558800000541&gt;/L
        held["unit"] = html.unescape(held["unit"])
    moments = []
    for name in ("startDate", "endDate"):
        text = held.get(name, "")
        if text not in times:
            times[text] = parse(text)
        moments.append(times[text])
    begin, end = moments
    if begin is None or end is None:
        readings.notes.drop("a record without a time that can be read")
        return
    source = held.get("sourceName", "").replace("\u00a0", " ")
    source = html.unescape(source) if "&" in source else source
    value = _value(kind, held, readings)
    if value is None:
        readings.notes.drop(f"{kind.replace('_', ' ')} without a number or a unit that can be read")
        return
    if value < 0:
        return
    unit = "stage" if kind == "sleep" else held["unit"]
    moment = kind in ("heart_rate", "resting_heart_rate", "glucose")
    length = 0 if moment else max(end[0] - begin[0], 1) if kind != "sleep" and end[0] >= begin[0] else end[0] - begin[0]
    readings.series(kind, source, unit, person, begin[1]).add(begin[0], value, length)


def _value(kind: str, held: dict[str, str], readings: Readings) -> float | None:
    if kind == "sleep":
        stage = held.get("value", "").removeprefix(_SLEEP)
        if stage == "InBed":
            readings.notes.drop("apple-health: time in bed, which is no sleep")
            return -1.0
        return STAGES.get(stage)
    value = finite(held.get("value"))
    return None if math.isnan(value) or not fits(kind, held.get("unit", "")) else value
