"""explain() over a scripted engine: what is found, what is refused and why, and what is kept apart."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import jsonschema
import numpy as np
import pytest
from conftest import CALM, SCHEMA, STRESSED, toy_classifier, toy_manifest
from test_refine import Slope
from test_result import SHAPE

from sensecf_edge.answer.result import Explanation
from sensecf_edge.budget import Budget
from sensecf_edge.bundle.bundle import Bundle, write_manifest
from sensecf_edge.bundle.manifest import Target
from sensecf_edge.errors import ConstraintError, EngineError, RecordError
from sensecf_edge.explain import Explainer
from sensecf_edge.judge.classifier import OnnxChecker
from sensecf_edge.propose.engine import Unanswered
from sensecf_edge.propose.reply import CUT
from sensecf_edge.schema.feature import Feature
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.relation import Relation
from sensecf_edge.schema.schema import Schema
from sensecf_edge.settings import LOOP, UNKNOWN
from sensecf_edge.space.constraints import Constraints
from sensecf_edge.testing import ScriptedEngine

GOOD, ALSO, OTHER = '{"steps":16000,"deep_sleep":30}', '{"steps":15000,"smoker":"no"}', '{"deep_sleep":40}'
MISS, NEAR = '{"steps":4000}', '{"deep_sleep":25}'
STUCK = Constraints(frozenset({"smoker", "deep_sleep"}), {"steps": (3000, 5000)})
LOW = "p(calm) stays under 0.55"


@pytest.fixture(scope="module")
def bundle(toy: Path) -> Bundle:
    return Bundle.open(toy)


def explainer(bundle: Bundle, *script: Sequence[str] | Unanswered, auc: float | None = 0.63) -> Explainer:
    manifest = dataclasses.replace(bundle.manifest, classifier=dataclasses.replace(bundle.manifest.classifier, auc=auc))
    checker = OnnxChecker(bundle.classifier_bytes(), 4, 1)
    return Explainer(dataclasses.replace(bundle, manifest=manifest), ScriptedEngine(script), checker, bundle.density)


def history(made: Explainer) -> list[Any]:
    assert isinstance(made.engine, ScriptedEngine)
    return made.engine.history


def proven(explanation: Explanation) -> Explanation:
    """Valid JSON, and every answer judged again by a checker of its own; returns what it was given."""
    jsonschema.Draft202012Validator(SHAPE).validate(explanation.to_json())
    again = OnnxChecker(toy_classifier(), 4, 1)
    for answer in explanation.found:
        values = {**explanation.factual, **{c.feature: c.after for c in answer.changes}}
        p = again.p_target(Record.from_mapping(Schema.from_json(SCHEMA), values).vector[None])[0]
        assert p == pytest.approx(answer.p_target, abs=1e-6) and p >= 0.55
    return explanation


def test_a_checked_answer_is_found(bundle: Bundle) -> None:
    made = proven(explainer(bundle, [GOOD]).explain(STRESSED))
    assert (made.status, made.predicted, made.target, made.rounds_used, len(made.found)) == ("found", "stressed", "calm", 1, 1)
    assert made.p_target < 0.5 and made.threshold == 0.5 and made.margin == LOOP.margin
    assert dict(made.factual) == STRESSED


def test_a_record_in_the_wanted_class_is_left_alone_and_the_engine_is_not_asked(bundle: Bundle) -> None:
    one = explainer(bundle)
    made = proven(one.explain(CALM))
    assert (made.status, made.found, made.first_try, made.rounds_used, dict(made.refusals)) == ("already", (), None, 0, {})
    assert made.predicted == "calm" and history(one) == []


def test_finding_none_is_an_answer_with_every_reason_counted_over_all_rounds(bundle: Bundle) -> None:
    script = [MISS, '{"steps":4500', "maybe }", '{"stepps":1}', '{"age":30}', '{"steps":3250}', '{"steps":3000}', '{"smoker":null}']
    made = proven(explainer(bundle, script, [MISS], ['{"steps":5000}']).explain(STRESSED, constraints=STUCK))
    assert (made.status, made.found, made.rounds_used) == ("none", (), 2)
    assert dict(made.refusals) == {
        LOW: 1,  # the same proposal in a later round is the same refusal, and a round that gains nothing is the last
        CUT: 1,
        "the answer is not a JSON object of values the schema allows": 1,
        "the answer names a feature that the schema does not have": 1,
        "the answer sets a feature to null": 1,
        "age may not change": 1,
        "steps is off its admissible values": 1,
        "nothing changes": 1,
    }


def test_a_proposal_that_breaks_no_rule_and_reaches_the_goal_is_no_refusal(bundle: Bundle) -> None:
    assert dict(explainer(bundle, [GOOD, MISS]).explain(STRESSED).refusals) == {LOW: 1}


def test_rounds_go_on_until_enough_different_answers_are_found_and_sample_hotter(bundle: Bundle) -> None:
    stuck = Constraints(frozenset({"smoker"}))
    one = explainer(bundle, *[[MISS]] * 3)
    made = one.explain(STRESSED, n=9, constraints=stuck, rounds=3, seed=5)
    assert made.rounds_used == 3
    heats, seeds = [r.temperature for r in history(one)], [r.seed for r in history(one)]
    assert heats == [LOOP.temperature + k * LOOP.temperature_step for k in range(3)] and len(set(seeds)) == 3 and seeds[0] == 5
    assert [r.greedy_first for r in history(one)] == [True, False, False]
    assert explainer(bundle, [GOOD, OTHER]).explain(STRESSED, n=2).rounds_used == 1


def test_several_answers_change_different_features_and_the_best_comes_first(bundle: Bundle) -> None:
    made = proven(explainer(bundle, [GOOD, ALSO, OTHER], [GOOD], [GOOD]).explain(STRESSED, n=3))
    kinds = [frozenset(c.feature for c in answer.changes) for answer in made.found]
    assert len(made.found) == len(set(kinds)) >= 2
    assert {s for answer in made.found for s in answer.strengths} == {"fewest features", "smallest change", "most typical"}
    fewest = next(answer for answer in made.found if "fewest features" in answer.strengths)
    assert fewest.n_changed == min(answer.n_changed for answer in made.found)


def test_the_first_try_is_told_untouched_and_apart_from_what_the_loop_made_of_it(bundle: Bundle) -> None:
    made = proven(explainer(bundle, ['{"steps":16000,"deep_sleep":40,"smoker":"no"}']).explain(STRESSED, search=0))
    assert made.first_try is not None and made.first_try.valid and made.first_try.usable
    assert [(c.feature, c.after) for c in made.first_try.changes] == [("steps", 16000), ("deep_sleep", 40), ("smoker", "no")]
    assert made.found[0].origin == "refined" and made.found[0].n_changed < 3


@pytest.mark.parametrize(
    ("greedy", "valid", "asked"),
    [(MISS, False, True), ('{"age":20}', False, False), ("no", False, False), ('{"steps":3000}', False, False), (GOOD, True, True)],
)
def test_the_first_try_is_the_greedy_proposal_even_where_another_is_better(bundle: Bundle, greedy: str, valid: bool, asked: bool) -> None:
    made = proven(explainer(bundle, [greedy, ALSO, GOOD]).explain(STRESSED))
    assert made.status == "found" and made.first_try is not None
    assert (made.first_try.valid, made.first_try.p_target is not None) == (valid, asked)


def test_the_first_try_is_found_where_other_proposals_repeat_it(bundle: Bundle) -> None:
    for script in ([MISS, MISS, GOOD], [MISS, GOOD, MISS], [MISS, '{ "steps": 4e3 }', GOOD]):
        made = explainer(bundle, script).explain(STRESSED)
        assert made.first_try is not None and [(c.feature, c.after) for c in made.first_try.changes] == [("steps", 4000)]


def test_a_later_round_leaves_the_first_try_as_it_was(bundle: Bundle) -> None:
    made = explainer(bundle, ['{"age":20}'], [GOOD]).explain(STRESSED, n=9, search=0, rounds=2)
    assert made.status == "found" and made.rounds_used == 2
    assert made.first_try is not None and not made.first_try.valid and made.found[0].origin != "first try"


def test_an_answer_says_where_it_came_from(bundle: Bundle) -> None:
    least = proven(explainer(bundle, [GOOD]).explain(STRESSED)).found[0]
    text = json.dumps({c.feature: c.after for c in least.changes})
    assert explainer(bundle, [text]).explain(STRESSED).found[0].origin == "first try"
    assert explainer(bundle, [MISS, text]).explain(STRESSED, n=1).found[0].origin in ("proposal", "refined")
    assert explainer(bundle, ['{"age":20}', text]).explain(STRESSED).found[0].origin == "proposal"
    assert explainer(bundle, ["unreadable", text]).explain(STRESSED).found[0].origin == "proposal"


def test_a_near_miss_is_repaired(bundle: Bundle) -> None:
    made = proven(explainer(bundle, [NEAR]).explain(STRESSED, search=0))
    assert made.status == "found" and made.found[0].origin == "refined" and made.refusals == {LOW: 1}


def test_freezes_bounds_and_the_number_of_changes_are_kept_whatever_is_proposed(bundle: Bundle) -> None:
    limits = Constraints(frozenset({"smoker"}), {"steps": (0, 9000)}, 2)
    made = proven(explainer(bundle, [GOOD, ALSO, NEAR, '{"steps":9000,"deep_sleep":40}'], [], []).explain(STRESSED, 5, limits))
    assert made.found
    for answer in made.found:
        after = {c.feature: c.after for c in answer.changes}
        assert "smoker" not in after and float(after.get("steps", 0) or 0) <= 9000 and len(after) <= 2
    assert "smoker may not change" in made.refusals


def test_unknown_values_stay_unknown(bundle: Bundle) -> None:
    values = {k: v for k, v in STRESSED.items() if k != "deep_sleep"}
    one = explainer(bundle, [GOOD, ALSO])
    made = one.explain(values)
    jsonschema.Draft202012Validator(SHAPE).validate(made.to_json())
    assert made.found and all(answer.holds >= UNKNOWN.share for answer in made.found)
    assert "deep_sleep=?;" in history(one)[0].prompt and made.factual["deep_sleep"] is None
    assert all(c.feature != "deep_sleep" for answer in made.found for c in answer.changes)
    assert made.refusals["the answer changes a value that is unknown"] == 1


@pytest.mark.parametrize(("auc", "warned"), [(0.63, True), (0.6999, True), (0.7, False), (None, False)])
def test_a_weak_classifier_is_told_in_every_answer(bundle: Bundle, auc: float | None, warned: bool) -> None:
    outcomes = [
        explainer(bundle, [GOOD], auc=auc).explain(STRESSED),
        explainer(bundle, auc=auc).explain(CALM),
        explainer(bundle, [MISS], auc=auc).explain(STRESSED, constraints=STUCK, rounds=1),
    ]
    assert [o.status for o in outcomes] == ["found", "already", "none"]
    for made in outcomes:
        assert made.auc == auc and any("poorly" in w and "AUC 0." in w for w in made.warnings) == warned


def test_a_value_outside_the_reference_range_is_warned_of(bundle: Bundle) -> None:
    made = explainer(bundle, [GOOD]).explain({**STRESSED, "steps": 500})
    assert any(w.startswith("Steps a day is outside the range seen in training") for w in made.warnings)


def test_a_fault_of_the_engine_is_an_answer_with_its_reason(bundle: Bundle) -> None:
    made = proven(explainer(bundle, *[Unanswered("the prompt is too long")] * 3).explain(STRESSED, constraints=STUCK))
    assert (made.status, dict(made.refusals)) == ("none", {"the prompt is too long": 3})  # nothing was judged, so nothing ends the search
    assert made.first_try is not None and (made.first_try.valid, made.first_try.p_target) == (False, None)


def test_a_fault_in_one_round_does_not_end_the_next(bundle: Bundle) -> None:
    made = proven(explainer(bundle, Unanswered("once"), [GOOD]).explain(STRESSED))
    assert made.status == "found" and made.refusals["once"] == 1 and made.first_try is not None and not made.first_try.valid


def test_no_proposal_at_all_is_no_crash(bundle: Bundle) -> None:
    made = proven(explainer(bundle, [], [], []).explain(STRESSED, constraints=STUCK, search=0))
    assert made.status == "none" and made.rounds_used == 3 and made.first_try is not None and not made.first_try.valid


def test_where_the_generator_fails_the_search_still_answers_and_the_fault_is_told(bundle: Bundle) -> None:
    for script in ([Unanswered("the prompt is too long")], [[]], [[MISS]]):
        made = proven(explainer(bundle, *script).explain(STRESSED))
        assert made.status == "found" and made.found[0].origin == "search" and made.rounds_used == 1
    assert dict(proven(explainer(bundle, Unanswered("once")).explain(STRESSED)).refusals) == {"once": 1}


def test_where_none_exists_the_whole_search_proves_it_and_says_of_how_many_features(bundle: Bundle) -> None:
    made = proven(explainer(bundle, [MISS]).explain(STRESSED, constraints=STUCK, rounds=1))
    assert made.status == "none" and made.proof and made.proof.features == 1  # one feature is all that may change


def test_answers_say_their_margin_and_what_was_given_up_and_nothing_of_errors_that_nobody_stated(bundle: Bundle) -> None:
    made = proven(explainer(bundle, ['{"steps":16000,"deep_sleep":40,"smoker":"no"}']).explain(STRESSED, search=0))
    answer, first = made.found[0], made.first_try
    assert first is not None and first.p_target is not None and answer.p_target < first.p_target and "p_target" in answer.given_up
    assert answer.margin == pytest.approx(answer.p_target - 0.5) and (answer.stability, answer.draws) == (None, None)


def test_where_the_errors_of_what_moves_are_stated_the_answer_counts_its_draws(toy_copy: Path) -> None:
    features = [{**f, "error": 0.02 * f["high"]} if f["kind"] == "number" else f for f in SCHEMA["features"]]
    (toy_copy / "schema.json").write_text(json.dumps({**SCHEMA, "features": features}), encoding="utf-8")
    write_manifest(toy_copy, toy_manifest())
    with Explainer.load(toy_copy) as one:
        first, again = (one.explain(STRESSED, search=0).found[0] for _ in range(2))
    assert first.draws == 64 and first.stability is not None and 0 <= first.stability <= 1 and first.stability == again.stability


def test_a_risk_is_told_at_the_base_rate_that_was_asked_for(toy: Path) -> None:
    with Explainer.load(toy) as one:
        plain = one.explain(STRESSED)
    with Explainer.load(toy, base_rate=0.1) as one:
        rare = one.explain(STRESSED)
    assert (plain.risk.base_rate_from, rare.risk.base_rate_from, rare.provenance.base_rate) == ("balanced", "request", 0.1)
    assert (rare.provenance.threads, rare.provenance.device, rare.provenance.margin) == (1, "auto", LOOP.margin)
    assert plain.realism is not None and 0 <= plain.realism <= 100
    assert plain.p_target == rare.p_target and [a.changes for a in plain.found] == [a.changes for a in rare.found]
    odds = {made: risk / (1 - risk) for made, risk in (("plain", plain.risk.now), ("rare", rare.risk.now))}
    assert odds["rare"] == pytest.approx(odds["plain"] / 9) and rare.risk.threshold == pytest.approx(0.1)
    with pytest.raises(ConstraintError, match="14 % is"):
        Explainer.load(toy, base_rate=14)


def test_other_classifiers_of_the_bundle_are_asked_about_an_answer_and_refuse_none(toy_copy: Path) -> None:
    def agreement(*scales: float) -> float | None:
        for k, scale in enumerate(scales, 1):
            (toy_copy / f"rival-{k}.onnx").write_bytes(toy_classifier(scale=scale))
        write_manifest(toy_copy, toy_manifest())
        with Explainer.load(toy_copy) as made:
            (answer,) = made.explain(STRESSED).found
            return answer.agreement

    assert agreement() is None
    assert agreement(1.0) == 1.0  # the same classifier again
    assert agreement(1.0, -1.0) == 0.5  # and one of the opposite opinion: the answer is shown all the same


def test_a_cost_of_the_request_steers_clear_of_what_is_dear_and_stands_in_the_answer(bundle: Bundle) -> None:
    free = proven(explainer(bundle, [OTHER]).explain(STRESSED))
    dear = free.found[0].changes[0].feature
    made = proven(explainer(bundle, [OTHER]).explain(STRESSED, constraints=Constraints(costs={dear: 50.0})))
    assert dear not in {c.feature for c in made.found[0].changes} and dict(made.provenance.costs) == {dear: 50.0}


def test_an_engine_that_fails_altogether_is_not_taken_for_an_answer(bundle: Bundle) -> None:
    with pytest.raises(EngineError):
        explainer(bundle).explain(STRESSED)


def test_the_same_seed_gives_the_same_answer_and_another_seed_asks_otherwise(toy: Path) -> None:
    with Explainer.load(toy) as one:
        first, again = (one.explain(STRESSED, n=3, seed=4).to_json() for _ in range(2))
        other = one.explain(STRESSED, n=3, seed=5).to_json()
    with Explainer.load(toy) as two:
        fresh = two.explain(STRESSED, n=3, seed=4).to_json()
    for made in (first, again, fresh, other):
        del made["seconds"]
    assert first == again == fresh
    assert other["provenance"]["seed"] == 5 and first["first_try"] == other["first_try"]


def test_many_records_are_answered_as_each_alone_and_in_their_order(bundle: Bundle) -> None:
    schema = bundle.schema
    records = [Record.from_mapping(schema, v) for v in (STRESSED, CALM, {**STRESSED, "age": 60})]
    many = explainer(bundle, [GOOD], [ALSO]).explain_many(records)
    single = [explainer(bundle, [GOOD]).explain(records[0]), explainer(bundle).explain(CALM), explainer(bundle, [ALSO]).explain(records[2])]
    for together, alone in zip(many, single, strict=True):
        assert isinstance(together, Explanation)
        assert dataclasses.replace(together, seconds=0) == dataclasses.replace(alone, seconds=0)
    assert explainer(bundle).explain_many([]) == []


def test_a_record_that_cannot_move_is_answered_with_why_and_the_others_as_usual(bundle: Bundle) -> None:
    stuck = Constraints(frozenset({"steps", "smoker"}))
    lacking = Record.from_mapping(bundle.schema, {**STRESSED, "deep_sleep": None})
    many = explainer(bundle, [NEAR], [NEAR], [NEAR]).explain_many([lacking, Record.from_mapping(bundle.schema, STRESSED)], stuck)
    assert [m.status for m in many] == ["none", "found"] and many[1].reason == ""
    assert "Deep sleep is unknown" in many[0].reason and proven(many[0]).rounds_used == 0 and many[0].proof is None
    alone = explainer(bundle).explain(lacking, constraints=stuck, ease=False)
    assert dataclasses.replace(alone, seconds=0) == dataclasses.replace(many[0], seconds=0)


def test_what_is_wrong_with_a_request_is_said_before_anything_is_asked(bundle: Bundle) -> None:
    one = explainer(bundle)
    with pytest.raises(RecordError, match="unknown: stepps"):
        one.explain({**STRESSED, "stepps": 1})
    with pytest.raises(ConstraintError, match="did you mean steps"):
        one.explain(CALM, constraints=Constraints(frozenset({"stepps"})))
    for wrong in ({"n": 0}, {"proposals": 0}, {"rounds": 0}):
        with pytest.raises(ConstraintError, match="must be 1 or more"):
            one.explain(STRESSED, **wrong)  # type: ignore[arg-type]
    with pytest.raises(ConstraintError, match="the number of answers is -1"):
        Budget(answers=-1)
    for name, odd in (("answers", 1.5), ("seed", -1), ("seed", 2**32), ("rounds", True), ("search", "many"), ("proposals", None)):
        with pytest.raises(ConstraintError, match=name if name == "seed" else "whole number"):
            Budget(**{name: odd})
    everything = Constraints(frozenset({"steps", "smoker", "deep_sleep"}))
    for record in (STRESSED, CALM):  # no record could meet it
        with pytest.raises(ConstraintError, match="every mutable feature is frozen"):
            one.explain(record, constraints=everything)
    assert history(one) == []


@pytest.mark.parametrize("margin", [-1, -1e-9, math.nan, math.inf, 1, True, "0.05", None])
def test_a_margin_that_is_none_is_refused(bundle: Bundle, margin: Any) -> None:
    with pytest.raises(ConstraintError, match="the margin is"):
        Explainer(bundle, ScriptedEngine(()), OnnxChecker(bundle.classifier_bytes(), 4, 1), None, margin=margin)


def test_numbers_of_numpy_are_numbers(bundle: Bundle) -> None:
    budget = Budget(np.int64(2), np.int32(8), np.uint8(3), np.int64(7), np.int64(256))  # type: ignore[arg-type]
    assert budget == Budget(2, 8, 3, 7, 256) and type(budget.seed) is int
    odd = Explainer(bundle, ScriptedEngine(()), OnnxChecker(bundle.classifier_bytes(), 4, 1), None, margin=np.float32(0.25))  # type: ignore[arg-type]
    assert odd.goal == 0.75


def test_a_record_of_another_schema_is_refused(bundle: Bundle) -> None:
    turned = Schema(tuple(reversed(bundle.schema.features)))
    record = Record(turned, Record.from_mapping(bundle.schema, STRESSED).vector[::-1])
    same = Record.from_mapping(Schema.from_json(bundle.schema.to_json()), STRESSED)
    assert explainer(bundle, [GOOD]).explain(same).status == "found"
    for wrong in (record, STRESSED, None):
        with pytest.raises(RecordError, match=r"made for another schema|is no Record"):
            explainer(bundle).explain_many([wrong])  # type: ignore[list-item]


def test_a_round_in_which_every_proposal_breaks_a_rule_does_not_end_the_search(bundle: Bundle) -> None:
    broken = '{"age":30}'
    made = proven(explainer(bundle, [MISS], [broken], ['{"age":31}']).explain(STRESSED, constraints=STUCK))
    assert made.rounds_used == 3 and made.refusals["age may not change"] == 2
    assert explainer(bundle, [MISS], [broken, MISS]).explain(STRESSED, constraints=STUCK).rounds_used == 2


def test_where_every_proposal_breaks_a_relation_the_record_itself_is_refined() -> None:
    """A record whose sleep stages do not add up to begin with: light sleep has no room to follow, but steps may change."""
    schema = Schema(
        (*(Feature(n, low=0, high=60, step=1) for n in ("deep", "rem", "light")), Feature("steps", low=0, high=20, step=1)),
        (Relation("sum", ("deep", "rem", "light"), total=100, tolerance=1, completes="light"),),
    )
    record = Record(schema, np.array([40.0, 40.0, 60.0, 2.0]))
    target, facts = Target("t", ("bad", "good"), "good", 0.5), SimpleNamespace(auc=0.8, kind="", wanted_share=None, class_weights="")
    voice = SimpleNamespace(prompt="scored", hints=False)
    manifest = SimpleNamespace(target=target, generator=voice, classifier=facts, risk=None, groups=())
    told = cast(Bundle, SimpleNamespace(schema=schema, name="x", hash="0" * 64, manifest=manifest, population=None))
    script = ScriptedEngine([['{"deep":30}', '{"rem":20}']] * 3)
    made = Explainer(told, script, Slope(schema, np.array([0.0, 0.0, 0.0, 4.0]), -2.0), None).explain(record, search=0)
    assert made.status == "found" and made.rounds_used == 1 and made.refusals["light leaves its range"] == 2


def test_an_answer_carries_all_that_is_needed_to_compute_it_again(bundle: Bundle) -> None:
    made = explainer(bundle, [GOOD]).explain(STRESSED, seed=9, proposals=3, rounds=2).provenance
    assert (made.model, made.bundle, made.seed, made.proposals, made.rounds) == ("toy", bundle.hash, 9, 3, 2)
    assert set(made.versions) >= {"sensecf-edge", "llama-cpp-python", "onnxruntime"}


def test_figures_of_an_answer_are_those_of_measure(bundle: Bundle) -> None:
    made = explainer(bundle, [GOOD]).explain(STRESSED).found[0]
    spans = bundle.schema.spans
    steps = [1.0 if isinstance(c.after, str) else abs(float(c.after or 0) - float(c.before or 0)) / spans[bundle.schema.index[c.feature]]
             for c in made.changes]  # fmt: skip
    assert made.n_changed == len(made.changes) and made.distance == pytest.approx(sum(steps) / 4)
    assert made.realism is not None and 0 <= made.realism <= 100 and not math.isnan(made.p_target)
    assert not np.isnan(made.distance)


@pytest.mark.parametrize(("name", "value"), [("threads", "2"), ("threads", None), ("threads", -1), ("threads", 10**6), ("device", "gpu")])
def test_threads_and_device_are_checked_before_anything_is_opened(name: str, value: Any) -> None:
    with pytest.raises(ConstraintError, match=name):
        Explainer.load("heart", **{name: value})


def test_of_a_record_without_an_answer_nothing_is_repaired_once_that_is_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    from sensecf_edge.search import record_search

    def repaired(*_: object, **__: object) -> None:
        raise AssertionError("repaired for nothing")

    with Explainer.load("heart") as explainer:
        rows = explainer.realism.people(200, 1)  # type: ignore[union-attr]
        made = [(Record(explainer.schema, x), explainer.explain(Record(explainer.schema, x), ease=False)) for x in rows[:40]]
        hopeless = [record for record, one in made if one.status == "none" and one.proof and one.rounds_used == 1]
        assert hopeless
        monkeypatch.setattr(record_search, "refine", repaired)
        for record in hopeless:
            assert explainer.explain(record, ease=False).proof is not None
