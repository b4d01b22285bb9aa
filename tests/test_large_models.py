"""The way of an 8B model, gone without its weights: real vocabularies, rotations and heads over random weights.

tune with LoRA -> merge -> convert -> quantize -> explain, and the adapter beside its base. Only the width and the number of
layers differ from LLaMA-3.1-8B and from the Mistral that BioMistral-7B goes on from.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bases import SCHEMA, need_sources, pairs
from conftest import toy_manifest
from sensecf_convert.export.convert import hf_to_gguf, lora_to_gguf
from sensecf_convert.export.quantize import fallbacks, quantize
from sensecf_convert.generator.base import memory, rehearsal
from sensecf_convert.generator.base.checkpoint import Base
from sensecf_convert.generator.base.tuning import Recipe, Tuned, tune

from sensecf_edge.bundle.bundle import write_manifest
from sensecf_edge.llama.engine import LlamaEngine
from sensecf_edge.propose.engine import Request
from sensecf_edge.propose.grammar import Grammar
from sensecf_edge.propose.prompt import GENERAL, build
from sensecf_edge.propose.reply import read
from sensecf_edge.schema.record import Record
from sensecf_edge.settings import EngineSettings
from sensecf_edge.space.admissible import Admissible, admissible

ALONE = EngineSettings(max_sequences=1, threads=1)
CLOSE = 1e-3
BEYOND = {"llama": 8_500, "mistral": 3_000}
"""Positions: past the 8,192 behind which LLaMA-3.1 stretches its rotations; within Mistral's window."""


def ask(space: Admissible, p: float) -> str:
    return build(GENERAL, space, "calm", p)


@dataclass
class Way:
    """One model on its way; each step is taken when it is first asked for."""

    kind: str
    folder: Path

    @cached_property
    def base(self) -> Base:
        return Base.open(rehearsal.write(self.kind, self.folder / "base"), device="cpu")

    @cached_property
    def tuned(self) -> Tuned:
        X, Y, p = pairs(200)
        recipe = Recipe(device="cpu", batch=10, rows=10, rate=5e-3)
        return tune(self.base, SCHEMA, ask, X, Y, p=p, work=self.folder / "work", recipe=recipe)

    @property
    def checkpoint(self) -> Path:
        assert self.tuned.checkpoint is not None
        return self.tuned.checkpoint

    @cached_property
    def merged(self) -> Path:
        return hf_to_gguf(self.checkpoint, self.folder / "merged.gguf", "f32")

    @cached_property
    def packed(self) -> Path:
        return quantize(self.merged, self.folder / "packed.gguf", "Q4_K_M", 2)

    @cached_property
    def beneath(self) -> Path:
        return hf_to_gguf(self.base.folder, self.folder / "beneath.gguf", "f32")

    @cached_property
    def adapter(self) -> Path:
        assert self.tuned.adapter is not None
        return lora_to_gguf(self.tuned.adapter, self.base.folder, self.folder / "adapter.gguf", "f32")


