"""The language of answers, judged by llama.cpp's own grammar sampler: what it accepts, and what it would let follow."""

from __future__ import annotations

import ctypes
import json
import math
import random
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import LETTERS, spaces
from toys import toy_gguf

from sensecf_edge.errors import GrammarError
from sensecf_edge.llama.engine import LlamaEngine
from sensecf_edge.propose.grammar import Grammar, answer_value
from sensecf_edge.schema.feature import Feature
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.relation import Relation
from sensecf_edge.schema.schema import Schema
from sensecf_edge.settings import EngineSettings
from sensecf_edge.space.admissible import Admissible, admissible
from sensecf_edge.space.constraints import Constraints

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
WORDS = ['{"', '{"glucose_mean":', ',"', '":', '"}', "},", "1}", "0,", "15", "150", "1.5", ".5", "-1", "glucose", "null", "é", "日", " "]
BAD_NUMBERS = ("1e1", "+1", "007", "null", '"1"', "true", "")
BAD_CHOICES = ('""', "null", "0", '"\x00"')
SCHEMA = Schema(
    (
        Feature("glucose_mean", low=60, high=300, step=10),
        Feature("age", low=18, high=90, step=1, mutable=False),
        Feature("deep sleep.pct", low=-1.5, high=2, step=0.25, direction="increase"),
        Feature("rôle", "choice", choices=("crème", "日本", "no")),
        Feature("weight", low=40, high=120, step=0.5, max_change=1),
        Feature("bmi", low=10, high=60, step=0.1),
        Feature("height", low=140, high=210, step=1, mutable=False),
    ),
    (Relation("ratio", ("bmi", "weight", "height"), scale=10000, power=2, tolerance=0.1, completes="bmi"),),
)
VALUES = {"glucose_mean": 150, "age": 40, "deep sleep.pct": 1, "rôle": "no", "weight": 80, "bmi": 24.7, "height": 180}


class Judge:
    """llama.cpp's grammar sampler over a toy vocabulary: which tokens may follow a text, token by token."""

    def __init__(self, engine: LlamaEngine) -> None:
        self.lib, self.vocab, self.pieces = engine._lib, engine._tokenizer.vocab, engine.vocabulary.pieces
        self.end = int(self.lib.llama_vocab_eos(self.vocab))
        self._data = (self.lib.llama_token_data * len(self.pieces))()
        self._view = np.ctypeslib.as_array(self._data)
        self._view["id"] = np.arange(len(self.pieces))

    def begin(self, gbnf: str) -> Any:
        sampler = self.lib.llama_sampler_init_grammar(self.vocab, gbnf.encode(), b"root")
        assert sampler, f"llama.cpp does not read this grammar:\n{gbnf}"
        return sampler

    def allowed(self, sampler: Any) -> set[int]:
        """Token ids that may come next; `end` among them where the answer may end."""
        self._view["logit"] = 0
        candidates = self.lib.llama_token_data_array(data=self._data, size=len(self._data), selected=-1, sorted=False)
        self.lib.llama_sampler_apply(sampler, ctypes.byref(candidates))
        return {int(i) for i in self._view["id"][np.isfinite(self._view["logit"])]}

    def accepts(self, gbnf: str, text: str) -> bool:
        """Read the text byte by byte (the toy's first 256 tokens are the bytes) to its end."""
        sampler = self.begin(gbnf)
        try:
            for byte in text.encode():
                if byte not in self.allowed(sampler):
                    return False
                self.lib.llama_sampler_accept(sampler, byte)
            return self.end in self.allowed(sampler)
        finally:
            self.lib.llama_sampler_free(sampler)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaEngine]:
    path = toy_gguf(tmp_path_factory.mktemp("toy") / "toy.gguf", [*WORDS, *LETTERS[:20]], layers=1)
    with LlamaEngine(path, EngineSettings(max_sequences=1), context=64) as engine:
        yield engine


@pytest.fixture(scope="module")
def judge(engine: LlamaEngine) -> Judge:
    return Judge(engine)


def answer(space: Admissible, chance: random.Random, changes: int | None = None) -> dict[str, str]:
    """A random admissible answer as feature name -> value text."""
    features = space.features
    count = chance.randint(1, min(space.max_changes, len(features))) if changes is None else changes
    out = {}
    for i in sorted(chance.sample(features, count)):
        feature = space.record.schema.features[i]
        out[feature.name] = answer_value(feature.text(chance.choice(list(space.values[i]))), feature.kind)
    return out


