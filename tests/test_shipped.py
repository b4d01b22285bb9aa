"""The bundles that are shipped, judged from outside: by onnxruntime alone, by the schema's words, by what the card says."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from conftest import SHIPPED
from test_result import SHAPE

from sensecf_edge import Explainer
from sensecf_edge.answer.result import Counterfactual, Explanation
from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.errors import WeightsAwayError
from sensecf_edge.judge.classifier import onnxruntime
from sensecf_edge.judge.density import Density
from sensecf_edge.schema.feature import Feature
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.schema import Schema
from sensecf_edge.settings import LOOP, WEAK_AUC

AVAILABLE = [name for name, _ in Bundle.available()]
MOST_BYTES = 8_000_000


def test_heart_and_stress_are_shipped() -> None:
    assert set(SHIPPED) == {"heart", "metabolic", "stress"} <= set(AVAILABLE)


@pytest.fixture(scope="module", params=AVAILABLE)
def explainer(request: pytest.FixtureRequest) -> Iterator[Explainer]:
    try:
        explainer = Explainer.load(str(request.param))
    except WeightsAwayError as error:
        pytest.skip(str(error))
    with explainer:
        yield explainer


def samples(explainer: Explainer, n: int = 3, seed: int = 0) -> list[Explanation]:
    return [explainer.explain(sample.values, n=n, seed=seed) for sample in explainer.bundle.samples]


def probability(folder: Path, schema: Schema, values: dict[str, object], wanted: int) -> float:
    """The wanted class's probability from the file itself, with nothing of this project between."""
    session = onnxruntime().InferenceSession(str(folder / "classifier.onnx"), providers=["CPUExecutionProvider"])
    row = [math.nan if (v := values[f.name]) is None else f.choices.index(str(v)) if f.choices else v for f in schema.features]
    (output,) = (o.name for o in session.get_outputs() if "float" in o.type and len(o.shape) == 2)
    return float(session.run([output], {session.get_inputs()[0].name: np.array([row], np.float32)})[0][0, wanted])


def code(feature: Feature, value: object) -> float:
    return float(feature.choices.index(str(value))) if feature.kind == "choice" else float(value)  # type: ignore[arg-type]


def test_every_sample_is_explained_and_every_answer_is_what_it_claims(explainer: Explainer) -> None:
    bundle, schema = explainer.bundle, explainer.schema
    assert bundle.samples
    for made in samples(explainer):
        assert made.status == "found"
        jsonschema.Draft202012Validator(SHAPE).validate(made.to_json())
        for answer in made.found:
            values = {**made.factual, **{c.feature: c.after for c in answer.changes}}
            p = probability(bundle.folder, schema, values, bundle.manifest.target.index)
            assert p == pytest.approx(answer.p_target, abs=1e-5) and p >= bundle.manifest.target.threshold + LOOP.margin - 1e-6
            assert 1 <= len([c for c in answer.changes if not c.follows]) <= LOOP.max_changes
            assert answer.n_changed == len(answer.changes)
            keeps_the_schema(schema, made, answer)


def keeps_the_schema(schema: Schema, made: Explanation, answer: Counterfactual) -> None:
    """Written from the schema's words, without the runtime's rules."""
    after = {**made.factual, **{c.feature: c.after for c in answer.changes}}
    for change in answer.changes:
        feature = schema[change.feature]
        assert change.before == made.factual[feature.name] is not None and change.after != change.before
        assert feature.mutable and change.follows == (feature.name in schema.completed)
        now, then = code(feature, change.before), code(feature, change.after)
        if feature.direction != "either":
            assert (then > now) == (feature.direction == "increase")
        assert abs(then - now) <= min(feature.max_change or math.inf, (feature.relative_max_change or math.inf) * abs(now)) + 1e-6
        if not change.follows:
            low, high = feature.reference or (-math.inf, math.inf)
            assert np.abs(feature.lattice - then).min() < 1e-9 and low <= then <= high
    for relation in (r for r in schema.relations if r.kind == "sum"):
        if all(made.factual[n] is not None for n in relation.features):
            total, before = (sum(float(v[n] or 0) for n in relation.features) for v in (after, made.factual))  # type: ignore[arg-type]
            assert abs(total - relation.total) <= max(relation.tolerance, abs(before - relation.total)) + 1e-6


def test_the_same_seed_gives_the_same_answers(explainer: Explainer) -> None:
    first, again = (
        [{k: v for k, v in e.to_json().items() if k != "seconds"} for e in samples(explainer, n=2, seed=seed)] for seed in (7, 7)
    )
    assert first == again


