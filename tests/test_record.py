"""A record is read strictly: nothing is guessed, rounded or filled in."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import numpy as np
import pytest
from conftest import SCHEMA, STRESSED
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import records, schemas

from sensecf_edge.errors import RecordError
from sensecf_edge.schema.feature import Feature
from sensecf_edge.schema.record import Record, decode, encode, parse_object
from sensecf_edge.schema.schema import Schema
from sensecf_edge.settings import RECORD
from sensecf_edge.space.contradictions import record_remarks, unlike_anybody

TOY = Schema.from_json(SCHEMA)
QUICK = settings(max_examples=80, deadline=None)


@given(st.data())
@QUICK
def test_a_record_goes_to_json_and_back_without_loss(data: st.DataObject) -> None:
    schema = data.draw(schemas())
    record = data.draw(records(schema))
    again = Record.from_json(schema, json.dumps(record.to_mapping()))
    np.testing.assert_array_equal(again.vector, record.vector)
    assert again.to_mapping() == record.to_mapping() and again.differences(record.vector) == []


@given(st.data())
@QUICK
def test_an_unknown_value_may_be_null_or_absent_only_where_the_schema_says_so(data: st.DataObject) -> None:
    schema = data.draw(schemas())
    values = data.draw(records(schema)).to_mapping()
    for feature in schema.features:
        absent = {k: v for k, v in values.items() if k != feature.name}
        if feature.optional:
            assert math.isnan(Record.from_mapping(schema, absent).vector[schema.index[feature.name]])
            assert math.isnan(Record.from_mapping(schema, {**values, feature.name: None}).vector[schema.index[feature.name]])
            continue
        with pytest.raises(RecordError, match="missing: "):
            Record.from_mapping(schema, absent)
        with pytest.raises(RecordError, match="is null, and the schema does not mark it as optional"):
            Record.from_mapping(schema, {**values, feature.name: None})


def test_order_in_the_file_does_not_matter() -> None:
    there, back = (Record.from_mapping(TOY, dict(items)) for items in (STRESSED.items(), reversed(STRESSED.items())))
    np.testing.assert_array_equal(there.vector, back.vector)


NO_VALUES: list[tuple[str, Any]] = [
    ("steps", "3000"), ("steps", True), ("steps", [3000]), ("steps", {}), ("steps", math.nan), ("steps", math.inf),
    ("steps", -1), ("steps", 20000.5), ("steps", 10**400), ("age", 17.999), ("smoker", "Yes"), ("smoker", "yes "), ("smoker", True),
    ("smoker", 0.0), ("smoker", ["yes"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), NO_VALUES, ids=lambda v: repr(v)[:20])
def test_a_value_that_cannot_be_is_refused_with_what_is_allowed(name: str, value: Any) -> None:
    with pytest.raises(RecordError, match=name) as error:
        Record.from_mapping(TOY, {**STRESSED, name: value})
    assert TOY[name].allowed() in str(error.value) and "\n" not in str(error.value)


def test_both_ends_of_what_is_possible_are_possible_and_values_off_the_lattice_are_kept() -> None:
    for steps in (0, 20000, 3141.59):
        assert Record.from_mapping(TOY, {**STRESSED, "steps": steps}).to_mapping()["steps"] == steps


def test_a_whole_number_names_a_choice_that_is_written_as_one() -> None:
    feature = Feature("grade", "choice", choices=("0", "1", "2"))
    assert encode(feature, 1) == encode(feature, "1") == 1.0 and decode(feature, 1.0) == "1"
    with pytest.raises(RecordError):
        encode(feature, 3)


@pytest.mark.parametrize("wrong", [[1], None, "{}", 5, {1: 2}, {**STRESSED, None: 3}], ids=str)
def test_what_is_no_mapping_of_names_is_no_record(wrong: Any) -> None:
    with pytest.raises(RecordError, match="mapping of feature names"):
        Record.from_mapping(SCHEMA, wrong)


def test_misspelt_and_lacking_names_are_told_together() -> None:
    with pytest.raises(RecordError, match=r"unknown: stepps \(did you mean steps\?\); missing: steps"):
        Record.from_mapping(TOY, {"age": 44, "stepps": 1, "smoker": "no"})


def test_a_name_that_an_optional_feature_nearly_has_is_no_value_of_it() -> None:
    with pytest.raises(RecordError, match=r"unknown: deepsleep \(did you mean deep_sleep\?\)"):
        Record.from_mapping(TOY, {"age": 44, "steps": 1, "smoker": "no", "deepsleep": 20})


NO_OBJECTS: dict[str, tuple[bytes, str]] = {
    "list": (b"[]", "not a JSON object but a list"),
    "text": (b'"a"', "not a JSON object but a text"),
    "true": (b"true", "not a JSON object but true or false"),
    "NaN": (b'{"a": NaN}', "NaN is not a value"),
    "infinity": (b'{"a": -Infinity}', "-Infinity is not a value"),
    "key twice": (b'{"a": 1, "b": 2, "a": 1}', "the key 'a' stands twice"),
    "key twice inside": (b'{"a": {"b": 1, "b": 1}}', "the key 'b' stands twice"),
    "not UTF-8": (b'{"a": "\xe9"}', r"not UTF-8 \(byte 7\)"),
    "deep": (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
    "more behind": (b"{} {}", "is not JSON"),
    "long": (b" " * (RECORD.max_bytes + 1), "over 1,000,000 bytes"),
    "many digits": (b'{"a": ' + b"1" * 5000 + b"}", "is not JSON"),
}


@pytest.mark.parametrize("case", NO_OBJECTS, ids=list(NO_OBJECTS))
def test_what_is_not_one_small_json_object_is_refused_in_one_line(case: str) -> None:
    data, message = NO_OBJECTS[case]
    with pytest.raises(RecordError, match=message) as error:
        parse_object(data, "it")
    assert "\n" not in str(error.value) and len(str(error.value)) < 300


def test_a_byte_order_mark_is_no_mistake() -> None:
    assert parse_object(b"\xef\xbb\xbf" + b'{"a": 1}', "it") == {"a": 1}


@given(st.binary(max_size=60))
def test_no_bytes_at_all_end_in_anything_but_an_object_or_a_record_error(data: bytes) -> None:
    with contextlib.suppress(RecordError):
        assert isinstance(parse_object(data, "it"), dict)


def test_a_warning_names_the_feature_and_its_range_and_never_the_value() -> None:
    (warning,) = record_remarks(Record.from_mapping(TOY, {**STRESSED, "steps": 417}))
    assert warning == "Steps a day is outside the range seen in training (1000 to 16000)" and "417" not in warning
    for steps in (1000, 16000):
        assert record_remarks(Record.from_mapping(TOY, {**STRESSED, "steps": steps})) == []


def test_a_range_asked_for_what_is_unknown_is_told_to_hold_nothing() -> None:
    bounds = {"steps": (2000.0, 9000.0), "deep_sleep": (15.0, 22.5)}
    known, unknown = (Record.from_mapping(TOY, {**STRESSED, "deep_sleep": value}) for value in (10, None))
    assert record_remarks(known, bounds) == []
    assert record_remarks(unknown, bounds) == ["Deep sleep is unknown, so no answer has to bring it into the range asked for, 15 to 22.5"]


def test_unknown_equals_unknown_and_differs_from_any_value() -> None:
    known, unknown = (Record.from_mapping(TOY, {**STRESSED, "deep_sleep": v}) for v in (10, None))
    assert unknown.differences(unknown.vector) == [] and unknown.differences(known.vector) == known.differences(unknown.vector) == [2]


def shape(**values: Any) -> Record:
    from test_rules import ME
    from test_rules import SCHEMA as RELATED

    return Record.from_mapping(RELATED, {**ME, **values})


CONTRADICTIONS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "nothing": ({}, []),
    "rounded": ({"light": 59, "bmi": 25.3}, []),
    "a night of 167 %": ({"deep": 42, "rem": 39, "light": 86}, ["deep 42, rem 39, light 86 add up to 167, not 100; check the record"]),
    "a ratio": (
        {"weight": 98.5, "bmi": 32.9},
        ["bmi 32.9 does not fit weight 98.5 and height 180, which go with about 30.4; check the record"],
    ),
    "an order": ({"diastolic": 96, "systolic": 92}, ["diastolic 96 is over systolic 92; check the record"]),
    "an implication": ({"smokes": "yes"}, ["smokes yes goes only with packs 1 or 2 or 3, not with packs 0; check the record"]),
    "an unknown value": ({"light": None, "deep": 90, "rem": 90, "height": None, "bmi": 60}, []),
}


@pytest.mark.parametrize("case", CONTRADICTIONS, ids=list(CONTRADICTIONS))
def test_a_record_that_contradicts_itself_is_remarked_upon(case: str) -> None:
    values, remarks = CONTRADICTIONS[case]
    assert [w for w in record_remarks(shape(**values)) if "outside the range" not in w] == remarks


def test_a_record_unlike_anything_known_is_remarked_upon() -> None:
    assert unlike_anybody(None) is None and unlike_anybody(1.0) is None and unlike_anybody(40) is None
    assert "fewer than 1 of 100" in (unlike_anybody(0.4) or "")


def test_numbers_of_numpy_are_numbers_and_are_written_as_people_do() -> None:
    feature = Feature("a", low=0, high=9, step=1)
    assert encode(feature, np.int64(7)) == encode(feature, np.float32(7)) == 7
    with pytest.raises(RecordError, match=r"^a cannot be 10; allowed is 0 to 9$"):
        encode(feature, np.float64(10))


def test_records_of_equal_values_are_equal_and_have_one_hash() -> None:
    schema = Schema((Feature("a", "number", low=-1, high=1, step=1), Feature("b", "number", low=0, high=9, step=1, optional=True)))
    one, same, other = (Record.from_mapping(schema, v) for v in ({"a": 0}, {"a": -0.0, "b": None}, {"a": 1}))
    assert one == same and hash(one) == hash(same) and one != other and one != "a"
    assert len({one, same, other}) == 2


def test_a_value_that_is_no_number_is_unknown_where_the_schema_allows_it() -> None:
    schema = Schema((Feature("a", "number", low=0, high=1, step=1), Feature("b", "number", low=0, high=9, step=1, optional=True)))
    assert np.isnan(Record.from_mapping(schema, {"a": 1, "b": math.nan}).vector[1])
    assert np.isnan(Record.from_mapping(schema, {"a": 1, "b": np.float32("nan")}).vector[1])
    with pytest.raises(RecordError, match="does not mark it as optional"):
        Record.from_mapping(schema, {"a": math.nan})
