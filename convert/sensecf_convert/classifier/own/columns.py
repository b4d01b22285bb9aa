"""A graph that takes every column as an input of its own, fed from the one array of codes that a bundle's classifier gets.

Columns of words get the schema's choices in words, columns of numbers the number; which is which says the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sensecf_edge.errors import CheckError
from sensecf_edge.schema.feature import Feature
from sensecf_edge.schema.schema import Schema

PREFIX = "sensecf_in"


def feed_columns(model: Any, inputs: Sequence[Any], schema: Schema, numbers: Mapping[str, Sequence[float]]) -> list[str]:
    """Put one float32 input [rows, features] in front; `numbers` stand for a feature's choices
    where these are not numbered from 0 on. Raises CheckError where the inputs are not the schema's features."""
    from onnx import TensorProto, helper, numpy_helper

    names = [i.name for i in inputs]
    lacking, strange = [n for n in schema.names if n not in names], [n for n in names if n not in schema.names]
    if lacking or strange:
        what = "; ".join(f"{word} {', '.join(some[:6])}" for word, some in (("lacks", lacking), ("has", strange)) if some)
        raise CheckError(
            f"the classifier takes {len(names)} inputs, which are not the schema's features (it {what}); export it with one array "
            f"[rows, {len(schema)}] of numbers as input, or with one input a feature, called as the schema calls them"
        )
    nodes, put = [], f"{PREFIX}_record"
    for given in inputs:
        at = schema.index[given.name]
        model.graph.initializer.append(numpy_helper.from_array(np.array([at]), f"{PREFIX}_at{at}"))
        nodes.append(helper.make_node("Gather", [put, f"{PREFIX}_at{at}"], [f"{PREFIX}_column{at}"], name=f"{PREFIX}_gather{at}", axis=1))
        nodes += _filled(model, given, schema.features[at], at, numbers.get(given.name, ()))
    copies = [type(n).FromString(n.SerializeToString()) for n in model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *copies])
    for given in list(inputs):
        model.graph.input.remove(given)
    model.graph.input.insert(0, helper.make_tensor_value_info(put, TensorProto.FLOAT, [None, len(schema)]))
    return [f"took {len(names)} inputs, one a column; they are fed from the one array by name"]


def _filled(model: Any, given: Any, feature: Feature, at: int, numbers: Sequence[float]) -> list[Any]:
    """Nodes from a column [rows, 1] of codes to what an input takes."""
    from onnx import TensorProto, helper

    pass

    tensor, column = given.type.tensor_type, f"{PREFIX}_column{at}"
    dims, kind = len(tensor.shape.dim), tensor.elem_type
    if given.type.WhichOneof("value") != "tensor_type" or dims not in (1, 2) or (dims == 2 and tensor.shape.dim[1].dim_value > 1):
        raise CheckError(f"the classifier's input {given.name!r} is no column; export it with one input [rows, 1] a feature")
    out: list[Any] = []
    if kind == TensorProto.STRING:
        column, out = _words(model, feature, column, at)
    elif numbers:
        out = [encoder(model, column, f"{column}_numbers", values_floats=[float(v) for v in numbers], default_float=float("nan"))]
        column = f"{column}_numbers"
    elif kind in (TensorProto.INT32, TensorProto.INT64):
        refuse_whole_numbers([feature.name], "whole numbers", _one(feature))
    elif kind not in (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16):
        raise CheckError(f"the classifier's input {given.name!r} takes neither numbers nor words; export it again")
    if dims == 1:
        shape = f"{PREFIX}_flat"
        if shape not in [i.name for i in model.graph.initializer]:
            from onnx import numpy_helper

            model.graph.initializer.append(numpy_helper.from_array(np.array([-1]), shape))
        out.append(helper.make_node("Reshape", [column, shape], [f"{column}_flat"], name=f"{column}_reshape"))
        column = f"{column}_flat"
    last = helper.make_node("Identity", [column], [given.name], name=f"{column}_named")
    if kind != TensorProto.STRING:
        last = helper.make_node("Cast", [column], [given.name], name=f"{column}_cast", to=kind)
    return [*out, last]


def _one(feature: Feature) -> Schema:
    return Schema((feature,))


def _words(model: Any, feature: Feature, column: str, at: int) -> tuple[str, list[Any]]:
    """The choice of every code, in words; an unknown one is the empty word."""
    if feature.kind != "choice":
        raise CheckError(f"the classifier takes {feature.name} as words, in the schema it is a number; export it for numbers")
    return f"{column}_words", [encoder(model, column, f"{column}_words", values_strings=list(feature.choices), default_string="")]


def encoder(model: Any, column: str, out: str, **values: Any) -> Any:
    """A node that puts what stands for each choice in the place of its code."""
    from onnx import helper

    domains = {o.domain: o for o in model.opset_import}
    if "ai.onnx.ml" not in domains:
        model.opset_import.add(domain="ai.onnx.ml", version=2)
    elif domains["ai.onnx.ml"].version < 2:  # from there on codes may be looked up; nothing else changed
        if any(n.op_type == "LabelEncoder" for n in model.graph.node):
            raise CheckError("the classifier's LabelEncoder is of the first kind (ai.onnx.ml 1); export it with a newer converter")
        domains["ai.onnx.ml"].version = 2
    (told,) = [v for k, v in values.items() if k.startswith("values")]
    codes = [float(i) for i in range(len(told))]
    return helper.make_node("LabelEncoder", [column], [out], name=f"{out}_encoder", domain="ai.onnx.ml", keys_floats=codes, **values)


def refuse_whole_numbers(names: Sequence[str], kind: str, schema: Schema) -> None:
    """Raises CheckError where a feature that is to be a whole number may be unknown or have a fraction."""
    features = [schema[n] for n in names]
    if unknown := [f.name for f in features if f.optional]:
        raise CheckError(
            f"the classifier takes {kind}, which cannot be unknown, and the schema says that {', '.join(unknown[:6])} may be; "
            "export it for float32, or make these features required"
        )
    if parts := [f.name for f in features if not np.array_equal(f.lattice, np.round(f.lattice))]:
        raise CheckError(f"the classifier takes {kind}, and {', '.join(parts[:6])} may have a fraction; export it for float32")
