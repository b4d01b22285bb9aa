"""What a generator reads: one item per feature on its lattice, or the same in words."""

from __future__ import annotations

import pytest
from conftest import SCHEMA, STRESSED
from hypothesis import HealthCheck, given, settings
from strategies import spaces
from test_rules import SCHEMA as RELATED
from test_rules import space as related

from sensecf_edge.admissible import Admissible, Constraints, admissible
from sensecf_edge.errors import BundleError
from sensecf_edge.prompt import ARROW, UNKNOWN, build, compact_items, want
from sensecf_edge.record import Record
from sensecf_edge.schema import Schema

TOY = Schema.from_json(SCHEMA)
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def toy(limits: Constraints | None = None, **changes: object) -> Admissible:
    return admissible(Record.from_mapping(TOY, {**STRESSED, **changes}), limits)


def test_a_compact_prompt_is_the_wanted_class_one_item_a_feature_and_an_arrow() -> None:
    assert build("compact", toy(), "calm") == "want=calm;age=44;steps=3000;deep_sleep=10;smoker=yes;=>"
    assert build("compact", toy(deep_sleep=None), "calm") == "want=calm;age=44;steps=3000;deep_sleep=?;smoker=yes;=>"


def test_a_value_off_the_lattice_is_shown_as_the_nearest_one() -> None:
    assert ";steps=3000;" in build("compact", toy(steps=3249.9), "calm")
    assert ";steps=3500;" in build("compact", toy(steps=3250.1), "calm")


@given(where=spaces())
@QUICK
def test_a_compact_prompt_is_made_of_the_items_of_the_vocabulary_alone(where: Admissible) -> None:
    text = build("compact", where, "well")
    assert text.startswith(want("well")) and text.endswith(ARROW)
    rest = text.removeprefix(want("well"))
    for feature in where.record.schema.features:
        item = next(i for i in compact_items(feature) if rest.startswith(i))
        rest = rest.removeprefix(item)
    assert rest == ARROW


def test_the_prompt_does_not_depend_on_the_request_so_that_records_share_it() -> None:
    limits = Constraints(frozenset({"smoker"}), {"steps": (4000, 9000)}, 1)
    assert build("compact", toy(limits), "calm") == build("compact", toy(), "calm")


def test_words_say_units_what_is_fixed_how_far_and_what_is_always_true() -> None:
    text = build("instruct", related(Constraints(frozenset({"rem"}), max_changes=2), height=None), "well")
    for part in (
        "predict: well.", "- age = 50 (fixed)", "- deep = 20 (may become 21 to 40 in steps of 1)", "- rem = 20 (fixed)",
        "- light = 60 (fixed)", "- height = unknown (fixed)", "- smokes = no (may become yes)", "at most 2 features", "Answer: ",
        *(f"Always true: {relation.words()}." for relation in RELATED.relations),
    ):  # fmt: skip
        assert part in text, part
    assert f"- age = 44 years{' (fixed)'}" in build("instruct", toy(), "calm")


@given(where=spaces())
@QUICK
def test_every_style_is_the_same_text_every_time_and_names_every_feature(where: Admissible) -> None:
    for style in ("compact", "instruct"):
        text = build(style, where, "well")
        assert text == build(style, where, "well")
        assert all(name in text for name in where.record.schema.names)


def test_an_unknown_style_is_refused_with_those_there_are() -> None:
    with pytest.raises(BundleError, match="prompt style 'poem' is not known; this version has compact, instruct"):
        build("poem", toy(), "calm")


def test_an_unknown_value_has_an_item_of_its_own() -> None:
    assert compact_items(TOY["smoker"]) == ["smoker=yes;", "smoker=no;", f"smoker={UNKNOWN};"]
