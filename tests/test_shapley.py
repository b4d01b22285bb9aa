"""Shapley values of a prediction: as their definition says, as the shap package says, and sampled ones within the stated error."""

from __future__ import annotations

from itertools import combinations
from math import factorial
from pathlib import Path

import numpy as np
import pytest
from conftest import STRESSED

from sensecf_edge.answer.basis import Attribution, Why
from sensecf_edge.explain import Explainer
from sensecf_edge.judge.imputation import exactly
from sensecf_edge.judge.reasons import reasons, risks
from sensecf_edge.judge.shapley import together, why
from sensecf_edge.report import basis as sentences
from sensecf_edge.report.wording import Wording
from sensecf_edge.schema.feature import Feature, Vector
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.relation import Relation
from sensecf_edge.schema.schema import Schema
from sensecf_edge.settings import WHY


def numbers(count: int, *relations: Relation) -> Schema:
    return Schema(tuple(Feature(f"x{i}", low=-100, high=100, step=0.125, optional=True) for i in range(count)), relations)


def bent(Y: Vector) -> Vector:
    """A risk with interactions, which no sum of single values is."""
    z = Y[:, 0] * Y[:, 1] + np.sin(Y[:, 2]) - 0.5 * Y[:, -1] + (Y[:, 1] > 0.5) * Y[:, 2]
    return np.asarray(1 / (1 + np.exp(-z)))


def by_definition(x: Vector, people: Vector, groups: list[list[int]]) -> Vector:
    """The mean over people of the textbook sum, player by player and set by set."""

    def worth(players: tuple[int, ...]) -> float:
        rows = people.copy()
        for k in players:
            rows[:, groups[k]] = x[groups[k]]
        return float(bent(rows).mean())

    n, out = len(groups), np.zeros(len(groups))
    for i in range(n):
        others = [k for k in range(n) if k != i]
        for size in range(n):
            weight = factorial(size) * factorial(n - size - 1) / factorial(n)
            out[i] += sum(weight * (worth((*some, i)) - worth(some)) for some in combinations(others, size))
    return out


def drawn(count: int, width: int, seed: int = 0) -> Vector:
    return np.random.default_rng(seed).normal(size=(count, width))


def adds(reason: Why) -> dict[tuple[str, ...], Attribution]:
    return {part.features: part for part in reason.parts}


@pytest.mark.parametrize("relations", [(), (Relation("causes", ("x0", "x3"), slope=2.0),)])
def test_exact_values_are_those_of_the_definition_and_what_follows_counts_with_what_it_follows(relations: tuple[Relation, ...]) -> None:
    schema, people = numbers(5, *relations), drawn(64, 5)
    record = Record(schema, np.array([1.0, 0.75, -0.5, 2.0, 1.5]))
    reason = why(bent, record, np.repeat(record.vector[None], 64, axis=0), people, 0)
    groups = [[0, 3], [1], [2], [4]] if relations else [[i] for i in range(5)]
    assert together(schema) == groups and reason.exact and reason.people == 64
    found = adds(reason)
    for group, truth in zip(groups, by_definition(record.vector, people, groups), strict=True):
        assert found[tuple(f"x{i}" for i in group)].adds == pytest.approx(truth, abs=1e-12)
    assert reason.start + sum(part.adds for part in reason.parts) == pytest.approx(reason.now)
    assert reason.now == pytest.approx(float(bent(record.vector[None])[0]))
    assert [abs(part.adds) for part in reason.parts] == sorted((abs(part.adds) for part in reason.parts), reverse=True)


def test_sampled_values_lie_within_their_error_of_the_exact_ones_and_add_up_all_the_same() -> None:
    """Of 10 x 12 intervals of 95 %, fewer than 103 hold the truth with a chance under 1 in 10,000 if they are right and independent."""
    schema, held = numbers(12), 0
    x = np.linspace(-1.5, 1.5, 12)
    record = Record(schema, np.round(x * 8) / 8)
    near = drawn(300, 12, 1)
    exact = why(bent, record, np.repeat(record.vector[None], 300, axis=0), near, 0, rows=4096 * 300)
    assert exact.exact
    truth = adds(exact)
    for seed in range(10):
        people = drawn(WHY.most, 12, 100 + seed)
        reason = why(bent, record, np.repeat(record.vector[None], WHY.most, axis=0), people, seed)
        assert not reason.exact and 2 * 12 * reason.people <= WHY.rows
        assert reason.start + sum(part.adds for part in reason.parts) == pytest.approx(reason.now)
        held += sum(abs(part.adds - truth[part.features].adds) <= part.error + truth[part.features].error for part in reason.parts)
    assert held >= 103


