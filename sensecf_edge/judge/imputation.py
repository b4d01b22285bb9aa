"""Multiple imputation: what a record with unknown values may be once all is known. Verdict and answers are taken over such completions.

A value that a classifier fills in by itself looks as if it had been measured. So a record with unknown values is judged as
many records, each complete, with weights that sum to 1: choices in all their combinations where those are few, numbers
drawn given what is known. What is said of the record has to hold for a stated share of them. A record without unknown
values has no completions and never comes here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ..answer.basis import Unknown
from ..schema.feature import Vector
from ..schema.record import Record
from ..schema.schema import Schema
from ..settings import UNKNOWN
from ..space import rules
from .classifier import Checker
from .counted import Counted
from .objective import Judge

Open = tuple[str, float, float, float]
"""An unknown feature; the share of what it may be at which the verdict would be another; the lowest and the highest mean score then."""
Impute = Callable[[Vector, int, int], tuple[Vector, Vector]]
"""A record's vector, how many completions at most, a seed -> rows, shape (completions, features), and their weights."""
ALREADY, UNWANTED, DEPENDS = "already", "unwanted", "depends"
ROWS = 8_192
EPS = 1e-9
BINS = 4
LEAST = 0.01


@dataclass(frozen=True)
class Spread:
    """Scores of candidates over completions: mean, lowest, highest, and the share that reaches the threshold; shape (candidates,)."""

    mean: Vector
    low: Vector
    high: Vector
    holds: Vector


@dataclass(frozen=True)
class Verdict:
    """What is predicted of a record as it is: ALREADY the wanted class, UNWANTED, or it DEPENDS on what is unknown.

    `p` is the probability of the wanted class, the mean over completions; `low`, `high` and `holds` as in `Spread`, `holds`
    None where nothing is unknown; `unknown` what would decide it; `open` what measuring each unknown value may show.
    """

    status: str
    p: float
    low: float
    high: float
    holds: float | None = None
    completions: int = 0
    unknown: tuple[Unknown, ...] = ()
    open: tuple[Open, ...] = ()

    @classmethod
    def plain(cls, p: float, threshold: float) -> Verdict:
        """Where nothing is unknown."""
        return cls(ALREADY if p >= threshold else UNWANTED, p, p, p)


@dataclass(frozen=True)
class Case:
    """A record with its verdict and the judge of its answers. `p`: what the classifier says of the record as it is; `realism`: its
    percentile among people of the wanted class, `likeness` among all; None without a model of it. `asked` counts what its judge asks."""

    record: Record
    judge: Judge
    verdict: Verdict
    p: float
    asked: Counted
    realism: float | None = None
    likeness: float | None = None


def placed(cases: Sequence[Case], realism: Vector | None, likeness: Vector | None) -> list[Case]:
    """The cases with their percentiles among people of the wanted class and among all, each of shape (cases,) where it is known."""
    out = []
    for k, case in enumerate(cases):
        own, all_ = (None if shares is None else float(shares[k]) for shares in (realism, likeness))
        out.append(replace(case, realism=own, likeness=all_))
    return out


