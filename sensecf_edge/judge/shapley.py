"""Why a record is predicted what it is: what each of its values adds to the risk, against people drawn from the model's own density.

Shapley values of the risk, the reference being people whom the density of everybody draws: a value that is not counted is
the drawn person's. No training row is needed or kept. Features that follow from each other by a relation that computes
(weight, height and body mass index) count as one, for no person has one of them without the others. What is unknown of the
record counts for none: it is drawn as it may be, given the rest.

Says what the model goes by. Does not say what causes the outcome, nor what a change would do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import comb

import numpy as np
from numpy.typing import NDArray

from ..answer.basis import Attribution, Why
from ..schema.feature import Vector
from ..schema.record import Record
from ..schema.schema import Schema
from ..settings import WHY

Ask = Callable[[Vector], Vector]
"""Rows of codes, shape (rows, features) -> the risk of each, shape (rows,)."""
NORMAL_95 = 1.96


def together(schema: Schema) -> list[list[int]]:
    """Positions of features that a relation computes from each other, each such set once; every other feature alone. In schema order."""
    whole = {i: {i} for i in range(len(schema))}
    for relation in schema.relations:
        if relation.exact or relation.moves:
            one = set[int]().union(*(whole[schema.index[name]] for name in relation.features))
            whole.update(dict.fromkeys(one, one))
    return [sorted(group) for i, group in whole.items() if i == min(group)]


def why(ask: Ask, record: Record, cases: Vector, people: Vector, seed: int, rows: int = WHY.rows) -> Why:
    """What each known feature, or set of them, adds to the risk.

    `cases` is what the record may be, shape (people, features): itself, where nothing is unknown; `people` are drawn ones,
    same shape, one for each case. Exact over the features where all sets of them take at most `rows` rows of the classifier,
    else sampled: random orders of the features, each with its reverse. Errors are half widths of 95 % intervals by drawn person.
    """
    known = ~np.isnan(record.vector)
    players = [group for group in together(record.schema) if known[group].any()]
    fewest = min(len(people), WHY.people)
    exact = 2 ** len(players) * fewest <= rows
    count = max(2, min(len(people), rows // (2 ** len(players) if exact else 2 * len(players))))
    cases, people = cases[:count], people[:count]
    adds, ends = (_exact if exact else _sampled)(ask, cases, people, players, np.random.default_rng(seed))
    error = NORMAL_95 * adds.std(axis=0, ddof=1) / np.sqrt(count)
    names = [tuple(record.schema.names[i] for i in group if known[i]) for group in players]
    parts = [Attribution(name, float(add), float(off)) for name, add, off in zip(names, adds.mean(axis=0), error, strict=True)]
    start, now = ends.mean(axis=0)
    return Why(float(start), float(now), tuple(sorted(parts, key=lambda part: -abs(part.adds))), exact, count)


def _exact(
    ask: Ask, cases: Vector, people: Vector, players: Sequence[Sequence[int]], _: np.random.Generator
) -> tuple[Vector, Vector]:
    """Every set of players: what each adds, shape (people, players), and the risk of none and of all, shape (people, 2)."""
    n = len(players)
    sets = (np.arange(2**n)[:, None] >> np.arange(n)) & 1 == 1
    worth = _asked(ask, cases, people, players, np.repeat(sets[None], len(people), axis=0))
    sizes, adds = sets.sum(axis=1), np.empty((len(people), n))
    for i in range(n):
        without = np.flatnonzero(~sets[:, i])
        weight = np.array([1 / (n * comb(n - 1, int(size))) for size in sizes[without]])
        adds[:, i] = (worth[:, without + 2**i] - worth[:, without]) @ weight
    return adds, worth[:, [0, -1]]


def _sampled(
    ask: Ask, cases: Vector, people: Vector, players: Sequence[Sequence[int]], rng: np.random.Generator
) -> tuple[Vector, Vector]:
    """As `_exact`, for one order of the players and its reverse for each drawn person."""
    n = len(players)
    order = rng.permuted(np.tile(np.arange(n), (len(people), 1)), axis=1)
    place = np.argsort(order, axis=1)
    first = place[:, None, :] < np.arange(n + 1)[None, :, None]  # after k steps of the order, the players of its first k places are in
    sets = np.concatenate([first, ~first[:, 1:-1]], axis=1)  # of the reverse only what lies between: both ends are the same
    worth = _asked(ask, cases, people, players, sets)
    ahead = worth[:, : n + 1]
    back = np.concatenate([ahead[:, -1:], worth[:, n + 1 :], ahead[:, :1]], axis=1)  # those not yet in of the order, falling
    steps = (np.diff(ahead, axis=1) - np.diff(back, axis=1)) / 2
    return np.take_along_axis(steps, place, axis=1), ahead[:, [0, -1]]


def _asked(
    ask: Ask, cases: Vector, people: Vector, players: Sequence[Sequence[int]], sets: NDArray[np.bool_]
) -> Vector:
    """The risk where the players of a set have the record's values and the others the drawn person's: shape (people, sets)."""
    counted = np.ones((*sets.shape[:2], cases.shape[1]), dtype=bool)
    for k, group in enumerate(players):
        counted[:, :, group] = sets[:, :, k, None]
    rows = np.where(counted, cases[:, None, :], people[:, None, :])
    return ask(rows.reshape(-1, cases.shape[1])).reshape(sets.shape[:2])
