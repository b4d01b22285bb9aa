"""Export: llama.cpp's own converters at the pinned commit, quantization, what a type loses; and what is refused before it begins."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from checkpoints import converters, tiny_adapter, tiny_checkpoint
from conftest import SCHEMA, Ran, toy_manifest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sensecf_convert.evaluate import quantizations
from sensecf_convert.export import convert, quantize, upstream
from sensecf_convert.export.checks import architectures
from sensecf_convert.export.divergence import Script, compare, scripts, summed
from sensecf_convert.table.cohort import cohort, read_table

from sensecf_edge.bundle.bundle import Bundle, write_manifest
from sensecf_edge.cli import export
from sensecf_edge.errors import EngineError, ExportError
from sensecf_edge.llama.engine import LlamaEngine
from sensecf_edge.propose.engine import Request
from sensecf_edge.propose.grammar import Grammar
from sensecf_edge.propose.prompt import build
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.schema import Schema
from sensecf_edge.settings import EngineSettings
from sensecf_edge.space.admissible import admissible
from sensecf_edge.space.constraints import Constraints

Command = Callable[..., Ran]
ROOT = Path(__file__).parents[1]
PROMPTS = ("glucose_mean=150;sleep=2;want=calm;", "sleep=3;", '{"glucose_mean":75}')
ALONE = EngineSettings(max_sequences=4)


def test_the_converters_are_those_of_the_pinned_engine() -> None:
    assert f'"llama-cpp-python=={upstream.VERSION}"' in (ROOT / "pyproject.toml").read_text()
    assert f"LLAMA = llama_cpp_python-{upstream.VERSION}\n" in (ROOT / "Makefile").read_text()


def test_the_command_line_knows_the_build_sides_words() -> None:
    assert convert.KINDS == export.KINDS and quantizations.TYPES == export.TYPES
    assert set(export.TYPES) < set(quantize.QUANTIZATIONS)


@pytest.fixture(scope="module")
def archive() -> Path:
    """The real one, in the real cache."""
    converters()
    archive = upstream.home() / upstream.ARCHIVE
    if not archive.is_file():
        pytest.skip("llama.cpp is unpacked here, but its archive is gone")
    return archive


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, and pip without any index: as on a machine without a network."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache" / "sensecf-edge" / "llama"


def test_without_a_network_the_error_says_what_to_put_where(empty_cache: Path) -> None:
    with pytest.raises(ExportError) as error:
        upstream.sources()
    said = str(error.value)
    assert "pip download" in said and upstream.ARCHIVE in said and str(empty_cache) in said and "\n" not in said
    assert not upstream.cached() and list(empty_cache.iterdir()) == []


def test_a_cached_archive_needs_no_network_and_once_unpacked_not_even_the_archive(archive: Path, empty_cache: Path) -> None:
    empty_cache.mkdir(parents=True)
    shutil.copy(archive, empty_cache)
    folder = upstream.sources()
    names = {path.relative_to(folder).parts[0] for path in folder.rglob("*") if path.is_file()}
    assert {"convert_hf_to_gguf.py", "convert_lora_to_gguf.py", "conversion", "gguf-py", "models", "LICENSE"} < names and len(names) == 7
    assert (folder / "models" / "ggml-vocab-llama-bpe.gguf.inp").is_file() and "LlamaForCausalLM" in architectures(folder)
    (empty_cache / upstream.ARCHIVE).unlink()
    assert upstream.sources() == folder and upstream.cached()


def test_another_archive_is_refused(empty_cache: Path) -> None:
    empty_cache.mkdir(parents=True)
    (empty_cache / upstream.ARCHIVE).write_bytes(b"another")
    with pytest.raises(ExportError, match=r"is not llama-cpp-python .* delete it"):
        upstream.sources()
    assert [path.name for path in empty_cache.iterdir()] == [upstream.ARCHIVE]


def test_nothing_leaves_the_folder_and_nothing_but_what_is_needed_is_unpacked(tmp_path: Path) -> None:
    inside = f"llama_cpp_python-{upstream.VERSION}/vendor/llama.cpp"
    plain = {f"{inside}/conversion/base.py": b"1", f"{inside}/convert_hf_to_gguf.py": b"2", f"{inside}/models/ggml-vocab-x.gguf": b"3"}
    evil = (
        f"{inside}/conversion/../../../../out.py",
        "/conversion/out.py",
        "../conversion/out.py",
        f"{inside}/Makefile",
        f"{inside}/models/x",
    )
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        for name in (*plain, *evil):
            data = plain.get(name, b"evil")
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            member = tarfile.TarInfo(f"{inside}/conversion/link{kind.decode()}")
            member.type, member.linkname = kind, "/etc/passwd"
            tar.addfile(member)
    upstream._unpack(tmp_path / "a.tar.gz", tmp_path / "deep" / "er")
    written = {path.relative_to(tmp_path / "deep" / "er").as_posix() for path in (tmp_path / "deep").rglob("*") if path.is_file()}
    assert written == {"conversion/base.py", "convert_hf_to_gguf.py", "models/ggml-vocab-x.gguf", upstream._STAMP}
    assert {path.name for path in tmp_path.iterdir()} == {"a.tar.gz", "deep"}


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama with 256 wide rows, so that every K-quant fits."""
    return tiny_checkpoint(tmp_path_factory.mktemp("llama") / "checkpoint", width=256)


