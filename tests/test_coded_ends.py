"""Ends of a scale that stand for all beyond them: what lies beyond is read as the end by every input, and every answer says so."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cohort import PROGRAM
from conftest import PATIENCE, Ran
from hypothesis import given
from hypothesis import strategies as st
from records import bundle, lately, survey

from sensecf_edge.answer.result import Change, Explanation
from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.errors import RecordError, SchemaError
from sensecf_edge.explain import Explainer
from sensecf_edge.fhir.writing import risk_assessment
from sensecf_edge.page.sheet import report_html
from sensecf_edge.report.changes import by_text
from sensecf_edge.report.rendering import render
from sensecf_edge.schema.feature import Feature
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.schema import Schema

OLD = "Age 83 is read as 80 or over"
CODED = Feature("a", low=10, high=80, step=5, unit="years", bottom_coded=0, top_coded=130)


@pytest.fixture(scope="module")
def metabolic() -> Iterator[Explainer]:
    with Explainer.load("metabolic", threads=1) as explainer:
        yield explainer


def record(explainer: Explainer, **more: Any) -> dict[str, Any]:
    return {**explainer.bundle.samples[1].values, **more}


@given(st.floats(-1e3, 1e3))
def test_a_value_beyond_an_end_is_that_end_and_no_other_value_moves(value: float) -> None:
    schema = Schema((CODED,))
    if not 0 <= value <= 130:
        told = r"allowed is 10 to 80 years \(and up to 130, read as 80 or over and down to 0, read as 10 or under\)"
        with pytest.raises(RecordError, match=told):
            Record.from_mapping(schema, {"a": value})
        return
    read = Record.from_mapping(schema, {"a": value})
    assert read.vector[0] == min(80, max(10, value))
    assert read.stated == ({} if 10 <= value <= 80 else {"a": value})


@pytest.mark.parametrize("keys, said", [
    ({"top_coded": 80}, "over high (80), not 80"), ({"bottom_coded": 12}, "under low (10), not 12"), ({"top_coded": "x"}, "cannot be 'x'"),
    ({"top_coded": 1e13}, "at most"),
    ({"kind": "choice", "choices": ["a", "b"], "top_coded": 5}, "belong to numbers"),
])  # fmt: skip
def test_ends_that_cannot_be_are_refused_and_others_go_to_json_and_back(keys: dict[str, Any], said: str) -> None:
    numbers = {} if "kind" in keys else {"low": 10, "high": 80, "step": 5}
    with pytest.raises(SchemaError) as caught:
        Schema.from_json({"format": 1, "features": [{"name": "a", **numbers, **keys}]})
    assert said in str(caught.value)
    schema = Schema((CODED,))
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema


def test_a_change_from_or_to_such_an_end_is_at_least_what_it_says() -> None:
    assert by_text(Change("a", 80, 70, "years"), CODED) == ("80 or over", "70", "−10 or more years")
    assert by_text(Change("a", 20, 10, "years"), CODED) == ("20", "10 or under", "−10 or more years")
    assert by_text(Change("a", 75, 70, "years"), CODED) == ("75", "70", "−5 years")


def test_somebody_beyond_the_end_is_answered_as_somebody_at_it_and_told_so(metabolic: Explainer) -> None:
    old, end = (metabolic.explain(record(metabolic, Age=age), why=True) for age in (83, 80))
    assert (old.risk, old.found, old.why) == (end.risk, end.found, end.why) and old.factual["Age"] == 80 and old.stated == {"Age": 83}
    assert any(OLD in warning for warning in old.warnings) and not end.stated and not any("read as" in w for w in end.warnings)
    assert Explanation.from_json(json.loads(json.dumps(old.to_json()))).stated == {"Age": 83}
    for explanation in (old, end):
        assert "80 years or over" in report_html(explanation, metabolic.bundle)
        basis = risk_assessment(explanation, metabolic.schema, datetime.now(timezone.utc))["basis"]
        assert any("Age 80 years or over" in line["display"] for line in basis)
    assert OLD in " ".join(render(old, metabolic.schema).split())
    with pytest.raises(RecordError, match="Age cannot be 131"):
        metabolic.explain(record(metabolic, Age=131))


def test_a_health_record_a_table_and_a_file_of_somebody_of_83_are_answered(
    metabolic: Explainer, command: Callable[..., Ran], tmp_path: Path
) -> None:
    born, *others = lately(survey())
    year = int(others[0]["effectiveDateTime"][:4]) - 84
    (tmp_path / "b.json").write_text(json.dumps(bundle({**born, "birthDate": f"{year}-01-01"}, *others)))
    ran = command("explain", "--fhir", tmp_path / "b.json", "--model", "metabolic")
    assert ran.code in (0, 3) and "is read as 80 or over" in " ".join(ran.out.split()), ran
    (tmp_path / "me.json").write_text(json.dumps(record(metabolic, Age=83)))
    assert OLD in " ".join(command("explain", tmp_path / "me.json", "--model", "metabolic").out.split())
    with (tmp_path / "t.csv").open("w", newline="") as file:
        rows = csv.DictWriter(file, metabolic.schema.names)
        rows.writeheader()
        rows.writerows([record(metabolic, Age=83), record(metabolic, Age=50)])
    for layout in ("long", "wide"):
        out = tmp_path / f"{layout}.csv"
        assert command("batch", tmp_path / "t.csv", "-o", out, "--model", "metabolic", "--layout", layout).code == 0
        told = {row["row"]: row["read_as"] for row in csv.DictReader(out.read_text(encoding="utf-8").splitlines())}
        assert told == {"1": "Age as 80 years or over", "2": ""}


def test_watch_and_the_page_answer_them_too(metabolic: Explainer) -> None:
    from sensecf_edge.serve.form import field, record_of, texts_of

    line = json.dumps(record(metabolic, Age=83)) + "\n"
    ran = subprocess.run([*PROGRAM, "watch", "--model", "metabolic"], input=line, capture_output=True, text=True, timeout=PATIENCE)
    assert ran.returncode == 0 and OLD in ran.stdout and "Age 83" not in ran.stderr, ran
    read = record_of(metabolic.schema, texts_of(record(metabolic, Age=83)))
    assert read.stated == {"Age": 83} and "up to 130, read as 80 or over" in field(metabolic.schema, metabolic.schema["Age"])["allowed"]


def test_whoever_is_in_range_is_answered_as_before_the_end_was_marked(metabolic: Explainer) -> None:
    """The same models with the schema as it was: no answer, and no word that any language model is shown, is another one."""
    plain = metabolic.schema.to_json()["features"]
    bare = Schema.from_json({**metabolic.schema.to_json(), "features": [{k: v for k, v in f.items() if k != "top_coded"} for f in plain]})
    samples = [s.values for s in metabolic.bundle.samples]
    held = metabolic.explain_many([Record.from_mapping(metabolic.schema, values) for values in samples])
    before = Explainer(
        replace(metabolic.bundle, schema=bare), metabolic.engine, metabolic.checker, metabolic.realism, metabolic.rivals,
        prompting=metabolic.prompting,
    )  # fmt: skip
    for one, other in zip(held, before.explain_many([Record.from_mapping(bare, values) for values in samples]), strict=True):
        assert (one.risk, one.found, one.refusals, one.warnings) == (other.risk, other.found, other.refusals, other.warnings)
    assert np.array_equal(Bundle.open("metabolic").schema["Age"].lattice, bare["Age"].lattice)
