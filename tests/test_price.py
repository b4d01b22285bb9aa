"""What limits of advice cost: the counts are those of trying every answer, and no limit that is dropped costs an answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_proof import CHAIN, chain, forest, lattice, tried

pytest.importorskip("pandas", reason="the build side is not installed")

from sensecf_convert.evaluate.price import priced, table, variants


def test_every_limit_is_dropped_once_and_counted_as_trying_everything_counts() -> None:
    small = replace(CHAIN, features=tuple(replace(f, max_change=2) if f.name == "vigorous" else f for f in CHAIN.features))
    data = replace(chain(0), schema=small)
    graph, checker = forest(data, 0)
    rows = data.X[checker.p_target(data.X) < 0.5][:6]
    made = list(priced(checker, graph, data, rows, 0.6))
    assert [r.without for r in made] == [
        "nothing", "what limits vigorous", "what limits steps", "active following", "steps following", "energy following", "any of these",
    ]  # fmt: skip
    for row, (_, schema) in zip(made, variants(small), strict=True):
        top = [tried(checker, lattice(x, 4, schema))[0].max(initial=0.0) for x in rows]
        assert (row.answered, row.unproven, row.asked) == (int((np.array(top) >= 0.6).sum()), 0, 6), row.without
    assert f"| nothing | {made[0].answered} of 6 |" in table(made)
