"""A bundle tried in a process of its own, so that whatever its files do to native code happens to that process alone.

A hash says that a file is the one the manifest lists, not that llama.cpp or onnxruntime survive it: on some files they
end the whole process. Whoever takes a new bundle in while others depend on the process asks here first.
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

from .bundle.bundle import Bundle, find, read_manifest
from .bundle.shared import cache
from .errors import BundleError, SenseCFError, place

SECONDS, MEGABYTES = 300.0, 4096
"""What the child may take: time, and memory of its own beside twice what the bundle's files hold."""
_CHILD = "import json, sys; sys.path[:] = json.loads(sys.argv.pop()); from sensecf_edge.trial import child; child(*sys.argv[1:])"
_REFUSED = 3


def ensure_tried(model: str | Path, threads: int = 0, device: str = "auto") -> None:
    """Nothing where `model` is a shipped one or passed its trial on this machine before, else a `bundle_trial` now.

    That it passed is remembered by hash, beside what else is cached: an empty file whose name is the hash of the bundle, of the libraries
    and of `device`. Where nothing can be written each call tries again. Raises BundleError with the reason.
    """
    folder = find(model)
    if folder.resolve() in {shipped.resolve() for _, shipped in Bundle.available()}:
        return
    told = " ".join([read_manifest(folder)[1], device, *_libraries()])
    passed = cache() / "tried" / hashlib.sha256(told.encode()).hexdigest()
    if passed.is_file():
        return
    if fault := bundle_trial(model, threads, device):
        raise BundleError(fault)
    with contextlib.suppress(OSError):
        passed.parent.mkdir(parents=True, exist_ok=True)
        passed.touch()


def bundle_trial(
    model: str | Path, threads: int = 0, device: str = "auto", seconds: float = SECONDS, megabytes: int = MEGABYTES
) -> str | None:
    """None where `Explainer.load(model, threads, device)` works and explains the bundle's first sample, else why not.

    Everything happens in a child process, which takes about as long as a cold `explain`. Never raises for a bad bundle:
    a child that is killed, aborts, hangs longer than `seconds`, wants more than `megabytes` or cannot be started is told in
    words, as one line.
    """
    import subprocess  # not where a bundle has passed before, which is nearly always

    told = json.dumps([p or os.getcwd() for p in sys.path])
    path = isinstance(model, Path)
    program = [sys.executable, "-c", _CHILD, os.fspath(model), "path" if path else "name", str(threads), device, str(megabytes), told]
    try:
        done = subprocess.run(program, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return f"{model} was tried in a process of its own, which was not done after {seconds:g} s; run `sensecf-edge models verify`"
    except OSError as error:
        return f"{model} could not be tried: no process can be started ({error.strerror})"
    if done.returncode == 0:
        return None
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or [""]
    if done.returncode == _REFUSED:
        return lines[-1]
    said = f" ({lines[-1][:200]})" if lines[-1] else ""
    return f"{model} ends the process that opens it, {_ending(done.returncode)}{said}; build the bundle again, or fetch it again"


def _libraries() -> list[str]:
    """Which installations of what opens the files, without loading them: where they lie and since when. Their versions would take as long
    to find out as a tenth of a cold `explain`."""
    found = [spec.origin for name in ("llama_cpp", "onnxruntime") if (spec := find_spec(name)) is not None and spec.origin]
    return [f"{origin} {os.stat(origin).st_mtime_ns}" for origin in found]


def child(model: str, kind: str, threads: str, device: str, megabytes: str) -> None:
    """What the process of `bundle_trial` runs: exit code 0, or the reason as the last line of standard error."""
    try:
        files = find(Path(model) if kind == "path" else model).iterdir()
        _limit(int(megabytes) + 2 * sum(file.stat().st_size for file in files if file.is_file()) // 1_000_000)
        from .explain import Explainer

        with Explainer.load(Path(model) if kind == "path" else model, int(threads), device) as explainer:
            for sample in explainer.bundle.samples[:1]:
                explainer.explain(sample.values, rounds=1, ease=False)
    except SenseCFError as error:
        _leave(" ".join(str(error).split()))
    except MemoryError:
        _leave(f"{model} wants more than {megabytes} MB of memory to be opened and asked; build it again, smaller")
    except Exception as error:
        _leave(f"{model} cannot be used: a fault in this program ({place(error)})")


def _limit(megabytes: int) -> None:
    """As far as the system can: no more memory of its own (Linux), and no core file, which would hold the sample's values."""
    if os.name == "posix":
        import resource

        with contextlib.suppress(OSError, ValueError):  # a stricter limit holds already
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_DATA, (megabytes << 20, megabytes << 20))


def _leave(words: str) -> None:
    print(words, file=sys.stderr)
    sys.exit(_REFUSED)


def _ending(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"by {signal.Signals(-code).name}"
    except ValueError:
        return f"by signal {-code}"
