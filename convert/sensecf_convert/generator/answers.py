"""The canonical answer that a grammar derives: what a generator is taught to say, and what its likelihood is asked of."""

from __future__ import annotations

import json

from sensecf_edge.propose.grammar import answer_value
from sensecf_edge.schema.feature import Vector
from sensecf_edge.space import rules
from sensecf_edge.space.admissible import Admissible


def answer_text(space: Admissible, y: Vector) -> str:
    """The answer that turns the record into y: what changes, in schema order, but for features that follow others."""
    schema = space.record.schema
    said = [schema.features[i] for i in rules.proposed(schema, space.record.vector, y)]
    parts = (f"{json.dumps(f.name, ensure_ascii=False)}:{answer_value(f.text(y[schema.index[f.name]]), f.kind)}" for f in said)
    return "{" + ",".join(parts) + "}"
