"""CDS Hooks 2.0 as plain JSON: what is offered, what is asked, cards. Nothing is fetched from a FHIR server: all comes by prefetch.

No suggestion holds an action: what an answer would change is for people to read, and never becomes a resource.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..answer.result import Explanation
from ..errors import RecordError
from ..report.rendering import DISCLAIMER
from ..report.short import cut, option
from ..report.wording import Wording, plain
from ..schema.codes import LOINC
from ..schema.feature import Feature
from ..schema.schema import Schema
from .entries import Entry, an_object, entries, telling
from .reading import AGE, SEX, Reading

HOOK = "patient-view"
SUMMARY, LABEL = 139, 80
"""Characters: a summary has under 140."""
REASONS = "urn:sensecf-edge:override-reason"
OVERRIDE = {
    "not-possible": "None of this is possible for this person", "declined": "The person declines", "known": "Known and already acted upon",
    "wrong-data": "The record is wrong or too old", "disagree": "I do not agree with the prediction", "other": "Another reason",
}  # fmt: skip


class UnfetchedError(RecordError):
    """The request does not bring what the service asks for by prefetch."""


@dataclass(frozen=True)
class HookCall:
    """A call of the hook: the resources, and whose they are."""

    found: tuple[Entry, ...]
    person: str


def service(key: str, title: str, schema: Schema) -> dict[str, Any]:
    """One model in the answer to discovery."""
    return {
        "hook": HOOK, "id": key, "title": plain(title), "prefetch": prefetch(schema),
        "description": f"Risk by the model “{plain(title)}”, and what would have to be otherwise for another prediction.",
        "usageRequirements": "Every prefetch template has to be filled in. Research use: no diagnosis, no treatment.",
    }  # fmt: skip


def prefetch(schema: Schema) -> dict[str, str]:
    """What the service wants to be given. Components are searched as well; conditions where the model knows codes that are not LOINC's."""
    codes = sorted({coding for feature in schema.features for coding in feature.code} - {AGE, SEX})
    out = {"patient": "Patient/{{context.patientId}}"}
    listed = ",".join(f"{system}|{code}" for system, code in codes)
    if listed:
        out["observations"] = f"Observation?patient={{{{context.patientId}}}}&combo-code={listed}"
    others = ",".join(f"{system}|{code}" for system, code in codes if system != LOINC)
    return {**out, "conditions": f"Condition?patient={{{{context.patientId}}}}&code={others}"} if others else out


def asked(body: Mapping[str, Any], schema: Schema) -> HookCall:
    """A request's resources. Raises RecordError for what is no call of this hook, UnfetchedError where prefetch is missing."""
    if body.get("hook") != HOOK:
        raise RecordError(f"hook is {str(body.get('hook'))[:40]!r}; this service answers {HOOK!r}")
    if not isinstance(body.get("hookInstance"), str) or not body["hookInstance"]:
        raise RecordError("hookInstance is missing")
    person = an_object(body.get("context"), "context").get("patientId")
    if not isinstance(person, str) or not person:
        raise RecordError("context.patientId is missing")
    held, wanted = body.get("prefetch"), prefetch(schema)
    if not isinstance(held, dict) or set(wanted) - set(held):
        lacks = ", ".join(sorted(set(wanted) - set(held if isinstance(held, dict) else ())))
        raise UnfetchedError(f"prefetch lacks {lacks}; this service asks no FHIR server, so the request has to bring it")
    found = list[Entry]()
    for key in wanted:
        found += _fetched(held[key], f"prefetch.{key}", key == "patient")
    for entry in found:
        if entry.resource["resourceType"] == "Patient" and entry.resource.get("id") != person:
            raise RecordError(f"{entry.path}.id is not context.patientId")
    return HookCall(tuple(found), person)


def _fetched(held: Any, path: str, single: bool) -> list[Entry]:
    """The resources of one key; none where it is null, which says that there are none."""
    if held is None:
        return []
    resource = an_object(held, path)
    if resource.get("resourceType") == "OperationOutcome":
        raise UnfetchedError(f"{path} could not be fetched (OperationOutcome)")
    if not single:
        return entries(resource, path)
    if resource.get("resourceType") != "Patient":
        raise RecordError(f"{path}.resourceType is {str(resource.get('resourceType'))[:40]!r}, not 'Patient'")
    return list(telling(Entry(path, "", resource)))


