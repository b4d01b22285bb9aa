"""What a graph answers: which output holds the probabilities, which the classes' names, and a graph with nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensecf_edge.errors import CheckError

NEAR = 1e-3
_NAMED = {"ZipMap", "TreeEnsembleClassifier", "LinearClassifier", "SVMClassifier"}
_PASSED = {"Cast", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Flatten"}
PREFIX = "sensecf_out"

Answers = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Chosen:
    """The outputs that hold the probabilities: one of two columns, one of the second class alone, or two of one column."""

    names: tuple[str, ...]
    columns: int
    p: NDArray[np.float64]


def cut_zipmaps(model: Any) -> list[str]:
    """Take ZipMap off: what goes into it becomes the output. Returns the names of these outputs."""
    from onnx import TensorProto, helper

    found = []
    for node in [n for n in model.graph.node if n.op_type == "ZipMap"]:
        model.graph.node.remove(node)
        for output in [o for o in model.graph.output if o.name in node.output]:
            model.graph.output.remove(output)
        if node.input[0] not in [o.name for o in model.graph.output]:
            model.graph.output.append(helper.make_tensor_value_info(node.input[0], TensorProto.FLOAT, None))
        found.append(str(node.input[0]))
    return found


def show_shapes_only_where_known(model: Any) -> None:
    """Forget the sizes that outputs declare: they are asked."""
    for output in model.graph.output:
        if output.type.WhichOneof("value") == "tensor_type":
            output.type.tensor_type.ClearField("shape")


def choose(answers: Answers, zipped: Sequence[str]) -> Chosen:
    """The probabilities among the answers. Raises CheckError where there are none, or no telling which."""
    numbers = {n: np.asarray(a, dtype=np.float64) for n, a in answers.items() if a.dtype.kind == "f"}
    rows = {len(a) if a.ndim else 0 for a in answers.values()}
    tables = {n: a.reshape(len(a), -1) for n, a in numbers.items() if a.ndim and a.size in (len(a), 2 * len(a))}
    pairs = {n: a for n, a in tables.items() if a.shape[1] == 2 and _sums_to_one(a)}
    singles = {n: a[:, 0] for n, a in tables.items() if a.shape[1] == 1 and _probable(a)}
    for found in (pairs, {n: pairs[n] for n in zipped if n in pairs}):
        if found and all(np.allclose(a, next(iter(found.values())), atol=NEAR, equal_nan=True) for a in found.values()):
            name = next(iter(found))
            return Chosen((name,), 2, found[name][:, 1])
    if pairs:
        raise _no_telling(pairs)
    graded = {n: a for n, a in singles.items() if not np.isin(a[~np.isnan(a)], (0.0, 1.0)).all()} or singles
    if len(graded) == 1:
        ((name, p),) = graded.items()
        return Chosen((name,), 1, p)
    if len(graded) == 2:
        (first, a), (second, b) = graded.items()
        if np.nanmax(np.abs(a + b - 1), initial=0.0) < NEAR:
            return Chosen((first, second), 2, b)
    if graded:
        raise _no_telling(graded)
    raise _none(answers, tables, rows)


def _probable(a: NDArray[np.float64]) -> bool:
    known = a[~np.isnan(a)]
    return bool(known.size and known.min() >= -NEAR and known.max() <= 1 + NEAR)


def _sums_to_one(a: NDArray[np.float64]) -> bool:
    known = a[~np.isnan(a).any(axis=1)]
    return _probable(a) and bool(len(known) and np.abs(known.sum(axis=1) - 1).max() <= NEAR)


def _no_telling(found: Mapping[str, Any]) -> CheckError:
    return CheckError(
        f"the classifier has {len(found)} outputs that could be the probabilities ({', '.join(map(repr, list(found)[:5]))}); "
        "export it with one: [rows, 2], or [rows] for the second class"
    )


def _none(answers: Answers, tables: Mapping[str, NDArray[np.float64]], rows: set[int]) -> CheckError:
    """Why nothing that the graph answers is a probability of two classes, and what to do."""
    for name, a in tables.items():
        known = a[~np.isnan(a)]
        if not known.size:
            return CheckError(f"the classifier's output {name!r} is NaN for every row of the table; export it again")
        if a.shape[1] == 2 and _probable(a):
            return CheckError("the classifier's two numbers do not sum to 1, so they are no probabilities of two classes; end in a softmax")
        end = "softmax" if a.shape[1] == 2 else "sigmoid"
        span = f"{known.min():.3g} to {known.max():.3g}"
        return CheckError(f"the classifier's output {name!r} is no probability: it goes from {span}; end the graph in a {end}")
    forms = [f"{n!r} {a.dtype.name if a.dtype.kind != 'O' else 'text'} {list(a.shape)}" for n, a in answers.items()]
    wide = [a for a in answers.values() if a.dtype.kind == "f" and a.ndim == 2 and a.shape[1] != 2]
    many = f"gives {wide[0].shape[1]} probabilities a row, and two classes are needed" if wide else "gives no probabilities"
    return CheckError(
        f"the classifier {many} (outputs for {max(rows, default=0)} rows: {'; '.join(forms[:4])}); "
        "export it for two classes, with the output of predict_proba"
    )


def told_labels(answers: Answers, chosen: Chosen, rows: int) -> list[str]:
    """The classes' names by column, from an output of labels: what it says where either column is the larger one.

    Empty where there is no such output, or it does not follow the probabilities."""
    wanted = chosen.p > 0.5
    if not 0 < wanted.sum() < len(wanted):
        return []
    for name, a in answers.items():
        if name in chosen.names or a.size != rows or a.dtype.kind not in "iubOUSf":
            continue
        texts = np.array([label_text(v) for v in a.reshape(-1)])
        if len(set(texts)) != 2:
            continue
        most = [Counter(texts[side]).most_common(1)[0] for side in (~wanted, wanted)]
        if most[0][0] != most[1][0] and min(most[0][1] / (~wanted).sum(), most[1][1] / wanted.sum()) > 0.8:
            return [most[0][0], most[1][0]]
    return []


def label_text(value: Any) -> str:
    """A label as people write it: 1 for 1.0 and b'1'."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    number = isinstance(value, float | np.floating) and np.isfinite(value) and float(value).is_integer()
    return str(int(value)) if number else str(value)


