"""fit --base: a given checkpoint becomes a bundle, through LoRA, a round of practice, llama.cpp's converter and its quantizer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from bases import narrow, need_sources
from click.testing import CliRunner
from conftest import SCHEMA, Ran
from sensecf_convert.evaluate import made_up
from sensecf_convert.export import upstream
from sensecf_convert.export.convert import hf_to_gguf
from sensecf_convert.fit import fit
from sensecf_convert.generator import learners
from sensecf_convert.plan import FitPlan
from toys import toy_gguf

from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.errors import BaseModelError, BundleError, SenseCFError, WeightsAwayError
from sensecf_edge.explain import Explainer

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

    given = {"base": str(base), "tune": "lora", "name": "calm", "improve": True, **CHOICES}

    def run(where: Path) -> None:
        fit(table=table, schema_file=schema, out=where, work=tmp_path / "work", **given)  # type: ignore[arg-type]

    run(out)
    bundle = Bundle.open(out)
    assert bundle.manifest.generator.prompt == "brief" and bundle.manifest.generator.hints
    assert str(tmp_path) not in (out / "manifest.json").read_text()
    assert "tuned (lora)" in bundle.card and "improvement" in bundle.card
    record = json.dumps({"age": 50, "steps": 2000, "deep_sleep": 8, "smoker": "yes"}).encode()
    explained = command("explain", "-", "--model", out, "--json", stdin=record)
    answer = json.loads(explained.out)
    assert explained.code in (0, 3) and answer["first_try"] is not None
    written = {n: (tmp_path / "work" / n).stat().st_mtime_ns for n in ("tuned.gguf", "improved.gguf", "practice.npz")}
    run(tmp_path / "again")
    assert written == {n: (tmp_path / "work" / n).stat().st_mtime_ns for n in written}
    assert (tmp_path / "again" / "generator.gguf").read_bytes() == (out / "generator.gguf").read_bytes()


def test_a_gguf_as_the_base_is_referred_to_by_its_hash_and_the_bundle_holds_the_adapter(
    tmp_path: Path, command: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    need_sources()
    table, schema, out = tmp_path / "days.csv", tmp_path / "schema.json", tmp_path / "calm"
    days(200).to_csv(table, index=False)
    schema.write_text(json.dumps(SCHEMA))
    hf_to_gguf(narrow(tmp_path / "base"), tmp_path / "narrow.gguf")
    llama = upstream.home()
    monkeypatch.setattr(upstream, "home", lambda: llama)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    given = {**CHOICES, "pairs": 100, "passes": 0.2, "rank": 4, "batch": 4}
    fit(table=table, schema_file=schema, out=out, work=tmp_path / "work", base=str(tmp_path / "narrow.gguf"), **given)  # type: ignore[arg-type]
    bundle = Bundle.open(out)
    facts = json.loads((out / "manifest.json").read_text())["generator"]
    assert not (out / "generator.gguf").exists() and (out / "adapter.gguf").stat().st_size < 300_000
    assert facts["weights"]["sha256"] == bundle.generator_sha256 == bundle.generator_path.stem and facts["weights"]["name"] == "narrow.gguf"
    assert "improvement" not in facts and facts["steps"] == 5
    record = json.dumps({"age": 50, "steps": 2000, "deep_sleep": 8, "smoker": "yes"}).encode()
    answer = json.loads(command("explain", "-", "--model", out, "--json", stdin=record).out)
    assert answer["first_try"] is not None
    ran = CliRunner().invoke(made_up.main, [str(table), "--model", str(out), "--count", "3"], catch_exceptions=False)
    ways = ["the bundle's own", "without its adapter", "as a general model", "additive", "chance"]
    assert ran.exit_code == 0 and all(map(str.startswith, ran.output.splitlines(), ways)), ran.output
    held = bundle.generator_path.read_bytes()
    bundle.generator_path.write_bytes(held[:-1] + bytes([held[-1] ^ 1]))
    with pytest.raises(BundleError, match="is not the file that its name says"):
        Bundle.open(out)
    bundle.generator_path.unlink()
    with pytest.raises(WeightsAwayError, match=r"weights that are not on this machine \(narrow\.gguf\); copy narrow\.gguf to"):
        Bundle.open(out)
    monkeypatch.setattr(Bundle, "available", staticmethod(lambda: [("calm", out)]))
    ran, named = command("models", "verify"), command("models", "verify", "calm")
    assert ran.code == 0 and ran.out.startswith("away  calm:") and named.code == 1 and named.out.startswith("FAIL  calm:")


def test_a_general_model_as_it_comes_is_named_by_its_hash_and_learns_nothing(
    tmp_path: Path, command: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    table, schema, out = tmp_path / "days.csv", tmp_path / "schema.json", tmp_path / "calm"
    days(200).to_csv(table, index=False)
    schema.write_text(json.dumps(SCHEMA))
    model = toy_gguf(tmp_path / "any.gguf", context=4096)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    ran = command(
        "fit", table, "--target", "mood", "--wanted", "calm", "--schema", schema, "-o", out, "--work", tmp_path / "work",
        "--generator", f"raw:{model}", "--hints",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    bundle, facts = Bundle.open(out), json.loads((out / "manifest.json").read_text())["generator"]
    assert facts["untuned"] == "raw" and facts["prompt"] == "instruct-2" and facts["hints"] and facts["weights"]["name"] == "any.gguf"
    assert not list(out.glob("*.gguf")) and not (tmp_path / "work" / "pairs.npz").exists() and str(tmp_path) not in json.dumps(facts)
    assert "any.gguf, a general language model as it comes, which learnt nothing" in bundle.card
    assert facts["parameters"] > 0 and bundle.generator_path.read_bytes() == model.read_bytes()
    record = json.dumps({"age": 50, "steps": 2000, "deep_sleep": 8, "smoker": "yes"}).encode()
    with Explainer.load(out) as explainer, Explainer.load(out, generator=f"raw:{bundle.generator_path}") as other:
        own, put = (e.explain(json.loads(record), n=1, why=False) for e in (explainer, other))
        assert own.provenance.generator == "bundle" and own.provenance.hints
        assert explainer.prompting.task == other.prompting.task and own.first_try is not None and put.first_try is not None
        assert explainer.engine.context <= facts["context"]  # type: ignore[attr-defined]
    assert command("explain", "-", "--model", out, "--shots", 2, "--json", stdin=record).code in (0, 3)
    assert "any.gguf, as it comes" in command("models", "show", out).out


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"generator": "openai:http://127.0.0.1:1/v1#any"}, "a bundle cannot hold"),
        ({"generator": "any"}, "there is no generator 'any'"),
        ({"generator": "any.gguf", "base": "smollm2"}, "to tune it: --base any.gguf"),
        ({"generator": "any.gguf", "improve": True}, "to tune it: --base any.gguf"),
    ],
)
def test_a_generator_that_a_bundle_cannot_have_is_refused(given: dict[str, object], words: str) -> None:
    with pytest.raises(SenseCFError, match=words):
        FitPlan("calm", "mood", "calm", **given)  # type: ignore[arg-type]


def test_a_base_that_cannot_be_used_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    table, schema, base = tmp_path / "days.csv", tmp_path / "schema.json", tmp_path / "base"
    days().to_csv(table, index=False)
    schema.write_text(json.dumps(SCHEMA))
    base.mkdir()
    (base / "config.json").write_text(json.dumps({"architectures": ["BertForMaskedLM"]}))
    with pytest.raises(BaseModelError, match="BertForMaskedLM"):
        fit(table=table, schema_file=schema, out=tmp_path / "out", work=tmp_path / "work", base=str(base), **CHOICES)  # type: ignore[arg-type]
    assert [p.name for p in (tmp_path / "work").iterdir()] == ["plan.json"]
