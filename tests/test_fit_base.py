"""fit --base: a given checkpoint becomes a bundle, through LoRA, a round of practice, llama.cpp's converter and its quantizer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from bases import narrow, need_sources
from conftest import SCHEMA, Ran
from sensecf_convert.fit import fit
from sensecf_convert.generator import learners

from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.errors import BaseModelError

CHOICES = {"target": "mood", "wanted": "calm", "pairs": 100, "passes": 0.3, "quantization": "Q4_K_M"}


def days(count: int = 300) -> pd.DataFrame:
    """Days of the toy schema; walking and deep sleep make calm ones."""
    chance = np.random.default_rng(0)
    steps, deep = 500 * chance.integers(0, 33, count), chance.integers(0, 41, count)
    calm = steps / 8000 + deep / 20 + chance.normal(0, 0.4, count) > 2
    smoker = chance.choice(["yes", "no"], count)
    return pd.DataFrame({"age": chance.integers(18, 91, count), "steps": steps, "deep_sleep": deep, "smoker": smoker,
                         "mood": np.where(calm, "calm", "tense")})  # fmt: skip


def test_a_base_becomes_a_bundle_that_explains_and_another_run_only_reads(
    tmp_path: Path, command: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    need_sources()
    monkeypatch.setattr(learners, "HELD_OUT", 10)
    monkeypatch.setattr(learners, "PRACTICE_PASSES", 0.3)
    table, schema, out = tmp_path / "days.csv", tmp_path / "schema.json", tmp_path / "calm"
    days().to_csv(table, index=False)
    schema.write_text(json.dumps(SCHEMA))
    base = narrow(tmp_path / "base")

    def run(where: Path) -> None:
        fit(table=table, schema_file=schema, out=where, work=tmp_path / "work", base=str(base), tune="lora", name="calm", **CHOICES)  # type: ignore[arg-type]

    run(out)
    bundle = Bundle.open(out)
    assert bundle.manifest.generator.prompt == "instruct" and str(tmp_path) not in (out / "manifest.json").read_text()
    assert "tuned (lora)" in bundle.card and "improvement" in bundle.card
    record = json.dumps({"age": 50, "steps": 2000, "deep_sleep": 8, "smoker": "yes"}).encode()
    explained = command("explain", "-", "--model", out, "--json", stdin=record)
    answer = json.loads(explained.out)
    assert explained.code in (0, 3) and answer["first_try"] is not None
    written = {n: (tmp_path / "work" / n).stat().st_mtime_ns for n in ("tuned.gguf", "improved.gguf", "practice.npz")}
    run(tmp_path / "again")
    assert written == {n: (tmp_path / "work" / n).stat().st_mtime_ns for n in written}
    assert (tmp_path / "again" / "generator.gguf").read_bytes() == (out / "generator.gguf").read_bytes()


def test_a_base_that_cannot_be_used_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    table, schema, base = tmp_path / "days.csv", tmp_path / "schema.json", tmp_path / "base"
    days().to_csv(table, index=False)
    schema.write_text(json.dumps(SCHEMA))
    base.mkdir()
    (base / "config.json").write_text(json.dumps({"architectures": ["BertForMaskedLM"]}))
    with pytest.raises(BaseModelError, match="BertForMaskedLM"):
        fit(table=table, schema_file=schema, out=tmp_path / "out", work=tmp_path / "work", base=str(base), **CHOICES)  # type: ignore[arg-type]
    assert [p.name for p in (tmp_path / "work").iterdir()] == ["plan.json"]
