"""Four kinds of classifier become one ONNX graph that agrees with them; classifiers from elsewhere are audited first."""

from __future__ import annotations

import dataclasses
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
import pytest
import skops.io
from cohort import people, write_csv
from conftest import SCHEMA, toy_classifier
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from sensecf_convert.augment import command
from sensecf_convert.augment.learners import learn
from sensecf_convert.classifier import onnx as export
from sensecf_convert.classifier import recipes
from sensecf_convert.classifier.kinds import KINDS, MANY_ROWS, pipeline
from sensecf_convert.classifier.making import Made, facts_line, make
from sensecf_convert.table.cohort import Cohort
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from sensecf_edge.answer.risk import RiskScale
from sensecf_edge.errors import CheckError, SenseCFError, TableError
from sensecf_edge.judge.classifier import OnnxChecker
from sensecf_edge.schema.feature import Feature
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.schema import Schema

TOY = Schema.from_json(SCHEMA)


def toy_people(rows: int, seed: int) -> Cohort:
    """Made-up people of the toy schema, a fifth without a value for deep sleep, judged by the toy classifier with noise;
    three in four are calm."""
    chance = np.random.default_rng(seed)
    given = [{k: v for k, v in row.items() if k != "id" and v != ""} for row in people(rows, seed)]
    X = np.array([Record.from_mapping(TOY, row).vector for row in given])
    X[chance.random(rows) < 0.2, 2] = np.nan
    p = OnnxChecker(toy_classifier(), 4, 1).p_target(X)
    y = chance.random(rows) < p**0.4
    return Cohort(TOY, X, y, np.array([f"s{seed}-{i // 2}" for i in range(rows)]), ("stressed", "calm"))


TRAIN, TEST = toy_people(400, 1), toy_people(300, 2)


def quiet(_: str) -> None:
    pass


@pytest.fixture(scope="module", params=KINDS)
def made(request: pytest.FixtureRequest) -> Made:
    return make(request.param, TRAIN, TEST, 0, quiet)


def test_every_kind_learns_agrees_with_its_graph_and_states_its_facts(made: Made) -> None:
    facts = made.facts
    assert facts["kind"] in KINDS and facts["auc"] > 0.75 and facts["auc_cv"] > 0.75 and 0 < facts["brier"] < 0.23
    assert facts["parity"] <= export.PARITY and facts["parity_rows"] == 700
    assert facts["parity_lattice"] <= export.PARITY and facts["parity_lattice_rows"] == 100_000 and facts["parity_ties"] == 0
    assert facts["graph_bytes"] == len(made.graph) < 1_000_000 and made.warnings == []
    assert json.loads(json.dumps(facts)) == facts
    assert f"{facts['kind']}: AUC 0." in facts_line(facts) and "100,700 rows" in facts_line(facts)


def test_facts_are_those_of_the_graph_on_the_test_people(made: Made) -> None:
    p = OnnxChecker(made.graph, 4, 1, classes=2).p_target(TEST.X)
    assert made.facts["auc"] == roc_auc_score(TEST.y, p)
    squares = (p - TEST.y) ** 2
    assert made.facts["brier"] == pytest.approx((squares[TEST.y].mean() + squares[~TEST.y].mean()) / 2)


def test_a_graph_answers_where_everything_optional_is_unknown(made: Made) -> None:
    X = np.array([[44.0, 3000.0, np.nan, 0.0], [44.0, 15000.0, np.nan, 1.0]])
    low, high = OnnxChecker(made.graph, 4, 1, classes=2).p_target(X)
    assert 0 < low < 0.5 < high < 1


def test_one_half_means_both_classes_alike_however_many_each_has(made: Made) -> None:
    """70 % of the rows are calm; people are told calm and stressed about as often as they are, each class for itself."""
    p = OnnxChecker(made.graph, 4, 1, classes=2).p_target(TEST.X)
    assert TEST.y.mean() > 0.6
    assert abs((p[TEST.y] < 0.5).mean() - (p[~TEST.y] >= 0.5).mean()) < 0.15
    assert made.facts["calibration_error"] < 0.12


