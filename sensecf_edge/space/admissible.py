"""Which values each feature may take for one record and one request. Grammar, refine and teachers all ask here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..errors import ConstraintError
from ..schema.feature import Feature, Vector
from ..schema.record import Record
from ..schema.schema import Schema
from .constraints import EPSILON, Constraints, check_constraints, concerns
from .reasons import nothing_to_change


@dataclass(frozen=True)
class Admissible:
    """The answer space: `values[i]` are the codes feature i may change to (never its present one), ascending.

    Empty for features that may not change. `max_changes` counts proposed features, not those a relation completes.
    `constraints` are kept for those: they are not proposed, but bound all the same.
    """

    record: Record
    values: tuple[Vector, ...]
    max_changes: int
    constraints: Constraints = field(default_factory=Constraints)

    @cached_property
    def weights(self) -> Vector:
        """Cost of a change of each feature for this person, shape (features,)."""
        return np.array([self.constraints.costs.get(f.name, f.cost) for f in self.record.schema.features])

    def without(self, i: int) -> Admissible:
        """The same space with feature i left as it is."""
        return self._only(i, np.empty(0))

    def less(self, i: int, code: float) -> Admissible:
        """The same space with feature i moving less far than to `code`; not at all where it is a choice."""
        present = self.record.vector[i]
        plain = self.record.schema.features[i].kind == "number"
        return self._only(i, self.values[i][np.abs(self.values[i] - present) < abs(code - present) - EPSILON] if plain else np.empty(0))

    def _only(self, i: int, values: Vector) -> Admissible:
        return replace(self, values=(*self.values[:i], values, *self.values[i + 1 :]))

    @cached_property
    def features(self) -> list[int]:
        """Positions of the features that may change, in schema order."""
        return [i for i, v in enumerate(self.values) if v.size]

    @cached_property
    def singles(self) -> tuple[NDArray[np.intp], Vector]:
        """Every single change: positions and codes, both of shape (changes,), in schema order and ascending."""
        counts = [len(v) for v in self.values]
        return np.repeat(np.arange(len(counts)), counts), np.concatenate(self.values)

    @cached_property
    def targets(self) -> tuple[NDArray[np.intp], Vector]:
        """As `singles`, and behind each feature's values the one that it has now, in the same shapes: all that one
        move may set."""
        x = self.record.vector
        columns = [np.full(len(self.values[i]) + 1, i) for i in self.features]
        return np.concatenate(columns), np.concatenate([part for i in self.features for part in (self.values[i], x[i : i + 1])])

    @cached_property
    def _open(self) -> NDArray[np.bool_]:
        """Which places of the lattices the values are, shape (features, longest lattice)."""
        columns, codes = self.singles
        out = np.zeros(self.record.schema.lattices.shape, np.bool_)
        out[columns, self.record.schema.nearest(columns, codes)] = True
        return out

    def holds(self, columns: NDArray[np.intp], codes: Vector) -> NDArray[np.bool_]:
        """Whether the features at `columns` may change to the codes beside them, shape (changes,)."""
        schema = self.record.schema
        at = schema.nearest(columns, codes)
        out: NDArray[np.bool_] = self._open[columns, at] & (np.abs(schema.lattices[columns, at] - codes) <= EPSILON)
        return out


def admissible(record: Record, constraints: Constraints | None = None) -> Admissible:
    """The answer space of a record.

    Raises ConstraintError for a request that it cannot meet, NothingToChangeError where its own values leave nothing to change.
    """
    constraints = constraints or Constraints()
    check_constraints(record.schema, constraints)
    values = _all_values(record, constraints)
    _check_bounds(record, constraints, values)
    if not any(v.size for v in values):
        raise nothing_to_change(record, constraints)
    return Admissible(record, values, constraints.max_changes, constraints)


def require_within_bounds(record: Record, constraints: Constraints) -> None:
    """Raises ConstraintError for bounds that the record lies outside of and that no answer can bring it into."""
    check_constraints(record.schema, constraints)
    if outside_bounds(record, constraints):
        _check_bounds(record, constraints, _all_values(record, constraints))


def _all_values(record: Record, constraints: Constraints) -> tuple[Vector, ...]:
    schema = record.schema
    return tuple(
        np.empty(0) if f.name in schema.completed else _values(record, f, code, constraints)
        for f, code in zip(schema.features, record.vector, strict=True)
    )


def reach(record: Record, feature: Feature, code: float, constraints: Constraints) -> tuple[float, float]:
    """How far a known value may move, (lowest, highest): direction, both limits of a change and the request. Itself alone where it
    may not."""
    if not feature.mutable or feature.name in constraints.freeze or not concerns(record, feature, code):
        return code, code
    low = code if feature.direction == "increase" else -math.inf
    high = code if feature.direction == "decrease" else math.inf
    far = feature.farthest(code)
    least, most = constraints.bounds.get(feature.name, (-math.inf, math.inf))
    return max(low, code - far, least), min(high, code + far, most)


def _values(record: Record, feature: Feature, code: float, constraints: Constraints) -> Vector:
    """Lattice values within reach, reference range and what may be advised, but for the present one; none where it is unknown."""
    if math.isnan(code):
        return np.empty(0)
    lattice = feature.lattice
    keep = np.abs(lattice - code) > EPSILON
    wide = (-math.inf, math.inf)
    for low, high in (reach(record, feature, code, constraints), feature.reference or wide, feature.advise or wide):
        keep &= (lattice >= low - EPSILON) & (lattice <= high + EPSILON)
    allowed = feature.moves_from(code)
    if allowed is not None:
        keep &= np.isin(feature.choices, allowed)
    return lattice[keep]


def _check_bounds(record: Record, constraints: Constraints, values: Sequence[Vector]) -> None:
    schema, out, moved = record.schema, outside_bounds(record, constraints), moved_by(record.schema, values)
    stuck = [schema.features[i].title for i in out if not moved[i]]
    if stuck:
        where, into = ("lies outside its bound", "it") if len(stuck) == 1 else ("lie outside their bounds", "them")
        raise ConstraintError(f"{', '.join(stuck)} {where} and may not be moved into {into}; widen or drop {into}")
    own = [schema.features[i].title for i in out if moved[i] == {i}]
    if len(own) > constraints.max_changes:
        raise ConstraintError(
            f"{', '.join(own)} lie outside their bounds, which takes {len(own)} changes, and max-changes is {constraints.max_changes}"
        )


def outside_bounds(record: Record, constraints: Constraints) -> list[int]:
    """Positions of features that are known to lie outside their bound: every answer has to bring them in."""
    bounds = {record.schema.index[name]: ends for name, ends in constraints.bounds.items()}
    return [i for i, (low, high) in sorted(bounds.items()) if record.vector[i] < low - EPSILON or record.vector[i] > high + EPSILON]


def moved_by(schema: Schema, values: Sequence[Vector]) -> list[set[int]]:
    """For each feature those that move it when they change: itself where it may change, and all that it follows."""
    out: list[set[int]] = [{i} if part.size else set() for i, part in enumerate(values)]
    for name, relations in schema.followers:
        out[schema.index[name]].update(*(out[schema.index[read]] for relation in relations for read in relation.features))
    return out
