"""One record on its way through the rounds, and what they have found so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..answer.result import FirstTry
from ..judge.imputation import Imputed, spread
from ..judge.objective import Judge, Scored, score
from ..propose import reply
from ..propose.engine import Proposal, Unanswered
from ..propose.grammar import Grammar
from ..schema.feature import Vector
from ..settings import SEARCH
from ..space import rules
from ..space.admissible import Admissible
from .found import Found, changes
from .rank import distinct
from .refine import Known, refine

if TYPE_CHECKING:
    from ..proof.prover import Prover

Answers = list[Proposal] | Unanswered


@dataclass(frozen=True)
class Aim:
    """What is looked for, whoever the record is of: the wanted class, the score from which it is predicted, whether a generator
    proposes at all, and where to ask who can say that no answer exists; None where nobody can."""

    wanted: str
    threshold: float
    proposed: bool
    prover: Callable[[], Prover | None] = lambda: None


@dataclass
class RecordSearch:
    """One record on its way, and what its rounds have found so far. Of the proposals `seen`, the classifier `judged` some.

    `proven`: no cheaper answer, or none at all, moves up to so many features. `hopeless`: that none exists is proven.
    """

    space: Admissible
    judge: Judge
    grammar: Grammar
    prompt: str
    aim: Aim
    found: Found = field(init=False)
    refusals: Counter[str] = field(default_factory=Counter)
    first_try: FirstTry | None = None
    rounds: int = 0
    stuck: bool = False
    hopeless: bool = False
    seen: set[bytes] = field(default_factory=set)
    judged: set[bytes] = field(default_factory=set)
    known: Known = field(default_factory=Known)
    proven: int = 0

    def __post_init__(self) -> None:
        self.found = Found(self.space.record)

    def take(self, answers: Answers, rows: int = SEARCH.rows) -> None:
        """One round's proposals: read, judged as they came, refined, kept. Where none helps, the record is a start.

        Before the first that miss are repaired the prover is asked, for no more than `rows` of search are worth: of most records
        without an answer that takes less than a repair, and nothing is left to be done.
        """
        self.rounds += 1
        before, x, schema = self.highest, self.space.record.vector, self.space.record.schema
        said, again = self._read(answers)
        raw = self._audit(rules.complete(schema, x, said))
        judged = np.isfinite(raw.key)
        self.judged |= {row.tobytes() for row in said[judged]}
        if self.rounds == 1 and self.aim.proposed:
            self.first_try = self._first_try(answers, raw)
        if self.rounds == 1 and not raw.passed.any():
            self.settle(rows)
            if self.hopeless:
                return
        first = self.rounds == 1 and self.first_try is not None and self.first_try.p_target is not None
        improved = refine(self.judge, self.space, raw.Y, raw, self.known)
        self.found.refined(raw, improved, "first try" if first else "proposal")
        if self.rounds == 1 and not improved.passed.any():
            self.found.searched(refine(self.judge, self.space, x[None], known=self.known))
        said_something = again or bool(judged.any())
        self.stuck = said_something and self.rounds > 1 and not self.answers and self.highest <= before

    def _read(self, answers: Answers) -> tuple[Vector, bool]:
        """Answers that can be read and that no round has had before, shape (candidates, features); whether one was judged before."""
        record, rows, again = self.space.record, list[Vector](), False
        if isinstance(answers, Unanswered):
            self.refusals[answers.reason] += 1
            answers = []
        for answer in answers:
            read = reply.read(record, answer.text) if answer.complete else reply.CUT
            if isinstance(read, str):
                self.refusals[read] += 1
            elif read.tobytes() not in self.seen:
                self.seen.add(read.tobytes())
                rows.append(read)
            else:
                again = again or read.tobytes() in self.judged
        return np.array(rows).reshape(-1, len(record.vector)), again

    def _audit(self, Y: Vector) -> Scored:
        """Rules and classifier over a round's candidates; why each one that fails does is counted."""
        scored = score(self.judge, self.space, Y)
        if not np.isfinite(scored.key).all():
            for rule, mask in rules.broken(self.space, Y).items():
                self.refusals[rule] += int(mask.sum())
        low = np.isfinite(scored.key) & ~scored.passed
        if low.any():
            self.refusals[f"p({self.aim.wanted}) stays under {self.judge.goal:.2f}"] += int(low.sum())
        return scored

    def _first_try(self, answers: Answers, raw: Scored) -> FirstTry:
        """The greedy proposal as it came. It is the first that was read, unless it could not be read at all."""
        record, threshold = self.space.record, self.aim.threshold
        if isinstance(answers, Unanswered) or not answers or not answers[0].complete:
            return FirstTry(False, False, None, ())
        if isinstance(reply.read(record, answers[0].text), str):
            return FirstTry(False, False, None, ())
        changed = changes(record, raw.Y[0])
        if not np.isfinite(raw.key[0]):
            return FirstTry(False, False, None, changed)
        p = spread(self.judge.checker, raw.Y[:1], raw.p[:1], threshold).mean[0]
        return FirstTry(bool(raw.p[0] >= threshold), bool(raw.passed[0]), float(p), changed)

    def widen(self, answers: int, rows: int) -> None:
        """Search sets of features besides the proposals; not at all with 0 rows, nor where it is proven that there is no answer."""
        if rows and not self.hopeless:
            self.proven = max(self.proven, self.found.widen(self.judge, self.space, self.known, answers, rows))

    def settle(self, rows: int, last: bool = False) -> None:
        """Ask the prover for an answer, or that there is none; for long where all else has ended. Not with 0 rows, nor where values are
        unknown: it would cost more there than the search that is left out."""
        if not rows or isinstance(self.judge.checker, Imputed) or (prover := self.aim.prover()) is None:
            return
        from ..proof.effort import Effort  # with all the prover needs: for few records

        effort = Effort(max(SEARCH.proof_last if last else SEARCH.proof, SEARCH.proof_row * rows))
        sought = prover.seek(self.space, self.judge.goal, effort, ask=self.judge.checker)
        if sought.exists is False:
            self.hopeless, self.proven = True, min(self.space.max_changes, len(self.space.features))
        if sought.answer is not None:
            self.found.searched(refine(self.judge, self.space, sought.answer[None], known=self.known))

    def close(self, answers: int, rows: int, typical: bool = False, seed: int = 0) -> None:
        """What is done once the rounds are over: the wider search that was asked for; where nothing was found and all is known, walks to
        typical people and the last word of the prover; answers that differ, and the most `typical` one, which nothing is proven of."""
        if rows > SEARCH.rows and not self.hopeless:
            self.widen(answers, rows)
        if not self.answers and not self.hopeless and not np.isnan(self.space.record.vector).any():
            if rows:
                self.found.walk(self.judge, self.space, self.known, seed)
            if not self.answers:
                self.settle(rows, last=True)
            if self.answers:
                self.widen(answers, min(rows, SEARCH.rows))
        if rows and answers > 1:
            self.found.search_other_prices(self.judge, self.space)
            self.found.search_other_changes(self.judge, self.space, answers)
        if rows and typical and self.answers:
            self.found.search_typical(self.judge, self.space, seed)
            self.proven = 0

    @property
    def done(self) -> bool:
        """Whether another round would be of no use."""
        return self.stuck or self.hopeless

    @property
    def answers(self) -> int:
        """How many different sets of changed features have passed."""
        return distinct(self.space.record.vector, self.found.scored)

    @property
    def highest(self) -> float:
        """The highest probability of the wanted class so far."""
        return float(self.found.scored.p.max(initial=0.0))