@pytest.fixture(scope="module")
def plain(llama: Path) -> Path:
    converters()
    return convert.hf_to_gguf(llama, llama.parent / "plain.gguf")


def scores(model: Path) -> NDArray[np.float32]:
    """Scores of the next token behind every prompt."""
    out = []
    with LlamaEngine(model, ALONE, 128) as engine:
        for prompt in PROMPTS:
            engine.empty()
            row = SimpleNamespace(tokens=engine.tokenise(prompt), start=0, sequences=[0])
            out.append(engine.decode([row])[0].copy())  # type: ignore[list-item]
    return np.array(out)


def of_transformers(checkpoint: Path) -> tuple[list[list[int]], NDArray[np.float32]]:
    """Token ids by SentencePiece itself, and scores by transformers."""
    import sentencepiece
    import torch
    from transformers import AutoModelForCausalLM

    spell = sentencepiece.SentencePieceProcessor(str(checkpoint / "tokenizer.model"))
    ids = [[1, *spell.encode(prompt)] for prompt in PROMPTS]
    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    with torch.no_grad():
        return ids, np.array([model(torch.tensor([i])).logits[0, -1].numpy() for i in ids])


def same_top(ours: NDArray[np.float32], theirs: NDArray[np.float32], most: float) -> None:
    """The 20 highest scores of every prompt agree within `most`, relative to the highest."""
    for a, b in zip(ours, theirs, strict=True):
        top = np.argsort(b)[-20:]
        assert np.abs(a[top] - b[top]).max() < most * np.abs(b[top]).max()


def test_a_llama_scores_in_llama_cpp_as_in_transformers(llama: Path, plain: Path) -> None:
    ids, theirs = of_transformers(llama)
    with LlamaEngine(plain, ALONE, 128) as engine:
        assert [engine.tokenise(prompt) for prompt in PROMPTS] == ids
    same_top(scores(plain), theirs, 1e-3)


def test_a_mistral_in_several_files_is_converted_by_the_command_line(tmp_path: Path, command: Command) -> None:
    converters()
    checkpoint = tiny_checkpoint(tmp_path / "mistral", architecture="mistral", shards="100KB", sliding_window=None)
    assert len(list(checkpoint.glob("model-*.safetensors"))) > 2
    ran = command("export", "gguf", checkpoint, "-o", tmp_path / "m.gguf", "--type", "f16")
    assert ran.code == 0 and "wrote" in ran.err and ran.out == ""
    same_top(scores(tmp_path / "m.gguf"), of_transformers(checkpoint)[1], 1e-2)
    assert {path.name for path in tmp_path.iterdir()} == {"mistral", "m.gguf"}


