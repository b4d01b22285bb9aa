"""make soak: robustness measured. Loopback only, bounded in time, a toy bundle; every part ends in figures and a verdict.

python tests/soak/soak.py [--records N] [--kills N] [--tables N] [--only PART]...
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes.util
import glob
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from cohort import HOSTILE, PROGRAM, launch, people, read_csv, write_csv
from conftest import CENTRE, SCALE, STRESSED, WEIGHTS, write_toy

SHARE_HOSTILE, SHARE_UNWANTED = 0.05, 0.2


class Broken(AssertionError):  # noqa: N818
    """A promise was not kept."""


def demand(kept: bool, what: str) -> None:
    if not kept:
        raise Broken(what)


def cohort(count: int, seed: int = 1) -> list[dict[str, Any]]:
    """Rows of which about a fifth are unwanted, and every twentieth is hostile."""
    chance, out = random.Random(seed), []
    pool = people(4 * count, seed)
    unwanted, fine = [], []
    for row in pool:
        x = np.array([row["age"], row["steps"], row["deep_sleep"] or CENTRE[2], row["smoker"] == "no"], dtype=float)
        (fine if (x - CENTRE) / SCALE @ WEIGHTS > 0 else unwanted).append(row)
    for i in range(1, count + 1):
        row = dict(chance.choice(unwanted if chance.random() < SHARE_UNWANTED else fine), id=f"p{i}")
        out.append({**row, **(chance.choice(HOSTILE) if chance.random() < SHARE_HOSTILE else {})})
    return out


class Memory(threading.Thread):
    """Resident memory of a process, looked at often; `slope` in MB per hundred thousand rows of `done`."""

    def __init__(self, process: subprocess.Popen[bytes], done: Callable[[], int]) -> None:
        super().__init__(daemon=True)
        self.process, self.done = process, done
        self.seen: list[tuple[int, float]] = []
        self.start()

    def run(self) -> None:
        while self.process.poll() is None:
            with contextlib.suppress(OSError, ValueError, IndexError):
                pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
                self.seen.append((self.done(), pages * os.sysconf("SC_PAGE_SIZE") / 1e6))
            time.sleep(0.2)

    def figures(self) -> dict[str, float]:
        rows, mb = (np.array(column, dtype=float) for column in zip(*self.seen, strict=True))
        late = rows > 0.2 * rows.max()
        slope = float(np.polyfit(rows[late], mb[late], 1)[0]) * 1e5 if late.sum() > 5 else float("nan")
        return {"peak_mb": round(float(mb.max()), 1), "slope_mb_per_100k": round(slope, 2)}


def accounted(rows: int, out: Path) -> dict[str, int]:
    """Every row exactly once: answered (lines of one row are neighbours) or rejected."""
    seen: Counter[int] = Counter()
    last = 0
    for line in read_csv(out):
        if int(line["row"]) != last:
            last = int(line["row"])
            seen[last] += 1
    rejects = Path(f"{out}.rejects.csv")
    seen.update(int(line["row"]) for line in (read_csv(rejects) if rejects.exists() else ()))
    return {"rows": rows, "lost": rows - len(seen), "twice": sum(n - 1 for n in seen.values())}


def batch(toy: Path, source: Path, out: Path, *more: object) -> list[object]:
    return ["batch", source, "-o", out, "--model", toy, "--id", "id", *more]


def many_rows(toy: Path, work: Path, options: argparse.Namespace) -> dict[str, Any]:
    """A long table with hostile rows: nothing lost, memory flat."""
    source, out = write_csv(work / "in.csv", cohort(options.records)), work / "out.csv"
    job = launch(*batch(toy, source, out))
    memory = Memory(job, lambda: sum(p.stat().st_size for p in work.glob("out.csv.journal*")))
    began = time.monotonic()
    _, err = job.communicate()
    demand(job.returncode == 0, err.decode())
    size = max(done for done, _ in memory.seen)
    memory.seen = [(int(done * options.records / size), mb) for done, mb in memory.seen]
    figures = {**accounted(options.records, out), **memory.figures(), "rows_per_s": round(options.records / (time.monotonic() - began))}
    demand(figures["lost"] == figures["twice"] == 0 and figures["slope_mb_per_100k"] < 20, str(figures))
    return figures


def many_messages(toy: Path, work: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The same through `watch` on pipes: every message is answered, passed over or put aside."""
    rows = cohort(options.records, seed=2)
    health, done = work / "health.json", [0]
    arguments = [*PROGRAM, "watch", "--model", toy, "--id", "id", "--health", health, "--dead", work / "dead.jsonl"]
    with (work / "answers.jsonl").open("wb") as answers, (work / "talk").open("wb") as talk:
        job = subprocess.Popen([*map(str, arguments)], stdin=subprocess.PIPE, stdout=answers, stderr=talk)
        memory = Memory(job, lambda: done[0])
        assert job.stdin is not None
        for row in rows:
            record = {
                k: int(v) if k in ("age", "steps") and str(v).isascii() and str(v).isdigit() else v for k, v in row.items() if v != ""
            }
            job.stdin.write(json.dumps(record).encode() + b"\n")
            done[0] += 1
        job.stdin.close()
        demand(job.wait() == 0, "the watch failed")
    facts = json.loads(health.read_text())
    answered = [json.loads(line)["id"] for line in (work / "answers.jsonl").open()]
    ended = facts["explained"] + facts["fine"] + facts["dead"]
    lost, twice = options.records - ended, len(answered) - len(set(answered))
    figures = {"messages": options.records, "explained": facts["explained"], "put_aside": facts["dead"], "lost": lost, "twice": twice,
               **memory.figures()}  # fmt: skip
    demand(lost == twice == 0 and figures["slope_mb_per_100k"] < 20, str(figures))
    return figures


