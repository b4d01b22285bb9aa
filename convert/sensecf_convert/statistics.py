"""How sure a figure is: one bootstrap, by person, for every share, mean and other figure of rows that belong to people.

Rows of one person are alike, so people are drawn again, never rows; where a table names no person every row is one of its own
and the words say rows. Classifier and generator stay as they are: the luck of training is in no interval, nor is what
becomes of figures among people of another kind. Fewer than ten people tell too little of how people differ: no interval then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sensecf_edge.schema.feature import Vector

LEAST_PEOPLE = 10
"""People below which there is no interval."""
RESAMPLES = 2_000
LEVEL = 0.95
DIGITS = 6
BLOCK = 2_000_000
"""Weights that are held at once where a figure looks at every row."""

Figure = dict[str, Any]
"""`value`, ends `low` and `high` of its 95 % interval (None where there is none), `n` rows and `people` (persons) it is of."""


def weights(people: int, seed: int | Sequence[int], resamples: int = RESAMPLES) -> NDArray[np.float64]:
    """How often each person counts, shape (people, 1 + resamples): once in the first column, then as drawn with replacement.

    NaN in all draws of fewer than ten people.
    """
    if people < LEAST_PEOPLE:
        drawn = np.full((people, resamples), np.nan)
    else:
        drawn = np.random.default_rng(seed).multinomial(people, np.full(people, 1 / people), resamples).T
    return np.column_stack([np.ones(people), drawn])


def ends(drawn: NDArray[np.floating[Any]]) -> tuple[float, float] | tuple[None, None]:
    """The middle 95 % of the draws (resamples,) that have a value; (None, None) where none has."""
    known = drawn[np.isfinite(drawn)]
    if not known.size:
        return None, None
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return round(float(low), DIGITS), round(float(high), DIGITS)


def mean(values: ArrayLike, persons: ArrayLike, seed: int = 0) -> Figure | None:
    """The mean of values (rows,), NaN left out; None where nothing is left. Percentiles of the bootstrap."""
    held = _summed(values, persons)
    if held is None:
        return None
    sums, counts = held
    W = weights(len(sums), seed)
    draws = (sums @ W) / (counts @ W)
    return _figure(float(draws[0]), ends(draws[1:]), counts)


def share(flags: ArrayLike, persons: ArrayLike, seed: int = 0) -> Figure | None:
    """The share of true flags (rows,); None for no row.

    Wilson's interval at the number of independent rows that have the variance which the bootstrap by person finds: percentiles
    are too narrow near 0 and 1, and nothing at all where nobody differs. Where all people have one and the same share that number
    is how many people there are. (Korn and Graubard, Survey Methodology 24, 1998, with Wilson's interval for Clopper's.)
    """
    held = _summed(np.asarray(flags, dtype=float), persons)
    if held is None:
        return None
    sums, counts = held
    value, people = float(sums.sum() / counts.sum()), len(sums)
    if people < LEAST_PEOPLE:
        return _figure(value, (None, None), counts)
    W = weights(people, seed)[:, 1:]
    spread = float(np.var((sums @ W) / (counts @ W)))
    alone = people if spread < 1e-12 else value * (1 - value) / spread
    return _figure(value, _wilson(value, alone), counts)


def statistic(of: Callable[[NDArray[np.intp], NDArray[np.float64]], Vector], persons: ArrayLike, seed: int = 0) -> Figure:
    """Any figure of rows. `of` takes each row's person as a number, shape (rows,), and how often each person counts, shape
    (people, draws), and answers (draws,), NaN for a draw without a value."""
    people, at = np.unique(np.asarray(persons), return_inverse=True)
    W = weights(len(people), seed)
    width = max(1, BLOCK // max(1, len(at)))
    draws = np.concatenate([of(at, W[:, start : start + width]) for start in range(0, W.shape[1], width)])
    return _figure(float(draws[0]), ends(draws[1:]), np.bincount(at))


def auc(y: NDArray[np.bool_], scores: Vector, persons: NDArray[np.intp], W: NDArray[np.floating[Any]]) -> Vector:
    """Area under the ROC curve in each draw, shape (draws,): the share of (positive, negative) pairs in order, ties counted half.

    y, scores, persons (as numbers): shape (rows,); W: shape (people, draws). NaN where a draw lacks a class. One sort serves all draws:
    the negatives' weights are summed up along the scores, and each positive looks up what lies below it.
    """
    order = np.argsort(scores[~y], kind="stable")
    negative, positive, mine = scores[~y][order], scores[y], W[persons[y]]
    below = np.zeros((len(negative) + 1, W.shape[1]), dtype=np.float64 if len(y) > 10_000 else W.dtype)
    np.cumsum(W[persons[~y][order]], axis=0, out=below[1:])
    under, upto = (np.searchsorted(negative, positive, side) for side in ("left", "right"))
    pairs = (mine * (below[under] + below[upto])).sum(axis=0, dtype=np.float64) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(pairs / (mine.sum(axis=0, dtype=np.float64) * below[-1]))


def with_interval(figure: Mapping[str, Any] | None, text: Callable[[float], str], unit: str = "people", many: bool = True) -> str:
    """A figure in words: "85.0 % of 60 (95 % interval by people 73.9 % to 91.9 %, 31 people)", or why it has no interval.

    `text` writes a value; `unit` what persons are called; `many` says over how many rows.
    """
    if figure is None or figure["value"] is None:
        return "-"
    said = text(figure["value"]) + (f" of {figure['n']:,}" if many else "")
    return f"{said} ({interval(figure, text, unit)})"


def interval(figure: Mapping[str, Any], text: Callable[[float], str], unit: str = "people") -> str:
    """The interval in words, or that there are too few people for one."""
    people = f"{figure['people']:,} {unit if figure['people'] != 1 else ONE.get(unit, unit)}"
    if figure["low"] is None:
        return f"{people}: too few for an interval" if figure["people"] < LEAST_PEOPLE else f"{people}, no interval"
    by = "" if unit == "rows" else f" by {unit}"
    return f"95 % interval{by} {text(figure['low'])} to {text(figure['high'])}, {people}"


ONE = {"people": "person", "rows": "row"}


def _summed(values: ArrayLike, persons: ArrayLike) -> tuple[Vector, Vector] | None:
    """Sums and counts of known values, each of shape (people,)."""
    known = np.asarray(values, dtype=float)
    mask = ~np.isnan(known)
    if not mask.any():
        return None
    _, at = np.unique(np.asarray(persons)[mask], return_inverse=True)
    return np.bincount(at, known[mask]).astype(float), np.bincount(at).astype(float)


def _wilson(value: float, count: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of `count` independent rows, which need not be a whole number."""
    from scipy.stats import norm

    z2 = float(norm.ppf((1 + LEVEL) / 2)) ** 2
    middle = (value + z2 / (2 * count)) / (1 + z2 / count)
    half = np.sqrt(z2 * (value * (1 - value) / count + z2 / (4 * count**2))) / (1 + z2 / count)
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return round(min(low, value), DIGITS), round(max(high, value), DIGITS)


def _figure(value: float, span: tuple[float | None, float | None], counts: NDArray[Any]) -> Figure:
    known = None if np.isnan(value) else round(value, DIGITS)
    return {"value": known, "low": span[0], "high": span[1], "n": int(counts.sum()), "people": len(counts)}