def test_a_tokenizer_that_llama_cpp_does_not_know_is_named(llama: Path, tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    converters()
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator(["some words of our own"], trainers.BpeTrainer(vocab_size=300, special_tokens=["<s>"]))
    folder = Path(shutil.copytree(llama, tmp_path / "own"))
    (folder / "tokenizer.model").unlink()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    with pytest.raises(ExportError, match=r"does not know the tokenizer of .*own: .* Tune a base whose tokenizer"):
        convert.hf_to_gguf(folder, tmp_path / "x.gguf")
    assert [path.name for path in tmp_path.iterdir()] == ["own"]


def edited(name: str, **changes: Any) -> Callable[[Path], None]:
    """Keys of a JSON file in a folder, changed."""

    def harm(folder: Path) -> None:
        data = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**data, **changes}))

    return harm


def gone(*names: str) -> Callable[[Path], None]:
    return lambda folder: [(folder / name).unlink() for name in names] and None


def index(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}')
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")


CHECKPOINTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no such folder": (shutil.rmtree, "there is no folder .* not looked up on a hub"),
    "no config": (gone("config.json"), r"has no config\.json"),
    "config is no JSON": (lambda f: (f / "config.json").write_text("{"), r"config\.json in .* is not JSON"),
    "no architecture": (edited("config.json", architectures=None), "names no architectures"),
    "unknown architecture": (edited("config.json", architectures=["LlamaForDreaming"]), "the architecture LlamaForDreaming .*such as L"),
    "no tokenizer": (gone("tokenizer.model"), "has no tokenizer"),
    "no weights": (gone("model.safetensors"), "has no weights"),
    "a file of several is missing": (index, r"lacks 1 of 2 weight files, model-2\.safetensors first"),
    "cut short": (lambda f: os.truncate(f / "model.safetensors", 5000), "is cut short|is no safetensors file"),
    "not safetensors": (lambda f: (f / "model.safetensors").write_bytes(b"x" * 100), "is no safetensors file"),
}  # fmt: skip


@pytest.mark.parametrize("case", CHECKPOINTS, ids=list(CHECKPOINTS))
def test_a_checkpoint_that_cannot_be_converted_is_refused_before_the_converter_starts(
    case: str, llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converters()
    harm, message = CHECKPOINTS[case]
    folder = Path(shutil.copytree(llama, tmp_path / "c"))
    harm(folder)
    monkeypatch.setattr(convert, "_run", lambda *_: pytest.fail("the converter was started"))
    with pytest.raises(ExportError, match=message) as error:
        convert.hf_to_gguf(folder, tmp_path / "x.gguf")
    assert "\n" not in str(error.value)


@pytest.fixture(scope="module")
def lora(llama: Path) -> Path:
    return tiny_adapter(llama, llama.parent / "lora")


ADAPTERS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no config": (gone("adapter_config.json"), r"has no adapter_config\.json"),
    "no weights": (gone("adapter_model.safetensors"), r"has no adapter_model\.safetensors"),
    "prefix tuning": (edited("adapter_config.json", peft_type="PREFIX_TUNING"), "type PREFIX_TUNING; llama.cpp reads LoRA only"),
    "DoRA": (edited("adapter_config.json", use_dora=True), "uses use_dora = True"),
    "rank-stabilised": (edited("adapter_config.json", use_rslora=True), "uses use_rslora = True.* merge"),
    "alphas of their own": (edited("adapter_config.json", alpha_pattern={"q_proj": 3}), "uses alpha_pattern"),
    "whole modules": (edited("adapter_config.json", modules_to_save=["lm_head"]), "uses modules_to_save"),
    "biases": (edited("adapter_config.json", bias="all"), "uses bias = 'all'"),
}  # fmt: skip


