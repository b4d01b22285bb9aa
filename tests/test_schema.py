"""What a schema may say: everything it says is read back, and what it cannot mean is refused by name."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SCHEMA
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import schemas

from sensecf_edge.errors import SchemaError
from sensecf_edge.schema.feature import MAX_LATTICE, Feature, number_text
from sensecf_edge.schema.parsing import key_fault
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.relation import Relation
from sensecf_edge.schema.schema import Schema, spell_difference
from sensecf_edge.space import rules
from sensecf_edge.space.admissible import admissible

QUICK = settings(max_examples=80, deadline=None)
A, B, C = (Feature(name, low=1, high=100, step=1) for name in "abc")
CHOICE = Feature("d", "choice", choices=("yes", "no"))


def number(**more: Any) -> dict[str, Any]:
    return {"name": "a", "low": 0, "high": 10, "step": 1, **more}


def choice(**more: Any) -> dict[str, Any]:
    return {"name": "d", "kind": "choice", "choices": ["x", "y", "z0"], **more}


def schema(*features: Any, **more: Any) -> dict[str, Any]:
    return {"format": 1, "features": list(features), **more}


@given(schemas())
@QUICK
def test_a_schema_goes_to_json_and_back_without_loss(made: Schema) -> None:
    data = json.loads(json.dumps(made.to_json()))
    again = Schema.from_json(data)
    assert again == made and again.hash == made.hash and again.to_json() == data


@given(schemas(), st.randoms())
@QUICK
def test_the_hash_does_not_depend_on_the_order_of_keys_and_does_on_the_order_of_features(made: Schema, chance: Any) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            items = list(value.items())
            chance.shuffle(items)
            return {k: shuffled(v) for k, v in items}
        return [shuffled(v) for v in value] if isinstance(value, list) else value

    assert Schema.from_json(shuffled(made.to_json())).hash == made.hash
    if len(made) > 1:
        assert Schema(made.features[::-1], made.relations).hash != made.hash


@given(schemas(relations=False))
@QUICK
def test_a_lattice_runs_from_low_by_whole_steps_and_every_value_reads_back(made: Schema) -> None:
    for feature in made.features:
        assert (np.diff(feature.lattice) > 0).all() and len(feature.texts) == len(set(feature.texts)) == len(feature.lattice)
        if feature.kind == "choice":
            assert feature.texts == feature.choices
            continue
        assert feature.low is not None and feature.high is not None and feature.step is not None
        low, step = Decimal(repr(feature.low)), Decimal(repr(feature.step))
        assert feature.lattice[0] == feature.low and feature.high - feature.step < feature.lattice[-1] <= feature.high
        for k, (code, text) in enumerate(zip(feature.lattice, feature.texts, strict=True)):
            assert float(text) == code == float(low + k * step)
            assert feature.nearest(code) == k


@given(st.floats(-1e9, 1e9))
def test_a_number_in_words_is_plain_and_reads_back_as_itself(value: float) -> None:
    text = number_text(value)
    assert float(text) == value and "e" not in text.lower() and text != "-0"


def test_of_two_equally_near_lattice_values_the_lower_is_the_nearest() -> None:
    assert Feature("a", low=0, high=10, step=5).nearest(2.5) == 0


def test_a_schema_file_that_says_nothing_of_a_default_stays_short() -> None:
    assert Schema.from_json(SCHEMA).to_json()["features"][3] == SCHEMA["features"][3]


WRONG: dict[str, tuple[Any, str]] = {
    "no object": ([], 'JSON object with a list "features"'),
    "no features": (schema(), "the schema has no features"),
    "features no list": ({"features": {}}, 'JSON object with a list "features"'),
    "another format": (schema(number(), format=2), "schema format 2 is not known; this version reads format 1"),
    "an unknown key": (schema(number(), colour="red"), "unknown key 'colour' in the schema"),
    "relations no list": (schema(number(), relations=5), '"relations" of a schema is a list'),
    "relations null": (schema(number(), relations=None), '"relations" of a schema is a list'),
    "a relation no object": (schema(number(), relations=["sum"]), "relation 0 is not a JSON object"),
    "a feature no object": (schema("a"), "feature 0 is not a JSON object"),
    "a feature without a name": (schema({"low": 0, "high": 1, "step": 1}), "feature 0 .*name is missing"),
    "a misspelt key of a feature": (schema(number(mutabel=False)), r"feature 0 \(a\): unknown key 'mutabel'; known are .*mutable"),
    "a text for a number": (schema(number(low="0")), r"feature 0 \(a\): low cannot be '0'"),
    "true for a number": (schema(number(low=True)), r"feature 0 \(a\): low cannot be True"),
    "a number for a flag": (schema(number(mutable=0)), r"feature 0 \(a\): mutable cannot be 0"),
    "null for a number": (schema(number(low=None)), r"feature 0 \(a\): low cannot be None"),
    "NaN": (schema(number(low=float("nan"))), "low must be a number of at most"),
    "infinity": (schema(number(max_change=float("inf"))), "max_change must be a number of at most"),
    "a whole number beyond all floats": (schema(number(high=10**400)), "high must be a number of at most"),
    "one end of a reference": (schema(number(reference=[1])), r"reference cannot be \[1\]"),
    "a reference of texts": (schema(number(reference=["1", "2"])), "reference cannot be"),
    "a reference outside": (schema(number(reference=[0, 11])), r"'a': reference \[0, 11\] does not lie inside 0..10"),
    "a reference upside down": (schema(number(reference=[5, 4])), r"reference \[5, 4\] does not lie inside"),
    "a reference that is no number": (schema(number(reference=[0, float("nan")])), "reference must be numbers of at most"),
    "a name twice": (schema(number(), number()), "names a more than once"),
    "an empty name": (schema(number(name="")), "feature name ''"),
    "a space behind a choice": (schema(choice(choices=["x ", "y"])), "choice 'x ' cannot be used"),
    "a name with a space before": (schema(number(name=" a")), "cannot be used"),
    "a line break in a name": (schema(number(name="a\nb")), "cannot be used"),
    "a tab in a choice": (schema(choice(choices=["x\ty", "y"])), r"choice 'x\\ty' cannot be used"),
    "a long name": (schema(number(name="a" * 65)), "1 to 64 printable characters"),
    "another kind": (schema(number(kind="date")), "kind 'date' is neither 'number' nor 'choice'"),
    "another direction": (schema(number(direction="up")), "direction 'up' is none of either, increase, decrease"),
    "no step": (schema({"name": "a", "low": 0, "high": 1}), "'a': a number needs low, high and step"),
    "a step of 0": (schema(number(step=0)), "low < high and step > 0"),
    "a step below 0": (schema(number(step=-1)), "low < high and step > 0"),
    "low over high": (schema(number(low=11)), "low < high and step > 0"),
    "low at high": (schema(number(low=10)), "low < high and step > 0"),
    "a lattice too fine": (schema(number(step=10 / MAX_LATTICE / 2)), "is over 2000 values; use a coarser step"),
    "a step that tolerances swallow": (schema(number(high=1e-8, step=1e-9)), "step 0.000000001 is under 0.000001; state the feature in"),
    "a lattice that float32 swallows": (
        schema(number(low=1.7e9, high=1.7e9 + 1000)),
        "values of 1700001000 that differ by 1 are the same to a classifier",
    ),
    "max_change 0": (schema(number(max_change=0)), 'max_change must be above 0, not 0; use "mutable": false'),
    "cost 0": (schema(number(cost=0)), "cost must be a finite number above 0"),
    "advice out of range": (schema(number(advise=[-1, 5])), r"advise \[-1, 5\] does not lie inside"),
    "an error below 0": (schema(number(error=-1)), "error must be a finite number of 0 or more"),
    "an error that is both": (schema(number(error=1, relative_error=0.1)), "error and relative_error are both stated"),
    "a relative error over 1": (schema(number(relative_error=5)), "relative_error is a share of the reading, 0 to 1, not 5"),
    "the source of no error": (schema(number(error_source="x")), "neither error nor relative_error is stated"),
    "whom out of range": (schema(number(advise_for=[-1, 5])), r"advise_for \[-1, 5\] does not lie inside"),
    "the source of no advice": (schema(number(advise_source="x")), "and none of advise, advise_for and advise_if is stated"),
    "a share over 1": (schema(number(relative_max_change=20)), "relative_max_change is a share of the present value, above 0"),
    "a share of a choice": (schema(choice(relative_max_change=0.1)), "relative_max_change and error belong to numbers"),
    "whom in another form": (schema(number(advise_if={"a": 5})), "advise_if cannot be {'a': 5}; it is an object of ranges and lists"),
    "whom that is nobody": (schema(number(advise_if={"b": []})), "advise_if cannot be"),
    "whom by its own value": (schema(number(advise_if={"a": [0, 5]})), "of its own values advise_for speaks"),
    "whom by no feature": (schema(number(advise_if={"z": [0, 5]})), "'a': advise_if names 'z', which is no feature"),
    "whom by no choice": (schema(number(), choice(advise_if={"a": ["x"]})), r"advise_if needs \[low, high\] inside 0 to 10 for a, not"),
    "whom by no range": (schema(number(advise_if={"d": [0, 5]}), choice()), "advise_if: d is never 0, 5; it is one of x, y, z0"),
    "whom past the ends": (schema(number(), number(name="c", advise_if={"a": [0, 11]})), r"inside 0 to 10 for a, not \[0, 11\]"),
    "another role": (schema(number(role="drug")), "role 'drug' is none of lever, marker"),
    "a label of two lines": (schema(number(label="a\nb")), "label must be a text of at most 64 characters in one line"),
    "half a character": (schema(number(unit="\ud800")), "unit must be a text of at most 64 characters in one line"),
    "moves of a number": (schema(number(moves={"1": ["2"]})), "moves belong to kind 'choice'"),
    "moves that are a list": (schema(choice(moves=["x"])), r"moves cannot be \['x'\]; it is an object as"),
    "moves from nowhere": (schema(choice(moves={"z": ["x"]})), "moves names 'z', which is none of its choices"),
    "a move to itself": (schema(choice(moves={"x": ["x"]})), "moves from 'x' must be different other choices"),
    "a base rate of 1": (schema(number(), base_rate=1), "base_rate is the share of people with the unwanted class"),
    "a base rate that is a text": (schema(number(), base_rate="0.1"), "the schema's base_rate cannot be '0.1'; it is a number"),
    "a horizon that is no text": ({**schema(number()), "horizon": 4}, "the schema's horizon cannot be 4; it is a text"),
    "choices of a number": (schema(number(choices=["x", "y"])), "choices belong to kind 'choice'"),
    "one choice": (schema({"name": "a", "kind": "choice", "choices": ["x"]}), "two or more different choices"),
    "a choice twice": (schema({"name": "a", "kind": "choice", "choices": ["x", "x"]}), "two or more different choices"),
    "choices that are numbers": (schema({"name": "a", "kind": "choice", "choices": [1, 2]}), r"choices cannot be \[1, 2\]"),
    "a range of a choice": (schema({"name": "a", "kind": "choice", "choices": ["x", "y"], "low": 0}), "belong to numbers"),
}


@pytest.mark.parametrize("case", WRONG, ids=list(WRONG))
def test_what_is_no_schema_is_refused_in_one_line_that_names_it(case: str) -> None:
    data, message = WRONG[case]
    with pytest.raises(SchemaError, match=message) as error:
        Schema.from_json(data)
    assert "\n" not in str(error.value)


def test_all_faults_of_a_schema_are_told_in_one_go(tmp_path: Path) -> None:
    file = tmp_path / "five.json"
    wrong = number(name="c", step="1", unit=3)
    features = [number(mutabel=False), number(name="b", low=99, reference=[0, 1]), choice(choices=["x"]), wrong]
    relations = [{"kind": "le", "features": ["a", "q"]}, {"kind": "sum", "features": ["a"]}, {"kind": "le", "features": ["b", "d"]}]
    file.write_text(json.dumps(schema(*features, relations=relations, base_rate=2, horizon=1)))
    with pytest.raises(SchemaError) as error:
        Schema.load(file)
    told = ("(a): unknown key 'mutabel'", "'b': needs finite low < high", "'d': a choice needs two", "(c): step cannot be '1'",
            "(c): unit cannot be 3", "no feature is called 'q'", "needs two or more different features", "horizon cannot be 1",
            "base_rate is the share")  # fmt: skip
    assert len(error.value.faults) == len(told)
    assert str(error.value).startswith(f"{file}: 9 faults: (1) feature 0 (a): ")
    for words in told:
        assert sum(words in fault for fault in error.value.faults) == 1, words


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**14) | st.floats() | st.text("abyes\n;", max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "yes", "no"]), inner, max_size=2),
    max_leaves=4,
)


@given(schemas(), st.data())
@QUICK
def test_every_wrong_key_is_named_whatever_it_holds(made: Schema, data: Any) -> None:
    raw = json.loads(json.dumps(made.to_json()))
    parts = [("feature", part) for part in raw["features"]] + [("relation", part) for part in raw.get("relations", [])]
    spoilt = []
    for kind, part in data.draw(st.lists(st.sampled_from(parts), max_size=3)):
        known = [f.name for f in fields(Feature if kind == "feature" else Relation)]
        key = data.draw(st.sampled_from([*known, "colour"]))
        part[key] = data.draw(ANYTHING)
        spoilt.append((part, key))
    try:
        again = Schema.from_json(raw)
    except SchemaError as error:
        assert error.faults and all(isinstance(fault, str) and fault for fault in error.faults)
        for part, key in spoilt:
            if key == "colour":
                assert any("unknown key 'colour'" in fault for fault in error.faults)
            elif fault := key_fault(key, part[key]):
                assert any(fault in told for told in error.faults)
    else:
        assert Schema.from_json(json.loads(json.dumps(again.to_json()))) == again


def test_a_key_that_stands_twice_is_a_fault(tmp_path: Path) -> None:
    file = tmp_path / "twice.json"
    file.write_text('{"features": [{"name": "a", "low": 0, "high": 1, "step": 1, "low": 0.5}]}')
    with pytest.raises(SchemaError, match=r"twice\.json: the key 'low' stands twice in 'name': 'a'; keep one"):
        Schema.load(file)


def test_keys_that_are_not_used_leave_the_hash_as_it_was() -> None:
    assert Schema.from_json(schema(number(), choice())).hash == "f75e1e922e9763ff12bd2bf9739d4adddc18ff7c0820d9d913485884decd63a7"
    unused = {"role": "lever", "moves": {}, "advise_if": {}, "error_source": "", "advise_source": "", "direction_source": ""}
    for more in ({key: value} for key, value in unused.items()):
        assert Schema.from_json(schema(number(), choice(**more))).hash == Schema.from_json(schema(number(), choice())).hash


def test_moves_are_the_same_in_whatever_order_they_stand() -> None:
    one, other = (Schema.from_json(schema(choice(moves=m))) for m in ({"x": ["y", "z0"], "y": []}, {"y": [], "x": ["z0", "y"]}))
    assert one == other and one.hash == other.hash and one.to_json()["features"][0]["moves"] == {"x": ["y", "z0"], "y": []}


RELATIONS: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown kind": ({"kind": "product", "features": ("a", "b")}, "kind is none of sum, ratio, le, implies"),
    "an unknown feature": ({"kind": "sum", "features": ("a", "z"), "total": 9}, r"a \+ z = 9: no feature is called 'z'"),
    "one feature": ({"kind": "sum", "features": ("a",)}, "needs two or more different features"),
    "a feature twice": ({"kind": "le", "features": ("a", "a")}, "needs 2 different features"),
    "three for le": ({"kind": "le", "features": ("a", "b", "c")}, "needs 2 different features"),
    "two for a ratio": ({"kind": "ratio", "features": ("a", "b")}, "needs 3 different features"),
    "a sum of nothing stated": ({"kind": "sum", "features": ("a", "b")}, "needs the total that the features add up to"),
    "a choice in a sum": ({"kind": "sum", "features": ("a", "d"), "total": 9}, "sum is between numbers"),
    "implies of nothing": ({"kind": "implies", "features": ("a", "d")}, "needs if_values and then_values"),
    "implies of a value that is none": (
        {"kind": "implies", "features": ("d", "a"), "if_values": ("maybe",), "then_values": ("1",)},
        "d is never maybe",
    ),
    "le completes": ({"kind": "le", "features": ("a", "b"), "completes": "b"}, "only sum, ratio, band and causes complete a feature"),
    "completes another": ({"kind": "sum", "features": ("a", "b"), "total": 9, "completes": "c"}, "not 'c'"),
    "a ratio completes what divides": (
        {"kind": "ratio", "features": ("a", "b", "c"), "completes": "c"},
        "completes its first feature, 'a'",
    ),
    "a band without a slope": ({"kind": "band", "features": ("a", "b")}, "needs a slope other than 0"),
    "a band completes what it reads": (
        {"kind": "band", "features": ("a", "b"), "slope": 1, "completes": "b"},
        "completes its first feature",
    ),
    "a cause without a slope": ({"kind": "causes", "features": ("a", "b")}, "needs a slope other than 0"),
    "a cause completes itself": ({"kind": "causes", "features": ("a", "b"), "slope": 1, "completes": "a"}, "completes its second feature"),
    "three for a band": ({"kind": "band", "features": ("a", "b", "c"), "slope": 1}, "needs 2 different features"),
    "a tolerance below 0": ({"kind": "sum", "features": ("a", "b"), "tolerance": -1}, "tolerance must be 0 or more"),
}


@pytest.mark.parametrize("case", RELATIONS, ids=list(RELATIONS))
def test_what_is_no_relation_is_refused_by_name(case: str) -> None:
    data, message = RELATIONS[case]
    with pytest.raises(SchemaError, match=message):
        Schema((A, B, C, CHOICE), (Relation(**data),))


def test_what_follows_others_is_not_marked_as_not_mutable() -> None:
    for relation in (Relation("ratio", ("a", "b", "c"), completes="a"), Relation("causes", ("b", "a"), slope=2)):
        with pytest.raises(SchemaError, match='a follows others and is marked "mutable": false, which would freeze'):
            Schema((replace(A, mutable=False), B, C), (relation,))


def test_a_ratio_never_divides_by_zero() -> None:
    zero = Feature("c", low=0, high=100, step=1)
    with pytest.raises(SchemaError, match="c divides, so its low must be above 0"):
        Schema((A, B, zero), (Relation("ratio", ("a", "b", "c")),))


def test_two_relations_never_complete_the_same_feature_nor_each_other() -> None:
    with pytest.raises(SchemaError, match="two relations complete the same feature"):
        Schema((A, B, C), (Relation("sum", ("a", "b"), total=9, completes="a"), Relation("sum", ("a", "c"), total=9, completes="a")))
    with pytest.raises(SchemaError, match="a follows from itself"):
        Schema((A, B, C), (Relation("sum", ("a", "b"), total=9, completes="a"), Relation("sum", ("a", "b", "c"), total=9, completes="b")))


def test_what_follows_is_computed_behind_what_it_follows_from_whatever_the_order_in_the_file() -> None:
    first, second = Relation("sum", ("a", "b"), total=100, completes="b"), Relation("sum", ("b", "c"), total=100, completes="c")
    assert Schema((A, B, C), (second, first)).following == Schema((A, B, C), (first, second)).following == (first, second)


@pytest.mark.parametrize("content", [b"{", b"\xff{}", b"[" * 100_000, b'{"features": 1e999}'], ids=["cut", "not UTF-8", "deep", "no list"])
def test_a_file_that_holds_no_schema_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "s.json").write_bytes(content)
    with pytest.raises(SchemaError):
        Schema.load(tmp_path / "s.json")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"cannot read the schema .*s\.json"):
        Schema.load(tmp_path / "s.json")


def test_names_that_differ_are_told_with_the_nearest_known_one() -> None:
    assert spell_difference(["glucos", "x"], ["glucose", "age"]) == (
        "unknown: glucos (did you mean glucose?); unknown: x; missing: glucose; missing: age"
    )


def test_what_is_new_in_a_schema_is_written_only_where_it_is_set() -> None:
    bare = Schema((A, B))
    assert bare.hash == Schema.from_json(bare.to_json()).hash and not {"horizon"} & set(bare.to_json())
    assert not {"advise", "never_advise", "error"} & {k for f in bare.to_json()["features"] for k in f}
    full = Schema(
        (Feature("a", low=0, high=9, step=1, advise=(1, 5), error=0.5, advise_if=(("b", (1, 5)),)), B),
        (Relation("causes", ("a", "b"), slope=0.5), Relation("band", ("b", "a"), slope=2, intercept=1, tolerance=3)),
        "four weeks",
    )
    assert Schema.from_json(full.to_json()) == full and full.hash != bare.hash


def test_nothing_moves_what_is_never_advised_and_nothing_moves_in_a_circle_or_twice() -> None:
    dose = Feature("dose", low=0, high=9, step=1, never_advise=True)
    with pytest.raises(SchemaError, match="dose is marked never_advise, so no relation may move it"):
        Schema((A, dose), (Relation("causes", ("a", "dose"), slope=1),))
    with pytest.raises(SchemaError, match="follows from itself"):
        Schema((A, B), (Relation("causes", ("a", "b"), slope=1), Relation("causes", ("b", "a"), slope=1)))
    with pytest.raises(SchemaError, match="b follows from a causes and a sum"):
        Schema((A, B, C), (Relation("causes", ("a", "b"), slope=1), Relation("sum", ("b", "c"), total=9, completes="b")))
    two = Schema((A, B, C), (Relation("causes", ("a", "c"), slope=1), Relation("causes", ("b", "c"), slope=1)))
    assert [name for name, _ in two.followers] == ["c"] and two.moved == {"c"} and not two.completed


SHIPPED = sorted((Path(__file__).parents[1] / "convert" / "schemas").glob("*.json"))


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name.partition(".")[0])
def test_a_shipped_schema_says_where_its_errors_and_its_advice_come_from(file: Path) -> None:
    for feature in Schema.from_json({"features": json.loads(file.read_text())["features"]}).features:
        stated = feature.error is not None or feature.relative_error is not None
        assert not stated or re.search(r"(19|20)\d\d", feature.error_source), feature.name
        limits = (feature.advise, feature.advise_for, *feature.advise_if, feature.relative_max_change)
        assert not any(limits) or re.search(r"(19|20)\d\d", feature.advise_source), feature.name


GUIDED = [file for file in SHIPPED if file.name.partition(".")[0] in ("heart", "metabolic", "stress")]


@pytest.mark.parametrize("file", GUIDED, ids=lambda file: file.name.partition(".")[0])
def test_a_shipped_bundle_says_for_every_feature_that_may_move_why_it_moves_that_way(file: Path) -> None:
    made = Schema.from_json({"features": json.loads(file.read_text())["features"]})
    free = [feature for feature in made.features if feature.mutable]
    assert all(feature.direction_source for feature in free)
    # What may move either way follows others: nobody is told to move it.
    assert {feature.name for feature in free if feature.direction == "either"} <= {"light_sleep_pct", "BMI"}


METABOLIC = {
    "Age": 50, "Sex": "male", "Height": 180, "Weight": 62, "BMI": 19.1, "PhysActive": "No", "BPSysAve": 121, "BPDiaAve": 72,
}  # fmt: skip


def test_the_shipped_schema_tells_no_thin_person_to_lose_weight_and_asks_for_no_low_blood_pressure() -> None:
    made = Schema.load(SHIPPED[0].parent / "metabolic.schema.json")
    for weight, age, low in ((62, 50, None), (80, 50, None), (90, 65, None), (90, 50, 77), (84, 64, 73)):
        record = Record.from_mapping(made, {**METABOLIC, "Weight": weight, "BMI": round(weight / 3.24, 1), "Age": age})
        space, at = admissible(record), made.index["Weight"]
        Y = np.repeat(record.vector[None], len(space.values[at]), axis=0)
        Y[:, at] = space.values[at]
        kept = space.values[at][rules.admitted(space, rules.complete(made, record.vector, Y))]
        assert (kept.min() == low) if low else not kept.size
    for age, high, low, asked in ((50, 134, 82, True), (50, 128, 78, False), (80, 134, 82, False)):
        space = admissible(Record.from_mapping(made, {**METABOLIC, "Age": age, "BPSysAve": high, "BPDiaAve": low}))
        above, below = (space.values[made.index[name]].tolist() for name in ("BPSysAve", "BPDiaAve"))
        assert (above[0], below[0]) == (120, 70) if asked else above == below == []
