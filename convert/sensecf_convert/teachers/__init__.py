"""Pairs to learn from: people in the unwanted class, each with a sparse, near, realistic way out.

    people.py      factuals made of training rows, nobody's own row
    lesson.py      what is taught (Lesson), and what a teacher is (Teacher)
    search.py      sparse search with margin over the lattice
    neighbours.py  towards the nearest unlike neighbours, sparsified
    pairs.py       towards a good day of the same person, sparsified
    sparsify.py    onto admissible values, then change after change taken back
    classroom.py   chunks of pairs from many workers
    compare.py     what each teacher is worth

Every answer is admissible, breaks no relation and reaches one of the lesson's goals, whoever gave it. Only training rows are
looked at; none leaves as a factual.
"""

from __future__ import annotations

from .classroom import CHUNK, TEACHERS, answer, check, ready, space_of, teach
from .lesson import Lesson, Teacher, turned
from .people import People, invent

__all__ = ["CHUNK", "TEACHERS", "Lesson", "People", "Teacher", "answer", "check", "invent", "ready", "space_of", "teach", "turned"]
