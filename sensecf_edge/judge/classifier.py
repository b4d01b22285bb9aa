"""The only door to onnxruntime: rows of codes in, probabilities or log-densities out, and nothing that is neither.

A model comes as bytes that `bundle` has hashed already; this module opens no file. Rows always go through in one batch:
thousands of rows cost what a few single ones cost. Order of features is not checked here, because a model cannot tell
(swapped columns are answered, not refused): `bundle` compares the names.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from typing import Any, Protocol

import numpy as np

from ..errors import CheckError
from ..schema.feature import Vector
from .graph_audit import check_graph

TOLERANCE = 1e-5
MOST_MEMORY = 256 << 20
"""Bytes that all graphs of a process may take for weights and results together; a bundle's take a few million."""
ROWS = 16_384
"""Rows that go through at once; more go in parts, and these in halves where they are still too many for the memory."""
FIX = "run `sensecf-edge models verify`, or build the bundle again"


class Checker(Protocol):
    """Judges candidates. Anything with this method can stand in for the classifier."""

    def p_target(self, Y: Vector) -> Vector:
        """Probability (0..1) of the wanted class, shape (candidates,), for codes of shape (candidates, features), NaN = unknown."""
        ...


class OnnxChecker:
    """A classifier as an ONNX graph: one float32 input [N, features], one float output [N, classes] of probabilities.

    Unknown values go in as NaN; the graph fills them in itself. `wanted` is the column of the wanted class. Raises
    CheckError where the graph has another form, fails, or answers something that is no probability. `calls` and `rows`
    count what was asked.
    """

    def __init__(self, model: bytes, features: int, wanted: int, threads: int = 1, classes: int | None = None, device: str = "cpu") -> None:
        self._graph = _Graph(model, "the classifier", features, threads, device)
        self._output = self._graph.output(rank=2)
        self._wanted, self._classes = wanted, classes
        self.calls = self.rows = 0

    def p_target(self, Y: Vector) -> Vector:
        """Probability of the wanted class, shape (candidates,). An empty batch is answered without asking the model.

        Raises CheckError for another shape, and where the model fails or gives out what is no probability.
        """
        self._graph.check_shape(Y)
        if not len(Y):
            return np.empty(0)
        self.calls += 1
        self.rows += len(Y)
        out = self._graph.run(self._output, Y)
        columns = out.shape[1] if out.ndim == 2 else 1
        if columns <= self._wanted or (self._classes is not None and columns != self._classes):
            need = self._classes if self._classes is not None else f"at least {self._wanted + 1}"
            raise CheckError(f"the classifier gives {columns} probabilities a row, the bundle needs {need}; {FIX}")
        if not (out.min() >= -TOLERANCE and out.max() <= 1 + TOLERANCE):  # true for NaN as well
            bad = ~((out >= -TOLERANCE) & (out <= 1 + TOLERANCE)).all(axis=1)
            raise CheckError(
                f"the classifier's answer is no probability in {int(bad.sum())} of {len(Y)} rows, first in row {int(bad.argmax())}; "
                "its graph must fill in unknown values and end in probabilities. Build the bundle again"
            )
        return np.clip(out[:, self._wanted], 0.0, 1.0)


