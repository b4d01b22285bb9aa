"""Which recipe of a kind is chosen, and when its probabilities are calibrated. The kinds and their recipes: `kinds`.

All of it happens inside the training people, in folds that keep a person's rows together. Both classes count alike in the
calibration, in the Brier score and in the losses, so that 0.5 means "as much like the wanted class as like the other one"
whatever share of the table each class has. Where a loss weighs every row alike (the neural network's), the sigmoid behind it
is what brings it there, and it has one wherever that lowers the Brier score.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline

from sensecf_edge.errors import TableError
from sensecf_edge.schema.feature import Vector

from ..table.cohort import Cohort, folds_by_person
from . import calibration
from .kinds import KINDS, Recipe, pipeline

FOLDS = 5
GAIN = 0.02
"""Share by which calibration must lower the cross-validated Brier score to be worth its two numbers."""
EDGE = 1e-3
"""Probabilities are kept this far from 0 and 1 before their logarithm is taken: nearer, float32 tells them badly apart."""

Platt = tuple[float, float]


@dataclass(frozen=True)
class Model:
    """A fitted classifier: a scikit-learn pipeline, and the two numbers of a sigmoid behind it, or None."""

    pipeline: Any
    platt: Platt | None = None

    def p_wanted(self, X: Vector) -> Vector:
        """Probability of the wanted class, shape (rows,), for codes (rows, features) with NaN unknown."""
        X = X.astype(np.float32)
        if self.platt is None:
            return np.asarray(self.pipeline.predict_proba(X)[:, 1], dtype=np.float64)
        return squash(self.platt, score(self.pipeline, X))


@dataclass(frozen=True)
class Chosen:
    """The best recipe of a kind. `auc_cv`: mean AUC over folds; `brier_cv`, `calibration_error_cv`: of what is shipped,
    cross-validated, both classes weighed alike; `tried`: every recipe with its AUC; `risk`: how its scores become risks."""

    model: Model
    recipe: Recipe
    calibrated: str
    sigmoid: Platt | None
    auc_cv: float
    brier_cv: float
    brier_cv_plain: float | None
    calibration_error_cv: float
    tried: int
    risk: dict[str, float]


def choose(kind: str, train: Cohort, seed: int, say: Callable[[str], None]) -> Chosen:
    """The recipe with the best AUC over folds of people, fitted on all of `train`, calibrated where that helps."""
    recipes = KINDS[kind].candidates(train)
    folds = folds_with_both(train, seed)
    best: tuple[float, Recipe, Vector] = (-1.0, {}, np.empty(0))
    for at, recipe in enumerate(recipes):
        held = _held_out(kind, train, recipe, folds, seed)
        auc = float(np.mean([roc_auc_score(train.y[test], held[test]) for _, test in folds]))
        best = max(best, (auc, recipe, held), key=lambda b: b[0])
        say(f"recipe {at + 1} of {len(recipes)}: AUC {auc:.3f} over folds of people, best {best[0]:.3f}")
    auc, recipe, held = best
    return _finish(kind, train, recipe, (auc, held), folds, seed, len(recipes))


def folds_with_both(train: Cohort, seed: int) -> list[Any]:
    """Folds of people that hold both classes, in the rows to learn from and in those kept back: of five, or of fewer where people
    are so few. Raises TableError where there are no two such folds."""

    def both(rows: NDArray[Any]) -> bool:
        return len(np.unique(train.y[rows])) == 2

    most = min(FOLDS, *(len(np.unique(train.persons[train.y == side])) for side in (False, True)))
    for count in (FOLDS, *range(most, 1, -1)):
        folds = [f for f in folds_by_person(train.persons, train.y, count, seed) if both(f[0]) and both(f[1])]
        if len(folds) > 1:
            return folds
    raise TableError(
        f"{most} people to train with hold the rarer class, too few for two parts with both classes in each, so no classifier can "
        "be chosen; add people, or bring a classifier along (--classifier FILE)"
    )


def weights_of(kind: str, calibrated: bool) -> str:
    """Where both classes count alike, for the manifest."""
    if not KINDS[kind].rows_alike:
        return "both classes alike"
    return "rows alike in the loss, both classes alike in the calibration" if calibrated else "rows alike"


def _finish(kind: str, train: Cohort, recipe: Recipe, best: tuple[float, Vector], folds: list[Any], seed: int, tried: int) -> Chosen:
    """Decide on a sigmoid by the held-out scores, each judged by a sigmoid fitted on the other folds; then fit on everybody.

    An SVM always gets one, because its distances are no probabilities."""
    auc, held = best
    rows = np.concatenate([test for _, test in folds])
    fold = np.repeat(np.arange(len(folds)), [len(test) for _, test in folds])
    s, y = held[rows], train.y[rows]
    crossed = np.empty(len(rows))
    for i in range(len(folds)):
        crossed[fold == i] = squash(platt(s[fold != i], y[fold != i]), s[fold == i])
    margin = KINDS[kind].margin
    plain = None if margin else brier(y, squash((1.0, 0.0), s))
    numbers = platt(s, y) if plain is None or brier(y, crossed) < (1 - GAIN) * plain else None
    p = squash((1.0, 0.0), s) if numbers is None else crossed
    model = Model(_fit(pipeline(train.schema, kind, recipe, seed), train.X, train.y), numbers)
    return Chosen(
        folded(model) if margin else model, recipe, "none" if numbers is None else "sigmoid", numbers, auc, brier(y, p), plain,
        calibration_error(y, p), tried, calibration.fitted(p, y, 1 - float(train.y.mean())),
    )  # fmt: skip


def _held_out(kind: str, data: Cohort, recipe: Recipe, folds: list[Any], seed: int) -> Vector:
    """A score for every row of the folds, by a model that has not seen the row's people."""
    held = np.full(len(data), np.nan)
    for train, test in folds:
        held[test] = score(_fit(pipeline(data.schema, kind, recipe, seed), data.X[train], data.y[train]), data.X[test].astype(np.float32))
    return held


