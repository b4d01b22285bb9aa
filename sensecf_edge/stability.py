"""How often an answer stays valid: when every reading is a little off, as real sensors are, and to other classifiers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from . import rules
from .check import Checker
from .schema import Schema, Vector
from .settings import STABILITY


def stability(checker: Checker, schema: Schema, Y: Vector, threshold: float, seed: int, count: int = STABILITY.draws) -> Vector:
    """Share (0..1) of `count` noisy readings of each answer with p >= threshold, shape (candidates,); all of them one batch.

    A reading may be off either way by up to the feature's `error`, or half a step where none is stated, evenly spread;
    choices and unknown values are read as they are. Readings stay in the possible range, and features that relations
    complete follow. The same seed draws the same noise for every answer. Says nothing about an error of the classifier.
    """
    if not len(Y):
        return np.empty(0)
    low, high, error = _limits(schema)
    noise = _noise(seed, count, len(schema)) * error
    readings = np.clip(Y[:, None, :] + noise, np.fmin(low, Y)[:, None, :], np.fmax(high, Y)[:, None, :])
    if schema.moved:
        readings = np.stack([rules.complete(schema, y, part) for y, part in zip(Y, readings, strict=True)])
    p = checker.p_target(readings.reshape(-1, len(schema)))
    out: Vector = (p.reshape(len(Y), count) >= threshold).mean(axis=1)
    return out


def agreement(rivals: Sequence[Checker], Y: Vector, threshold: float) -> Vector | None:
    """Share (0..1) of other classifiers, as good as the one that judged, to which each answer has p >= threshold; shape (candidates,).

    None without rivals. They are no jury: an answer that one of them refuses is shown all the same, with this figure.
    """
    if not rivals:
        return None
    return np.asarray(np.mean([rival.p_target(Y) >= threshold for rival in rivals], axis=0), dtype=np.float64)


@lru_cache(maxsize=16)
def _limits(schema: Schema) -> tuple[Vector, Vector, Vector]:
    """Possible range and error of every feature, each of shape (features,)."""
    choice = [f.kind == "choice" for f in schema.features]
    low = np.array([f.lattice[0] if c else float(f.low or 0) for f, c in zip(schema.features, choice, strict=True)])
    high = np.array([f.lattice[-1] if c else float(f.high or 0) for f, c in zip(schema.features, choice, strict=True)])
    half = [0.0 if c else float(f.step or 0) / 2 for f, c in zip(schema.features, choice, strict=True)]
    return low, high, np.array([h if f.error is None else f.error for f, h in zip(schema.features, half, strict=True)])


@lru_cache(maxsize=16)
def _noise(seed: int, count: int, features: int) -> Vector:
    """Even draws in -1..1, shape (count, features)."""
    return np.random.default_rng(seed).uniform(-1.0, 1.0, (count, features))
