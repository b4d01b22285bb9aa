"""The fit of a density: it keeps the order of choices, units, few people and unknown values from telling a lie."""

from __future__ import annotations

import json
import string
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sensecf_convert.density import copies, fitting
from sensecf_convert.density.em import Table, em
from sensecf_convert.evaluate import density_study
from sensecf_convert.table.cohort import Cohort

from sensecf_edge.judge.density import Density
from sensecf_edge.schema.feature import Feature, Vector
from sensecf_edge.schema.schema import Schema

KINDS = ("none", "some", "much")
SCHEMA = Schema(
    (
        Feature("pulse", low=0, high=200, step=1, optional=True),
        Feature("pain", kind="choice", choices=KINDS, optional=True),
        Feature("load", low=-500, high=500, step=0.5, optional=True),
    )
)


def cohort(rows: int = 240, unknown: float = 0.0, seed: int = 0) -> Cohort:
    """Wanted people at a pulse of 70 without pain, others at 100 with much; load follows the pulse."""
    chance = np.random.default_rng(seed)
    y = np.arange(rows) % 2 == 0
    pulse = np.where(y, 70.0, 100.0) + chance.normal(0, 8, rows)
    pain = np.where(chance.random(rows) < 0.2, 1, np.where(y, 0, 2))
    X = np.column_stack([pulse, pain, 2 * pulse + chance.normal(0, 10, rows)])
    X[chance.random(X.shape) < unknown] = np.nan
    return Cohort(SCHEMA, X, y, np.array([f"p{i // 4}" for i in range(rows)]), ("ill", "well"))


def fitted(data: Cohort) -> Density:
    return Density.from_json(json.loads(fitting.packed(fitting.fit(data, 0))), data.schema)


DATA = cohort(unknown=0.15)
DENSITY = fitted(DATA)


def test_people_it_was_not_fitted_on_lie_evenly_over_the_percentiles_whatever_is_known_of_them() -> None:
    """400 people: a Kolmogorov distance over 0.15 has a chance below 1e-7; half of it is left to what the fit learned."""
    for unknown in (0.0, 0.3, 0.6):
        unseen = cohort(800, unknown, seed=1)
        places = np.sort(DENSITY.percentile(unseen.X[unseen.y])) / 100
        assert np.abs(places - np.linspace(0, 1, len(places))).max() < (0.15 if unknown < 0.5 else 0.25), unknown


def test_everybody_lies_evenly_over_the_percentiles_of_the_population_whatever_their_class() -> None:
    """As above; and people far from both classes lie under everybody, people far from the wanted class alone do not."""
    population = DENSITY.of_everybody(fitting.population(DATA, DENSITY, 0))
    for unknown in (0.0, 0.3):
        unseen = cohort(400, unknown, seed=2)
        places = np.sort(population.percentile(unseen.X)) / 100
        assert np.abs(places - np.linspace(0, 1, len(places))).max() < 0.15, unknown
    ill = np.array([[110.0, 2.0, 220.0]])
    assert DENSITY.percentile(ill)[0] < 1 < 20 < population.percentile(ill)[0]
    assert population.percentile(np.array([[110.0, 2.0, -100.0]]))[0] < 1


def test_knowing_less_makes_nobody_more_ordinary_also_where_few_people_taught_it() -> None:
    """Fitted on 40 wanted people, asked about 2,000 others: means of 50 have a standard error of 0.7."""
    few, unseen = fitted(cohort(80)), cohort(4000, seed=5)
    people = unseen.X[unseen.y]
    means = []
    for share in (0.0, 0.3, 0.6):
        known = np.random.default_rng(1).random(people.shape) >= share
        means.append(few.percentile(np.where(known, people, np.nan)).mean())
    assert max(means[1:]) < means[0] + 4


def test_realism_rises_towards_the_middle_of_the_wanted_class() -> None:
    far = np.linspace(0, 1, 6)[:, None]
    ray = (1 - far) * np.array([160.0, 0.0, 0.0]) + far * np.array([70.0, 0.0, 140.0])
    percentiles = DENSITY.percentile(ray)
    assert (np.diff(DENSITY.log_density(ray)) > 0).all() and (np.diff(percentiles) >= 0).all()
    assert percentiles[0] == 0 and percentiles[-1] > 60


