"""What a made-up training row must keep, and which class is made.

A training row is no advice. What may be advised (immutable features, one-way changes, how far, clinical bounds) says nothing
about which rows can exist, and would leave whole parts of the short class out: most heart patients differ from healthy people
in findings that nobody can change. What can exist (ranges, steps, choices, relations between features) is kept; what a change
brings along (`causes`) says how one person changes, not who can exist.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from sensecf_edge.errors import TableError
from sensecf_edge.schema.feature import Feature
from sensecf_edge.schema.relation import CHANGE, KINDS
from sensecf_edge.schema.schema import Schema

from ..table import fit_relations
from ..table.cohort import Cohort


def relaxed_schema(schema: Schema) -> Schema:
    """The schema without what limits or follows advice: every feature may change, either way, by itself, as far as records reach."""
    limits = (
        "mutable", "direction", "max_change", "relative_max_change", "advise", "advise_for", "advise_if", "advise_source", "never_advise",
        "moves", "cost",
    )  # fmt: skip
    free: dict[str, Any] = {key: Feature.__dataclass_fields__[key].default for key in limits}
    relations = tuple(r for r in schema.relations if r.holds != CHANGE)
    return replace(schema, features=tuple(replace(f, **free) for f in schema.features), relations=relations)


def read(file: Path) -> tuple[Schema, list[dict[str, Any]]]:
    """A schema file, and those of its relations that state no slope: see `fit_relations.read_schema`. Effects, which are
    dropped, are none of them."""
    schema, left = fit_relations.read_schema(file)
    return schema, [relation for relation in left if KINDS[relation["kind"]].holds != CHANGE]


def towards_class(data: Cohort, made: str) -> Cohort:
    """The same rows with `y` true for the class `made`, so that everything built on the cohort leads towards it.

    Raises TableError for a name that is no class of the table.
    """
    if made not in data.classes:
        raise TableError(f"there is no class {made!r}; the table has {' and '.join(data.classes)}")
    return data if made == data.classes[1] else Cohort(data.schema, data.X, ~data.y, data.persons, data.classes[::-1])
