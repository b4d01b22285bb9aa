"""Records come as they are measured, an explanation goes out when the prediction is unwanted."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..errors import CheckError, EngineError, RecordError, TableError, place
from ..explain import Explainer
from ..judge.imputation import ALREADY, Case
from ..schema.record import Record
from ..table.unusable import UnusableRecord, does_not_fit
from . import age
from .loop import FAULTS, Loop, UnusableMessage, WatchOptions, held
from .ports import Message, Port, Say


@dataclass(frozen=True)
class Watch(WatchOptions):
    """What to do with records. `id` is the key that names one, `time` the key that says when it was measured."""

    id: str | None = None
    time: str | None = None


class Watcher(Loop):
    """A watch of records."""

    def __init__(self, watch: Watch, port: Port, say: Say) -> None:
        self.watch = watch
        self.due: dict[str | int | None, float] = {}
        super().__init__(watch, port, say)

    def _check(self, explainer: Explainer) -> None:
        super()._check(explainer)
        key = self.watch.time
        if key is not None and (key == self.watch.id or key in explainer.schema.index):
            raise TableError(f"--time {key} is a feature of this model, or what names a record; give the time a key of its own")

    def _one(self, message: Message) -> None:
        """One message: aside, passed over, or answered."""
        try:
            name, record, moment = self._read(message.data)
            seconds, moment = self._age(moment), age.past(moment, age.now())
            case = self._case(record)
            if not self._is_young(seconds) or not self._is_due(name, case):
                self._show(name, case, moment, seconds)
                message.done()
                return
            began = time.monotonic()
            outcome = self._explained(record)
            self._not_before(name, began + self.watch.every)
            dated = {} if seconds is None else {"age": round(seconds, 1)}
            self._show(name, case, moment, seconds, outcome)
            self.port.answer({"number": message.number, "id": name, **dated, "explanation": outcome.to_json()}, message.done)
            self._count(outcome)
            self.seconds = time.monotonic() - message.came
        except UnusableMessage as aside:
            self._set_aside(message, aside.unusable)
        except (EngineError, CheckError) as error:
            self.faults += 1
            if self.faults >= FAULTS:
                raise
            self._set_aside(message, UnusableRecord(str(error), "see `sensecf-edge doctor`"))

    def _read(self, data: bytes | None) -> tuple[str | int | None, Record, datetime]:
        values = held(data)
        name = values.pop(self.watch.id, None) if self.watch.id is not None else None
        if self.watch.id is not None and (isinstance(name, bool) or not isinstance(name, str | int)):
            raise UnusableMessage(
                UnusableRecord(f"{self.watch.id} is missing or no text or whole number", f"give every record its {self.watch.id}")
            )
        moment = self._moment(values)
        try:
            return name, Record.from_mapping(self.explainer.schema, values), moment
        except RecordError as error:
            raise UnusableMessage(does_not_fit(self.explainer.schema, values, error)) from None
        except Exception as error:
            raise UnusableMessage(
                UnusableRecord(f"a fault in this program ({place(error)})", "please report it, without the record")
            ) from None

    def _moment(self, values: dict[str, Any]) -> datetime:
        """When it was measured, by what it says; when it came, where it is not to say that."""
        if self.watch.time is None:
            return age.now()
        try:
            return age.measured(values.pop(self.watch.time, None))
        except ValueError as error:
            raise UnusableMessage(UnusableRecord(f"{self.watch.time} {error}", "give every record the time it was measured")) from None

    def _age(self, moment: datetime) -> float | None:
        """Seconds since it was measured; None where nobody says when, or where this machine's clock cannot tell and need not."""
        if self.watch.time is None:
            return None
        try:
            return age.age(moment, age.now())
        except ValueError as error:
            if self.watch.max_age is None:
                return None
            raise UnusableMessage(UnusableRecord(f"{self.watch.time} {error}", "its age is not known, so it is not answered")) from None

    def _is_young(self, seconds: float | None) -> bool:
        """Whether what it says is of today, so to speak."""
        if self._within(seconds):
            return True
        self.counts["too old"] += 1
        return False

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
