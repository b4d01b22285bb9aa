"""Relations whose numbers come from data: the band two features keep to, and how far an effect moves with its cause.

Training people only. A slope between two columns is no proof of a cause: a person states the edge, data say how steep.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensecf_edge.errors import SchemaError, TableError
from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.relation import KINDS, Relation
from sensecf_edge.schema.schema import Schema

from ..progress import note
from .cohort import Cohort

SHARE = 0.98
FEWEST = 20
DIGITS = 4


def fit_band(first: str, second: str, y: Vector, x: Vector, share: float = SHARE, completes: str | None = None) -> Relation:
    """The band first = slope * second + intercept +- tolerance that holds `share` of the rows; least squares, then a quantile.

    y are values of `first`, x of `second`, shape (rows,), NaN unknown. Raises TableError for fewer than 20 known rows or a
    column that does not vary.
    """
    y, x = _known(first, second, y, x)
    slope, intercept = np.polyfit(x, y, 1)
    slope, intercept = _rounded(slope), _rounded(intercept)
    width = float(np.quantile(np.abs(y - slope * x - intercept), share))
    return Relation("band", (first, second), slope=slope, intercept=intercept, tolerance=_rounded(width, up=True), completes=completes)


def fit_causes(
    causes: Sequence[str], effect: str, X: Vector, y: Vector, persons: NDArray[Any] | None = None, completes: str | None = None
) -> list[Relation]:
    """The edges causes -> effect with the slopes of one least-squares fit, so that what causes share counts once.

    From the differences within a person alone where `persons` have rows enough for it (`tells_within`), else from those between
    rows. X are values of `causes`, shape (rows, causes), y of `effect`, shape (rows,), NaN unknown; rows with a gap are left out.
    `completes` belongs to one of the edges, the first. Raises TableError as `fit_band` does, and for an effect that does not move
    with one of its causes beside the others.
    """
    known = ~(np.isnan(X).any(axis=1) | np.isnan(y))
    X, y = X[known], y[known]
    for cause, x in zip(causes, X.T, strict=True):
        _known(effect, cause, y, x)
    ids = np.zeros(len(y)) if persons is None else np.asarray(persons)[known]
    if persons is None or not all(tells_within(x, y, ids) for x in X.T):
        ids = np.zeros(len(y))
    _, at = np.unique(ids, return_inverse=True)
    X, y = (values - (_means(at, values))[at] for values in (X, y))
    slopes, _, rank, _ = np.linalg.lstsq(X, y, rcond=None)
    still = [cause for cause, slope in zip(causes, slopes, strict=True) if not _rounded(float(slope))]
    if rank < len(causes) or still:
        told = " and ".join(still or causes)
        raise TableError(f"{effect} does not move with {told} in this table{'' if still else ' apart'}; leave a relation out")
    return [
        Relation("causes", (cause, effect), slope=_rounded(float(slope)), completes=None if k else completes)
        for k, (cause, slope) in enumerate(zip(causes, slopes, strict=True))
    ]


def _means(at: NDArray[np.intp], values: Vector) -> Vector:
    """Means of the rows of each group, shape (groups, ...)."""
    return np.stack([values[at == group].mean(axis=0) for group in range(at.max() + 1)])


def tells_within(x: Vector, y: Vector, persons: NDArray[Any]) -> bool:
    """Whether people have several rows each in which both features change: FEWEST such rows at least."""
    known = ~(np.isnan(x) | np.isnan(y))
    _, at = np.unique(np.asarray(persons)[known], return_inverse=True)
    if not len(at):
        return False

    def moves(values: Vector) -> Any:
        return np.abs(values - (np.bincount(at, weights=values) / np.bincount(at))[at]) > 1e-9 * max(1.0, float(np.abs(values).max()))

    return bool(moves(x[known]).sum() >= FEWEST and moves(y[known]).sum() >= FEWEST)


def read_schema(path: Path) -> tuple[Schema, list[dict[str, Any]]]:
    """A schema file without the bands and causes that state no slope, and those relations as JSON: `fill_slopes` makes them whole.

    Raises SchemaError.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        relations = list(raw.get("relations", []))
        left = [item for item in relations if _fitted(item) and "slope" not in item]
    except (OSError, ValueError, AttributeError, TypeError):
        return Schema.load(path), []  # which says what is wrong
    if not left:
        return Schema.load(path), []
    try:  # with any slope at all, so that every other fault is told now
        Schema.from_json({**raw, "relations": [{**r, "slope": 1} if r in left else r for r in relations]})
    except SchemaError as error:
        raise SchemaError(*error.faults, where=str(path)) from error
    return Schema.from_json({**raw, "relations": [r for r in relations if r not in left]}), left


