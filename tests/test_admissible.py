"""The answer space: what every value in it keeps, and what is said where nothing is left."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import SCHEMA, STRESSED
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import constraints, records, schemas

from sensecf_edge.errors import ConstraintError, NothingToChangeError
from sensecf_edge.proof.every import every_answer
from sensecf_edge.schema.feature import Feature
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.relation import Relation
from sensecf_edge.schema.schema import Schema
from sensecf_edge.space import rules
from sensecf_edge.space.admissible import Admissible, admissible, require_within_bounds
from sensecf_edge.space.constraints import EPSILON, Constraints
from sensecf_edge.space.reasons import BOUND, FAR, FROZEN, MOVES, OTHERS, PAST, SIDE, STEP, UNKNOWN, WELL

TOY = Schema.from_json(SCHEMA)
RECORD = Record.from_mapping(TOY, STRESSED)
QUICK = settings(max_examples=100, deadline=None)


def drawn(data: st.DataObject) -> tuple[Admissible, Constraints]:
    schema = data.draw(schemas())
    record, limits = data.draw(records(schema)), data.draw(constraints(schema))
    try:
        return admissible(record, limits), limits
    except ConstraintError:
        assume(False)
        raise


def meant(record: Record, feature: Feature) -> bool:
    """Whether the record's other values are those to which the feature is advised."""
    for name, among in feature.advise_if:
        value = record.to_mapping()[name]
        if value is None or not (value in among if isinstance(value, str) else among[0] - EPSILON <= value <= among[1] + EPSILON):
            return False
    return True


@given(st.data())
@QUICK
def test_every_value_is_on_the_lattice_within_every_limit_and_never_the_present_one(data: st.DataObject) -> None:
    space, limits = drawn(data)
    for feature, code, values in zip(space.record.schema.features, space.record.vector, space.values, strict=True):
        if not feature.mutable or feature.name in limits.freeze or feature.name in space.record.schema.completed or math.isnan(code):
            assert not values.size
            continue
        assert (np.diff(values) > 0).all() and np.isin(values, feature.lattice).all()
        assert (np.abs(values - code) > 0).all()
        if feature.kind == "choice" and feature.text(code) in dict(feature.moves):
            assert {feature.text(value) for value in values} <= set(dict(feature.moves)[feature.text(code)])
        if feature.direction != "either":
            assert (values > code).all() if feature.direction == "increase" else (values < code).all()
        if feature.max_change is not None:
            assert (np.abs(values - code) <= feature.max_change + EPSILON).all()
        if feature.relative_max_change is not None:
            assert (np.abs(values - code) <= feature.relative_max_change * abs(code) + EPSILON).all()
        assert not values.size or meant(space.record, feature)
        for low, high in [r for r in (feature.reference, feature.advise, limits.bounds.get(feature.name)) if r]:
            assert (values >= low - EPSILON).all() and (values <= high + EPSILON).all()


@given(st.data())
@QUICK
def test_no_value_that_keeps_every_limit_is_left_out(data: st.DataObject) -> None:
    space, limits = drawn(data)
    for i in space.features:
        feature, code = space.record.schema.features[i], space.record.vector[i]
        share = math.inf if feature.relative_max_change is None else feature.relative_max_change * abs(code)
        far = min(feature.max_change or math.inf, share)
        low, high = -math.inf, math.inf
        for a, b in [r for r in (feature.reference, feature.advise, limits.bounds.get(feature.name)) if r]:
            low, high = max(low, a), min(high, b)
        if feature.advise_for and not feature.advise_for[0] - EPSILON <= code <= feature.advise_for[1] + EPSILON:
            raise AssertionError(f"{feature.name} stands where nothing is advised")
        ways = {"either": (-1, 1), "increase": (1,), "decrease": (-1,)}[feature.direction]
        allowed = [v for v in feature.lattice if abs(v - code) <= far and low <= v <= high and np.sign(v - code) in ways]
        named = dict(feature.moves).get(feature.text(code), feature.choices) if feature.kind == "choice" else ()
        allowed = [v for v in allowed if feature.kind == "number" or feature.text(v) in named]
        assert {v for v in allowed if abs(v - code) > EPSILON} <= set(space.values[i])


