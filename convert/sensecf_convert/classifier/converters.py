"""skl2onnx's door for estimators that somebody else fitted, with mends where it does not do what scikit-learn does."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from .onnx import OPSET, TREES, register


def converted(estimator: Any, features: int, columns: Sequence[tuple[str, bool]] | None) -> bytes:
    """The graph as skl2onnx writes it: one array in, or one input for each of `columns`, (name, whether it is words).

    Raises what skl2onnx raises."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType
    from sklearn.gaussian_process import GaussianProcessClassifier
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.preprocessing import StandardScaler

    register()
    _leaves_as_numbers()
    given: list[tuple[str, Any]] = [("record", FloatTensorType([None, features]))]
    if columns is not None:
        given = [(name, (StringTensorType if words else FloatTensorType)([None, 1])) for name, words in columns]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = convert_sklearn(
            estimator,
            name="classifier",
            initial_types=given,
            options={kind: {"optim": "cdist"} for kind in (KNeighborsClassifier, GaussianProcessClassifier)},
            target_opset={"": OPSET, "ai.onnx.ml": TREES, "com.microsoft": 1},
            custom_conversion_functions={StandardScaler: _scaled},
            custom_shape_calculators={StandardScaler: _same_width},
        )
    if columns is not None:
        _named(graph, [name for name, _ in columns])
    return bytes(graph.SerializeToString())


def _named(graph: Any, names: Sequence[str]) -> None:
    """Give the inputs the columns' own names: skl2onnx writes an underscore for a space, and leaves out what is not used."""
    from onnx import TensorProto, helper

    renamed = {re.sub(r"[^a-zA-Z0-9_]", "_", name): name for name in names}
    for given in graph.graph.input:
        own = given.name if given.name in names else renamed.get(given.name, given.name)
        for node in graph.graph.node:
            node.input[:] = [own if n == given.name else n for n in node.input]
        given.name = own
    for name in set(names) - {i.name for i in graph.graph.input}:
        graph.graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1]))


@cache
def _leaves_as_numbers() -> None:
    """skl2onnx writes False where a leaf of HistGradientBoosting has no side for unknown values; onnx wants 0."""
    from skl2onnx.common import tree_ensemble

    plain = tree_ensemble.add_node

    def add_node(*given: Any, nodes_missing_value_tracks_true: Any = 0, **named: Any) -> Any:
        return plain(*given, nodes_missing_value_tracks_true=int(nodes_missing_value_tracks_true), **named)

    tree_ensemble.add_node = add_node


def _same_width(operator: Any) -> None:
    from skl2onnx.common.data_types import FloatTensorType

    operator.outputs[0].type = FloatTensorType([None, sum(i.type.shape[1] for i in operator.inputs)])


def _scaled(scope: Any, operator: Any, container: Any) -> None:
    """(x - mean) / scale as StandardScaler rounds it. ONNX's own Scaler multiplies, which rounds otherwise, and trees behind it
    then take the other side wherever a threshold is a value of the table."""
    from skl2onnx.algebra.onnx_ops import OnnxCast, OnnxConcat, OnnxDiv, OnnxSub

    scaler, opset, single = operator.raw_operator, container.target_opset, 1
    wide = not _in_float32(scaler)
    out: Any = operator.inputs[0] if len(operator.inputs) == 1 else OnnxConcat(*operator.inputs, axis=1, op_version=opset)
    out = OnnxCast(out, to=single, op_version=opset)
    for value, step in ((scaler.mean_ if scaler.with_mean else None, OnnxSub), (scaler.scale_ if scaler.with_std else None, OnnxDiv)):
        if value is not None:
            put = OnnxCast(out, to=11, op_version=opset) if wide else out
            out = step(put, np.asarray(value, dtype=np.float64 if wide else np.float32), op_version=opset)
            out = OnnxCast(out, to=single, op_version=opset) if wide else out
    OnnxCast(out, to=single, op_version=opset, output_names=operator.outputs[:1]).add_to(scope, container)


def _in_float32(scaler: Any) -> bool:
    """Whether this scikit-learn scales in float32 throughout, or rounds to it after each step in double: versions differ."""
    width = scaler.n_features_in_
    x = np.random.default_rng(0).normal(0, 3, (256, width))
    x = x * (scaler.scale_ if scaler.with_std else 1) + (scaler.mean_ if scaler.with_mean else 0)
    given = x.astype(np.float32)
    out = given - np.float32(scaler.mean_) if scaler.with_mean else given
    out = out / np.float32(scaler.scale_) if scaler.with_std else out
    return bool(np.array_equal(out, scaler.transform(given)))
