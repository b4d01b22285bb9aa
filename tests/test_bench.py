"""bench: every line is a ratio of things measured in one run; nothing here asserts a time."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sensecf_bench import comparisons, masking, measuring, programs
from sensecf_bench.__main__ import main
from strategies import spaces
from test_grammar import Judge

from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.llama.engine import LlamaEngine
from sensecf_edge.propose.grammar import Grammar
from sensecf_edge.settings import EngineSettings
from sensecf_edge.space.admissible import Admissible

NEEDED = "no Llama 3 vocabulary in the cache: make bench"


@pytest.fixture(scope="module")
def llama3() -> Iterator[LlamaEngine]:
    """A tiny model over the real 128,256 tokens."""
    path = programs.large_vocabulary()
    if path is None:
        pytest.skip(NEEDED)
    with LlamaEngine(path, EngineSettings(max_sequences=4), 512) as engine:
        yield engine


@given(space=spaces(), seed=st.integers(0, 2**32))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_on_the_real_llama_3_vocabulary_every_mask_is_llama_cpps_own(llama3: LlamaEngine, space: Admissible, seed: int) -> None:
    """Along a random answer, half of the time in the model's own tokens and half in any: 128,256 tokens at each state."""
    judge, vocabulary, chance = Judge(llama3), llama3.vocabulary, random.Random(seed)
    sampler, node = judge.begin(Grammar(space).gbnf()), Grammar(space).start
    try:
        while not node.final:
            moves = vocabulary.moves(node)
            assert set(moves.ids.tolist()) == judge.allowed(sampler)
            longest = max(moves.ids.tolist(), key=lambda i: len(vocabulary.pieces[i]))
            token = longest if chance.random() < 0.5 else int(chance.choice(moves.ids))
            node = moves.after(token)
            judge.lib.llama_sampler_accept(sampler, token)
        ends = {i for i in range(llama3.n_vocab) if judge.lib.llama_vocab_is_eog(judge.vocab, i)}
        assert judge.allowed(sampler) <= ends
    finally:
        judge.lib.llama_sampler_free(sampler)


def test_keys_of_many_tokens_take_few_decodes(llama3: LlamaEngine, shipped: str) -> None:
    """Answers in the model's own tokens: forced ones go in together, so at most 0.6 decodes for each token, prompts aside."""
    where = measuring.spaces(measuring.records(Bundle.open(shipped), 60))
    tokens = turns = 0
    for space, own in zip(where, masking.answers(llama3, where), strict=True):
        tokens += len(own)
        turns += masking.turns(llama3, space, own)
    assert turns <= 0.6 * tokens, turns / tokens


@pytest.fixture
def lean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a built bench nor a large vocabulary, and no process started."""
    monkeypatch.setattr(programs, "batched_bench", lambda: None)
    monkeypatch.setattr(programs, "large_vocabulary", lambda: None)
    monkeypatch.setattr(programs, "fastest", lambda count, *commands: [1.5] * len(commands))
    monkeypatch.setattr(programs, "peak_mb", lambda *command: 100.0)


def ran(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[str, str]:
    """What the tool prints, and what it says beside."""
    main.main([str(a) for a in arguments], standalone_mode=False)
    return capsys.readouterr()


def test_bench_prints_a_line_for_every_comparison(lean: None, toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, err = ran(capsys, "--model", toy, "--seconds", "0.01", "--records", "3")
    assert err == ""
    lines = out.splitlines()
    assert sum("create_completion" in one for one in lines) == 3
    assert any("not built: make bench" in one for one in lines) and any("idle Python" in one for one in lines)


def test_bench_as_json_holds_ours_theirs_and_their_ratio(lean: None, toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = json.loads(ran(capsys, "--model", toy, "--seconds", "0.01", "--records", "3", "--json")[0])
    assert (whole["format"], whole["model"]) == (1, "toy")
    for one in whole["lines"]:
        assert set(one) == {"what", "ours", "theirs", "unit", "against", "ratio", "goal", "met"}
        if one["ratio"] is not None:
            assert one["ratio"] == pytest.approx(one["ours"] / one["theirs"])


def test_a_goal_is_met_or_missed_by_the_ratio() -> None:
    assert comparisons.line("x", 2, 1, "", "", at_least=2).met and not comparisons.line("x", 2, 1, "", "", at_most=1).met
    assert comparisons.line("x", 2, 1, "", "").met is None
    assert "MISSED" in comparisons.row(comparisons.line("x", 2, 1, "s", "y", at_most=1))[4]


def test_the_same_decodes_can_be_asked_again_without_the_engine(toy: Path) -> None:
    where = measuring.spaces(measuring.records(Bundle.open(toy), 5))
    with measuring.SpiedEngine(toy / "generator.gguf", EngineSettings(max_sequences=4), 256) as engine:
        assert isinstance(engine, measuring.SpiedEngine)
        from sensecf_edge.propose.engine import Request

        requests = [Request("x", Grammar(s), 4, 0, 0.7) for s in where]
        answers, spied = engine.spy(requests)
        before = np.array(engine._view())
        assert len(answers) == 4 * len(where) and spied.decodes == sum(step[0] == "decode" for step in spied.steps)
        assert spied.prompt_tokens >= len(where)
        engine._scores[:] = 0
        assert engine.replay(spied) > 0
        assert np.array_equal(before, engine._view())


def test_without_anything_built_the_cache_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert programs.batched_bench() is None and programs.large_vocabulary() is None


def test_the_yardsticks_of_a_process_are_seconds_and_memory() -> None:
    assert programs.fastest(1, ("-c", "pass"))[0] > 0
    peak = programs.peak_mb("-c", "x = bytearray(50_000_000); import time; time.sleep(0.2)")
    if not shutil.which("cat") or not Path("/proc/self/status").exists():
        assert peak is None
    else:
        assert peak is not None and peak > 50
