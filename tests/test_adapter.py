"""A LoRA adapter beside its base: the same answers as the merged model, and a wrong one is refused in words."""

from __future__ import annotations

import gc
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from checkpoints import adapted, converters, tiny_adapter, tiny_checkpoint
from conftest import STRESSED, toy_manifest
from numpy.typing import NDArray

from sensecf_edge import Explainer
from sensecf_edge.bundle.bundle import Bundle, write_manifest
from sensecf_edge.errors import BundleError, EngineError
from sensecf_edge.llama.engine import LlamaEngine
from sensecf_edge.propose.engine import Request
from sensecf_edge.propose.grammar import Grammar
from sensecf_edge.propose.prompt import build
from sensecf_edge.schema.record import Record
from sensecf_edge.settings import EngineSettings
from sensecf_edge.space.admissible import admissible
from sensecf_edge.space.constraints import Constraints

PROMPTS = ("glucose_mean=150;sleep=2;want=calm;", "sleep=3;glucose_mean=63;", "want=calm;want=calm;sleep=0;")
ALONE = EngineSettings(max_sequences=2)


@dataclass(frozen=True)
class Tuned:
    """A base, an adapter for it and the two merged: as checkpoints and as GGUF."""

    base: Path
    lora: Path
    base_gguf: Path
    adapter_gguf: Path
    merged_gguf: Path


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    from sensecf_convert.export.convert import hf_to_gguf, lora_to_gguf

    converters()
    root = tmp_path_factory.mktemp("tuned")
    base = tiny_checkpoint(root / "base")
    lora = tiny_adapter(base, root / "lora")
    adapted(base).merge_and_unload().save_pretrained(root / "merged")
    shutil.copy(base / "tokenizer.model", root / "merged")
    return Tuned(
        base, lora, hf_to_gguf(base, root / "base.gguf"), lora_to_gguf(lora, base, root / "adapter.gguf"),
        hf_to_gguf(root / "merged", root / "merged.gguf"),
    )  # fmt: skip


def scores(model: Path, adapter: Path | None = None) -> NDArray[np.float32]:
    """Scores of the next token behind every prompt, shape (prompts, vocabulary)."""
    out = []
    with LlamaEngine(model, ALONE, 128, adapter) as engine:
        for prompt in PROMPTS:
            engine.empty()
            row = SimpleNamespace(tokens=engine.tokenise(prompt), start=0, sequences=[0])
            out.append(engine.decode([row])[0].copy())  # type: ignore[list-item]
    return np.array(out)


def test_base_and_adapter_score_as_the_merged_model_does(tuned: Tuned) -> None:
    both, merged, base = scores(tuned.base_gguf, tuned.adapter_gguf), scores(tuned.merged_gguf), scores(tuned.base_gguf)
    spread = np.abs(merged).max()
    assert np.abs(both - merged).max() < 1e-4 * spread
    assert np.abs(base - merged).max() > 0.05 * spread  # the adapter does something


def test_the_merged_model_scores_as_transformers_does(tuned: Tuned) -> None:
    import torch

    model = adapted(tuned.base)
    with LlamaEngine(tuned.merged_gguf, ALONE, 128) as engine:
        tokens = [engine.tokenise(prompt) for prompt in PROMPTS]
    with torch.no_grad():
        theirs = np.array([model(torch.tensor([t])).logits[0, -1].numpy() for t in tokens])
    assert np.abs(scores(tuned.base_gguf, tuned.adapter_gguf) - theirs).max() < 1e-3 * np.abs(theirs).max()


def test_an_adapter_goes_over_a_quantized_base_as_well(tuned: Tuned, tmp_path: Path) -> None:
    from sensecf_convert.export.quantize import quantize

    small = quantize(tuned.base_gguf, tmp_path / "small.gguf", "Q8_0")
    both, exact, bare = scores(small, tuned.adapter_gguf), scores(tuned.base_gguf, tuned.adapter_gguf), scores(small)
    size = np.sqrt((exact**2).mean())
    assert np.sqrt(((both - exact) ** 2).mean()) < 0.1 * size < 0.5 * np.sqrt(((bare - exact) ** 2).mean())


def bundle(toy: Path, folder: Path, model: Path, adapter: Path | None) -> Path:
    """The toy bundle with another generator."""
    shutil.copytree(toy, folder)
    shutil.copy(model, folder / "generator.gguf")
    if adapter is not None:
        shutil.copy(adapter, folder / "adapter.gguf")
    write_manifest(folder, toy_manifest())
    return folder


def told(folder: Path) -> dict[str, Any]:
    """What a bundle explains, less what says which bundle it was and how long it took."""
    with Explainer.load(folder) as explainer:
        answer = explainer.explain(STRESSED, n=2, seed=3).to_json()
    del answer["seconds"], answer["provenance"]
    return answer


