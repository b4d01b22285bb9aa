"""Conditions as yes and no. That no Condition is stated says nothing: it is unknown, not no."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ..errors import RecordError
from ..schema.feature import Feature
from ..schema.schema import Schema
from .entries import Entry, codings, unturned
from .moments import GRACE, span
from .values import FoundValues, Source, flag

PRESENT, PAST = ("active", "recurrence", "relapse"), ("resolved",)
DOUBTED = ("unconfirmed", "provisional", "differential")


def conditions(
    schema: Schema, found: Sequence[Entry], notes: list[str], observed: FoundValues, until: datetime, now: datetime
) -> FoundValues:
    """Features that Conditions decide. An active one is a yes, whenever it began; refuted and resolved ones alone are a no. What
    began or was recorded after `until` is left out.

    Raises RecordError where an Observation says otherwise, and for what lies in the future.
    """
    said = dict[str, list[tuple[bool, Entry]]]()
    for entry in found:
        if entry.resource["resourceType"] != "Condition":
            continue
        coded = codings(entry.resource.get("code"), f"{entry.path}.code")
        for feature in schema.features:
            if not coded & set(feature.code) or not _by_then(entry, until, now, notes):
                continue
            if (verdict := _verdict(feature, entry, notes)) is not None:
                said.setdefault(feature.name, []).append((verdict, entry))
    out: FoundValues = {}
    for name, verdicts in said.items():
        verdict, entry = max(verdicts, key=lambda held: (held[0], held[1].reference))
        value = flag(schema[name], verdict)
        if name in observed and observed[name][0] != value:
            raise RecordError(f"{entry.path} says {value}, an Observation {observed[name][0]}: {schema[name].title}; leave one out")
        out[name] = value, Source(name, "", "", "", entry.reference)
    return out


def _verdict(feature: Feature, entry: Entry, notes: list[str]) -> bool | None:
    """Whether the person has it; None where the Condition leaves that open."""
    if flag(feature, True) is None or flag(feature, False) is None:
        raise RecordError(f"{entry.path} is a Condition, and {feature.title} is no yes or no but {feature.allowed()}")
    unturned(entry.resource, entry.path)
    sure, state = (_status(entry, key) for key in ("verificationStatus", "clinicalStatus"))
    if sure == "entered-in-error":
        return None
    if sure == "refuted":
        return False
    if sure in DOUBTED or state not in (*PRESENT, *PAST):
        notes.append(f"{entry.path} is {sure if sure in DOUBTED else state or 'without a clinicalStatus'}: {feature.title} is left unknown")
        return None
    return state in PRESENT


def _by_then(entry: Entry, until: datetime, now: datetime, notes: list[str]) -> bool:
    """Whether it was known then, as far as its dates say."""
    for key in ("onsetDateTime", "recordedDate"):
        if entry.resource.get(key) is None:
            continue
        told = span(entry.resource[key], f"{entry.path}.{key}")
        if told.start > now + GRACE:
            raise RecordError(f"{entry.path}.{key} is {told.day}, which lies in the future; mend it or leave it out")
        if told.start >= until:
            notes.append(f"{entry.path} is of {told.day}, later than the day that was asked for, and left out")
            return False
    return True


def _status(entry: Entry, key: str) -> str:
    told = sorted(code for _, code in codings(entry.resource.get(key), f"{entry.path}.{key}"))
    if len(told) > 1:
        raise RecordError(f"{entry.path}.{key} says {' and '.join(told)} at once")
    return told[0] if told else ""
