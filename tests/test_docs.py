"""What README and docs say runs: every command parses, the walks of users are taken, and the Python in them is executed."""

from __future__ import annotations

import csv
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import pytest
import records
from conftest import Ran

from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.cli.main import cli

ROOT = Path(__file__).parents[1]
PAGES = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")))}
README = PAGES["README.md"]
MAKEFILE = "".join((ROOT / name).read_text(encoding="utf-8") for name in ("Makefile", "docs/figures.mk"))
SHELL, PYTHON = ("bash", "console", "sh", "shell"), ("py", "python")
WALKS = ("README.md", "docs/clinic.md", "docs/batch.md", "docs/own-table.md")
"""Pages whose commands are run in the order they are written, beside the files they name."""

UPSTREAM = ("convert_hf_to_gguf.py",)
"""llama.cpp's own."""

ENDINGS = ("csv", "json", "jsonl", "gguf", "onnx", "html", "model", "parquet", "schema")

STAYS = ("watch", "serve", "doctor")
"""Runs until it is ended (tests/test_watch.py, tests/test_serve.py), or tells a machine, which may lack something, by its exit code."""

LESS = {"fit": ("--size", "tiny", "--pairs", "200", "--passes", "0.2", "--no-improve")}
"""What makes a long command short enough for a test; what it does stays whole."""


def blocks(page: str) -> list[tuple[str, str]]:
    return re.findall(r"^```(\w+)\n(.*?)^```", PAGES[page], flags=re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[str]:
    """Every shell line of every block: prompts taken off, continued lines joined; output has no prompt in a console block."""
    out = []
    for language, text in blocks(page):
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


def ours(page: str) -> list[str]:
    return [line for line in commands(page) if "sensecf-edge" in shlex.split(line, comments=True)]


EVERY = [(page, line) for page in PAGES for line in ours(page)]
MODULES = [(page, line) for page in PAGES for line in commands(page) if re.match(r"python -m sensecf_convert", line)]


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
        for target in re.findall(r"(?:`|^\$ )make ([a-z][a-z0-9-]*)", text, flags=re.MULTILINE):
            assert re.search(rf"^{target}:", MAKEFILE, flags=re.MULTILINE), (page, target)


@pytest.mark.parametrize("page, line", EVERY)
def test_every_command_and_every_option_exists(page: str, line: str) -> None:
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
    for option in command.params:  # files that a page names need not lie here
        if isinstance(option.type, click.Path):
            option.type = click.Path(path_type=Path)
    with context:
        command.parse_args(context, list(rest))


@pytest.mark.parametrize("page, line", MODULES)
def test_every_module_that_is_run_by_name_is_there(page: str, line: str) -> None:
    name = line.split()[2].replace(".", "/")
    assert (ROOT / "convert" / f"{name}.py").exists() or (ROOT / "convert" / name / "__main__.py").exists(), (page, line)


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


@pytest.mark.parametrize("page", WALKS)
def test_a_users_walk_through_a_page_goes_through(
    page: str, command: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder with the tables that the page names; a redirection is followed, so that what one line makes is there for the next."""
    monkeypatch.chdir(tmp_path)
    _patients(tmp_path / "patients.csv")
    _cohort(tmp_path)
    _health_record(tmp_path)
    walked = 0
    for line in ours(page):
        given, words = arguments(line), shlex.split(line, comments=True)
        if given[0] in STAYS or "--base" in given:
            continue
        if given[0] == "fit" and page != "docs/own-table.md":
            continue  # the same commands, walked once
        ran = command(*given, *LESS.get(given[0], ()))
        assert ran.code == 0, f"{line}\n{ran.out}\n{ran.err}"
        if ">" in words:
            Path(words[words.index(">") + 1]).write_text(ran.out, encoding="utf-8")
        walked += 1
    assert walked >= 2


def _patients(path: Path) -> None:
    """60 people with two visits each; weight and steps decide, with some luck."""
    rng = np.random.default_rng(0)
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["patient_id", "age", "sex", "steps", "weight", "smoker", "outcome"])
        for person in range(60):
            age, sex = int(rng.integers(30, 80)), rng.choice(["female", "male"])
            for _ in range(2):
                steps, weight = 100 * int(rng.integers(20, 120)), int(rng.integers(55, 110))
                sick = weight / 20 - steps / 2500 + rng.normal(0, 0.7) > 1.3
                out.writerow([person, age, sex, steps, weight, rng.choice(["no", "yes"]), "sick" if sick else "healthy"])


def _cohort(folder: Path) -> None:
    """heart's samples as a cohort, as CSV and as Parquet."""
    import pandas as pd

    rows = [{"patient": f"p{k}", **sample.values} for k, sample in enumerate(Bundle.open("heart").samples)]
    pd.DataFrame(rows).to_csv(folder / "cohort.csv", index=False)
    pd.DataFrame(rows).to_parquet(folder / "cohort.parquet")


def _health_record(folder: Path) -> None:
    """A FHIR Bundle, and what heart's record has beside it."""
    (folder / "bundle.json").write_text(json.dumps(records.bundle(*records.lately(records.survey()))), encoding="utf-8")
    rest = {k: v for k, v in Bundle.open("heart").samples[1].values.items() if k not in ("age", "sex", "trestbps", "chol")}
    (folder / "rest.json").write_text(json.dumps(rest), encoding="utf-8")


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
