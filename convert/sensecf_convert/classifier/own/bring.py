"""A classifier made elsewhere: an ONNX graph, or a scikit-learn or XGBoost model that skops saved.

Parse, audit, construct. What comes in is then asked, not trusted: width, probabilities, unknown values, which column is
the wanted class, and whether choices are read in the schema's order. Pickles are refused, whatever they hold.

    skops_file   opened, type by type        own_model, boosters   what it was fitted on; its graph
    own_graph, columns, outputs              any graph in the bundle's form
    order        which class is which
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sensecf_edge.errors import CheckError, TableError
from sensecf_edge.judge.classifier import FIX, OnnxChecker
from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.schema import Schema

from ...table.cohort import Cohort
from ..onnx import append, lattice_points, parity, serialised
from ..recipes import Model
from . import class_order
from . import model as own_model
from . import parts as own_parts
from .graph import tidy
from .messages import first_line
from .skops_file import opened

SUFFIXES = (".onnx", ".skops")
PICKLES = (".pkl", ".pickle", ".joblib", ".dill", ".sav")
PROBES = 2_000
ASKED = 500
"""Rows of the table that a graph is asked, to see which of its outputs is which."""


@dataclass(frozen=True)
class OwnClassifier:
    """A classifier from elsewhere, in the form this project asks for. `model` is None where only the graph is known."""

    graph: bytes
    model: Model | None
    kind: str
    order: str
    warnings: list[str]


def load_own(path: Path, train: Cohort) -> OwnClassifier:
    """Read, audit and fit in an own classifier. Raises CheckError or TableError saying what to do.

    Nothing that other people's libraries have to say meanwhile is passed on: what matters of it is in `warnings`."""
    if path.suffix.lower() in PICKLES:
        raise TableError(
            f"{path} is a pickle, which can run any program when it is opened; save the model with skops instead: "
            'skops.io.dump(model, "model.skops")'
        )
    if path.suffix.lower() not in SUFFIXES:
        raise TableError(f"{path} is no classifier this reads; give a file that ends in {' or '.join(SUFFIXES)}")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TableError(f"{path} cannot be read: {error.strerror}") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _from_onnx(data, train) if path.suffix.lower() == ".onnx" else _from_skops(data, path.name, train)
        except CheckError as error:  # there is no bundle yet that could be verified or built again
            raise CheckError(str(error).replace(f"; {FIX}", "; export it again")) from error


def _from_skops(data: bytes, name: str, train: Cohort) -> OwnClassifier:
    estimator, notes = opened(data, name)
    estimator = own_model.unwrapped(estimator)
    labels = own_model.checked(estimator, name, train.schema)
    fitted = own_model.fitted_in(estimator, name, train.schema)
    model = Model(fitted)
    _answers(model, name, train.schema)
    numbers = {n: v for n, v in fitted.learnt.items() if n not in fitted.text_features} if isinstance(fitted, own_model.Framed) else {}
    tidied = tidy(own_model.graph_of(fitted, name, train.schema), train.schema, _asked(train), numbers)
    _check(tidied.graph, train.schema)
    graph = tidied.graph
    try:
        parity(model, graph, train.schema, np.concatenate([train.X[:ASKED], lattice_points(train.schema, PROBES, seed=0)]))
    except CheckError as error:
        raise own_model.why_it_differs(estimator, error) from error
    words, turned = class_order.settle(graph, labels, train)
    if turned:
        graph, model = _turned(graph), Model(_Turned(fitted))
    if isinstance(fitted, own_model.Framed):
        words_of = f", {', '.join(fitted.text_features)} in words" if fitted.text_features else ""
        notes.append(f"takes columns one by one{words_of}; the graph takes them from the one array of numbers that it gets")
    inside = list(own_parts.parts(estimator))
    named = [type(part).__name__ for part in inside]
    kept = [n for n in named if n.startswith(("KNeighbors", "RadiusNeighbors", "GaussianProcess", "Nystroem", "KNNImputer"))]
    kept += [f"{type(p).__name__} with support vectors" for p in inside if hasattr(p, "support_vectors_")]
    last = named[-2] if named[-1] == "Pipeline" and len(named) > 1 else named[-1]
    return OwnClassifier(graph, model, f"own ({last}, skops)", words, [*notes, *_rows_inside(kept)])


def _answers(model: Model, name: str, schema: Schema) -> None:
    """Raises CheckError where the model itself does not take what it will be asked."""
    for unknown, why in ((0.0, ""), (0.3, "unknown values need an imputer inside the model")):
        try:
            model.p_wanted(lattice_points(schema, 100, seed=0, unknown=unknown))
        except Exception as error:  # estimators raise what they like
            raise CheckError(
                f"{name} does not take rows of codes with NaN for unknown: {first_line(error)}; choices are numbered in schema order"
                + (f", and {why}" if why else "")
            ) from error


def _asked(train: Cohort) -> Vector:
    """Rows of the table, both classes, and points of the lattice: what a graph is asked before anything is known of it."""
    some = np.random.default_rng(0).permutation(len(train))[:ASKED]
    rows = np.concatenate([train.X[some], lattice_points(train.schema, ASKED, seed=0, unknown=0.0)])
    return np.where(np.isnan(rows), np.array([f.lattice[len(f.lattice) // 2] for f in train.schema.features]), rows)


def _from_onnx(data: bytes, train: Cohort) -> OwnClassifier:
    import onnx

    tidied = tidy(data, train.schema, _asked(train))
    _check(tidied.graph, train.schema)
    words, turned = class_order.settle(tidied.graph, tidied.labels, train)
    nodes = onnx.load_from_string(tidied.graph).graph.node
    kept = [n.op_type for n in nodes if n.op_type == "SVMClassifier" and any(a.name == "vectors_per_class" for a in n.attribute)]
    kept += [n.op_type for n in nodes if n.op_type in ("CDist", "TopK")]
    graph = _turned(tidied.graph) if turned else tidied.graph
    return OwnClassifier(graph, None, "own (ONNX)", words, [*tidied.notes, *_rows_inside(kept)])


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


def _rows_inside(kept: list[str]) -> list[str]:
    """A warning where a classifier keeps rows it was fitted on."""
    if not kept:
        return []
    parts = ", ".join(sorted(set(kept)))
    return [f"{parts}: this classifier is made of training rows, and so will the bundle be; keep it where they may be kept"]
