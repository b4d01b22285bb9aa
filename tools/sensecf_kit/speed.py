"""`make kit-speed`: llama.cpp built for many processors beside the one that is installed, as ratios of one run.

Both answer the same made-up records in turns, each turn in a process of its own with one thread. Its processor time is counted, and
the best of all turns compared: what other programs do makes some longer, none shorter. Of the whole engine, and of llama.cpp alone on
the same decodes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

PARTS = ("engine", "llama.cpp alone")


def main() -> int:
    """Two lines a model. Exit code 1 where a ratio is below `--least`."""
    parser = argparse.ArgumentParser(prog="python -m sensecf_kit.speed", description=__doc__)
    parser.add_argument("libraries", type=Path, help="folder with libllama.so and its kernels")
    parser.add_argument("--models", nargs="+", default=["stress", "heart", "metabolic"])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--least", type=float, default=0.95)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(measure(asked.models[0], asked.seconds)))
        return 0
    low = False
    for model in asked.models:
        pairs = [(turn(model, asked.seconds, asked.libraries), turn(model, asked.seconds, None)) for _ in range(asked.turns)]
        for part, name in enumerate(PARTS):
            many, one = (min(pair[which][part] for pair in pairs) for which in (0, 1))
            low = low or one / many < asked.least
            took = f"({1e3 * many:.1f} and {1e3 * one:.1f} ms)"
            print(f"{model:<10} {name:<16} speed over the native build {one / many:.3f}   {took}", flush=True)
    return int(low)


def turn(model: str, seconds: float, libraries: Path | None) -> list[float]:
    """Seconds of processor time of each part, in a process of its own."""
    env = {k: v for k, v in os.environ.items() if k != "LLAMA_CPP_LIB_PATH"}
    if libraries is not None:
        env["LLAMA_CPP_LIB_PATH"] = str(libraries.resolve())
    command = [sys.executable, "-m", "sensecf_kit.speed", ".", "--child", "--models", model, "--seconds", str(seconds)]
    out: list[float] = json.loads(subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE).stdout)
    return out


def measure(model: str, seconds: float) -> list[float]:
    """The best of so many seconds for 30 records and 8 proposals each."""
    from sensecf_bench import comparisons, measuring

    from sensecf_edge.propose import prompt
    from sensecf_edge.propose.engine import Request
    from sensecf_edge.propose.grammar import Grammar

    what, best = comparisons.plan(model, seconds, 30, 1), [float("inf")] * len(PARTS)
    where = measuring.spaces(measuring.records(what.bundle, 30))
    asked = [Request(prompt.build(what.style, space, what.wanted, measuring.NOW), Grammar(space), 8, 0, 0.7) for space in where]
    engine = measuring.SpiedEngine(what.generator, what.settings, what.context)
    with engine:
        _, spied = engine.spy(asked)
        until = time.perf_counter() + seconds
        while best[1] == float("inf") or time.perf_counter() < until:
            engine.empty()
            began = time.process_time()
            engine.propose(asked)
            took = [time.process_time() - began, engine.replay(spied, time.process_time)]
            best = [min(pair) for pair in zip(best, took, strict=True)]
    return best


if __name__ == "__main__":
    sys.exit(main())
