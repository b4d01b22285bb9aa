"""A mixture of Gaussians over numbers times categories over choices, of which any values may be unknown.

In every component the numbers are jointly Gaussian and the choices independent of them and of each other; what hangs
together across them, hangs together through the components. So an unknown value is integrated out by leaving it away:
no value is ever filled in. Pure numpy; what a pattern of known values needs is factorised once and kept.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..schema.feature import Vector
from ..space.measure import distinct

Places = NDArray[np.intp]
KEPT_PATTERNS = 128
MOST_ROWS, ONE_THREAD = 1024, 200_000
"""Rows at a time, at most, and multiplications: below that linear algebra starts no threads, which cost more than they save."""
MOST_COMBINATIONS = 64
LOG_2PI = float(np.log(2 * np.pi))


@dataclass(frozen=True)
class Mixture:
    """The parameters, for records of `width` features.

    weights      share of each component, shape (components,)
    numbers      columns that are numbers, shape (numbers,)
    means        in units, shape (components, numbers)
    covariances  in units, shape (components, numbers, numbers)
    choices      columns that are choices
    tables       for each of them the probability of every choice, shape (choices of the feature, components)
    orders       for each of them the order in which chance goes through its choices: by name, not by place in a list
    """

    width: int
    weights: Vector
    numbers: Places
    means: Vector
    covariances: Vector
    choices: tuple[int, ...]
    tables: tuple[Vector, ...]
    orders: tuple[Places, ...]
    _kept: dict[bytes, Marginal] = field(default_factory=dict, repr=False, compare=False)

    def log_parts(self, Y: Vector) -> Vector:
        """Log of weight times density of what is known, by component: shape (components, records)."""
        known = ~np.isnan(Y)
        if len(Y) and (known == known[0]).all():
            return self.marginal(known[0]).log_parts(Y)
        out = np.empty((len(self.weights), len(Y)))
        patterns, at = np.unique(known, axis=0, return_inverse=True)
        for k, pattern in enumerate(patterns):
            rows = at.ravel() == k
            out[:, rows] = self.marginal(pattern).log_parts(Y[rows])
        return out

    def log_density(self, Y: Vector) -> Vector:
        """Natural logarithm of the density of what is known of each record, shape (records,); 0 where nothing is."""
        return log_sum(self.log_parts(Y))

    def marginal(self, known: NDArray[np.bool_]) -> Marginal:
        """The mixture over the features marked as known, shape (features,)."""
        key = known.tobytes()
        found = self._kept.get(key)
        if found is None:
            if len(self._kept) >= KEPT_PATTERNS:
                self._kept.clear()
            found = self._kept[key] = Marginal(self, known)
        return found

    def draw(self, count: int, rng: np.random.Generator) -> Vector:
        """`count` whole records, shape (count, features); numbers are on no lattice and in no range."""
        out = np.full((count, self.width), np.nan)
        component = picked(np.broadcast_to(self.weights, (count, len(self.weights))), rng)
        roots = np.linalg.cholesky(self.covariances)
        noise = rng.standard_normal((count, len(self.numbers)))
        for k in range(len(self.weights)):
            rows = component == k
            out[np.ix_(rows, self.numbers)] = self.means[k] + noise[rows] @ roots[k].T
        for j, column in enumerate(self.choices):
            out[:, column] = self._choose(j, component, rng)
        return out

    def _choose(self, j: int, component: Places, rng: np.random.Generator) -> Places:
        """A code for the j-th of the choices, drawn for each of the components named."""
        order = self.orders[j]
        return order[picked(self.tables[j][order].T[component], rng)]

    def impute(self, x: Vector, count: int, rng: np.random.Generator) -> tuple[Vector, Vector]:
        """Completions of x given what is known of it: rows, shape (completions, features), and weights that sum to 1.

        Unknown choices take every combination where there are at most 64, weighed by their probability, else `count`
        drawn ones. Unknown numbers are drawn, so that there are `count` rows or one for each combination, if that is more.
        """
        unknown = np.isnan(x)
        rows, weights = self._chosen(x, [j for j, c in enumerate(self.choices) if unknown[c]], count, rng)
        if unknown[self.numbers].any():
            each = max(1, -(-count // len(rows)))
            rows, weights = np.repeat(rows, each, axis=0), np.repeat(weights / each, each)
            self._draw_numbers(rows, rng)
        return rows, weights

    def _chosen(self, x: Vector, unknown: Sequence[int], count: int, rng: np.random.Generator) -> tuple[Vector, Vector]:
        """Copies of x with its unknown choices (places in `choices`) set, and the weight of each."""
        if not unknown:
            return x[None].copy(), np.ones(1)
        sizes = [len(self.tables[j]) for j in unknown]
        columns = [self.choices[j] for j in unknown]
        if np.prod([float(s) for s in sizes]) <= MOST_COMBINATIONS:
            rows = np.repeat(x[None], int(np.prod(sizes)), axis=0)
            rows[:, columns] = list(itertools.product(*(self.orders[j] for j in unknown)))
            weights = np.exp(self.log_density(rows) - self.log_density(x[None]))
            return rows, weights / weights.sum()
        rows = self._draw_choices(x, unknown, max(1, count), rng)
        return rows, np.full(len(rows), 1 / len(rows))

    def _draw_choices(self, x: Vector, unknown: Sequence[int], count: int, rng: np.random.Generator) -> Vector:
        """Copies of x with its unknown choices drawn given what is known, shape (count, features)."""
        rows = np.repeat(x[None], count, axis=0)
        component = picked(np.repeat(shares(self.log_parts(x[None])), count, axis=0), rng)
        for j in unknown:
            rows[:, self.choices[j]] = self._choose(j, component, rng)
        return rows

    def given(self, x: Vector, count: int, rng: np.random.Generator) -> Vector:
        """`count` records drawn given what is known of x, which all of them share: shape (count, features); numbers are on no lattice."""
        unknown = np.isnan(x)
        rows = self._draw_choices(x, [j for j, column in enumerate(self.choices) if unknown[column]], count, rng)
        if unknown[self.numbers].any():
            self._draw_numbers(rows, rng)
        return rows

    def _draw_numbers(self, rows: Vector, rng: np.random.Generator) -> None:
        """Draw the unknown numbers given all that is known, in place; the rows know the same numbers and all choices."""
        hidden = np.isnan(rows[0, self.numbers])
        component = picked(shares(self.log_parts(rows)), rng)
        noise = rng.standard_normal((len(rows), int(hidden.sum())))
        for k in distinct(component):
            at = component == k
            slope, root = conditional(self.covariances[k], hidden)
            seen = rows[np.ix_(at, self.numbers[~hidden])] - self.means[k, ~hidden]
            rows[np.ix_(at, self.numbers[hidden])] = self.means[k, hidden] + seen @ slope.T + noise[at] @ root.T


class Marginal:
    """A mixture over one pattern of known features, factorised."""

    def __init__(self, mixture: Mixture, known: NDArray[np.bool_]) -> None:
        seen = known[mixture.numbers]
        size = int(seen.sum())
        self._numbers, self._rows = mixture.numbers[seen], max(16, min(MOST_ROWS, ONE_THREAD // max(1, size**2)))
        roots = np.linalg.cholesky(mixture.covariances[:, seen][:, :, seen])
        inverse = np.linalg.inv(roots) if size else roots
        self._matrix = np.ascontiguousarray(inverse.transpose(0, 2, 1))
        self._centres = (mixture.means[:, None, seen] @ self._matrix).reshape(len(roots), 1, size)
        scale = np.log(np.diagonal(roots, axis1=1, axis2=2)).sum(axis=1)
        self._constant = (np.log(mixture.weights) - scale - LOG_2PI / 2 * size)[:, None]
        pairs = zip(mixture.choices, mixture.tables, strict=True)
        self._choices = [(column, np.log(table.T)) for column, table in pairs if known[column]]

    def log_parts(self, Y: Vector) -> Vector:
        """See `Mixture.log_parts`."""
        out = np.empty((len(self._constant), len(Y)))
        for start in range(0, len(Y), self._rows):
            part = Y[start : start + self._rows]
            z = part[:, self._numbers] @ self._matrix
            z -= self._centres
            parts = out[:, start : start + len(part)]
            np.einsum("knd,knd->kn", z, z, out=parts)
            parts *= -0.5
            parts += self._constant
            for column, table in self._choices:
                parts += table.take(part[:, column].astype(np.intp), axis=1)
        return out


def log_sum(parts: Vector) -> Vector:
    """log(sum(exp)) over the components, the first axis: shape (components, ...) becomes (...)."""
    most = parts.max(axis=0)
    out: Vector = most + np.log(np.exp(parts - most).sum(axis=0))
    return out


def shares(parts: Vector) -> Vector:
    """To which component each record belongs: shape (records, components), rows sum to 1."""
    share = np.exp(parts - parts.max(axis=0))
    out: Vector = (share / share.sum(axis=0)).T
    return out


def picked(shares: Vector, rng: np.random.Generator) -> Places:
    """One place for each row of shares, shape (rows, places), as often as its share says."""
    edges = np.cumsum(shares, axis=1)
    out: Places = (rng.random((len(shares), 1)) * edges[:, -1:] >= edges[:, :-1]).sum(axis=1)
    return out


def conditional(covariance: Vector, hidden: NDArray[np.bool_]) -> tuple[Vector, Vector]:
    """Of the hidden numbers of a Gaussian: how their mean follows the others, shape (hidden, others), and a root of the covariance that
    is left, shape (hidden, hidden)."""
    spread = np.sqrt(np.diagonal(covariance))
    plain = covariance / spread / spread[:, None]  # units differ by powers of ten, which equations do not like
    across = plain[np.ix_(hidden, ~hidden)]
    slope = np.linalg.solve(plain[np.ix_(~hidden, ~hidden)], across.T).T
    left = plain[np.ix_(hidden, hidden)] - slope @ across.T
    root = np.linalg.cholesky((left + left.T) / 2)
    return slope * spread[hidden, None] / spread[~hidden], root * spread[hidden, None]