def greedy(folder: Path) -> list[str]:
    """Greedy answers for a row of records that differ in one value."""
    opened = Bundle.open(folder)
    records = [Record.from_mapping(opened.schema, {**STRESSED, "steps": steps}) for steps in range(1000, 13000, 1000)]
    spaces = [admissible(record, Constraints()) for record in records]
    with LlamaEngine(opened.generator_path, EngineSettings(max_sequences=8), 256, opened.adapter_path) as engine:
        given = engine.propose([Request(build("scored", s, "calm", 0.3), Grammar(s), 1, 0, 0.0) for s in spaces])
    return [part.text for answer in given if isinstance(answer, list) for part in answer]


def test_a_bundle_with_an_adapter_explains_as_the_merged_bundle_does(tuned: Tuned, toy: Path, tmp_path: Path) -> None:
    both = bundle(toy, tmp_path / "both", tuned.base_gguf, tuned.adapter_gguf)
    merged = bundle(toy, tmp_path / "merged", tuned.merged_gguf, None)
    plain = bundle(toy, tmp_path / "plain", tuned.base_gguf, None)
    assert len(greedy(both)) == 12 and greedy(both) == greedy(merged) != greedy(plain)
    assert told(both) == told(merged)
    with pytest.raises(EngineError, match="was altered after it had been checked"):
        LlamaEngine(both / "generator.gguf", EngineSettings(), 256, both / "adapter.gguf", adapter_sha256="0" * 64)


def test_the_adapter_is_listed_hashed_and_only_then_opened(tuned: Tuned, toy: Path, tmp_path: Path) -> None:
    folder = bundle(toy, tmp_path / "both", tuned.base_gguf, tuned.adapter_gguf)
    opened = Bundle.open(folder)
    assert opened.adapter_path == folder / "adapter.gguf" and opened.unlisted == []
    data = bytearray((folder / "adapter.gguf").read_bytes())
    data[-1] ^= 1
    (folder / "adapter.gguf").write_bytes(data)
    with pytest.raises(BundleError, match=r"adapter\.gguf in .* was altered"):
        Explainer.load(folder)
    (folder / "adapter.gguf").unlink()
    with pytest.raises(BundleError, match=r"adapter\.gguf is missing"):
        Explainer.load(folder)


def test_an_adapter_that_no_manifest_lists_is_never_read(toy_copy: Path) -> None:
    (toy_copy / "adapter.gguf").write_bytes(b"anything")
    assert Bundle.open(toy_copy).adapter_path is None and Bundle.open(toy_copy).unlisted == ["adapter.gguf"]
    with Explainer.load(toy_copy) as explainer:
        explainer.explain(STRESSED)


def cut(path: Path, to: Path) -> Path:
    to.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return to


def test_a_wrong_adapter_is_refused_in_words(tuned: Tuned, toy: Path, tmp_path: Path) -> None:
    from sensecf_convert.export.convert import lora_to_gguf

    wider = tiny_checkpoint(tmp_path / "wider", width=96)
    strange = lora_to_gguf(tiny_adapter(wider, tmp_path / "strange"), wider, tmp_path / "strange.gguf")
    note = tmp_path / "note.gguf"
    note.write_text("not a model")
    wrong = {
        strange: "cannot add the adapter .*incorrect shape.*; give the one that was tuned on it",
        tuned.merged_gguf: "cannot add the adapter .*'adapter'.*; give the one that was tuned on it",
        cut(tuned.adapter_gguf, tmp_path / "cut.gguf"): "cannot add the adapter .*; give the one that was tuned on it",
        note: "is not a GGUF file",
        tmp_path / "none.gguf": "cannot read the model",
    }
    for path, message in wrong.items():
        with pytest.raises(EngineError, match=message):
            LlamaEngine(tuned.base_gguf, ALONE, 128, path)
    with pytest.raises(EngineError, match=r"cannot load .*adapter\.gguf"):
        LlamaEngine(tuned.adapter_gguf, ALONE, 128)
    with pytest.raises(EngineError, match="cannot add the adapter"):
        Explainer.load(bundle(toy, tmp_path / "wrong", tuned.base_gguf, strange), trial=False)
    with pytest.raises(BundleError, match="cannot add the adapter"):  # told by the process that tries it
        Explainer.load(tmp_path / "wrong")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads the process's memory from /proc")
def test_the_adapters_memory_is_given_back(tuned: Tuned) -> None:
    """50 engines one after the other: kept adapters alone (32 KB each) and their buffers would leave more than 1 MB."""

    def resident() -> int:
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def once() -> None:
        LlamaEngine(tuned.base_gguf, ALONE, 128, tuned.adapter_gguf).close()

    for _ in range(5):
        once()
    before = resident()
    for _ in range(50):
        once()
    assert resident() - before < 1_000_000
