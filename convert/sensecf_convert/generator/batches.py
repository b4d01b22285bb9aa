"""Which pairs make a training step: from the seed and the step's number alone, so that a resumed run sees what it would have seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def batch_rows(seed: int, step: int, batch: int, count: int) -> NDArray[np.intp]:
    """The pairs of a step out of `count`, shape (batch,): each pass a new order. A batch may run over into the next pass."""
    places = np.arange(step * batch, (step + 1) * batch)
    orders = {k: np.random.default_rng((seed, int(k))).permutation(count) for k in set((places // count).tolist())}
    return np.array([orders[at // count][at % count] for at in places], dtype=np.intp)
