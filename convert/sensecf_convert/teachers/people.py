"""People to learn from, made of training rows but nobody's own row.

A factual that is a training row would teach that row by heart, whatever the answer. So a made-up person who coincides on
the lattice (which is all that a generator ever sees of a record) with a training person is dropped, unless the combination is
a natural one: in a table of a few choices every combination occurs, and one that five people share points at none of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.schema import Schema
from sensecf_edge.space import rules

from ..table.cohort import Cohort

Mask = NDArray[np.bool_]
SHARED = 5
NOISE = 0.06
TRIES = 4


def places(schema: Schema, X: Vector) -> NDArray[np.int32]:
    """Every value's place on its feature's lattice (the nearest; the lower of two), -1 unknown; shape (rows, features)."""
    out = np.empty(X.shape, dtype=np.int32)
    for i, feature in enumerate(schema.features):
        lattice = feature.lattice
        out[:, i] = np.where(np.isnan(X[:, i]), -1, np.searchsorted((lattice[1:] + lattice[:-1]) / 2, X[:, i], side="left"))
    return out


class Copies:
    """Says which rows coincide with training rows on the lattice. Unknown equals unknown.

    A combination is natural where five or more training people hold it, or where the lattice has no more combinations than
    the table has people. All others are somebody's own.
    """

    def __init__(self, data: Cohort) -> None:
        self.schema = data.schema
        holders: dict[bytes, set[str]] = {}
        for row, person in zip(places(data.schema, data.X), data.persons, strict=True):
            holders.setdefault(row.tobytes(), set()).add(str(person))
        combinations = np.prod([float(len(f.lattice) + f.optional) for f in data.schema.features])
        crowded = bool(combinations <= len(np.unique(data.persons)))
        self._natural = {row: crowded or len(held) >= SHARED for row, held in holders.items()}

    def own(self, X: Vector) -> Mask:
        """True for rows that are somebody's own, shape (rows,): never to be shown to a learner."""
        return np.array([self._natural.get(row.tobytes()) is False for row in places(self.schema, X)], dtype=bool)

    def natural(self, X: Vector) -> Mask:
        """True for rows that coincide with training rows and may, shape (rows,)."""
        return np.array([self._natural.get(row.tobytes()) is True for row in places(self.schema, X)], dtype=bool)


@dataclass(frozen=True)
class Drawn:
    """Factuals X, shape (people, features), and for each the training person it was made from; "" where from several.

    `dropped` counts those that came out as somebody's own row and were left out.
    """

    X: Vector
    persons: NDArray[np.str_]
    dropped: int = 0


class People:
    """Makes people from one cohort."""

    def __init__(self, data: Cohort) -> None:
        self.data, self.copies = data, Copies(data)

    def invented(self, count: int, rng: np.random.Generator) -> Drawn:
        """People of several rows each; see `invent`."""
        X = _mixed(self.data, count, rng)
        own = self.copies.own(X)
        return Drawn(X[~own], np.full(len(X) - own.sum(), ""), int(own.sum()))

    def nudged(self, rows: NDArray[np.intp], count: int, rng: np.random.Generator) -> Drawn:
        """`count` of the given rows, each with noise. Whoever comes out as somebody's own row is nudged twice as hard, with
        one feature taken from another row of the same person; who still does after four tries is dropped."""
        data = self.data
        numbers = np.array([f.kind == "number" for f in data.schema.features])
        spread = np.where(numbers, np.nanstd(data.X, axis=0), 0.0)
        at = rng.choice(rows, count)
        X, persons = np.empty((0, len(data.schema))), np.empty(0, dtype=data.persons.dtype)
        for k in range(TRIES):
            Y = data.X[at] + rng.normal(0, NOISE * 2**k, (len(at), len(spread))) * spread
            if k:
                _swap_one(data, at, Y, rng)
            Y, kept = settle(data.schema, inside(data.schema, Y))
            own = self.copies.own(Y)
            X, persons = np.concatenate([X, Y[~own]]), np.concatenate([persons, data.persons[at[kept][~own]]])
            at = at[kept][own]
            if not len(at):
                break
        return Drawn(X, persons, len(at))


def _swap_one(data: Cohort, at: NDArray[np.intp], Y: Vector, rng: np.random.Generator) -> None:
    """One feature of every row of Y from another row of the person that row `at` belongs to. In place."""
    for i, row in enumerate(at):
        own = np.flatnonzero(data.persons == data.persons[row])
        column = rng.integers(Y.shape[1])
        value = data.X[rng.choice(own), column]
        if not np.isnan(value) and not np.isnan(Y[i, column]):
            Y[i, column] = value


def invent(data: Cohort, count: int, rng: np.random.Generator) -> Vector:
    """At most `count` people made from training rows, shape (people, features): mixes of two rows, columns swapped, noise.

    A third are blends of two rows, a third take each feature from one of two, a third are single rows with noise.
    Unknown values come along with the rows; features that follow others are computed again. Dropped are those whose
    computed features leave their range, and those who come out as somebody's own row.
    """
    return People(data).invented(count, rng).X


def _mixed(data: Cohort, count: int, rng: np.random.Generator) -> Vector:
    """The people of `invent`, copies among them."""
    schema = data.schema
    numbers = np.array([f.kind == "number" for f in schema.features])
    a, b = (data.X[rng.integers(len(data), size=count)] for _ in range(2))
    style = rng.integers(3, size=(count, 1))
    share = rng.random((count, 1))
    blend = np.where(np.isnan(a) | np.isnan(b), a, share * a + (1 - share) * np.nan_to_num(b))
    swap = np.where(rng.random(a.shape) < rng.random((count, 1)), b, a)
    X = np.where(style == 0, np.where(numbers, blend, swap), np.where(style == 1, swap, a))
    X = np.where(numbers, X + rng.normal(0, NOISE, X.shape) * np.nanstd(data.X, axis=0) * (style != 1), X)
    return settle(schema, inside(schema, X))[0]


def inside(schema: Schema, X: Vector) -> Vector:
    """X, shape (people, features), held inside the reference ranges."""
    low = np.array([f.reference[0] if f.reference else _ends(f.kind, f.low, 0) for f in schema.features])
    high = np.array([f.reference[1] if f.reference else _ends(f.kind, f.high, len(f.choices) - 1) for f in schema.features])
    return np.clip(X, low, high)


def _ends(kind: str, number: float | None, choice: float) -> float:
    return choice if kind == "choice" or number is None else number


def settle(schema: Schema, X: Vector) -> tuple[Vector, Mask]:
    """X with whole steps kept where a feature has them and completed features computed, and which rows of X that left,
    shape (rows,): rows whose computed features leave their range are dropped."""
    X = X.copy()
    for i, feature in enumerate(schema.features):
        if feature.step and float(feature.step).is_integer():
            X[:, i] = np.round(X[:, i])
    keep = np.ones(len(X), dtype=bool)
    for relation in schema.following:
        i = schema.index[str(relation.completes)]
        expected = rules.expected(schema, relation, X)
        X[:, i] = np.where(np.isnan(expected), X[:, i], np.round(expected, 6))
        feature = schema.features[i]
        keep &= ~((X[:, i] < (feature.low or 0)) | (X[:, i] > (feature.high or 0)))
    return X[keep], keep
