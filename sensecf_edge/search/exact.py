"""Search sets of features on the lattice: what the proposals and single moves of `refine` pass by, and proof of an optimum.

Every combination of one, two, three values is looked at whose least possible cost (features and distance) is below the
dearest answer that is still of use. The classifier is asked about them in batches, the most promising first: what
single changes gain, added up, says which. Each answer found leaves fewer that could be cheaper. Where none is left, no
cheaper answer exists; where the budget of rows ends first, nothing is proven beyond the last size that was finished.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..judge.objective import Judge, Scored, keys
from ..schema.feature import Vector
from ..settings import SEARCH
from ..space import measure, rules
from ..space.admissible import Admissible
from .coarse import Coarse

Picks = NDArray[np.intp]
Sets = NDArray[np.int32]
MOST = 4_000_000
"""Sets of one size that are weighed at most; of so many no proof is made."""
BLOCK, KEPT = 400_000, 2_000_000
"""Sets that are made at once, and that are kept to be made larger: what a long search needs of memory."""
FINE = 4_096
"""Single changes, from which on a search with a small budget begins with an even part of them."""
PER_ROW = 400
LARGEST_BATCH = 20_000
GLANCE = 1 / 8
GAP_PRICE = 1.0
LEAST_P = 1e-6


@dataclass(frozen=True)
class Searched:
    """Answers that passed, and `proven`: nothing cheaper than the cheapest known changes this many proposed features or fewer.

    `guess`: the candidate that single gains, added up, put at the goal, shape (1, features), nobody judged it; no row where single
    changes were not looked at.
    """

    scored: Scored
    proven: int
    guess: Vector


class Stock:
    """The least cost known for each set of changed features."""

    def __init__(self, x: Vector, found: Scored) -> None:
        self.x, self.costs = x, dict[bytes, float]()
        self.add(found)

    def add(self, found: Scored) -> None:
        """Count in what passed."""
        good = found.passed
        for row, key in zip(measure.changed(self.x, found.Y[good]), found.key[good], strict=True):
            name = row.tobytes()
            self.costs[name] = min(self.costs.get(name, np.inf), -1.0 / float(key))

    def limit(self, answers: int) -> float:
        """The cost from which on an answer is of no more use; infinite while there are fewer sets than answers asked for."""
        return sorted(self.costs.values())[answers - 1] if len(self.costs) >= answers else np.inf


@dataclass(frozen=True)
class _Singles:
    """Every single change of a record: column, value, its part of the least cost, what it gains in logits and in log-density."""

    column: Picks
    value: Vector
    least: Vector
    gain: Vector
    density: Vector
    need: float
    present: float


class _Hunt:
    """One record's search: what is left of the budget, and what was found."""

    def __init__(self, judge: Judge, space: Admissible, found: Scored, answers: int, rows: int) -> None:
        self.judge, self.space, self.answers, self.rows, self.left = judge, space, answers, rows, float(rows)
        self.x, self.schema = space.record.vector, space.record.schema
        self.stock = Stock(self.x, found)
        self.parts: list[Scored] = []

    @property
    def limit(self) -> float:
        """The cost from which on an answer is of no more use."""
        return self.stock.limit(self.answers)

    def ask(self, Y: Vector) -> None:
        """Judge those candidates that could still be of use. A row only looked at costs a part of one asked about."""
        self.left -= GLANCE * len(Y)
        Y = Y[rules.admitted(self.space, Y)]
        cost = self.judge.cost(self.space, Y)
        useful = cost < self.limit
        self.left -= int(np.count_nonzero(useful))
        self.keep(Y[useful], self.judge.checker.p_target(Y[useful]), cost[useful])

    def keep(self, Y: Vector, p: Vector, cost: Vector) -> None:
        """Take up what reaches the goal; all of Y keep the rules."""
        good = p >= self.judge.goal
        if good.any():
            part = Scored(Y[good], p[good], keys(cost[good]))
            self.parts.append(part)
            self.stock.add(part)


