"""Scores of test rows -> metrics, the point value and every resample side by side, so that any difference made of them is paired.

Resampling: test people are drawn again within each seed, one draw for all runs of that seed. A row counts as often as its person was drawn.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .folders import Cell

METRICS = ("accuracy", "precision", "recall", "f1", "auc")
"""All from 0 to 1; precision, recall and F1 are those of the positive class."""
RESAMPLES = 1_000
LEVEL = 0.95
DIGITS = 6

Draw = NDArray[np.floating[Any]]
"""Shape (1 + resamples,): the value on the test people as they are, then on each draw of them. NaN where a draw lacks a class."""
Key = tuple[str, str, int, str, str]
"""Table, scenario, reduction, classifier, method."""


def weights(people: int, seeds: Iterable[int], resamples: int = RESAMPLES) -> NDArray[np.float32]:
    """How often each person counts, shape (people, 1 + resamples): once in the first column, then as drawn.

    With fewer than two people there is nothing to draw from: NaN.
    """
    if people < 2:
        drawn = np.full((people, resamples), np.nan)
    else:
        drawn = np.random.default_rng(list(seeds)).multinomial(people, np.full(people, 1 / people), resamples).T
    return np.column_stack([np.ones(people), drawn]).astype(np.float32)


def measured(y: NDArray[np.bool_], predicted: NDArray[np.bool_], scores: Draw, persons: NDArray[np.intp], W: NDArray[np.float32]) -> Draw:
    """The metrics, in their order, shape (5, draws). y, predicted, scores, persons: shape (rows,); W: shape (people, draws).

    Precision is 0 where nothing is put in the positive class, as in scikit-learn. NaN: recall and F1 where a draw holds no positive,
    AUC where it lacks either class.
    """
    parts = (y & predicted, ~y & predicted, y & ~predicted, np.ones_like(y))
    counts = np.stack([np.bincount(persons, part, len(W)) for part in parts])
    tp, fp, fn, rows = counts.astype(np.float64) @ W
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(tp + fp == 0, 0.0, tp / (tp + fp))
        recall = tp / (tp + fn)
        f1 = np.where(tp + fn == 0, np.nan, 2 * tp / (2 * tp + fp + fn))
        return np.stack([(rows - fp - fn) / rows, precision, recall, f1, auc(y, scores, persons, W)])


def auc(y: NDArray[np.bool_], scores: Draw, persons: NDArray[np.intp], W: NDArray[np.float32]) -> Draw:
    """Area under the ROC curve of each draw, shape (draws,): the share of (positive, negative) pairs in order, ties counted half.

    One sort serves all draws: the negatives' weights are summed up along the scores, and each positive looks up what lies below it.
    """
    order = np.argsort(scores[~y], kind="stable")
    negative, positive = scores[~y][order], scores[y]
    below = np.zeros((len(negative) + 1, W.shape[1]), dtype=np.float64 if len(y) > 10_000 else np.float32)
    np.cumsum(W[persons[~y][order]], axis=0, out=below[1:])
    under, upto = (np.searchsorted(negative, positive, side) for side in ("left", "right"))
    mine = W[persons[y]]
    pairs = (mine * (below[under] + below[upto])).sum(axis=0, dtype=np.float64) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(pairs / (mine.sum(axis=0, dtype=np.float64) * below[-1]))


def point(y: NDArray[np.bool_], predicted: NDArray[np.bool_], scores: Draw) -> tuple[float | None, ...]:
    """The metrics on the test rows as they are; None for what a missing class leaves without a value."""
    rows = np.arange(len(y))
    got = measured(y, predicted, scores, rows, np.ones((len(y), 1), dtype=np.float32))[:, 0]
    return tuple(None if np.isnan(v) else round(float(v), DIGITS) for v in got)


@dataclass(frozen=True)
class Draws:
    """Every run's metrics by key and seed, each of shape (5, 1 + resamples). A run that was left out has no entry."""

    runs: Mapping[Key, Mapping[int, Draw]]

    def shared(self, *keys: Key) -> list[int]:
        """The seeds for which all of these runs are there."""
        held = [set(self.runs.get(k, ())) for k in keys]
        return sorted(set.intersection(*held))

    def mean(self, key: Key, metric: str, seeds: Iterable[int]) -> Draw:
        """A run's metric, the mean over these seeds."""
        at, held = METRICS.index(metric), self.runs[key]
        return np.asarray(np.mean([held[s][at] for s in seeds], axis=0, dtype=np.float64))


def draws(tables: Iterable[tuple[str, Iterable[Cell]]], seed: int, resamples: int = RESAMPLES) -> Draws:
    """Measure every run of (table's name, its cells). A table's draws do not depend on which others are there."""
    runs: dict[Key, dict[int, Draw]] = {}
    for name, cells in tables:
        drawn: dict[int, tuple[NDArray[np.intp], NDArray[np.float32]]] = {}
        for cell in cells:
            if cell.seed not in drawn:
                held, persons = np.unique(cell.persons, return_inverse=True)
                drawn[cell.seed] = persons, weights(len(held), (seed, zlib.crc32(name.encode()), cell.seed), resamples)
            persons, W = drawn[cell.seed]
            for run in cell.runs:
                if not run.why:
                    key = (name, cell.scenario, cell.reduction, run.classifier, run.method)
                    got = measured(cell.y, run.predicted, run.scores, persons, W)
                    runs.setdefault(key, {})[cell.seed] = got.astype(np.float32)
    return Draws(runs)


def figure(draw: Draw) -> dict[str, float | None] | None:
    """Value and 95 % interval (percentiles of the resamples that have a value); None without a value, low and high None without draws."""
    if np.isnan(draw[0]):
        return None
    drawn = draw[1:][np.isfinite(draw[1:])]
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) if drawn.size else (None, None)
    ends = [None if end is None else round(float(end), DIGITS) for end in (low, high)]
    return {"value": round(float(draw[0]), DIGITS), "low": ends[0], "high": ends[1]}
