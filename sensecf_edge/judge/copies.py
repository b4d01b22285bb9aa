"""Columns that say what another one says: a number in other units, a choice under other names. A density counts them once.

density.json names each with the column it goes with (`of`, which is in the mixtures; a copy is not) and how one is got from the
other. Where both are known and disagree, a record is as ordinary as the rarer of its two readings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..schema.feature import Vector
from ..schema.schema import Schema


@dataclass(frozen=True)
class Copy:
    """A column of a schema that says what column `of` says.

    A number is `times` x `of` + `plus`, up to `apart` in its own units. A choice has `codes`: its code for each code of `of`.
    """

    column: int
    of: int
    times: float = 1.0
    plus: float = 0.0
    apart: float = 0.0
    codes: tuple[int, ...] = ()

    def predicted(self, values: Vector) -> Vector:
        """What the copy says where `of` has these values, none of them unknown; same shape."""
        if self.codes:
            return np.array(self.codes, dtype=np.float64)[values.astype(np.intp)]
        return self.times * values + self.plus

    def original(self, values: Vector) -> Vector:
        """What `of` says where the copy has these values, none of them unknown; same shape."""
        back = np.argsort(self.codes).astype(np.float64)
        out: Vector = back[values.astype(np.intp)] if self.codes else (values - self.plus) / self.times
        return out

    def disagrees(self, Y: Vector) -> NDArray[np.bool_]:
        """Whether both are known and say different things, shape (candidates,)."""
        mine, other = Y[:, self.column], Y[:, self.of]
        out = ~np.isnan(mine) & ~np.isnan(other)
        out[out] = np.abs(mine[out] - self.predicted(other[out])) > self.apart
        return out


def alone(copies: Sequence[Copy], Y: Vector) -> Vector:
    """Candidates, shape (candidates, features), with all copies unknown; what only a copy says stands in the column that it goes with.

    Y itself without copies.
    """
    if not copies:
        return Y
    out: Vector = Y.copy()
    for copy in copies:
        only = np.isnan(out[:, copy.of]) & ~np.isnan(Y[:, copy.column])
        out[only, copy.of] = copy.original(Y[only, copy.column])
    out[:, [copy.column for copy in copies]] = np.nan
    return out


def filled(copies: Sequence[Copy], rows: Vector) -> Vector:
    """Rows, shape (rows, features), whose unknown copies say what their columns say, in place; a column that is unknown itself leaves
    them unknown."""
    for copy in copies:
        missing = np.isnan(rows[:, copy.column]) & ~np.isnan(rows[:, copy.of])
        rows[missing, copy.column] = copy.predicted(rows[missing, copy.of])
    return rows


def read(data: Any, schema: Schema) -> tuple[Copy, ...]:
    """The copies of a density.json. Raises ValueError, KeyError, TypeError, AttributeError for what makes no sense."""
    out = tuple(_one(item, schema) for item in data)
    columns = [copy.column for copy in out]
    if len({*columns}) < len(columns) or {*columns} & {copy.of for copy in out}:
        raise ValueError("a column says twice what another one says")
    return out


def _one(item: Mapping[str, Any], schema: Schema) -> Copy:
    column, of = (schema.index[item[key]] for key in ("feature", "of"))
    mine, other = schema.features[column], schema.features[of]
    if column == of or mine.kind != other.kind:
        raise ValueError("a column says what no other of its kind says")
    if mine.kind == "choice":
        codes = tuple(mine.choices.index(item["choices"][text]) for text in other.choices)
        if sorted(codes) != list(range(len(mine.choices))):
            raise ValueError("a choice does not go with the choices of another one by one")
        return Copy(column, of, codes=codes)
    times, plus, apart = (float(item[key]) for key in ("times", "plus", "apart"))
    if not np.isfinite([times, plus, apart, 1 / times if times else np.inf]).all() or apart < 0:
        raise ValueError("a number does not go with another one")
    return Copy(column, of, times, plus, apart)


def told(copies: Sequence[Copy], schema: Schema) -> list[dict[str, Any]]:
    """The copies as plain JSON values; features and choices by name."""
    out = []
    for copy in copies:
        mine, other = schema.features[copy.column], schema.features[copy.of]
        how: dict[str, Any] = {"times": copy.times, "plus": copy.plus, "apart": copy.apart}
        if copy.codes:
            how = {"choices": {text: mine.choices[code] for text, code in sorted(zip(other.choices, copy.codes, strict=True))}}
        out.append({"feature": mine.name, "of": other.name, **how})
    return sorted(out, key=lambda item: str(item["feature"]))