def search(judge: Judge, space: Admissible, found: Scored, answers: int, rows: int, largest: int = SEARCH.features) -> Searched:
    """Answers that are cheaper than those `found`, or change other features while there are fewer sets of them than `answers`.

    Asks the classifier about `rows` candidates or little more, and tries sets of at most `largest` proposed features.
    """
    hunt, largest = _Hunt(judge, space, found, answers, rows), min(largest, space.max_changes, len(space.features))
    column, value, every = _changes(space, max(FINE, 2 * rows))
    least = judge.parts(space, column, value)
    Y = _candidates(hunt, column[:, None], value[:, None])
    proven, guess = 1, Y[:0]
    if largest == 1 or hunt.limit <= 2 * least.min():
        hunt.ask(Y)
        proven = largest
    else:
        singles = _singles(hunt, column, value, least, Y)
        guess = _guess(hunt, singles)
        picks = np.arange(len(value), dtype=np.int32)[:, None]
        for size in range(2, largest + 1 if hunt.left > 0 or not _some_pair(hunt, singles) else 2):
            whole, larger = _level(hunt, singles, picks, size < largest)
            if not whole:
                break
            proven = size
            if larger is None:
                break
            picks = larger
    return Searched(Scored.joined([Scored(Y[:0], np.empty(0), np.empty(0)), *hunt.parts]), proven if every else 0, guess)


def _changes(space: Admissible, most: int) -> tuple[Picks, Vector, bool]:
    """Single changes to begin with, positions and codes; and whether they are all there are: fine lattices are thinned out."""
    column, value = space.singles
    if len(value) <= most:
        return column, value, True
    places = Coarse(space, most).places
    column, value = space.targets[0][places], space.targets[1][places]
    moved = value != space.record.vector[column]
    return column[moved], value[moved], False


def _candidates(hunt: _Hunt, columns: Picks, values: Vector) -> Vector:
    """Records with some values set, those that follow computed; `columns` and `values` of shape (candidates, changes)."""
    Y = np.repeat(hunt.x[None], len(values), axis=0)
    np.put_along_axis(Y, columns, values, axis=1)
    return rules.complete(hunt.schema, hunt.x, Y)


def _singles(hunt: _Hunt, column: Picks, value: Vector, least: Vector, Y: Vector) -> _Singles:
    """All single changes, judged, also those of no use alone: they say what to expect of sets."""
    judge, both = hunt.judge, np.concatenate([hunt.x[None], Y])
    p = judge.checker.p_target(both)
    hunt.left -= len(both)
    ok = rules.admitted(hunt.space, Y)
    good = np.flatnonzero(ok & (p[1:] >= judge.goal))
    hunt.keep(Y[good], p[1:][good], judge.cost(hunt.space, Y[good]))
    p = np.clip(p, LEAST_P, 1 - LEAST_P)
    logit = np.log(p / (1 - p))
    density = judge.realism.log_density(both) if judge.realism else np.zeros(len(both))
    need = float(np.log(judge.goal / (1 - judge.goal)) - logit[0])
    return _Singles(column, value, least, logit[1:] - logit[0], density[1:] - density[0], need, float(density[0]))


def _guess(hunt: _Hunt, singles: _Singles) -> Vector:
    """The best change of each feature, the largest gain first, until gains added up make up for what is lacking; one row."""
    best = dict[int, int]()
    for k in np.argsort(-singles.gain, kind="stable")[: np.count_nonzero(singles.gain > 0)]:
        best.setdefault(int(singles.column[k]), int(k))
    taken = list(best.values())[: hunt.space.max_changes]
    enough = np.cumsum(singles.gain[taken]) >= singles.need
    taken = taken[: int(enough.argmax()) + 1 if enough.any() else len(taken)]
    return _candidates(hunt, singles.column[taken][None], singles.value[taken][None]) if taken else hunt.x[None][:0]


def _some_pair(hunt: _Hunt, singles: _Singles) -> bool:
    """Whether two changes of different features could be of use together."""
    least = sorted(float(singles.least[singles.column == i].min()) for i in hunt.space.features)
    return len(least) > 1 and least[0] + least[1] < hunt.limit


