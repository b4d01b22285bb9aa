"""What every watch is: take a message, deal with it, tell how things are; for months.

Every wait is bounded, every queue has an end, a message that cannot be used is put aside, and only the monotonic clock decides when
something is due, so that setting the wall clock changes nothing. What a message is, the watches in `watcher` and `stream` know.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from .. import private_files
from ..answer.result import Explanation
from ..answer.risk import Risk
from ..batch.answers import explain_all
from ..budget import Budget
from ..errors import RecordError, SenseCFError
from ..explain import Explainer
from ..judge.imputation import ALREADY, Case
from ..schema.record import Record, parse_object
from ..settings import RECORD, WATCH
from ..space.constraints import Constraints, check_constraints
from ..table.unusable import UnusableRecord, not_one_object
from .health import own
from .ports import TOO_LONG, Message, MessageQueue, Port, Say

FAULTS = 5


@dataclass(frozen=True)
class WatchOptions:
    """What every watch is told. `every` are seconds between the starts of two explanations of the same id, `max_age` those after
    which what was measured is not answered any more."""

    model: str
    budget: Budget = field(default_factory=Budget)
    constraints: Constraints = field(default_factory=Constraints)
    every: float = WATCH.every
    queue: int = WATCH.queue
    policy: str = WATCH.policy
    health: Path | None = None
    base_rate: float | None = None
    max_age: float | None = None


class UnusableMessage(Exception):  # noqa: N818
    """This message cannot be used."""

    def __init__(self, unusable: UnusableRecord) -> None:
        self.unusable = unusable


def held(data: bytes | None) -> dict[str, Any]:
    """The one object that a message is. Raises UnusableMessage."""
    if data is None or len(data) > RECORD.max_bytes:
        raise UnusableMessage(TOO_LONG)
    try:
        return parse_object(data, "the message")
    except RecordError as error:
        raise UnusableMessage(not_one_object(error)) from None


class Loop:
    """`run` returns when the input ends or `stop` was called; `reload` may be called at any time, from a signal too.

    A message at work is finished first. Raises EngineError after `FAULTS` faults of the engine in a row: then a fresh
    process is the better answer.
    """

    def __init__(self, asked: WatchOptions, port: Port, say: Say) -> None:
        private_files.need_posix("watch")
        self.asked, self.port, self.say = asked, port, say
        self.waiting = MessageQueue(asked.queue, asked.policy)
        if asked.health is not None:
            own(asked.health)
        self.explainer = Explainer.load(asked.model, base_rate=asked.base_rate)
        self._check(self.explainer)
        self.newest: datetime | None = None
        self.counts: Counter[str] = Counter()
        self.began = time.monotonic()
        self.told = 0.0
        self.seconds = 0.0
        self.faults = 0
        self.stopping = self.reloading = False

    def stop(self, *_: object) -> None:
        """End after the message in hand."""
        self.stopping = True

    def reload(self, *_: object) -> None:
        """Read the bundle again before the next message."""
        self.reloading = True

    def run(self) -> None:
        """Take, deal with, tell; until the end."""
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
                    self._last()
                    self.port.check()
                    break
                self._between()
                self._tell()
        finally:
            self.waiting.end()
            self._tell(force=True, status="stopped")
            try:
                self.port.close()
            finally:
                self._close()
                left = f", {len(self.waiting)} left unread" if len(self.waiting) else ""
                self.say(f"stopped after {self.waiting.received:,} messages, {self.counts['explained']:,} explained{left}")

    def _one(self, message: Message) -> None:
        """One message: aside, passed over, or used."""
        raise NotImplementedError

    def _between(self) -> None:
        """What is due whether a message came or not."""

    def _last(self) -> None:
        """The input has ended, and every message of it has been dealt with."""

    def _check(self, explainer: Explainer) -> None:
        """Raises SenseCFError where this watch cannot work with that model."""
        check_constraints(explainer.schema, self.asked.constraints)

    def _close(self) -> None:
        self.explainer.close()

    def _more(self) -> dict[str, Any]:
        """What the health holds besides."""
        return {}

    @property
    def _state(self) -> str:
        return self.port.state

    def _next(self) -> Message | None:
        """While answers wait for a disk or a broker no more of them are made."""
        if self.port.full and not self.waiting.ended:
            time.sleep(WATCH.patience)
            return None
        return self.waiting.take(WATCH.patience)

    def _case(self, record: Record) -> Case:
        p = float(self.explainer.checker.p_target(np.array([record.vector]))[0])
        return self.explainer.case(record, p, self.asked.budget.seed)

    def _explained(self, record: Record) -> Explanation:
        """Raises UnusableMessage, EngineError, CheckError."""
        (outcome,) = explain_all(self.explainer, [record], self.asked.constraints, self.asked.budget)
        if isinstance(outcome, UnusableRecord):
            raise UnusableMessage(outcome)
        self.faults = 0
        return outcome

    def _count(self, made: Explanation) -> None:
        self.counts["explained"] += 1
        self.counts[made.status] += 1

    def _show(self, name: str | int | None, case: Case, moment: datetime, seconds: float | None, made: Explanation | None = None) -> None:
        """To whoever looks at every record and not only at answers."""
        self.newest = moment if self.newest is None else max(self.newest, moment)
        if not self.port.shows or not self._within(seconds):
            return
        explainer, now = self.explainer, case.verdict
        if made is None and now.status == ALREADY:
            made = explainer.explain_many([case.record], self.asked.constraints, self.asked.budget)[0]
        threshold = explainer.target.threshold
        risk = Risk.of(explainer.scale, (now.p, now.low, now.high), threshold, threshold + explainer.margin)
        self.port.show(name, explainer.schema, moment, risk, made)

    def _within(self, seconds: float | None) -> bool:
        """Whether what was measured so long ago is of today, so to speak; what nobody knows the age of is."""
        return self.asked.max_age is None or seconds is None or seconds <= self.asked.max_age

    def _set_aside(self, message: Message, unusable: UnusableRecord) -> None:
        """The log gets the reason without a value, and not more of them than a person can read."""
        self.counts["dead"] += 1
        if self.counts["dead"] <= WATCH.told or self.counts["dead"] % WATCH.told == 0:
            self.say(f"message {message.number:,} put aside: {unusable.log}")
        self.port.dead(message.data, unusable, message.done)

    def _reload(self) -> None:
        """The new bundle where it verifies, answers and can be asked the same, or the old one."""
        self.reloading = False
        try:
            fresh = Explainer.load(self.asked.model, base_rate=self.asked.base_rate)
            try:
                self._check(fresh)
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
            "status": status or self._state, "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "up": round(now - self.began, 1), "pid": os.getpid(), "model": self.explainer.bundle.name, "bundle": self.explainer.bundle.hash,
            "received": self.waiting.received, "waiting": len(self.waiting), "dropped": self.waiting.dropped,
            "newest": None if self.newest is None else self.newest.isoformat(timespec="seconds"),
            "last_seconds": round(self.seconds, 4), **self._more(), **{k.replace(" ", "_"): n for k, n in sorted(self.counts.items())},
        }  # fmt: skip
        self.port.health(facts)
        if self.asked.health is not None:
            try:
                private_files.replace(self.asked.health, json.dumps(facts) + "\n")
            except OSError as error:
                if not self.counts["health not written"]:
                    self.say(f"cannot write {self.asked.health}: {error.strerror}; going on without")
                self.counts["health not written"] += 1
