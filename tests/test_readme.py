"""What README says runs: every command parses, those that need no data are run, and the Python in it is executed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from conftest import Ran

from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.cli.main import cli

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
SHELL, PYTHON = ("bash", "console", "sh", "shell"), ("py", "python")
NEEDS_NO_DATA = ("models", "explain", "doctor")
MAKEFILE = (Path(__file__).parents[1] / "Makefile").read_text(encoding="utf-8")


def commands() -> list[str]:
    """Every shell line of every block: prompts taken off, continued lines joined; output has no prompt in a console block."""
    out = []
    for language, text in BLOCKS:
        if language not in SHELL:
            continue
        lines = text.replace("\\\n", " ").splitlines()
        prompted = any(line.startswith("$ ") for line in lines)
        out += [line.removeprefix("$ ") for line in lines if line.startswith("$ ") or not prompted]
    return [line for line in out if line.strip() and not line.startswith("#")]


def arguments(line: str) -> list[str]:
    """What a line hands to sensecf-edge, up to a pipe or a redirection."""
    words = shlex.split(line, comments=True)
    words = words[words.index("sensecf-edge") + 1 :]
    ends = [i for i, word in enumerate(words) if word in ("|", ">", ">>", "&&", ";", "<")]
    return words[: ends[0]] if ends else words


OURS = [line for line in commands() if "sensecf-edge" in shlex.split(line, comments=True)]


def test_readme_shows_commands_and_python() -> None:
    assert len(OURS) >= 5 and any(language in PYTHON for language, _ in BLOCKS)


@pytest.mark.parametrize("name", ["demo", "test"])
def test_readme_names_both_commands_of_a_fresh_machine_and_make_knows_every_target_it_names(name: str) -> None:
    assert f"make {name}" in README
    for target in re.findall(r"`(?:\$ )?make ([a-z]+)`", README):
        assert re.search(rf"^{target}:", MAKEFILE, flags=re.MULTILINE), target


@pytest.mark.parametrize("line", OURS)
def test_every_command_and_every_option_in_readme_exists(line: str) -> None:
    """click's own parser, command by command; nothing is run."""
    command: click.Command = cli
    rest = arguments(line)
    context = click.Context(cli, info_name="sensecf-edge")
    while isinstance(command, click.Group):
        assert rest, line
        rest = getattr(command, "spelled_out", list)(rest)
        found = command.get_command(context, rest[0])
        assert found is not None, f"{rest[0]} is no command: {line}"
        command, rest = found, rest[1:]
        context = click.Context(command, parent=context, info_name=command.name)
    command.parse_args(context, list(rest))


def test_what_needs_no_data_runs_in_the_order_it_is_written(
    command: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an empty folder; a redirection is followed, so that a record printed by one line is there for the next."""
    monkeypatch.chdir(tmp_path)
    shipped = {name for name, _ in Bundle.available()}
    ran_any = False
    for line in OURS:
        words = shlex.split(line, comments=True)
        given = arguments(line)
        if given[0] not in NEEDS_NO_DATA or "|" in words or not _shipped(given, shipped):
            continue
        ran = command(*given)
        assert (ran.code, ran.err) == (0, ""), f"{line}\n{ran.err}"
        assert ran.out.strip()
        if ">" in words:
            Path(words[words.index(">") + 1]).write_text(ran.out, encoding="utf-8")
        ran_any = True
    assert ran_any


def _shipped(given: list[str], shipped: set[str]) -> bool:
    """Whether every model a line names is there."""
    named = [given[i + 1] for i, word in enumerate(given[:-1]) if word == "--model"]
    if given[:2] in (["models", "show"], ["models", "verify"]):
        named += given[2:3]
    return set(named) <= shipped


@pytest.mark.parametrize("text", [text for language, text in BLOCKS if language in PYTHON])
def test_the_python_in_readme_runs(text: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    needed = set(re.findall(r'Explainer\.load\("(\w+)"\)', text))
    if not needed <= {name for name, _ in Bundle.available()}:
        pytest.fail(f"README explains with {needed}, which is not shipped")
    exec(compile(text, "README.md", "exec"), {"__name__": "readme"})
    assert capsys.readouterr().out.strip()


def test_every_file_and_folder_readme_names_is_there() -> None:
    root = Path(__file__).parents[1]
    first_cells = [line.split("|")[1] for line in README.splitlines() if line.startswith("|")]
    tables = [name for cell in first_cells for name in re.findall(r"`([\w./-]+/[\w./-]*)`", cell)]
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    for name in (*tables, *links):
        assert (root / name).exists(), name


def test_nothing_in_readme_waits_to_be_filled_in() -> None:
    assert not re.findall(r"@[A-Z]+@|TODO|FIXME|XXX", README)
