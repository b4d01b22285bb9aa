"""How often an answer stays valid: when readings are as far off as their sensors are stated to be, and to other classifiers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..schema.feature import Vector
from ..schema.schema import Schema
from ..settings import STABILITY
from ..space import rules
from ..space.measure import changed
from .classifier import Checker


def stability(checker: Checker, schema: Schema, x: Vector, Y: Vector, threshold: float, seed: int, count: int = STABILITY.draws) -> Vector:
    """Share (0..1) of `count` noisy readings of each answer Y to the record x with p >= threshold, shape (candidates,).

    NaN where nobody has stated the error of a number that the answer moves, or where it moves no number: about its readings
    nothing is known. Errors are normal, with the standard deviation that each feature states; choices, unknown values and
    features without a statement are read as they are. Readings stay in the possible range, and features that relations
    complete follow. The same seed draws the same noise for every answer. Says nothing about an error of the classifier.
    """
    out, said = np.full(len(Y), np.nan), _stated(schema, x, Y)
    if said.any():
        out[said] = _held(checker, schema, Y[said], threshold, _noise(seed, count, len(schema)))
    return out


def _stated(schema: Schema, x: Vector, Y: Vector) -> NDArray[np.bool_]:
    """Which answers move numbers whose errors are all stated, those that follow left aside; shape (candidates,)."""
    _, _, fixed, share = _limits(schema)
    numbers = np.array([f.kind == "number" for f in schema.features])
    moved = changed(x, Y) & ~rules.following(schema, x, Y) & numbers
    lacking = moved & np.isnan(fixed) & np.isnan(share)
    out: NDArray[np.bool_] = moved.any(axis=1) & ~lacking.any(axis=1)
    return out


def _held(checker: Checker, schema: Schema, Y: Vector, threshold: float, noise: Vector) -> Vector:
    """Share of the noisy readings of each answer with p >= threshold; all of them one batch."""
    low, high, fixed, share = _limits(schema)
    error = np.nan_to_num(fixed) + np.nan_to_num(share) * np.abs(np.nan_to_num(Y))
    readings = np.clip(Y[:, None, :] + noise * error[:, None, :], np.fmin(low, Y)[:, None, :], np.fmax(high, Y)[:, None, :])
    if schema.moved:
        readings = np.stack([rules.complete(schema, y, part) for y, part in zip(Y, readings, strict=True)])
    p = checker.p_target(readings.reshape(-1, len(schema)))
    out: Vector = (p.reshape(len(Y), -1) >= threshold).mean(axis=1)
    return out


def agreement(rivals: Sequence[Checker], Y: Vector, threshold: float) -> Vector | None:
    """Share (0..1) of other classifiers, as good as the one that judged, to which each answer has p >= threshold; shape (candidates,).

    None without rivals. They are no jury: an answer that one of them refuses is shown all the same, with this figure.
    """
    if not rivals:
        return None
    return np.asarray(np.mean([rival.p_target(Y) >= threshold for rival in rivals], axis=0), dtype=np.float64)


@lru_cache(maxsize=16)
def _limits(schema: Schema) -> tuple[Vector, Vector, Vector, Vector]:
    """Possible range of every feature, its stated error in units and as a share of the reading (NaN: none); each of shape (features,)."""
    choice = [f.kind == "choice" for f in schema.features]
    low = np.array([f.lattice[0] if c else float(f.low or 0) for f, c in zip(schema.features, choice, strict=True)])
    high = np.array([f.lattice[-1] if c else float(f.high or 0) for f, c in zip(schema.features, choice, strict=True)])
    errors = [(f.error, f.relative_error) for f in schema.features]
    fixed, share = np.array([[np.nan if e is None else e for e in pair] for pair in errors], dtype=np.float64).T
    return low, high, fixed, share


@lru_cache(maxsize=16)
def _noise(seed: int, count: int, features: int) -> Vector:
    """Normal draws, shape (count, features)."""
    return np.random.default_rng(seed).normal(size=(count, features))
