"""Ray Data gives the answers that one process gives, on a cluster of this machine, with an actor killed in the middle."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import time
from pathlib import Path

import pytest
from cohort import launch, people, write_csv
from conftest import PATIENCE

pytestmark = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the extra ray is not installed")


def actors(parent: int) -> list[int]:
    """Processes below `parent` that Ray made for our actors."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            title = (folder / "cmdline").read_bytes()
            below = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        if title.startswith(b"ray::") and b"_Actor" in title and family(below, parent):
            found.append(int(folder.name))
    return found


def family(process: int, parent: int) -> bool:
    while process > 1:
        if process == parent:
            return True
        try:
            process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return False
    return False


def test_a_cluster_that_is_not_there_is_said_at_once(toy: Path, tmp_path: Path) -> None:
    cohort = write_csv(tmp_path / "in.csv", people(3))
    job = launch("batch", cohort, "--model", toy, "--id", "id", "-o", tmp_path / "out.csv", "--ray", "127.0.0.1:1")
    _, err = job.communicate(timeout=PATIENCE)
    assert job.returncode == 1 and b"Ray cannot be reached at 127.0.0.1:1" in err and err.count(b"\n") == 1, err
    assert [p.name for p in tmp_path.iterdir()] == ["in.csv"]


def test_two_actors_one_killed_in_the_middle_give_the_same_bytes_as_one_process(toy: Path, tmp_path: Path) -> None:
    rows = people(3000)
    rows[40]["age"], rows[1000]["id"] = "old", "p1"
    cohort = write_csv(tmp_path / "in.csv", rows)
    arguments = ("batch", cohort, "--model", toy, "--id", "id", "--chunk", 16)
    alone = launch(*arguments, "-o", tmp_path / "alone.csv")
    _, err = alone.communicate(timeout=PATIENCE)
    assert alone.returncode == 0, err
    job = launch(*arguments, "-o", tmp_path / "ray.csv", "--workers", 2, "--ray", start_new_session=True)
    try:
        end = time.monotonic() + PATIENCE
        while sum(p.stat().st_size for p in tmp_path.glob("ray.csv.journal*")) < 40_000:
            assert job.poll() is None and time.monotonic() < end, job.communicate()
            time.sleep(0.05)
        there = actors(job.pid)
        assert len(there) == 2
        os.kill(there[0], signal.SIGKILL)
        _, err = job.communicate(timeout=PATIENCE)
        assert job.returncode == 0, err
    finally:  # whatever failed, no cluster stays behind
        with contextlib.suppress(ProcessLookupError):
            os.killpg(job.pid, signal.SIGKILL)
    assert (tmp_path / "ray.csv").read_bytes() == (tmp_path / "alone.csv").read_bytes()
    assert (tmp_path / "ray.csv.rejects.csv").read_bytes() == (tmp_path / "alone.csv.rejects.csv").read_bytes()
