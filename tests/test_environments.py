"""Packages in environments of their own: programs that hang or crash, locks, and the Python that each is made with."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from sensecf_convert.compare import command, environments, methods, question, running

from sensecf_edge.errors import MissingExtraError


def test_a_program_that_hangs_is_ended_and_started_behind_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Record 1 hangs where no signal reaches it; record 2 crashes; all others answer."""

    program = tmp_path / "program.py"
    program.write_text(
        "import json, sys, time, signal\n"
        "say = lambda **line: print(json.dumps(line), flush=True)\n"
        "say(ready=True)\n"
        "for k in range(int(sys.argv[3]), 5):\n"
        "    if k == 1: time.sleep(60)\n"
        "    if k == 2: raise ValueError('secret 12345')\n"
        "    say(k=k, y=[1.0], seconds=0.1, rows=2, why='')\n"
    )
    monkeypatch.setattr(environments, "environment_python", lambda name: Path(sys.executable))
    monkeypatch.setattr(environments, "PROGRAMS", tmp_path)
    monkeypatch.setattr(running, "GRACE", 0.5)
    monkeypatch.setattr(running, "PATIENCE", 2.0)
    method = methods.Method("hangs", "nice", "program.py", False, "")
    done = running.run(method, tmp_path, 5, question.Options(seconds=0.5), lambda *_: None)
    assert [a["why"] for a in done.answers] == ["", "time limit", "it crashed (ValueError)", "", ""] and not done.failed
    over = running.run(method, tmp_path, 5, question.Options(seconds=30, minutes=0.01), lambda *_: None)
    assert [a["why"] for a in over.answers] == [""] + ["not reached"] * 4


def test_a_program_that_cannot_start_fails_with_its_kind_of_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    (tmp_path / "program.py").write_text("import a_package_that_is_not_there\n")
    monkeypatch.setattr(environments, "environment_python", lambda name: Path(sys.executable))
    monkeypatch.setattr(environments, "PROGRAMS", tmp_path)
    done = running.run(methods.Method("broken", "nice", "program.py", False, ""), tmp_path, 3, question.Options(), lambda *_: None)
    assert done.failed == "its program ends before it answers (ModuleNotFoundError)"


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Locks and environments of this test alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(environments, "LOCKS", tmp_path)
    return tmp_path


def test_an_environment_that_cannot_be_installed_says_what_to_do(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    (own_cache / "treecf.txt").write_text("a-package-that-is-not-there==1\n")
    with pytest.raises(MissingExtraError, match=r"packages of treecf cannot be installed for .*that-is-not-there.* kept in "):
        environments.environment_python("treecf")
    assert environments.cached("treecf") is None


def test_another_lock_is_another_environment(own_cache: Path) -> None:
    places = set()
    for text in ("treecf==0.3.2\n", "treecf==0.3.2\nnumpy==2.4.6\n"):
        (own_cache / "treecf.txt").write_text(text)
        places.add(environments.home("treecf"))
    assert len(places) == 2


def test_every_environment_has_a_lock_that_names_its_package_and_pins_all_it_holds() -> None:
    assert {m.environment for m in methods.METHODS.values()} - {methods.OWN} <= set(environments.NAMES)
    for name in environments.NAMES:
        lines = environments.lock(name).splitlines()
        assert all(re.fullmatch(r"[\w.-]+==[\w.+!]+", line) for line in lines), lines
    packages = {m.environment: command.MAIN_PACKAGES[m.environment] for m in methods.METHODS.values() if m.environment != methods.OWN}
    for name, mains in packages.items():
        held = {line.split("==")[0].lower().replace("_", "-") for line in environments.lock(name).splitlines()}
        assert set(mains) <= held


def test_a_python_may_be_named_and_one_that_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SENSECF_PYTHON_OCEANPY", sys.executable)
    assert environments.interpreter("oceanpy") == Path(sys.executable)
    monkeypatch.setenv("SENSECF_PYTHON_OCEANPY", str(tmp_path / "none"))
    with pytest.raises(MissingExtraError, match="no Python that can be started"):
        environments.interpreter("oceanpy")
    monkeypatch.delenv("SENSECF_PYTHON_OCEANPY")
    monkeypatch.setitem(environments.NEEDS, "oceanpy", (98, 99))
    with pytest.raises(MissingExtraError, match=r"needs Python 3.98 to 3.99 .*SENSECF_PYTHON_OCEANPY=/path/to/python"):
        environments.environment_python("oceanpy")
    assert environments.cached("oceanpy") is None
