"""An Explanation is plain JSON that the shipped JSON Schema describes, to the last key."""

from __future__ import annotations

import dataclasses
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensecf_edge.answer.basis import Attribution, Group, Measure, Unknown, Why
from sensecf_edge.answer.letter import Letter
from sensecf_edge.answer.result import FORMAT, Change, Counterfactual, Explanation, FirstTry, Proof, Provenance
from sensecf_edge.answer.risk import Risk, RiskScale
from sensecf_edge.errors import SenseCFError

SHAPE: dict[str, Any] = json.loads((files("sensecf_edge") / "explanation.schema.json").read_text(encoding="utf-8"))
FIRST = Path(__file__).parent / "explanations-1"
"""What format 1 looked like, printed by the version that wrote it."""
SECOND = Path(__file__).parent / "explanations-2"
SOURCES = ["request", "schema", "training", "balanced"]
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
    risk=st.none() | shares,
    risk_low=st.none() | shares,
    risk_high=st.none() | shares,
    holds=shares,
    draws=st.none() | st.integers(1, 999),
)
proofs = st.none() | st.builds(Proof, st.integers(1, 9), shares, st.sampled_from(["advice", "request"]))
unknowns = st.lists(st.builds(Unknown, words, shares), max_size=3).map(tuple)
some = st.none() | shares
parts = st.builds(Attribution, st.lists(words, min_size=1, max_size=3).map(tuple), st.floats(-1, 1), shares)
whys = st.none() | st.builds(Why, shares, shares, st.lists(parts, max_size=3).map(tuple), st.booleans(), st.integers(2, 512))
measures = st.lists(st.builds(Measure, words, shares, shares, shares), max_size=3).map(tuple)
counts = st.none() | st.integers(1, 999)
groups = st.builds(Group, words, words, st.integers(1, 999), shares, shares, st.none() | st.floats(-9, 9), st.none() | st.floats(-9, 9),
                   counts, some, some, some, some, some)  # fmt: skip
scales = st.builds(RiskScale, st.floats(-5, 5), st.floats(0.05, 4), st.floats(0.001, 0.999), st.sampled_from(SOURCES))
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
    threads=st.none() | st.integers(1, 9),
    device=st.sampled_from(["", "cpu"]),
    margin=st.none() | shares,
    base_rate=st.none() | shares,
)


@st.composite
def explanations(draw: st.DrawFn) -> Explanation:
    status = draw(st.sampled_from(["found", "none", "already", "depends"]))
    threshold, (margin, p, low, high) = draw(st.floats(0.02, 0.98)), (draw(shares) for _ in range(4))
    known = draw(st.booleans()) and status != "depends"
    spread = (p, p, p) if known else (p, min(p, low), max(p, high))
    factual = draw(st.dictionaries(words, values, min_size=1, max_size=5))
    found = draw(st.lists(answers, min_size=status == "found", max_size=3)) if status in ("found", "depends") else []
    return Explanation(
        status=status,
        target=draw(words),
        predicted=draw(words),
        p_target=p,
        threshold=threshold,
        margin=margin,
        factual=factual if known else {**factual, draw(words): None},
        found=tuple(found),
        first_try=None if status == "already" else draw(first_tries),
        refusals=draw(st.dictionaries(words, st.integers(1, 99), max_size=3)),
        warnings=tuple(draw(st.lists(words, max_size=2))),
        auc=draw(st.none() | shares),
        rounds_used=0 if status == "already" else draw(st.integers(1, 9)),
        seconds=draw(st.floats(0, 1e4)),
        provenance=draw(provenances),
        risk=Risk.of(draw(scales), spread, threshold, min(1.0, threshold + margin)),
        unwanted=draw(words),
        outcome=draw(words),
        realism=draw(st.none() | st.floats(0, 100)),
        unknown=() if known else draw(unknowns),
        holds_now=None if known else draw(shares),
        completions=0 if known else draw(st.integers(1, 999)),
        proof=draw(proofs),
        why=draw(whys),
        likeness=draw(st.none() | st.floats(0, 100)),
        measured=tuple(draw(st.lists(groups, max_size=2))),
        next=() if known else draw(measures),
        letter=draw(st.none() | st.builds(Letter, words, words, st.sampled_from(["letter", "note"]))),
    )


