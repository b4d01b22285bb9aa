"""What became of every record asked, one number each: shares and means over it are `measure`'s, their intervals `statistics`'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sensecf_edge.answer.result import Explanation
from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.generators.choice import NONE
from sensecf_edge.schema.feature import Vector
from sensecf_edge.space import measure

from .. import statistics
from .plausibility import deviations, mad_distance

Answers = Sequence[Explanation | None]
Possible = Sequence[tuple[bool, bool, bool]]


def shares(answers: Answers, possible: Possible) -> dict[str, Vector]:
    """Name of a share -> 1 or 0 for each record asked, NaN where it does not count, shape (asked,).

    `possible`: whether p >= threshold and p >= goal can be reached, and whether that is proven.
    """
    valid, usable = (np.array([p[k] for p in possible], dtype=bool) for k in (0, 1))
    firsts = [e.first_try if e else None for e in answers]
    right = np.array([f is not None and f.valid for f in firsts], dtype=float)
    good = np.array([f is not None and f.usable for f in firsts], dtype=float)
    if any(e is not None and e.provenance.generator == NONE for e in answers):
        right[:] = good[:] = np.nan  # nobody proposes, so there is no first try
    found = np.array([e is not None and bool(e.found) for e in answers], dtype=float)
    return {
        "first_try_valid": np.where(valid, right, np.nan), "first_try_valid_of_asked": right,
        "first_try_usable": np.where(usable, good, np.nan), "usable": found, "usable_of_possible": np.where(usable, found, np.nan),
    }  # fmt: skip


def means(bundle: Bundle, X: Vector, Y: Vector, realism: Sequence[float | None]) -> dict[str, Vector]:
    """Name of a mean -> its value for each answer, shape (answers,), NaN for none. X: the records as they came, Y: answers, both of shape
    (answers, features); `realism`: percentiles of the answers."""
    schema, scale, pairs = bundle.schema, deviations(bundle), list(zip(X, Y, strict=True))
    changed = np.array([measure.sparsity(x, y[None])[0] for x, y in pairs], dtype=float)
    return {
        "n_changed": changed,
        "n_unchanged": len(schema) - changed,
        "distance": np.array([measure.proximity(schema, x, y[None])[0] for x, y in pairs], dtype=float),
        "distance_mad": np.array([mad_distance(schema, scale, x, y[None])[0] for x, y in pairs], dtype=float),
        "realism": np.array(realism, dtype=float),
    }


def intervals(
    shared: Mapping[str, Vector], persons: NDArray[np.str_], means: Mapping[str, Vector], found_persons: NDArray[np.str_]
) -> dict[str, statistics.Figure]:
    """Every share over `persons` (asked,) and every mean over `found_persons` (answers,) with its interval; without those of no row."""
    held = {name: statistics.share(flags, persons) for name, flags in shared.items()}
    held |= {name: statistics.mean(values, found_persons) for name, values in means.items()}
    return {name: figure for name, figure in held.items() if figure is not None}
