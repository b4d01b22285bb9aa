"""What a clinician reads: prediction, what to change and by how much, risk before and after, and what is not claimed."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from conftest import SCHEMA
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from test_result import explanations

from sensecf_edge import pages
from sensecf_edge.bundle import Bundle
from sensecf_edge.report import DISCLAIMER, by_text, realism_text, render, risk_text
from sensecf_edge.result import Change, Counterfactual, Explanation, Provenance, Risk
from sensecf_edge.risk import RiskScale
from sensecf_edge.schema import Schema

TOY = Schema.from_json(SCHEMA)
STEPS, SLEEP = Change("steps", 3000, 9500), Change("deep_sleep", 10.0, 12.5, "%", follows=True)
ANSWER = Counterfactual((STEPS, SLEEP, Change("smoker", "yes", "no")), 0.62, 3, 0.1, 53.4, "refined")
FOUND = Explanation(
    "found", "calm", "stressed", 0.29, 0.5, 0.05, {"age": 44, "steps": 3000, "deep_sleep": 10, "smoker": "yes"}, (ANSWER,),
    None, {}, (), 0.9, 1, 0.04, Provenance("toy", "3f" * 32, 7, 1, 8, 3, 0.7, 4, (), {}, {}),
    Risk.of(RiskScale(), (0.29, 0.29, 0.29), 0.5, 0.55), "stressed", "mood",
)  # fmt: skip


def shown(**changes: Any) -> str:
    return render(dataclasses.replace(FOUND, **changes), TOY)


def words(text: str) -> str:
    return " ".join(text.split())


def test_an_answer_reads_as_the_prediction_the_change_and_the_risk_before_and_after() -> None:
    lines = [words(line) for line in shown().splitlines()]
    assert lines[0] == "Prediction now: stressed, risk 71%"
    assert "Change this, and the risk goes 71% → 38%" in lines
    assert "What Now Change to By" in lines
    assert "Steps a day 3000 9500 +6500" in lines
    assert "Deep sleep * 10 12.5 +2.5 %" in lines
    assert "Smokes yes no" in lines
    assert "* moves along with the others" in lines
    assert "Ordinary: more typical than 53 of 100 real “calm” records." in lines
    assert words(DISCLAIMER) in words(shown())
    assert lines[-1] == "Model toy · bundle 3f3f3f3f3f3f · seed 7 · 0.04 s"


def test_several_answers_are_options_of_which_one_is_enough() -> None:
    text = shown(found=(ANSWER, ANSWER))
    assert "Any one of these 2 options is enough." in text and "Option 2: change this" in text


def test_what_other_classifiers_say_is_told_only_where_there_are_some() -> None:
    said = {share: words(shown(found=(dataclasses.replace(ANSWER, agreement=share),))) for share in (None, 0.0, 0.5, 1.0)}
    assert "other model" not in said[None].lower()
    assert "No other model, of those as good as this one, predicts the same for it: rest nothing on it." in said[0.0]
    assert "Of other models, as good as this one, 50% predict the same for it." in said[0.5]
    assert "Other models, as good as this one, predict the same for it." in said[1.0]


def test_none_found_says_so_and_counts_the_reasons_most_frequent_first() -> None:
    text = shown(status="none", found=(), refusals={"cut": 1, "p(calm) stays under 0.55": 17}, rounds_used=3)
    assert "No answer found: none of 24 proposals in 3 rounds held." in text
    assert text.index("17 x  p(calm) stays under 0.55") < text.index("1 x  cut")


def test_already_says_so_and_proposes_nothing() -> None:
    text = shown(status="already", predicted="calm", found=(), p_target=0.8, rounds_used=0)
    assert text.startswith("Prediction now: calm, as wanted. Nothing needs to change.\nRisk of “not calm”: 20%")
    assert "Change" not in text


@pytest.mark.parametrize(("auc", "said"), [(0.63, "poorly (AUC 0.63 on unseen people"), (None, "Nobody has measured")])
@pytest.mark.parametrize("status", ["found", "none", "already"])
def test_a_weak_or_unmeasured_classifier_is_said_in_every_answer_once(auc: float | None, said: str, status: str) -> None:
    found = FOUND.found if status == "found" else ()
    assert said in words(shown(auc=auc, status=status, found=found))
    warned = shown(auc=auc, status=status, found=found, warnings=("poor (AUC 0.63)",))
    assert warned.count("AUC") == 1
    assert "AUC" not in shown(auc=0.7, status=status, found=found)


def test_warnings_and_unknown_values_are_told() -> None:
    text = words(shown(warnings=("steps is outside",), factual={"age": 44, "deep_sleep": None}))
    assert "! steps is outside" in text and "Not in the record and left unknown: Deep sleep." in text


@pytest.mark.parametrize(("p", "text"), [(0.29, "71%"), (0.0, "100%"), (0.001, "over 99%"), (1.0, "0%"), (0.999, "under 1%"), (0.5, "50%")])
def test_risk_is_never_rounded_to_certainty(p: float, text: str) -> None:
    assert risk_text(p) == text


@pytest.mark.parametrize(
    ("before", "after", "text"), [(0.1, 0.3, "+0.2 %"), (165, 140, "−25 %"), (1e5, 1e5 + 0.1, "+0.1 %"), ("a", "b", ""), (None, 3, "")]
)
def test_a_change_is_signed_and_exact(before: Any, after: Any, text: str) -> None:
    assert by_text(Change("x", before, after, "%")) == text


@pytest.mark.parametrize(("at", "word"), [(0.2, "Very unusual"), (5, "Unusual"), (29, "Less common"), (64, "Ordinary"), (100, "Ordinary")])
def test_realism_has_a_word(at: float, word: str) -> None:
    assert realism_text(at, "calm").startswith(word + ":")


@settings(max_examples=40, deadline=None)
@given(explanations(), st.integers(40, 100))
def test_any_explanation_fits_its_width_and_holds_no_control_character(explanation: Explanation, width: int) -> None:
    text = render(explanation, TOY, width=width)
    assert all(c.isprintable() for c in text.replace("\n", "")) and text.endswith("\n")
    narrow = render(explanation, TOY, width=width, unicode=False)
    assert narrow.isascii()
    assert max(map(cell_len, text.splitlines())) <= width


def test_colour_only_where_it_is_asked_for_and_the_same_words_with_it() -> None:
    import re

    colored = render(FOUND, TOY, color=True)
    assert "\x1b[" in colored and "\x1b" not in shown()
    assert words(re.sub(r"\x1b\[[0-9;]*m", "", colored)) == words(shown())


def test_a_bundles_words_cannot_steer_the_terminal() -> None:
    text = shown(target="ca\x1b[2Jlm", predicted="[red]st\x07", warnings=("a\x1b]0;x\x07",))
    assert "\x1b" not in text and "\x07" not in text and "[red]st?" in text


def test_the_overview_names_each_model_and_survives_a_damaged_one(toy: Any, toy_copy: Any) -> None:
    (toy_copy / "manifest.json").write_text("{")
    text = words(pages.overview([("toy", toy), ("broken", toy_copy)]))
    assert "toy Toy model (stressed → calm) 0.63 weak 0.1 MB CC0" in text and "damaged: manifest.json is not JSON" in text
    assert "No models are shipped" in pages.overview([])


def test_a_models_page_says_what_it_is_needs_and_is_not_for(toy: Any) -> None:
    text = words(pages.page(Bundle.open(toy)))
    for part in ("stressed → calm", "AUC 0.63 weak", "Anything but tests.", "made up, CC0", "first try valid 50.0 % of 8",
                 "deep_sleep Deep sleep 0 to 40 % yes; may be unknown", "age Age 18 to 90 years no"):  # fmt: skip
        assert part in text


def test_pages_of_shipped_models_fit_eighty_columns(shipped: str) -> None:
    assert max(map(len, pages.page(Bundle.open(shipped)).splitlines())) <= 80
    assert shipped in pages.overview(Bundle.available())
