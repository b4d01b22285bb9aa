"""Chunks to processes, answers back in order. A worker that dies is replaced and its chunks are answered again."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from typing import NamedTuple

from ..errors import EngineError
from ..explain import Explainer
from .answers import Answered, Chunk, JobSettings, answer, load
from .records import Row

AHEAD = 2
PATIENCE = 3
Answers = Iterator[tuple[Chunk, Answered]]


def alone(plan: JobSettings, chunks: Iterable[Chunk]) -> Answers:
    """In this process."""
    with load(plan) as explainer:
        for chunk in chunks:
            yield chunk, answer(explainer, chunk.rows, plan)


def pooled(plan: JobSettings, chunks: Iterable[Chunk], workers: int) -> Answers:
    """In `workers` processes with an engine each. At most `AHEAD` chunks per worker are read ahead."""
    with closing(_Pool(plan, workers)) as pool:
        for chunk in chunks:
            pool.give(chunk)
            if len(pool.waiting) >= AHEAD * workers:
                yield pool.take()
        while pool.waiting:
            yield pool.take()


class _PendingChunk(NamedTuple):
    chunk: Chunk
    answer: Future[Answered]


class _Pool:
    """A process pool that survives the death of its processes. The first waiting chunk is the next one to be taken."""

    def __init__(self, plan: JobSettings, workers: int) -> None:
        self.plan, self.workers = plan, workers
        self.waiting: deque[_PendingChunk] = deque()
        self.deaths = 0
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pool = ProcessPoolExecutor(self.workers, context, _begin, (self.plan,))

    def give(self, chunk: Chunk) -> None:
        try:
            self.waiting.append(_PendingChunk(chunk, self.pool.submit(_answer, chunk.rows)))
        except BrokenProcessPool:
            self._restart([*(w.chunk for w in self.waiting), chunk])

    def take(self) -> tuple[Chunk, Answered]:
        while True:
            first = self.waiting[0]
            try:
                answered = first.answer.result()
            except BrokenProcessPool:
                self._restart([w.chunk for w in self.waiting])
                continue
            self.waiting.popleft()
            self.deaths = 0
            return first.chunk, answered

    def _restart(self, chunks: Sequence[Chunk]) -> None:
        self.deaths += 1
        if self.deaths > PATIENCE:
            rows = chunks[0].rows
            raise EngineError(
                f"workers died {self.deaths} times at rows {rows[0].number} to {rows[-1].number}, perhaps for want of memory; "
                "run again with --resume and fewer --workers"
            )
        self.pool.shutdown(wait=False, cancel_futures=True)
        self._start()
        self.waiting = deque(_PendingChunk(chunk, self.pool.submit(_answer, chunk.rows)) for chunk in chunks)

    def close(self) -> None:
        """Workers in the middle of a chunk are ended: what they would answer does not count any more."""
        if self.waiting:
            for child in list((self.pool._processes or {}).values()):  # ours only: the program may have others
                child.terminate()
        self.pool.shutdown(wait=True, cancel_futures=True)


_plan: JobSettings | None = None
_explainer: Explainer | None = None


def _begin(plan: JobSettings) -> None:
    """Ctrl-C is the parent's to handle; a worker whose parent was killed leaves by itself."""
    global _plan
    _plan = plan
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _answer(rows: list[Row]) -> Answered:
    global _explainer
    assert _plan is not None
    if _explainer is None:
        _explainer = load(_plan)
    return answer(_explainer, rows, _plan)
