"""What answers advise: counted from the records alone, so that a fault in the rules would be seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import spaces

pytest.importorskip("pandas", reason="the build side is not installed")

from sensecf_convert.evaluate import advice

from sensecf_edge.schema.feature import Feature
from sensecf_edge.schema.relation import Relation
from sensecf_edge.schema.schema import Schema
from sensecf_edge.space import rules
from sensecf_edge.space.admissible import Admissible

SCHEMA = Schema(
    (
        Feature("age", low=18, high=90, step=1, mutable=False),
        Feature("sleep", low=0, high=12, step=0.5, direction="increase", advise=(7, 9), advise_source="A, 2015", direction_source="B"),
        Feature("mean", low=80, high=300, step=5, direction="decrease", role="marker", advise_for=(120, 300)),
        Feature("above", low=0, high=100, step=1, direction="decrease"),
        Feature("rate", low=60, high=220, step=1),
        Feature("smokes", "choice", choices=("no", "yes"), direction="decrease"),
        Feature("packs", low=0, high=3, step=1),
        Feature("weight", low=0, high=200, step=1, relative_max_change=0.1, advise_if=(("age", (18, 75)), ("smokes", ("yes",)))),
    ),
    (
        Relation("causes", ("mean", "above"), slope=0.5, completes="above"),
        Relation("le", ("rate", "age"), slope=-0.7, intercept=218),
        Relation("implies", ("packs", "smokes"), if_values=("1", "2", "3"), then_values=("yes",)),
    ),
)
ME = [70.0, 6.0, 180.0, 40.0, 140.0, 1.0, 1.0, 90.0]
ANSWERS: dict[str, tuple[dict[str, float], set[str]]] = {
    "nothing wrong": ({"sleep": 8, "mean": 160, "above": 30, "rate": 165, "packs": 0, "smokes": 0}, set()),
    "less sleep": ({"sleep": 5.5}, {"against", "past"}),
    "sleep past what is advised": ({"sleep": 10}, {"past"}),
    "begins to smoke more": ({"packs": 2}, set()),
    "packs without smoking": ({"smokes": 0}, {"broken"}),
    "older": ({"age": 71}, {"against"}),
    "the mean without the time above": ({"mean": 160}, {"broken"}),
    "the time above without the mean": ({"above": 30}, {"broken"}),
    "a tenth of the weight": ({"weight": 81}, set()),
    "more than a tenth of the weight": ({"weight": 80}, {"past"}),
    "a heart rate that nobody of that age has": ({"rate": 190}, {"broken"}),
}


@pytest.mark.parametrize("case", ANSWERS, ids=list(ANSWERS))
def test_an_answer_that_no_clinician_would_give_is_counted(case: str) -> None:
    changes, faults = ANSWERS[case]
    x = np.array([ME])
    y = x.copy()
    for name, value in changes.items():
        y[0, SCHEMA.index[name]] = value
    told = advice.measured(SCHEMA, x, y)
    assert {name for name in advice.FAULTS if told[name]} == faults
    assert set(told["features"]) == set(changes)


def test_who_is_not_meant_is_not_moved() -> None:
    x = np.array([[70.0, 6.0, 115.0, 10.0, 140.0, 0.0, 0.0, 90.0]])
    y = np.where(np.arange(8) == 2, 110.0, x)
    y[0, 3] = 7.5
    assert advice.measured(SCHEMA, x, y)["past"] == 1
    for age, smokes, past in ((75, 1, 0), (76, 1, 1), (75, 0, 1), (np.nan, 1, 1)):
        x = np.array([[age, 6.0, 180.0, 40.0, 140.0, smokes, 0.0, 90.0]])
        assert advice.measured(SCHEMA, x, np.where(np.arange(8) == 7, 85.0, x))["past"] == past


def test_the_table_says_how_often_which_way_and_why() -> None:
    x = np.array([ME, ME])
    y = x.copy()
    y[:, 1] = [7, 8]
    y[0, 5:7] = 0
    told = advice.measured(SCHEMA, x, y)
    text = advice.table(SCHEMA, told)
    assert "| sleep | lever | 2 | 0 | up | B A, 2015 |" in text and "| mean | finding | 0 | 0 | down | not stated |" in text
    assert "| above | lever, follows | 0 | 0 | down | not stated |" in text and "Never moved: age." in text
    assert "either way" in advice.table(SCHEMA, told).split("| rate |")[1].splitlines()[0]
    assert "smokes      0 up      1 down  lever; down" in "\n".join(advice.lines(SCHEMA, told))
    y[0, 1] = 5
    assert "| sleep | lever | 1 | 1 | up: 1 against it |" in advice.table(SCHEMA, advice.measured(SCHEMA, x, y))


@given(where=spaces(), chance=st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_what_the_rules_admit_is_without_fault_and_what_is_at_fault_is_not_admitted(where: Admissible, chance: st.DataObject) -> None:
    """Two pieces of code that share nothing say the same of random answers."""
    schema, x = where.record.schema, where.record.vector
    Y = np.repeat(x[None], 40, axis=0)
    for y in Y:
        for i in where.features:
            if chance.random() < 0.5:
                y[i] = chance.choice(list(where.values[i]))
    Y = rules.complete(schema, x, Y)
    Y = Y[rules.admitted(where, Y)]
    told = advice.measured(schema, np.repeat(x[None], len(Y), axis=0), Y)
    assert {name: told[name] for name in advice.FAULTS} == dict.fromkeys(advice.FAULTS, 0)
