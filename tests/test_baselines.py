"""Rivals of the generator: none leaves the answer space, each asks what it says it asks, and what is told of them is so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Ran
from hypothesis import given
from hypothesis import strategies as st
from sensecf_bench.measuring import records
from sensecf_convert.baselines import comparison, row_budget
from sensecf_convert.baselines.methods import NAMES, Metered, SpentError, answer, drawn
from sensecf_convert.baselines.plot import picture
from sensecf_convert.baselines.usage import Usage
from strategies import spaces
from test_refine import QUICK, Slope, judges

from sensecf_edge.answer.result import Explanation
from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.explain import Explainer
from sensecf_edge.propose.engine import Proposal, Request, Unanswered
from sensecf_edge.schema.feature import Feature, Vector
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.schema import Schema
from sensecf_edge.search.found import with_changes
from sensecf_edge.space import rules
from sensecf_edge.space.admissible import Admissible, admissible
from sensecf_edge.space.constraints import Constraints

FOUR = Schema(tuple(Feature(n, low=0, high=10, step=1) for n in "abcd"))


class Plain:
    """A checker whose p is a weighted sum, so that gains do add up."""

    def __init__(self, weights: list[float]) -> None:
        self.weights, self.rows = np.array(weights), 0

    def p_target(self, Y: Vector) -> Vector:
        """Probability, shape (candidates,)."""
        self.rows += len(Y)
        out: Vector = np.clip(Y @ self.weights / 10, 0, 1)
        return out


class Silent:
    """An engine that says nothing."""

    def propose(self, requests: list[Request]) -> list[list[Proposal] | Unanswered]:
        return [Unanswered("silent") for _ in requests]


def ask(name: str, checker: Any, space: Admissible, goal: float, rows: int | None = None) -> tuple[Vector | None, int]:
    return answer(name, checker, space.record.schema, space.record.vector, goal, constraints=space.constraints, rows=rows)


@given(where=spaces(), chance=st.randoms(use_true_random=False), rows=st.none() | st.integers(0, 300), name=st.sampled_from(NAMES))
@QUICK
def test_no_rival_leaves_the_answer_space_or_asks_more_than_it_says(where: Admissible, chance: Any, rows: int | None, name: str) -> None:
    judge = judges(where, chance)
    assert isinstance(judge.checker, Slope)
    judge.checker.asked.clear()
    y, asked = ask(name, judge.checker, where, judge.goal, rows)
    assert asked == sum(judge.checker.asked) and (rows is None or asked <= rows)
    if y is not None:
        assert rules.admitted(where, y[None])[0]
    if name == "search" and y is not None:
        assert judge.checker.p_target(y[None])[0] >= judge.goal
    again, _ = ask(name, judge.checker, where, judge.goal, rows)
    assert (y is None and again is None) or np.array_equal(y, again, equal_nan=True)  # type: ignore[arg-type]


@given(where=spaces(), chance=st.randoms(use_true_random=False), rows=st.integers(0, 40), more=st.integers(0, 40))
@QUICK
def test_what_chance_has_answered_it_answers_with_more_rows(where: Admissible, chance: Any, rows: int, more: int) -> None:
    judge = judges(where, chance)
    y, _ = ask("chance", judge.checker, where, judge.goal, rows)
    if y is not None and judge.checker.p_target(y[None])[0] >= judge.goal:
        np.testing.assert_array_equal(ask("chance", judge.checker, where, judge.goal, rows + more)[0], y)


def space_of(limits: Constraints | None = None) -> Admissible:
    return admissible(Record(FOUR, np.zeros(4)), limits)


def test_additive_takes_the_largest_gains_until_they_reach_the_goal() -> None:
    checker = Plain([0.2, 0.4, 0.1, 0.3])
    y, rows = ask("additive", checker, space_of(), 0.65)
    assert y is not None and y.tolist() == [0, 10, 0, 10] and rows == 41 == checker.rows  # the record and 4 * 10 single changes
    y, _ = ask("additive", checker, space_of(Constraints(max_changes=1)), 0.65)
    assert y is not None and y.tolist() == [0, 10, 0, 0]  # it hands over what it has; the caller asks


@pytest.mark.parametrize(("rows", "asked"), [(0, 0), (1, 0), (2, 2), (9, 9), (41, 41), (42, 42), (1_000, 42)])
def test_additive_spends_its_rows_on_an_even_part_and_then_on_a_check(rows: int, asked: int) -> None:
    """One row is the record itself, and says nothing of any change."""
    checker = Plain([0.2, 0.4, 0.1, 0.3])
    y, said = ask("additive", checker, space_of(), 0.65, rows)
    assert said == checker.rows == asked and (y is None) == (rows < 2)


def test_additive_adds_on_while_a_check_fails() -> None:
    class Less(Plain):
        def p_target(self, Y: Vector) -> Vector:
            """What several changes bring together is a tenth less than what they bring alone."""
            return super().p_target(Y) - 0.1 * np.maximum(0, (Y > 0).sum(axis=1) - 1)

    goal, weights = 0.65, [0.2, 0.4, 0.1, 0.3]
    first, _ = ask("additive", Less(weights), space_of(), goal)
    assert first is not None and Less(weights).p_target(first[None])[0] < goal
    checked, rows = ask("additive", Less(weights), space_of(), goal, 43)
    assert checked is not None and Less(weights).p_target(checked[None])[0] >= goal and rows == 43


def test_where_nothing_may_change_there_is_no_answer_and_nothing_is_asked() -> None:
    stuck = Schema((Feature("a", low=0, high=10, step=1, direction="increase"),))
    for name in NAMES:
        assert answer(name, Plain([0.1]), stuck, np.array([10.0]), 0.5) == (None, 0)


@given(where=spaces())
@QUICK
def test_chance_draws_each_answer_once_and_ends(where: Admissible) -> None:
    rows = [y.tobytes() for y in islice(drawn(where, 3), 500)]
    assert len(rows) == len(set(rows)) and rows == [y.tobytes() for y in islice(drawn(where, 3), 500)]


def test_a_meter_answers_what_is_allowed_and_no_more() -> None:
    told = list[int]()
    metered = Metered(Plain([0.1] * 4), 3, lambda Y, p: told.append(len(Y)))
    assert len(metered.p_target(np.ones((2, 4)))) == 2
    with pytest.raises(SpentError):
        metered.p_target(np.ones((2, 4)))
    assert metered.rows == 3 and told == [2, 1]


@pytest.fixture(scope="module")
def heart() -> Iterator[tuple[Explainer, Vector]]:
    """The shipped model and made-up people whom it predicts unwanted, unknown values as the classifier fills them in."""
    if "heart" not in dict(Bundle.available()):
        pytest.skip("heart is not there")
    with Explainer.load("heart") as explainer:
        explainer.impute = None
        X = np.array([record.vector for record in records(explainer.bundle, 60)])
        yield explainer, X[explainer.checker.p_target(X) < explainer.target.threshold][:20]


def explained(explainer: Explainer, X: Vector) -> tuple[list[Explanation | None], Usage]:
    usage, out = Usage(), list[Explanation | None]()
    for x in X:
        with usage.watching(explainer):
            explanation = explainer.explain(Record(explainer.schema, x))
        out.append(None if explanation.reason else explanation)
    return out, usage


def test_search_is_what_the_loop_does_without_a_generator(heart: tuple[Explainer, Vector]) -> None:
    explainer, X = heart
    silent = Explainer(explainer.bundle, Silent(), explainer.checker, explainer.realism)
    silent.impute = None
    found = 0
    for x in X:
        y, _ = answer("search", explainer.checker, explainer.schema, x, explainer.goal, realism=explainer.realism)
        e = silent.explain(Record(explainer.schema, x))
        assert (y is None) == (not e.found)
        if y is not None:
            found += 1
            np.testing.assert_array_equal(y, with_changes(explainer.schema, x, e.found[0].changes))
    assert found


def test_usage_counts_what_the_classifier_counts_and_leaves_no_trace(heart: tuple[Explainer, Vector]) -> None:
    explainer, X = heart
    parts, before = (explainer.engine, explainer.checker, explainer.judge), explainer.checker.rows  # type: ignore[attr-defined]
    watched, usage = explained(explainer, X[:5])
    assert (explainer.engine, explainer.checker, explainer.judge) == parts
    assert sum(usage.rows) == explainer.checker.rows - before  # type: ignore[attr-defined]
    plain = [explainer.explain(Record(explainer.schema, x)) for x in X[:5]]
    assert [e.found for e in watched if e] == [e.found for e in plain if not e.reason]
    assert sum(usage.figures()["time"].values()) == pytest.approx(1, abs=0.01)


def test_the_table_says_of_the_generator_and_the_loop_what_the_loop_says(heart: tuple[Explainer, Vector]) -> None:
    explainer, X = heart
    answers, usage = explained(explainer, X)
    figures = comparison.first_tries_compared(explainer, X, answers, [(True, True, True)] * len(X), usage)
    methods, first = figures["methods"], [e.first_try for e in answers if e and e.first_try]
    assert methods["generator"]["valid"] == sum(f.valid for f in first)
    assert methods["generator"]["usable"] == sum(f.usable for f in first)
    assert methods["whole loop"]["usable"] == methods["whole loop"]["valid"] == sum(bool(e and e.found) for e in answers) > 0
    assert methods["generator"]["rows"] == 1 and methods["chance"]["rows"] == 0 and methods["additive"]["rows"] > 10
    valid = methods["additive"]["valid"] - methods["generator"]["valid"]
    assert figures["ahead"]["value"] == pytest.approx(valid / len(X)) and figures["ahead"]["low"] <= figures["ahead"]["high"]
    duel = figures["search_beside_loop"]
    assert duel["cheaper"] + duel["dearer"] + duel["same"] + duel["loop_only"] == methods["whole loop"]["usable"]
    assert methods["whole loop"]["rows"] == pytest.approx(np.mean(usage.rows), abs=0.06)
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    for said in (comparison.text(figures), comparison.markdown(figures)):
        assert all(words in said for words in comparison.WORDS.values())


def test_a_table_of_nobody_has_no_figures_and_no_fault(heart: tuple[Explainer, Vector]) -> None:
    explainer, X = heart
    figures = comparison.first_tries_compared(explainer, X[:0], [], [], Usage())
    assert figures["of_valid"] == 0 and "-" in comparison.text(figures) and comparison.markdown(figures)
    nobody = row_budget.curve(explainer, X[:0])
    assert nobody["of"] == 0 and nobody["answered"]["additive"] == [None] * 7 and row_budget.text(nobody) and picture(nobody)


def test_more_rows_answer_no_fewer_and_the_first_row_is_the_first_try(heart: tuple[Explainer, Vector]) -> None:
    explainer, X = heart
    answers, _ = explained(explainer, X)
    may = [bool(e and e.found) for e in answers]
    figures = row_budget.curve(explainer, X[may])
    shares = figures["answered"]
    assert figures["of"] == sum(may) and list(shares) == list(comparison.WORDS)
    for name in ("generator", "chance", "search", "whole loop"):
        assert shares[name] == sorted(shares[name])
    usable = [bool(e.first_try and e.first_try.usable) for e in answers if e and e.found]
    assert shares["generator"][0] == pytest.approx(np.mean(usable), abs=1e-4)
    assert shares["additive"][0] == 0 and shares["whole loop"][0] == 0  # one row is the record itself
    assert picture(figures).startswith(b"\x89PNG")


def test_the_generator_says_the_loops_first_try_first_and_nothing_twice(heart: tuple[Explainer, Vector]) -> None:
    explainer, X = heart
    for x in X[:5]:
        space = admissible(Record(explainer.schema, x))
        said = list(row_budget.proposals_of(explainer, space, 40))
        assert len(said) == len({y.tobytes() for y in said}) and rules.admitted(space, np.array(said)).all()
        first = explainer.explain(space.record).first_try
        assert first is not None and first.p_target is not None
        np.testing.assert_array_equal(said[0], with_changes(explainer.schema, x, first.changes))


def test_a_picture_that_has_no_place_is_refused_before_anything_is_measured(command: Callable[..., Ran], toy: Path, tmp_path: Path) -> None:
    ran = command("evaluate", tmp_path / "none.csv", "--model", toy, "--plot", tmp_path / "nowhere" / "curve.png")
    assert (ran.code, ran.out) == (2, "") and "nowhere is no folder" in ran.err
