"""Chunks of pairs from many workers, the same whatever their number."""

from __future__ import annotations

import itertools
import multiprocessing
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sensecf_edge.errors import ConstraintError, TableError
from sensecf_edge.judge.objective import Judge
from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.record import Record
from sensecf_edge.space.admissible import Admissible, admissible
from sensecf_edge.space.constraints import Constraints

from ..table.cohort import Cohort
from .lesson import Lesson, Teacher
from .neighbours import Neighbours
from .pairs import Pairs, people_with_both
from .people import Drawn
from .search import Search

CHUNK = 64
TEACHERS: Mapping[str, Callable[[Lesson, Judge], Teacher]] = {"search": Search, "neighbours": Neighbours, "pairs": Pairs}
"""Every teacher by its name on the command line, and how it is made ready."""

Taught = tuple[Vector, Vector, int]


def check(teachers: Sequence[str], data: Cohort) -> None:
    """What no lesson could do, said before anything long begins. Raises TableError: no teacher, an unknown one, one named
    twice, pairs from a table that has no person with rows in both classes."""
    unknown = [name for name in teachers if name not in TEACHERS]
    if unknown or not teachers or len(set(teachers)) < len(teachers):
        raise TableError(f"teachers are {', '.join(teachers) or 'none'}; name one or more of {', '.join(TEACHERS)}, each once")
    if "pairs" in teachers and not len(people_with_both(data)):
        why = "every row is a person of its own" if len(np.unique(data.persons)) == len(data) else "nobody has rows in both classes"
        raise TableError(
            f"the teacher pairs needs people with a row in {data.classes[0]} and one in {data.classes[1]}, but {why}; "
            "name the column that says who a row belongs to (--person), or leave out --teacher pairs"
        )


def space_of(lesson: Lesson, x: Vector) -> Admissible | None:
    """The answer space of one factual under the lesson; None where nothing may change."""
    try:
        return admissible(Record(lesson.schema, x), Constraints(max_changes=lesson.max_changes))
    except ConstraintError:
        return None


def ready(lesson: Lesson, judge: Judge) -> Teacher:
    """The first teacher that knows an answer for anybody, made ready once for many records.

    A teacher that knows only its own people, pairs, is passed over; it is search where there is no other.
    """
    return TEACHERS[next((n for n in lesson.teachers if n != Pairs.name), Search.name)](lesson, judge)


def answer(lesson: Lesson, judge: Judge, record: Record) -> Vector | None:
    """The answer for a record of anybody by the teacher that `ready` names, shape (features,); None where nothing may change
    or no goal is reached. Makes the teacher ready each time: for many records keep `ready(lesson, judge)`.
    """
    space = space_of(lesson, record.vector)
    return None if space is None else ready(lesson, judge).answer(space)


def teach(lesson: Lesson, data: Cohort, seed: int, jobs: int, skip: int = 0) -> Generator[list[Taught], None, None]:
    """Endless chunks of (factual, counterfactual, index of the teacher in `lesson.teachers`), from chunk `skip` on.

    What chunk k holds depends on (lesson, data, seed, k) alone; chunk k is teacher k's, modulo their number, so each is asked about
    equally many people. Close the iterator to stop the workers. Raises TableError at once for what `check` refuses.
    """
    check(lesson.teachers, data)
    return _chunks(replace(lesson, data=data), seed, jobs, skip)


def _chunks(lesson: Lesson, seed: int, jobs: int, skip: int) -> Generator[list[Taught], None, None]:
    numbers = itertools.count(skip)
    if jobs == 1:  # who has one core, or is one of several workers already, needs no other process
        alone = Classroom(lesson)
        yield from (alone.chunk(seed, number) for number in numbers)
    context: Any = multiprocessing.get_context("spawn")
    with context.Pool(jobs, initializer=open_lesson, initargs=(lesson,)) as pool:
        waiting = deque(pool.apply_async(_teach, (seed, next(numbers))) for _ in range(4 * jobs))
        while True:
            waiting.append(pool.apply_async(_teach, (seed, next(numbers))))
            yield waiting.popleft().get()


class Classroom:
    """A lesson with its judge and teachers ready, in one worker."""

    def __init__(self, lesson: Lesson) -> None:
        self.lesson, self.judge = lesson, lesson.judge()
        self.teachers = [TEACHERS[name](lesson, self.judge) for name in lesson.teachers]

    def asked(self, teacher: int, count: int, rng: np.random.Generator) -> Drawn:
        """The teacher's people that are predicted in the unwanted class."""
        drawn = self.teachers[teacher].people(count, rng)
        low = self.judge.checker.p_target(drawn.X) < self.lesson.threshold
        return Drawn(drawn.X[low], drawn.persons[low], drawn.dropped)

    def chunk(self, seed: int, number: int) -> list[Taught]:
        """Chunk `number`: pairs of those people that have an answer."""
        teacher = number % len(self.teachers)
        drawn = self.asked(teacher, CHUNK, np.random.default_rng((seed, number)))
        out = []
        for x, person in zip(drawn.X, drawn.persons, strict=True):
            space = space_of(self.lesson, x)
            y = None if space is None else self.teachers[teacher].answer(space, str(person))
            if y is not None:
                out.append((x, y, teacher))
        return out


room: list[Classroom] = []


def open_lesson(lesson: Lesson) -> None:
    """Make a worker ready."""
    room[:] = [Classroom(lesson)]


def _teach(seed: int, number: int) -> list[Taught]:
    return room[0].chunk(seed, number)
