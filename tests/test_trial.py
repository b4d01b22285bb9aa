"""A bundle is tried in a process of its own: what ends that process is told, and ends nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import CALM, PATIENCE, STRESSED, Ran

from sensecf_edge import trial
from sensecf_edge.bundle.bundle import Bundle, write_manifest
from sensecf_edge.bundle.required import REQUIRED
from sensecf_edge.errors import BundleError, EngineError
from sensecf_edge.explain import Explainer
from sensecf_edge.llama import library
from sensecf_edge.trial import bundle_trial, ensure_tried, opened


def test_a_whole_bundle_passes_and_a_damaged_one_is_told_in_one_line(toy: Path, toy_copy: Path) -> None:
    assert bundle_trial(toy) is None
    (toy_copy / "classifier.onnx").write_bytes(b"no graph")
    assert "classifier.onnx" in str(bundle_trial(toy_copy))
    (toy_copy / "classifier.onnx").write_bytes(b"no graph")
    from conftest import toy_manifest

    write_manifest(toy_copy, toy_manifest())
    told = str(bundle_trial(toy_copy))
    assert "cannot be loaded" in told and "\n" not in told


def test_a_process_that_is_killed_or_hangs_is_told(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "_CHILD", "import os; os.abort()")
    assert "ends the process that opens it, by SIGABRT" in str(bundle_trial(toy))
    monkeypatch.setattr(trial, "_CHILD", "import time; time.sleep(60)")
    assert "not done after 0.2 s" in str(bundle_trial(toy, seconds=0.2))
    monkeypatch.setattr(trial.sys, "executable", "/no/such/python")
    assert "no process can be started" in str(bundle_trial(toy))


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on memory is Linux's")
def test_a_bundle_that_wants_more_memory_than_it_may_have_ends_its_own_process_alone(toy: Path) -> None:
    told = str(bundle_trial(toy, megabytes=60, seconds=60))  # NumPy's OpenBLAS gives up, or (Python 3.10) waits for memory for ever
    ends = ("wants more than 60 MB", "ends the process that opens it", "not done after 60 s")
    assert any(end in told for end in ends) and "\n" not in told
    assert bundle_trial(toy, megabytes=1500) is None


def traced(monkeypatch: pytest.MonkeyPatch, before: str) -> None:
    """The child does this first."""
    monkeypatch.setattr(trial, "_CHILD", trial._CHILD.replace("child(*", f"{before}; child(*"))


ABORTS = "import os; from sensecf_edge.llama import engine; engine.LlamaEngine._decode = lambda *given, **more: os.abort()"


@pytest.mark.parametrize("samples", [[], [{"id": "rested", "values": CALM}], [{"id": "restless", "values": STRESSED}]])
def test_a_bundle_chooses_no_samples_that_keep_its_generator_from_being_tried(
    samples: list[dict[str, object]], toy_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewritten(toy_copy, samples_json=json.dumps(samples).encode())
    assert bundle_trial(toy_copy) is None
    traced(monkeypatch, ABORTS)
    assert "by SIGABRT" in str(bundle_trial(toy_copy))


def test_a_bundle_that_is_not_signed_is_opened_by_no_native_code_where_signatures_are_asked_for(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from test_signing import make_keys

    make_keys(tmp_path, "maker")
    traced(monkeypatch, ABORTS.replace("LlamaEngine._decode", "LlamaEngine.__init__"))
    assert "by SIGABRT" in str(bundle_trial(toy))
    monkeypatch.setattr(REQUIRED, "keys", tmp_path / "maker.pem")
    assert "is not signed" in str(bundle_trial(toy))


def test_no_program_text_that_lies_in_the_working_directory_is_run(toy_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("json", "hashlib", "numpy", "sensecf_edge"):
        (toy_copy / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.chdir(toy_copy)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    assert bundle_trial(Path()) is None and not (tmp_path / "ran").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on memory is Linux's")
def test_a_file_that_is_not_listed_raises_no_limit(toy_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (toy_copy / "large").open("wb") as file:
        file.truncate(1 << 40)
    traced(monkeypatch, "from sensecf_edge import trial_child as t; t._limit = lambda most: t._leave(f'limit {most}')")
    (said,) = re.findall(r"limit (\d+)", str(bundle_trial(toy_copy, megabytes=1000)))
    assert 1000 <= int(said) <= 1010


def rewritten(folder: Path, **files: bytes) -> None:
    """Files changed by somebody who also knows how to write the manifest."""
    from conftest import toy_manifest

    for name, data in files.items():
        (folder / name.replace("_", ".")).write_bytes(data)
    write_manifest(folder, toy_manifest())


def test_every_command_tries_a_bundle_that_this_machine_does_not_know_before_it_opens_it(
    toy_copy: Path, command: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GGUF that llama.cpp aborts on must end neither a batch nor a hub: it is told, as one line."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(trial, "_CHILD", "import os; os.abort()")
    table = str(tmp_path / "in.csv")
    (tmp_path / "in.csv").write_text("a\n1\n")
    for asked in (["explain", "--sample", "1"], ["batch", table, "-o", str(tmp_path / "out.csv")], ["watch"], ["evaluate", table],
                  ["compare", table, "-o", str(tmp_path / "c")], ["export", "report", "--table", table]):  # fmt: skip
        ran = command(*asked, "--model", str(toy_copy))
        assert ran.code == 1 and "ends the process that opens it, by SIGABRT" in ran.err and ran.err.count("\n") == 1, ran
    assert not (tmp_path / "out.csv").exists() and not (tmp_path / "cache" / "sensecf-edge").exists()


def test_a_trial_is_remembered_by_hash_and_a_shipped_model_needs_none(
    toy: Path, toy_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    asked: list[object] = []
    monkeypatch.setattr(trial, "bundle_trial", lambda model, *_, digest: asked.append(model))
    opened("heart")
    assert not asked
    opened(toy)
    opened(toy_copy)  # the same bundle in another place
    assert asked == [toy]
    (kept,) = (tmp_path / "cache" / "sensecf-edge" / "tried").iterdir()
    assert kept.stat().st_size == 0
    rewritten(toy_copy, CARD_md=b"another card")
    opened(toy_copy)
    opened(toy_copy, device="cpu")
    assert asked == [toy, toy_copy, toy_copy]
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")  # a disk that cannot be written
    opened(toy)
    opened(toy)
    assert asked[3:] == [toy, toy]
    monkeypatch.setattr(trial, "bundle_trial", lambda *_, digest: "it aborts")
    with pytest.raises(BundleError, match="it aborts"):
        opened(toy)


@pytest.mark.skipif(sys.platform != "linux", reason="limits on memory and forks are Linux's")
def test_hostile_bundles_end_neither_this_process_nor_fill_its_memory() -> None:
    """A few of what `make soak` does many of."""
    program = Path(__file__).parent / "soak" / "hostile_bundles.py"
    ran = subprocess.run([sys.executable, program, "150", "3", "--native", "15"], capture_output=True, text=True, timeout=PATIENCE)
    assert ran.returncode == 0 and "150 hostile bundles, none ended this process" in ran.stdout, ran
    assert "generator.gguf: opened" in ran.stdout and "density.json: refused" in ran.stdout and "child" in ran.stdout


def test_a_bundle_that_is_exchanged_while_it_is_tried_is_not_remembered_as_tried(
    toy_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    before = Bundle.open(toy_copy)
    rewritten(toy_copy, CARD_md=b"another card")
    with pytest.raises(BundleError, match="changed while it was tried"):
        ensure_tried(before)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("small", [True, False])
def test_a_folder_that_is_exchanged_after_its_trial_is_not_loaded(
    small: bool, toy: Path, toy_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever fills the folder anew, manifest and all, in the moment between gets nothing opened; nor do files that change later."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if not small:
        monkeypatch.setattr(library, "SMALL_MODEL", 1)
    Explainer.load(toy_copy).close()
    held = (toy_copy / "generator.gguf").read_bytes()

    def exchanged(*given: object, **more: object) -> None:
        other = tmp_path / "other.gguf"
        other.write_bytes(held[:-1] + bytes([held[-1] ^ 1]))
        other.replace(toy_copy / "generator.gguf")
        write_manifest(toy_copy, {**json.loads((toy_copy / "manifest.json").read_text()), "title": "Another"})

    rewritten(toy_copy, CARD_md=b"another card")
    monkeypatch.setattr(trial, "bundle_trial", exchanged)
    with pytest.raises(EngineError, match="was altered after it had been checked"):
        Explainer.load(toy_copy)


def test_a_program_that_loads_an_unknown_bundle_lives_on_and_may_say_that_it_is_its_own(
    toy_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    traced(monkeypatch, ABORTS)
    with pytest.raises(BundleError, match="by SIGABRT"):
        Explainer.load(toy_copy)
    with Explainer.load(toy_copy, trial=False) as explainer:
        assert explainer.explain(STRESSED).status == "found"


def test_a_message_that_quotes_a_file_is_short_and_prints() -> None:
    said = str(BundleError(f"the manifest says {'x' * 5_000}"))
    assert len(said) == BundleError.LONGEST + 1 and said.endswith("x…")
    assert str(BundleError("the manifest says \u202e\x00\n")) == "the manifest says \\u202e\\u0000\\u000a"
