"""Risks are fitted on held-out scores and measured on unseen rows, at the share that each class has."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sensecf_convert.classifier import calibration

from sensecf_edge.answer.risk import RiskScale


def drawn(rows: int, seed: int = 0, slope: float = 1.3, intercept: float = -2.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Balanced scores of the wanted class, who is wanted, and each row's true risk."""
    random = np.random.default_rng(seed)
    odds = random.normal(size=rows)
    risk = expit(intercept + slope * odds)
    return expit(-odds), random.random(rows) >= risk, risk


def scale(p: np.ndarray, y: np.ndarray) -> RiskScale:
    made = calibration.fitted(p, y, 1 - float(y.mean()))
    return RiskScale(made["intercept"], made["slope"], made["base_rate"], "training")


def test_the_scale_that_made_the_outcomes_is_found_again() -> None:
    """40,000 rows: the slope's standard error is about .02, the intercept's about .02; five of them."""
    p, y, risk = drawn(40_000)
    made = scale(p, y)
    assert (made.intercept, made.slope) == (pytest.approx(-2.0, abs=0.1), pytest.approx(1.3, abs=0.1))
    told = np.array([made.risk(float(q)) for q in p[:500]])
    assert np.abs(told - risk[:500]).max() < 0.02
    assert np.mean([made.risk(float(q)) for q in p]) == pytest.approx(1 - y.mean(), abs=1e-6)


def test_what_was_told_right_is_measured_as_right_and_what_was_not_is_not() -> None:
    p, y, _ = drawn(40_000, seed=1)
    right = calibration.measured(scale(*drawn(40_000)[:2]), p, y, 0.5)
    assert right.slope == pytest.approx(1, abs=0.1) and right.intercept == pytest.approx(0, abs=0.1)
    assert all(abs(b["told"] - b["seen"]) < 0.03 for b in right.curve) and sum(b["rows"] for b in right.curve) == right.rows == 40_000
    assert right.brier < right.brier_base_rate
    balanced = calibration.measured(RiskScale(), p, y, 0.5)  # what a score would say if it were called a risk
    assert balanced.intercept < -1.5 and balanced.brier > right.brier
    steep = calibration.measured(RiskScale(-2.0, 2.6, right.base_rate), p, y, 0.5)
    assert steep.slope == pytest.approx(0.5, abs=0.05)


def test_whom_the_model_predicts_unwanted_is_split_by_what_is_recorded() -> None:
    p, y = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.9]), np.array([False, True, True, False, False, True])
    made = calibration.measured(RiskScale(), p, y, 0.5)
    assert (made.predicted, made.recorded, made.ppv) == (4, 2, 0.5)
    assert made.sensitivity == pytest.approx(2 / 3) and made.specificity == pytest.approx(1 / 3)
    words = dict(calibration.rows(calibration.rounded(dataclasses.asdict(made)), "ill", "well"))
    assert words["rows predicted ill, by what is recorded"] == "4: 2 ill, 2 well"
    assert words["of those predicted ill, so many are (PPV)"] == "50.0 %"


@settings(max_examples=40, deadline=None)
@given(st.integers(4, 60), st.integers(0, 2**32 - 1), st.sampled_from(["good", "useless", "turned", "perfect", "one value"]))
def test_any_scores_become_a_scale_that_keeps_their_order_and_plain_figures(rows: int, seed: int, kind: str) -> None:
    random = np.random.default_rng(seed)
    y = np.r_[True, False, random.random(rows - 2) < 0.7]
    made = {"good": np.where(y, 0.7, 0.4) + random.uniform(-0.2, 0.2, rows), "useless": random.random(rows),
            "turned": np.where(y, 0.3, 0.6), "perfect": y.astype(float), "one value": np.full(rows, 0.4)}[kind]  # fmt: skip
    found = scale(made, y)
    assert found.slope >= calibration.FLATTEST and np.isfinite(found.intercept) and found.risk(0.2) > found.risk(0.8)
    figures = calibration.rounded(dataclasses.asdict(calibration.measured(found, made, y, 0.5)))
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures and calibration.rows(figures, "ill", "well")


def test_useless_scores_tell_everybody_nearly_the_base_rate() -> None:
    p, y = np.random.default_rng(0).uniform(0.05, 0.95, 4000), np.arange(4000) % 10 > 0
    made = scale(p, y)
    assert abs(made.risk(0.1) - 0.1) < 0.03 and abs(made.risk(0.9) - 0.1) < 0.03


def test_rows_left_out_of_the_folds_do_not_move_the_base_rate() -> None:
    """The scale is fitted at the share of the rows at hand, and told at that of all training rows."""
    p, y, _ = drawn(20_000)
    made, half = calibration.fitted(p, y, 0.3), calibration.fitted(p, y, 1 - float(y.mean()))
    assert made["base_rate"] == 0.3 and made["slope"] == half["slope"]
    assert made["intercept"] - half["intercept"] == pytest.approx(logit(0.3) - logit(1 - y.mean()))


@pytest.mark.parametrize("value", [0.82847, 0.82851, 0.5004999, 0.7])
def test_a_figure_that_a_manifest_keeps_is_shown_as_the_figure_itself_would_be(value: float) -> None:
    """0.82847 is 0.828, and 0.829 only by way of 0.8285."""
    assert f"{calibration.rounded({'auc': [value]})['auc'][0]:.3f}" == f"{value:.3f}"
