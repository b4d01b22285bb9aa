"""What a generator reads: one item per feature on its lattice, or the same in words."""

from __future__ import annotations

import re

import numpy as np
import pytest
from conftest import SCHEMA, STRESSED
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import names, schemas, spaces
from test_rules import SCHEMA as RELATED
from test_rules import space as related

from sensecf_edge.errors import BundleError
from sensecf_edge.propose.instructions import MOST_HINTS, Hint, Task, longest, opening
from sensecf_edge.propose.instructions import build as words_of
from sensecf_edge.propose.prompt import ARROW, BRIEF, GENERAL, STYLES, build, items, score_item, score_items, want
from sensecf_edge.schema.feature import UNKNOWN, Feature
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.schema import Schema
from sensecf_edge.space.admissible import Admissible, admissible
from sensecf_edge.space.constraints import Constraints

TOY = Schema.from_json(SCHEMA)
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def toy(limits: Constraints | None = None, **changes: object) -> Admissible:
    return admissible(Record.from_mapping(TOY, {**STRESSED, **changes}), limits)


def test_a_scored_prompt_is_the_wanted_class_the_probability_one_item_a_feature_and_an_arrow() -> None:
    assert build("scored", toy(), "calm", 0.31) == "want=calm;p=0.30;age=44;steps=3000;deep_sleep=10;smoker=yes;=>"
    assert build("scored", toy(deep_sleep=None), "calm", 0.31) == "want=calm;p=0.30;age=44;steps=3000;deep_sleep=?;smoker=yes;=>"


def test_a_value_off_the_lattice_is_shown_as_the_nearest_one() -> None:
    assert ";steps=3000;" in build("scored", toy(steps=3249.9), "calm", 0.31)
    assert ";steps=3500;" in build("scored", toy(steps=3250.1), "calm", 0.31)


def test_a_prompt_says_the_present_probability_rounded_down() -> None:
    assert build("scored", toy(), "calm", 0.319) == "want=calm;p=0.30;age=44;steps=3000;deep_sleep=10;smoker=yes;=>"
    assert "a probability of 0.32." in build("instruct", toy(), "calm", 0.319)


@given(p=st.floats(0, 1))
def test_every_probability_has_its_item(p: float) -> None:
    said = score_item(p)
    assert said in score_items() and -1e-6 <= p - float(said[2:-1]) < 0.02 + 1e-6


@given(where=spaces())
@QUICK
def test_a_scored_prompt_is_made_of_the_items_of_the_vocabulary_alone(where: Admissible) -> None:
    text = build("scored", where, "well", 0.31)
    assert text.startswith(want("well")) and text.endswith(ARROW)
    rest = text.removeprefix(want("well") + score_item(0.31))
    for feature in where.record.schema.features:
        item = next(i for i in items(feature) if rest.startswith(i))
        rest = rest.removeprefix(item)
    assert rest == ARROW


def test_the_prompt_does_not_depend_on_the_request_so_that_records_share_it() -> None:
    limits = Constraints(frozenset({"smoker"}), {"steps": (4000, 9000)}, 1)
    assert build("scored", toy(limits), "calm", 0.31) == build("scored", toy(), "calm", 0.31)


def test_words_say_units_what_is_fixed_how_far_and_what_is_always_true() -> None:
    text = build("instruct", related(Constraints(frozenset({"rem"}), max_changes=2), height=None), "well", 0.31)
    for part in (
        "predict: well.", "- age = 50 (fixed)", "- deep = 20 (may become 21 to 40 in steps of 1)", "- rem = 20 (fixed)",
        "- light = 60 (fixed)", "- height = unknown (fixed)", "- smokes = no (may become yes)", "at most 2 features", "Answer: ",
        *(f"Always true: {relation.sentence()}." for relation in RELATED.relations),
    ):  # fmt: skip
        assert part in text, part
    assert f"- age = 44 years{' (fixed)'}" in build("instruct", toy(), "calm", 0.31)