@given(st.data())
@QUICK
def test_more_constraints_never_give_more_values(data: st.DataObject) -> None:
    space, _ = drawn(data)
    free = admissible(space.record, Constraints())
    assert all(set(few) <= set(many) for few, many in zip(space.values, free.values, strict=True))


def test_a_choice_becomes_only_what_its_moves_name() -> None:
    smoking = Feature("s", "choice", choices=("never", "former", "current"), moves=(("current", ("former",)), ("former", ())))
    schema = Schema((smoking, Feature("x", low=0, high=3, step=1)))
    found = [admissible(Record(schema, np.array([code, 0.0]))).values[0].tolist() for code in (0.0, 1.0, 2.0)]
    assert found == [[1.0, 2.0], [], [1.0]]


def test_places_of_the_list_count_for_the_reach_of_a_choice() -> None:
    schema = Schema((Feature("a", "choice", choices=("none", "some", "much", "most"), max_change=1, direction="increase"),))
    assert admissible(Record(schema, np.array([1.0]))).values[0].tolist() == [2.0]


def test_a_value_below_the_reference_range_may_only_move_into_it() -> None:
    values = admissible(Record.from_mapping(TOY, {**STRESSED, "steps": 0})).values[1]
    assert (values[0], values[-1]) == (1000, 16000)


IMPOSSIBLE: dict[str, tuple[Constraints, str]] = {
    "everything frozen": (
        Constraints(frozenset({"steps", "deep_sleep", "smoker"})),
        r"every mutable feature is frozen \(Steps a day, Deep sleep, Smokes\); free at least one",
    ),
    "an unknown freeze": (Constraints(frozenset({"stepps"})), r"freeze or bound names .* unknown: stepps \(did you mean steps\?\)$"),
    "an unknown bound": (Constraints(bounds={"stepps": (0, 1)}), r"unknown: stepps \(did you mean steps\?\)$"),
    "no changes": (Constraints(max_changes=0), "max-changes is 0; it must be 1 or more"),
    "a bound upside down": (Constraints(bounds={"steps": (9, 8)}), "the bound steps=9:8 is empty; give LOW:HIGH with LOW <= HIGH"),
    "a bound of NaN": (Constraints(bounds={"steps": (math.nan, 8)}), "the bound steps=nan:8 is empty"),
    "a bound outside": (Constraints(bounds={"steps": (30000, 40000)}), "steps=30000:40000 lies outside what is possible, 0 to 20000"),
    "a bound on a choice": (Constraints(bounds={"smoker": (0, 1)}), "smoker is a choice and takes no bound; freeze it instead"),
    "a cost of nothing": (Constraints(costs={"steps": 0.0}), "the cost steps=0 must be above 0"),
    "a cost of an unknown": (Constraints(costs={"stepps": 2.0}), "did you mean steps"),
    "frozen and bounded": (Constraints(frozenset({"steps"}), {"steps": (0, 9)}), "steps is both frozen and bounded; drop one of the two"),
    "bounds that leave nothing": (
        Constraints(frozenset({"deep_sleep", "smoker"}), {"steps": (3000, 3100)}),
        "the bounds Steps a day 3000 to 3100 leave no value to move to",
    ),
}


@pytest.mark.parametrize("case", IMPOSSIBLE, ids=list(IMPOSSIBLE))
def test_what_leaves_nothing_to_change_is_named(case: str) -> None:
    limits, message = IMPOSSIBLE[case]
    with pytest.raises(ConstraintError, match=message):
        admissible(RECORD, limits)