def plain(status: str = "already") -> dict[str, Any]:
    """A small valid explanation as JSON."""
    provenance = Provenance("toy", "0" * 64, 0, 1, 8, 3, 0.7, 4, (), {}, {"sensecf-edge": "0"})
    risk = Risk.of(RiskScale(), (0.7, 0.7, 0.7), 0.5, 0.55)
    return Explanation(
        status, "calm", "calm", 0.7, 0.5, 0.05, {"age": 44}, (), None, {}, (), 0.9, 0, 0.1, provenance, risk, "stressed"
    ).to_json()


def test_the_shipped_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SHAPE)


@settings(max_examples=50, deadline=None)
@given(explanations())
def test_json_goes_out_and_back_without_loss_and_validates(explanation: Explanation) -> None:
    text = json.dumps(explanation.to_json(), allow_nan=False)
    VALIDATOR.validate(json.loads(text))
    assert Explanation.from_json(json.loads(text)) == explanation


def test_every_object_of_the_schema_names_every_key_and_passes_over_those_of_a_later_version() -> None:
    parts = {"": Explanation, "change": Change, "counterfactual": Counterfactual, "first_try": FirstTry, "provenance": Provenance,
             "risk": Risk, "unknown": Unknown, "proof": Proof, "why": Why, "part": Attribution, "measure": Measure,
             "group": Group}  # fmt: skip
    for name, kind in parts.items():
        part = SHAPE["$defs"][name] if name else SHAPE
        keys = {f.name for f in dataclasses.fields(kind)}
        assert set(part["properties"]) == keys and set(part["required"]) <= keys and "additionalProperties" not in part, name


@settings(max_examples=50, deadline=None)
@given(explanations())
def test_a_key_can_be_added_anywhere_without_a_new_format(explanation: Explanation) -> None:
    def more(value: Any) -> Any:
        if isinstance(value, list):
            return [more(item) for item in value]
        if not isinstance(value, dict):
            return value
        free = {"factual", "refusals", "versions", "costs", "bounds", "stated"}
        return {k: v if k in free else more(v) for k, v in value.items()} | {"of a later version": [1]}

    newer = more(explanation.to_json())
    VALIDATOR.validate(newer)
    assert Explanation.from_json(newer) == explanation


@pytest.mark.parametrize("file", sorted(p.name for p in FIRST.glob("*.json")))
def test_an_explanation_of_the_first_format_still_opens(file: str) -> None:
    old = json.loads((FIRST / file).read_text(encoding="utf-8"))
    new = Explanation.from_json(old)
    VALIDATOR.validate(new.to_json())
    assert (new.format, new.status, new.p_target, len(new.found)) == (3, old["status"], old["p_target"], len(old["found"]))
    assert new.risk.base_rate_from == "balanced" and new.risk.now == pytest.approx(1 - old["p_target"])
    assert [a.risk for a in new.found] == pytest.approx([1 - a["p_target"] for a in old["found"]])
    assert (new.proof.features if new.proof else 0) == old.get("proven", 0)
    assert all(answer.stability is None for answer in new.found)


@pytest.mark.parametrize("file", sorted(p.name for p in SECOND.glob("*.json")))
def test_an_explanation_of_the_second_format_still_opens_and_loses_nothing(file: str) -> None:
    old = json.loads((SECOND / file).read_text(encoding="utf-8"))
    new = Explanation.from_json(old).to_json()
    VALIDATOR.validate(new)
    added = {"why": None, "likeness": None, "measured": [], "next": [], "letter": None, "easing": None}
    added |= {"calls": 0, "rows_asked": 0, "stated": {}}
    assert new == {**old, **added, "format": FORMAT, "provenance": new["provenance"]}
    assert new["provenance"].items() >= old["provenance"].items()


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "maybe"},
        {"status": "found"},
        {"p_target": 1.2},
        {"p_target": None},
        {"format": 1},
        {"risk": {}},
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


@pytest.mark.parametrize("data", [{}, {"format": 4}, {"format": 1}, {"format": 2}, {**plain(), "found": [{}]}, {**plain(), "risk": {}}])
def test_what_is_no_explanation_is_refused_when_read(data: dict[str, Any]) -> None:
    with pytest.raises(SenseCFError, match="explanation"):
        Explanation.from_json(data)
