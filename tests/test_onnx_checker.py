"""The door to onnxruntime: probabilities of the right column in the right order, or an error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CENTRE, PATIENCE, SCALE, WEIGHTS, toy_classifier, toy_realism
from hypothesis import given, settings
from hypothesis import strategies as st

from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.bundle.realism import realism
from sensecf_edge.errors import CheckError
from sensecf_edge.judge.classifier import OnnxChecker, OnnxRealism, build_features

ROWS = np.array([[44, 3000, 10, 0], [44, 14000, 30, 1], [70, 8000, np.nan, np.nan]], dtype=np.float64)


def onnx_model(op: str, columns: Any = 2, width: Any = 2, rows: Any = None, kind: str = "FLOAT", **attributes: Any) -> bytes:
    """A graph of one node from the record to its only output."""
    from onnx import TensorProto, helper

    node = helper.make_node(op, ["record"], ["out"], **attributes)
    ends = [helper.make_tensor_value_info(n, getattr(TensorProto, kind), [rows, w]) for n, w in (("record", width), ("out", columns))]
    graph = helper.make_graph([node], "toy", ends[:1], ends[1:])
    return bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString())


def test_p_target_is_the_wanted_column_row_by_row() -> None:
    z = (np.where(np.isnan(ROWS), CENTRE, ROWS) - CENTRE) / SCALE
    calm = 1 / (1 + np.exp(-(z @ WEIGHTS)))
    assert OnnxChecker(toy_classifier(), 4, 1, classes=2).p_target(ROWS) == pytest.approx(calm, abs=1e-6)
    assert OnnxChecker(toy_classifier(), 4, 0).p_target(ROWS) == pytest.approx(1 - calm, abs=1e-6)


def test_calls_and_rows_are_counted_and_an_empty_batch_costs_none() -> None:
    checker = OnnxChecker(toy_classifier(), 4, 1)
    assert checker.p_target(np.empty((0, 4))).shape == (0,)
    checker.p_target(ROWS)
    checker.p_target(ROWS[:1])
    assert (checker.calls, checker.rows) == (2, 4)


def test_the_same_rows_get_the_same_answer_alone_and_together() -> None:
    checker = OnnxChecker(toy_classifier(), 4, 1)
    alone = np.concatenate([checker.p_target(row[None, :]) for row in ROWS])
    assert alone == pytest.approx(checker.p_target(ROWS), abs=1e-7)


def test_nan_out_is_an_error_and_says_which_row() -> None:
    checker = OnnxChecker(onnx_model("Softmax"), 2, 1)
    with pytest.raises(CheckError, match="no probability in 1 of 2 rows, first in row 1"):
        checker.p_target(np.array([[0.0, 1.0], [np.nan, 1.0]]))


@pytest.mark.parametrize("value", [-0.01, 1.01])
def test_a_score_outside_0_to_1_is_an_error(value: float) -> None:
    with pytest.raises(CheckError, match="no probability"):
        OnnxChecker(onnx_model("Identity"), 2, 1).p_target(np.array([[0.5, value]]))


def test_rounding_just_over_one_is_clipped() -> None:
    p = OnnxChecker(onnx_model("Identity"), 2, 1).p_target(np.array([[0.0, 1.000001]]))
    assert p.tolist() == [1.0]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (b"", "cannot be loaded"),
        (b"not a model", "cannot be loaded"),
        (toy_classifier()[:-40], "cannot be loaded"),
        (toy_classifier(width=3), "takes 3 features, the schema has 4"),
        (onnx_model("Softmax", width=None, columns=None), "takes .* features, the schema has 4"),
        (onnx_model("Softmax", width=4, columns=4, rows=1), "with N left open"),
        (onnx_model("Softmax", width=4, columns=4, kind="DOUBLE"), "one float32 tensor"),
    ],
)
def test_a_graph_of_another_form_is_refused_when_it_is_opened(model: bytes, message: str) -> None:
    with pytest.raises(CheckError, match=message):
        OnnxChecker(model, 4, 1)


def outside_weights(folder: Path) -> bytes:
    """The toy classifier with its weights in a file of `folder`."""
    import onnx

    model = onnx.load_from_string(toy_classifier())
    onnx.save_model(model, str(folder / "m.onnx"), save_as_external_data=True, location="w.bin", size_threshold=0)
    return (folder / "m.onnx").read_bytes()


def spelt_otherwise(model: bytes) -> bytes:
    """The same protobuf with one length of a key written in two bytes where one would do, and all around it one longer."""
    from onnx import ModelProto

    whole = ModelProto.FromString(model)
    graph, weights = whole.graph.SerializeToString(), whole.graph.initializer[0].SerializeToString()
    other = weights.replace(b"\n\x08location", b"\n\x88\x00location")
    entry = weights.index(b"\n\x08location") - 1
    assert weights[entry] == len(b"\n\x08location\x12\x05w.bin")
    other = other[:entry] + bytes([weights[entry] + 1]) + other[entry + 1 :]
    del whole.graph.initializer[0]
    rest = whole.graph.SerializeToString()
    assert graph != rest
    size = lambda n: bytes([n & 127 | 128, n >> 7]) if n > 127 else bytes([n])  # noqa: E731 - a varint
    inside = rest + b"\x2a" + size(len(other)) + other
    whole.ClearField("graph")
    return bytes(whole.SerializeToString()) + b"\x3a" + size(len(inside)) + inside


def test_weights_in_another_file_are_refused_however_the_key_is_spelt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = outside_weights(tmp_path)
    monkeypatch.chdir(tmp_path)
    for data in (model, spelt_otherwise(model)):
        with pytest.raises(CheckError, match="another file"):
            OnnxChecker(data, 4, 1)


def test_onnxruntime_itself_reads_no_file_beside_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second wall, behind our own look at the file."""
    monkeypatch.setattr("sensecf_edge.judge.classifier.check_graph", lambda *_: None)
    model = outside_weights(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckError, match="cannot be loaded"):
        OnnxChecker(model, 4, 1)


