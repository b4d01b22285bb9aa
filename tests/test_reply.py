"""Reading an answer: what a grammar would have forbidden is refused here too, with the rule that failed."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from conftest import SCHEMA, STRESSED
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import spaces
from test_grammar import answer, written

from sensecf_edge.propose.reply import CUT, read
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.schema import Schema
from sensecf_edge.space.admissible import Admissible

TOY = Schema.from_json(SCHEMA)
RECORD = Record.from_mapping(TOY, {k: v for k, v in STRESSED.items() if k != "deep_sleep"})
NO_FEATURE = "the answer names a feature that the schema does not have"
NO_VALUES = "the answer is not a JSON object of values the schema allows"
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def test_an_answer_is_the_record_with_its_changes_and_unknown_stays_unknown() -> None:
    y = read(RECORD, '{"steps":9000,"smoker":"no"}')
    assert not isinstance(y, str)
    np.testing.assert_array_equal(y, [44, 9000, np.nan, 1])
    np.testing.assert_array_equal(RECORD.vector, [44, 3000, np.nan, 0])


def test_values_that_a_rule_refuses_are_read_all_the_same() -> None:
    for text in ('{"steps":9001.5}', '{"age":20}', '{ "steps" : 9e3 }', "{}"):
        assert not isinstance(read(RECORD, text), str)


REFUSED: dict[str, tuple[str, str]] = {
    "cut": ('{"steps":9000', CUT),
    "nothing": ("", CUT),
    "talk behind": ('{"steps":9000} is best', CUT),
    "talk before": ('Sure: {"steps":9000}', NO_VALUES),
    "two answers": ('{"steps":9000}{"steps":1}', NO_VALUES),
    "an unknown feature": ('{"stepps":9000}', NO_FEATURE),
    "a key twice": ('{"steps":9000,"steps":8000}', NO_VALUES),
    "null": ('{"deep_sleep":null}', "the answer sets a feature to null"),
    "an unknown value": ('{"deep_sleep":20}', "the answer changes a value that is unknown"),
    "a text for a number": ('{"steps":"9000"}', NO_VALUES),
    "NaN": ('{"steps":NaN}', NO_VALUES),
    "out of range": ('{"steps":99999}', NO_VALUES),
    "an unknown choice": ('{"smoker":"never"}', NO_VALUES),
    "a list of changes": ('[{"steps":9000}]', CUT),
    "half a list": ('[{"steps":9000}', NO_VALUES),
    "nested": ('{"change":{"steps":9000}}', NO_FEATURE),
    "a nested value": ('{"steps":{"to":9000}}', NO_VALUES),
    "very long": ('{"' + "x" * 2_000_000 + '":1}', NO_VALUES),
}


@pytest.mark.parametrize("case", REFUSED, ids=list(REFUSED))
def test_a_text_that_is_no_answer_is_refused_with_its_reason(case: str) -> None:
    text, reason = REFUSED[case]
    assert read(RECORD, text) == reason


@pytest.mark.parametrize("case", REFUSED, ids=list(REFUSED))
def test_a_reason_names_no_value(case: str) -> None:
    assert not any(value in str(read(RECORD, REFUSED[case][0])) for value in ("9000", "99999", "never"))


@given(space=spaces(), seed=st.integers(0, 2**32))
@QUICK
def test_every_answer_of_the_grammar_is_read_as_what_it_says(space: Admissible, seed: int) -> None:
    chance = random.Random(seed)
    said = answer(space, chance)
    y = read(space.record, written(list(said.items())))
    assert not isinstance(y, str)
    schema = space.record.schema
    assert {schema.names[i] for i in space.record.differences(y)} == set(said)
    assert all(y[i] in space.values[i] for i in space.record.differences(y))


@given(st.text(max_size=40).map(lambda t: t + "}"))
def test_no_text_at_all_is_more_than_an_answer_or_a_refusal(text: str) -> None:
    y: Any = read(RECORD, text)
    assert isinstance(y, str) or y.shape == (4,)
