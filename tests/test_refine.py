"""Repair, prune and shrink: never worse than what came in, always admitted, and every probability the checker's own."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from strategies import spaces

from sensecf_edge.judge.objective import Judge, Scored, score
from sensecf_edge.schema.feature import Feature, Vector
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.relation import Relation
from sensecf_edge.schema.schema import Schema
from sensecf_edge.search.refine import Known, moves, refine
from sensecf_edge.settings import RefineSettings
from sensecf_edge.space import measure, rules
from sensecf_edge.space.admissible import Admissible, admissible
from sensecf_edge.space.constraints import Constraints

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
HEAVY = 1e6


@dataclass
class Slope:
    """A checker that needs no file: a logistic curve over weighted places in each feature's range; unknown counts 0."""

    schema: Schema
    weights: Vector
    offset: float = 0.0
    asked: list[int] = field(default_factory=list)

    def p_target(self, Y: Vector) -> Vector:
        """Probability, shape (candidates,)."""
        self.asked.append(len(Y))
        lows = np.array([f.lattice[0] for f in self.schema.features])
        places = np.nan_to_num((Y - lows) / self.schema.spans)
        out: Vector = 1 / (1 + np.exp(-np.clip(places @ self.weights + self.offset, -500, 500)))
        return out


def worth(judge: Judge, space: Admissible, y: Vector) -> tuple[int, float]:
    """The order in the words of the module: passing first, by cost; then misses, by probability; broken last. Lower is better."""
    if not rules.admitted(space, y[None])[0]:
        return 2, 0.0
    p = float(judge.checker.p_target(y[None])[0])
    if p >= judge.goal:
        return 0, float(measure.change_cost(space.record.schema, space.record.vector, y[None])[0])
    return 1, -p


def proposals(space: Admissible, chance: Any, count: int = 4) -> Vector:
    """Random proposals, some with too many changes, completed."""
    x = space.record.vector
    rows = []
    for _ in range(count):
        y = x.copy()
        for i in chance.sample(space.features, chance.randint(1, len(space.features))):
            y[i] = chance.choice(list(space.values[i]))
        rows.append(y)
    return rules.complete(space.record.schema, x, np.array(rows))


def judges(space: Admissible, chance: Any) -> Judge:
    schema = space.record.schema
    checker = Slope(schema, np.array([chance.uniform(-6, 6) for _ in schema.features]), chance.uniform(-4, 1))
    return Judge(checker, None, chance.choice([0.3, 0.55, 0.8]))


@given(where=spaces(), chance=st.randoms(use_true_random=False))
@QUICK
def test_a_result_is_never_worse_than_its_input(where: Admissible, chance: Any) -> None:
    judge, Y = judges(where, chance), proposals(where, chance)
    out = refine(judge, where, Y)
    assert out.Y.shape == Y.shape
    for before, after in zip(Y, out.Y, strict=True):
        (kind, much), (new_kind, less) = worth(judge, where, before), worth(judge, where, after)
        assert new_kind < kind or (new_kind == kind and less <= much + 1e-6)


@given(where=spaces(), chance=st.randoms(use_true_random=False))
@QUICK
def test_what_passed_is_admitted_and_every_probability_is_what_the_checker_says(where: Admissible, chance: Any) -> None:
    judge = judges(where, chance)
    out = refine(judge, where, proposals(where, chance))
    ok = np.isfinite(out.key)
    assert rules.admitted(where, out.Y)[ok].all() and not rules.admitted(where, out.Y)[~ok].any()
    np.testing.assert_allclose(out.p[ok], judge.checker.p_target(out.Y)[ok], rtol=1e-12)  # sums depend on the batch
    assert (out.passed == (ok & (out.p >= judge.goal))).all()


@given(where=spaces(most=4), chance=st.randoms(use_true_random=False))
@QUICK
def test_where_one_feature_may_change_the_best_value_is_found(where: Admissible, chance: Any) -> None:
    schema, i = where.record.schema, chance.choice(where.features)
    alone = Constraints(frozenset(schema.names) - {schema.names[i]} - schema.completed, where.constraints.bounds)
    alone = Constraints(alone.freeze, {k: v for k, v in alone.bounds.items() if k not in alone.freeze})
    space = admissible(where.record, alone)
    judge = judges(space, chance)
    every = np.repeat(where.record.vector[None], len(space.values[i]), axis=0)
    every[:, i] = space.values[i]
    every = rules.complete(schema, where.record.vector, every)
    best = min(worth(judge, space, y) for y in every)
    for y in every[:3]:
        found = worth(judge, space, refine(judge, space, y[None]).Y[0])
        assert found[0] == best[0] and found[1] == pytest.approx(best[1], abs=1e-6)


