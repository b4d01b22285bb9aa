"""What a clinician reads: prediction, what to change and by how much, risk before and after, and what is not claimed."""

from __future__ import annotations

import dataclasses
import re
from decimal import Decimal
from typing import Any

import pytest
from conftest import SCHEMA
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from strategies import numbers
from test_result import explanations
from test_sentences import read

from sensecf_edge.answer.result import Change, Counterfactual, Explanation, Proof, Provenance, Risk, Unknown
from sensecf_edge.answer.risk import RiskScale
from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.report import bundles
from sensecf_edge.report.rendering import DISCLAIMER, by_text, render
from sensecf_edge.report.wording import Wording, realism_text
from sensecf_edge.schema.schema import Schema

TOY = Schema.from_json(SCHEMA)
STEPS, SLEEP = Change("steps", 3000, 9500), Change("deep_sleep", 10.0, 12.5, "%", follows=True)
SCALE = RiskScale(0.0, 1.0, 0.5, "training").at(0.2, "training")
ANSWER = Counterfactual((STEPS, SLEEP, Change("smoker", "yes", "no")), 0.62, 3, 0.1, 53.4, "refined").with_risk(SCALE)
RECORD = {"age": 44, "steps": 3000, "deep_sleep": 10, "smoker": "yes"}
FOUND = Explanation(
    "found", "calm", "stressed", 0.29, 0.5, 0.05, RECORD, (ANSWER,),
    None, {}, (), 0.9, 1, 0.04, Provenance("toy", "3f" * 32, 7, 1, 8, 3, 0.7, 4, (), {}, {}),
    Risk.of(SCALE, (0.29, 0.29, 0.29), 0.5, 0.55), "stressed", "mood",
)  # fmt: skip
MIXED = Schema.from_json({**SCHEMA, "features": [{**f, "role": "marker"} if f["name"] == "deep_sleep" else f for f in SCHEMA["features"]]})


def shown(schema: Schema = TOY, **changes: Any) -> str:
    return render(dataclasses.replace(FOUND, **changes), schema)


def words(text: str) -> str:
    return " ".join(text.split())


def risk(p: float, low: float | None = None, high: float | None = None, scale: RiskScale = SCALE) -> Risk:
    """Of a score, and of the lowest and highest over completions."""
    return Risk.of(scale, (p, p if low is None else low, p if high is None else high), 0.5, 0.55)


def test_an_answer_reads_as_the_prediction_the_change_and_the_risk_before_and_after() -> None:
    lines = [words(line) for line in shown().splitlines()]
    assert lines[0] == "Prediction now: stressed, risk 38 % (average in the training data: 20 %)"
    assert "The model predicts “calm” up to a risk of 20 %; an answer must reach 17 % or less." in words(shown())
    assert "If these were so, the model would put the risk at 13 % rather than 38 %" in lines
    assert "Would have to be Now Instead By" in lines
    assert "Steps a day 3000 9500 +6500" in lines
    assert "Deep sleep * 10 12.5 +2.5 %" in lines
    assert "Smokes yes no" in lines
    assert "* moves along with the others" in lines
    assert "More typical than 53 of 100 real “calm” records." in lines
    assert words(DISCLAIMER) in words(shown())
    assert lines[-1] == "Model toy · bundle 3f3f3f3f3f3f · seed 7 · 0.04 s"


def test_markers_stand_apart_from_levers_and_are_never_something_one_does() -> None:
    lines = [words(line) for line in shown(MIXED).splitlines()]
    assert "If these were and read so, the model would put the risk at 13 % rather than 38 %" in lines
    be, read = lines.index("Would have to be Now Instead By"), lines.index("Would have to read")
    steps, smokes, sleep = (lines.index(row) for row in ("Steps a day 3000 9500 +6500", "Smokes yes no", "Deep sleep * 10 12.5 +2.5 %"))
    assert be < steps < smokes < read < sleep
    only = shown(MIXED, found=(dataclasses.replace(ANSWER, changes=(dataclasses.replace(SLEEP, follows=False),)),))
    assert "If these read so, the model" in only and "Would have to read" in only and "Would have to be" not in only


def test_no_sentence_is_an_order_or_names_a_cause() -> None:
    for schema in (TOY, MIXED):
        said = words(shown(schema, found=(ANSWER, ANSWER), provenance=dataclasses.replace(FOUND.provenance, answers=3))).lower()
        assert not re.search(r"\b(change (this|these|to)|lower your|reduce|raise|goes \d|leads to|is enough|would help)\b", said)
        assert "cause" not in said.replace("it does not show that a change causes it", "")