def test_risks_are_told_at_the_share_among_the_training_people(made: Made) -> None:
    """About 30 % are stressed: the mean risk of unseen people is near that, the mean balanced score is not."""
    scale = RiskScale(**made.facts["risk"])
    p = OnnxChecker(made.graph, 4, 1, classes=2).p_target(TEST.X)
    assert scale.base_rate == pytest.approx(1 - TRAIN.y.mean()) and scale.slope > 0
    assert np.mean([scale.risk(float(q)) for q in p]) == pytest.approx(1 - TEST.y.mean(), abs=0.06)


def test_risks_are_learnt_from_training_people_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "LATTICE_ROWS", 100)
    turned = dataclasses.replace(TEST, y=~TEST.y)
    first, again = (make("svm", TRAIN, unseen, 0, quiet).facts for unseen in (TEST, turned))
    assert first["risk"] == again["risk"] and first["auc"] == pytest.approx(1 - again["auc"])


def test_a_graph_is_no_list_of_its_training_people(made: Made) -> None:
    """No support vectors, and no run of three values of a row, plain or scaled, in the bytes of the graph."""
    graph = onnx.load_from_string(made.graph)
    assert not {n.op_type for n in graph.graph.node} & {"SVMClassifier", "SVMRegressor", "TopK"}
    z = (TRAIN.X - np.nanmean(TRAIN.X, axis=0)) / np.nanstd(TRAIN.X, axis=0)
    for rows in (TRAIN.X, z):
        for kind in (np.float32, np.float64):
            assert not [row for row in rows.astype(kind) for at in (0, 1) if row[at : at + 3].tobytes() in made.graph]


def test_the_same_seed_makes_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "LATTICE_ROWS", 100)
    for kind in ("svm", "neural-network"):
        first, again = (make(kind, TRAIN, TEST, 3, quiet) for _ in range(2))
        assert first.graph == again.graph and first.facts == again.facts


@pytest.mark.parametrize("kind", KINDS)
def test_a_feature_that_only_knows_the_person_earns_nothing(kind: str) -> None:
    """Each person has a value and a class of its own. Folds that split persons would reach an AUC near 1; held-out people
    are a coin toss. Over 60 people an AUC over folds above 0.75 by chance is rarer than 1 in 1,000."""
    chance = np.random.default_rng(5)
    who = np.repeat(np.arange(60), 6)
    value, label = chance.permutation(60) * 10.0, chance.random(60) < 0.5
    schema = Schema((Feature("a", low=0, high=1000, step=1), Feature("b", low=0, high=1000, step=1)))
    X = np.column_stack([value[who], value[::-1][who]])
    data = Cohort(schema, X, label[who], who.astype(str), ("ill", "well"))
    assert recipes.choose(kind, data, 0, quiet).auc_cv < 0.75
    if kind == "xgboost":  # the same rows without their persons
        alone = Cohort(schema, X, label[who], np.arange(len(X)).astype(str), ("ill", "well"))
        assert recipes.choose(kind, alone, 0, quiet).auc_cv > 0.9


def test_the_recipe_with_the_best_auc_over_folds_is_taken_and_every_one_is_told() -> None:
    said: list[str] = []
    chosen = recipes.choose("svm", TRAIN, 0, said.append)
    tried = [float(line.split("AUC ")[1][:5]) for line in said]
    assert len(tried) == chosen.tried == len(KINDS["svm"].candidates(TRAIN)) and len(set(tried)) > 1
    assert f"{chosen.auc_cv:.3f}" == f"{max(tried):.3f}"
    assert KINDS["svm"].candidates(TRAIN)[int(np.argmax(tried))] == chosen.recipe


@pytest.mark.parametrize("asked", [
    lambda kind: pipeline(SCHEMA, kind, {}, 0), lambda kind: recipes.weights_of(kind, calibrated=True),
    lambda kind: recipes.choose(kind, TRAIN, 0, quiet), lambda kind: learn(kind, TRAIN.schema, TRAIN.X, TRAIN.y, None, TEST.X, 0),
    lambda kind: command._from(kind, 0.5),
])  # fmt: skip
def test_a_kind_that_has_no_entry_raises_wherever_it_is_asked_for(asked: Callable[[str], object]) -> None:
    with pytest.raises(KeyError, match="stump"):
        asked("stump")


