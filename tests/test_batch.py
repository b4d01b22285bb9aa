"""A cohort in, a table out: the same answers as one by one, no row lost, none twice, whatever interrupts."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import resource
import signal
import stat
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cohort import HOSTILE, PROGRAM, launch, people, read_csv, write_csv, write_lines
from conftest import CALM, PATIENCE, STRESSED, Ran

from sensecf_edge import Explainer
from sensecf_edge.answer.result import Explanation
from sensecf_edge.batch.progress import Meter
from sensecf_edge.budget import Budget
from sensecf_edge.errors import EngineError
from sensecf_edge.letter.telling import tell
from sensecf_edge.space.constraints import Constraints

Command = Callable[..., Ran]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_csv(tmp_path_factory.mktemp("cohort") / "people.csv", people(60))


def batch(command: Command, toy: Path, source: Path | str, out: Path | str, *more: object, stdin: bytes = b"") -> Ran:
    return command("batch", source, "-o", out, "--model", toy, "--id", "id", *more, stdin=stdin)


def on_disk(out: Path) -> int:
    """Bytes that an unfinished job has kept beside its output."""
    return sum(p.stat().st_size for p in out.parent.glob(f"{out.name}.journal*"))


def wait_for(out: Path, job: subprocess.Popen[bytes], size: int = 40_000) -> None:
    """Until the first chunks are kept."""
    while on_disk(out) < size:
        assert job.poll() is None, job.communicate()
        time.sleep(0.02)


def timeless(path: Path) -> list[dict[str, Any]]:
    """Lines of the json layout without the seconds, which no two runs share."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        del row["explanation"]["seconds"]
    return rows


def test_every_row_is_answered_as_it_would_be_alone(command: Command, toy: Path, cohort: Path, tmp_path: Path) -> None:
    assert batch(command, toy, cohort, tmp_path / "out.jsonl", "--seed", 3, "--chunk", 7).code == 0
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["id"] for row in rows] == [p["id"] for p in people(60)]
    with Explainer.load(toy) as explainer:
        for row in rows[:20]:
            alone = explainer.explain(row["explanation"]["factual"], seed=3)
            there = Explanation.from_json(row["explanation"])
            assert [c.changes for c in alone.found] == [c.changes for c in there.found]
            assert alone.status == there.status


def test_the_summary_counts_and_the_talk_is_on_stderr(command: Command, toy: Path, cohort: Path, tmp_path: Path) -> None:
    ran = batch(command, toy, cohort, tmp_path / "out.csv")
    statuses = {row["row"]: row["status"] for row in read_csv(tmp_path / "out.csv")}
    assert ran.out == "" and len(statuses) == 60
    n = Counter(statuses.values())
    parts = f"{n['found']} found, 0 none, {n['already']} already fine, {n['depends']} depending on what is unknown, 0 rejected"
    assert n["depends"] and sum(n.values()) == 60 and f"60 rows: {parts}; first try valid" in ran.err


def test_long_has_a_row_per_change_and_wide_a_row_per_answer(command: Command, toy: Path, cohort: Path, tmp_path: Path) -> None:
    for layout in ("long", "wide"):
        assert batch(command, toy, cohort, tmp_path / f"{layout}.csv", "--layout", layout, "-n", 2).code == 0
    long, wide = read_csv(tmp_path / "long.csv"), read_csv(tmp_path / "wide.csv")
    assert {r["id"] for r in long} == {r["id"] for r in wide} == {p["id"] for p in people(60)}
    from_long = {(r["id"], r["answer"], r["feature"], r["after"]) for r in long if r["feature"]}
    moving = ("steps", "deep_sleep", "smoker")
    assert from_long == {(r["id"], r["answer"], name, r[name]) for r in wide for name in moving if r[name]}
    assert len({(r["id"], r["answer"]) for r in wide}) == len(wide)


