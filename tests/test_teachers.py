"""Teachers: whoever answers, the answer is admissible, reaches a goal and breaks nothing; nobody's own row is ever asked about."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from cohort import people, write_csv
from conftest import SCHEMA, toy_classifier, toy_typical
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from sensecf_convert.evaluate import teacher_answers
from sensecf_convert.table.cohort import Cohort
from sensecf_convert.teachers import classroom, search
from sensecf_convert.teachers import lesson as teachers_lesson
from sensecf_convert.teachers import people as teachers_people
from sensecf_convert.teachers.classroom import CHUNK, TEACHERS, Classroom, space_of
from sensecf_convert.teachers.lesson import Lesson, Teacher
from sensecf_convert.teachers.people import Copies, People, places
from sensecf_convert.teachers.sparsify import _nearest, holds, towards
from strategies import records, spaces
from test_refine import judges

from sensecf_edge.errors import TableError
from sensecf_edge.judge.classifier import OnnxChecker
from sensecf_edge.schema.feature import Feature, Vector
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.schema import Schema
from sensecf_edge.space import measure, rules
from sensecf_edge.space.admissible import Admissible, admissible
from sensecf_edge.space.constraints import Constraints

TOY = Schema.from_json(SCHEMA)
GOALS = (0.62, 0.58, 0.55)
ALL = tuple(TEACHERS)
QUICK = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def train(rows: int = 240, days: int = 8) -> Cohort:
    """The toy schema's people with `days` rows each; three in four labels are what the toy classifier says."""
    chance = np.random.default_rng(0)
    raw = people(rows)
    X = np.array(
        [[p["age"], p["steps"], np.nan if p["deep_sleep"] == "" else p["deep_sleep"], ["yes", "no"].index(p["smoker"])] for p in raw]
    )
    y = (OnnxChecker(toy_classifier(), 4, 1).p_target(X) >= 0.5) ^ (chance.random(rows) < 0.25)
    return Cohort(TOY, X.astype(float), y, np.array([f"person {i // days}" for i in range(rows)]), ("stressed", "calm"))


def lesson(names: tuple[str, ...] = ("search",), wanted: int = 1, data: Cohort | None = None, floor: float = 0.0) -> Lesson:
    return Lesson(TOY, toy_classifier(), toy_typical(), 0.5, GOALS, 3, names, wanted, data, floor)


@pytest.mark.parametrize("wanted", [0, 1])
@pytest.mark.parametrize("name", ALL)
def test_every_answer_is_admissible_reaches_a_goal_and_starts_on_the_other_side(name: str, wanted: int) -> None:
    data = train()
    room = Classroom(lesson((name,), wanted, data))
    taught = [pair for k in range(3) for pair in room.chunk(0, k)]
    assert len(taught) > 20
    checker = OnnxChecker(toy_classifier(), 4, wanted)
    X, Y = (np.array([pair[k] for pair in taught]) for k in (0, 1))
    assert (checker.p_target(X) < 0.5).all() and (checker.p_target(Y) >= GOALS[-1]).all()
    for x, y, teacher in taught:
        space = space_of(room.lesson, x)
        assert teacher == 0 and space is not None and rules.admitted(space, y[None])[0]
    rows = {row.tobytes() for row in places(TOY, data.X)}
    assert not rows & {row.tobytes() for row in places(TOY, X)}


def test_chunks_depend_on_seed_and_number_alone_and_teachers_take_turns() -> None:
    data = train(96)
    plain = lesson(ALL)
    room = Classroom(replace(plain, data=data))
    expected = [room.chunk(7, k) for k in range(6)]
    for jobs, skip in ((1, 0), (2, 3)):
        stream = classroom.teach(plain, data, 7, jobs, skip)
        for k in range(skip, 6):
            made = next(stream)
            assert [t for *_, t in made] == [k % 3] * len(made) and made
            np.testing.assert_array_equal([x for x, *_ in made], [x for x, *_ in expected[k]])
            np.testing.assert_array_equal([y for _, y, _ in made], [y for _, y, _ in expected[k]])
        stream.close()
    again, other = room.chunk(7, 0), room.chunk(8, 0)
    assert [x.tobytes() for x, *_ in again] == [x.tobytes() for x, *_ in expected[0]] != [x.tobytes() for x, *_ in other]


