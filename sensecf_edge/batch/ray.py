"""The same job on Ray Data, one engine per actor: the only door to ray (extra `ray`).

The process that asked reads the table and keeps the journal; chunks of rows travel to the actors and lines come back, in
the order of the input. No file needs to be shared but the bundle, which every machine has at the same path. An actor
that dies is started again by Ray and its chunk answered again. Ray keeps chunks in its object store, in shared memory
or, where that is full, in its temporary folder. Ray's usage reports are switched off.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import signal
import socket
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray
import ray.data

from ..errors import EngineError, SenseCFError
from .answers import Answered, Chunk, JobSettings, answer, load

Answers = Iterator[tuple[Chunk, Answered]]
WINDOW, WINDOW_PER_WORKER = 2_048, 256
CHUNKS_PER_TASK = 8
LOCAL = ""
PATIENCE = 5.0


def on_ray(plan: JobSettings, chunks: Iterable[Chunk], address: str, workers: int) -> Answers:
    """Answers in order, from `workers` actors on a cluster of this machine (address '') or the one at `address`.

    Chunks go to Ray by the window, so that memory does not grow with the table. Raises EngineError where Ray fails.
    """
    chunks = iter(chunks)
    with _cluster(address, workers) as gpus:
        while window := list(islice(chunks, max(WINDOW, WINDOW_PER_WORKER * workers))):
            items = [{"rows": pickle.dumps(chunk.rows)} for chunk in window]
            window = [chunk._replace(rows=[]) for chunk in window]
            try:
                yield from zip(window, _answered(plan, items, workers, gpus), strict=True)
            except ray.exceptions.RayError as error:
                raise _plain(error) from error


def _answered(plan: JobSettings, items: list[dict[str, Any]], workers: int, gpus: float) -> Iterator[Answered]:
    """A task of Ray's takes several chunks: its own cost a task is some milliseconds, on the cores that the actors need."""
    tasks = max(1, min(len(items), max(4 * workers, len(items) // CHUNKS_PER_TASK)))
    lines = ray.data.from_items(items, override_num_blocks=tasks).map_batches(
        _Actor,
        fn_constructor_args=(pickle.dumps(plan),),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=2),
        num_cpus=1,
        num_gpus=min(1.0, gpus / workers) or None,
    )
    for row in lines.iter_rows():
        yield Answered(*pickle.loads(row["answered"]))


class _Actor:
    """One engine, opened when the actor starts."""

    def __init__(self, plan: bytes) -> None:
        self.plan: JobSettings = pickle.loads(plan)
        self.explainer = load(self.plan)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        answered = [answer(self.explainer, pickle.loads(rows), self.plan) for rows in batch["rows"]]
        return {"answered": [pickle.dumps(tuple(a)) for a in answered]}


@contextlib.contextmanager
def _cluster(address: str, workers: int) -> Iterator[float]:
    """A quiet Ray, and how many GPUs it has. One started here is stopped again."""
    for name in ("ray", "ray.data", "ray.serve", "ray.tune"):
        logging.getLogger(name).setLevel(logging.ERROR)
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": False}
    held = signal.getsignal(signal.SIGTERM)
    try:
        if address == LOCAL:
            ray.init(num_cpus=workers, num_gpus=0, include_dashboard=False, _node_ip_address="127.0.0.1", **quiet)
        else:
            _knock(address)
            ray.init(address=address, **quiet)
    except (OSError, ValueError, RuntimeError, ConnectionError) as error:
        raise EngineError(f"Ray cannot be reached at {address or 'this machine'}: {error}; start it, or leave --ray out") from error
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    try:
        yield float(ray.cluster_resources().get("GPU", 0))
    finally:
        ray.shutdown()
        signal.signal(signal.SIGTERM, held)


def _knock(address: str) -> None:
    """Ray itself tries for minutes where nobody answers. Raises OSError."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()


def _plain(error: BaseException) -> SenseCFError:
    """Our own error where an actor raised one; Ray's by its kind only, for its text may hold what the actor held."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, SenseCFError):
            return EngineError(str(getattr(cause, "args", [""])[0]))
        cause = getattr(cause, "cause", None) or cause.__cause__
    return EngineError(f"Ray failed ({type(error).__name__}); look at its own logs, then run again with --resume")
