"""An audit log: whatever is done to it is found, but for what it says it cannot find; and it holds no value of a record unless told to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest
from conftest import STRESSED, Ran
from hypothesis import given, settings
from hypothesis import strategies as st

from sensecf_edge.answer.result import Explanation
from sensecf_edge.audit.chain import START, answers, sealed, verify
from sensecf_edge.audit.log import Log
from sensecf_edge.errors import AuditError
from sensecf_edge.explain import Explainer
from sensecf_edge.space.constraints import Constraints

WHEN = datetime(2031, 2, 3, 4, 5, 6, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def explanation(toy: Path) -> Explanation:
    with Explainer.load(toy) as explainer:
        return explainer.explain(STRESSED, n=2, constraints=Constraints(freeze=frozenset({"smoker"}), bounds={"steps": (2000.0, 15000.0)}))


def written(path: Path, explanation: Explanation, count: int = 3) -> list[bytes]:
    """A log of so many answers with a note on each."""
    log = Log(path)
    for k in range(count):
        log.noted(log.answered(explanation, WHEN), k % 2 == 0, "walks with a stick", 1, WHEN)
    return path.read_bytes().splitlines(keepends=True)


def test_a_line_says_when_by_what_what_was_asked_and_shown_and_no_value_of_the_record(explanation: Explanation, tmp_path: Path) -> None:
    log = Log(tmp_path / "log.jsonl")
    key = log.answered(explanation, WHEN)
    log.noted(key, False, "walks with\na stick", 1, WHEN)
    first, second = (json.loads(line) for line in (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines())
    assert (first["n"], first["before"], first["at"], first["hash"]) == (1, START, "2031-02-03T04:05:06+00:00", key)
    assert (first["model"], first["bundle"]) == ("toy", explanation.provenance.bundle)
    assert first["asked"]["freeze"] == ["smoker"] and first["asked"]["bounds"] == {"steps": [2000, 15000]}
    assert [option["changes"] for option in first["shown"]["options"]] == [[c.feature for c in a.changes] for a in explanation.found]
    assert first["shown"]["risk"] == explanation.risk.now and "values" not in first
    assert not {"44", "3000", "record", "before_value"} & set(str(first["shown"]).replace("'", " ").replace(",", " ").split())
    assert (second["of"], second["accepted"], second["option"], second["reason"]) == (key, False, 1, "walks with a stick")
    assert (tmp_path / "log.jsonl").stat().st_mode & 0o777 == 0o600 and [one for one, _ in answers(tmp_path / "log.jsonl")] == [key]


def test_values_are_kept_when_that_is_asked(explanation: Explanation, tmp_path: Path) -> None:
    Log(tmp_path / "log.jsonl", values=True).answered(explanation)
    told = json.loads((tmp_path / "log.jsonl").read_bytes())["values"]
    assert told["record"] == dict(explanation.factual)
    assert told["options"][0] == {c.feature: c.after for c in explanation.found[0].changes}


HARM: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "a value altered": lambda lines: [*lines[:2], lines[2].replace(b'"toy"', b'"boy"'), *lines[3:]],
    "a number of a line altered": lambda lines: [lines[0].replace(b'"n": 1', b'"n": 2'), *lines[1:]],
    "removed in the middle": lambda lines: [*lines[:2], *lines[3:]],
    "the first removed": lambda lines: lines[1:],
    "two changed places": lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
    "one twice": lambda lines: [*lines[:3], lines[2], *lines[3:]],
    "cut within a line": lambda lines: [*lines[:-1], lines[-1][:-20]],
    "one of another log put in": lambda lines: [*lines[:3], sealed({"what": "note"}, 4, START)[0], *lines[3:]],
    "altered and its hash made anew": lambda lines: [*lines[:2], _anew(lines[2]), *lines[3:]],
    "a second value before the true one": lambda lines: [
        *lines[:2], lines[2].replace(b'"status": ', b'"status": "none", "status": '), *lines[3:]],
    "no JSON": lambda lines: [*lines[:2], b"hello\n", *lines[2:]],
    "no object": lambda lines: [*lines[:2], b"[" * 9000 + b"\n", *lines[2:]],
}


def _anew(line: bytes) -> bytes:
    entry = json.loads(line)
    number, before = entry.pop("n"), entry.pop("before")
    entry.pop("hash")
    return sealed({**entry, "model": "another"}, number, before)[0]


@pytest.mark.parametrize("harm", HARM)
def test_a_line_that_was_altered_removed_or_moved_is_found(harm: str, explanation: Explanation, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    lines = written(path, explanation)
    assert verify(path).faults == () and verify(path).lines == 6
    path.write_bytes(b"".join(HARM[harm](lines)))
    assert verify(path).faults, harm


@settings(max_examples=40)
@given(at=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_no_flipped_bit_passes(at: int, bit: int, explanation: Explanation, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    data = bytearray(b"".join(written(path, explanation, 1)))
    data[at % len(data)] ^= 1 << bit
    path.write_bytes(bytes(data))
    found = verify(path)
    same = [json.loads(line) for line in bytes(data).splitlines()] if not found.faults else []
    Path(path).unlink()
    written(path, explanation, 1)
    assert found.faults or same == [json.loads(line) for line in path.read_bytes().splitlines()]  # a blank for a blank says the same


def test_a_cut_tail_and_a_file_written_anew_are_found_by_an_anchor_alone(explanation: Explanation, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    lines = written(path, explanation)
    anchor = verify(path).last
    path.write_bytes(b"".join(lines[:-2]))
    assert verify(path).faults == () and "cut off the end" in verify(path, anchor).faults[0][1]
    path.unlink()
    Log(path).answered(explanation)
    assert verify(path).faults == () and verify(path, anchor).faults
    path.write_bytes(b"".join(lines))
    Log(path).answered(explanation)
    assert verify(path, anchor).faults == ()  # it may grow


def test_nothing_is_written_behind_a_line_that_is_not_whole_nor_through_a_link(explanation: Explanation, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    lines = written(path, explanation, 1)
    for harmed in (b"".join(lines)[:-9], b"".join(lines).replace(b"stick", b"brick"), b"my diary\n"):
        path.write_bytes(harmed)
        with pytest.raises(AuditError, match=r"last line of .* is not whole"):
            Log(path)
        assert path.read_bytes() == harmed
    os.symlink(path, tmp_path / "link.jsonl")
    with pytest.raises(AuditError, match="link"):
        Log(tmp_path / "link.jsonl")
    with pytest.raises(AuditError, match="cannot write"):
        Log(tmp_path / "nowhere" / "log.jsonl")
    with pytest.raises(AuditError, match="500 are kept"):
        Log(tmp_path / "new.jsonl").noted("0" * 64, True, "a" * 501)


def test_a_full_disk_leaves_no_half_line_and_the_log_goes_on(explanation: Explanation, tmp_path: Path) -> None:
    import resource
    import signal

    path = tmp_path / "log.jsonl"
    written(path, explanation, 1)
    whole, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    held = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 40, limits[1]))
        with pytest.raises(AuditError, match="cannot write"):
            Log(path).noted("0" * 64, True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, held)
    assert path.read_bytes() == whole
    Log(path).noted("0" * 64, True, "half \ud800 a pair")
    assert not verify(path).faults and json.loads(path.read_bytes().splitlines()[-1])["reason"] == "half \ud800 a pair"


def test_several_programs_write_to_one_log_and_none_loses_a_line(tmp_path: Path) -> None:
    program = "import sys; from pathlib import Path; from sensecf_edge.audit.log import Log; log = Log(Path(sys.argv[1]))\n" \
              "for k in range(30): log.noted('0' * 64, True, str(k))"  # fmt: skip
    running = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "log.jsonl")]) for _ in range(3)]
    assert [one.wait(120) for one in running] == [0, 0, 0]
    found = verify(tmp_path / "log.jsonl")
    assert (found.lines, found.faults) == (90, ())


def test_the_commands_write_note_and_verify(command: Callable[..., Ran], toy: Path, tmp_path: Path) -> None:
    (tmp_path / "me.json").write_text(json.dumps(STRESSED))
    log = tmp_path / "log.jsonl"
    explain = ("explain", tmp_path / "me.json", "--model", toy, "--audit", log)
    ran = command(*explain)
    key = ran.err.removeprefix("audit: ").strip()
    assert ran.code == 0 and list(answers(log)) == [(key, 1)] and "44" not in str(json.loads(log.read_bytes())["shown"])
    assert command("audit", "note", log, "--of", key[:10], "--not-followed", "--reason", "no time").code == 0
    assert command("audit", "note", log, "--of", "zz", "--accepted").code == 2
    assert "this answer showed 1" in command("audit", "note", log, "--of", key, "--accepted", "--option", "2").err
    whole = command("audit", "verify", log)
    assert whole.code == 0 and "ok    2 lines; anchor " in whole.out and "without --anchor" in whole.err
    anchor = whole.out.split("anchor ")[1].strip()
    assert command("audit", "verify", log, "--anchor", anchor).code == 0
    log.write_bytes(log.read_bytes().replace(b"no time", b"NO TIME"))
    broken = command("audit", "verify", log)
    assert broken.code == 1 and "FAIL  line 2: it was altered" in broken.out
    refused = command(*explain)  # an answer that cannot be logged is not shown
    assert refused.code == 1 and refused.out == "" and "audit verify" in refused.err
    assert command("explain", tmp_path / "me.json", "--model", toy, "--audit-values").code == 2
