"""Whether an answer exists: branch and bound on trees says what trying every answer says."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from sensecf_convert.proof.prover import Fewest, Prover
from sensecf_convert.table.cohort import Cohort
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

from sensecf_edge.judge.classifier import OnnxChecker
from sensecf_edge.proof import branch_and_bound
from sensecf_edge.proof.branch_and_bound import Search
from sensecf_edge.proof.effort import ENDLESS, Effort
from sensecf_edge.proof.every import highest
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.schema import Schema
from sensecf_edge.space import measure, rules
from sensecf_edge.space.admissible import Admissible, admissible
from sensecf_edge.space.constraints import Constraints

SCHEMA = Schema.from_json({
    "format": 1,
    "features": [
        {"name": "height", "kind": "number", "low": 1.5, "high": 2.0, "step": 0.1, "mutable": False},
        {"name": "weight", "kind": "number", "low": 50, "high": 110, "step": 10},
        {"name": "bmi", "kind": "number", "low": 10, "high": 60, "step": 0.5},
        {"name": "high", "kind": "number", "low": 90, "high": 180, "step": 10, "optional": True},
        {"name": "low", "kind": "number", "low": 50, "high": 120, "step": 10},
        {"name": "smokes", "kind": "choice", "choices": ["no", "yes", "sometimes"]},
    ],
    "relations": [
        {"kind": "ratio", "features": ["bmi", "weight", "height"], "scale": 1, "power": 2, "tolerance": 0.3, "completes": "bmi"},
        {"kind": "le", "features": ["low", "high"]},
    ],
})  # fmt: skip

FOLLOWING = Schema.from_json({
    "format": 1,
    "features": [
        {"name": "cause", "kind": "number", "low": 0, "high": 10, "step": 1},
        {"name": "banded", "kind": "number", "low": 0, "high": 20, "step": 1},
        {"name": "effect", "kind": "number", "low": 0, "high": 20, "step": 2},
        {"name": "capped", "kind": "number", "low": 0, "high": 10, "step": 2},
        {"name": "free", "kind": "number", "low": 0, "high": 10, "step": 2},
    ],
    "relations": [
        {"kind": "band", "features": ["banded", "cause"], "slope": 1.5, "intercept": 0, "tolerance": 1, "completes": "banded"},
        {"kind": "causes", "features": ["cause", "effect"], "slope": 1},
        {"kind": "le", "features": ["capped", "banded"]},
    ],
})  # fmt: skip
"""What follows by a band and as an effect, and a limit that only what follows can move."""


def people(seed: int, rows: int = 300) -> Cohort:
    """People whose class follows weight, pressure and smoking in a jagged way; a tenth do not know their pressure."""
    chance = np.random.default_rng(seed)
    lattices = [f.lattice for f in SCHEMA.features]
    X = np.stack([chance.choice(lattice, rows) for lattice in lattices], axis=1)
    X[:, 2] = X[:, 1] / X[:, 0] ** 2
    X[:, 4] = np.minimum(X[:, 4], X[:, 3])
    y = np.sin(X[:, 1] / 7) + np.sin(X[:, 3] / 11) + (X[:, 5] != 1) + chance.normal(0, 0.4, rows) > 1
    X[chance.random(rows) < 0.1, 3] = np.nan
    return Cohort(SCHEMA, X, y, np.arange(rows).astype(str), ("ill", "well"))


def followers(seed: int, rows: int = 300) -> Cohort:
    """People whose class follows most of what follows."""
    chance = np.random.default_rng(seed)
    X = np.stack([chance.choice(f.lattice, rows) for f in FOLLOWING.features], axis=1)
    X[:, 1] = np.clip(np.round(1.5 * X[:, 0] + chance.integers(-1, 2, rows)), 0, 20)
    X[:, 3] = np.minimum(X[:, 3], X[:, 1] // 2 * 2)
    y = np.sin(X[:, 1] / 3) + np.sin(X[:, 2] / 4) + np.sin(X[:, 3] / 3) + X[:, 4] / 10 + chance.normal(0, 0.3, rows) > 1.5
    return Cohort(FOLLOWING, X, y, np.arange(rows).astype(str), ("ill", "well"))


CHAIN = Schema.from_json({
    "format": 1,
    "features": [
        {"name": "vigorous", "kind": "number", "low": 0, "high": 6, "step": 1, "direction": "increase"},
        {"name": "active", "kind": "number", "low": 0, "high": 8, "step": 1, "optional": True},
        {"name": "steps", "kind": "number", "low": 0, "high": 20, "step": 2, "reference": [0, 16], "max_change": 9},
        {"name": "energy", "kind": "number", "low": 0, "high": 30, "step": 1, "reference": [1, 24]},
        {"name": "awake", "kind": "number", "low": 0, "high": 9, "step": 3},
    ],
    "relations": [
        {"kind": "causes", "features": ["vigorous", "active"], "slope": 0.5},
        {"kind": "causes", "features": ["active", "steps"], "slope": 1.5},
        {"kind": "causes", "features": ["vigorous", "steps"], "slope": -0.3},
        {"kind": "causes", "features": ["steps", "energy"], "slope": 0.9, "completes": "energy"},
        {"kind": "causes", "features": ["active", "energy"], "slope": -0.4},
        {"kind": "le", "features": ["awake", "energy"], "slope": -0.5, "intercept": 15},
    ],
})  # fmt: skip
"""A chain of causes, slopes of both signs, effects that may be advised on and one that only follows."""


def chain(seed: int, rows: int = 300) -> Cohort:
    """People whose class follows what a chain of causes moves; a tenth do not know how active they are."""
    chance = np.random.default_rng(seed)
    X = np.stack([chance.choice(f.lattice, rows) for f in CHAIN.features], axis=1)
    y = np.sin(X[:, 2] / 3) + np.sin(X[:, 3] / 4) + np.sin(X[:, 0] / 3) + chance.normal(0, 0.3, rows) > 1.2
    X[chance.random(rows) < 0.1, 1] = np.nan
    return Cohort(CHAIN, X, y, np.arange(rows).astype(str), ("ill", "well"))


def forest(data: Cohort, seed: int) -> tuple[bytes, OnnxChecker]:
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    trees = RandomForestClassifier(12, max_depth=5, random_state=seed, class_weight="balanced")
    model = make_pipeline(SimpleImputer(strategy="median"), trees).fit(data.X.astype(np.float32), data.y)
    kind = [("record", FloatTensorType([None, data.X.shape[1]]))]
    graph = bytes(convert_sklearn(model, initial_types=kind, options={id(model): {"zipmap": False}}).SerializeToString())
    return graph, OnnxChecker(graph, data.X.shape[1], 1)


def lattice(x: np.ndarray, most: int = len(SCHEMA), schema: Schema = SCHEMA) -> Admissible:
    return admissible(Record(schema, x), Constraints(max_changes=most))


def tried(checker: OnnxChecker, space: Admissible) -> tuple[np.ndarray, np.ndarray]:
    """p and the number of features changed of every admissible answer: plain brute force, nothing left out early."""
    schema, x = space.record.schema, space.record.vector
    Y = np.array(list(product(*([*values, x[i]] for i, values in enumerate(space.values)))))
    Y = rules.complete(schema, x, Y)
    Y = Y[rules.admitted(space, Y)]
    return checker.p_target(Y), measure.sparsity(x, Y)


@pytest.mark.parametrize("made", [people, followers, chain])
@pytest.mark.parametrize("most", [1, 2, len(SCHEMA)])
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("sets", [branch_and_bound.SETS, 0])
def test_branch_and_bound_finds_what_trying_everything_finds(
    seed: int, most: int, made: Callable[[int], Cohort], sets: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(branch_and_bound, "SETS", sets)
    data = made(seed)
    graph, checker = forest(data, seed)
    prover, said = Prover(checker, graph, data), set()
    for x in data.X[checker.p_target(data.X) < 0.5][:12]:
        space = lattice(x, most, data.schema)
        top = float(tried(checker, space)[0].max())
        assert highest(checker, space, math.inf) == top
        for goal in (0.55, top - 1e-4, top + 1e-4):
            bound = prover.reaches(space, goal, ENDLESS)
            assert bound == (top >= goal)
            said.add(bound)
    assert said == {True, False}


def test_the_wanted_class_may_be_the_graphs_first_column() -> None:
    data = people(1)
    graph, _ = forest(data, 1)
    checker = OnnxChecker(graph, len(SCHEMA), wanted=0)
    prover = Prover(checker, graph, data, column=0)
    for x in data.X[checker.p_target(data.X) < 0.5][:6]:
        top = float(tried(checker, lattice(x))[0].max())
        assert prover.reaches(lattice(x), top - 1e-4, ENDLESS) and not prover.reaches(lattice(x), top + 1e-4, ENDLESS)


@pytest.mark.parametrize("made", [people, followers, chain])
@pytest.mark.parametrize("trees", [True, False])
def test_the_fewest_features_are_those_of_brute_force_what_follows_included(trees: bool, made: Callable[[int], Cohort]) -> None:
    data, said, followed = made(3), set(), False
    graph, checker = forest(data, 3)
    prover = Prover(checker, graph, data)
    if not trees:
        prover._forests[0.55] = None
    for x in data.X[checker.p_target(data.X) < 0.5][:25]:
        space = lattice(x, 3, data.schema)
        p, counts = tried(checker, space)
        if not (p >= 0.55).any():
            continue
        least, known = int(counts[p >= 0.55].min()), int(counts[p >= 0.55].max())
        assert prover.fewest(space, 0.55, ENDLESS, known) == Fewest(least, exact=True)
        assert prover.fewest(space, 0.55, ENDLESS, least) == Fewest(least, exact=True)
        said.add(least)
        followed |= prover.reaches(replace(space, max_changes=least - 1), 0.55, ENDLESS) is True  # said by fewer, changed by as many
    assert len(said) > 1 and followed


def test_where_the_time_ends_the_fewest_is_what_is_proven_so_far() -> None:
    data = people(3)
    graph, checker = forest(data, 3)
    prover = Prover(checker, graph, data)
    x = data.X[checker.p_target(data.X) < 0.5][0]
    assert prover.fewest(lattice(x), 0.55, Effort(0), 3) == Fewest(1, exact=False)
    assert prover.fewest(lattice(x), 0.55, Effort(0), 1) == Fewest(1, exact=True)


def test_what_is_known_of_one_space_is_not_said_of_another() -> None:
    data = people(3)
    graph, checker = forest(data, 3)
    prover = Prover(checker, graph, data)
    for x in data.X[checker.p_target(data.X) < 0.5]:
        p, counts = tried(checker, lattice(x))
        if p.max() >= 0.55 and counts[p >= 0.55].min() > 1:
            break
    asked = [(lattice(x), math.inf), (lattice(x), 1), (lattice(x, 1), 1), (lattice(x), math.inf)]
    assert [prover.reaches(space, 0.55, ENDLESS, most) for space, most in asked] == [True, False, False, True]
    frozen = admissible(Record(SCHEMA, x), Constraints(freeze=frozenset({"weight", "low"})))
    assert prover.reaches(frozen, 0.55, ENDLESS) == bool(tried(checker, frozen)[0].max() >= 0.55)


def test_an_upper_bound_is_one() -> None:
    data = people(7)
    graph, checker = forest(data, 7)
    prover = Prover(checker, graph, data)
    for x in data.X[checker.p_target(data.X) < 0.5][:10]:
        found = prover._forest(0.55)
        assert found is not None
        search = Search(checker, lattice(x), 0.55, found, prover.levels, prover.fill)
        whole = np.array([[[0, len(o) - 1] for o in search.options]])
        top = highest(checker, lattice(x), math.inf)
        assert top is not None and search._bounds(whole)[0] >= top - 1e-6


def test_the_clock_ends_a_proof_and_without_trees_only_small_lattices_are_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    data = people(1)
    graph, checker = forest(data, 1)
    x = data.X[checker.p_target(data.X) < 0.5][0]
    assert Prover(checker, graph, data).reaches(lattice(x), 0.99, Effort(0)) is None
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression

    smooth = make_pipeline(SimpleImputer(), LogisticRegression(max_iter=1000)).fit(data.X.astype(np.float32), data.y)
    plain = to_onnx(smooth, data.X[:1].astype(np.float32), options={id(smooth): {"zipmap": False}}).SerializeToString()
    assert Prover(OnnxChecker(plain, len(SCHEMA), 1), plain, data).reaches(lattice(x), 0.999, ENDLESS) is False
    monkeypatch.setattr("sensecf_edge.proof.every.EXHAUSTIVE", 0)
    assert Prover(OnnxChecker(plain, len(SCHEMA), 1), plain, data).reaches(lattice(x), 0.999, ENDLESS) is None
