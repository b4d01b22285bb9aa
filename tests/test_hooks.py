"""CDS Hooks 2.0 over real sockets: discovery, cards, feedback, and who is let in. What is hostile is refused and shows nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from records import SNOMED, bundle, concept, condition, lately, observation, patient, quantity, survey

pytest.importorskip("uvicorn", reason="the extra serve is not installed")

from test_serve import Served

from sensecf_edge.audit.chain import verify
from sensecf_edge.errors import ConstraintError
from sensecf_edge.explain import Explainer
from sensecf_edge.fhir import hooks
from sensecf_edge.fhir.reading import Reading
from sensecf_edge.schema.schema import Schema
from sensecf_edge.serve.hooks import key_in


class Program:
    """What calls the hooks: no browser, no session, a key."""

    def __init__(self, served: Served, log: Path) -> None:
        assert served.process.stdout is not None
        line = served.process.stdout.readline()
        found = re.fullmatch(r"CDS Hooks: http://127\.0\.0\.1:(\d+)/cds-services  Authorization: Bearer ([\w-]{32,})\n", line)
        assert found and int(found[1]) == served.port
        self.served, self.key, self.log = served, found[2], log

    def ask(self, method: str, path: str, body: Any = None, **headers: str | None) -> tuple[int, Any]:
        plain = {"Authorization": f"Bearer {self.key}", "Cookie": None, "Sec_Fetch_Site": None, "Origin": None}
        status, told, data = self.served.ask(method, path, body, **{**plain, **headers})
        assert "access-control-allow-origin" not in told and told["cache-control"] == "no-store"
        return status, json.loads(data) if told["content-type"] == "application/json" else data.decode()

    def call(self, prefetch: Any, name: str = "metabolic", **more: Any) -> tuple[int, Any]:
        context = {"userId": "Practitioner/1", "patientId": "p1"}
        question = {"hook": "patient-view", "hookInstance": "a-b-c", "context": context, "prefetch": prefetch}
        return self.ask("POST", f"/cds-services/{name}", {**question, **more})


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    log = tmp_path_factory.mktemp("hooks") / "audit.jsonl"
    served = Served("--model", "metabolic", "--port", 0, "--cds-hooks", "--audit", log)
    yield Program(served, log)
    ended = served.end()
    assert (ended.code, "fault" in ended.err) == (0, False), ended


def fetched(resources: list[dict[str, Any]]) -> dict[str, Any]:
    """What a client sends: the Patient, and all else in a searchset, of a few days ago."""
    first, *others = lately(resources)
    return {"patient": first, "observations": bundle(*others, type="searchset")}


def test_discovery_offers_the_models_whose_features_have_codes(program: Program) -> None:
    status, told = program.ask("GET", "/cds-services")
    assert status == 200 and [one["id"] for one in told["services"]] == ["metabolic", "heart", "stress"]
    for one in told["services"]:
        assert one["hook"] == "patient-view" and one["title"] and one["description"]
        assert one["prefetch"]["patient"] == "Patient/{{context.patientId}}"
    wanted = told["services"][0]["prefetch"]["observations"]
    assert wanted.startswith("Observation?patient={{context.patientId}}&combo-code=http://loinc.org|")
    assert "http://loinc.org|8480-6" in wanted and "30525-0" not in wanted  # age is the Patient's


def test_a_call_gets_a_card_that_keeps_to_the_standard(program: Program) -> None:
    status, told = program.call(fetched(survey()))
    assert status == 200
    (card,) = told["cards"]
    assert len(card["summary"]) < 140 and card["summary"].startswith("Risk of “Diabetes” ") and card["indicator"] == "warning"
    assert card["source"]["label"].startswith("SenseCF-Edge") and card["selectionBehavior"] == "at-most-one"
    assert "Option 1: The model would put the risk at" in card["detail"] and "not medical advice" in card["detail"]
    assert "Systolic blood pressure 142 mm Hg" in card["detail"]
    assert all(set(one) == {"label", "uuid"} for one in card["suggestions"]) and 1 <= len(card["suggestions"]) <= 3
    assert all(set(one) == {"code", "system", "display"} for one in card["overrideReasons"]) and len(card["overrideReasons"]) == 6
    assert "resourceType" not in json.dumps(told)  # nothing to be written anywhere


def test_feedback_goes_to_the_audit_log(program: Program) -> None:
    (card,) = program.call(fetched(survey()))[1]["cards"]
    path = "/cds-services/metabolic/feedback"
    taken = {"card": card["uuid"], "outcome": "accepted", "acceptedSuggestions": [{"id": card["suggestions"][0]["uuid"]}]}
    assert program.ask("POST", path, {"feedback": [taken]})[0] == 200
    reason = {"reason": {"code": "declined", "system": hooks.REASONS}, "userComment": "<b>knee</b>"}
    over = {"card": card["uuid"], "outcome": "overridden", "overrideReason": reason, "outcomeTimestamp": "2026-05-01T08:30:00Z"}
    assert program.ask("POST", path, {"feedback": [over]})[0] == 200
    assert not verify(program.log).faults
    answer, first, second = (json.loads(line) for line in program.log.read_text(encoding="utf-8").splitlines()[-3:])
    assert first["of"] == second["of"] == answer["hash"] and (first["accepted"], first["option"]) == (True, 1)
    assert (second["accepted"], second["reason"]) == (False, "The person declines. <b>knee</b>")
    assert "84.2" not in program.log.read_text(encoding="utf-8") and '"values"' not in program.log.read_text(encoding="utf-8")
    lines = len(program.log.read_text(encoding="utf-8").splitlines())
    for wrong, code in [({}, 400), ({"feedback": []}, 400), ({"feedback": [3]}, 400),
                        ({"feedback": [{"card": "x", "outcome": "seen"}]}, 400),
                        ({"feedback": [{**taken, "acceptedSuggestions": [{"id": s["uuid"]} for s in card["suggestions"]]}]}, 400),
                        ({"feedback": [{**taken, "acceptedSuggestions": []}]}, 400), ({"feedback": [over, {**over, "card": "x"}]}, 404),
                        ({"feedback": [{**taken, "acceptedSuggestions": [{"id": "x"}]}]}, 404)]:  # fmt: skip
        assert program.ask("POST", path, wrong)[0] == code, wrong
    for other in ("heart", "no-such"):
        assert program.ask("POST", f"/cds-services/{other}/feedback", {"feedback": [taken]})[0] == 404
    assert len(program.log.read_text(encoding="utf-8").splitlines()) == lines


def test_without_what_the_model_needs_a_card_says_what_is_missing(program: Program) -> None:
    (card,) = program.call({"patient": patient(), "observations": None})[1]["cards"]
    assert card["summary"] == "Diabetes from a health survey: no risk, 1 value is missing" and card["indicator"] == "info"
    assert "Does sport" in card["detail"] and "suggestions" not in card
    (card,) = program.call({"patient": None, "observations": None})[1]["cards"]
    assert "3 values are missing" in card["summary"]
    (card,) = program.call(fetched(survey()), "heart")[1]["cards"]
    assert "values are missing" in card["summary"] and "Chest pain" in card["detail"]


def test_a_record_that_leaves_something_open_gets_no_risk_and_the_path(program: Program) -> None:
    two = [*survey(), observation("29463-7", id="other", valueQuantity=quantity(60, "kg"))]
    (card,) = program.call(fetched(two))[1]["cards"]
    assert "no risk, the record leaves something open" in card["summary"] and "contradict each other: Weight" in card["detail"]
    old = fetched([patient(birthDate="1930-01-01"), *survey()[1:]])
    (card,) = program.call(old)[1]["cards"]
    assert "no risk" not in card["summary"] and "is read as 80 or over" in card["detail"]
    oldest = fetched([patient(birthDate="1880-01-01"), *survey()[1:]])
    (card,) = program.call(oldest)[1]["cards"]
    assert "no risk" in card["summary"] and "Age cannot be 14" in card["detail"]
    another = fetched([patient(), *[{**one, "subject": {"reference": "Patient/p2"}} for one in survey()[1:]]])
    (card,) = program.call(another)[1]["cards"]
    assert "no risk" in card["summary"]
    nobody = {**fetched(survey()), "patient": None}
    (card,) = program.call(nobody, context={"patientId": "p9"})[1]["cards"]
    assert "not of context.patientId" in card["detail"]


def test_what_is_no_call_of_this_hook_is_refused(program: Program) -> None:
    good = fetched(survey())
    assert program.call(good, hook="order-sign")[0] == 400 and program.call(good, hook=None)[0] == 400
    assert program.call(good, hookInstance="")[0] == 400
    assert program.call(good, context=None)[0] == 400 and program.call(good, context={"patientId": 3})[0] == 400
    assert program.call(good, context={"patientId": "p2"})[0] == 400  # the Patient that came is another
    for missing in (None, {}, [], {"patient": patient()}, {"patient": {"resourceType": "OperationOutcome"}, "observations": None}):
        status, told = program.call(missing)
        assert status == 412 and "prefetch" in told["error"], told
    assert program.call({"patient": bundle(), "observations": None})[0] == 400
    assert program.call({"patient": 3, "observations": None})[0] == 400
    assert program.call({"patient": patient(), "observations": patient()})[0] == 400
    next_page = bundle(link=[{"relation": "next", "url": "http://evil.example/"}])
    assert program.call({"patient": patient(), "observations": next_page})[0] == 400
    assert program.call(good, "no-such")[0] == 404 and program.call(good, "..%2fmetabolic")[0] == 404
    assert program.ask("GET", "/cds-services/metabolic")[0] == 405
    for body in (b"", b"[]", b"{", b'{"a": NaN}', b'{"hook": 1, "hook": 2}', b"\xff", b"[" * 100_000):
        assert program.ask("POST", "/cds-services/metabolic", body, Content_Type="application/json")[0] == 400
    for kind in (None, "text/plain", "application/x-www-form-urlencoded", "application/fhir+json"):
        assert program.ask("POST", "/cds-services/metabolic", b"{}", Content_Type=kind)[0] == 415
    assert program.ask("POST", "/cds-services/metabolic", b"{}", Content_Length=str(10**9))[0] == 413
    assert program.call(good)[0] == 200


@pytest.mark.parametrize("headers, status", [
    ({"Authorization": None}, 401), ({"Authorization": "Bearer "}, 401), ({"Authorization": "Bearer x"}, 401),
    ({"Authorization": "Basic eDp5"}, 401),
    ({"Host": "evil.example"}, 421), ({"Host": None}, 400), ({"Origin": "http://evil.example"}, 403), ({"Origin": "null"}, 403),
    ({"Sec_Fetch_Site": "same-origin"}, 403), ({"Sec_Fetch_Site": "cross-site"}, 403),
])  # fmt: skip
def test_only_programs_that_hold_the_key_are_let_in(program: Program, headers: dict[str, str | None], status: int) -> None:
    for method, path in (("GET", "/cds-services"), ("POST", "/cds-services/metabolic"), ("POST", "/cds-services/metabolic/feedback")):
        plain = {"Authorization": f"Bearer {program.key}", "Cookie": None, "Sec_Fetch_Site": None, "Origin": None}
        assert program.served.ask(method, path, None if method == "GET" else {}, **{**plain, **headers})[0] == status


def test_the_key_opens_nothing_else_and_a_session_opens_no_hook(program: Program) -> None:
    assert program.ask("GET", "/api/model?key=heart")[0] == 403 and program.ask("GET", "/")[0] == 403
    assert program.ask("GET", "/cds-servicesx")[0] == 403
    own = program.served.ask("GET", "/cds-services")
    assert own[0] == 403
    assert program.ask("OPTIONS", "/cds-services", Origin="http://evil.example")[0] == 403
    assert program.ask("GET", f"/cds-services?token={program.served.token}", Authorization=None)[0] == 401
    assert program.ask("GET", "/cds-services", Authorization=f"Bearer {program.served.token}")[0] == 401


def test_without_the_option_there_are_no_hooks(tmp_path: Path) -> None:
    served = Served("--port", 0)
    assert served.ask("GET", "/cds-services")[0] == 404
    assert served.ask("GET", "/cds-services", cookie="", Sec_Fetch_Site=None, Authorization="Bearer ")[0] == 403
    assert served.end().code == 0


def test_markup_of_a_record_and_of_a_model_stays_text() -> None:
    hostile = "<script>alert(1)</script> [x](http://evil.example) ![y](//e) `c` **b** www.evil.example a@b.c &lt; | # h"
    told = hooks.markdown(hostile + "\n# head")
    assert "\n" not in told and not re.search(r"(?<!\\)[<>`*\[\]&|#@]", told) and "http://" not in told and "www." not in told
    schema = Schema.from_json({"format": 1, "features": [
        {"name": "a", "label": "<img src=x>", "low": 0, "high": 9, "step": 1, "code": {"system": "urn:a", "code": "1"}}]})  # fmt: skip
    card = hooks.no_card("", list(schema.features), None, "<b>" + "long " * 60)
    assert len(card["summary"]) < 140 and "\\<img src=x\\>" in card["detail"]
    assert hooks.prefetch(schema)["conditions"] == "Condition?patient={{context.patientId}}&code=urn:a|1"


def test_a_prediction_that_depends_is_summed_up_by_its_range() -> None:
    with Explainer.load("metabolic", threads=1) as explainer:
        schema, sample = explainer.schema, explainer.bundle.samples[0].values
        made = explainer.explain({name: None if schema[name].optional else value for name, value in sample.items()})
        card = hooks.card(made, schema, Reading({}, (), ()), "t")
    assert made.status == "depends" and " %: it depends on what is unknown (" in card["summary"] and " to " in card["summary"]


def test_conditions_come_by_prefetch() -> None:
    schema = Schema.from_json({"format": 1, "features": [
        {"name": "asthma", "kind": "choice", "choices": ["no", "yes"], "code": {"system": SNOMED, "code": "195967001"}}]})  # fmt: skip
    body = {"hook": "patient-view", "hookInstance": "1", "context": {"patientId": "p1"},
            "prefetch": {"patient": patient(), "observations": None, "conditions": bundle(condition("195967001"))}}  # fmt: skip
    found = hooks.asked(body, schema).found
    assert [entry.path for entry in found] == ["prefetch.patient", "prefetch.conditions.entry[0].resource"]


def test_a_key_in_a_file_stays_from_one_start_to_the_next_and_is_not_printed(tmp_path: Path) -> None:
    for _ in range(2):
        served = Served("--port", 0, "--cds-hooks", "--cds-key", tmp_path / "key")
        assert served.process.stdout is not None
        assert served.process.stdout.readline().endswith(f"Authorization: Bearer the key in {tmp_path / 'key'}\n")
        key = (tmp_path / "key").read_text().strip()
        status, _, _ = served.ask("GET", "/cds-services", cookie="", Sec_Fetch_Site=None, Authorization=f"Bearer {key}")
        assert status == 200 and served.end().code == 0


def test_what_a_record_says_cannot_break_the_answer(program: Program) -> None:
    odd = fetched([patient(gender="\ud800"), *survey()[1:], observation("93832-4", dataAbsentReason=concept("\ud800\n"), id="sleep")])
    (card,) = program.call(odd)[1]["cards"]
    assert "1 value is missing" in card["summary"] and "\n- " in card["detail"]


def test_a_key_is_kept_in_a_file_of_ones_own(tmp_path: Path) -> None:
    path, new = tmp_path / "key", "k" * 43
    assert key_in(path, new) == new and path.stat().st_mode & 0o777 == 0o600 and key_in(path, "other") == new
    path.chmod(0o644)
    with pytest.raises(ConstraintError, match="chmod 600"):
        key_in(path, new)
    path.chmod(0o600)
    path.write_text("short")
    with pytest.raises(ConstraintError, match="holds no key"):
        key_in(path, new)
    with pytest.raises(ConstraintError, match="name another file"):
        key_in(tmp_path / "no" / "folder", new)