def test_a_pair_stays_within_one_person() -> None:
    data = train()
    room = Classroom(lesson(("pairs",), 1, data))
    (pairs,) = room.teachers
    drawn, found = room.asked(0, 200, np.random.default_rng(0)), 0
    for x, person in zip(drawn.X, drawn.persons, strict=True):
        space = space_of(room.lesson, x)
        assert space is not None and pairs.answer(space) is None, "a stranger has no good days"
        y = pairs.answer(space, str(person))
        if y is None:
            continue
        found += 1
        days = data.X[data.y & (data.persons == person)]
        changed = np.flatnonzero(measure.changed(x, y[None])[0])
        like = np.array([_nearest(space, i, days[:, i]) == y[i] for i in changed])
        assert like.all(axis=0).any(), "no single good day of this person holds these values"
    assert found > 20


def test_a_search_ends_where_no_change_is_left_to_add() -> None:
    """One feature with one value to go to: there is no set of two."""
    record = Record(TOY, np.array([44.0, 3000.0, 18.0, 0.0]))
    space = admissible(record, Constraints(freeze=frozenset({"steps", "deep_sleep"})))
    assert [len(space.values[i]) for i in space.features] == [1]
    room = Classroom(lesson(data=train()))
    y = search.search(room.judge, space, (0.999, 0.01))
    assert y is not None and measure.sparsity(record.vector, y[None])[0] <= 1


@given(where=spaces(), chance=st.randoms(use_true_random=False), data=st.data())
@QUICK
def test_answers_towards_rows_are_admissible_and_no_single_change_can_be_taken_back(
    where: Admissible, chance: random.Random, data: st.DataObject
) -> None:
    schema, x = where.record.schema, where.record.vector
    rows = np.array([r.vector for r in data.draw(st.lists(records(schema), min_size=1, max_size=6))])
    judge = judges(where, chance)
    goals = (judge.goal + 0.1, judge.goal)
    y = towards(judge, where, rows, goals)
    event("an answer" if y is not None else "none")
    if y is None:
        return
    assert rules.admitted(where, y[None])[0]
    p = float(judge.checker.p_target(y[None])[0])
    reached = next(goal for goal in goals if p >= goal)
    proposed = [i for i in where.record.differences(y) if schema.names[i] not in schema.completed]
    assert any(all(y[i] == _nearest(where, i, row[i : i + 1])[0] for i in proposed) for row in rows)
    for i in proposed:
        back = y.copy()
        back[i] = x[i]
        held, _ = holds(replace(judge, goal=reached), where, rules.complete(schema, x, back[None]), 0.0)
        assert not held[0], f"{schema.names[i]} could have stayed"


def test_what_one_move_reaches_towards_a_row_is_found() -> None:
    """Not vacuous: for a row that is one change away from the goal, that change is the answer."""
    data = train()
    room = Classroom(lesson(("neighbours",), 1, data))
    space = space_of(room.lesson, np.array([44.0, 3000.0, 18.0, 0.0]))
    assert space is not None
    y = towards(room.judge, space, np.array([[20.0, 14000.0, 18.0, 0.0]]), GOALS)
    assert y is not None and y.tolist() == [44.0, 14000.0, 18.0, 0.0]


def test_an_answer_lies_no_lower_than_the_floor_of_realism_or_its_factual() -> None:
    data = train()
    for name in ALL:
        plain, strict = (Classroom(lesson((name,), 1, data, floor)) for floor in (0.0, 60.0))
        free, held = plain.chunk(0, 0), strict.chunk(0, 0)
        assert strict.judge.realism is not None
        low = 0
        for pairs in (free, held):
            X, Y = (np.array([pair[k] for pair in pairs]) for k in (0, 1))
            below = strict.judge.realism.percentile(Y) < np.minimum(60.0, strict.judge.realism.percentile(X))
            low += below.sum() if pairs is free else 0
            assert pairs is free or not below.any()
        assert low, f"{name}: the floor never mattered, so this test says nothing"


