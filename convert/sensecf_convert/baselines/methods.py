"""What stands beside the generator: `additive`, a guess from one batch of the classifier; `chance`; `search`, the runtime's own.

Each takes an answer space and a judge and stays inside what the generator must keep: admissible values, rules between features,
at most `max_changes` features. Rules cost nothing; what a way asks of the classifier is counted inside the classifier (`Metered`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from sensecf_edge.errors import ConstraintError
from sensecf_edge.judge.classifier import Checker
from sensecf_edge.judge.density import Realism
from sensecf_edge.judge.objective import Judge
from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.schema import Schema
from sensecf_edge.search.found import Found
from sensecf_edge.search.refine import Known, refine
from sensecf_edge.settings import SEARCH
from sensecf_edge.space import rules
from sensecf_edge.space.admissible import Admissible, admissible
from sensecf_edge.space.constraints import Constraints

NAMES = ("additive", "chance", "search")
WIDEST = 16_384
"""Single changes that `additive` asks about at most: of more, an even part."""
STALE = 256
"""Draws in a row that bring nothing new, after which chance gives up."""
Places = NDArray[np.intp]


class SpentError(Exception):
    """The rows that were allowed are spent. Never leaves this package."""


class Metered:
    """A checker that counts the rows it answers, tells them to `seen`, and answers no more than `most` of them."""

    def __init__(self, checker: Checker, most: int | None = None, seen: Callable[[Vector, Vector], None] | None = None) -> None:
        self.checker, self.most, self.seen, self.rows = checker, most, seen, 0

    def p_target(self, Y: Vector) -> Vector:
        """As any checker. Raises SpentError where rows are left over; those that were still allowed are answered to `seen`."""
        part = Y if self.most is None else Y[: max(0, self.most - self.rows)]
        p = self.checker.p_target(part)
        self.rows += len(part)
        if self.seen:
            self.seen(part, p)
        if len(part) < len(Y):
            raise SpentError
        return p


def answer(
    name: str, checker: Checker, schema: Schema, record: Record | Vector, goal: float, *, realism: Realism | None = None,
    constraints: Constraints | None = None, seed: int = 0, rows: int | None = None,
) -> tuple[Vector | None, int]:  # fmt: skip
    """One answer to one record by the way `name`: (the changed record, shape (features,), or None, rows asked of the classifier).

    `goal` is the probability of the wanted class that is aimed at; `realism` is part of the costs that `search` weighs. Without
    `rows`, `additive` and `chance` hand over their first try, which nobody has checked, and `search` what its default budget
    finds. With `rows`, at most so many are asked: `additive` and `chance` then check what they hand over and go on while rows
    are left, and the last thing they hand over may be unchecked. Every answer keeps the rules; whether it reaches the goal is
    for the caller to ask. None as well where nothing of the record may change. Raises ConstraintError for a request that no
    record could meet.
    """
    vector = record.vector if isinstance(record, Record) else record
    metered = Metered(checker, rows)
    try:
        space = admissible(Record(schema, vector), constraints or Constraints())
    except ConstraintError:
        return None, 0
    judge = Judge(metered, realism, goal)
    ways: dict[str, Callable[[], Vector | None]] = {
        "additive": lambda: additive(judge, metered, space),
        "chance": lambda: chance(judge, metered, space, seed),
        "search": lambda: search(judge, metered, space),
    }
    return ways[name](), metered.rows


def additive(judge: Judge, metered: Metered, space: Admissible) -> Vector | None:
    """The guess that gains add up: the best change of each feature, the largest gain in p first, until p and the gains together
    reach the goal: shape (features,).

    One batch: the record as it is and every single change that keeps the rules, with what follows. Where fewer rows are allowed,
    an even part of each feature's values; nothing with less than two rows. A change is passed over where the whole would break a
    rule. With rows left over, the guess is checked, and while it fails the next best change is added.
    """
    allowed = WIDEST if metered.most is None else max(0, metered.most - metered.rows - 1)
    column, value = _evenly(*_kept(space, *_evenly(*space.singles, WIDEST)), allowed)
    if not len(value):
        return None
    p = metered.p_target(np.concatenate([space.record.vector[None], _with(space, column[:, None], value[:, None])]))
    expected, gain, taken, guess = float(p[0]), p[1:] - p[0], list[int](), None
    for k in _best(space, column, value, gain):
        whole = _with(space, column[[*taken, k]][None], value[[*taken, k]][None])
        if gain[k] <= 0 or not rules.admitted(space, whole)[0]:
            continue
        taken.append(k)
        guess, expected = whole[0], expected + float(gain[k])
        if expected >= judge.goal and _enough(judge, metered, guess):
            break
    return guess


def chance(judge: Judge, metered: Metered, space: Admissible, seed: int) -> Vector | None:
    """The first of `drawn`, shape (features,), unchecked; where rows are allowed, the first that reaches the goal, the last one
    unchecked."""
    y = None
    for y in drawn(space, seed):
        if _enough(judge, metered, y):
            break
    return y


def search(judge: Judge, metered: Metered, space: Admissible) -> Vector | None:
    """As `unled`. Where the rows end first, the cheapest that the classifier was seen to put at the goal."""
    seen = list[Vector]()
    metered.seen = lambda Y, p: seen.append(Y[p >= judge.goal])
    try:
        return unled(judge, space)
    except SpentError:
        Y = np.concatenate(seen)
        Y = Y[rules.admitted(space, Y)]
        best: Vector | None = Y[judge.cost(space, Y).argmin()] if len(Y) else None
        return best


def unled(judge: Judge, space: Admissible) -> Vector | None:
    """What the loop does for a record whose generator says nothing, shape (features,): single moves from the record itself, sets of
    features, exchange."""
    found, known = Found(space.record), Known()
    found.searched(refine(judge, space, space.record.vector[None], known=known))
    found.widen(judge, space, known, 1, SEARCH.rows)
    return found.cheapest


def drawn(space: Admissible, seed: int) -> Iterator[Vector]:
    """Random answers that keep the rules, shape (features,), each once: 1 to `max_changes` features, each at any admissible value, all
    equally likely.

    The same record and seed get the same ones. Ends where a long row of draws brings nothing new.
    """
    chance, known, idle = np.random.default_rng([seed, *space.record.vector.view(np.uint32)]), set[bytes](), 0
    while idle < STALE:
        count = int(chance.integers(1, min(space.max_changes, len(space.features)) + 1))
        columns = chance.choice(space.features, size=count, replace=False)
        y = _with(space, columns[None], np.array([[chance.choice(space.values[i]) for i in columns]]))
        idle += 1
        if y.tobytes() not in known and rules.admitted(space, y)[0]:
            known.add(y.tobytes())
            idle = 0
            yield y[0]


def _enough(judge: Judge, metered: Metered, y: Vector) -> bool:
    """Whether y is handed over: it reaches the goal, or nothing is left to ask with."""
    unchecked = metered.most is None or metered.rows >= metered.most
    return unchecked or bool(metered.p_target(y[None])[0] >= judge.goal)


def _with(space: Admissible, columns: Places, values: Vector) -> Vector:
    """The record with some values set and what follows computed; `columns` and `values` of shape (candidates, changes)."""
    Y = np.repeat(space.record.vector[None], len(values), axis=0)
    np.put_along_axis(Y, columns, values, axis=1)
    return rules.complete(space.record.schema, space.record.vector, Y)


def _kept(space: Admissible, column: Places, value: Vector) -> tuple[Places, Vector]:
    """The single changes that keep the rules by themselves."""
    ok = rules.admitted(space, _with(space, column[:, None], value[:, None]))
    return column[ok], value[ok]


def _evenly(column: Places, value: Vector, most: int) -> tuple[Places, Vector]:
    """At most so many single changes: as many of each feature as of any other, as far as it has them, spread over its values.

    Fewer than there are features: the middle values of the first ones.
    """
    if len(value) <= most:
        return column, value
    groups = [np.flatnonzero(column == i) for i in np.unique(column)]
    counts = [0] * len(groups)
    while sum(counts) < most:
        for k, group in enumerate(groups):
            counts[k] += counts[k] < len(group) and sum(counts) < most
    at = [group[((np.arange(n) + 0.5) / n * len(group)).astype(int)] for group, n in zip(groups, counts, strict=True) if n]
    places = np.concatenate([np.empty(0, np.intp), *at])
    return column[places], value[places]


def _best(space: Admissible, column: Places, value: Vector, gain: Vector) -> list[int]:
    """The change of each feature that gains most, the nearest of equals; the largest gain first."""
    step = np.abs(value - space.record.vector[column])
    out: dict[int, int] = {}
    for k in np.lexsort((step, -np.round(gain, 6))):
        out.setdefault(int(column[k]), int(k))
    return list(out.values())