def _level(hunt: _Hunt, singles: _Singles, picks: Sets, keep: bool) -> tuple[bool, Sets | None]:
    """Judge all sets of one change more than `picks` that could be of use; whether none was left out, and they, if `keep`.

    They are made a block at a time, from the most promising picks on. None of them where there are too many to keep.
    """
    whole, kept, count = True, list[Sets](), 0
    for new, least, complete in _extend(hunt, singles, picks):
        count += len(new)
        whole = _try(hunt, singles, new, least) and whole and complete
        if count > MOST or not whole:
            return False, None
        if keep and count <= KEPT:
            kept.append(new)
    none = np.empty((0, picks.shape[1] + 1), np.int32)
    return whole, np.concatenate([none, *kept]) if keep and count <= KEPT else None


def _extend(hunt: _Hunt, singles: _Singles, picks: Sets) -> Iterator[tuple[Sets, Vector, bool]]:
    """Sets of one change more, each once, that could still be of use, and their least costs, in blocks; whether none was left out."""
    width, least = len(singles.value), _sum(singles.least, picks)
    most = max(1, min(MOST, PER_ROW * hunt.rows) // width)
    whole = len(picks) <= most or hunt.rows * PER_ROW > MOST
    picks, least = _promising(hunt, singles, picks, least, len(picks) if whole else most)
    most = max(1, min(BLOCK, PER_ROW * hunt.rows) // width)
    for start in range(0, len(picks), most):
        part, cost = picks[start : start + most], least[start : start + most]
        near, ends = cost < hunt.limit - singles.least.min(), np.flatnonzero(singles.least < hunt.limit - cost.min())
        part, cost = part[near], cost[near]
        later = np.searchsorted(singles.column[ends], singles.column[part[:, -1]], side="right")  # from there on: later features
        row = np.repeat(np.arange(len(part)), len(ends) - later)
        at = np.arange(len(row)) - np.repeat(np.cumsum(len(ends) - later) - len(ends), len(ends) - later)
        sums = cost[row] + singles.least[ends[at]]
        fit = sums < hunt.limit
        yield np.concatenate([part[row[fit]], ends[at[fit]][:, None].astype(np.int32)], axis=1), sums[fit], whole


def _sum(of: Vector, picks: Sets) -> Vector:
    """What the changes of each set come to together."""
    out: Vector = sum((of[column] for column in picks.T), np.zeros(len(picks)))
    return out


def _promising(hunt: _Hunt, singles: _Singles, picks: Sets, least: Vector, most: int) -> tuple[Sets, Vector]:
    """At most `most` sets, the most promising first."""
    worth = least + GAP_PRICE * np.maximum(0.0, singles.need - _sum(singles.gain, picks))
    if hunt.judge.realism:
        density = singles.present + _sum(singles.density, picks)
        worth = worth + hunt.judge.price.realism * (1.0 - hunt.judge.realism.rank(density, hunt.x) / 100.0)
    order = np.argpartition(worth, most)[:most] if most < len(worth) else np.arange(len(worth))
    order = order[np.argsort(worth[order], kind="stable")]
    return picks[order], least[order]


def _try(hunt: _Hunt, singles: _Singles, picks: Sets, least: Vector) -> bool:
    """Judge sets, the most promising first, until the budget is spent; whether none is left that could be of use."""
    most = max(SEARCH.batch, int(hunt.left / GLANCE)) if hunt.left > 0 else 0
    whole = len(picks) <= most
    picks, least = _promising(hunt, singles, picks, least, most)
    while len(picks) and hunt.left > 0:
        batch = min(max(SEARCH.batch, len(picks) // 8), LARGEST_BATCH)
        now, picks, least = picks[:batch], picks[batch:], least[batch:]
        hunt.ask(_candidates(hunt, singles.column[now], singles.value[now]))
        useful = least < hunt.limit
        picks, least = picks[useful], least[useful]
    return whole and not len(picks)
