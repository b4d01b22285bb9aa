"""Progress on stderr: one bar a step, one line when it is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

console = Console(stderr=True, highlight=False, soft_wrap=True)
LINE_SECONDS = 60.0
Say = Callable[[str], None]
"""Told what is going on, in words."""


@contextmanager
def bar(title: str) -> Iterator[Callable[[float, str], None]]:
    """A bar for one long step: call the yielded function with the share done (0..1) and a few words.

    Where nobody watches a terminal (a log file), a line a minute instead.
    """
    if not console.is_terminal:
        yield _lines(title)
        return
    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[words]}"),
    )
    with Progress(*columns, console=console, transient=True) as shown:
        task = shown.add_task(title, total=1.0, words="")
        yield lambda share, words: shown.update(task, completed=min(share, 1.0), words=words)


def _lines(title: str) -> Callable[[float, str], None]:
    told = time.monotonic()

    def tell(share: float, words: str) -> None:
        nonlocal told
        if time.monotonic() - told > LINE_SECONDS:
            told = time.monotonic()
            console.print(f"{title:<12} {100 * share:.0f} %  {words}")

    return tell


@contextmanager
def step(title: str) -> Iterator[Say]:
    """A step that ends in one line: title, what was said last, seconds."""
    began, said = time.monotonic(), [""]
    yield said.append
    console.print(f"{title:<12} {said[-1]} [dim]({time.monotonic() - began:.1f} s)[/dim]")


def say(text: str) -> None:
    """One line, as it is: names of columns may hold brackets."""
    console.print(text, markup=False)


def note(text: str) -> None:
    """A warning that a step has for the reader."""
    console.print(f"[yellow]note[/yellow]         {text}")