def test_a_base_rate_says_where_it_is_from() -> None:
    for source, text in (("request", "average, as the request states it: 20 %"), ("schema", "average, as the schema states it: 20 %")):
        assert text in shown(risk=dataclasses.replace(FOUND.risk, base_rate_from=source))
    balanced = words(shown(risk=risk(0.29, scale=RiskScale())))
    assert "risk 71 % (reckoned as if 50 % had it; how many do is not known)" in balanced


def test_several_answers_are_options_and_fewer_than_asked_for_is_said() -> None:
    text = shown(found=(ANSWER, dataclasses.replace(ANSWER, strengths=("most typical",))))
    assert "2 options; each stands by itself." in text and "Option 1: if these were so," in text
    assert "Option 2 (most typical): if these were so," in text and "asked for" not in text
    few = words(shown(found=(ANSWER, ANSWER), provenance=dataclasses.replace(FOUND.provenance, answers=5)))
    assert "2 options; each stands by itself. 2 of the 5 that were asked for were found." in few
    assert "1 of the 5 that were asked for was found." in words(shown(provenance=dataclasses.replace(FOUND.provenance, answers=5)))


def test_no_option_is_said_to_change_the_fewest_features_beside_one_that_changes_as_few() -> None:
    best = dataclasses.replace(ANSWER, strengths=("fewest features", "smallest change"))
    wider = dataclasses.replace(ANSWER, n_changed=4)
    assert "Option 1 (smallest change): if" in shown(found=(best, ANSWER))
    assert "Option 1 (fewest features, smallest change): if" in words(shown(found=(best, wider)))


def test_nothing_refers_to_an_answer_that_is_not_shown() -> None:
    assert "made from" not in shown(found=(dataclasses.replace(ANSWER, given_up=("realism", "distance")),))


def test_steady_counts_draws_and_is_said_only_of_stated_errors() -> None:
    assert "draws" not in shown() and "Steady" not in shown()
    said = {n: words(shown(found=(dataclasses.replace(ANSWER, stability=n / 64, draws=64),))) for n in (64, 58, 50, 12)}
    assert "Steady: it held in 64 of 64 draws with the sensors' stated errors." in said[64]
    assert "Steady: it held in 58 of 64 draws" in said[58] and "Fairly steady: it held in 50 of 64" in said[50] and "Shaky" in said[12]
    assert all("of 100 cases" not in text for text in said.values())


def test_what_other_classifiers_say_is_told_only_where_there_are_some() -> None:
    said = {share: words(shown(found=(dataclasses.replace(ANSWER, agreement=share),))) for share in (None, 0.0, 0.5, 1.0)}
    assert "other model" not in said[None].lower()
    assert "No other model, of those as good as this one, predicts the same for it." in said[0.0]
    assert "Of other models, as good as this one, 50 % predict the same for it." in said[0.5]
    assert "Other models, as good as this one, predict the same for it." in said[1.0]


def test_none_found_names_the_goal_and_counts_the_reasons_most_frequent_first() -> None:
    text = words(shown(status="none", found=(), refusals={"cut": 1, "p(calm) stays under 0.55": 17}, rounds_used=3, rows_asked=1240))
    assert "No answer found that reaches a risk of 17 % or less; the model was asked about 1,240 changed records." in text
    assert text.index("17 x the risk stays over 17 %") < text.index("1 x cut")


def test_where_nothing_may_change_the_reason_stands_alone() -> None:
    text = words(shown(status="none", found=(), rounds_used=0, reason="every value is at the end of its allowed side"))
    assert "No answer: every value is at the end of its allowed side." in text and "proposal" not in text and "To ask again" not in text


def test_a_bound_that_the_record_does_not_keep_is_told_as_it_was_treated() -> None:
    made = dataclasses.replace(FOUND.provenance, bounds={"age": (50.0, 60.0), "steps": (4000.0, 9500.0)})
    text = words(shown(provenance=made))
    assert "Age (44 years) lies outside the range that was asked for, 50 to 60: every answer would have to bring it in." in text
    assert "Steps a day (3000) lies outside" not in text  # the answer moves it in
    already = {"status": "already", "predicted": "calm", "found": (), "risk": risk(0.7)}
    assert "Nothing needs to change" in words(shown(**already))
    text = words(shown(**already, provenance=made))
    assert "50 to 60, and nothing inside it was looked for: the prediction is the wanted one already." in text
    assert "Nothing needs to change" not in text


