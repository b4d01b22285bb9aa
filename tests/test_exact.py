"""The search over sets of features: against plain enumeration, within its budget, and what it calls proven."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from strategies import spaces
from test_refine import Slope, judges, proposals

from sensecf_edge.judge.objective import Judge, Scored, score
from sensecf_edge.proof.prover import Prover
from sensecf_edge.propose.grammar import Grammar
from sensecf_edge.schema.feature import Feature, Vector
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.schema import Schema
from sensecf_edge.search import exact
from sensecf_edge.search.record_search import Aim, RecordSearch
from sensecf_edge.search.refine import refine
from sensecf_edge.space import rules
from sensecf_edge.space.admissible import Admissible, admissible
from sensecf_edge.space.constraints import Constraints

QUICK = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
PLENTY = 10**6
FOUR = Schema(tuple(Feature(n, low=0, high=9, step=1) for n in "abcd"))


def nothing(space: Admissible) -> Scored:
    return Scored(np.empty((0, len(space.record.vector))), np.empty(0), np.empty(0))


def enumerated(judge: Judge, space: Admissible, size: int) -> Scored:
    """Every candidate of up to `size` proposed features, judged."""
    rows: list[Vector] = []
    for k in range(1, size + 1):
        for columns in itertools.combinations(space.features, k):
            for values in itertools.product(*(space.values[i] for i in columns)):
                y = space.record.vector.copy()
                y[list(columns)] = values
                rows.append(y)
    return score(judge, space, rules.complete(space.record.schema, space.record.vector, np.array(rows)))


@given(where=spaces(most=4), chance=st.randoms(use_true_random=False), known=st.booleans())
@QUICK
def test_what_it_proves_is_what_enumeration_says(where: Admissible, chance: Any, known: bool) -> None:
    assume(np.prod([len(v) + 1 for v in where.values]) < 3000)
    judge = judges(where, chance)
    found = refine(judge, where, proposals(where, chance)) if known else nothing(where)
    out = exact.search(judge, where, found, 1, PLENTY, largest=3)
    assert out.proven == min(3, where.max_changes, len(where.features))
    best = enumerated(judge, where, out.proven).key.min()
    got = min(found.key.min(initial=np.inf), out.scored.key.min(initial=np.inf))
    assert (best >= 0 and not out.scored.passed.any()) or got <= best + 1e-9


@given(where=spaces(), chance=st.randoms(use_true_random=False), rows=st.integers(1, 400), answers=st.integers(1, 3))
@QUICK
def test_answers_are_admitted_reach_the_goal_and_say_what_the_checker_says(where: Admissible, chance: Any, rows: int, answers: int) -> None:
    judge = judges(where, chance)
    out = exact.search(judge, where, nothing(where), answers, rows).scored
    assert out.passed.all() and rules.admitted(where, out.Y).all()
    np.testing.assert_allclose(out.p, judge.checker.p_target(out.Y), rtol=1e-12)
    assert (out.p >= judge.goal).all()


def four(weights: list[float], offset: float, limits: Constraints | None = None) -> tuple[Judge, Admissible]:
    return Judge(Slope(FOUR, np.array(weights), offset), None, 0.55), admissible(Record(FOUR, np.zeros(4)), limits)


def test_a_pair_that_single_moves_pass_by_is_found() -> None:
    judge, space = four([4, 4, 1, 1], -6.5)
    out = exact.search(judge, space, nothing(space), 1, PLENTY)
    best = out.scored.Y[out.scored.key.argmin()]
    assert (best > 0).tolist() == [True, True, False, False] and out.proven == 3


def test_other_sets_of_features_are_looked_for_while_there_are_too_few() -> None:
    judge, space = four([6, 6, 6, 6], -3)
    one = exact.search(judge, space, nothing(space), 1, PLENTY).scored
    three = exact.search(judge, space, one, 4, PLENTY).scored
    assert len({tuple(row) for row in three.Y > 0}) >= 4


@pytest.mark.parametrize("rows", [1, 50, 300])
def test_it_keeps_to_its_budget_and_claims_no_proof_it_has_not(rows: int) -> None:
    judge, space = four([1, 1, 1, 1], -3.3)
    out = exact.search(judge, space, nothing(space), 1, rows)
    assert isinstance(judge.checker, Slope)
    assert sum(judge.checker.asked) <= rows + 37 + 256 and out.proven < 3 and not out.scored.passed.any()


def test_none_is_proven_for_as_many_features_as_may_change() -> None:
    judge, space = four([1, 1, 1, 1], -9, Constraints(max_changes=4))
    out = exact.search(judge, space, nothing(space), 1, PLENTY, largest=4)
    assert out.proven == 4 and not out.scored.passed.any()


def test_a_long_search_makes_its_sets_a_block_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four million sets at once took 500 MB. Whatever the block, the same is found and proven."""
    judge, space = four([4, 4, 1, 1], -6.5)
    outs = []
    for block, kept in ((10**6, 10**6), (40, 10**6), (40, 100)):
        monkeypatch.setattr("sensecf_edge.search.exact.BLOCK", block)
        monkeypatch.setattr("sensecf_edge.search.exact.KEPT", kept)
        outs.append(exact.search(judge, space, nothing(space), 1, PLENTY))
    best = [out.scored.Y[out.scored.key.argmin()].tolist() for out in outs]
    assert best[0] == best[1] == best[2] and [out.proven for out in outs] == [3, 3, 2]  # too many to keep: no larger sets were made


def test_a_fine_lattice_is_thinned_out_where_the_budget_is_small_and_then_nothing_is_proven() -> None:
    schema = Schema(tuple(Feature(f"f{i}", low=0, high=2_000, step=1) for i in range(5)))
    judge, space = Judge(Slope(schema, np.full(5, 3.0), -2.0), None, 0.55), admissible(Record(schema, np.zeros(5)))
    out = exact.search(judge, space, nothing(space), 1, 256)
    assert isinstance(judge.checker, Slope) and sum(judge.checker.asked) < 6_000
    assert out.proven == 0 and out.scored.passed.any()


class Needle:
    """One combination of four features in twenty thousand is wanted, and nothing on the way there says so."""

    def p_target(self, Y: np.ndarray) -> np.ndarray:
        return np.where((Y[:, [1, 3, 6, 8]] == [2, 3, 1, 2]).all(axis=1), 0.9, 0.1)


def test_an_answer_that_search_passes_by_is_found_by_the_prover_in_the_end() -> None:
    schema = Schema(tuple(Feature(f"f{i}", low=0, high=3, step=1) for i in range(10)))
    space, judge = admissible(Record(schema, np.zeros(10))), Judge(Needle(), None, 0.6)
    prover = Prover(judge.checker, b"", schema, lambda: np.zeros((1, 10)))
    search = RecordSearch(space, judge, Grammar(space), "", Aim("well", 0.5, False, lambda: prover))
    search.take([])
    search.widen(1, 256)
    assert not search.answers and not search.hopeless
    search.close(1, 256)
    assert search.answers == 1 and search.found.cheapest is not None
    assert Needle().p_target(search.found.cheapest[None])[0] == 0.9
