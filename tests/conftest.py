"""A toy bundle: real file formats, small enough to be written in a second; and the command line, run in this process."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from toys import toy_gguf

from sensecf_edge.bundle.bundle import Bundle, write_manifest
from sensecf_edge.judge.density import Density
from sensecf_edge.propose.prompt import items, want
from sensecf_edge.schema.schema import Schema

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a script; the programs that tests start would ignore it, too
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The tests are the same tests for everybody; `make fuzz` draws examples that nobody has seen.
# None has a deadline: a fifth of a second passes anywhere on a machine that others use too.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("fresh", derandomize=False, deadline=None)
settings.load_profile("same")

PATIENCE = 300.0
"""Seconds after which what should have come counts as lost. No measure of speed: a machine that others use too takes its time."""

SHIPPED = ("heart", "metabolic", "stress")
STRESSED = {"age": 44, "steps": 3000, "deep_sleep": 10, "smoker": "yes"}
CALM = {"age": 44, "steps": 14000, "deep_sleep": 30, "smoker": "no"}
SCHEMA: dict[str, Any] = {
    "format": 1,
    "features": [
        {"name": "age", "kind": "number", "label": "Age", "unit": "years", "low": 18, "high": 90, "step": 1, "mutable": False},
        {"name": "steps", "kind": "number", "label": "Steps a day", "low": 0, "high": 20000, "step": 500, "reference": [1000, 16000]},
        {"name": "deep_sleep", "kind": "number", "label": "Deep sleep", "unit": "%", "low": 0, "high": 40, "step": 1, "optional": True},
        {"name": "smoker", "kind": "choice", "label": "Smokes", "choices": ["yes", "no"]},
    ],
}
CENTRE, SCALE = np.array([50.0, 8000.0, 18.0, 0.5]), np.array([15.0, 3000.0, 6.0, 0.5])
WEIGHTS = np.array([-0.2, 1.5, 1.0, 0.8])


def toy_classifier(scale: float = 1.0, width: int = 4) -> bytes:
    """A logistic regression that fills unknown values in with the centre; columns (stressed, calm)."""
    from onnx import helper

    steps = [
        helper.make_node("MatMul", ["z", "weights"], ["score"]),
        helper.make_node("Sigmoid", ["score"], ["calm"]),
        helper.make_node("Sub", ["one", "calm"], ["stressed"]),
        helper.make_node("Concat", ["stressed", "calm"], ["probabilities"], axis=1),
    ]
    constants = {"weights": scale * WEIGHTS[:width, None], "one": np.ones(1)}
    return _graph(steps, constants, "probabilities", 2, width)


def toy_density() -> dict[str, Any]:
    """density.json of the toy: a normal density around the centre, smokers as many as others; scores as if it were right."""
    names, spread = [f["name"] for f in SCHEMA["features"][:3]], np.diag(1.5 * SCALE[:3] ** 2).tolist()
    mixture = {"weights": [1.0], "numbers": names, "means": [CENTRE[:3].tolist()], "covariances": [spread],
               "choices": {"smoker": {"no": [0.5], "yes": [0.5]}}}  # fmt: skip
    share = np.clip(np.linspace(0, 1, 101), 0.005, 0.995)
    return {"format": 1, "wanted": mixture, "everybody": mixture, "scores": np.log(share / (1 - share)).tolist()}


def toy_typical() -> Density:
    """The toy's density, read."""
    return Density.from_json(toy_density(), Schema.from_json(SCHEMA))


