"""How typical a record is of people of the wanted class: a Gaussian mixture, shipped as ONNX with its calibration.

The mixture keeps means and covariances only. Percentiles are calibrated on people the mixture was not fitted on
(cross-validation over people), because a density always flatters its own training rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from sensecf_edge.schema import Vector

from .classifiers.export import OPSET, serialised
from .tables import Cohort, folds_by_person

COMPONENTS = (1, 2, 3, 4)
FLOOR = 0.05


def fit(data: Cohort, seed: int) -> tuple[Pipeline, list[float]]:
    """The fitted mixture of the wanted class and 101 calibration quantiles of held-out log-densities, ascending.

    The number of components is the one with the best mean held-out log-density.
    """
    wanted = data.take(data.y)
    held_out = {k: _held_out(wanted, k, seed) for k in COMPONENTS}
    best = max(COMPONENTS, key=lambda k: float(np.median(held_out[k])))
    quantiles = np.quantile(held_out[best], np.linspace(0, 1, 101))
    return _pipeline(best, seed).fit(wanted.X.astype(np.float32)), [float(q) for q in quantiles]


def _pipeline(components: int, seed: int) -> Pipeline:
    mixture = GaussianMixture(components, covariance_type="full", reg_covar=FLOOR, random_state=seed)
    return Pipeline(
        [("fill", SimpleImputer(strategy="median", keep_empty_features=True)), ("scale", StandardScaler()), ("density", mixture)]
    )


def _held_out(wanted: Cohort, components: int, seed: int) -> Vector:
    """Log-density of every row under a mixture fitted without that row's fold of people."""
    X = wanted.X.astype(np.float32)
    out = np.full(len(X), np.nan)
    for train, test in folds_by_person(wanted.persons, wanted.y, 5, seed):
        out[test] = _pipeline(components, seed).fit(X[train]).score_samples(X[test])
    return out[~np.isnan(out)]


def to_onnx(model: Pipeline, features: int) -> bytes:
    """The mixture as an ONNX graph with the output `score_samples`, natural log-density, one a row."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    mixture: Any = model.named_steps["density"]
    graph = convert_sklearn(
        model,
        initial_types=[("record", FloatTensorType([None, features]))],
        options={id(mixture): {"score_samples": True}},
        target_opset=OPSET,
    )
    return serialised(graph)
