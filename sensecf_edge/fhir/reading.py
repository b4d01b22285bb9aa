"""A Bundle -> the values of a record: of each code the newest value within a window of time, age and sex of the Patient.

What is in a Bundle and nobody can mean is refused with its path: several people, a time that lies ahead, values of one time that
contradict each other, a number without a unit. What is not in it is unknown.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np

from ..errors import RecordError
from ..report.wording import plain
from ..schema.codes import LOINC
from ..schema.feature import Feature, number_text
from ..schema.record import Value
from ..schema.schema import Schema
from ..space import rules
from .conditions import conditions
from .entries import Entry, entries, patient, subject, unturned
from .moments import GRACE, Span, ages, before, today
from .observations import Stated, observations
from .units import finely
from .values import FoundValues, Source, Untold, value_of

AGE, SEX = (LOINC, "30525-0"), (LOINC, "46098-0")
MOST_NOTES = 30
GENDER = "http://hl7.org/fhir/administrative-gender"


@dataclass(frozen=True)
class Reading:
    """What a Bundle says of a record. `values` holds what is known; `subject` is what the person is called in references.

    notes   what was passed over, in words
    """

    values: dict[str, Value]
    sources: tuple[Source, ...]
    notes: tuple[str, ...]
    subject: str = ""

    def lines(self, values: bool = True) -> list[str]:
        """All of it in words, for people; without the `values` where others may read it. What a Bundle says stays text."""
        told = (f"{s.title} {s.value if values else ''}".rstrip() + (f", {s.day}" if s.day else "") for s in self.sources)
        return [plain(said) for said in (*told, *self.notes)]


def read(schema: Schema, data: Any, within: timedelta, at: datetime | None = None, now: datetime | None = None,
         beside: Mapping[str, Any] | None = None) -> Reading:  # fmt: skip
    """The record in a Bundle, from the readings of the time `within` before `at` (default: now). Nothing is computed from features
    that stand `beside` it, for the Bundle's own value of those does not hold. Raises RecordError with the path."""
    return read_entries(schema, entries(data), within, at, now, beside)


def read_entries(
    schema: Schema, found: Sequence[Entry], within: timedelta, at: datetime | None = None, now: datetime | None = None,
    beside: Mapping[str, Any] | None = None,
) -> Reading:  # fmt: skip
    """The record in resources, as `read`."""
    now = now or datetime.now(timezone.utc)
    if not any(feature.code for feature in schema.features):
        raise RecordError("the features of this model have no codes, so nothing of a Bundle can be theirs; see docs/schema.md, key code")
    person, of = patient(found), subject(found, patient(found))
    out = _Newest(before(at or now, within), at or now + GRACE, now)
    for stated in observations(schema, found, out.notes):
        out.take(stated)
    sources = out.chosen()
    sources |= conditions(schema, found, out.notes, sources, out.until, now)
    sources |= _of_the_person(schema, person, out, today(at or now))
    sources |= _computed(schema, {name: held for name, held in sources.items() if name not in (beside or {})})
    values = {f.name: sources[f.name][0] for f in schema.features if f.name in sources}
    told = tuple(replace(sources[f.name][1], title=f.title, value=_told(f, values[f.name])) for f in schema.features if f.name in sources)
    return Reading(values, told, _few(out.notes), of)


def _few(notes: Sequence[str]) -> tuple[str, ...]:
    """Each once, and no more than a person reads: those on what is left unknown before all others."""
    once = tuple(dict.fromkeys(notes))
    if len(once) <= MOST_NOTES:
        return once
    first = sorted(once, key=lambda note: not note.endswith("left unknown"))[:MOST_NOTES]
    return (*first, f"and {len(once) - MOST_NOTES:,} notes more")


def lacking(schema: Schema, reading: Reading) -> list[Feature]:
    """Features that the model cannot do without and the Bundle says nothing of."""
    return [f for f in schema.features if not f.optional and reading.values.get(f.name) is None]


