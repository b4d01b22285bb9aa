"""The memorisation check sees what remembers and is silent about what does not, at the rates it states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import records, schemas

pytest.importorskip("torch", reason="the build side is not installed")

import torch
from sensecf_convert import plan
from sensecf_convert.generator.practice import Speaker
from sensecf_convert.generator.scratch import training
from sensecf_convert.generator.scratch.gguf import write_gguf
from sensecf_convert.generator.scratch.vocabulary import SchemaVocabulary
from sensecf_convert.memorisation import canaries, checks, formatting, inference, parrots, planted
from sensecf_convert.memorisation.likelihood import AnsweredQuestion, log_likelihoods
from sensecf_convert.memorisation.repetition import Crowd, Spoken, _Held, repeated
from sensecf_convert.table import split
from sensecf_convert.table.cohort import Cohort
from sensecf_convert.table.gower import gower
from sensecf_convert.teachers import classroom
from sensecf_convert.teachers.people import places
from sensecf_convert.work import Work
from test_teachers import lesson, train

from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.generators.prompting import Prompting
from sensecf_edge.llama.engine import LlamaEngine
from sensecf_edge.propose.instructions import Task
from sensecf_edge.schema.feature import Feature, Vector
from sensecf_edge.schema.schema import Schema
from sensecf_edge.settings import EngineSettings
from sensecf_edge.space import measure, rules

SCHEMA = Schema(
    (
        Feature("age", low=18, high=90, step=1),
        Feature("glucose", low=50, high=350, step=5, optional=True),
        Feature("load", low=0, high=100, step=1),
        Feature("sex", "choice", choices=("female", "male")),
    )
)
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def people(count: int, seed: int) -> Cohort:
    """Made-up rows, one a person, a tenth of them without glucose."""
    chance = np.random.default_rng(seed)
    X = np.column_stack(
        [chance.integers(18, 91, count), chance.integers(50, 351, count), chance.integers(0, 101, count), chance.integers(0, 2, count)]
    )
    X = X.astype(float)
    X[chance.random(count) < 0.1, 1] = np.nan
    return Cohort(SCHEMA, X, np.ones(count, dtype=bool), np.array([f"{seed}-{i}" for i in range(count)]), ("ill", "well"), True)


IN, OUT = people(210, 0), people(90, 1)
CROWD = Crowd.of(IN, OUT)


def speech(parroted: float, seed: int, source: Cohort = IN, count: int = 400) -> Spoken:
    """Answers of two features to records of people who were in and out: so many of them say what one row of `source` has, the
    others what anybody might."""
    chance = np.random.default_rng(seed)
    X, Y, asked = [], [], []
    for _ in range(count):
        side, data = (("in", IN), ("out", OUT))[chance.integers(2)]
        at = chance.integers(len(data))
        x = data.X[at]
        row = source.X[chance.integers(len(source))] if chance.random() < parroted else people(1, int(chance.integers(10, 1 << 30))).X[0]
        here = chance.choice(4, 2, replace=False)
        y = x.copy()
        y[here] = np.where(np.isnan(row[here]) | np.isnan(x[here]), x[here], row[here])
        if (places(SCHEMA, y[None]) != places(SCHEMA, x[None])).any():
            X, Y, asked = [*X, x], [*Y, y], [*asked, f"{side} {data.persons[at]}"]
    return Spoken(np.array(X), np.array(Y), tuple(asked))


def test_a_parrot_is_found_and_how_much_of_one_it_is() -> None:
    whole, half = (repeated(CROWD, speech(share, 3), IN.X) for share in (1.0, 0.5))
    assert whole["found"] and half["found"] and whole["p"] < 0.002
    assert whole["low"] < 1.0 < whole["high"] + 0.3 and whole["share"] > 0.7
    assert half["smallest"] < 0.5 and whole["alone_in"] > whole["alone_chance"] * 1.2


def test_who_repeats_strangers_or_nobody_is_no_parrot_of_the_trained() -> None:
    """Chance of a false alarm 1 in 200 each; seeds are fixed."""
    for spoken in (speech(0.0, 4), speech(0.0, 5), speech(1.0, 6, source=OUT)):
        figures = repeated(CROWD, spoken, IN.X)
        assert not figures["found"] and figures["p"] > inference.LEVEL


def test_the_smallest_share_of_parroted_answers_is_found_four_times_in_five() -> None:
    """30 draws: fewer than 18 found has a chance of 1 in 300 at four in five, of next to nothing where it is more."""
    smallest = repeated(CROWD, speech(0.0, 7), IN.X)["smallest"]
    found = [repeated(CROWD, speech(smallest, seed), IN.X)["found"] for seed in range(100, 130)]
    assert sum(found) >= 18


def test_repeating_what_everybody_has_gives_nobody_away_and_is_said_so() -> None:
    """Answers that change the sex alone: half of all people hold them, a parrot's as well."""
    x = IN.X[:100]
    y = x.copy()
    y[:, 3] = 1 - y[:, 3]
    figures = repeated(CROWD, Spoken(x, y, tuple(f"in {p}" for p in IN.persons[:100])), IN.X)
    assert not figures["found"] and figures["alone"] == 0 and figures["smallest"] is None
    assert "nothing can be said" in formatting.markdown({"said": figures})


