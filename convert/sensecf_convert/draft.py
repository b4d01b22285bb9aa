"""schema draft: a first schema from a table, to be edited by hand. It knows nothing of medicine: what may change, which
way, how far and in which unit is for a person to say."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sensecf_edge.errors import SchemaError, TableError
from sensecf_edge.schema import Feature, Schema

from .progress import console
from .tables import cell_text, read_table

FEW = 6
MANY_CHOICES = 30


def draft(table: Path, target: str, person: str | None = None) -> dict[str, Any]:
    """The draft as JSON values. Columns that cannot be features are left out, each with its reason on stderr."""
    data = read_table(table)
    for name in (target, person):
        if name is not None and name not in data.columns:
            raise TableError(f"{table} has no column {name!r}; it has {', '.join(map(str, data.columns))}")
    features = []
    for name in data.columns:
        if name in (target, person):
            continue
        feature = _feature(str(name), data[name])
        if isinstance(feature, str):
            console.print(f"left out {name}: {feature}")
        else:
            features.append(feature)
    return Schema(tuple(features)).to_json()


def _feature(name: str, column: pd.Series[Any]) -> Feature | str:
    """A feature, or why there is none."""
    known = column.dropna()
    if known.nunique() < 2:
        return "it has fewer than two values"
    numbers = pd.to_numeric(known, errors="coerce")
    optional = bool(column.isna().any())
    if np.isinf(numbers).any():
        return "it holds infinite numbers"
    try:
        if numbers.notna().all() and known.nunique() > FEW:
            return Feature(name, optional=optional, **_lattice(numbers.to_numpy(float)))
        choices = sorted({cell_text(v) for v in known}, key=lambda t: (len(t), t))
        if len(choices) > MANY_CHOICES:
            return f"it has {len(choices)} different texts, like an id or a free text"
        return Feature(name, kind="choice", choices=tuple(choices), optional=optional)
    except SchemaError as error:
        return str(error)


def _lattice(values: np.ndarray) -> dict[str, float]:
    """A range a little wider than the data, and a step that people use: 1, 2 or 5 times a power of ten, about 60 values."""
    low, high = float(values.min()), float(values.max())
    spread = float(np.quantile(values, 0.99) - np.quantile(values, 0.01)) or high - low
    rough = spread / 60
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough)
    if (values == np.round(values)).all():
        step = max(step, 1.0)
    places = max(0, -math.floor(math.log10(step)))
    return {
        "low": round(math.floor(low / step) * step, places),
        "high": round(math.ceil(high / step) * step, places),
        "step": round(step, places),
    }
