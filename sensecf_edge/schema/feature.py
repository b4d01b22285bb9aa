"""One column of a record: its kind, lattice, unit and limits."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SchemaError
from . import coded_ends, codes

DIRECTIONS = ("either", "increase", "decrease")
ROLES = ("lever", "marker")
LONGEST_NAME, LONGEST_SOURCE = 64, 1_000
TEXTS = {
    "label": LONGEST_NAME, "unit": LONGEST_NAME, "error_source": LONGEST_SOURCE, "advise_source": LONGEST_SOURCE,
    "direction_source": LONGEST_SOURCE,
}  # fmt: skip
NO_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters and halves of characters."""
MAX_LATTICE = 2_000
LEAST_STEP = 1e-6
UNKNOWN = "?"

Vector = NDArray[np.float64]


def number_text(value: float) -> str:
    """The shortest plain decimal that reads back as `value`, the way numbers are written in answers: 8, 7.25, -0.5."""
    text = format(Decimal(repr(float(value))).normalize(), "f")
    return "0" if text == "-0" else text


def readable(value: float) -> str:
    """A number as a person writes it, for messages; also what is none."""
    return number_text(value) if math.isfinite(value) else str(float(value))


def name_fault(text: str, what: str) -> str | None:
    """Why a text may not stand in prompts, answers and messages as a name; None where it may."""
    if not text or len(text) > LONGEST_NAME or text != text.strip() or not text.isprintable():
        return f"{what} {text!r} cannot be used: 1 to {LONGEST_NAME} printable characters, no space before or behind"
    return None


