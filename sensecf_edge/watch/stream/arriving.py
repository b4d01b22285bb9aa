"""One message, one reading, as a `table` of readings names it; and why a message is none. No reason holds a value."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from ...schema.cells import as_text, cell, names_somebody, visible
from ...sensors.cleaning import LONGEST, SINCE
from ...sensors.quantities import CANONICAL, fits, spelled
from ...sensors.readers.plain_table import NAME as UNNAMED
from ...sensors.readers.plain_table import NAMES, value_of
from ...sensors.readings import MOMENTS
from ...table.unusable import UnusableRecord
from .. import age
from ..loop import UnusableMessage

LONGEST_NAME = 200
_SURROGATE = re.compile("[\ud800-\udfff]")
"""Half of a character, which JSON can hold and no file can."""
_WHAT = {spelling: what for what, spellings in NAMES.items() for spelling in spellings}


class Arrived(NamedTuple):
    """A reading as it is kept. `start` in seconds since 1970 (UTC), `length` in seconds (0: a moment), `unit` by its usual spelling."""

    person: str
    kind: str
    source: str
    unit: str
    start: int
    length: int
    value: float

    @property
    def end(self) -> int:
        """The second behind it."""
        return self.start + self.length


def arrived(held: Mapping[str, Any], units: Mapping[str, str], now: datetime) -> Arrived:
    """The reading that an object is; `units` by kind for those that state none. Raises UnusableMessage."""
    given = _named(held)
    kind = given.get("kind")
    kind = kind.lower().replace(" ", "_") if isinstance(kind, str) else ""
    if kind not in CANONICAL:
        raise _unusable("its kind is missing or not known", f"kind is one of {', '.join(CANONICAL)}")
    start, length = _second("time", given.get("time"), now), 0
    if kind not in MOMENTS:
        length = _second("end", given.get("end"), now) - start
        if not 0 < length <= LONGEST:
            raise _unusable("its end is not after its time, or over a day after it", "give end as the time at which the count ended")
    unit = _unit(kind, given.get("unit"), units)
    value = value_of(kind, cell(given.get("value")))
    if value is None:
        told = "a stage of sleep" if kind == "sleep" else "a number"
        raise _unusable(f"its value is missing or not {told}", f"give value as {told}")
    return Arrived(_name("person", given.get("person")), kind, _name("source", given.get("source")) or UNNAMED, unit, start, length, value)


def _named(held: Mapping[str, Any]) -> dict[str, Any]:
    """By what each name means. A name that means nothing may be a misspelt one that matters, such as whose reading it is."""
    given: dict[str, Any] = {}
    for name, value in held.items():
        what = _WHAT.get(name)
        if what is None or what in given:
            raise _unusable(f"a name that stands for nothing, or two for one thing, among {len(held)}", f"use {', '.join(NAMES)}")
        given[what] = value
    return given


def _second(what: str, value: Any, now: datetime) -> int:
    try:
        moment = age.measured(value)
        age.age(moment, now)
    except ValueError as error:
        reason, _, remedy = str(error).rpartition("; ")
        raise _unusable(f"its {what} {reason or remedy}", remedy if reason else "correct it") from None
    second = math.floor(moment.timestamp())
    if second < SINCE:
        raise _unusable(f"its {what} lies before the year 2000", "set the clock of the sensor")
    return second


def _unit(kind: str, stated: Any, units: Mapping[str, str]) -> str:
    if kind == "sleep":
        return "stage"
    unit = (stated if isinstance(stated, str) else "") or units.get(kind, "")
    if (stated is not None and not isinstance(stated, str)) or not fits(kind, unit):
        example = "mmol/L" if kind == "glucose" else CANONICAL[kind]
        raise _unusable(f"{kind} without a unit that it can have", f'write "unit": "{example}", or start with --unit {kind}={example}')
    return spelled(unit) or unit


def _name(what: str, value: Any) -> str:
    """Missing is nobody's, and the one device's."""
    if value is None:
        return ""
    text = _spelled(value) if names_somebody(value) else ""
    if not text or len(text) > LONGEST_NAME or _SURROGATE.search(text):
        raise _unusable(f"its {what} is no text or number of up to {LONGEST_NAME} characters", f"name the {what}, or leave it out")
    return text


@lru_cache(maxsize=4_096, typed=True)
def _spelled(value: str | float) -> str:
    return as_text(visible(value) if isinstance(value, str) else value)


def _unusable(reason: str, remedy: str) -> UnusableMessage:
    return UnusableMessage(UnusableRecord(reason, remedy))
