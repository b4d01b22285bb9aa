"""The build side and llama.cpp read the same tokens and compute the same scores: one vocabulary, one model, two programs."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import SCHEMA as TOY
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sensecf_convert.export.quantize import quantize
from sensecf_convert.generator.scratch.gguf import write_gguf
from sensecf_convert.generator.scratch.training import IGNORE, Shape, encode, new_model
from sensecf_convert.generator.scratch.vocabulary import SchemaVocabulary, byte_characters
from strategies import names, schemas, spaces
from test_grammar import answer, written
from toys import byte_alphabet

from sensecf_edge.errors import EngineError
from sensecf_edge.llama.engine import LlamaEngine
from sensecf_edge.propose.engine import Request
from sensecf_edge.propose.grammar import Grammar
from sensecf_edge.propose.prompt import build, items
from sensecf_edge.propose.reply import read
from sensecf_edge.schema.feature import Feature
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.schema import Schema
from sensecf_edge.settings import EngineSettings
from sensecf_edge.space import rules
from sensecf_edge.space.admissible import Admissible, admissible
from sensecf_edge.space.constraints import Constraints

SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture]
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=SLOW)
SHAPE = Shape(width=64, inner=96, layers=2, heads=2)
ONE = EngineSettings(max_sequences=1)
SCHEMA = Schema.from_json(TOY)
Written = Callable[[SchemaVocabulary], Path]


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """`gguf(vocabulary)` writes a generator that was never trained, with its vocabulary."""
    folder = tmp_path_factory.mktemp("gguf")

    def write(vocabulary: SchemaVocabulary) -> Path:
        return write_gguf(new_model(vocabulary, Shape(32, 32, 1, 1), 0), vocabulary, folder / "untrained.gguf")

    return write


@given(where=spaces(), target=names(), p=st.floats(0, 1))
@QUICK
def test_llama_cpp_tokenises_a_prompt_as_the_vocabulary_encodes_it(gguf: Written, where: Admissible, target: str, p: float) -> None:
    vocabulary = SchemaVocabulary(where.record.schema, target)
    ours = vocabulary.prompts(where.record.vector[None], np.array([p]))[0].tolist()
    with LlamaEngine(gguf(vocabulary), ONE, vocabulary.longest) as engine:
        assert engine.tokenise(build("scored", where, target, p)) == ours
        assert engine.n_vocab == len(vocabulary.tokens) and engine.context == vocabulary.longest
    assert len(ours) == vocabulary.prompt_length


@given(where=spaces(), seed=st.integers(0, 2**32))
@QUICK
def test_an_answer_encodes_to_two_tokens_a_change_and_reads_back(where: Admissible, seed: int) -> None:
    vocabulary, x = SchemaVocabulary(where.record.schema, "well"), where.record.vector
    said = answer(where, random.Random(seed))
    y = read(where.record, written(list(said.items())))
    assert not isinstance(y, str)
    tokens = vocabulary.answer(x, rules.complete(where.record.schema, x, y[None])[0])
    text = "".join(vocabulary.tokens[t] for t in tokens)
    assert text == written(list(said.items())) and Grammar(where).start.accepts(text)
    assert len(tokens) == 2 * len(said) + 1
    assert vocabulary.prompt_length + len(tokens) <= vocabulary.longest


@given(schemas(), names())
@QUICK
def test_every_token_stands_once_and_begins_with_the_bytes(schema: Schema, target: str) -> None:
    vocabulary = SchemaVocabulary(schema, target)
    assert len(set(vocabulary.tokens)) == len(vocabulary.tokens)
    assert vocabulary.tokens[:256] == byte_alphabet() == byte_characters()
    assert np.isfinite(vocabulary.starting_embeddings(32, 0)).all()


@given(schemas())
@QUICK
def test_neighbouring_values_of_a_feature_start_nearer_than_its_ends(schema: Schema) -> None:
    vocabulary = SchemaVocabulary(schema, "well")
    start = vocabulary.starting_embeddings(256, 0)
    for feature in schema.features:
        if feature.kind == "number" and len(feature.lattice) > 10 and feature.reference is None:
            a, b, z = (start[vocabulary.ids[items(feature)[k]]] for k in (0, 1, -2))
            assert np.linalg.norm(a - b) < np.linalg.norm(a - z)


@pytest.fixture(scope="module")
def model() -> tuple[SchemaVocabulary, Any]:
    """A generator with weights large enough that a wrong rotation, order or head would show."""
    vocabulary = SchemaVocabulary(SCHEMA, "calm")
    made = new_model(vocabulary, SHAPE, 3)
    torch.manual_seed(5)
    with torch.no_grad():
        for name, weights in made.named_parameters():
            if weights.ndim == 2:
                weights.normal_(0, 1 / weights.shape[1] ** 0.5 if "embed" not in name else 1)
            else:
                weights.uniform_(0.5, 1.5)
    return vocabulary, made.eval()


def spaces_of(schema: Schema, count: int) -> list[Admissible]:
    chance = np.random.default_rng(0)
    rows = [np.array([chance.choice(f.lattice) for f in schema.features]) for _ in range(count)]
    return [admissible(Record(schema, x), Constraints()) for x in rows]


def scores(engine: LlamaEngine, where: Admissible) -> np.ndarray:
    """llama.cpp's scores of the token behind a record's prompt, shape (vocabulary,)."""
    seen: list[np.ndarray] = []
    plain = engine.decode

    def decode(branches: Any) -> Any:
        out = plain(branches)
        seen.append(np.array(out[0]))
        return out

    engine.decode = decode  # type: ignore[method-assign]
    engine.propose([Request(build("scored", where, "calm", 0.3), Grammar(where), 1, 0, 0.0)])
    engine.decode = plain  # type: ignore[method-assign]
    return seen[0]


def test_llama_cpp_scores_every_token_as_transformers_does(model: tuple[SchemaVocabulary, Any], tmp_path: Path) -> None:
    """Proves names, transpositions, the reordered rows of q and k, the rotation's base and the norm's epsilon."""
    vocabulary, made = model
    path = write_gguf(made, vocabulary, tmp_path / "plain.gguf")
    with LlamaEngine(path, ONE, vocabulary.longest) as engine:
        for where in spaces_of(SCHEMA, 8):
            theirs = scores(engine, where)
            tokens = torch.from_numpy(vocabulary.prompts(where.record.vector[None], np.array([0.3])).astype(np.int64))
            with torch.no_grad():
                ours = made(input_ids=tokens).logits[0, -1].numpy()
            top = np.argsort(-ours)[:20]
            assert ours.std() > 1, "scores this flat would prove nothing"
            np.testing.assert_allclose(theirs[top], ours[top], rtol=1e-3)
            assert np.abs(theirs - ours).max() < 1e-3 * np.abs(ours).max()  # the key-value cache holds half floats


def test_rows_of_q_and_k_left_in_place_would_be_noticed(
    model: tuple[SchemaVocabulary, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vocabulary, made = model
    monkeypatch.setattr(
        "sensecf_convert.generator.scratch.gguf._rows_for_llama", lambda name, value, config: value.detach().float().numpy()
    )
    path = write_gguf(made, vocabulary, tmp_path / "wrong.gguf")
    (where,) = spaces_of(SCHEMA, 1)
    with LlamaEngine(path, ONE, vocabulary.longest) as engine, torch.no_grad():
        tokens = torch.from_numpy(vocabulary.prompts(where.record.vector[None], np.array([0.3])).astype(np.int64))
        ours = made(input_ids=tokens).logits[0, -1].numpy()
        assert np.abs(scores(engine, where) - ours).max() > 0.01 * np.abs(ours).max()


def test_quantizing_keeps_the_scores_near_and_the_engine_s_messages_alive(model: tuple[SchemaVocabulary, Any], tmp_path: Path) -> None:
    vocabulary, made = model
    plain = write_gguf(made, vocabulary, tmp_path / "plain.gguf")
    small = quantize(plain, tmp_path / "small.gguf", "Q8_0")
    assert small.stat().st_size < 0.5 * plain.stat().st_size
    (where,) = spaces_of(SCHEMA, 1)
    with LlamaEngine(plain, ONE, vocabulary.longest) as exact, LlamaEngine(small, ONE, vocabulary.longest) as rounded:
        a, b = scores(exact, where), scores(rounded, where)
    assert np.corrcoef(a, b)[0, 1] > 0.995
    with pytest.raises(EngineError, match="could not quantize"):
        quantize(tmp_path / "none.gguf", tmp_path / "x.gguf", "Q8_0")
    (tmp_path / "broken.gguf").write_bytes(plain.read_bytes()[:-5000])
    with pytest.raises(EngineError, match=r"cannot load .*broken\.gguf: "):
        LlamaEngine(tmp_path / "broken.gguf", ONE)


def test_only_the_answer_is_learnt(model: tuple[SchemaVocabulary, Any]) -> None:
    vocabulary, _ = model
    x = Record.from_mapping(SCHEMA, {"age": 44, "steps": 3000, "deep_sleep": None, "smoker": "yes"}).vector
    y, z = x.copy(), x.copy()
    y[[1, 3]], z[1] = (9000, 1), 4000
    tokens, labels = encode(vocabulary, np.array([x, x]), np.array([y, z]), np.array([0.2, 0.2]))
    start = vocabulary.prompt_length
    assert (labels[:, :start] == IGNORE).all() and (tokens[0, start:] == labels[0, start:]).all()
    assert "".join(vocabulary.tokens[t] for t in labels[0, start:]) == '{"steps":9000,"smoker":"no"}'
    assert [vocabulary.tokens[t] for t in labels[1, start:] if t != IGNORE] == ['{"steps":', "4000", "}"]


def test_a_choice_called_as_a_number_and_a_number_of_one_digit_share_no_meaning_they_should_not() -> None:
    schema = Schema((Feature("a", low=0, high=9, step=1), Feature("b", "choice", choices=("1", "2"))))
    vocabulary = SchemaVocabulary(schema, "1")
    tokens = vocabulary.answer(np.array([0.0, 0.0]), np.array([1.0, 1.0]))
    assert [vocabulary.tokens[t] for t in tokens] == ['{"a":', "1", ',"b":', '"2"', "}"]
