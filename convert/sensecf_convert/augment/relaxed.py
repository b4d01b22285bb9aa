"""What a made-up training row must keep, and which class is made.

A training row is no advice. What may be advised (immutable features, one-way changes, how far, clinical bounds) says nothing
about which rows can exist, and would leave whole parts of the short class out: most heart patients differ from healthy people
in findings that nobody can change. What can exist (ranges, steps, choices, relations between features) is kept.
"""

from __future__ import annotations

from dataclasses import replace

from sensecf_edge.errors import TableError
from sensecf_edge.schema.feature import Feature
from sensecf_edge.schema.schema import Schema

from ..table.cohort import Cohort


def relaxed_schema(schema: Schema) -> Schema:
    """The schema without what limits advice: every feature may change, either way, as far as records reach."""
    limits = ("mutable", "direction", "max_change", "advise", "advise_source", "never_advise", "moves", "cost")
    free = {key: Feature.__dataclass_fields__[key].default for key in limits}
    return replace(schema, features=tuple(replace(f, **free) for f in schema.features))


def towards_class(data: Cohort, made: str) -> Cohort:
    """The same rows with `y` true for the class `made`, so that everything built on the cohort leads towards it.

    Raises TableError for a name that is no class of the table.
    """
    if made not in data.classes:
        raise TableError(f"there is no class {made!r}; the table has {' and '.join(data.classes)}")
    return data if made == data.classes[1] else Cohort(data.schema, data.X, ~data.y, data.persons, data.classes[::-1])
