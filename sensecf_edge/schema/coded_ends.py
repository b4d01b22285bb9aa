"""Ends of a scale that stand for themselves and all beyond them, as tables write them so that nobody very old or very rich is found out.

A table that is top-coded at 80 holds 80 for whoever is 83, and a model that was made of it knows nobody of 83: it is asked about 80.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

KEYS = ("bottom_coded", "top_coded")


def faults(kind: str, low: float | None, high: float | None, bottom: float | None, top: float | None) -> Iterator[str]:
    """What is wrong with how far beyond its ends a feature is read."""
    if bottom is None and top is None:
        return
    if kind != "number":
        yield "bottom_coded and top_coded belong to numbers, not to choices"
        return
    if bottom is not None and low is not None and not (math.isfinite(bottom) and bottom < low):
        yield f"bottom_coded is the least value that is read as low, so it is under low ({low:g}), not {bottom:g}"
    if top is not None and high is not None and not (math.isfinite(top) and top > high):
        yield f"top_coded is the largest value that is read as high, so it is over high ({high:g}), not {top:g}"


def coded(value: float, low: float, high: float, bottom: float | None, top: float | None) -> float | None:
    """The value as the table has it: itself, or the end that stands for it; None for one that no record may hold."""
    if low <= value <= high:
        return value
    if top is not None and high < value <= top:
        return high
    return low if bottom is not None and bottom <= value < low else None  # None for NaN as well


def beyond(value: float, low: float | None, high: float | None, bottom: float | None, top: float | None) -> str:
    """What stands behind an end that is coded: ' or over', ' or under'; empty for every other value."""
    if top is not None and value == high:
        return " or over"
    return " or under" if bottom is not None and value == low else ""