class Imputed:
    """A checker of one record with unknown values. Its probability is one that the stated share of completions reaches.

    So whatever asks it for a goal asks for one that holds whatever the unknown values are, and none of the search has to
    know of them. The mean reaches it as well. `floor` is the least probability that matters: of a candidate for which even
    the least favourable completions show that it stays below, no more is asked.
    """

    def __init__(self, checker: Checker, record: Record, rows: Vector, weights: Vector, floor: float = 0.0) -> None:
        self.checker, self.record, self.floor = checker, record, floor
        order = np.argsort(checker.p_target(rows), kind="stable")
        self.rows, self.weights = rows[order], weights[order] / weights.sum()
        self._at = np.flatnonzero(np.isnan(record.vector))
        above = np.cumsum(self.weights) > 1 - UNKNOWN.share + EPS
        self._worst = min(int(above.argmax()) + 1, len(rows)) if above.any() else len(rows)
        named = {name for relation in record.schema.relations if relation.moves for name in relation.features}
        self._follow = bool(named & {record.schema.names[i] for i in self._at})

    def p_target(self, Y: Vector) -> Vector:
        """The highest probability that the share of completions reaches, or their mean where it is lower; shape (candidates,).

        Below `floor` only a bound that is below it as well.
        """
        out: Vector = self._over(Y, slice(0, self._worst)).max(axis=1, initial=0.0)
        near = np.flatnonzero(out >= self.floor)
        if near.size:
            p = self._over(Y[near], slice(None))
            out[near] = np.minimum(p @ self.weights, self._reached(p))
        return out

    @property
    def moving(self) -> Vector:
        """Completions in which a relation moves something that does not move in the record: all or none, shape (completions, features)."""
        return self.rows if self._follow else self.rows[:0]

    @property
    def still(self) -> NDArray[np.intp]:
        """Positions of what is unknown and moved by nothing in any completion, shape (such features,)."""
        moved = self.record.schema.moved_at if self._follow else []
        return self._at[~np.isin(self._at, moved)]

    def spread(self, Y: Vector, threshold: float) -> Spread:
        """What candidates are predicted over all completions."""
        return self._spread(self._over(Y, slice(None)), threshold)

    def _spread(self, p: Vector, threshold: float) -> Spread:
        return Spread(p @ self.weights, p.min(axis=1), p.max(axis=1), (p >= threshold) @ self.weights)

    def verdict(self, threshold: float) -> Verdict:
        """What is predicted of the record: one class only where the share of completions and their mean agree on it."""
        each = self._over(self.record.vector[None], slice(None))
        now = self._spread(each, threshold)
        p, low, high, holds = (float(figure[0]) for figure in (now.mean, now.low, now.high, now.holds))
        status = _status(holds, p, threshold)
        unknown = self.deciding(threshold) if status == DEPENDS else ()
        return Verdict(status, p, low, high, round(holds, 9), len(self.rows), unknown, self._open(each[0], status, threshold))

    def _open(self, each: Vector, status: str, threshold: float) -> tuple[Open, ...]:
        """What measuring each unknown value alone may show, the most telling first. `each`: the score of every completion."""
        schema, found = self.record.schema, list[tuple[float, float, Open]]()
        for i in self._at:
            values, drawn = self.rows[:, i], schema.features[i].kind == "number"
            group = _groups(values, self.weights) if drawn else np.unique(values, return_inverse=True)[1].ravel()
            total = np.bincount(group, self.weights)
            sums = [np.bincount(group, self.weights * figure)[total > 0] for figure in (each, (each >= threshold).astype(np.float64))]
            mean, holds = (part / total[total > 0] for part in sums)
            then = [_status(float(h), float(p), threshold) for h, p in zip(holds, mean, strict=True)]
            turns = round(float(total[total > 0] @ np.array([word != status for word in then], dtype=np.float64)), 9)
            share = _explained(values, each, self.weights, drawn)
            turns = turns if share >= LEAST else 0.0  # a group of few draws falls on another side by chance
            found.append((turns, share, (schema.names[i], turns, float(mean.min()), float(mean.max()))))
        found.sort(key=lambda one: (-one[0], -one[1]))
        return tuple(one for k, (_, share, one) in enumerate(found) if share >= LEAST or not k)

    def deciding(self, threshold: float) -> tuple[Unknown, ...]:
        """The unknown values that the verdict hangs on, most deciding first: how much of it each alone would explain."""
        p = self.checker.p_target(self.rows)
        verdict = (p >= threshold).astype(np.float64)
        about = verdict if 0 < verdict.mean() < 1 else p
        schema, found = self.record.schema, list[Unknown]()
        for i in self._at:
            drawn = schema.features[i].kind == "number"
            found.append(Unknown(schema.names[i], _explained(self.rows[:, i], about, self.weights, drawn)))
        found.sort(key=lambda unknown: -unknown.decides)
        return tuple(u for k, u in enumerate(found) if u.decides >= LEAST or not k)

    def _reached(self, p: Vector) -> Vector:
        """The highest value that the share of each row of p reaches, shape (candidates,)."""
        order = np.argsort(-p, axis=1, kind="stable")
        enough = np.cumsum(self.weights[order], axis=1) >= UNKNOWN.share - EPS
        at = np.where(enough.any(axis=1), enough.argmax(axis=1), p.shape[1] - 1)
        return np.take_along_axis(p, np.take_along_axis(order, at[:, None], axis=1), axis=1)[:, 0]

    def _over(self, Y: Vector, part: slice) -> Vector:
        """Probabilities of candidates with some of the completions' values, shape (candidates, completions)."""
        rows = self.rows[part]
        size = max(1, ROWS // len(rows))
        parts = [self._filled(Y[start : start + size], rows) for start in range(0, len(Y), size)]
        return np.concatenate([np.empty((0, len(rows))), *(self.checker.p_target(part).reshape(-1, len(rows)) for part in parts)])

    def _filled(self, Y: Vector, rows: Vector) -> Vector:
        """Every candidate imputed in every way, shape (candidates * completions, features); what follows others follows."""
        out = np.repeat(Y[:, None, :], len(rows), axis=1)
        out[:, :, self._at] = rows[:, self._at]
        if self._follow:
            out = np.stack([rules.complete(self.record.schema, row, out[:, k]) for k, row in enumerate(rows)], axis=1)
        return out.reshape(-1, Y.shape[1])


def _status(holds: float, p: float, threshold: float) -> str:
    """One class only where the share of completions and their mean agree on it."""
    if holds >= UNKNOWN.share - EPS and p >= threshold:
        return ALREADY
    return UNWANTED if holds <= 1 - UNKNOWN.share + EPS and p < threshold else DEPENDS


def exactly(schema: Schema, rows: Vector, unknown: NDArray[np.bool_]) -> Vector:
    """Drawn rows, shape (rows, features), in which what a sum or a ratio says exactly is not left to chance: of the features marked
    as unknown the one that it completes, or, where that is known, the first (weight beside body mass index and height)."""
    open_ = {name for name, gap in zip(schema.names, unknown, strict=True) if gap}
    for relation in (*schema.following, *(r for r in schema.relations if r.exact and not r.completes)):
        names = sorted(open_.intersection(relation.features), key=lambda n: (n != relation.completes, relation.features.index(n)))
        if names:
            rows[:, schema.index[names[0]]] = rules.left(schema, relation, names[0], rows)
            open_.discard(names[0])
    for i in np.flatnonzero(unknown):
        lattice = schema.features[i].lattice
        rows[:, i] = np.clip(np.nan_to_num(rows[:, i], nan=lattice[0]), lattice[0], lattice[-1])
    return rows


def imputed(checker: Checker, record: Record, impute: Impute, seed: int, floor: float) -> Imputed:
    """The checker for a record of which something is unknown; see `exactly`."""
    rows, weights = impute(record.vector, UNKNOWN.completions, seed)
    rows = exactly(record.schema, rows, np.isnan(record.vector))
    rows, at = np.unique(rows, axis=0, return_inverse=True)
    return Imputed(checker, record, rows, np.bincount(at.ravel(), weights).astype(np.float64), floor)


def spread(checker: Checker, Y: Vector, p: Vector, threshold: float) -> Spread:
    """What candidates are predicted by a checker that says p of them: a range where it is one over completions."""
    return checker.spread(Y, threshold) if isinstance(checker, Imputed) else Spread(p, p, p, np.ones(len(Y)))


def alike(checker: Checker, rival: Checker) -> Checker:
    """The rival, asked as the checker asks: about the same completions, where it asks about some."""
    return Imputed(rival, checker.record, checker.rows, checker.weights, checker.floor) if isinstance(checker, Imputed) else rival


def evenly(schema: Schema) -> Impute:
    """For a bundle without a density: every choice alike, numbers from the range seen in training, each for itself."""

    def impute(x: Vector, count: int, seed: int) -> tuple[Vector, Vector]:
        unknown = np.flatnonzero(np.isnan(x))
        values = [_even(schema, int(i)) for i in unknown]
        if np.prod([float(len(v)) for v in values]) <= count:
            picked = np.array(list(product(*values)))
        else:
            chance = np.random.default_rng(seed)
            picked = np.array([chance.choice(v, count) for v in values]).T
        rows = np.repeat(x[None], len(picked), axis=0)
        rows[:, unknown] = picked
        return rows, np.full(len(rows), 1 / len(rows))

    return impute


def _even(schema: Schema, i: int) -> list[float]:
    feature = schema.features[i]
    if feature.kind == "choice":
        return [float(code) for code in feature.lattice]
    low, high = feature.reference or (feature.lattice[0], feature.lattice[-1])
    return [float(low + share * (high - low)) for share in (0.1, 0.3, 0.5, 0.7, 0.9)]


def _explained(values: Vector, about: Vector, weights: Vector, drawn: bool) -> float:
    """Share (0..1) of the variance of `about` between groups of equal values; numbers that were drawn are put in few groups.

    Of what is drawn some share is explained by chance alone; it is taken off.
    """
    group = _groups(values, weights) if drawn else np.unique(values, return_inverse=True)[1].ravel()
    total = np.bincount(group, weights)
    mean = np.bincount(group, weights * about) / np.where(total > 0, total, 1.0)
    middle = float(weights @ about)
    whole = float(weights @ (about - middle) ** 2)
    share = float(total @ (mean - middle) ** 2) / whole if whole > 0 else 0.0
    spare = 1 / float(weights @ weights) - len(total)
    if drawn and spare > 0:
        share = 1 - (1 - share) * (spare + len(total) - 1) / spare
    return min(1.0, max(0.0, share))


def _groups(values: Vector, weights: Vector) -> NDArray[np.intp]:
    """Numbers in up to BINS groups of about equal weight."""
    at = np.unique(values, return_inverse=True)[1].ravel()
    below = np.cumsum(np.bincount(at, weights)) - 1e-12
    group = np.minimum((below * BINS).astype(np.intp), BINS - 1)[at]
    return np.unique(group, return_inverse=True)[1].ravel()