def _fitted(item: Mapping[str, Any]) -> bool:
    return item.get("kind") in KINDS and KINDS[item["kind"]].fitted


def with_fitted_relations(schema: Schema, left: Sequence[Mapping[str, Any]], data: Cohort) -> Schema:
    """The schema with the relations that `read_schema` left open, fitted to these rows. Raises TableError as `fit_band` does."""
    if not left:
        return schema
    raw = schema.to_json()
    columns = dict(zip(schema.names, data.X.T, strict=True))
    for cause, effect in (item["features"] for item in left if item["kind"] == "causes"):
        if not tells_within(columns[cause], columns[effect], data.persons):
            note(f"{cause} -> {effect}: the slope is that between rows, for hardly anybody has several; people differ in more than {cause}")
    return Schema.from_json(fill_slopes({**raw, "relations": [*raw.get("relations", []), *left]}, columns, data.persons))


def fill_slopes(schema: Mapping[str, Any], columns: Mapping[str, Vector], persons: NDArray[Any] | None = None) -> dict[str, Any]:
    """A schema's JSON in which every band and cause without a slope has one fitted to `columns` (name -> values).

    Causes of one effect that are open are fitted together, to what the stated ones leave of it.
    """
    relations = [dict(item) for item in schema.get("relations", [])]
    for item in relations:
        if item.get("kind") == "band" and "slope" not in item:
            first, second = item["features"]
            item.update(fit_band(first, second, columns[first], columns[second], completes=item.get("completes")).to_json())
    causes = [item for item in relations if item.get("kind") == "causes"]
    for effect in dict.fromkeys(item["features"][1] for item in causes if "slope" not in item):
        own = [item for item in causes if item["features"][1] == effect]
        left, names = columns[effect].copy(), [item["features"][0] for item in own if "slope" not in item]
        for item in own:
            if "slope" in item:
                left = left - item["slope"] * columns[item["features"][0]]
        made = iter(fit_causes(names, effect, np.column_stack([columns[name] for name in names]), left, persons))
        for item in own:
            if "slope" not in item:
                item["slope"] = next(made).slope
    return {**schema, "relations": relations} if relations else dict(schema)


def _known(first: str, second: str, y: Vector, x: Vector) -> tuple[Vector, Vector]:
    known = ~(np.isnan(x) | np.isnan(y))
    if known.sum() < FEWEST:
        raise TableError(f"{first} and {second} are both known in {int(known.sum())} rows; {FEWEST} are needed to fit a relation")
    if np.ptp(x[known]) == 0 or np.ptp(y[known]) == 0:
        raise TableError(f"{first} or {second} does not vary, so no relation can be fitted between them")
    return y[known], x[known]


def _rounded(value: float, up: bool = False) -> float:
    """Four significant digits, as a person would state it; upwards where asked."""
    if value == 0 or not np.isfinite(value):
        return 0.0
    digits = DIGITS - 1 - int(np.floor(np.log10(abs(value))))
    return float(np.round(np.ceil(value * 10.0**digits) / 10.0**digits, max(digits, 0))) if up else float(np.round(value, digits))
