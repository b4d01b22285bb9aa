"""A base model is looked at before anything long begins, tuned on answers only, and goes on where it was interrupted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bases import NARROW, SCHEMA, narrow, need_sources, pairs
from conftest import PATIENCE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from sensecf_convert.export import upstream
from sensecf_convert.export.convert import hf_to_gguf
from sensecf_convert.generator.answers import answer_text
from sensecf_convert.generator.base import adapters, frozen, memory, rehearsal, tuning
from sensecf_convert.generator.base.architecture import Architecture
from sensecf_convert.generator.base.checkpoint import Base
from sensecf_convert.generator.base.lessons import IGNORE, encode
from sensecf_convert.generator.base.memory import Work
from sensecf_convert.generator.base.tuning import Recipe, tune
from sensecf_convert.generator.batches import batch_rows
from strategies import spaces
from torch.nn import functional

from sensecf_edge.errors import BaseModelError, SenseCFError, TableError
from sensecf_edge.propose.grammar import Grammar
from sensecf_edge.propose.prompt import GENERAL, build
from sensecf_edge.propose.reply import read
from sensecf_edge.schema.record import Record
from sensecf_edge.space.admissible import Admissible, admissible

GB = 1e9
QUICK = Recipe(device="cpu", batch=8, rows=8, rate=1e-2, rank=4)


def ask(space: Admissible, p: float) -> str:
    return build(GENERAL, space, "calm", p)


def sizes_of(kind: str, **changed: Any) -> Architecture:
    return Architecture.from_config({**rehearsal.LARGE[kind], **changed}, "it")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need_sources()
    return narrow(tmp_path_factory.mktemp("base") / "narrow")


@pytest.fixture(scope="module")
def base(folder: Path) -> Base:
    return Base.open(folder, device="cpu")


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """A base of the test's own to harm."""
    (tmp_path / "copy").mkdir()
    for path in folder.iterdir():
        (tmp_path / "copy" / path.name).write_bytes(path.read_bytes())
    return tmp_path / "copy"


def rewrite(path: Path, **changed: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))


@pytest.mark.parametrize("change, words", [
    ({"architectures": ["Qwen2ForCausalLM"]}, "Qwen2ForCausalLM; generators are tuned from LlamaForCausalLM or MistralForCausalLM"),
    ({"architectures": []}, "is a ?"),
    ({"quantization_config": {"quant_method": "gptq"}}, "quantized already"),
    ({"hidden_act": "gelu"}, "hidden_act 'gelu'"),
    ({"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "stretches positions by 'dynamic'"),
    ({"num_key_value_heads": 5}, "do not fit"),
    ({"hidden_size": 4097}, "no multiple of num_attention_heads"),
    ({"num_hidden_layers": None}, "num_hidden_layers in config.json cannot be None"),
    ({"vocab_size": "many"}, "vocab_size in config.json cannot be 'many'"),
    ({"hidden_size": 0}, "hidden_size in config.json cannot be 0"),
])  # fmt: skip
def test_a_config_that_cannot_be_tuned_is_refused_with_the_key(change: dict[str, Any], words: str) -> None:
    with pytest.raises(BaseModelError) as told:
        sizes_of("llama", **change)
    assert words in str(told.value)


def test_the_sizes_of_the_two_large_models_are_the_published_ones() -> None:
    llama, mistral = sizes_of("llama"), sizes_of("mistral")
    assert llama.parameters == 8_030_261_248 and mistral.parameters == 7_241_732_096
    assert llama.adapter(16) == mistral.adapter(16) == 41_943_040
    assert llama.context == 131_072 and mistral.context == 4_096  # Mistral's sliding window


@pytest.mark.parametrize("kind", rehearsal.KINDS)
@pytest.mark.parametrize("tied", [True, False])
def test_weights_are_counted_as_torch_and_peft_count_them(kind: str, tied: bool) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    config = {**rehearsal.LARGE[kind], "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 3, "num_attention_heads": 6,
              "num_key_value_heads": 2, "vocab_size": 300, "tie_word_embeddings": tied}  # fmt: skip
    sizes = Architecture.from_config(config, "it")
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**config))
    assert model.num_parameters() == sizes.parameters
    adapted = adapters.adapted(model, 5, 2.0, 0, packed=False)
    assert sum(w.numel() for w in adapted.parameters() if w.requires_grad) == sizes.adapter(5)


