"""How ordinary a record is among people of the wanted class, and what its unknown values may be. Pure numpy.

density.json holds two mixtures (see `mixture`): one of people of the wanted class, whose density says how ordinary a
record is, and one of everybody, which says what the unknown values of a record may be. No person's row is in it.

A column that says what another one says is in neither, and goes with that one (see `copies`).

A percentile compares like with like: the density of what is known of a record is held against the density of the *same*
features in people drawn from the mixture, so knowing less makes nobody more ordinary. What share of drawn people is less
ordinary becomes a share of real people by `scores`, measured on people whom the mixture was not fitted on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import BundleError, CheckError
from ..schema.feature import Vector
from ..schema.schema import Schema
from ..space.measure import distinct
from . import copies
from .copies import Copy
from .mixture import Mixture

FORMAT = 1
DRAWN, SEED = 4000, 0
"""People drawn from the mixture to compare with, always the same ones."""
KNOTS, END, FAR = 200, 0.0025, 1e6
KEPT_LADDERS = 128
MOST_COMPONENTS = 64

Known = NDArray[np.bool_]


class Realism(Protocol):
    """Says how ordinary records are. Anything with these methods can stand in for a density."""

    def log_density(self, Y: Vector) -> Vector:
        """Natural logarithm of the density of what is known of each candidate, shape (candidates,)."""
        ...

    def percentile(self, Y: Vector) -> Vector:
        """Share (0..100) of real people of the wanted class who are less ordinary than each candidate, shape (candidates,)."""
        ...

    def rank(self, density: Vector, x: Vector) -> Vector:
        """The percentiles (0..100) of log-densities of candidates of which the same is known as of x, same shape."""
        ...


@dataclass(frozen=True)
class Scale:
    """Log-densities of one pattern of known features -> score: the log-odds of the share of drawn people below."""

    values: Vector
    scores: Vector

    @classmethod
    def of(cls, density: Vector) -> Scale:
        """From the log-densities of drawn people. Equal ones share the middle of their places; beyond the drawn people the
        tails go on as straight lines."""
        values, counts = np.unique(np.round(density, 9), return_counts=True)
        share = (np.cumsum(counts) - counts / 2) / counts.sum()
        if len(values) > KNOTS:
            inner = (share >= END) & (share <= 1 - END)
            values, share = values[inner], share[inner]
        scores = np.log(share / (1 - share))
        at = distinct(np.searchsorted(scores, np.linspace(scores[0], scores[-1], KNOTS)))
        values, scores = values[at], scores[at]
        if len(values) == 1:
            return cls(values, np.zeros(1))
        tenth = max(1, len(values) // 10)  # single people at the ends say little
        low, high = ((scores[a] - scores[b]) / (values[a] - values[b]) * FAR for a, b in ((tenth, 0), (-1, -1 - tenth)))
        ends = [values[0] - FAR], values, [values[-1] + FAR]
        return cls(np.concatenate(ends), np.concatenate([[scores[0] - low], scores, [scores[-1] + high]]))

    def score(self, density: Vector) -> Vector:
        """The scores of log-densities, same shape."""
        return np.asarray(np.interp(density, self.values, self.scores), dtype=np.float64)


class Density:
    """The densities of a bundle. Make one with `from_json`."""

    def __init__(
        self, schema: Schema, wanted: Mixture, everybody: Mixture, scores: Sequence[float], copied: tuple[Copy, ...] = ()
    ) -> None:
        """`scores` are 101 scores of held-out people of the wanted class at evenly spaced percentiles, ascending."""
        self.schema, self.wanted, self.everybody, self.scores, self.copied = schema, wanted, everybody, tuple(scores), copied
        self._counted = np.delete(np.arange(len(schema)), [copy.column for copy in copied])
        values, at = np.unique(np.asarray(scores, dtype=np.float64), return_inverse=True)
        levels = np.linspace(0.0, 100.0, len(scores))
        self._scores, self._levels = values, np.bincount(at, levels) / np.bincount(at)
        self._ladders: dict[bytes, tuple[Vector, Vector]] = {}

    @classmethod
    def from_json(cls, data: Any, schema: Schema, what: str = "density.json") -> Density:
        """Parse and check density.json. Raises BundleError that says what is wrong."""
        try:
            if data["format"] != FORMAT:
                raise ValueError(f"format {data['format']!r} is not known")
            copied = copies.read(data.get("copies", []), schema)
            wanted, everybody = (_mixture(data[which], schema, copied) for which in ("wanted", "everybody"))
            return cls(schema, wanted, everybody, _scores(data["scores"]), copied)
        except (KeyError, TypeError, AttributeError, ValueError, IndexError, np.linalg.LinAlgError) as error:
            reason = f"lacks {error}" if isinstance(error, KeyError) else str(error)
            raise BundleError(f"{what} is no density of this schema: {reason}; build the bundle again") from error

    def of_everybody(self, data: Any, what: str = "population.json") -> Density:
        """The density in which everybody is the wanted class, from population.json: its `scores` are of held-out people of all
        classes. Raises BundleError."""
        try:
            if data["format"] != FORMAT:
                raise ValueError(f"format {data['format']!r} is not known")
            return Density(self.schema, self.everybody, self.everybody, _scores(data["scores"]), self.copied)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            reason = f"lacks {error}" if isinstance(error, KeyError) else str(error)
            raise BundleError(f"{what} does not say how ordinary people are: {reason}; build the bundle again") from error

    def to_json(self) -> dict[str, Any]:
        """The densities as plain JSON values; choices by name, so that no order of a list matters."""
        return {
            "format": FORMAT, "scores": list(self.scores),
            "wanted": _json(self.wanted, self.schema), "everybody": _json(self.everybody, self.schema),
            **({"copies": copies.told(self.copied, self.schema)} if self.copied else {}),
        }  # fmt: skip

    def log_density(self, Y: Vector) -> Vector:
        """See `Realism`. Unknown values are integrated out; 0 where nothing is known."""
        self._check(Y)
        density = self.wanted.log_density(copies.alone(self.copied, Y))
        for copy in self.copied:
            if (other := copy.disagrees(Y)).any():
                reading = Y[other]
                reading[:, copy.of] = np.nan
                density[other] = np.minimum(density[other], self.wanted.log_density(copies.alone((copy, *self.copied), reading)))
        return density

    def percentile(self, Y: Vector) -> Vector:
        """See `Realism`. 50 where nothing is known."""
        return self._by_pattern(Y, lambda known, density: np.interp(density, *self._ladder(known)))

    def rank(self, density: Vector, x: Vector) -> Vector:
        """See `Realism`."""
        return np.asarray(np.interp(density, *self._ladder(~np.isnan(copies.alone(self.copied, x[None])[0]))), dtype=np.float64)

    def score(self, Y: Vector) -> Vector:
        """The log-odds of the share of people drawn from the mixture who are less ordinary, shape (candidates,)."""
        return self._by_pattern(Y, lambda known, density: self._scale(known).score(density))

    def _by_pattern(self, Y: Vector, figure: Callable[[Known, Vector], Vector]) -> Vector:
        """A figure of log-densities of records of which the same is known, for each such group."""
        density, known = self.log_density(Y), ~np.isnan(copies.alone(self.copied, Y))
        if len(Y) and (known == known[0]).all():
            return np.asarray(figure(known[0], density), dtype=np.float64)
        out = np.empty(len(Y))
        patterns, at = np.unique(known, axis=0, return_inverse=True)
        for k, pattern in enumerate(patterns):
            rows = at.ravel() == k
            out[rows] = figure(pattern, density[rows])
        return out

    def impute(self, x: Vector, count: int, seed: int) -> tuple[Vector, Vector]:
        """What x may be once all is known, by the mixture of everybody: rows, shape (completions, features), and their weights,
        which sum to 1. Drawn numbers lie on their lattices. See `Mixture.impute`."""
        rows, weights = self.everybody.impute(copies.alone(self.copied, x[None])[0], count, np.random.default_rng(seed))
        rows[:, ~np.isnan(x)] = x[~np.isnan(x)]
        return self._on_lattices(copies.filled(self.copied, rows), np.isnan(x)), weights

    def people(self, count: int, seed: int) -> Vector:
        """Made-up people, drawn from the mixture of everybody: shape (count, features), numbers on their lattices."""
        drawn = copies.filled(self.copied, self.everybody.draw(count, np.random.default_rng(seed)))
        return self._on_lattices(drawn, np.ones(len(self.schema), dtype=bool))

    def given(self, x: Vector, free: Known, count: int, seed: int) -> Vector:
        """Made-up people of the wanted class who share with x what is known of it and not `free`, both of shape (features,): shape
        (count, features), numbers on their lattices."""
        seen = np.where(free, np.nan, x)
        drawn = self.wanted.given(copies.alone(self.copied, seen[None])[0], count, np.random.default_rng(seed))
        rows, fixed = copies.filled(self.copied, drawn), ~np.isnan(seen)
        rows[:, fixed] = seen[fixed]
        return self._on_lattices(rows, ~fixed)

    def _on_lattices(self, rows: Vector, drawn: Known) -> Vector:
        for column in (i for i, f in enumerate(self.schema.features) if f.kind == "number" and drawn[i]):
            places = self.schema.nearest(np.full(len(rows), column), rows[:, column])
            rows[:, column] = self.schema.features[column].lattice[places]
        return rows

    def _scale(self, known: Known) -> Scale:
        return Scale.of(self.wanted.log_density(np.where(known, self._people, np.nan)))

    def _ladder(self, known: Known) -> tuple[Vector, Vector]:
        """Log-densities of one pattern of known features, ascending, and their percentiles.

        Real people are rarer than drawn ones by what the mixture did not learn, and that shrinks with the features it is
        about; so the share of drawn people counts as much as is unknown.
        """
        key = known.tobytes()
        found = self._ladders.get(key)
        if found is None:
            if len(self._ladders) >= KEPT_LADDERS:
                self._ladders.clear()
            scale, share = self._scale(known), float(known[self._counted].mean())
            density = distinct(np.append(scale.values, np.interp(self._scores, scale.scores, scale.values)))
            score = scale.score(density)
            real, drawn = np.interp(score, self._scores, self._levels), 100.0 / (1.0 + np.exp(-np.clip(score, -500, 500)))
            found = self._ladders[key] = density, share * real + (1.0 - share) * drawn
        return found

    @cached_property
    def _people(self) -> Vector:
        return self.wanted.draw(DRAWN, np.random.default_rng(SEED))

    def _check(self, Y: Vector) -> None:
        if Y.ndim != 2 or Y.shape[1] != len(self.schema):
            takes = f"it takes (candidates, {len(self.schema)}), in schema order"
            raise CheckError(f"the density was given an array of shape {Y.shape}; {takes}")


def _mixture(data: Mapping[str, Any], schema: Schema, copied: Sequence[Copy] = ()) -> Mixture:
    """A mixture from JSON: names looked up, shapes and numbers checked. Raises ValueError, KeyError, TypeError."""
    numbers, choices = data["numbers"], data["choices"]
    names = set(schema.names) - {schema.names[copy.column] for copy in copied}
    if set(numbers) | set(choices) != names or len(numbers) + len(choices) != len(names):
        raise ValueError("its features are not the schema's")
    if any(schema[n].kind != "number" for n in numbers) or any(schema[n].kind != "choice" for n in choices):
        raise ValueError("it takes choices for numbers, or numbers for choices")
    weights, means, covariances = _array(data["weights"], 1), _array(data["means"], 2), _array(data["covariances"], 3)
    parts, size = len(weights), len(numbers)
    if not 1 <= parts <= MOST_COMPONENTS or means.shape != (parts, size) or covariances.shape != (parts, size, size):
        raise ValueError("weights, means and covariances do not fit together")
    tables = [_array([table[c] for c in schema[name].choices], 2) for name, table in choices.items()]
    if any(t.shape[1] != parts or (t <= 0).any() or (np.abs(t.sum(axis=0) - 1) > 1e-3).any() for t in tables):
        raise ValueError("its probabilities of choices are not above 0 with a sum of 1")
    if (weights <= 0).any() or abs(weights.sum() - 1) > 1e-3 or not np.allclose(covariances, covariances.transpose(0, 2, 1)):
        raise ValueError("its weights are not above 0 with a sum of 1, or a covariance is not symmetric")
    np.linalg.cholesky(covariances)
    columns = np.array([schema.index[n] for n in numbers], dtype=np.intp)
    orders = tuple(np.array([schema[n].choices.index(c) for c in sorted(schema[n].choices)], dtype=np.intp) for n in choices)
    return Mixture(
        len(schema), weights / weights.sum(), columns, means, covariances,
        tuple(schema.index[n] for n in choices), tuple(t / t.sum(axis=0) for t in tables), orders,
    )  # fmt: skip


def _scores(data: Any) -> list[float]:
    scores = _array(data, 1)
    if len(scores) != 101 or (np.diff(scores) < 0).any():
        raise ValueError("scores are 101 ascending numbers")
    out: list[float] = scores.tolist()
    return out


def _json(mixture: Mixture, schema: Schema) -> dict[str, Any]:
    tables = {
        schema.names[column]: {text: _plain(row) for text, row in sorted(zip(schema.features[column].choices, table, strict=True))}
        for column, table in zip(mixture.choices, mixture.tables, strict=True)
    }
    return {
        "weights": _plain(mixture.weights), "numbers": [schema.names[i] for i in mixture.numbers],
        "means": _plain(mixture.means), "covariances": _plain(mixture.covariances), "choices": tables,
    }  # fmt: skip


def _plain(values: Vector) -> Any:
    """Nested lists of numbers of nine digits."""
    return [_plain(v) for v in values] if values.ndim else float(f"{float(values):.9g}")


def _array(data: Any, rank: int) -> Vector:
    """Finite numbers in so many dimensions; empty dimensions are kept. Raises ValueError, TypeError."""
    out = np.array(data, dtype=np.float64)
    if out.ndim < rank and not out.size:
        out = out.reshape((*out.shape, *[0] * (rank - out.ndim)))
    if out.ndim != rank or not np.isfinite(out).all():
        raise ValueError("a list of numbers has another form, or holds what is no finite number")
    return out