@pytest.fixture(scope="module", params=rehearsal.KINDS)
def way(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    need_sources()
    folder = tmp_path_factory.mktemp(request.param)
    yield Way(request.param, folder)
    shutil.rmtree(folder)  # a gigabyte


def torch_scores(folder: Path, tokens: list[int], **config: Any) -> np.ndarray:
    """Scores behind the last token, by transformers. `config` overrides what the checkpoint says."""
    from transformers import AutoConfig, AutoModelForCausalLM

    told = AutoConfig.from_pretrained(folder)
    for key, value in config.items():
        setattr(told, key, value)
    model = AutoModelForCausalLM.from_pretrained(folder, config=told, dtype=torch.float32, local_files_only=True).eval()
    with torch.inference_mode():
        hidden = model.model(input_ids=torch.tensor([tokens])).last_hidden_state[:, -1]
        return np.asarray(model.lm_head(hidden)[0])


def llama_scores(gguf: Path, tokens: list[int], adapter: Path | None = None) -> np.ndarray:
    """The same, by llama.cpp."""
    with LlamaEngine(gguf, ALONE, len(tokens) + 1, adapter=adapter) as engine:
        return np.array(engine._decode([tokens], [0], [[0]])[0])


def apart(a: np.ndarray, b: np.ndarray) -> float:
    """The largest relative difference on the 50 highest scores of a."""
    top = np.argsort(-a)[:50]
    return float((np.abs(a[top] - b[top]) / np.abs(a[top])).max())


def some_tokens(count: int) -> list[int]:
    return np.random.default_rng(4).integers(300, 30_000, count).tolist()


def test_all_token_ids_are_the_golden_ones(way: Way) -> None:
    from transformers import AutoTokenizer

    _, golden = rehearsal.golden(way.kind)
    assert len(golden) >= 40
    theirs = AutoTokenizer.from_pretrained(way.base.folder)
    with LlamaEngine(way.merged, ALONE, 64) as engine:
        for text, ids in golden:
            assert way.base.tokens.plain(text) == ids, text  # what is taught
            assert engine.tokenise(text)[1:] == ids, text  # what the runtime reads
            if text:
                assert theirs.encode(text, add_special_tokens=False) == ids, text  # what the base was trained on
        assert engine.n_vocab == way.base.sizes.vocabulary == len(theirs)


def test_the_converted_vocabulary_is_the_golden_one_token_by_token(way: Way) -> None:
    data, golden = way.merged.read_bytes()[: 1 << 24], rehearsal.golden(way.kind)[0].read_bytes()
    for part in ("tokens", "token_type", *(["merges"] if way.kind == "llama" else ["scores"])):
        ours, real = rehearsal._array(data, part), rehearsal._array(golden, part)
        assert len(ours) == len(real)
        different = {i for i, (a, b) in enumerate(zip(ours, real, strict=True)) if a != b}
        allowed = {0, 1, 2} if way.kind == "mistral" and part != "tokens" else set()  # today's converter marks <unk>, <s>, </s> otherwise
        assert different <= allowed, part
    assert (b"llama-bpe" in data) == (way.kind == "llama")


def test_lora_learns_and_the_prompt_fits(way: Way) -> None:
    facts = way.tuned.facts
    assert facts["loss"] < 0.6 * facts["loss_first"]
    assert facts["steps"] == 20  # in tens, of 200 pairs: too few to hold some out
    assert facts["trainable"] == way.base.sizes.adapter(16) and facts["left_out"] == 0
    assert 100 < way.tuned.longest < 400


@pytest.mark.parametrize("long", [False, True], ids=["300", "long"])
def test_scores_of_transformers_and_llama_cpp_agree(way: Way, long: bool) -> None:
    tokens = some_tokens(BEYOND[way.kind] if long else 300)
    theirs, ours = torch_scores(way.checkpoint, tokens), llama_scores(way.merged, tokens)
    assert theirs.std() > 0.5  # far from flat, or agreement would say nothing
    assert apart(theirs, ours) < CLOSE
    assert (np.argsort(-theirs)[:10] == np.argsort(-ours)[:10]).all()


def test_scores_would_not_agree_without_the_stretched_rotations(way: Way) -> None:
    if way.kind != "llama":
        pytest.skip("Mistral's rotations are not stretched")
    tokens = some_tokens(BEYOND["llama"])
    plain = torch_scores(way.checkpoint, tokens, rope_parameters={"rope_type": "default", "rope_theta": 500_000.0})
    assert apart(plain, llama_scores(way.merged, tokens)) > 30 * CLOSE


def test_the_adapter_over_its_base_says_what_the_merged_model_says(way: Way) -> None:
    tokens = some_tokens(300)
    theirs = torch_scores(way.checkpoint, tokens)
    assert apart(theirs, llama_scores(way.beneath, tokens, way.adapter)) < CLOSE
    assert apart(theirs, llama_scores(way.beneath, tokens)) > 30 * CLOSE  # the adapter does something
    assert way.adapter.stat().st_size < way.beneath.stat().st_size / 20


def test_q4_k_m_loads_keeps_the_grammar_and_its_first_answers_parse(way: Way) -> None:
    assert way.packed.stat().st_size < way.merged.stat().st_size / 4 and fallbacks(way.packed, "Q4_K_M") == []
    X, _, p = pairs(12, seed=9)
    spaces = [admissible(Record(SCHEMA, x)) for x in X]
    grammars = [Grammar(space) for space in spaces]
    prompts = [build(GENERAL, space, "calm", now) for space, now in zip(spaces, p, strict=True)]
    with LlamaEngine(way.packed, EngineSettings(max_sequences=4, threads=1), way.tuned.longest + 32) as engine:
        assert engine.tokenise(prompts[0]) == way.base.tokens.prompt(prompts[0])
        said = engine.propose([Request(text, grammar, 2, 0, 0.7) for text, grammar in zip(prompts, grammars, strict=True)])
    for space, grammar, proposals in zip(spaces, grammars, said, strict=True):
        assert isinstance(proposals, list) and all(one.complete for one in proposals)
        assert all(grammar.start.accepts(one.text) for one in proposals)
        assert not isinstance(read(space.record, proposals[0].text), str)
    learnt = ["steps" in proposals[0].text for proposals in said if isinstance(proposals, list)]
    assert np.mean(learnt) > 0.8  # every pair it was taught changes the steps; there are two other features to begin with


@pytest.mark.parametrize("beside", [False, True], ids=["merged", "adapter"])
def test_a_bundle_with_it_explains(way: Way, beside: bool, toy_copy: Path, command: Callable[..., Any]) -> None:
    shutil.copyfile(way.beneath if beside else way.packed, toy_copy / "generator.gguf")
    if beside:
        shutil.copyfile(way.adapter, toy_copy / "adapter.gguf")
    manifest = toy_manifest()
    manifest["generator"].update(prompt=GENERAL, context=way.tuned.longest + 32, parameters=way.tuned.facts["parameters"])
    write_manifest(toy_copy, manifest)
    ran = command("explain", "--sample", "restless", "--model", toy_copy, "--json")
    assert ran.code == 0, ran.err
    explained = json.loads(ran.out)
    assert explained["found"] and explained["first_try"]["changes"]  # no change: it could not be read


def test_the_size_of_the_file_is_the_computed_one(way: Way) -> None:
    vocabulary = rehearsal.golden(way.kind)[0].stat().st_size
    assert way.merged.stat().st_size == pytest.approx(memory.file_bytes(way.base.sizes, "f32") + vocabulary, rel=0.01)
