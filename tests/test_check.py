"""The door to onnxruntime: probabilities of the right column in the right order, or an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CENTRE, SCALE, WEIGHTS, toy_classifier, toy_realism

from sensecf_edge.bundle import Bundle
from sensecf_edge.check import OnnxChecker, OnnxRealism, build_features
from sensecf_edge.errors import CheckError

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
        (onnx_model("ReduceSum", width=4, columns=0, keepdims=1) + b"\n\x08location", "another file"),
    ],
)
def test_a_graph_of_another_form_is_refused_when_it_is_opened(model: bytes, message: str) -> None:
    with pytest.raises(CheckError, match=message):
        OnnxChecker(model, 4, 1)


def test_weights_in_another_file_are_refused_unopened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnx

    model = onnx.load_from_string(toy_classifier())
    onnx.save_model(model, str(tmp_path / "m.onnx"), save_as_external_data=True, location="w.bin", size_threshold=0)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckError, match="another file"):
        OnnxChecker((tmp_path / "m.onnx").read_bytes(), 4, 1)


@pytest.mark.parametrize(("wanted", "classes"), [(2, None), (1, 3)])
def test_the_wrong_number_of_classes_is_an_error(wanted: int, classes: int | None) -> None:
    with pytest.raises(CheckError, match="gives 2 probabilities a row, the bundle needs"):
        OnnxChecker(toy_classifier(), 4, wanted, classes=classes).p_target(ROWS)


@pytest.mark.parametrize("shape", [(2, 3), (4,), (1, 2, 4)])
def test_rows_of_another_width_are_refused_before_the_model_sees_them(shape: tuple[int, ...]) -> None:
    with pytest.raises(CheckError, match=r"it takes \(candidates, 4\), in schema order"):
        OnnxChecker(toy_classifier(), 4, 1).p_target(np.zeros(shape))


def test_realism_is_a_percentile_among_the_calibration_quantiles() -> None:
    realism = OnnxRealism(toy_realism(), 4, np.linspace(-2, 0, 101).tolist())
    rows = np.stack([CENTRE, CENTRE + SCALE, CENTRE + 100 * SCALE])
    assert realism.log_density(rows) == pytest.approx([0, -1, -10000])
    assert realism.percentile(rows) == pytest.approx([100, 50, 0])
    assert realism.percentile(np.empty((0, 4))).shape == (0,)


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
    realism = OnnxRealism(bundle.realism_bytes(), len(bundle.schema), bundle.reference.realism_quantiles)
    assert ((realism.percentile(rows) >= 0) & (realism.percentile(rows) <= 100)).all()
