"""Exchanges of two features: never dearer, always checked, and out of the corners where single moves end."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from strategies import spaces
from test_refine import Slope, judges, proposals

from sensecf_edge.judge.objective import Judge, Scored, score
from sensecf_edge.schema.feature import Feature
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.schema import Schema
from sensecf_edge.search.exchange import PASSES, ROWS, exchange
from sensecf_edge.search.refine import refine
from sensecf_edge.settings import CostSettings
from sensecf_edge.space import measure, rules
from sensecf_edge.space.admissible import Admissible, admissible

QUICK = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
PLANE = Schema((Feature("a", low=0, high=20, step=1), Feature("b", low=0, high=20, step=1)))


@given(where=spaces(), chance=st.randoms(use_true_random=False))
@QUICK
def test_what_comes_out_passed_and_is_no_dearer(where: Admissible, chance: Any) -> None:
    judge = judges(where, chance)
    raw = score(judge, where, proposals(where, chance))
    start = refine(judge, where, raw.Y, raw)
    assume(start.passed.any())
    best = start.rows([int(start.key.argmin())])
    out = exchange(judge, where, best)
    assert len(out.Y) == 1 and out.key[0] <= best.key[0] and rules.admitted(where, out.Y).all()
    assert judge.checker.p_target(out.Y)[0] >= judge.goal
    np.testing.assert_allclose(score(judge, where, out.Y).key, out.key, rtol=1e-9)


def test_a_dear_change_is_exchanged_for_a_cheap_one_where_no_single_move_is_any_better() -> None:
    """b counts three times as much as a and no single move of an answer on the line is cheaper: all of a has to go into b."""
    judge = Judge(Slope(PLANE, np.array([1.0, 3.0]), -0.5), None, 0.55, CostSettings(count=0.0, distance=1.0, realism=0.0))
    space = admissible(Record(PLANE, np.zeros(2)))
    start = score(judge, space, np.array([[15.0, 0.0]]))
    stuck = refine(judge, space, start.Y, start)
    assert stuck.Y.tolist() == [[15.0, 0.0]] and stuck.passed[0]
    out = exchange(judge, space, stuck)
    assert out.Y.tolist() == [[0.0, 5.0]]
    assert measure.proximity(PLANE, np.zeros(2), out.Y)[0] < measure.proximity(PLANE, np.zeros(2), stuck.Y)[0]


def test_it_asks_no_more_than_its_budget() -> None:
    checker = Slope(PLANE, np.array([1.0, 3.0]), -0.5)
    judge, space = Judge(checker, None, 0.55), admissible(Record(PLANE, np.zeros(2)))
    start = score(judge, space, np.array([[15.0, 0.0]]))
    before = sum(checker.asked)
    exchange(judge, space, start)
    assert sum(checker.asked) - before <= PASSES * (ROWS + 42)


def fine(size: int) -> tuple[Judge, Admissible, Scored]:
    """Fourteen features of many values, and an answer that changes three of them by two thirds."""
    schema = Schema(tuple(Feature(f"f{i}", low=0, high=size, step=1) for i in range(14)))
    judge, space = Judge(Slope(schema, np.linspace(3, 6, 14), -6.0), None, 0.55), admissible(Record(schema, np.zeros(14)))
    return judge, space, score(judge, space, np.array([[0.65 * size] * 3 + [0.0] * 11]))


def test_fine_lattices_take_no_more_memory() -> None:
    """Ten million pairs, which took 190 MB all at once."""
    judge, space, start = fine(500)
    assert start.passed[0]
    tracemalloc.start()
    exchange(judge, space, start)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6


def test_pairs_weighed_a_few_at_a_time_are_those_of_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    judge, space, start = fine(100)
    found = []
    for pairs in (1, 5_000, 10**9):
        monkeypatch.setattr("sensecf_edge.search.exchange.PAIRS", pairs)
        found.append(exchange(judge, space, start))
    assert found[0].key[0] < start.key[0]
    assert found[0].Y.tolist() == found[1].Y.tolist() == found[2].Y.tolist()
