"""The order in which a density takes columns and rows. People are drawn from it column by column, clusters are begun and folds are drawn
row by row, so another order is other people: it goes by what a table holds, not by where or under which name it stands there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..table.cohort import Cohort


def by_content(data: Cohort) -> list[int]:
    """The columns in an order in which their names, their units, their places and those of the rows have no say, but what they hold: the
    finest first, then how often which rank, then how they go with the rest. Names decide between columns that are alike in all."""
    return _by_ranks(data, _ranks(data))


def _by_ranks(data: Cohort, ranks: NDArray[np.int64]) -> list[int]:
    whole = ranks.sum(axis=1)

    def key(column: int) -> tuple[int, bytes, int, str]:
        held = ranks[:, column]
        return -int(held.max(initial=0)), np.sort(held).tobytes(), int(held @ whole), data.schema.names[column]

    return sorted(range(len(data.schema)), key=key)


def rows_by_content(data: Cohort) -> Cohort:
    """The rows sorted by what they hold and persons numbered as they come, so that neither the order of rows nor a person's name has a
    say. Rows that are alike in all but the person stay as they came."""
    ranks = _ranks(data)
    ordered = data.take(np.lexsort([data.y, *ranks[:, _by_ranks(data, ranks)].T]))
    _, first, at = np.unique(ordered.persons, return_index=True, return_inverse=True)
    return replace(ordered, persons=np.char.mod("%012d", np.argsort(np.argsort(first))[at]))


def _ranks(data: Cohort) -> NDArray[np.int64]:
    """The place of each value among those of its column, -1 unknown, shape (rows, features). Choices go by name."""
    ranks = np.full(data.X.shape, -1, dtype=np.int64)
    for column, feature in enumerate(data.schema.features):
        known = ~np.isnan(data.X[:, column])
        held = data.X[known, column]
        if feature.kind == "choice":
            held = np.argsort(np.argsort(feature.choices))[held.astype(np.intp)]
        ranks[known, column] = np.unique(held, return_inverse=True)[1]
    return ranks
