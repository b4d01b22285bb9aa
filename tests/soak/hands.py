"""What people do to a batch while it runs or afterwards: pipes, names that are one, two jobs at once, another table on resume."""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

from cohort import PROGRAM, launch, write_csv
from soak import accounted, batch, cohort, demand
from spoilt import soak


def pipes(toy: Path, work: Path, options: argparse.Namespace) -> dict[str, Any]:
    """A table through a pipe in pieces of any size, through a FIFO, and on standard input: the bytes of the file."""
    source, chance = write_csv(work / "in.csv", cohort(2_000, seed=7)), random.Random(7)
    data = source.read_bytes()
    demand(launch(*batch(toy, source, work / "file.csv")).wait() == 0, "the yardstick failed")
    os.mkfifo(work / "fifo")

    def feed(end: int) -> None:
        with open(end, "wb", buffering=0) as pipe:
            at = 0
            while at < len(data):
                size = chance.choice([1, 7, 100, 5_000, 100_000])
                pipe.write(data[at : at + size])
                at += size

    ours, theirs = os.pipe()
    threading.Thread(target=feed, args=(theirs,)).start()
    jobs = {"pipe": launch(*batch(toy, Path(f"/dev/fd/{ours}"), work / "pipe.csv"), pass_fds=(ours,)),
            "fifo": launch(*batch(toy, work / "fifo", work / "fifo.csv")),
            "stdin": launch(*batch(toy, Path("-"), work / "stdin.csv"), stdin=source.open("rb"))}  # fmt: skip
    os.close(ours)
    (work / "fifo").write_bytes(data)
    for how, job in jobs.items():
        _, err = job.communicate()
        demand(job.returncode == 0, f"{how}: {err.decode()}")
    same = sum((work / f"{how}.csv").read_bytes() == (work / "file.csv").read_bytes() for how in jobs)
    figures = {"ways": len(jobs), "same_bytes": same, **accounted(2_000, work / "pipe.csv")}
    demand(same == len(jobs) and figures["lost"] == figures["twice"] == 0, str(figures))
    return figures


def equal_names(toy: Path, work: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Output, rejects, journal, parts and input under one another's names, by links too: refused, and no file touched."""
    source = write_csv(work / "in.csv", cohort(50, seed=8))
    (work / "link.csv").symlink_to("out.csv")
    (work / "hard.csv").hardlink_to(source)
    names = ["in.csv", "hard.csv", "out.csv", "./out.csv", "OUT.csv", "link.csv", "out.csv.journal", "out.csv.part", "out.csv.journal-wal"]
    before = {p.name: p.read_bytes() for p in work.iterdir() if p.exists()}
    refused = 0
    for name in names:
        job = launch(*batch(toy, source, work / "out.csv", "--rejects", f"{work}/{name}", "--force"))
        _, err = job.communicate()
        refused += job.returncode == 2 and err.count(b"Error: ") == 1
    untouched = {p.name: p.read_bytes() for p in work.iterdir() if p.exists()} == before
    figures = {"pairs": len(names), "refused": refused, "untouched": untouched}
    demand(refused == len(names) and untouched, str(figures))
    return figures


def two_jobs(toy: Path, work: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Jobs that begin at the same moment on one output, some with --force, some killed: at most one writes, and no row is lost."""
    source, chance, written = write_csv(work / "in.csv", cohort(600, seed=9)), random.Random(9), 0
    demand(launch(*batch(toy, source, work / "whole.csv", "--chunk", 16)).wait() == 0, "the yardstick failed")
    out, codes = work / "out.csv", []
    for _ in range(8):
        jobs = [launch(*batch(toy, source, out, "--chunk", 16, chance.choice(["--force", "--resume"]))) for _ in range(3)]
        if chance.random() < 0.4:
            try:
                jobs[0].wait(0.8)
            except subprocess.TimeoutExpired:
                jobs[0].send_signal(signal.SIGKILL)
        for job in jobs:
            job.communicate()
        codes.append([job.returncode for job in jobs])
        if not out.exists():
            demand(launch(*batch(toy, source, out, "--chunk", 16, "--resume")).wait() == 0, "what was left could not be gone on with")
        written += out.read_bytes() == (work / "whole.csv").read_bytes()
    figures = {"rounds": 8, "same_bytes": written, **accounted(600, out)}
    demand(written == 8 and figures["lost"] == figures["twice"] == 0, f"{figures} {codes}")
    return figures


def another_table(toy: Path, work: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Killed on one table, gone on with on another, as a file and on standard input; also with other settings: refused in words."""
    rows = cohort(2_000, seed=10)
    source = write_csv(work / "in.csv", rows)
    job = launch(*batch(toy, source, work / "out.csv", "--chunk", 16))
    while sum(p.stat().st_size for p in work.glob("out.csv.journal*")) < 100_000:
        demand(job.poll() is None, "the job was over too early")
    job.kill()
    job.communicate()
    others = {"other": cohort(2_000, seed=11), "first row": [{**rows[0], "age": "50"}, *rows[1:]], "shorter": rows[:10]}
    refused = 0
    for table in others.values():
        other = write_csv(work / "other.csv", table)
        for name, stdin in ((other, subprocess.DEVNULL), (Path("-"), other.open("rb"))):
            ran = subprocess.run([*PROGRAM, *map(str, batch(toy, name, work / "out.csv", "--chunk", 16, "--resume"))], stdin=stdin,
                                 capture_output=True)  # fmt: skip
            refused += ran.returncode == 2 and b"another input" in ran.stderr
    for more in (("--seed", 5), ("--layout", "wide"), ("--chunk", 17)):
        job = launch(*batch(toy, source, work / "out.csv", *(("--chunk", 16) if "--chunk" not in more else ()), *more, "--resume"))
        _, err = job.communicate()
        refused += job.returncode == 2 and b"had another" in err
    demand(launch(*batch(toy, source, work / "out.csv", "--chunk", 16, "--resume")).wait() == 0, "the right table was refused")
    figures = {"tries": 2 * len(others) + 3, "refused": refused, **accounted(2_000, work / "out.csv")}
    demand(refused == figures["tries"] and figures["lost"] == figures["twice"] == 0, str(figures))
    return figures


def mutated_tables(toy: Path, work: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Tables spoilt by chance, read by draft, fit and batch: see `spoilt`."""
    seen = soak(work, options.tables)
    faults = ("lost", "twice", "wrong", "fit and batch differ")
    figures = {name: seen[name] for name in ("tables", "taken by fit", "refused by batch", *faults)}
    demand(not any(figures[name] for name in faults), str(figures))
    return figures


HANDS = (pipes, equal_names, two_jobs, another_table, mutated_tables)
