"""Made-up health records in FHIR R4: a Patient and Observations, as plain JSON."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from typing import Any

LOINC, SNOMED, UCUM = "http://loinc.org", "http://snomed.info/sct", "http://unitsofmeasure.org"
DAY = "2026-05-01T08:30:00+02:00"


def concept(code: str, system: str = LOINC) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def concepts(*codes: str, system: str = LOINC) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code} for code in codes]}


def quantity(value: Any, unit: str, **more: Any) -> dict[str, Any]:
    return {"value": value, "unit": unit, "system": UCUM, "code": unit, **more}


def observation(loinc: str, when: str | None = DAY, of: str | None = "Patient/p1", **more: Any) -> dict[str, Any]:
    """An Observation; its value[x] and all else in `more`."""
    out: dict[str, Any] = {"resourceType": "Observation", "status": "final", "code": concept(loinc)}
    out |= {"effectiveDateTime": when} if when else {}
    out |= {"subject": {"reference": of}} if of else {}
    return out | more


def pressure(systolic: float, diastolic: float, when: str = DAY) -> dict[str, Any]:
    both = (("8480-6", systolic), ("8462-4", diastolic))
    parts = [{"code": concept(code), "valueQuantity": quantity(value, "mm[Hg]")} for code, value in both]
    return observation("85354-9", when, id="bp", component=parts)


def patient(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1969-07-20", **more}


def condition(snomed: str, clinical: str | None = "active", sure: str | None = "confirmed", **more: Any) -> dict[str, Any]:
    base = "http://terminology.hl7.org/CodeSystem/condition-"
    out = {"resourceType": "Condition", "code": concept(snomed, SNOMED), "subject": {"reference": "Patient/p1"}}
    out |= {"clinicalStatus": concept(clinical, base + "clinical")} if clinical else {}
    out |= {"verificationStatus": concept(sure, base + "ver-status")} if sure else {}
    return out | more


def bundle(*resources: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": resource} for resource in resources], **more}


def survey() -> list[dict[str, Any]]:
    """All that the shipped model `metabolic` cannot do without, and more."""
    return [
        patient(),
        observation("8302-2", id="height", valueQuantity=quantity(64, "[in_i]")),
        observation("29463-7", id="weight", valueQuantity=quantity(84.2, "kg")),
        observation("29463-7", "2025-11-01", id="earlier", valueQuantity=quantity(90, "kg")),
        observation("8867-4", id="pulse", valueQuantity=quantity(76, "{beats}/min")),
        pressure(142, 88),
        observation("2093-3", "2026-04-11", id="cholesterol", valueQuantity=quantity(213, "mg/dL")),
        observation("2085-9", "2026-04-11", id="hdl", valueQuantity=quantity(44, "mg/dL")),
        observation("89555-7", id="sport", valueQuantity=quantity(2, "d/wk")),
        observation("72166-2", "2026-01-02", id="smoking", valueCodeableConcept=concept("8517006", SNOMED)),
    ]


def lately(resources: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same, of ten days ago; what was said to be earlier is left out."""
    when = (datetime.now(timezone.utc) - timedelta(days=10)).isoformat(timespec="seconds")
    told = json.loads(re.sub(r'"effectiveDateTime": "[^"]*"', f'"effectiveDateTime": "{when}"', json.dumps(resources)))
    return [one for one in told if one.get("id") != "earlier"]