def with_choices(data: Cohort, order: tuple[str, ...]) -> Cohort:
    X = data.X.copy()
    code = np.array([float(order.index(c)) for c in KINDS])
    known = ~np.isnan(X[:, 1])
    X[known, 1] = code[X[known, 1].astype(int)]
    schema = replace(SCHEMA, features=tuple(replace(f, choices=order) if f.name == "pain" else f for f in SCHEMA.features))
    return Cohort(schema, X, data.y, data.persons, data.classes)


@pytest.mark.parametrize("order", [("much", "none", "some"), ("some", "much", "none")])
def test_the_order_of_choices_moves_no_percentile(order: tuple[str, ...]) -> None:
    turned = with_choices(DATA, order)
    assert fitted(turned).percentile(turned.X) == pytest.approx(DENSITY.percentile(DATA.X), abs=1e-9)


NAMES = st.lists(st.text(string.ascii_letters, min_size=1, max_size=3), min_size=3, max_size=3, unique=True)


@given(names=NAMES, order=st.permutations(range(3)), times=st.sampled_from([1.0, 0.0555, 1000.0]))
@settings(max_examples=12, deadline=None)
def test_neither_names_nor_places_nor_units_of_columns_move_a_percentile(names: list[str], order: list[int], times: float) -> None:
    """Renamed, the same people moved by up to 0.8: those whom a record is compared with were drawn in the order of names."""
    data, now = SOME, SOME_PERCENTILES
    wide = replace(SCHEMA["load"], low=-500 * times, high=500 * times, step=0.5 * times)
    features = [replace(feature, name=name) for feature, name in zip((*SCHEMA.features[:2], wide), names, strict=True)]
    X = (data.X * [1.0, 1.0, times])[:, order]
    told = Cohort(Schema(tuple(features[i] for i in order)), X, data.y, data.persons, data.classes)
    assert fitting.of_wanted(told, 0).percentile(X) == pytest.approx(now, abs=1e-3 if times == 1 else 0.1)


@given(order=st.permutations(range(60)), per=st.integers(1, 4))
@settings(max_examples=8, deadline=None)
def test_neither_the_order_of_rows_nor_the_names_of_persons_change_a_density(order: list[int], per: int) -> None:
    """Shuffled, the same people moved by up to 27 points."""
    grouped = replace(SOME, persons=np.array([f"p{k // per}" for k in range(len(SOME))]))
    shuffled = replace(grouped.take(np.array(order)), persons=np.array([f"q{97 - k // per}" for k in order]))
    assert fitting.of_wanted(shuffled, 0).to_json() == fitting.of_wanted(grouped, 0).to_json()


SOME = cohort(60, unknown=0.1)
SOME_PERCENTILES = fitting.of_wanted(SOME, 0).percentile(SOME.X)


@pytest.mark.parametrize(("times", "more"), [(0.0555, -17.7), (1000.0, 0.0)])
def test_units_move_no_percentile(times: float, more: float) -> None:
    features = (replace(SCHEMA["pulse"], low=-900 * times, high=900 * times, step=times), *SCHEMA.features[1:])
    X = DATA.X.copy()
    X[:, 0] = X[:, 0] * times + more
    turned = Cohort(replace(SCHEMA, features=features), X, DATA.y, DATA.persons, DATA.classes)
    assert fitted(turned).percentile(X) == pytest.approx(DENSITY.percentile(DATA.X), abs=0.1)


def with_column(data: Cohort, feature: Feature, column: Vector) -> Cohort:
    schema = replace(data.schema, features=(feature, *data.schema.features))
    return Cohort(schema, np.column_stack([column, data.X]), data.y, data.persons, data.classes)


def doubled(how: str, data: Cohort) -> Cohort:
    """The table with a column more, in front, that says what the pulse or the pain says."""
    pulse, pain = data.X[:, 0], data.X[:, 1]
    again = replace(SCHEMA["pulse"], name="pulse again", low=-20, high=200)
    if how == "the same number":
        return with_column(data, again, pulse)
    if how == "in other units, rounded":
        return with_column(data, replace(again, low=-9, high=9, step=0.01), np.round(-pulse / 10 + 5, 2))
    if how == "known where the other is not, and the other way round":
        seen, hidden = np.random.default_rng(9).random((2, len(data))) < 0.1
        out = with_column(data, again, np.where(seen, np.nan, pulse))
        out.X[hidden & ~seen, 1] = np.nan
        return out
    names = replace(SCHEMA["pain"], name="pain again", choices=("b", "c", "a"))
    return with_column(data, names, np.where(np.isnan(pain), np.nan, np.array([2.0, 0.0, 1.0])[np.nan_to_num(pain).astype(int)]))


