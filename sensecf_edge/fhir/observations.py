"""Observations and their components as statements on features, each with its time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ..errors import RecordError
from ..schema.codes import Coding
from ..schema.feature import Feature
from ..schema.schema import Schema
from .entries import Entry, a_list, an_object, codings, unturned
from .moments import Span, span
from .values import absent

NONE = ("entered-in-error", "cancelled", "registered")
"""States of an Observation that holds no result."""
RESULT = ("final", "amended", "corrected", "preliminary", "unknown")


class Stated(NamedTuple):
    """What one Observation, or a component of it, says of a feature: the element that holds the value, its path, its time."""

    feature: Feature
    element: dict[str, Any]
    path: str
    when: Span
    entry: Entry
    measures: frozenset[Coding]


def observations(schema: Schema, found: Sequence[Entry], notes: list[str]) -> Iterator[Stated]:
    """All that the Observations state of this schema's features. What is passed over goes to `notes`. Raises RecordError."""
    by_code = dict[Coding, list[Feature]]()
    for feature in schema.features:
        for coding in feature.code:
            by_code.setdefault(coding, []).append(feature)
    uncoded = 0
    for entry in found:
        if entry.resource["resourceType"] != "Observation":
            continue
        uncoded += not codings(entry.resource.get("code"), f"{entry.path}.code")
        parts = list(_parts(entry, by_code))
        if parts and _counts(entry, notes):
            when = _time(entry)
            for features, element, path, measures in parts:
                unturned(element, path)
                if absent(element):
                    notes.append(f"{path} holds no value of {features[0].title}{_why(element)}")
                    continue
                yield from (Stated(feature, element, path, when, entry, measures) for feature in features)
    if uncoded:
        notes.append(f"{uncoded} Observations have no code with a system, and were left out")


def _parts(entry: Entry, by_code: dict[Coding, list[Feature]]) -> Iterator[tuple[list[Feature], dict[str, Any], str, frozenset[Coding]]]:
    """The Observation and its components, as far as their codes are features'."""
    components = a_list(entry.resource.get("component"), f"{entry.path}.component")
    elements = [(entry.path, entry.resource)]
    elements += [(path := f"{entry.path}.component[{k}]", an_object(one, path)) for k, one in enumerate(components)]
    for path, element in elements:
        measures = frozenset(codings(element.get("code"), f"{path}.code") & set(by_code))
        among = {tuple(f.name for f in by_code[coding]) for coding in measures}
        if len(among) > 1:
            raise RecordError(f"{path}.code names {' and '.join(sorted(', '.join(names) for names in among))} at once; leave one code out")
        if measures:
            yield by_code[min(measures)], element, path, measures


def _counts(entry: Entry, notes: list[str]) -> bool:
    """Whether it is a result, of the person. Raises RecordError for what changes its meaning in a way that is not known here."""
    held, status = entry.resource, entry.resource.get("status")
    unturned(held, entry.path)
    if status in NONE:
        notes.append(f"{entry.path} is {status}, and was left out")
        return False
    if status not in RESULT:
        raise RecordError(f"{entry.path}.status is {str(status)[:40]!r}, which is none of FHIR R4's")
    if held.get("focus"):
        notes.append(f"{entry.path}.focus says that it is about somebody or something else, and was left out")
        return False
    if status in ("preliminary", "unknown"):
        notes.append(f"{entry.path} is {status}" if status == "preliminary" else f"{entry.path} has the status unknown")
    return True


def _time(entry: Entry) -> Span:
    """When it was observed; of a period, its end."""
    held, path = entry.resource, f"{entry.path}.effective"
    for key in ("effectiveDateTime", "effectiveInstant"):
        if held.get(key) is not None:
            return span(held[key], f"{entry.path}.{key}")
    if held.get("effectivePeriod") is not None:
        period = an_object(held["effectivePeriod"], f"{path}Period")
        start, end = (span(period[key], f"{path}Period.{key}") if period.get(key) is not None else None for key in ("start", "end"))
        if start and end and start.start >= end.end:
            raise RecordError(f"{path}Period begins after its end; mend it or leave it out")
        if start or end:
            return end or start  # type: ignore[return-value]
    raise RecordError(f"{path}[x] is missing or of another kind, so nobody knows of when it is; state effectiveDateTime, or leave it out")


def _why(element: dict[str, Any]) -> str:
    reason = element.get("dataAbsentReason")
    told = sorted(code for _, code in codings(reason, "dataAbsentReason")) if isinstance(reason, dict) else []
    return f" ({told[0][:40]})" if told else ""