@given(where=spaces(), chance=st.randoms(use_true_random=False))
@QUICK
def test_a_move_changes_one_feature_and_those_that_follow_and_never_stands_still(where: Admissible, chance: Any) -> None:
    y = proposals(where, chance, 1)[0]
    schema = where.record.schema
    x = where.record.vector
    for other in moves(where, y):
        a, b = rules.without_followers(schema, x, y[None])[0], rules.without_followers(schema, x, other[None])[0]
        said = [i for i in range(len(x)) if not (a[i] == b[i] or (np.isnan(a[i]) and np.isnan(b[i])))]
        assert len(said) == 1 or (not said and schema.moved - schema.completed)  # advice that says where the feature goes anyway
        np.testing.assert_allclose(rules.complete(schema, x, b[None])[0], other, atol=1e-9)
    assert len(moves(where, y)) == sum(len(where.values[i]) for i in where.features)
    some = np.array(sorted(chance.sample(range(len(where.targets[1])), len(where.targets[1]) // 2)), dtype=np.intp)
    rest = np.setdiff1d(np.arange(len(where.targets[1])), some)
    parts = [row.tobytes() for at in (some, rest) for row in moves(where, y, at)]
    assert sorted(parts) == sorted(row.tobytes() for row in moves(where, y))


SLEEP = Schema(
    (
        Feature("deep", low=0, high=100, step=1),
        Feature("rem", low=0, high=100, step=1),
        Feature("light", low=0, high=100, step=1),
        Feature("steps", low=0, high=20000, step=500),
    ),
    (Relation("sum", ("deep", "rem", "light"), total=100, tolerance=1, completes="light"),),
)
TIRED = Record(SLEEP, np.array([20.0, 20.0, 60.0, 3000.0]))


def sleep(weights: list[float], goal: float = 0.55, offset: float = -2.0, limits: Constraints | None = None) -> tuple[Judge, Admissible]:
    return Judge(Slope(SLEEP, np.array(weights), offset), None, goal), admissible(TIRED, limits or Constraints())


def refined(judge: Judge, space: Admissible, **changes: float) -> Scored:
    y = TIRED.vector.copy()
    for name, code in changes.items():
        y[SLEEP.index[name]] = code
    return refine(judge, space, rules.complete(SLEEP, TIRED.vector, y[None]))


@pytest.mark.parametrize("deep", [21.0, 35.0])
def test_a_needless_change_is_pruned_with_all_that_followed_it(deep: float) -> None:
    out = refined(*sleep([0, 0, 0, 10]), deep=deep, steps=20000.0)
    assert Record(SLEEP, TIRED.vector).differences(out.Y[0]) == [SLEEP.index["steps"]]
    assert out.Y[0, :3].tolist() == [20, 20, 60]


def test_a_change_that_is_too_large_is_shrunk_to_the_least_that_passes() -> None:
    judge, space = sleep([0, 0, 0, 10])
    steps = refined(judge, space, steps=20000.0).Y[0, 3]
    lesser = np.array([[20, 20, 60, steps - 500]])
    assert judge.checker.p_target(lesser)[0] < judge.goal <= judge.checker.p_target(lesser + np.array([0, 0, 0, 500]))[0]


def test_a_near_miss_is_repaired_by_another_value_or_another_feature() -> None:
    assert refined(*sleep([0, 0, 0, 10]), steps=3500.0).passed[0]
    judge, space = sleep([0, 8, 0, 2.2], limits=Constraints(bounds={"steps": (0, 3500)}))
    out = refined(judge, space, steps=3500.0)
    assert out.passed[0] and out.Y[0, 1] > 20


def test_a_proposal_that_breaks_a_rule_is_repaired_where_one_move_repairs_it() -> None:
    out = refined(*sleep([0, 0, 0, 10], limits=Constraints(max_changes=1)), deep=40.0, steps=20000.0)
    assert out.passed[0] and out.Y[0, 0] == 20


def test_relations_are_kept_on_the_way() -> None:
    judge, space = sleep([8, -8, 0, 0])
    out = refined(judge, space, deep=30.0, rem=5.0)
    assert out.passed[0] and out.Y[0, :3].sum() == pytest.approx(100)


def test_what_cannot_pass_comes_as_near_as_single_moves_lead() -> None:
    judge, space = sleep([0, 0, 0, 1], offset=-9)
    out = refined(judge, space, steps=5000.0)
    assert not out.passed[0] and out.Y[0, 3] == 20000


def test_a_feature_may_weigh_as_much_as_the_schema_says_and_its_change_still_passes() -> None:
    schema = Schema((Feature("a", low=0, high=10, step=1, cost=HEAVY), Feature("b", low=0, high=10, step=1)))
    space = admissible(Record(schema, np.array([0.0, 0.0])))
    judge = Judge(Slope(schema, np.array([9.0, 1.0]), -4.0), None, 0.55)
    out = refine(judge, space, np.array([[10.0, 0.0]]))
    assert out.passed[0] and out.Y[0].tolist() == [5, 0]


def test_no_proposal_is_no_work() -> None:
    judge, space = sleep([0, 0, 0, 10])
    out = refine(judge, space, np.empty((0, 4)))
    assert out.Y.shape == (0, 4) and not out.passed.any()


def test_all_moves_of_all_candidates_of_a_pass_are_one_batch() -> None:
    judge, space = sleep([3, 2, 1, 6])
    refine(judge, space, rules.complete(SLEEP, TIRED.vector, np.array([[30.0, 20, 50, 9000], [20.0, 40, 40, 3500], [21.0, 20, 59, 3000]])))
    assert isinstance(judge.checker, Slope) and len(judge.checker.asked) <= 7


@given(where=spaces(), chance=st.randoms(use_true_random=False))
@QUICK
def test_the_key_orders_candidates_as_the_module_says(where: Admissible, chance: Any) -> None:
    judge = judges(where, chance)
    Y = proposals(where, chance, 12)
    scored = score(judge, where, Y)
    assume(np.isfinite(scored.key).sum() > 1)
    order = np.argsort(scored.key, kind="stable")
    worths = [worth(judge, where, Y[i]) for i in order]
    for a, b in pairwise(worths):
        assert a[0] < b[0] or (a[0] == b[0] and a[1] <= b[1] + 1e-6)


def fine(size: int, features: int = 40) -> tuple[Judge, Admissible, Vector]:
    """Lattices of `size` values, and eight proposals that change three features each."""
    schema = Schema(tuple(Feature(f"f{i}", low=0, high=size, step=1) for i in range(features)))
    space = admissible(Record(schema, np.full(features, size // 2 * 1.0)))
    Y, chance = np.repeat(space.record.vector[None], 8, axis=0), np.random.default_rng(0)
    for y in Y:
        y[chance.choice(features, 3, replace=False)] = chance.integers(0, size, 3)
    return Judge(Slope(schema, np.linspace(1.0, 4.0, features), -1.25 * features + 1.0), None, 0.55), space, Y


def test_fine_lattices_cost_no_more_than_the_budget_of_rows_and_little_memory() -> None:
    """1.2 million rows at once, which took 680 MB."""
    judge, space, Y = fine(2_000)
    tracemalloc.start()
    out = refine(judge, space, Y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(judge.checker, Slope) and sum(judge.checker.asked) < 100_000 and peak < 60e6
    assert out.passed.all() and (measure.sparsity(space.record.vector, out.Y) <= 2).all()


def test_on_a_fine_lattice_the_smallest_change_of_a_feature_is_still_found() -> None:
    judge, space, Y = fine(1_999, 3)
    whole = [refine(judge, space, Y).key.tolist()]
    for most in (10**9, 32):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("sensecf_edge.search.refine.REFINE", RefineSettings(moves=most))
            whole.append(refine(judge, space, Y).key.tolist())
    assert whole[0] == whole[1] == whole[2]


def test_without_any_budget_left_proposals_stay_as_they_are_and_are_still_judged() -> None:
    judge, space, Y = fine(50)
    out = refine(judge, space, Y, known=Known(left=0))
    assert out.Y.tolist() == Y.tolist() and out.p.tolist() == judge.checker.p_target(Y).tolist()
    some = Known(left=300)
    refine(judge, space, Y, known=some)
    assert some.left == 0


def test_candidates_made_a_few_at_a_time_lead_where_all_at_once_do(monkeypatch: pytest.MonkeyPatch) -> None:
    judge, space, Y = fine(30, 6)
    at_once = refine(judge, space, Y)
    monkeypatch.setattr("sensecf_edge.search.refine.CELLS", 40)
    assert refine(judge, space, Y).Y.tolist() == at_once.Y.tolist()