def test_a_graph_whose_input_is_called_location_is_no_cause_for_alarm() -> None:
    from onnx import load_from_string

    graph = load_from_string(toy_classifier())
    for node in graph.graph.node:
        node.input[:] = ["location" if n == "record" else n for n in node.input]
    graph.graph.input[0].name = "location"
    assert OnnxChecker(graph.SerializeToString(), 4, 1).p_target(ROWS).shape == (3,)


def grown(*nodes: Any, **constants: Any) -> bytes:
    """The rows themselves as answer, plus nothing times whatever `nodes` call `big`: small in the file, large in memory."""
    from onnx import TensorProto, helper, numpy_helper

    after = [
        helper.make_node("ReduceSum", ["big"], ["sum"], keepdims=0), helper.make_node("Mul", ["sum", "nil"], ["none"]),
        helper.make_node("Add", ["record", "none"], ["out"]),
    ]  # fmt: skip
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [None, 2]) for n in ("record", "out")]
    values = [numpy_helper.from_array(np.asarray(v), n) for n, v in {"nil": np.float32(0), **constants}.items()]
    graph = helper.make_graph([*nodes, *after], "bomb", ends[:1], ends[1:], values)
    return bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString())


def bombs() -> dict[str, bytes]:
    from onnx import helper

    node, side = helper.make_node, np.array([40_000, 40_000], np.int64)
    doubled = [node("Concat", [f"c{k}"] * 2, [f"c{k + 1}"], axis=0) for k in range(29)]
    return {
        "a constant of any shape": grown(node("ConstantOfShape", ["shape"], ["bits"]), node("Cast", ["bits"], ["big"], to=1), shape=side),
        "one value spread": grown(node("Expand", ["one", "shape"], ["big"]), one=np.ones((1, 1), np.float32), shape=side),
        "doubled again and again": grown(*doubled, node("Identity", ["c29"], ["big"]), c0=np.ones(2, np.float32)),
        "a column times a row": grown(node("Range", ["nil", "end", "one"], ["r"]), node("Unsqueeze", ["r", "ax"], ["c"]),
                                      node("Mul", ["r", "c"], ["big"]), end=np.float32(30_000), one=np.float32(1), ax=np.array([0, 1])[1:]),
    }  # fmt: skip