@contextlib.contextmanager
def small_disk(work: Path, size: str) -> Iterator[Path]:
    place = work / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", place], capture_output=True).returncode != 0:
        raise Skipped("a tmpfs cannot be mounted here (needs root)")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def full_disk(toy: Path, work: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The disk fills up four times; each time one clear error, and in the end the same bytes as without."""
    source = write_csv(work / "in.csv", cohort(4_000, seed=3))
    demand(launch(*batch(toy, source, work / "whole.csv", "--chunk", 16)).wait() == 0, "the yardstick failed")
    filled = 0
    with small_disk(work, "400k") as place:
        for size in (900, 1_400, 1_900, 20_000):
            job = launch(*batch(toy, source, place / "out.csv", "--chunk", 16, "--resume"))
            _, err = job.communicate()
            if job.returncode == 0:
                break
            demand(job.returncode == 1 and err.count(b"Error: ") == 1 and b"disk is full" in err, err.decode())
            filled += 1
            subprocess.run(["mount", "-o", f"remount,size={size}k", place], check=True)
        else:
            job = launch(*batch(toy, source, place / "out.csv", "--chunk", 16, "--resume"))
            demand(job.wait() == 0, "did not go on after the disk was freed")
        same = (place / "out.csv").read_bytes() == (work / "whole.csv").read_bytes()
        figures = {"filled": filled, "same_bytes": same, **accounted(4_000, place / "out.csv")}
    demand(same and filled > 0, str(figures))
    return figures


def clock_jumps(toy: Path, work: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The wall clock is set a day on and a week back (libfaketime): explanations keep their distance of a second."""
    library = next(iter(glob.glob("/usr/lib/*/faketime/libfaketime.so.1")), ctypes.util.find_library("faketime"))
    if not library:
        raise Skipped("libfaketime is not installed (Debian: apt-get install faketime)")
    now = work / "now"
    now.write_text("+0")
    env = {"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": str(now), "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    from test_watch import Running

    watch = Running("--model", toy, "--every", 1, "--health", work / "health.json", env=env)
    days = set()
    for i in range(100):
        if i in (30, 60):
            now.write_text("+1d" if i == 30 else "-7d")
        watch.send(STRESSED)
        time.sleep(0.1)
        with contextlib.suppress(OSError, ValueError):
            days.add(json.loads((work / "health.json").read_text())["at"][:10])
    code = watch.end()
    figures = {"seconds": 10, "answers": watch.out.qsize(), "dates_seen": len(days)}
    demand(code == 0 and 8 <= figures["answers"] <= 11 and figures["dates_seen"] > 1, str(figures))
    return figures


def kills(toy: Path, work: Path, options: argparse.Namespace) -> dict[str, Any]:
    """kill -9 at random moments, then --resume, again and again: the same bytes as a run that nobody disturbed."""
    rows = 2_000 * options.kills  # so many that a quick machine is not done before the last kill
    source = write_csv(work / "in.csv", cohort(rows, seed=4))
    demand(launch(*batch(toy, source, work / "whole.csv", "--chunk", 16)).wait() == 0, "the yardstick failed")
    chance, hit = random.Random(5), 0
    arguments = batch(toy, source, work / "out.csv", "--chunk", 16, "--resume")
    while hit < options.kills and not (work / "out.csv").exists():
        job = launch(*arguments)
        with contextlib.suppress(subprocess.TimeoutExpired):
            job.wait(0.5 + 0.7 * chance.random())
        hit += job.poll() is None
        job.kill()
        job.communicate()
    job = launch(*arguments)
    _, err = job.communicate()
    demand(job.returncode == 0, err.decode())
    same = (work / "out.csv").read_bytes() == (work / "whole.csv").read_bytes()
    figures = {"kills": hit, "same_bytes": same, **accounted(rows, work / "out.csv")}
    demand(same and hit == options.kills and figures["lost"] == figures["twice"] == 0, str(figures))
    return figures


class Skipped(Exception):  # noqa: N818
    """A part that this machine cannot run."""


PARTS = (many_rows, many_messages, full_disk, clock_jumps, kills)


def main(parts: Sequence[Callable[..., dict[str, Any]]]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--tables", type=int, default=10_000)
    parser.add_argument("--only", action="append", choices=[p.__name__ for p in parts])
    options = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        toy = write_toy(Path(folder) / "toy")
        for part in parts:
            if options.only and part.__name__ not in options.only:
                continue
            work = Path(folder) / part.__name__
            work.mkdir()
            began = time.monotonic()
            try:
                verdict, figures = "ok", part(toy, work, options)
            except Skipped as why:
                verdict, figures = "skipped", {"why": str(why)}
            except Exception as why:
                verdict, figures, failed = "BROKEN", {"what": f"{type(why).__name__}: {why}"[-900:]}, 1
            print(f"{verdict:8}{part.__name__:16}{time.monotonic() - began:6.1f} s  {json.dumps(figures)}", flush=True)
    return failed


if __name__ == "__main__":
    from brokers import BROKERS
    from hands import HANDS
    from streams import STREAMS

    sys.exit(main((*PARTS, *BROKERS, *HANDS, *STREAMS)))
