"""The density of records: unknown values integrated out, choices as choices, percentiles that compare like with like."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensecf_edge.errors import BundleError, CheckError
from sensecf_edge.judge.density import Density, Scale
from sensecf_edge.judge.mixture import Mixture
from sensecf_edge.schema.feature import Feature
from sensecf_edge.schema.schema import Schema

MIXED = Schema(
    (
        Feature("weight", low=0, high=200, step=1, optional=True),
        Feature("sex", kind="choice", choices=("f", "m"), optional=True),
        Feature("height", low=100, high=220, step=1, optional=True),
        Feature("blood", kind="choice", choices=("0", "A", "B", "AB"), optional=True),
    )
)
TABLES = {"sex": [[0.9, 0.2], [0.1, 0.8]], "blood": [[0.4, 0.1], [0.3, 0.2], [0.2, 0.3], [0.1, 0.4]]}


def mixture_json(schema: Schema = MIXED) -> dict[str, Any]:
    """Two groups of people: light and short, heavy and tall; weight and height go together."""
    return {
        "weights": [0.6, 0.4], "numbers": ["weight", "height"], "means": [[60, 165], [85, 180]],
        "covariances": [[[100, 35], [35, 49]], [[144, 50], [50, 64]]],
        "choices": {name: dict(zip(MIXED[name].choices, rows, strict=True)) for name, rows in TABLES.items()},
    }  # fmt: skip


def density_json(**changed: Any) -> dict[str, Any]:
    scores = np.log(np.clip(np.linspace(0, 1, 101), 0.005, 0.995) / (1 - np.clip(np.linspace(0, 1, 101), 0.005, 0.995)))
    return {"format": 1, "scores": scores.tolist(), "wanted": mixture_json(), "everybody": mixture_json(), **changed}


DENSITY = Density.from_json(density_json(), MIXED)
RECORDS = DENSITY.wanted.draw(2000, np.random.default_rng(1))


def blanked(X: np.ndarray, share: float, seed: int) -> np.ndarray:
    return np.where(np.random.default_rng(seed).random(X.shape) < share, np.nan, X)


def test_on_numbers_alone_it_is_the_density_of_the_gaussian() -> None:
    normal = pytest.importorskip("scipy.stats").multivariate_normal
    data = mixture_json()
    X = RECORDS[:50].copy()
    X[:, [1, 3]] = np.nan
    parts = [w * normal(m, c).pdf(X[:, [0, 2]]) for w, m, c in zip(data["weights"], data["means"], data["covariances"], strict=True)]
    assert DENSITY.log_density(X) == pytest.approx(np.log(sum(parts)))


def test_over_all_choices_it_sums_to_what_is_known_without_them() -> None:
    combinations = np.array(list(itertools.product([np.nan], range(2), [np.nan], range(4))), dtype=float)
    assert np.exp(DENSITY.log_density(combinations)).sum() == pytest.approx(1.0)
    X = np.repeat(RECORDS[:1], 4, axis=0)
    X[:, 3] = range(4)
    assert np.exp(DENSITY.log_density(X)).sum() == pytest.approx(np.exp(DENSITY.log_density(blank(X[:1], 3)))[0])


def blank(X: np.ndarray, *columns: int) -> np.ndarray:
    out = X.copy()
    out[:, columns] = np.nan
    return out


def test_an_unknown_number_is_integrated_out() -> None:
    line = np.linspace(-100, 300, 4001)
    X = np.repeat(RECORDS[:1], len(line), axis=0)
    X[:, 0] = line
    assert np.trapezoid(np.exp(DENSITY.log_density(X)), line) == pytest.approx(np.exp(DENSITY.log_density(blank(X[:1], 0)))[0])


def test_nothing_known_is_in_the_middle() -> None:
    nothing = np.full((2, 4), np.nan)
    assert DENSITY.log_density(nothing) == pytest.approx(0.0)
    assert DENSITY.percentile(nothing) == pytest.approx(50.0, abs=1.0)
    assert DENSITY.percentile(nothing[:0]).shape == (0,)


@settings(deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.2, 0.5, 0.8]))
def test_percentiles_of_people_with_values_blanked_stay_uniform(seed: int, share: float) -> None:
    """False alarm: a mean of 2,000 uniform numbers is off by 5 points less than once in 10**13 times."""
    people = DENSITY.wanted.draw(2000, np.random.default_rng(seed))
    known, partly = DENSITY.percentile(people), DENSITY.percentile(blanked(people, share, seed))
    assert abs(known.mean() - 50) < 5 and abs(partly.mean() - 50) < 5
    assert partly.mean() <= known.mean() + 5  # knowing less makes people no more ordinary
    if share < 0.8:  # of whom only choices are known, many are equal
        assert (partly < 10).mean() == pytest.approx(0.1, abs=0.06)


def test_what_is_odd_stays_odd_when_other_values_are_blanked() -> None:
    odd = np.array([[150.0, 0.0, 165.0, 0.0], [150.0, 0.0, np.nan, np.nan], [150.0, np.nan, np.nan, np.nan]])
    assert (DENSITY.percentile(odd) < 1).all()


def other_order(X: np.ndarray) -> tuple[Schema, np.ndarray]:
    """The same schema and records with the choices in another order."""
    turned = {"sex": ("m", "f"), "blood": ("B", "AB", "0", "A")}
    schema = Schema(tuple(replace(f, choices=turned.get(f.name, f.choices)) for f in MIXED.features))
    Y = X.copy()
    for i, feature in enumerate(MIXED.features):
        if feature.kind == "choice":
            code = {k: float(turned[feature.name].index(c)) for k, c in enumerate(feature.choices)}
            Y[:, i] = [np.nan if np.isnan(c) else code[int(c)] for c in X[:, i]]
    return schema, Y


def test_the_order_of_choices_moves_no_percentile() -> None:
    X = blanked(RECORDS[:300], 0.3, 0)
    schema, Y = other_order(X)
    turned = Density.from_json(density_json(), schema)
    assert turned.percentile(Y) == pytest.approx(DENSITY.percentile(X), abs=1e-9)
    (rows, weights), (others, also) = DENSITY.impute(X[0], 50, 3), turned.impute(Y[0], 50, 3)
    assert other_order(rows)[1] == pytest.approx(others, nan_ok=True) and weights == pytest.approx(also)


@settings(deadline=None)
@given(st.floats(0.01, 100), st.floats(-1000, 1000))
def test_units_move_no_percentile(times: float, more: float) -> None:
    data = mixture_json()
    data["means"] = [[m[0] * times + more, m[1]] for m in data["means"]]
    data["covariances"] = [[[c[0][0] * times**2, c[0][1] * times], [c[1][0] * times, c[1][1]]] for c in data["covariances"]]
    X = RECORDS[:100].copy()
    Y = X.copy()
    Y[:, 0] = X[:, 0] * times + more
    other = Density.from_json(density_json(wanted=data), MIXED)
    assert other.percentile(Y) == pytest.approx(DENSITY.percentile(X), abs=0.1)
    assert other.log_density(Y) + np.log(times) == pytest.approx(DENSITY.log_density(X))


def test_ranking_a_density_is_the_percentile_of_its_record() -> None:
    x = blank(RECORDS[:1], 0, 3)
    assert DENSITY.rank(DENSITY.log_density(x), x[0]) == pytest.approx(DENSITY.percentile(x))


def test_unknown_choices_are_completed_by_all_combinations_with_their_probability() -> None:
    x = np.array([62.0, np.nan, 166.0, np.nan])
    rows, weights = DENSITY.impute(x, 10, 0)
    assert len({tuple(r) for r in rows}) == 8 and (rows[:, [0, 2]] == x[[0, 2]]).all()
    total = np.exp(DENSITY.log_density(rows))
    assert weights == pytest.approx(total / total.sum()) and weights.sum() == pytest.approx(1.0)


def test_unknown_numbers_are_drawn_as_the_known_ones_say() -> None:
    """Against the formula for a single Gaussian; 40,000 draws, bounds of six standard errors."""
    one = {"weights": [1.0], "numbers": ["weight", "height"], "means": [[80, 170]], "covariances": [[[100, 56], [56, 64]]],
           "choices": {n: {c: [1 / len(MIXED[n].choices)] for c in MIXED[n].choices} for n in TABLES}}  # fmt: skip
    density = Density.from_json(density_json(everybody=one), MIXED)
    rows, weights = density.impute(np.array([np.nan, 1.0, 178.0, 2.0]), 40_000, 0)
    mean, variance = 80 + 56 / 64 * 8, 100 - 56**2 / 64
    drawn = rows[:, 0]
    assert abs(np.average(drawn, weights=weights) - mean) < 6 * np.sqrt(variance / 40_000)
    assert abs(drawn.var() - variance - 1 / 12) < 6 * variance * np.sqrt(2 / 40_000)
    assert (drawn == np.round(drawn)).all()  # on the lattice


def test_completions_follow_what_is_known_across_numbers_and_choices() -> None:
    """Against everybody drawn whole: women of about 62 kg. Bounds of six standard errors and some for the band of weights."""
    people = DENSITY.everybody.draw(400_000, np.random.default_rng(0))
    alike = people[(np.abs(people[:, 0] - 62) < 1.5) & (people[:, 1] == 0)]
    rows, weights = DENSITY.impute(np.array([62.0, 0.0, np.nan, np.nan]), 20_000, 1)
    assert np.average(rows[:, 2], weights=weights) == pytest.approx(alike[:, 2].mean(), abs=0.5)
    for code in range(4):
        assert weights[rows[:, 3] == code].sum() == pytest.approx((alike[:, 3] == code).mean(), abs=0.02)


def test_many_unknown_choices_are_drawn_not_listed() -> None:
    schema = Schema(tuple(Feature(f"c{i}", kind="choice", choices=("a", "b", "c"), optional=True) for i in range(6)))
    table = {n: {"a": [0.7, 0.1], "b": [0.2, 0.1], "c": [0.1, 0.8]} for n in schema.names}
    data = {"weights": [0.5, 0.5], "numbers": [], "means": [[], []], "covariances": [[], []], "choices": table}
    density = Density.from_json(density_json(wanted=data, everybody=data), schema)
    rows, weights = density.impute(np.array([2.0, *[np.nan] * 5]), 4000, 0)
    assert rows.shape == (4000, 6) and weights.sum() == pytest.approx(1.0)
    assert (rows[:, 1:] == 2).mean() == pytest.approx(8 / 9 * 0.8 + 1 / 9 * 0.1, abs=0.05)
    assert density.impute(np.zeros(6), 10, 0)[0].shape == (1, 6)


def test_same_seed_same_completions() -> None:
    x = np.array([np.nan, np.nan, 170.0, 1.0])
    assert (DENSITY.impute(x, 30, 5)[0] == DENSITY.impute(x, 30, 5)[0]).all()
    assert (DENSITY.impute(x, 30, 5)[0] != DENSITY.impute(x, 30, 6)[0]).any()


def test_equal_log_densities_share_the_middle_of_their_places() -> None:
    scale = Scale.of(np.array([-2.0] * 10 + [-1.0] * 80 + [0.0] * 10))
    assert scale.score(np.array([-1.0])) == pytest.approx(0.0)
    assert scale.score(np.array([-2.0])) == pytest.approx(np.log(0.05 / 0.95))


def test_it_reads_back_what_it_writes() -> None:
    again = Density.from_json(json.loads(json.dumps(DENSITY.to_json())), MIXED)
    X = blanked(RECORDS[:100], 0.3, 2)
    assert again.percentile(X) == pytest.approx(DENSITY.percentile(X), abs=1e-3)


def without(key: str) -> dict[str, Any]:
    data = mixture_json()
    del data[key]
    return data


def nan_means() -> dict[str, Any]:
    return {**mixture_json(), "means": [[float("nan"), 1], [1, 1]]}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (density_json(format=9), "format 9"),
        (density_json(scores=[0.0, 1.0]), "101 ascending"),
        (density_json(scores=[0.0] * 100 + [-1.0]), "101 ascending"),
        (density_json(wanted=without("means")), "lacks 'means'"),
        (density_json(wanted=nan_means()), "no finite number"),
        (density_json(wanted={**mixture_json(), "weights": [0.6, 0.6]}), "sum of 1"),
        (density_json(wanted={**mixture_json(), "weights": [1.0]}), "do not fit together"),
        (density_json(wanted={**mixture_json(), "numbers": ["weight", "sex"]}), "not the schema's"),
        (density_json(wanted={**mixture_json(), "covariances": [[[1, 2], [2, 1]]] * 2}), "(?i)positive definite"),
        (density_json(everybody={**mixture_json(), "choices": {}}), "not the schema's"),
        ([], "no density"),
    ],
)
def test_what_is_no_density_is_refused(data: Any, words: str) -> None:
    with pytest.raises(BundleError, match=words):
        Density.from_json(data, MIXED)


def test_rows_of_another_width_are_refused() -> None:
    with pytest.raises(CheckError, match=r"\(2, 3\)"):
        DENSITY.log_density(np.zeros((2, 3)))


def test_factorisations_are_kept_but_not_without_end() -> None:
    mixture: Mixture = DENSITY.wanted
    for seed in range(5):
        mixture.log_density(blanked(RECORDS[:200], 0.5, seed))
    assert 1 <= len(mixture._kept) <= 16
