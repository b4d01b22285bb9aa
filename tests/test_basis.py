"""What an answer rests on: whether anybody is like the record, on whom the model was measured, what to measure next; and old bundles."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CALM, SCHEMA, STRESSED, Ran, toy_typical, write_toy
from sensecf_convert.evaluate import groups as measuring
from sensecf_convert.table.cohort import Cohort
from sklearn.metrics import roc_auc_score

from sensecf_edge.answer.basis import Group
from sensecf_edge.bundle.bundle import Bundle, write_manifest
from sensecf_edge.bundle.groups import fitting
from sensecf_edge.errors import BundleError
from sensecf_edge.explain import Explainer
from sensecf_edge.report import basis as sentences
from sensecf_edge.report.wording import Wording
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.schema import Schema

SCORES = toy_typical().to_json()["scores"]
GROUPS: list[dict[str, Any]] = [
    {"feature": "smoker", "label": "yes", "rows": 40, "told": 0.6, "seen": 0.5, "auc": 0.8, "auc_low": 0.7, "auc_high": 0.9,
     "seen_low": 0.4, "seen_high": 0.6, "people": 20},
    {"feature": "smoker", "label": "no", "rows": 12, "told": 0.3, "seen": 0.25, "auc": 0.7, "people": 6},
    {"feature": "age", "label": "up to 44", "rows": 9, "told": 0.5, "seen": 1.0, "high": 44.0},
    {"feature": "age", "label": "over 44", "rows": 30, "told": 0.5, "seen": 0.5, "low": 44.0, "auc": 0.6},
]  # fmt: skip


@pytest.fixture(scope="module")
def knowing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy bundle that knows how ordinary everybody is, and groups."""
    folder = write_toy(tmp_path_factory.mktemp("knowing") / "toy")
    (folder / "population.json").write_text(json.dumps({"format": 1, "scores": SCORES}))
    manifest = json.loads((folder / "manifest.json").read_text())
    write_manifest(folder, {**manifest, "groups": GROUPS, "intended": "Trying it.", "data": {**manifest["data"], "dates": "2030"}})
    return folder


def test_a_record_unlike_anything_says_so_whatever_is_predicted_and_found(knowing: Path) -> None:
    with Explainer.load(knowing) as explainer:
        usual, odd = explainer.explain(STRESSED), explainer.explain({**STRESSED, "age": 90, "steps": 20000, "deep_sleep": 0})
        fine = explainer.explain({**CALM, "age": 18, "steps": 20000, "deep_sleep": 40})
        nothing = explainer.explain({**STRESSED, "deep_sleep": None})
        assert explainer.bundle.population is not None
        X = np.array([Record.from_mapping(explainer.schema, e.factual).vector for e in (usual, odd, fine, nothing)])
        assert [e.likeness for e in (usual, odd, fine, nothing)] == pytest.approx(explainer.bundle.population.percentile(X))
    assert usual.likeness is not None and usual.likeness > 1 and not any("unlike" in text for text in usual.warnings)
    for e in (odd, fine):
        assert e.likeness is not None and e.likeness < 1
        assert any("unlike anybody this model has learnt from" in text for text in e.warnings)
        assert "fewer than 1 of 100 training people" in sentences.likeness(Wording(e, explainer.schema))


def test_a_bundle_of_earlier_versions_opens_and_says_that_it_does_not_know(toy: Path) -> None:
    with Explainer.load(toy) as explainer:
        e = explainer.explain(STRESSED, why=True)
        assert explainer.bundle.population is None and e.likeness is None and e.measured == () and e.why is not None
        assert "is not known for this model" in sentences.likeness(Wording(e, explainer.schema))


@pytest.mark.parametrize("wrong", [{"format": 2}, {"scores": [0.0]}, {"scores": SCORES[::-1]}, {"scores": None}, {"scores": ["x"] * 101}])
def test_a_population_that_is_none_is_refused(wrong: dict[str, Any], toy_copy: Path) -> None:
    (toy_copy / "population.json").write_text(json.dumps({"format": 1, "scores": SCORES, **wrong}))
    write_manifest(toy_copy, json.loads((toy_copy / "manifest.json").read_text()))
    with pytest.raises(BundleError, match=r"population\.json"):
        Bundle.open(toy_copy)


@pytest.mark.parametrize("wrong", [{}, ["x"], [{"feature": "age"}], *([{**GROUPS[0], **one}] for one in (
    {"auc": 1.2}, {"rows": "many"}, {"told": None}, {"label": 3}))])  # fmt: skip
def test_groups_that_are_none_are_refused(wrong: Any, toy_copy: Path) -> None:
    manifest = json.loads((toy_copy / "manifest.json").read_text())
    with pytest.raises(BundleError, match="groups"):
        write_manifest(toy_copy, {**manifest, "groups": wrong})


def test_the_groups_that_fit_a_person_stand_in_the_answer_and_no_other(knowing: Path) -> None:
    with Explainer.load(knowing) as explainer:
        schema = explainer.schema
        e = explainer.explain(STRESSED)
        others = explainer.explain({**STRESSED, "age": 45, "smoker": "no"})
    assert [(g.feature, g.label) for g in e.measured] == [("smoker", "yes"), ("age", "up to 44")]
    assert [(g.feature, g.label) for g in others.measured] == [("smoker", "no"), ("age", "over 44")]
    first, second = sentences.groups(Wording(e, schema))
    assert "Smokes yes (40 rows of 20 people): AUC 0.80 (95 % interval 0.70 to 0.90)" in first
    assert "seen 50 % (95 % interval 40 % to 60 %)" in first
    assert "Age up to 44 years (9 rows): no AUC, all are of one class" in second
    assert "too few people for an interval" in sentences.groups(Wording(others, schema))[0]
    unknown = Record(schema, np.array([np.nan, 3000.0, np.nan, np.nan]))
    assert fitting([Group(**g) for g in GROUPS], unknown) == ()