class OnnxRealism:
    """The density of bundles of format 1, an ONNX graph: one float32 input [N, features], one log-density a row. It fills
    unknown values in and takes choices for numbers, as `density` does not.

    `quantiles` are the log-densities of real people of that class at evenly spaced percentiles from 0 to 100, ascending.
    Says how ordinary a record is among them, not whether a person could get there. Raises CheckError.
    """

    def __init__(self, model: bytes, features: int, quantiles: Sequence[float], threads: int = 1, device: str = "cpu") -> None:
        self._quantiles = np.asarray(quantiles, dtype=np.float64)
        if self._quantiles.ndim != 1 or len(self._quantiles) < 2 or not (np.diff(self._quantiles) >= 0).all():
            raise CheckError(f"the realism model's quantiles are not two or more ascending numbers; {FIX}")
        self._at = np.linspace(0.0, 100.0, len(self._quantiles))
        self._graph = _Graph(model, "the realism model", features, threads, device)
        self._output = self._graph.output(rank=None, names=("log_density", "score_samples"))

    def log_density(self, Y: Vector) -> Vector:
        """Natural logarithm of the density, shape (candidates,); minus infinity is possible, NaN raises CheckError."""
        self._graph.check_shape(Y)
        if not len(Y):
            return np.empty(0)
        out = self._graph.run(self._output, Y)
        if out.size != len(Y):
            raise CheckError(f"the realism model gives {out.size} numbers for {len(Y)} rows, not one a row; {FIX}")
        out = out.reshape(len(Y))
        if np.isnan(out).any():
            raise CheckError(f"the realism model answers NaN in {int(np.isnan(out).sum())} of {len(Y)} rows; {FIX}")
        return out

    def percentile(self, Y: Vector) -> Vector:
        """Share (0..100) of real people of the wanted class who are less ordinary than the candidate, shape (candidates,)."""
        return np.asarray(np.interp(self.log_density(Y), self._quantiles, self._at), dtype=np.float64)

    def rank(self, density: Vector, x: Vector) -> Vector:
        """The percentiles (0..100) of log-densities, same shape."""
        return np.asarray(np.interp(density, self._quantiles, self._at), dtype=np.float64)


def onnxruntime() -> Any:
    """The library, told to keep no record of this machine and to send none.

    From 1.32 on its wheels for Linux and macOS write an identifier and events of use under the home folder as soon as they are
    loaded, and send them. The variable forbids all of it, and works only where it stands before the library is loaded; the
    call stops what the variable does not (Windows, or a program that had loaded the library before).
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime as ort

    ort.disable_telemetry_events()
    return ort


def onnxruntime_version() -> str:
    """The library's own word: it goes by several names where it is installed (onnxruntime-gpu and others)."""
    return str(onnxruntime().__version__)


def build_features() -> str:
    """Version of onnxruntime and the devices it was built for, in words. Raises ImportError where it cannot be loaded."""
    ort = onnxruntime()
    return f"{ort.__version__}, {', '.join(p.removesuffix('ExecutionProvider') for p in ort.get_available_providers())}"


class _Graph:
    """One onnxruntime session with the form this project asks for; foreign errors stop here."""

    def __init__(self, model: bytes, what: str, features: int, threads: int, device: str) -> None:
        self.what, self.features = what, features
        self._process = os.getpid() if threads > 1 else 0
        self._session = open_session(model, what, threads, device)
        inputs = self._session.get_inputs()
        shape = list(inputs[0].shape) if inputs else []
        if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(shape) != 2 or isinstance(shape[0], int):
            raise CheckError(f"{what} must take one float32 tensor [N, {features}] with N left open; export it again that way")
        if shape[1] != features:
            raise CheckError(f"{what} takes {shape[1]} features, the schema has {features}; they do not belong together; {FIX}")
        self._input = inputs[0].name

    def output(self, rank: int | None, names: tuple[str, ...] = ()) -> str:
        """The name of the output to read: one of `names` in that order, else the only float output of the rank. CheckError without one."""
        outputs = [o for o in self._session.get_outputs() if o.type in ("tensor(float)", "tensor(double)")]
        for name in names:
            if name in [o.name for o in outputs]:
                return name
        fitting = [o.name for o in outputs if rank is None or len(o.shape) == rank]
        if len(fitting) != 1:
            form = f"{rank}-D float" if rank else "float"
            raise CheckError(f"{self.what} has {len(fitting)} {form} outputs, it must have one (export without ZipMap)")
        return str(fitting[0])

    def check_shape(self, Y: Vector) -> None:
        """Raises CheckError for anything but (candidates, features)."""
        if Y.ndim != 2 or Y.shape[1] != self.features:
            raise CheckError(f"{self.what} was given an array of shape {Y.shape}; it takes (candidates, {self.features}), in schema order")

    def run(self, output: str, Y: Vector) -> Vector:
        """One output for all rows as float64; its first axis is that of Y, so a probability has shape (candidates, classes).

        Raises CheckError in a process that was forked after threads were started, and where onnxruntime fails.
        """
        if self._process and self._process != os.getpid():
            raise CheckError(
                f"this process was forked from the one that had opened {self.what} with several threads, which do not come along; "
                "start it otherwise (multiprocessing's spawn), load after the fork only, or use one thread"
            )
        rows = np.ascontiguousarray(Y, dtype=np.float32)
        out = [self._part(output, rows[i : i + ROWS]) for i in range(0, len(rows), ROWS)]
        return np.asarray(out[0] if len(out) == 1 else np.concatenate(out), dtype=np.float64)

    def _part(self, output: str, rows: Any) -> Any:
        try:
            return self._session.run([output], {self._input: rows}, _giving_back())[0]
        except Exception as error:
            full = any(words in str(error) for words in ("Available memory of", "Failed to allocate memory", "bad allocation"))
            if full and len(rows) > 1:
                return np.concatenate([self._part(output, half) for half in np.array_split(rows, 2)])
            told = f"it takes more than {MOST_MEMORY >> 20} MB for the results of one row" if full else _first_line(error)
            raise CheckError(f"{self.what} failed on {len(rows)} rows: {told}; {FIX}") from error


