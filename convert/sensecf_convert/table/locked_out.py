"""People whom a schema leaves nothing to change: they get no answer, whatever the generator learns, and `fit` says how many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from sensecf_edge.errors import ConstraintError
from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.schema import Schema
from sensecf_edge.space.admissible import admissible
from sensecf_edge.space.constraints import Constraints

MOST = 5_000
"""Rows looked at, the first ones."""


def locked_out(schema: Schema, X: Vector) -> Vector:
    """The rows of X, shape (rows, features), of people who may change nothing."""
    return X[[not _free(schema, x) for x in X]]


def sentence(schema: Schema, X: Vector, unwanted: str) -> str:
    """How many of the rows X, all predicted unwanted, are locked out, and by what; empty where nobody is."""
    X = X[:MOST]
    locked = locked_out(schema, X)
    if not len(locked):
        return ""
    wide = replace(schema, features=tuple(replace(f, max_change=None, relative_max_change=None) for f in schema.features))
    too_far = len(locked) - len(locked_out(wide, locked))
    names = [f.name for f in schema.features if f.mutable and f.farthest(1) < math.inf and f.advise is not None]
    said = f"{len(locked):,} of {len(X):,} training rows predicted {unwanted} may change nothing and get no answer"
    return f"{said}; {too_far:,} of them only because max_change ends before advise begins{_listed(names)}" if too_far else said


def _listed(names: Sequence[str]) -> str:
    return f" ({', '.join(names)})" if names else ""


def _free(schema: Schema, x: Vector) -> bool:
    try:
        admissible(Record(schema, x), Constraints())
    except ConstraintError:
        return False
    return True