def test_nobody_is_ever_asked_about_as_they_stand_in_the_table() -> None:
    data = train()
    made = People(data)
    own = {row.tobytes() for row in places(TOY, data.X)}
    chance = np.random.default_rng(0)
    bad = np.flatnonzero(~data.y)
    for drawn in (made.invented(4000, chance), made.nudged(bad, 4000, chance)):
        assert len(drawn.X) > 2000 and not own & {row.tobytes() for row in places(TOY, drawn.X)}
    assert made.invented(4000, chance).dropped > 0, "no copy came up, so this test says nothing"
    far = measure.relative_changes(TOY, data.X[bad[0]], made.nudged(bad[:1], 200, chance).X).mean(axis=1)
    assert np.median(far) < 0.2


SHORT = Schema(tuple(Feature(name, "choice", choices=("low", "middle", "high")) for name in "abcde"))


def choices(rows: int, most: float, schema: Schema = SHORT) -> Cohort:
    """Rows of choices only, of which a share `most` are one and the same."""
    chance = np.random.default_rng(0)
    X = chance.integers(0, 3, (rows, len(schema))).astype(float)
    X[chance.random(rows) < most] = 0
    return Cohort(schema, X, np.arange(rows) % 2 == 0, np.array([str(i) for i in range(rows)]), ("ill", "well"))


def test_a_combination_that_many_share_is_natural_and_one_of_few_is_their_own() -> None:
    data = choices(150, 0.3)
    copies = Copies(data)
    common = np.zeros((1, 5))
    rare = data.X[[i for i in range(150) if (data.X[i] == data.X).all(axis=1).sum() == 1][:1]]
    absent = next(row for row in np.ndindex(*[3] * 5) if not (row == data.X).all(axis=1).any())
    assert copies.natural(common)[0] and not copies.own(common)[0]
    assert copies.own(rare)[0] and not copies.natural(rare)[0]
    unheard = np.array([absent], dtype=float)
    assert not copies.own(unheard)[0] and not copies.natural(unheard)[0]
    X = teachers_people.invent(data, 2000, np.random.default_rng(0))
    assert len(X) and not copies.own(X).any() and copies.natural(X).any()


def test_one_person_s_many_equal_rows_are_still_their_own() -> None:
    data = choices(150, 0.3)
    same = replace(data, persons=np.where((data.X == 0).all(axis=1), "the same", data.persons))
    assert Copies(same).own(np.zeros((1, 5)))[0]


def test_where_a_table_has_more_people_than_combinations_any_may_occur() -> None:
    data = choices(40, 0.0, Schema(SHORT.features[:3]))
    assert not Copies(data).own(data.X).any() and Copies(data).natural(data.X).all()
    assert len(teachers_people.invent(data, 100, np.random.default_rng(0))) == 100


@pytest.mark.parametrize(
    ("names", "data", "why"),
    [
        ((), train(40), "teachers are none; name one or more of search, neighbours, pairs"),
        (("serach",), train(40), "teachers are serach; name one or more of"),
        (("search", "search"), train(40), "each once"),
        (("pairs",), train(40, days=1), "every row is a person of its own; name the column"),
        (("search", "pairs"), replace(train(40), persons=np.where(train(40).y, "good", "bad")), "nobody has rows in both classes"),
    ],
)
def test_what_cannot_be_taught_is_said_before_anything_long_begins(names: tuple[str, ...], data: Cohort, why: str) -> None:
    with pytest.raises(TableError, match=why):
        classroom.teach(lesson(names), data, 0, 1)


def test_a_record_of_anybody_gets_the_first_teacher_s_answer() -> None:
    data, record = train(), Record(TOY, np.array([44.0, 3000.0, 10.0, 0.0]))
    for names, by in (("search",), "search"), (("pairs", "neighbours", "search"), "neighbours"), (("pairs",), "search"):
        taught = lesson(names, 1, data)
        y = classroom.answer(taught, taught.judge(), record)
        space = space_of(taught, record.vector)
        assert y is not None and space is not None
        expected = TEACHERS[by](taught, taught.judge()).answer(space)
        np.testing.assert_array_equal(y, expected)
    assert classroom.answer(lesson(("search",)), lesson().judge(), record) is not None, "search needs no rows"
    with pytest.raises(TableError, match=r"the lesson has none; give Lesson\(data="):
        classroom.answer(lesson(("neighbours",)), lesson().judge(), record)