@pytest.mark.parametrize("case", ADAPTERS, ids=list(ADAPTERS))
def test_an_adapter_that_gguf_cannot_say_is_refused(
    case: str, llama: Path, lora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converters()
    harm, message = ADAPTERS[case]
    folder = Path(shutil.copytree(lora, tmp_path / "a"))
    harm(folder)
    monkeypatch.setattr(convert, "_run", lambda *_: pytest.fail("the converter was started"))
    with pytest.raises(ExportError, match=message):
        convert.lora_to_gguf(folder, llama, tmp_path / "x.gguf")


def test_an_adapter_of_another_base_and_one_given_as_a_checkpoint_are_refused(llama: Path, lora: Path, tmp_path: Path) -> None:
    converters()
    other = tiny_checkpoint(tmp_path / "other", width=64)
    with pytest.raises(ExportError, match=r"does not belong to .*other: model\.layers\.0\..* the base has 64x"):
        convert.lora_to_gguf(lora, other, tmp_path / "x.gguf")
    for name in ("config.json", "tokenizer.model"):
        shutil.copy(llama / name, other / name)
    (other / "model.safetensors").unlink()
    shutil.copy(lora / "adapter_config.json", other)
    with pytest.raises(ExportError, match="it holds an adapter: give its base as CHECKPOINT"):
        convert.hf_to_gguf(other, tmp_path / "x.gguf")


def test_places_that_cannot_be_written_are_refused_first(tmp_path: Path) -> None:
    for out, message in ((tmp_path, "is a folder"), (tmp_path / "no" / "x.gguf", "there is no folder"), (tmp_path / "{x}.gguf", "brace")):
        with pytest.raises(ExportError, match=message):
            convert.hf_to_gguf(tmp_path, out)
    with pytest.raises(ExportError, match=r"there is no type 'Q4_K_M' here; take one of f32, .* `export quantize`"):
        convert.hf_to_gguf(tmp_path, tmp_path / "x.gguf", "Q4_K_M")


LOST = {"Q8_0": 0.05, "Q6_K": 0.15, "Q5_K_M": 0.3, "Q4_K_M": 0.6, "Q4_0": 0.6}
"""The error of the scores over the scores, both as root mean squares: about twice what these random weights give."""


@pytest.mark.parametrize("kind", quantizations.TYPES)
def test_every_type_is_smaller_loads_and_scores_nearly_alike(kind: str, plain: Path, tmp_path: Path, command: Command) -> None:
    ran = command("export", "quantize", plain, "-o", tmp_path / "q.gguf", "--type", kind)
    assert ran.code == 0 and "stored otherwise" not in ran.err and "wrote" in ran.err
    exact, rounded = scores(plain), scores(tmp_path / "q.gguf")
    assert 0 < np.sqrt(((rounded - exact) ** 2).mean() / (exact**2).mean()) < LOST[kind]
    assert (tmp_path / "q.gguf").stat().st_size < 0.3 * plain.stat().st_size
    assert [path.name for path in tmp_path.iterdir()] == ["q.gguf"]


def test_rows_that_a_k_quant_does_not_divide_are_told(toy: Path, tmp_path: Path, command: Command) -> None:
    ran = command("export", "quantize", toy / "generator.gguf", "-o", tmp_path / "q.gguf", "--type", "Q4_K_M")
    fallen = quantize.fallbacks(tmp_path / "q.gguf", "Q4_K_M")
    assert ran.code == 0 and f"{len(fallen)} tensors have rows that Q4_K_M does not divide" in ran.err
    assert "token_embd.weight: rows of 32, stored as" in ran.err
    assert len(fallen) == 1 + 2 * 7 and {f.columns for f in fallen} == {32, 64}
    assert quantize.fallbacks(quantize.quantize(toy / "generator.gguf", tmp_path / "8.gguf", "Q8_0"), "Q8_0") == []


def test_what_cannot_be_meant_is_not_quantized(plain: Path, tmp_path: Path, command: Command) -> None:
    small = quantize.quantize(plain, tmp_path / "small.gguf", "Q8_0")
    with pytest.raises(ExportError, match=r"small.gguf is quantized already \(Q8_0\); .* --again"):
        quantize.quantize(small, tmp_path / "x.gguf", "Q4_0")
    assert command("export", "quantize", small, "-o", tmp_path / "twice.gguf", "--type", "Q4_0", "--again").code == 0
    (tmp_path / "twice.gguf").unlink()
    with pytest.raises(ExportError, match="read and written at once"):
        quantize.quantize(plain, plain, "Q8_0")
    (tmp_path / "note.gguf").write_text("not a model")
    with pytest.raises(ExportError, match="is no GGUF file"):
        quantize.quantize(tmp_path / "note.gguf", tmp_path / "x.gguf", "Q8_0")
    with pytest.raises(EngineError, match="there is no such file"):
        quantize.quantize(tmp_path / "none.gguf", tmp_path / "x.gguf", "Q8_0")
    (tmp_path / "cut.gguf").write_bytes(plain.read_bytes()[:-1000])
    with pytest.raises((ExportError, EngineError)):
        quantize.quantize(tmp_path / "cut.gguf", tmp_path / "x.gguf", "Q8_0")
    assert {path.name for path in tmp_path.iterdir()} == {"small.gguf", "note.gguf", "cut.gguf"}


def test_the_progress_of_a_quantization_ends_at_the_last_tensor(plain: Path, tmp_path: Path) -> None:
    seen: list[tuple[float, str]] = []
    quantize.quantize(plain, tmp_path / "q.gguf", "Q8_0", report=lambda share, name: seen.append((share, name)))
    assert [s for s, _ in seen] == sorted(s for s, _ in seen) and seen[-1][0] == 1.0 and "blk.1.ffn_down.weight" in {n for _, n in seen}


def requests(bundle: Bundle, count: int) -> list[Request]:
    out = []
    for steps in range(1000, 1000 + 500 * count, 500):
        space = admissible(Record.from_mapping(bundle.schema, {"age": 44, "steps": steps, "smoker": "yes"}), Constraints())
        out.append(Request(build("scored", space, "calm", 0.3), Grammar(space), 1, 0, 0.0))
    return out


def test_divergence_is_that_of_the_distributions_decoded_one_by_one(toy: Path, tmp_path: Path) -> None:
    bundle = Bundle.open(toy)
    rough = quantize.quantize(toy / "generator.gguf", tmp_path / "q.gguf", "Q4_0")
    with LlamaEngine(toy / "generator.gguf", ALONE, 200) as exact, LlamaEngine(rough, ALONE, 200) as other:
        lines = scripts(exact, requests(bundle, 3))
        assert len(lines) == 3 and all(len(line.tokens) > line.start + 5 > 5 for line in lines)  # more than one step's rows
        got = list(compare([exact, exact, other], lines))
        for line, ((nought, agree), (nats, same)) in zip(lines, got, strict=True):
            np.testing.assert_allclose(nought, 0, atol=1e-9)
            assert agree.all()
            p, q = ([one_by_one(engine, line, k) for k in range(line.start, len(line.tokens))] for engine in (exact, other))
            theirs = [(np.exp(a) * (a - b)).sum() for a, b in zip(p, q, strict=True)]
            np.testing.assert_allclose(nats, theirs, rtol=1e-3, atol=1e-6)
            assert same.tolist() == [a.argmax() == b.argmax() for a, b in zip(p, q, strict=True)]
    far = summed([pair for _, pair in got])
    assert 0 < far.mean < far.high and far.positions == sum(len(line.tokens) - line.start for line in lines)


def one_by_one(engine: LlamaEngine, line: Script, end: int) -> NDArray[np.float64]:
    """log p behind the first `end` tokens, decoded from nothing."""
    engine.empty()
    row = SimpleNamespace(tokens=line.tokens[:end], start=0, sequences=[0])
    scores = engine.decode([row])[0].astype(np.float64)  # type: ignore[list-item]
    return np.asarray(scores - np.log(np.exp(scores).sum()))


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory, toy: Path) -> tuple[Path, Path]:
    """A toy bundle with a table it can say it was fitted on."""
    root = tmp_path_factory.mktemp("measured")
    chance, rows = np.random.default_rng(0), 240
    steps = chance.integers(2, 32, rows) * 500
    calm = steps + chance.normal(0, 4000, rows) > 8000
    table = pd.DataFrame(
        {
            "age": chance.integers(20, 80, rows), "steps": steps, "deep_sleep": chance.integers(5, 36, rows),
            "smoker": chance.choice(["yes", "no"], rows), "stressed": np.where(calm, "calm", "stressed"),
        }
    )  # fmt: skip
    table.to_csv(root / "t.csv", index=False)
    folder = Path(shutil.copytree(toy, root / "bundle"))
    data = cohort(read_table(root / "t.csv"), Schema.from_json(SCHEMA), "stressed", "calm", None)
    write_manifest(folder, {**toy_manifest(), "split": {"seed": 0, "test_share": 0.3, "person": None, "table": data.fingerprint}})
    return folder, root / "t.csv"


