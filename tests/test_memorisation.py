"""The memorisation check: copies are seen as copies, strangers as strangers, and unknown values get in nobody's way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sensecf_convert import memorisation
from sensecf_convert.gower import gower
from strategies import records, schemas

from sensecf_edge import measure
from sensecf_edge.schema import Feature, Schema, Vector

SCHEMA = Schema(
    (
        Feature("age", low=18, high=90, step=1),
        Feature("glucose", low=50, high=350, step=5, optional=True),
        Feature("sex", "choice", choices=("female", "male")),
    )
)
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def people(count: int, seed: int) -> Vector:
    """Made-up rows, a tenth of them without glucose."""
    chance = np.random.default_rng(seed)
    X = np.column_stack([chance.uniform(18, 90, count), chance.uniform(50, 350, count), chance.integers(0, 2, count)])
    X[chance.random(count) < 0.1, 1] = np.nan
    return X


def test_a_generator_that_repeats_its_training_rows_is_found_out() -> None:
    train, unseen = people(300, 0), people(100, 1)
    figures = memorisation.check(train[:100], train, unseen, SCHEMA)
    assert figures["exact_generated"] == 1 and figures["exact_unseen"] is not None and figures["exact_unseen"] < 0.1
    assert figures["dcr_generated"] == figures["dcr_ratio"] == figures["nndr_generated"] == 0
    assert figures["dcr_unseen"] is not None and figures["dcr_unseen"] > 0


def test_a_generator_of_strangers_looks_like_strangers() -> None:
    """Both sides come from one distribution: over 200 seeds the ratio lay between 0.63 and 1.46."""
    figures = memorisation.check(people(200, 2), people(300, 0), people(200, 1), SCHEMA)
    assert figures["dcr_ratio"] is not None and 0.6 < figures["dcr_ratio"] < 1.7
    assert (figures["generated"], figures["unseen"], figures["train"]) == (200, 200, 300)


def test_rows_next_to_training_rows_are_no_copies_but_near() -> None:
    train = people(300, 0)[~np.isnan(people(300, 0)).any(axis=1)]
    near = train[:100] + np.array([1.0, 2.0, 0.0])
    figures = memorisation.check(near, train, people(100, 1), SCHEMA)
    assert figures["exact_generated"] is not None and figures["exact_generated"] < 0.05
    assert figures["dcr_ratio"] is not None and figures["dcr_ratio"] < 0.6


def test_a_copy_is_a_copy_on_the_lattice_with_unknown_equal_to_unknown() -> None:
    train = np.array([[40.0, np.nan, 1.0], [50.0, 100.0, 0.0]])
    rows = np.array([[40.3, np.nan, 1.0], [50.0, 102.0, 0.0], [50.0, 103.0, 0.0], [40.0, 100.0, 1.0], [50.0, np.nan, 0.0]])
    assert [memorisation.exact(SCHEMA, row[None], train) for row in rows] == [1, 1, 0, 0, 0]
    assert memorisation.check(rows, train, rows, SCHEMA, factuals=rows[:4])["exact_factuals"] == 0.5


def test_two_training_rows_on_the_spot_single_nobody_out() -> None:
    train = np.array([[40.0, 100.0, 1.0]] * 2 + [[60.0, 200.0, 0.0]])
    figures = memorisation.check(train[:1], train, people(5, 0), SCHEMA)
    assert figures["nndr_generated"] == 1 and figures["dcr_generated"] == 0


def test_no_rows_are_no_figures_rather_than_a_fault() -> None:
    none, one = np.empty((0, 3)), people(1, 0)
    figures = memorisation.check(none, one, people(4, 1), SCHEMA)
    assert figures["exact_generated"] is figures["dcr_generated"] is figures["nndr_generated"] is figures["dcr_ratio"] is None
    assert figures["nndr_unseen"] is None and figures["dcr_unseen"] is not None
    assert memorisation.check(one, none, one, SCHEMA)["dcr_generated"] is None


def test_the_card_s_rows_are_rows_of_one_table() -> None:
    for figures in (
        memorisation.check(people(20, 2), people(30, 0), people(20, 1), SCHEMA, people(5, 3)),
        memorisation.check(np.empty((0, 3)), people(30, 0), np.empty((0, 3)), SCHEMA),
    ):
        lines = memorisation.words(figures).splitlines()
        assert len(lines) == 6 and all(line.count("|") == 4 for line in lines) and "nan" not in "".join(lines)


@given(st.data())
@QUICK
def test_gower_is_symmetric_zero_on_itself_and_the_proximity_of_known_records(data: st.DataObject) -> None:
    schema = data.draw(schemas(relations=False))
    A, B = (np.array([r.vector for r in data.draw(st.lists(records(schema), min_size=1, max_size=5))]) for _ in range(2))
    D = gower(schema, A, B)
    np.testing.assert_allclose(D, gower(schema, B, A).T)
    assert (D >= 0).all()
    for i, a in enumerate(A):
        assert gower(schema, a[None], a[None])[0, 0] == (1.0 if np.isnan(a).all() else 0.0)
        for j, b in enumerate(B):
            both = ~(np.isnan(a) | np.isnan(b))
            if both.all():
                assert D[i, j] == pytest.approx(measure.proximity(schema, a, b[None])[0])
            if not both.any():
                assert D[i, j] == 1
