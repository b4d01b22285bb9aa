"""Risk is the classifier's score told as a probability at a stated base rate: monotone, invertible, shifted exactly as Bayes says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import toy_manifest
from hypothesis import assume, given
from hypothesis import strategies as st

from sensecf_edge.answer.risk import Risk, RiskScale, inverse_logit, logit
from sensecf_edge.bundle.bundle import Bundle, write_manifest
from sensecf_edge.bundle.manifest import Manifest
from sensecf_edge.bundle.risk_scale import scale_of
from sensecf_edge.errors import BundleError, ConstraintError

shares = st.floats(0.001, 0.999)
scales = st.builds(RiskScale, st.floats(-4, 4), st.floats(0.2, 3), shares, st.just("training"))


@given(scales, shares, shares)
def test_a_higher_score_is_a_lower_risk_and_a_risk_leads_back_to_its_score(scale: RiskScale, p: float, q: float) -> None:
    assume(abs(p - q) > 1e-9)
    assert (p < q) == (scale.risk(p) > scale.risk(q))
    assert scale.score(scale.risk(p)) == pytest.approx(p, abs=1e-9)
    assert 0 <= scale.risk(1.0) < scale.risk(0.0) <= 1


@given(scales, st.floats(0.05, 0.9), st.floats(0.001, 0.09), st.floats(0, 1))
def test_a_part_of_the_way_to_the_goal_is_told_as_its_score_is(scale: RiskScale, threshold: float, margin: float, share: float) -> None:
    risk = Risk.of(scale, (threshold,) * 3, threshold, threshold + margin)
    assert risk.between(share, threshold, margin) == pytest.approx(scale.risk(threshold + share * margin), rel=1e-6)
    assert risk.between(share, threshold, 0.0) == risk.threshold


@given(scales, shares, shares)
def test_another_base_rate_is_bayes_rule(scale: RiskScale, p: float, rate: float) -> None:
    """With prior odds o the posterior odds are o times the likelihood ratio, whatever o is."""
    before, moved = scale.risk(p), scale.at(rate, "request")
    ratio = before / (1 - before) / (scale.base_rate / (1 - scale.base_rate))
    weighed = rate * ratio / (rate * ratio + 1 - rate)
    assert moved.risk(p) == pytest.approx(weighed, rel=1e-9) and (moved.base_rate, moved.source) == (rate, "request")
    back = moved.at(scale.base_rate, "training")
    assert back.risk(p) == pytest.approx(before, rel=1e-9)


@given(scales, shares, shares, shares)
def test_where_a_base_rate_came_through_does_not_matter(scale: RiskScale, p: float, first: float, last: float) -> None:
    assert scale.at(first, "schema").at(last, "request").risk(p) == pytest.approx(scale.at(last, "request").risk(p), rel=1e-9)


@given(shares, shares)
def test_a_balanced_score_at_the_training_share_is_the_share_of_the_unwanted_among_equal_scores(p: float, wanted: float) -> None:
    """A classifier that weighs both classes alike says p; among people of whom `wanted` are wanted, this many of that score are not."""
    scale = scale_of(manifest(wanted_share=wanted, class_weights="both classes alike"))
    counted = (1 - p) * (1 - wanted) / ((1 - p) * (1 - wanted) + p * wanted)
    assert scale.risk(p) == pytest.approx(counted, rel=1e-9) and scale.risk(0.5) == pytest.approx(1 - wanted)


def manifest(**classifier: Any) -> Manifest:
    made = toy_manifest()
    files = {name: {"sha256": "0" * 64, "bytes": 1} for name in ("schema.json", "classifier.onnx", "generator.gguf", "reference.json",
                                                                 "realism.onnx", "samples.json", "density.json", "CARD.md")}  # fmt: skip
    made["classifier"] |= classifier
    return Manifest.from_json({"format": 1, "files": files, "schema_hash": "0", "features": ["a"], **made})


def test_a_bundle_without_a_measured_scale_falls_back_on_what_it_says_of_its_classes() -> None:
    assert scale_of(manifest(wanted_share=0.8)).risk(0.5) == pytest.approx(0.2)
    own = scale_of(manifest(wanted_share=0.8, class_weights="as brought"))
    assert own.risk(0.3) == pytest.approx(0.7) and own.base_rate == pytest.approx(0.2)  # taken at its word
    assert scale_of(manifest()) == RiskScale(0.0, 1.0, 0.5, "balanced")


def test_the_request_is_stronger_than_the_schema_and_the_schema_than_the_training_people() -> None:
    made = manifest(wanted_share=0.8)
    assert [scale_of(made, *given).base_rate for given in ((), (0.3,), (0.3, 0.1), (None, 0.1))] == pytest.approx([0.2, 0.3, 0.1, 0.1])
    assert [scale_of(made, *given).source for given in ((), (0.3,), (0.3, 0.1))] == ["training", "schema", "request"]


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, 14, float("nan"), float("inf")])
def test_a_base_rate_that_is_no_share_is_refused_with_the_way_to_write_it(rate: float) -> None:
    with pytest.raises(ConstraintError, match="between 0 and 1"):
        RiskScale().at(rate, "request")


def test_a_measured_scale_is_read_from_the_manifest(toy_copy: Path) -> None:
    write_manifest(toy_copy, {**toy_manifest(), "risk": {"intercept": -1.5, "slope": 0.8, "base_rate": 0.2}})
    scale = scale_of(Bundle.open(toy_copy).manifest)
    assert scale == RiskScale(-1.5, 0.8, 0.2, "training")


@pytest.mark.parametrize("wrong", [{"slope": 0}, {"slope": -1}, {"base_rate": 1}, {"base_rate": 14}, {"intercept": "low"}, {"slope": None}])
def test_a_scale_that_would_turn_risks_round_is_no_manifest(toy_copy: Path, wrong: dict[str, Any]) -> None:
    path = toy_copy / "manifest.json"
    made = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**made, "risk": {"intercept": -1.5, "slope": 0.8, "base_rate": 0.2, **wrong}}), encoding="utf-8")
    with pytest.raises(BundleError, match=f"risk.{next(iter(wrong))}"):
        Bundle.open(toy_copy)


@pytest.mark.parametrize("rate", ["0.1", [0.1], True, 10**400])
def test_a_base_rate_that_is_no_number_is_refused(rate: Any) -> None:
    with pytest.raises(ConstraintError, match="the base rate must be a number"):
        RiskScale().at(rate, "request")


@given(st.floats(0, 1))
def test_log_odds_lead_back_even_at_the_ends(share: float) -> None:
    assert inverse_logit(logit(share)) == pytest.approx(share, abs=1e-12)
