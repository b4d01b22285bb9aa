"""Several rows a person: found where nobody named a person, by name, by content and without a column; ordinary tables pass."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import Ran
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("sklearn", reason="the build side is not installed")

from sensecf_convert.table import column_names, repeated_rows, sources
from sensecf_convert.table.cohort import of_frame
from sensecf_convert.table.repeated_rows import adjoining, alike, clumps, columns_of, naming, nobody_named, refuse_repeated_people

from sensecf_edge.errors import TableError

Command = Callable[..., Ran]


def visits(people: int, each: int, noise: float, seed: int = 0, label: str = "person") -> pd.DataFrame:
    """People of six measured traits, each read `each` times with noise; the outcome is the person's, or the day's, by chance."""
    chance = np.random.default_rng(seed)
    who = np.repeat(np.arange(people), each)
    traits = chance.normal(0, 1, (people, 6))[who] + noise * chance.normal(0, 1, (people * each, 6))
    table = pd.DataFrame(np.round(10 * traits + 50, 1), columns=list("abcdef"))
    table["age"], table["sex"] = chance.integers(20, 80, people)[who], chance.choice(["f", "m"], people)[who]
    sick = chance.random(people)[who] if label == "person" else chance.random(len(who))
    table["outcome"], table["who"] = np.where(sick < 0.5, "sick", "well"), [f"x{k}" for k in who]
    return table.sample(frac=1, random_state=seed).reset_index(drop=True)


def held(table: pd.DataFrame) -> dict[str, repeated_rows.Held]:
    return columns_of(of_frame(table))


@pytest.mark.parametrize("name", ["patient_id", "PatientID", "id", "subject", "SEQN", "Participant Nr", "user_id", "pt_id"])
def test_a_column_called_like_people_is_found_whatever_it_holds(name: str) -> None:
    table = visits(60, 12, 3.0, label="day").rename(columns={"who": name})
    found = naming(held(table), "outcome")
    assert found == f"{name} has 60 different values in 720 rows and is called like a column that names people"


@pytest.mark.parametrize("name", ["patient_age", "hospital_id", "visit_id", "days", "average", "subject_weight", "idea"])
def test_other_columns_are_not_called_like_people(name: str) -> None:
    assert not column_names.people(name)


@settings(max_examples=30)
@given(people=st.integers(25, 80), each=st.integers(2, 12), noise=st.floats(0.1, 1.0), whole=st.booleans(), seed=st.integers(0, 9))
def test_a_column_that_holds_people_is_found_whatever_it_is_called(people: int, each: int, noise: float, whole: bool, seed: int) -> None:
    table = visits(people, each, noise, seed, "day")
    table["who"] = table["who"].str[1:].astype(int) * 7 + 3 if whole else table["who"]
    table = table.rename(columns={"who": "code"})
    assert naming(held(table), "outcome").startswith(f"code has {people} different values")


def test_rows_of_one_outcome_a_value_name_people_too() -> None:
    table = visits(60, 12, 9.0, label="person").drop(columns=["age", "sex"]).rename(columns={"who": "code"})
    assert "rows of equal code have the same outcome" in naming(held(table), "outcome")


@pytest.mark.parametrize(("each", "noise"), [(12, 0.3), (12, 1.0), (2, 0.3), (5, 0.6)])
def test_without_such_a_column_what_never_changes_tells_people_apart(each: int, noise: float) -> None:
    table = visits(80, each, noise, label="day").drop(columns="who")
    assert "rows that agree in age, sex are alike in most other columns too" in alike(held(table), "outcome")


@pytest.mark.parametrize(("each", "size"), [(12, (7, 13)), (2, (2, 2)), (24, (13, 25))])
def test_clumps_are_seen_where_nothing_else_is_there(each: int, size: tuple[int, int]) -> None:
    table = visits(120, each, 0.15, label="day")[[*"abcdef", "outcome"]]
    found = clumps(held(table), "outcome")
    assert size[0] <= int(found.split("of about ")[1].split(",")[0]) <= size[1]
    (question,) = refuse_repeated_people(held(table), "outcome", allowed=False)
    assert "are there several rows a person?" in question and refuse_repeated_people(held(table), "outcome", allowed=True) == []


@settings(max_examples=40)
@given(seed=st.integers(0, 200), rows=st.integers(60, 600), choices=st.integers(2, 30), scale=st.sampled_from([1.0, 10.0, 1000.0]))
def test_a_row_a_person_asks_nothing(seed: int, rows: int, choices: int, scale: float) -> None:
    chance = np.random.default_rng(seed)
    shared = chance.normal(0, 1, (rows, 1))
    X = np.round(scale * (chance.normal(0, 1, (rows, 5)) + shared), 1)
    y = np.where(X[:, 0] + scale * chance.normal(0, 1, rows) > 0, "sick", "well")
    table = pd.DataFrame(X, columns=list("abcde")).assign(
        age=chance.integers(18, 90, rows), sex=chance.choice(["f", "m"], rows), site=chance.integers(0, choices, rows),
        height=np.round(chance.normal(170, 9, rows)), outcome=y, id=np.arange(rows),
    )  # fmt: skip
    assert refuse_repeated_people(held(table), "outcome", allowed=False) == []


@pytest.mark.skipif("SENSECF_DATA" not in os.environ, reason="set SENSECF_DATA to the folder of the public tables")
@pytest.mark.parametrize(("name", "target"), [("heart", "disease"), ("metabolic", "Diabetes"), ("stress", "stress")])
def test_the_shipped_tables_ask_nothing_but_for_their_person(name: str, target: str) -> None:
    columns = held(sources.SOURCES[name](Path(os.environ["SENSECF_DATA"])))
    if name == "stress":
        with pytest.raises(TableError, match="person has 14 different values"):
            refuse_repeated_people(columns, target, allowed=False)
        assert nobody_named(columns, None) and not nobody_named(columns, "person")
    else:
        assert refuse_repeated_people(columns, target, allowed=False) == []


def test_draft_and_fit_refuse_it_and_say_what_to_do(command: Command, tmp_path: Path) -> None:
    table, schema = tmp_path / "t.csv", tmp_path / "s.json"
    visits(40, 6, 0.5).rename(columns={"who": "patient_id"}).to_csv(table, index=False)
    ran = command("schema", "draft", table, "--target", "outcome", "-o", schema)
    assert ran.code == 2 and "(--person)" in ran.err and "--allow repeated" in ran.err and not schema.exists()
    assert command("schema", "draft", table, "--target", "outcome", "--person", "patient_id", "-o", schema).code == 0
    how: tuple[Any, ...] = (table, "--target", "outcome", "--wanted", "well", "--schema", schema)
    ran = command("fit", *how, "-o", tmp_path / "o", "--work", tmp_path / "w")
    assert ran.code == 2 and "patient_id has 40 different values in 240 rows" in ran.err and "--person" in ran.err
    assert not (tmp_path / "w").exists() and not (tmp_path / "o").exists()
    assert command("schema", "draft", table, "--target", "outcome", "--allow", "repeated", "-o", tmp_path / "all.json").code == 0


@pytest.mark.parametrize(
    ("name", "fixed"),
    [("Age", True), ("sex", True), ("family_history", True), ("birth_weight", True), ("waist_height_ratio", False), ("dosage", False)],
)
def test_a_draft_marks_what_nobody_can_change(name: str, fixed: bool) -> None:
    from sensecf_convert.table.draft import drafted

    chance = np.random.default_rng(0)
    table = pd.DataFrame({name: chance.integers(0, 60, 100), "steps": chance.integers(0, 9000, 100), "y": ["a", "b"] * 50})
    made = {f["name"]: f.get("mutable", True) for f in drafted(of_frame(table), "y")["features"]}
    assert made == {name: not fixed, "steps": True}


@pytest.mark.parametrize("name", ["time_to_event", "FollowUpDays", "length_of_stay", "survival", "num_visits", "days_to_death"])
def test_what_is_known_only_later_is_called_so(name: str) -> None:
    assert column_names.later(name) and not any(map(column_names.later, ("age", "steps", "time_in_range", "sleep_duration", "visit_hour")))


def followed(each: int, people: int = 60) -> pd.DataFrame:
    """People without any name whose readings have nothing in common but what never changes, their rows one behind the other."""
    draw = np.random.default_rng(4)
    fixed = pd.DataFrame({"age": draw.integers(25, 80, people), "sex": draw.choice(["f", "m"], people)})
    table = fixed.loc[np.repeat(np.arange(people), each)].reset_index(drop=True)
    for name in ("glucose", "steps", "sleep", "weight"):
        table[name] = draw.normal(size=len(table)).round(3)
    return table.assign(outcome=draw.choice(["ill", "well"], len(table)))


@pytest.mark.parametrize("each", [2, 3, 6, 20])
def test_rows_of_one_person_are_known_by_standing_together(each: int) -> None:
    table = followed(each)
    assert "neighbouring rows agree in age, sex" in adjoining(held(table), "outcome")
    with pytest.raises(TableError, match="--person"):
        refuse_repeated_people(held(table), "outcome", False)
    assert not adjoining(held(table.sample(frac=1, random_state=0)), "outcome")


@pytest.mark.parametrize("order", [["age"], ["sex", "age"], ["outcome", "sex", "age"], ["outcome", "age", "sex"]])
def test_a_sorted_table_of_one_row_a_person_does_not_look_so(order: list[str]) -> None:
    for ascending in (True, False):
        table = followed(1, 900).sort_values(order, ascending=ascending).reset_index(drop=True)
        assert not adjoining(held(table), "outcome")