def card(explanation: Explanation, schema: Schema, reading: Reading, title: str) -> dict[str, Any]:
    """The answer. An option that was agreed upon comes back as an accepted suggestion, which holds no action."""
    e, say = explanation, Wording(explanation, schema)
    risk = say.risk(e.risk.now)
    if e.status == "depends":
        risk = f"{say.span(e.risk.low, e.risk.high) or risk}: it depends on what is unknown"
    first = f"Risk of “{say.unwanted}” {risk} ({say.base()})"
    many = len(e.found)
    options = [option(e, schema, answer) for answer in e.found]
    detail = [*say.prediction(), *filter(None, [say.deciding()]), *(f"Option {k}: {text}." for k, text in enumerate(options, 1))]
    detail += [] if e.found or e.status == "already" else [say.none()]
    detail += [*say.notes(), f"Read from the record: {'; '.join(reading.lines())}.", DISCLAIMER]
    summary = f"{first}; {many} option{'s'[: many != 1]} to lower it" if many else first
    made = _card(summary, "warning" if many else "info", detail, title, e)
    if not many:
        return made
    labels = [cut(f"Agreed: option {k}, {', '.join(say.title(c.feature) for c in a.changes)}", LABEL) for k, a in enumerate(e.found, 1)]
    suggestions = [{"label": label, "uuid": str(uuid.uuid4())} for label in labels]
    reasons = [{"code": code, "system": REASONS, "display": display} for code, display in OVERRIDE.items()]
    return {**made, "suggestions": suggestions, "selectionBehavior": "at-most-one", "overrideReasons": reasons}


def no_card(why: str, lacking: Sequence[Feature], reading: Reading | None, title: str) -> dict[str, Any]:
    """That no risk is told, and why: values are missing, or the record cannot be read in one way only."""
    if lacking:
        many = f"{len(lacking)} value{'s are' if len(lacking) > 1 else ' is'} missing"
        detail = ["The model cannot do without: " + "; ".join(f"{f.title} ({f.allowed()})" for f in lacking) + "."]
    else:
        many, detail = "the record leaves something open", [why]
    return _card(f"{plain(title)}: no risk, {many}", "info", [*detail, *(reading.lines() if reading else [])], title, None)


def _card(summary: str, indicator: str, detail: Sequence[str], title: str, explanation: Explanation | None) -> dict[str, Any]:
    bundle = f" · bundle {explanation.provenance.bundle[:12]}" if explanation else ""
    return {
        "uuid": str(uuid.uuid4()), "summary": cut(plain(summary), SUMMARY), "indicator": indicator,
        "detail": "\n".join(f"- {markdown(text)}" for text in detail if text),
        "source": {"label": plain(f"SenseCF-Edge · {title}{bundle}")},
    }  # fmt: skip


def markdown(text: str) -> str:
    """A text that stays text where GitHub Flavored Markdown is drawn: no markup, no link, no image, no tag."""
    escaped = re.sub(r"([\\`*_\[\]<>~&|#@])", r"\\\1", plain(text).strip())
    return re.sub(r"(?i)(www)\.", r"\1\\.", escaped.replace("://", "\\://"))


@dataclass(frozen=True)
class Feedback:
    """What became of a card. `suggestion`: the accepted one."""

    card: str
    accepted: bool
    reason: str = ""
    suggestion: str = ""


def feedback(body: Mapping[str, Any]) -> list[Feedback]:
    """The notes of a request to a feedback endpoint. Raises RecordError."""
    items = body.get("feedback")
    if not isinstance(items, list) or not items:
        raise RecordError("feedback is a list of what became of cards")
    return [_noted(an_object(item, f"feedback[{k}]"), f"feedback[{k}]") for k, item in enumerate(items)]


def _noted(item: dict[str, Any], path: str) -> Feedback:
    of, outcome = item.get("card"), item.get("outcome")
    if not isinstance(of, str) or outcome not in ("accepted", "overridden"):
        raise RecordError(f"{path} needs a card and an outcome, accepted or overridden")
    if outcome == "accepted":
        taken = item.get("acceptedSuggestions")
        if not isinstance(taken, list) or len(taken) != 1 or not isinstance(taken[0], dict) or not isinstance(taken[0].get("id"), str):
            raise RecordError(f"{path}.acceptedSuggestions names the one suggestion that was accepted, by its id")
        return Feedback(of, True, suggestion=taken[0]["id"])
    why = an_object(item.get("overrideReason", {}), f"{path}.overrideReason")
    coded = an_object(why.get("reason", {}), f"{path}.overrideReason.reason").get("code")
    words = [OVERRIDE.get(coded, coded) if isinstance(coded, str) else "", why.get("userComment")]
    return Feedback(of, False, ". ".join(word for word in words if isinstance(word, str) and word))