def why(schema: Schema, *codes: float, **limits: Any) -> NothingToChangeError:
    with pytest.raises(NothingToChangeError) as error:
        admissible(Record(schema, np.array(codes)), Constraints(**limits))
    return error.value


NARROW: dict[str, tuple[Feature, float, str]] = {
    "unknown": (Feature("a", low=0, high=9, step=1, optional=True), math.nan, UNKNOWN),
    "the end of a one-way feature": (Feature("a", low=0, high=9, step=1, direction="increase"), 9, SIDE),
    "the end of an ordinal": (Feature("a", "choice", choices=("no", "yes"), direction="decrease"), 0, SIDE),
    "no move from here": (Feature("a", "choice", choices=("no", "yes"), moves=(("no", ()),)), 0, MOVES),
    "steps wider than max_change": (Feature("a", low=0, high=9, step=3, max_change=1), 3, STEP),
    "advice begins beyond max_change": (Feature("a", low=0, high=50, step=1, max_change=5, advise=(20, 30)), 40, FAR),
    "training people begin beyond max_change": (Feature("a", low=0, high=50, step=1, max_change=5, reference=(20, 30)), 4, FAR),
    "not whom it is advised to": (Feature("a", low=0, high=50, step=1, advise_for=(20, 50)), 15, WELL),
    "a share that is less than a step": (Feature("a", low=0, high=9, step=1, relative_max_change=0.1), 3, STEP),
    "past what is advised": (Feature("a", low=0, high=50, step=1, direction="decrease", advise=(20, 50)), 15, PAST),
}


@pytest.mark.parametrize("case", NARROW, ids=list(NARROW))
def test_why_nothing_may_change_is_true(case: str) -> None:
    feature, code, cause = NARROW[case]
    error = why(Schema((feature,)), code)
    assert error.causes == {"a": cause} and str(error) == f"nothing may change: a is {cause}" and error.exit_code == 3


def test_why_nothing_may_change_names_all_features_together_and_what_would_help() -> None:
    features = [Feature(name, low=0, high=9, step=1, optional=True, direction="increase") for name in "abcde"]
    error = why(Schema(tuple(features)), 9, 9, math.nan, 0, 0, freeze=frozenset("d"), bounds={"e": (0, 0.5)})
    assert str(error) == (
        "nothing may change: a, b are at the end of the allowed side; c is unknown; d is frozen; the bounds e 0 to 0.5 leave no value "
        "to move to; widen them or free another feature"
    )


@given(st.data())
@QUICK
def test_every_cause_is_told_of_a_feature_without_values_alone(data: st.DataObject) -> None:
    schema = data.draw(schemas())
    record, limits = data.draw(records(schema)), data.draw(constraints(schema))
    try:
        admissible(record, limits)
    except NothingToChangeError as error:
        free = [f.name for f in schema.features if f.mutable and f.name not in schema.completed]
        assert list(error.causes) == free
        for name, cause in error.causes.items():
            assert (cause == FROZEN) == (name in limits.freeze)
            if cause == BOUND:
                assert name in limits.bounds
            if cause not in (FROZEN, BOUND) and not math.isnan(record.vector[schema.index[name]]):
                wide = replace(schema[name], advise=None, reference=None, advise_source="", max_change=None, moves=(), direction="either")
                assert len(wide.lattice) > 1
    except ConstraintError:
        return


def test_nothing_mutable_is_told_apart() -> None:
    fixed = Schema((Feature("a", low=0, high=9, step=1, mutable=False),))
    with pytest.raises(ConstraintError, match="the schema has no mutable feature"):
        admissible(Record(fixed, np.array([1.0])))


