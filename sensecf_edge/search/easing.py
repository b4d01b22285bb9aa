"""What would have to give where no answer keeps all limits: the least that opens one, limit by limit, or that nothing helps.

A space with a limit moved to one of its steps is a space like any other: it is asked by the prover where the classifier has trees, else
by the search that looks for answers. Steps of one limit only ever add values, so the least step that opens an answer is found by halving.
Where no limit alone is enough, all of them give, and are taken back one by one. Same seed, same record, same result: what may be spent is
counted in work, not in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from ..errors import ConstraintError
from ..judge.imputation import Imputed
from ..judge.objective import Judge
from ..proof.effort import Effort
from ..proof.prover import Prover, Sought
from ..schema.feature import Vector
from ..schema.record import Record
from ..settings import EASING, SEARCH
from ..space import easing, rules
from ..space.admissible import Admissible, admissible
from ..space.constraints import Constraints
from ..space.easing import Given, Limit
from .found import Found
from .refine import Known, refine

COMPLETED = 8
"""So many rows fewer are searched where each stands for many completions of what is unknown."""


class Looked(NamedTuple):
    """An answer in some space, or none; `sure`: that there is none is proven."""

    answer: Vector | None
    sure: bool = False


@dataclass(frozen=True)
class Opened:
    """Limits at the steps they would have to give, or a lower goal, and the answer this opens; `least`: less of it opens none, proven."""

    given: Given
    goal: float
    answer: Vector
    least: bool


@dataclass
class Loosening:
    """One record's search for what would have to give. `kept`: features that stay frozen whatever gives; `inside`: an answer that keeps
    all limits after all, met on the way."""

    judge: Judge
    record: Record
    constraints: Constraints
    prover: Prover | None
    kept: frozenset[str] = frozenset()
    inside: Vector | None = None
    effort: Effort = field(default_factory=lambda: Effort(EASING.work))
    rows: int = EASING.rows
    limits: list[Limit] = field(init=False)
    _met: list[Vector] = field(default_factory=list)

    def __post_init__(self) -> None:
        if isinstance(self.judge.checker, Imputed):
            self.rows //= COMPLETED
        found = easing.limits(self.record, self.constraints)
        self.limits = [limit for limit in found if not (limit.kind == easing.FREEZE and limit.feature in self.kept)]

    @property
    def over(self) -> bool:
        """Whether all that may be spent is."""
        return self.effort.over or self.rows <= 0

    def space(self, given: Given) -> Admissible | None:
        """The space with these limits given; None where nothing may change in it."""
        try:
            return admissible(*easing.eased(self.record, self.constraints, given))
        except ConstraintError:
            return None

    def best_within(self, space: Admissible | None, goal: float) -> Looked:
        """An answer in this space at the goal: one met before, the prover's, or the search's."""
        if space is None:
            return Looked(None, sure=True)
        for y in self._met:
            if rules.admitted(space, y[None])[0] and self.judge.checker.p_target(y[None])[0] >= goal:
                return Looked(y)
        sought = self._proven(space, goal, Effort(EASING.each, self.effort))
        if sought.exists is not None:
            return self._kept(sought.answer, sure=True)
        best = self._searched(replace(self.judge, goal=goal), space, None)
        return self._kept(best)

    def _proven(self, space: Admissible, goal: float, effort: Effort) -> Sought:
        """What the prover says of a space."""
        return Sought(None) if self.prover is None else self.prover.seek(space, goal, effort, ask=self.judge.checker)

    def _kept(self, y: Vector | None, sure: bool = False) -> Looked:
        if y is None:
            return Looked(None, sure)
        self._met.append(y)
        return Looked(y)

    def _searched(self, judge: Judge, space: Admissible, start: Vector | None) -> Vector | None:
        """The cheapest answer that the ordinary search finds, from `start` on or else from the record."""
        if self.rows <= 0:
            return start
        found, known = Found(space.record), Known(left=EASING.moves)
        found.searched(refine(judge, space, (space.record.vector if start is None else start)[None], known=known))
        found.widen(judge, space, known, 1, SEARCH.rows)
        self.rows -= SEARCH.rows + EASING.moves - known.left
        return start if found.cheapest is None else found.cheapest

    def least(self, limit: Limit, given: Given, goal: float) -> Opened | None:
        """The least step of this limit, beside what else is given, that opens an answer; None where its last one does not."""
        top = self.best_within(self.space({**given, limit: len(limit.steps) - 1}), goal)
        if top.answer is None:
            return None
        closed, sure, answer = -1, True, top.answer
        opened = min(limit.needed(self.record, answer), len(limit.steps) - 1)
        while opened - closed > 1 and not self.over:
            middle = (opened + closed) // 2
            now = self.best_within(self.space({**given, limit: middle}), goal)
            if now.answer is None:
                closed, sure = middle, now.sure
            else:
                opened, answer = min(middle, limit.needed(self.record, now.answer)), now.answer
        return self._opened({**given, limit: opened}, goal, answer, sure and opened - closed == 1)

    def _opened(self, given: Given, goal: float, answer: Vector, sure: bool) -> Opened | None:
        """With the cheapest answer that is found there. None for one that keeps all limits: that is no easing."""
        space, judge = self.space(given), replace(self.judge, goal=goal)
        assert space is not None
        best = self._searched(judge, space, answer)
        kept = self.space({})
        for y in (best, answer):
            if y is not None and kept is not None and goal >= self.judge.goal and rules.admitted(kept, y[None])[0]:
                self.inside = y
                return None
        return Opened(given, goal, answer if best is None else best, sure)

    def margin(self, threshold: float) -> Opened | None:
        """The highest goal under the present one, and no lower than the threshold, that an answer inside all limits reaches."""
        space = self.space({})
        top, low, high, sure = self.best_within(space, threshold), threshold, self.judge.goal, True
        if top.answer is None or space is None:
            return None
        answer = top.answer
        for _ in range(EASING.halvings):
            low = max(low, float(self.judge.checker.p_target(answer[None])[0]))
            if high - low <= EASING.margin or self.over:
                break
            now = self.best_within(space, (low + high) / 2)
            if now.answer is None:
                high, sure = (low + high) / 2, sure and now.sure
            else:
                answer = now.answer
        best = self._searched(replace(self.judge, goal=low), space, answer)
        return Opened({}, low, answer if best is None else best, sure and high - low <= EASING.margin)

    def singles(self) -> list[Opened]:
        """What each limit alone opens, those first that are the request's own."""
        out, own = list[Opened](), self._values({})
        for limit in self.limits:
            last = {limit: len(limit.steps) - 1}
            if self.over or self.inside is not None:
                break
            follows = limit.feature in self.record.schema.moved or limit.kind == easing.BOUND
            if follows or limit.kind == easing.CHANGES or self._values(last) != own:
                found = self.least(limit, {}, self.judge.goal)
                out += [found] if found else []
        return out

    def _values(self, given: Given) -> tuple[bytes, ...]:
        space = self.space(given)
        return () if space is None else tuple(part.tobytes() for part in space.values)

    def together(self, answer: Vector) -> Opened | None:
        """Limits that open an answer together and none of which can be left out, from an answer with all of them given."""
        tops = {limit: len(limit.steps) - 1 for limit in self.limits}
        given = {limit: top for limit, top in tops.items() if not self._admits({k: v for k, v in tops.items() if k != limit}, answer)}
        for limit in list(reversed(given)):  # the schema's, which are there for a reason, are the first to be kept
            without = {k: v for k, v in given.items() if k != limit}
            if self.over:
                return None
            if without and self.best_within(self.space(without), self.judge.goal).answer is not None:
                given = without
        opened = None
        for limit in list(given):
            opened = self.least(limit, {k: v for k, v in given.items() if k != limit}, self.judge.goal)
            if opened is None:
                return None
            given = dict(opened.given)
        return opened

    def _admits(self, given: Given, y: Vector) -> bool:
        space = self.space(given)
        return space is not None and bool(rules.admitted(space, y[None])[0])

    def all_given(self) -> Looked:
        """An answer with every limit given at once. Everything hangs on it, so where nobody knows the prover is asked again, for longer."""
        space = self.space({limit: len(limit.steps) - 1 for limit in self.limits})
        found = self.best_within(space, self.judge.goal)
        if space is None or found.answer is not None or found.sure:
            return found
        sought = self._proven(space, self.judge.goal, Effort(EASING.work / 2, self.effort))
        return self._kept(sought.answer, sure=sought.exists is not None)

    def fixed(self, goal: float) -> bool:
        """Whether it is proven that no values of what may change at all reach the goal."""
        try:
            space = admissible(*easing.free(self.record))
        except ConstraintError:
            return True
        return self._proven(space, goal, Effort(EASING.work / 2, self.effort)).exists is False
