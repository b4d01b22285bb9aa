"""What is made of each method's scores without another row: its threshold moved, told how common the classes are, let in by a trial or not.

METHOD             decides at even odds, as it comes
METHOD+threshold   from the score on that gave the highest F1 out of fold; without rows it is called `threshold`
METHOD+told        the same, each class counted as often as it was before labels were taken away: what only a study knows, or whoever
                   knows how common the condition is; without rows `told`
METHOD+trial       METHOD+threshold where that F1 is higher with the rows than without, else `threshold`
prior              `none`, positive from the share of positives among the reduced rows on
everybody          positive, whoever it is
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from sensecf_edge.schema.feature import Vector

from ...classifier.kinds import KINDS
from ..decision_threshold import Sigmoid, Threshold, best_threshold, sigmoid

BASE = "none"
"""The method that all others are held against as they come."""
MOVED, TOLD, TRIED = "+threshold", "+told", "+trial"
THRESHOLD, PRIOR, EVERYBODY = "threshold", "prior", "everybody"
DERIVED = (THRESHOLD, "told", PRIOR, EVERYBODY)
"""What is made of `none`'s scores."""


@dataclass(frozen=True)
class Run:
    """One classifier trained on one method's rows. `why`: the reason it was left out, then without scores.

    added      rows added to the reduced training set; distinct: how many of them repeat no other
    seconds    to make and judge the rows, in the cell and its folds, all classifiers together
    scores     log-odds of the test rows, shape (test rows,); predicted: the decision; p: the probability of the positive class
    held       out-of-fold log-odds of the rows left, shape (rows left,), NaN where a fold could not judge
    """

    classifier: str
    method: str
    added: int
    distinct: int
    why: str
    seconds: float
    scores: Vector
    predicted: NDArray[np.bool_]
    p: Vector
    held: Vector


def named(method: str, variant: str) -> str:
    """A variant's name; that of `none` has a name of its own."""
    return variant[1:] if method == BASE else method + variant


def base_of(method: str) -> str:
    """What a method's gain is counted from: rows with a moved threshold from a moved threshold alone, all else from `none`."""
    if method.endswith((MOVED, TRIED)):
        return THRESHOLD
    return named(BASE, TOLD) if method.endswith(TOLD) else BASE


def of(runs: Sequence[Run], y: NDArray[np.bool_], whole: tuple[int, int]) -> tuple[Run, ...]:
    """Every variant of a cell's runs. y: the labels left, shape (rows left,); whole: (negatives, positives) before."""
    plain = {r.classifier: r for r in runs if r.method == BASE}
    out = list[Run]()
    for run in runs:
        if run.why:
            out.append(run)
            continue
        bent, threshold = sigmoid(run.held, y), best_threshold(run.held, y)
        # an SVM's margin is no probability; Platt's sigmoid makes one of it
        p = bent.p(run.scores) if KINDS[run.classifier].margin else np.asarray(expit(run.scores.astype(np.float64)))
        moved = _moved(run, threshold, bent)
        out += [replace(run, p=p), moved, _told(run, y, whole, bent)]
        if run.method == BASE:
            out += [_prior(run, bent), _everybody(run, bent)]
        else:
            first = plain[run.classifier]
            better = threshold.f1 > best_threshold(first.held, y).f1
            let_in = moved if better else _moved(first, best_threshold(first.held, y), sigmoid(first.held, y))
            out.append(replace(let_in, method=run.method + TRIED, seconds=run.seconds))
    return tuple(out)


def _moved(run: Run, threshold: Threshold, bent: Sigmoid) -> Run:
    return replace(run, method=named(run.method, MOVED), predicted=run.scores >= threshold.at, p=bent.p(run.scores))


def _told(run: Run, y: NDArray[np.bool_], whole: tuple[int, int], bent: Sigmoid) -> Run:
    weights = np.where(y, whole[1] / y.sum(), whole[0] / (~y).sum())
    threshold = best_threshold(run.held, y, weights)
    return replace(run, method=named(run.method, TOLD), predicted=run.scores >= threshold.at, p=bent.p(run.scores, whole[1] / sum(whole)))


def _prior(run: Run, bent: Sigmoid) -> Run:
    p = bent.p(run.scores)
    return replace(run, method=PRIOR, predicted=p >= bent.share, p=p)


def _everybody(run: Run, bent: Sigmoid) -> Run:
    alike = np.zeros(len(run.scores))
    return replace(run, method=EVERYBODY, scores=alike, predicted=np.ones(len(alike), dtype=bool), p=alike + bent.share)
