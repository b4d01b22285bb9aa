"""EM for a mixture of Gaussians over numbers times categories over choices, unknown values integrated out, never filled in.

All in standard units: numbers less their mean over their spread, choices as places in the sorted list of their names. So
neither a unit nor the order of a list changes anything. Every component is held to the whole table by a prior that counts
as a few rows; that is what keeps it from falling onto a single person, a constant column or a column that stands there twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sensecf_edge.judge.mixture import log_sum, shares
from sensecf_edge.schema.feature import Vector

Codes = NDArray[np.intp]


MOST_PATTERNS = 64
LEAST_ROWS = 5


@dataclass(frozen=True)
class Prior:
    """What components are held to, and by how many rows' worth. `floor` is variance that no component goes below."""

    covariance_rows: float = 5.0
    choice_rows: float = 2.0
    floor: float = 0.01
    share_rows: float = 1.0


@dataclass(frozen=True)
class Table:
    """Rows in standard units: numbers with NaN unknown, shape (rows, numbers); choices with -1 unknown, and how many each has."""

    numbers: Vector
    choices: Codes
    sizes: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.numbers)

    @cached_property
    def patterns(self) -> list[tuple[NDArray[np.bool_], Codes]]:
        """Each pattern of known numbers, shape (numbers,), with the rows that have it, shape (rows,). Of very many the commonest count: a
        row of a rare one goes with the one among them that knows most of what it knows and nothing else, and leaves out the rest."""
        found, at, counts = np.unique(~np.isnan(self.numbers), axis=0, return_inverse=True, return_counts=True)
        common = found[np.sort(np.argsort(-counts, kind="stable")[:MOST_PATTERNS])]
        common = common if len(common) == len(found) else np.concatenate([common, np.zeros_like(common[:1])])
        inside = ~(common[None] & ~found[:, None]).any(axis=2)
        goes = np.where(inside, common.sum(axis=1), -1).argmax(axis=1)[at.ravel()]
        return [(pattern, rows) for k, pattern in enumerate(common) if (rows := np.flatnonzero(goes == k)).size]


@dataclass(frozen=True)
class Parameters:
    """Parameters in standard units; see `sensecf_edge.judge.mixture.Mixture`. `tables` are (choices of the feature, components)."""

    weights: Vector
    means: Vector
    covariances: Vector
    tables: tuple[Vector, ...]


@dataclass
class _Sums:
    """What a pass over the rows adds up."""

    rows: Vector
    first: Vector
    second: Vector
    log_density: float = 0.0


def em(table: Table, components: int, seed: int, prior: Prior = Prior(), most: int = 100, gain: float = 3e-4) -> Parameters:
    """The parts after passes until one gains less than `gain` a row, or `most`.

    Fewer components than asked for where one of them would stand for fewer than five rows: such a mean tells of single people.
    """
    one = _whole(table, prior)
    while components > 1:
        parts, before = _start(table, one, components, seed, prior), -np.inf
        for _ in range(most):
            belongs, sums = _expect(table, parts)
            parts = _maximise(table, belongs, sums, one, prior)
            if sums.log_density - before < gain * len(table):
                break
            before = sums.log_density
        if sums.rows.min() >= LEAST_ROWS:
            return parts
        components -= 1
    return one


def _whole(table: Table, prior: Prior, passes: int = 20) -> Parameters:
    """One component for the whole table."""
    d = table.numbers.shape[1]
    rows = float(len(table))
    tables = []
    for j, size in enumerate(table.sizes):
        counts = np.bincount(table.choices[table.choices[:, j] >= 0, j], minlength=size)
        tables.append(((counts + 1 / size) / (counts.sum() + 1))[:, None])
    parts = Parameters(np.ones(1), np.zeros((1, d)), np.eye(d)[None], tuple(tables))
    for _ in range(passes if np.isnan(table.numbers).any() else 1):
        _, sums = _expect(table, parts)
        mean = sums.first / rows
        covariance = sums.second / rows - mean[:, :, None] * mean[:, None, :]
        parts = replace(parts, means=mean, covariances=(covariance * rows + np.eye(d)) / (rows + 1) + prior.floor * np.eye(d))
    return parts


