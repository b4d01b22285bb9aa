"""What is put on inside the classifier for every package: limits, gaps, followers; and the trees that packages without a classifier get."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sensecf_convert.compare import environments, methods, running
from sensecf_convert.compare.programs import folding
from sensecf_convert.compare.programs.limits import Limits
from sensecf_convert.compare.question import Options

from sensecf_edge.schema.feature import Feature
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.relation import Relation
from sensecf_edge.schema.schema import Schema
from sensecf_edge.space import measure, rules
from sensecf_edge.space.admissible import admissible
from sensecf_edge.space.constraints import Constraints

SCHEMA = Schema(
    (
        Feature("age", low=20, high=80, step=1, mutable=False),
        Feature("weight", low=40, high=160, step=1, direction="decrease", max_change=30, advise=(50, 150)),
        Feature("height", low=140, high=200, step=1, mutable=False),
        Feature("bmi", low=10, high=80, step=0.5, reference=(18, 60)),
        Feature("deep", low=0, high=100, step=5),
        Feature("rem", low=0, high=100, step=5),
        Feature("light", low=0, high=100, step=5, reference=(10, 90)),
        Feature("steps", low=0, high=20000, step=1000, direction="increase", advise=(8000, 15000)),
        Feature("energy", low=0, high=3000, step=50, direction="increase", optional=True),
        Feature("smokes", kind="choice", choices=("no", "yes", "often"), direction="decrease"),
    ),
    (
        Relation("ratio", ("bmi", "weight", "height"), scale=10000, power=2, tolerance=0.3, completes="bmi"),
        Relation("sum", ("deep", "rem", "light"), total=100, tolerance=1, completes="light"),
        Relation("causes", ("steps", "energy"), slope=0.04),
        Relation("le", ("deep", "light")),
    ),
)
NOW = np.array([40.0, 90.0, 170.0, 31.1, 20.0, 20.0, 60.0, 3000.0, 400.0, 2.0])
MUTABLE = ("weight", "deep", "rem", "steps", "energy", "smokes")
ENDS = [(20, 80), (40, 160), (140, 200), (10, 80), (0, 100), (0, 100), (0, 100), (0, 20000), (0, 3000), (0, 2)]
anything = st.tuples(*(st.one_of(st.just(float(now)), st.floats(*ends)) for now, ends in zip(NOW, ENDS, strict=True)))


def choices_rounded(row: tuple[float, ...]) -> np.ndarray:
    return np.array([*row[:-1], round(row[-1])])


@given(row=anything)
def test_whatever_a_package_says_becomes_what_the_runtime_admits_but_for_relations(row: tuple[float, ...]) -> None:
    limits = Limits(SCHEMA, NOW)
    y = limits.brought(choices_rounded(row)[None])
    space = admissible(Record(SCHEMA, NOW), Constraints(max_changes=len(SCHEMA)))
    wrong = [name for name, mask in rules.broken(space, y).items() if mask[0]]
    assert all(name == "nothing changes" or name.startswith("breaks ") or name.endswith("leaves its range") for name in wrong)
    assert np.array_equal(limits.brought(y), y)  # and stays what it is
    assert bool(limits.kept(y)[0]) == (set(wrong) <= {"nothing changes"})


@given(data=st.data())
def test_an_answer_of_the_runtime_is_measured_as_it_is(data: st.DataObject) -> None:
    """What follows a cause lies between the steps of its lattice: it is not put on one."""
    space = admissible(Record(SCHEMA, NOW))
    y = NOW.copy()
    for i in data.draw(st.lists(st.sampled_from(space.features), min_size=1, max_size=3, unique=True)):
        y[i] = data.draw(st.sampled_from(list(space.values[i])))
    y = rules.complete(SCHEMA, NOW, y[None])
    assume(rules.admitted(space, y)[0])
    assert np.array_equal(Limits(SCHEMA, NOW).brought(y), y)


def test_the_effect_of_a_cause_follows_without_being_put_on_a_step() -> None:
    x = NOW.copy()
    x[8] = 413.0
    y = x.copy()
    y[7] = 9000
    got = Limits(SCHEMA, x).brought(y[None])[0]
    assert got[8] == pytest.approx(413 + 0.04 * 6000) and got[8] % 50
    y[8] = 1010.0  # said by itself: on the next step
    assert Limits(SCHEMA, x).brought(y[None])[0, 8] == 1050


def test_a_gap_in_what_may_be_advised_is_crossed_by_whoever_steps_into_it() -> None:
    y = NOW.copy()
    for said, becomes in ((3500.0, 8000), (8000.0, 8000), (8200.0, 9000), (19000.0, 15000), (1000.0, 3000)):
        y[7] = said
        assert Limits(SCHEMA, NOW).brought(y[None])[0, 7] == becomes


def test_columns_that_follow_are_computed_whatever_a_package_says_of_them() -> None:
    y = NOW.copy()
    y[[1, 3, 6]] = 80, 55, 5
    got = Limits(SCHEMA, NOW).brought(y[None])[0]
    assert got[1] == 80 and got[3] == pytest.approx(31.1 - 10 / 1.7**2) and got[6] == 60


def test_what_is_unknown_stays_unknown_and_moves_nothing() -> None:
    x = NOW.copy()
    x[[2, 8]] = np.nan
    y = np.where(np.isnan(x), 500.0, x)
    y[7] = 9000
    got = Limits(SCHEMA, x).brought(y[None])[0]
    assert np.isnan(got[[2, 8]]).all() and got[7] == 9000 and got[3] == x[3]


@dataclass
class Asks:
    """As much of a question as trees need."""

    schema: Schema
    exact: np.ndarray

    def limits(self, k: int) -> Limits:
        return Limits(self.schema, self.exact[k])


def random_tree(rng: np.random.Generator, depth: int, nodes: list[dict]) -> int:
    at = len(nodes)
    nodes.append({})
    if not depth:
        nodes[at] = {"value": float(rng.normal())}
        return at
    i = int(rng.integers(len(SCHEMA)))
    split = {"feature": i, "unknown": bool(rng.random() < 0.5)}
    if SCHEMA.features[i].kind == "choice":
        split["codes"] = [int(c) for c in rng.choice(3, int(rng.integers(1, 3)), replace=False)]
    else:
        split |= {"threshold": float(np.float32(rng.uniform(*ENDS[i]))), "op": ("le", "lt")[int(rng.integers(2))]}
    nodes[at] = split | {"left": random_tree(rng, depth - 1, nodes), "right": random_tree(rng, depth - 1, nodes)}
    return at


def followed(tree: tuple, folded: folding.Folded, y: np.ndarray) -> float:
    """The leaf that a folded tree has for a record."""
    while tree[0] != "leaf":
        if tree[0] == "split":
            left = tree[2][np.flatnonzero(folded.parts[tree[1]].codes == y[tree[1]])[0]]
        else:
            v, t = np.float32(y[tree[1]]), np.float32(tree[2])
            left = v <= t if tree[3] == "le" else v < t
        tree = tree[-2] if left else tree[-1]
    return tree[1]


@pytest.mark.parametrize("seed", range(6))
def test_folded_trees_say_what_the_whole_trees_say_of_every_record_that_may_be(seed: int) -> None:
    from sensecf_edge.proof.trees import evaluate

    rng, x = np.random.default_rng(seed), NOW.copy()
    if seed % 2:
        x[[2, 8]] = np.nan
    trees = []
    for _ in range(8):
        random_tree(rng, 5, nodes := [])
        trees.append(nodes)
    folded = folding.fold(Asks(SCHEMA, x[None]), 0, trees)
    thin = folding.thinned(folded, SCHEMA)
    assert set(folded.parts) == {SCHEMA.index[n] for n in MUTABLE} - set(np.flatnonzero(np.isnan(x)))
    said = np.array([rng.choice(part.codes, 300) for part in thin.parts.values()]).T
    Y = np.repeat(x[None], 300, axis=0)
    Y[:, list(thin.parts)] = np.where(rng.random(said.shape) < 0.5, said, x[list(thin.parts)])
    Y = rules.complete(SCHEMA, x, Y)
    for some in (folded, thin):
        got = [sum(followed(tree, some, y) for tree in some.trees) for y in Y]
        assert np.allclose(got, evaluate(trees, Y))
    assert sum(map(size, folded.trees)) < sum(map(len, trees))


def test_every_way_to_stand_still_leaves_each_follower_one_feature_that_moves_it() -> None:
    question = Asks(SCHEMA, NOW[None])
    whole = folding.fold(question, 0, [])
    assert {SCHEMA.names[i] for i in whole.several} == {"light", "energy"} and set(whole.home) == {SCHEMA.index["bmi"]}
    moving = set()
    for still in folding.singly(whole):
        some = folding.fold(question, 0, [], still)
        assert not some.several and some.home[SCHEMA.index["energy"]] == SCHEMA.index["steps"]
        moving.add(SCHEMA.names[some.home[SCHEMA.index["light"]]])
    assert moving == {"deep", "rem"}


def size(tree: tuple) -> int:
    return 1 if tree[0] == "leaf" else 1 + size(tree[-2]) + size(tree[-1])


def asked_folder(folder: Path, trees: list[list[dict]], goal: float, rows: np.ndarray) -> Path:
    """A question about trees alone, as `compare` writes it."""
    plain = {
        "names": list(SCHEMA.names), "kinds": [f.kind for f in SCHEMA.features],
        "steps": [[f.step or 1.0, f.low or 0.0] for f in SCHEMA.features],
        "spans": SCHEMA.spans.tolist(), "choices": [len(f.choices) for f in SCHEMA.features], "allowed": [], "linear": [], "pinned": False,
        "schema": SCHEMA.to_json(), "runtime": str(Path(rules.__file__).parents[1]), "goal": goal, "seconds": 30.0, "seed": 0,
        "max_changes": 3,
        "wanted": 1, "turn": 0.5,
    }  # fmt: skip
    (folder / "question.json").write_text(json.dumps(plain))
    (folder / "trees.json").write_text(json.dumps({"trees": trees, "base": 0.0, "goal": goal}))
    vary = np.isin(SCHEMA.names, MUTABLE) & ~np.isnan(rows)
    arrays = {"records": np.nan_to_num(rows), "low": rows, "high": rows, "vary": vary, "exact": rows}
    np.savez(folder / "question.npz", X=rows, y=np.zeros(len(rows)), **arrays)
    return folder


@pytest.mark.parametrize("what", ["fewest", "nearest"])
def test_oceanpy_proves_what_trying_everything_finds(what: str, tmp_path: Path) -> None:
    """Ratio, sum, order, a cause whose effect may be advised as well, a gap, an unknown value: all limits at once, on random trees."""
    if environments.cached("oceanpy") is None:
        pytest.skip("the environment of oceanpy is not installed here; `sensecf-edge compare` makes it where Python 3.12 or newer is")
    from sensecf_edge.proof.every import every_answer
    from sensecf_edge.proof.trees import evaluate

    coarse = [NOW.copy(), NOW.copy()]
    coarse[1][8] = np.nan
    rng, trees = np.random.default_rng(5), []
    for _ in range(6):
        random_tree(rng, 4, nodes := [])
        trees.append(nodes)
    every = []
    for x in coarse:
        space = admissible(Record(SCHEMA, x), Constraints(max_changes=2))
        Y = np.concatenate([rules.complete(SCHEMA, x, part) for part in every_answer(space)])
        every.append((Y[rules.admitted(space, Y)], x))
    goal = float(np.quantile(evaluate(trees, every[0][0]), 0.999)) - 1e-6  # packages are asked for a little more than is needed
    folder = asked_folder(tmp_path, trees, goal, np.array(coarse))
    plain = json.loads((folder / "question.json").read_text())
    (folder / "question.json").write_text(json.dumps(plain | {"max_changes": 2}))
    done = running.run(methods.METHODS[f"oceanpy-{what}"], folder, 2, Options(seconds=30), lambda *_: None)
    assert not done.failed, done.failed
    for answer, (Y, x) in zip(done.answers, every, strict=True):
        good = Y[evaluate(trees, Y) >= goal]
        far = measure.sparsity(x, good) if what == "fewest" else measure.proximity(SCHEMA, x, good)
        if not len(good):
            assert answer["why"] == "proved: none exists"
            continue
        y = np.array([np.nan if v is None else v for v in answer["y"]])[None]
        assert answer["why"] == "optimal" and evaluate(trees, y)[0] >= goal - 1e-9
        assert rules.admitted(admissible(Record(SCHEMA, x), Constraints(max_changes=2)), y)[0]
        mine = measure.sparsity(x, y) if what == "fewest" else measure.proximity(SCHEMA, x, y)
        assert mine[0] == pytest.approx(far.min(), abs=1e-5)


def test_a_package_s_own_python_finds_the_rules_and_nothing_beside_them(tmp_path: Path) -> None:
    """The rules are loaded by their folder; what lies beside it stays out of reach."""
    import subprocess
    import sys

    runtime = tmp_path / "site" / "sensecf_edge"
    runtime.parent.mkdir()
    runtime.symlink_to(Path(rules.__file__).parents[1])
    (runtime.parent / "beside_it.py").write_text("")
    code = (
        f"import sys; sys.path.insert(0, {str(environments.PROGRAMS)!r})\n"
        f"import asked; asked.runtime({str(runtime)!r})\n"
        "from limits import Limits\n"
        "import importlib.util; print(importlib.util.find_spec('beside_it'), Limits.__module__)"
    )
    done = subprocess.run([sys.executable, "-S", "-c", f"import sys; sys.path.append({str(Path(np.__file__).parents[1])!r})\n{code}"],
                          capture_output=True, text=True, env={"PATH": ""}, cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0 and done.stdout.split() == ["None", "limits"], done.stderr