SHAPE = Schema(
    (Feature("age", low=20, high=90, step=1, mutable=False), Feature("height", low=100, high=220, step=1, mutable=False),
     Feature("weight", low=30, high=200, step=1), Feature("bmi", low=10, high=80, step=0.5), Feature("b", low=0, high=9, step=1)),
    (Relation("ratio", ("bmi", "weight", "height"), scale=10000, power=2, tolerance=0.3, completes="bmi"),),
)  # fmt: skip
PERSON = Record(SHAPE, np.array([57.0, 175, 100, 32.7, 5]))
UNKEPT: dict[str, tuple[dict[str, Any], str]] = {
    "an immutable feature": ({"bounds": {"age": (40, 50)}}, "^age lies outside its bound and may not be moved into it"),
    "two of them": (
        {"bounds": {"age": (40, 50), "height": (180, 200)}},
        "^age, height lie outside their bounds and may not be moved into them",
    ),
    "what follows something frozen": ({"bounds": {"bmi": (20, 30)}, "freeze": frozenset({"weight"})}, "^bmi lies outside its bound"),
    "more than may change": (
        {"bounds": {"b": (0, 2), "weight": (60, 90)}, "max_changes": 1},
        "weight, b lie outside their bounds, which takes 2 changes, and max-changes is 1",
    ),
}


@pytest.mark.parametrize("case", UNKEPT, ids=list(UNKEPT))
def test_a_bound_that_the_record_cannot_be_brought_into_is_refused(case: str) -> None:
    limits, message = UNKEPT[case]
    for refuse in (admissible, require_within_bounds):
        with pytest.raises(ConstraintError, match=message) as error:
            refuse(PERSON, Constraints(**limits))
        assert error.value.exit_code == 2 and "57" not in str(error.value)


def test_a_record_outside_its_bound_is_moved_in_by_every_answer() -> None:
    for name, low, high in (("weight", 60.0, 90.0), ("bmi", 20.0, 30.0)):
        space = admissible(PERSON, Constraints(bounds={name: (low, high)}))
        Y = np.concatenate(list(every_answer(space)))
        Y = rules.complete(SHAPE, PERSON.vector, Y)
        kept = Y[rules.admitted(space, Y)][:, SHAPE.index[name]]
        assert len(kept) and (kept >= low).all() and (kept <= high).all()
        only = rules.complete(SHAPE, PERSON.vector, PERSON.vector[None] + np.array([0, 0, 0, 0, 1.0]))
        assert f"{name} stays outside its bound" in rules.broken(space, only)


def test_a_feature_that_follows_is_never_proposed() -> None:
    parts = tuple(Feature(n, low=0, high=100, step=1) for n in "ab")
    schema = Schema(parts, (Relation("sum", ("a", "b"), total=100, completes="b"),))
    space = admissible(Record(schema, np.array([40.0, 60.0])))
    assert space.features == [0] and not space.values[1].size


def test_what_may_be_advised_is_apart_from_what_data_and_records_hold() -> None:
    glucose = Feature("glucose", low=40, high=400, step=5, reference=(60, 300), advise=(90, 180))
    for present, most in ((250.0, 180.0), (70.0, 180.0)):
        values = admissible(Record(Schema((glucose,)), np.array([present]))).values[0]
        assert (values[0], values[-1]) == (90.0, most)


AGE = Feature("age", low=0, high=99, step=1, mutable=False, optional=True)
SEX = Feature("sex", "choice", choices=("f", "m"), mutable=False)
WEIGHT = Feature("w", low=0, high=200, step=1, relative_max_change=0.1, advise_if=(("age", (18, 64)), ("sex", ("f",))))


@pytest.mark.parametrize(
    "age, sex, outside", [(65, 0, "age"), (17, 0, "age"), (40, 1, "sex"), (70, 1, "age and sex"), (math.nan, 0, "age")]
)
def test_nothing_is_advised_to_people_for_whom_it_is_not_meant(age: float, sex: float, outside: str) -> None:
    assert why(Schema((AGE, SEX, WEIGHT)), age, sex, 90).causes == {"w": f"{OTHERS} {outside}"}


