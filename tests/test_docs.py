"""What README and docs say runs: every command is read by its own parser, and the Python in them is executed.

Commands are run in test_walks.py, page by page, or by the test that is named there. Read and no more are: commands within sentences; lines
of `watch`, `serve` and `doctor`, of a kit and of another machine; targets of make, of which it is asked that they are there. Lines of other
programs (pip, apt-get, openssl, systemctl) are not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import click
import pytest
from pages import PAGES, PYTHON, ROOT, arguments, blocks, commands, inline, modules, of_other_places, ours

from sensecf_edge.cli.main import cli

MAKEFILE = "".join((ROOT / name).read_text(encoding="utf-8") for name in ("Makefile", "figures.mk"))
README = PAGES["README.md"]

UPSTREAM = ("convert_hf_to_gguf.py",)
"""llama.cpp's own."""

ENDINGS = ("csv", "json", "jsonl", "gguf", "onnx", "html", "model", "parquet", "schema")

EVERY = [(page, line) for page in PAGES for line in (*ours(page), *of_other_places(page))]
NAMED = [(page, span) for page in PAGES for span in inline(page) if span.startswith("sensecf-edge")]
MODULES = [(page, line) for page in PAGES for line in (*modules(page), *(span for span in inline(page) if span.startswith("python")))]


def test_the_pages_show_commands_and_python() -> None:
    assert len(ours("README.md")) >= 3 and len(EVERY) >= 30
    assert any(language in PYTHON for page in PAGES for language, _ in blocks(page))


def test_every_block_says_what_it_is() -> None:
    """A block without a language would be read by nobody, its commands by no test."""
    for page, text in PAGES.items():
        fences = re.findall(r"^```(\w*)$", text, flags=re.MULTILINE)
        assert all(fences[::2]), page
        assert not re.findall(r"^    (?:sensecf-edge|python -m) ", text, flags=re.MULTILINE), page


def test_readme_names_both_commands_of_a_fresh_machine_and_make_knows_every_target_that_is_named() -> None:
    assert "make demo" in README and "make test" in README
    for page, text in PAGES.items():
        in_blocks = [found for line in commands(page) for found in re.findall(r"(?:^|&& )make ([a-z][a-z0-9-]*)", line)]
        for target in (*in_blocks, *re.findall(r"`make ([a-z][a-z0-9-]*)", text)):
            assert re.search(rf"^{target}:", MAKEFILE, flags=re.MULTILINE), (page, target)


def parse(command: click.Command, given: Sequence[str], context: click.Context | None = None) -> None:
    """click's own parser; nothing is run."""
    for option in command.params:  # files that a page names need not lie here
        if isinstance(option.type, click.Path):
            option.type = click.Path(path_type=Path)
    with context or click.Context(command) as context:
        command.parse_args(context, list(given))


def command_of(line: str) -> tuple[click.Command, list[str], click.Context]:
    """The command that a line calls, down its groups, and the words behind it."""
    command: click.Command = cli
    rest = arguments(line)
    context = click.Context(cli, info_name="sensecf-edge")
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        rest = getattr(command, "spelled_out", list)(rest)
        found = command.get_command(context, rest[0])
        assert found is not None, f"{rest[0]} is no command: {line}"
        command, rest = found, rest[1:]
        context = click.Context(command, parent=context, info_name=command.name)
    return command, rest, context


@pytest.mark.parametrize("page, line", EVERY)
def test_every_command_and_every_option_exists(page: str, line: str) -> None:
    command, rest, context = command_of(line)
    assert not isinstance(command, click.Group), f"{line} names no command"
    parse(command, rest, context)


def test_every_test_that_a_page_points_at_is_there() -> None:
    tests = {path.name: path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py")}
    for page, text in PAGES.items():
        for file, name in re.findall(r"(test_\w+\.py)::(test_\w+)", text):
            assert f"def {name}(" in tests.get(file, ""), f"{page}: {file}::{name}"


@pytest.mark.parametrize("page, line", NAMED)
def test_a_command_that_a_sentence_names_exists_and_so_do_its_options(page: str, line: str) -> None:
    """What a sentence leaves out, a table or an option's value, is not asked for."""
    command, rest, _ = command_of(line)
    known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)} | {"--help", "--version"}
    assert {word.partition("=")[0] for word in rest if word.startswith("--")} <= known, line


@pytest.mark.parametrize("page, line", MODULES)
def test_every_module_that_is_run_by_name_is_there_and_takes_the_options(page: str, line: str) -> None:
    """Of a command that is only named, without a word behind it, no more than that it is there."""
    pytest.importorskip("torch")
    name, given = line.split()[2], arguments(line)
    spec = find_spec(name)
    assert spec is not None, name
    module = import_module(f"{name}.__main__" if spec.submodule_search_locations else name)
    if given:
        parse(module.main, given)


def test_every_file_and_function_of_ours_that_a_page_names_is_there() -> None:
    """`space/rules.py`, `rules.complete`: a name that went is found here."""
    files = {"/" + str(f.relative_to(ROOT)) for top in ("sensecf_edge", "convert", "tests", "tools") for f in (ROOT / top).rglob("*.py")}
    by_name = {f.rpartition("/")[2].removesuffix(".py"): f for f in files}
    for page, text in PAGES.items():
        for name in re.findall(r"`([\w/]+\.py)`", text):
            assert name in UPSTREAM or any(f.endswith("/" + name) for f in files), (page, name)
        decided = text if page.startswith("docs/decisions/") else ""  # elsewhere such names are keys of files
        for module, what in re.findall(r"`([a-z_]+)\.([a-z_]{3,})(?:\(\))?`", decided):
            if module in by_name and what not in ENDINGS:
                held = [(ROOT / f[1:]).read_text(encoding="utf-8") for f in files if f.endswith(f"/{module}.py")]
                assert any(re.search(rf"\b{what}\b", code) for code in held), (page, f"{module}.{what}")


@pytest.mark.parametrize("page, text", [(page, text) for page in PAGES for language, text in blocks(page) if language in PYTHON])
def test_the_python_runs(page: str, text: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(text, page, "exec"), {"__name__": "page"})
    assert capsys.readouterr().out.strip()


def test_every_file_and_folder_the_pages_name_is_there() -> None:
    for page, text in PAGES.items():
        first_cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("|")]
        tables = [name for cell in first_cells for name in re.findall(r"`((?:sensecf_edge|convert|docs|models)/[\w./-]*)`", cell)]
        links = [link for link in re.findall(r"\]\(([^)#\s]+)(?:#[\w-]*)?\)", text) if "://" not in link]
        for name in tables:
            assert (ROOT / name).exists(), (page, name)
        for link in links:
            assert (ROOT / page).parent.joinpath(link).exists(), (page, link)


def test_nothing_waits_to_be_filled_in() -> None:
    for page, text in PAGES.items():
        assert not re.findall(r"@[A-Z]+@|TODO|FIXME|XXX", text), page
