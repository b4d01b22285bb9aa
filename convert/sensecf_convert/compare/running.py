"""One method over all records: a process of its own, a limit for each record and one for the whole.

A program stops a record itself when its processor time is over; where it cannot (inside native code, or asleep), it is ended
from here after six times as long, and started again behind that record.
"""

from __future__ import annotations

import json
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from . import environments
from .methods import OWN, Method
from .question import Options

START = 300.0
GRACE, PATIENCE = 5.0, 6.0
SENT = 3
"""Times a program may end by itself on one record before the method is given up."""


@dataclass
class Run:
    """A method's answers, in the order of the records; what was not reached has status 'not reached'. `cold` in seconds."""

    answers: list[dict[str, Any]]
    cold: float | None
    failed: str = ""
    said: str = ""


def run(method: Method, folder: Path, count: int, options: Options, report: Callable[[float, str], None]) -> Run:
    """Raises nothing for a method that fails: `failed` says why, `said` with which kind of error it ended."""
    out, ends = Run([], None), time.monotonic() + 60 * options.minutes
    silent = 0
    while len(out.answers) < count:
        before = len(out.answers)
        why = _stretch(method, folder, count, options, out, ends, report)
        if why == "":
            break
        if why in ("time limit", "ended"):
            silent = silent + 1 if why == "ended" and len(out.answers) == before else 0
            if out.cold is None or silent >= SENT:
                out.failed = f"its program ends before it answers{out.said}" if why == "ended" else "it does not start in time"
                break
            why = f"it crashed{out.said}" if why == "ended" else "time limit"
            out.answers.append({"y": None, "seconds": options.seconds, "rows": None, "why": why})
            continue
        out.failed = "" if out.answers else why
        break
    missing = count - len(out.answers)
    out.answers += [{"y": None, "seconds": None, "rows": None, "why": "not reached"}] * missing
    return out


def _stretch(
    method: Method, folder: Path, count: int, options: Options, out: Run, ends: float, report: Callable[[float, str], None]
) -> str:
    """One process from the next record on: '' when all are answered, else what ended it."""
    with tempfile.TemporaryFile() as talk:
        began = time.monotonic()
        process = subprocess.Popen([*_command(method), str(folder), method.base, str(len(out.answers))], stdout=subprocess.PIPE,
                                   stderr=talk, text=True, env=_surroundings(method))  # fmt: skip
        lines = _lines(process)
        wait = START
        try:
            while len(out.answers) < count:
                left = ends - time.monotonic()
                if left <= 0:
                    return "the method's time is over"
                try:
                    line = lines.get(timeout=min(wait, left))
                except queue.Empty:
                    return "the method's time is over" if ends <= time.monotonic() else "time limit"
                if line is None:
                    out.said = _last_words(talk)
                    return "ended"
                wait = PATIENCE * options.seconds + GRACE
                if "ready" in line:
                    out.cold = out.cold or time.monotonic() - began
                    continue
                out.answers.append({k: line[k] for k in ("y", "seconds", "rows", "why")})
                report(len(out.answers) / count, f"{len(out.answers)} of {count} records")
        finally:
            process.kill()
            process.wait()
    return ""


def _last_words(talk: IO[bytes]) -> str:
    """The kind of error that a program ended with; not its words, which may hold a record's value."""
    talk.seek(0)
    lines = talk.read().decode("utf-8", "replace").strip().splitlines()
    kind = re.match(r"[\w.]*(Error|Exception)\b", lines[-1]) if lines else None
    return f" ({kind.group()})" if kind else ""


def _lines(process: subprocess.Popen[str]) -> queue.Queue[dict[str, Any] | None]:
    """What a program says, read beside it; None at its end."""
    out: queue.Queue[dict[str, Any] | None] = queue.Queue()

    def read(pipe: IO[str]) -> None:
        with pipe:
            for line in pipe:
                out.put(json.loads(line))
        out.put(None)

    assert process.stdout is not None
    threading.Thread(target=read, args=(process.stdout,), daemon=True).start()
    return out


def _command(method: Method) -> list[str]:
    if method.environment == OWN:
        return [sys.executable, "-m", "sensecf_convert.compare.own"]
    return [str(environments.environment_python(method.environment)), str(environments.PROGRAMS / method.program)]


def _surroundings(method: Method) -> dict[str, str]:
    """One thread each, nothing fetched, no settings of ours that would change another Python: only our own finds what we find."""
    settings = () if method.environment == OWN else ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    kept = {k: v for k, v in os.environ.items() if k not in settings}
    kept |= {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")}
    return kept | ({"PYTHONSAFEPATH": "1"} if method.environment == OWN else {})  # nothing of the working directory is run
