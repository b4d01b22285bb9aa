"""FHIR R4: what a Bundle says of a record, what is refused and where, and an answer as a RiskAssessment that others accept."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from copy import deepcopy
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from conftest import Ran
from hypothesis import given, settings
from hypothesis import strategies as st
from records import DAY, LOINC, SNOMED, bundle, concept, concepts, condition, lately, observation, patient, pressure, quantity, survey

from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.errors import RecordError
from sensecf_edge.explain import Explainer
from sensecf_edge.fhir import moments, ucum
from sensecf_edge.fhir.reading import Reading, lacking, read
from sensecf_edge.fhir.units import SUBSTANCES, converted
from sensecf_edge.fhir.writing import risk_assessment
from sensecf_edge.schema.schema import Schema

METABOLIC = Bundle.open("metabolic").schema
NOW = datetime(2026, 5, 20, tzinfo=timezone.utc)
YEAR = moments.within("1y")
CODED = Schema.from_json({"format": 1, "features": [
    {"name": "age", "low": 0, "high": 120, "step": 1, "optional": True, "code": {"system": LOINC, "code": "30525-0"}, "ucum": "a"},
    {"name": "sex", "kind": "choice", "choices": ["female", "male"], "optional": True, "code": {"system": LOINC, "code": "46098-0"},
     "choice_codes": {g: {"system": "http://hl7.org/fhir/administrative-gender", "code": g} for g in ("female", "male")}},
    {"name": "glucose", "low": 20, "high": 600, "step": 1, "unit": "mg/dL", "optional": True, "ucum": "mg/dL",
     "code": [{"system": LOINC, "code": "2345-7"}, {"system": LOINC, "code": "14749-6"}]},
    {"name": "weight", "low": 1, "high": 300, "step": 1, "unit": "kg", "optional": True, "ucum": "kg",
     "code": {"system": LOINC, "code": "29463-7"}},
    {"name": "score", "low": 0, "high": 100, "step": 1, "optional": True, "code": {"system": LOINC, "code": "1-8"}},
    {"name": "asthma", "kind": "choice", "choices": ["no", "yes"], "optional": True, "code": {"system": SNOMED, "code": "195967001"}},
    {"name": "high", "kind": "choice", "choices": ["no", "yes"], "optional": True, "ucum": "mg/dL", "cut": 120,
     "code": [{"system": LOINC, "code": "1558-6"}, {"system": LOINC, "code": "14771-0"}]},
    {"name": "smoker", "kind": "choice", "choices": ["never", "now"], "optional": True, "code": {"system": LOINC, "code": "72166-2"},
     "choice_codes": {"never": {"system": SNOMED, "code": "266919005"}, "now": {"system": SNOMED, "code": "449868002"}}},
]})  # fmt: skip


def reading(*resources: dict[str, Any], schema: Schema = CODED, within: timedelta = YEAR, **more: Any) -> Reading:
    return read(schema, bundle(*resources, **more), within, now=NOW)


def weight(value: Any = 80, unit: str = "kg", when: str | None = DAY, **more: Any) -> dict[str, Any]:
    return observation("29463-7", when, valueQuantity=quantity(value, unit), **more)


def refused(*resources: dict[str, Any], **more: Any) -> str:
    with pytest.raises(RecordError) as caught:
        reading(*resources, **more)
    return str(caught.value)


def test_a_bundle_is_read_as_a_person_would_read_it() -> None:
    found = read(METABOLIC, bundle(*survey()), YEAR, now=NOW)
    assert found.values == {
        "Age": 56, "Sex": "female", "Height": 163, "Weight": 84.2, "BMI": 31.7, "Pulse": 76, "BPSysAve": 142, "BPDiaAve": 88,
        "DirectChol": 1.14, "TotChol": 5.51, "PhysActive": "Yes", "Smoke100": "Yes", "SmokeNow": "No",
    }  # fmt: skip
    assert lacking(METABOLIC, found) == [] and found.subject == "Patient/p1"
    assert {s.feature: (s.day, s.reference) for s in found.sources}["BPSysAve"] == ("2026-05-01", "Observation/bp")


def test_what_the_others_say_exactly_is_computed_and_what_is_measured_stands() -> None:
    found = read(METABOLIC, bundle(*survey()), YEAR, now=NOW)
    assert "BMI 31.7 kg/m2, computed from Weight, Height" in found.lines()
    own = observation("39156-5", valueQuantity=quantity(31, "kg/m2"))
    assert read(METABOLIC, bundle(*survey(), own), YEAR, now=NOW).values["BMI"] == 31
    tall = [observation("8302-2", valueQuantity=quantity(1, "mm")), *[one for one in survey() if one.get("id") != "height"]]
    assert "BMI" not in read(METABOLIC, bundle(*tall), YEAR, now=NOW).values  # no body is so


def test_what_says_that_something_is_amiss_is_heard() -> None:
    assert "has died" in " ".join(reading(patient(deceasedBoolean=True), weight()).notes)
    assert "has died" in " ".join(reading(patient(deceasedDateTime="2026-05-02"), weight()).notes)
    assert "has died" not in " ".join(reading(patient(deceasedBoolean=False), weight()).notes)
    trouble = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "timeout"}]}
    assert "entry[1].resource.issue[0] says that not all could be had" in refused(weight(), trouble)
    assert reading(weight(), {**trouble, "issue": [{"severity": "information", "code": "informational"}]}).values == {"weight": 80}
    named = [weight(80, subject={"display": "Mrs X"}), weight(81, when="2026-05-02", subject={"display": "Mr Y"})]
    assert "have two names and no reference" in refused(*named)
    assert reading(*named[:1], weight(81, when="2026-05-02", subject={"display": "Mrs X"})).values == {"weight": 81}


ODD = (None, True, -1, 1e308, "", [], {}, "x" * 5_000, "\ud800", [[[]]], {"a": {"b": []}}, 10**30, math.nan, "Patient/p2", "<", "2026-13")


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_no_bundle_is_a_fault_of_ours_whatever_stands_where(data: st.DataObject) -> None:
    whole = bundle(*survey(), condition("195967001"))
    at: Any = whole
    while True:
        keys = sorted(at) if isinstance(at, dict) else range(len(at))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(at[key], dict | list) or not at[key] or data.draw(st.integers(0, 4)) == 0:
            break
        at = at[key]
    at[key] = data.draw(st.sampled_from(ODD))
    try:
        found = read(METABOLIC, whole, YEAR, now=NOW)
    except RecordError:
        return
    json.dumps(found.values, allow_nan=False)
    assert all(line.isprintable() for line in found.lines())


def test_the_made_up_records_are_fhir() -> None:
    models = pytest.importorskip("fhir.resources.R4B.bundle")
    models.Bundle.model_validate(bundle(*survey(), condition("195967001")))


@given(st.randoms(use_true_random=False))
def test_the_order_of_entries_never_matters(shuffled: random.Random) -> None:
    resources = [*survey(), weight(91, when="2026-04-01"), weight(84.2), condition("195967001"), observation("1-8", valueInteger=7),
                 observation("72166-2", "2026-05-02", valueCodeableConcept=concept("449868002", SNOMED), id="newer")]  # fmt: skip
    for schema in (METABOLIC, CODED):
        first = reading(*resources, schema=schema)
        shuffled.shuffle(resources)
        again = reading(*resources, schema=schema)
        assert (again.values, again.sources, again.subject) == (first.values, first.sources, first.subject)


UNITS = [
    "1", "%", "m", "cm", "mm", "[in_i]", "[ft_i]", "kg", "g", "[lb_av]", "[oz_av]", "[stone_av]", "mm[Hg]", "kPa", "cm[H2O]", "kg/m2",
    "/min", "/s", "Hz", "/h", "/d", "/(24.h)", "/wk", "d/wk", "h", "min", "s", "d", "h/d", "min/d", "a", "mo", "wk", "kcal", "kJ",
    "[Cal]", "kcal/d", "mg/dL", "g/L", "mg/L", "g/dL", "g%", "mg%", "mg/(100.mL)", "ug/mL", "mmol/L", "umol/L", "nmol/mL", "10*3/uL",
    "10*9/L", "/uL", "Cel", "[degF]", "K", "m[IU]/L", "[iU]/mL", "L/min", "mL/s",
]  # fmt: skip


@given(st.sampled_from(UNITS), st.data(), st.floats(0.01, 1e5))
def test_units_go_there_and_back(unit: str, data: st.DataObject, value: float) -> None:
    kind = {name: held.dimension for name in UNITS if (held := ucum.unit("/wk" if name == "d/wk" else name)) is not None}
    assert set(kind) == set(UNITS)
    like = sorted(name for name in UNITS if kind[name] == kind[unit])
    other = data.draw(st.sampled_from(like))
    near = 0.05 if kind[unit] == "temperature" else 0
    assert math.isclose(converted(converted(value, unit, other), other, unit), value, rel_tol=1e-4, abs_tol=near)


@pytest.mark.parametrize("value, unit, wanted, step, got", [
    (185, "[lb_av]", "kg", 1, 83.9), (13, "[stone_av]", "kg", 1, 83), (13.5, "[stone_av]", "kg", 1, 85.7), (70, "[in_i]", "cm", 1, 178),
    (1.62, "m", "cm", 1, 162), (5.7, "mmol/L", "mg/dL", 5, 103), (5.74, "mmol/L", "mg/dL", 5, 103.4),
    (103, "mg/100mL", "mmol/L", 0.1, 5.72), (103, "mg/(100.mL)", "mmol/L", 0.1, 5.72), (103, "mg%", "mg/dL", 5, 103),
    (16, "kPa", "mm[Hg]", 2, 120),
    (98.6, "[degF]", "Cel", 0.1, 37),
    (3, "/wk", "d/wk", 1, 3), (3, "{days}/wk", "d/wk", 1, 3), (49000, "/wk", "/d", 500, 7000), (84, "umol/L", "mg/dL", 0.1, 1.51),
])  # fmt: skip
def test_a_converted_value_is_as_precise_as_what_it_was_made_of_or_as_advice(
    value: float, unit: str, wanted: str, step: float, got: float
) -> None:
    assert converted(value, unit, wanted, [(LOINC, "2345-7")], step) == got


@pytest.mark.parametrize("unit, wanted", [
    ("mmol/mol", "%"), ("g/g", "%"), ("min/h", "%"), ("d/wk", "h/d"), ("/wk", "h/wk"), ("kg", "mm[Hg]"), ("kg/", "kg"), ("((kg)", "kg"),
    ("kg.", "kg"), ("m^2", "m2"), ("", "kg"), ("10*99", "kg"), ("kg-1", "kg"), ("kg" * 40, "kg"),
    ("kg0", "kg"), ("\u00b2", "kg"), ("MM", "cm"),
])  # fmt: skip
def test_a_unit_that_is_none_or_of_something_else_is_refused(unit: str, wanted: str) -> None:
    with pytest.raises(RecordError):
        converted(1, unit, wanted)


@given(st.text("()/.[]{}0123456789kgmLdhHo*^+-% '", max_size=30))
def test_no_text_in_place_of_a_unit_is_a_fault(text: str) -> None:
    held = ucum.unit(text)
    assert held is None or math.isfinite(held.size)


@given(st.sampled_from(sorted(SUBSTANCES)), st.floats(0.1, 1e3))
def test_amounts_become_masses_and_back_for_what_has_a_molar_mass(by: float, value: float) -> None:
    measures = [(LOINC, SUBSTANCES[by][0])]
    mass = converted(value, "mmol/L", "mg/dL", measures)
    assert math.isclose(mass, value * by, rel_tol=1e-4) and math.isclose(converted(mass, "mg/dL", "mmol/L", measures), value, rel_tol=1e-4)
    with pytest.raises(RecordError, match="mmol/L cannot become mg/dL"):
        converted(value, "mmol/L", "mg/dL", [(LOINC, "1-8")])


@pytest.mark.parametrize("value, unit, wanted, got", [
    (5.6, "mmol/L", "mg/dL", 100.89), (64, "[in_i]", "cm", 162.56), (185, "[lb_av]", "kg", 83.915), (18.9, "kPa", "mm[Hg]", 141.76),
    (1.2, "/s", "/min", 72), (72, "{beats}/min", "/min", 72), (72, "1/min", "/min", 72), (480, "min", "h", 8), (18, "mo", "a", 1.5),
    (100, "kJ", "kcal", 23.901), (7000, "{steps}/d", "/d", 7000), (7000, "/(24.h)", "/d", 7000), (0.45, "1", "%", 45),
    (72, "bpm", "/min", 72), (140, "mmHg", "mm[Hg]", 140),
    (180, "LBS", "kg", 81.647), (180, "Pounds", "kg", 81.647), (80, "KG", "kg", 80), (101, "MG/DL", "mg/dL", 101),
    (140, "MM[HG]", "mm[Hg]", 140),
    (31, "kg/m²", "kg/m2", 31), (5, "{score}", "1", 5),
])  # fmt: skip
def test_units_that_matter(value: float, unit: str, wanted: str, got: float) -> None:
    assert converted(value, unit, wanted, [(LOINC, "2345-7")]) == got


def test_the_newest_value_within_the_window_is_taken_and_the_older_is_said() -> None:
    found = reading(weight(82, when="2026-05-02"), weight(80), weight(70, when="2024-05-01"))
    assert found.values == {"weight": 82} and found.notes == ("weight of 2024-05-01 is too old, and left out",)
    assert reading(weight(70, when="2024-05-01"), within=moments.within("3y")).values == {"weight": 70}
    assert reading(weight(82, when="2026-05-02"), weight(80), within=moments.within("2w")).values == {}
    then = datetime(2026, 5, 1, 23, tzinfo=timezone.utc)
    early = read(CODED, bundle(weight(82, when="2026-05-02"), weight(80)), YEAR, then, NOW)
    assert early.values == {"weight": 80} and "later than the day" in early.notes[0]


@pytest.mark.parametrize("status", ["entered-in-error", "cancelled", "registered"])
def test_what_holds_no_result_is_left_out(status: str) -> None:
    found = reading(weight(999, status=status), weight(80, when="2026-04-01"))
    assert found.values == {"weight": 80} and status in found.notes[0]


def test_a_value_that_is_absent_is_unknown_and_its_reason_is_told() -> None:
    why = concept("asked-declined", "http://terminology.hl7.org/CodeSystem/data-absent-reason")
    found = reading(observation("29463-7", dataAbsentReason=why))
    assert found.values == {} and "asked-declined" in found.notes[0]


def test_kinds_of_values() -> None:
    yes = concept("373066001", SNOMED)
    assert reading(observation("1-8", valueInteger=7)).values == {"score": 7}
    assert reading(observation("1-8", valueQuantity={"value": 7.5})).values == {"score": 7.5}
    for value in ({"valueBoolean": True}, {"valueCodeableConcept": yes}, {"valueString": "yes"}, {"valueCodeableConcept": {"text": "yes"}}):
        made = observation("x", code=concept("195967001", SNOMED), **value)
        assert reading(made).values == {"asthma": "yes"}
    assert reading(observation("14771-0", valueQuantity=quantity(7.3, "mmol/L"))).values == {"high": "yes"}
    assert reading(observation("1558-6", valueQuantity=quantity(120, "mg/dL"))).values == {"high": "no"}
    assert reading(observation("2345-7", valueQuantity={"value": 101, "unit": "mg/dl"})).values == {"glucose": 101}
    assert reading(observation("14749-6", valueQuantity=quantity(5.6, "mmol/L"))).values == {"glucose": 101}
    twice = observation("2345-7", valueQuantity=quantity(101, "mg/dL")), observation("14749-6", valueQuantity=quantity(5.6, "mmol/L"))
    assert reading(*twice).values == {"glucose": 101}  # one measurement, told in two units
    untold = reading(observation("72166-2", valueCodeableConcept=concept("266927001", SNOMED)), weight())
    assert untold.values == {"weight": 80} and "is no choice of smoker" in untold.notes[0]


def test_age_is_that_of_the_day_of_the_newest_reading_and_sex_the_patients() -> None:
    born = patient(birthDate="1969-05-02")
    assert reading(born, weight()).values == {"age": 56, "sex": "female", "weight": 80}
    assert reading(born, weight(when="2026-05-02")).values["age"] == 57
    assert reading(born).values["age"] == 57  # nothing else is dated: today
    for doubtful in ("1969", "1969-05"):
        open_age = reading(patient(birthDate=doubtful), weight(when="2026-05-02"))
        assert "age" not in open_age.values and "age is 56 or 57" in open_age.notes[0]
    assert reading(patient(birthDate="1969-02"), weight()).values["age"] == 57
    assert "lies after" in refused(patient(birthDate="2030-01-01"), weight())
    other = reading(patient(gender="other"))
    assert "sex" not in other.values and "'other' is no choice of sex" in other.notes[0]


@pytest.mark.parametrize("given, value", [
    ([condition("195967001")], "yes"), ([condition("195967001", "recurrence")], "yes"), ([condition("195967001", sure=None)], "yes"),
    ([condition("195967001", "resolved")], "no"), ([condition("195967001", None, "refuted")], "no"), ([], None),
    ([condition("195967001", "remission")], None), ([condition("195967001", sure="provisional")], None),
    ([condition("195967001", sure="entered-in-error")], None), ([condition("195967001", None)], None), ([condition("1")], None),
    ([condition("195967001", "resolved"), condition("195967001", "active", id="again")], "yes"),
])  # fmt: skip
def test_conditions(given: list[dict[str, Any]], value: str | None) -> None:
    for order in (given, given[::-1]):
        assert reading(*order, weight()).values.get("asthma") == value


BP = pressure(142, 88)
AMBIGUOUS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "two patients": ([patient(), patient(id="p2")], "Bundle.entry[0].resource and Bundle.entry[1].resource are two patients"),
    "two subjects": ([weight(), weight(81, of="Patient/p2", when="2026-04-01")], "Bundle.entry[1].resource.subject is Patient/p2"),
    "another's, of another code": ([patient(), observation("999-9", of="Patient/p2", valueInteger=1)], "Bundle.entry[1].resource.subject"),
    "a condition of another": ([patient(), condition("1", subject={"reference": "Patient/p3"})], "is Patient/p3"),
    "two identifiers": ([weight(subject={"identifier": {"system": "urn:a", "value": "1"}}),
                         weight(subject={"identifier": {"system": "urn:a", "value": "2"}})], "one person"),
    "one time, two values": ([weight(80), weight(81)], "contradict each other: weight"),
    "one time in two zones": ([weight(80, when="2026-05-01T08:00:00+02:00"), weight(81, when="2026-05-01T06:00:00Z")], "contradict"),
    "a day and an hour of it": ([weight(80, when="2026-05-01"), weight(81, when="2026-05-01T10:00:00Z")], "contradict"),
    "two units of one time": ([observation("2345-7", valueQuantity=quantity(101, "mg/dL")),
                               observation("14749-6", valueQuantity=quantity(5.9, "mmol/L"))], "contradict each other: glucose"),
    "another unit": ([weight(80, "cm")], "Bundle.entry[0].resource.valueQuantity: cm cannot become kg"),
    "an unknown unit": ([weight(80, "[stone_tr]")], "Bundle.entry[0].resource.valueQuantity: the unit '[stone_tr]' is not known"),
    "no unit": ([observation("29463-7", valueQuantity={"value": 80})], "valueQuantity has no unit; kg is needed"),
    "a unit of another system": (
        [observation("29463-7", valueQuantity={"value": 80, "system": "urn:x", "code": "kg"})], "valueQuantity.system"),
    "a whole number without a unit": ([observation("29463-7", valueInteger=80)], "valueInteger has no unit"),
    "less than": ([weight(80, comparator="<") | {"valueQuantity": quantity(80, "kg", comparator="<")}], "valueQuantity.comparator is '<'"),
    "the future": ([weight(80, when="2026-05-23")], "Bundle.entry[0].resource is of 2026-05-23, which lies in the future"),
    "no time": ([weight(when=None)], "Bundle.entry[0].resource.effective[x] is missing"),
    "no such day": ([weight(when="2026-02-30")], "effectiveDateTime '2026-02-30' is no date"),
    "a time without a zone": ([weight(when="2026-05-01T08:30:00")], "is no date of FHIR"),
    "two values": ([weight(valueString="80")], "holds valueQuantity and valueString"),
    "a text for a number": ([observation("29463-7", valueString="80")], "valueString is no number"),
    "a text in a quantity": ([weight("80")], "holds no number"),
    "a number without end": ([weight(10**400)], "holds no number of at most"),
    "a number that overflows": ([observation("2345-7", valueQuantity=quantity(1e308, "g/dL"))], "holds no number of at most"),
    "true as a number": ([weight(True)], "holds no number"),
    "a range": ([observation("29463-7", valueRange={"low": {"value": 1}})], "valueRange is no number"),
    "a modifier": ([weight(modifierExtension=[{"url": "urn:not"}])], "Bundle.entry[0].resource has a modifierExtension"),
    "rules": ([weight(implicitRules="urn:r")], "implicitRules"),
    "a modifier of a component": (
        [observation("85354-9", component=[{"code": concept("29463-7"), "valueQuantity": quantity(80, "kg"),
                                            "modifierExtension": [{"url": "urn:not"}]}])], "component[0] has a modifierExtension"),
    "a modifier of the patient": ([patient(modifierExtension=[{"url": "urn:not"}])], "Bundle.entry[0].resource has a modifierExtension"),
    "a value that is absent": ([weight(dataAbsentReason=concept("error"))], "holds a value and a dataAbsentReason"),
    "an end of a range that is none": ([weight() | {"valueQuantity": quantity(80, "kg", comparator=0)}], "comparator is 0"),
    "a device": ([weight(of="Device/1")], "Bundle.entry[0].resource.subject is Device/1, no Patient"),
    "a group elsewhere": ([weight(of="http://a.example/Group/1/_history/2")], "Group/1, no Patient"),
    "one id on two servers": ([patient(), weight(of="http://a.example/Patient/p1"),
                               weight(of="http://b.example/Patient/p1", when="2026-04-01")], "Bundle.entry[2].resource.subject"),
    "another age": ([patient(birthDate="1969-05-02"), observation("30525-0", valueQuantity=quantity(40, "a"))], "birthDate 56: age"),
    "another sex": ([patient(), observation("46098-0", valueCodeableConcept=concept("male", "http://hl7.org/fhir/administrative-gender"))],
                    "says male, Bundle.entry[0].resource.gender female: sex"),
    "a period from its end": ([weight(when=None, effectivePeriod={"start": "2026-05-02", "end": "2026-05-01"})], "begins after its end"),
    "a condition to come": ([condition("195967001", onsetDateTime="2026-07")], "onsetDateTime is 2026-07, which lies in the future"),
    "no such status": ([weight(status="done")], "Bundle.entry[0].resource.status is 'done'"),
    "no status": ([weight(status=None)], "status is 'None'"),
    "a patient inside": ([weight(contained=[patient(id="x")])], "Bundle.entry[0].resource.contained[0] is a Patient inside"),
    "an observation inside a report": (
        [{"resourceType": "DiagnosticReport", "contained": [weight()]}], "contained[0] is a Observation inside"),
    "a subject inside": ([weight(of="#x")], "Bundle.entry[0].resource.subject is #x, inside the resource"),
    "a bundle inside": ([bundle(weight())], "Bundle.entry[0].resource is a Bundle inside a Bundle"),
    "one code too many": ([weight(code=concepts("29463-7", "2345-7"))], "glucose and weight at once"),
    "a component of two codes": (
        [observation("85354-9", component=[{"code": concepts("29463-7", "2345-7"),
                                                       "valueInteger": 1}])], "resource.component[0].code names"),
    "two choices at once": (
        [observation("72166-2", valueCodeableConcept=concepts("266919005", "449868002", system=SNOMED))], "says never and now at once"),
    "a condition against an observation": (
        [condition("195967001"), observation("x", code=concept("195967001", SNOMED), valueBoolean=False)],
                                           "Bundle.entry[0].resource says yes, an Observation no"),
    "a condition where a number is needed": ([condition("29463-7", code=concept("29463-7"))], "weight is no yes or no"),
    "two states at once": (
        [condition("195967001", clinicalStatus=concepts("active", "resolved"))],
                           "clinicalStatus says active and resolved at once"),
    "codings that are none": ([weight(code={"coding": "29463-7"})], "Bundle.entry[0].resource.code.coding is no JSON list"),
    "a code that is none": ([weight(code="29463-7")], "Bundle.entry[0].resource.code is no JSON object"),
}  # fmt: skip


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_what_can_be_read_in_two_ways_is_refused_with_its_path(name: str) -> None:
    resources, said = AMBIGUOUS[name]
    assert said in refused(*resources)


@pytest.mark.parametrize("data, said", [
    ([], "Bundle is no JSON object"), ({}, "Bundle.resourceType is None"), (patient(), "Bundle.resourceType is 'Patient'"),
    (bundle(type="history"), "Bundle.type is 'history'"), (bundle(link=[{"relation": "next", "url": "x"}]), "Bundle.link[0]"),
    (bundle(entry={}), "Bundle.entry is no JSON list"), (bundle(entry=[3]), "Bundle.entry[0] is no JSON object"),
    (bundle(entry=[{"resource": []}]), "Bundle.entry[0].resource is no JSON object"),
])  # fmt: skip
def test_what_is_no_bundle_is_refused(data: Any, said: str) -> None:
    with pytest.raises(RecordError) as caught:
        read(CODED, data, YEAR, now=NOW)
    assert said in str(caught.value)


def test_years_of_readings_are_told_in_a_line_and_notes_end() -> None:
    years = [weight(when=f"{year}-{month:02d}-01") for year in range(2015, 2025) for month in range(1, 13)]
    assert reading(*years, weight()).notes == ("weight of 2015-01-01 to 2024-12-01 (120 days) is too old, and left out",)
    wrong = reading(*[weight(status="entered-in-error") for _ in range(500)], weight(), patient(gender="other"))
    assert wrong.values["weight"] == 80 and "sex" not in wrong.values
    assert len(wrong.notes) == 31 and "left unknown" in wrong.notes[0] and wrong.notes[-1] == "and 471 notes more"


def test_a_day_is_the_day_where_it_was_written() -> None:
    born = patient(birthDate="1969-05-02")
    for when, age in (("2026-05-02T00:30:00+02:00", 57), ("2026-05-01T23:30:00-08:00", 56)):
        made = reading(born, weight(when=when))
        assert made.values["age"] == age and {source.day for source in made.sources} == {when[:10], ""}
    vague = reading(born, weight(when="2026"))
    assert "age" not in vague.values and "age is 56 or 57" in vague.notes[0] and vague.sources[-1].day == "2026"
    same = observation("30525-0", "2026-05-01", valueQuantity=quantity(56, "a"))
    assert reading(born, same, weight(when="2026-05-02")).values["age"] == 57


def test_as_of_a_day_what_was_recorded_later_is_not_known() -> None:
    later = bundle(condition("195967001", recordedDate="2026-05-10"), weight())
    assert read(CODED, later, YEAR, at=datetime(2026, 5, 5, tzinfo=timezone.utc), now=NOW).values == {"weight": 80}
    assert read(CODED, later, timedelta(days=10**8), now=NOW).values == {"weight": 80, "asthma": "yes"}


def test_nothing_is_computed_of_what_stands_beside() -> None:
    two = observation("29463-7", valueQuantity=quantity(95, "kg")), observation("8302-2", valueQuantity=quantity(178, "cm"))
    assert read(METABOLIC, bundle(*two), YEAR, now=NOW).values["BMI"] == 30
    assert "BMI" not in read(METABOLIC, bundle(*two), YEAR, now=NOW, beside={"Weight": 70}).values


def test_what_is_plain_is_read() -> None:
    """Equal values of one time, a Patient twice, an absolute reference, a version in a reference, a focus, codes of others, no codes."""
    same = [weight(80), weight(80.0, id="again"), patient(), patient(), weight(80, of="Patient/p1/_history/3")]
    assert reading(*same).values["weight"] == 80
    url = {"resourceType": "Bundle", "entry": [{"fullUrl": "http://a.example/Patient/p1", "resource": patient()},
                                               {"resource": weight(of="http://a.example/Patient/p1")}]}  # fmt: skip
    assert read(CODED, url, YEAR, now=NOW).values["weight"] == 80
    url["entry"][0]["fullUrl"] = "http://b.example/Patient/p1"  # type: ignore[index]
    with pytest.raises(RecordError, match="one person"):
        read(CODED, url, YEAR, now=NOW)
    assert reading(weight(focus=[{"reference": "Patient/baby"}])).values == {}
    uncoded = reading(weight(code={"text": "Weight"}), weight(code=None), observation("5-5", valueInteger=3))
    assert uncoded.values == {} and uncoded.notes == ("2 Observations have no code with a system, and were left out",)
    period = {"start": "2026-04-01", "end": "2026-04-15"}
    assert reading(observation("29463-7", None, effectivePeriod=period, valueQuantity=quantity(80, "kg"))).values == {"weight": 80}
    assert reading(weight(contained=[{"resourceType": "Device", "id": "d"}])).values == {"weight": 80}
    assert reading({"resourceType": "OperationOutcome"}, weight()).values == {"weight": 80}


KEYS = ("resource", "entry", "code", "coding", "system", "value", "subject", "component", "status")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([10**400, -1e308, "\ud800", "\x00\n"]) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=8,
)


@given(st.data())
def test_whatever_stands_where_something_else_belongs_is_read_or_refused_in_words(data: st.DataObject) -> None:
    """Any part of a Bundle replaced by any JSON: never a fault of the program."""
    whole = bundle(*survey(), condition("195967001"))
    at: Any = whole
    while True:
        key = data.draw(st.sampled_from(list(at) if isinstance(at, dict) else range(len(at))))
        if not isinstance(at[key], dict | list) or not at[key] or data.draw(st.integers(0, 4)) == 0:
            break
        at = at[key]
    at[key] = data.draw(JSON)
    for schema in (METABOLIC, CODED):
        try:
            found = read(schema, whole, YEAR, now=NOW)
        except RecordError as error:
            assert str(error)
        else:
            assert set(found.values) <= set(schema.names)
            "".join(found.lines()).encode()


def test_a_model_without_codes_says_so() -> None:
    bare = Schema.from_json({"format": 1, "features": [{"name": "a", "low": 0, "high": 1, "step": 1}]})
    with pytest.raises(RecordError, match="have no codes"):
        read(bare, bundle(weight()), YEAR, now=NOW)


@pytest.mark.parametrize("text", ["", "1", "y", "0d", "-3d", "3 months", "1e3d"])
def test_a_window_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(RecordError, match="no length of time"):
        moments.within(text)


@pytest.mark.parametrize("model", ["heart", "metabolic", "stress"])
def test_an_answer_is_a_risk_assessment_that_others_accept(model: str) -> None:
    models = pytest.importorskip("fhir.resources.R4B.riskassessment")
    seen = set()
    with Explainer.load(model, threads=1) as explainer:
        schema = explainer.schema
        for sample in explainer.bundle.samples:
            for values in (sample.values, {name: None if schema[name].optional else value for name, value in sample.values.items()}):
                made = explainer.explain(values, n=2)
                seen.add(made.status)
                told = risk_assessment(made, schema, NOW)
                models.RiskAssessment.model_validate(told)
                (predicted,) = told["prediction"]
                if made.status == "depends":  # one number would read like a verdict
                    ends = [predicted["probabilityRange"][end] for end in ("low", "high")]
                    assert "probabilityDecimal" not in predicted and {end["code"] for end in ends} == {"%"}
                    assert [end["value"] for end in ends] == pytest.approx([100 * made.risk.low, 100 * made.risk.high], abs=1e-3)
                else:
                    assert predicted["probabilityDecimal"] == pytest.approx(100 * made.risk.now, abs=1e-3)
                assert ("mitigation" in told) == bool(made.found or made.status == "none")
                assert len(told["basis"]) == sum(value is not None for value in made.factual.values())
                assert json.dumps(told).count('"resourceType"') == 1  # no Observation of what would have to be otherwise
    assert len(seen) >= 2


def test_a_risk_assessment_refers_to_what_it_was_read_from() -> None:
    models = pytest.importorskip("fhir.resources.R4B.riskassessment")
    resources = deepcopy(survey())
    resources[3]["id"] = "no reference; <b>"
    found = read(METABOLIC, bundle(*resources), YEAR, now=NOW)
    with Explainer.load("metabolic", threads=1) as explainer:
        told = risk_assessment(explainer.explain(found.values), METABOLIC, NOW, found)
    models.RiskAssessment.model_validate(told)
    assert told["subject"]["reference"] == "Patient/p1"
    assert {"reference": "Observation/bp", "display": "Systolic blood pressure 142 mm Hg, 2026-05-01"} in told["basis"]
    weights = [one for one in told["basis"] if one["display"].startswith("Weight")]
    assert [("reference" in one) for one in weights] == [True]
    assert "rather than" in told["mitigation"]


def test_a_bundle_on_the_command_line(command: Callable[..., Ran], tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    path.write_text(json.dumps(bundle(*lately(survey()))), encoding="utf-8")
    ran = command("explain", "--fhir", path, "--model", "metabolic", "--format", "fhir")
    assert ran.code in (0, 3) and json.loads(ran.out)["resourceType"] == "RiskAssessment"
    assert "Systolic blood pressure, 20" in ran.err and "142" not in ran.err  # what is read is said, no value of it
    ran = command("explain", "--fhir", path, "--model", "heart")
    assert ran.code == 2 and "says nothing of the last 1 year on cp (Chest pain: one of typical angina" in ran.err
    assert "rest.json --fhir" in ran.err
    rest = {k: v for k, v in Bundle.open("heart").samples[1].values.items() if k not in ("age", "sex", "trestbps", "chol")}
    (tmp_path / "rest.json").write_text(json.dumps(rest), encoding="utf-8")
    ran = command("explain", tmp_path / "rest.json", "--fhir", path, "--model", "heart", "--json")
    factual = json.loads(ran.out)["factual"]
    assert (factual["trestbps"], factual["chol"], factual["cp"], factual["sex"]) == (142, 213, rest["cp"], "female")
    assert command("explain", "--fhir", path, "--sample", "1", "--model", "heart").code == 2
    (tmp_path / "part.json").write_text('{"DirectChol": null}', encoding="utf-8")
    ran = command("explain", tmp_path / "part.json", "--fhir", path, "--model", "metabolic", "--within", "99999y")
    assert ran.code in (0, 3) and "Systolic blood pressure, 20" in ran.err and "HDL cholesterol, 20" not in ran.err
    assert "lies in the future" in command("explain", "--fhir", path, "--model", "metabolic", "--at", "2999-05").err
    assert "no length of time" in command("explain", "--fhir", path, "--model", "heart", "--within", "soon").err
    assert "says nothing" in command("explain", "--fhir", path, "--model", "metabolic", "--within", "1d").err
    (tmp_path / "p.json").write_text(json.dumps(patient()), encoding="utf-8")
    assert "Bundle.resourceType is 'Patient'" in command("explain", "--fhir", tmp_path / "p.json", "--model", "heart").err
