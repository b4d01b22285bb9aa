"""The classifiers that learn from real and added rows in the study: the papers' four kinds, one recipe each.

The recipe is the same for every method and cell, so that differences come from the rows. Unlike a bundle's classifier they weigh
every row alike, unless a method says otherwise, and decide at even odds.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.schema import Schema

from ..classifier.recipes import coding

EDGE = 1e-6
"""Probabilities are kept this far from 0 and 1 before their log-odds are taken."""


@dataclass(frozen=True)
class Judged:
    """What a classifier says of rows, shape (rows,): the log-odds of the positive class (of an SVM its margin, which is no probability),
    and its decision, positive from 0 on."""

    scores: NDArray[np.float32]
    predicted: NDArray[np.bool_]


def learn(kind: str, schema: Schema, X: Vector, y: NDArray[np.bool_], weights: Vector | None, test: Vector, seed: int) -> Judged:
    """Fit on rows X, shape (rows, features), y true for the positive class, weights (rows,) or None for all alike; judge `test`."""
    machine = _machine(kind, seed)
    fitted = Pipeline([("code", coding(schema, kind in ("svm", "neural-network"))), ("machine", machine)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of passes is part of the recipe
        fitted.fit(X.astype(np.float32), y.astype(int), machine__sample_weight=weights)
    test = test.astype(np.float32)
    scores = fitted.decision_function(test) if kind == "svm" else _log_odds(fitted.predict_proba(test)[:, 1])
    return Judged(scores.astype(np.float32), scores >= 0)


def _log_odds(p: Vector) -> Vector:
    p = np.clip(np.asarray(p, dtype=np.float64), EDGE, 1 - EDGE)
    return np.asarray(np.log(p / (1 - p)))


def _machine(kind: str, seed: int) -> object:
    if kind == "svm":
        return SVC(C=1.0, kernel="rbf", gamma="scale")
    if kind == "random-forest":
        return RandomForestClassifier(200, min_samples_leaf=3, random_state=seed, n_jobs=1)
    if kind == "xgboost":
        from xgboost import XGBClassifier

        return XGBClassifier(n_estimators=150, max_depth=3, learning_rate=0.05, subsample=0.8, colsample_bytree=0.8, n_jobs=1,
                             random_state=seed, tree_method="hist")  # fmt: skip
    assert kind == "neural-network"
    return MLPClassifier(hidden_layer_sizes=(16,), alpha=1.0, solver="lbfgs", max_iter=200, random_state=seed)
