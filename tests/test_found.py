"""What is shown beside an answer: never worse than what it was made from in any figure without saying so."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import spaces
from test_refine import judges, proposals

from sensecf_edge import measure
from sensecf_edge.admissible import Admissible
from sensecf_edge.found import Found
from sensecf_edge.record import encode
from sensecf_edge.refine import refine, score

QUICK = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


@given(where=spaces(), chance=st.randoms(use_true_random=False), n=st.integers(1, 3), search=st.booleans())
@QUICK
def test_an_answer_is_no_worse_than_the_valid_proposal_it_came_from_or_says_so(
    where: Admissible, chance: Any, n: int, search: bool
) -> None:
    judge, x, schema = judges(where, chance), where.record.vector, where.record.schema
    raw = score(judge, where, proposals(where, chance))
    found = Found(where.record)
    found.refined(raw, refine(judge, where, raw.Y, raw), "first try")
    if search:
        found.widen(judge, where, {}, n, 64)
        found.cover(judge, where)
    for answer in found.shown(judge, n, judge.goal - 0.05, 0):
        y = x.copy()
        for change in answer.changes:
            y[schema.index[change.feature]] = encode(schema[change.feature], change.after)
        rows = [i for i in range(len(found.origins)) if found.scored.passed[i] and np.array_equal(found.scored.Y[i], y, equal_nan=True)]
        assert rows and answer.p_target >= judge.goal and 0 <= (answer.stability or 0) <= 1
        told = []
        for i in rows:
            source = found.sources[i]
            before = y if source is None else source
            p = float(judge.checker.p_target(before[None])[0])
            worse = {"n_changed": measure.sparsity(x, y[None])[0] > measure.sparsity(x, before[None])[0],
                     "distance": measure.proximity(schema, x, y[None])[0] > measure.proximity(schema, x, before[None])[0] + 1e-6,
                     "p_target": answer.p_target < p - 1e-6}  # fmt: skip
            told.append({name for name, yes in worse.items() if yes})
        assert any(names <= set(answer.given_up) for names in told)
