"""How many steps a training takes. Work decides, not the clock: the same seed makes the same weights on a busy machine too.

A limit in minutes is turned into steps once, at the start, by how long the first steps take. From then on the clock is not
looked at again: the rate runs down to the end in full, and what was cut is known and told.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

WARM, TIMED = 2, 8
"""Steps that only warm up, and those behind them that are timed."""


@dataclass
class Steps:
    """The steps of one training: `planned` by its passes, fewer where those would take longer than `minutes`.

    `decided`: how many it is, once that is known; for a checkpoint, so that a resumed training is cut to the same.
    """

    planned: int
    minutes: float = math.inf
    decided: int = 0
    _marks: list[float] = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many there are, as far as is known."""
        return self.decided or self.planned

    def share(self, step: int) -> float:
        """How much is done, 0..1, before step `step`."""
        return step / self.total

    def took(self, step: int) -> None:
        """Said behind step number `step`, counted from 1. Once enough steps have been timed, the limit is turned into steps."""
        if self.decided or self.minutes == math.inf:
            return
        self._marks.append(time.monotonic())
        if len(self._marks) == WARM + TIMED:
            each = max((self._marks[-1] - self._marks[WARM - 1]) / TIMED, 1e-9)
            self.decided = min(self.planned, max(step, int(60 * self.minutes / each)))

    def facts(self) -> dict[str, int]:
        """For manifest and card."""
        return {"steps": self.total, "steps_planned": self.planned}


def cut(facts: Mapping[str, Any]) -> str:
    """That a training was cut, in words for log and card; empty where it was not."""
    done, planned = facts.get("steps"), facts.get("steps_planned")
    if not done or not planned or done >= planned:
        return ""
    return f"training was cut to {done:,} of {planned:,} steps ({done / planned:.0%}) by the limit on its minutes"