def test_the_report_measures_every_type_on_the_people_asked_for(measured: tuple[Path, Path], command: Command) -> None:
    folder, table = measured
    ran = command("export", "report", "--model", folder, "--table", table, "--source", folder / "generator.gguf",
                  "--types", "Q8_0,Q4_0", "--limit", 12, "--people", "training", "--json")  # fmt: skip
    assert ran.code == 0, ran.err
    rows = json.loads(ran.out)["rows"]
    assert [r["type"] for r in rows] == ["f32", "Q8_0", "Q4_0"] and {r["people"] for r in rows} == {"training"}
    assert [r["bytes"] for r in rows] == sorted((r["bytes"] for r in rows), reverse=True)
    assert rows[0]["bytes"] == (folder / "generator.gguf").stat().st_size and [r["shipped"] for r in rows] == [True, False, False]
    assert 0 == rows[0]["kl"] < rows[1]["kl"] < rows[2]["kl"] and all(r["asked"] == 12 and r["positions"] > 50 for r in rows)
    assert all(r["tokens_per_second"] > 0 and r["usable"] is not None for r in rows) and rows[0]["speed_of_f32"] == 1
    table_of = quantizations.markdown(rows)
    assert "12 records of people of the training part" in table_of and "**f32** (shipped)" in table_of