def written(items: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{json.dumps(k, ensure_ascii=False)}:{v}" for k, v in items) + "}"


def spoilt(space: Admissible, chance: random.Random) -> list[str]:
    """Texts near an admissible answer that are none."""
    schema, good = space.record.schema, answer(space, chance)
    items = list(good.items())
    text = written(items)
    out = [text + " ", " " + text, text + text, text[:-1], text.replace(":", ": ", 1), "{}", "", "[]", "null", text[:-1] + ",}"]
    out.append(written([*items, items[0]]))
    out += [written(items[::-1])] if len(items) > 1 else []
    for i, feature in enumerate(schema.features):
        values = set(space.values[i])
        barred = [c for c in feature.lattice if c not in values]
        out += [written([(feature.name, answer_value(feature.text(c), feature.kind))]) for c in barred[:3]]
        if feature.kind == "number":
            assert feature.low is not None and feature.high is not None and feature.step is not None
            out += [written([(feature.name, v)]) for v in (*BAD_NUMBERS, repr(feature.low + feature.step / 7))]
        else:
            out += [written([(feature.name, v)]) for v in BAD_CHOICES]
    if space.max_changes < len(space.features):
        out.append(written(list(answer(space, chance, space.max_changes + 1).items())))
    return out


@given(space=spaces(), seed=st.integers(0, 2**32))
@QUICK
def test_every_admissible_answer_is_accepted_by_llama_cpp_and_by_the_automaton(judge: Judge, space: Admissible, seed: int) -> None:
    grammar, chance = Grammar(space), random.Random(seed)
    gbnf = grammar.gbnf()
    for _ in range(4):
        text = written(list(answer(space, chance).items()))
        assert grammar.start.accepts(text), text
        assert judge.accepts(gbnf, text), f"{text}\n{gbnf}"


@given(space=spaces(), seed=st.integers(0, 2**32))
@QUICK
def test_every_spoilt_answer_is_refused_by_llama_cpp_and_by_the_automaton(judge: Judge, space: Admissible, seed: int) -> None:
    grammar = Grammar(space)
    gbnf = grammar.gbnf()
    for text in spoilt(space, random.Random(seed)):
        assert not grammar.start.accepts(text), text
        assert not judge.accepts(gbnf, text), f"{text}\n{gbnf}"


@given(space=spaces(), seed=st.integers(0, 2**32))
@QUICK
def test_at_every_state_of_a_random_walk_the_allowed_tokens_are_exactly_those_of_llama_cpp(
    engine: LlamaEngine, judge: Judge, space: Admissible, seed: int
) -> None:
    node, chance = Grammar(space).start, random.Random(seed)
    sampler = judge.begin(Grammar(space).gbnf())
    try:
        while not node.final:
            moves = engine.vocabulary.moves(node)
            theirs = judge.allowed(sampler)
            assert set(moves.ids.tolist()) == theirs
            token = int(chance.choice(moves.ids))
            node = moves.after(token)
            judge.lib.llama_sampler_accept(sampler, token)
        assert judge.allowed(sampler) == {judge.end}
        assert not len(engine.vocabulary.moves(node).ids)
    finally:
        judge.lib.llama_sampler_free(sampler)


@given(space=spaces(most=3))
@QUICK
def test_the_automaton_derives_as_many_answers_as_the_space_holds(space: Admissible) -> None:
    sizes = [space.values[i].size for i in space.features]
    subsets = (kept for kept in product((0, 1), repeat=len(sizes)) if 0 < sum(kept) <= space.max_changes)
    held = sum(math.prod(s**k for s, k in zip(sizes, kept, strict=True)) for kept in subsets)
    stack, derived = [Grammar(space).start], 0
    while stack:
        node = stack.pop()
        derived += node.final
        stack += node.edges.values()
    assert derived == held