def test_a_generator_that_repeats_one_person_again_and_again_shows_by_how_often() -> None:
    """No test among people can find one person; the count can be seen."""
    one = IN.take(np.array([7]))
    figures, usual = repeated(CROWD, speech(1.0, 11, source=one), IN.X), repeated(CROWD, speech(1.0, 12), IN.X)
    assert not figures["found"] and figures["most_in"] > 100 and figures["most_out"] < 10
    assert usual["most_in"] < 10
    assert f"holds more than {figures['most_in']:,}" in formatting.markdown({"said": {**figures, "smallest": 0.5}})


def test_the_person_who_is_asked_holds_no_answer_of_theirs() -> None:
    y = places(SCHEMA, IN.X[:1])[0]
    at = CROWD.people.index(f"in {IN.persons[0]}")
    assert CROWD.holders(y, (0, 2), None).tolist().count(at) == 1
    assert at not in CROWD.holders(y, (0, 2), at)


def test_under_ten_people_on_one_side_nothing_is_said() -> None:
    few = Crowd.of(IN, OUT.take(np.arange(9)))
    assert set(repeated(few, speech(1.0, 8), IN.X)) == {"answers", "people_in", "people_out"}
    assert inference.told_apart(np.arange(100.0), np.arange(9.0)) == {"people_in": 100, "people_out": 9}
    assert "nothing can be said" in formatting.markdown({"generator": {"people_in": 100, "people_out": 9}})


def test_people_drawn_once_each_give_the_figure_itself() -> None:
    spoken = speech(0.5, 13)
    asked = [CROWD.people.index(who) for who in spoken.asked]
    said = [(tuple(rules.proposed(SCHEMA, x, y)), who) for x, y, who in zip(spoken.X, spoken.Y, asked, strict=True)]
    held = _Held.of(CROWD, places(SCHEMA, spoken.Y), said)
    once = held.drawn(CROWD.trained, np.ones((len(CROWD.people), 1)))
    assert once == pytest.approx(held.gain(CROWD.trained[:, None].astype(np.float32)), abs=1e-6)


def test_scores_of_pairs_have_no_interval_because_a_pair_is_nobody_s() -> None:
    chance = np.random.default_rng(3)
    inside, outside = chance.normal(1, 1, size=50), chance.normal(size=50)
    people, pairs = inference.told_apart(inside, outside), inference.told_apart(inside, outside, of_people=False)
    assert people["low"] < people["auc"] < people["high"] and pairs["auc"] == pytest.approx(people["auc"], abs=1e-6)
    assert pairs["low"] is pairs["high"] is None and pairs["found"] == people["found"]
    assert "no interval: a pair is mixed" in formatting.inference_text(pairs) and "interval by people" in formatting.inference_text(people)


def test_people_who_are_no_different_are_told_apart_once_in_a_hundred_at_most() -> None:
    """600 draws: more than 15 has a chance below 1 in 1,000 at a rate of 1 in 100."""
    chance = np.random.default_rng(0)
    found = [_told(chance.normal(size=60), chance.normal(size=40)) for _ in range(600)]
    assert sum(found) <= 15


