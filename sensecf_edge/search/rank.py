"""Which of the answers that passed are shown: the cheapest first, then those that change something else and are best at something.

Several answers are worth having when they differ in what they change and in what they are good for: the fewest
features, the smallest change, the most typical record. A change that buys nothing makes no other answer, and neither does
another value of the same feature that is nearly the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..judge.objective import Judge, Scored
from ..schema.feature import Vector
from ..schema.schema import Schema
from ..space import measure, rules
from ..space.rules import Mask

EPS = 1e-9
APART = 0.1
"""Share of a feature's reference range from which on another value makes another answer."""
WORTH = 5.0
"""Percentiles by which one change more has to make an answer more typical, to be worth showing beside the answer without it."""
FEWEST, NEAREST, TYPICAL = "fewest features", "smallest change", "most typical"


@dataclass(frozen=True)
class Figures:
    """What answers are compared by, row by row. `realism` is 0 where there is no model of it."""

    n_changed: Vector
    distance: Vector
    realism: Vector

    @classmethod
    def of(cls, judge: Judge, schema: Schema, x: Vector, Y: Vector) -> Figures:
        """The figures of candidates."""
        realism = judge.percentile(Y)
        return cls(measure.sparsity(x, Y).astype(float), measure.proximity(schema, x, Y), np.zeros(len(Y)) if realism is None else realism)

    def best(self, rows: list[int]) -> dict[str, int]:
        """Which of the rows is best at what; the first of equals."""
        return {
            FEWEST: min(rows, key=lambda i: (self.n_changed[i], self.distance[i])),
            NEAREST: min(rows, key=lambda i: self.distance[i]),
            TYPICAL: max(rows, key=lambda i: self.realism[i]),
        }


def rank(schema: Schema, x: Vector, scored: Scored, n: int, figures: Figures | None = None) -> list[int]:
    """Row numbers of up to n answers, the cheapest first. Every set of changed features comes once before any comes twice.

    A set comes twice only with a value that is APART from those of the same set before it; so fewer than n may come.
    With `figures`, for each strength in turn the answer of another set that is better at it than all before it comes
    next; without, and after that, the cheapest of another set. Only rows that passed, and none twice. With `figures`, none
    that is `redundant` but the cheapest.
    """
    order = [int(i) for i in np.argsort(scored.key, kind="stable") if scored.passed[i]]
    if figures:
        idle = redundant(schema, x, scored, figures)
        order = order[:1] + [i for i in order[1:] if not idle[i]]
    rows = {scored.Y[i].tobytes(): i for i in reversed(order)}
    distinct = [i for i in order if rows[scored.Y[i].tobytes()] == i]
    names = {i: measure.changed(x, scored.Y[i : i + 1]).tobytes() for i in distinct}
    chosen = distinct[:1]
    taken = {names[i] for i in chosen}
    for strength in (FEWEST, NEAREST, TYPICAL) if figures and n > 1 else ():
        others = [i for i in distinct if names[i] not in taken]
        if others and figures and figures.best([*chosen, *others])[strength] not in chosen:
            chosen.append(figures.best(others)[strength])
            taken.add(names[chosen[-1]])
    for i in distinct:
        if names[i] not in taken:
            chosen.append(i)
            taken.add(names[i])
    for i in distinct:
        if len(chosen) >= n:
            break
        alike = scored.Y[[k for k in chosen if names[k] == names[i]]]
        if i not in chosen and (measure.relative_changes(schema, scored.Y[i], alike).max(axis=1) >= APART - EPS).all():
            chosen.append(i)
    return chosen[:n]


def redundant(schema: Schema, x: Vector, scored: Scored, figures: Figures) -> Mask:
    """True for answers with a change that could be left out: the rest of them passed too, and is as typical but for less than WORTH.

    Shape (candidates,). What follows other features is no change of its own. Looks only at what was judged already.
    """
    out: Mask = np.zeros(len(scored.Y), dtype=bool)
    good = np.flatnonzero(scored.passed)
    own = measure.changed(x, scored.Y) & ~rules.following(schema, x, scored.Y)
    count, realism = own.sum(axis=1), figures.realism
    for i in good:
        others = good[(count[good] < count[i]) & (realism[good] > realism[i] - WORTH)]
        out[i] = bool(((scored.Y[others] == scored.Y[i]) | ~own[others]).all(axis=1).any())
    return out


def strengths(figures: Figures, shown: list[int]) -> list[tuple[str, ...]]:
    """What each of several shown answers is best at among them; nothing where only one is shown."""
    best = figures.best(shown) if len(shown) > 1 else {}
    return [tuple(strength for strength, i in best.items() if i == row) for row in shown]


def distinct(x: Vector, scored: Scored) -> int:
    """How many different sets of changed features passed."""
    return len({row.tobytes() for row in measure.changed(x, scored.Y[scored.passed])})
