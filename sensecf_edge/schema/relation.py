"""What holds between the features of a record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

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
        sizes = {"ratio": 3, "le": 2, "implies": 2, "band": 2, "causes": 2}
        if self.kind not in ("sum", *sizes):
            yield f"kind is none of sum, {', '.join(sizes)}"
            return
        count = len(self.features)
        if count < 2 or len(set(self.features)) != count or count != sizes.get(self.kind, count):
            yield f"needs {sizes.get(self.kind, 'two or more')} different features"
            return
        if self.kind == "implies" and not (self.if_values and self.then_values):
            yield "needs if_values and then_values"
        if self.kind == "sum" and self.total is None:
            yield "needs the total that the features add up to"
        if self.tolerance < 0:
            yield f"tolerance must be 0 or more, not {number_text(self.tolerance)}"
        if self.kind in ("band", "causes") and not self.slope:
            yield "needs a slope other than 0, fitted to data or stated"
        if self.completes is None:
            return
        at = {"ratio": 0, "band": 0, "causes": 1}.get(self.kind)
        if self.kind in ("le", "implies") or self.completes not in self.features:
            yield f"only sum, ratio, band and causes complete a feature, one of their own; not {self.completes!r}"
        elif at is not None and self.completes != self.features[at]:
            yield f"{self.kind} completes its {('first', 'second')[at]} feature, {self.features[at]!r}"

    def most(self, second: Vector) -> Vector:
        """What `le` allows the first feature to be at most, beside values of the second one; same shape."""
        return (self.slope or 1.0) * second + self.intercept

    @property
    def exact(self) -> bool:
        """Whether it says exactly what one of its features is where the others are known."""
        return self.kind in ("sum", "ratio")

    @property
    def moves(self) -> str | None:
        """The feature that this relation moves when others change: the one it completes, or the effect of a cause."""
        return self.features[1] if self.kind == "causes" else self.completes

    def sentence(self) -> str:
        """The relation as a sentence for messages."""
        f = self.features
        if self.kind == "sum":
            return f"{' + '.join(f)} = {number_text(self.total or 0.0)}"
        if self.kind == "ratio":
            power = "" if self.power == 1 else f"^{number_text(self.power)}"
            return f"{f[0]} = {number_text(self.scale)} x {f[1]} / {f[2]}{power}"
        if self.kind == "le":
            slope, more = self.slope or 1.0, self.intercept
            times = "" if slope == 1 else f"{number_text(slope)} x "
            shift = f" {'+' if more > 0 else '-'} {number_text(abs(more))}" if more else ""
            return f"{f[0]} <= {times}{f[1]}{shift}"
        if self.kind == "band":
            line = f"{number_text(self.slope)} x {f[1]} + {number_text(self.intercept)}"
            return f"{f[0]} = {line}, give or take {number_text(self.tolerance)}"
        if self.kind == "causes":
            return f"{f[1]} moves by {number_text(self.slope)} x the change of {f[0]}"
        return f"{f[0]} in ({', '.join(self.if_values)}) only if {f[1]} in ({', '.join(self.then_values)})"

    def to_json(self) -> dict[str, Any]:
        """Only what differs from the defaults."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        kept = {k: v for k, v in plain.items() if k in ("kind", "features") or v != Relation.__dataclass_fields__[k].default}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in kept.items()}
