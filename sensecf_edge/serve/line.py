"""One request after another: the models compute on one thread, and who comes first is answered first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from starlette.exceptions import HTTPException

from ..settings import SERVE

T = TypeVar("T")
LOOK = 0.25


class Line:
    """Work that waits for its turn. Work of a page that has gone is left out where it has not begun."""

    def __init__(self, most: int = SERVE.waiting, seconds: float = SERVE.seconds) -> None:
        self.most, self.seconds, self.waiting = most, seconds, 0
        self.worker = ThreadPoolExecutor(1, thread_name_prefix="model")

    async def do(self, work: Callable[[], T], gone: Callable[[], Awaitable[bool]]) -> T:
        """What `work` gives. Raises what it raises; HTTPException where too many wait, or where it takes too long."""
        if self.waiting >= self.most:
            raise HTTPException(503)
        self.waiting += 1
        until = asyncio.get_running_loop().time() + self.seconds
        future = asyncio.wrap_future(self.worker.submit(work))
        try:
            while not (await asyncio.wait({future}, timeout=LOOK))[0]:
                if await gone():
                    raise HTTPException(499)
                if asyncio.get_running_loop().time() > until:
                    raise HTTPException(504)
            return future.result()
        finally:
            future.cancel()
            self.waiting -= 1

    def close(self) -> None:
        """Begin nothing more."""
        self.worker.shutdown(wait=False, cancel_futures=True)
