"""schema draft --generator: whatever a language model says, the draft loses nothing, and nothing of it passes for checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import Ran
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from servers import completion, http, serving
from strategies import schemas
from test_grammar import Judge
from toys import toy_gguf

from sensecf_edge.errors import ConstraintError, SchemaError
from sensecf_edge.generators.choice import Choice
from sensecf_edge.llama.engine import LlamaEngine
from sensecf_edge.propose.engine import Proposal, Request, Unanswered
from sensecf_edge.schema.schema import Schema
from sensecf_edge.testing import by_chance

suggest = pytest.importorskip("sensecf_convert.table.suggest")
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
TABLE = "age,steps,smoker,sick\n" + "".join(
    f"{30 + 7 * k % 40},{1000 * (k % 9)},{'yes' if k % 3 else 'no'},{'a' if k % 2 else 'b'}\n" for k in range(40)
)
SAID = '{"label":"Daily steps","unit":"per day","mutable":true,"direction":"increase","low":0,"high":20000}'


class Says:
    """An engine that says the same of every column."""

    def __init__(self, answer: list[Proposal] | Unanswered) -> None:
        self.answer = answer

    def propose(self, requests: Sequence[Request]) -> list[list[Proposal] | Unanswered]:
        return [self.answer] * len(requests)


def drafted(schema: Schema, answer: object, monkeypatch: pytest.MonkeyPatch, said: list[str]) -> dict[str, object]:
    monkeypatch.setattr(suggest, "plain_engine", lambda *_: (Says(answer), "any 1234"))  # type: ignore[arg-type]
    return dict(suggest.suggested(schema, Choice.parse("smollm2"), said.append))


@given(schema=schemas(4, relations=False), seed=st.integers(0, 2**32))
@QUICK
def test_every_answer_of_the_grammar_is_a_feature_that_holds_the_drafted_range(schema: Schema, seed: int) -> None:
    chance = np.random.default_rng(seed)
    for feature in schema.features:
        words = suggest.language(feature)
        text = by_chance(words.start, chance)
        assert words.start.accepts(text) and json.loads(text)
        better, keys = suggest._better(feature, [Proposal(text, True)], lambda _: None)
        assert set(keys) <= {"label", "unit", "mutable", "direction", "low", "high"}
        if feature.kind == "number":
            assert better.low <= feature.low and better.high >= feature.high and better.step == feature.step
        assert better.mutable <= feature.mutable and (better.choices, better.optional) == (feature.choices, feature.optional)


def test_llama_cpp_reads_the_grammar(tmp_path: Path) -> None:
    schema = Schema.from_json({"features": [{"name": "steps", "low": 0, "high": 9000, "step": 100}]})
    words = suggest.language(schema.features[0])
    with LlamaEngine(toy_gguf(tmp_path / "toy.gguf")) as engine:
        judge = Judge(engine)
        assert words.start.accepts(SAID) and judge.accepts(words.gbnf(), SAID)
        for other in (SAID.replace("20000", "200"), SAID.replace("per day", "cubits"), SAID.replace("Daily", "Daily\\n"), SAID + " "):
            assert not words.start.accepts(other) and not judge.accepts(words.gbnf(), other)


HOSTILE = (
    "", "{", "null", "[]",
    "<html>", '{"label":"x"', '{"label":7,"unit":null}', '{"unit":"cubits"}', '{"label":"\\u001b[2Jx"}', '{"label":""}',
    '{"label":"' + "x" * 5000 + '"}', '{"mutable":"no","direction":"sideways"}', '{"low":5000,"high":6000}', '{"low":-1e999,"high":1e999}',
    '{"low":NaN,"high":NaN}', '{"low":[1],"high":{}}', '{"name":"age","kind":"choice","choices":["a","b"]}', '{"label":"x","label":"y"}',
    '{"unit":[]}',
    '{"optional":true,"cost":0}', '{"direction":{}}', "{" * 5000,
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_answer_loses_nothing(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    schema = Schema.from_json(
        {"features": [{"name": "steps", "low": 0, "high": 9000, "step": 100}, {"name": "c", "kind": "choice", "choices": ["a", "b"]}]}
    )
    assert drafted(schema, [Proposal(text, True)], monkeypatch, []) == schema.to_json()
    assert drafted(schema, [Proposal(text, False)], monkeypatch, []) == schema.to_json()


def test_every_suggestion_is_marked_told_and_has_to_be_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    schema, said = Schema.from_json({"features": [{"name": "steps", "low": 0, "high": 9000, "step": 100}]}), list[str]()
    out = drafted(schema, [Proposal(SAID, True)], monkeypatch, said)
    (feature,) = out["features"]  # type: ignore[misc]
    assert feature["suggested"] == dict.fromkeys(("label", "unit", "direction", "high"), "any 1234")
    assert said == ["suggested for steps: label “Daily steps”, unit “per day”, direction “increase”, high 20000; check it"]
    with pytest.raises(SchemaError, match=r"feature 0 \(steps\): nobody has checked what was suggested \(label, unit, direction, high\)"):
        Schema.from_json(out)
    del feature["suggested"]
    assert Schema.from_json(out)["steps"].unit == "per day"


def test_what_the_draft_holds_to_be_fixed_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = Schema.from_json({"features": [{"name": "age", "low": 0, "high": 90, "step": 1, "mutable": False}]})
    out = drafted(schema, [Proposal(SAID, True)], monkeypatch, [])
    assert out["features"][0]["mutable"] is False and "direction" not in out["features"][0]  # type: ignore[index]


def test_the_command_line_drafts_with_a_model_and_fit_refuses_what_is_unchecked(command: Callable[..., Ran], tmp_path: Path) -> None:
    table, out = tmp_path / "t.csv", tmp_path / "s.json"
    table.write_text(TABLE)
    model = toy_gguf(tmp_path / "toy.gguf", context=8192)
    asked = ("schema", "draft", table, "--target", "sick", "-o", out)
    ran = command(*asked, "--generator", f"raw:{model}")
    marks = json.loads(out.read_text())["features"]
    assert ran.code == 0 and "suggested for steps: label" in ran.err and "take 'suggested' out" in ran.err
    assert all("suggested" in feature for feature in marks)
    ran = command("fit", table, "--target", "sick", "--wanted", "a", "--schema", out, "-o", tmp_path / "b")
    assert ran.code == 2 and ran.err.count("nobody has checked what was suggested") == 3
    assert command(*asked, "--generator", "bundle").code == 2
    gone = command(*asked, "--generator", tmp_path / "gone.gguf")
    assert gone.code == 0 and "no suggestions: there is no file" in gone.err and "suggested" not in out.read_text()


def test_a_server_is_told_no_row_and_its_answer_is_marked_too(command: Callable[..., Ran], tmp_path: Path) -> None:
    table, out = tmp_path / "t.csv", tmp_path / "s.json"
    table.write_text(TABLE.replace("8000", "7777"))
    asked = ("schema", "draft", table, "--target", "sick", "-o", out, "--generator")
    with serving(lambda body: [completion(SAID)]) as (url, server):
        ran = command(*asked, f"openai:{url}#any")
    assert ran.code == 0 and "names, ranges and choices of columns go to 127.0.0.1" in ran.err
    assert "7777" not in json.dumps(server.bodies) and json.loads(out.read_text())["features"][1]["suggested"]
    with serving(lambda body: [http(b"<html>", "500 No")]) as (url, _):
        ran = command(*asked, f"openai:{url}#any")
    assert ran.code == 0 and "suggested" not in out.read_text()
    assert command(*asked, "openai:http://example.org/v1#any").code == 2


def test_a_generator_that_knows_one_schema_cannot_say_what_columns_mean() -> None:
    schema = Schema.from_json({"features": [{"name": "steps", "low": 0, "high": 9000, "step": 100}]})
    for text in ("bundle", "none"):
        with pytest.raises(ConstraintError, match="general language model"):
            suggest.suggested(schema, Choice.parse(text), print)
