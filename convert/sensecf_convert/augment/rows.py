"""A bundle's answers about real rows of the other class become rows of the class that is short; nobody's copy among them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensecf_edge.bundle import Bundle
from sensecf_edge.loop import Budget, Explainer
from sensecf_edge.record import Record
from sensecf_edge.result import Explanation
from sensecf_edge.schema import Vector

from ..evaluate import rebuilt
from ..gower import gower
from ..tables import Cohort
from ..teachers.people import Copies

ANSWERS, MOST_ANSWERS = 3, 12
"""Answers asked for a row: the most typical of a few is kept first; more where rows of the other class are rare."""
CHUNK = 64
NEAR = 1.0
"""Percentile of how near real people stand to each other: an answer that is nearer than that to another person is a copy."""


@dataclass(frozen=True)
class Made:
    """Rows of the short class: codes Y, shape (rows, features); row of the cohort each was made from; p of the class and
    percentile of realism, shape (rows,). `refused` counts answers and rows that led to none, by reason."""

    Y: Vector
    source: NDArray[np.intp]
    p: Vector
    realism: Vector
    refused: Counter[str]

    def __len__(self) -> int:
        return len(self.Y)


@dataclass(frozen=True)
class _Answer:
    y: Vector
    p: float
    realism: float


class Guard:
    """Knows the real people of a cohort, and refuses rows that copy one.

    Refused is what coincides on the lattice with somebody's own row (`Copies`: combinations that many people share are
    nobody's), and what lies nearer to a person other than the one it was made from than nearly all people lie to each other
    (Gower distance under the 1st percentile of the distances between every person and the closest other). It bounds no attacker.
    """

    def __init__(self, data: Cohort) -> None:
        self.data, self.copies = data, Copies(data)
        own = np.array([self._closest(x, person) for x, person in zip(data.X, data.persons, strict=True)])
        self.near = float(np.percentile(own, NEAR))

    def why(self, y: Vector, source: int) -> str:
        """Why a row made from row `source` may not leave; "" where it may."""
        if self.copies.own(y[None])[0]:
            return "it is a real person's row"
        return "it lies too near to another real person" if self._closest(y, self.data.persons[source]) < self.near else ""

    def _closest(self, x: Vector, person: str) -> float:
        """Gower distance to the closest row of anybody but `person`."""
        others = self.data.X[self.data.persons != person]
        return float(gower(self.data.schema, x[None], others).min(initial=1.0))


def make(bundle: Bundle, data: Cohort, count: int, seed: int, report: Callable[[float, str], None] = lambda *_: None) -> Made:
    """At most `count` rows of class `data.classes[1]`, made from rows of the other class that the bundle's classifier puts there.

    One row from each source before any gives two, in an order drawn by `seed`; of a source's answers the most typical first.
    Fewer than `count` where there are not so many answers. Sources are asked about only until there are enough.
    """
    refused: Counter[str] = Counter()
    with Explainer.load(bundle.folder, threads=1) as explainer:
        p = explainer.checker.p_target(data.X)
        sources = np.flatnonzero(~data.y & (p < explainer.target.threshold))
        refused["the checker puts this row of the other class in the short one already"] = int((~data.y).sum()) - len(sources)
        shelves, guard = dict[int, list[_Answer]](), Guard(bundle_cohort(bundle, data))
        budget = Budget(min(MOST_ANSWERS, max(ANSWERS, -(-2 * count // max(1, len(sources))))), seed=seed)
        order = np.random.default_rng(seed).permutation(sources)
        for at in range(0, len(order), CHUNK):
            if len(shelves) >= count:
                break
            part = order[at : at + CHUNK]
            for source, answer in zip(part, explainer.explain_many([Record(bundle.schema, data.X[i]) for i in part], None, budget),
                                      strict=True):  # fmt: skip
                shelf = _kept(bundle, data.X[source], answer, guard, int(source), refused)
                if shelf:
                    shelves[int(source)] = shelf
            report(min(1.0, max(len(shelves) / max(1, count), (at + len(part)) / len(order))), f"{len(shelves):,} rows led to an answer")
    return _dealt(shelves, count, len(bundle.schema), refused)


def bundle_cohort(bundle: Bundle, data: Cohort) -> Cohort:
    """The cohort under the bundle's own schema, which has its reference ranges filled in."""
    return Cohort(bundle.schema, data.X, data.y, data.persons, data.classes)


def _kept(bundle: Bundle, x: Vector, answer: object, guard: Guard, source: int, refused: Counter[str]) -> list[_Answer]:
    """A row's answers that may leave, the most typical first."""
    if not isinstance(answer, Explanation) or not answer.found:
        refused["no answer within the budget"] += 1
        return []
    out = []
    for found in answer.found:
        y = rebuilt(bundle.schema, x, found)
        if why := guard.why(y, source):
            refused[why] += 1
        else:
            out.append(_Answer(y, found.p_target, found.realism or 0.0))
    return sorted(out, key=lambda a: -a.realism)


def _dealt(shelves: dict[int, list[_Answer]], count: int, width: int, refused: Counter[str]) -> Made:
    """One answer of every source in turn, then the second ones; none twice."""
    dealt, seen = list[tuple[int, _Answer]](), set[bytes]()
    for k in range(MOST_ANSWERS):
        for source, shelf in shelves.items():
            if k < len(shelf) and len(dealt) < count and shelf[k].y.tobytes() not in seen:
                seen.add(shelf[k].y.tobytes())
                dealt.append((source, shelf[k]))
    answers = [a for _, a in dealt]
    return Made(
        np.array([a.y for a in answers]).reshape(-1, width), np.array([s for s, _ in dealt], dtype=np.intp),
        np.array([a.p for a in answers]), np.array([a.realism for a in answers]), +refused,
    )  # fmt: skip
