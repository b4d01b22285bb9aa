"""A classifier as one ONNX graph, and the proof that the graph answers what the classifier answers.

float32 codes [rows, features] in, NaN unknown; probabilities [rows, 2] out (unwanted, wanted). skl2onnx writes
scikit-learn's parts, onnxmltools XGBoost's; what neither knows (random Fourier features, the sigmoid behind a
classifier) is a few nodes of our own.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensecf_edge.errors import CheckError
from sensecf_edge.judge.classifier import OnnxChecker
from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.schema import Schema

from .recipes import EDGE, Model, Platt

OPSET, TREES = 18, 3
"""Operator sets of ONNX and of its trees; onnxmltools writes no newer trees."""
PARITY = 1e-5
LATTICE_ROWS = 100_000
CHUNK = 20_000
MOST_OFF, FEW_OFF = 0.05, 10
NUDGE = 4 * float(np.finfo(np.float32).eps)
TIED = 6


@dataclass(frozen=True)
class Parity:
    """How far a graph is from its classifier. `worst`: over the rows that agree within 1e-5; `ties`: rows that do not,
    each shown to stand on a tree's threshold that float32 cannot tell from the value."""

    rows: int
    worst: float
    ties: int


def to_onnx(model: Model, features: int) -> bytes:
    """The graph of a classifier. Raises CheckError, naming the part, where a part has no ONNX form."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    register()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # the converters read attributes that scikit-learn means to rename
            graph = convert_sklearn(
                model.pipeline,
                name="classifier",
                initial_types=[("record", FloatTensorType([None, features]))],
                options={id(model.pipeline): {"zipmap": False}},
                target_opset={"": OPSET, "ai.onnx.ml": TREES},
            )
    except Exception as error:  # the converters raise what they like: KeyError, RuntimeError, their own kinds
        why = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise CheckError(f"the classifier cannot be written as ONNX: {why}; replace that part by one that skl2onnx knows") from error
    if model.platt is not None:
        _add_sigmoid(graph, model.platt)
    return serialised(graph)


def serialised(graph: Any) -> bytes:
    """The graph's bytes, equal for equal graphs: converters list the operator sets in an order that changes from run to run."""
    ordered = sorted(graph.opset_import, key=lambda used: used.domain)
    copies = [type(used).FromString(used.SerializeToString()) for used in ordered]
    del graph.opset_import[:]
    graph.opset_import.extend(copies)
    return bytes(graph.SerializeToString(deterministic=True))


@cache
def register() -> None:
    """Teach skl2onnx XGBoost's classifier (through onnxmltools) and random Fourier features."""
    from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes
    from sklearn.kernel_approximation import RBFSampler
    from xgboost import XGBClassifier

    options = {"nocl": [True, False], "zipmap": [True, False, "columns"]}
    update_registered_converter(
        XGBClassifier, "XGBoostXGBClassifier", calculate_linear_classifier_output_shapes, convert_xgboost, options=options
    )
    update_registered_converter(RBFSampler, "SenseCFRBFSampler", _kernel_shape, _kernel_nodes)


def _kernel_shape(operator: Any) -> None:
    from skl2onnx.common.data_types import FloatTensorType

    operator.outputs[0].type = FloatTensorType([None, operator.raw_operator.n_components])


def _kernel_nodes(scope: Any, operator: Any, container: Any) -> None:
    """sqrt(2 / n) cos(x W + b), as RBFSampler computes it."""
    from skl2onnx.algebra.onnx_ops import OnnxAdd, OnnxCos, OnnxMatMul, OnnxMul

    kernel, opset = operator.raw_operator, container.target_opset
    weights, offset = (np.asarray(v, dtype=np.float32) for v in (kernel.random_weights_, kernel.random_offset_))
    angle = OnnxAdd(OnnxMatMul(operator.inputs[0], weights, op_version=opset), offset, op_version=opset)
    height = np.array([np.sqrt(2.0 / kernel.n_components)], dtype=np.float32)
    OnnxMul(OnnxCos(angle, op_version=opset), height, op_version=opset, output_names=operator.outputs[:1]).add_to(scope, container)


def _add_sigmoid(graph: Any, numbers: Platt) -> None:
    """Replace the output p by 1 / (1 + exp(-(a logit(p) + b)))."""
    a, b = numbers
    append(
        graph,
        [
            ("Gather", ["$in", "second"], "wanted", {"axis": 1}), ("Clip", ["wanted", "low", "high"], "inside", {}),
            ("Sub", ["one", "inside"], "other", {}), ("Div", ["inside", "other"], "odds", {}), ("Log", ["odds"], "logit", {}),
            ("Mul", ["logit", "slope"], "scaled", {}), ("Add", ["scaled", "offset"], "score", {}), ("Sigmoid", ["score"], "p", {}),
            ("Sub", ["one", "p"], "q", {}), ("Concat", ["q", "p"], "$out", {"axis": 1}),
        ],
        {"second": np.array([1]), "low": EDGE, "high": 1 - EDGE, "one": 1.0, "slope": a, "offset": b},
    )  # fmt: skip


