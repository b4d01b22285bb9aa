"""A process for a hub: records come as they are measured, an explanation goes out when the prediction is unwanted.

Runs for months: every wait is bounded, every queue has an end, a message that cannot be used is put aside, and only the
monotonic clock decides when the next explanation is due, so that setting the wall clock changes nothing.
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
from ..errors import BundleError, CheckError, EngineError, RecordError, SenseCFError, TableError, place
from ..explain import Explainer
from ..judge.completions import ALREADY, Case
from ..schema.record import Record, parse_object
from ..settings import RECORD, WATCH
from ..space.constraints import Constraints, check_constraints
from ..table.unusable import UnusableRecord, does_not_fit, not_one_object
from ..trial import bundle_trial
from . import age
from .health import own
from .ports import TOO_LONG, Message, MessageQueue, Port, Say

FAULTS = 5


@dataclass(frozen=True)
class Watch:
    """What to do with messages. `every` are seconds between the starts of two explanations of the same id, `id` the key that
    names a record, `time` the key that says when it was measured, `max_age` the seconds after which it is not answered any more."""

    model: str
    budget: Budget = field(default_factory=Budget)
    constraints: Constraints = field(default_factory=Constraints)
    every: float = WATCH.every
    queue: int = WATCH.queue
    policy: str = WATCH.policy
    health: Path | None = None
    id: str | None = None
    base_rate: float | None = None
    time: str | None = None
    max_age: float | None = None


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
            own(watch.health)
        self.explainer = Explainer.load(watch.model, base_rate=watch.base_rate)
        check_constraints(self.explainer.schema, watch.constraints)
        if watch.time is not None and (watch.time == watch.id or watch.time in self.explainer.schema.index):
            raise TableError(f"--time {watch.time} is a feature of this model, or what names a record; give the time a key of its own")
        self.newest: datetime | None = None
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
            name, record, moment = self._read(message.data)
            seconds = self._age(moment)
            case = self._case(record)
            if not self._is_young(seconds) or not self._is_due(name, case):
                self._show(name, case, moment, seconds)
                message.done()
                return
            began = time.monotonic()
            (outcome,) = explain_all(self.explainer, [record], self.watch.constraints, self.watch.budget)
            if isinstance(outcome, UnusableRecord):
                raise _UnusableMessage(outcome)
            self._not_before(name, began + self.watch.every)
            dated = {} if seconds is None else {"age": round(seconds, 1)}
            self._show(name, case, moment, seconds, outcome)
            self.port.answer({"number": message.number, "id": name, **dated, "explanation": outcome.to_json()}, message.done)
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

    def _read(self, data: bytes | None) -> tuple[str | int | None, Record, datetime]:
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
        moment = self._moment(values)
        try:
            return name, Record.from_mapping(self.explainer.schema, values), moment
        except RecordError as error:
            raise _UnusableMessage(does_not_fit(self.explainer.schema, values, error)) from None
        except Exception as error:
            raise _UnusableMessage(
                UnusableRecord(f"a fault in this program ({place(error)})", "please report it, without the record")
            ) from None

    def _moment(self, values: dict[str, Any]) -> datetime:
        """When it was measured, by what it says; when it came, where it is not to say that."""
        if self.watch.time is None:
            return age.now()
        try:
            return age.measured(values.pop(self.watch.time, None))
        except ValueError as error:
            raise _UnusableMessage(UnusableRecord(f"{self.watch.time} {error}", "give every record the time it was measured")) from None

    def _age(self, moment: datetime) -> float | None:
        """Seconds since it was measured; None where nobody says when, or where this machine's clock cannot tell and need not."""
        if self.watch.time is None:
            return None
        try:
            return age.age(moment, age.now())
        except ValueError as error:
            if self.watch.max_age is None:
                return None
            raise _UnusableMessage(UnusableRecord(f"{self.watch.time} {error}", "its age is not known, so it is not answered")) from None

    def _is_young(self, seconds: float | None) -> bool:
        """Whether what it says is of today, so to speak."""
        if self.watch.max_age is None or seconds is None or seconds <= self.watch.max_age:
            return True
        self.counts["too old"] += 1
        return False

    def _case(self, record: Record) -> Case:
        p = float(self.explainer.checker.p_target(np.array([record.vector]))[0])
        return self.explainer.case(record, p, self.watch.budget.seed)

    def _show(self, name: str | int | None, case: Case, moment: datetime, seconds: float | None, made: Explanation | None = None) -> None:
        """To whoever looks at every record and not only at answers."""
        self.newest = moment if self.newest is None else max(self.newest, moment)
        if not self.port.shows or (self.watch.max_age is not None and seconds is not None and seconds > self.watch.max_age):
            return
        explainer, now = self.explainer, case.verdict
        if made is None and now.status == ALREADY:
            made = explainer.explain_many([case.record], self.watch.constraints, self.watch.budget)[0]
        threshold = explainer.target.threshold
        risk = Risk.of(explainer.scale, (now.p, now.low, now.high), threshold, threshold + explainer.margin)
        self.port.show(name, explainer.schema, moment, risk, made)

    def _is_due(self, name: str | int | None, case: Case) -> bool:
        """Whether to explain it: the prediction is unwanted or depends on what is unknown, and this id's last one is long ago."""
        if case.verdict.status == ALREADY:
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
            "newest": None if self.newest is None else self.newest.isoformat(timespec="seconds"),
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


class _UnusableMessage(Exception):  # noqa: N818
    """This message cannot be used."""

    def __init__(self, problem: UnusableRecord) -> None:
        self.problem = problem
