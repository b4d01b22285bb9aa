"""Figures of an answer against their definitions, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import records, schemas

from sensecf_edge.schema.feature import Feature
from sensecf_edge.schema.schema import Schema
from sensecf_edge.settings import COST
from sensecf_edge.space import measure

SCHEMA = Schema(
    (
        Feature("a", low=0, high=100, step=1, reference=(20, 60)),
        Feature("b", low=0, high=10, step=1, cost=3),
        Feature("c", "choice", choices=("x", "y", "z")),
        Feature("d", low=0, high=1, step=0.5, optional=True),
    )
)
X = np.array([30.0, 5.0, 0.0, np.nan])
Y = np.array([[30, 5, 0, np.nan], [50, 5, 0, np.nan], [50, 4, 2, np.nan]])
QUICK = settings(max_examples=60, deadline=None)


def test_sparsity_counts_changed_features_and_unknown_equals_unknown() -> None:
    assert measure.sparsity(X, Y).tolist() == [0, 1, 3]
    assert measure.changed(X, Y).tolist() == [[False] * 4, [True, False, False, False], [True, True, True, False]]
    assert measure.sparsity(X, np.array([[30, 5, 0, 0.5]])).tolist() == [1]


def test_proximity_is_the_mean_over_all_features_of_change_over_reference_range() -> None:
    assert measure.proximity(SCHEMA, X, Y) == pytest.approx([0, 20 / 40 / 4, (20 / 40 + 1 / 10 + 1) / 4])


def test_a_choice_counts_one_however_far_it_lies_in_the_list() -> None:
    near, far = np.array([[30, 5, 1, np.nan]]), np.array([[30, 5, 2, np.nan]])
    assert measure.proximity(SCHEMA, X, near) == measure.proximity(SCHEMA, X, far) == pytest.approx([1 / 4])


def test_cost_is_features_changed_plus_weighted_distance_plus_lack_of_realism() -> None:
    distance = np.array([0, 0.5, 0.5 + 3 * 0.1 + 1])
    assert measure.change_cost(SCHEMA, X, Y) == pytest.approx([0, 1, 3] + COST.distance * distance)
    realism = np.array([0.0, 50.0, 100.0])
    assert measure.change_cost(SCHEMA, X, Y, realism) - measure.change_cost(SCHEMA, X, Y) == pytest.approx(
        COST.realism * np.array([1, 0.5, 0])
    )


@given(st.data())
@QUICK
def test_a_record_is_no_distance_from_itself_and_as_far_there_as_back(data: st.DataObject) -> None:
    schema = data.draw(schemas())
    a, b = (data.draw(records(schema)).vector for _ in range(2))
    assert measure.proximity(schema, a, a[None])[0] == 0 == measure.sparsity(a, a[None])[0]
    assert measure.proximity(schema, a, b[None])[0] == pytest.approx(measure.proximity(schema, b, a[None])[0])
    assert 0 <= measure.sparsity(a, b[None])[0] <= len(schema) and np.isfinite(measure.change_cost(schema, a, b[None])).all()