def test_large_tables_ask_a_forest_for_larger_leaves() -> None:
    many = TRAIN.take(np.arange(MANY_ROWS) % len(TRAIN))
    leaves = [[r["min_samples_leaf"] for r in KINDS["random-forest"].candidates(data)] for data in (TRAIN, many)]
    assert leaves == [[5, 10, 20], [10, 20, 40]]


@given(st.integers(0, 2**32 - 1), st.floats(0.2, 5), st.floats(-2, 2), st.floats(0.15, 0.85))
@settings(max_examples=25, deadline=None)
def test_a_sigmoid_undoes_a_stretched_and_shifted_score(seed: int, stretch: float, shift: float, share: float) -> None:
    """Scores whose log odds are known, at any share of the wanted class: slope within a third, p(true middle) within 0.1,
    six standard errors of 4,000 rows."""
    chance = np.random.default_rng(seed)
    y = chance.random(4000) < share
    true = chance.normal(0, 2, 4000) + np.where(y, 2.0, -2.0)  # two normal clouds: log odds = x, both classes alike
    a, b = recipes.platt(stretch * true + shift, y)
    assert a * stretch == pytest.approx(1, rel=0.33)
    assert recipes.squash((a, b), np.array([shift]))[0] == pytest.approx(0.5, abs=0.1)


def test_a_sigmoid_never_turns_a_classifier_round() -> None:
    y = np.arange(200) % 2 == 0
    assert recipes.platt(np.where(y, -1.0, 1.0), y)[0] > 0


def test_the_yardsticks_of_calibration_know_perfect_from_useless() -> None:
    y = np.arange(1000) % 4 == 0
    assert recipes.brier(y, y * 1.0) == 0 and recipes.calibration_error(y, y * 1.0) == 0
    assert recipes.brier(y, np.full(1000, 0.5)) == 0.25 and recipes.calibration_error(y, np.full(1000, 0.5)) == pytest.approx(0, abs=0.02)
    assert recipes.calibration_error(y, np.full(1000, 0.9)) == pytest.approx(0.4, abs=0.02)


def test_an_svm_and_its_sigmoid_are_one_layer_with_the_same_answers() -> None:
    recipe = {"kernel": "rbf", "gamma": 0.2, "C": 1.0, "features": 64}
    fitted = pipeline(TOY, "svm", recipe, 0).fit(TRAIN.X.astype(np.float32), TRAIN.y)
    numbers = (1.7, -0.3)
    plain = recipes.squash(numbers, fitted.decision_function(TEST.X.astype(np.float32)))
    np.testing.assert_allclose(recipes.folded(recipes.Model(fitted, numbers)).p_wanted(TEST.X), plain, atol=1e-7)


def forest_graph() -> tuple[recipes.Model, Any]:
    """A forest on the toy people, and its graph to be harmed."""
    recipe = {"n_estimators": 10, "min_samples_leaf": 20}
    fitted = pipeline(TOY, "random-forest", recipe, 0).fit(TRAIN.X.astype(np.float32), TRAIN.y)
    model = recipes.Model(fitted)
    return model, onnx.load_from_string(export.to_onnx(model, 4))


def tree_values(graph: Any) -> Any:
    trees = next(n for n in graph.graph.node if n.op_type == "TreeEnsembleClassifier")
    return next(a for a in trees.attribute if a.name == "nodes_values").floats


def test_a_threshold_one_rounding_off_is_a_tie_counted_and_explained() -> None:
    """Rows that stand exactly on a threshold of the forest, and a graph whose threshold is the next float32 below."""
    model, graph = forest_graph()
    trees = next(n for n in graph.graph.node if n.op_type == "TreeEnsembleClassifier")
    asked = next(a for a in trees.attribute if a.name == "nodes_featureids").ints
    values, ties = tree_values(graph), 0
    for at in [i for i, v in enumerate(values) if v > 1][:6]:
        threshold, on_it = values[at], TRAIN.X[:8].copy()
        on_it[:, asked[at]] = threshold
        whole = np.concatenate([TRAIN.X, on_it])
        assert export.parity(model, graph.SerializeToString(), TOY, whole).ties == 0
        values[at] = float(np.nextafter(np.float32(threshold), np.float32(-np.inf)))
        found = export.parity(model, graph.SerializeToString(), TOY, whole)
        values[at] = threshold
        assert found.worst <= export.PARITY and found.rows == 408
        ties += found.ties
    assert ties > 6


