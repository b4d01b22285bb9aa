"""What an answer must keep, each rule broken once; and features that follow others, computed and never invented."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import spaces

from sensecf_edge.schema.feature import Feature, Vector
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.relation import Relation
from sensecf_edge.schema.schema import Schema
from sensecf_edge.space import measure, rules
from sensecf_edge.space.admissible import Admissible, admissible
from sensecf_edge.space.constraints import Constraints

QUICK = settings(max_examples=100, deadline=None)
SCHEMA = Schema(
    (
        Feature("age", low=18, high=90, step=1, mutable=False),
        Feature("deep", low=0, high=100, step=1, direction="increase", max_change=20, reference=(5, 40)),
        Feature("rem", low=0, high=100, step=1),
        Feature("light", low=0, high=100, step=1, optional=True, reference=(30, 80)),
        Feature("weight", low=40, high=160, step=0.5),
        Feature("height", low=140, high=210, step=1, mutable=False, optional=True),
        Feature("bmi", low=10, high=60, step=0.1, optional=True, reference=(15, 45)),
        Feature("diastolic", low=40, high=120, step=5),
        Feature("systolic", low=70, high=200, step=5),
        Feature("smokes", "choice", choices=("no", "yes")),
        Feature("packs", low=0, high=3, step=1),
    ),
    (
        Relation("sum", ("deep", "rem", "light"), total=100, tolerance=1, completes="light"),
        Relation("ratio", ("bmi", "weight", "height"), scale=10_000, power=2, tolerance=0.1, completes="bmi"),
        Relation("le", ("diastolic", "systolic")),
        Relation("implies", ("smokes", "packs"), if_values=("yes",), then_values=("1", "2", "3")),
    ),
)
ME: dict[str, Any] = {
    "age": 50, "deep": 20, "rem": 20, "light": 60, "weight": 81, "height": 180, "bmi": 25.0, "diastolic": 80, "systolic": 120,
    "smokes": "no", "packs": 0,
}  # fmt: skip


def at(name: str) -> int:
    return SCHEMA.index[name]


def space(limits: Constraints | None = None, **values: Any) -> Admissible:
    return admissible(Record.from_mapping(SCHEMA, {**ME, **values}), limits or Constraints())


def candidate(where: Admissible, **changes: float) -> Vector:
    """The record with codes changed and nothing completed, shape (1, features)."""
    y = where.record.vector.copy()
    for name, code in changes.items():
        y[at(name)] = code
    return y[None, :]


def completed(where: Admissible, **changes: float) -> Vector:
    return rules.complete(SCHEMA, where.record.vector, candidate(where, **changes))


@given(where=spaces(), chance=st.randoms(use_true_random=False))
@QUICK
def test_what_follows_is_the_same_asked_together_or_alone(where: Admissible, chance: Any) -> None:
    """Also where proposals say of what follows something else than would follow."""
    schema, x = where.record.schema, where.record.vector
    Y = np.array([[chance.choice([*f.lattice, x[i]]) for i, f in enumerate(schema.features)] for _ in range(6)])
    Y = np.concatenate([Y, rules.complete(schema, x, Y)])
    np.testing.assert_allclose(rules._followed(schema, x, Y)[1], rules.complete(schema, x, Y), atol=1e-8)


def test_a_change_that_keeps_every_rule_is_admitted() -> None:
    where = space()
    for changes in ({"deep": 25.0}, {"deep": 25.0, "rem": 15.0}, {"weight": 75.0}, {"diastolic": 120.0}, {"smokes": 1.0, "packs": 2.0}):
        Y = completed(where, **changes)
        assert rules.broken(where, Y) == {} and rules.admitted(where, Y).all()


BREAKS: dict[str, tuple[dict[str, float], str]] = {
    "nothing": ({}, "nothing changes"),
    "an immutable feature": ({"age": 49}, "age may not change"),
    "a value off the lattice": ({"rem": 20.5}, "rem is off its admissible values"),
    "a value out of range": ({"systolic": 205}, "systolic is off its admissible values"),
    "a value against the direction": ({"deep": 19}, "deep is off its admissible values"),
    "a value beyond the reach": ({"deep": 41}, "deep is off its admissible values"),
    "a choice that is none": ({"smokes": 2}, "smokes is off its admissible values"),
    "an unknown": ({"systolic": math.nan}, "systolic is off its admissible values"),
    "five changes": ({"deep": 21, "rem": 19, "weight": 80, "diastolic": 75, "systolic": 125}, "more than 4 changes"),
    "less than it must be": ({"diastolic": 120, "systolic": 100}, "breaks diastolic <= systolic"),
    "a value that asks for another": ({"smokes": 1}, "breaks smokes in (yes) only if packs in (1, 2, 3)"),
    "a follower out of its reference range": ({"weight": 160}, "bmi leaves its range"),
}


@pytest.mark.parametrize("case", BREAKS, ids=list(BREAKS))
def test_each_kind_of_break_is_refused_in_its_own_words_and_alone(case: str) -> None:
    changes, rule = BREAKS[case]
    where = space()
    Y = np.concatenate([completed(where, rem=15.0), completed(where, **changes)])
    assert {k: v.tolist() for k, v in rules.broken(where, Y).items()} == {rule: [False, True]}
    assert rules.admitted(where, Y).tolist() == [True, False]


FOLLOWERS: dict[str, dict[str, float]] = {
    "alone": {"bmi": 24.0},
    "alone within the tolerance": {"light": 59.0},
    "with another, wrongly": {"weight": 75.0, "bmi": 25.0},
    "with another, within the tolerance": {"deep": 25.0, "light": 54.5},
}


@pytest.mark.parametrize("case", FOLLOWERS, ids=list(FOLLOWERS))
def test_a_feature_that_follows_is_what_the_others_make_it_whatever_the_answer_says(case: str) -> None:
    where = space()
    Y = candidate(where, **FOLLOWERS[case])
    assert any("does not follow the others" in rule for rule in rules.broken(where, Y))
    again = rules.complete(SCHEMA, where.record.vector, Y)
    others = {k: v for k, v in FOLLOWERS[case].items() if k not in SCHEMA.completed}
    np.testing.assert_array_equal(again, completed(where, **others))


def test_a_follower_goes_back_when_what_it_follows_goes_back() -> None:
    """Within the tolerance too: light sleep that stays 1 % off after deep sleep went back is a change nobody proposed."""
    where = space()
    for deep in (21.0, 30.0):
        Y = completed(where, deep=deep)
        Y[0, at("deep")] = where.record.vector[at("deep")]
        np.testing.assert_array_equal(rules.complete(SCHEMA, where.record.vector, Y)[0], where.record.vector)


def test_a_follower_stays_to_the_last_digit_where_the_others_cancel_out() -> None:
    where = space(light=100 / 3 + 26.7)
    Y = completed(where, deep=25.0, rem=15.0)
    assert measure.changed(where.record.vector, Y)[0].nonzero()[0].tolist() == [at("deep"), at("rem")]


@pytest.mark.parametrize(
    ("limits", "name"),
    [(Constraints(frozenset({"light"})), "light"), (Constraints(bounds={"light": (58, 100)}), "light"),
     (Constraints(frozenset({"bmi"})), "bmi"), (Constraints(bounds={"bmi": (24, 26)}), "bmi")],
)  # fmt: skip
def test_a_freeze_or_bound_on_a_feature_that_follows_holds(limits: Constraints, name: str) -> None:
    where = space(limits)
    Y = completed(where, **({"deep": 25.0} if name == "light" else {"weight": 70.0}))
    assert list(rules.broken(where, Y)) == [f"{name} leaves its range"]
    assert rules.admitted(where, completed(where, deep=25.0, rem=15.0)).all()


@pytest.mark.parametrize("limit", [{"direction": "increase"}, {"max_change": 0.5}], ids=str)
def test_direction_and_reach_bind_a_feature_that_follows(limit: dict[str, Any]) -> None:
    parts = (Feature("a", low=0, high=100, step=1), Feature("b", low=0, high=100, step=1, **limit))
    schema = Schema(parts, (Relation("sum", ("a", "b"), total=100, completes="b"),))
    where = admissible(Record(schema, np.array([40.0, 60.0])))
    Y = rules.complete(schema, where.record.vector, np.array([[45.0, 60.0]]))
    assert not rules.admitted(where, Y)[0]


def test_a_follower_outside_its_reference_range_may_come_nearer_and_not_go_further() -> None:
    where = space(weight=150, bmi=46.3)
    for weight, allowed in ((140.0, True), (149.0, True), (151.0, False)):
        assert rules.admitted(where, completed(where, weight=weight))[0] == allowed


def test_followers_of_followers_move_along_whatever_the_order_of_the_relations() -> None:
    numbers = tuple(Feature(n, low=0, high=100, step=1) for n in "abc")
    first, second = Relation("sum", ("a", "b"), total=100, completes="b"), Relation("sum", ("b", "c"), total=100, completes="c")
    for relations in ((first, second), (second, first)):
        schema = Schema(numbers, relations)
        where = admissible(Record(schema, np.array([30.0, 70.0, 30.0])))
        Y = rules.complete(schema, where.record.vector, np.array([[40.0, 70.0, 30.0]]))
        assert Y.tolist() == [[40, 60, 40]] and rules.admitted(where, Y).all()


@given(deep=st.integers(0, 40), rem=st.integers(0, 50), weight=st.integers(80, 320))
@QUICK
def test_completing_restores_sum_and_ratio(deep: int, rem: int, weight: int) -> None:
    where = space()
    y = completed(where, deep=float(deep), rem=float(rem), weight=weight / 2)[0]
    assert y[at("light")] == pytest.approx(100 - deep - rem, abs=1e-9)
    assert y[at("bmi")] == pytest.approx(10_000 * weight / 2 / 180**2, abs=1e-8)


@given(st.data())
@QUICK
def test_a_record_that_breaks_its_relations_to_begin_with_keeps_its_deviation_and_may_not_enlarge_it(data: st.DataObject) -> None:
    light, bmi = data.draw(st.floats(35, 75)), data.draw(st.floats(20, 40))
    where = space(light=light, bmi=bmi)
    x = where.record.vector
    Y = completed(where, deep=22.0, weight=80.0)
    assert Y[0, at("deep")] + Y[0, at("rem")] + Y[0, at("light")] == pytest.approx(x[at("deep")] + x[at("rem")] + x[at("light")], abs=1e-8)
    assert rules.admitted(where, Y)[0]
    gap = space(diastolic=100, systolic=90)
    assert rules.admitted(gap, completed(gap, diastolic=95.0))[0] and rules.admitted(gap, completed(gap, systolic=95.0))[0]
    assert not rules.admitted(gap, completed(gap, diastolic=105.0))[0] and not rules.admitted(gap, completed(gap, systolic=85.0))[0]
    wrong = space(smokes="yes", packs=0)
    assert rules.admitted(wrong, completed(wrong, deep=21.0))[0] and rules.admitted(wrong, completed(wrong, packs=1.0))[0]


@pytest.mark.parametrize(("deep", "broken"), [(30.0, []), (40.0, []), (15.0, ["deep is off its admissible values"])])
def test_an_unknown_follower_that_can_be_worked_out_keeps_its_range_and_stays_unknown(deep: float, broken: list[str]) -> None:
    where = space(light=None)
    Y = completed(where, deep=deep)
    assert [SCHEMA.names[i] for i in where.record.differences(Y[0])] == ["deep"] and list(rules.broken(where, Y)) == broken
    far = space(light=None, rem=50)
    assert list(rules.broken(far, completed(far, deep=40.0))) == ["light leaves its range"]


@pytest.mark.parametrize("unknown", [("height",), ("height", "bmi")], ids=str)
@pytest.mark.parametrize("changes", [{"weight": 60.0}, {"weight": 60.0, "bmi": 20.0}], ids=str)
def test_nothing_moves_a_follower_that_cannot_be_worked_out(changes: dict[str, float], unknown: tuple[str, ...]) -> None:
    where = space(**dict.fromkeys(unknown))
    assert list(rules.broken(where, completed(where, **changes))) == ["bmi cannot be worked out"]
    assert rules.admitted(where, completed(where, deep=25.0)).all()


@given(slope=st.sampled_from([-7.0, -0.3, 0.4, 4.0, 12.5]), moved=st.integers(-20, 20))
@QUICK
def test_what_a_cause_moves_it_moves_exactly_however_coarse_the_lattice(slope: float, moved: int) -> None:
    parts = (Feature("a", low=0, high=100, step=1), Feature("b", low=0, high=1000, step=10))
    schema = Schema(parts, (Relation("causes", ("a", "b"), slope=slope),))
    where = admissible(Record(schema, np.array([50.0, 500.0])))
    Y = rules.complete(schema, where.record.vector, np.array([[50.0 + moved, 500.0]]))
    assert Y[0, 1] == pytest.approx(500 + slope * moved, abs=1e-9) and (not moved or rules.admitted(where, Y)[0])


@pytest.mark.parametrize("name", ["light", "height"])
def test_an_unknown_value_is_never_filled_in(name: str) -> None:
    where = space(**{name: None})
    Y = candidate(where, **{name: 60.0 if name == "light" else 180.0}, deep=25.0)
    assert not rules.admitted(where, Y)[0]
    if name in SCHEMA.completed:
        assert np.isnan(rules.complete(SCHEMA, where.record.vector, Y)[0, at(name)])


@given(where=spaces(), chance=st.randoms())
@QUICK
def test_whatever_is_admitted_keeps_what_the_schema_and_the_request_say(where: Admissible, chance: Any) -> None:
    schema, x = where.record.schema, where.record.vector
    Y = rules.complete(schema, x, np.array([_any_answer(where, chance.choice, chance.random) for _ in range(40)]))
    for y in Y[rules.admitted(where, Y)]:
        moved = where.record.differences(y)
        proposed = rules.proposed(schema, x, y)
        assert set(proposed) <= set(moved)
        np.testing.assert_allclose(y, rules.complete(schema, x, rules.without_followers(schema, x, y[None]))[0], rtol=0, atol=1e-9)
        assert 1 <= len(proposed) <= where.max_changes
        assert all(y[i] in where.values[i] for i in proposed)
        assert not np.isnan(y[moved]).any() and not np.isnan(x[moved]).any()
        assert not {schema.names[i] for i in moved} & where.constraints.freeze
        assert all(schema.features[i].mutable for i in moved)
        for name, (low, high) in where.constraints.bounds.items():
            i = schema.index[name]
            assert i not in moved or low - 1e-6 <= y[i] <= high + 1e-6
        for relation in schema.relations:
            if relation.kind == "le" and not np.isnan(x[[schema.index[n] for n in relation.features]]).any():
                a, b = (schema.index[n] for n in relation.features)
                assert y[a] - relation.most(y[b]) <= max(0.0, x[a] - relation.most(x[b])) + 1e-6


def _any_answer(where: Admissible, choice: Callable[[Any], Any], chance: Callable[[], float]) -> Vector:
    """Some features set to an admissible value, and now and then one set to anything."""
    y = where.record.vector.copy()
    for i, feature in enumerate(where.record.schema.features):
        if where.values[i].size and chance() < 0.5:
            y[i] = choice(list(where.values[i]))
        elif chance() < 0.1:
            y[i] = choice(list(feature.lattice))
    return y


@given(where=spaces(), chance=st.randoms())
@QUICK
def test_completing_twice_is_completing_once_and_leaves_its_input_alone(where: Admissible, chance: Any) -> None:
    Y = np.array([_any_answer(where, chance.choice, chance.random) for _ in range(5)])
    before = Y.copy()
    once = rules.complete(where.record.schema, where.record.vector, Y)
    np.testing.assert_array_equal(Y, before)
    np.testing.assert_array_equal(rules.complete(where.record.schema, where.record.vector, once), once)


ACTIVE = Schema(
    (
        Feature("steps", low=0, high=20000, step=500),
        Feature("active", low=0, high=300, step=5, direction="increase"),
        Feature("glucose", low=50, high=300, step=5),
        Feature("above", low=0, high=100, step=1),
    ),
    (
        Relation("causes", ("steps", "active"), slope=0.01),
        Relation("band", ("glucose", "above"), slope=1.5, intercept=100, tolerance=10, completes="glucose"),
    ),
)
LAZY = Record(ACTIVE, np.array([3000.0, 20.0, 135.0, 20.0]))


def moved(limits: Constraints | None = None, **changes: float) -> tuple[Admissible, Vector]:
    where, y = admissible(LAZY, limits), LAZY.vector.copy()
    for name, code in changes.items():
        y[ACTIVE.index[name]] = code
    return where, rules.complete(ACTIVE, LAZY.vector, y[None])


def test_the_effect_of_a_cause_moves_along_in_whole_steps_and_counts_as_no_advice() -> None:
    where, Y = moved(Constraints(max_changes=1), steps=6200.0 - 200)
    assert Y[0].tolist() == [6000, 50, 135, 20] and rules.admitted(where, Y)[0]
    assert rules.following(ACTIVE, LAZY.vector, Y)[0].tolist() == [False, True, True, False]
    stays = np.array([[6000.0, 20, 135, 20]])
    assert list(rules.broken(where, stays)) == ["active does not follow the others"]


def test_an_order_may_be_a_line() -> None:
    """Nobody of 70 is asked for a heart rate of 180."""
    age, rate = (Feature(n, low=0, high=220, step=1, mutable=n == "rate") for n in ("age", "rate"))
    schema = Schema((age, rate), (Relation("le", ("rate", "age"), slope=-0.7, intercept=218),))
    where = admissible(Record.from_mapping(schema, {"age": 70, "rate": 140}))
    Y = np.array([[70.0, rate] for rate in (169, 170, 180)])
    assert rules.admitted(where, Y).tolist() == [True, False, False]
    assert list(rules.broken(where, Y)) == ["breaks rate <= -0.7 x age + 218"]


def test_advice_on_an_effect_goes_before_what_the_cause_makes_of_it() -> None:
    where, Y = moved(steps=6000.0, active=90.0)
    assert Y[0, 1] == 90 and rules.admitted(where, Y)[0] and not rules.following(ACTIVE, LAZY.vector, Y)[0, 1]
    one, Y = moved(Constraints(max_changes=1), steps=6000.0, active=90.0)
    assert list(rules.broken(one, Y)) == ["more than 1 changes"]


def test_an_effect_keeps_its_own_limits_so_a_cause_may_not_push_it_past_them() -> None:
    for limits, changes in (
        (Constraints(frozenset({"active"})), 6000.0),
        (None, 1000.0),
        (Constraints(bounds={"active": (0, 40)}), 6000.0),
    ):
        where, Y = moved(limits, steps=changes)
        assert list(rules.broken(where, Y)) == ["active leaves its range"]


def test_what_a_band_completes_moves_only_as_far_as_it_must() -> None:
    for above, glucose in ((20.0, 135.0), (22.0, 135.0), (10.0, 125.0), (40.0, 150.0)):
        where, Y = moved(above=above)
        assert Y[0, 2] == pytest.approx(glucose) and rules.broken(where, Y).keys() <= {"nothing changes"}


@given(above=st.integers(0, 100), glucose=st.integers(10, 60), start=st.integers(0, 100))
@QUICK
def test_a_band_is_kept_or_left_no_further_than_the_record_left_it(above: int, glucose: int, start: int) -> None:
    relation = ACTIVE.relations[1]
    x = np.array([3000.0, 20.0, 5.0 * glucose, start])
    Y = rules.complete(ACTIVE, x, np.array([[3000.0, 20, 5.0 * glucose, above]]))
    own = abs(x[2] - (1.5 * x[3] + 100))
    assert abs(Y[0, 2] - (1.5 * Y[0, 3] + 100)) <= max(relation.tolerance, own) + 1e-6
    free = Schema(ACTIVE.features, (Relation("band", ("glucose", "above"), slope=1.5, intercept=100, tolerance=10),))
    where = admissible(Record(free, x))
    outside = abs(x[2] - (1.5 * above + 100)) > max(10, own) + 1e-6
    assert any("breaks glucose" in rule for rule in rules.broken(where, np.array([[*x[:3], float(above)]]))) == (outside and above != start)


@given(where=spaces(), chance=st.randoms(use_true_random=False))
@QUICK
def test_completing_is_idempotent_and_what_was_said_gives_the_same_record_again(where: Admissible, chance: Any) -> None:
    schema, x = where.record.schema, where.record.vector
    y = x.copy()
    for i in chance.sample(where.features, chance.randint(1, len(where.features))):
        y[i] = chance.choice(list(where.values[i]))
    Y = rules.complete(schema, x, y[None])
    np.testing.assert_array_equal(rules.complete(schema, x, Y), Y)
    np.testing.assert_allclose(rules.complete(schema, x, rules.without_followers(schema, x, Y)), Y, atol=1e-9)
    np.testing.assert_array_equal(rules.complete(schema, x, x[None])[0], x)