@pytest.mark.parametrize("kind", rehearsal.KINDS)
def test_memory_says_what_is_known_of_seven_and_eight_billion_weights(kind: str) -> None:
    sizes = sizes_of(kind)
    need = {(how, device): memory.tuning(sizes, Work(how, device, rows=1))["total"] for how in memory.HOW for device in ("cpu", "cuda")}
    assert 5 * GB < need["qlora", "cuda"] < 12 * GB  # a 12 GB card
    assert 15 * GB < need["lora", "cuda"] < 24 * GB  # a 24 GB card
    assert need["full", "cuda"] > 110 * GB  # no single 80 GB card
    assert need["lora", "cpu"] > 4 * sizes.parameters
    assert 4.2 * GB < memory.file_bytes(sizes, "Q4_K_M") < 5.0 * GB and memory.file_bytes(sizes, "bf16") > 2 * sizes.parameters


@given(st.sampled_from(memory.HOW), st.sampled_from(["cpu", "cuda"]), st.integers(1, 16), st.integers(50, 2000))
def test_more_rows_longer_prompts_and_more_layers_never_need_less(how: str, device: str, rows: int, length: int) -> None:
    sizes, work = sizes_of("llama"), Work(how, device, rows, length)
    need = memory.tuning(sizes, work)
    assert need["total"] == pytest.approx(sum(size for name, size in need.items() if name != "total"))
    for more, bigger in ((replace(work, rows=rows + 1), sizes), (replace(work, length=length + 1), sizes),
                         (work, replace(sizes, layers=sizes.layers + 1))):  # fmt: skip
        assert memory.tuning(bigger, more)["total"] > need["total"]
        assert memory.flops(bigger, more, 100) >= memory.flops(sizes, work, 100)


def test_too_little_memory_is_said_with_both_figures_and_what_would_fit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda device: 22 * GB)
    memory.check(sizes_of("llama"), Work("lora", "cuda", rows=1), "LLaMA")
    with pytest.raises(BaseModelError, match=r"--tune full on cuda takes about 1\d\d\.\d GB .*22\.0 GB are free; --tune qlora would fit"):
        memory.check(sizes_of("llama"), Work("full", "cuda", rows=1), "LLaMA")
    monkeypatch.setattr(memory, "available", lambda device: 1e8)
    with pytest.raises(BaseModelError, match="take a smaller base"):
        Base.open(folder, device="cpu")


def test_free_memory_is_between_nothing_and_a_terabyte() -> None:
    assert 1e8 < memory.available("cpu") < 1e13


@pytest.mark.parametrize("how, device, words", [("qlora", "cpu", "works on CUDA only"), ("prompt", "cpu", "no tuning 'prompt'"),
                                                ("lora", "tpu", "no device 'tpu'")])  # fmt: skip
def test_a_way_of_tuning_that_cannot_be_had_is_refused_at_once(folder: Path, how: str, device: str, words: str) -> None:
    with pytest.raises(SenseCFError, match=words):
        Base.open(folder, how=how, device=device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_cuda_is_refused_where_there_is_none(folder: Path) -> None:
    with pytest.raises(BaseModelError, match="no CUDA device"):
        Base.open(folder, device="cuda")


def test_a_hub_id_without_a_network_says_what_to_bring_and_where_to_put_it(tmp_path: Path) -> None:
    program = "from sensecf_convert.generator.base.checkpoint import Base; Base.open('meta-llama/Llama-3.1-8B', device='cpu')"
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=PATIENCE)
    told = ran.stderr.splitlines()[-1]
    assert "BaseModelError" in told
    for words in ("meta-llama/Llama-3.1-8B", "hf download", "config.json", "tokenizer", "safetensors", "--base FOLDER"):
        assert words in told


