"""Environments of other methods: their pins exclude ours and each other's, so each gets one in the user's cache, made once from a
list of all that it holds (`programs/locks`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from functools import lru_cache
from pathlib import Path

from sensecf_edge.bundle.shared import cache
from sensecf_edge.errors import MissingExtraError

from ..progress import step
from ..work import alone

PROGRAMS = Path(__file__).parent / "programs"
LOCKS = PROGRAMS / "locks"
NAMES = ("nice", "dice", "cfnow", "treecf", "oceanpy")
NEEDS = {"oceanpy": (12, 14), "nice": (11, 12)}
"""The oldest and the newest minor version of Python 3 that an environment's packages run on, where that is not `ORDINARY`."""
ORDINARY = (11, 14)


def lock(name: str) -> str:
    """All that an environment holds, pinned, as requirements: a package's answers change with what it stands on."""
    return (LOCKS / f"{name}.txt").read_text(encoding="utf-8")


def interpreter(name: str) -> Path:
    """The Python that an environment is made with: `SENSECF_PYTHON_NAME` where that is set, else this one where its packages run on
    it, else another one on the path. Raises MissingExtraError where there is none."""
    oldest, newest = NEEDS.get(name, ORDINARY)
    setting = f"SENSECF_PYTHON_{name.replace('-', '_').upper()}"
    if stated := os.environ.get(setting):
        found = _started(stated)
        if found is None:
            raise MissingExtraError(f"{setting} names {stated}, which is no Python that can be started")
        return found
    if (3, oldest) <= sys.version_info[:2] <= (3, newest):
        return Path(sys.executable)
    for minor in range(oldest, newest + 1):
        if found := _started(f"python3.{minor}"):
            return found
    wanted = f"Python 3.{oldest} to 3.{newest}"
    raise MissingExtraError(f"{name} needs {wanted} and finds none here; install one, or name it: {setting}=/path/to/python")


@lru_cache
def _started(name: str) -> Path | None:
    """Where the Python of a name or path lies, as it says itself; None where it cannot be started."""
    if (found := shutil.which(name)) is None:
        return None
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        said = subprocess.run([found, "-c", "import sys; print(sys.executable)"], capture_output=True, text=True, timeout=30, check=True)
        return Path(said.stdout.strip())
    return None


def home(name: str) -> Path:
    """Where the environment lies: in the user's cache, by all that it holds and the Python it is made with."""
    python = interpreter(name)
    made_with = list(sys.version_info[:2]) if python == Path(sys.executable) else str(python.resolve())
    held = hashlib.sha256(json.dumps([made_with, lock(name)]).encode()).hexdigest()[:12]
    return cache() / "peers" / f"{name}-{held}"


def cached(name: str) -> dict[str, str] | None:
    """The versions in an environment that is ready, None where it is still to be made or no Python is there to make it."""
    try:
        stamp = home(name) / "ready.json"
    except MissingExtraError:
        return None
    versions: dict[str, str] | None = json.loads(stamp.read_text(encoding="utf-8")) if stamp.exists() else None
    return versions


def environment_python(name: str) -> Path:
    """The Python of a method's own environment, made on first use (needs the network once, a few minutes).

    Raises MissingExtraError where it cannot be installed: with pip's reason, and that a copy of the folder does as well.
    """
    folder = home(name)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if cached(name) is not None:
        return python
    folder.parent.mkdir(parents=True, exist_ok=True)
    with step(f"{name} setup") as say, alone(folder.with_suffix(".lock")):
        if cached(name) is None:
            _make(name, folder)
            _install(name, python)
            listed = _pip(python, "list", "--format=json")
            versions = {p["name"].lower().replace("_", "-"): p["version"] for p in json.loads(listed.stdout)}
            (folder / "ready.json").write_text(json.dumps(versions, indent=1), encoding="utf-8")
        say(f"an environment of {len(lock(name).splitlines())} pinned packages")
    return python


def _make(name: str, folder: Path) -> None:
    """An empty environment; this Python's pip fills it, because not every Python brings one along."""
    command = [str(interpreter(name)), "-I", "-m", "venv", "--clear", "--without-pip", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise MissingExtraError(f"{command[0]} cannot make an environment for {name} ({reason[:200]})")


def _pip(python: Path, *command: str) -> subprocess.CompletedProcess[str]:
    whole = [sys.executable, "-I", "-m", "pip", "--disable-pip-version-check", "--python", str(python), *command]
    return subprocess.run(whole, capture_output=True, text=True, check=False)


def _install(name: str, python: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="sensecf-") as place:
        pins = Path(place) / "lock.txt"
        pins.write_text(lock(name), encoding="utf-8")
        done = _pip(python, "install", "-q", "--no-deps", "-r", str(pins))
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines() or ["no message"]
        raise MissingExtraError(
            f"the packages of {name} cannot be installed for {interpreter(name)} ({said[0].removeprefix('ERROR: ')[:200]}); "
            f"they are needed once, with a network, and then kept in {python.parents[1]}"
        )
