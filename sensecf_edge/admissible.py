"""Which values each feature may take for one record and one request. Grammar, refine and teachers all ask here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from .errors import ConstraintError
from .record import Record
from .schema import Feature, Schema, Vector, number_text, spell_difference
from .settings import LOOP

EPSILON = 1e-9


@dataclass(frozen=True)
class Constraints:
    """What one request forbids on top of the schema. `bounds` are in units, both ends included, numbers only."""

    freeze: frozenset[str] = frozenset()
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    max_changes: int = LOOP.max_changes


@dataclass(frozen=True)
class Admissible:
    """The answer space: `values[i]` are the codes feature i may change to (never its present one), ascending.

    Empty for features that may not change. `max_changes` counts proposed features, not those a relation completes.
    """

    record: Record
    values: tuple[Vector, ...]
    max_changes: int

    @property
    def features(self) -> list[int]:
        """Positions of the features that may change, in schema order."""
        return [i for i, v in enumerate(self.values) if v.size]


def admissible(record: Record, constraints: Constraints | None = None) -> Admissible:
    """The answer space of a record. Raises ConstraintError where nothing is left, naming the constraint."""
    constraints = constraints or Constraints()
    check(record.schema, constraints)
    schema = record.schema
    values = tuple(
        _values(f, code, constraints.bounds.get(f.name))
        if f.mutable and f.name not in schema.completed and f.name not in constraints.freeze
        else np.empty(0)
        for f, code in zip(schema.features, record.vector, strict=True)
    )
    if not any(v.size for v in values):
        raise ConstraintError(_why_nothing(record, constraints))
    return Admissible(record, values, constraints.max_changes)


def _values(feature: Feature, code: float, bound: tuple[float, float] | None) -> Vector:
    """Lattice values on the allowed side, within max_change, the reference range and the request's bounds."""
    if math.isnan(code):
        return np.empty(0)
    lattice = feature.lattice
    keep = np.abs(lattice - code) > EPSILON
    if feature.direction != "either":
        keep &= (lattice > code) if feature.direction == "increase" else (lattice < code)
    if feature.max_change is not None:
        keep &= np.abs(lattice - code) <= feature.max_change + EPSILON
    for limits in (feature.reference, bound):
        if limits is not None:
            keep &= (lattice >= limits[0] - EPSILON) & (lattice <= limits[1] + EPSILON)
    return lattice[keep]


def check(schema: Schema, constraints: Constraints) -> None:
    """Constraints that no record could meet. Raises ConstraintError naming the one at fault."""
    named = [*constraints.freeze, *constraints.bounds]
    if set(named) - set(schema.names):
        difference = spell_difference([*schema.names, *named], schema.names)
        raise ConstraintError(f"freeze or bound names a feature that the schema does not have; {difference}")
    if constraints.max_changes < 1:
        raise ConstraintError(f"max-changes is {constraints.max_changes}; it must be 1 or more")
    for name, (low, high) in constraints.bounds.items():
        feature = schema[name]
        if feature.kind == "choice":
            raise ConstraintError(f"{name} is a choice and takes no bound; freeze it instead")
        if not (math.isfinite(low) and math.isfinite(high)) or low > high:
            raise ConstraintError(f"the bound {name}={low}:{high} is empty; give LOW:HIGH with LOW <= HIGH")
        if name in constraints.freeze:
            raise ConstraintError(f"{name} is both frozen and bounded; drop one of the two")
        assert feature.low is not None and feature.high is not None
        if high < feature.low or low > feature.high:
            raise ConstraintError(
                f"the bound {name}={number_text(low)}:{number_text(high)} lies outside what is possible, {feature.allowed()}"
            )


def _why_nothing(record: Record, constraints: Constraints) -> str:
    free = [f.name for f in record.schema.features if f.mutable and f.name not in record.schema.completed]
    if not free:
        return "the schema has no mutable feature, so nothing may change"
    if set(free) <= constraints.freeze:
        return f"every mutable feature is frozen ({', '.join(free)}); free at least one"
    bounded = [n for n in free if n in constraints.bounds]
    if bounded:
        parts = [f"{n}={number_text(constraints.bounds[n][0])}:{number_text(constraints.bounds[n][1])}" for n in bounded]
        return f"the bounds {', '.join(parts)} leave no value to move to; widen them or free another feature"
    return "no mutable feature can move: each is unknown, or at the end of its allowed side"
