"""Own classifiers of many kinds: taken with the answers they give themselves, or refused with a way round; never read wrongly."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from sensecf_convert.classifier.own import bring as room
from sensecf_convert.classifier.own.bring import load_own
from sensecf_convert.classifier.own.graph import NEWEST
from sensecf_convert.table.cohort import Cohort
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from xgboost import XGBClassifier

from sensecf_edge.errors import CheckError
from sensecf_edge.judge.classifier import OnnxChecker
from sensecf_edge.schema.schema import Schema

SCHEMA = Schema.from_json(
    {
        "format": 1,
        "features": [
            {"name": "age", "kind": "number", "low": 18, "high": 90, "step": 1, "mutable": False},
            {"name": "sex", "kind": "choice", "choices": ["male", "female"], "mutable": False},
            {"name": "weight index", "kind": "number", "low": 15, "high": 50, "step": 0.5},
            {"name": "pain", "kind": "choice", "choices": ["none", "mild", "severe"]},
            {"name": "grade", "kind": "choice", "choices": ["1", "2", "3"]},
        ],
    }
)
NAMES = list(SCHEMA.names)
CHOICES = ["sex", "pain", "grade"]


def people(seed: int = 0, rows: int = 400) -> Cohort:
    chance = np.random.default_rng(seed)
    X = np.column_stack([chance.choice(f.lattice, rows) for f in SCHEMA.features])
    score = 0.05 * (X[:, 0] - 54) + 1.2 * (X[:, 1] == 0) + 0.06 * (X[:, 2] - 32) + 1.5 * (X[:, 3] - 1) + 0.9 * (X[:, 4] - 1)
    y = chance.random(rows) > 1 / (1 + np.exp(-score + 0.6))
    return Cohort(SCHEMA, X, y, np.array([str(i) for i in range(rows)]), ("sick", "healthy"))


TRAIN = people()
LABELS = np.where(TRAIN.y, "healthy", "sick")
CODES = TRAIN.X.astype(np.float32)
FRAME = pd.DataFrame(CODES, columns=NAMES)
WORDS = FRAME.assign(**{n: [SCHEMA[n].choices[int(c)] for c in FRAME[n]] for n in CHOICES})
VALUES = WORDS.assign(grade=WORDS.grade.astype(int))


@pytest.fixture(autouse=True)
def _few_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PROBES", 300)


def skops_file(folder: Path, model: Any, X: Any, y: Any = LABELS) -> Path:
    model.fit(X, y)
    skops.io.dump(model, folder / "own.skops")
    return folder / "own.skops"


def healthy(graph: bytes, X: Any = TRAIN.X) -> Any:
    return OnnxChecker(graph, len(SCHEMA), 1, classes=2).p_target(X)


def by_columns(coder: Any, last: Any, places: bool = False) -> Any:
    numbers, choices = ([0, 2], [1, 3, 4]) if places else (["age", "weight index"], CHOICES)
    scaled = make_pipeline(SimpleImputer(), StandardScaler())
    return Pipeline([("parts", ColumnTransformer([("n", scaled, numbers), ("c", coder, choices)])), ("last", last)])


ORDERED = OrdinalEncoder(categories=[["female", "male"], ["severe", "none", "mild"], ["3", "1", "2"]])
TAKEN: dict[str, tuple[Any, Any]] = {
    "forest": (ExtraTreesClassifier(10, max_depth=4, random_state=0), CODES),
    "histogram boosting": (HistGradientBoostingClassifier(max_iter=5), CODES),
    "scaled XGBoost": (make_pipeline(StandardScaler(), XGBClassifier(n_estimators=8, max_depth=3)), CODES),
    "search": (GridSearchCV(LogisticRegression(max_iter=500), {"C": [0.1, 1]}, cv=2), CODES),
    "voting": (VotingClassifier([("a", LogisticRegression(max_iter=500)), ("b", RandomForestClassifier(5))], voting="soft"), CODES),
    "stacking": (StackingClassifier([("a", LogisticRegression(max_iter=500)), ("b", RandomForestClassifier(5, max_depth=4))]), CODES),
    "a frame of codes": (make_pipeline(StandardScaler(), LogisticRegression()), FRAME),
    "XGBoost on a frame": (XGBClassifier(n_estimators=8), FRAME),
    "words by name": (by_columns(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()), WORDS),
    "words by place": (by_columns(OneHotEncoder(), RandomForestClassifier(5, max_depth=4), places=True), WORDS.to_numpy(object)),
    "words in an order of their own": (by_columns(ORDERED, RandomForestClassifier(10, max_depth=5)), WORDS),
    "words and values": (by_columns(OneHotEncoder(), LogisticRegression()), VALUES),
    "codes by name": (by_columns(OneHotEncoder(), LogisticRegression()), FRAME),
    "words before XGBoost": (by_columns(OneHotEncoder(sparse_output=False), XGBClassifier(n_estimators=8)), WORDS),
}


@pytest.mark.parametrize("case", TAKEN)
def test_a_model_is_taken_with_the_answers_it_gives_itself(case: str, tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    model, X = TAKEN[case]
    y = TRAIN.y.astype(int) if "XGBoost" in case else LABELS
    brought = load_own(skops_file(tmp_path, model, X, y), TRAIN)
    theirs = model.predict_proba(X)[:, list(model.classes_).index("healthy" if y is LABELS else 1)]
    assert (np.abs(healthy(brought.graph) - theirs) > 1e-5).mean() < 0.01
    assert not [w for w in recwarn if "sensecf" in str(w.filename)]
    assert ("by its labels" in brought.order) == (y is LABELS)


def alphabetical(X: pd.DataFrame) -> pd.DataFrame:
    """The codes that an encoder makes which sorts words by their letters."""
    return X.assign(**{n: WORDS[n].map({c: i for i, c in enumerate(sorted(SCHEMA[n].choices))}).astype(np.float32) for n in CHOICES})


@pytest.mark.parametrize("numbered", [alphabetical, lambda X: X.assign(grade=4 - (X.grade + 1)), lambda X: X.assign(grade=2.0 - X.grade)])
def test_a_model_fitted_on_choices_numbered_otherwise_is_an_error_that_names_the_order(numbered: Any, tmp_path: Path) -> None:
    model = RandomForestClassifier(30, max_depth=6, random_state=0)
    with pytest.raises(CheckError, match=r"AUC on the training rows is 0\.\d\d where choices have .* fitted on choices numbered so"):
        load_own(skops_file(tmp_path, model, numbered(FRAME).to_numpy(np.float32)), TRAIN)


def test_a_model_fitted_on_values_and_not_on_places_is_an_error(tmp_path: Path) -> None:
    model = RandomForestClassifier(30, max_depth=6, random_state=0)
    with pytest.raises(CheckError, match="grade is its own value"):
        load_own(skops_file(tmp_path, model, FRAME.assign(grade=FRAME.grade + 1).to_numpy(np.float32)), TRAIN)


def test_words_that_the_schema_has_and_the_model_has_not_learnt_are_named(tmp_path: Path) -> None:
    cases = [
        (WORDS.assign(pain=WORDS.pain.replace("severe", "mild")), "has learnt mild, none of pain and not severe"),
        (WORDS.assign(sex=WORDS.sex.str.upper()), "has learnt FEMALE, MALE of sex and not male, female"),
    ]
    for X, message in cases:
        with pytest.raises(CheckError, match=message):
            load_own(skops_file(tmp_path, by_columns(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()), X), TRAIN)


REFUSED: dict[str, tuple[Any, Any, str]] = {
    "gblinear": (XGBClassifier(booster="gblinear", n_estimators=3), CODES, "gblinear has no ONNX form here; use .* LogisticRegression"),
    "dart": (XGBClassifier(booster="dart", n_estimators=3, rate_drop=0.5), CODES, 'dart has no ONNX form here; .* booster="gbtree"'),
    "parallel": (XGBClassifier(num_parallel_tree=3, n_estimators=2), CODES, r"num_parallel_tree over 1\) has no ONNX form here"),
    "pandas categories": (
        XGBClassifier(enable_categorical=True, n_estimators=3),
        FRAME.assign(pain=FRAME.pain.astype(int).astype("category")),
        "pandas categories",
    ),
    "histogram categories": (
        HistGradientBoostingClassifier(max_iter=3, categorical_features=[3, 4]),
        CODES,
        "with categorical_features has no",
    ),
    "temperature": (
        CalibratedClassifierCV(LogisticRegression(max_iter=500), method="temperature", cv=2),
        CODES,
        r"CalibratedClassifierCV\(method=",
    ),
}


@pytest.mark.filterwarnings("ignore:.*is deprecated:UserWarning")  # XGBoost 3.4 of the very boosters that are refused
@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_form_is_refused_by_name_with_a_way_round(case: str, tmp_path: Path) -> None:
    model, X, message = REFUSED[case]
    if case == "temperature" and sys.version_info < (3, 11):
        pytest.skip("scikit-learn for Python 3.10 does not have it yet")
    with pytest.raises(CheckError, match=message):
        load_own(skops_file(tmp_path, model, X, TRAIN.y.astype(int)), TRAIN)


# Graphs


def graph(
    answer: list[Any] | None = None,
    outputs: tuple[tuple[str, int, Any], ...] = (("p", TensorProto.FLOAT, ["n", 1]),),
    inputs: Any = None,
    opset: int = 17,
    **constants: Any,
) -> bytes:
    """A logistic regression over the codes; `answer` are nodes behind its score [N, 1], which is called `score`."""
    weights = np.array([[-0.05], [1.2], [-0.06], [-1.5], [-0.9]], np.float32)
    head = [] if inputs else [helper.make_node("Identity", ["record"], ["x"])]
    nodes = [*head, helper.make_node("Sub", ["x", "middle"], ["c"]), helper.make_node("MatMul", ["c", "w"], ["score"])]
    nodes += answer if answer is not None else [helper.make_node("Sigmoid", ["score"], ["p"])]
    held = {"w": weights, "middle": np.array([[54, 0.5, 32, 1, 1]], np.float32), **constants}
    given = inputs or [helper.make_tensor_value_info("record", TensorProto.FLOAT, ["n", "k"])]
    extra = [n for n in constants.pop("before", [])] if "before" in constants else []
    held.pop("before", None)
    ends = [helper.make_tensor_value_info(*o) for o in outputs]
    made = helper.make_graph([*extra, *nodes], "own", given, ends, [numpy_helper.from_array(np.asarray(v), k) for k, v in held.items()])
    stamps = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
    return bytes(helper.make_model(made, opset_imports=stamps, ir_version=9).SerializeToString())


def taken(folder: Path, data: bytes) -> room.OwnClassifier:
    (folder / "own.onnx").write_bytes(data)
    return load_own(folder / "own.onnx", TRAIN)


EXPECTED = 1 / (1 + np.exp(-((TRAIN.X - [54, 0.5, 32, 1, 1]) @ [-0.05, 1.2, -0.06, -1.5, -0.9])))
NODE = helper.make_node
BOTH = [NODE("Sigmoid", ["score"], ["q"]), NODE("Sub", ["one", "q"], ["other"]), NODE("Concat", ["other", "q"], ["p"], axis=1)]
LABEL = [NODE("ArgMax", ["p"], ["index"], axis=1, keepdims=0), NODE("Gather", ["names", "index"], ["label"])]
ONE = {"one": np.float32(1)}
SWAPPED = [*BOTH[:2], NODE("Concat", ["q", "other"], ["p"], axis=1)]
ZIP = [*BOTH, NODE("ZipMap", ["p"], ["z"], domain="ai.onnx.ml", classlabels_strings=["sick", "healthy"])]
SEQUENCE = helper.make_value_info(
    "z",
    helper.make_sequence_type_proto(helper.make_map_type_proto(TensorProto.STRING, helper.make_tensor_type_proto(TensorProto.FLOAT, None))),
)
F, S, I = TensorProto.FLOAT, TensorProto.STRING, TensorProto.INT64  # noqa: E741

GRAPHS: dict[str, tuple[bytes, str]] = {
    "[N, 1], open": (graph(outputs=(("p", F, ["n", "m"]),)), "by AUC"),
    "[N], not stated": (
        graph([NODE("Sigmoid", ["score"], ["q"]), NODE("Squeeze", ["q", "ax"], ["p"])], (("p", F, None),), ax=np.array([1])),
        "by AUC",
    ),
    "[N, 2] of the wrong declared width": (graph(BOTH, (("p", F, ["n", "m"]),), **ONE), "by AUC"),
    "double": (graph([*BOTH, NODE("Cast", ["p"], ["d"], to=TensorProto.DOUBLE)], (("d", TensorProto.DOUBLE, None),), **ONE), "by AUC"),
    "labels in words beside": (
        graph([*BOTH, *LABEL], (("label", S, None), ("p", F, None)), names=np.array(["sick", "healthy"]), **ONE),
        "by its labels sick, healthy",
    ),
    "swapped, with labels": (
        graph([*SWAPPED, *LABEL], (("label", S, None), ("p", F, None)), names=np.array(["healthy", "sick"]), **ONE),
        "by its labels healthy, sick",
    ),
    "swapped, without": (graph(SWAPPED, (("p", F, None),), **ONE), "by AUC"),
    "numbers as labels": (
        graph([*BOTH, *LABEL], (("p", F, None), ("label", I, None)), names=np.array([0, 1]), **ONE),
        "its own names 0, 1",
    ),
    "a column each": (graph(BOTH[:2], (("other", F, None), ("q", F, None)), **ONE), "by AUC"),
    "the score beside": (graph(BOTH, (("score", F, None), ("p", F, None)), **ONE), "by AUC"),
    "a newer stamp": (graph(opset=23), "by AUC"),
}


@pytest.mark.parametrize("case", GRAPHS)
def test_a_graph_is_asked_and_not_believed(case: str, tmp_path: Path) -> None:
    data, how = GRAPHS[case]
    brought = taken(tmp_path, data)
    np.testing.assert_allclose(healthy(brought.graph), EXPECTED, atol=1e-5)
    assert how in brought.order
    model = onnx.load_from_string(brought.graph)
    assert all(s.version <= NEWEST[s.domain] for s in model.opset_import) and model.ir_version <= 10
    assert [len(model.graph.input), len(model.graph.output)] == [1, 1]


def test_a_zipmap_is_cut_off_and_its_names_are_kept(tmp_path: Path) -> None:
    model = onnx.load_from_string(graph(BOTH, (("p", F, None),), **ONE))
    model.graph.node.append(ZIP[-1])
    model.graph.output[0].CopyFrom(SEQUENCE)
    brought = taken(tmp_path, model.SerializeToString())
    np.testing.assert_allclose(healthy(brought.graph), EXPECTED, atol=1e-5)
    assert brought.order == "by its labels sick, healthy"


def columns(kinds: dict[str, int]) -> bytes:
    """A graph with one input a feature."""
    given = [helper.make_tensor_value_info(n, kinds.get(n, F), [None, 1]) for n in NAMES]
    before, ready = [], []
    for name in NAMES:
        out = f"{name}_ready"
        if kinds.get(name) == S:
            choices = list(SCHEMA[name].choices)
            before.append(
                NODE(
                    "LabelEncoder",
                    [name],
                    [out],
                    domain="ai.onnx.ml",
                    keys_strings=choices,
                    values_floats=[float(i) for i in range(len(choices))],
                )
            )
        else:
            before.append(NODE("Cast", [name], [out], to=F))
        ready.append(out)
    return graph(inputs=given, before=[*before, NODE("Concat", ready, ["x"], axis=1)])


def test_one_input_a_column_is_fed_from_the_one_array_words_too(tmp_path: Path) -> None:
    brought = taken(tmp_path, columns({"sex": S, "pain": S, "age": I}))
    np.testing.assert_allclose(healthy(brought.graph), EXPECTED, atol=1e-5)
    assert "5 inputs, one a column" in brought.warnings[0]


def one_input(kind: int, shape: Any, name: str = "record") -> bytes:
    cast = [NODE("Cast", [name], ["x"], to=F)]
    return graph(inputs=[helper.make_tensor_value_info(name, kind, shape)], before=cast)


BAD: dict[str, tuple[bytes, str]] = {
    "scores": (graph([], (("score", F, None),)), "is no probability: it goes from .*; end the graph in a sigmoid"),
    "logits": (
        graph([NODE("Neg", ["score"], ["n"]), NODE("Concat", ["n", "score"], ["p"], axis=1)], (("p", F, None),)),
        "end the graph in a softmax",
    ),
    "labels alone": (
        graph([*BOTH, *LABEL], (("label", S, None),), names=np.array(["a", "b"]), **ONE),
        "gives no probabilities .* 'label' text",
    ),
    "two that could be meant": (
        graph([NODE("Sigmoid", ["score"], ["p"]), NODE("Pow", ["p", "two"], ["r"])], (("p", F, None), ("r", F, None)), two=np.float32(2)),
        "2 outputs that could be the probabilities",
    ),
    "whole numbers": (one_input(I, [None, 5]), "takes int64, and weight index may have a fraction"),
    "words": (one_input(S, [None, 5]), "takes words; here it gets one array"),
    "too narrow": (one_input(F, [None, 4]), "takes 4 features, the schema has 5: age, sex"),
    "three dimensions": (one_input(F, [None, 1, 5]), "takes an array of 3 dimensions"),
    "other names": (
        graph(
            inputs=[helper.make_tensor_value_info(n, F, [None, 1]) for n in ("age", "weight")],
            before=[NODE("Concat", ["age", "weight", "age", "age", "age"], ["x"], axis=1)],
        ),
        "lacks sex, .*; has weight",
    ),
    "constant": (
        graph([NODE("Mul", ["score", "nil"], ["n"]), NODE("Sigmoid", ["n"], ["p"])], nil=np.float32(0)),
        r"AUC on the training rows is 0\.50",
    ),
    "a newer operator": (graph([NODE("Swish", ["score"], ["s"]), NODE("Sigmoid", ["s"], ["p"])], opset=24), "uses the operator Swish"),
    "labels that are exchanged": (
        graph([*BOTH, *LABEL], (("label", S, None), ("p", F, None)), names=np.array(["healthy", "sick"]), **ONE),
        "its labels are exchanged",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_graph_that_would_be_read_wrongly_is_refused_with_what_to_do(case: str, tmp_path: Path) -> None:
    data, message = BAD[case]
    with pytest.raises(CheckError, match=message) as error:
        taken(tmp_path, data)
    assert "models verify" not in str(error.value) and "\n" not in str(error.value)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_a_changed_graph_is_an_error_in_words_or_answers_probabilities(seed: int) -> None:
    from sensecf_convert.classifier.own.graph import tidy

    chance, data = np.random.default_rng(seed), bytearray(GRAPHS["labels in words beside"][0])
    for at in chance.integers(0, len(data), chance.integers(1, 4)):
        data[at] = int(chance.integers(0, 256))
    try:
        made = tidy(bytes(data), SCHEMA, TRAIN.X[:50])
        p = healthy(made.graph, TRAIN.X[:20])
    except CheckError as error:
        assert "\n" not in str(error)
    else:
        assert ((p >= 0) & (p <= 1)).all()
