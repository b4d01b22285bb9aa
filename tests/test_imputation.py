"""Unknown values: the verdict and every answer are taken over what they may be, and nothing is said as if they were known."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_refine import Slope

from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.bundle.manifest import Target
from sensecf_edge.explain import Explainer
from sensecf_edge.judge.imputation import ALREADY, DEPENDS, UNWANTED, Imputed, evenly, imputed
from sensecf_edge.schema.feature import Feature, Vector
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.relation import Relation
from sensecf_edge.schema.schema import Schema
from sensecf_edge.settings import UNKNOWN
from sensecf_edge.space import rules
from sensecf_edge.testing import ScriptedEngine

NAN = float("nan")
HEART = Schema(
    (
        Feature("steps", low=0, high=20, step=1),
        Feature("scan", "choice", choices=("clear", "narrow", "closed"), mutable=False, optional=True),
        Feature("smoker", "choice", choices=("no", "yes"), mutable=False, optional=True),
        Feature("pulse", low=40, high=120, step=1, mutable=False, optional=True),
    )
)


class Judged:
    """A checker that is a function; unknown values must never reach it."""

    def __init__(self, of: Callable[[Vector], Vector]) -> None:
        self.of, self.rows = of, 0

    def p_target(self, Y: Vector) -> Vector:
        """Probability, shape (candidates,)."""
        assert not np.isnan(Y[:, 1:]).any() or len(Y) == 1, "an unknown value was judged as if it were known"
        self.rows += len(Y)
        return np.clip(self.of(np.nan_to_num(Y)), 0.0, 1.0)


def explainer(of: Callable[[Vector], Vector], schema: Schema = HEART, impute: Any = None) -> Explainer:
    facts = SimpleNamespace(auc=0.8, kind="", wanted_share=None, class_weights="")
    target, voice = Target("t", ("sick", "well"), "well", 0.5), SimpleNamespace(prompt="scored", hints=False)
    manifest = SimpleNamespace(target=target, generator=voice, classifier=facts, risk=None, groups=())
    bundle = cast(Bundle, SimpleNamespace(schema=schema, name="x", hash="0" * 64, manifest=manifest, population=None))
    realism = SimpleNamespace(impute=impute, percentile=lambda Y: np.full(len(Y), 50.0), log_density=lambda Y: np.zeros(len(Y)),
                              rank=lambda d, x=None: np.full(len(d), 50.0)) if impute else None  # fmt: skip
    return Explainer(bundle, ScriptedEngine([[]] * 9), Judged(of), cast(Any, realism))


def record(*codes: float) -> Record:
    return Record(HEART, np.array(codes))


def scan(p: dict[int, float], step: float = 0.0) -> Callable[[Vector], Vector]:
    """A probability for each result of the scan, and so much more for each step walked."""
    return lambda Y: np.array([p[int(c)] for c in Y[:, 1]]) + step * Y[:, 0]


def test_a_verdict_that_hangs_on_what_is_unknown_is_none_and_says_what_would_decide_it() -> None:
    made = explainer(scan({0: 0.8, 1: 0.3, 2: 0.2})).explain(record(5, NAN, NAN, 70))
    assert made.status == DEPENDS and made.found == () and made.reason == ""
    assert [u.feature for u in made.unknown][:1] == ["scan"] and made.unknown[0].decides == pytest.approx(1.0)
    assert made.holds_now == pytest.approx(1 / 3) and made.completions == 6
    assert made.p_target == pytest.approx(1.3 / 3) and made.risk.low == pytest.approx(0.2) and made.risk.high == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("p", "status"),
    [({0: 0.9, 1: 0.8, 2: 0.6}, ALREADY), ({0: 0.1, 1: 0.2, 2: 0.4}, "none"), ({0: 0.9, 1: 0.9, 2: 0.4}, DEPENDS),
     ({0: 0.4, 1: 0.4, 2: 0.9}, DEPENDS)],
)  # fmt: skip
def test_one_class_is_said_only_where_nearly_all_completions_agree(p: dict[int, float], status: str) -> None:
    made = explainer(scan(p)).explain(record(5, NAN, 0, 70))
    assert made.status == status and (made.unknown != ()) == (status == DEPENDS)


def test_a_mean_on_the_other_side_than_the_share_is_no_verdict() -> None:
    def impute(x: Vector, count: int, seed: int) -> tuple[Vector, Vector]:
        rows = np.repeat(x[None], 2, axis=0)
        rows[:, 1] = [0, 2]
        return rows, np.array([0.95, 0.05])

    assert explainer(scan({0: 0.51, 1: 0, 2: 0.0}), impute=impute).explain(record(5, NAN, 0, 70)).status == DEPENDS
    assert explainer(scan({0: 0.58, 1: 0, 2: 0.1}), impute=impute).explain(record(5, NAN, 0, 70)).status == ALREADY


def test_an_answer_holds_for_the_stated_share_of_completions() -> None:
    made = explainer(scan({0: 0.35, 1: 0.2, 2: 0.05}, 0.03)).explain(record(0, NAN, NAN, NAN))
    (answer,) = made.found
    assert made.status == "found" and answer.changes[0].after == 17  # 0.05 + 17 x 0.03 = 0.56 reaches the goal at last
    assert answer.holds == 1 and answer.p_target == pytest.approx(0.2 + 17 * 0.03)
    assert answer.risk_low == pytest.approx(1 - 0.35 - 0.51) and answer.risk_high == pytest.approx(1 - 0.05 - 0.51)
    assert answer.margin == pytest.approx(answer.p_target - 0.5)


def test_a_record_that_depends_gets_answers_that_hold_whatever_is_unknown() -> None:
    made = explainer(scan({0: 0.8, 1: 0.3, 2: 0.2}, 0.02)).explain(record(0, NAN, 0, 70))
    assert made.status == DEPENDS and made.unknown and [c.after for c in made.found[0].changes] == [18]
    assert made.found[0].holds == 1


def test_none_is_an_answer_where_no_change_holds_for_enough_completions() -> None:
    made = explainer(scan({0: 0.35, 1: 0.2, 2: -5.0}, 0.03)).explain(record(0, NAN, 0, 70))
    assert made.status == "none" and made.found == () and made.proof is not None and made.proof.features == 1


def test_a_whole_record_pays_nothing_and_says_nothing_of_completions() -> None:
    one = explainer(lambda Y: 0.02 * Y[:, 0])
    made = one.explain(record(0, 1, 1, 70), search=0)
    assert (made.holds_now, made.completions, made.unknown) == (None, 0, ())
    assert made.risk.low == made.risk.now == made.risk.high and isinstance(one.checker, Judged) and one.checker.rows < 60


def test_the_same_seed_draws_the_same_completions_and_their_number_is_limited() -> None:
    names = [Feature(f"u{i}", low=0, high=9, step=1, mutable=False, optional=True) for i in range(8)]
    schema = Schema((Feature("steps", low=0, high=20, step=1), *names))
    made = [evenly(schema)(np.array([3.0, *[NAN] * 8]), UNKNOWN.completions, seed)[0] for seed in (1, 1, 2)]
    assert len(made[0]) == UNKNOWN.completions and (made[0] == made[1]).all() and not (made[0] == made[2]).all()
    assert not np.isnan(made[0]).any() and (made[0][:, 0] == 3).all()
    few = evenly(HEART)(np.array([3.0, NAN, NAN, 70.0]), UNKNOWN.completions, 0)[0]
    assert {tuple(row[1:3]) for row in few} == set(itertools.product((0.0, 1.0, 2.0), (0.0, 1.0)))


@given(
    p=st.lists(st.lists(st.floats(0, 1), min_size=6, max_size=6), min_size=1, max_size=5),
    weights=st.lists(st.floats(0.01, 1), min_size=6, max_size=6), floor=st.floats(0, 1),
)  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_what_it_says_reaches_a_goal_exactly_where_the_share_of_completions_and_their_mean_do(
    p: list[list[float]], weights: list[float], floor: float
) -> None:
    table = np.array(p)
    rows = np.array([[0.0, c, s, 70.0] for c in range(3) for s in range(2)])

    def of(Y: Vector) -> Vector:
        return np.array([table[int(y[0]) % len(table), int(y[1]) * 2 + int(y[2])] for y in Y])

    one = Imputed(Judged(of), record(0, NAN, NAN, 70), rows, np.array(weights), floor)
    Y = np.array([[float(k), NAN, NAN, 70.0] for k in range(len(table))])
    said, share = one.p_target(Y), np.array(weights) / sum(weights)
    for k, values in enumerate(table):
        for goal in (floor, min(1.0, floor + 0.05), 1.0):
            held = float(share @ (values >= goal))
            if abs(held - UNKNOWN.share) > 1e-6 and abs(float(share @ values) - goal) > 1e-9:
                assert (said[k] >= goal) == (held >= UNKNOWN.share and share @ values >= goal) or goal == 0


def test_what_follows_others_follows_in_every_completion() -> None:
    schema = Schema(
        (
            Feature("weight", low=40, high=160, step=1),
            Feature("height", low=140, high=200, step=1, mutable=False, optional=True),
            Feature("bmi", low=10, high=80, step=0.1, optional=True),
        ),
        (Relation("ratio", ("bmi", "weight", "height"), scale=10_000, power=2, tolerance=0.1, completes="bmi"),),
    )
    seen = list[Vector]()

    class Spy:
        def p_target(self, Y: Vector) -> Vector:
            """Remembers what it was asked."""
            seen.append(Y)
            return np.full(len(Y), 0.2)

    for codes in ([100.0, NAN, NAN], [100.0, 170.0, NAN]):
        person = Record(schema, np.array(codes))
        one = imputed(Spy(), person, evenly(schema), 0, 0.5)
        seen.clear()
        one.spread(np.array([[80.0, *codes[1:]]]), 0.5)
        (asked,) = seen
        np.testing.assert_allclose(asked[:, 2], 10_000 * asked[:, 0] / asked[:, 1] ** 2, atol=1e-6)
    assert rules.expected(schema, schema.relations[0], np.array([[80.0, 170.0, NAN]]))[0] == pytest.approx(27.68, abs=0.01)


def test_other_classifiers_are_asked_about_the_same_completions() -> None:
    one = explainer(scan({0: 0.35, 1: 0.2, 2: 0.05}, 0.03))
    one.rivals = [Judged(scan({0: 0.35, 1: 0.2, 2: 0.05}, 0.03)), Judged(scan({0: 0.9, 1: 0.9, 2: 0.0}))]
    assert one.explain(record(0, NAN, 0, 70)).found[0].agreement == 0.5


def test_a_number_decides_as_well_as_a_choice() -> None:
    made = explainer(lambda Y: np.where(Y[:, 3] > 80, 0.2, 0.8)).explain(record(5, NAN, NAN, NAN))
    assert made.status == DEPENDS and made.unknown[0].feature == "pulse" and made.unknown[0].decides > 0.6
    assert all(u.decides < 0.2 for u in made.unknown[1:])


def test_the_checker_of_a_test_slope_is_judged_the_same_with_and_without_a_floor() -> None:
    checker = Slope(HEART, np.array([2.0, 1.0, -3.0, 1.0]), -1.0)
    person = record(5, NAN, NAN, NAN)
    Y = np.repeat(person.vector[None], 21, axis=0)
    Y[:, 0] = np.arange(21)
    plain, quick = (imputed(checker, person, evenly(HEART), 0, floor).p_target(Y) for floor in (0.0, 0.5))
    assert (
        ((plain >= 0.5) == (quick >= 0.5)).all() and (quick[plain >= 0.5] == plain[plain >= 0.5]).all() and (quick >= plain - 1e-12).all()
    )


def test_unwanted_is_a_word_of_its_own() -> None:
    assert {ALREADY, UNWANTED, DEPENDS} == {"already", "unwanted", "depends"}


BODY = Schema(
    (
        Feature("bmi", low=10, high=95, step=0.5, optional=True),
        Feature("weight", low=20, high=300, step=0.5, optional=True),
        Feature("height", low=100, high=230, step=1, mutable=False, optional=True),
        *(Feature(n, low=0, high=100, step=1, optional=True) for n in ("deep", "rem", "light")),
    ),
    (
        Relation("ratio", ("bmi", "weight", "height"), scale=10_000, power=2, tolerance=0.3, completes="bmi"),
        Relation("sum", ("deep", "rem", "light"), total=100, tolerance=1),
    ),
)


@given(
    weight=st.floats(45, 120), height=st.integers(150, 200), deep=st.integers(5, 40), rem=st.integers(5, 40),
    gaps=st.sets(st.sampled_from(BODY.names), min_size=1),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_what_a_relation_says_exactly_is_not_left_to_chance(weight: float, height: int, deep: int, rem: int, gaps: set[str]) -> None:
    """Whichever feature of a sum or a ratio is unknown, its completions keep the relation, but where that ends at the lattice's
    end; and one unknown beside known others is no unknown at all."""
    whole = np.array([10_000 * weight / height**2, weight, height, deep, rem, 100 - deep - rem])
    x = np.array([NAN if name in gaps else code for name, code in zip(BODY.names, whole, strict=True)])
    rows = imputed(Slope(BODY, np.ones(6)), Record(BODY, x), evenly(BODY), 0, 0.5).rows
    for relation in BODY.relations:
        at = [BODY.index[name] for name in relation.features]
        ends = [(BODY.features[i].lattice[0], BODY.features[i].lattice[-1]) for i in at]
        inside = np.logical_and.reduce([(rows[:, i] > low) & (rows[:, i] < high) for i, (low, high) in zip(at, ends, strict=True)])
        assert (rules.deviation(BODY, relation, rows[inside]) < 1e-6).all()
        if len(gaps.intersection(relation.features)) == 1:
            np.testing.assert_allclose(rows[:, at], np.broadcast_to(whole[at], (len(rows), 3)), rtol=1e-9)
