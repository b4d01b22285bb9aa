"""How many threads the language model gets: a cheap rule for every start, and a short calibration for `doctor`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from ..settings import ENGINE, SMALL_MODEL, EngineSettings
from .engine import LlamaEngine


def usable() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def rule(size: int) -> int:
    """Threads for a model of so many bytes: cores that are idle now, never all of four or more, one for a small model.

    A step takes a small one about a millisecond, and meeting at its barriers costs as much.
    """
    if size < SMALL_MODEL:
        return 1
    cores = usable()
    busy = round(os.getloadavg()[0]) if hasattr(os, "getloadavg") else 0
    return max(1, min(cores - busy, cores - 1 if cores >= 4 else cores))


def settled(path: Path, settings: EngineSettings) -> EngineSettings:
    """The settings with the rule's threads where none are given."""
    return settings if settings.threads else settings._replace(threads=rule(path.stat().st_size))


def calibrate(path: Path, context: int) -> dict[str, int]:
    """Threads that were fastest just now, for prompts and for single tokens apart; more only where they gain a tenth."""
    seconds = {count: _time(path, context, count) for count in sorted({1, max(1, usable() // 2), usable()})}
    out = {}
    for at, what in enumerate(("prompt", "decode")):
        least = min(times[at] for times in seconds.values())
        out[what] = next(count for count, times in seconds.items() if times[at] <= 1.1 * least)
    return out


def _time(path: Path, context: int, threads: int) -> tuple[float, float]:
    """Seconds for a prompt as long as half the context, and for eight tokens after it: the best of three."""
    length = max(8, min(256, context // 2))
    with LlamaEngine(path, ENGINE._replace(threads=threads, max_sequences=1, device="cpu"), context) as engine:
        runs = [tuple(_run(engine, length)) for _ in range(3)]
    return min(first for first, _ in runs), min(second for _, second in runs)


def _run(engine: LlamaEngine, length: int) -> Iterator[float]:
    engine.empty()
    for parts in ([[0] * length], [[0]] * 8):
        began = time.perf_counter()
        for part in parts:
            engine.feed(part, length if len(part) == 1 else 0)
            length += len(part) == 1
        yield time.perf_counter() - began
