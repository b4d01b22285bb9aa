"""The classifiers that learn from real and added rows in the study: one recipe a kind (`classifier.kinds`).

The recipe is the same for every method and cell, so that differences come from the rows. Unlike a bundle's classifier they weigh
every row alike, unless a method says otherwise, and decide at even odds.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline

from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.schema import Schema

from ..classifier.kinds import KINDS, coding

EDGE = 1e-6
"""Probabilities are kept this far from 0 and 1 before their log-odds are taken."""


@dataclass(frozen=True)
class Judged:
    """What a classifier says of rows, shape (rows,): the log-odds of the positive class (of a kind without probabilities its margin),
    and its decision, positive from 0 on."""

    scores: NDArray[np.float32]
    predicted: NDArray[np.bool_]


def learn(kind: str, schema: Schema, X: Vector, y: NDArray[np.bool_], weights: Vector | None, test: Vector, seed: int) -> Judged:
    """Fit on rows X, shape (rows, features), y true for the positive class, weights (rows,) or None for all alike; judge `test`."""
    asked = KINDS[kind]
    fitted = Pipeline([("code", coding(schema, asked.scaled)), ("machine", asked.plain(seed))])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of passes is part of the recipe
        fitted.fit(X.astype(np.float32), y.astype(int), machine__sample_weight=weights)
    test = test.astype(np.float32)
    scores = fitted.decision_function(test) if asked.margin else _log_odds(fitted.predict_proba(test)[:, 1])
    return Judged(scores.astype(np.float32), scores >= 0)


def _log_odds(p: Vector) -> Vector:
    p = np.clip(np.asarray(p, dtype=np.float64), EDGE, 1 - EDGE)
    return np.asarray(np.log(p / (1 - p)))
