"""A classifier made elsewhere: an ONNX graph, or a scikit-learn or XGBoost model that skops saved.

Parse, audit, construct. A skops file is read without unpickling anything: it names the types it wants to build, and
only those listed here are built. Pickles are refused, whatever they hold. What comes in is then asked, not trusted:
width, probabilities, unknown values, and which column is the wanted class.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from sensecf_edge.check import OnnxChecker
from sensecf_edge.errors import CheckError, TableError
from sensecf_edge.schema import Schema

from ..tables import Cohort
from .export import append, lattice_points, serialised, to_onnx
from .recipes import Model

SUFFIXES = (".onnx", ".skops")
PICKLES = (".pkl", ".pickle", ".joblib", ".dill", ".sav")
BUILT = frozenset(
    {
        "numpy.dtype",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
        "xgboost.core.Booster",
        "xgboost.sklearn.XGBClassifier",
    }
)
"""Types that may be built beside those skops builds anyway (scikit-learn's public estimators, numpy arrays, plain values)."""
MOST_BYTES = 1_000_000_000
TELLING = 0.05
"""How far from 0.5 the AUC on the training rows must be, to tell from it which column is the wanted class."""
PROBES = 2_000


@dataclass(frozen=True)
class Brought:
    """A classifier from elsewhere, in the form this project asks for. `model` is None where only the graph is known."""

    graph: bytes
    model: Model | None
    kind: str
    order: str
    warnings: list[str]


def bring(path: Path, train: Cohort) -> Brought:
    """Read, audit and fit in an own classifier. Raises CheckError or TableError saying what to do."""
    if path.suffix in PICKLES:
        raise TableError(
            f"{path} is a pickle, which can run any program when it is opened; save the model with skops instead: "
            'skops.io.dump(model, "model.skops")'
        )
    if path.suffix not in SUFFIXES:
        raise TableError(f"{path} is no classifier this reads; give a file that ends in {' or '.join(SUFFIXES)}")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TableError(f"{path} cannot be read: {error.strerror}") from error
    return _from_onnx(data, train) if path.suffix == ".onnx" else _from_skops(data, path.name, train)


def _from_skops(data: bytes, name: str, train: Cohort) -> Brought:
    estimator = _opened(data, name)
    classes = _fits(estimator, name, train.schema)
    model, features = Model(estimator), len(train.schema)
    graph = to_onnx(model, features)
    _check(graph, train.schema)
    try:
        model.p_wanted(lattice_points(train.schema, 100, seed=0))
    except (ValueError, TypeError) as error:
        raise CheckError(
            f"{name} does not take rows of codes with NaN for unknown: {_line(error)}; choices are numbered in schema order, "
            "and unknown values need an imputer inside the model"
        ) from error
    order, turned = _order([str(c) for c in classes], graph, train)
    if turned:
        graph, model = _turned(graph), Model(_Turned(estimator))
    inside = [type(part).__name__ for part in _parts(estimator)]
    kept = [n for n in inside if n.startswith(("KNeighbors", "RadiusNeighbors", "GaussianProcess", "Nystroem"))]
    kept += [f"{type(p).__name__} with support vectors" for p in _parts(estimator) if hasattr(p, "support_vectors_")]
    return Brought(graph, model, f"own ({inside[-1]}, skops)", order, _rows_inside(kept))


def _opened(data: bytes, name: str) -> Any:
    """The estimator in a skops file, every type of it allowed by name."""
    import io

    from skops.io import get_untrusted_types, loads

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as parts:
            size = sum(part.file_size for part in parts.infolist())
        if size > MOST_BYTES:
            raise CheckError(f"{name} unpacks to {size / 1e9:.1f} GB, more than a classifier needs; it is not opened")
        wanted = get_untrusted_types(data=data)
        if strange := sorted(set(wanted) - BUILT):
            raise CheckError(
                f"{name} asks to build {', '.join(strange[:5])}, which is no known part of a classifier; it is not opened. "
                "Use scikit-learn's and XGBoost's own parts, or export the model as ONNX yourself"
            )
        return loads(data, trusted=wanted)
    except CheckError:
        raise
    except Exception as error:  # a damaged file fails anywhere inside zipfile, json, numpy, scikit-learn or xgboost
        raise CheckError(f"{name} cannot be opened as a skops file: {_line(error)}; save it again with skops.io.dump") from error


def _fits(estimator: Any, name: str, schema: Schema) -> list[Any]:
    """The two classes of a fitted classifier over the schema's features, in its order."""
    if not hasattr(estimator, "predict_proba"):
        raise CheckError(
            f"{name} holds a {type(estimator).__name__} without probabilities; put it in CalibratedClassifierCV, fit again, save again"
        )
    classes = list(getattr(estimator, "classes_", []))
    if len(classes) != 2:
        raise CheckError(f"{name} knows {len(classes)} classes, two are needed; fit it on the two classes of the target")
    width = getattr(estimator, "n_features_in_", len(schema))
    if width != len(schema):
        raise CheckError(f"{name} takes {width} features, the schema has {len(schema)}: {', '.join(schema.names)}; fit it on these")
    names = [str(n) for n in getattr(estimator, "feature_names_in_", schema.names)]
    if names != list(schema.names):
        at = next(i for i, (a, b) in enumerate(zip(names, schema.names, strict=True)) if a != b)
        raise CheckError(f"{name} has {names[at]} where the schema has {schema.names[at]} (feature {at + 1}); fit it in schema order")
    return classes


def _from_onnx(data: bytes, train: Cohort) -> Brought:
    import onnx

    try:
        graph = onnx.load_from_string(data)
        for part in [*graph.graph.input, *graph.graph.output]:
            part.type.tensor_type  # noqa: B018 - a damaged file fails here
    except Exception as error:
        raise CheckError(f"the file is no ONNX graph: {_line(error)}; export the classifier again") from error
    probabilities = [o for o in graph.graph.output if len(o.type.tensor_type.shape.dim) == 2]
    if len(probabilities) == 1 and probabilities[0].type.tensor_type.shape.dim[1].dim_value == 1:
        append(graph, [("Sub", ["one", "$in"], "q", {}), ("Concat", ["q", "$in"], "$out", {"axis": 1})], {"one": 1.0})
        data = serialised(graph)
    _check(data, train.schema)
    order, turned = _order(_labels(graph), data, train)
    kept = [n.op_type for n in graph.graph.node if n.op_type == "SVMClassifier" and any(a.name == "vectors_per_class" for a in n.attribute)]
    return Brought(_turned(data) if turned else data, None, "own (ONNX)", order, _rows_inside(kept))


def _check(graph: bytes, schema: Schema) -> None:
    """Ask the graph about points of the schema's lattice, with unknown values where the schema allows them: it must
    answer probabilities, that sum to 1, and the same for a row alone as for a row among others."""

    X = lattice_points(schema, PROBES, seed=0, unknown=0.3)
    optional = [f.name for f in schema.features if f.optional]
    checker = OnnxChecker(graph, len(schema), wanted=1, classes=2)
    checker.p_target(np.where(np.isnan(X), np.array([f.lattice[0] for f in schema.features]), X))
    try:
        p = checker.p_target(X)
    except CheckError as error:
        raise CheckError(
            f"the classifier fails where values are unknown ({', '.join(optional[:6])} are optional in the schema): "
            "put an imputer inside the graph, or make these features required"
        ) from error
    q = OnnxChecker(graph, len(schema), wanted=0, classes=2).p_target(X)
    if np.abs(p + q - 1).max() > 1e-3:
        raise CheckError("the classifier's two numbers do not sum to 1, so they are no probabilities of two classes; end it in a softmax")
    alone = np.array([checker.p_target(row[None])[0] for row in X[:20]])
    if np.abs(alone - p[:20]).max() > 1e-5:
        raise CheckError("the classifier answers a row alone otherwise than among others; export it in evaluation mode")


def _labels(graph: Any) -> list[str]:
    """Names of the classes that a graph states itself, in its order; empty where it states none."""
    for node in reversed(graph.graph.node):
        for attribute in node.attribute:
            if attribute.name in ("classlabels_strings", "cats_strings") and len(attribute.strings) == 2:
                return [s.decode("utf-8", "replace") for s in attribute.strings]
            if attribute.name in ("classlabels_int64s", "classlabels_ints", "cats_int64s") and len(attribute.ints) == 2:
                return [str(i) for i in attribute.ints]
    return []


def _order(labels: list[str], graph: bytes, train: Cohort) -> tuple[str, bool]:
    """How it is known which column is the wanted class, in words, and whether the columns must change places."""
    p = OnnxChecker(graph, len(train.schema), wanted=1, classes=2).p_target(train.X)
    auc = float(roc_auc_score(train.y, p))
    if set(labels) == set(train.classes):
        turned = labels[1] != train.classes[1]
        right = 1 - auc if turned else auc
        if right < 0.5 - TELLING:
            raise CheckError(
                f"the classifier's labels say that column {labels.index(train.classes[1])} is {train.classes[1]}, but read so "
                f"its AUC on the training rows is {right:.2f}; its features are in another order, or its labels are exchanged"
            )
        return f"by its labels {labels[0]}, {labels[1]}", turned
    if abs(auc - 0.5) < TELLING:
        raise CheckError(
            f"the classifier's AUC on the training rows is {auc:.2f}: it does not know this target, or takes the features in another "
            f"order; it must take {', '.join(train.schema.names)}"
        )
    return f"by AUC on the training rows ({max(auc, 1 - auc):.2f})", auc < 0.5


def _turned(data: bytes) -> bytes:
    """The graph with its two columns exchanged."""
    import onnx

    graph = onnx.load_from_string(data)
    append(graph, [("Gather", ["$in", "order"], "$out", {"axis": 1})], {"order": np.array([1, 0])})
    return serialised(graph)


@dataclass(frozen=True)
class _Turned:
    """An estimator whose columns are exchanged."""

    estimator: Any

    def predict_proba(self, X: Any) -> Any:
        return self.estimator.predict_proba(X)[:, ::-1]


def _parts(estimator: Any) -> list[Any]:
    """The steps of a pipeline, flat, and what stands inside a calibration; the classifier last."""
    steps = getattr(estimator, "steps", None)
    if steps:
        return [part for _, step in steps for part in _parts(step)]
    return [*(p for c in getattr(estimator, "calibrated_classifiers_", []) for p in _parts(c.estimator)), estimator]


def _rows_inside(kept: list[str]) -> list[str]:
    """A warning where a classifier keeps rows it was fitted on."""
    if not kept:
        return []
    parts = ", ".join(sorted(set(kept)))
    return [f"{parts}: this classifier is made of training rows, and so will the bundle be; keep it where they may be kept"]


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