BOMB = """
import sys
from pathlib import Path
import numpy as np
from sensecf_edge.judge.classifier import OnnxChecker
from sensecf_edge.errors import CheckError
try:
    OnnxChecker(Path(sys.argv[1]).read_bytes(), 2, 1).p_target(np.array([[0.2, 0.8]]))
except CheckError as error:
    print(error)
# Not ru_maxrss: a child begins with its parent's.
print(int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]) // 1024)
"""


@pytest.mark.parametrize("case", bombs())
def test_a_small_graph_that_grows_in_memory_is_an_error_within_bounds(case: str, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(bombs()[case])
    assert (tmp_path / "m.onnx").stat().st_size < 4000
    program = [sys.executable, "-c", BOMB, str(tmp_path / "m.onnx")]
    ran = subprocess.run(program, capture_output=True, text=True, timeout=PATIENCE, check=True)
    told, peak = ran.stdout.splitlines()
    assert "takes more than 256 MB for the results of one row" in told and int(peak) < 400


def test_operators_that_no_classifier_needs_are_refused_by_name() -> None:
    from onnx import TensorProto, helper

    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["d"]), helper.make_node("Identity", ["x"], ["y"])], "body",
        [helper.make_tensor_value_info("i", TensorProto.INT64, []), helper.make_tensor_value_info("c", TensorProto.BOOL, []),
         helper.make_tensor_value_info("x", TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info("d", TensorProto.BOOL, []), helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )  # fmt: skip
    inner = helper.make_graph([helper.make_node("Loop", ["", "", "x"], ["z"], body=body)], "inner", [], [])
    cases = {
        "Loop": helper.make_node("Loop", ["", "yes", "record"], ["big"], body=body),
        "RandomNormal": helper.make_node("RandomNormal", [], ["big"], shape=[2]),
        "If.*|Loop": helper.make_node("If", ["yes"], ["big"], then_branch=inner, else_branch=inner),
        "nobody.Custom": helper.make_node("Custom", ["record"], ["big"], domain="nobody"),
    }
    for name, node in cases.items():
        with pytest.raises(CheckError, match=f"uses the operator ({name}), which no classifier"):
            OnnxChecker(grown(node, yes=np.array(True)), 2, 1)


def test_sparse_weights_and_functions_are_refused() -> None:
    from onnx import helper, load_from_string, numpy_helper

    sparse = helper.make_sparse_tensor(numpy_helper.from_array(np.ones(1, np.float32)), numpy_helper.from_array(np.array([5])), [10**10])
    held = load_from_string(toy_classifier())
    held.graph.sparse_initializer.append(sparse)
    made = grown(helper.make_node("Constant", [], ["big"], sparse_value=sparse))
    for data in (held.SerializeToString(), made):
        with pytest.raises(CheckError, match="sparse weights"):
            OnnxChecker(data, 4, 1)
    own = load_from_string(toy_classifier())
    own.functions.append(helper.make_function("own", "f", ["a"], ["b"], [], []))
    with pytest.raises(CheckError, match="functions of its own"):
        OnnxChecker(own.SerializeToString(), 4, 1)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=150)
def test_a_changed_graph_answers_probabilities_or_is_an_error(seed: int) -> None:
    chance, data = np.random.default_rng(seed), bytearray(toy_classifier())
    for at in chance.integers(0, len(data), chance.integers(1, 4)):
        data[at] = int(chance.integers(0, 256))
    try:
        p = OnnxChecker(bytes(data), 4, 1, classes=2).p_target(ROWS)
    except CheckError as error:
        assert str(error) and "\n" not in str(error)
    else:
        assert ((p >= 0) & (p <= 1)).all()


