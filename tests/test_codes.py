"""Codes of features: read and written back, wrong ones named, and no answer depends on them."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sensecf_edge.bundle.bundle import Bundle, write_manifest
from sensecf_edge.errors import SchemaError
from sensecf_edge.explain import Explainer
from sensecf_edge.schema.feature import Feature
from sensecf_edge.schema.schema import Schema

LOINC, SNOMED = "http://loinc.org", "http://snomed.info/sct"
WEIGHT = {"name": "w", "low": 1, "high": 200, "step": 1}
YES_NO = {"name": "s", "kind": "choice", "choices": ["no", "yes"]}
CODE = {"system": LOINC, "code": "29463-7"}


def of(**keys: Any) -> Schema:
    return Schema.from_json({"format": 1, "features": [keys]})


@pytest.mark.parametrize("feature", [
    {**WEIGHT, "code": CODE, "ucum": "kg"},
    {**WEIGHT, "code": [CODE, {"system": "urn:oid:1.2", "code": "weight of body"}]},
    {**YES_NO, "code": CODE,
     "choice_codes": {"no": CODE | {"code": "LA32-8"}, "yes": [CODE | {"code": "LA33-6"}, {"system": SNOMED, "code": "1"}]}},
    {**YES_NO, "code": CODE, "ucum": "mg/dL", "cut": 120},
])  # fmt: skip
def test_codes_go_to_json_and_back(feature: dict[str, Any]) -> None:
    schema = of(**feature)
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema
    told = schema.to_json()["features"][0]
    assert {key: told[key] for key in feature if key in ("code", "ucum", "choice_codes", "cut")} == {
        key: value for key, value in feature.items() if key in ("code", "ucum", "choice_codes", "cut")
    }


@pytest.mark.parametrize("keys, said", [
    ({**WEIGHT, "code": "29463-7"}, "code cannot be '29463-7'"),
    ({**WEIGHT, "code": []}, "a code or a list of codes"),
    ({**WEIGHT, "code": {"system": LOINC}}, "code cannot be"),
    ({**WEIGHT, "code": {"system": LOINC, "code": 8}}, "code cannot be"),
    ({**WEIGHT, "code": CODE | {"display": "Weight"}}, "code cannot be"),
    ({**WEIGHT, "code": CODE | {"system": "LOINC"}}, "a system is an address"),
    ({**WEIGHT, "code": CODE | {"code": " 29463-7"}}, "no space at its ends"),
    ({**WEIGHT, "code": [CODE, CODE]}, "stands twice"),
    ({**WEIGHT, "ucum": "kg"}, "belong to a code"),
    ({**WEIGHT, "code": CODE, "ucum": "mm Hg"}, "no unit of UCUM"),
    ({**WEIGHT, "code": CODE, "cut": 3}, "belong to choices"),
    ({**WEIGHT, "code": CODE, "choice_codes": {"no": CODE}}, "belong to choices"),
    ({**YES_NO, "code": CODE, "choice_codes": {"maybe": CODE | {"code": "1"}}}, "'maybe', which is none"),
    ({**YES_NO, "code": CODE, "choice_codes": {"no": CODE | {"code": "1"}, "yes": CODE | {"code": "1"}}}, "stands twice"),
    ({**YES_NO, "code": CODE, "choice_codes": {}}, "an object of codes by choice"),
    ({**YES_NO, "code": CODE, "ucum": "mg/dL"}, "the unit of its cut"),
    ({**YES_NO, "choices": ["a", "b", "c"], "code": CODE, "cut": 1}, "parts two choices"),
])  # fmt: skip
def test_wrong_codes_are_named(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(SchemaError) as caught:
        of(**keys)
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["heart", "metabolic", "stress"])
def test_a_shipped_bundle_answers_to_the_byte_as_it_does_without_its_codes(name: str, tmp_path: Path) -> None:
    shipped = Bundle.open(name)
    shutil.copytree(shipped.folder, tmp_path / name)
    bare = [replace(f, **{key: Feature.__dataclass_fields__[key].default for key in ("code", "ucum", "choice_codes", "cut")})
            for f in shipped.schema.features]  # fmt: skip
    plain = replace(shipped.schema, features=tuple(bare))
    assert plain != shipped.schema
    (tmp_path / name / "schema.json").write_text(json.dumps(plain.to_json()), encoding="utf-8")
    write_manifest(tmp_path / name, json.loads((shipped.folder / "manifest.json").read_text(encoding="utf-8")))
    told = []
    for place in (name, tmp_path / name):
        with Explainer.load(place, threads=1) as explainer:
            said = [explainer.explain(sample.values, n=2).to_json() for sample in shipped.samples]
        for one in said:
            del one["seconds"], one["provenance"]["bundle"]
        told.append(json.dumps(said))
    assert told[0] == told[1]


def test_a_finished_bundle_gets_the_codes_of_a_schema_and_all_else_stays(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from sensecf_convert.bundle.codes import give

    heart = Bundle.open("heart")
    shutil.copytree(heart.folder, tmp_path / "b")
    age = replace(heart.schema["age"], code=((SNOMED, "424144002"),))
    stated = replace(heart.schema, features=(age, *heart.schema.features[1:]))
    made = give(tmp_path / "b", stated, tmp_path / "b")
    assert made.schema["age"].code == ((SNOMED, "424144002"),) and made.schema.features[1:] == heart.schema.features[1:]
    assert {n: e for n, e in made.manifest.files.items() if n != "schema.json"} == {
        n: e for n, e in heart.manifest.files.items() if n != "schema.json"
    }
    with pytest.raises(SchemaError, match="are not those of heart"):
        give(tmp_path / "b", Bundle.open("stress").schema, tmp_path / "c")
