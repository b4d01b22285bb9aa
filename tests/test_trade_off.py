"""The trade-off curve: what a mixture of prices reaches, held against a linear program; and the same records for everyone."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linprog
from sensecf_convert.compare import trade_off

figures = st.floats(0.05, 5.0)


def program(peer: np.ndarray, ours: np.ndarray) -> float:
    """The factor as a linear program: the least t with a mixture of `ours` that is at most t times `peer` in both figures."""
    n = len(ours)
    done = linprog(
        [0.0] * n + [1.0], A_ub=np.column_stack([(ours / peer).T, [-1.0, -1.0]]), b_ub=[0.0, 0.0], A_eq=[[1.0] * n + [0.0]], b_eq=[1.0]
    )  # fmt: skip
    return float(done.fun)


@given(means=arrays(float, st.tuples(st.just(3), st.integers(2, 6), st.just(2)), elements=figures))
def test_the_factor_is_what_a_linear_program_says(means: np.ndarray) -> None:
    got = trade_off.factor(means)
    assert got == pytest.approx([program(case[0], case[1:]) for case in means], rel=1e-6)


def test_between_two_prices_lies_what_neither_has_alone() -> None:
    means = np.array([[[1.0, 1.0], [0.5, 1.4], [1.4, 0.5]]])
    assert trade_off.factor(means)[0] == pytest.approx(0.95)
    assert trade_off.factor(means[:, :2])[0] == pytest.approx(1.4)


@given(points=st.lists(st.tuples(figures, figures), min_size=1, max_size=8))
def test_no_point_lies_below_the_edge(points: list[tuple[float, float]]) -> None:
    line = trade_off.edge(points)
    assert set(line) <= set(points) and line == sorted(line) and all(a[1] > b[1] for a, b in pairwise(line))
    xs, ys = zip(*line, strict=True)
    for x, y in points:
        assert x >= xs[0] and y >= np.interp(x, xs, ys) - 1e-9


def rows(method: str, records: range, changed: float, knn: float, goal: bool = True) -> pd.DataFrame:
    same = {"table": "t", "method": method, "at_goal": goal}
    figures = {"n_changed": changed, "distance": changed / 10, "knn_ratio": knn}
    return pd.DataFrame({"record": list(records), "person": list(records), **same, **figures})


def trained(default: tuple[float, float] = (2.0, 1.0), nearest: tuple[float, float] = (1.0, 2.0)) -> pd.DataFrame:
    """Ours at two prices on ten training people."""
    return pd.concat([rows("ours", range(10), *default), rows("ours-nearest", range(10), *nearest)])


def test_only_records_that_all_answer_at_the_goal_count() -> None:
    table = pd.concat([
        rows("ours", range(20), 2.0, 1.0), rows("ours-nearest", range(20), 1.0, 2.0),
        rows("peer", range(12), 2.0, 2.0), rows("peer", range(12, 16), 0.1, 0.1, goal=False),
        rows("peer", range(16, 20), 0.1, 0.1, goal=False), rows("rare", range(4), 1.0, 1.0),
    ])  # fmt: skip
    made = trade_off.trade(table, trained(), 0)["sparse and typical"]
    assert set(made) == {"peer"} and made["peer"]["n"] == 12
    assert made["peer"]["factor"] == pytest.approx(0.75) and trade_off.verdict(made["peer"]) == "ours ahead"
    assert made["peer"]["ours"] == {"ours": [2.0, 1.0], "ours-nearest": [1.0, 2.0]}
    assert made["peer"]["chosen"] == {"ours": 0.5, "ours-nearest": 0.5}


def test_a_method_that_has_what_ours_has_not_is_called_ahead_of_it() -> None:
    table = pd.concat([rows("ours", range(20), 2.0, 1.0), rows("ours-nearest", range(20), 1.0, 2.0), rows("peer", range(20), 1.0, 1.0)])
    made = trade_off.trade(table, trained(), 0)["sparse and typical"]["peer"]
    assert made["factor"] == pytest.approx(1.5) and trade_off.verdict(made) == "ours behind"


def test_within_chance_is_level() -> None:
    """Differences of both signs, many times their mean: the interval must hold 1."""
    noise = np.random.default_rng(0).normal(0, 0.3, 60)
    peer = rows("peer", range(60), 2.0, 1.0).assign(n_changed=2.0 + noise, knn_ratio=1.0 + noise / 2)
    table = pd.concat([rows("ours", range(60), 2.0, 1.0), rows("ours-nearest", range(60), 2.0, 1.0), peer])
    made = trade_off.trade(table, trained(nearest=(2.0, 1.0)), 0)["sparse and typical"]["peer"]
    assert made["low"] < 1 < made["high"] and trade_off.verdict(made) == "ours level"


def test_the_mixture_is_chosen_on_training_people_and_hindsight_is_a_bound() -> None:
    """Training people promise of the other price what it does not do for the people asked; it is taken all the same."""
    table = pd.concat([rows("ours", range(20), 2.0, 1.0), rows("ours-nearest", range(20), 3.0, 3.0), rows("peer", range(20), 2.0, 1.0)])
    made = trade_off.trade(table, trained(nearest=(1.0, 0.5)), 0)["sparse and typical"]["peer"]
    assert made["chosen"] == {"ours-nearest": 1.0}
    assert made["factor"] == pytest.approx(3.0) and made["hindsight"] == pytest.approx(1.0)


def test_an_interval_keeps_the_mixture_in_every_draw() -> None:
    """Ours is twice the method for everybody at the price chosen: no draw of people finds another."""
    table = pd.concat([rows("ours", range(20), 4.0, 2.0), rows("ours-nearest", range(20), 1.0, 1.0), rows("peer", range(20), 2.0, 1.0)])
    made = trade_off.trade(table, trained(nearest=(9.0, 9.0)), 0)["sparse and typical"]["peer"]
    assert made["chosen"] == {"ours": 1.0} and made["low"] == made["high"] == made["factor"] == pytest.approx(2.0)


def test_under_ten_people_there_is_no_interval() -> None:
    table = pd.concat([rows("ours", range(9), 2.0, 1.0), rows("ours-nearest", range(9), 1.0, 2.0), rows("peer", range(9), 1.0, 1.0)])
    made = trade_off.trade(table, trained(), 0)["sparse and typical"]["peer"]
    assert made["low"] is made["high"] is None and trade_off.verdict(made) == "too few people to say"


@given(ours=arrays(float, st.tuples(st.integers(1, 6), st.just(2)), elements=figures), point=arrays(float, 2, elements=figures))
def test_the_mixture_taken_has_the_least_factor(ours: np.ndarray, point: np.ndarray) -> None:
    weights = trade_off.mixture(point, ours)
    assert weights.sum() == pytest.approx(1.0) and (weights >= 0).all()
    assert ((weights @ ours) / point).max() == pytest.approx(trade_off.factor(np.concatenate([point[None], ours])[None])[0])


def test_one_price_is_no_curve() -> None:
    table = pd.concat([rows("ours", range(20), 2.0, 1.0), rows("peer", range(20), 1.0, 1.0)])
    assert trade_off.trade(table, trained(), 0) == {}
    assert trade_off.trade(table, trained().head(0), 0) == {}
