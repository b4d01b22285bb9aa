"""A small table becomes everything that makes rows of one class: checker, density, pairs, generator; packed as a bundle.

The same steps as a fit, without test people: every labelled row is needed here. So the checker's AUC is the one over folds of
people. Each finished step is kept in the work folder, which holds training rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.errors import CheckError, TableError
from sensecf_edge.judge.classifier import OnnxChecker

from .. import plan as sensecf_convert_plan
from ..bundle.pack import Contents, pack
from ..classifier import onnx, recipes
from ..classifier.kinds import KINDS
from ..density import fitting
from ..generator import learners
from ..generator.scratch.vocabulary import SchemaVocabulary
from ..plan import THRESHOLD, About, FitPlan
from ..progress import Say
from ..table.cohort import MIN_PEOPLE_PER_CLASS, MIN_ROWS_PER_CLASS, Cohort
from ..table.reference_ranges import with_references
from ..teachers import collect
from ..teachers.lesson import Lesson
from ..work import Work


@dataclass(frozen=True)
class Effort:
    """How much a generator is taught: by work, not by time, so that a busy machine makes the same rows."""

    pairs: int
    passes: float
    size: str = "small"


GOALS = (0.75, 0.70, 0.62, 0.55)
"""What the teacher aims at, strictest first: higher than for advice, since a row for training is no near miss."""
SHORT = Effort(600, 4.0)
"""Half a minute of one core. The search behind the generator mends what it gets wrong."""
TRY = Effort(150, 2.0, size="tiny")
"""For trying the software: a generator that knows next to nothing."""
EFFORTS = {"short": SHORT, "try": TRY}


def require_enough_rows(data: Cohort) -> None:
    """Raises TableError, with the numbers needed, where a class is too small for a checker to be trained and held against folds."""
    for name, mask in zip(data.classes, (~data.y, data.y), strict=True):
        rows, people = int(mask.sum()), len(np.unique(data.persons[mask]))
        if rows < MIN_ROWS_PER_CLASS or people < MIN_PEOPLE_PER_CLASS:
            raise TableError(
                f"class {name} has {rows} rows of {people} people; a checker needs at least {MIN_ROWS_PER_CLASS} rows of "
                f"{MIN_PEOPLE_PER_CLASS} people in each class: label more rows"
            )


def train_bundle(data: Cohort, effort: Effort, work: Work, seed: int, kind: str, say: Say, jobs: int = 1) -> Bundle:
    """A bundle whose wanted class is `data.classes[1]`, made from the rows of `data` and nothing else.

    Raises TableError for too few rows, and where hardly any row of the other class can be moved.
    """
    require_enough_rows(data)
    data = Cohort(with_references(data.schema, data), data.X, data.y, data.persons, data.classes)
    plan = FitPlan(
        name=work.folder.name, target="class", wanted=data.classes[1], seed=seed, test_share=0.0, pairs=effort.pairs, passes=effort.passes,
        size=effort.size, classifier=kind, improve=False,
    )  # fmt: skip
    work.belongs({"rows": data.fingerprint, "wanted": data.classes[1], "schema": data.schema.hash, "effort": vars(effort), "seed": seed,
                  "classifier": kind})  # fmt: skip
    if (work / "bundle" / "manifest.json").exists():  # written last
        return Bundle.open(work / "bundle")
    graph = work.kept("classifier.onnx", lambda: _checker(data, kind, work, seed, say))
    lesson = Lesson(data.schema, graph, fitting.kept(work, data, seed), THRESHOLD, GOALS, plan.max_changes, data=data)
    made = _generator(data, lesson, plan, work, say, jobs)
    inside = Contents(data.schema, lesson, work.facts("classifier.json"), made.facts, made.file, data, data.take(np.arange(0)),
                      data.fingerprint)  # fmt: skip
    pack(work / "bundle", plan, About(title="rows for training", licence="that of the table"), inside)
    return Bundle.open(work / "bundle")


def _checker(data: Cohort, kind: str, work: Work, seed: int, say: Say) -> bytes:
    if kind not in KINDS:
        raise TableError(f"{kind!r} is no classifier; choose one of {', '.join(KINDS)}")
    chosen = recipes.choose(kind, data, seed, lambda words: say(f"checker: {words}"))
    graph = onnx.to_onnx(chosen.model, len(data.schema))
    parity = onnx.parity(chosen.model, graph, data.schema, data.X)
    if parity.worst > onnx.PARITY:
        raise CheckError(f"the {kind}'s ONNX graph is off by {parity.worst:.1e}; it cannot be used")
    work.note("classifier.json", {
        "kind": kind, "recipe": chosen.recipe, "calibrated": chosen.calibrated, "auc": chosen.auc_cv, "auc_cv": chosen.auc_cv,
        "brier_cv": chosen.brier_cv, "measured": "over folds of people", "recipes_tried": chosen.tried,
        "parity": parity.worst, "risk": chosen.risk,
    })  # fmt: skip
    return graph


def _generator(data: Cohort, lesson: Lesson, plan: FitPlan, work: Work, say: Say, jobs: int) -> learners.Made:
    say("teacher")
    pairs: dict[str, Any] = dict(collect.collect_pairs(work, lesson, data, plan.pairs, plan.seed, jobs))
    pairs["p"] = OnnxChecker(lesson.classifier, len(data.schema), wanted=1).p_target(pairs["X"])
    say("generator")
    learner = learners.FromScratch(work, plan, SchemaVocabulary(data.schema, plan.wanted))
    return learner.learn(pairs, sensecf_convert_plan.FIRST, plan.passes)
