"""Other methods on the same records, each as its users run it: in an environment of its own, on the scikit-learn model.

Their pins exclude ours (and each other's), so each gets a virtual environment in the user's cache, made once. The
records and the training rows go there through a private temporary folder that is deleted afterwards.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
import venv
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from sensecf_edge import measure
from sensecf_edge.bundle import Bundle
from sensecf_edge.check import OnnxChecker
from sensecf_edge.errors import MissingExtraError, SenseCFError

from . import classifier
from .progress import step
from .tables import Cohort

PINS = {"nice": ["NICEx==0.2.3", "numpy<2", "pandas<2"], "nice_onnx": ["NICEx==0.2.3", "numpy<2", "pandas<2", "onnxruntime"]}
PROGRAM = Path(__file__).parent / "peer_programs" / "nice.py"
TIMEOUT = 1800


def run(names: tuple[str, ...], bundle: Bundle, train: Cohort, test: Cohort, limit: int | None) -> dict[str, dict[str, Any]]:
    """Figures of each named method on the records that `evaluate` explained. Raises SenseCFError where one fails."""
    checker = OnnxChecker(bundle.classifier_bytes(), len(bundle.schema), bundle.manifest.target.index)
    rows = test.X[checker.p_target(test.X) < bundle.manifest.target.threshold][:limit]
    asked = question(bundle, train, rows)
    out = {}
    for name in names:
        with step(name) as say:
            answers, seconds = ask(name, asked)
            out[name] = _figures(bundle, checker, asked["records"], answers, seconds)
            say(f"p50 {out[name]['p50_ms']} ms a record")
    return out


def question(bundle: Bundle, train: Cohort, rows: np.ndarray) -> dict[str, Any]:
    """What a method is asked: the classifier fitted again, training rows X and labels y, records, and which columns are choices.

    Unknown values are filled in with the training medians, because other methods take none.
    """
    centre = np.nanmedian(train.X, axis=0)
    filled, records = (np.where(np.isnan(X), centre, X) for X in (train.X, rows))
    model = classifier.pipeline(bundle.schema, _recipe(bundle), int(bundle.manifest.seed or 0)).fit(filled.astype(np.float32), train.y)
    return {"model": model, "X": filled, "y": train.y, "records": records, "choices": _choices(bundle)}


def _recipe(bundle: Bundle) -> dict[str, Any]:
    """How the bundle's classifier was fitted; it is fitted again, because a bundle holds only the ONNX graph."""
    whole = json.loads((bundle.folder / "manifest.json").read_text(encoding="utf-8"))
    recipe: dict[str, Any] = whole["classifier"]["recipe"]
    return recipe


def _choices(bundle: Bundle) -> list[int]:
    return [i for i, f in enumerate(bundle.schema.features) if f.kind == "choice"]


def ask(name: str, question: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """A method's answers, shape (records, features), and its seconds on each record. Raises SenseCFError where it fails."""
    python, threads = str(environment(name)), {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory(prefix="sensecf-") as place:
        folder = Path(place)
        (folder / "question.pickle").write_bytes(pickle.dumps(question))
        command = [python, str(PROGRAM), str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, env={**os.environ, **threads}, check=False)
        if done.returncode:
            raise SenseCFError(f"{name} failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
        answer = np.load(folder / "answer.npz")
        return answer["Y"], answer["seconds"]


def environment(name: str) -> Path:
    """The Python of the method's own environment, made on first use (needs the network once)."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sensecf-edge" / "peers" / name
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pins = [*PINS[name], f"scikit-learn=={version('scikit-learn')}"]
    stamp = home / "pins.json"
    if stamp.exists() and json.loads(stamp.read_text()) == pins:
        return python
    with step(f"{name} setup") as say:
        venv.create(home, with_pip=True, clear=True)
        done = subprocess.run([str(python), "-m", "pip", "install", "-q", *pins], capture_output=True, text=True, check=False)
        if done.returncode:
            raise MissingExtraError(f"{name} cannot be installed for {sys.version.split()[0]}: {done.stderr.strip().splitlines()[-1]}")
        stamp.write_text(json.dumps(pins))
        say(f"an environment with {', '.join(pins)}")
    return python


def _figures(bundle: Bundle, checker: OnnxChecker, X: np.ndarray, Y: np.ndarray, seconds: np.ndarray) -> dict[str, Any]:
    got = ~np.isnan(Y).all(axis=1)
    p, target = checker.p_target(Y[got]), bundle.manifest.target
    fixed = [i for i, f in enumerate(bundle.schema.features) if not f.mutable]
    changed = [measure.changed(x, y[None])[0] for x, y in zip(X[got], Y[got], strict=True)]
    return {
        "records": len(X),
        "valid": round(float((p >= target.threshold).sum()) / max(1, len(X)), 3),
        "p >= threshold + 0.05": round(float((p >= target.threshold + 0.05).sum()) / max(1, len(X)), 3),
        "changes an immutable": round(float(np.mean([c[fixed].any() for c in changed])), 3) if changed else None,
        "features changed": round(float(np.mean([c.sum() for c in changed])), 2) if changed else None,
        "p50_ms": round(1000 * float(np.median(seconds)), 1),
    }