def test_each_record_has_its_letter_once_and_the_same_as_alone(command: Command, toy: Path, tmp_path: Path) -> None:
    source = write_csv(tmp_path / "in.csv", [{"id": "a", **STRESSED}, {"id": "b", **CALM}, {"id": "c", **STRESSED, "steps": 4000}])
    with Explainer.load(toy) as explainer:
        alone = [tell(explainer.explain(record, n=2), explainer.schema).letter for record in (STRESSED, CALM, {**STRESSED, "steps": 4000})]
    letters = [letter.text for letter in alone if letter]
    for layout in ("long", "wide"):
        assert batch(command, toy, source, tmp_path / f"{layout}.csv", "--layout", layout, "--tell", "-n", 2).code == 0
        told = read_csv(tmp_path / f"{layout}.csv")
        assert [row["letter"] for row in told if row["letter"]] == letters and len(told) > 3
        assert [row["id"] for row in told if row["letter"]] == ["a", "b", "c"]
    assert batch(command, toy, source, tmp_path / "out.jsonl", "--tell", "--tell-as", "note").code == 0
    notes = [json.loads(line)["explanation"]["letter"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [(note["kind"], note["writer"]) for note in notes] == [("note", "template")] * 3
    assert batch(command, toy, source, tmp_path / "plain.csv").code == 0 and "letter" not in read_csv(tmp_path / "plain.csv")[0]
    assert batch(command, toy, source, tmp_path / "no.csv", "--tell-as", "note").code == 2


def test_risks_stand_beside_their_base_rate_and_what_to_measure_first(command: Command, toy: Path, tmp_path: Path) -> None:
    rows = [{"id": "a", **STRESSED}, {"id": "b", **CALM}, {"id": "c", **STRESSED, "steps": 9500, "deep_sleep": ""}]
    source = write_csv(tmp_path / "in.csv", rows)
    for layout in ("long", "wide"):
        ran = batch(command, toy, source, tmp_path / f"{layout}.csv", "--layout", layout, "--base-rate", "5%")
        assert ran.code == 0 and "1 depending on what is unknown" in ran.err
        told = {row["id"]: row for row in read_csv(tmp_path / f"{layout}.csv")}
        assert {name: row["status"] for name, row in told.items()} == {"a": "found", "b": "already", "c": "depends"}
        assert {row["base_rate"] for row in told.values()} == {"0.05"}
        assert float(told["a"]["risk_after"]) < 0.05 < float(told["a"]["risk_before"]) and not told["b"]["risk_after"]
        assert float(told["c"]["risk_low"]) < 0.05 < float(told["c"]["risk_high"]) and told["c"]["measure_first"] == "deep_sleep"


def test_two_workers_give_the_same_bytes_as_one(command: Command, toy: Path, cohort: Path, tmp_path: Path) -> None:
    for workers in (1, 2):
        assert batch(command, toy, cohort, tmp_path / f"{workers}.csv", "--workers", workers, "--chunk", 9).code == 0
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()


def test_all_formats_and_standard_streams_say_the_same(command: Command, toy: Path, cohort: Path, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet", reason="the extra batch is not installed")
    pa = pytest.importorskip("pyarrow")
    lines = write_lines(tmp_path / "people.jsonl", people(60))
    pq.write_table(
        pa.Table.from_pylist([json.loads(t) for t in lines.read_text().splitlines()]), tmp_path / "people.parquet", row_group_size=25
    )
    for source in (cohort, lines, tmp_path / "people.parquet"):
        assert batch(command, toy, source, tmp_path / f"{source.suffix}.csv").code == 0
    assert (tmp_path / ".csv.csv").read_bytes() == (tmp_path / ".jsonl.csv").read_bytes() == (tmp_path / ".parquet.csv").read_bytes()
    assert batch(command, toy, cohort, tmp_path / "out.parquet").code == 0
    table = pq.read_table(tmp_path / "out.parquet").to_pylist()
    plain = read_csv(tmp_path / ".csv.csv")
    assert [(str(r["row"]), r["id"], r["after"] or "") for r in table] == [(r["row"], r["id"], r["after"]) for r in plain]
    piped = subprocess.run([*PROGRAM, "batch", "-", "-o", "-", "--model", toy, "--id", "id"], input=lines.read_bytes(), capture_output=True)
    assert (piped.returncode, piped.stdout) == (0, (tmp_path / ".csv.csv").read_bytes()), piped.stderr


def piped(data: bytes, seconds: float = 0.0) -> int:
    """A descriptor to read `data` from, written from another thread: first one byte, and after a while the rest."""
    ours, theirs = os.pipe()

    def write() -> None:
        with contextlib.suppress(BrokenPipeError), open(theirs, "wb", buffering=0) as end:
            end.write(data[:1])
            time.sleep(seconds)
            end.write(data[1:])

    threading.Thread(target=write, daemon=True).start()
    return ours


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("blank", [b"", b"\n", b"  \r\n\n", b"\xef\xbb\xbf"])
def test_the_rows_of_a_pipe_are_the_rows_of_the_file(
    blank: bytes, end: bytes, command: Command, toy: Path, cohort: Path, tmp_path: Path
) -> None:
    data = blank + cohort.read_bytes().replace(b"\r\n", end)
    (tmp_path / "in.csv").write_bytes(data)
    assert batch(command, toy, tmp_path / "in.csv", tmp_path / "file.csv").code == 0
    pipe = piped(data, 0.2)
    assert batch(command, toy, f"/dev/fd/{pipe}", tmp_path / "pipe.csv").code == 0
    os.close(pipe)
    os.mkfifo(tmp_path / "fifo")
    threading.Thread(target=lambda: (tmp_path / "fifo").write_bytes(data), daemon=True).start()
    assert batch(command, toy, tmp_path / "fifo", tmp_path / "fifo.csv").code == 0
    with (tmp_path / "in.csv").open("rb") as stdin:
        job = launch("batch", "/dev/stdin", "-o", tmp_path / "stdin.csv", "--model", toy, "--id", "id", stdin=stdin)
        assert job.communicate() and job.returncode == 0
    assert len({(tmp_path / f"{how}.csv").read_bytes() for how in ("file", "pipe", "fifo", "stdin")}) == 1
    assert {r["id"] for r in read_csv(tmp_path / "pipe.csv")} == {p["id"] for p in people(60)}


def test_parquet_in_a_pipe_is_refused_in_words(command: Command, toy: Path, tmp_path: Path) -> None:
    pipe = piped(b"PAR1....PAR1")
    ran = batch(command, toy, f"/dev/fd/{pipe}", tmp_path / "out.csv")
    os.close(pipe)
    assert ran.code == 2 and "cannot be read from a pipe" in ran.err


def test_a_row_without_any_value_is_rejected_and_no_row_after_it_changes_its_number(command: Command, toy: Path, tmp_path: Path) -> None:
    rows = [*people(2), dict.fromkeys(people(1)[0], ""), {"id": "last", **STRESSED}]
    for delimiter in ",;\t|":
        batch(command, toy, write_csv(tmp_path / "in.csv", rows, delimiter=delimiter), tmp_path / "out.csv", "--force")
        assert [(r["row"], r["reason"]) for r in read_csv(tmp_path / "out.csv.rejects.csv")] == [("3", "id is empty")]
        assert {(r["row"], r["id"]) for r in read_csv(tmp_path / "out.csv")} == {("1", "p1"), ("2", "p2"), ("4", "last")}


def test_hostile_rows_are_rejected_one_by_one_with_reason_and_remedy(command: Command, toy: Path, tmp_path: Path) -> None:
    rows = people(len(HOSTILE) * 2)
    for i, spoilt in enumerate(HOSTILE):
        rows[2 * i].update(spoilt)
    ran = batch(command, toy, write_csv(tmp_path / "in.csv", rows), tmp_path / "out.csv")
    rejects = read_csv(tmp_path / "out.csv.rejects.csv")
    assert ran.code == 0 and f"{len(HOSTILE)} rejected (see {tmp_path / 'out.csv.rejects.csv'})" in ran.err
    assert [r["row"] for r in rejects] == [str(2 * i + 1) for i in range(len(HOSTILE))]
    assert all(r["reason"] and r["remedy"] and r["id"] for r in rejects)
    assert "decimal point" in rejects[2]["remedy"] and "age is null" in rejects[5]["reason"]
    answered = {int(r["row"]) for r in read_csv(tmp_path / "out.csv")}
    assert answered | {int(r["row"]) for r in rejects} == set(range(1, len(rows) + 1))


def test_a_stray_quote_costs_one_row(command: Command, toy: Path, tmp_path: Path) -> None:
    lines = ["id,age,steps,deep_sleep,smoker", 'a,44,"3000,10,yes', "b,44,3000,10,yes", 'c,44,3000,10,"yes"']
    (tmp_path / "in.csv").write_text("\n".join(lines))
    batch(command, toy, tmp_path / "in.csv", tmp_path / "out.csv", "--rejects", tmp_path / "bad.csv")
    assert [r["row"] for r in read_csv(tmp_path / "bad.csv")] == ["1"]
    assert {r["id"] for r in read_csv(tmp_path / "out.csv")} == {"b", "c"}


def test_output_and_rejects_are_for_their_owner_only(command: Command, toy: Path, tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        batch(command, toy, write_csv(tmp_path / "in.csv", [*people(3), {**people(1)[0], "id": "x", "age": "old"}]), tmp_path / "out.csv")
    finally:
        os.umask(old)
    for name in ("out.csv", "out.csv.rejects.csv"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.csv", "out.csv", "out.csv.rejects.csv"]


BAD_TABLES = {
    "an empty file": (b"", "empty"),
    "a file without a header": (b"p1,51,3000,10,yes\np2,51,3000,10,no\n", "begin with a header?"),
    "a column without a name": (b",id,age,steps,deep_sleep,smoker\n0,a,1,2,3,no\n", "column 1 of"),
    "two columns without names": (b",id,age,,steps,deep_sleep,smoker\n0,a,1,2,3,no\n", "columns 1 and 4"),
    "a blank file": (b"\n \n", "empty"),
    "NUL bytes": (b"i\0d\0,\0a\0", "NUL"),
    "a header alone": (b"id,age,steps,deep_sleep,smoker\n", "holds no record"),
    "another delimiter": (b"id:age:steps:deep_sleep:smoker\na:1:2:3:no\n", "has one column"),
    "Latin-1": ("id,âge,steps\n".encode("latin-1"), "not UTF-8"),
    "UTF-16": ("id,age".encode("utf-16-le"), "UTF-16"),
    "a missing column": (b"id,age,deep_sleep,smoker\na,1,2,no\n", "missing: steps"),
    "an extra column": (b"id,age,steps,deep_sleep,smoker,stresed\n", "unknown: stresed"),
    "a misspelt column": (b"id,age,stepz,deep_sleep,smoker\n", "did you mean steps"),
    "a column twice": (b"id,age,age,steps,deep_sleep,smoker\n", "'age' twice, as columns 2 and 3"),
    "no id column": (b"age,steps,deep_sleep,smoker\n", "no column 'id'"),
    "bare carriage returns": (b"id,age,steps,deep_sleep,smoker\ra,1,2,3,no\r", "carriage return"),
    "a JSON list": (b'[{"age": 1}]', "one JSON object per line"),
    "gzip": (b"\x1f\x8b\x08\x00", "gunzip"),
    "a spreadsheet": (b"PK\x03\x04", "CSV"),
    "a false Parquet": (b"PAR1 and no more", "Parquet"),
}


@pytest.mark.parametrize("what", BAD_TABLES)
def test_a_table_that_cannot_be_read_is_refused_in_one_line(what: str, command: Command, toy: Path, tmp_path: Path) -> None:
    data, part = BAD_TABLES[what]
    (tmp_path / "in.csv").write_bytes(data)
    ran = batch(command, toy, tmp_path / "in.csv", tmp_path / "out.csv")
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1) and part in ran.err, ran
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("how", [{"delimiter": ";"}, {"delimiter": "\t"}, {"encoding": "utf-8-sig"}, {"shuffled": True}, {"dropped": True}])
def test_what_can_be_read_without_guessing_is_read(how: dict[str, Any], command: Command, toy: Path, cohort: Path, tmp_path: Path) -> None:
    rows = people(60)
    more = ()
    if how.pop("shuffled", False):
        rows = [dict(reversed(r.items())) for r in rows]
    if how.pop("dropped", False):
        rows, more = [{**r, "ward": "7"} for r in rows], ("--drop", "ward")
    write_csv(tmp_path / "in.csv", rows, **how)
    assert batch(command, toy, cohort, tmp_path / "plain.csv").code == 0
    assert batch(command, toy, tmp_path / "in.csv", tmp_path / "out.csv", *more).code == 0
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "plain.csv").read_bytes()


def test_the_second_row_of_an_id_is_rejected_and_the_first_one_named(command: Command, toy: Path, tmp_path: Path) -> None:
    rows = people(5)
    rows[3]["id"] = rows[0]["id"]
    batch(command, toy, write_csv(tmp_path / "in.csv", rows), tmp_path / "out.csv", "--chunk", 2)
    assert [(r["row"], r["reason"]) for r in read_csv(tmp_path / "out.csv.rejects.csv")] == [("4", "the id stands in row 1 already")]


def test_places_that_cannot_be_written_or_read_are_named(command: Command, toy: Path, cohort: Path, tmp_path: Path) -> None:
    (tmp_path / "there.csv").write_text("kept")
    for source, out, part in [
        (tmp_path, tmp_path / "o.csv", "is a folder"), (tmp_path / "no.csv", tmp_path / "o.csv", "No such file"),
        (cohort, tmp_path / "there.csv", "--force"), (cohort, "/proc/out.csv", "cannot write"),
        (cohort, tmp_path / "no" / "o.csv", "cannot write"),
        (cohort, tmp_path, "no ending"), (cohort, tmp_path / "o.xlsx", "no ending"), (tmp_path / "there.csv", tmp_path / "there.csv", ""),
    ]:  # fmt: skip
        ran = batch(command, toy, source, out)
        assert (ran.code, ran.err.count("\n")) == (2, 1) and part in ran.err, ran
    assert (tmp_path / "there.csv").read_text() == "kept"
    assert batch(command, toy, cohort, tmp_path / "there.csv", "--force").code == 0


def test_nested_parquet_columns_are_named(command: Command, toy: Path, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet", reason="the extra batch is not installed")
    pa = pytest.importorskip("pyarrow")
    pq.write_table(pa.Table.from_pylist([{**STRESSED, "id": "a", "meals": [{"kcal": 1}]}]), tmp_path / "in.parquet")
    ran = batch(command, toy, tmp_path / "in.parquet", tmp_path / "out.csv")
    assert ran.code == 2 and "meals" in ran.err and "nested" in ran.err
    assert batch(command, toy, tmp_path / "in.parquet", tmp_path / "out.csv", "--drop", "meals").code == 0


def test_a_line_of_two_gigabytes_is_one_reject_and_little_memory(toy: Path, tmp_path: Path) -> None:
    with (tmp_path / "in.csv").open("wb") as file:
        file.write(b"id,age,steps,deep_sleep,smoker\na,44,3000,10,yes\n")
        file.seek(2 << 30, os.SEEK_CUR)
        file.write(b"\nb,44,3000,10,yes\n")

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))

    job = launch("batch", tmp_path / "in.csv", "-o", tmp_path / "out.csv", "--model", toy, "--id", "id", preexec_fn=limited)
    _, err = job.communicate()
    assert job.returncode == 0, err
    assert {r["id"] for r in read_csv(tmp_path / "out.csv")} == {"a", "b"}
    assert [r["row"] for r in read_csv(tmp_path / "out.csv.rejects.csv")] == ["2"]


def test_a_row_in_another_encoding_costs_one_row(command: Command, toy: Path, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(b"id,age,steps,deep_sleep,smoker\nJos\xe9,44,3000,10,yes\nb,44,3000,10,yes\n")
    batch(command, toy, tmp_path / "in.csv", tmp_path / "out.csv")
    assert [(r["row"], r["reason"]) for r in read_csv(tmp_path / "out.csv.rejects.csv")] == [("1", "the line is not UTF-8 (byte 3)")]


def test_a_table_of_nothing_usable_is_exit_2_and_nothing_found_exit_3(command: Command, toy: Path, tmp_path: Path) -> None:
    bad = write_csv(tmp_path / "bad.csv", [{**p, "age": "old"} for p in people(3)])
    assert batch(command, toy, bad, tmp_path / "a.csv").code == 2
    stuck = write_csv(tmp_path / "stuck.csv", [{"id": "a", **STRESSED}])
    limits = ("--freeze", "smoker", "--freeze", "deep_sleep", "--bound", "steps=3000:5000")
    assert batch(command, toy, stuck, tmp_path / "b.csv", *limits).code == 3
    assert read_csv(tmp_path / "b.csv")[0]["status"] == "none"
    hangs = write_csv(tmp_path / "hangs.csv", [{"id": "c", **STRESSED, "steps": 9500, "deep_sleep": ""}])
    assert batch(command, toy, hangs, tmp_path / "c.csv").code == 0
    assert read_csv(tmp_path / "c.csv")[0]["status"] == "depends" and read_csv(tmp_path / "c.csv")[0]["feature"]


def test_a_cost_steers_every_answer_clear_of_what_is_dear_and_a_wrong_one_is_a_usage_error(
    command: Command, toy: Path, tmp_path: Path
) -> None:
    table = write_csv(tmp_path / "in.csv", [{"id": "a", **STRESSED}])

    def answered(name: str, *more: str) -> dict[str, Any]:
        assert batch(command, toy, table, tmp_path / name, *more).code == 0
        return dict(json.loads((tmp_path / name).read_text())["explanation"])

    free = answered("free.jsonl")["found"][0]["changes"][0]["feature"]
    dear = answered("dear.jsonl", "--cost", f"{free}=50")
    assert free not in {c["feature"] for c in dear["found"][0]["changes"]} and dear["provenance"]["costs"] == {free: 50.0}
    assert batch(command, toy, table, tmp_path / "no.jsonl", "--cost", "steps").code == 2


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_at_any_moment_it_resumes_with_no_row_lost_and_none_twice(workers: int, command: Command, toy: Path, tmp_path: Path) -> None:
    rows = people(1500)
    rows[7]["id"], rows[200]["id"], rows[50]["age"] = "p5", "p5", "old"
    cohort = write_csv(tmp_path / "in.csv", rows)
    assert batch(command, toy, cohort, tmp_path / "whole.csv", "--chunk", 5).code == 0
    arguments = ("batch", cohort, "-o", tmp_path / "out.csv", "--model", toy, "--id", "id", "--chunk", 5, "--workers", workers, "--resume")
    chance, kills, out = random.Random(workers), 0, tmp_path / "out.csv"
    for _ in range(6):
        before = on_disk(out)
        job = launch(*arguments)
        while job.poll() is None and on_disk(out) <= before:
            time.sleep(0.005)
        time.sleep(chance.random() * 0.1)
        kills += job.poll() is None
        job.kill()
        job.communicate()
        if (tmp_path / "out.csv").exists():
            break
    ran = command(*arguments)
    assert ran.code == 0, ran
    assert kills, "the job was over before the first kill: give it more rows"
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert (tmp_path / "out.csv.rejects.csv").read_bytes() == (tmp_path / "whole.csv.rejects.csv").read_bytes()
    assert not list(tmp_path.glob("*.part")) and not list(tmp_path.glob("*.journal*"))


def test_ctrl_c_says_how_to_go_on_and_a_finished_job_is_left_alone(command: Command, toy: Path, tmp_path: Path) -> None:
    cohort = write_csv(tmp_path / "in.csv", people(2000))
    arguments = ("batch", cohort, "-o", tmp_path / "out.csv", "--model", toy, "--id", "id", "--chunk", 5, "-n", 3)
    job = launch(*arguments)
    wait_for(tmp_path / "out.csv", job)
    job.send_signal(signal.SIGINT)
    out, err = job.communicate(timeout=PATIENCE)
    assert (job.returncode, out) == (130, b"") and b"--resume" in err and b"Traceback" not in err
    assert command(*arguments).code == 2 and not (tmp_path / "out.csv").exists()
    other = command(*arguments, "--resume", "--seed", 9)
    assert other.code == 2 and "another request" in other.err


def test_resume_after_the_end_changes_nothing(command: Command, toy: Path, cohort: Path, tmp_path: Path) -> None:
    assert batch(command, toy, cohort, tmp_path / "out.csv").code == 0
    before = (tmp_path / "out.csv").stat()
    ran = batch(command, toy, cohort, tmp_path / "out.csv", "--resume")
    assert ran.code == 0 and "whole already" in ran.err and (tmp_path / "out.csv").stat() == before


def test_a_full_disk_is_one_clear_error_and_another_input_is_not_resumed_onto_its_output(
    command: Command, toy: Path, cohort: Path, tmp_path: Path
) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (160_000, 160_000))

    job = launch("batch", cohort, "-o", tmp_path / "out.jsonl", "--model", toy, "--id", "id", "--chunk", 5, preexec_fn=limited)
    _, err = job.communicate()
    assert job.returncode == 1 and b"the disk is full" in err and b"free space, then run the same command with --resume" in err, err
    assert err.count(b"\n") == 1
    other = write_csv(tmp_path / "other.csv", people(60, seed=1))
    ran = batch(command, toy, other, tmp_path / "out.jsonl", "--chunk", 5, "--resume")
    assert ran.code == 2 and "another input" in ran.err
    assert batch(command, toy, cohort, tmp_path / "whole.jsonl", "--chunk", 5).code == 0
    assert batch(command, toy, cohort, tmp_path / "out.jsonl", "--chunk", 5, "--resume").code == 0
    assert timeless(tmp_path / "out.jsonl") == timeless(tmp_path / "whole.jsonl")


def test_a_disk_that_fills_while_parquet_is_put_together_costs_nothing(command: Command, toy: Path, cohort: Path, tmp_path: Path,
                                                                       monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    pq = pytest.importorskip("pyarrow.parquet", reason="the extra batch is not installed")
    import sensecf_edge.batch.parquet

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(sensecf_edge.batch.parquet, "assemble", full)
        ran = batch(command, toy, cohort, tmp_path / "out.parquet")
    assert ran.code == 1 and "disk is full" in ran.err and not (tmp_path / "out.parquet").exists()
    assert batch(command, toy, cohort, tmp_path / "out.parquet", "--resume").code == 0
    assert len(set(pq.read_table(tmp_path / "out.parquet")["row"].to_pylist())) == 60
    assert [p.name for p in tmp_path.iterdir()] == ["out.parquet"]


def interrupted(toy: Path, source: Path | str, out: Path, data: bytes = b"", *more: object) -> None:
    """A batch that is killed when its first chunks are on the disk."""
    job = launch("batch", source, "-o", out, "--model", toy, "--id", "id", "--chunk", 5, *more, stdin=subprocess.PIPE)
    assert job.stdin is not None
    job.stdin.write(data)
    job.stdin.flush()
    wait_for(out, job)
    job.kill()
    job.communicate()


def test_standard_input_resumes_by_passing_over_what_was_done(command: Command, toy: Path, cohort: Path, tmp_path: Path) -> None:
    assert batch(command, toy, cohort, tmp_path / "whole.csv", "--chunk", 5).code == 0
    interrupted(toy, "-", tmp_path / "out.csv", b"".join(cohort.read_bytes().splitlines(keepends=True)[:40]))
    ran = batch(command, toy, "-", tmp_path / "out.csv", "--chunk", 5, "--resume", "--base-rate", "5%", stdin=cohort.read_bytes())
    assert ran.code == 2 and "base rate" in ran.err
    other = write_csv(tmp_path / "other.csv", people(60, seed=1)).read_bytes()
    for wrong in (other, b"".join(cohort.read_bytes().splitlines(keepends=True)[:3])):
        ran = batch(command, toy, "-", tmp_path / "out.csv", "--chunk", 5, "--resume", stdin=wrong)
        assert (ran.code, ran.err.count("\n")) == (2, 2) and "another input" in ran.err and not (tmp_path / "out.csv").exists()
    assert batch(command, toy, "-", tmp_path / "out.csv", "--chunk", 5, "--resume", stdin=cohort.read_bytes()).code == 0
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_a_table_that_was_edited_is_not_resumed_with_and_one_that_grew_is(command: Command, toy: Path, tmp_path: Path) -> None:
    rows = people(1500)
    cohort = write_csv(tmp_path / "in.csv", rows)
    interrupted(toy, cohort, tmp_path / "out.csv")
    write_csv(cohort, [{**rows[0], "steps": 16000 - rows[0]["steps"]}, *rows[1:]])
    ran = batch(command, toy, cohort, tmp_path / "out.csv", "--chunk", 5, "--resume")
    assert ran.code == 2 and "another input" in ran.err
    # Ids of rows that were read ahead of the answers when it was killed are nobody's any more.
    grown = [*rows[:800], *reversed(people(1600)[800:])]
    write_csv(cohort, grown)
    assert batch(command, toy, cohort, tmp_path / "out.csv", "--chunk", 5, "--resume").code == 0
    assert batch(command, toy, cohort, tmp_path / "whole.csv", "--chunk", 5).code == 0
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_a_person_sees_a_bar_with_rate_and_time_left(toy: Path, tmp_path: Path) -> None:
    pty = pytest.importorskip("pty", reason="no pseudo-terminals here")
    cohort = write_csv(tmp_path / "in.csv", people(400))
    ours, theirs = pty.openpty()
    job = subprocess.Popen(
        [*PROGRAM, "batch", cohort, "-o", tmp_path / "out.csv", "--model", toy, "--id", "id", "--chunk", "5"], stderr=theirs
    )
    os.close(theirs)
    seen = b""
    with contextlib.suppress(OSError):
        while data := os.read(ours, 65536):
            seen += data
    os.close(ours)
    assert job.wait() == 0
    assert b"/s, 0:" in seen and b"left" in seen and b"400 rows: " in seen


def test_two_jobs_never_write_one_output(command: Command, toy: Path, tmp_path: Path) -> None:
    cohort = write_csv(tmp_path / "in.csv", people(2000))
    job = launch("batch", cohort, "-o", tmp_path / "out.csv", "--model", toy, "--id", "id", "--chunk", 5)
    wait_for(tmp_path / "out.csv", job, 1)
    ran = batch(command, toy, cohort, tmp_path / "out.csv", "--chunk", 5, "--resume")
    job.kill()
    job.communicate()
    assert ran.code == 2 and "another batch is writing" in ran.err


def test_a_worker_that_is_killed_is_replaced(toy: Path, tmp_path: Path, command: Command) -> None:
    cohort = write_csv(tmp_path / "in.csv", people(400))
    job = launch("batch", cohort, "-o", tmp_path / "out.csv", "--model", toy, "--id", "id", "--chunk", 5, "--workers", 2)
    wait_for(tmp_path / "out.csv", job)
    children = Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split()
    workers = [c for c in children if Path(f"/proc/{c}").exists() and b"spawn_main" in Path(f"/proc/{c}/cmdline").read_bytes()]
    os.kill(int(workers[0]), signal.SIGKILL)
    _, err = job.communicate(timeout=PATIENCE)
    assert job.returncode == 0, err
    assert batch(command, toy, cohort, tmp_path / "whole.csv", "--chunk", 5).code == 0
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_a_fault_of_the_program_names_its_place_and_no_value(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sensecf_edge.batch import answers
    from sensecf_edge.schema.record import Record
    from sensecf_edge.space.constraints import Constraints

    def broken(*_: object) -> None:
        raise ValueError("could not convert 424242")

    with Explainer.load(toy) as explainer:
        monkeypatch.setattr(explainer, "explain_many", broken)
        with pytest.raises(EngineError, match=r"ValueError at test_batch.py:\d+") as told:
            answers.explain_all(explainer, [Record.from_mapping(explainer.schema, STRESSED)], Constraints(), Budget())
    assert "424242" not in str(told.value)


def test_time_left_is_told_from_the_share_of_the_input() -> None:
    meter = Meter(100, 0.1)
    assert meter.line(200, 0.2, meter.began + 10) == "200 rows, 10.0/s, 1:20 left"
    assert meter.line(200, None, meter.began + 10) == "200 rows, 10.0/s"


@pytest.mark.parametrize("how", ["same", "dot", "symlink", "hard link", "case", "part", "journal", "input", "input by a link", "log"])
def test_files_that_are_one_are_refused_before_anything_is_written(how: str, command: Command, toy: Path, tmp_path: Path) -> None:
    cohort, out, rejects = write_csv(tmp_path / "in.csv", people(5)), tmp_path / "out.csv", tmp_path / "bad.csv"
    if how == "symlink":
        rejects.symlink_to(out)
    if how == "hard link":
        out.write_text("kept")
        rejects.hardlink_to(out)
    if how == "input by a link":
        rejects.hardlink_to(cohort)
    names = {"same": "out.csv", "dot": "./no/../out.csv", "case": "OUT.csv", "part": "out.csv.part", "journal": "out.csv.journal",
             "log": "out.csv.journal-wal", "input": "in.csv"}  # fmt: skip
    there = f"{tmp_path}/{names.get(how, rejects.name)}"
    (tmp_path / "no").mkdir()
    before = {p: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()}
    for more in ((), ("--force",)):
        ran = batch(command, toy, cohort, out, "--rejects", there, *more)
        assert (ran.code, ran.err.count("\n")) == (2, 1) and "give each file a name of its own" in ran.err, ran
        assert {p: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()} == before


def test_an_output_that_is_the_input_is_refused_by_whatever_way_it_comes(toy: Path, tmp_path: Path) -> None:
    cohort = write_csv(tmp_path / "in.csv", people(5))
    data = cohort.read_bytes()
    (tmp_path / "link.csv").symlink_to(cohort)
    arguments = ("--model", toy, "--id", "id", "--force")
    with cohort.open("rb") as stdin, cohort.open("ab") as stdout:
        for job in (
            launch("batch", cohort, "-o", tmp_path / "link.csv", *arguments),
            launch("batch", "-", "-o", cohort, *arguments, stdin=stdin),
            subprocess.Popen([*PROGRAM, "batch", str(cohort), "-o", "-", *map(str, arguments)], stdout=stdout, stderr=subprocess.PIPE),
        ):
            _, err = job.communicate()
            assert job.returncode == 2 and b"give each file a name of its own" in err, err
    assert cohort.read_bytes() == data


def test_stale_rejects_go_with_the_output_they_belonged_to_or_are_in_the_way(command: Command, toy: Path, tmp_path: Path) -> None:
    spoilt = write_csv(tmp_path / "bad.csv", [*people(3), {**people(4)[3], "age": "old"}])
    fine, out, rejects = write_csv(tmp_path / "in.csv", people(4)), tmp_path / "out.csv", tmp_path / "out.csv.rejects.csv"
    assert batch(command, toy, spoilt, out).code == 0 and rejects.exists()
    assert batch(command, toy, fine, out, "--force").code == 0 and not rejects.exists()
    assert batch(command, toy, spoilt, out, "--force").code == 0
    out.unlink()
    for more in ((), ("--resume",), ("--rejects", tmp_path / "other.csv")):
        ran = batch(command, toy, fine, out, *more)
        assert ran.code == 2 and "rejects.csv exists" in ran.err and not out.exists()
    assert batch(command, toy, fine, out, "--rejects", tmp_path / "other.csv", "--force").code == 0
    assert not rejects.exists() and not (tmp_path / "other.csv").exists()


def test_force_beside_a_running_job_is_refused_and_harms_nothing(command: Command, toy: Path, tmp_path: Path) -> None:
    cohort = write_csv(tmp_path / "in.csv", people(500))
    assert batch(command, toy, cohort, tmp_path / "whole.csv", "--chunk", 5).code == 0
    job = launch("batch", cohort, "-o", tmp_path / "out.csv", "--model", toy, "--id", "id", "--chunk", 5)
    wait_for(tmp_path / "out.csv", job)
    job.send_signal(signal.SIGSTOP)
    (tmp_path / "link.csv").symlink_to(tmp_path / "out.csv")
    for name in ("out.csv", "link.csv"):
        for more in ("--force", "--resume"):
            ran = batch(command, toy, cohort, tmp_path / name, "--chunk", 5, more)
            assert ran.code == 2 and "another batch is writing" in ran.err
    job.send_signal(signal.SIGCONT)
    assert job.communicate() and job.returncode == 0
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_what_another_put_there_meanwhile_is_not_written_over(command: Command, toy: Path, tmp_path: Path) -> None:
    cohort = write_csv(tmp_path / "in.csv", people(300))
    job = launch("batch", cohort, "-o", tmp_path / "out.csv", "--model", toy, "--id", "id", "--chunk", 5)
    wait_for(tmp_path / "out.csv", job)
    job.send_signal(signal.SIGSTOP)
    (tmp_path / "out.csv").write_text("another's")
    job.send_signal(signal.SIGCONT)
    _, err = job.communicate()
    assert job.returncode == 2 and b"was not there when the job began" in err and (tmp_path / "out.csv").read_text() == "another's"
    (tmp_path / "out.csv").unlink()
    assert batch(command, toy, cohort, tmp_path / "out.csv", "--chunk", 5, "--resume").code == 0
    assert batch(command, toy, cohort, tmp_path / "whole.csv", "--chunk", 5).code == 0
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_resume_beside_a_whole_output_with_anything_else_is_refused(command: Command, toy: Path, cohort: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    assert batch(command, toy, cohort, out).code == 0
    before = out.read_bytes()
    longer, other = write_csv(tmp_path / "longer.csv", people(61)), write_csv(tmp_path / "other.csv", people(60, seed=2))
    for source, more, part in [
        (cohort, ("--seed", 3), "another request"), (cohort, ("--layout", "wide"), "another layout"),
        (cohort, ("--freeze", "steps"), "another frozen features"), (cohort, ("--encoding", "latin-1"), "another encoding"),
        (longer, (), "more than the 60 rows"), (other, (), "another input"),
    ]:  # fmt: skip
        ran = batch(command, toy, source, out, *more, "--resume")
        assert (ran.code, ran.err.count("\n")) == (2, 1) and part in ran.err and out.read_bytes() == before
    copy = tmp_path / "copy.csv"
    copy.write_bytes(before)
    ran = batch(command, toy, cohort, copy, "--resume")
    assert ran.code == 2 and "nothing says what it was made from" in ran.err


@pytest.mark.parametrize("name", ["out.csv.journal", "out.csv.part", "out.csv.rejects.csv.part"])
def test_links_and_loose_modes_beside_the_output_are_not_followed(name: str, command: Command, toy: Path, tmp_path: Path) -> None:
    cohort, victim = write_csv(tmp_path / "in.csv", people(3)), tmp_path / "victim"
    victim.write_text("kept")
    (tmp_path / name).symlink_to(victim)
    assert batch(command, toy, cohort, tmp_path / "out.csv").code == 2 and victim.read_text() == "kept"
    batch(command, toy, cohort, tmp_path / "out.csv", "--force")
    assert victim.read_text() == "kept"
    (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / name).write_bytes(b"")
    (tmp_path / name).chmod(0o666)
    assert batch(command, toy, cohort, tmp_path / "out.csv", "--force").code == 0
    assert stat.S_IMODE((tmp_path / "out.csv").stat().st_mode) == 0o600


def test_a_job_is_for_its_owner_only_while_it_runs_too(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "out.csv.journal").write_bytes(b"")
    (tmp_path / "out.csv.journal").chmod(0o644)
    cohort = write_csv(tmp_path / "in.csv", people(900))
    job = launch("batch", cohort, "-o", tmp_path / "out.csv", "--model", toy, "--id", "id", "--chunk", 5)
    wait_for(tmp_path / "out.csv", job)
    assert {stat.S_IMODE(p.stat().st_mode) for p in tmp_path.glob("out.csv*")} == {0o600}
    job.kill()
    job.communicate()


def test_the_talk_may_go_nowhere(toy: Path, tmp_path: Path) -> None:
    cohort = write_csv(tmp_path / "in.csv", people(40))
    ours, theirs = os.pipe()
    os.close(ours)
    job = subprocess.Popen([*PROGRAM, "batch", cohort, "-o", tmp_path / "out.csv", "--model", toy, "--id", "id"], stderr=theirs)
    os.close(theirs)
    assert job.wait() == 0 and (tmp_path / "out.csv").exists()


def test_rejects_of_a_stream_that_nobody_reads_to_its_end_are_kept(toy: Path, tmp_path: Path) -> None:
    rows = [{**p, "age": "old"} if i % 50 == 0 else p for i, p in enumerate(people(3000))]
    cohort = write_csv(tmp_path / "in.csv", rows)
    job = launch("batch", cohort, "-o", "-", "--rejects", tmp_path / "bad.csv", "--model", toy, "--id", "id", "--chunk", 5)
    assert job.stdout is not None
    job.stdout.read(5_000)
    job.stdout.close()
    assert job.stderr is not None and job.wait() == 141, job.stderr.read()
    job.stderr.close()
    assert read_csv(tmp_path / "bad.csv")[0]["row"] == "1"


def test_a_file_that_changes_while_it_is_read_is_remarked_upon(toy: Path, tmp_path: Path) -> None:
    cohort = write_csv(tmp_path / "in.csv", people(900))
    job = launch("batch", cohort, "-o", tmp_path / "out.csv", "--model", toy, "--id", "id", "--chunk", 5)
    wait_for(tmp_path / "out.csv", job)
    with cohort.open("a") as file:
        file.write("late,44,3000,10,yes\n")
    _, err = job.communicate()
    assert job.returncode == 0 and b"in.csv changed while it was read" in err


def _sleep() -> None:
    time.sleep(60)


def test_a_pool_that_is_closed_ends_its_own_workers_and_nobody_else_s(toy: Path) -> None:
    import multiprocessing

    from sensecf_edge.batch.answers import Chunk, JobSettings
    from sensecf_edge.batch.records import Row
    from sensecf_edge.batch.workers import pooled
    from sensecf_edge.bundle.bundle import Bundle

    stranger = multiprocessing.get_context("spawn").Process(target=_sleep, daemon=True)
    stranger.start()
    plan = JobSettings(str(toy), Bundle.open(toy).hash, "csv", "long", Budget(), Constraints())
    answers = pooled(plan, (Chunk([Row(i, str(i), STRESSED, None, 0)], i, 0, "") for i in range(1, 9)), 2)
    next(answers)
    answers.close()  # type: ignore[attr-defined]
    assert stranger.is_alive() and multiprocessing.active_children() == [stranger]
    stranger.terminate()
    stranger.join()


def test_a_table_behind_ray_is_the_table_and_an_address_alone_is_none(command: Command, toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sensecf_edge.batch import job as jobs

    given = []
    monkeypatch.setattr(jobs, "run", lambda job, say: given.append((job.source, job.ray)) or Counter())
    for more in (("--ray", "in.csv"), ("in.csv", "--ray"), ("in.csv", "--ray", "head:6379")):
        command("batch", *more, "-o", "out.csv", "--model", toy)
    assert given == [("in.csv", ""), ("in.csv", ""), ("in.csv", "head:6379")]
    ran = command("batch", "--ray", "head:6379", "-o", "out.csv", "--model", toy)
    assert ran.code == 2 and "say which table" in ran.err