def test_unknown_values_have_no_part_and_are_drawn_as_they_may_be() -> None:
    schema = numbers(4, Relation("causes", ("x0", "x3"), slope=2.0))
    record = Record(schema, np.array([1.0, np.nan, 0.5, np.nan]))
    cases, people = np.tile([1.0, 0.0, 0.5, 0.0], (64, 1)), drawn(64, 4)
    cases[:, [1, 3]] = drawn(64, 2, 5)
    reason = why(bent, record, cases, people, 0)
    assert set(adds(reason)) == {("x0",), ("x2",)}
    first = people.copy()
    first[:, 1] = cases[:, 1]  # x3 goes with x0, x1 with nobody
    assert reason.start == pytest.approx(float(bent(first).mean())) and reason.now == pytest.approx(float(bent(cases).mean()))


@pytest.mark.parametrize("rows", [WHY.rows, 400])
def test_a_shipped_model_is_explained_as_the_shap_package_explains_it(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same people, the same risks; with few rows the sampled values of the same people."""
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")  # compiling takes longer than all that is computed here
    shap = pytest.importorskip("shap")
    with Explainer.load("stress") as explainer:
        schema, scale, checker = explainer.schema, explainer.scale, explainer.checker
        record = Record.from_mapping(schema, explainer.bundle.samples[0].values)
        assert explainer.realism is not None and explainer.bundle.density is not None
        reason = reasons(checker, explainer.case(record, 0.5, 0), explainer.bundle.density.people, scale, 0, rows)
        assert reason is not None
        people = exactly(schema, explainer.bundle.density.people(WHY.most, 0), np.ones(len(schema), dtype=bool))[: reason.people]
        groups = together(schema)

        def ask(players: Vector) -> Vector:
            """Players as 0 (the drawn person's) or 1 (the record's), beside each drawn person: the mean risk."""
            chosen = np.repeat(people[None], len(players), axis=0)
            for k, group in enumerate(groups):
                chosen[np.ix_(players[:, k] > 0.5, range(len(people)), group)] = record.vector[group]
            return risks(scale, checker.p_target(chosen.reshape(-1, len(schema)))).reshape(len(players), -1).mean(axis=1)

        told = shap.explainers.Exact(ask, shap.maskers.Independent(np.zeros((1, len(groups)))))(np.ones((1, len(groups))))
    values, found = told.values[0], adds(reason)
    assert float(told.base_values[0]) == pytest.approx(reason.start, abs=1e-6) and reason.exact == (rows == WHY.rows)
    for k, group in enumerate(groups):
        part = found[tuple(schema.names[i] for i in group)]
        assert part.adds == pytest.approx(values[k], abs=1e-6 if reason.exact else part.error), part.features


def test_an_answer_says_why_when_it_is_asked_and_not_else(toy: Path) -> None:
    with Explainer.load(toy) as explainer:
        asked = explainer.explain(STRESSED, why=True)
        assert explainer.explain(STRESSED).why is None and explainer.explain(STRESSED, why=True).why == asked.why
        explainer.realism = None
        assert explainer.explain(STRESSED, why=True).why is None  # nobody to draw
    said = " ".join(sentences.why(Wording(asked, explainer.schema)))
    assert "Raises the risk most: Steps a day 3000" in said and "Lowers the risk most" not in said.split("Raises")[0]
    assert asked.why is not None and f"{asked.why.people} made-up people" in said and "does not show what causes" in said


def test_parts_that_are_lost_in_their_error_are_not_told() -> None:
    reason = Why(0.2, 0.3, (Attribution(("a",), 0.101, 0.004), Attribution(("b",), -0.001, 0.004)), False, 100)
    assert [part.features for part in sentences.beyond_error(reason)] == [("a",)]
    assert sentences.points(0.101, 0.004) == "10.1 points" and sentences.points(0.101, 0.02) == "10 points"
    assert sentences.points(0.01, 0.01) == "1 point"
