"""The step that gathers what a generator learns from: (factual, counterfactual) pairs, kept as they come."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sensecf_edge.errors import TableError

from ..progress import bar
from ..table.cohort import Cohort
from ..work import Work, save
from . import classroom
from . import people as teachers_people
from .lesson import Lesson

KEEP_EVERY = 200
"""Chunks between two savings: an interruption loses a minute at most."""
SEEN, RARE = 2_000, 0.01
"""Invented people looked at to say why hardly anybody can be moved, and the share predicted unwanted below which that is the cause."""


def collect_pairs(work: Work, lesson: Lesson, train: Cohort, count: int, seed: int, jobs: int) -> Mapping[str, np.ndarray]:
    """`count` pairs as arrays X, Y, shape (pairs, features), and teacher, the index of who answered, shape (pairs,).

    Raises TableError where hardly anybody can be moved.
    """
    final, part = work / "pairs.npz", work / "pairs.part.npz"
    if final.exists():
        return dict(np.load(final))
    kept = dict(np.load(part)) if part.exists() else {}
    chunks = int(kept.get("chunks", 0))
    X, Y, teacher = ([kept[k]] if kept else [] for k in ("X", "Y", "teacher"))
    have = sum(map(len, X))
    with bar("pairs") as show:
        for taught in classroom.teach(lesson, train, seed, jobs, skip=chunks):
            chunks += 1
            if taught:
                for column, values in zip((X, Y, teacher), zip(*taught, strict=True), strict=True):
                    column.append(np.array(values))
                have += len(taught)
            show(have / count, f"{have:,} of {count:,}")
            if chunks >= KEEP_EVERY and have < chunks / 50:
                raise TableError(_why_hardly_any(lesson, train, have, chunks * classroom.CHUNK, seed))
            if chunks % KEEP_EVERY == 0 or have >= count:
                save(part, {"X": np.concatenate(X), "Y": np.concatenate(Y), "teacher": np.concatenate(teacher), "chunks": chunks})
            if have >= count:
                break
    part.replace(final)
    return dict(np.load(final))


def _why_hardly_any(lesson: Lesson, train: Cohort, have: int, invented: int, seed: int) -> str:
    """Who cannot be moved stands on the wanted side already, or is held by the schema: two causes, two remedies."""
    people = teachers_people.invent(train, SEEN, np.random.default_rng(seed))
    asked = float((lesson.judge().checker.p_target(people) < lesson.threshold).mean())
    said = f"only {have} of {invented:,} invented people can be moved to {train.classes[1]}"
    if asked < RARE:
        return (
            f"{said}, because the classifier puts hardly anybody ({asked:.1%}) into {train.classes[0]}: draw the line at a lower risk "
            "with --threshold or --miss-cost"
        )
    more = "free more features in the schema, or widen max_change and advise"
    return f"{said}, although {asked:.0%} are predicted {train.classes[0]}; {more}"
