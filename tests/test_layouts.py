"""What an answer looks like as a line: nothing rounded that was checked, no column over another, none without a name of its own."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensecf_edge.answer.result import Change, Counterfactual, Explanation, Risk
from sensecf_edge.batch import layouts
from sensecf_edge.schema.feature import Feature
from sensecf_edge.schema.schema import Schema
from sensecf_edge.table.lines import split

TAKEN = [column.name for column in layouts.columns("wide", Schema((Feature("x", low=0, high=1, step=1),)))][:-1]


def schema(*names: str) -> Schema:
    return Schema(tuple(Feature(name, low=0, high=100, step=0.5) for name in names))


def told(schema: Schema, after: dict[str, Any]) -> Explanation:
    """Made up: each of `after` is a change."""
    changes = tuple(Change(name, 0.0, value) for name, value in after.items())
    found = Counterfactual(changes, 1 / 3, len(changes), 0.1, None, "refined")
    risk = Risk(2 / 3, 2 / 3, 2 / 3, 0.5, 0.45, 0.5, "balanced")
    common: dict[str, Any] = {"status": "found", "p_target": 1 / 3, "risk": risk, "unknown": ()}
    data: dict[str, Any] = {f: None for f in Explanation.__dataclass_fields__} | common | {"found": (found,), "first_try": None}
    return Explanation(**data)


def read(schema: Schema, explanation: Explanation, layout: str = "wide") -> tuple[list[dict[str, str]], list[dict[str, Any]]]:
    """Its lines, by way of CSV and by way of JSON."""
    shown = layouts.columns(layout, schema)
    rows = list(layouts.lines(layout, shown, 1, "a", explanation))
    head = layouts.as_csv([[column.name for column in shown]])
    table = list(csv.DictReader(io.StringIO((head + layouts.written("csv", shown, rows)).decode())))
    return table, [json.loads(line) for line in layouts.written("json", shown, rows).splitlines()]


@given(st.lists(st.sampled_from([*TAKEN, *(f"new_{n}" for n in TAKEN), *(f"new_new_{n}" for n in TAKEN), "x"]), min_size=1, unique=True))
def test_every_feature_has_a_column_of_its_own_whatever_it_is_called(names: list[str]) -> None:
    about = schema(*names)
    shown = [column.name for column in layouts.columns("wide", about)]
    assert len(set(shown)) == len(shown) == len(TAKEN) + len(names) and shown[: len(TAKEN)] == TAKEN
    renamed = layouts.renamed("wide", about)
    after = {name: i + 0.5 for i, name in enumerate(names)}
    for (row,) in read(about, told(about, after)):
        assert {name: float(row[renamed.get(name, name)]) for name in names} == after
    assert set(renamed) == set(names) & set(TAKEN)


@pytest.mark.parametrize("value", [200312.5, 1234567.5, 0.1, 1e-7, 999999.5])
def test_a_feature_s_value_is_written_as_it_was_checked_and_figures_keep_six_digits(value: float) -> None:
    about = schema("wage")
    (row,), (line,) = read(about, told(about, {"wage": value}))
    assert float(row["wage"]) == line["wage"] == value and row["p_after"] == "0.333333" and line["p_after"] == 1 / 3
    ((long,), _) = read(about, told(about, {"wage": value}), "long")
    assert float(long["after"]) == value


def test_a_record_without_an_answer_has_a_line_in_every_layout() -> None:
    about = schema("wage", "status")
    none = Explanation(**{**vars(told(about, {})), "status": "none", "found": ()})
    for layout in ("long", "wide"):
        (row,), _ = read(about, none, layout)
        assert (row["row"], row["id"], row["status"], row["answer"], row["p_after"]) == ("1", "a", "none", "", "")


@given(st.lists(st.text(alphabet='a,"\0é'), min_size=1, max_size=4))
def test_what_is_written_as_csv_is_read_again_odd_characters_among_it(cells: list[str]) -> None:
    assert split(layouts.as_csv([cells]).decode().removesuffix("\n"), ",") == cells