def _start(table: Table, one: Parameters, components: int, seed: int, prior: Prior) -> Parameters:
    """Parts around the clusters of the rows, unknown numbers at the mean for this once."""
    from sklearn.cluster import KMeans

    flags = [table.choices[:, [j]] == np.arange(size) for j, size in enumerate(table.sizes)]
    points = np.concatenate([np.nan_to_num(table.numbers), *flags], axis=1)
    near = KMeans(components, n_init=2, max_iter=20, random_state=seed).fit_predict(points)
    belongs = np.full((len(table), components), 0.1 / components)
    belongs[np.arange(len(table)), near] += 0.9
    filled = np.nan_to_num(table.numbers)
    sums = _Sums(belongs.sum(axis=0), belongs.T @ filled, np.einsum("nk,ni,nj->kij", belongs, filled, filled, optimize=True))
    return _maximise(table, belongs, sums, one, prior)


def _expect(table: Table, parts: Parameters) -> tuple[Vector, _Sums]:
    """To which component each row belongs, shape (rows, components), and the sums over what its numbers are or may be."""
    count, d = parts.means.shape
    belongs = np.empty((len(table), count))
    sums = _Sums(np.zeros(count), np.zeros((count, d)), np.zeros((count, d, d)))
    choices = _choice_logs(table, parts)
    for known, rows in table.patterns:
        S, gaps = parts.covariances, table.numbers[rows][:, None, known] - parts.means[:, known]
        inverse = np.linalg.inv(S[:, known][:, :, known])
        pulled = np.einsum("nki,kij->nkj", gaps, inverse, optimize=True)
        scale = np.linalg.slogdet(S[:, known][:, :, known])[1] + known.sum() * np.log(2 * np.pi)
        logs = np.log(parts.weights) + choices[rows] - 0.5 * (scale + (pulled * gaps).sum(axis=2))
        sums.log_density += float(log_sum(logs.T).sum())
        share = belongs[rows] = shares(logs.T)
        sums.rows += share.sum(axis=0)
        if known.all():
            _add(sums, share, np.broadcast_to(table.numbers[rows], (count, len(rows), d)))
            continue
        across = S[:, ~known][:, :, known]
        full = np.empty((count, len(rows), d))
        full[:, :, known] = table.numbers[rows][:, known]
        full[:, :, ~known] = parts.means[:, None, ~known] + np.einsum("nkj,kmj->knm", pulled, across)
        _add(sums, share, full)
        left = S[:, ~known][:, :, ~known] - across @ inverse @ across.transpose(0, 2, 1)
        hidden = np.flatnonzero(~known)
        sums.second[:, hidden[:, None], hidden] += share.sum(axis=0)[:, None, None] * left
    return belongs, sums


def _choice_logs(table: Table, parts: Parameters) -> Vector:
    """Log-probability of each row's known choices by component, shape (rows, components)."""
    out = np.zeros((len(table), len(parts.weights)))
    for j, probabilities in enumerate(parts.tables):
        known = table.choices[:, j] >= 0
        out[known] += np.log(probabilities)[table.choices[known, j]]
    return out


def _add(sums: _Sums, share: Vector, full: Vector) -> None:
    for k in range(len(sums.rows)):
        weighed = share[:, [k]] * full[k]
        sums.first[k] += weighed.sum(axis=0)
        sums.second[k] += weighed.T @ full[k]


def _maximise(table: Table, belongs: Vector, sums: _Sums, one: Parameters, prior: Prior) -> Parameters:
    """The best parts for what belongs to them, held to the whole table."""
    rows = sums.rows
    means = (sums.first + prior.share_rows * one.means) / (rows + prior.share_rows)[:, None]
    mean = sums.first / np.maximum(rows, 1e-9)[:, None]
    scatter = sums.second - rows[:, None, None] * mean[:, :, None] * mean[:, None, :]
    gap = mean - one.means
    scatter += (rows * prior.share_rows / (rows + prior.share_rows))[:, None, None] * gap[:, :, None] * gap[:, None, :]
    covariances = (scatter + prior.covariance_rows * one.covariances) / (rows + prior.covariance_rows)[:, None, None]
    covariances += prior.floor * np.eye(means.shape[1])
    tables = []
    for j, whole in enumerate(one.tables):
        flags = (table.choices[:, [j]] == np.arange(len(whole))).astype(float)
        tables.append((flags.T @ belongs + prior.choice_rows * whole) / (flags.sum(axis=1) @ belongs + prior.choice_rows))
    return Parameters((rows + 1) / (rows + 1).sum(), means, (covariances + covariances.transpose(0, 2, 1)) / 2, tuple(tables))
