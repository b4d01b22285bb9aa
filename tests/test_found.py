"""What is shown beside an answer: never worse than what it was made from in any figure without saying so."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import spaces
from test_refine import Slope, judges, proposals

from sensecf_edge.judge.objective import Judge, score
from sensecf_edge.schema.feature import Feature
from sensecf_edge.schema.record import Record, encode
from sensecf_edge.schema.schema import Schema
from sensecf_edge.search import exact
from sensecf_edge.search.found import Found
from sensecf_edge.search.refine import refine
from sensecf_edge.settings import SEARCH
from sensecf_edge.space import measure
from sensecf_edge.space.admissible import Admissible, admissible

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
        found.search_other_prices(judge, where)
        found.search_other_changes(judge, where, n)
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


FOUR = Schema(tuple(Feature(n, low=0, high=9, step=1) for n in "abcd"))


def met(weights: list[float], offset: float, answers: int) -> tuple[set[tuple[str, ...]], Judge]:
    """The sets of features that answers change where only the cheapest one was known before `differ`."""
    judge, space = Judge(Slope(FOUR, np.array(weights), offset), None, 0.55), admissible(Record(FOUR, np.zeros(4)))
    found = Found(space.record)
    cheapest = exact.search(judge, space, found.scored, 1, 10_000).scored
    found.searched(cheapest.rows([int(cheapest.key.argmin())]))
    found.search_other_changes(judge, space, answers)
    return {tuple(c.feature for c in a.changes) for a in found.shown(judge, answers, 0.5, 0)}, judge


def test_other_answers_do_without_a_change_of_the_first_or_with_less_of_it() -> None:
    """a alone is enough from 8 on; b and c together without it, or a little of a with more of the others."""
    sets, judge = met([9, 5, 5, 0], -7.5, 3)
    assert ("a",) in sets and any("a" not in names for names in sets) and len(sets) == 3
    assert not any("d" in names for names in sets)  # d does nothing
    assert isinstance(judge.checker, Slope) and sum(judge.checker.asked) < 10_000 + 4 * SEARCH.wide_rows


def test_where_there_is_no_other_answer_none_is_made_up() -> None:
    assert met([9, 0, 0, 0], -7.5, 3)[0] == {("a",)}
