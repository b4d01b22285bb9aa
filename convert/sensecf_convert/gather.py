"""The step that gathers what a generator learns from: (factual, counterfactual) pairs, kept as they come."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sensecf_edge.errors import TableError

from . import teachers
from .progress import bar
from .tables import Cohort
from .teachers import Lesson
from .work import Work, save

KEEP_EVERY = 200
"""Chunks between two savings: an interruption loses a minute at most."""


def gather(work: Work, lesson: Lesson, train: Cohort, count: int, seed: int, jobs: int) -> Mapping[str, np.ndarray]:
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
        for taught in teachers.teach(lesson, train, seed, jobs, skip=chunks):
            chunks += 1
            if taught:
                for column, values in zip((X, Y, teacher), zip(*taught, strict=True), strict=True):
                    column.append(np.array(values))
                have += len(taught)
            show(have / count, f"{have:,} of {count:,}")
            if chunks >= KEEP_EVERY and have < chunks / 50:
                raise TableError(
                    f"only {have} of {chunks * teachers.CHUNK:,} invented people can be moved to {train.classes[1]}; "
                    "free more features in the schema"
                )
            if chunks % KEEP_EVERY == 0 or have >= count:
                save(part, {"X": np.concatenate(X), "Y": np.concatenate(Y), "teacher": np.concatenate(teacher), "chunks": chunks})
            if have >= count:
                break
    part.replace(final)
    return dict(np.load(final))
