"""Nearest unlike neighbours: towards real rows of the taught class that look like the factual, as few steps as hold."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sensecf_edge.judge.objective import Judge
from sensecf_edge.schema.feature import Vector
from sensecf_edge.space.admissible import Admissible

from ..table.gower import gower
from .lesson import NOBODY, Lesson, good_rows
from .people import Drawn, People
from .sparsify import towards

NEAREST, FARTHEST = 8, 64


@dataclass
class Neighbours:
    """Answers hold values that real people of the class have together; invented people are asked about.

    After NICE (Brughmans, Leyman and Martens 2023), but bound to admissible values, relations and a margin, and only while
    teaching: the bundle needs no training row.
    """

    lesson: Lesson
    judge: Judge
    name: str = field(default="neighbours", init=False)

    def __post_init__(self) -> None:
        data = self.lesson.rows()
        self._good = data.X[good_rows(self.lesson, self.judge)]
        self._people = People(data)

    def people(self, count: int, rng: np.random.Generator) -> Drawn:
        """Invented people."""
        return self._people.invented(count, rng)

    def answer(self, space: Admissible, person: str = NOBODY) -> Vector | None:
        """See `towards_nearest`, over all good training rows."""
        return towards_nearest(self.lesson, self.judge, space, self._good)


def towards_nearest(lesson: Lesson, judge: Judge, space: Admissible, rows: Vector) -> Vector | None:
    """The cheapest answer towards one of the eight rows nearest to the factual (Gower), shape (features,).

    Where none of the eight leads to an answer the next eight are tried, up to 64: far ones give answers to more people, near
    ones more ordinary answers.
    """
    gaps = gower(space.record.schema, space.record.vector[None], rows)[0]
    nearest = np.argsort(gaps, kind="stable")[:FARTHEST]
    for at in range(0, len(nearest), NEAREST):
        y = towards(judge, space, rows[nearest[at : at + NEAREST]], lesson.goals, lesson.floor)
        if y is not None:
            return y
    return None
