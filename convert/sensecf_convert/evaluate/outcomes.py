"""What became of every record asked, one number each: shares and means over it are `measure`'s, their intervals `statistics`'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sensecf_edge.answer.result import Explanation
from sensecf_edge.generators.choice import NONE
from sensecf_edge.schema.feature import Vector

from .. import statistics
from .metrics import METRICS

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


def intervals(
    shared: Mapping[str, Vector], persons: NDArray[np.str_], means: Mapping[str, Vector], found_persons: NDArray[np.str_]
) -> dict[str, statistics.Figure]:
    """Every share over `persons` (asked,), every metric's mean over `found_persons` (answers,), with intervals; without those of no row."""
    held = {name: statistics.share(flags, persons) for name, flags in shared.items()}
    how = {m.key: statistics.share if m.share else statistics.mean for m in METRICS}
    held |= {name: how[name](values, found_persons) for name, values in means.items()}
    return {name: figure for name, figure in held.items() if figure is not None}
