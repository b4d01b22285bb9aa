"""Where the decision threshold lies, and how scores become probabilities: both learnt from out-of-fold scores, without making a row.

This is what scikit-learn's TunedThresholdClassifierCV and CalibratedClassifierCV do, for scores that lie there already and for folds that
keep a person's rows together. TunedThresholdClassifierCV averages each fold's curve of F1; here the folds' scores are one list, since with
a handful of positive rows in a fold its own curve says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from sensecf_edge.schema.feature import Vector


@dataclass(frozen=True)
class Threshold:
    """The score from which on a row counts as positive, and the F1 that it gave where it was chosen (so a little too good)."""

    at: float
    f1: float


def best_threshold(scores: Vector, y: NDArray[np.bool_], weights: Vector | None = None) -> Threshold:
    """The threshold of the highest F1 over these rows, half way between two scores; -inf where that is "everybody".

    scores, y: shape (rows,); a NaN score (a row that no fold could judge) is left out. weights: how much each row counts.
    """
    known = np.isfinite(scores)
    order = np.argsort(-scores[known], kind="stable")
    s, mine = scores[known][order], y[known][order]
    w = np.ones(len(s)) if weights is None else weights[known][order]
    hits, said = np.cumsum(w * mine), np.cumsum(w)
    f1 = 2 * hits / (said + hits[-1])
    f1[:-1][s[1:] == s[:-1]] = -1.0  # rows with the same score stand on one side
    best = int(f1.argmax())
    return Threshold(float("-inf") if best + 1 == len(s) else float(s[best] + s[best + 1]) / 2, float(f1[best]))


@dataclass(frozen=True)
class Sigmoid:
    """p = 1 / (1 + exp(-(slope score + intercept))), for classes as common as where it was fitted; `share`: of the positive one there."""

    slope: float
    intercept: float
    share: float

    def p(self, scores: Vector, share: float | None = None) -> Vector:
        """Probabilities, shape (rows,). `share`: how common the positive class is where they are used, where somebody knows (Saerens,
        Latinne, Decaestecker, Neural Computation 2002: log-odds are shifted by the difference of the log-odds of the shares)."""
        shift = 0.0 if share is None else float(logit(share) - logit(self.share))
        return np.asarray(expit(self.slope * scores.astype(np.float64) + self.intercept + shift))


def sigmoid(scores: Vector, y: NDArray[np.bool_]) -> Sigmoid:
    """Platt's sigmoid over out-of-fold scores, every row weighing alike. The slope is never negative."""
    known = np.isfinite(scores)
    s, mine = scores[known].astype(np.float64), y[known]
    spread = float(s.std()) or 1.0
    fitted = LogisticRegression(C=100.0).fit((s / spread)[:, None], mine)
    return Sigmoid(max(float(fitted.coef_[0, 0]) / spread, 1e-3 / spread), float(fitted.intercept_[0]), float(mine.mean()))
