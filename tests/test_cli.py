"""The command line: the answer on stdout, the talk on stderr, an exit code that scripts can trust, and no traceback."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
from conftest import CALM, PATIENCE, STRESSED, Ran, toy_manifest
from test_result import SHAPE

from sensecf_edge.answer.result import Explanation
from sensecf_edge.bundle.bundle import write_manifest
from sensecf_edge.cli import terminal
from sensecf_edge.cli.commands import COMMANDS
from sensecf_edge.cli.main import cli
from sensecf_edge.errors import ConstraintError, MissingExtraError
from sensecf_edge.settings import RECORD

Command = Callable[..., Ran]
NOTHING_REACHES = ("--freeze", "smoker", "--freeze", "deep_sleep", "--bound", "steps=3000:5000")
PROGRAM = [sys.executable, "-m", "sensecf_edge"]


def explain(command: Command, toy: Path, record: Any, *more: str) -> Ran:
    stdin = record if isinstance(record, bytes) else json.dumps(record).encode()
    return command("explain", "-", "--model", toy, *more, stdin=stdin)


def refused(ran: Ran, code: int, *parts: str) -> None:
    """Exit code, nothing on stdout, one line on stderr that holds every part."""
    assert (ran.code, ran.out) == (code, ""), ran
    assert ran.err.count("\n") == 1 and ran.err.startswith("Error: "), ran.err
    assert len(ran.err) < 1000
    for part in parts:
        assert part in ran.err, ran.err


def test_an_answer_is_a_table_on_stdout_and_exit_0(command: Command, toy: Path) -> None:
    ran = explain(command, toy, STRESSED)
    assert (ran.code, ran.err) == (0, "")
    assert "Prediction now: stressed" in ran.out and "these were so, the model would" in ran.out and "poorly (AUC 0.63" in ran.out


def test_json_is_a_valid_explanation_whatever_the_outcome(command: Command, toy: Path) -> None:
    for record, more, code, status in ((STRESSED, (), 0, "found"), (CALM, (), 0, "already"), (STRESSED, NOTHING_REACHES, 3, "none")):
        ran = explain(command, toy, record, "--json", *more)
        data = json.loads(ran.out)
        jsonschema.Draft202012Validator(SHAPE).validate(data)
        assert (ran.code, data["status"], ran.err) == (code, status, "")
        assert Explanation.from_json(data).to_json() == data


def test_the_same_seed_gives_the_same_answer_and_a_file_the_same_as_stdin(command: Command, toy: Path, tmp_path: Path) -> None:
    (tmp_path / "me.json").write_text(json.dumps(STRESSED))
    runs = [
        explain(command, toy, STRESSED, "--json", "--seed", "5"),
        command("explain", tmp_path / "me.json", "--model", toy, "--json", "--seed", "5"),
        command("explain", "--sample", "1", "--model", toy, "--json", "--seed", "5"),
        command("explain", "--sample", "restless", "--model", toy, "--json", "--seed", "5"),
    ]
    answers = [json.loads(ran.out) for ran in runs]
    for answer in answers:
        del answer["seconds"]
    assert all(answer == answers[0] for answer in answers)


def test_already_in_the_wanted_class_exits_0_and_proposes_nothing(command: Command, toy: Path) -> None:
    ran = explain(command, toy, CALM)
    assert ran.code == 0 and "Nothing needs to change" in ran.out and "Change" not in ran.out


def test_none_within_budget_exits_3_with_reasons_counted(command: Command, toy: Path) -> None:
    ran = explain(command, toy, STRESSED, *NOTHING_REACHES)
    assert ran.code == 3 and "No answer found" in ran.out and " x  the risk stays over 45 %" in ran.out


def test_bounds_freezes_and_max_changes_are_kept(command: Command, toy: Path) -> None:
    ran = explain(command, toy, STRESSED, "--json", "-n", "3", "--freeze", "smoker", "--bound", "steps=0:9000", "--max-changes", "2")
    found = json.loads(ran.out)["found"]
    assert found
    for answer in found:
        after = {change["feature"]: change["after"] for change in answer["changes"]}
        assert "smoker" not in after and after.get("steps", 0) <= 9000 and len(after) <= 2


RECORDS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "unknown feature": ({**STRESSED, "stepps": 1}, ("unknown: stepps", "did you mean steps?")),
    "misspelt feature": ({"age": 44, "stepz": 3000, "smoker": "yes"}, ("unknown: stepz (did you mean steps?)", "missing: steps")),
    "absent feature": ({"age": 44, "smoker": "yes"}, ("missing: steps",)),
    "null where it must not be": ({**STRESSED, "steps": None}, ("steps is null", "0 to 20000")),
    "text for a number": ({**STRESSED, "steps": "many"}, ("steps must be a number, not 'many'", "0 to 20000")),
    "true for a number": ({**STRESSED, "steps": True}, ("steps must be a number, not True",)),
    "list for a number": ({**STRESSED, "steps": [1]}, ("steps must be a number, not [1]",)),
    "NaN": (b'{"age": 44, "steps": NaN, "smoker": "yes"}', ("NaN is not a value",)),
    "infinity": (b'{"age": 44, "steps": -Infinity, "smoker": "yes"}', ("-Infinity is not a value",)),
    "infinity by overflow": (b'{"age": 44, "steps": 1e999, "smoker": "yes"}', ("steps cannot be inf", "0 to 20000")),
    "huge whole number": (b'{"age": 44, "steps": 1' + b"0" * 400 + b', "smoker": "yes"}', ("steps cannot be", "0 to 20000")),
    "a choice that is none": ({**STRESSED, "smoker": "maybe"}, ("smoker cannot be 'maybe'", "one of yes, no")),
    "out of range": ({**STRESSED, "age": 17}, ("age cannot be 17", "18 to 90 years")),
    "a list": (b"[1, 2]", ("standard input is not a JSON object but a list",)),
    "a number": (b"7", ("not a JSON object but a number",)),
    "null": (b"null", ("not a JSON object but null",)),
    "nothing": (b"", ("standard input is not JSON",)),
    "cut": (b'{"age": 4', ("standard input is not JSON",)),
    "not UTF-8": (b'{"age": "\xff"}', ("standard input is not UTF-8 (byte 9)",)),
    "a key twice": (b'{"age": 44, "age": 45}', ("the key 'age' stands twice",)),
    "nested deeply": (b"[" * 200_000, ("nested too deeply",)),
    "over the limit": (b'{"age": ' + b"4" * RECORD.max_bytes, ("over 1,000,000 bytes",)),
    "a long value": ({**STRESSED, "steps": "x" * 100_000}, ("steps must be a number", "0 to 20000")),
    "a long key": ({**STRESSED, "x" * 100_000: 1}, ("unknown: xxx",)),
    "control characters": ({**STRESSED, "steps": "\x1b[2J\n"}, ("steps must be a number",)),
}


@pytest.mark.parametrize("case", RECORDS, ids=list(RECORDS))
def test_a_record_that_does_not_fit_exits_2_in_one_line_that_names_it(case: str, command: Command, toy: Path) -> None:
    record, parts = RECORDS[case]
    ran = explain(command, toy, record)
    refused(ran, 2, *parts)
    assert "\x1b" not in ran.err


def test_a_value_outside_the_reference_range_is_a_warning_and_an_absent_optional_one_is_told(command: Command, toy: Path) -> None:
    ran = explain(command, toy, {"age": 44, "steps": 500, "smoker": "yes"}, "--json")
    data = json.loads(ran.out)
    assert any("Steps a day is outside the range seen in training (1000 to 16000)" in w for w in data["warnings"])
    assert data["factual"]["deep_sleep"] is None
    assert all(change["feature"] != "deep_sleep" for answer in data["found"] for change in answer["changes"])


REQUESTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "everything frozen": (("--freeze", "steps", "--freeze", "deep_sleep", "--freeze", "smoker"), ("every mutable feature is frozen",)),
    "contradicting bounds": (("--bound", "steps=1000:2000", "--bound", "steps=5000:6000"), ("bounds on steps contradict",)),
    "bound upside down": (("--bound", "steps=6000:5000"), ("steps=6000:5000 is empty",)),
    "bound outside what is possible": (("--bound", "steps=90000:99000"), ("steps=90000:99000 lies outside", "0 to 20000")),
    "frozen and bounded": (("--bound", "steps=0:9", "--freeze", "steps"), ("steps is both frozen and bounded",)),
    "bound on a choice": (("--bound", "smoker=0:1"), ("smoker is a choice",)),
    "bound without numbers": (("--bound", "steps"), ("--bound 'steps' is not FEATURE=LOW:HIGH",)),
    "bound NaN": (("--bound", "steps=nan:nan"), ("steps=nan:nan is empty",)),
    "unknown feature frozen": (("--freeze", "stepz"), ("unknown: stepz (did you mean steps?)",)),
    "no changes allowed": (("--max-changes", "0"), ("max-changes is 0",)),
}


@pytest.mark.parametrize("case", REQUESTS, ids=list(REQUESTS))
def test_a_request_that_leaves_nothing_exits_2_and_names_the_constraint(case: str, command: Command, toy: Path) -> None:
    options, parts = REQUESTS[case]
    refused(explain(command, toy, STRESSED, *options), 2, *parts)


def test_bounds_that_leave_this_person_nothing_are_an_answer_with_its_reason(command: Command, toy: Path) -> None:
    options = ("--bound", "steps=3000:3000", "--bound", "deep_sleep=10:10", "--freeze", "smoker", "--json")
    ran = explain(command, toy, STRESSED, *options)
    told = json.loads(ran.out)
    assert (ran.code, told["status"]) == (3, "none") and "Steps a day 3000 to 3000, Deep sleep 10 to 10 leave no value" in told["reason"]


USAGE: dict[str, tuple[tuple[str, ...], str]] = {
    "no command": (("bogus",), "No such command 'bogus'"),
    "misspelt option": (("explain", "--sample", "1", "--modle", "x"), "did you mean"),
    "no model": (("explain", "--sample", "1"), "say which model: --model"),
    "no record": (("explain", "--model", "toy"), "sensecf-edge explain --sample 1 --model toy"),
    "record and sample": (("explain", "a.json", "--sample", "1", "--model", "toy"), "only one of them"),
    "no answers": (("explain", "--sample", "1", "--model", "toy", "-n", "0"), "0 is not in the range"),
    "seed no number": (("explain", "--sample", "1", "--model", "toy", "--seed", "x"), "not a valid integer"),
    "fit without target": (("fit", "t.csv"), "Missing option '--target'"),
}


@pytest.mark.parametrize("case", USAGE, ids=list(USAGE))
def test_wrong_use_exits_2_and_says_how_to_go_on(case: str, command: Command) -> None:
    arguments, part = USAGE[case]
    ran = command(*arguments)
    assert (ran.code, ran.out) == (2, "") and part.lower() in ran.err.lower() and "Traceback" not in ran.err


def test_a_sample_that_is_not_there_exits_2_and_lists_those_that_are(command: Command, toy: Path) -> None:
    refused(command("explain", "--sample", "3", "--model", toy), 2, "no sample '3'", "1 to 2", "restless, rested")


def test_a_record_that_cannot_be_read_exits_2_in_one_line(command: Command, toy: Path, tmp_path: Path) -> None:
    refused(command("explain", tmp_path / "no.json", "--model", toy), 2, "cannot read", "no.json", "No such file")
    refused(command("explain", tmp_path, "--model", toy), 2, "cannot read", "Is a directory")
    refused(command("explain", "a\0b", "--model", toy), 2, "cannot read")


def test_a_hundred_megabytes_are_refused_without_being_read(command: Command, toy: Path, tmp_path: Path) -> None:
    with (tmp_path / "huge.json").open("wb") as file:
        file.truncate(100_000_000)
    tracemalloc.start()
    try:
        refused(command("explain", tmp_path / "huge.json", "--model", toy), 2, "huge.json holds over 1,000,000 bytes")
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()


def test_an_endless_standard_input_is_refused(toy: Path) -> None:
    with Path("/dev/zero").open("rb") as endless:
        ran = subprocess.run([*PROGRAM, "explain", "-", "--model", toy], stdin=endless, capture_output=True, text=True, timeout=PATIENCE)
    refused(Ran(ran.returncode, ran.stdout, ran.stderr), 2, "over 1,000,000 bytes")


def test_a_damaged_bundle_exits_1_and_names_the_file(command: Command, toy_copy: Path) -> None:
    (toy_copy / "generator.gguf").write_bytes(b"GGUF")
    refused(explain(command, toy_copy, STRESSED), 1, "generator.gguf", "holds 4 bytes")
    ran = command("models", "verify", toy_copy)
    assert ran.code == 1 and ran.out.startswith("FAIL  ") and "generator.gguf" in ran.out


def test_an_unknown_model_exits_1_and_lists_the_names(command: Command) -> None:
    refused(command("explain", "--sample", "1", "--model", "nope"), 1, "no model is called 'nope'", "shipped models:")


def test_models_are_listed_shown_and_verified(command: Command, toy_copy: Path) -> None:
    assert command("models", "list").code == 0
    assert "Toy model" in command("models", "show", toy_copy).out
    assert command("models", "show", toy_copy, "--card").out == (toy_copy / "CARD.md").read_text()
    assert json.loads(command("models", "show", toy_copy, "--sample", "1").out) == STRESSED
    (toy_copy / "notes.txt").write_text("x")
    ran = command("models", "verify", toy_copy)
    assert ran.code == 0 and ran.out.startswith("ok    ") and "not listed, never read: notes.txt" in ran.out


def test_doctor_names_versions_machine_models_and_extras(command: Command) -> None:
    ran = command("doctor")
    for part in ("sensecf-edge", "llama-cpp-python", "llama.cpp build", "onnxruntime build", "cpu", "threads", "extra [convert]"):
        assert part in ran.out
    assert ran.code == 0 and "!" not in ran.out, ran.out


def test_every_command_has_help(command: Command) -> None:
    def walk(group: Any, path: tuple[str, ...]) -> None:
        ran = command(*path, "--help")
        assert ran.code == 0 and ran.out.startswith("Usage: sensecf-edge") and ran.err == ""
        for name in group.list_commands(context) if isinstance(group, click.Group) else ():
            below = group.get_command(context, name)
            assert below.help and below.name == name and re.search(rf"^  {name} ", ran.out, flags=re.MULTILINE), name
            walk(below, (*path, name))

    context = click.Context(cli)
    walk(cli, ())
    assert set(COMMANDS) < set(cli.list_commands(context))
    assert command("--version").out.startswith("sensecf-edge ")


def test_a_missing_extra_names_the_command_that_installs_it() -> None:
    message = r'torch is not installed.*pip install "sensecf-edge\[convert\]"'
    with pytest.raises(MissingExtraError, match=message), terminal.extra("convert"):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")


def test_bounds_on_one_feature_are_intersected() -> None:
    assert terminal.bounds(["a=1:5", "b:c=0:1", "a=2:9"]) == {"a": (2, 5), "b:c": (0, 1)}
    with pytest.raises(ConstraintError):
        terminal.bounds(["a=1:5:7"])


def test_a_very_long_message_keeps_both_ends() -> None:
    line = terminal.one_line("start\n" + "x" * 10_000 + "\x1bend")
    assert line.startswith("start x") and line.endswith(" end") and len(line) < 1000


def test_no_record_value_reaches_stderr_of_a_good_run(command: Command, toy: Path) -> None:
    assert explain(command, toy, STRESSED, "--json").err == ""


READY = "import sys; from sensecf_edge.__main__ import main; print('ready', flush=True); main()"


@pytest.mark.parametrize("record", [None, STRESSED], ids=["waiting for a record", "at work"])
@pytest.mark.parametrize("delay", [0.05, 0.15, 0.25, 0.35, 0.6])
def test_ctrl_c_leaves_with_130_and_without_a_word(delay: float, record: Any, toy: Path) -> None:
    """The interrupt comes while click, numpy or the engines are imported, or later; work may be done before it comes."""
    program = [sys.executable, "-c", READY, "explain", "-", "--model", str(toy)]
    running = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert running.stdin and running.stdout
    assert running.stdout.readline() == b"ready\n"
    if record is not None:
        running.stdin.write(json.dumps(record).encode())
        running.stdin.close()
        running.stdin = None
    time.sleep(delay)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=PATIENCE)
    assert err == b""
    # An interpreter that is shutting down has given SIGINT back to the system, which ends it without a word, too.
    done = record is not None and running.returncode in (0, -signal.SIGINT) and out
    assert running.returncode == 130 or done


def test_an_interrupted_build_tidies_up_before_it_leaves_with_130(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys, types\nfrom sensecf_edge.__main__ import main\n"
        "def fit(**options):\n"
        "    try:\n        os.kill(os.getpid(), signal.SIGINT)\n        signal.pause()\n"
        "    finally:\n        print('tidy')\n"
        "sys.modules['sensecf_convert.fit'] = types.SimpleNamespace(fit=fit)\nmain()\n"
    )
    (tmp_path / "t.csv").write_text("c,a\n" + "".join(f"{k % 7},{'ab'[k % 2]}\n" for k in range(60)))
    (tmp_path / "s.json").write_text('{"features": [{"name": "c", "low": 0, "high": 9, "step": 1}]}')
    options = ["fit", "t.csv", "--target", "a", "--wanted", "b", "--schema", "s.json", "-o", "x"]
    ran = subprocess.run([sys.executable, "-c", program, *options], capture_output=True, text=True, timeout=PATIENCE, cwd=tmp_path)
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "tidy\n", "")


@pytest.mark.parametrize("arguments", [("--help",), ("explain", "--sample", "1", "--json"), ("models", "show")])
def test_a_closed_pipe_is_no_traceback(arguments: tuple[str, ...], toy: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    model = () if arguments == ("--help",) else (toy,) if arguments[0] == "models" else ("--model", toy)
    ran = subprocess.run([*PROGRAM, *arguments, *map(str, model)], stdout=writing, stderr=subprocess.PIPE, timeout=PATIENCE)
    os.close(writing)
    assert (ran.returncode, ran.stderr) == (141, b"")


def test_a_full_disk_is_one_line_and_exit_1(toy: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    with open("/dev/full", "wb") as full:
        ran = subprocess.run([*PROGRAM, "models", "show", toy], stdout=full, stderr=subprocess.PIPE, timeout=PATIENCE)
    assert ran.returncode == 1 and ran.stderr.count(b"\n") == 1 and b"No space left" in ran.stderr


def test_plain_ascii_where_the_terminal_has_no_more(toy: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    for arguments in (("explain", "--sample", "1", "--model"), ("models", "show", "--card"), ("models", "show")):
        ran = subprocess.run([*PROGRAM, *arguments, toy], env=environment, capture_output=True, timeout=PATIENCE)
        assert ran.returncode == 0 and ran.stdout.isascii() and ran.stderr == b"", ran


def test_a_shipped_model_explains_every_sample_it_ships(command: Command, shipped: str) -> None:
    from sensecf_edge.bundle.bundle import Bundle

    for i in range(min(4, len(Bundle.open(shipped).samples))):
        ran = command("explain", "--sample", i + 1, "--model", shipped, "--json")
        data = json.loads(ran.out)
        jsonschema.Draft202012Validator(SHAPE).validate(data)
        assert (ran.code, ran.err) == (3 if data["status"] == "none" else 0, "")
        assert all(answer["p_target"] >= data["threshold"] + data["margin"] for answer in data["found"])


HOSTILE = "\x1b[2J\x9b5n\u202e\x07"


def test_nothing_of_a_bundle_can_steer_the_terminal(command: Command, toy_copy: Path) -> None:
    (toy_copy / "CARD.md").write_text(f"# Toy\n\tcode\n{HOSTILE}\n", encoding="utf-8")
    (toy_copy / f"x{HOSTILE}y").write_text("", encoding="utf-8")
    write_manifest(toy_copy, {**toy_manifest(), "title": HOSTILE, "not_for": HOSTILE, "name": f"toy{HOSTILE}"})
    for arguments in (("models", "show", toy_copy, "--card"), ("models", "show", toy_copy), ("models", "verify", toy_copy),
                      ("models", "show", toy_copy, "--sample", "1"), ("explain", "--sample", "1", "--model", toy_copy),
                      ("explain", "--sample", "1", "--model", toy_copy, "--json")):  # fmt: skip
        ran = command(*arguments)
        assert all(c.isprintable() or c in "\n\t" for c in ran.out + ran.err), arguments
    assert "# Toy\n\tcode\n?[2J" in command("models", "show", toy_copy, "--card").out
    assert json.loads(command("explain", "--sample", "1", "--model", toy_copy, "--json").out)["provenance"]["model"] == f"toy{HOSTILE}"


@pytest.mark.parametrize(("text", "share"), [("0.05", 0.05), ("5%", 0.05), (" 12.5 % ", 0.125)])
def test_a_base_rate_is_a_share_or_a_percentage(command: Command, toy: Path, text: str, share: float) -> None:
    told = json.loads(command("explain", "--sample", "1", "--model", toy, "--base-rate", text, "--json").out)["risk"]
    assert (told["base_rate"], told["base_rate_from"]) == (pytest.approx(share), "request")
    assert "as the request states it" in " ".join(command("models", "show", toy, "--base-rate", text).out.split())


@pytest.mark.parametrize("text", ["14", "0", "1", "100%", "-5%", "many", "5%%", "nan", ""])
def test_a_base_rate_that_is_none_is_wrong_use(command: Command, toy: Path, text: str) -> None:
    ran = command("explain", "--sample", "1", "--model", toy, "--base-rate", text)
    assert ran.code == 2 and "--base-rate" in ran.err and "0.14" in ran.err and not ran.out
