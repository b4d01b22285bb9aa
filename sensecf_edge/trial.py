"""A bundle tried in a process of its own, so that whatever its files do to native code happens to that process alone.

A hash says that a file is the one the manifest lists, not that llama.cpp or onnxruntime survive it: on some files they
end the whole process. `Explainer.load` asks here before it opens what this machine does not know, and so does whoever opens a bundle's
models by another way (`opened`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path

from .bundle.bundle import Bundle
from .bundle.required import REQUIRED
from .bundle.shared import cache
from .errors import BundleError

SECONDS, MEGABYTES = 300.0, 4096
"""What the child may take: time, and memory of its own beside twice what the largest file of the bundle holds."""
_CHILD = (
    "import sys; sys.path.remove('') if '' in sys.path else None; "  # the working directory, which may be the bundle's, with a json.py
    "import json; sys.path[:] = json.loads(sys.argv.pop()); from sensecf_edge.trial_child import child; child(*sys.argv[1:])"
)
REFUSED = 3
"""The exit code of a child that says why."""


def opened(model: str | Path, threads: int = 0, device: str = "auto") -> Bundle:
    """The bundle, audited and then tried. Raises BundleError."""
    bundle = Bundle.open(model)
    ensure_tried(bundle, threads, device)
    return bundle


def ensure_tried(bundle: Bundle, threads: int = 0, device: str = "auto") -> None:
    """Nothing where `bundle` is a shipped one or passed its trial on this machine before, else a `bundle_trial` now.

    What is tried is what was opened: the child refuses a folder with another hash, and the files that `bundle` gives out are held against
    that hash again. That it passed is remembered by hash, beside what else is cached: an empty file whose name is the hash of the bundle,
    of the libraries and of `device`. Where nothing can be written each call tries again. Raises BundleError with the reason.
    """
    if bundle.folder.resolve() in {shipped.resolve() for _, shipped in Bundle.available()}:
        return
    passed = cache() / "tried" / hashlib.sha256(" ".join([bundle.hash, device, *_libraries()]).encode()).hexdigest()
    if passed.is_file():
        return
    if fault := bundle_trial(bundle.folder, threads, device, digest=bundle.hash):
        raise BundleError(fault)
    with contextlib.suppress(OSError):
        passed.parent.mkdir(parents=True, exist_ok=True)
        passed.touch()


def bundle_trial(
    model: str | Path, threads: int = 0, device: str = "auto", seconds: float = SECONDS, megabytes: int = MEGABYTES, digest: str = ""
) -> str | None:
    """None where `Explainer.load(model, threads, device)` works, explains the bundle's first sample and proposes, else why not.

    Where only signed bundles are to be opened (`bundle.required.REQUIRED`), that holds in the child as well. With `digest` another
    bundle than the one with that hash is refused: the folder may be filled anew in the meantime.
    Everything happens in a child process, which takes about as long as a cold `explain`. Never raises for a bad bundle:
    a child that is killed, aborts, hangs longer than `seconds`, wants more than `megabytes` or cannot be started is told in
    words, as one line.
    """
    import subprocess  # not where a bundle has passed before, which is nearly always

    told = json.dumps([p or os.getcwd() for p in sys.path])
    kind, keys = "path" if isinstance(model, Path) else "name", os.fspath(REQUIRED.keys or "")
    program = [sys.executable, "-c", _CHILD, os.fspath(model), kind, str(threads), device, str(megabytes), keys, digest, told]
    try:
        done = subprocess.run(program, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return f"{model} was tried in a process of its own, which was not done after {seconds:g} s; run `sensecf-edge models verify`"
    except OSError as error:
        return f"{model} could not be tried: no process can be started ({error.strerror})"
    if done.returncode == 0:
        return None
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or [""]
    if done.returncode == REFUSED:
        return lines[-1]
    said = f" ({lines[-1][:200]})" if lines[-1] else ""
    return f"{model} ends the process that opens it, {_ending(done.returncode)}{said}; build the bundle again, or fetch it again"


def _libraries() -> list[str]:
    """Which installations of what opens the files, without loading them: where they lie and since when. Their versions would take as long
    to find out as a tenth of a cold `explain`."""
    found = [spec.origin for name in ("llama_cpp", "onnxruntime") if (spec := find_spec(name)) is not None and spec.origin]
    return [f"{origin} {os.stat(origin).st_mtime_ns}" for origin in found]


def _ending(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"by {signal.Signals(-code).name}"
    except ValueError:
        return f"by signal {-code}"