def _fit(made: Pipeline, X: Vector, y: NDArray[np.bool_]) -> Pipeline:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of passes is part of the recipe, judged by its AUC
        return made.fit(X.astype(np.float32), y)


def score(fitted: Any, X: Vector) -> Vector:
    """What a calibration works on, shape (rows,): the distance to the SVM's border, else the logit of the probability."""
    if hasattr(fitted, "predict_proba"):
        p = np.clip(np.asarray(fitted.predict_proba(X)[:, 1], dtype=np.float64), EDGE, 1 - EDGE)
        return np.asarray(np.log(p / (1 - p)))
    return np.asarray(fitted.decision_function(X), dtype=np.float64)


def squash(numbers: Platt, scores: Vector) -> Vector:
    """1 / (1 + exp(-(a s + b))), same shape as s."""
    return np.asarray(1 / (1 + np.exp(-(numbers[0] * scores + numbers[1]))))


def platt(scores: Vector, y: NDArray[np.bool_]) -> Platt:
    """Slope and offset of the sigmoid that suits held-out scores best, both classes weighed alike; the slope is never
    negative, because a calibration must not turn a classifier round."""
    spread = float(scores.std()) or 1.0
    line = LogisticRegression(C=100.0, class_weight="balanced").fit((scores / spread)[:, None], y)
    return max(float(line.coef_[0, 0]) / spread, 1e-3 / spread), float(line.intercept_[0])


def folded(model: Model) -> Model:
    """An SVM and its sigmoid as one logistic layer: the same probabilities, and a graph without a second step."""
    assert model.platt is not None
    machine, (a, b) = model.pipeline.named_steps["machine"], model.platt
    line = LogisticRegression()
    line.classes_, line.n_features_in_ = machine.classes_, machine.n_features_in_
    line.coef_, line.intercept_, line.n_iter_ = a * machine.coef_, a * machine.intercept_ + b, np.array([0])
    return Model(Pipeline([*model.pipeline.steps[:-1], ("machine", line)]))


def balance(y: NDArray[np.bool_]) -> Vector:
    """Weights that let both classes count alike, shape (rows,), mean 1."""
    share = float(y.mean())
    return np.where(y, 0.5 / share, 0.5 / (1 - share))


def brier(y: NDArray[np.bool_], p: Vector) -> float:
    """Mean squared error of the probabilities, both classes weighed alike; 0.25 is what "0.5 for everybody" gets."""
    return float(np.average((p - y) ** 2, weights=balance(y)))


def calibration_error(y: NDArray[np.bool_], p: Vector, bins: int = 10) -> float:
    """Mean distance between stated and seen shares over `bins` equally full bins of p, both classes weighed alike."""
    weights, total = balance(y), 0.0
    for part in np.array_split(np.argsort(p, kind="stable"), min(bins, len(p))):
        total += abs(float((weights[part] * (p[part] - y[part])).sum()))
    return total / float(weights.sum())