def stated_labels(model: Any) -> list[str]:
    """Names of the classes that a graph states itself: at ZipMap, where a label output comes from, else at its last classifier."""
    made = {name: node for node in model.graph.node for name in node.output}
    held = {i.name: i for i in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "ZipMap" and (names := _attribute_labels(node)):
            return names
    for output in model.graph.output:
        node = made.get(output.name)
        while node is not None and node.op_type in _PASSED and node.input:
            node = made.get(node.input[0])
        if node is not None and node.op_type in ("ArrayFeatureExtractor", "Gather") and node.input[0] in held:
            from onnx import numpy_helper

            values = numpy_helper.to_array(held[node.input[0]]).reshape(-1)
            if len(values) == 2 and values.dtype.kind != "f":
                return [label_text(v) for v in values]
    named = [n for n in reversed(model.graph.node) if n.op_type in _NAMED]
    return next((names for n in named if (names := _attribute_labels(n))), [])


def _attribute_labels(node: Any) -> list[str]:
    for attribute in node.attribute:
        if attribute.name == "classlabels_strings" and len(attribute.strings) == 2:
            return [s.decode("utf-8", "replace") for s in attribute.strings]
        if attribute.name in ("classlabels_int64s", "classlabels_ints") and len(attribute.ints) == 2:
            return [str(i) for i in attribute.ints]
    return []


def only(model: Any, chosen: Chosen) -> None:
    """Leave the probabilities as the only output, float32 [rows, 2], and only the nodes that lead to it."""
    from onnx import TensorProto, helper, numpy_helper

    graph, new = model.graph, []
    flat = helper.make_node
    shape = numpy_helper.from_array(np.array([-1, 3 - 1 if chosen.columns == 2 and len(chosen.names) == 1 else 1]), f"{PREFIX}_shape")
    graph.initializer.append(shape)
    for k, name in enumerate(chosen.names):
        new += [
            flat("Cast", [name], [f"{PREFIX}_float{k}"], name=f"{PREFIX}_cast{k}", to=TensorProto.FLOAT),
            flat("Reshape", [f"{PREFIX}_float{k}", f"{PREFIX}_shape"], [f"{PREFIX}_part{k}"], name=f"{PREFIX}_reshape{k}"),
        ]
    parts = [f"{PREFIX}_part{k}" for k in range(len(chosen.names))]
    if chosen.columns == 1:
        graph.initializer.append(numpy_helper.from_array(np.float32(1), f"{PREFIX}_one"))
        new.append(flat("Sub", [f"{PREFIX}_one", parts[0]], [f"{PREFIX}_other"], name=f"{PREFIX}_sub"))
        parts = [f"{PREFIX}_other", parts[0]]
    if len(parts) == 2:
        new.append(flat("Concat", parts, [f"{PREFIX}_both"], name=f"{PREFIX}_concat", axis=1))
        parts = [f"{PREFIX}_both"]
    graph.node.extend(new)
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(parts[0], TensorProto.FLOAT, [None, 2]))
    del graph.value_info[:]
    _prune(graph, parts[0])


def _prune(graph: Any, output: str) -> None:
    """Drop nodes and weights that the output does not need."""
    needed, kept = {output}, []
    for node in reversed(graph.node):
        if needed & set(node.output):
            kept.append(node)
            needed |= set(node.input) | _used_inside(node)
    kept = list(reversed(kept))
    copies = [type(n).FromString(n.SerializeToString()) for n in kept]
    del graph.node[:]
    graph.node.extend(copies)
    for held in [i for i in graph.initializer if i.name not in needed]:
        graph.initializer.remove(held)
    for given in [i for i in graph.input if i.name in {h.name for h in graph.initializer}]:
        graph.input.remove(given)


def _used_inside(node: Any) -> set[str]:
    """Names that graphs inside a node (If, Scan) may take from outside."""
    used: set[str] = set()
    for attribute in node.attribute:
        for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            used |= {o.name for o in inner.output}
            for part in inner.node:
                used |= set(part.input) | _used_inside(part)
    return used
