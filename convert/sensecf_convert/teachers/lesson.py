"""What is taught, and what a teacher is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sensecf_edge.errors import TableError
from sensecf_edge.judge.classifier import OnnxChecker
from sensecf_edge.judge.density import Realism
from sensecf_edge.judge.objective import Judge
from sensecf_edge.schema.feature import Feature, Vector
from sensecf_edge.schema.schema import Schema
from sensecf_edge.space.admissible import Admissible

from ..table.cohort import Cohort
from .people import Drawn

NOBODY = ""


@dataclass(frozen=True)
class Lesson:
    """What a worker needs to teach.

    classifier   an ONNX graph
    realism      the density of the class that is taught
    threshold    of that class's probability: people below it are asked about
    goals        probabilities to reach, strictest first
    max_changes  largest number of proposed features
    teachers     names in `TEACHERS`; chunks of people go to them turn about
    wanted       column of the class that is taught: 1 the cohort's wanted class, 0 the other direction
    data         training rows; `teach` fills them in, `answer` needs them for neighbours
    floor        realism percentile (0 to 100) below which no answer may lie, unless its factual lies lower; 0 asks nothing
    """

    schema: Schema
    classifier: bytes
    realism: Realism
    threshold: float
    goals: tuple[float, ...]
    max_changes: int
    teachers: tuple[str, ...] = ("search",)
    wanted: int = 1
    data: Cohort | None = None
    floor: float = 0.0

    def judge(self) -> Judge:
        """A judge with a session of its own, for the first goal."""
        return Judge(OnnxChecker(self.classifier, len(self.schema), wanted=self.wanted), self.realism, self.goals[0])

    def rows(self) -> Cohort:
        """The training rows with `y` true for the class that is taught. Raises TableError where the lesson has none."""
        if self.data is None:
            raise TableError("this teacher looks at training rows, and the lesson has none; give Lesson(data=...)")
        data = self.data
        return data if self.wanted else Cohort(data.schema, data.X, ~data.y, data.persons, data.classes[::-1])


class Teacher(Protocol):
    """Knows people to ask about, and an answer for each."""

    name: str

    def people(self, count: int, rng: np.random.Generator) -> Drawn:
        """Factuals, at most `count`; not yet sifted by their prediction. None is a training person's own row."""
        ...

    def answer(self, space: Admissible, person: str = NOBODY) -> Vector | None:
        """A counterfactual that the space admits and that reaches a goal of the lesson, shape (features,); None for none.

        `person` is whose record it is, as `people` told it, where that matters.
        """
        ...


def turned(schema: Schema) -> Schema:
    """The schema with every one-way feature going the other way, for lessons in the other direction.

    Directions say what may be advised (activity may only grow); the way into the unwanted class leads against them, and on some
    tables there is none without this. Immutable features stay immutable. For teaching and augmentation, never for advice.
    """
    other = {"increase": "decrease", "decrease": "increase"}
    ways = [replace(f, direction=other.get(f.direction, f.direction), moves=_moves_back(f)) for f in schema.features]
    return replace(schema, features=tuple(ways))


def _moves_back(feature: Feature) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What a choice may have come from, by what it is now."""
    if not feature.moves:
        return ()
    ways = {now: dict(feature.moves).get(now, feature.choices) for now in feature.choices}
    return tuple((to, tuple(now for now, allowed in ways.items() if to in allowed and now != to)) for to in feature.choices)


def good_rows(lesson: Lesson, judge: Judge) -> NDArray[np.bool_]:
    """Training rows of the taught class that the classifier puts there with the lowest goal's margin, shape (rows,)."""
    data = lesson.rows()
    good: NDArray[np.bool_] = data.y & (judge.checker.p_target(data.X) >= lesson.goals[-1])
    return good
