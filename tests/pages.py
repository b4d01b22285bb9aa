"""README and docs, and the commands that they show."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")))}
SHELL, PYTHON = ("bash", "console", "sh", "shell"), ("py", "python")

STAYS = ("watch", "serve", "doctor")
"""Runs until it is ended (tests/test_watch.py, tests/test_serve.py), or tells a machine, which may lack something, by its exit code."""


def blocks(page: str) -> list[tuple[str, str]]:
    """Fenced blocks: language and text."""
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


BEFORE = r"(?:[A-Z]+=\S+ |/usr/bin/time -v )*"


def inline(page: str) -> list[str]:
    """Whole commands within sentences, `sensecf-edge ...` and `python -m ...`, where nothing is left out; without what stands before."""
    text = re.sub(r"^```.*?^```", "", PAGES[page], flags=re.M | re.S)
    spans = re.findall(rf"`{BEFORE}((?:sensecf-edge|python -m sensecf_(?:convert\.|bench))[^`]*)`", text)
    return [" ".join(span.split()) for span in spans if "..." not in span]


def arguments(line: str) -> list[str]:
    """What a line hands to sensecf-edge, or to the module of `python -m`, up to a pipe or a redirection."""
    words = shlex.split(line, comments=True)
    words = words[words.index("sensecf-edge") + 1 :] if "sensecf-edge" in words else words[words.index("-m") + 2 :]
    ends = [i for i, word in enumerate(words) if word in ("|", ">", ">>", "&&", ";", "<")]
    return words[: ends[0]] if ends else words


def ours(page: str) -> list[str]:
    """The page's lines that run sensecf-edge."""
    return [line for line in commands(page) if "sensecf-edge" in shlex.split(line, comments=True)]


def modules(page: str) -> list[str]:
    """The page's lines that run a module of the build side."""
    return [line for line in commands(page) if re.match(r"python -m sensecf_convert", line)]


def of_other_places(page: str) -> list[str]:
    """The page's lines that run a sensecf-edge that lies elsewhere: in a kit, on another machine; from its name on."""
    called = [re.search(r"(?:/bin/|-m )(sensecf[-_]edge .*)", line) for line in commands(page)]
    return [found[1].replace("sensecf_edge", "sensecf-edge", 1) for found in called if found]