@pytest.mark.parametrize("age", [18, 40, 64])
def test_a_change_is_no_more_than_its_share_of_the_present_value(age: float) -> None:
    values = admissible(Record(Schema((AGE, SEX, WEIGHT)), np.array([age, 0, 90]))).values[2]
    assert (values[0], values[-1]) == (81, 99)


def test_what_follows_others_is_bound_by_whom_it_is_meant_for_and_by_its_share() -> None:
    age, height, weight, bmi, other = SHAPE.features
    for limit, least in (({"advise_if": (("age", (20, 40)),)}, None), ({"relative_max_change": 0.1}, 90)):
        schema = replace(SHAPE, features=(age, height, weight, replace(bmi, **limit), other))
        person = Record(schema, PERSON.vector)
        Y = rules.complete(schema, person.vector, np.concatenate(list(every_answer(admissible(person, Constraints(max_changes=1))))))
        kept = Y[rules.admitted(admissible(person), Y)][:, 2]
        assert set(kept) == ({100.0} if least is None else {*map(float, range(90, 111))})


def test_what_is_never_advised_is_never_said_whatever_else_the_schema_says() -> None:
    dose = Feature("insulin", low=0, high=99, step=1, direction="increase", never_advise=True)
    assert not dose.mutable and Schema.from_json(Schema((dose,)).to_json()) == Schema((dose,))
    space = admissible(Record(Schema((dose, Feature("a", low=0, high=9, step=1))), np.array([9.0, 1.0])))
    assert space.features == [1]


def test_a_space_without_a_feature_or_with_less_of_it_keeps_all_else() -> None:
    schema = Schema((Feature("a", low=0, high=10, step=1), Feature("b", "choice", choices=("no", "yes"))))
    space = admissible(Record(schema, np.array([4.0, 0.0])))
    assert space.without(0).features == [1] and space.without(0).values[1] is space.values[1]
    assert space.less(0, 7.0).values[0].tolist() == [2, 3, 5, 6] and space.less(0, 5.0).features == [1]
    assert space.less(1, 1.0).features == [0]  # half a choice is none
    assert space.features == [0, 1]


@given(st.data())
@QUICK
def test_a_feature_may_change_to_its_values_and_to_nothing_beside_them(data: st.DataObject) -> None:
    space, _ = drawn(data)
    beside = data.draw(st.floats(0.01, 0.04))
    for i, feature in enumerate(space.record.schema.features):
        codes = np.array([*feature.lattice, *(feature.lattice + beside), -math.inf, math.inf, math.nan, space.record.vector[i]])
        assert space.holds(np.full(len(codes), i), codes).tolist() == [code in space.values[i] for code in codes]


def test_limits_may_be_any_collection_and_any_make_of_number() -> None:
    limits = Constraints(["a"], {"b": [np.float32(1), np.int64(2)]}, np.int8(2), {"b": np.float32(3)})  # type: ignore[arg-type, dict-item]
    assert limits == Constraints(frozenset({"a"}), {"b": (1.0, 2.0)}, 2, {"b": 3.0})
    assert {type(limits.max_changes), *map(type, limits.costs.values()), *map(type, limits.bounds["b"])} == {int, float}


@pytest.mark.parametrize(
    "wrong",
    [{"freeze": "steps"}, {"freeze": None}, {"freeze": [1]}, {"bounds": {"a": 1}}, {"bounds": {"a": (1,)}}, {"bounds": {"a": ("1", "2")}},
     {"bounds": {"a": (None, 2)}}, {"bounds": {"a": (0, 10**400)}}, {"bounds": [("a", (1, 2))]}, {"bounds": None}, {"costs": {"a": "3"}},
     {"costs": {"a": True}}, {"costs": [1]}, {"max_changes": "2"}, {"max_changes": None}, {"max_changes": 1.5}, {"max_changes": True}],
    ids=str,
)  # fmt: skip
def test_limits_that_are_none_are_refused_when_they_are_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConstraintError, match=next(iter(wrong)).replace("_", "-")):
        Constraints(**wrong)
