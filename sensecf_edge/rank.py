"""Which of the answers that passed are shown: the cheapest first, then the cheapest that change something else."""

from __future__ import annotations

import numpy as np

from . import measure
from .refine import Scored
from .schema import Vector


def rank(x: Vector, scored: Scored, n: int) -> list[int]:
    """Row numbers of up to n answers, best first. Every set of changed features comes once before any comes twice.

    Only rows that passed, and none twice.
    """
    order = [int(i) for i in np.argsort(scored.key, kind="stable") if scored.passed[i]]
    rows = {scored.Y[i].tobytes(): i for i in reversed(order)}
    distinct = [i for i in order if rows[scored.Y[i].tobytes()] == i]
    sets = {measure.changed(x, scored.Y[i : i + 1]).tobytes(): i for i in reversed(distinct)}
    first = [i for i in distinct if i in sets.values()]
    return (first + [i for i in distinct if i not in first])[:n]


def distinct(x: Vector, scored: Scored) -> int:
    """How many different sets of changed features passed."""
    return len({row.tobytes() for row in measure.changed(x, scored.Y[scored.passed])})
