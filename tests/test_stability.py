"""Validity under noise of the size that sensors have: counted right, deterministic, one batch."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import records, schemas
from test_refine import Slope

from sensecf_edge.judge.stability import agreement, stability
from sensecf_edge.schema.feature import Feature
from sensecf_edge.schema.relation import Relation
from sensecf_edge.schema.schema import Schema

ONE = Schema((Feature("a", low=0, high=10, step=1, error=2.0), Feature("b", low=0, high=10, step=1, error=0.0)))


def at(schema: Schema, x: list[float], *rows: list[float], weights: list[float], offset: float, count: int = 4000) -> list[float]:
    checker = Slope(schema, np.array(weights), offset)
    return stability(checker, schema, np.array(x), np.array(rows), 0.5, 3, count).tolist()


def test_the_share_is_that_of_the_normal_noise_that_keeps_the_prediction() -> None:
    """Valid from a = 5 on: at 6 and a standard deviation of 2 that is the normal share above -0.5 (4 standard errors are .03)."""
    shares = at(ONE, [0, 5], [6, 5], [5, 5], [10, 5], [1, 5], weights=[1e4, 0], offset=-5e3)
    assert shares == pytest.approx([0.6915, 0.5, 0.9938, 0.0228], abs=0.03)


def test_a_relative_error_grows_with_the_reading() -> None:
    """Valid from a = 100 on: 110 is half a standard deviation (20 % of 110) from there, 200 two and a half."""
    schema = Schema((Feature("a", low=0, high=1000, step=1, relative_error=0.2), Feature("b", low=0, high=10, step=1)))
    shares = at(schema, [0, 5], [110, 5], [200, 5], weights=[1e6, 0], offset=-1e5)
    assert shares == pytest.approx([0.675, 0.9938], abs=0.03)


def test_nothing_is_said_unless_every_number_that_is_moved_states_its_error() -> None:
    parts = (Feature("a", low=0, high=10, step=1, error=2.0), Feature("b", low=0, high=10, step=1),
             Feature("c", "choice", choices=("x", "y")), Feature("d", low=0, high=100, step=1))  # fmt: skip
    schema = Schema(parts, (Relation("sum", ("a", "d"), total=100, completes="d"),))
    rows = [[5, 5, 0, 95], [4, 5, 0, 96], [4, 6, 0, 96], [5, 6, 0, 95], [5, 5, 1, 95], [4, 5, 1, 96]]
    said = at(schema, [5.0, 5, 0, 95], *rows, weights=[0] * 4, offset=1.0)
    assert [not math.isnan(share) for share in said] == [False, True, False, False, False, True]  # what only follows needs none


def test_a_stated_error_of_none_is_a_statement() -> None:
    assert at(ONE, [5, 0], [5, 5.01], [5, 4.99], weights=[0, 10], offset=-5) == [1, 0]


def test_readings_stay_possible_and_relations_are_kept() -> None:
    class Asks(Slope):
        def p_target(self, Y: np.ndarray) -> np.ndarray:
            rows.append(Y)
            return super().p_target(Y)

    rows: list[np.ndarray] = []
    parts = (Feature("a", low=0, high=100, step=1, error=30.0), Feature("b", low=0, high=100, step=1))
    schema = Schema(parts, (Relation("sum", ("a", "b"), total=100, completes="b"),))
    stability(Asks(schema, np.ones(2)), schema, np.array([50.0, 50.0]), np.array([[90.0, 10.0], [20.0, 80.0]]), 0.5, 0)
    assert len(rows) == 1 and rows[0].shape == (128, 2)
    assert rows[0][:, 0].min() >= 0 and rows[0][:, 0].max() <= 100
    np.testing.assert_allclose(rows[0].sum(axis=1), 100, atol=1e-6)


def test_agreement_is_the_share_of_other_classifiers_that_say_the_same_and_none_without_them() -> None:
    """Valid to the first from a = 5 on, to the second from a = 8 on."""
    rivals = [Slope(ONE, np.array([10.0, 0.0]), -5.0), Slope(ONE, np.array([10.0, 0.0]), -8.0)]
    shares = agreement(rivals, np.array([[2.0, 5.0], [6.0, 5.0], [9.0, 5.0]]), 0.5)
    assert shares is not None and shares.tolist() == [0, 0.5, 1]
    assert agreement([], np.zeros((1, 2)), 0.5) is None


@given(st.data(), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_it_is_a_share_or_nothing_and_the_same_each_time(data: st.DataObject, seed: int) -> None:
    schema = data.draw(schemas())
    x, y = (data.draw(records(schema)).vector for _ in range(2))
    y[np.isnan(x)] = np.nan
    checker = Slope(schema, np.ones(len(schema)), -1.0)
    first, again = (stability(checker, schema, x, y[None], 0.5, seed) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert math.isnan(first[0]) or 0 <= first[0] <= 1
    assert stability(checker, schema, x, y[None][:0], 0.5, seed).shape == (0,)
