"""Long tasks in processes of their own, one core each, and the time that is left of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from typing import Any

import numpy as np

from ... import progress

Task = tuple[Callable[..., float], tuple[Any, ...]]
"""A function of this package and what it is given; it returns the seconds it took."""


@contextmanager
def pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Processes for tasks. Whatever ends the block early ends them too, in the middle of what they do."""
    with ProcessPoolExecutor(jobs, get_context("spawn"), initializer=_quiet) as executor:
        try:
            yield executor
        except BaseException:
            workers = list((executor._processes or {}).values())  # shutting down forgets them
            executor.shutdown(wait=False, cancel_futures=True)
            for worker in workers:  # a task takes minutes; whoever interrupts does not wait for it
                worker.terminate()
            raise


def _quiet() -> None:
    """Workers do not draw bars over each other, and use one core each."""
    progress.console.quiet = True
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes that start in here never hear Ctrl-C: the one that ends them does."""
    before = signal.getsignal(signal.SIGINT)
    with suppress(ValueError):  # not in the main thread, which is where Ctrl-C would arrive
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        with suppress(ValueError):
            signal.signal(signal.SIGINT, before)


class Clock:
    """Waits for tasks and reports the share done and the time left, judged by what this run has done so far."""

    def __init__(self, tasks: int, jobs: int, report: Callable[[float, str], None]) -> None:
        self.left = self.whole = tasks
        self.jobs, self.report = jobs, report
        self.seconds: list[float] = []

    def wait(self, executor: ProcessPoolExecutor, tasks: Sequence[Task], words: str) -> None:
        """Run these tasks to their end. `words` says what is to go, with {} for how many of them."""
        with _deaf():
            futures: list[Future[float]] = [executor.submit(task, *given) for task, given in tasks]
        for done, future in enumerate(as_completed(futures), start=1):
            self.seconds.append(future.result())
            self.left -= 1
            minutes = self.left * float(np.mean(self.seconds)) / self.jobs / 60
            self.report(1 - self.left / self.whole, f"{words.format(len(futures) - done)}, about {minutes:.0f} min left")
