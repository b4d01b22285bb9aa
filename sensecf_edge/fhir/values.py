"""What a value[x] of an Observation says of a feature: a number in the feature's unit, one of its choices, or nothing."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Any

from ..errors import RecordError
from ..schema.cells import choice
from ..schema.codes import Coding
from ..schema.feature import Feature
from ..schema.parsing import LARGEST
from ..schema.record import Value
from .entries import an_object, codings
from .units import SYSTEM, code_of, converted

YES_NO = {
    ("http://snomed.info/sct", "373066001"): True, ("http://snomed.info/sct", "373067005"): False,
    ("http://terminology.hl7.org/CodeSystem/v2-0136", "Y"): True, ("http://terminology.hl7.org/CodeSystem/v2-0136", "N"): False,
    ("http://loinc.org", "LA33-6"): True, ("http://loinc.org", "LA32-8"): False,
}  # fmt: skip
"""Codes of yes and no, of SNOMED CT, HL7 v2 and LOINC."""


@dataclass(frozen=True)
class Source:
    """Where a value is from: of which feature, its title and what it says, on which day (or of what it was computed), what the
    resource is called. Day and reference are "" where there is none."""

    feature: str
    title: str
    value: str
    day: str
    reference: str


FoundValues = dict[str, tuple[Value, Source]]
"""Values by feature, each with where it is from."""


class Untold(Exception):  # noqa: N818
    """A coded value that the schema has no choice for: the feature stays unknown."""


def absent(element: dict[str, Any]) -> bool:
    """Whether an Observation, or a component of one, holds no value at all."""
    return not _kinds(element)


def value_of(feature: Feature, element: dict[str, Any], path: str, measures: Set[Coding]) -> Value:
    """The value of an Observation or a component as the feature's. Raises RecordError with the path; Untold."""
    kinds = _kinds(element)
    if len(kinds) != 1:
        raise RecordError(f"{path} holds {' and '.join(kinds) or 'no value'}; one value is needed")
    if element.get("dataAbsentReason"):
        raise RecordError(f"{path} holds a value and a dataAbsentReason, which says that there is none; leave one out")
    kind, where = kinds[0], f"{path}.{kinds[0]}"
    if feature.kind == "number" or feature.cut is not None:
        number = _number(feature, element[kind], kind, where, measures)
        if feature.cut is None:
            return int(number) if number == int(number) else number
        return feature.choices[int(number > feature.cut)]
    return _choice(feature, element[kind], kind, where)


def flag(feature: Feature, said: bool) -> str | None:
    """The choice that yes or no names; None where the feature has no such choices."""
    named = choice(feature.choices, said)
    return named or next((c for c in feature.choices if c.lower() == ("yes" if said else "no")), None)


def _kinds(element: dict[str, Any]) -> list[str]:
    return sorted(key for key, held in element.items() if key.startswith("value") and held is not None)


def _number(feature: Feature, held: Any, kind: str, where: str, measures: Set[Coding]) -> float:
    wanted = feature.ucum or "1"
    if kind == "valueInteger":
        number, unit = held, ""
        if code_of(wanted) != "1":
            raise RecordError(f"{where} has no unit; {wanted} is needed")
    elif kind == "valueQuantity":
        quantity = an_object(held, where)
        if quantity.get("comparator") is not None:
            raise RecordError(f"{where}.comparator is {quantity['comparator']!r}: an end of a range, no value; leave {feature.title} out")
        number, unit = quantity.get("value"), _unit(quantity, wanted, where)
    else:
        raise RecordError(f"{where} is no number; {feature.title} is a quantity in {wanted}")
    if isinstance(number, bool) or not isinstance(number, int | float) or not -LARGEST <= number <= LARGEST:
        raise RecordError(f"{where} holds no number of at most {LARGEST:,}")
    try:
        return converted(float(number), unit or "1", wanted, sorted(measures | set(feature.code)), feature.step)
    except RecordError as error:
        raise RecordError(f"{where}: {error}") from error


def _unit(quantity: dict[str, Any], wanted: str, where: str) -> str:
    """The unit's code; the unit as it is written, where there is no code."""
    system, code, written = (quantity.get(key) for key in ("system", "code", "unit"))
    if isinstance(code, str) and code:
        if system != SYSTEM:
            raise RecordError(f"{where}.system is {system!r}; units are read in UCUM ({SYSTEM})")
        return code
    if isinstance(written, str) and written:
        return written
    if code_of(wanted) != "1":
        raise RecordError(f"{where} has no unit; {wanted} is needed")
    return "1"


def _choice(feature: Feature, held: Any, kind: str, where: str) -> str:
    found: str | None = None
    if kind == "valueCodeableConcept":
        told = codings(held, where)
        names = {name for name, of in feature.choice_codes if told & set(of)}
        names |= {name for said in {YES_NO[one] for one in told & set(YES_NO)} if (name := flag(feature, said))}
        if len(names) > 1:
            raise RecordError(f"{where} says {' and '.join(sorted(names))} at once")
        if not told and isinstance(held.get("text"), str):
            found = choice(feature.choices, held["text"])
        found = next(iter(names), found)
    elif kind == "valueBoolean" and isinstance(held, bool):
        found = flag(feature, held)
    elif kind == "valueString" and isinstance(held, str):
        found = choice(feature.choices, held)
    else:
        raise RecordError(f"{where} cannot be read as {feature.title}, which is {feature.allowed()}")
    if found is None:
        raise Untold(f"{where} is no choice of {feature.title} ({feature.allowed()})")
    return found