def open_session(model: bytes, what: str, threads: int = 1, device: str = "cpu") -> Any:
    """A session of onnxruntime on a graph that was looked over first. Raises CheckError; `what` names the graph."""
    check_graph(model, what)
    try:
        return _session(model, threads, device)
    except Exception as error:  # onnxruntime's errors share no base class
        raise CheckError(f"{what} cannot be loaded by onnxruntime: {_first_line(error)}; {FIX}") from error


def _session(model: bytes, threads: int, device: str) -> Any:
    """A session that keeps to `threads`, takes memory from one bounded place, writes no log and sends nothing anywhere.

    It reads no file beside the model: the folder for external weights cannot exist. Nothing is computed while it is built
    (constant folding), because that memory has no bound. On `cuda` the CUDA provider goes first where there is one; what
    it cannot compute, trees among it, stays on the CPU.
    """
    ort = onnxruntime()
    _bound_memory()
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.enable_mem_pattern = False
    options.log_severity_level = 4
    entries = {
        "session.intra_op.allow_spinning": "0", "session.use_env_allocators": "1", "session.load_model_format": "ONNX",
        "session.model_external_initializers_file_folder_path": os.path.join(os.devnull, "nowhere"),
    }  # fmt: skip
    for key, value in entries.items():
        options.add_session_config_entry(key, value)
    on = providers(ort.get_available_providers(), device)
    return ort.InferenceSession(model, options, providers=on, disabled_optimizers=["ConstantFolding"])


@cache
def _bound_memory() -> None:
    """One allocator for all sessions of the process, which refuses to grow over MOST_MEMORY."""
    ort = onnxruntime()
    place = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    as_asked = 1  # and not twice as much at each step, which is what a hub of 512 MB would notice
    ort.create_and_register_allocator(place, ort.OrtArenaCfg({"max_mem": MOST_MEMORY, "arena_extend_strategy": as_asked}))


@cache
def _giving_back() -> Any:
    """How to run: what results took goes back to the system at the end."""
    options = onnxruntime().RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def providers(available: Sequence[str], device: str) -> list[str]:
    """What onnxruntime may compute on, in order. `auto` keeps to the CPU: batches of trees are too small to be worth a copy."""
    cuda = ["CUDAExecutionProvider"] if device == "cuda" and "CUDAExecutionProvider" in available else []
    return [*cuda, "CPUExecutionProvider"]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