def test_a_proof_says_what_was_proven_among_which_answers() -> None:
    none = {"status": "none", "found": (), "rounds_used": 1}
    text = words(shown(**none, proof=Proof(3, 0.55, "advice")))
    assert "Proven among the values this model may advise: moving up to 3 features never reaches a risk of 17 % or less." in text
    asked = words(shown(**none, proof=Proof(1, 0.55, "request")))
    assert "may advise, within this request's limits: moving one feature never reaches a risk of 17 % or less." in asked
    assert "Proven" not in shown(**none) and "ruled out" not in text
    wide = dataclasses.replace(FOUND.provenance, search=2_000_000)
    best = words(shown(proof=Proof(2, 0.55), provenance=wide))
    assert "Proven among the values this model may advise: no answer that moves up to 2 features costs less than this one." in best
    assert "Proven" not in shown(proof=Proof(2, 0.55))


def test_after_nothing_was_found_only_what_stands_in_the_way_is_named() -> None:
    made = dataclasses.replace(FOUND.provenance, freeze=("age",), max_changes=1)
    text = words(shown(status="none", found=(), provenance=made))
    assert "To ask again: free a frozen feature, allow more changes or search on with --exact." in text
    assert "To ask again" not in shown(status="none", found=(), proof=Proof(4, 0.55))


def test_already_says_so_and_proposes_nothing() -> None:
    text = shown(status="already", predicted="calm", found=(), p_target=0.8, rounds_used=0, risk=risk(0.8))
    assert text.startswith("Prediction now: calm, as wanted. Nothing needs to change.\nRisk of “stressed”: 6 % (average")
    assert "Instead" not in text


def test_already_within_the_margin_is_only_just() -> None:
    text = words(shown(status="already", predicted="calm", found=(), p_target=0.5004, rounds_used=0, risk=risk(0.5004)))
    assert "as wanted, but only just: an answer would have to reach 17 % or less. Risk of “stressed”: 19.97 %" in text
    assert "up to a risk of 20.00 %" in text and "needs to change" not in text


BLANK = {**RECORD, "deep_sleep": None}


def test_what_hangs_on_unknown_values_says_its_range_and_what_to_measure_first() -> None:
    depends = {"status": "depends", "factual": BLANK, "found": (), "risk": risk(0.4, 0.2, 0.6), "holds_now": 0.4, "completions": 12}
    text = words(shown(**depends, unknown=(Unknown("deep_sleep", 0.8), Unknown("steps", 0.1))))
    assert "Prediction now: it depends on what is unknown. Risk of “stressed”: 14 % to 50 % (average in the training data: 20 %)" in text
    assert "up to a risk of 20 %, as it does in 40 % of the 12 cases tried for what is unknown." in text
    assert "Measure these first: Deep sleep (80 % of the doubt ends with it alone), Steps a day (10 %)." in text
    assert "No answer found that reaches a risk of 17 % or less in 90 % of such cases." in text
    alone = words(shown(**depends, unknown=(Unknown("deep_sleep", 0.999),)))
    assert "Measure these first: Deep sleep (it alone decides)." in alone
    found = words(shown(**{**depends, "found": (ANSWER,)}))
    assert "12 cases tried for what is unknown; an answer must reach 17 % or less in 90 % of such cases." in found


def test_with_unknown_values_an_answer_says_what_it_holds_for() -> None:
    open_ = {"factual": BLANK, "risk": risk(0.29, 0.2, 0.4), "holds_now": 0.0, "completions": 12}
    text = words(shown(**open_, found=(dataclasses.replace(ANSWER, holds=0.95).with_risk(SCALE, 0.52, 0.7),)))
    assert "risk 38 % (27 % to 50 % depending on what is unknown; average in the training data: 20 %)" in text
    assert "It holds in 95 % of the 12 cases tried for what is unknown: a risk of 10 % to 19 %." in text
    assert "as it does in none of the 12 cases tried for what is unknown; an answer must reach 17 % or less in 90 % of such" in text
    whole = words(shown(**open_, found=(dataclasses.replace(ANSWER, holds=1.0).with_risk(SCALE, 0.62, 0.62),)))
    assert "It holds in all of the 12 cases tried for what is unknown." in whole
    one = words(shown(**{**open_, "completions": 1}, found=(dataclasses.replace(ANSWER, holds=1.0).with_risk(SCALE, 0.62, 0.62),)))
    assert "as it does in none of the cases tried for what" in one and "It holds in the one case tried for what is unknown." in one


def test_the_records_own_percentile_stands_beside_the_answers() -> None:
    assert "More typical than 53 of 100 real “calm” records; the record as it is: 8 of 100." in words(shown(realism=8.4))
    assert "the record as it is: under 1 of 100" in words(shown(realism=0.2))


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


@pytest.mark.parametrize(
    ("before", "after", "text"), [(0.1, 0.3, "+0.2 %"), (165, 140, "−25 %"), (1e5, 1e5 + 0.1, "+0.1 %"), ("a", "b", ""), (None, 3, "")]
)
def test_a_change_is_signed_and_exact(before: Any, after: Any, text: str) -> None:
    assert by_text(Change("x", before, after, "%"))[2] == text


