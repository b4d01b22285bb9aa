"""Privacy shown: no network is needed, and no value of a record stands in any log, error or crash text."""

from __future__ import annotations

import io
import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cohort import PROGRAM, launch, people, read_csv, write_csv, write_lines
from conftest import PATIENCE, STRESSED, Ran

from sensecf_edge.cli.main import main

Command = Callable[..., Ran]
AGE, STEPS, WORD, NAME, KEY = "8765432", "31415926", "canarywren", "MrsCanary", "canarykey"
CANARIES = (AGE, STEPS, WORD, NAME, KEY)
ODD: tuple[dict[str, Any], ...] = (
    {"age": int(AGE)}, {"age": AGE}, {"steps": STEPS}, {"steps": f"{STEPS},5"}, {"steps": float(STEPS) / 7}, {"smoker": WORD},
    {"smoker": f"{WORD}; give {WORD}"}, {"age": None, "smoker": WORD}, {"steps": [STEPS]}, {"steps": {WORD: STEPS}}, {KEY: WORD},
    {"age": True},
)  # fmt: skip


def silent(text: str | bytes) -> None:
    """No canary in it, whole or cut."""
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    told = [c for c in CANARIES if c in text or c[:6] in text]
    assert not told, f"{told} in {text}"


def odd_lines() -> bytes:
    lines = [json.dumps({"id": NAME + str(i), **STRESSED, **odd}).encode() for i, odd in enumerate(ODD)]
    broken = [
        f'{{"age": {AGE}, "smoker": "{WORD}', f'["{WORD}"]', f'{{"{KEY}":1,"{KEY}":2}}', f'{{"age": {AGE}{AGE * 400}}}',
        f'{{"smoker": "{WORD}\\q"}}', f'{{"age": NaN, "smoker": "{WORD}"}}', WORD * 200_000,
    ]  # fmt: skip
    return b"\n".join([*lines, WORD.encode() + b"\xff", *(b.encode() for b in broken)]) + b"\n"


def test_a_batch_talks_of_odd_records_without_their_values(command: Command, toy: Path, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(odd_lines())
    flat = [{**p, **{k: v for k, v in odd.items() if k != KEY}} for p, odd in zip(people(len(ODD)), ODD, strict=True)]
    write_csv(tmp_path / "in.csv", [{**p, "id": NAME} for p in flat])
    for source in ("in.jsonl", "in.csv"):
        for more in ((), ("--workers", 2)):
            ran = command(
                "batch", tmp_path / source, "-o", tmp_path / "out.csv", "--model", toy, "--id", "id", "--chunk", 3, "--force", *more
            )
            assert "rejected" in ran.err, ran
            silent(ran.err + ran.out)
    assert any(NAME in row["id"] for row in read_csv(tmp_path / "out.csv.rejects.csv")), "the rejects are the person's own"


def test_a_watch_talks_of_odd_messages_without_their_values(toy: Path) -> None:
    ran = subprocess.run([*PROGRAM, "watch", "--model", toy, "--id", "id"], input=odd_lines(), capture_output=True, timeout=PATIENCE)
    assert ran.returncode == 0 and ran.stderr.count(b"put aside") == odd_lines().count(b"\n"), ran.stderr
    silent(ran.stderr + ran.stdout)


def _odd_fault(*_: Any, **__: Any) -> Any:
    raise ValueError(f"{WORD} {AGE}")


@pytest.mark.parametrize("broken", ["explain.Explainer.explain_many", "batch.layouts.lines", "schema.record.Record.from_mapping",
                                    "batch.records.value", "batch.store.Store.add", "watch.watcher.Watcher._is_due"])  # fmt: skip
def test_a_crash_names_its_place_and_no_value(
    broken: str, command: Command, toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sensecf_edge.batch.job
    import sensecf_edge.watch.watcher  # noqa: F401

    monkeypatch.setattr(f"sensecf_edge.{broken}", _odd_fault)
    monkeypatch.delenv("SENSECF_TRACEBACK", raising=False)
    if broken.startswith("watch.watcher"):
        from test_watch import ScriptedPort

        monkeypatch.setattr("sensecf_edge.cli.watch._port", lambda *_: ScriptedPort(json.dumps(STRESSED).encode()))
        ran = command("watch", "--model", toy)
    else:
        ran = command("batch", write_csv(tmp_path / "in.csv", people(20)), "-o", tmp_path / "out.csv", "--model", toy, "--id", "id")
    assert ran.code == 1 and "ValueError at test_private.py" in ran.err, ran
    silent(ran.err + ran.out)


def test_a_traceback_is_there_for_who_asks(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensecf_edge.explain.Explainer.explain", _odd_fault)
    monkeypatch.setenv("SENSECF_TRACEBACK", "1")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(STRESSED).encode())))
    with pytest.raises(ValueError, match=WORD):
        main(["explain", "-", "--model", str(toy)])


def test_a_full_disk_and_a_damaged_journal_name_no_value(toy: Path, tmp_path: Path) -> None:
    cohort = write_lines(tmp_path / "in.jsonl", [{**p, "id": f"{NAME}{i}"} for i, p in enumerate(people(80))])

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (160_000, 160_000))

    arguments = ("batch", cohort, "-o", tmp_path / "out.jsonl", "--model", toy, "--id", "id", "--chunk", 8)
    job = launch(*arguments, preexec_fn=limited)
    out, err = job.communicate()
    assert job.returncode == 1
    silent(out + err)
    journal = tmp_path / "out.jsonl.journal"
    Path(f"{journal}-wal").unlink(missing_ok=True)
    journal.write_bytes(b"SQLite format 3\0" + b"\xff" * 4096)
    job = launch(*arguments, "--resume")
    out, err = job.communicate()
    assert job.returncode == 2 and b"damaged; move it away" in err
    silent(out + err)


def _without_interfaces() -> list[str]:
    for options in (["-n"], ["-r", "-n"]):
        tool = shutil.which("unshare")
        if tool and subprocess.run([tool, *options, "true"], capture_output=True).returncode == 0:
            return [tool, *options]
    pytest.skip("no network namespace can be made here (unshare -n)")


def test_without_any_network_interface_explain_batch_and_watch_work(toy: Path, tmp_path: Path) -> None:
    alone = _without_interfaces()
    up = subprocess.run([*alone, sys.executable, "-c", "import socket; socket.create_connection(('127.0.0.1', 9), 1)"], capture_output=True)
    assert b"unreachable" in up.stderr, "there is no network in there"
    record = json.dumps(STRESSED).encode()
    for arguments in (["explain", "-", "--model", toy], ["watch", "--model", toy], ["batch", "-", "-o", "-", "--model", toy]):
        ran = subprocess.run([*alone, *PROGRAM, *map(str, arguments)], input=record, capture_output=True, timeout=PATIENCE)
        assert ran.returncode == 0 and ran.stdout, ran.stderr
    cohort = write_csv(tmp_path / "in.csv", [{k: v for k, v in p.items() if k != "id"} for p in people(20)])
    ran = subprocess.run([*alone, *PROGRAM, "batch", cohort, "-o", tmp_path / "out.parquet", "--model", toy, "--workers", "2"],
                         capture_output=True, timeout=PATIENCE)  # fmt: skip
    assert ran.returncode == 0, ran.stderr
