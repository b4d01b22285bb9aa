"""How a long job comes along, on stderr: a bar for a person, a line now and then for a log. Says numbers only."""

from __future__ import annotations

import contextlib
import sys
import time
from types import TracebackType
from typing import Any

EVERY = 30.0


class Meter:
    """Use as a context manager. Time left comes from the share of the input that is read; without a size there is none."""

    def __init__(self, done: int, share: float | None, every: float = EVERY) -> None:
        self.began, self.first, self.first_share, self.every = time.monotonic(), done, share or 0.0, every
        self.told = self.began
        self.bar: Any = None

    def __enter__(self) -> Meter:
        if sys.stderr is not None and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

            looks = BarColumn(), TaskProgressColumn(), TextColumn("{task.description}")
            self.bar = Progress(*looks, console=Console(stderr=True), transient=True)
            self.bar.start()
            self.task = self.bar.add_task("", total=None)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.bar is not None:
            self.bar.stop()

    def update(self, done: int, share: float | None) -> None:
        """`done` rows in all, `share` (0..1) of the input."""
        now = time.monotonic()
        if self.bar is not None:
            total = None if share is None else 1.0
            self.bar.update(self.task, total=total, completed=share or 0.0, description=self.line(done, share, now))
        elif now - self.told >= self.every and sys.stderr is not None:
            self.told = now
            with contextlib.suppress(OSError, ValueError):  # nobody listens
                print(self.line(done, share, now), file=sys.stderr, flush=True)

    def line(self, done: int, share: float | None, now: float) -> str:
        """Rows, rate, time left."""
        seconds = max(now - self.began, 1e-9)
        text = f"{done:,} rows, {(done - self.first) / seconds:.1f}/s"
        if share is None or share <= self.first_share:
            return text
        return f"{text}, {clock(seconds * (1 - share) / (share - self.first_share))} left"


def clock(seconds: float) -> str:
    """Hours, minutes, seconds."""
    whole = max(0, round(seconds))
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}" if whole >= 3600 else f"{whole // 60}:{whole % 60:02}"
