"""Measures of nearness: choices are alike or not, unknown values are left out, and nothing divides by zero."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sensecf_convert.evaluate.plausibility import Realism, deviations, mad_distance
from sensecf_convert.table.cohort import Cohort
from sensecf_convert.table.gower import gower, neighbours
from sensecf_convert.table.imputation import imputed_values
from sklearn.neighbors import LocalOutlierFactor

from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.schema.feature import Feature, Vector
from sensecf_edge.schema.schema import Schema

KINDS = ("a", "b", "c", "d")
SCHEMA = Schema(
    (
        Feature("x", low=0, high=100, step=1, optional=True),
        Feature("kind", kind="choice", choices=KINDS, optional=True),
        Feature("y", low=0, high=10, step=0.1, optional=True),
    )
)


def rows(count: int, unknown: float = 0.0, seed: int = 0) -> Vector:
    chance = np.random.default_rng(seed)
    X = np.column_stack([chance.normal(50, 10, count), chance.choice(4, count, p=[0.6, 0.2, 0.1, 0.1]), chance.normal(5, 1, count)])
    X[chance.random(X.shape) < unknown] = np.nan
    return X


def cohort(X: Vector, schema: Schema = SCHEMA) -> Cohort:
    return Cohort(schema, X, np.ones(len(X), dtype=bool), np.array([str(i) for i in range(len(X))]), ("ill", "well"))


def turned(X: Vector) -> tuple[Schema, Vector]:
    """The same with the choices listed in another order."""
    order = ("d", "b", "a", "c")
    schema = replace(SCHEMA, features=tuple(replace(f, choices=order) if f.kind == "choice" else f for f in SCHEMA.features))
    Y = X.copy()
    known = ~np.isnan(X[:, 1])
    Y[known, 1] = np.array([float(order.index(c)) for c in KINDS])[X[known, 1].astype(int)]
    return schema, Y


def test_every_figure_is_the_same_in_any_order_of_choices() -> None:
    X, Y = rows(150, 0.1), rows(60, 0.1, seed=1)
    schema, Z = turned(X)
    here, there = Realism(cohort(X)), Realism(cohort(Z, schema))
    W = turned(Y)[1]
    assert here.knn_ratio(Y) == pytest.approx(there.knn_ratio(W))
    assert (here.lof_inliers(Y) == there.lof_inliers(W)).all()
    scale = np.array([10.0, 1.0, 1.0])
    assert mad_distance(SCHEMA, scale, X[0], Y) == pytest.approx(mad_distance(schema, scale, Z[0], W))


def in_other_words(X: Vector, order: tuple[str, ...], times: float, more: float) -> tuple[Schema, Vector]:
    """The same people with the choices listed in another order and the first number in another unit."""
    x = replace(SCHEMA["x"], low=more, high=100 * times + more, step=times)
    schema = replace(SCHEMA, features=(x, replace(SCHEMA["kind"], choices=order), SCHEMA["y"]))
    Y = X.copy()
    known = ~np.isnan(X[:, 1])
    Y[known, 1] = np.array([float(order.index(c)) for c in KINDS])[X[known, 1].astype(int)]
    Y[:, 0] = X[:, 0] * times + more
    return schema, Y


@given(st.permutations(KINDS), st.sampled_from([0.0555, 1.0, 1.8, 1000.0]), st.sampled_from([0.0, 32.0, -17.7]), st.integers(0, 99))
@settings(max_examples=20)
def test_no_yardstick_hangs_on_an_order_or_a_unit(order: list[str], times: float, more: float, seed: int) -> None:
    """LOF is a verdict at a threshold: rounding may turn a record that stands right on it."""
    X, Y = rows(120, 0.1, seed), rows(40, 0.1, seed + 1000) * np.array([1.2, 1.0, 1.0])
    Y = np.clip(Y, 0, [100.0, 3.0, 10.0])
    schema, Z = in_other_words(X, tuple(order), times, more)
    W = in_other_words(Y, tuple(order), times, more)[1]
    here, there = Realism(cohort(X)), Realism(cohort(Z, schema))
    assert here.knn_ratio(Y) == pytest.approx(there.knn_ratio(W), abs=1e-6)
    assert (here.lof_inliers(Y) != there.lof_inliers(W)).sum() <= 1
    scale = np.array([10.0, 1.0, 1.0])
    other = scale * np.array([times, 1.0, 1.0])
    assert mad_distance(SCHEMA, scale, X[0], Y) == pytest.approx(mad_distance(schema, other, Z[0], W), abs=1e-6)


def test_a_column_that_stands_there_twice_counts_twice_here_and_is_said_so() -> None:
    """Gower distance weighs features alike: whoever hands a column over twice weighs it twice."""
    twice = Schema((SCHEMA["x"], replace(SCHEMA["x"], name="again"), SCHEMA["y"]))
    a, b = np.array([[0.0, 0.0, 5.0]]), np.array([[50.0, 50.0, 5.0]])
    once = gower(Schema((SCHEMA["x"], SCHEMA["y"])), a[:, [0, 2]], b[:, [0, 2]])
    assert once[0, 0] == pytest.approx(0.25) and gower(twice, a, b)[0, 0] == pytest.approx(1 / 3)


def test_on_numbers_alone_the_outliers_are_those_of_scikit_learn() -> None:
    numbers = Schema((SCHEMA["x"], SCHEMA["y"]))
    X, Y = rows(200)[:, [0, 2]], rows(300, seed=3)[:, [0, 2]] * 1.3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        lof = LocalOutlierFactor(20, metric="manhattan", novelty=True).fit(X / numbers.spans)
    mine = Realism(cohort(X, numbers)).lof_inliers(Y)
    assert (mine == (lof.predict(Y / numbers.spans) == 1)).all() and 0 < mine.mean() < 1


def test_a_record_is_no_more_of_an_inlier_for_what_is_not_known_of_it() -> None:
    """Far in one number stays far when the others are unknown."""
    real = Realism(cohort(rows(200)))
    far = np.array([[100.0, 0.0, 5.0], [100.0, np.nan, np.nan]])
    assert (real.lof_inliers(far) == 0).all()
    assert (np.diff(real.knn_ratio(far)) > 0).all()


def test_no_row_is_its_own_neighbour() -> None:
    X = rows(30)
    far, at = neighbours(SCHEMA, X, X, 3, others=True)
    assert (at != np.arange(30)[:, None]).all() and (np.diff(far) >= 0).all() and (far > 0).all()
    assert neighbours(SCHEMA, X[:1], X[:1], 3, others=True)[0].shape == (1, 0)


def test_few_rows_are_no_error() -> None:
    real = Realism(cohort(rows(1)))
    assert np.isnan(real.knn_ratio(rows(3))).all() and np.isnan(real.lof_inliers(rows(3))).all()
    assert np.isfinite(Realism(cohort(rows(2))).lof_inliers(rows(3))).all()


def test_a_changed_choice_counts_one_wherever_it_stands_in_the_list() -> None:
    x, Y = np.array([50.0, 0.0, 5.0]), np.array([[50.0, 1.0, 5.0], [50.0, 3.0, 5.0], [70.0, 0.0, np.nan]])
    assert mad_distance(SCHEMA, np.array([10.0, 1.0, 1.0]), x, Y) == pytest.approx([1 / 3, 1 / 3, 2 / 3])


def test_a_deviation_of_zero_is_replaced_by_a_spread_in_the_same_units(toy: Path) -> None:
    bundle = Bundle.open(toy)
    names = bundle.schema.names
    flat = {**bundle.reference.quantiles, "steps": tuple([0.0] * 8 + [1000.0] * 3), "age": tuple([50.0] * 11)}
    changed = replace(bundle, reference=replace(bundle.reference, quantiles=flat, mad={"age": 0.0, "steps": 0.0, "deep_sleep": 4.0}))
    scale = dict(zip(names, deviations(changed), strict=True))
    assert scale["steps"] == pytest.approx(263.0) and scale["deep_sleep"] == 4.0 and scale["smoker"] == 1.0
    assert scale["age"] == bundle.schema["age"].span


def test_what_stands_for_an_unknown_choice_is_a_choice() -> None:
    X = np.array([[1.0, 0.0, 1.0], [2.0, 0.0, 2.0], [3.0, 3.0, np.nan], [4.0, 3.0, 4.0], [9.0, 3.0, 4.0]])
    assert imputed_values(cohort(X)).tolist() == [3.0, 3.0, 3.0]
    assert imputed_values(cohort(X[:4])).tolist()[1] in (0.0, 3.0)  # their middle, 1.5, is none
