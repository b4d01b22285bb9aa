"""Answer text -> the candidate record it describes, or a refusal that says which rule of reading failed.

The grammar already forbids every refusal but a cut one; reading is strict all the same, because an answer may also
come from an engine without a grammar.
"""

from __future__ import annotations

import numpy as np

from ..errors import RecordError
from ..schema.feature import Vector
from ..schema.record import Record, encode, parse_object

CUT = "the answer was cut before its end"


def read(record: Record, text: str) -> Vector | str:
    """The factual vector with the answer's changes applied, shape (features,); or why the text cannot be read."""
    if not text.endswith("}"):
        return CUT
    try:
        changes = parse_object(text, "the answer")
        unknown = [name for name in changes if name not in record.schema.index]
        if unknown:
            return "the answer names a feature that the schema does not have"
        out: Vector = record.vector.copy()
        for name, value in changes.items():
            if value is None:
                return "the answer sets a feature to null"
            if np.isnan(record.vector[record.schema.index[name]]):
                return "the answer changes a value that is unknown"
            out[record.schema.index[name]] = encode(record.schema[name], value)
    except RecordError:
        return "the answer is not a JSON object of values the schema allows"
    return out