class _Newest:
    """Of each feature the newest value of a window of time; order never matters."""

    def __init__(self, since: datetime, until: datetime, now: datetime) -> None:
        self.since, self.until, self.now = since, until, now
        self.notes, self.used, self._stated = list[str](), dict[str, tuple[Value, Stated]](), dict[str, list[Stated]]()
        self._passed = dict[tuple[str, str], set[str]]()

    def take(self, stated: Stated) -> None:
        """One more. Raises RecordError where it lies in the future."""
        if stated.when.start > self.now + GRACE:
            raise RecordError(f"{stated.entry.path} is of {stated.when.day}, which lies in the future; mend its time or leave it out")
        if stated.when.start >= self.until:
            self._passed.setdefault((stated.feature.title, "later than the day that was asked for"), set()).add(stated.when.day)
        elif stated.when.end <= self.since:
            self._passed.setdefault((stated.feature.title, "too old"), set()).add(stated.when.day)
        else:
            self._stated.setdefault(stated.feature.name, []).append(stated)

    def chosen(self) -> FoundValues:
        """The values. Raises RecordError where two of one time differ."""
        out: FoundValues = {}
        for (title, why), days in self._passed.items():  # years of readings are one line
            many = f" to {max(days)} ({len(days)} days)" if len(days) > 1 else ""
            self.notes.append(f"{title} of {min(days)}{many} is {why}, and left out")
        for name, every in self._stated.items():
            newest = _rivals(every)
            try:
                values = [(value_of(s.feature, s.element, s.path, s.measures), s) for s in newest]
            except Untold as untold:
                self.notes.append(f"{untold}: left unknown")
                continue
            value, first = values[0]
            for other, stated in values[1:]:
                if not _equal(value, other):
                    both = f"{first.path} ({_said(value)}) and {stated.path} ({_said(other)})"
                    raise RecordError(f"{both} are of one time and contradict each other: {first.feature.title}; leave one out")
            self.used[name] = value, first
            out[name] = value, Source(name, "", "", first.when.day, first.entry.reference)
        return out


def _rivals(every: Sequence[Stated]) -> list[Stated]:
    """The newest, and all that may be as new: times that are stated to the day overlap. In an order of their own."""
    end = max(stated.when.end for stated in every)
    start = min(stated.when.start for stated in every if stated.when.end == end)
    rivals = [stated for stated in every if stated.when.end > start]
    return sorted(rivals, key=lambda stated: (stated.when, stated.entry.reference, stated.path))


def _of_the_person(schema: Schema, person: Entry | None, read: _Newest, today: Span) -> FoundValues:
    """Age, on the day of the newest reading, and sex as the Patient has them. Raises RecordError where an Observation says otherwise."""
    if person is None:
        return {}
    unturned(person.resource, person.path)
    if person.resource.get("deceasedBoolean") not in (None, False) or person.resource.get("deceasedDateTime") is not None:
        read.notes.append(f"{person.path} says that this person has died")
    out: FoundValues = {}
    for feature in _coded(schema, AGE):
        birth, path = person.resource.get("birthDate"), f"{person.path}.birthDate"
        if birth is None or feature.kind != "number":
            continue
        if held := read.used.get(feature.name):
            least, most = ages(birth, held[1].when, path)
            _agree(feature, held, range(least, most + 1), path)
        on = max((stated.when for _, stated in read.used.values()), default=today)
        least, most = ages(birth, on, path)
        if most > least:
            read.notes.append(f"{path} leaves open whether the age is {least} or {most}: left unknown")
        else:
            out[feature.name] = least, Source(feature.name, "", "", on.day, person.reference)
    for feature in _coded(schema, SEX):
        gender, path = person.resource.get("gender"), f"{person.path}.gender"
        named = next((name for name, codes in feature.choice_codes if (GENDER, gender) in codes), None)
        if named:
            if held := read.used.get(feature.name):
                _agree(feature, held, (named,), path)
            out[feature.name] = named, Source(feature.name, "", "", "", person.reference)
        elif gender is not None:
            read.notes.append(f"{path} {str(gender)[:40]!r} is no choice of {feature.title} ({feature.allowed()}): left unknown")
    return out


def _agree(feature: Feature, held: tuple[Value, Stated], may: Sequence[Value], path: str) -> None:
    """Whether an Observation says what the Patient does. Raises RecordError."""
    value, stated = held
    if (int(value) if isinstance(value, float) else value) not in may:
        says = " or ".join(map(_said, may))
        raise RecordError(f"{stated.path} says {_said(value)}, {path} {says}: {feature.title}; leave one out")


def _computed(schema: Schema, sources: FoundValues) -> FoundValues:
    """What the others say exactly, as height and weight do a body mass index."""
    out: FoundValues = {}
    for relation in schema.following:
        name, others = str(relation.completes), [n for n in relation.features if n != relation.completes]
        if name in sources or not all(n in sources for n in others):
            continue
        row = np.full((1, len(schema)), np.nan)
        row[0, [schema.index[n] for n in others]] = [sources[n][0] for n in others]
        feature = schema[name]
        value = finely(float(rules.expected(schema, relation, row)[0]), math.inf, feature.step)
        if feature.coded(value) is not None:
            out[name] = value, Source(name, "", "", f"computed from {', '.join(schema[n].title for n in others)}", "")
    return out


def _coded(schema: Schema, coding: tuple[str, str]) -> Iterable[Feature]:
    return (feature for feature in schema.features if coding in feature.code)


def _equal(one: Value, other: Value) -> bool:
    if isinstance(one, int | float) and isinstance(other, int | float):
        return abs(one - other) <= 1e-9 * max(abs(one), abs(other))
    return one == other


def _said(value: Value) -> str:
    return number_text(value) if isinstance(value, int | float) else str(value)


def _told(feature: Feature, value: Value) -> str:
    return f"{_said(value)} {feature.unit if feature.kind == 'number' else ''}".rstrip()
