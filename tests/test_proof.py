"""Whether an answer exists: branch and bound on trees says what trying every answer says."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from sensecf_convert.proof import Prover, Search, highest
from sensecf_convert.tables import Cohort
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

from sensecf_edge.admissible import Admissible, Constraints, admissible
from sensecf_edge.check import OnnxChecker
from sensecf_edge.record import Record
from sensecf_edge.schema import Schema

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


def forest(data: Cohort, seed: int) -> tuple[bytes, OnnxChecker]:
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    trees = RandomForestClassifier(12, max_depth=5, random_state=seed, class_weight="balanced")
    model = make_pipeline(SimpleImputer(strategy="median"), trees).fit(data.X.astype(np.float32), data.y)
    kind = [("record", FloatTensorType([None, len(SCHEMA)]))]
    graph = bytes(convert_sklearn(model, initial_types=kind, options={id(model): {"zipmap": False}}).SerializeToString())
    return graph, OnnxChecker(graph, len(SCHEMA), 1)


def lattice(x: np.ndarray, most: int = len(SCHEMA)) -> Admissible:
    return admissible(Record(SCHEMA, x), Constraints(max_changes=most))


@pytest.mark.parametrize("most", [1, 2, len(SCHEMA)])
@pytest.mark.parametrize("seed", range(3))
def test_branch_and_bound_finds_what_trying_everything_finds(seed: int, most: int) -> None:
    data = people(seed)
    graph, checker = forest(data, seed)
    prover, said = Prover(checker, graph, data), set()
    for x in data.X[checker.p_target(data.X) < 0.5][:12]:
        space = lattice(x, most)
        top = highest(checker, space, math.inf)
        assert top is not None
        for goal in (0.55, top - 1e-4, top + 1e-4):
            bound = prover.reaches(space, goal, math.inf)
            assert bound == (top >= goal)
            said.add(bound)
    assert said == {True, False}


def test_an_upper_bound_is_one() -> None:
    data = people(7)
    graph, checker = forest(data, 7)
    prover = Prover(checker, graph, data)
    for x in data.X[checker.p_target(data.X) < 0.5][:10]:
        found = prover._forest(0.55)
        assert found is not None
        search = Search(checker, lattice(x), 0.55, *found, prover.fill)
        whole = np.array([[[0, len(o) - 1] for o in search.options]])
        top = highest(checker, lattice(x), math.inf)
        assert top is not None and search._bounds(whole)[0] >= top - 1e-6


def test_the_clock_ends_a_proof_and_without_trees_only_small_lattices_are_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    data = people(1)
    graph, checker = forest(data, 1)
    x = data.X[checker.p_target(data.X) < 0.5][0]
    assert Prover(checker, graph, data).reaches(lattice(x), 0.99, time.monotonic() - 1) is None
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression

    smooth = make_pipeline(SimpleImputer(), LogisticRegression(max_iter=1000)).fit(data.X.astype(np.float32), data.y)
    plain = to_onnx(smooth, data.X[:1].astype(np.float32), options={id(smooth): {"zipmap": False}}).SerializeToString()
    assert Prover(OnnxChecker(plain, len(SCHEMA), 1), plain, data).reaches(lattice(x), 0.999, math.inf) is False
    monkeypatch.setattr("sensecf_convert.proof.EXHAUSTIVE", 0)
    assert Prover(OnnxChecker(plain, len(SCHEMA), 1), plain, data).reaches(lattice(x), 0.999, math.inf) is None