def append(graph: Any, steps: Sequence[tuple[str, list[str], str, dict[str, Any]]], constants: dict[str, Any]) -> None:
    """Put nodes behind the graph's output of probabilities, in place; `$in` is that output, `$out` the new one, [rows, 2].

    Integers stay int64, all other constants become float32. Names get a prefix that no converter uses."""
    from onnx import TensorProto, helper, numpy_helper

    old = next(o for o in graph.graph.output if len(o.type.tensor_type.shape.dim) == 2)
    prefix = f"sensecf{len(graph.graph.node)}"
    names = {"$in": old.name, "$out": f"{prefix}_probabilities"}

    def name(plain: str) -> str:
        return str(names.get(plain, f"{prefix}_{plain}"))

    for plain, value in constants.items():
        array = np.asarray(value)
        typed = array.astype(np.int64 if array.dtype.kind == "i" else np.float32)
        graph.graph.initializer.append(numpy_helper.from_array(typed, name(plain)))
    for kind, inputs, output, more in steps:
        graph.graph.node.append(helper.make_node(kind, [name(i) for i in inputs], [name(output)], name=name(f"to_{output}"), **more))
    graph.graph.output.remove(old)
    graph.graph.output.append(helper.make_tensor_value_info(names["$out"], TensorProto.FLOAT, [None, 2]))


def lattice_points(schema: Schema, rows: int, seed: int, unknown: float = 0.1) -> Vector:
    """Random points of the schema's lattice, shape (rows, features), every value of a feature equally likely; optional
    features are NaN in a share of `unknown`. Relations between features are not kept: a graph must agree anywhere."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.choice(f.lattice, rows) for f in schema.features])
    optional = np.array([f.optional for f in schema.features])
    X[(rng.random(X.shape) < unknown) & optional] = np.nan
    return X


def parity(model: Model, graph: bytes, schema: Schema, X: Vector) -> Parity:
    """Compare classifier and graph on all rows of X. A row over 1e-5 must be explained by a tie (see `tied`).

    Raises CheckError where a row is not: a graph that answers differently is not the classifier that was measured.
    """
    checker = OnnxChecker(graph, X.shape[1], wanted=1, classes=2)
    ours = np.concatenate([checker.p_target(X[i : i + CHUNK]) for i in range(0, len(X), CHUNK)])
    theirs = np.concatenate([model.p_wanted(X[i : i + CHUNK]) for i in range(0, len(X), CHUNK)])
    apart = np.abs(ours - theirs)
    off = np.flatnonzero(~(apart <= PARITY))
    told = f"the ONNX classifier differs by {apart.max():.2g} (allowed {PARITY:g}) in {len(off):,} of {len(X):,} rows"
    if len(off) > max(FEW_OFF, MOST_OFF * len(X)):
        raise CheckError(f"{told}, too many to be ties at thresholds; do not ship it")
    size = np.array([NUDGE * max(abs(f.lattice[0]), abs(f.lattice[-1])) if f.kind == "number" else 0.0 for f in schema.features])
    if strange := [int(i) for i in off if not tied(model, X[i], float(ours[i]), size)]:
        raise CheckError(f"{told}, {len(strange):,} of them without a tie at a threshold, first in row {strange[0]}; do not ship it")
    return Parity(len(X), float(np.delete(apart, off).max(initial=0.0)), len(off))


def tied(model: Model, x: Vector, answer: float, size: Vector) -> bool:
    """Whether `answer` is what the classifier says of x, or of x moved by float32's rounding (`size`, one a feature).

    A tree steps at its thresholds. Where a value and a threshold differ by rounding alone, the two programs may take
    different sides; the classifier itself takes both when x is nudged by some units in the last place of the largest
    value the feature may have. First the numbers are found for which a nudge matters, then all their combinations are
    tried: the answer must lie between the lowest and the highest of them. A smooth classifier does not move under such
    a nudge, so nothing of it is explained. Choices are not nudged: a code between two choices is no value.
    """
    singles = np.concatenate([x + np.diag(size), x - np.diag(size)])
    base = float(model.p_wanted(x[None])[0])
    moved = np.abs(model.p_wanted(singles) - base).reshape(2, -1).max(axis=0)
    loose: NDArray[np.intp] = np.argsort(-moved, kind="stable")[: min(TIED, int((moved > PARITY / 10).sum()))]
    signs = np.zeros((3 ** len(loose), len(x)))
    signs[:, loose] = list(product((-1, 0, 1), repeat=len(loose)))
    answers = model.p_wanted(x + signs * size)
    return bool(answers.min() - PARITY <= answer <= answers.max() + PARITY)
