"""Rows of the class that is short, by a bundle's answers: who is asked about, what may leave.

    real people of the other class           -> what would make them look like the short one       (the papers' rows)
    invented people of the short class whom
    the checker does not recognise           -> the same: the part of the class that it misses
    invented people whom it recognises       -> as they are

Answers about the other class alone crowd at the border, and a classifier trained on them misses those of the short class who lie
elsewhere; docs/augmentation.md has the figures. So they are a share of the rows, and the rest comes from the short class itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from sensecf_edge.budget import Budget
from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.explain import Explainer
from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.schema import Schema
from sensecf_edge.search.found import with_changes

from ..evaluate.plausibility import MOST_ROWS, sampled
from ..table.cohort import Cohort
from ..table.gower import gower
from ..teachers.people import Copies, People, places, settle

MARGIN = 0.2
"""How far above the threshold an answer about the other class must lie: a row for training is no near miss."""
OTHERS = 0.2
"""Share of the rows that is made from real people of the other class."""
ANSWERS = 3
"""Answers asked for each of them: the most typical one is kept first."""
CHUNK = 64
NEAR = 1.0
"""Percentile of how near real people stand to each other: a row that is nearer than that to another person is a copy."""
BARREN = 20
"""Draws of invented people that may follow each other without a row before it is given up."""
COUNTERFACTUAL, MOVED, INVENTED = "counterfactual", "invented, moved", "invented"
NOBODY = -1
Report = Callable[[float, str], None]


@dataclass(frozen=True)
class Row:
    """One made row: codes, shape (features,); the cohort's row it was made from (NOBODY for invented people); how it was made;
    p of the class by the checker; percentile of realism."""

    y: Vector
    source: int
    method: str
    p: float
    realism: float


class Guard:
    """Knows the real people of a cohort, and refuses rows that copy one.

    Refused is what coincides on the lattice with somebody's own row (`Copies`: combinations that many people share are
    nobody's), and what lies nearer to a person other than the one it was made from than nearly all people lie to each other
    (Gower distance under the 1st percentile of the distances between every person and the closest other; where so many have a twin,
    that is 0 and refuses nothing). It bounds no attacker.
    """

    def __init__(self, data: Cohort) -> None:
        self.data, self.copies = data, Copies(data)
        rows = sampled(np.arange(len(data)), MOST_ROWS)
        own = np.array([self._closest(data.X[i], str(data.persons[i])) for i in rows])
        self.near = float(np.percentile(own, NEAR))

    def why(self, y: Vector, source: int = NOBODY) -> str:
        """Why a row made from row `source` may not leave; "" where it may."""
        if self.copies.own(y[None])[0]:
            return "it is a real person's row"
        person = "" if source == NOBODY else str(self.data.persons[source])
        return "it lies too near to another real person" if self._closest(y, person) < self.near else ""

    def _closest(self, x: Vector, person: str) -> float:
        """Gower distance to the closest row of anybody but `person`."""
        others = self.data.persons != person
        return float(gower(self.data.schema, x[None], self.data.X)[0].min(initial=1.0, where=others))


@dataclass(frozen=True)
class _Workspace:
    """What all rows pass: the bundle, the real people, and a count of what was refused."""

    bundle: Bundle
    data: Cohort
    guard: Guard
    refused: Counter[str]
    seed: int

    def kept(self, rows: list[Row]) -> list[Row]:
        """Those that may leave."""
        out = []
        for row in rows:
            if why := self.guard.why(row.y, row.source):
                self.refused[why] += 1
            else:
                out.append(row)
        return out

    def asked(self, explainer: Explainer, X: Vector, n: int, search: int | None = None) -> Iterator[list[tuple[Vector, float, float]]]:
        """For each factual its answers: record, shape (features,), p, realism; the most typical first."""
        budget = Budget(n, seed=self.seed) if search is None else Budget(n, seed=self.seed, search=search)
        for x, answer in zip(X, explainer.explain_many([Record(self.bundle.schema, x) for x in X], None, budget), strict=True):
            if not answer.found and answer.status != "already":
                self.refused["no answer within the budget"] += 1
            made = [(with_changes(self.bundle.schema, x, f.changes), f.p_target, f.realism or 0.0) for f in answer.found]
            yield sorted(made, key=lambda a: -a[2])


def make_rows(bundle: Bundle, data: Cohort, count: int, seed: int, report: Report = lambda *_: None) -> tuple[list[Row], Counter[str]]:
    """At most `count` different rows of class `data.classes[1]`, in an order drawn by `seed`, and what was refused, by reason.

    `data` are the rows the bundle was trained from. OTHERS of the rows are made from the other class where it has so many answers.
    Fewer than `count` where neither source has more.
    """
    data = Cohort(bundle.schema, data.X, data.y, data.persons, data.classes)  # whose reference ranges are filled in
    desk = _Workspace(bundle, data, Guard(data), Counter(), seed)
    others = _of_others(desk, round(OTHERS * count), lambda share, words: report(OTHERS * share, words))
    own = _of_own(desk, count - len(others), {r.y.tobytes() for r in others}, lambda s, words: report(OTHERS + (1 - OTHERS) * s, words))
    made = others + own
    return [made[i] for i in np.random.default_rng(seed).permutation(len(made))], +desk.refused


def _of_others(desk: _Workspace, count: int, report: Report) -> list[Row]:
    """Rows made from real people of the other class: one of each before any gives two."""
    shelves, data = list[list[Row]](), desk.data
    with Explainer.load(desk.bundle.folder, threads=1, margin=MARGIN) as explainer:
        sources = np.flatnonzero(~data.y & (explainer.checker.p_target(data.X) < explainer.target.threshold))
        order = np.random.default_rng(desk.seed).permutation(sources)
        for at in range(0, len(order), CHUNK):
            if len(shelves) >= count:
                break
            part = order[at : at + CHUNK]
            for source, answers in zip(part, desk.asked(explainer, data.X[part], ANSWERS), strict=True):
                if shelf := desk.kept([Row(y, int(source), COUNTERFACTUAL, p, typical) for y, p, typical in answers]):
                    shelves.append(shelf)
            report(min(1.0, len(shelves) / max(1, count)), f"{len(shelves):,} rows of the other class answered")
    dealt = [shelf[k] for k in range(ANSWERS) for shelf in shelves if k < len(shelf)]
    return list({row.y.tobytes(): row for row in reversed(dealt)}.values())[::-1][:count]


def _of_own(desk: _Workspace, count: int, taken: set[bytes], report: Report) -> list[Row]:
    """Rows made from invented people of the short class; those whom the checker does not recognise are moved until it does."""
    out, data, barren = list[Row](), desk.data, 0
    people, rng = People(data.take(data.y)), np.random.default_rng((desk.seed, 1))
    with Explainer.load(desk.bundle.folder, threads=1) as explainer:
        while len(out) < count and barren < BARREN:
            before = len(out)
            for row in desk.kept(_recognised(desk, explainer, on_steps(desk.bundle.schema, people.invented(CHUNK, rng).X))):
                if row.y.tobytes() in taken:
                    desk.refused["it was made already"] += 1
                else:
                    taken.add(row.y.tobytes())
                    out.append(row)
            barren = barren + 1 if len(out) == before else 0
            report(min(1.0, len(out) / max(1, count)), f"{len(out):,} rows of invented people")
    return out[:count]


def on_steps(schema: Schema, X: Vector) -> Vector:
    """Rows with every value on its feature's lattice, shape (rows at most, features); what follows other features is computed
    anew, and a row that leaves its range by that is dropped."""
    at = places(schema, X)
    columns = [np.where(i < 0, np.nan, f.lattice[np.maximum(i, 0)]) for f, i in zip(schema.features, at.T, strict=True)]
    return settle(schema, np.column_stack(columns))[0]


def _recognised(desk: _Workspace, explainer: Explainer, X: Vector) -> list[Row]:
    """Each invented person as they are where the checker knows their class, else their cheapest answer."""
    assert explainer.realism is not None  # `training` packs one
    p, typical = explainer.checker.p_target(X), explainer.realism.percentile(X)
    known = p >= explainer.target.threshold
    moved = iter(desk.asked(explainer, X[~known], 1, search=0))
    out = list[Row]()
    for i, x in enumerate(X):
        if known[i]:
            out.append(Row(x, NOBODY, INVENTED, float(p[i]), float(typical[i])))
        elif answers := next(moved):
            out.append(Row(answers[0][0], NOBODY, MOVED, *answers[0][1:]))
    return out
