"""How few changes are enough, proven, beside whether an answer exists at all (`sensecf_edge.proof`).

"Three features changed" says something about a method, "no answer changes fewer" about a person and a classifier.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sensecf_edge.judge.classifier import Checker
from sensecf_edge.proof import prover
from sensecf_edge.proof.effort import Effort
from sensecf_edge.space.admissible import Admissible

from ..table.cohort import Cohort


@dataclass(frozen=True)
class Fewest:
    """What is proven of one record: no answer at the goal changes fewer than `least` features, and, where `exact`, one changes
    as many. Those that follow others are counted, as in every figure."""

    least: int
    exact: bool


def summed(counts: Sequence[int], proven: Sequence[Fewest]) -> dict[str, Any]:
    """How few features answers that change `counts` must change.

    answers  such records
    proven   of those, how many have a proven figure: so many are enough, fewer are not
    mean     the mean; a record without a proven figure counts as what is proven so far, so the true mean is no lower. None where
             nothing was proven
    more     answers that change more than the proven figure
    """
    exact = sum(f.exact for f in proven)
    return {
        "answers": len(proven),
        "proven": exact,
        "mean": round(sum(f.least for f in proven) / len(proven), 4) if exact else None,
        "more": sum(f.exact and n > f.least for n, f in zip(counts, proven, strict=True)),
    }


class Prover(prover.Prover):
    """The runtime's, which holds the trees against training people. `column`: which of the graph's outputs the wanted class is."""

    patient = True

    def __init__(self, checker: Checker, graph: bytes, train: Cohort, column: int = 1) -> None:
        super().__init__(checker, graph, train.schema, lambda: train.X, column)

    def fewest(self, space: Admissible, goal: float, effort: Effort, known: int) -> Fewest:
        """The fewest features that an answer at the goal must change, where `known` are enough: an answer at hand shows that."""
        for most in range(1, known):
            few = dataclasses.replace(space, max_changes=min(most, space.max_changes))
            reached = self.reaches(few, goal, effort, most)
            if reached is not False:
                return Fewest(most, exact=bool(reached))
        return Fewest(known, exact=True)
