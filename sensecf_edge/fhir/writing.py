"""An Explanation as a RiskAssessment of FHIR R4.

It holds what is predicted and what that rests on. What an answer would change stands in `mitigation`, as text: no Observation is made of
it, for nobody has measured it. R4 states probabilities as percentages, up to 100.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from .. import __version__
from ..answer.result import Explanation
from ..report.rendering import DISCLAIMER
from ..report.short import option
from ..report.wording import Wording, plain
from ..schema.schema import Schema
from .reading import Reading
from .units import SYSTEM as UCUM

NOBODY = "the person whom this record is of"
_REFERENCE = re.compile(r"(?:[A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64}|(?:https?|urn):[\x21-\x7e]{1,200})")


def risk_assessment(explanation: Explanation, schema: Schema, when: datetime, reading: Reading | None = None) -> dict[str, Any]:
    """The resource, computed at `when`. `reading`: the Bundle that the record is from, for references to what is in it."""
    e, say = explanation, Wording(explanation, schema)
    made = f"SenseCF-Edge {__version__}"
    lines = [f"{line.rstrip('.')}." for line in (*say.prediction(), say.deciding()) if line]
    out: dict[str, Any] = {
        "resourceType": "RiskAssessment", "status": "preliminary",  # nobody has looked at it
        "method": {"text": f"{made}, model {plain(e.provenance.model)}, bundle {e.provenance.bundle}"},
        "code": {"text": f"Risk of “{say.unwanted}”"},
        "subject": _reference(reading.subject if reading else "", NOBODY),
        "occurrenceDateTime": when.isoformat(timespec="seconds"),
        "performer": {"display": made},
        "basis": _basis(say, reading),
        "prediction": [{"outcome": {"text": say.unwanted}, **_probability(e), "rationale": " ".join(lines)}],
        "note": [{"text": text} for text in (*say.notes(), DISCLAIMER)],
    }  # fmt: skip
    return {**out, "mitigation": mitigation} if (mitigation := _mitigation(say)) else out


def _probability(e: Explanation) -> dict[str, Any]:
    """The risk; all that it may be where the prediction depends on what is unknown."""
    if e.status != "depends" or e.risk.low is None or e.risk.high is None:
        return {"probabilityDecimal": round(100 * e.risk.now, 4)}
    low, high = ({"value": round(100 * end, 4), "unit": "%", "system": UCUM, "code": "%"} for end in (e.risk.low, e.risk.high))
    return {"probabilityRange": {"low": low, "high": high}}


def _mitigation(say: Wording) -> str:
    """The options in sentences, or that there is none; empty where nothing has to change."""
    e = say.explanation
    if not e.found:
        return say.none() if e.status == "none" else ""
    many = len(e.found) > 1
    return " ".join(f"{f'Option {k}: ' if many else ''}{option(e, say.schema, answer)}." for k, answer in enumerate(e.found, 1))


def _basis(say: Wording, reading: Reading | None) -> list[dict[str, str]]:
    """The values that are known, each with the resource that it is from."""
    sources = {source.feature: source for source in reading.sources} if reading else {}
    out = list[dict[str, str]]()
    for name, value in say.explanation.factual.items():
        if value is None:
            continue
        told = f"{say.title(name)} {say.value(name)}"
        own = sources.get(name)
        out.append(_reference(own.reference if own else "", told + (f", {own.day}" if own and own.day else "")))
    return out


def _reference(reference: str, display: str) -> dict[str, str]:
    """A Reference; by its words alone where there is nothing to refer to."""
    return {**({"reference": reference} if _REFERENCE.fullmatch(reference) else {}), "display": display}
