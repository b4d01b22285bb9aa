"""What a program gives as arguments, made plain: names, numbers of any make. Raises ConstraintError for what is none."""

from __future__ import annotations

import math
import operator
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from .errors import ConstraintError


def whole(what: str, value: Any, least: float = -math.inf, most: float = math.inf) -> int:
    """A whole number of any make, within these limits. Raises ConstraintError for all else."""
    if isinstance(value, bool | np.bool_) or not hasattr(value, "__index__"):
        raise ConstraintError(f"{what} must be a whole number, not {value!r}")
    if operator.index(value) < least:
        raise ConstraintError(f"{what} is {value}; it must be {least} or more")
    if operator.index(value) > most:
        raise ConstraintError(f"{what} is {value}; it must be {most} or less")
    return operator.index(value)


def number(what: str, value: Any) -> float:
    """A number that fits 64 bits. Raises ConstraintError for all else."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        raise ConstraintError(f"{what} must be a number, not {value!r}")
    try:
        return float(value)
    except (OverflowError, TypeError):
        raise ConstraintError(f"{what} must be a number that fits 64 bits") from None


def one_of(what: str, value: Any, known: Collection[str]) -> str:
    """One of the words that are known. Raises ConstraintError for another."""
    if value not in known:
        raise ConstraintError(f"{what} must be one of {', '.join(known)}, not {value!r}")
    return str(value)


def names(what: str, value: Any) -> frozenset[str]:
    """A collection of names; a text alone is none, for it would be taken for its letters: ConstraintError."""
    if isinstance(value, str) or not isinstance(value, Collection) or not all(isinstance(name, str) for name in value):
        raise ConstraintError(f"{what} must be a collection of feature names, not {value!r}")
    return frozenset(value)


def numbers(what: str, value: Any) -> dict[str, float]:
    """Numbers by name. Raises ConstraintError for all else."""
    return {name: number(f"{what}[{name!r}]", one) for name, one in _by_name(what, value).items()}


def pairs(what: str, value: Any) -> dict[str, tuple[float, float]]:
    """Pairs of numbers by name. Raises ConstraintError for all else."""
    out = {}
    for name, pair in _by_name(what, value).items():
        if isinstance(pair, str) or not hasattr(pair, "__len__") or len(pair) != 2:
            raise ConstraintError(f"{what}[{name!r}] must be a pair of numbers, low and high, not {pair!r}")
        low, high = (number(f"{what}[{name!r}]", one) for one in pair)
        out[name] = low, high
    return out


def _by_name(what: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise ConstraintError(f"{what} must name features, as a mapping does, not {value!r}")
    return value