@pytest.mark.parametrize("where", ["no/such/folder", "word", ""])
def test_what_is_neither_folder_nor_hub_id_is_said_to_be_neither(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BaseModelError):
        Base.open(where, device="cpu")


def test_a_tokenizer_that_llama_cpp_does_not_know_is_refused_before_the_weights_are_looked_at(tmp_path: Path) -> None:
    need_sources()
    folder = rehearsal.write("llama", tmp_path / "odd", hidden_size=32, intermediate_size=32, num_hidden_layers=1)
    (folder / "model.safetensors").unlink()
    tokenizer = folder / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text(encoding="utf-8").replace(r"\\p{N}{1,3}", r"\\p{N}{1,2}"), encoding="utf-8")
    with pytest.raises(BaseModelError, match="does not know the tokenizer"):
        Base.open(folder, device="cpu")


@pytest.mark.parametrize("kind", rehearsal.KINDS)
def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path, kind: str) -> None:
    need_sources()
    folder = rehearsal.write(kind, tmp_path / "mixed", **NARROW, vocab_size=31_000)
    with pytest.raises(BaseModelError, match=r"has a token (31,999|128,255), config\.json says vocab_size 31,000"):
        Base.open(folder, device="cpu")


@pytest.mark.parametrize("harm, words", [
    (lambda f: (f / "model.safetensors").unlink(), "no weights"),
    (lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:-100]), "cut short"),
    (lambda f: save_file({n: w for n, w in load_file(f / "model.safetensors").items() if "k_proj" not in n}, f / "model.safetensors"),
     "self_attn.k_proj.weight of 16x32, the checkpoint lacks it"),
    (lambda f: rewrite(f / "config.json", num_key_value_heads=2), "k_proj.weight of 32x32, the checkpoint has 16x32"),
    (lambda f: (f / "config.json").write_text("{"), "config.json"),
    (lambda f: (f / "config.json").unlink(), "no config.json"),
    (lambda f: (f / "tokenizer.model").unlink(), "no tokenizer"),
    (lambda f: (f / "tokenizer.model").write_bytes(b"12"), "the tokenizer in"),
    (lambda f: (f / "tokenizer.json").write_text("{}"), "the tokenizer in"),
])  # fmt: skip
def test_a_damaged_checkpoint_is_refused_with_the_file_or_part(copy: Path, harm: Any, words: str) -> None:
    harm(copy)
    with pytest.raises(BaseModelError) as told:
        Base.open(copy, device="cpu")
    assert words in str(told.value)


def test_old_weights_without_a_header_are_loaded_and_what_they_lack_is_said(copy: Path) -> None:
    weights = {n: torch.from_numpy(w.copy()) for n, w in load_file(copy / "model.safetensors").items()}
    (copy / "model.safetensors").unlink()
    torch.save(weights, copy / "pytorch_model.bin")
    model = adapters.load(Base.open(copy, device="cpu"), torch.float32, "cpu")
    assert torch.equal(model.lm_head.weight, weights["lm_head.weight"])
    del weights["model.norm.weight"]
    torch.save(weights, copy / "pytorch_model.bin")
    with pytest.raises(BaseModelError, match=r"lacks 1 weights, model\.norm\.weight"):
        adapters.load(Base.open(copy, device="cpu"), torch.float32, "cpu")


