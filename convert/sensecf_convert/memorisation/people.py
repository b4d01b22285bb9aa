"""Whom to ask: near copies of real people, made and answered as the teachers make and answer theirs, in and out alike."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sensecf_edge.judge.objective import Judge
from sensecf_edge.schema.feature import Vector
from sensecf_edge.space.admissible import Admissible

from ..generator.practice import Speaker
from ..table.cohort import Cohort
from ..teachers import classroom
from ..teachers.lesson import Lesson
from ..teachers.people import NOISE, inside, settle
from .likelihood import AnsweredQuestion

ROWS = 3
"""Rows of a person at most."""
NEAR = 0.1
"""How far above the line a person's own score may lie: their near copies may still lie below."""
Question = tuple[str, Admissible, float]
"""Whose it is, what may change of a record below the line, and its probability of the wanted class."""


@dataclass(frozen=True)
class Subject:
    """What is under suspicion: a generator, what it was taught and whom of (`lesson.data`), and the judge of its lesson."""

    lesson: Lesson
    speaker: Speaker
    judge: Judge

    @classmethod
    def of(cls, lesson: Lesson, speaker: Speaker) -> Subject:
        """With a judge of its own."""
        return cls(lesson, speaker, lesson.judge())

    @cached_property
    def spread(self) -> Vector:
        """Standard deviation of each number among the training rows, 0 for choices, shape (features,)."""
        train = self.lesson.rows()
        numbers = np.array([f.kind == "number" for f in train.schema.features])
        return np.where(numbers, np.nanstd(train.X, axis=0), 0.0)


def drawn(subject: Subject, data: Cohort, most: int, rng: np.random.Generator) -> Cohort:
    """At most ROWS rows of each of at most `most` people, of those that stand below the line or hardly above it."""
    rows = rng.permutation(np.flatnonzero(subject.judge.checker.p_target(data.X) < subject.lesson.threshold + NEAR))
    people, at = np.unique(data.persons[rows], return_inverse=True)
    order = np.argsort(at, kind="stable")
    place = np.empty(len(rows), dtype=int)
    place[order] = np.arange(len(rows)) - np.searchsorted(at[order], at[order])
    chosen = np.isin(at, rng.permutation(len(people))[:most])
    return data.take(np.sort(rows[(place < ROWS) & chosen]))


def questions(subject: Subject, data: Cohort, copies: int, rng: np.random.Generator) -> list[Question]:
    """Near copies of these rows, so many each, that stand below the line and may change something.

    The noise is the teachers' (see `people`): whoever was in was shown to the generator as such copies among others.
    """
    out = list[Question]()
    for _ in range(copies):
        noisy = inside(data.schema, data.X + rng.normal(0, NOISE, data.X.shape) * subject.spread)
        X, kept = settle(data.schema, noisy)
        out += asked_as(subject, X, data.persons[kept].tolist())
    return out


def asked_as(subject: Subject, X: Vector, persons: list[str]) -> list[Question]:
    """Those of the rows X, shape (rows, features), that stand below the line and may change something."""
    spaces = [
        (person, classroom.space_of(subject.lesson, x), float(p))
        for x, p, person in zip(X, subject.judge.checker.p_target(X), persons, strict=True)
        if p < subject.lesson.threshold
    ]
    return [(person, space, p) for person, space, p in spaces if space is not None]


def answered(subject: Subject, asked: list[Question]) -> list[AnsweredQuestion]:
    """The questions that the teacher has an answer to, with it."""
    teacher = classroom.ready(subject.lesson, subject.judge)
    out = [(person, space, p, teacher.answer(space)) for person, space, p in asked]
    return [AnsweredQuestion(person, space, p, y) for person, space, p, y in out if y is not None]
