"""What happens to the process: forks, files that change or have odd names, models that llama.cpp does not survive."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import PATIENCE
from toys import toy_gguf

from sensecf_edge.errors import EngineError
from sensecf_edge.llama import hashing, library
from sensecf_edge.llama.engine import LlamaEngine
from sensecf_edge.llama.gguf_audit import check_head


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_gguf(tmp_path_factory.mktemp("toy") / "toy.gguf", ["a=1;", "b=2;"])


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


FORK = """
import os, sys
from pathlib import Path
from sensecf_edge.llama.engine import LlamaEngine
from sensecf_edge.errors import EngineError
from sensecf_edge.settings import EngineSettings
settings = EngineSettings(threads=int(sys.argv[2]))
engine = LlamaEngine(Path(sys.argv[1]), settings, 100)
engine.propose([])
engine.feed([1, 2, 3], 0)
child = os.fork()
if not child:
    for again in (engine.propose, lambda _: LlamaEngine(Path(sys.argv[1]), settings, 100).propose([])):
        try:
            print("answered", again([]), flush=True)
        except EngineError as error:
            print(error, flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_after_a_fork_one_thread_goes_on_and_several_are_refused_instead_of_waiting_for_ever(model: Path) -> None:
    assert run(FORK, model, 1).stdout.splitlines() == ["answered []"] * 2
    told = run(FORK, model, 2).stdout.splitlines()
    assert len(told) == 2 and all("forked" in line and "spawn" in line and "one thread" in line for line in told)


def test_a_closed_engine_is_an_error_and_never_freed_memory(model: Path) -> None:
    engine = LlamaEngine(model, context=100)
    engine.close()
    ways: list[Callable[[], Any]] = [
        lambda: engine.kv_bytes, lambda: engine.parameters, lambda: engine.description, lambda: engine.vocabulary,
        lambda: engine.tokenise("a"), lambda: engine.feed([1], 0), lambda: engine.propose([]), engine.empty,
    ]  # fmt: skip
    for way in ways:
        with pytest.raises(EngineError, match="closed"):
            way()


def test_a_model_that_is_cut_under_a_running_engine_goes_on(model: Path, tmp_path: Path) -> None:
    """Mapped pages of a file that was cut would end the process with SIGBUS."""
    copy = tmp_path / "generator.gguf"
    copy.write_bytes(model.read_bytes())
    with LlamaEngine(copy, context=100) as engine:
        os.truncate(copy, 100)
        engine.feed([1, 2, 3], 0)


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text elsewhere")
def test_a_folder_whose_name_is_no_utf_8_is_opened_and_named_in_errors(model: Path, tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    (folder / "g.gguf").write_bytes(model.read_bytes())
    with LlamaEngine(folder / "g.gguf", context=100) as engine:
        assert engine.parameters > 0
    (folder / "g.gguf").write_bytes(model.read_bytes()[:-2000])
    with pytest.raises(EngineError, match=r"llama\.cpp cannot load") as error:
        LlamaEngine(folder / "g.gguf", context=100)
    assert "/proc" not in str(error.value)


def test_a_file_that_changed_since_it_was_hashed_is_refused(model: Path) -> None:
    right = hashlib.sha256(model.read_bytes()).hexdigest()
    LlamaEngine(model, context=100, sha256=right).close()
    with pytest.raises(EngineError, match="was altered after it had been checked"):
        LlamaEngine(model, context=100, sha256="0" * 64)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a file is opened by its name")
def test_a_large_file_is_hashed_once_and_opened_by_its_handle(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "SMALL_MODEL", 1)
    copy = tmp_path / "g.gguf"
    copy.write_bytes(model.read_bytes())
    right = hashlib.sha256(copy.read_bytes()).hexdigest()
    monkeypatch.setattr(hashing, "SETTLED", -1.0)
    with copy.open("rb") as file:
        assert hashing.sha256_of(file) == right
    with monkeypatch.context() as once:
        once.setattr(hashing, "sha256_of", lambda file: pytest.fail("it is read again"))
        LlamaEngine(copy, context=100, sha256=right).close()
    copy.write_bytes(model.read_bytes()[:-1] + b"x")
    with pytest.raises(EngineError, match="was altered after it had been checked"):
        LlamaEngine(copy, context=100, sha256=right)


def doubled(model: Path, out: Path) -> Path:
    """The toy with one token written over by another of the same length."""
    data = model.read_bytes()
    assert data.count(b"a=1;") == 1
    out.write_bytes(data.replace(b"a=1;", b"b=2;"))
    return out


def test_a_token_that_stands_twice_is_refused_before_llama_cpp_aborts(model: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="lists a token twice"):
        LlamaEngine(doubled(model, tmp_path / "d.gguf"), context=100)


ABORT = """
from sensecf_edge.llama import library as native
lib = native.library()
import ctypes
lib._lib.ggml_abort.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p]
lib._lib.ggml_abort(b"/tmp/build/llama-vocab.cpp", 7, b"GGML_ASSERT(tokens are sound) failed")
"""


def test_an_abort_of_llama_cpp_is_told_in_words_and_writes_nothing_among_the_answers() -> None:
    done = run(ABORT)
    assert (done.returncode, done.stdout) == (1, "")
    assert "llama.cpp cannot go on" in done.stderr and "GGML_ASSERT" in done.stderr and "models verify" in done.stderr
    assert len(done.stderr.splitlines()) == 1 and "/tmp" not in done.stderr


def test_a_cut_or_changed_head_is_an_error(model: Path) -> None:
    data = model.read_bytes()
    for end in range(0, 3000, 97):
        with pytest.raises(EngineError, match=r"cut off or damaged|not a GGUF"):
            check_head(io.BytesIO(data[:end]), "cut.gguf")
    check_head(io.BytesIO(data), "whole.gguf")
    chance = np.random.default_rng(0)
    for _ in range(300):
        changed = bytearray(data[:20_000])
        for at in chance.integers(4, 4000, 3):
            changed[at] = int(chance.integers(0, 256))
        try:
            check_head(io.BytesIO(bytes(changed)), "changed.gguf")
        except EngineError as error:
            assert "changed.gguf" in str(error)


def test_rivals_count_in_the_memory_that_doctor_tells(toy_copy: Path) -> None:
    from conftest import toy_classifier, toy_manifest

    from sensecf_edge.bundle.bundle import Bundle, write_manifest
    from sensecf_edge.cli.doctor import memory_mb

    before = memory_mb(Bundle.open(toy_copy))
    (toy_copy / "rival-1.onnx").write_bytes(toy_classifier() + b"\xba\x3e\x80\x80\x80\x01" + bytes(1 << 21))  # an unknown field
    write_manifest(toy_copy, toy_manifest())
    assert memory_mb(Bundle.open(toy_copy)) >= before + 25


def test_versions_are_told_where_no_distribution_has_the_usual_name(monkeypatch: pytest.MonkeyPatch) -> None:
    from sensecf_edge.judge import classifier
    from sensecf_edge.llama import library

    said = library.llama_version()
    assert said == version("llama-cpp-python")
    monkeypatch.delitem(sys.modules, "llama_cpp", raising=False)
    assert library.llama_version() == said  # whether it is loaded or not
    monkeypatch.setattr(library, "find_spec", lambda name: None)
    assert library.llama_version() == "unknown" and classifier.onnxruntime_version()[0].isdigit()


EXPLAINED = "from sensecf_edge import Explainer; e = Explainer.load('heart'); print(bool(e.explain(e.bundle.samples[0].values).found))"


def test_explaining_leaves_nothing_in_the_home_folder(tmp_path: Path) -> None:
    """No identifier and no record of use, which onnxruntime would write there, and send, if it were let."""
    surroundings = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", EXPLAINED], env=surroundings, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert done.stdout == "True\n"
    assert not list(tmp_path.iterdir())