def test_a_source_of_another_generator_is_refused(measured: tuple[Path, Path], plain: Path, tmp_path: Path, command: Command) -> None:
    folder, table = measured
    small = quantize.quantize(folder / "generator.gguf", tmp_path / "q.gguf", "Q8_0")
    for source, message in ((plain, "has other vocabulary than toy's generator"), (small, r"is quantized \(Q8_0\)")):
        with pytest.raises(ExportError, match=message):
            quantizations.measure(Bundle.open(folder), table, source, ["Q8_0"])
    ran = command("export", "report", "--model", folder, "--table", table)
    assert ran.code == 1 and "name the f32 GGUF that toy's generator was made from with --source" in ran.err
    assert command("export", "report", "--model", folder, "--table", table, "--types", "Q3").code == 2


def other_weights(source: Path, target: Path) -> Path:
    """The same GGUF with another last weight."""
    data = bytearray(source.read_bytes())
    data[-4:] = np.float32(0.123).tobytes()
    target.write_bytes(data)
    return target


def test_a_source_of_the_same_shape_with_other_weights_is_refused(measured: tuple[Path, Path], tmp_path: Path) -> None:
    folder, table = measured
    source = other_weights(folder / "generator.gguf", tmp_path / "tuned-f32.gguf")
    with pytest.raises(ExportError, match="holds other weights than toy ships"):
        quantizations.measure(Bundle.open(folder), table, source, ["Q8_0"], limit=2)
    packed = Path(shutil.copytree(folder, tmp_path / "packed"))
    quantize.quantize(folder / "generator.gguf", packed / "generator.gguf", "Q8_0")
    facts = json.loads((folder / "manifest.json").read_text())
    facts["generator"]["quantization"] = "Q8_0"
    write_manifest(packed, facts)
    with pytest.raises(ExportError, match="quantized to Q8_0 it is another file"):
        quantizations.measure(Bundle.open(packed), table, source, ["Q8_0"], limit=2)
    rows = quantizations.measure(Bundle.open(packed), table, folder / "generator.gguf", ["Q8_0"], limit=2)
    assert [r["shipped"] for r in rows] == [False, True]