def test_words_for_general_models_begin_with_what_all_records_share_and_end_where_the_answer_begins() -> None:
    task = Task("no stress", "stress", shots=("Record: …\nAnswer:\n{}\n",))
    one, other = (build(GENERAL, toy(steps=steps), "calm", 0.31, task) for steps in (3000, 4500))
    shared = opening(TOY, task)
    assert one.startswith(shared) and other.startswith(shared) and one.endswith("Answer:\n")
    assert "either stress or no stress" in shared and shared.endswith(task.shots[0] + "\n")
    for part in (
        "- age: Age, 18 to 90 years in steps of 1, never changes", "- steps: Steps a day, 1000 to 16000 in steps of 500",
        "- deep_sleep: Deep sleep, 0 to 40 % in steps of 1", "- smoker: Smokes, one of yes, no",
    ):  # fmt: skip
        assert part in shared, part
    assert "steps=3000, " in one and "steps to 1000..16000" in one and "smoker to no" in one and "no stress a probability of 0.31" in one
    words = build(GENERAL, related(Constraints(max_changes=1)), "well", 0.31)
    assert "light" in words and "follows others: " in words and "Change one value." in words


def test_the_fewest_words_are_what_helps_or_else_the_record() -> None:
    hints = [Hint("steps", "16000", 0.619), Hint("smoker", "no", 0.4)]
    assert build(BRIEF, toy(), "calm", 0.319, hints=hints) == "p 31\nsteps 3000>16000 61\nsmoker yes>no 40\n=>\n"
    assert build(BRIEF, toy(deep_sleep=None), "calm", 0.31) == "p 31\nage 44\nsteps 3000\ndeep_sleep unknown\nsmoker yes\n=>\n"


@given(where=spaces())
@QUICK
def test_no_prompt_of_a_general_model_is_longer_than_what_room_is_made_for(where: Admissible) -> None:
    task, schema = Task("well", "unwell"), where.record.schema
    hints = [Hint(schema.names[i], schema.features[i].text(where.values[i][-1]), 0.5) for i in where.features[:MOST_HINTS]]
    most, answer = longest(schema, task, len(schema), bool(hints))
    assert len(words_of(task, where, 0.31, hints).encode()) <= len(most.encode())
    said = [f'"{schema.names[i]}":"{schema.features[i].text(where.values[i][0])}"' for i in where.features]
    assert len(("{" + ",".join(said) + "}").encode()) <= len(answer.encode()) + len(said)


@given(where=spaces())
@QUICK
def test_every_style_is_the_same_text_every_time_and_names_every_feature(where: Admissible) -> None:
    for style in STYLES:
        text = build(style, where, "well", 0.31)
        assert text == build(style, where, "well", 0.31)
        assert style == "scored" or all(name in text for name in where.record.schema.names)
        assert style in ("instruct", GENERAL, BRIEF) or all(any(item in text for item in items(f)) for f in where.record.schema.features)


@given(schemas(), names())
@QUICK
def test_items_of_different_meaning_are_different_and_end_at_their_only_plain_semicolon(schema: Schema, target: str) -> None:
    said = [item for feature in schema.features for item in items(feature)]
    assert len(said) == len(set(said))
    for item in [*said, want(target)]:
        plain = re.sub(r"\\.", "", item)
        assert plain.count(";") == plain.count("=") == 1 and plain.endswith(";")


def test_choices_in_running_text_are_quoted_where_they_would_not_be_clear() -> None:
    said = Feature("d", "choice", choices=("a, b", 'c"d', ">=30"))
    schema = Schema((said,))
    text = build("instruct", admissible(Record(schema, np.array([0.0]))), "well", 0.31)
    assert '- d = "a, b" (may become "c\\"d", ">=30")' in text


def test_an_unknown_style_is_refused_with_those_there_are() -> None:
    with pytest.raises(BundleError, match="prompt style 'poem' is not known; this version has scored, brief, instruct-2, instruct"):
        build("poem", toy(), "calm", 0.31)


def test_an_unknown_value_has_an_item_of_its_own() -> None:
    assert items(TOY["smoker"]) == ["smoker=yes;", "smoker=no;", f"smoker={UNKNOWN};"]
