"""A skops file opened safely: it says which types it wants to build, and only those listed here by name are built."""

from __future__ import annotations

import io
import warnings
import zipfile
from typing import Any

from sensecf_edge.errors import CheckError

from .messages import first_line

_SKLEARN = (
    "calibration._CalibratedClassifier calibration._SigmoidCalibration calibration._TemperatureScaling "
    "ensemble._hist_gradient_boosting.predictor.TreePredictor "
    "feature_selection._univariate_selection.chi2 feature_selection._univariate_selection.f_classif "
    "feature_selection._mutual_info.mutual_info_classif "
    "gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace gaussian_process.kernels.ConstantKernel "
    "gaussian_process.kernels.Matern gaussian_process.kernels.Product gaussian_process.kernels.RBF gaussian_process.kernels.Sum "
    "gaussian_process.kernels.WhiteKernel metrics._classification.balanced_accuracy_score metrics._dist_metrics.EuclideanDistance64 "
    "metrics._scorer._CurveScorer metrics._scorer._PassthroughScorer metrics._scorer._Scorer model_selection._split.KFold "
    "model_selection._split.StratifiedKFold model_selection._split.StratifiedGroupKFold model_selection._split.GroupKFold "
    "neighbors._ball_tree.BallTree neighbors._kd_tree.KDTree neural_network._stochastic_optimizers.AdamOptimizer "
    "neural_network._stochastic_optimizers.SGDOptimizer tree._tree.Tree utils._bunch.Bunch "
    "utils._metadata_requests.MetadataRequest utils._metadata_requests.MethodMetadataRequest"
)
BUILT = frozenset(
    {"numpy.dtype", "xgboost.core.Booster", "xgboost.sklearn.XGBClassifier", "xgboost.sklearn.XGBRFClassifier"}
    | {f"sklearn.{name}" for name in _SKLEARN.split()}
)
"""Types that may be built beside those skops builds anyway (scikit-learn's public estimators, numpy arrays, plain values)."""
MOST_BYTES = 1_000_000_000
_ELSEWHERE = {
    "lightgbm": "LightGBM: write it as ONNX (onnxmltools.convert_lightgbm(model, zipmap=False)) and give that file",
    "catboost": 'CatBoost: write it as ONNX (model.save_model("model.onnx", format="onnx")) and give that file',
    "imblearn": "imbalanced-learn: save the fitted pipeline without its samplers; they do nothing when a record is judged",
    "torch": "PyTorch: write it as ONNX (torch.onnx.export with the number of rows left open) and give that file",
    "sklearn.utils.validation.check_array": "HistGradientBoosting with categorical_features has no ONNX form here; fit it without "
    "(choices stay numbers, which trees split as well), or behind a OneHotEncoder",
    "sklearn.preprocessing._function_transformer": "a function of your own cannot be read; put what it does into the table",
}


def opened(data: bytes, name: str) -> tuple[Any, list[str]]:
    """The estimator in a skops file, and what a person should know of it. Raises CheckError."""
    from skops.io import get_untrusted_types, loads

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as parts:
            size = sum(part.file_size for part in parts.infolist())
        if size > MOST_BYTES:
            raise CheckError(f"{name} unpacks to {size / 1e9:.1f} GB, more than a classifier needs; it is not opened")
        wanted = get_untrusted_types(data=data)
        if strange := sorted(set(wanted) - BUILT):
            parts_named = ", ".join(strange[:5])
            raise CheckError(f"{name} asks to build {parts_named}, which is no known part of a classifier; {_way_round(strange)}")
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            estimator = loads(data, trusted=wanted)
        return estimator, _versions(heard)
    except CheckError:
        raise
    except Exception as error:  # a damaged file fails anywhere inside zipfile, json, numpy, scikit-learn or xgboost
        raise CheckError(f"{name} cannot be opened as a skops file: {first_line(error)}; save it again with skops.io.dump") from error


def _way_round(strange: list[str]) -> str:
    known = next((way for start, way in _ELSEWHERE.items() for t in strange if t.startswith(start)), None)
    return f"it is not opened. {known or 'Use parts of scikit-learn and XGBoost themselves, or export the model as ONNX yourself'}"


def _versions(heard: list[warnings.WarningMessage]) -> list[str]:
    """Whether the model was saved by another scikit-learn: its parts may compute otherwise here."""
    seen = {
        (str(w.message.original_sklearn_version), str(w.message.current_sklearn_version))  # type: ignore[union-attr]
        for w in heard
        if hasattr(w.message, "original_sklearn_version")
    }
    return [f"saved with scikit-learn {old}, opened with {new}: hold its answers against those it gave there" for old, new in sorted(seen)]