def test_groups_are_measured_as_counting_measures_them(toy: Path) -> None:
    """AUC by scikit-learn, shares by counting; bands end at thirds of the training people, and nobody is in two of them."""
    plain = Schema.from_json(SCHEMA)
    schema = replace(plain, features=tuple(replace(f, group=f.name == "smoker") for f in plain.features))
    bundle, chance = replace(Bundle.open(toy), schema=schema), np.random.default_rng(0)
    ages, others = chance.integers(18, 91, 300).astype(float), chance.integers(0, 41, (300, 2)) * [500, 1]
    ages[:7] = np.nan
    X, persons = np.column_stack([ages, others, chance.random(300) < 0.02]), np.array([f"p{i // 3}" for i in range(300)])
    data = Cohort(schema, X, chance.random(300) < 0.5, persons, ("stressed", "calm"), True)
    found = [Group(**g) for g in measuring.measured(bundle, data, data)]
    assert [g.feature for g in found] == ["age", "age", "age", "smoker"] and found[-1].label == "yes"  # of the others there are under ten
    assert sum(g.rows for g in found[:3]) == 293 and max(g.rows for g in found[:3]) < 120
    with Explainer.load(toy) as explainer:
        p = explainer.checker.p_target(data.X)
    for g in found:
        rows = np.array([bool(fitting([g], Record(schema, x))) for x in data.X])
        assert rows.sum() == g.rows and g.people == len(set(data.persons[rows]))
        assert g.auc == pytest.approx(roc_auc_score(data.y[rows], p[rows]), abs=1e-4)
        assert g.seen == pytest.approx((~data.y[rows]).mean(), abs=1e-4)
        assert g.auc_low is not None and g.auc_high is not None and g.auc_low < g.auc < g.auc_high
    few = data.take(np.arange(12))
    assert all(g["auc_low"] is None and g["people"] < 10 for g in measuring.measured(bundle, data, few))
    table = measuring.markdown(measuring.measured(bundle, data, data), schema, "people")
    assert f"Age: {found[0].label}" in table and "Smokes: yes" in table and table.splitlines()[2] in table


def test_what_to_measure_next_is_what_may_change_the_verdict(knowing: Path) -> None:
    """The toy weighs deep sleep; a record near the line hangs on it, one far from it does not, and a whole one has nothing to measure."""
    asked = ((8000, None), (0, None), (0, 10))
    with Explainer.load(knowing) as explainer:
        near, far, whole = (explainer.explain({**STRESSED, "steps": steps, "deep_sleep": deep}) for steps, deep in asked)
        schema = explainer.schema
    assert [m.feature for m in near.next] == ["deep_sleep"] and near.next[0].turns > 0.3
    assert near.next[0].low < near.risk.now < near.next[0].high
    assert far.next[0].turns == 0 and far.next[0].high < 1 and whole.next == ()
    assert "Deep sleep: it alone would" in sentences.measure_next(Wording(near, schema))[0]
    assert sentences.measure_next(Wording(far, schema)) == ["No unknown value alone would change what is said."]


def test_the_command_tells_it_all_when_it_is_asked(command: Callable[..., Ran], knowing: Path, tmp_path: Path) -> None:
    (tmp_path / "me.json").write_text(json.dumps({**STRESSED, "steps": 8000, "deep_sleep": None}))
    said = " ".join(command("explain", tmp_path / "me.json", "--model", knowing, "--why").out.split())
    for part in ("Why this prediction:", "all training people", "Measured on unseen people with Smokes yes", "measure next: Deep sleep"):
        assert part in said
    assert "Why this prediction" not in command("explain", tmp_path / "me.json", "--model", knowing).out
    shown = command("models", "show", knowing).out
    assert "Meant for  Trying it." in shown and "2030" in shown


def test_what_would_tell_nothing_new_is_not_to_be_measured() -> None:
    """A body mass index beside height and weight: unknown, and known all the same."""
    with Explainer.load("metabolic", threads=1) as explainer:
        made = explainer.explain({**explainer.bundle.samples[1].values, "BMI": None})
        assert [m.feature for m in made.next] == ["BMI"]
        say = Wording(made, explainer.schema)
        assert sentences.measure_next(say) == []
        notes = " ".join(say.notes())
        assert "computed from the other values: BMI 31.8" in notes.replace("31.9", "31.8") and "left unknown" not in notes
        assert "such cases" not in " ".join([*say.prediction(), say.none()])  # nothing is open
        assert "computed" not in " ".join(Wording(explainer.explain({**made.factual, "Height": None}), explainer.schema).notes())


def test_the_risk_stands_once_where_values_are_unknown() -> None:
    """A mean of risks is not the risk of a mean score: 94 % beside 95 % for one record."""
    with Explainer.load("heart", threads=1) as explainer:
        sample = dict(explainer.bundle.samples[0].values)
        known, unknown = (explainer.explain(values, why=True) for values in (sample, {**sample, "ca": None, "thal": None}))
        assert known.why is not None and unknown.why is not None and unknown.why.now != unknown.risk.now
        say = Wording(known, explainer.schema)
        assert sentences.why(say)[0].endswith(f", here {say.risk(known.risk.now)}.")
        assert sentences.why(Wording(unknown, explainer.schema))[0].endswith(" %, with what is unknown here as it may be.")
