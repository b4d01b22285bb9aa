"""`watch --readings` killed at random moments: the days that it tells in the end are, to the byte, those of one that nobody killed."""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
from pathlib import Path
from typing import Any

from cohort import PROGRAM
from soak import demand
from test_stream import lines, run, some_days, told


def stream_kills(toy: Path, work: Path, options: argparse.Namespace) -> dict[str, Any]:
    """kill -9 while readings come: the sender goes back to what it does not know to be kept, now and then to the very beginning."""
    held, chance = some_days(9), random.Random(16)
    store, out, hit, at = work / "days.sqlite", b"", 0, 0
    words = [*PROGRAM, "watch", "--readings", "--zone", "Europe/London", "--model", "stress", "--store", str(store), "--every", "1"]
    while hit < options.kills:
        begin = 0 if chance.random() < 0.1 else max(0, at - 2_000)
        at = min(len(held), begin + chance.randrange(1, 2_000))
        watch = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert watch.stdin is not None and watch.stdout is not None
        watch.stdin.write(lines(held[begin:at]))
        watch.stdin.flush()
        try:
            watch.wait(0.3 + 1.2 * chance.random())
        except subprocess.TimeoutExpired:
            watch.send_signal(signal.SIGKILL)
        out += watch.stdout.read()
        hit += watch.wait() == -signal.SIGKILL
        watch.stdin.close()
        watch.stdout.close()
    last = run(lines(held), "--store", store)
    demand(last.returncode == 0, last.stderr.decode())
    whole = run(lines(held), "--store", work / "whole.sqlite")
    ours, theirs = (json.dumps(told(text)).encode() for text in (out + last.stdout, whole.stdout))
    figures = {"kills": hit, "readings": len(held), "days": len(told(whole.stdout)), "same_bytes": ours == theirs}
    demand(ours == theirs, str(figures))
    return figures


STREAMS = (stream_kills,)
