"""A process for a hub: records come as they are measured, an explanation goes out when the prediction is unwanted.

Runs for months: every wait is bounded, every queue has an end, a message that cannot be used is put aside, and only the
monotonic clock decides when the next explanation is due, so that setting the wall clock changes nothing.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from .. import private_files
from ..batch.answers import explain_all
from ..budget import Budget
from ..errors import BundleError, CheckError, EngineError, RecordError, SenseCFError, TableError, place
from ..explain import Explainer
from ..judge.completions import ALREADY
from ..private_files import plain_file
from ..schema.record import Record, parse_object
from ..settings import RECORD, WATCH
from ..space.constraints import Constraints, check_constraints
from ..table.problem import UnusableRecord, does_not_fit, not_one_object
from ..trial import bundle_trial
from .ports import TOO_LONG, Message, MessageQueue, Port, Say

FAULTS = 5


@dataclass(frozen=True)
class Watch:
    """What to do with messages. `every` are seconds between the starts of two explanations of the same id, `id` the key that
    names a record."""

    model: str
    budget: Budget = field(default_factory=Budget)
    constraints: Constraints = field(default_factory=Constraints)
    every: float = WATCH.every
    queue: int = WATCH.queue
    policy: str = WATCH.policy
    health: Path | None = None
    id: str | None = None
    base_rate: float | None = None


class Watcher:
    """`run` returns when the input ends or `stop` was called; `reload` may be called at any time, from a signal too.

    A record at work is finished first. Raises EngineError after `FAULTS` faults of the engine in a row: then a fresh
    process is the better answer.
    """

    def __init__(self, watch: Watch, port: Port, say: Say) -> None:
        private_files.need_posix("watch")
        self.watch, self.port, self.say = watch, port, say
        self.waiting = MessageQueue(watch.queue, watch.policy)
        if watch.health is not None:
            _own(watch.health)
        self.explainer = Explainer.load(watch.model, base_rate=watch.base_rate)
        check_constraints(self.explainer.schema, watch.constraints)
        self.counts: Counter[str] = Counter()
        self.began = time.monotonic()
        self.due: dict[str | int | None, float] = {}
        self.told = 0.0
        self.seconds = 0.0
        self.faults = 0
        self.stopping = self.reloading = False

    def stop(self, *_: object) -> None:
        """End after the record in hand."""
        self.stopping = True

    def reload(self, *_: object) -> None:
        """Read the bundle again before the next record."""
        self.reloading = True

    def run(self) -> None:
        """Take, answer, tell; until the end."""
        self.say(f"watching with {self.explainer.bundle.name} ({self.explainer.bundle.hash[:12]})")
        try:
            self.port.start(self.waiting)
            self._tell(force=True)
            while not self.stopping:
                self.port.check()
                if self.reloading:
                    self._reload()
                message = self._next()
                if message is not None:
                    self._one(message)
                elif self.waiting.ended and not len(self.waiting):
                    self.port.check()
                    break
                self._tell()
        finally:
            self.waiting.end()
            self._tell(force=True, status="stopped")
            try:
                self.port.close()
            finally:
                self.explainer.close()
                left = f", {len(self.waiting)} left unread" if len(self.waiting) else ""
                self.say(f"stopped after {self.waiting.received:,} messages, {self.counts['explained']:,} explained{left}")

    def _next(self) -> Message | None:
        """While answers wait for a disk or a broker no more of them are made."""
        if self.port.full and not self.waiting.ended:
            time.sleep(WATCH.patience)
            return None
        return self.waiting.take(WATCH.patience)

    def _one(self, message: Message) -> None:
        """One message: aside, passed over, or answered."""
        try:
            name, record = self._read(message.data)
            if not self._is_due(name, record):
                message.done()
                return
            began = time.monotonic()
            (outcome,) = explain_all(self.explainer, [record], self.watch.constraints, self.watch.budget)
            if isinstance(outcome, UnusableRecord):
                raise _UnusableMessage(outcome)
            self._not_before(name, began + self.watch.every)
            self.port.answer({"number": message.number, "id": name, "explanation": outcome.to_json()}, message.done)
            self.counts["explained"] += 1
            self.counts[outcome.status] += 1
            self.seconds = time.monotonic() - message.came
            self.faults = 0
        except _UnusableMessage as aside:
            self._set_aside(message, aside.problem)
        except (EngineError, CheckError) as error:
            self.faults += 1
            if self.faults >= FAULTS:
                raise
            self._set_aside(message, UnusableRecord(str(error), "see `sensecf-edge doctor`"))

    def _read(self, data: bytes | None) -> tuple[str | int | None, Record]:
        if data is None or len(data) > RECORD.max_bytes:
            raise _UnusableMessage(TOO_LONG)
        try:
            values = parse_object(data, "the message")
        except RecordError as error:
            raise _UnusableMessage(not_one_object(error)) from None
        name = values.pop(self.watch.id, None) if self.watch.id is not None else None
        if self.watch.id is not None and (isinstance(name, bool) or not isinstance(name, str | int)):
            raise _UnusableMessage(
                UnusableRecord(f"{self.watch.id} is missing or no text or whole number", f"give every record its {self.watch.id}")
            )
        try:
            return name, Record.from_mapping(self.explainer.schema, values)
        except RecordError as error:
            raise _UnusableMessage(does_not_fit(self.explainer.schema, values, error)) from None
        except Exception as error:
            raise _UnusableMessage(
                UnusableRecord(f"a fault in this program ({place(error)})", "please report it, without the record")
            ) from None

    def _is_due(self, name: str | int | None, record: Record) -> bool:
        """Whether to explain it: the prediction is unwanted or depends on what is unknown, and this id's last one is long ago."""
        p = float(self.explainer.checker.p_target(np.array([record.vector]))[0])
        if self.explainer.case(record, p, self.watch.budget.seed).verdict.status == ALREADY:
            self.counts["fine"] += 1
            return False
        if time.monotonic() < self.due.get(name, 0.0):
            self.counts["too soon"] += 1
            return False
        return True

    def _not_before(self, name: str | int | None, due: float) -> None:
        """Everybody waits equally long, so the first ones in are the first ones to be forgotten again."""
        now = time.monotonic()
        while self.due and (first := next(iter(self.due))) != name and self.due[first] <= now:
            del self.due[first]
        self.due.pop(name, None)
        if self.watch.every:
            self.due[name] = due

    def _set_aside(self, message: Message, problem: UnusableRecord) -> None:
        """The log gets the reason without a value, and not more of them than a person can read."""
        self.counts["dead"] += 1
        if self.counts["dead"] <= WATCH.told or self.counts["dead"] % WATCH.told == 0:
            self.say(f"message {message.number:,} put aside: {problem.log}")
        self.port.dead(message.data, problem, message.done)

    def _reload(self) -> None:
        """The new bundle where it verifies, answers and can be asked the same, or the old one."""
        self.reloading = False
        refused = bundle_trial(self.watch.model)  # in a process of its own: a file can end the one that opens it
        try:
            if refused:
                raise BundleError(refused)
            fresh = Explainer.load(self.watch.model, base_rate=self.watch.base_rate)
            try:
                check_constraints(fresh.schema, self.watch.constraints)
            except SenseCFError:
                fresh.close()
                raise
        except SenseCFError as error:
            self.counts["reloads refused"] += 1
            self.say(f"kept the old bundle: {error}")
            return
        self.explainer.close()
        self.explainer = fresh
        self.say(f"now with {fresh.bundle.name} ({fresh.bundle.hash[:12]})")
        self._tell(force=True)

    def _tell(self, force: bool = False, status: str = "") -> None:
        """Health: every few seconds, and at turns. Numbers and names only."""
        now = time.monotonic()
        if not force and now - self.told < WATCH.tell:
            return
        self.told = now
        facts = {
            "status": status or self.port.state, "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "up": round(now - self.began, 1), "pid": os.getpid(), "model": self.explainer.bundle.name, "bundle": self.explainer.bundle.hash,
            "received": self.waiting.received, "waiting": len(self.waiting), "dropped": self.waiting.dropped,
            "last_seconds": round(self.seconds, 4), **{k.replace(" ", "_"): n for k, n in sorted(self.counts.items())},
        }  # fmt: skip
        self.port.health(facts)
        if self.watch.health is not None:
            try:
                private_files.replace(self.watch.health, json.dumps(facts) + "\n")
            except OSError as error:
                if not self.counts["health not written"]:
                    self.say(f"cannot write {self.watch.health}: {error.strerror}; going on without")
                self.counts["health not written"] += 1


def _own(health: Path) -> None:
    """The health file is put in the place of what has its name: what this process reads or writes, or a device, would be lost.

    Raises TableError.
    """
    try:
        there = os.stat(health)
    except OSError:
        return
    if not stat.S_ISREG(there.st_mode):
        raise TableError(f"{health} is no plain file; give --health a file of its own")
    for what, stream in (("standard input", sys.stdin), ("standard output", sys.stdout), ("the log", sys.stderr)):
        behind = plain_file(stream)
        if behind is not None and os.path.samestat(behind, there):
            raise TableError(f"--health {health} is the file of {what}; give it a file of its own")


class _UnusableMessage(Exception):  # noqa: N818
    """This message cannot be used."""

    def __init__(self, problem: UnusableRecord) -> None:
        self.problem = problem
