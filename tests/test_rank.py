"""Which answers are shown: cheapest first, different ones before similar ones, none twice, none that missed."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sensecf_edge.judge.objective import Scored
from sensecf_edge.schema.feature import Feature, Vector
from sensecf_edge.schema.relation import Relation
from sensecf_edge.schema.schema import Schema
from sensecf_edge.search.rank import FEWEST, NEAREST, TYPICAL, Figures, distinct, rank, redundant, strengths

X = np.array([0.0, 0.0, np.nan])
SCHEMA = Schema(tuple(Feature(n, low=0, high=10, step=1, optional=True) for n in "abc"))
FINE = Schema(tuple(Feature(n, low=0, high=10, step=0.1, optional=True) for n in "abc"))


def scored(*rows: tuple[list[float], float]) -> Scored:
    """(changed values of the two known features, key) -> candidates."""
    Y = np.array([[*y, np.nan] for y, _ in rows]).reshape(-1, 3)
    return Scored(Y, np.full(len(Y), 0.6), np.array([key for _, key in rows]))


def test_the_cheapest_comes_first_and_another_set_of_features_before_a_second_of_the_same() -> None:
    found = scored(([1, 0], -0.5), ([2, 0], -0.9), ([3, 0], -0.8), ([0, 1], -0.2), ([1, 1], -0.3))
    assert rank(SCHEMA, X, found, 5) == [1, 4, 3, 2, 0]
    assert rank(SCHEMA, X, found, 2) == [1, 4]
    assert distinct(X, found) == 3


def test_values_of_one_feature_that_are_nearly_the_same_are_one_answer() -> None:
    found = scored(
        ([1.1, 0], -0.9), ([1.2, 0], -0.8), ([1.3, 0], -0.7), ([0, 4], -0.6), ([2.1, 0], -0.5), ([2.9, 0], -0.4), ([3.1, 0], -0.3)
    )
    assert rank(FINE, X, found, 9) == [0, 3, 4, 6]  # 2.1 is a tenth of the range away from 1.1, and 3.1 from 2.1
    assert rank(FINE, X, found, 1) == [0]
    both = scored(([1.1, 4], -0.9), ([1.2, 4.1], -0.8), ([1.1, 6], -0.7))
    assert rank(FINE, X, both, 3) == [0, 2]


def test_another_choice_is_another_answer() -> None:
    schema = Schema((Feature("a", "choice", choices=("x", "y", "z")), *SCHEMA.features[1:]))
    assert rank(schema, X, scored(([1, 0], -0.5), ([2, 0], -0.4)), 2) == [0, 1]


def test_misses_and_broken_rules_are_never_shown() -> None:
    found = scored(([1, 0], 0.4), ([2, 0], np.inf), ([0, 1], -0.2))
    assert rank(SCHEMA, X, found, 5) == [2] and distinct(X, found) == 1


def test_the_same_answer_is_shown_once() -> None:
    assert rank(SCHEMA, X, scored(([1, 0], -0.5), ([1, 0], -0.5), ([1, 0], -0.5)), 5) == [0]


def test_of_nothing_comes_nothing() -> None:
    assert rank(SCHEMA, X, scored(), 3) == [] and distinct(X, scored()) == 0


candidates = st.lists(st.tuples(st.lists(st.integers(0, 2), min_size=2, max_size=2), st.floats(-1, 1)), max_size=12)


@given(candidates, st.integers(1, 6))
def test_what_is_shown_passed_differs_and_leaves_no_cheaper_kind_out(rows: list[tuple[list[int], float]], n: int) -> None:
    found = scored(*((list(map(float, y)), key) for y, key in rows))
    shown = rank(SCHEMA, X, found, n)
    kinds = [kind(found.Y[i]) for i in shown]
    assert all(found.key[i] < 0 for i in shown)
    assert len({found.Y[i].tobytes() for i in shown}) == len(shown) <= n
    assert len(set(kinds)) == min(n, distinct(X, found))
    if shown:
        assert found.key[shown[0]] == found.key.min()
    for i in np.flatnonzero(found.passed):
        if kind(found.Y[i]) not in kinds:
            assert len(shown) == n and found.key[i] >= max(found.key[shown])


def test_a_change_that_buys_nothing_makes_no_other_answer() -> None:
    found = scored(([1, 0], -0.5), ([1, 1], -0.4), ([1, 2], -0.3), ([2, 1], -0.2))
    figures = Figures(np.array([1.0, 2, 2, 2]), np.array([1.0, 2, 3, 3]), np.array([50.0, 54, 60, 40]))
    assert redundant(SCHEMA, X, found, figures).tolist() == [False, True, False, False]  # more typical; another value of the first
    assert rank(SCHEMA, X, found, 4, figures) == [0, 2, 3] and rank(SCHEMA, X, found, 4) == [0, 1, 2, 3]
    missed = scored(([1, 0], 0.4), ([1, 1], -0.4))
    assert not redundant(SCHEMA, X, missed, Figures(np.ones(2), np.ones(2), np.ones(2))).any()  # what is left did not pass


def test_what_follows_another_change_is_none_of_its_own() -> None:
    """Steps follow the minutes of sport: five minutes more of another sort move them, too, and buy nothing."""
    schema = Schema(SCHEMA.features, (Relation("causes", ("a", "c"), slope=1.0), Relation("causes", ("b", "c"), slope=1.0)))
    x = np.zeros(3)
    found = Scored(np.array([[2.0, 0, 2], [2, 1, 3], [2, 1, 5]]), np.full(3, 0.6), np.array([-0.5, -0.4, -0.3]))
    figures = Figures(np.array([2.0, 3, 3]), np.array([1.0, 2, 3]), np.array([50.0, 51, 51]))
    assert redundant(schema, x, found, figures).tolist() == [False, True, True]


def kind(y: Vector) -> tuple[bool, ...]:
    return tuple(bool(v) for v in y[:2])


@given(candidates, st.integers(2, 6), st.randoms(use_true_random=False))
def test_with_figures_the_cheapest_still_comes_first_and_every_strength_is_as_good_as_another_set_makes_it(
    rows: list[tuple[list[int], float]], n: int, chance: random.Random
) -> None:
    found = scored(*((list(map(float, y)), key) for y, key in rows))
    count = (found.Y[:, :2] != 0).sum(axis=1).astype(float)
    figures = Figures(count, np.array([chance.random() for _ in rows]), np.array([chance.random() for _ in rows]))
    shown = rank(SCHEMA, X, found, n, figures)
    assert len({found.Y[i].tobytes() for i in shown}) == len(shown) <= n and all(found.key[i] < 0 for i in shown)
    worth = np.flatnonzero(found.passed & ~redundant(SCHEMA, X, found, figures))
    assert set(shown[1:]) <= set(worth.tolist())
    assert len({kind(found.Y[i]) for i in shown}) == min(n, len({kind(found.Y[i]) for i in {*worth.tolist(), *shown[:1]}}))
    if shown:
        assert found.key[shown[0]] == found.key.min()
        said = strengths(figures, shown)
        assert sorted(s for each in said for s in each) == ([] if len(shown) == 1 else sorted([FEWEST, NEAREST, TYPICAL]))
        if len(shown) > 1:
            top = next(i for i, each in zip(shown, said, strict=True) if TYPICAL in each)
            assert figures.realism[top] == max(figures.realism[i] for i in shown)