@pytest.mark.parametrize(
    ("how", "most"),
    [("the same number", 1e-6), ("in other units, rounded", 2.0), ("known where the other is not, and the other way round", 1e-6),
     ("choices by other names", 1e-6)],
)  # fmt: skip
def test_a_column_that_stands_there_twice_moves_no_percentile(how: str, most: float) -> None:
    """Of people of the table, of people of whom only the second column is known (by what it was rounded), and what is unknown comes
    out as it did."""
    twice = doubled(how, DATA)
    made = fitted(twice)
    assert made.percentile(twice.X) == pytest.approx(DENSITY.percentile(DATA.X), abs=1e-6)
    assert fitting.population(twice, made, 0) == fitting.population(DATA, DENSITY, 0)
    once = twice.X.copy()
    column = 1 + ("choices" in how)
    once[~np.isnan(twice.X[:, 0]), column] = np.nan
    assert made.percentile(once) == pytest.approx(DENSITY.percentile(DATA.X), abs=most)
    again = Density.from_json(json.loads(json.dumps(made.to_json())), twice.schema)
    assert again.percentile(once) == pytest.approx(made.percentile(once), abs=1e-3)
    copy, drawn = made.copied[0], np.concatenate([made.impute(once[0], 20, 0)[0], made.people(50, 0)])
    assert np.abs(copy.predicted(drawn[:, copy.of]) - drawn[:, copy.column]).max() < (1e-9 if copy.codes else 0.51)  # a step is 1


def test_two_columns_that_disagree_make_a_record_as_ordinary_as_the_rarer_of_the_two() -> None:
    twice = doubled("the same number", DATA)
    made = fitted(twice)
    ordinary, odd = np.array([70.0, 70.0, 0.0, 140.0]), np.array([150.0, 150.0, 0.0, 140.0])
    mixed = np.array([[70.0, 150.0, 0.0, 140.0], [150.0, 70.0, 0.0, 140.0]])
    assert made.log_density(mixed) == pytest.approx(made.log_density(odd[None])[0])
    assert made.percentile(mixed) == pytest.approx(made.percentile(odd[None])[0]) and made.percentile(ordinary[None])[0] > 50


def test_columns_that_hang_together_are_no_copies() -> None:
    """A load that follows the pulse with noise; a second pulse known of few; a choice that two others go with."""
    few = with_column(DATA, replace(SCHEMA["pulse"], name="a pulse"), np.where(np.arange(len(DATA)) < 50, DATA.X[:, 0], np.nan))
    two = np.where(np.isnan(DATA.X[:, 1]), np.nan, (DATA.X[:, 1] > 0).astype(float))
    pooled = with_column(DATA, replace(SCHEMA["pain"], name="a pain"), two)
    assert not any(copies.found(data) for data in (DATA, few, pooled)) and copies.found(doubled("the same number", DATA))


@pytest.mark.parametrize("rows", [1, 2, 8])
def test_a_few_wanted_people_are_enough_not_to_fail(rows: int) -> None:
    data = cohort(40)
    few = data.take(np.concatenate([np.flatnonzero(data.y)[:rows], np.flatnonzero(~data.y)]))
    made = fitted(Cohort(few.schema, few.X, few.y, np.array([str(i) for i in range(len(few))]), few.classes))
    assert np.isfinite(made.log_density(data.X)).all()
    assert ((made.percentile(data.X) >= 0) & (made.percentile(data.X) <= 100)).all()


def test_choices_alone_a_constant_column_and_a_column_nobody_knows_are_no_error() -> None:
    chance = np.random.default_rng(0)
    choices = Schema(tuple(Feature(f"c{i}", kind="choice", choices=KINDS, optional=True) for i in range(3)))
    data = Cohort(choices, chance.integers(0, 3, (60, 3)).astype(float), np.arange(60) % 2 == 0, np.array([str(i) for i in range(60)]),
                  ("ill", "well"))  # fmt: skip
    assert np.isfinite(fitted(data).percentile(data.X)).all()
    base = cohort(80)
    for value in (5.0, np.nan):
        X = base.X.copy()
        X[:, 2] = value
        made = fitted(Cohort(base.schema, X, base.y, base.persons, base.classes))
        assert np.isfinite(made.log_density(base.X)).all()