def test_rows_that_are_too_many_for_the_memory_go_through_in_halves() -> None:
    """One row takes 40 MB, so that 16 at once are too many and every one is answered."""
    from onnx import helper

    wide = [helper.make_node("MatMul", ["record", "spread"], ["wide"]), helper.make_node("ReduceMax", ["wide"], ["big"], axes=[1])]
    spread = helper.make_node("Expand", ["one", "shape"], ["spread"])
    made = grown(spread, *wide, one=np.ones((2, 1), np.float32), shape=np.array([2, 10**7]))
    rows = np.tile([[0.2, 0.8]], (16, 1))
    np.testing.assert_allclose(OnnxChecker(made, 2, 1).p_target(rows), 0.8, atol=1e-6)


def test_many_rows_go_through_in_parts_with_the_same_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    checker, rows = OnnxChecker(toy_classifier(), 4, 1), np.tile(ROWS, (5, 1))
    whole = checker.p_target(rows)
    monkeypatch.setattr("sensecf_edge.judge.classifier.ROWS", 4)
    np.testing.assert_allclose(checker.p_target(rows), whole, atol=1e-7)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_after_a_fork_a_graph_with_several_threads_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    several, one = OnnxChecker(toy_classifier(), 4, 1, threads=2), OnnxChecker(toy_classifier(), 4, 1)
    monkeypatch.setattr("sensecf_edge.judge.classifier.os.getpid", lambda: -1)
    assert one.p_target(ROWS).shape == (3,)
    with pytest.raises(CheckError, match="forked"):
        several.p_target(ROWS)


@pytest.mark.parametrize(("wanted", "classes"), [(2, None), (1, 3)])
def test_the_wrong_number_of_classes_is_an_error(wanted: int, classes: int | None) -> None:
    with pytest.raises(CheckError, match="gives 2 probabilities a row, the bundle needs"):
        OnnxChecker(toy_classifier(), 4, wanted, classes=classes).p_target(ROWS)


@pytest.mark.parametrize("shape", [(2, 3), (4,), (1, 2, 4)])
def test_rows_of_another_width_are_refused_before_the_model_sees_them(shape: tuple[int, ...]) -> None:
    with pytest.raises(CheckError, match=r"it takes \(candidates, 4\), in schema order"):
        OnnxChecker(toy_classifier(), 4, 1).p_target(np.zeros(shape))


def test_realism_is_a_percentile_among_the_calibration_quantiles() -> None:
    old = OnnxRealism(toy_realism(), 4, np.linspace(-2, 0, 101).tolist())
    rows = np.stack([CENTRE, CENTRE + SCALE, CENTRE + 100 * SCALE])
    assert old.log_density(rows) == pytest.approx([0, -1, -10000])
    assert old.percentile(rows) == pytest.approx([100, 50, 0])
    assert old.percentile(np.empty((0, 4))).shape == (0,)


def test_realism_refuses_quantiles_that_do_not_ascend_and_nan() -> None:
    with pytest.raises(CheckError, match="ascending"):
        OnnxRealism(toy_realism(), 4, [0.0, -1.0])
    with pytest.raises(CheckError, match="answers NaN"):
        OnnxRealism(onnx_model("ReduceMean", width=2, columns=1, axes=[1], keepdims=1), 2, [0, 1]).percentile(np.full((1, 2), np.nan))


def test_a_realism_model_gives_one_number_a_row() -> None:
    with pytest.raises(CheckError, match="not one a row"):
        OnnxRealism(onnx_model("Softmax"), 2, [0, 1]).log_density(np.zeros((3, 2)))


def test_build_features_name_the_version_and_the_cpu() -> None:
    assert "CPU" in build_features()


def test_shipped_models_answer_with_probabilities(shipped: str) -> None:
    bundle = Bundle.open(shipped)
    checker = OnnxChecker(bundle.classifier_bytes(), len(bundle.schema), bundle.manifest.target.index, classes=2)
    rows = np.stack([f.lattice[[0, len(f.lattice) // 2, -1]] for f in bundle.schema.features], axis=1)
    p = checker.p_target(np.vstack([rows, np.full((1, len(bundle.schema)), np.nan)]))
    assert p.shape == (4,)
    typical = realism(bundle)
    assert ((typical.percentile(rows) >= 0) & (typical.percentile(rows) <= 100)).all()
