"""One person's values, checked against the schema. Parsing is strict; nothing is guessed, rounded or filled in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import RecordError
from ..settings import RECORD
from .cells import choice
from .feature import Feature, Vector, number_text
from .parsing import LARGEST, LooseJsonError, strict
from .schema import Schema, spell_difference

Value = float | str | None


@dataclass(frozen=True, eq=False)
class Record:
    """A checked record: `vector` holds one code per feature in schema order, shape (features,), NaN where unknown.

    `stated` holds numbers beyond an end of their feature that stands for all beyond it, by name: they are read as that end. Records of
    equal schemas and values are equal; unknown equals unknown.
    """

    schema: Schema
    vector: Vector
    stated: Mapping[str, float] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and self.schema == other.schema and not self.differences(other.vector)

    def __hash__(self) -> int:
        return hash((self.schema.hash, (self.vector + 0.0).tobytes()))

    @classmethod
    def from_mapping(cls, schema: Schema, values: Mapping[str, Any]) -> Record:
        """Check names and values. Raises RecordError naming the feature, the value and what is allowed.

        A feature that the schema marks optional may be absent, None or NaN; any other must be there.
        """
        if not isinstance(values, Mapping):
            raise RecordError(f"a record is a mapping of feature names to values, not a {type(values).__name__}")
        if not all(isinstance(name, str) for name in values):
            raise RecordError("a record is a mapping of feature names to values, and some of its names are no text")
        values = {name: None if isinstance(v, float | np.floating) and math.isnan(v) else v for name, v in values.items()}
        lacking = [f.name for f in schema.features if not f.optional and values.get(f.name) is None]
        if set(values) - set(schema.names) or set(lacking) - set(values):
            optional = [f.name for f in schema.features if f.optional]
            raise RecordError("the record's names do not fit the schema; " + spell_difference([*values, *optional], schema.names))
        if lacking:
            raise RecordError(f"{lacking[0]} is null, and the schema does not mark it as optional; give {schema[lacking[0]].allowed()}")
        vector = np.array([encode(f, values.get(f.name)) for f in schema.features])
        coded = ((f, code) for f, code in zip(schema.features, vector, strict=True) if f.beyond(float(code)) and values[f.name] != code)
        return cls(schema, vector, {f.name: float(values[f.name]) for f, _ in coded})

    @classmethod
    def from_json(cls, schema: Schema, data: bytes | str, where: str = "the record") -> Record:
        """Parse one JSON object (see `parse_object`) and check it."""
        return cls.from_mapping(schema, parse_object(data, where))

    def to_mapping(self) -> dict[str, Value]:
        """Values by name, in schema order; None where unknown."""
        return {f.name: decode(f, c) for f, c in zip(self.schema.features, self.vector, strict=True)}

    def differences(self, other: Vector) -> list[int]:
        """Positions at which `other` holds another value. Unknown equals unknown."""
        same = (self.vector == other) | (np.isnan(self.vector) & np.isnan(other))
        return [int(i) for i in np.flatnonzero(~same)]


def faults_in(schema: Schema, values: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with each value, by its name: all of it, where `Record.from_mapping` raises for the first. Empty for a record."""
    out = {name: f"{name} is no feature of this model" for name in values if name not in schema.index}
    for feature in schema.features:
        value = values.get(feature.name)
        if value is None and not feature.optional:
            out[feature.name] = f"{feature.name} is missing; allowed is {feature.allowed()}"
            continue
        try:
            encode(feature, value)
        except RecordError as error:
            out[feature.name] = str(error)
    return out


def encode(feature: Feature, value: Any) -> float:
    """A JSON value as the feature's code. Raises RecordError. A number may name a choice that is written as one, true or false
    the choice of that name."""
    if value is None:
        return math.nan
    if feature.kind == "choice":
        text = choice(feature.choices, value)
        if text is None:
            raise RecordError(f"{feature.name} cannot be {value!r}; it is {feature.allowed()}")
        return float(feature.choices.index(text))
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RecordError(f"{feature.name} must be a number, not {value!r}; allowed is {feature.allowed()}")
    code = feature.coded(value)
    if code is None:
        said = number_text(value) if -LARGEST <= value <= LARGEST else repr(value)
        raise RecordError(f"{feature.name} cannot be {said}; allowed is {feature.allowed()}")
    return float(code)


def decode(feature: Feature, code: float) -> Value:
    """A code as a JSON value: whole numbers without a fraction, choices as text, None for unknown."""
    if math.isnan(code):
        return None
    if feature.kind == "choice":
        return feature.choices[int(code)]
    return int(code) if code == int(code) else float(code)


def parse_object(data: bytes | str, where: str, most: int = RECORD.max_bytes) -> dict[str, Any]:
    """One JSON object, or RecordError in one line: over `most` bytes, not UTF-8, not JSON, NaN, a key twice, not an object."""
    if len(data) > most:
        raise RecordError(f"{where} holds over {most:,} bytes; give the record of one person")
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
    except UnicodeDecodeError as error:
        raise RecordError(f"{where} is not UTF-8 (byte {error.start}); save it as UTF-8") from error
    try:
        value = strict(text)
    except LooseJsonError as error:
        raise RecordError(f"{error}; {error.remedy}") from error
    except RecursionError as error:
        raise RecordError(f"{where} is nested too deeply; a record is one flat JSON object") from error
    except ValueError as error:
        raise RecordError(f"{where} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise RecordError(f'{where} is not a JSON object but {_KINDS.get(type(value), "a value")}; write {{"feature": value, ...}}')
    return value


_KINDS: dict[type, str] = {list: "a list", str: "a text", int: "a number", float: "a number", bool: "true or false", type(None): "null"}
