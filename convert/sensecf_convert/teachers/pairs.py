"""Pairs within a person: a bad day and a near good day of the same person, as few of its differences as hold."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sensecf_edge.errors import TableError
from sensecf_edge.judge.objective import Judge
from sensecf_edge.schema.feature import Vector
from sensecf_edge.space.admissible import Admissible

from ..table.cohort import Cohort
from .lesson import NOBODY, Lesson, good_rows
from .neighbours import towards_nearest
from .people import Drawn, People


@dataclass
class Pairs:
    """Answers are what the same person did on another day.

    Asked about are bad days of training people who have a good one, with a little noise: an invented mix of two people
    has no good day of its own, an exact row would be learnt by heart, and a table has few bad days but needs many pairs.
    """

    lesson: Lesson
    judge: Judge
    name: str = field(default="pairs", init=False)

    def __post_init__(self) -> None:
        data = self.lesson.rows()
        good = good_rows(self.lesson, self.judge)
        self._good = {str(p): data.X[good & (data.persons == p)] for p in np.unique(data.persons[good])}
        self._bad = np.flatnonzero(~data.y & np.isin(data.persons, list(self._good)))
        self._people = People(data)
        if not len(self._bad):
            raise TableError("no training person has both a bad row and a good row that the classifier knows; leave out --teacher pairs")

    def people(self, count: int, rng: np.random.Generator) -> Drawn:
        """Bad days with noise, each with its person."""
        return self._people.nudged(self._bad, count, rng)

    def answer(self, space: Admissible, person: str = NOBODY) -> Vector | None:
        """See `towards_nearest`, over the good days of `person`; None for a stranger."""
        days = self._good.get(person)
        return None if days is None else towards_nearest(self.lesson, self.judge, space, days)


def people_with_both(data: Cohort) -> NDArray[np.str_]:
    """The persons with a row in either class, shape (persons,)."""
    return np.intersect1d(data.persons[data.y], data.persons[~data.y])