def test_a_graph_that_answers_differently_is_refused() -> None:
    model, graph = forest_graph()
    values = tree_values(graph)
    at = next(i for i, v in enumerate(values) if v > 1000)
    values[at] += 600.0
    with pytest.raises(CheckError, match=r"differs by .* do not ship it"):
        export.parity(model, graph.SerializeToString(), TOY, TRAIN.X)


def test_few_rows_that_differ_without_a_tie_are_refused_too() -> None:
    """One leaf is a little off: few rows differ, and no nudge of their values explains it."""
    model, graph = forest_graph()
    trees = next(n for n in graph.graph.node if n.op_type == "TreeEnsembleClassifier")
    weights = next(a for a in trees.attribute if a.name == "class_weights").floats
    checker = OnnxChecker(graph.SerializeToString(), 4, 1)
    before = checker.p_target(TRAIN.X)
    for at in range(len(weights)):
        kept = weights[at]
        weights[at] = kept + 0.01
        moved = np.flatnonzero(np.abs(OnnxChecker(graph.SerializeToString(), 4, 1).p_target(TRAIN.X) - before) > 1e-4)
        if len(moved) > 2:
            X = np.concatenate([TRAIN.X[moved[:3]], np.delete(TRAIN.X, moved, axis=0)])
            with pytest.raises(CheckError, match="3 of them without a tie at a threshold, first in row 0"):
                export.parity(model, graph.SerializeToString(), TOY, X)
            return
        weights[at] = kept
    pytest.fail("no leaf could be harmed")


def test_lattice_points_are_points_of_the_schema_with_unknown_values_only_where_allowed() -> None:
    X = export.lattice_points(TOY, 3000, seed=1)
    np.testing.assert_array_equal(X, export.lattice_points(TOY, 3000, seed=1))
    for i, feature in enumerate(TOY.features):
        known = X[~np.isnan(X[:, i]), i]
        assert np.isin(known, feature.lattice).all() and len(np.unique(known)) == len(feature.lattice)
        assert np.isnan(X[:, i]).any() == feature.optional


def test_classifiers_are_compared_on_a_table_before_a_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from sensecf_convert.classifier.__main__ import main

    rows = [{**Record(TOY, x).to_mapping(), "state": "calm" if y else "stressed"} for x, y in zip(TRAIN.X, TRAIN.y, strict=True)]
    names = [*TOY.names, "state"]
    write_csv(tmp_path / "t.csv", [{n: row.get(n) for n in names} for row in rows])
    (tmp_path / "s.json").write_text(json.dumps(SCHEMA))
    plain = [str(tmp_path / "t.csv"), "--target", "state", "--wanted", "calm", "--schema", str(tmp_path / "s.json")]
    plain += ["--classifier", "xgboost"]
    main([*plain, "--json"], standalone_mode=False)
    facts = json.loads(capsys.readouterr().out)
    main([*plain, "--classifier", "svm"], standalone_mode=False)
    table = capsys.readouterr().out.splitlines()
    assert facts["kind"] == "xgboost" and facts["auc"] > 0.7 and facts["seconds"] > 0
    assert len(table) == 4 and table[3].startswith("| svm |")
    assert table[2].startswith(f"| xgboost | {facts['recipes_tried']} | {facts['auc_cv']:.3f} |")
    with pytest.raises(click.ClickException, match="the table lacks 'mood'"):
        main([*plain, "--target", "mood"], standalone_mode=False)


# Classifiers from elsewhere


def onnx_file(folder: Path, data: bytes) -> str:
    (folder / "own.onnx").write_bytes(data)
    return str(folder / "own.onnx")


def changed(steps: list[Any], constants: dict[str, Any], columns: int = 2) -> bytes:
    """The toy classifier with nodes behind it; they read `probabilities` and write `out`."""
    graph = onnx.load_from_string(toy_classifier())
    graph.graph.node.extend(steps)
    graph.graph.initializer.extend(numpy_helper.from_array(np.asarray(v), n) for n, v in constants.items())
    graph.graph.output.pop()
    graph.graph.output.append(helper.make_tensor_value_info("out", TensorProto.FLOAT, [None, columns]))
    return bytes(graph.SerializeToString())


