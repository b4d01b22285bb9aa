"""A bundle is tried in a process of its own: what ends that process is told, and ends nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sensecf_edge import trial
from sensecf_edge.bundle.bundle import write_manifest
from sensecf_edge.trial import bundle_trial


def test_a_whole_bundle_passes_and_a_damaged_one_is_told_in_one_line(toy: Path, toy_copy: Path) -> None:
    assert bundle_trial(toy) is None
    (toy_copy / "classifier.onnx").write_bytes(b"no graph")
    assert "classifier.onnx" in str(bundle_trial(toy_copy))
    (toy_copy / "classifier.onnx").write_bytes(b"no graph")
    from conftest import toy_manifest

    write_manifest(toy_copy, toy_manifest())
    told = str(bundle_trial(toy_copy))
    assert "cannot be loaded" in told and "\n" not in told


def test_a_process_that_is_killed_or_hangs_is_told(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "_CHILD", "import os; os.abort()")
    assert "ends the process that opens it, by SIGABRT" in str(bundle_trial(toy))
    monkeypatch.setattr(trial, "_CHILD", "import time; time.sleep(60)")
    assert "not done after 0.2 s" in str(bundle_trial(toy, seconds=0.2))
    monkeypatch.setattr(trial.sys, "executable", "/no/such/python")
    assert "no process can be started" in str(bundle_trial(toy))


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on memory is Linux's")
def test_a_bundle_that_wants_more_memory_than_it_may_have_ends_its_own_process_alone(toy: Path) -> None:
    told = str(bundle_trial(toy, megabytes=60))
    assert ("wants more than 60 MB" in told or "ends the process that opens it" in told) and "\n" not in told
    assert bundle_trial(toy, megabytes=1500) is None
