"""Environments of other methods: their pins exclude ours and each other's, so each gets one in the user's cache, made once.

And NICE as its users run it, on the scikit-learn model, for `bench --beside`. Records and training
rows go there through a private temporary folder that is deleted afterwards. `compare` has programs of its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pickle
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from sensecf_edge.bundle import Bundle
from sensecf_edge.errors import MissingExtraError, SenseCFError

from .classifiers import recipes
from .progress import step
from .stand_ins import stand_ins
from .tables import Cohort

PINS: dict[str, tuple[str, ...]] = {
    "nice": ("NICEx==0.2.3", "numpy<2", "pandas<2", "scikit-learn", "onnxruntime"),
    "nice-sklearn": ("NICEx==0.2.3", "numpy<2", "pandas<2", f"scikit-learn=={version('scikit-learn')}"),
    "dice": ("dice-ml==0.12", "pandas<3", "onnxruntime"),
    "cfnow": ("cfnow==0.0.6", "onnxruntime"),
    "treecf": ("treecf==0.3.2",),
}
"""What each environment holds. Pins of the packages exclude each other, and ours."""

PROGRAMS = Path(__file__).parent / "peer_programs"
TIMEOUT = 1800


def question(bundle: Bundle, train: Cohort, rows: np.ndarray) -> dict[str, Any]:
    """What a method is asked: the classifier fitted again, training rows X and labels y, records, and which columns are choices.

    Unknown values are filled in with what stands for them, because other methods take none.
    """
    centre = stand_ins(train)
    filled, records = (np.where(np.isnan(X), centre, X) for X in (train.X, rows))
    kind, recipe = _recipe(bundle)
    model = recipes.pipeline(bundle.schema, kind, recipe, int(bundle.manifest.seed or 0)).fit(filled.astype(np.float32), train.y)
    return {"model": model, "X": filled, "y": train.y, "records": records, "choices": _choices(bundle)}


def _recipe(bundle: Bundle) -> tuple[str, dict[str, Any]]:
    """Kind and recipe of the bundle's classifier; it is fitted again, because a bundle holds only the ONNX graph."""
    whole = json.loads((bundle.folder / "manifest.json").read_text(encoding="utf-8"))["classifier"]
    return str(whole["kind"]), dict(whole["recipe"])


def _choices(bundle: Bundle) -> list[int]:
    return [i for i, f in enumerate(bundle.schema.features) if f.kind == "choice"]


def ask(name: str, question: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """NICE's answers, shape (records, features), and its seconds on each record. Raises SenseCFError where it fails."""
    python, threads = str(environment(name)), {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory(prefix="sensecf-") as place:
        folder = Path(place)
        (folder / "question.pickle").write_bytes(pickle.dumps(question))
        command = [python, str(PROGRAMS / "run_nice_sklearn.py"), str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, env={**os.environ, **threads}, check=False)
        if done.returncode:
            raise SenseCFError(f"{name} failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
        answer = np.load(folder / "answer.npz")
        return answer["Y"], answer["seconds"]


def home(name: str) -> Path:
    """Where the environment lies: in the user's cache, by its pins and this Python's version."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    held = hashlib.sha256(json.dumps([sys.version_info[:2], PINS[name]]).encode()).hexdigest()[:12]
    return cache / "sensecf-edge" / "peers" / f"{name}-{held}"


def cached(name: str) -> dict[str, str] | None:
    """The versions in an environment that is ready, None where it is still to be made."""
    stamp = home(name) / "ready.json"
    versions: dict[str, str] | None = json.loads(stamp.read_text(encoding="utf-8")) if stamp.exists() else None
    return versions


def environment(name: str) -> Path:
    """The Python of a method's own environment, made on first use (needs the network once, a few minutes).

    Raises MissingExtraError where it cannot be installed: with pip's reason, and that a copy of the folder does as well.
    """
    folder = home(name)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if cached(name) is not None:
        return python
    folder.parent.mkdir(parents=True, exist_ok=True)
    with step(f"{name} setup") as say, _alone(folder.with_suffix(".lock")):
        if cached(name) is None:
            venv.create(folder, with_pip=True, clear=True)
            _install(name, python)
            listed = subprocess.run([str(python), "-m", "pip", "list", "--format=json"], capture_output=True, text=True, check=True)
            versions = {p["name"].lower().replace("_", "-"): p["version"] for p in json.loads(listed.stdout)}
            (folder / "ready.json").write_text(json.dumps(versions, indent=1), encoding="utf-8")
        say(f"an environment with {', '.join(PINS[name])}")
    return python


def _install(name: str, python: Path) -> None:
    command = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *PINS[name]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines() or ["no message"]
        raise MissingExtraError(
            f"{', '.join(PINS[name])} cannot be installed for Python {sys.version.split()[0]} ({said[0].removeprefix('ERROR: ')[:200]}); "
            f"it is needed once, with a network, and then kept in {python.parents[1]}"
        )


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Two processes do not make the same environment at once, where the system has file locks."""
    with lock.open("w") as file:
        with contextlib.suppress(ImportError):
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