def test_lessons_hold_the_prompt_and_the_answer_and_count_the_answer_only(base: Base) -> None:
    X, Y, p = pairs(6)
    Y[4, 0] += 1  # age is immutable: no grammar says that
    lessons = encode(base.tokens, SCHEMA, ask, X, Y, p, 4)
    assert len(lessons) == 5 and lessons.left_out == 1
    tokens, labels = lessons.rows([0, 1])
    for row, i in enumerate((0, 1)):
        space = admissible(Record(SCHEMA, X[i]))
        ids = tokens[row].tolist()
        answer = [t for t in labels[row].tolist() if t != IGNORE]
        start = len(lessons.prompts[i])
        assert base.tokens.text(ids[:start]).strip(" ") == build(GENERAL, space, "calm", p[i]).strip(" ")
        assert base.tokens.text(answer) == answer_text(space, Y[i]) and ids[start : start + len(answer)] == answer
        assert len(base.tokens.end) == 1 and answer[-1:] == base.tokens.end
        assert all(t == IGNORE for t in labels[row, :start].tolist())
    assert lessons.longest == max(map(sum, zip(map(len, lessons.prompts), map(len, lessons.answers), strict=True)))


@given(spaces(), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_what_is_taught_is_what_the_grammar_derives_and_reads_back(space: Admissible, seed: int) -> None:
    chance, record = np.random.default_rng(seed), space.record
    y = record.vector.copy()
    for i in chance.permutation(space.features)[: space.max_changes]:
        y[i] = chance.choice(space.values[i])
    said = answer_text(space, y)
    assert Grammar(space).start.accepts(said)
    back = read(record, said)
    assert not isinstance(back, str) and np.array_equal(back, y, equal_nan=True)


def test_lora_lowers_the_loss_and_leaves_everything_but_the_projections_alone(base: Base, tmp_path: Path) -> None:
    X, Y, p = pairs(96)
    tuned = tune(base, SCHEMA, ask, X, Y, p=p, work=tmp_path, recipe=replace(QUICK, passes=2))
    assert tuned.checkpoint is not None and tuned.adapter is not None
    assert tuned.facts["loss"] < 0.8 * tuned.facts["loss_first"] and tuned.facts["steps"] == 24
    assert tuned.facts["base"] == base.name == base.folder.name
    assert str(base.folder) not in (tuned.adapter / "adapter_config.json").read_text()
    assert tuned.facts["trainable"] == base.sizes.adapter(4) and tuned.facts["parameters"] == base.sizes.parameters
    before, after = (load_file(f / "model.safetensors") for f in (base.folder, tuned.checkpoint))
    assert before.keys() == after.keys()
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {name for name in before if "_proj" in name}
    for name in ("config.json", "tokenizer.model", "tokenizer_config.json"):
        assert json_or_bytes(tuned.checkpoint / name) == json_or_bytes(base.folder / name)


def json_or_bytes(path: Path) -> Any:
    return json.loads(path.read_text()) if path.suffix == ".json" else path.read_bytes()


def test_full_tuning_moves_the_whole_model(base: Base, tmp_path: Path) -> None:
    X, Y, p = pairs(64)
    tuned = tune(base, SCHEMA, ask, X, Y, p=p, work=tmp_path, recipe=replace(QUICK, how="full", passes=2, rate=3e-3))
    assert tuned.adapter is None and tuned.checkpoint is not None
    assert tuned.facts["loss"] < 0.9 * tuned.facts["loss_first"] and tuned.facts["trainable"] == base.sizes.parameters
    before, after = (load_file(f / "model.safetensors") for f in (base.folder, tuned.checkpoint))
    assert all(not np.array_equal(before[name], after[name]) for name in before)


def test_a_finished_tuning_is_only_read_and_another_plan_is_refused(base: Base, tmp_path: Path) -> None:
    X, Y, p = pairs(16)
    first = tune(base, SCHEMA, ask, X, Y, p=p, work=tmp_path, recipe=QUICK)
    steps: list[float] = []
    again = tune(base, SCHEMA, ask, X, Y, p=p, work=tmp_path, recipe=QUICK, report=lambda share, loss: steps.append(share))
    assert again == first and not steps
    with pytest.raises(TableError, match="another prompts and pairs"):
        tune(base, SCHEMA, ask, X[:8], Y[:8], p=p[:8], work=tmp_path, recipe=QUICK)
    with pytest.raises(TableError, match="another seed and passes"):
        tune(base, SCHEMA, ask, X, Y, p=p, work=tmp_path, recipe=replace(QUICK, seed=1, passes=3))


@pytest.mark.parametrize("how", ["lora", "full"])
def test_an_interrupted_tuning_ends_where_an_undisturbed_one_does(
    base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    X, Y, p = pairs(80)

    def run(work: Path, report: Any = None) -> Any:
        return tune(base, SCHEMA, ask, X, Y, p=p, work=work, recipe=replace(QUICK, how=how), report=report, merged=False)

    whole = run(tmp_path / "whole")
    monkeypatch.setattr(tuning, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(tuning, "SAVING_SHARE", 1e9)
    seen: list[float] = []

    def interrupt(share: float, loss: float) -> None:
        seen.append(share)
        if len(seen) == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", interrupt)
    resumed = run(tmp_path / "broken", lambda share, loss: seen.append(share))
    assert resumed.facts["resumed_at"] == 5 and resumed.facts["steps"] == 10
    assert seen == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.6, 0.7, 0.8, 0.9, 1.0])
    assert resumed.facts["loss"] == pytest.approx(whole.facts["loss"], rel=1e-4)
    name = "merged/model.safetensors" if how == "full" else "adapter/adapter_model.safetensors"
    one, other = (load_file(tmp_path / work / name) for work in ("whole", "broken"))
    assert all(np.allclose(one[k], other[k], atol=1e-5) for k in one)
    assert not (tmp_path / "broken" / "tuning.pt").exists()


def test_a_checkpoint_is_never_older_than_a_minute_where_saving_is_cheap() -> None:
    assert tuning.CHECKPOINT_SECONDS < 60


def test_minutes_end_a_tuning_early(base: Base, tmp_path: Path) -> None:
    X, Y, p = pairs(16)
    tuned = tune(base, SCHEMA, ask, X, Y, p=p, work=tmp_path, recipe=replace(QUICK, passes=1e6, minutes=0.02), merged=False)
    assert 0 < tuned.facts["steps"] < min(1e4, tuned.facts["steps_planned"]) and tuned.checkpoint is None


def test_minutes_hold_inside_a_step(base: Base, tmp_path: Path) -> None:
    X, Y, p = pairs(64)
    slow = replace(QUICK, passes=9, minutes=1e-9, batch=64, rows=1)
    tuned = tune(base, SCHEMA, ask, X, Y, p=p, work=tmp_path, recipe=slow, merged=False)
    assert tuned.facts["steps"] == 1 and tuned.facts["steps_planned"] == 9 and 0 < tuned.facts["loss"] < 50


def test_pairs_are_held_out_and_end_a_tuning_that_gains_nothing(base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"EVERY": 1, "PATIENCE": 2}.items():
        monkeypatch.setattr(tuning, name, value)
    X, Y, p = pairs(400)
    idle = replace(QUICK, passes=9, rate=1e-12)
    tuned = tune(base, SCHEMA, ask, X, Y, p=p, work=tmp_path, recipe=idle, merged=False)
    assert tuned.facts["steps"] == tuned.facts["steps_planned"] == 3 and tuned.facts["loss_held"] > 0
    learnt, held = encode(base.tokens, SCHEMA, ask, X, Y, p, 4).parted(0)
    assert len(held) == 48 and len(learnt) == 352 and not {*map(tuple, held.prompts)} & {*map(tuple, learnt.prompts)}


def _gradients(base: Base, dtype: torch.dtype, joined: bool, again: bool = False) -> tuple[float, dict[str, torch.Tensor]]:
    """Loss and gradients of a step of an adapter that is no longer nothing."""
    model = adapters.adapted(adapters.load(base, dtype, "cpu"), 4, 2.0, 3, packed=False)
    model = frozen.joined(model) if joined else model
    if again:
        adapters.computed_again(model.get_base_model())
    model.train()
    chance = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "lora_B" in name:
                weights.copy_(0.05 * torch.randn(weights.shape, generator=chance))
    ids = torch.randint(0, base.sizes.vocabulary, (3, 17), generator=chance)
    scores = model(input_ids=ids).logits[:, :-1].float()
    loss = functional.cross_entropy(scores.reshape(-1, scores.shape[-1]), ids[:, 1:].reshape(-1))
    loss.backward()
    return float(loss.detach()), {name: w.grad for name, w in model.named_parameters() if w.grad is not None}


@pytest.mark.parametrize("again", [False, True])
def test_an_adapter_learns_the_same_as_peft_makes_it_learn(base: Base, again: bool) -> None:
    loss, theirs = _gradients(base, torch.float32, joined=False)
    mine, ours = _gradients(base, torch.float32, joined=True, again=again)
    assert mine == pytest.approx(loss, rel=1e-5) and ours.keys() == theirs.keys()
    for name, gradient in theirs.items():
        assert torch.allclose(ours[name], gradient, rtol=1e-3, atol=1e-5 * float(gradient.abs().max())), name


def test_an_adapter_over_weights_in_bfloat16_learns_nearly_the_same_and_stays_whole(base: Base) -> None:
    loss, theirs = _gradients(base, torch.float32, joined=False)
    mine, ours = _gradients(base, torch.bfloat16, joined=True)
    assert mine == pytest.approx(loss, rel=0.02) and all(g.dtype == torch.float32 for g in ours.values())
    one, other = (torch.cat([g.flatten() for g in each.values()]) for each in (theirs, ours))
    assert functional.cosine_similarity(one, other, dim=0) > 0.99


def test_a_gguf_is_a_base_too(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources_home = upstream.home()
    hf_to_gguf(folder, tmp_path / "given.gguf")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(upstream, "home", lambda: sources_home)
    opened, plain = Base.open(tmp_path / "given.gguf", device="cpu"), Base.open(folder, device="cpu")
    assert opened.name == "given.gguf" and opened.stored == "float32"
    assert replace(opened.sizes, name="") == replace(plain.sizes, name="", context=opened.sizes.context)
    one, other = (adapters.load(b, torch.float32, "cpu") for b in (opened, plain))
    ids = torch.tensor([plain.tokens.prompt("Change the steps to 9000.")])
    assert opened.tokens.prompt("Change the steps to 9000.") == ids[0].tolist()
    assert torch.allclose(one(ids).logits, other(ids).logits, atol=1e-4)
    with pytest.raises(BaseModelError, match="there is no file"):
        Base.open(tmp_path / "gone.gguf", device="cpu")


def test_every_pass_sees_every_pair_once_in_another_order() -> None:
    rows = [i for step in range(12) for i in batch_rows(3, step, 5, 20)]
    passes = [rows[at : at + 20] for at in (0, 20, 40)]
    assert all(sorted(one) == list(range(20)) for one in passes) and passes[0] != passes[1] != passes[2]


def test_pairs_the_grammar_cannot_say_and_prompts_longer_than_the_base_reads_are_refused(base: Base, tmp_path: Path) -> None:
    X, Y, p = pairs(4)
    with pytest.raises(BaseModelError, match="no pair has an answer"):
        tune(base, SCHEMA, ask, X, X, p=p, work=tmp_path, recipe=QUICK)
    short = replace(base, sizes=replace(base.sizes, context=100))
    with pytest.raises(BaseModelError, match=r"take 2\d\d tokens, .* reads 100"):
        tune(short, SCHEMA, ask, X, Y, p=p, work=tmp_path, recipe=QUICK)


def test_the_tables_of_the_docs_are_the_computed_ones() -> None:
    from sensecf_convert.generator.base.costs import tables

    docs = (Path(__file__).parent.parent / "docs" / "large-models.md").read_text(encoding="utf-8").splitlines()
    lines = [line for line in tables() if line]
    assert len(lines) > 20 and [line for line in lines if line not in docs] == []
