"""Validity under noise of the size that sensors have: counted right, deterministic, one batch."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import records, schemas
from test_refine import Slope

from sensecf_edge.schema import Feature, Relation, Schema
from sensecf_edge.stability import agreement, stability

ONE = Schema((Feature("a", low=0, high=10, step=1, error=2.0), Feature("b", low=0, high=10, step=1, error=0.0)))


def at(schema: Schema, *rows: list[float], weights: list[float], offset: float, count: int = 4000) -> list[float]:
    return stability(Slope(schema, np.array(weights), offset), schema, np.array(rows), 0.5, 3, count).tolist()


def test_the_share_is_that_of_the_noise_that_keeps_the_prediction() -> None:
    """Valid from a = 5 on; at 6 and an even error of 2 that is three quarters (4,000 draws: 4 standard errors are .027)."""
    shares = at(ONE, [6, 5], [5, 5], [9, 5], [2, 5], weights=[10, 0], offset=-5)
    assert shares[0] == pytest.approx(0.75, abs=0.03) and shares[1] == pytest.approx(0.5, abs=0.035) and shares[2:] == [1, 0]


def test_a_feature_without_an_error_is_read_within_half_a_step_and_one_of_none_exactly() -> None:
    plain = Schema((Feature("a", low=0, high=10, step=1), ONE.features[1]))
    assert at(plain, [5.6, 5], [4.4, 5], weights=[10, 0], offset=-5) == [1, 0]
    assert at(ONE, [5, 5.01], [5, 4.99], weights=[0, 10], offset=-5) == [1, 0]


def test_readings_stay_possible_and_relations_are_kept() -> None:
    class Asks(Slope):
        def p_target(self, Y: np.ndarray) -> np.ndarray:
            rows.append(Y)
            return super().p_target(Y)

    rows: list[np.ndarray] = []
    parts = (Feature("a", low=0, high=100, step=1, error=30.0), Feature("b", low=0, high=100, step=1))
    schema = Schema(parts, (Relation("sum", ("a", "b"), total=100, completes="b"),))
    stability(Asks(schema, np.ones(2)), schema, np.array([[90.0, 10.0], [20.0, 80.0]]), 0.5, 0)
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
def test_it_is_a_share_the_same_each_time_and_unknown_stays_unknown(data: st.DataObject, seed: int) -> None:
    schema = data.draw(schemas())
    y = data.draw(records(schema)).vector[None]
    checker = Slope(schema, np.ones(len(schema)), -1.0)
    first, again = (stability(checker, schema, y, 0.5, seed) for _ in range(2))
    assert first == again and 0 <= first[0] <= 1 and not math.isnan(first[0])
    assert stability(checker, schema, y[:0], 0.5, seed).shape == (0,)