def test_the_smallest_auc_is_found_four_times_in_five() -> None:
    """Normal scores that lie apart by it; 300 draws have a standard error of 0.023, and the tail's question may add to the first."""
    from scipy.stats import norm

    n, m = 80, 50
    apart = np.sqrt(2) * norm.ppf(inference.smallest_auc(n, m))
    chance = np.random.default_rng(0)
    found = [_told(chance.normal(apart, 1, n), chance.normal(0, 1, m)) for _ in range(300)]
    assert 0.7 < np.mean(found) <= 0.95


def test_a_few_known_by_heart_are_found_among_the_highest_where_the_auc_sees_nothing() -> None:
    chance = np.random.default_rng(1)
    inside, outside = chance.normal(size=400), chance.normal(size=400)
    inside[:24] += 8  # six in a hundred
    figures = inference.told_apart(inside, outside)
    assert figures["found"] and figures["p"] > inference.LEVEL > figures["highest_p"]


def test_so_few_known_by_heart_as_is_stated_are_found_four_times_in_five() -> None:
    """200 draws have a standard error of 0.03; counts of people are whole, so a little more than four in five are found."""
    n, m = 300, 200
    share = inference.smallest_known(n, m, round(inference.HIGHEST * (n + m)))
    assert share is not None and 0.01 < share < 0.08 and inference.smallest_known(30, 20, 2) is None
    chance = np.random.default_rng(2)
    found = 0
    for _ in range(200):
        inside = chance.normal(size=n)
        inside[: round(share * n)] += 9
        found += inference.told_apart(inside, chance.normal(size=m), of_people=False)["highest_p"] < inference.LEVEL
    assert 0.7 < found / 200 < 0.98


def _told(inside: Vector, outside: Vector) -> bool:
    return bool(inference.told_apart(inside, outside, of_people=False)["found"])  # the interval is not asked here


