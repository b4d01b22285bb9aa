"""Our own methods, in a process of their own like all others: `python -m sensecf_convert.compare.own FOLDER METHOD START`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.bundle.realism import realism
from sensecf_edge.errors import ConstraintError
from sensecf_edge.explain import Explainer
from sensecf_edge.generators.choice import Choice
from sensecf_edge.judge.classifier import OnnxChecker
from sensecf_edge.propose import reply
from sensecf_edge.propose.engine import Request, Unanswered
from sensecf_edge.propose.grammar import Grammar
from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.record import Record
from sensecf_edge.settings import LOOP
from sensecf_edge.space import measure, rules
from sensecf_edge.space.admissible import admissible
from sensecf_edge.space.constraints import Constraints
from sensecf_edge.testing import RandomEngine

from ..baselines.row_budget import prompt_of
from ..evaluate.measure import vector
from .methods import METHODS, RIVALS
from .programs import asked

Answer = tuple[Vector | None, str]
SMALL = 2
"""Proposals in one helping of chance, where chance is given a budget to use up."""


def prepare(question: asked.Question, method: str) -> tuple[Callable[[int], Answer], Callable[[], int]]:
    """The method as a function of a record's number, and the classifier's count of rows."""
    if method == "teacher":
        return _teacher(question)
    if method in RIVALS:
        return _baseline(question, method)
    given = question.plain.get("generator") or {}
    explainer = Explainer.load(question.plain["bundle"], threads=1, generator=Choice(**{**given, "hosts": tuple(given.get("hosts", ()))}))
    if method.startswith("ours-without-llm"):
        explainer.close()
        explainer = Explainer(explainer.bundle, RandomEngine(), explainer.checker, explainer.realism)
    explainer.impute = None  # every method is asked about the same record: as the classifier fills it in
    if price := METHODS[method].price:
        explainer.judge = replace(explainer.judge, price=price)
    checker = explainer.checker
    assert isinstance(checker, OnnxChecker)
    seed, limits = question.seed, Constraints(max_changes=question.plain["max_changes"])
    ways: dict[str, Callable[[int], Answer]] = {
        "ours-first-try": lambda k: _first(explainer, question.exact[k], seed, limits),
        "ours-without-llm-rows": lambda k: _spent(explainer, question, k, lambda: float(checker.rows), "rows"),
        "ours-without-llm-time": lambda k: _spent(explainer, question, k, time.perf_counter, "seconds"),
    }
    budget = {"search": METHODS[method].search, "typical": METHODS[method].typical}
    return ways.get(method, lambda k: _explained(explainer, question.exact[k], seed, limits, **budget)), lambda: checker.rows


def _explained(explainer: Explainer, x: Vector, seed: int, limits: Constraints, **budget: Any) -> Answer:
    explanation = explainer.explain(Record(explainer.schema, x), seed=seed, constraints=limits, ease=False, **budget)
    if explanation.reason:
        return None, "nothing may change"
    return (vector(explainer.schema, x, explanation), "") if explanation.found else (None, "none found")


def _first(explainer: Explainer, x: Vector, seed: int, limits: Constraints) -> Answer:
    """The greedy proposal as it comes out of the engine. The classifier is asked once, for the prompt."""
    try:
        space = admissible(Record(explainer.schema, x), limits)
    except ConstraintError:
        return None, "nothing may change"
    (answers,) = explainer.engine.propose([Request(prompt_of(explainer, space), Grammar(space), 1, seed, LOOP.temperature)])
    if isinstance(answers, Unanswered) or not answers or not answers[0].complete:
        return None, "the engine gave no whole answer"
    read = reply.read(space.record, answers[0].text)
    return (None, "it cannot be read") if isinstance(read, str) else (rules.complete(explainer.schema, x, read[None])[0], "")


def _spent(explainer: Explainer, question: asked.Question, k: int, meter: Callable[[], float], what: str) -> Answer:
    """The cheapest answer that helpings of chance give until the budget that ours took on this record is used up."""
    budget = json.loads((question.folder / "budget.json").read_text(encoding="utf-8"))[k][what] or 0.0
    began, best, least, why = meter(), None, np.inf, "none found"
    x, limits = question.exact[k], Constraints(max_changes=question.plain["max_changes"])
    for helping in range(10_000):
        y, why = _explained(explainer, x, question.seed + 1_009 * helping, limits, proposals=SMALL, rounds=1)
        if y is not None and (cost := _cost(explainer, x, y)) < least:
            best, least = y, cost
        if meter() - began >= budget or why == "nothing may change":
            break
    return best, "" if best is not None else why


def _cost(explainer: Explainer, x: Vector, y: Vector) -> float:
    typical = explainer.realism.percentile(y[None]) if explainer.realism else None
    return float(measure.change_cost(explainer.schema, x, y[None], typical)[0])


def _baseline(question: asked.Question, method: str) -> tuple[Callable[[int], Answer], Callable[[], int]]:
    """A way to an answer without a language model: `additive` and `chance` hand over their first try, unchecked."""
    from ..baselines.methods import answer

    bundle = Bundle.open(question.plain["bundle"])
    typical, goal = realism(bundle), question.goal - asked.SAFE
    checker = OnnxChecker(bundle.classifier_bytes(), len(bundle.schema), bundle.manifest.target.index)
    limits = Constraints(max_changes=question.plain["max_changes"])

    def one(k: int) -> Answer:
        x = question.exact[k]
        y, _ = answer(method, checker, bundle.schema, x, goal, realism=typical, constraints=limits, seed=question.seed)
        return y, "" if y is not None else "none found"

    return one, lambda: checker.rows


def _teacher(question: asked.Question) -> tuple[Callable[[int], Answer], Callable[[], int]]:
    """The teacher, asked for the runtime's goal instead of its own stricter ones."""
    from ..teachers.classroom import answer as classroom_answer
    from ..teachers.lesson import Lesson

    bundle = Bundle.open(question.plain["bundle"])
    goal = question.goal - asked.SAFE
    most = question.plain["max_changes"]
    target = bundle.manifest.target
    lesson = Lesson(bundle.schema, bundle.classifier_bytes(), realism(bundle), target.threshold, (goal,), most, wanted=target.index)
    judge = lesson.judge()
    checker = judge.checker
    assert isinstance(checker, OnnxChecker)

    def one(k: int) -> Answer:
        y = classroom_answer(lesson, judge, Record(bundle.schema, question.exact[k]))
        return y, "" if y is not None else "none found"

    return one, lambda: checker.rows


if __name__ == "__main__":
    asked.answer(sys.argv, prepare)
