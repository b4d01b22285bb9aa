"""What every method's program shares: the question in a folder, the classifier, limits, and answers as JSON lines.

Runs in the method's own environment: standard library, numpy, onnxruntime for the classifier, and of this project the rules of
the runtime (`limits`). The folder is private to this run and is deleted by the process that made it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from .limits import Limits

Array = NDArray[np.float64]
Answer = tuple["Array | None", str]
"""Codes, shape (features,), or None and why there are none."""

SAFE = 1e-6
"""Part of the goal that is only there so that float32 sums do not fall just short of it."""


BROKEN = 0.49
"""A row that breaks a relation is shown with this part of its probability: never as wanted, and still better or worse than others."""


class OutOfTimeError(Exception):
    """A record's time limit is over."""


class Question:
    """What is asked. Arrays: X (training rows), y (1 = wanted class), records, low, high, vary; rows of records belong together.

    Everything is in codes: numbers in their units, choices as places in their list. Nothing is unknown: what was unknown
    stands at a stand-in and may not vary (`exact` has the records as they came). `allowed[k][i]` are the codes a choice may take.
    `pinned`: nothing but the immutables is asked for, so no limits are put on inside the classifier.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.plain: dict[str, Any] = json.loads((self.folder / "question.json").read_text(encoding="utf-8"))
        with np.load(self.folder / "question.npz") as arrays:
            self.X, self.y, self.records = arrays["X"], arrays["y"], arrays["records"]
            self.low, self.high, self.vary = arrays["low"], arrays["high"], arrays["vary"]
            self.exact = arrays["exact"]
        plain = self.plain
        self.unknown, self.current = np.isnan(self.exact), 0
        self.names, self.kinds, self.choices, self.allowed = plain["names"], plain["kinds"], plain["choices"], plain["allowed"]
        self.steps, self.spans = plain["steps"], plain["spans"]
        self.pinned, self.goal, self.seconds, self.seed = bool(plain["pinned"]), float(plain["goal"]), plain["seconds"], int(plain["seed"])
        self.choice_columns = [i for i, kind in enumerate(self.kinds) if kind == "choice"]
        runtime(plain["runtime"])
        from sensecf_edge.schema.schema import Schema

        self.schema = Schema.from_json(plain["schema"])
        self._limits: dict[int, Limits] = {}

    def limits(self, k: int) -> Limits:
        """What record k may become; see `limits.Limits`."""
        from limits import Limits

        if k not in self._limits:
            self._limits = {k: Limits(self.schema, self.exact[k])}
        return self._limits[k]

    def brought(self, X: ArrayLike) -> Array:
        """Rows of codes as the classifier is to see them, shape (rows, features): with the present record's limits and followers, unless
        `pinned`."""
        rows = np.array(np.atleast_2d(np.asarray(X)), dtype=np.float64)
        if self.pinned:
            rows[:, self.unknown[self.current]] = np.nan
            return rows
        return self.limits(self.current).brought(rows)

    def filled(self, Y: Array) -> Array:
        """The same rows, shape (rows, features), for a package that takes nothing unknown."""
        return np.where(np.isnan(Y), self.records[self.current], Y)


def runtime(folder: str) -> None:
    """Makes `sensecf_edge` in this folder importable, and nothing beside it: its neighbours are another environment's packages."""
    known = importlib.util.find_spec("sensecf_edge")
    if known is None or known.origin is None:  # a folder of its name without code is none
        where = str(Path(folder) / "__init__.py")
        spec = importlib.util.spec_from_file_location("sensecf_edge", where, submodule_search_locations=[folder])
        assert spec is not None and spec.loader is not None  # a file has both
        module = importlib.util.module_from_spec(spec)
        sys.modules["sensecf_edge"] = module
        spec.loader.exec_module(module)


class Classifier:
    """Probabilities of (unwanted, wanted), shape (rows, 2), by onnxruntime on one thread. `rows` counts what was asked.

    The present record's limits are put on inside (`Question.brought`), and what is unknown in it stays unknown.
    `turn` is the probability that the method is shown as 0.5: packages without a threshold of their own flip there.
    """

    def __init__(self, question: Question) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        path = str(question.folder / "classifier.onnx")
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._output = next(o.name for o in self._session.get_outputs() if o.type.startswith("tensor(float") and len(o.shape) == 2)
        self._question, self._column, self._turn = question, question.plain["wanted"], question.plain["turn"]
        self.rows = 0

    def shown(self, p: ArrayLike) -> Array:
        """Probabilities as the method is shown them, same shape: the turning point at 0.5, 0 and 1 in place."""
        p, turn = np.asarray(p, dtype=np.float64), self._turn
        return np.asarray(np.where(p < turn, 0.5 * p / turn, 0.5 + 0.5 * (p - turn) / (1.0 - turn)))

    def __call__(self, X: ArrayLike) -> Array:
        """Probabilities of rows of codes, shape (rows, 2)."""
        question = self._question
        Y = question.brought(X)
        self.rows += len(Y)
        p = self.shown(self._session.run([self._output], {self._input: Y.astype(np.float32)})[0][:, self._column])
        if not question.pinned:
            p = np.where(question.limits(question.current).kept(Y), p, BROKEN * p)
        return np.stack([1.0 - p, p], axis=1)


def answer(argv: list[str], prepare: Callable[[Question, str], tuple[Callable[[int], Answer], Callable[[], int] | None]]) -> None:
    """Answer the records from number argv[3] on, one JSON line each.

    `prepare(question, method)` returns two functions: one from a record's number to (codes or None, why there are none), and one
    that says how many rows the classifier was asked so far (None in its place where no classifier is asked). The first
    record is answered once before, unmeasured. What the method prints goes nowhere.
    """
    folder, method, start = argv[1], argv[2], int(argv[3])
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    question = Question(folder)
    one, rows = prepare(question, method)
    if start == 0 and len(question.records):
        _limited(one, 0, question)
    print(json.dumps({"ready": True}), file=out, flush=True)
    for k in range(start, len(question.records)):
        before, began = rows() if rows else 0, time.perf_counter()
        y, why = _limited(one, k, question)
        seconds = time.perf_counter() - began
        codes = None if y is None else [None if np.isnan(v) else float(v) for v in np.asarray(y, dtype=np.float64)]
        line = {"k": k, "y": codes, "seconds": seconds, "rows": rows() - before if rows else None, "why": why}
        print(json.dumps(line), file=out, flush=True)


def _limited(one: Callable[[int], Answer], k: int, question: Question) -> Answer:
    """One record within its processor time: a busy machine does not shorten what a method may do."""
    random.seed(question.seed * 1_000_003 + k)
    np.random.seed((question.seed * 1_000_003 + k) % 2**32)
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGPROF, _late)
        signal.setitimer(signal.ITIMER_PROF, question.seconds)
    question.current = k
    try:
        return one(k)
    except OutOfTimeError:
        return None, "time limit"
    except Exception as error:  # its own words may hold a record's value: kind and place only
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return None, f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
    finally:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_PROF, 0)


def _late(*_: object) -> NoReturn:
    raise OutOfTimeError


if __name__ == "__main__":
    sys.exit("not a program of its own")