def toy_realism() -> bytes:
    """The same as bundles of format 1 had it: an ONNX graph, up to a constant, unknown values filled in."""
    from onnx import helper

    steps = [
        helper.make_node("Mul", ["z", "z"], ["square"]),
        helper.make_node("ReduceMean", ["square"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Neg", ["mean"], ["log_density"]),
    ]
    return _graph(steps, {}, "log_density", 1, 4)


def _graph(steps: list[Any], constants: dict[str, Any], output: str, columns: int, width: int) -> bytes:
    from onnx import TensorProto, helper, numpy_helper

    opening = [
        helper.make_node("IsNaN", ["record"], ["unknown"]),
        helper.make_node("Where", ["unknown", "centre", "record"], ["known"]),
        helper.make_node("Sub", ["known", "centre"], ["shifted"]),
        helper.make_node("Div", ["shifted", "scale"], ["z"]),
    ]
    constants = {"centre": CENTRE[None, :width], "scale": SCALE[None, :width], **constants}
    graph = helper.make_graph(
        [*opening, *steps],
        "toy",
        [helper.make_tensor_value_info("record", TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [None, columns])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def toy_manifest() -> dict[str, Any]:
    """What a toy bundle's manifest says beyond what the folder says itself."""
    return {
        "name": "toy",
        "version": "1",
        "title": "Toy model",
        "target": {"column": "stressed", "classes": ["stressed", "calm"], "wanted": "calm", "threshold": 0.5},
        "classifier": {"kind": "logistic regression", "auc": 0.63, "people_train": 9, "people_test": 4},
        "generator": {"prompt": "scored", "architecture": "llama", "parameters": 40000, "quantization": "F32", "context": 1024},
        "data": {"source": "made up", "licence": "CC0"},
        "metrics": {"first_try_valid": 0.5, "possible_valid": 8},
        "not_for": "Anything but tests.",
        "seed": 0,
    }


def write_toy(folder: Path) -> Path:
    """A whole toy bundle in `folder`."""
    folder.mkdir(parents=True)
    schema = Schema.from_json(SCHEMA)
    deciles = {f.name: np.linspace(f.lattice[0], f.lattice[-1], 11).tolist() for f in schema.features if f.kind == "number"}
    reference = {"quantiles": deciles, "mad": {"age": 10.0, "steps": 2000.0, "deep_sleep": 4.0}}
    samples = [{"id": "restless", "values": STRESSED}, {"id": "rested", "values": CALM}]
    for name, value in {"schema.json": SCHEMA, "reference.json": reference, "samples.json": samples, "density.json": toy_density()}.items():
        (folder / name).write_text(json.dumps(value), encoding="utf-8")
    (folder / "CARD.md").write_text("# Toy\n\nFür Tests.\n", encoding="utf-8")
    (folder / "classifier.onnx").write_bytes(toy_classifier())
    toy_gguf(folder / "generator.gguf", tokens=[want("calm"), *(item for f in schema.features for item in items(f))])
    write_manifest(folder, toy_manifest())
    return folder


def turn_to_format_1(folder: Path) -> None:
    """A toy bundle as earlier versions wrote it: its density an ONNX graph, calibrated in reference.json."""
    (folder / "density.json").unlink()
    (folder / "realism.onnx").write_bytes(toy_realism())
    reference = json.loads((folder / "reference.json").read_text())
    density = -np.random.default_rng(0).chisquare(4, 1000) / 4
    reference["realism_quantiles"] = np.quantile(density, np.linspace(0, 1, 101)).tolist()
    (folder / "reference.json").write_text(json.dumps(reference))
    manifest = json.loads((folder / "manifest.json").read_text())
    files = {name: entry for name, entry in manifest["files"].items() if name != "density.json"}
    for name in ("realism.onnx", "reference.json"):
        data = (folder / name).read_bytes()
        files[name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    (folder / "manifest.json").write_text(json.dumps({**manifest, "format": 1, "files": files}))


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy bundle to read. Use `toy_copy` to harm one."""
    return write_toy(tmp_path_factory.mktemp("bundles") / "toy")


@pytest.fixture
def toy_copy(toy: Path, tmp_path: Path) -> Path:
    """A toy bundle of the test's own."""
    return Path(shutil.copytree(toy, tmp_path / "toy"))


@pytest.fixture(params=SHIPPED)
def shipped(request: pytest.FixtureRequest) -> str:
    """The name of each shipped bundle; that both are there is a test of its own."""
    if request.param not in dict(Bundle.available()):
        pytest.skip(f"{request.param} is not there")
    return str(request.param)


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """`command(*arguments, stdin=b"")` runs the command line in this process."""
    from sensecf_edge.cli.main import main

    def run(*arguments: object, stdin: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return Ran(int(left.value.code or 0), out, err)

    return run


@pytest.fixture(scope="session", autouse=True)
def what_llama_cpp_opens_is_closed() -> Iterator[None]:
    """llama_cpp opens /dev/null twice where its `Llama` is imported, and leaves both to the end of the process."""
    yield
    utils = sys.modules.get("llama_cpp._utils")
    for name in ("outnull_file", "errnull_file") if utils else ():
        getattr(utils, name).close()