def test_same_seed_same_bytes() -> None:
    assert fitting.packed(fitting.fit(DATA, 3)) == fitting.packed(fitting.fit(DATA, 3))


def test_no_row_of_the_table_is_in_it() -> None:
    """Two thirds of the rows are nobody's mean: no component is one person's."""
    means = np.concatenate([DENSITY.wanted.means, DENSITY.everybody.means])
    numbers = DATA.X[:, DENSITY.wanted.numbers]
    assert np.nanmin(np.abs(means[:, None] - numbers).max(axis=2)) > 0.01


def test_unknown_numbers_are_learnt_from_what_is_known() -> None:
    """A correlation of 0.8 is found though a third of the numbers is unknown; 3,000 rows, bound of six standard errors."""
    chance = np.random.default_rng(0)
    X: Vector = chance.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], 3000)
    X[chance.random(X.shape) < 0.33] = np.nan
    parts = em(Table(X, np.empty((3000, 0), dtype=np.intp), ()), 1, 0)
    covariance = parts.covariances[0]
    assert covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]) == pytest.approx(0.8, abs=6 * 0.36 / np.sqrt(1300) + 0.01)


def test_two_clouds_are_found_where_there_are_two() -> None:
    chance = np.random.default_rng(0)
    X = np.concatenate([chance.normal(-3, 0.5, (300, 1)), chance.normal(3, 0.5, (100, 1))])
    parts = em(Table(X, np.empty((400, 0), dtype=np.intp), ()), 2, 0)
    order = np.argsort(parts.means[:, 0])
    assert parts.means[order, 0] == pytest.approx([-3, 3], abs=0.2) and parts.weights[order] == pytest.approx([0.75, 0.25], abs=0.05)


def test_people_it_was_not_fitted_on_are_foretold_better_than_by_taking_choices_for_numbers() -> None:
    """Both are densities of the same thing: summed up over the choices and over a fine grid of the one number they give 1."""
    found = density_study.held_out(cohort(200, 0.1))
    assert found["mixed"] > found["codes"] + 0.2
    one = Schema((SCHEMA["pulse"], SCHEMA["pain"]))
    data = replace(cohort(200), schema=one, X=cohort(200).X[:, :2])
    grid = np.linspace(20, 160, 1401)
    spread = data.X[:, 0].std()
    total = sum(np.exp(density_study.plain(data, np.column_stack([grid, np.full(1401, k)]), 2, 0)).sum() for k in range(3)) * 0.1 / spread
    assert total == pytest.approx(1, abs=0.01)


def test_the_study_tells_the_same_people_otherwise_and_sees_what_moves() -> None:
    told = dict(density_study.told_otherwise(DATA, 1, 1))
    order, units = told["choices in another order"], told["numbers in other units"]
    assert order.schema["pain"].choices != KINDS and units.schema["pulse"].step == pytest.approx(1 / 18.016)
    for row, other in zip(DATA.X, order.X, strict=True):
        assert (np.isnan(row[1]) and np.isnan(other[1])) or KINDS[int(row[1])] == order.schema["pain"].choices[int(other[1])]
    found = density_study.moves(cohort(50), cohort(30, 0.1, seed=3).X, 1, 0)
    ways = {"columns in another order", "columns by other names", "choices in another order", "numbers in other units"}
    assert set(found) == {"rows in another order", *ways}
    assert all(points.max() < 0.1 for points in found.values())
    luck = density_study.luck(cohort(50), cohort(30, 0.1, seed=3).X, 1)
    assert {how: len(points) for how, points in luck.items()} == {
        "another seed of the fit": 90, "a fifth of the training people left out": 90,
    } and max(points.max() for points in luck.values()) > 0.1  # fmt: skip
    assert told["columns in another order"].schema.names != SCHEMA.names and len(told) == 6
    assert all(len(told[f"a {kind} twice"].schema) == 4 for kind in ("number", "choice"))
