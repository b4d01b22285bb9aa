"""One record on its way through the rounds, and what they have found so far."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ..answer.result import FirstTry
from ..judge.objective import Judge
from ..propose.grammar import Grammar
from ..settings import SEARCH
from ..space.admissible import Admissible
from .found import Found
from .rank import distinct
from .refine import Known


@dataclass
class RecordSearch:
    """One record on its way, and what its rounds have found so far. Of the proposals `seen`, the classifier `judged` some."""

    space: Admissible
    judge: Judge
    grammar: Grammar
    prompt: str
    found: Found = field(init=False)
    refusals: Counter[str] = field(default_factory=Counter)
    first_try: FirstTry | None = None
    rounds: int = 0
    stuck: bool = False
    seen: set[bytes] = field(default_factory=set)
    judged: set[bytes] = field(default_factory=set)
    known: Known = field(default_factory=Known)
    proven: int = 0

    def __post_init__(self) -> None:
        self.found = Found(self.space.record)

    def widen(self, answers: int, rows: int) -> None:
        """Search sets of features besides the proposals; not at all with 0 rows."""
        if rows:
            self.proven = max(self.proven, self.found.widen(self.judge, self.space, self.known, answers, rows))

    def close(self, answers: int, rows: int) -> None:
        """What is done once the rounds are over: the wider search that was asked for, and answers that differ."""
        if rows > SEARCH.rows:
            self.widen(answers, rows)
        if rows and answers > 1:
            self.found.search_other_prices(self.judge, self.space)
            self.found.search_other_changes(self.judge, self.space, answers)

    @property
    def answers(self) -> int:
        """How many different sets of changed features have passed."""
        return distinct(self.space.record.vector, self.found.scored)

    @property
    def highest(self) -> float:
        """The highest probability of the wanted class so far."""
        return float(self.found.scored.p.max(initial=0.0))
