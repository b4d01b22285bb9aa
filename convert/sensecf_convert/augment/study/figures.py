"""Scores of test rows -> metrics, the point value and every resample side by side, so that any difference made of them is paired.

Resampling: a table's test people are drawn again, one draw for all its runs. A row counts as often as its person was drawn.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from sensecf_edge.schema.feature import Vector

from ...classifier.calibration import calibration_slope
from ...statistics import DIGITS, auc, ends, weights
from .folders import Cell
from .variants import Run

METRICS = ("accuracy", "balanced", "precision", "recall", "f1", "auc", "auprc", "brier", "log_loss")
"""Precision, recall and F1 are those of the positive class; balanced: the mean of both classes' recall; auprc: average precision. All from
0 to 1 but the log loss; of Brier score and log loss the lower is the better, at the test people's own share of positives."""
EDGE = 1e-3
"""For the log loss no probability is nearer to 0 or 1: one confident mistake would else outweigh a whole table."""
RESAMPLES = 1_000

Draw = NDArray[np.floating[Any]]
"""Shape (1 + resamples,): the value on the test people as they are, then on each draw of them. NaN where a draw lacks a class."""
Key = tuple[str, str, int, str, str]
"""Table, scenario, reduction, classifier, method."""


def measured(
    y: NDArray[np.bool_], predicted: NDArray[np.bool_], scores: Vector, p: Vector, persons: NDArray[np.intp], W: NDArray[np.float64]
) -> Draw:
    """The metrics, in their order, shape (metrics, draws). y, predicted, scores, p, persons: shape (rows,); W: shape (people, draws).

    Precision is 0 where nothing is put in the positive class, as in scikit-learn. NaN: recall, F1 and average precision where a draw holds
    no positive, AUC and balanced accuracy where it lacks either class.
    """
    near = np.clip(p, EDGE, 1 - EDGE)
    surprise = -np.where(y, np.log(near), np.log1p(-near))
    parts = (y & predicted, ~y & predicted, y & ~predicted, np.ones_like(y), (p - y) ** 2, surprise)
    counts = np.stack([np.bincount(persons, part, len(W)) for part in parts])
    tp, fp, fn, rows, squares, surprises = counts.astype(np.float64) @ W
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(tp + fp == 0, 0.0, tp / (tp + fp))
        recall = tp / (tp + fn)
        f1 = np.where(tp + fn == 0, np.nan, 2 * tp / (2 * tp + fp + fn))
        balanced = (recall + 1 - fp / (rows - tp - fn)) / 2
        return np.stack([(rows - fp - fn) / rows, balanced, precision, recall, f1, auc(y, scores, persons, W),
                         auprc(y, scores, persons, W), squares / rows, surprises / rows])  # fmt: skip


def auprc(y: NDArray[np.bool_], scores: Vector, persons: NDArray[np.intp], W: NDArray[np.float64]) -> Draw:
    """Average precision of each draw, shape (draws,): precision at each score, weighed by the recall it adds (as in scikit-learn)."""
    order = np.argsort(-scores, kind="stable")
    drawn = W[persons[order]]
    last = np.append(scores[order][1:] != scores[order][:-1], True)  # rows with the same score are taken in together
    hits, said = np.cumsum(drawn * y[order][:, None], axis=0)[last], np.cumsum(drawn, axis=0)[last]
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(said == 0, 0.0, hits / said)
        return np.asarray((np.diff(hits, axis=0, prepend=0.0) * precision).sum(axis=0) / hits[-1])


def slope(y: NDArray[np.bool_], p: Vector) -> float | None:
    """The calibration slope of probabilities p, (rows,): see `calibration_slope`."""
    found = calibration_slope(logit(np.clip(p, EDGE, 1 - EDGE)), y)
    return None if found is None else round(found, DIGITS)


def point(y: NDArray[np.bool_], run: Run) -> tuple[float | None, ...]:
    """The metrics of a run on the test rows as they are; None for what a missing class leaves without a value."""
    rows = np.arange(len(y))
    got = measured(y, run.predicted, run.scores, run.p, rows, np.ones((len(y), 1)))[:, 0]
    return tuple(None if np.isnan(v) else round(float(v), DIGITS) for v in got)


@dataclass(frozen=True)
class Draws:
    """Every run's metrics by key and seed, each of shape (metrics, 1 + resamples), and its slope. A run that was left out has no entry."""

    runs: Mapping[Key, Mapping[int, Draw]]
    slopes: Mapping[Key, Mapping[int, float | None]]

    def shared(self, *keys: Key) -> list[int]:
        """The seeds for which all of these runs are there."""
        held = [set(self.runs.get(k, ())) for k in keys]
        return sorted(set.intersection(*held))

    def mean(self, key: Key, metric: str, seeds: Iterable[int]) -> Draw:
        """A run's metric, the mean over these seeds, shape (draws,)."""
        at, held = METRICS.index(metric), self.runs[key]
        return np.asarray(np.mean([held[s][at] for s in seeds], axis=0, dtype=np.float64))


def draws(tables: Iterable[tuple[str, Iterable[Cell]]], seed: int, resamples: int = RESAMPLES) -> Draws:
    """Measure every run of (table's name, its cells). A table's people are drawn once for all its cells: whoever is a test person of
    several seeds is drawn for all of them. A table's draws do not depend on which others are there."""
    runs: dict[Key, dict[int, Draw]] = {}
    slopes: dict[Key, dict[int, float | None]] = {}
    for name, held in tables:
        cells = list(held)
        people = np.unique(np.concatenate([c.persons for c in cells]))
        W = weights(len(people), (seed, zlib.crc32(name.encode())), resamples)
        for cell in cells:
            persons = np.searchsorted(people, cell.persons)
            for run in cell.runs:
                if not run.why:
                    key = (name, cell.scenario, cell.reduction, run.classifier, run.method)
                    got = measured(cell.y, run.predicted, run.scores, run.p, persons, W)
                    runs.setdefault(key, {})[cell.seed] = got.astype(np.float32)
                    slopes.setdefault(key, {})[cell.seed] = slope(cell.y, run.p)
    return Draws(runs, slopes)


def figure(draw: Draw) -> dict[str, float | None] | None:
    """Value and 95 % interval (percentiles of the resamples that have a value); None without a value, low and high None without draws."""
    if np.isnan(draw[0]):
        return None
    low, high = ends(draw[1:])
    return {"value": round(float(draw[0]), DIGITS), "low": low, "high": high}
