"""An own ONNX graph in the form a bundle takes: one float32 array [rows, features] in, probabilities [rows, 2] out.

What a graph declares is often open or wrong, so it is asked instead: a few rows are run through, and the outputs are
chosen by what they answer. ZipMap is cut off; inputs of one column each are fed from the one array; labels are read as the
names of the classes and passed over. What cannot be fitted in is refused, with what to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensecf_edge.errors import CheckError
from sensecf_edge.judge.classifier import open_session
from sensecf_edge.judge.graph_audit import check_graph
from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.schema import Schema

from ..onnx import serialised
from . import outputs
from .columns import feed_columns, refuse_whole_numbers
from .messages import first_line

NEWEST = {"": 21, "ai.onnx.ml": 5, "com.microsoft": 1}
NEWEST_IR, OLDEST_IR = 10, 8
"""What onnxruntime 1.20 opens, the oldest that this project allows."""
_NUMBERS = {1: "float32", 10: "float16", 11: "float64", 6: "int32", 7: "int64"}
_WHOLE = (6, 7)


@dataclass(frozen=True)
class Tidy:
    """The graph in the bundle's form, the names of its classes in the order of its columns (none where it has none), and
    what a person should know."""

    graph: bytes
    labels: list[str]
    notes: list[str]


def tidy(data: bytes, schema: Schema, rows: Vector, numbers: Mapping[str, Sequence[float]] | None = None) -> Tidy:
    """Fit an own graph in. `rows` are what it is asked; `numbers` see `columns`. Raises CheckError."""
    check_graph(data, "the classifier")
    model = _parsed(data)
    known = outputs.stated_labels(model)
    notes = _lower_versions(model)
    zipped = outputs.cut_zipmaps(model)
    notes += _one_input(model, schema, numbers or {})
    outputs.show_shapes_only_where_known(model)
    answers = _asked(model, rows)
    chosen = outputs.choose(answers, zipped)
    labels = outputs.told_labels(answers, chosen, rows.shape[0]) or known
    outputs.only(model, chosen)
    return Tidy(serialised(model), labels, notes)


def _parsed(data: bytes) -> Any:
    import onnx

    try:
        model = onnx.load_from_string(data)
        for part in [*model.graph.input, *model.graph.output]:
            part.type.tensor_type  # noqa: B018 - a damaged file fails here
        _read_every_text(model)
    except Exception as error:
        raise CheckError(f"the file is no ONNX graph: {first_line(error)}; export the classifier again") from error
    if not model.graph.output:
        raise CheckError("the graph has no output; export the classifier again")
    return model


def _read_every_text(message: Any) -> None:
    """Raises UnicodeError for a text that is no UTF-8: protobuf hands such a one out as bytes, and fails when it is put back."""
    from google.protobuf.message import Message

    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for part in [value] if isinstance(value, Message) else value:
                _read_every_text(part)
        elif field.type == field.TYPE_STRING:
            for text in [value] if isinstance(value, str | bytes) else value:
                text.decode("utf-8") if isinstance(text, bytes) else None


def _lower_versions(model: Any) -> list[str]:
    """Operator sets that the oldest allowed onnxruntime opens; a newer stamp is taken back where no operator needs it."""
    stamps: dict[str, int] = {}
    for stamp in model.opset_import:
        domain = "" if stamp.domain == "ai.onnx" else stamp.domain
        stamps[domain] = max(stamps.get(domain, 0), stamp.version)
    notes = []
    for node in model.graph.node:
        domain = "" if node.domain == "ai.onnx" else node.domain
        newest = NEWEST.get(domain, 0)
        if stamps.get(domain, 0) > newest and not _is_as_old(node.op_type, domain, stamps[domain], newest):
            raise CheckError(
                f"the classifier uses {node.op_type} of operator set {stamps[domain]} ({domain or 'ai.onnx'}), the oldest onnxruntime that "
                f"may open the bundle (1.20) knows {newest}; export it with an older one, such as target_opset=18"
            )
    if any(stamps[d] > NEWEST.get(d, stamps[d]) for d in stamps):
        notes.append(f"stamped down to the operator sets that onnxruntime 1.20 opens ({NEWEST['']}); no operator of it is newer")
    del model.opset_import[:]
    for domain, version in {"": 18, **stamps}.items():
        model.opset_import.add(domain=domain, version=min(version, NEWEST.get(domain, version)))
    model.ir_version = min(max(model.ir_version, OLDEST_IR), NEWEST_IR)
    return notes


def _is_as_old(kind: str, domain: str, stamped: int, newest: int) -> bool:
    """Whether an operator is in an older set what it is in a newer one: the same, or with more types of numbers only."""
    from onnx import defs

    try:
        new, old = (defs.get_schema(kind, max_inclusive_version=v, domain=domain) for v in (stamped, newest))
    except defs.SchemaError:
        return False
    return set(new.attributes) == set(old.attributes) and [i.name for i in new.inputs] == [i.name for i in old.inputs]


def _one_input(model: Any, schema: Schema, numbers: Mapping[str, Sequence[float]]) -> list[str]:
    """One float32 input [rows, features] whatever the graph takes. Raises CheckError where numbers would be read wrongly."""
    import onnx
    from onnx import TensorProto, helper

    held = {i.name for i in model.graph.initializer}
    inputs = [i for i in model.graph.input if i.name not in held]
    if not inputs:
        raise CheckError("the graph has no input; export the classifier again")
    if len(inputs) > 1:
        return feed_columns(model, inputs, schema, numbers)
    (given,) = inputs
    tensor, features = given.type.tensor_type, len(schema)
    if given.type.WhichOneof("value") != "tensor_type" or tensor.elem_type not in _NUMBERS:
        kind = "words" if tensor.elem_type == TensorProto.STRING else "no array of numbers"
        raise CheckError(
            f"the classifier's input {given.name!r} takes {kind}; here it gets one array [rows, {features}] of numbers, choices as their "
            "number in the schema's list. Export it so, or with one input for each column, called as the features are"
        )
    dims = tensor.shape.dim
    width = dims[1].dim_value if len(dims) == 2 else 0
    if tensor.HasField("shape") and (len(dims) != 2 or (width and width != features)):
        form = f"{width} features" if len(dims) == 2 else f"an array of {len(dims)} dimensions"
        raise CheckError(f"the classifier takes {form}, the schema has {features}: {', '.join(schema.names)}; export it for these")
    name = given.name
    if tensor.elem_type == TensorProto.FLOAT:
        given.CopyFrom(helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, features]))
        return []
    kind = _NUMBERS[tensor.elem_type]
    if tensor.elem_type in _WHOLE:
        refuse_whole_numbers(schema.names, kind, schema)
    cast = onnx.helper.make_node("Cast", ["sensecf_record"], [name], name="sensecf_cast", to=tensor.elem_type)
    model.graph.node.insert(0, cast)
    given.CopyFrom(helper.make_tensor_value_info("sensecf_record", TensorProto.FLOAT, [None, features]))
    return [f"takes {kind}; what it gets are float32 values, which are turned into that inside the graph"]


def _asked(model: Any, rows: Vector) -> dict[str, NDArray[Any]]:
    """What every output answers to the rows, by name. Raises CheckError where it does not answer."""
    session = open_session(bytes(model.SerializeToString()), "the classifier")
    names = [o.name for o in session.get_outputs()]
    feed = {session.get_inputs()[0].name: rows.astype(np.float32)}
    try:
        return {name: np.asarray(value) for name, value in zip(names, session.run(names, feed), strict=True)}
    except Exception as error:
        one = _works_alone(session, feed)
        why = "it takes one row at a time: export it with the number of rows left open (dynamic axes)" if one else first_line(error)
        raise CheckError(f"the classifier does not answer {len(rows)} rows of the table: {why}") from error


def _works_alone(session: Any, feed: dict[str, Any]) -> bool:
    try:
        session.run(None, {name: rows[:1] for name, rows in feed.items()})
    except Exception:
        return False
    return True