SPACE = admissible(Record.from_mapping(SCHEMA, VALUES), Constraints(freeze=frozenset(), bounds={"glucose_mean": (100, 200)}, max_changes=2))
ACCEPTED = [
    '{"glucose_mean":100}',
    '{"glucose_mean":200}',
    '{"deep sleep.pct":1.25}',
    '{"deep sleep.pct":2}',
    '{"rôle":"crème"}',
    '{"rôle":"日本"}',
    '{"weight":80.5}',
    '{"weight":79}',
    '{"glucose_mean":140,"weight":81}',
    '{"deep sleep.pct":1.5,"rôle":"日本"}',
]
REFUSED = {
    "nothing changes": "{}",
    "the present value": '{"glucose_mean":150}',
    "off the lattice": '{"glucose_mean":155}',
    "outside the bound": '{"glucose_mean":210}',
    "against the direction": '{"deep sleep.pct":0.75}',
    "beyond max_change": '{"weight":81.5}',
    "an immutable feature": '{"age":30}',
    "a completed feature": '{"bmi":22}',
    "an unknown feature": '{"glucose":100}',
    "three changes of two": '{"glucose_mean":140,"deep sleep.pct":1.5,"weight":81}',
    "a key twice": '{"glucose_mean":140,"glucose_mean":160}',
    "the wrong order": '{"weight":81,"glucose_mean":140}',
    "another writing of the number": '{"glucose_mean":100.0}',
    "a number as text": '{"glucose_mean":"100"}',
    "a choice without quotes": '{"rôle":crème}',
    "an unknown choice": '{"rôle":"creme"}',
    "an escaped choice": '{"rôle":"cr\\u00e8me"}',
    "a decomposed letter": '{"rôle":"cre\u0300me"}',
    "null": '{"glucose_mean":null}',
    "a space": '{"glucose_mean": 100}',
    "a comma at the end": '{"glucose_mean":100,}',
    "text behind": '{"glucose_mean":100}\n',
    "cut": '{"glucose_mean":100',
    "a list": '["glucose_mean",100]',
    "nothing at all": "",
}


@pytest.mark.parametrize("text", ACCEPTED)
def test_accepted(judge: Judge, text: str) -> None:
    assert Grammar(SPACE).start.accepts(text)
    assert judge.accepts(Grammar(SPACE).gbnf(), text)


@pytest.mark.parametrize("why", REFUSED)
def test_refused(judge: Judge, why: str) -> None:
    assert not Grammar(SPACE).start.accepts(REFUSED[why])
    assert not judge.accepts(Grammar(SPACE).gbnf(), REFUSED[why])


def test_a_frozen_feature_cannot_be_said(judge: Judge) -> None:
    space = admissible(SPACE.record, Constraints(freeze=frozenset({"weight", "rôle"})))
    for text in ('{"weight":81}', '{"rôle":"日本"}', '{"glucose_mean":140,"weight":81}'):
        assert not Grammar(space).start.accepts(text)
        assert not judge.accepts(Grammar(space).gbnf(), text)


def test_a_wide_schema_of_long_lattices_is_still_one_that_llama_cpp_reads(judge: Judge) -> None:
    schema = Schema(tuple(Feature(f"feature_{i}", low=0, high=1000, step=1) for i in range(40)))
    space = admissible(Record(schema, np.full(40, 0.5)), Constraints(max_changes=4))
    assert judge.accepts(Grammar(space).gbnf(), '{"feature_0":1000,"feature_7":0,"feature_38":17,"feature_39":999}')


def test_llama_cpp_answers_null_to_a_grammar_it_cannot_read(judge: Judge) -> None:
    """The assumption behind `Judge.begin`: rule names with underscores are invalid, and the pointer says so."""
    assert not judge.lib.llama_sampler_init_grammar(judge.vocab, b"root ::= a_b\na_b ::= [0-9]", b"root")


def test_reading_a_text_at_once_is_reading_it_byte_by_byte() -> None:
    start = Grammar(SPACE).start
    for text in (*ACCEPTED, *REFUSED.values()):
        node = start
        for at, byte in enumerate(text.encode()):
            whole = start.read(text.encode()[: at + 1])
            assert (whole is None) == (byte not in node.edges)
            if whole is None:
                break
            node = node.edges[byte]
            assert set(whole.edges) == set(node.edges) and whole.final == node.final


def test_no_feature_means_no_grammar() -> None:
    with pytest.raises(GrammarError):
        Grammar(Admissible(SPACE.record, tuple(np.empty(0) for _ in SPACE.values), 2))
