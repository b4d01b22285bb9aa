"""What holds between the features of a record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from ..errors import SchemaError
from .feature import Vector, number_text


@dataclass(frozen=True)
class Relation:
    """Something that holds between features. Skipped for a record in which one of them is unknown.

    `sum`      features add up to `total` within `tolerance`
    `ratio`    features[0] = scale * features[1] / features[2] ** power within `tolerance` (bmi: scale 10000, power 2, cm)
    `le`       features[0] <= features[1]; <= slope * features[1] + intercept where a slope is stated
    `implies`  features[0] among `if_values` only when features[1] is among `then_values`
    `band`     features[0] = slope * features[1] + intercept within `tolerance`: the band seen in data
    `causes`   a change of features[0] moves features[1] by slope times as much, exactly, before any advice on it

    `completes` names the feature that follows the others: it is never proposed, it is computed (not for le and implies).
    What a band completes moves only as far as it must to stay inside. The effect of a cause may be advised on as well,
    unless the relation completes it. What follows is a number between the steps of its lattice, shown with the digits of its
    step. A record that breaks a relation to begin with may keep its own deviation, not enlarge it; an implication has no
    measure, so a change of one of its two features has to mend it. Nothing that follows may be marked as not mutable, which
    would freeze what it follows; a completed feature is never proposed anyway.
    """

    kind: str
    features: tuple[str, ...]
    total: float | None = None
    tolerance: float = 0.0
    scale: float = 1.0
    power: float = 1.0
    slope: float = 0.0
    intercept: float = 0.0
    if_values: tuple[str, ...] = ()
    then_values: tuple[str, ...] = ()
    completes: str | None = None

    def __post_init__(self) -> None:
        faults = list(self._faults())
        if faults:
            raise SchemaError(*(f"relation {self.kind!r} over {', '.join(self.features)}: {fault}" for fault in faults))

    def _faults(self) -> Iterator[str]:
        kind = KINDS.get(self.kind)
        if kind is None:
            yield f"kind is none of {', '.join(KINDS)}"
            return
        count = len(self.features)
        if count < 2 or len(set(self.features)) != count or count != (kind.size or count):
            yield f"needs {kind.size or 'two or more'} different features"
            return
        if self.kind == "implies" and not (self.if_values and self.then_values):
            yield "needs if_values and then_values"
        if self.kind == "sum" and self.total is None:
            yield "needs the total that the features add up to"
        if self.tolerance < 0:
            yield f"tolerance must be 0 or more, not {number_text(self.tolerance)}"
        if kind.fitted and not self.slope:
            yield "needs a slope other than 0, fitted to data or stated"
        if self.completes is None:
            return
        if kind.completes is None or self.completes not in self.features:
            *able, last = (name for name, other in KINDS.items() if other.completes is not None)
            yield f"only {', '.join(able)} and {last} complete a feature, one of their own; not {self.completes!r}"
        elif kind.completes != ANY and self.completes != self.features[kind.completes]:
            yield f"{self.kind} completes its {('first', 'second', 'third')[kind.completes]} feature, {self.features[kind.completes]!r}"

    def most(self, second: Vector) -> Vector:
        """What `le` allows the first feature to be at most, beside values of the second one; same shape. Of others NotImplementedError."""
        if self.kind != "le":
            raise NotImplementedError(f"what {self.kind} allows at most")
        return (self.slope or 1.0) * second + self.intercept

    @property
    def exact(self) -> bool:
        """Whether it says exactly what one of its features is where the others are known."""
        return KINDS[self.kind].exact

    @property
    def holds(self) -> str:
        """How it holds: EQUALITY, INEQUALITY, VALUES or CHANGE."""
        return KINDS[self.kind].holds

    @property
    def fitted(self) -> bool:
        """Whether its numbers may be left to data: a matter of judgement, not of arithmetic."""
        return KINDS[self.kind].fitted

    @property
    def moves(self) -> str | None:
        """The feature that this relation moves when others change: the one it completes, or the effect of a cause."""
        return self.features[1] if self.kind == "causes" else self.completes

    def sentence(self) -> str:
        """The relation as a sentence for messages."""
        return KINDS[self.kind].sentence(self)

    def to_json(self) -> dict[str, Any]:
        """Only what differs from the defaults."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        kept = {k: v for k, v in plain.items() if k in ("kind", "features") or v != Relation.__dataclass_fields__[k].default}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in kept.items()}


class Kind(NamedTuple):
    """What sets one kind of relation apart; what it leaves for a feature is `space.rules`.

    sentence   it in words, for messages
    holds      EQUALITY and INEQUALITY have a distance, to both sides and to one; VALUES has none; CHANGE says how one person changes
               and not who can exist
    size       how many features it is between, None for two or more
    completes  the place of the feature that it may complete, ANY for each of them, None for none
    exact      it says exactly what one of its features is where the others are known
    fitted     its slope may be left to data: a matter of judgement, not of arithmetic
    """

    sentence: Callable[[Relation], str]
    holds: str
    size: int | None = 2
    completes: int | None = None
    exact: bool = False
    fitted: bool = False


ANY = -1
EQUALITY, INEQUALITY, VALUES, CHANGE = "equality", "inequality", "values", "change"


def _sum(r: Relation) -> str:
    return f"{' + '.join(r.features)} = {number_text(r.total or 0.0)}"


def _ratio(r: Relation) -> str:
    first, above, below = r.features
    power = "" if r.power == 1 else f"^{number_text(r.power)}"
    return f"{first} = {number_text(r.scale)} x {above} / {below}{power}"


def _le(r: Relation) -> str:
    slope, more = r.slope or 1.0, r.intercept
    times = "" if slope == 1 else f"{number_text(slope)} x "
    shift = f" {'+' if more > 0 else '-'} {number_text(abs(more))}" if more else ""
    return f"{r.features[0]} <= {times}{r.features[1]}{shift}"


def _implies(r: Relation) -> str:
    return f"{r.features[0]} in ({', '.join(r.if_values)}) only if {r.features[1]} in ({', '.join(r.then_values)})"


def _band(r: Relation) -> str:
    line = f"{number_text(r.slope)} x {r.features[1]} + {number_text(r.intercept)}"
    return f"{r.features[0]} = {line}, give or take {number_text(r.tolerance)}"


def _causes(r: Relation) -> str:
    return f"{r.features[1]} moves by {number_text(r.slope)} x the change of {r.features[0]}"


KINDS = {
    "sum": Kind(_sum, EQUALITY, size=None, completes=ANY, exact=True),
    "ratio": Kind(_ratio, EQUALITY, size=3, completes=0, exact=True),
    "le": Kind(_le, INEQUALITY),
    "implies": Kind(_implies, VALUES),
    "band": Kind(_band, EQUALITY, completes=0, fitted=True),
    "causes": Kind(_causes, CHANGE, completes=1, fitted=True),
}
"""docs/architecture.md says what else another one needs. Who computes with a kind that it does not know raises NotImplementedError."""
