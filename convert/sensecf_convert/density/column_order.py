"""The order in which a density takes columns: people are drawn from it column by column, so another order is other people."""

from __future__ import annotations

import numpy as np

from ..table.cohort import Cohort


def by_content(data: Cohort) -> list[int]:
    """The columns in an order in which their names, their units and their places in the table have no say, but what they hold: who has
    more than whom, then how skewed they are. Names decide between columns that are alike in both."""

    def key(column: int) -> tuple[bytes, float, str]:
        feature, values = data.schema.features[column], data.X[:, column]
        known = ~np.isnan(values)
        held = values[known]
        if feature.kind == "choice":
            held = np.argsort(np.argsort(feature.choices))[held.astype(np.intp)].astype(float)
        ranks = np.full(len(values), -1, dtype="<i4")
        ranks[known] = np.unique(held, return_inverse=True)[1]
        spread = float(held.std()) if held.size else 0.0
        skewed = round(float((((held - held.mean()) / spread) ** 3).mean()), 6) if spread else 0.0
        return ranks.tobytes(), skewed, feature.name

    return sorted(range(len(data.schema)), key=key)
