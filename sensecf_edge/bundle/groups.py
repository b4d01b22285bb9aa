"""The groups of unseen people that a model was measured on, and which of them a person belongs to."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ..answer.basis import Group
from ..schema.record import Record

EPSILON = 1e-9


def fitting(groups: Iterable[Group], record: Record) -> tuple[Group, ...]:
    """The groups that the record belongs to; one whose feature is unknown, or not in the schema, is none of them."""
    return tuple(group for group in groups if group.feature in record.schema.index and _fits(group, record))


def _fits(group: Group, record: Record) -> bool:
    feature, code = record.schema[group.feature], record.vector[record.schema.index[group.feature]]
    if math.isnan(code):
        return False
    if feature.kind == "choice":
        return feature.choices[int(code)] == group.label
    low, high = (-math.inf if group.low is None else group.low), (math.inf if group.high is None else group.high)
    return bool(low + EPSILON < code <= high + EPSILON)
