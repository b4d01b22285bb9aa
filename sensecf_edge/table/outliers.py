"""Values that stand far from all others in a column: codes for "missing" (-999, 9999) and slips of the hand."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..schema.feature import Vector, number_text

MOST = 4
"""So many different values at one end, at most, are looked at."""
SPANS, SPANS_OF_A_CODE = 3.0, 0.5
"""Far is a gap of so many spans of all the rest; less where the value is written as codes for missing are."""
FEWEST_LEFT = 4
"""Different values that must be left to speak of the rest at all."""
MOST_SHARE = 0.5
SHORTEST_CODE = 777
FEWEST_FOR_A_QUESTION, GAP_ABOVE_ZERO = 12, 0.2


class Far(NamedTuple):
    """A value, how many rows hold it, how many spans of the rest lie between, and its first row (from 0). `sure` is false for
    a value that is near enough to be one, and looks like a code all the same: the only one below 0, or 0 below a gap."""

    value: float
    rows: int
    spans: float
    first: int
    sure: bool = True

    @property
    def text(self) -> str:
        """The value as it is written."""
        return number_text(self.value)


def far(values: Vector) -> list[Far]:
    """Values at either end that a wide gap parts from all others. Unknown values (NaN) count for nothing."""
    known = values[~np.isnan(values)]
    distinct, counts = np.unique(known, return_counts=True)
    low, high = _ends(distinct, counts)
    rest = distinct[low : len(distinct) - high]
    span = float(rest[-1] - rest[0]) if len(rest) else 0.0
    out = []
    for value in [*distinct[:low], *distinct[len(distinct) - high :]]:
        at = np.flatnonzero(values == value)
        gap = float(max(rest[0] - value, value - rest[-1]))
        out.append(Far(float(value), len(at), gap / span, int(at[0])))
    return out or _questionable(values, distinct, counts)


def _questionable(values: Vector, distinct: Vector, counts: NDArray[np.intp]) -> list[Far]:
    """Values that recur and may stand for nothing: negative codes below numbers that are never negative, a 0 with a gap above."""
    below = max(int((distinct < 0).sum()), int(len(distinct) > 0 and distinct[0] == 0))
    rest = distinct[below:]
    if len(rest) < FEWEST_FOR_A_QUESTION or below > MOST:
        return []
    span = float(rest[-1] - rest[0])
    out = [
        Far(float(value), int(count), float(rest[0] - value) / span, int(np.flatnonzero(values == value)[0]), sure=False)
        for value, count in zip(distinct[:below], counts[:below], strict=True)
    ]
    odd = all(f.rows > 1 and (like_a_code(f.value) if f.value < 0 else f.spans > GAP_ABOVE_ZERO) for f in out)
    return out if odd else []


def bulk(values: Vector) -> Vector:
    """The values without those that are far and without negative codes, unknown ones left out: shape (what is left,)."""
    known = values[~np.isnan(values)]
    return known[~np.isin(known, [f.value for f in far(known) if f.sure or f.value < 0])]


def _ends(distinct: Vector, counts: NDArray[np.intp]) -> tuple[int, int]:
    """How many of the distinct values are far, at the low and at the high end: the most that the rest bears out."""
    pairs = sorted(((low, high) for low in range(MOST + 1) for high in range(MOST + 1)), key=sum, reverse=True)
    return next((pair for pair in pairs if _all_far(distinct, counts, *pair)), (0, 0))


def _all_far(distinct: Vector, counts: NDArray[np.intp], low: int, high: int) -> bool:
    """Whether the first `low` and the last `high` values are all far from what is left."""
    end = len(distinct) - high
    rest, outside = distinct[low:end], [*range(low), *range(max(end, low), len(distinct))]
    if len(rest) < FEWEST_LEFT or counts[outside].sum() > MOST_SHARE * counts.sum():
        return False
    span = float(rest[-1] - rest[0])
    gaps = {i: float(max(rest[0] - distinct[i], distinct[i] - rest[-1])) for i in outside}
    return all(_is_far(gap, span, float(distinct[i]), int(counts[i])) for i, gap in gaps.items())


def _is_far(gap: float, span: float, value: float, count: int) -> bool:
    return gap > (SPANS_OF_A_CODE if count > 1 and like_a_code(value) else SPANS) * span


def like_a_code(value: float) -> bool:
    """Whether a number is written as codes for missing are: -1, -9, -99.9, 999, 8888. Of 88 and 99 there are people."""
    digits = number_text(abs(value)).replace(".", "")
    return value == -1 or (len(set(digits)) == 1 and digits[0] in "6789" and (value < 0 or value >= SHORTEST_CODE))
