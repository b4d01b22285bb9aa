"""Wishes: what is understood is meant and told back; what may mean two things, or is said of somebody else, is left, and said to be."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
import pytest
from conftest import SHIPPED, STRESSED, Ran
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import LETTERS, records, schemas
from wishes import WISHES, Rule, Wish, told

from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.errors import ConstraintError, SchemaError
from sensecf_edge.schema.feature import Feature
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.schema import Schema
from sensecf_edge.space.constraints import Constraints, check_constraints
from sensecf_edge.wish import cues
from sensecf_edge.wish.reading import understand
from sensecf_edge.wish.text import tokens

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
HAVE = dict(Bundle.available())
SCHEMAS = {name: Bundle.open(name).schema for name in SHIPPED if name in HAVE}
READ = [wish for wish in WISHES if wish.model in SCHEMAS]
SURE = [wish for wish in READ if wish.rules and "," not in wish.text and " and " not in wish.text and " but " not in wish.text]


def meant(schema: Schema, text: str) -> frozenset[Rule]:
    return told(understand(schema, text))


def test_wishes_are_read_as_they_were_meant() -> None:
    """At least 95 of 100 rules, and none that was not meant."""
    if not READ:
        pytest.skip("no model is shipped here")
    got = {wish: meant(SCHEMAS[wish.model], wish.text) for wish in READ}
    assert not [(wish.text, rules - wish.rules) for wish, rules in got.items() if rules - wish.rules]
    rules = [(wish, rule) for wish in READ for rule in wish.rules]
    assert sum(rule in got[wish] for wish, rule in rules) >= 0.95 * len(rules)


@pytest.mark.parametrize("wish", SURE, ids=[wish.text for wish in SURE])
def test_a_wish_that_is_in_doubt_is_not_taken(wish: Wish) -> None:
    schema, text = SCHEMAS[wish.model], wish.text.rstrip(".!")
    doubted = (f"If it rains, {text}", f"{text} unless it rains", f"My wife says {text}", f"{text}?", f"{text} zorb",
               f"It is not true that {text}",
               f"Maybe {text}", f"Until last year {text}", f"She {text}")  # fmt: skip
    for said in doubted:
        assert not meant(schema, said), said
        left = understand(schema, said).left
        assert left and all(part in said for part, _ in left)
    assert meant(schema, f"{text}. My wife runs.") == wish.rules


MORE = (
    ("stress", "I can't do any more steps, my hip is bad.", {("freeze", "steps")}),
    ("stress", "I need my sleep: eight hours minimum!", {("low", "sleep_h", 8.0)}),
    ("stress", "Steps: max. 9,000 per day", {("high", "steps", 9000.0)}),
    ("stress", "No fewer than 7000 and no more than 9000 steps", {("low", "steps", 7000.0), ("high", "steps", 9000.0)}),
    ("stress", "up to 12,000 steps, 45 min vigorous activity at most", {("high", "steps", 12000.0), ("high", "vigorous_min", 45.0)}),
    ("stress", "it's impossible for me to run", {("freeze", "vigorous_min")}),
    ("stress", "I never said I can't walk", set()), ("stress", "I don't run.", set()),
    ("stress", "I can't go below 6 hours of sleep or above 9.", set()),
    ("stress", "no more than 10.000 steps", set()), ("stress", "at least 90 hours of sleep", set()),
    ("stress", "steps at most 5 hours", set()),
    ("stress", "at most 20 minutes of vigorous activity, at least 30 minutes of vigorous activity", set()),
    ("stress", "keep my steps, more steps are fine", set()),
    ("stress", "Steps between five and eight thousand", set()), ("stress", "I prefer walking to running", set()),
    ("stress", "Only change my sleep", set()),
    ("stress", "keep walking", set()), ("stress", "no need to change my sleep", set()), ("stress", "I don't have to walk more", set()),
    ("stress", "I've got a bad knee so please don't ask me to walk more than I do now", {("freeze", "steps")}),
    ("stress", "jogging is out of the question", {("freeze", "vigorous_min")}),
    ("stress", "no less than 7 hrs sleep/night", {("low", "sleep_h", 7.0)}),
    ("stress", "just leave everything but sleep as is", set()), ("stress", "you may touch anything but keep sleep", set()),
    ("stress", "leave all but sleep as it is", set()), ("stress", "Not hard at all, but leave my sleep", {("freeze", "sleep_h")}),
    ("stress", "a minimum of 1500 fewer steps", set()), ("stress", "at least 2000 more steps", set()),
    ("stress", "I sleep at most 5 hours", set()), ("stress", "I walk at least 9000 steps", set()),
    ("stress", "I can walk at most 5000 steps", {("high", "steps", 5000.0)}),
    ("stress", "fewer than 8000 steps would be fine", set()), ("stress", "I'm happy with less than 8 hours of sleep", set()),
    ("stress", "up to 8000 steps is fine", {("high", "steps", 8000.0)}), ("stress", "walking is ok", {("easy", "steps")}),
    ("metabolic", "my weight is fine", set()), ("metabolic", "changing my weight is fine", {("easy", "Weight")}),
    ("stress", "I need less sleep, not more", set()), ("stress", "Ich kann nicht mehr laufen", set()),
    ("stress", "Do not leave my sleep alone", set()), ("stress", "Leave neither sleep nor steps unchanged", set()),
    ("stress", "I am not unable to walk", set()), ("stress", "I cannot stop running", set()),
    ("heart", "blood pressure at least 120/80", set()), ("metabolic", "I don't touch alcohol", set()),
    ("metabolic", "No way I'm giving up my wine", {("freeze", "AlcoholDay"), ("freeze", "AlcoholYear")}),
    ("metabolic", "Weight not above 90 and not below 80", {("low", "Weight", 80.0), ("high", "Weight", 90.0)}),
    ("metabolic", "at most two drinks", set()), ("metabolic", "Don't make me lose more than 5 kg", set()),
    ("metabolic", "my weight must stay at or above 12 stone", {("low", "Weight", 76.2)}),
    ("metabolic", "My son weighs 80 kg, I can't go under 90 kg", set()),
    ("metabolic", "weight stays between 80 and 90 kilos, sleep is not to be changed",
     {("low", "Weight", 80.0), ("high", "Weight", 90.0), ("freeze", "SleepHrsNight")}),
)  # fmt: skip


@pytest.mark.parametrize("model, text, rules", MORE, ids=[text for _, text, _ in MORE])
def test_more_wishes(model: str, text: str, rules: set[Rule]) -> None:
    if model not in SCHEMAS:
        pytest.skip(f"{model} is not there")
    assert meant(SCHEMAS[model], text) == rules


@pytest.mark.parametrize("text, value", [
    ("10,000", 10_000), ("8,5", 8.5), ("seven", 7), ("seven and a half", 7.5), ("half an hour", 0.5), ("an hour and a half", 90),
    ("10k", 10_000),
    ("five thousand", 5_000), ("twenty-five", 25), ("two hundred", 200), ("6.25", 6.25), ("1,250.5", 1250.5), ("an hour", 1),
])  # fmt: skip
def test_numbers_however_they_are_written(text: str, value: float) -> None:
    found = [token for token in tokens(text) if token.number is not None]
    assert [token.number for token in found] == [value] and not found[0].unsure


def test_a_number_that_may_be_two_is_known_as_such() -> None:
    assert tokens("10.000")[0].unsure and tokens("1.2.3")[0].unsure and not tokens("0.250")[0].unsure


words = st.sampled_from(
    [*(" ".join(phrase) for phrase in cues.phrases()), "7", "8,5", "10k", "hours", "kg", "steps", "zorb", ",", "and", "but", "?", "."]
)


@given(schema=schemas(4), said=st.lists(words | st.text(LETTERS, max_size=8), max_size=12).map(" ".join), data=st.data())
@QUICK
def test_any_text_for_any_schema_gives_rules_that_a_request_can_have_and_tells_each(schema: Schema, said: str, data: st.DataObject) -> None:
    """Names of the schema stand in the text as well; every rule is told with its feature, and quotes the text."""
    said = " ".join([said, *data.draw(st.lists(st.sampled_from(schema.names) | words, max_size=6))])
    understood = understand(schema, said)
    record = data.draw(records(schema))
    sentences = understood.sentences(schema)
    assert len(sentences) == max(1, len(understood.rules) + len(understood.left))
    for rule, sentence in zip(understood.rules, sentences, strict=False):
        assert schema[rule.feature].title in sentence and all(part in said for part in rule.said.split(" … "))
    made = understood.constraints(schema, record.to_mapping())
    free = {f.name for f in schema.features if f.mutable and f.name not in schema.completed}
    if free - made.freeze:
        check_constraints(schema, made)


def test_a_feature_that_is_called_like_a_word_of_wishes_is_in_doubt() -> None:
    schema = Schema((Feature("more", low=0, high=10, step=1), Feature("steps", low=0, high=10, step=1)))
    assert not meant(schema, "no more steps") and meant(schema, "keep steps as it is") == {("freeze", "steps")}


def test_a_schema_brings_words_of_its_own() -> None:
    feature = Feature("x17", label="Fibre", unit="g/day", low=0, high=90, step=1, synonyms=("roughage", "whole grain"))
    schema = Schema((feature,))
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema
    assert meant(schema, "at least 20 g of roughage") == {("low", "x17", 20.0)} and meant(schema, "leave whole grain alone") == {
        ("freeze", "x17")
    }
    with pytest.raises(SchemaError, match="a synonym"):
        Feature("x", low=0, high=1, step=1, synonyms=("",))
    assert Schema((replace(feature, synonyms=()),)).hash != schema.hash


def test_no_more_holds_what_the_record_has_where_it_might_also_fall() -> None:
    schema = Schema((Feature("coffee", unit="cups", low=0, high=10, step=1), Feature("tea", low=0, high=10, step=1)))
    understood = understand(schema, "no more coffee please")
    assert understood.sentences(schema) == ["coffee: does not go up (“no more coffee please”)."]
    assert understood.constraints(schema, {"coffee": 3, "tea": 1}).bounds == {"coffee": (0.0, 3.0)}
    assert understood.constraints(schema, {"coffee": None, "tea": 1}).freeze == {"coffee"}
    Record.from_mapping(schema, {"coffee": 3, "tea": 1})


def test_a_wish_is_told_back_and_nothing_is_answered_before_it_is_agreed_to(command: Callable[..., Ran], toy: Path) -> None:
    asked = (
        "explain",
        "--sample",
        "1",
        "--model",
        toy,
        "--generator",
        "none",
        "--wish",
        "my knee hurts, no smoking talk, keep steps a day as it is",
    )
    ran = command(*asked)
    assert ran.code == 2 and not ran.out and "Steps a day: kept as it is" in ran.err
    assert "Not understood and not used: “my knee hurts”" in ran.err and "--yes, or with --freeze steps" in ran.err
    ran = command(*asked, "--yes", "--json")
    assert ran.code == 0 and json.loads(ran.out)["provenance"]["freeze"] == ["steps"]
    assert command("explain", "--sample", "1", "--model", toy, "--yes").code == 2
    ran = command(*asked[:-1], "lorem ipsum")
    assert ran.code == 2 and "Nothing of the wish was understood." in ran.err


@pytest.mark.parametrize("agrees", [True, False])
def test_somebody_at_a_terminal_is_asked(command: Callable[..., Ran], toy: Path, monkeypatch: pytest.MonkeyPatch, agrees: bool) -> None:
    monkeypatch.setattr("sensecf_edge.cli.wishes.somebody", lambda: True)
    monkeypatch.setattr(click, "confirm", lambda *_, **__: agrees)
    ran = command(
        "explain", "--sample", "1", "--model", toy, "--generator", "none", "--wish", "leave my steps a day alone", "--freeze", "smoker"
    )
    assert ran.code == (0 if agrees else 2) and bool(ran.out) == agrees


def test_a_wish_and_options_hold_together() -> None:
    schema = Schema((Feature("tea", low=0, high=10, step=1), Feature("x", low=0, high=1, step=1)))
    made = understand(schema, "at most 5 tea").constraints(schema, {"tea": 3, "x": 0}, Constraints(bounds={"tea": (2, 9)}, freeze={"x"}))
    assert made.bounds == {"tea": (2.0, 5.0)} and made.freeze == {"x"}


def test_a_wish_as_long_as_a_book_is_refused_and_signs_that_steer_are_not_told() -> None:
    schema = Schema((Feature("tea", low=0, high=10, step=1),))
    with pytest.raises(ConstraintError, match="2,000"):
        understand(schema, "tea " * 600)
    assert "\x1b" not in "".join(understand(schema, "no \x1b[2J tea").sentences(schema)) and STRESSED