def test_a_person_without_any_freedom_has_no_answer() -> None:
    fixed = Schema(tuple(replace(f, mutable=False) for f in TOY.features))
    taught = replace(lesson(), schema=fixed)
    assert classroom.answer(taught, taught.judge(), Record(fixed, np.array([44.0, 3000.0, 10.0, 0.0]))) is None


def test_contributions_stand_side_by_side_for_both_directions() -> None:
    data = train(160)
    for wanted in (1, 0):
        figures = teacher_answers.contributions(lesson(ALL, wanted), data, 0, 1, 70)
        assert list(figures) == list(ALL) and all(row.asked == 70 and row.broken == 0 for row in figures.values())
        assert all(row.answered > 0.3 and row.p >= GOALS[-1] and 1 <= row.n_changed <= 3 for row in figures.values())
        assert figures["search"].answered >= figures["neighbours"].answered and figures["search"].dropped == figures["neighbours"].dropped
    lines = teacher_answers.table(figures).splitlines()
    assert len(lines) == 2 + len(ALL) and len({line.count("|") for line in lines}) == 1


def test_too_few_people_to_ask_about_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teacher_answers, "MOST_CHUNKS", 2)
    with pytest.raises(TableError, match=f"{2 * CHUNK} made-up people hold fewer than 5000"):
        teacher_answers.contributions(lesson(), train(40), 0, 1, 5000)


def test_the_comparison_runs_from_a_table(tmp_path: Path) -> None:
    import json

    rows = people(160)
    calm = OnnxChecker(toy_classifier(), 4, 1)

    def label(p: dict[str, object]) -> str:
        x = np.array([[p["age"], p["steps"], p["deep_sleep"] or np.nan, ["yes", "no"].index(str(p["smoker"]))]], dtype=float)
        return "calm" if calm.p_target(x)[0] >= 0.5 else "stressed"

    table = write_csv(tmp_path / "t.csv", [{**p, "id": f"p{i // 4}", "mood": label(p)} for i, p in enumerate(rows)])
    (tmp_path / "s.json").write_text(json.dumps(SCHEMA))
    arguments = [table, "--target", "mood", "--wanted", "calm", "--schema", tmp_path / "s.json", "--person", "id", "--count", 20, "--away"]
    ran = CliRunner().invoke(teacher_answers.main, [str(a) for a in arguments], catch_exceptions=False)
    assert ran.exit_code == 0
    assert [line.split(" | ")[0] for line in ran.output.splitlines()[2:]] == ["| search", "| neighbours"]
    ran = CliRunner().invoke(teacher_answers.main, [*map(str, arguments), "--teacher", "none"], catch_exceptions=False)
    assert ran.exit_code == 1 and ran.output.startswith("Error: teachers are none; name one or more of")


def test_turned_round_a_one_way_feature_goes_the_other_way_and_back() -> None:
    schema = Schema(
        (
            Feature("steps", low=0, high=9, step=1, direction="increase"),
            Feature("glucose", low=0, high=9, step=1, direction="decrease"),
            Feature("sleep", low=0, high=9, step=1),
            Feature("age", low=0, high=9, step=1, mutable=False),
        )
    )
    assert [f.direction for f in teachers_lesson.turned(schema).features] == ["decrease", "increase", "either", "either"]
    assert not teachers_lesson.turned(schema)["age"].mutable and teachers_lesson.turned(teachers_lesson.turned(schema)) == schema


def test_every_teacher_keeps_to_the_protocol() -> None:
    data, judge = train(), lesson().judge()
    for name, make in TEACHERS.items():
        teacher: Teacher = make(lesson((name,), 1, data), judge)
        drawn = teacher.people(50, np.random.default_rng(0))
        x: Vector = drawn.X
        assert teacher.name == name and x.shape[1] == len(TOY) and len(drawn.persons) == len(x) <= 50
        assert (np.isin(drawn.persons, data.persons) if name == "pairs" else drawn.persons == "").all()
