"""The most typical answers: rules kept, never further from people than the plain answer at as many changes, nobody's row, any order."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import STRESSED, turn_to_format_1
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import spaces
from test_density import DENSITY, MIXED, density_json
from test_refine import judges

from sensecf_edge.budget import Budget
from sensecf_edge.explain import Explainer
from sensecf_edge.judge.density import Density
from sensecf_edge.judge.nearness import ASKED, NEIGHBOURS, Nearness
from sensecf_edge.judge.objective import Judge
from sensecf_edge.schema.feature import Feature
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.schema import Schema
from sensecf_edge.search.found import Found, with_changes
from sensecf_edge.search.refine import Known, refine
from sensecf_edge.search.walk import made_up, near_to, toward, wanted
from sensecf_edge.settings import LAST_WALK, NEAR, WALK, CostSettings, WalkSettings
from sensecf_edge.space import rules
from sensecf_edge.space.admissible import Admissible, admissible
from sensecf_edge.space.constraints import Constraints

QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


class Crowd:
    """A realism with people: anybody between the ends of each feature."""

    def __init__(self, where: Admissible, seed: int) -> None:
        self.schema = where.record.schema
        rng = np.random.default_rng(seed)
        self.people = np.stack([rng.choice(f.lattice, 60) for f in self.schema.features], axis=1)

    def log_density(self, Y: np.ndarray) -> np.ndarray:
        return np.zeros(len(Y))

    def percentile(self, Y: np.ndarray) -> np.ndarray:
        return np.full(len(Y), 50.0)

    def rank(self, density: np.ndarray, x: np.ndarray) -> np.ndarray:
        return np.full(len(density), 50.0)


@given(where=spaces(), chance=st.randoms(use_true_random=False), most=st.sampled_from([WALK, LAST_WALK, WALK._replace(rows=7, people=2)]))
@QUICK
def test_what_a_walk_finds_keeps_all_rules_reaches_the_goal_and_costs_no_more_rows_than_allowed(
    where: Admissible, chance: Any, most: WalkSettings
) -> None:
    judge = judges(where, chance)
    asked = list[int]()

    class Counting:
        def p_target(self, Y: np.ndarray) -> np.ndarray:
            asked.append(len(Y))
            return judge.checker.p_target(Y)

    crowd = Crowd(where, chance.randrange(2**32))
    found = toward(near_to(replace(judge, checker=Counting(), realism=crowd), where, crowd.people), where, crowd.people, most)
    assert sum(asked) <= most.rows
    if len(found.Y):
        assert rules.admitted(where, found.Y).all() and found.passed.all()
        assert (judge.checker.p_target(found.Y) >= judge.goal).all()


def test_it_meets_an_answer_that_single_changes_and_pairs_say_nothing_of() -> None:
    schema = Schema(tuple(Feature(f"f{k}", low=0, high=9, step=1) for k in range(8)))
    where, target = admissible(Record(schema, np.zeros(8)), Constraints(max_changes=4)), np.array([9.0, 9, 9, 9, 0, 0, 0, 0])

    class AllFour:
        def p_target(self, Y: np.ndarray) -> np.ndarray:
            return np.where((Y[:, :4] >= 8).all(axis=1), 0.9, 0.1)

    class Four(Crowd):
        def given(self, x: np.ndarray, free: np.ndarray, count: int, seed: int) -> np.ndarray:
            return np.stack([target, *np.random.default_rng(seed).integers(0, 8, (count - 1, 8))])

    judge, found = Judge(AllFour(), Four(where, 0), 0.55, CostSettings(realism=0, below=0)), Found(where.record)  # type: ignore[arg-type]
    people = made_up(judge, where, 0)
    assert people is not None and len(wanted(judge, where, people)) == 1
    assert not refine(judge, where, where.record.vector[None]).passed.any()
    found.walk(judge, where, Known(), 0)
    assert found.cheapest is not None and found.cheapest.tolist() == [8, 8, 8, 8, 0, 0, 0, 0]


PEOPLE = DENSITY.people(300, 4)
EVERY = np.ones(4, dtype=bool)


def test_nearness_is_what_it_says_it_is() -> None:
    y, choice = DENSITY.people(3, 1), np.array([f.kind == "choice" for f in MIXED.features])
    counted = np.array([True, True, False, True])

    def far(Y: np.ndarray) -> np.ndarray:
        gaps = np.abs(Y[:, None] - PEOPLE) / MIXED.spans
        return np.sort(np.where(choice, gaps > 0, gaps)[:, :, counted].sum(axis=2), axis=1)

    yard = np.median(far(PEOPLE[:ASKED])[:, 1 : NEIGHBOURS + 1].mean(axis=1))
    near = Nearness(MIXED, PEOPLE, counted)
    assert near.ratio(y) == pytest.approx(far(y)[:, :NEIGHBOURS].mean(axis=1) / yard)
    y[:, 2] = np.nan
    assert near.ratio(y) == pytest.approx(far(y)[:, :NEIGHBOURS].mean(axis=1) / yard) and not len(near.ratio(y[:0]))


def turned(Y: np.ndarray) -> np.ndarray:
    """The same records, columns and lists of choices the other way round."""
    return np.stack([len(f.choices) - 1 - Y[:, k] if f.kind == "choice" else Y[:, k] for k, f in enumerate(MIXED.features)][::-1], axis=1)


def test_order_of_columns_and_choices_and_units_change_no_nearness() -> None:
    x, free = np.array([140.0, 1.0, 150.0, 2.0]), np.array([True, True, False, False])
    other = Schema(tuple(replace(f, choices=f.choices[::-1]) for f in reversed(MIXED.features)))
    people = DENSITY.given(x, free, 200, 0)
    moved = Density.from_json(density_json(), other).given(turned(x[None])[0], free[::-1], 200, 0)
    assert moved == pytest.approx(turned(people))
    Y = DENSITY.people(20, 3)
    assert Nearness(other, moved, EVERY).ratio(turned(Y)) == pytest.approx(Nearness(MIXED, people, EVERY).ratio(Y))
    grams = Schema(tuple(replace(f, low=0, high=200_000, step=1000.0) if f.name == "weight" else f for f in MIXED.features))
    data = density_json()
    data["wanted"]["means"] = [[m * 1000, h] for m, h in data["wanted"]["means"]]
    data["wanted"]["covariances"] = [[[a * 1e6, b * 1e3], [b * 1e3, d]] for (a, b), (_, d) in data["wanted"]["covariances"]]
    units = np.array([1000.0, 1, 1, 1])
    scaled = Density.from_json(data, grams).given(x * units, free, 200, 0)
    assert scaled == pytest.approx(people * units)
    assert Nearness(grams, scaled, EVERY).ratio(Y * units) == pytest.approx(Nearness(MIXED, people, EVERY).ratio(Y))


def test_people_given_a_record_share_what_is_fixed_and_follow_it() -> None:
    x = np.array([140.0, 1.0, 150.0, 2.0])
    free = np.array([False, True, True, False])
    people = DENSITY.given(x, free, 300, 0)
    assert (people[:, [0, 3]] == x[[0, 3]]).all() and people.shape == (300, 4)
    light = DENSITY.given(np.array([45.0, 1.0, 150.0, 2.0]), free, 300, 0)
    assert people[:, 2].mean() > light[:, 2].mean() + 10 and people[:, 1].mean() > light[:, 1].mean()
    assert np.array_equal(people, DENSITY.given(x, free, 300, 0))
    x[3] = np.nan
    assert set(DENSITY.given(x, free, 300, 0)[:, 3]) == {0, 1, 2, 3}


@pytest.fixture(scope="module")
def calm(toy: Path) -> Explainer:
    with Explainer.load(toy, threads=1, generator="none") as explainer:
        return explainer


def records(explainer: Explainer) -> list[Record]:
    people = explainer.realism.people(60, 5)  # type: ignore[union-attr]
    return [Record(explainer.schema, x) for x in people if explainer.checker.p_target(x[None])[0] < explainer.target.threshold][:12]


def nearness(explainer: Explainer, space: Admissible) -> Nearness:
    people = made_up(explainer.judge, space, 0)
    assert people is not None
    near = near_to(explainer.judge, space, people).nearness
    assert near is not None
    return near


@pytest.mark.parametrize("most", [1, 2, 4])
def test_it_is_never_further_from_people_than_the_plain_answer_at_as_many_changes(calm: Explainer, most: int) -> None:
    limits, nearer = Constraints(max_changes=most), 0
    asked = records(calm)
    plain = calm.explain_many(asked, limits, Budget())
    typical = calm.explain_many(asked, limits, Budget(typical=True))
    assert len(asked) > 5
    for record, one, other in zip(asked, plain, typical, strict=True):
        assert bool(one.found) == bool(other.found)
        if not one.found:
            continue
        Y = np.array([with_changes(calm.schema, record.vector, e.found[0].changes) for e in (one, other)])
        space = admissible(record, limits)
        ratio = nearness(calm, space).ratio(Y)
        few = one.found[0].n_changed - other.found[0].n_changed
        assert ratio[1] <= ratio[0] + few * NEAR.count / NEAR.near + 1e-9
        assert other.found[0].n_changed <= most and other.found[0].p_target >= calm.goal - 1e-6
        assert other.provenance.typical and not one.provenance.typical and other.proof is None
        nearer += ratio[1] < ratio[0] - 0.01
    assert nearer


def test_the_plain_answer_does_not_change_and_the_typical_one_is_the_same_again(calm: Explainer) -> None:
    record = Record.from_mapping(calm.schema, STRESSED)
    first, again = calm.explain(record, typical=True), calm.explain(record, typical=True)
    assert first.found == again.found
    assert calm.explain(record).found == calm.explain_many([record])[0].found


def test_an_older_bundle_has_no_people_and_answers_all_the_same(toy_copy: Path) -> None:
    turn_to_format_1(toy_copy)
    with Explainer.load(toy_copy, threads=1, generator="none", trial=False) as explainer:
        assert explainer.explain(STRESSED, typical=True).found


def test_the_command_line_takes_it(command: Any, toy: Path, tmp_path: Path) -> None:
    place = tmp_path / "record.json"
    place.write_text(json.dumps(STRESSED), encoding="utf-8")
    ran = command("explain", str(place), "--model", str(toy), "--generator", "none", "--typical", "--json")
    assert ran.code == 0 and json.loads(ran.out)["provenance"]["typical"] is True
