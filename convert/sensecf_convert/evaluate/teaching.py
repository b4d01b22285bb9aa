"""What each teacher contributes: a small generator learns from each alone, all of them as long.

Figures are on invented people whom nobody practised on; test people are not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sensecf_edge.errors import TableError
from sensecf_edge.schema.feature import Vector

from .. import plan as sensecf_convert_plan
from ..generator.scratch.vocabulary import SchemaVocabulary
from ..plan import FitPlan
from ..table.cohort import Cohort
from ..teachers import classroom, collect
from ..teachers.lesson import Lesson
from ..work import Work
from . import teacher_answers

PAIRS, PASSES = 8_000, 4.0


def study_teachers(
    work: Work, plan: FitPlan, vocabulary: SchemaVocabulary, lesson: Lesson, train: Cohort, jobs: int
) -> list[dict[str, Any]]:
    """One row for each teacher that this table can have: see `_row`. Kept in the work folder; goes on where it was left."""
    from ..generator import learners, practice  # torch

    short = replace(plan, pairs=PAIRS, passes=PASSES, minutes=None, improve=False)
    rows = []
    for name in classroom.TEACHERS:
        own = Work(work / f"study-{name}")
        if not (own / "row.json").exists():
            try:
                classroom.check((name,), train)
            except TableError:
                continue
            alone = replace(lesson, teachers=(name,))
            pairs = dict(collect.collect_pairs(own, alone, train, PAIRS, plan.seed, jobs))
            checker = lesson.judge().checker
            pairs["p"] = checker.p_target(pairs["X"])
            made = learners.FromScratch(own, short, vocabulary).learn(pairs, sensecf_convert_plan.FIRST, PASSES)
            first_try = practice.HeldOut.of(lesson, train, learners.HELD_OUT, plan.seed).first_try(made.speaker(plan.wanted, checker))
            own.note("row.json", _row(name, lesson, pairs, first_try))
        rows.append(own.facts("row.json"))
    return rows


def _row(name: str, lesson: Lesson, pairs: Mapping[str, Vector], first_try: float) -> dict[str, Any]:
    """first_try: greedy validity of a generator taught by this teacher alone; the rest are means over its answers."""
    digits = {"p": 4, "n_changed": 3, "distance": 5, "realism": 1}
    means = teacher_answers.means(lesson, pairs["X"], pairs["Y"])
    rounded = {key: round(means[key], places) for key, places in digits.items()}
    return {"teacher": name, "pairs": len(pairs["X"]), "first_try": round(first_try, 4), **rounded}


def markdown(rows: list[dict[str, Any]]) -> str:
    """The rows as a table for the card."""
    columns = ["teacher alone", "first try", "p(wanted) of its answers", "features changed", "distance (Gower)", "realism percentile"]
    forms = {"teacher": "{}", "first_try": "{:.1%}", "p": "{:.2f}", "n_changed": "{:.2f}", "distance": "{:.4f}", "realism": "{:.0f}"}
    cells = [[form.format(row[key]) for key, form in forms.items()] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in [columns, ["---"] * len(columns), *cells])