def column(index: list[int]) -> bytes:
    return changed([helper.make_node("Gather", ["probabilities", "which"], ["out"], axis=1)], {"which": np.array(index)}, len(index))


@pytest.fixture(autouse=True)
def _few_points(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "own" in request.node.name or "compared" in request.node.name:
        monkeypatch.setattr(export, "LATTICE_ROWS", 2000)


@pytest.mark.parametrize("index", [[0, 1], [1, 0], [1], [0]], ids=["in order", "exchanged", "one column", "one column of the unwanted"])
def test_an_own_graph_answers_for_the_wanted_class_whatever_its_order(index: list[int], tmp_path: Path) -> None:
    made = make(onnx_file(tmp_path, column(index)), TRAIN, TEST, 0, quiet)
    expected = OnnxChecker(toy_classifier(), 4, 1).p_target(TEST.X)
    np.testing.assert_allclose(OnnxChecker(made.graph, 4, 1, classes=2).p_target(TEST.X), expected, atol=1e-6)
    facts = made.facts
    assert facts["kind"] == "own (ONNX)" and facts["auc_cv"] is None and facts["parity"] is None
    assert facts["class_order"].startswith("by AUC on the training rows (0.8") and facts["auc"] > 0.8
    assert "nothing to compare it with" in facts_line(facts)


def without_fill() -> bytes:
    """The toy classifier without its filling in of unknown values: NaN in, NaN out."""
    graph = onnx.load_from_string(toy_classifier())
    for node in graph.graph.node:
        if node.op_type == "Where":
            node.op_type = "Identity"
            del node.input[:]
            node.input.append("record")
    return bytes(graph.SerializeToString())


def on(op: str, value: Any) -> bytes:
    return changed([helper.make_node(op, ["probabilities", "v"], ["out"])], {"v": np.float32(value)})


BAD_GRAPHS = {
    "not a graph": (b"PK\x03\x04 nonsense", "no ONNX graph"),
    "empty": (b"", "no ONNX graph|cannot be loaded"),
    "too narrow": (toy_classifier(width=3), "takes 3 features, the schema has 4"),
    "unknown in, NaN out": (without_fill(), r"fails where values are unknown \(deep_sleep are optional in the schema\): put an imputer"),
    "no probabilities": (on("Mul", 3.0), "no probability"),
    "not of two classes": (on("Mul", 0.5), "do not sum to 1"),
    "the same for everybody": (
        changed(
            [helper.make_node("Mul", ["probabilities", "nil"], ["gone"]), helper.make_node("Add", ["gone", "half"], ["out"])],
            {"nil": np.float32(0), "half": np.float32(0.5)},
        ),
        r"AUC on the training rows is 0\.50: it does not know this target",
    ),
    "three classes": (column([0, 1, 1]), "gives 3 probabilities a row"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_GRAPHS)
def test_an_own_graph_of_another_form_is_refused_with_a_remedy(case: str, tmp_path: Path) -> None:
    data, message = BAD_GRAPHS[case]
    with pytest.raises(CheckError, match=message) as error:
        make(onnx_file(tmp_path, data), TRAIN, TEST, 0, quiet)
    assert "\n" not in str(error.value)


def saved(folder: Path, model: Any, y: Any = None, X: Any = None) -> str:
    model.fit(TRAIN.X.astype(np.float32) if X is None else X, TRAIN.y if y is None else y)
    skops.io.dump(model, folder / "own.skops")
    return str(folder / "own.skops")


def boosted() -> Any:
    from xgboost import XGBClassifier

    return XGBClassifier(n_estimators=20, max_depth=3, random_state=0)


OWN = {
    "forest": lambda: make_pipeline(SimpleImputer(), RandomForestClassifier(20, min_samples_leaf=5, random_state=0)),
    "xgboost": boosted,
    "scaled boosting": lambda: make_pipeline(SimpleImputer(), StandardScaler(), GradientBoostingClassifier(random_state=0)),
    "calibrated svm": lambda: make_pipeline(SimpleImputer(), StandardScaler(), CalibratedClassifierCV(SVC(), ensemble=False)),
    "by columns": lambda: make_pipeline(
        ColumnTransformer([("a", make_pipeline(SimpleImputer(), StandardScaler()), [0, 1, 2]), ("b", "passthrough", [3])]),
        LogisticRegression(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", OWN)
def test_an_own_model_saved_with_skops_is_exported_with_parity(case: str, tmp_path: Path) -> None:
    model = OWN[case]()
    made = make(saved(tmp_path, model), TRAIN, TEST, 0, quiet)
    expected = model.predict_proba(TEST.X.astype(np.float32))[:, 1]
    apart = np.abs(OnnxChecker(made.graph, 4, 1, classes=2).p_target(TEST.X) - expected) > 1e-5
    assert apart.sum() <= made.facts["parity_ties"] and apart.mean() < 0.05
    assert made.facts["parity_ties"] == 0  # behind a scaler, too: it is written as scikit-learn rounds
    assert made.facts["parity"] <= export.PARITY and made.facts["parity_lattice_rows"] == 2000 and "skops" in made.facts["kind"]
    told = [] if case != "calibrated svm" else ["SVC with support vectors: this classifier is made of training rows"]
    assert [w.partition(", and so")[0] for w in made.warnings] == told and made.facts["warnings"] == made.warnings


@pytest.mark.parametrize("labels", [("stressed", "calm"), ("A", "B"), ("B", "A")])
def test_an_own_model_s_columns_are_told_apart_by_label_or_by_auc(labels: tuple[str, str], tmp_path: Path) -> None:
    """scikit-learn sorts its labels: with calm < stressed the wanted class is its first column."""
    model = OWN["forest"]()
    made = make(saved(tmp_path, model, np.where(TRAIN.y, labels[1], labels[0])), TRAIN, TEST, 0, quiet)
    expected = model.predict_proba(TEST.X.astype(np.float32))[:, sorted(labels).index(labels[1])]
    np.testing.assert_allclose(OnnxChecker(made.graph, 4, 1, classes=2).p_target(TEST.X), expected, atol=1e-5)
    assert ("labels calm, stressed" in made.facts["class_order"]) == (labels[0] == "stressed")


def test_an_own_model_whose_labels_are_exchanged_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckError, match=r"labels say that column 0 is calm, but read so its AUC on the training rows is 0\.[01]"):
        make(saved(tmp_path, OWN["forest"](), np.where(TRAIN.y, "stressed", "calm")), TRAIN, TEST, 0, quiet)


def test_an_own_model_that_does_not_fit_is_refused_with_a_remedy(tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame(TRAIN.X.astype(np.float32), columns=["age", "deep_sleep", "steps", "smoker"])
    cases: list[tuple[Any, dict[str, Any], str]] = [
        (make_pipeline(SimpleImputer(), StandardScaler(), RidgeClassifier()), {}, "without probabilities; put it in Calibrated"),
        (OWN["forest"](), {"X": TRAIN.X[:, :3]}, "takes 3 features, the schema has 4: age, steps, deep_sleep, smoker"),
        (OWN["forest"](), {"X": frame}, r"has deep_sleep where the schema has steps \(feature 2\); fit it in schema order"),
        (OWN["forest"](), {"y": np.arange(len(TRAIN)) % 3}, "knows 3 classes, two are needed"),
        (make_pipeline(StandardScaler(), LogisticRegression()), {"X": np.nan_to_num(TRAIN.X)}, "unknown values need an imputer inside"),
        (GradientBoostingClassifier(random_state=0), {"X": np.nan_to_num(TRAIN.X)}, "does not take rows of codes with NaN for unknown"),
    ]
    for model, how, message in cases:
        with pytest.raises(CheckError, match=message):
            make(saved(tmp_path, model, **how), TRAIN, TEST, 0, quiet)


class Hostile(DecisionTreeClassifier):
    """A classifier that leaves a mark when it is built from a state."""

    mark: Path

    def __setstate__(self, state: Any) -> None:
        self.mark.write_text("ran")


class Pickled:
    """What a hostile pickle does when it is opened."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.write_text, (self.mark, "ran")


def rewritten(path: str, change: Any) -> str:
    """A skops file whose schema is changed."""
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    schema = json.loads(parts["schema.json"])
    change(schema)
    parts["schema.json"] = json.dumps(schema).encode()
    with zipfile.ZipFile(path, "w") as new:
        for name, data in parts.items():
            new.writestr(name, data)
    return path


def test_a_hostile_skops_file_is_refused_by_type_and_never_runs(tmp_path: Path) -> None:
    Hostile.mark = tmp_path / "mark"
    path = saved(tmp_path, Hostile(), X=np.nan_to_num(TRAIN.X))
    with pytest.raises(CheckError, match=r"own\.skops asks to build test_classifiers\.Hostile, which is no known part of a classifier"):
        make(path, TRAIN, TEST, 0, quiet)
    assert not Hostile.mark.exists()


@pytest.mark.parametrize(("module", "name"), [("os", "system"), ("builtins", "eval"), ("subprocess", "Popen"), ("sklearn.utils", "Bunch2")])
def test_a_skops_file_whose_schema_was_rewritten_is_refused(module: str, name: str, tmp_path: Path) -> None:
    path = rewritten(saved(tmp_path, OWN["forest"]()), lambda schema: schema.update(__module__=module, __class__=name))
    with pytest.raises(CheckError, match=f"{module}.{name}|cannot be opened as a skops file"):
        make(path, TRAIN, TEST, 0, quiet)


def test_a_pickle_is_refused_under_any_name_and_never_opened(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    for name, kind in (("m.pkl", TableError), ("m.joblib", TableError), ("m.pickle", TableError), ("m.skops", CheckError)):
        (tmp_path / name).write_bytes(pickle.dumps(Pickled(mark)))
        with pytest.raises(kind, match=r"skops") as error:
            make(str(tmp_path / name), TRAIN, TEST, 0, quiet)
        assert "skops.io.dump" in str(error.value) and not mark.exists()


def test_a_skops_file_with_a_pickle_inside_an_array_never_runs(tmp_path: Path) -> None:
    """numpy would unpickle an array of objects; skops reads arrays without that."""
    path, mark = saved(tmp_path, OWN["by columns"]()), tmp_path / "mark"
    bomb = io.BytesIO()
    np.save(bomb, np.array([Pickled(mark)], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    assert [n for n in parts if n.endswith(".npy")]
    with zipfile.ZipFile(path, "w") as new:
        for name, data in parts.items():
            new.writestr(name, bomb.getvalue() if name.endswith(".npy") else data)
    with pytest.raises(CheckError, match="cannot be opened as a skops file"):
        make(path, TRAIN, TEST, 0, quiet)
    assert not mark.exists()


def test_a_skops_file_that_unpacks_to_too_much_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sensecf_convert.classifier.own import skops_file

    monkeypatch.setattr(skops_file, "MOST_BYTES", 1000)
    with pytest.raises(CheckError, match="more than a classifier needs"):
        make(saved(tmp_path, OWN["forest"]()), TRAIN, TEST, 0, quiet)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_a_damaged_own_file_is_a_clear_error_or_the_same_model(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    folder = tmp_path_factory.getbasetemp()
    chance = np.random.default_rng(seed)
    suffix = [".onnx", ".skops"][seed % 2]
    whole = bytearray(toy_classifier() if suffix == ".onnx" else skops.io.dumps(LogisticRegression()))
    for at in chance.integers(0, len(whole), 3):
        whole[at] = int(chance.integers(0, 256))
    path = folder / f"damaged{suffix}"
    path.write_bytes(bytes(whole[: int(chance.integers(1, len(whole) + 1))]))
    try:
        make(str(path), TRAIN, TEST, 0, quiet)
    except SenseCFError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("forest", r"'forest' is no classifier; choose one of random-forest, svm, xgboost, neural-network, or give the path"),
        ("nowhere.onnx", "nowhere.onnx cannot be read: No such file"),
        ("model.pt", r"model\.pt is no classifier this reads; give a file that ends in \.onnx or \.skops"),
    ],
)
def test_a_choice_that_is_none_is_told(choice: str, message: str) -> None:
    with pytest.raises(TableError, match=message):
        make(choice, TRAIN, TEST, 0, quiet)
