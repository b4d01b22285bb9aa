"""Finds the columns of a table that say what another one says, so that a density counts them once.

A number goes with another where a straight line between them is off by no more than a twentieth of its spread in any row (other
units, rounded); a choice where each of its choices stands with one choice of the other and no other. Of numbers the first by what it
holds is kept (`by_content`), of choices the first by name, for what they hold are names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sensecf_edge.judge.copies import Copy, alone
from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.schema import Schema

from ..table.cohort import Cohort
from .column_order import by_content

APART, ROUNDING = 0.05, 1e-9
SHARED = 0.5
LEAST_ROWS = 20
"""Of the rows in which either of two columns is known, the share in which both are; and how many those are at least."""


def found(data: Cohort) -> tuple[Copy, ...]:
    """The copies among the columns of a cohort, of all its rows."""
    schema, out = data.schema, list[Copy]()
    kept = list[int]()
    for column in sorted(by_content(data), key=lambda i: schema.names[i] if schema.features[i].kind == "choice" else ""):
        pairs = (_pair(schema, data.X, column, of) for of in kept if schema.features[of].kind == schema.features[column].kind)
        copy = next((copy for copy in pairs if copy), None)
        if copy is None:
            kept.append(column)
        else:
            out.append(copy)
    return tuple(out)


def without(data: Cohort, copied: Sequence[Copy]) -> Cohort:
    """The cohort without its copies; what only a copy says stands in the column that it goes with. Relations are left out."""
    if not copied:
        return data
    kept = np.delete(np.arange(len(data.schema)), [copy.column for copy in copied])
    schema = Schema(tuple(data.schema.features[i] for i in kept))
    return replace(data, schema=schema, X=alone(copied, data.X)[:, kept])


def _pair(schema: Schema, X: Vector, column: int, of: int) -> Copy | None:
    mine, other = X[:, column], X[:, of]
    either, both = ~(np.isnan(mine) & np.isnan(other)), ~(np.isnan(mine) | np.isnan(other))
    if both.sum() < max(LEAST_ROWS, SHARED * either.sum()):
        return None
    if schema.features[column].kind == "number":
        return _line(mine[both], other[both], column, of)
    sizes = len(schema.features[column].choices), len(schema.features[of].choices)
    return _renamed(schema, mine[both].astype(np.intp), other[both].astype(np.intp), column, of) if sizes[0] == sizes[1] else None


def _line(mine: Vector, other: Vector, column: int, of: int) -> Copy | None:
    spread, wide = float(mine.std()), float(other.std())
    if not spread or not wide:
        return None
    times = float(((mine - mine.mean()) * (other - other.mean())).mean()) / wide**2
    plus = float(mine.mean() - times * other.mean())
    apart = float(np.abs(mine - times * other - plus).max()) + ROUNDING * spread
    return Copy(column, of, times, plus, apart) if times and apart <= APART * spread else None


def _renamed(schema: Schema, mine: NDArray[np.intp], other: NDArray[np.intp], column: int, of: int) -> Copy | None:
    """Choices that nobody has go together by name: no row says otherwise."""
    size = len(schema.features[of].choices)
    together = np.zeros((size, size), dtype=bool)
    together[other, mine] = True
    if together.sum() < 2 or (together.sum(axis=0) > 1).any() or (together.sum(axis=1) > 1).any():
        return None
    left = [sorted(np.flatnonzero(~together.any(axis=axis)), key=lambda i: schema.features[which].choices[i])
            for axis, which in ((1, of), (0, column))]  # fmt: skip
    together[left[0], left[1]] = True
    return Copy(column, of, codes=tuple(int(k) for k in together.argmax(axis=1)))
