"""What a search found, as plain data: candidates become Counterfactuals, with every figure that is shown beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..answer.result import Change, Counterfactual
from ..answer.risk import RiskScale
from ..judge.classifier import Checker
from ..judge.imputation import alike, spread
from ..judge.objective import Judge, Scored, keys
from ..judge.stability import agreement, stability
from ..schema.feature import Vector
from ..schema.record import Record, decode, encode
from ..schema.schema import Schema
from ..settings import LAST_WALK, NEAREST, SEARCH, STABILITY, TYPICAL
from ..space import measure, rules
from ..space.admissible import Admissible
from . import exact
from .exchange import exchange
from .rank import Figures, rank, redundant, strengths
from .refine import Known, refine
from .walk import made_up, near_to, toward, wanted

EPS = 1e-9
BALANCED = RiskScale()
WALK_STARTS = 3
"""Answers from which a cheaper or more typical one is looked for."""


@dataclass
class Found:
    """One record's candidates: where each came from, and the valid answer that it was made from, if there was one."""

    record: Record
    scored: Scored = field(init=False)
    origins: list[str] = field(default_factory=list)
    sources: list[Vector | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.scored = Scored(np.empty((0, len(self.record.vector))), np.empty(0), np.empty(0))

    def add(self, scored: Scored, origins: list[str], sources: list[Vector | None]) -> None:
        """More candidates, one origin and source for each."""
        self.scored = Scored.joined([self.scored, scored])
        self.origins += origins
        self.sources += sources

    def refined(self, raw: Scored, refined: Scored, first: str) -> None:
        """Candidates that proposals led to; `first` is the origin of the first proposal where it is untouched."""
        untouched = ((raw.Y == refined.Y) | (np.isnan(raw.Y) & np.isnan(refined.Y))).all(axis=1)
        origins = ["refined" if not same else "proposal" if i else first for i, same in enumerate(untouched)]
        self.add(refined, origins, [y if passed else None for y, passed in zip(raw.Y, raw.passed, strict=True)])

    def searched(self, scored: Scored) -> None:
        """Answers of a search that began from what had passed by then."""
        self.add(scored, ["search"] * len(scored.Y), [self.cheapest] * len(scored.Y))

    @property
    def cheapest(self) -> Vector | None:
        """The cheapest answer, shape (features,); None where nothing passed."""
        return self.scored.Y[self.scored.key.argmin()] if self.scored.passed.any() else None

    def widen(self, judge: Judge, space: Admissible, known: Known, answers: int, rows: int) -> int:
        """Search sets of features that the proposals passed by: cheaper answers, and other ones while there are too few.

        Returns up to how many features nothing cheaper is left, see `exact.search`.
        """
        largest = SEARCH.features if self.cheapest is not None else space.max_changes
        searched = exact.search(judge, space, self.scored, answers, rows, largest)
        starts = searched.guess
        if searched.scored.passed.any():
            starts = np.concatenate([searched.scored.Y[searched.scored.key.argmin()][None], starts])
            self.searched(searched.scored)
        if len(starts):
            self.searched(refine(judge, space, starts, known=known))
        if self.cheapest is not None:
            self.searched(exchange(judge, space, self.scored.rows([int(self.scored.key.argmin())])))
        return searched.proven

    def search_other_prices(self, judge: Judge, space: Admissible) -> None:
        """Starting at the cheapest answer, look for a smaller change and for a more typical record, for those who prefer them."""
        best = self.cheapest
        if best is None:
            return
        for price in (NEAREST, TYPICAL):
            other = replace(judge, price=price)
            start = Scored(best[None], np.array([judge.goal]), keys(other.cost(space, best[None])))
            nearer = exact.search(other, space, start, 1, SEARCH.rows).scored
            top = nearer.Y[nearer.key.argmin()] if len(nearer.Y) else best
            moved_on = exchange(other, space, refine(other, space, top[None]))
            self.searched(Scored(moved_on.Y, moved_on.p, keys(judge.cost(space, moved_on.Y))))

    def walk(self, judge: Judge, space: Admissible, known: Known, seed: int) -> None:
        """Walk towards made-up people of the wanted class, for a record that single moves and sets of few features lead nowhere."""
        people = made_up(judge, space, seed)
        if people is not None:
            met = toward(judge, space, wanted(judge, space, people), LAST_WALK)
            best = met.rows(np.argsort(met.key, kind="stable")[:WALK_STARTS].tolist())
            self.searched(refine(judge, space, best.Y, best, known))

    def search_typical(self, judge: Judge, space: Admissible, seed: int) -> None:
        """Look for the most typical answer: on walks towards made-up people, and from the best of them and of what was found before. From
        then on answers are compared by that."""
        people = made_up(judge, space, seed)
        typical = replace(judge, price=TYPICAL) if people is None else near_to(judge, space, people)
        self.scored = replace(self.scored, key=self._keys(typical, space))
        if people is not None:
            self.searched(toward(typical, space, people))
        passed = [int(i) for i in np.argsort(self.scored.key, kind="stable")[:WALK_STARTS] if self.scored.passed[i]]
        if passed:
            improved = refine(typical, space, self.scored.Y[passed], self.scored.rows(passed))
            self.searched(exchange(typical, space, improved.rows([int(improved.key.argmin())])))

    def _keys(self, judge: Judge, space: Admissible) -> Vector:
        """The keys of what passed by another judge's prices, those of all else as they are."""
        out: Vector = self.scored.key.copy()
        good = self.scored.passed
        out[good] = keys(judge.cost(space, self.scored.Y[good]))
        return out

    def search_other_changes(self, judge: Judge, space: Admissible, answers: int) -> None:
        """While too few answers are worth showing, look for those that do without a change of the cheapest one, or with less of it."""
        best = self.cheapest
        if best is None:
            return
        x, nothing = self.record.vector, Scored(best[None][:0], np.empty(0), np.empty(0))
        proposed = [i for i in self.record.differences(best) if space.values[i].size]
        for narrow in [*(space.without(i) for i in proposed), *(space.less(i, float(best[i])) for i in proposed)]:
            known = self.worth(judge)
            if len(known) >= answers:
                return
            others = exact.search(judge, narrow, nothing, 1, SEARCH.wide_rows, narrow.max_changes).scored if narrow.features else nothing
            new = [i for i in np.argsort(others.key, kind="stable") if measure.changed(x, others.Y[i : i + 1]).tobytes() not in known][:1]
            self.searched(others.rows(new))
            self.searched(refine(judge, narrow, others.Y[new]))

    def worth(self, judge: Judge) -> set[bytes]:
        """The different sets of changed features of the answers that are not `redundant`."""
        x, good = self.record.vector, self.scored.passed
        schema = self.record.schema
        idle = redundant(schema, x, self.scored, Figures.of(judge, schema, x, self.scored.Y))
        return {row.tobytes() for row in measure.changed(x, self.scored.Y[good & ~idle])}

    def shown(
        self, judge: Judge, n: int, threshold: float, seed: int, rivals: Sequence[Checker] = (), scale: RiskScale = BALANCED
    ) -> tuple[Counterfactual, ...]:
        """Up to n answers, best first, with their figures."""
        x, schema, scored = self.record.vector, self.record.schema, self.scored
        if not scored.passed.any():
            return ()
        figures = Figures.of(judge, schema, x, scored.Y) if n > 1 else None
        rows = rank(schema, x, scored, n, figures)
        sources = [y if (y := self.sources[i]) is not None else scored.Y[i] for i in rows]
        own, before = (Figures.of(judge, schema, x, Y) for Y in (scored.Y[rows], np.array(sources)))
        now = spread(judge.checker, scored.Y[rows], scored.p[rows], threshold)
        p_before = spread(judge.checker, np.array(sources), judge.checker.p_target(np.array(sources)), threshold).mean
        firm = stability(judge.checker, schema, x, scored.Y[rows], threshold, seed)
        agreed = agreement([alike(judge.checker, rival) for rival in rivals], scored.Y[rows], threshold)
        best = strengths(own, list(range(len(rows))))
        out = []
        for k, i in enumerate(rows):
            worse = {"n_changed": own.n_changed[k] > before.n_changed[k], "distance": own.distance[k] > before.distance[k] + EPS,
                     "realism": own.realism[k] < before.realism[k] - EPS, "p_target": now.mean[k] < p_before[k] - EPS}  # fmt: skip
            out.append(
                Counterfactual(
                    changes=changes(self.record, scored.Y[i]),
                    p_target=float(now.mean[k]),
                    n_changed=int(own.n_changed[k]),
                    distance=float(own.distance[k]),
                    realism=float(own.realism[k]) if judge.realism else None,
                    origin=self.origins[i],
                    margin=float(now.mean[k]) - threshold,
                    stability=None if np.isnan(firm[k]) else float(firm[k]),
                    draws=None if np.isnan(firm[k]) else STABILITY.draws,
                    agreement=None if agreed is None else float(agreed[k]),
                    strengths=best[k],
                    given_up=tuple(name for name, yes in worse.items() if yes),
                    holds=round(float(now.holds[k]), 9),
                ).with_risk(scale, float(now.low[k]), float(now.high[k]))
            )
        return tuple(out)


def changes(record: Record, y: Vector) -> tuple[Change, ...]:
    """What differs from the record, in schema order; features that follow others are marked."""
    follows = rules.following(record.schema, record.vector, y[None])[0]
    out = []
    for i in record.differences(y):
        feature = record.schema.features[i]
        before, after = decode(feature, record.vector[i]), decode(feature, y[i])
        out.append(Change(feature.name, before, after, feature.unit, bool(follows[i])))
    return tuple(out)


def with_changes(schema: Schema, x: Vector, changes: Iterable[Change]) -> Vector:
    """A record's vector with an answer's changes made, both of shape (features,)."""
    y: Vector = x.copy()
    for change in changes:
        y[schema.index[change.feature]] = encode(schema[change.feature], change.after)
    return y