def test_freezing_what_the_best_answer_changes_leads_elsewhere_or_nowhere(explainer: Explainer) -> None:
    from sensecf_edge.errors import ConstraintError
    from sensecf_edge.space.constraints import Constraints

    for sample, made in zip(explainer.bundle.samples, samples(explainer, n=1), strict=True):
        frozen = frozenset(c.feature for c in made.found[0].changes)
        try:
            other = explainer.explain(sample.values, constraints=Constraints(frozen))
        except ConstraintError:
            continue
        assert not frozen & {c.feature for answer in other.found for c in answer.changes}


def test_a_weak_classifier_says_so_in_every_answer(explainer: Explainer) -> None:
    auc = explainer.bundle.manifest.classifier.auc
    assert auc is not None
    for made in samples(explainer, n=1):
        assert any("poorly" in warning for warning in made.warnings) == (auc < WEAK_AUC)
    assert ("classifier is weak" in explainer.bundle.card) == (auc < WEAK_AUC)


def test_the_card_says_what_it_must(explainer: Explainer) -> None:
    card, manifest = explainer.bundle.card, explainer.bundle.manifest
    facts, figures = manifest.classifier, manifest.metrics
    assert manifest.data.source in card and manifest.data.licence in card and manifest.data.attribution in card
    assert manifest.not_for and manifest.not_for in card
    for people, rows in ((facts.people_train, facts.rows_train), (facts.people_test, facts.rows_test)):
        assert (f"| {people:,} | {rows:,} |" if people else f"| {rows:,} |") in card
    assert f"**{facts.auc:.3f}**" in card
    for words in ("first-try validity", "usable after the loop, of all asked for", "features changed", "distance", "realism", "## Not for"):
        assert words in card, words
    assert f"{100 * figures['first_try_valid']:.1f} %" in card and f"{100 * figures['usable']:.1f} %" in card


def test_what_a_bundle_measured_when_it_was_made_is_what_the_project_promises(explainer: Explainer) -> None:
    """The figures of the manifest, over the people nothing was trained on; `test_quality` measures them again."""
    figures = explainer.bundle.manifest.metrics
    assert figures["broken"] == 0
    assert figures["first_try_valid"] >= 0.90
    assert figures["advice"]["answers"] and not any(figures["advice"][fault] for fault in ("against", "past", "broken"))
    assert figures["usable_of_possible"] >= 0.95


def test_a_bundle_is_small_and_holds_what_its_manifest_lists_and_nothing_else(explainer: Explainer) -> None:
    bundle = explainer.bundle
    assert sum(path.stat().st_size for path in bundle.folder.iterdir()) < MOST_BYTES and bundle.unlisted == []


def test_no_order_of_columns_or_choices_moves_a_percentile(explainer: Explainer) -> None:
    """Records of chance all over the schema, a tenth of their values unknown, and the samples; the density is the file that is shipped."""
    schema, chance = explainer.schema, np.random.default_rng(0)
    X = np.column_stack([chance.choice(feature.lattice, 500) for feature in schema.features])
    X[chance.random(X.shape) < 0.1] = np.nan
    X = np.concatenate([X, [Record.from_mapping(schema, sample.values).vector for sample in explainer.bundle.samples]])
    columns, features, turned = chance.permutation(len(schema)), list(schema.features), X.copy()
    for i, feature in enumerate(features):
        if feature.kind == "choice":
            order = chance.permutation(len(feature.choices))
            features[i] = Feature(feature.name, "choice", choices=tuple(feature.choices[k] for k in order), optional=True)
            known = ~np.isnan(X[:, i])
            turned[known, i] = np.argsort(order)[X[known, i].astype(int)]
    other = Schema(tuple(features[i] for i in columns))
    density = explainer.bundle.density
    assert density is not None
    moved = Density.from_json(density.to_json(), other).percentile(turned[:, columns]) - density.percentile(X)
    assert np.abs(moved).max() <= 0.1


def test_a_sample_names_nobody(explainer: Explainer) -> None:
    for i, sample in enumerate(explainer.bundle.samples):
        assert sample.id == str(i + 1) and set(sample.values) == set(explainer.schema.names)


def test_the_manifest_holds_no_path_of_the_machine_that_made_it(explainer: Explainer) -> None:
    text = (explainer.bundle.folder / "manifest.json").read_text(encoding="utf-8") + explainer.bundle.card
    assert not any(place in text for place in ("/home", "/work", "/tmp", "/root", "\\Users"))
    assert json.loads((explainer.bundle.folder / "manifest.json").read_text(encoding="utf-8"))["versions"]
