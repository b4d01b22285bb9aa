"""What a record may become, put on inside the classifier: the same for every package, by the runtime's own rules.

A package proposes values of the columns that may be moved. Its rows are brought to what the record may become, and what follows
other features is computed, before the classifier sees them and again before an answer is measured. `sensecf_edge` is the
only code of this project that is loaded in a package's environment, and of it what needs numpy alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sensecf_edge.errors import ConstraintError
from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.schema import Schema
from sensecf_edge.space import rules
from sensecf_edge.space.admissible import Admissible, admissible
from sensecf_edge.space.constraints import Constraints

SAME = 1e-9
"""Codes nearer than this are the same."""


class Limits:
    """One record's limits. `x`: codes, shape (features,), NaN unknown. No largest number of changes: packages know none."""

    def __init__(self, schema: Schema, x: Vector) -> None:
        self.schema, self.x = schema, x
        self.space: Admissible | None
        try:
            self.space = admissible(Record(schema, x), Constraints(max_changes=len(schema)))
        except ConstraintError:
            self.space = None

    def brought(self, Y: Vector) -> Vector:
        """Rows as a package has them -> rows that the record may become, shape (rows, features).

        A value that the record may not take goes to the next one further from the record's own, else to the last on
        that side, else it is not moved: the nearest would often undo what was just enough. So a gap in what may be
        advised is crossed by whoever steps into it. What may not be moved, and what is unknown, stands where the record
        has it; followers follow.
        """
        Y = rules.without_followers(self.schema, self.x, Y)  # the effect of a cause that stands where the cause puts it was not proposed
        out: Vector = np.repeat(self.x[None], len(Y), axis=0)
        if self.space is None:
            return out
        for i in self.space.features:
            values, now = self.space.values[i], self.x[i]
            if self.schema.features[i].kind == "choice":
                out[:, i] = np.where(np.isin(Y[:, i], values), Y[:, i], now)
                continue
            up, down = Y[:, i] > now + SAME, Y[:, i] < now - SAME
            above = values[np.minimum(np.searchsorted(values, Y[:, i] - SAME, "left"), len(values) - 1)]
            below = values[np.maximum(np.searchsorted(values, Y[:, i] + SAME, "right") - 1, 0)]
            out[:, i] = np.where(up & (above > now), above, np.where(down & (below < now), below, now))
        return rules.complete(self.schema, self.x, out)

    def kept(self, Y: Vector) -> NDArray[np.bool_]:
        """Which brought rows break no relation and no limit of a follower, shape (rows,)."""
        if self.space is None:
            return np.ones(len(Y), dtype=bool)
        same = (self.x == Y) | np.isnan(self.x)
        return np.asarray(rules.admitted(self.space, Y) | same.all(axis=1))
