"""The classifier that judges records, as an ONNX graph that takes codes with NaN for unknown.

A random forest behind imputation and one-hot coding, all inside the graph: float32 [rows, features] in,
probabilities [rows, 2] out (unwanted, wanted). Chosen by cross-validation over people.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

from sensecf_edge.check import OnnxChecker
from sensecf_edge.errors import CheckError
from sensecf_edge.schema import Schema, Vector

from .tables import Cohort, folds_by_person

OPSET = 18
PARITY = 1e-5
LEAVES = (5, 10, 20)


@dataclass(frozen=True)
class Classifier:
    """A fitted pipeline and what was measured on the way. `cv_auc`: mean AUC over folds of people, training part only."""

    pipeline: Pipeline
    recipe: dict[str, Any]
    cv_auc: float


def pipeline(schema: Schema, recipe: dict[str, Any], seed: int) -> Pipeline:
    """The unfitted pipeline of a recipe: impute, code, forest."""
    numbers = [i for i, f in enumerate(schema.features) if f.kind == "number"]
    choices = [i for i, f in enumerate(schema.features) if f.kind == "choice"]
    categories = [np.arange(len(schema.features[i].choices), dtype=np.float32) for i in choices]
    parts: list[tuple[str, Any, list[int]]] = [("numbers", SimpleImputer(strategy="median", keep_empty_features=True), numbers)]
    if choices:
        coder = OneHotEncoder(categories=categories, handle_unknown="ignore", sparse_output=False, drop="if_binary")
        parts.append(("choices", make_pipeline(SimpleImputer(strategy="most_frequent", keep_empty_features=True), coder), choices))
    forest = RandomForestClassifier(class_weight="balanced_subsample", random_state=seed, n_jobs=1, **recipe)
    return Pipeline([("code", ColumnTransformer(parts)), ("forest", forest)])


def fit(data: Cohort, seed: int) -> Classifier:
    """Choose the forest's leaf size by cross-validated AUC over people, then fit on all of `data`."""
    best: tuple[float, dict[str, Any]] = (-1.0, {})
    for leaf in LEAVES:
        recipe = {"n_estimators": 100, "min_samples_leaf": leaf, "max_depth": 10, "max_features": "sqrt"}
        auc = _cross_validated(data, recipe, seed)
        best = max(best, (auc, recipe), key=lambda b: b[0])
    auc, recipe = best
    return Classifier(pipeline(data.schema, recipe, seed).fit(data.X.astype(np.float32), data.y), recipe, auc)


def _cross_validated(data: Cohort, recipe: dict[str, Any], seed: int) -> float:
    X, scores = data.X.astype(np.float32), []
    for train, test in folds_by_person(data.persons, data.y, 5, seed):
        if len(np.unique(data.y[test])) == 2:
            model = pipeline(data.schema, recipe, seed).fit(X[train], data.y[train])
            scores.append(roc_auc_score(data.y[test], model.predict_proba(X[test])[:, 1]))
    return float(np.mean(scores))


def to_onnx(model: Pipeline, features: int) -> bytes:
    """The pipeline as an ONNX graph without ZipMap."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    graph = convert_sklearn(
        model,
        initial_types=[("record", FloatTensorType([None, features]))],
        options={id(model): {"zipmap": False}},
        target_opset=OPSET,
    )
    return bytes(graph.SerializeToString())


def parity(model: Pipeline, graph: bytes, X: Vector) -> float:
    """Largest difference of the wanted class's probability between scikit-learn and onnxruntime, over all rows of X.

    Raises CheckError above 1e-5: a graph that answers differently is not the classifier that was measured.
    """
    ours = OnnxChecker(graph, X.shape[1], wanted=1).p_target(X)
    worst = float(np.abs(ours - model.predict_proba(X.astype(np.float32))[:, 1]).max())
    if worst > PARITY:
        raise CheckError(f"the ONNX classifier differs from scikit-learn by {worst:.2g} (allowed {PARITY:g}); do not ship it")
    return worst


def auc(graph: bytes, data: Cohort) -> float:
    """Area under the ROC curve of the wanted class's probability on a cohort."""
    return float(roc_auc_score(data.y, OnnxChecker(graph, data.X.shape[1], wanted=1).p_target(data.X)))