@pytest.fixture(scope="module")
def untaught(tmp_path_factory: pytest.TempPathFactory) -> tuple[torch.nn.Module, SchemaVocabulary, Path]:
    """A generator of random weights, in torch and as GGUF."""
    vocabulary = SchemaVocabulary(lesson().schema, "calm")
    model = training.new_model(vocabulary, training.Shape(64, 128, 2, 2), 0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(5.0)  # far from flat
    return model, vocabulary, write_gguf(model, vocabulary, tmp_path_factory.mktemp("untaught") / "f32.gguf")


def test_llama_cpp_finds_answers_as_likely_as_torch(untaught: tuple[torch.nn.Module, SchemaVocabulary, Path]) -> None:
    """llama.cpp keeps keys and values as half floats; a token that was taken for another would cost nats."""
    model, vocabulary, path = untaught
    taught = lesson(data=train())
    room = classroom.Classroom(taught)
    pairs = [pair for k in range(2) for pair in room.chunk(0, k)]
    X, Y = (np.array([pair[k] for pair in pairs]) for k in (0, 1))
    p = room.judge.checker.p_target(X)
    tokens, labels = training.encode(vocabulary, X, Y, p)
    with torch.no_grad():
        logits = model(input_ids=tokens).logits[:, :-1].log_softmax(-1)
    each = logits.gather(2, labels[:, 1:].clamp(min=0)[..., None])[..., 0] * (labels[:, 1:] != training.IGNORE)
    spaces = [classroom.space_of(taught, x) for x in X]
    asked = [AnsweredQuestion("", s, float(q), y) for s, q, y in zip(spaces, p, Y, strict=True) if s is not None]
    mine = log_likelihoods(Speaker(path, Prompting("scored", "calm", Task("calm")), vocabulary.longest, room.judge.checker), asked)
    assert mine == pytest.approx(each.sum(1).numpy(), rel=0.01) and mine.std() > 3


def test_an_engine_that_was_listened_to_says_what_it_said_before(untaught: tuple[torch.nn.Module, SchemaVocabulary, Path]) -> None:
    """Each answer alone is as likely as among others: no group hears another."""
    _, vocabulary, path = untaught
    from sensecf_convert.memorisation.likelihood import of_tokens

    chance = np.random.default_rng(0)
    words = [(chance.integers(258, 300, 6).tolist(), chance.integers(258, 300, k).tolist()) for k in (1, 3, 5, 2, 4) * 20]
    with LlamaEngine(path, EngineSettings(threads=1), vocabulary.longest) as engine:
        together, alone = of_tokens(engine, words), np.array([of_tokens(engine, [w])[0] for w in words])
    assert together == pytest.approx(alone, abs=1e-3)


@pytest.fixture(scope="module")
def by_heart(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A generator that has gone over few pairs for very long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planted, "TIMES", (0, 1, 4))
        made = plan.FitPlan("toy", "stressed", "calm", pairs=120, passes=500, improve=False, size="tiny")
        return planted.experiment(Bundle.open(toy), train(400, 2), Work(tmp_path_factory.mktemp("by-heart")), made, each=8)


def test_a_generator_that_knows_its_pairs_by_heart_is_found_out(by_heart: dict[str, Any]) -> None:
    pairs = by_heart["pairs"]
    assert pairs["found"] and pairs["auc"] > 0.7


def test_canaries_stand_out_the_more_the_oftener_they_were_planted(by_heart: dict[str, Any]) -> None:
    """Of eight that were planted nowhere the mean exposure has a standard error of 0.5 bits."""
    bits = by_heart["canaries"]
    assert bits["0"] < canaries.BY_CHANCE + 2.5 < bits["4"] and bits["1"] > bits["0"]


def test_a_copy_is_a_copy_on_the_lattice_with_unknown_equal_to_unknown() -> None:
    rows = np.array([[40.0, np.nan, 1.0, 1.0], [50.0, 100.0, 0.0, 0.0]])
    asked = np.array([[40.3, np.nan, 1.0, 1.0], [50.0, 102.0, 0.0, 0.0], [50.0, 103.0, 0.0, 0.0], [40.0, 100.0, 1.0, 1.0]])
    assert [checks.exact(SCHEMA, row[None], rows) for row in asked] == [1, 1, 0, 0]
    assert checks.exact(SCHEMA, asked[:0], rows) is None


def test_words_are_lines_of_one_table_whatever_was_found() -> None:
    chance = np.random.default_rng(0)
    figures = {
        "said": repeated(CROWD, speech(0.5, 9), IN.X), "generator": inference.told_apart(chance.normal(size=50), chance.normal(size=50)),
        "classifier": inference.told_apart(chance.normal(2, 1, size=50), chance.normal(size=50)),
        "density": {"people_in": 8, "people_out": 3},
        "exact_factuals": 0.0,
    }  # fmt: skip
    lines = formatting.markdown(figures).splitlines()
    assert len(lines) == 7 and all(line.count("|") == 3 for line in lines) and "nan" not in "".join(lines)
    assert "**can be told**" in lines[4] and "not told" in lines[3] and "the classifier" in formatting.summary(figures)


@given(st.data())
@QUICK
def test_gower_is_symmetric_zero_on_itself_and_the_proximity_of_known_records(data: st.DataObject) -> None:
    schema = data.draw(schemas(relations=False))
    A, B = (np.array([r.vector for r in data.draw(st.lists(records(schema), min_size=1, max_size=5))]) for _ in range(2))
    D = gower(schema, A, B)
    np.testing.assert_allclose(D, gower(schema, B, A).T)
    assert (D >= 0).all()
    for i, a in enumerate(A):
        assert gower(schema, a[None], a[None])[0, 0] == (1.0 if np.isnan(a).all() else 0.0)
        for j, b in enumerate(B):
            both = ~(np.isnan(a) | np.isnan(b))
            if both.all():
                assert D[i, j] == pytest.approx(measure.proximity(schema, a, b[None])[0])
            if not both.any():
                assert D[i, j] == 1


def test_parrots_are_found_and_those_that_stand_beside_people_are_missed_as_the_page_says() -> None:
    good = np.arange(len(IN)) % 2 == 0
    heard = parrots.heard(split.Parts(Cohort(SCHEMA, IN.X, good, IN.persons, IN.classes, True), OUT), 0)
    assert heard["training people, always"]["found"] and heard["training people, half of the time"]["found"]
    for name in ("of each feature anybody's value", "training people, each number a step beside", "one training person, always"):
        assert not heard[name]["found"], name
    assert heard["one training person, always"]["most_in"] > 100 > 10 > heard["training people, always"]["most_out"]
