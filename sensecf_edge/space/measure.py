"""Plain figures of a counterfactual. x is the factual vector, shape (features,); Y candidates, shape (candidates, features).

Codes as everywhere: numbers in their units, choices as indices, NaN unknown. Nothing here asks a model.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..schema.feature import Vector
from ..schema.schema import Schema
from ..settings import COST, CostSettings

FEW = 255
"""Features that one byte can count."""


def distinct(values: NDArray[Any]) -> NDArray[Any]:
    """The values once each, in order, shape (distinct values,), none NaN. What `numpy.unique` does, which loads `numpy.ma` first."""
    ordered = np.sort(values, axis=None)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered


def changed(x: Vector, Y: Vector) -> NDArray[np.bool_]:
    """Which features differ from the factual, shape (candidates, features). Unknown equals unknown."""
    out: NDArray[np.bool_] = x != Y
    missing = np.isnan(x)
    if missing.any():
        unknown = np.flatnonzero(missing)
        out[:, unknown] = ~np.isnan(Y[:, unknown])
    return out


def count_marked(mask: NDArray[np.bool_]) -> NDArray[np.int_]:
    """How many features are marked, shape (candidates,). What `sum` says, in a third of its time."""
    if mask.shape[1] > FEW:
        return np.asarray(mask.sum(axis=1))
    out: NDArray[np.int_] = np.einsum("ij->i", mask.view(np.uint8)).astype(np.int_)
    return out


def sparsity(x: Vector, Y: Vector) -> NDArray[np.int_]:
    """Number of features changed, those that follow a relation included; shape (candidates,). Fewer is sparser."""
    return count_marked(changed(x, Y))


def relative_changes(schema: Schema, x: Vector, Y: Vector) -> Vector:
    """|change| of every feature over its reference range, choices 0 or 1, unknown 0; shape (candidates, features)."""
    gaps: Vector = np.abs(Y - x) / schema.spans
    unknown = np.isnan(gaps)
    if unknown.any():
        gaps[unknown] = 0.0
    if schema.choices:
        np.minimum(gaps, schema.largest_steps, out=gaps)
    return gaps


def proximity(schema: Schema, x: Vector, Y: Vector) -> Vector:
    """Gower distance: the mean of `relative_changes` over all features, shape (candidates,); 0 is the factual itself."""
    out: Vector = relative_changes(schema, x, Y).mean(axis=1)
    return out


def change_cost(
    schema: Schema, x: Vector, Y: Vector, realism: Vector | None = None, weights: Vector | None = None, price: CostSettings = COST
) -> Vector:
    """What refine and the teachers minimise, shape (candidates,): sparsity first, then distance, then realism.

    cost = count price * features changed + distance price * sum of (feature cost * step) + realism price * (1 - percentile / 100).
    `realism` is the percentile (0-100) of each candidate; left out where no realism model exists. `weights` are the
    feature costs of a person, shape (features,); without them the schema's own count.
    """
    if weights is None:
        weights = np.array([f.cost for f in schema.features])
    out: Vector = price.count * sparsity(x, Y) + price.distance * (relative_changes(schema, x, Y) * weights).sum(axis=1)
    return out if realism is None else out + price.realism * (1.0 - realism / 100.0)
