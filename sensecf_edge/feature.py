"""One column of a record: its kind, lattice, unit and limits."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import SchemaError

DIRECTIONS = ("either", "increase", "decrease")
FORBIDDEN = frozenset('"\\=;{}')
MAX_LATTICE = 2_000
UNKNOWN = "?"

Vector = NDArray[np.float64]


def number_text(value: float) -> str:
    """The shortest plain decimal that reads back as `value`, the way numbers are written in answers: 8, 7.25, -0.5."""
    text = format(Decimal(repr(float(value))).normalize(), "f")
    return "0" if text == "-0" else text


def check_name(text: str, what: str) -> None:
    """A name that may stand in prompts, answers and messages. Raises SchemaError."""
    if not text or len(text) > 64 or text != text.strip() or not text.isprintable() or FORBIDDEN & set(text):
        raise SchemaError(f"{what} {text!r} cannot be used: 1 to 64 printable characters without any of {''.join(sorted(FORBIDDEN))}")


@dataclass(frozen=True)
class Feature:
    """One column.

    `low`/`high` are what a record may hold at all, `reference` the range seen in training people: advice stays inside
    it, a record outside it is answered with a warning. `direction` and `max_change` (in units, or in places of the
    list for choices) limit advice, never the record. `cost` weighs a change of this feature against the others.
    `advise` is what a clinician would advise at all, apart from what the data hold: advised values lie in it.
    `never_advise` marks what no answer may ever move (a drug dose): it counts as not mutable, and nothing may follow it
    there. `error` is how far a reading may be off either way, in units; `stability` draws from it.
    """

    name: str
    kind: str = "number"
    label: str = ""
    unit: str = ""
    low: float | None = None
    high: float | None = None
    step: float | None = None
    choices: tuple[str, ...] = ()
    mutable: bool = True
    optional: bool = False
    direction: str = "either"
    max_change: float | None = None
    cost: float = 1.0
    reference: tuple[float, float] | None = None
    advise: tuple[float, float] | None = None
    never_advise: bool = False
    error: float | None = None

    def __post_init__(self) -> None:
        check_name(self.name, "feature name")
        where = f"feature {self.name!r}"
        if self.kind not in ("number", "choice"):
            raise SchemaError(f"{where}: kind {self.kind!r} is neither 'number' nor 'choice'")
        if self.direction not in DIRECTIONS:
            raise SchemaError(f"{where}: direction {self.direction!r} is none of {', '.join(DIRECTIONS)}")
        if self.max_change is not None and not self.max_change > 0:
            raise SchemaError(f'{where}: max_change must be above 0, not {self.max_change}; use "mutable": false to forbid a change')
        if not (math.isfinite(self.cost) and self.cost > 0):
            raise SchemaError(f"{where}: cost must be a finite number above 0, not {self.cost}")
        if self.error is not None and not (math.isfinite(self.error) and self.error >= 0):
            raise SchemaError(f"{where}: error must be a finite number of 0 or more, not {self.error}")
        if self.never_advise:
            object.__setattr__(self, "mutable", False)
        if self.kind == "choice":
            self._check_choices(where)
        else:
            self._check_numbers(where)

    def _check_choices(self, where: str) -> None:
        if len(self.choices) < 2 or len(set(self.choices)) != len(self.choices):
            raise SchemaError(f"{where}: a choice needs two or more different choices, not {list(self.choices)}")
        for choice in self.choices:
            check_name(choice, f"{where}: choice")
            if choice == UNKNOWN:
                raise SchemaError(
                    f"{where}: {UNKNOWN!r} stands for unknown and cannot be a choice; leave it out and mark the feature optional"
                )
        if any(v is not None for v in (self.low, self.high, self.step, self.reference, self.advise, self.error)):
            raise SchemaError(f"{where}: low, high, step, reference, advise and error belong to numbers, not to choices")

    def _check_numbers(self, where: str) -> None:
        if self.choices:
            raise SchemaError(f"{where}: choices belong to kind 'choice', not to numbers")
        if self.low is None or self.high is None or self.step is None:
            raise SchemaError(f"{where}: a number needs low, high and step")
        if not all(map(math.isfinite, (self.low, self.high, self.step))) or self.step <= 0 or self.high <= self.low:
            raise SchemaError(f"{where}: needs finite low < high and step > 0, not {self.low}, {self.high}, {self.step}")
        if (self.high - self.low) / self.step > MAX_LATTICE:
            raise SchemaError(f"{where}: {self.low}..{self.high} by {self.step} is over {MAX_LATTICE} values; use a coarser step")
        if self.reference is not None and not (self.low <= self.reference[0] <= self.reference[1] <= self.high):
            raise SchemaError(f"{where}: reference {list(self.reference)} does not lie inside {self.low}..{self.high}")
        if self.advise is not None and not (self.low <= self.advise[0] <= self.advise[1] <= self.high):
            raise SchemaError(f"{where}: advise {list(self.advise)} does not lie inside {self.low}..{self.high}")

    @cached_property
    def lattice(self) -> Vector:
        """All codes a change may name: shape (values,), ascending; indices for choices."""
        if self.kind == "choice":
            return np.arange(len(self.choices), dtype=np.float64)
        assert self.low is not None and self.high is not None and self.step is not None
        low, high, step = (Decimal(repr(float(v))) for v in (self.low, self.high, self.step))
        return np.array([float(low + i * step) for i in range(int((high - low) / step) + 1)])

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The lattice as people and prompts read it, in the order of `lattice`."""
        return self.choices if self.kind == "choice" else tuple(number_text(v) for v in self.lattice)

    @cached_property
    def span(self) -> float:
        """Width of the reference range (of the possible range where none is stated); 1 for choices. Unit of distances."""
        if self.kind == "choice":
            return 1.0
        low, high = self.reference or (self.low, self.high)
        assert low is not None and high is not None
        return max(float(high) - float(low), float(self.step or 0))

    @property
    def title(self) -> str:
        """The label for people; the name where none is given."""
        return self.label or self.name

    def text(self, code: float) -> str:
        """A code in words: '7.25', 'male', 'unknown'. Does not round."""
        if math.isnan(code):
            return "unknown"
        return self.choices[int(code)] if self.kind == "choice" else number_text(code)

    def nearest(self, code: float) -> int:
        """Index into `lattice` of the value nearest to `code` (the lower one of two equally near)."""
        return int(np.abs(self.lattice - code).argmin())

    def allowed(self) -> str:
        """What a record may hold, in words, for messages."""
        if self.kind == "choice":
            return "one of " + ", ".join(self.choices)
        return f"{number_text(self.low or 0)} to {number_text(self.high or 0)} {self.unit}".rstrip()

    def to_json(self) -> dict[str, Any]:
        """Only what differs from the defaults, so that a schema file stays readable."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        kept = {k: v for k, v in plain.items() if k in ("name", "kind") or v != Feature.__dataclass_fields__[k].default}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in kept.items()}
