"""Relations fitted to data: the numbers are found again, hold for the share they say, and make a schema that runs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("pandas", reason="the build side is not installed")

from sensecf_convert.table.cohort import Cohort
from sensecf_convert.table.fit_relations import SHARE, fill_slopes, fit_band, fit_causes, read_schema, with_fitted_relations

from sensecf_edge.errors import SchemaError, TableError
from sensecf_edge.schema.feature import Feature
from sensecf_edge.schema.schema import Schema


@given(slope=st.sampled_from([-3.0, -0.01, 0.5, 40.0]), intercept=st.sampled_from([-100.0, 0.0, 7.0]), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_a_band_holds_the_share_of_rows_that_it_says(slope: float, intercept: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 100, 400)
    y = slope * x + intercept + rng.normal(0, abs(slope) * 5, 400)
    x[0] = y[1] = np.nan
    made = fit_band("y", "x", y, x)
    off = np.abs(y - made.slope * x - made.intercept)[2:]
    assert made.slope == pytest.approx(slope, rel=0.1)
    assert SHARE - 0.01 <= (off <= made.tolerance).mean() <= SHARE + 0.01


def test_a_cause_within_persons_is_not_misled_by_who_they_are() -> None:
    """Fitter people walk more and are active less for other reasons: across persons the slope is negative, within it is 0.01."""
    rng = np.random.default_rng(0)
    persons = np.repeat(np.arange(10), 40)
    steps = 1000.0 * persons + rng.uniform(0, 2000, 400)
    active = 0.01 * steps - 30.0 * persons + rng.normal(0, 0.5, 400)
    assert fit_causes(["steps"], "active", steps[:, None], active, persons)[0].slope == pytest.approx(0.01, rel=0.05)
    assert fit_causes(["steps"], "active", steps[:, None], active)[0].slope < 0


@pytest.mark.parametrize("each", [1, 2])
def test_a_cause_is_fitted_between_rows_where_people_have_one_each(each: int) -> None:
    """With a person's mean taken away nothing is left of a single row, nor of two in which the cause stands still."""
    rng = np.random.default_rng(0)
    persons = np.repeat(np.arange(100), each)
    x = np.repeat(rng.uniform(0, 10, 100), each)
    (made,) = fit_causes(["x"], "y", x[:, None], 3 * x + np.repeat(rng.normal(0, 0.1, 100), each), persons)
    assert made.slope == pytest.approx(3, rel=0.05)


def test_a_fit_says_that_such_a_slope_is_one_between_rows(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 30, 60)
    schema = Schema(tuple(Feature(n, low=-100, high=100, step=1) for n in ("dose", "level")))
    left = [{"kind": "causes", "features": ["dose", "level"]}]
    one, many = (np.array([f"p{i // n}" for i in range(60)]) for n in (1, 6))
    for persons, said in ((one, True), (many, False)):
        data = Cohort(schema, np.column_stack([x, 2 * x + rng.normal(0, 1, 60)]), x > 15, persons, ("ill", "well"))
        assert with_fitted_relations(schema, left, data).relations[0].slope == pytest.approx(2, rel=0.1)
        assert ("dose -> level: the slope is that between rows" in capsys.readouterr().err) == said


def test_what_a_schema_leaves_open_is_filled_in_and_what_it_states_is_kept() -> None:
    rng = np.random.default_rng(1)
    x = rng.uniform(0, 9, 100)
    columns = {"a": x, "b": 2 * x + rng.normal(0, 0.1, 100)}
    plain = {"features": [Feature(n, low=0, high=30, step=1).to_json() for n in "ab"]}
    open_ = {**plain, "relations": [{"kind": "band", "features": ["b", "a"], "completes": "b"}]}
    made = Schema.from_json(fill_slopes(open_, columns)).relations[0]
    assert made.slope == pytest.approx(2, rel=0.05) and made.completes == "b" and made.tolerance > 0
    stated = {**plain, "relations": [{"kind": "causes", "features": ["a", "b"], "slope": 7}]}
    assert fill_slopes(stated, columns)["relations"] == stated["relations"] and fill_slopes(plain, columns) == plain


def test_too_few_rows_and_columns_that_stand_still_are_named() -> None:
    with pytest.raises(TableError, match="both known in 3 rows"):
        fit_band("a", "b", np.arange(3.0), np.arange(3.0))
    with pytest.raises(TableError, match="does not vary"):
        fit_causes(["a"], "b", np.ones((50, 1)), np.arange(50.0))


def test_a_relation_left_open_is_checked_as_well_as_any_other(tmp_path: Path) -> None:
    parts = [{"name": name, "low": 0, "high": 9, "step": 1} for name in "ab"]
    file = tmp_path / "open.json"
    file.write_text(json.dumps({"features": parts, "relations": [{"kind": "causes", "features": ["a", "z"]}, {"kind": "band"}]}))
    with pytest.raises(SchemaError) as error:
        read_schema(file)
    assert len(error.value.faults) == 2 and "no feature is called 'z'" in str(error.value) and str(file) in str(error.value)
    file.write_text(json.dumps({"features": parts, "relations": [{"kind": "causes", "features": ["a", "b"]}]}))
    assert read_schema(file)[1] == [{"kind": "causes", "features": ["a", "b"]}]


def test_causes_of_one_effect_are_fitted_together_so_that_what_they_share_counts_once() -> None:
    """Steps follow active minutes and vigorous minutes, which go together: each alone would take the other's part as well."""
    rng = np.random.default_rng(0)
    active = rng.uniform(0, 60, 400)
    vigorous = 0.5 * active + rng.uniform(0, 20, 400)
    columns = {"active": active, "vigorous": vigorous, "steps": 50 * active + 150 * vigorous + rng.normal(0, 5, 400)}
    plain = {"features": [Feature(n, low=0, high=20_000, step=10).to_json() for n in columns]}
    open_ = {**plain, "relations": [
        {"kind": "causes", "features": ["active", "steps"], "completes": "steps"}, {"kind": "causes", "features": ["vigorous", "steps"]},
    ]}  # fmt: skip
    made = Schema.from_json(fill_slopes(open_, columns)).relations
    assert [r.slope for r in made] == pytest.approx([50, 150], rel=0.02) and [r.completes for r in made] == ["steps", None]
    stated = {**open_, "relations": [{**open_["relations"][0], "slope": 50}, open_["relations"][1]]}
    assert Schema.from_json(fill_slopes(stated, columns)).relations[1].slope == pytest.approx(150, rel=0.02)
    assert fit_causes(["active"], "steps", active[:, None], columns["steps"])[0].slope > 100
    with pytest.raises(TableError, match="steps does not move with active and again in this table apart"):
        fit_causes(["active", "again"], "steps", np.column_stack([active, active]), columns["steps"])
