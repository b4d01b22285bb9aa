"""Conditions as yes and no. That no Condition is stated says nothing: it is unknown, not no."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import RecordError
from ..schema.feature import Feature
from ..schema.schema import Schema
from .entries import Entry, codings
from .values import Found, Source, flag

PRESENT, PAST = ("active", "recurrence", "relapse"), ("resolved",)
DOUBTED = ("unconfirmed", "provisional", "differential")


def conditions(schema: Schema, found: Sequence[Entry], notes: list[str], observed: Found) -> Found:
    """Features that Conditions decide. An active one is a yes, whenever it began; refuted and resolved ones alone are a no.

    Raises RecordError where an Observation says otherwise.
    """
    said = dict[str, list[tuple[bool, Entry]]]()
    for entry in found:
        if entry.resource["resourceType"] != "Condition":
            continue
        coded = codings(entry.resource.get("code"), f"{entry.path}.code")
        for feature in schema.features:
            if coded & set(feature.code) and (verdict := _verdict(feature, entry, notes)) is not None:
                said.setdefault(feature.name, []).append((verdict, entry))
    out: Found = {}
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
    if entry.resource.get("modifierExtension") or entry.resource.get("implicitRules"):
        raise RecordError(f"{entry.path} has a modifierExtension or implicitRules, which may turn its meaning; leave it out")
    sure, state = (_status(entry, key) for key in ("verificationStatus", "clinicalStatus"))
    if sure == "entered-in-error":
        return None
    if sure == "refuted":
        return False
    if sure in DOUBTED or state not in (*PRESENT, *PAST):
        notes.append(f"{entry.path} is {sure if sure in DOUBTED else state or 'without a clinicalStatus'}: {feature.title} is left unknown")
        return None
    return state in PRESENT


def _status(entry: Entry, key: str) -> str:
    told = sorted(code for _, code in codings(entry.resource.get(key), f"{entry.path}.{key}"))
    if len(told) > 1:
        raise RecordError(f"{entry.path}.{key} says {' and '.join(told)} at once")
    return told[0] if told else ""