def test_values_read_with_the_digits_of_their_feature() -> None:
    changes = (Change("steps", 182907.66666666666, 190000), Change("deep_sleep", 0.0042, 0.0039, "%", follows=True))
    text = words(shown(found=(dataclasses.replace(ANSWER, changes=changes),)))
    assert "Steps a day 182908 190000 +7092" in text and "Deep sleep * 0.0042 0.0039 −0.0003 %" in text


@pytest.mark.parametrize(
    ("at", "word"), [(0.2, "Very unusual:"), (5, "Unusual:"), (29, "Less common:"), (64, "More typical"), (100, "More")]
)
def test_realism_has_a_word_and_is_never_certain(at: float, word: str) -> None:
    text = realism_text(at, "calm")
    assert text.startswith(word) and "100 of 100" not in text


@settings(max_examples=40, deadline=None)
@given(explanations(), st.integers(40, 100))
def test_any_explanation_fits_its_width_and_holds_no_control_character(explanation: Explanation, width: int) -> None:
    text = render(explanation, TOY, width=width)
    assert all(c.isprintable() for c in text.replace("\n", "")) and text.endswith("\n")
    narrow = render(explanation, TOY, width=width, unicode=False)
    assert narrow.isascii()
    assert max(map(cell_len, text.splitlines())) <= width


@settings(max_examples=150, deadline=None)
@given(explanations())
def test_with_an_unknown_value_nothing_is_ever_said_to_need_no_change(explanation: Explanation) -> None:
    said = words(render(explanation, TOY, width=200)).lower()
    if any(value is None for value in explanation.factual.values()):
        assert "nothing needs to change" not in said
    assert "100 of 100" not in said and not re.search(r"(?<![\d.])(0|100) %", said)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_values_of_any_lattice_read_exactly_as_they_are(data: st.DataObject) -> None:
    feature = data.draw(numbers("x"))
    before, after = data.draw(st.lists(st.sampled_from(list(feature.lattice)), min_size=2, max_size=2, unique=True))
    first, second, by = by_text(Change("x", float(before), float(after)), feature)
    assert (first, second) == (feature.text(before), feature.text(after))
    assert Decimal(by.replace("−", "-")) == Decimal(second) - Decimal(first)


@settings(max_examples=150, deadline=None)
@given(explanations())
def test_no_risk_reads_as_if_it_lay_on_the_other_side_of_the_threshold(explanation: Explanation) -> None:
    say, told = Wording(explanation, TOY), explanation.risk
    for share in [told.now, told.low, told.high, told.goal, *(a.risk for a in explanation.found if a.risk is not None)]:
        assert (read(say.risk(share)) > read(say.risk(told.threshold))) == (share > told.threshold)
        assert (read(say.risk(share)) == read(say.risk(told.threshold))) == (share == told.threshold)


def test_colour_only_where_it_is_asked_for_and_the_same_words_with_it() -> None:
    import re

    colored = render(FOUND, TOY, color=True)
    assert "\x1b[" in colored and "\x1b" not in shown()
    assert words(re.sub(r"\x1b\[[0-9;]*m", "", colored)) == words(shown())


def test_a_bundles_words_cannot_steer_the_terminal() -> None:
    text = shown(target="ca\x1b[2Jlm", unwanted="[red]st\x07", warnings=("a\x1b]0;x\x07",))
    assert "\x1b" not in text and "\x07" not in text and "[red]st?" in text


def test_the_overview_names_each_model_and_survives_a_damaged_one(toy: Any, toy_copy: Any) -> None:
    (toy_copy / "manifest.json").write_text("{")
    text = words(bundles.overview([("toy", toy), ("broken", toy_copy)]))
    assert "toy Toy model (stressed → calm) 0.63 weak 0.1 MB CC0" in text and "damaged: manifest.json is not JSON" in text
    assert "No models are shipped" in bundles.overview([])


def test_a_models_page_says_what_it_is_needs_and_is_not_for(toy: Any) -> None:
    text = words(bundles.page(Bundle.open(toy)))
    for part in ("stressed → calm", "AUC 0.63 weak", "Anything but tests.", "made up, CC0", "first try is an answer for 50.0 % of 8",
                 "deep_sleep Deep sleep 0 to 40 % yes; may be unknown", "age Age 18 to 90 years no"):  # fmt: skip
        assert part in text


def test_pages_of_shipped_models_fit_eighty_columns(shipped: str) -> None:
    assert max(map(len, bundles.page(Bundle.open(shipped)).splitlines())) <= 80
    assert shipped in bundles.overview(Bundle.available())