@pytest.mark.parametrize(("after", "stage"), [(0.9, "improved"), (0.5, "improved"), (0.4, "tuned"), (None, "tuned")])
def test_the_generator_that_ships_is_found_in_the_work_folder(toy_copy: Path, tmp_path: Path, after: float | None, stage: str) -> None:
    facts = json.loads((toy_copy / "manifest.json").read_text())
    facts["generator"]["improvement"] = None if after is None else {"before": 0.5, "after": after}
    write_manifest(toy_copy, facts)
    (tmp_path / "work" / "toy").mkdir(parents=True)
    with pytest.raises(ExportError, match=f"{stage}-f32.gguf is not there"):
        quantizations.source_of(Bundle.open(toy_copy), tmp_path / "work")
    for ending in ("plain", "f32"):
        for name in ("tuned", "improved"):
            (tmp_path / "work" / "toy" / f"{name}-{ending}.gguf").touch()
        assert quantizations.source_of(Bundle.open(toy_copy), tmp_path / "work").name == f"{stage}-{ending}.gguf"


def row(kind: str, size: int, first: float | None, usable: float | None = 1.0) -> dict[str, Any]:
    return {"type": kind, "bytes": size, "first_try_valid": first, "usable": usable}


def test_the_smallest_type_that_loses_at_most_half_a_point_is_chosen() -> None:
    f32 = row("f32", 100, 0.98)
    assert quantizations.choose([f32, row("Q8_0", 30, 0.975), row("Q4_0", 15, 0.974)]) == "Q8_0"
    assert quantizations.choose([f32, row("Q8_0", 30, 0.99), row("Q4_0", 15, 0.98, usable=0.99)]) == "Q8_0"
    assert quantizations.choose([f32, row("Q8_0", 30, 0.9)]) == "f32"
    assert quantizations.choose([row("f32", 100, None, None), row("Q4_0", 15, None, None)]) == "Q4_0"


@given(st.lists(st.tuples(st.integers(1, 99), st.floats(0, 1), st.floats(0, 1)), max_size=6), st.floats(0, 1))
def test_what_is_chosen_is_never_larger_or_worse_than_allowed(others: list[tuple[int, float, float]], exact: float) -> None:
    rows = [row("f32", 100, exact, exact), *(row(str(k), *other) for k, other in enumerate(others))]
    chosen = next(r for r in rows if r["type"] == quantizations.choose(rows))
    assert chosen["bytes"] <= 100 and min(chosen["first_try_valid"], chosen["usable"]) >= exact - quantizations.LOST - 1e-6


def test_a_saved_classifier_becomes_the_graph_a_bundle_takes(measured: tuple[Path, Path], tmp_path: Path, command: Command) -> None:
    import skops.io
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    from sensecf_edge.judge.classifier import OnnxChecker

    folder, table = measured
    schema = Schema.load(folder / "schema.json")
    rows = cohort(read_table(table), schema, "stressed", "calm")
    names = np.where(rows.y, "calm", "stressed")  # the wanted class comes first by name, so its column has to be turned
    model = make_pipeline(SimpleImputer(), RandomForestClassifier(10, min_samples_leaf=5, random_state=0))
    model.fit(rows.X.astype(np.float32), names)
    skops.io.dump(model, tmp_path / "m.skops")
    how = ("--schema", folder / "schema.json", "--table", table, "--target", "stressed", "--wanted", "calm")
    ran = command("export", "onnx", tmp_path / "m.skops", "-o", tmp_path / "m.onnx", *how)
    assert ran.code == 0 and "graph and model agree within" in ran.err, ran.err
    ours = OnnxChecker((tmp_path / "m.onnx").read_bytes(), len(schema), 1, classes=2).p_target(rows.X)
    np.testing.assert_allclose(ours, model.predict_proba(rows.X.astype(np.float32))[:, 0], atol=1e-5)
    (tmp_path / "m.pkl").write_bytes(b"anything")
    refused = command("export", "onnx", tmp_path / "m.pkl", "-o", tmp_path / "x.onnx", *how)
    assert refused.code == 2 and "is a pickle" in refused.err
    assert {path.name for path in tmp_path.iterdir()} == {"m.skops", "m.onnx", "m.pkl"}
