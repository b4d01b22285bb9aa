"""Programs that `comparisons` starts and times: llama.cpp's own batched bench, and this project's cold start.

Nothing is fetched or built here; `make bench` does that, into the user's cache.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sensecf_edge.bundle.shared import cache

BASELINE = "import llama_cpp, onnxruntime"


def batched_bench() -> Path | None:
    """llama.cpp's batched bench, where it has been built."""
    path = cache() / "llama" / "build" / "bin" / "llama-batched-bench"
    return path if path.exists() else None


def large_vocabulary() -> Path | None:
    """A tiny model over the real Llama 3 vocabulary, where it has been made."""
    path = cache() / "llama3-tiny.gguf"
    return path if path.exists() else None


@dataclass(frozen=True)
class Batched:
    """Tokens a second of llama.cpp's batched bench: prompts, and single tokens of all sequences."""

    prompts: float
    tokens: float


def run_batched(program: Path, model: Path, prompt: int, answer: int, sequences: int, threads: int, flash: bool, times: int = 3) -> Batched:
    """The bench's figures for prompts and answers of these lengths, the mean of `times` runs.

    With one thread its wall's time is taken for as much as it had of a processor: what other programs took is left out.
    """
    room = sequences * (prompt + answer)
    command = [str(program), "-m", str(model), "-c", str(max(256, room)), "-b", str(max(256, room)), "-ub", "512",
               "-npp", str(prompt), "-ntg", str(answer), "-npl", ",".join([str(sequences)] * times),
               "-t", str(threads), "-tb", str(threads), "-fa", "on" if flash else "off", "-kvu", "--output-format", "jsonl"]  # fmt: skip
    before, began = os.times(), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=1800)
    wall, after = time.perf_counter() - began, os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    share = min(1.0, spent / wall) if threads == 1 and spent else 1.0
    rows: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    took, said = (share * sum(r[key] for r in rows) for key in ("t_pp", "t_tg"))
    return Batched(len(rows) * sequences * prompt / took, len(rows) * sequences * answer / said)


def seconds(*arguments: str) -> float:
    """This Python with the arguments, from start to end, on one core where the system allows it. Raises CalledProcessError."""
    command, began = [sys.executable, *arguments], time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(child.pid, {min(os.sched_getaffinity(0))})
        code = child.wait()
    if code not in (0, 3):
        raise subprocess.CalledProcessError(code, command)
    return time.perf_counter() - began


def fastest(count: int, *commands: tuple[str, ...]) -> list[float]:
    """The commands turn about, `count` times: the shortest time of each."""
    runs = [[seconds(*command) for command in commands] for _ in range(count)]
    return [min(times) for times in zip(*runs, strict=True)]


def peak_mb(*arguments: str) -> float | None:
    """The most memory that the process held, looked at every few milliseconds; None where the system does not say."""
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        status, peak = Path(f"/proc/{child.pid}/status"), None
        while child.poll() is None:
            try:
                words = status.read_text(encoding="ascii", errors="replace").split("VmHWM:")
            except OSError:
                break
            peak = int(words[1].split()[0]) / 1024 if len(words) > 1 else peak
            time.sleep(0.003)
    return peak
