"""A Bundle taken apart: its resources with their paths, and whose they are. What could be of two people is refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ..errors import RecordError
from ..schema.codes import Coding

TELLING = ("Observation", "Condition", "Patient")
"""Resources that say something of a record."""


class Entry(NamedTuple):
    """A resource, the path to it, and its fullUrl ("" where it has none)."""

    path: str
    url: str
    resource: dict[str, Any]

    @property
    def reference(self) -> str:
        """What others call it: Observation/bp-1, or its fullUrl where it has no id; "" where it has neither."""
        held = self.resource.get("id")
        return f"{self.resource['resourceType']}/{held}" if isinstance(held, str) and held else self.url


def entries(data: Any, root: str = "Bundle") -> list[Entry]:
    """Observations, Conditions and Patients of a Bundle. Raises RecordError with the path of what cannot be read."""
    bundle = an_object(data, root)
    if bundle.get("resourceType") != "Bundle":
        raise RecordError(f"{root}.resourceType is {bundle.get('resourceType')!r}; a FHIR Bundle is needed")
    if bundle.get("type") == "history":
        raise RecordError(f"{root}.type is 'history', which holds older versions of the same; give a searchset or a collection")
    unturned(bundle, root)
    for k, link in enumerate(a_list(bundle.get("link"), f"{root}.link")):
        if isinstance(link, dict) and link.get("relation") == "next":
            raise RecordError(f"{root}.link[{k}] says that this is one page of several; ask for all of it")
    out = list[Entry]()
    for k, item in enumerate(a_list(bundle.get("entry"), f"{root}.entry")):
        path, entry = f"{root}.entry[{k}]", an_object(item, f"{root}.entry[{k}]")
        if "resource" in entry:
            url, resource = entry.get("fullUrl", ""), an_object(entry["resource"], f"{path}.resource")
            out += telling(Entry(f"{path}.resource", url if isinstance(url, str) else "", resource))
    return out


def telling(entry: Entry) -> Iterator[Entry]:
    """The entry, where it says something of a record. Raises RecordError where what it holds inside would."""
    kind = entry.resource.get("resourceType")
    if kind == "OperationOutcome":
        for k, issue in enumerate(a_list(entry.resource.get("issue"), f"{entry.path}.issue")):
            if isinstance(issue, dict) and issue.get("severity") in ("fatal", "error"):
                raise RecordError(f"{entry.path}.issue[{k}] says that not all could be had; ask for all of it again")
    if kind == "Bundle":
        raise RecordError(f"{entry.path} is a Bundle inside a Bundle; give one that holds the resources themselves")
    for k, held in enumerate(a_list(entry.resource.get("contained"), f"{entry.path}.contained")):
        if isinstance(held, dict) and held.get("resourceType") in TELLING:
            what = f"{entry.path}.contained[{k}] is a {held['resourceType']} inside another resource"
            raise RecordError(f"{what}; give it an entry of its own, so that it is plain whose it is")
    if kind in TELLING:
        yield entry


def patient(found: Sequence[Entry]) -> Entry | None:
    """The one Patient there is; None where there is none. Raises RecordError where there are several."""
    people = [entry for entry in found if entry.resource["resourceType"] == "Patient"]
    for other in people[1:]:
        if other.resource != people[0].resource:
            raise RecordError(f"{people[0].path} and {other.path} are two patients; give a Bundle of one person")
    return people[0] if people else None


def subject(found: Sequence[Entry], person: Entry | None) -> str:
    """What the one person is called in references; "" where nobody says. Raises RecordError where there are several."""
    called = {person.reference: person.path} if person and person.reference else {}
    own = {person.reference, person.url} if person else set()
    elsewhere, shown = dict[str, str](), dict[str, str]()
    for entry in found:
        if entry.resource["resourceType"] == "Patient":
            continue
        told = of_whom(entry)
        if not told and isinstance(name := _subject(entry).get("display"), str):
            shown.setdefault(name, entry.path)  # nothing but a name says who it is
        if len(shown) > 1:
            first, second = list(shown.values())[:2]
            raise RecordError(f"{first}.subject and {second}.subject have two names and no reference; give a Bundle of one person")
        if not told or told in own:
            continue
        known = elsewhere if person and _same(told, person) else called
        for other, path in known.items():
            if other != told:
                raise RecordError(f"{entry.path}.subject is {told}, {path} is of {other}; give a Bundle of one person")
        if known is called or "://" in told:  # the same id on two servers is two people
            known[told] = entry.path + ".subject"
    return next(iter(called), "")


def of_whom(entry: Entry) -> str:
    """Whom an Observation or a Condition is of: a reference or an identifier; "" where it does not say. Raises RecordError."""
    held = _subject(entry)
    reference, identifier = held.get("reference"), held.get("identifier")
    if isinstance(reference, str) and reference:
        reference = reference.partition("/_history")[0]
        if reference.startswith("#"):
            raise RecordError(f"{entry.path}.subject is {reference}, inside the resource; refer to a Patient of the Bundle")
        if (kind := reference.rpartition("/")[0].rpartition("/")[2])[:1].isupper() and kind != "Patient":
            raise RecordError(f"{entry.path}.subject is {reference[:80]}, no Patient; leave it out")
        return reference
    return f"{identifier.get('system')}|{identifier.get('value')}" if isinstance(identifier, dict) and identifier.get("value") else ""


def _subject(entry: Entry) -> dict[str, Any]:
    held = entry.resource.get("subject")
    return an_object({} if held is None else held, f"{entry.path}.subject")


def _same(told: str, person: Entry) -> bool:
    """Whether a reference, or an identifier, is this Patient's."""
    known = [i for i in a_list(person.resource.get("identifier"), f"{person.path}.identifier") if isinstance(i, dict)]
    if told in {f"{i.get('system')}|{i.get('value')}" for i in known}:
        return True
    absolute = "://" in told
    return absolute and "://" not in person.url and told.endswith("/" + person.reference)


def unturned(element: dict[str, Any], path: str) -> None:
    """Raises RecordError for what changes the meaning of an element in a way that is not known here."""
    if element.get("modifierExtension") or element.get("implicitRules"):
        raise RecordError(f"{path} has a modifierExtension or implicitRules, which may turn its meaning; leave it out")


def codings(concept: Any, path: str) -> set[Coding]:
    """The codes of a CodeableConcept that name their system. Raises RecordError."""
    held = an_object({} if concept is None else concept, path)
    out = set()
    for k, one in enumerate(a_list(held.get("coding"), f"{path}.coding")):
        coding = an_object(one, f"{path}.coding[{k}]")
        if isinstance(coding.get("system"), str) and isinstance(coding.get("code"), str):
            out.add((coding["system"], coding["code"]))
    return out


def an_object(value: Any, path: str) -> dict[str, Any]:
    """A JSON object. Raises RecordError with the path."""
    if not isinstance(value, dict):
        raise RecordError(f"{path} is no JSON object")
    return value


def a_list(value: Any, path: str) -> list[Any]:
    """A JSON list; empty where there is nothing. Raises RecordError with the path."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise RecordError(f"{path} is no JSON list")
    return value