@dataclass(frozen=True)
class Feature:
    """One column.

    `low`/`high` are what a record may hold at all, `reference` the range seen in training people: advice stays inside
    it, a record outside it is answered with a warning. `direction` and `max_change` limit advice, never the record: in
    units for numbers, along the order of `choices` and in places of that list for choices, so an ordinal's list runs from
    the least to the most. `moves` names what a choice may become, present choice -> choices, on top of both; from a choice
    that it does not name any other may be reached, from one with an empty list none. `cost` weighs a change of this
    feature against the others. `advise` is what a clinician would advise at all, apart from what the data hold
    (`advise_source`): advised values lie in it. `advise_for` is whom it is advised to: a number whose present value lies outside
    does not move (a body mass index of 23 is no reason to lose weight). `advise_if` is the same by other features, each with the
    ends of its range or its choices: whoever's present values lie outside, or are unknown, is not advised (no weight loss from
    65 years on). `relative_max_change` limits a change to a share of the present value. `never_advise` marks what no answer may
    ever move (a drug dose): it counts as not mutable, and nothing may follow it there. `direction_source` says why a change goes
    that way, or why either way is right.

    `role` is "marker" for the result of an examination or a reading, which nobody can simply change, and "lever" for all
    else. `error` is the standard deviation of one reading, in units; `relative_error` the same as a share of the reading;
    `error_source` says where it was measured. `stability` draws from it. `group` asks for the model to be measured by this feature
    as well (sex and age are without asking). `synonyms` are what people call it in wishes, beside name and label.

    `top_coded` and `bottom_coded`: the table wrote `high` (`low`) for all beyond it, so a record's value beyond it, as far as this, is
    read as that end.

    `code` is what it is called where records are exchanged, (system, code) each; `ucum` its unit there. `choice_codes` are the codes of
    choices; a `cut` makes a choice of a number: over it the second choice, up to it the first. No answer depends on these.
    """

    name: str
    kind: str = "number"
    label: str = ""
    unit: str = ""
    low: float | None = None
    high: float | None = None
    step: float | None = None
    bottom_coded: float | None = None
    top_coded: float | None = None
    choices: tuple[str, ...] = ()
    mutable: bool = True
    optional: bool = False
    direction: str = "either"
    max_change: float | None = None
    relative_max_change: float | None = None
    cost: float = 1.0
    reference: tuple[float, float] | None = None
    advise: tuple[float, float] | None = None
    advise_for: tuple[float, float] | None = None
    advise_if: tuple[tuple[str, tuple[Any, ...]], ...] = ()
    never_advise: bool = False
    error: float | None = None
    relative_error: float | None = None
    error_source: str = ""
    advise_source: str = ""
    direction_source: str = ""
    role: str = "lever"
    moves: tuple[tuple[str, tuple[str, ...]], ...] = ()
    group: bool = False
    code: tuple[codes.Coding, ...] = ()
    ucum: str = ""
    choice_codes: tuple[tuple[str, tuple[codes.Coding, ...]], ...] = ()
    cut: float | None = None
    synonyms: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        faults = [*self._faults(), *(self._choice_faults() if self.kind == "choice" else self._number_faults())]
        if faults:
            where = f"feature {self.name!r}: "
            raise SchemaError(*(fault if fault.startswith("feature name") else where + fault for fault in faults))
        if self.never_advise:
            object.__setattr__(self, "mutable", False)
        order = {choice: at for at, choice in enumerate(self.choices)}
        moves = sorted(((now, tuple(sorted(to, key=order.__getitem__))) for now, to in self.moves), key=lambda move: order[move[0]])
        object.__setattr__(self, "moves", tuple(moves))

    def _faults(self) -> Iterator[str]:
        """What is wrong with keys that numbers and choices share."""
        if fault := name_fault(self.name, "feature name"):
            yield fault
        if self.kind not in ("number", "choice"):
            yield f"kind {self.kind!r} is neither 'number' nor 'choice'"
        if self.direction not in DIRECTIONS:
            yield f"direction {self.direction!r} is none of {', '.join(DIRECTIONS)}"
        if self.role not in ROLES:
            yield f"role {self.role!r} is none of {', '.join(ROLES)}"
        if self.max_change is not None and not self.max_change > 0:
            yield f'max_change must be above 0, not {readable(self.max_change)}; use "mutable": false to forbid a change'
        named = [name for name, _ in self.advise_if]
        if self.name in named or len(set(named)) != len(named):
            yield "advise_if names other features, each once; of its own values advise_for speaks"
        if self.advise_source and self.advise is None and self.advise_for is None and not self.advise_if:
            yield "advise_source says where advise comes from, and none of advise, advise_for and advise_if is stated"
        if not (math.isfinite(self.cost) and self.cost > 0):
            yield f"cost must be a finite number above 0, not {readable(self.cost)}"
        for word in self.synonyms:
            if fault := name_fault(word, "a synonym"):
                yield fault
        for key, most in TEXTS.items():
            text = getattr(self, key)
            if len(text) > most or NO_TEXT.search(text):
                yield f"{key} must be a text of at most {most} characters in one line"
        yield from coded_ends.faults(self.kind, self.low, self.high, self.bottom_coded, self.top_coded)
        yield from codes.faults(self.kind, self.choices, self.code, self.ucum, dict(self.choice_codes), self.cut)

    def _choice_faults(self) -> Iterator[str]:
        if len(self.choices) < 2 or len(set(self.choices)) != len(self.choices):
            yield f"a choice needs two or more different choices, not {list(self.choices)}"
        for choice in self.choices:
            if fault := name_fault(choice, "choice"):
                yield fault
            if choice == UNKNOWN:
                yield f"{UNKNOWN!r} stands for unknown and cannot be a choice; leave it out and mark the feature optional"
        of_numbers = ("low", "high", "step", "reference", "advise", "advise_for", "relative_max_change", "error", "relative_error")
        if any(getattr(self, key) is not None for key in of_numbers) or self.error_source:
            yield "low, high, step, reference, advise, advise_for, relative_max_change and error belong to numbers, not to choices"
        yield from self._move_faults()

    def _move_faults(self) -> Iterator[str]:
        names = [present for present, _ in self.moves]
        for name in dict.fromkeys([*names, *(choice for _, allowed in self.moves for choice in allowed)]):
            if name not in self.choices:
                yield f"moves names {name!r}, which is none of its choices"
        if len(set(names)) != len(names):
            yield "moves names a choice twice"
        for present, allowed in self.moves:
            if present in allowed or len(set(allowed)) != len(allowed):
                yield f"moves from {present!r} must be different other choices, not {list(allowed)}"

    def _number_faults(self) -> Iterator[str]:
        if self.choices or self.moves:
            yield "choices belong to kind 'choice', not to numbers" if self.choices else "moves belong to kind 'choice', not to numbers"
        yield from self._error_faults()
        if self.low is None or self.high is None or self.step is None:
            yield "a number needs low, high and step"
            return
        if not all(map(math.isfinite, (self.low, self.high, self.step))) or self.step <= 0 or self.high <= self.low:
            yield f"needs finite low < high and step > 0, not {readable(self.low)}, {readable(self.high)}, {readable(self.step)}"
            return
        if (self.high - self.low) / self.step > MAX_LATTICE:
            yield f"{readable(self.low)}..{readable(self.high)} by {readable(self.step)} is over {MAX_LATTICE} values; use a coarser step"
        yield from self._step_faults(max(abs(self.low), abs(self.high)), self.step)
        for key, ends in (("reference", self.reference), ("advise", self.advise), ("advise_for", self.advise_for)):
            if ends is not None and not (self.low <= ends[0] <= ends[1] <= self.high):
                yield f"{key} [{readable(ends[0])}, {readable(ends[1])}] does not lie inside {readable(self.low)}..{readable(self.high)}"
        if self.relative_max_change is not None and not 0 < self.relative_max_change <= 1:
            yield f"relative_max_change is a share of the present value, above 0 and at most 1, not {readable(self.relative_max_change)}"

    @staticmethod
    def _step_faults(largest: float, step: float) -> Iterator[str]:
        """Steps that arithmetic cannot keep apart: tolerances are 1e-9, and classifiers read 32-bit numbers."""
        if step < LEAST_STEP:
            yield f"step {readable(step)} is under {readable(LEAST_STEP)}; state the feature in a smaller unit, such as nano for micro"
        elif np.spacing(np.float32(largest)) > step / 2:
            alike = f"values of {readable(largest)} that differ by {readable(step)} are the same to a classifier"
            yield f"{alike}; use a coarser step or count from a nearer 0"

    def _error_faults(self) -> Iterator[str]:
        for key, error in (("error", self.error), ("relative_error", self.relative_error)):
            if error is not None and not (math.isfinite(error) and error >= 0):
                yield f"{key} must be a finite number of 0 or more, not {readable(error)}"
        if self.relative_error is not None and self.relative_error > 1:
            yield f"relative_error is a share of the reading, 0 to 1, not {readable(self.relative_error)}"
        if self.error is not None and self.relative_error is not None:
            yield "error and relative_error are both stated; keep one"
        if self.error_source and self.error is None and self.relative_error is None:
            yield "error_source says where error comes from, and neither error nor relative_error is stated"

    def farthest(self, code: float) -> float:
        """How far a known value may move at most, in units (of a choice, in places of its list): the nearer of its two limits."""
        far = math.inf if self.max_change is None else self.max_change
        return far if self.relative_max_change is None else min(far, self.relative_max_change * abs(code))

    def moves_from(self, code: float) -> tuple[str, ...] | None:
        """What the choice with this code may become; None where `moves` does not say, so anything."""
        return dict(self.moves).get(self.choices[int(code)]) if self.moves and not math.isnan(code) else None

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

    def coded(self, value: float) -> float | None:
        """A number of a record as the table that the model was made of has it; None for one that no record may hold."""
        assert self.low is not None and self.high is not None
        return coded_ends.coded(value, self.low, self.high, self.bottom_coded, self.top_coded)

    def beyond(self, code: object) -> str:
        """' or over' and ' or under' at an end that stands for all beyond it; empty for every other value."""
        ends = self.low, self.high, self.bottom_coded, self.top_coded
        return coded_ends.beyond(code, *ends) if isinstance(code, int | float) and self.kind == "number" else ""

    def nearest(self, code: float) -> int:
        """Index into `lattice` of the value nearest to `code` (the lower one of two equally near)."""
        return int(np.abs(self.lattice - code).argmin())

    def allowed(self) -> str:
        """What a record may hold, in words, for messages."""
        if self.kind == "choice":
            return "one of " + ", ".join(self.choices)
        out = f"{number_text(self.low or 0)} to {number_text(self.high or 0)} {self.unit}".rstrip()
        ways = (("up to", self.top_coded, self.high), ("down to", self.bottom_coded, self.low))
        told = ((way, far, end) for way, far, end in ways if far is not None and end is not None)
        further = [f"{way} {number_text(far)}, read as {number_text(end)}{self.beyond(end)}" for way, far, end in told]
        return f"{out} (and {' and '.join(further)})" if further else out

    @property
    def measure(self) -> str:
        """The unit, with what the ends stand for, for language models."""
        ends = [(number_text(end), self.beyond(end).replace(" or ", " and ")) for end in (self.low, self.high) if end is not None]
        return " ".join(filter(None, [self.unit, *(f"({end}{past}: {end})" for end, past in ends if past)]))

    def to_json(self) -> dict[str, Any]:
        """Only what differs from the defaults, so that a schema file stays readable."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        kept = {k: v for k, v in plain.items() if k in ("name", "kind") or v != Feature.__dataclass_fields__[k].default}
        out: dict[str, Any] = {k: list(v) if isinstance(v, tuple) else v for k, v in kept.items()}
        out |= {key: {name: list(part) for name, part in getattr(self, key)} for key in ("moves", "advise_if") if key in out}
        out |= {"code": codes.plain(self.code)} if self.code else {}
        return out | ({"choice_codes": {name: codes.plain(part) for name, part in self.choice_codes}} if self.choice_codes else {})
