"""What one request asks on top of the schema, and what no record could meet."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from .. import arguments
from ..errors import ConstraintError
from ..schema.feature import Feature, readable
from ..schema.record import Record
from ..schema.schema import Schema, spell_difference
from ..settings import LOOP

EPSILON = 1e-9


LARGEST_COST = 1_000_000


@dataclass(frozen=True)
class Constraints:
    """What one request asks on top of the schema.

    `bounds` are in units, both ends included, numbers only: every answer lies inside, and what begins outside is moved
    in. `costs` weigh a change of a feature for this person, in place of the schema's own cost; 1 is ordinary. Any
    collection of names and any make of number will do. Raises ConstraintError for what is none.
    """

    freeze: frozenset[str] = frozenset()
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    max_changes: int = LOOP.max_changes
    costs: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        plain = {
            "freeze": arguments.names("freeze", self.freeze), "bounds": arguments.pairs("bounds", self.bounds),
            "max_changes": arguments.whole("max-changes", self.max_changes), "costs": arguments.numbers("costs", self.costs),
        }  # fmt: skip
        for name, value in plain.items():
            object.__setattr__(self, name, value)


def concerns(record: Record, feature: Feature, code: float) -> bool:
    """Whether anything is advised of a feature to whom this record is, `code` its own value, known or worked out."""
    own = feature.advise_for is None or feature.advise_for[0] - EPSILON <= code <= feature.advise_for[1] + EPSILON
    return own and not unmet_conditions(record, feature)


def unmet_conditions(record: Record, feature: Feature) -> list[str]:
    """The features for whose present values nothing is advised of this one (`advise_if`); an unknown value is one."""
    out = []
    for name, among in feature.advise_if:
        other, code = record.schema[name], float(record.vector[record.schema.index[name]])
        plain = other.kind == "number"
        if math.isnan(code) or not (among[0] - EPSILON <= code <= among[1] + EPSILON if plain else other.text(code) in among):
            out.append(name)
    return out


def check_constraints(schema: Schema, constraints: Constraints) -> None:
    """Constraints that no record could meet. Raises ConstraintError naming the one at fault."""
    named = [*constraints.freeze, *constraints.bounds, *constraints.costs]
    if set(named) - set(schema.names):
        difference = spell_difference([*schema.names, *named], schema.names)
        raise ConstraintError(f"freeze or bound names a feature that the schema does not have; {difference}")
    for name, weight in constraints.costs.items():
        if not (math.isfinite(weight) and 0 < weight <= LARGEST_COST):
            above = f"the cost {name}={readable(weight)} must be above 0 and at most {LARGEST_COST:,}"
            raise ConstraintError(f"{above}; freeze what may not change")
    free = [f.name for f in schema.features if f.mutable and f.name not in schema.completed]
    if not free:
        raise ConstraintError("the schema has no mutable feature, so nothing may change")
    if set(free) <= constraints.freeze:
        raise ConstraintError(f"every mutable feature is frozen ({', '.join(schema[name].title for name in free)}); free at least one")
    if constraints.max_changes < 1:
        raise ConstraintError(f"max-changes is {constraints.max_changes}; it must be 1 or more")
    for name, (low, high) in constraints.bounds.items():
        feature = schema[name]
        if feature.kind == "choice":
            raise ConstraintError(f"{name} is a choice and takes no bound; freeze it instead")
        if not (math.isfinite(low) and math.isfinite(high)) or low > high:
            raise ConstraintError(f"the bound {name}={readable(low)}:{readable(high)} is empty; give LOW:HIGH with LOW <= HIGH")
        if name in constraints.freeze:
            raise ConstraintError(f"{name} is both frozen and bounded; drop one of the two")
        assert feature.low is not None and feature.high is not None
        if high < feature.low or low > feature.high:
            raise ConstraintError(f"the bound {name}={readable(low)}:{readable(high)} lies outside what is possible, {feature.allowed()}")
