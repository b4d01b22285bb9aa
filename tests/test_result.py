"""An Explanation is plain JSON that the shipped JSON Schema describes, to the last key."""

from __future__ import annotations

import dataclasses
import json
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensecf_edge.errors import SenseCFError
from sensecf_edge.result import Change, Counterfactual, Explanation, FirstTry, Provenance

SHAPE: dict[str, Any] = json.loads((files("sensecf_edge") / "explanation.schema.json").read_text(encoding="utf-8"))
LATER = {
    "margin",
    "stability",
    "agreement",
    "strengths",
    "given_up",
    "costs",
    "search",
    "proven",
}  # of format 1 still; older ones lack them
VALIDATOR = jsonschema.Draft202012Validator(SHAPE)

words = st.text(min_size=1, max_size=12)
shares = st.floats(0, 1)
numbers = st.floats(-1e6, 1e6) | st.integers(-(10**6), 10**6)
values = numbers | words
changes = st.lists(st.builds(Change, words, values, values, words, st.booleans()), min_size=1, max_size=4).map(tuple)
answers = st.builds(
    Counterfactual,
    changes=changes,
    p_target=shares,
    n_changed=st.integers(1, 9),
    distance=st.floats(0, 9),
    realism=st.none() | st.floats(0, 100),
    origin=st.sampled_from(["first try", "proposal", "refined", "search"]),
    margin=st.none() | shares,
    stability=st.none() | shares,
    agreement=st.none() | shares,
    strengths=st.lists(st.sampled_from(["fewest features", "smallest change", "most typical"]), unique=True).map(tuple),
    given_up=st.lists(st.sampled_from(["n_changed", "distance", "realism", "p_target"]), unique=True).map(tuple),
)
first_tries = st.none() | st.builds(FirstTry, st.booleans(), st.booleans(), st.none() | shares, changes)
provenances = st.builds(
    Provenance,
    model=words,
    bundle=st.text("0123456789abcdef", min_size=64, max_size=64),
    seed=st.integers(0, 2**32 - 1),
    answers=st.integers(1, 9),
    proposals=st.integers(1, 64),
    rounds=st.integers(1, 9),
    temperature=st.floats(0, 3),
    max_changes=st.integers(1, 9),
    freeze=st.lists(words, max_size=2).map(tuple),
    bounds=st.dictionaries(words, st.tuples(st.floats(-9, 9), st.floats(-9, 9)), max_size=2),
    versions=st.dictionaries(words, words, max_size=3),
    costs=st.dictionaries(words, st.floats(0.001, 9), max_size=2),
    search=st.integers(0, 10**6),
)


@st.composite
def explanations(draw: st.DrawFn) -> Explanation:
    status = draw(st.sampled_from(["found", "none", "already"]))
    return Explanation(
        status=status,
        target=draw(words),
        predicted=draw(words),
        p_target=draw(shares),
        threshold=draw(shares),
        margin=draw(shares),
        factual=draw(st.dictionaries(words, st.none() | values, min_size=1, max_size=5)),
        found=tuple(draw(st.lists(answers, min_size=1, max_size=3))) if status == "found" else (),
        first_try=None if status == "already" else draw(first_tries),
        refusals=draw(st.dictionaries(words, st.integers(1, 99), max_size=3)),
        warnings=tuple(draw(st.lists(words, max_size=2))),
        auc=draw(st.none() | shares),
        rounds_used=0 if status == "already" else draw(st.integers(1, 9)),
        seconds=draw(st.floats(0, 1e4)),
        provenance=draw(provenances),
        proven=draw(st.integers(0, 4)),
    )


def plain(status: str = "already") -> dict[str, Any]:
    """A small valid explanation as JSON."""
    provenance = Provenance("toy", "0" * 64, 0, 1, 8, 3, 0.7, 4, (), {}, {"sensecf-edge": "0"})
    return Explanation(status, "calm", "calm", 0.7, 0.5, 0.05, {"age": 44}, (), None, {}, (), 0.9, 0, 0.1, provenance).to_json()


def test_the_shipped_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SHAPE)


@settings(max_examples=50, deadline=None)
@given(explanations())
def test_json_goes_out_and_back_without_loss_and_validates(explanation: Explanation) -> None:
    text = json.dumps(explanation.to_json(), allow_nan=False)
    VALIDATOR.validate(json.loads(text))
    assert Explanation.from_json(json.loads(text)) == explanation


def test_every_object_of_the_schema_names_every_key_and_tolerates_no_other() -> None:
    parts = {"": Explanation, "change": Change, "counterfactual": Counterfactual, "first_try": FirstTry, "provenance": Provenance}
    for name, kind in parts.items():
        part = SHAPE["$defs"][name] if name else SHAPE
        keys = {f.name for f in dataclasses.fields(kind)}
        assert (set(part["properties"]), set(part["required"]) | LATER, part["additionalProperties"]) == (keys, keys | LATER, False), name


def test_an_answer_of_an_older_version_is_read_and_valid() -> None:
    old = plain()
    del old["proven"], old["provenance"]["costs"], old["provenance"]["search"]
    VALIDATOR.validate(old)
    assert Explanation.from_json(old).proven == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "maybe"},
        {"status": "found"},
        {"p_target": 1.2},
        {"p_target": None},
        {"extra": 1},
        {"format": 2},
        {"warnings": "none"},
        {"refusals": {"x": 0}},
        {"factual": {}},
        {"factual": {"age": [44]}},
        {"rounds_used": 1},
        {"provenance": {}},
    ],
)
def test_the_schema_refuses_what_explain_never_prints(wrong: dict[str, Any]) -> None:
    VALIDATOR.validate(plain())
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate({**plain(), **wrong})


@pytest.mark.parametrize("data", [{}, {"format": 2}, {"format": 1}, {**plain(), "found": [{}]}, {**plain(), "more": 1}])
def test_what_is_no_explanation_is_refused_when_read(data: dict[str, Any]) -> None:
    with pytest.raises(SenseCFError, match="explanation"):
        Explanation.from_json(data)
