"""Counterfactuals as training rows: what may be read, what may leave, and a study that is interrupted and resumed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import Ran
from hypothesis import given
from hypothesis import strategies as st
from sensecf_convert.augment import learners, output_table, rows, training, trial
from sensecf_convert.augment.command import _cohort, augment, wanted_rows
from sensecf_convert.augment.relaxed import relaxed_schema, towards_class
from sensecf_convert.augment.study import command as study_command
from sensecf_convert.augment.study import methods, study
from sensecf_convert.augment.study.scarcity import SCENARIOS, Scarcity
from sensecf_convert.classifier import recipes
from sensecf_convert.compare import environments
from sensecf_convert.table import cohort as tables
from sensecf_convert.table.cohort import Cohort, cohort, folds_by_person, read_table
from sensecf_convert.table.draft import draft
from sensecf_convert.teachers.people import places
from sensecf_convert.work import OtherWorkError, Work
from sklearn.metrics import f1_score
from test_build import diabetes

from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.cli import augment as cli_augment
from sensecf_edge.errors import MissingExtraError, TableError
from sensecf_edge.judge.classifier import OnnxChecker
from sensecf_edge.schema.feature import Feature
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.relation import Relation
from sensecf_edge.schema.schema import Schema
from sensecf_edge.space import rules
from sensecf_edge.space.admissible import admissible

Command = Callable[..., Ran]
CHEAP = ("none", "duplicate", "class-weights", "smote")
SIDES = SCENARIOS
POISON = 7


@dataclass
class Small:
    """A table short of one class, and what was forged from it."""

    table: Path
    schema: Path
    data: Cohort
    work: Path
    bundle: Bundle

    def checker(self) -> OnnxChecker:
        return OnnxChecker(self.bundle.classifier_bytes(), len(self.data.schema), wanted=1)


def frame() -> pd.DataFrame:
    """The diabetes table with fewer rows of the class `fast`, an id and a column of words."""
    table = diabetes().drop(columns=["person"])
    table["sex"] = table["sex"].map({1.0: "f", 2.0: "m"})
    fast = table.index[table.progression == "fast"]
    table = table.drop(index=fast[60:]).reset_index(drop=True).head(200)
    return table.assign(visit=[f"v{i:04d}" for i in range(len(table))])


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    folder = tmp_path_factory.mktemp("augment")
    table, schema = folder / "t.csv", folder / "s.json"
    frame().to_csv(table, index=False)
    drafted = draft(table, "progression")
    drafted["features"] = [f for f in drafted["features"] if f["name"] != "visit"]
    drafted["features"][0]["mutable"] = False
    schema.write_text(json.dumps(drafted))
    data = cohort(read_table(table), relaxed_schema(Schema.load(schema)), "progression", "fast")
    bundle = training.train_bundle(data, training.TRY, Work(folder / "work"), 0, "random-forest", lambda _: None)
    return Small(table, schema, data, folder / "work", bundle)


labels = st.lists(st.booleans(), min_size=8, max_size=80).map(lambda y: np.array([True, False, *y]))


@given(labels, st.integers(0, 5), st.integers(1, 95), st.integers(1, 95))
def test_what_is_left_shrinks_with_the_reduction_and_the_scenario_says_of_which_class(y: np.ndarray, seed: int, one: int, two: int) -> None:
    less, more = sorted((one, two))
    for name, loses in SIDES.items():
        few, many = (set(Scarcity(name, r).left(y, seed).tolist()) for r in (more, less))
        assert few <= many <= set(range(len(y)))
        assert set(Scarcity("C", more).left(y, seed).tolist()) <= few
        for positive, reduced in zip((False, True), loses, strict=True):
            have, whole = sum(y[i] == positive for i in few), int((y == positive).sum())
            assert have == (round(whole * (1 - more / 100)) if reduced else whole)


@given(labels, st.sampled_from([*SIDES]), st.integers(1, 95))
def test_only_classes_that_lost_rows_are_filled_up_and_to_the_larger_class_as_it_was(y: np.ndarray, scenario: str, reduction: int) -> None:
    scarcity = Scarcity(scenario, reduction)
    left = y[scarcity.left(y, 0)]
    larger = max(y.sum(), (~y).sum())
    for positive, loses, count in zip((False, True), SIDES[scenario], scarcity.wanting(left, y), strict=True):
        assert count == (larger - (left == positive).sum() if loses else 0)


def test_a_loose_schema_keeps_what_makes_a_row_possible_and_drops_what_limits_advice() -> None:
    strict = Schema(
        (Feature("a", low=0, high=9, step=1, mutable=False),
         Feature("b", low=0, high=9, step=1, direction="increase", max_change=2, cost=3),
         Feature("c", low=0, high=9, step=1, never_advise=True), Feature("d", low=0, high=18, step=1)),
        (Relation("le", ("a", "d")),),
    )  # fmt: skip
    free = relaxed_schema(strict)
    assert free.relations == strict.relations
    assert [f.lattice.tolist() for f in free.features] == [f.lattice.tolist() for f in strict.features]
    assert all(f.mutable and f.direction == "either" and f.max_change is None and not f.never_advise for f in free.features)


def test_facing_a_class_turns_the_labels_and_refuses_a_class_that_is_not_there(small: Small) -> None:
    assert towards_class(small.data, "fast") is small.data
    other = towards_class(small.data, "slow")
    assert other.classes == ("fast", "slow") and (other.y == ~small.data.y).all()
    with pytest.raises(TableError, match="no class 'medium'; the table has slow and fast"):
        towards_class(small.data, "medium")


def test_made_rows_are_of_the_class_possible_and_nobodys_copy(small: Small) -> None:
    made, _ = rows.make_rows(small.bundle, small.data, 60, 0)
    assert len(made) == 60 and {r.method for r in made} == {rows.COUNTERFACTUAL, rows.MOVED, rows.INVENTED}
    schema = small.bundle.schema
    Y = np.array([r.y for r in made])
    p = small.checker().p_target(Y)
    known = {row.tobytes() for row in places(schema, small.data.X)}
    floor = {rows.COUNTERFACTUAL: 0.5 + rows.MARGIN, rows.MOVED: 0.55, rows.INVENTED: 0.5}
    for row, now, place in zip(made, p, places(schema, Y), strict=True):
        assert row.p == pytest.approx(now, abs=1e-5) and row.p >= floor[row.method] - 1e-6 and 0 <= row.realism <= 100
        assert place.tobytes() not in known
        assert (row.source == rows.NOBODY) == (row.method != rows.COUNTERFACTUAL)
        if row.source == rows.NOBODY:
            assert all(np.abs(f.lattice - v).min() < 1e-9 for f, v in zip(schema.features, row.y, strict=True))
        if row.source != rows.NOBODY:
            assert not small.data.y[row.source]
            space = admissible(Record(schema, small.data.X[row.source]))
            assert not [rule for rule, broken in rules.broken(space, row.y[None]).items() if broken[0]]
    again, _ = rows.make_rows(small.bundle, small.data, 60, 0)
    assert [(r.y.tobytes(), r.source) for r in again] == [(r.y.tobytes(), r.source) for r in made]


def test_no_row_is_made_twice_and_the_other_class_gives_its_share(small: Small) -> None:
    made, _ = rows.make_rows(small.bundle, small.data, 60, 1)
    assert len({r.y.tobytes() for r in made}) == len(made) == 60
    assert sum(r.method == rows.COUNTERFACTUAL for r in made) <= rows.OTHERS * 60


def test_the_guard_refuses_a_real_persons_row_and_what_lies_beside_another_person(small: Small) -> None:
    data = replace(small.data, schema=small.bundle.schema)
    guard = rows.Guard(data)
    assert guard.why(data.X[3], 3) == "it is a real person's row"
    nudged = data.X[5].copy()
    nudged[data.schema.index["bmi"]] += 2 * float(data.schema["bmi"].step or 0)
    assert guard.why(nudged, 3) == "it lies too near to another real person"
    assert guard.why(nudged, 5) in ("", "it lies too near to another real person")


def outside_poisoned(data: Cohort, kept: np.ndarray) -> Cohort:
    """The same cohort with every other row, label included, turned into nonsense that the schema still admits."""
    X, y = data.X.copy(), data.y.copy()
    away = np.setdiff1d(np.arange(len(data)), kept)
    rng = np.random.default_rng(POISON)
    for i, feature in enumerate(data.schema.features):
        X[away, i] = rng.choice(feature.lattice, len(away))
    y[away] = rng.random(len(away)) < 0.5
    return replace(data, X=X, y=y)


@pytest.mark.parametrize("name", [*CHEAP, "ours"])
def test_no_row_outside_the_reduced_set_is_ever_read(small: Small, tmp_path: Path, name: str) -> None:
    """Everything outside is replaced by nonsense, test people included: each method still adds the very same rows."""
    plan = study.StudyPlan("progression", "fast", seeds=(0,), effort="try", reductions=(50,))
    train = study.Parts.of(small.data, plan, 0).train
    cell = study.Cell(0, Scarcity("A", 50))
    kept = cell.scarcity.left(train.y, 0)
    added = []
    for at, rest in enumerate((train, outside_poisoned(train, kept))):
        wanting = cell.scarcity.wanting(train.y[kept], train.y)
        left = methods.Left(rest.take(kept), wanting, 0, tmp_path / str(at), "random-forest", training.TRY)
        added.append(methods.METHODS[name](left))
    assert (added[0].X == added[1].X).all() and (added[0].y == added[1].y).all()
    assert (len(added[0].X) > 0) == (name not in ("none", "class-weights"))


def test_a_trial_reads_the_reduced_rows_alone(small: Small) -> None:
    train = study.Parts.of(small.data, study.StudyPlan("progression", "fast"), 0).train
    scarcity = Scarcity("A", 50)
    kept = scarcity.left(train.y, 0)
    wanting = scarcity.wanting(train.y[kept], train.y)
    one, other = (trial.trial("svm", rest.take(kept), wanting, 0) for rest in (train, outside_poisoned(train, kept)))
    assert one == other


def test_a_cell_gives_its_methods_the_reduced_rows_and_shared_weights_read_only_what_all_cells_may(small: Small, tmp_path: Path) -> None:
    plan = study.StudyPlan("progression", "fast", seeds=(0,), effort="try", reductions=(30, 50))
    train = study.Parts.of(small.data, plan, 0).train
    common = set(study.shared_rows(train, plan, 0).tolist())
    assert common
    for cell in plan.cells():
        left = study.given(train, plan, cell, tmp_path)
        assert left.data.fingerprint == train.take(cell.scarcity.left(train.y, 0)).fingerprint
        assert common <= set(cell.scarcity.left(train.y, 0).tolist())


def test_methods_add_the_same_number_and_repeat_rows_where_they_have_too_few(small: Small, tmp_path: Path) -> None:
    left = methods.Left(small.data, (0, 80), 0, tmp_path, "random-forest", training.TRY, {}, {("fast", "short"): small.bundle})
    for name in ("duplicate", "smote", "ours"):
        added = methods.METHODS[name](left)
        assert len(added.X) == 80 and added.y.all() and 0 < added.made[1] <= 80
    weights = methods.METHODS["class-weights"](left).weights
    assert weights is not None
    assert weights[small.data.y].sum() == pytest.approx(weights[~small.data.y].sum())


def by_hand(data: Cohort, adding: tuple[int, int], classifier: str, seed: int) -> list[float]:
    """F1 of the positive class over one division into folds, as is and filled up by repeating rows whole times."""
    before, after = np.zeros(len(data), bool), np.zeros(len(data), bool)
    for train, test in folds_by_person(data.persons, data.y, trial.FOLDS, seed):
        X, y = data.X[train], data.y[train]
        times = np.where(y, 1 + adding[1] // int(data.y.sum()), 1 + adding[0] // int((~data.y).sum()))
        for into, repeat in ((before, np.ones_like(times)), (after, times)):
            got = learners.learn(classifier, data.schema, X.repeat(repeat, axis=0), y.repeat(repeat), None, data.X[test], seed)
            into[test] = got.predicted
    return [float(f1_score(data.y, p)) for p in (before, after)]


def test_a_trial_says_what_filling_up_does_over_folds_of_people(small: Small) -> None:
    """Weights stand for rows that are there several times. An SVM does not tell the two apart (chance plays no part in it)."""
    data, adding = small.data, (0, 2 * int(small.data.y.sum()))
    got = trial.trial("svm", data, adding, 0)
    each = [by_hand(data, adding, "svm", seed) for seed in range(trial.REPEATS)]
    assert got.before[1] == pytest.approx(np.mean(each, axis=0)[0], abs=1e-9)
    # a weight scales C as well as the balance: close, not equal
    assert got.after[1] == pytest.approx(np.mean(each, axis=0)[1], abs=0.05)
    assert got.helps and got.gain > 3


@pytest.mark.parametrize("kind", recipes.KINDS)
def test_a_trial_lets_in_the_rare_class_that_is_asked_about_and_not_what_drowns_it(kind: str, small: Small) -> None:
    many, few = int((~small.data.y).sum()), int(small.data.y.sum())
    assert trial.trial(kind, small.data, (0, many - few), 0).helps
    assert not trial.trial(kind, small.data, (6 * many, 0), 0).helps
    assert trial.trial(kind, small.data, (0, 0), 0).gain == 0


def test_a_trial_counts_people_as_they_are_expected_to_come(small: Small) -> None:
    """With a class half gone, F1 of the folds is not that of people as they come; counted as they come, rows gain more."""
    have = int((~small.data.y).sum()), int(small.data.y.sum())
    plain, twice = (trial.trial("svm", small.data, (0, have[1]), 0, expected) for expected in (None, (2 * have[0], 2 * have[1])))
    assert plain.before == pytest.approx(twice.before) and plain.after == pytest.approx(twice.after)  # only the proportion matters
    common = trial.trial("svm", small.data, (0, have[1]), 0, (have[0], 3 * have[1]))
    assert common.before[1] > plain.before[1] and common.before[0] < plain.before[0] and common.gain > plain.gain


@pytest.mark.parametrize("name", ["dice", "nice"])
def test_packages_give_valid_rows_of_the_class_by_the_same_checker(small: Small, tmp_path: Path, name: str) -> None:
    if environments.cached(name) is None:
        pytest.skip(f"the environment of {name} is not installed here; `sensecf-edge augment study` makes it")
    left = methods.Left(small.data, (0, 12), 0, tmp_path, "random-forest", training.TRY, {}, {("fast", "short"): small.bundle})
    added = methods.METHODS[name](left)
    assert len(added.X) == 12 and added.y.all() and added.made[1] > 0
    assert (small.checker().p_target(added.X) >= 0.5).all()


@pytest.mark.parametrize("kind", recipes.KINDS)
def test_learners_take_unknown_values_and_weights(kind: str, small: Small) -> None:
    X = small.data.X.copy()
    X[::7, 2] = np.nan
    plain = learners.learn(kind, small.data.schema, X, small.data.y, None, X[:50], 0)
    even = learners.learn(kind, small.data.schema, X, small.data.y, recipes.balance(small.data.y), X[:50], 0)
    assert plain.scores.shape == plain.predicted.shape == (50,) and np.isfinite(plain.scores).all()
    assert even.predicted.sum() >= plain.predicted.sum()


def test_rows_keep_the_tables_columns_and_spellings_and_say_where_they_came_from(
    small: Small, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rows.csv"
    count = augment(small.table, "progression", out, small.schema, work=small.work.parent / "cli", effort="try", ratio=0.6)
    assert re.search(r"F1 of a plain random-forest .* 0\.\d\d -> 0\.\d\d for fast, 0\.\d\d -> 0\.\d\d for slow", capfd.readouterr().err)
    whole, made = tables.frame(read_table(small.table)), pd.read_csv(out)
    assert count == len(made) > 0
    assert [*made.columns] == [*whole.columns, *output_table.PROVENANCE]
    assert (made.progression == "fast").all() and made.visit.isna().all() and set(made.sex) <= {"f", "m"}
    real = made[made.augmented_method == rows.COUNTERFACTUAL]
    assert made.augmented_p.between(0.5, 1).all() and 0 < len(real) < len(made)
    assert (whole.progression.iloc[real.augmented_source.astype(int) - 1] == "slow").all()
    assert made.augmented_source.isna().sum() == len(made) - len(real)
    assert (made.age == made.age.round()).all() and "." not in out.read_text().splitlines()[1].split(",")[0]
    both = tmp_path / "all.parquet"
    augment(small.table, "progression", both, small.schema, work=small.work.parent / "cli", effort="try", ratio=0.6, append=True)
    read = pd.read_parquet(both)
    assert len(read) == len(whole) + len(made) and (read.augmented_method == "real").sum() == len(whole)
    assert read.visit.notna().sum() == len(whole)
    assert [*read.columns] == [*made.columns] and str(read.augmented_seed.dtype) == "Int64"


def test_what_cannot_be_augmented_is_refused_before_anything_long(small: Small, tmp_path: Path, command: Command) -> None:
    def refused(words: str, table: Path = small.table, out: str = "o.csv", *more: str) -> None:
        ran = command("augment", str(table), "--target", "progression", "--schema", str(small.schema), "-o", str(tmp_path / out), *more)
        assert ran.code != 0 and words in ran.err and not (tmp_path / "o.csv").exists(), ran.err

    def other(name: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Path:
        path = tmp_path / name
        change(frame()).to_csv(path, index=False)
        return path

    refused("must end in .csv, .parquet", out="o.txt")
    (tmp_path / "there.csv").write_text("mine")
    refused("there.csv is there already", out="there.csv")
    refused("there is no folder", out="away/o.csv")
    (tmp_path / "folder.csv").mkdir()
    refused("folder.csv is a folder", small.table, "folder.csv", "--force")
    refused("at least 20 rows of 4 people are needed",
            other("few.csv", lambda t: pd.concat([t[t.progression == "fast"].head(12), t[t.progression == "slow"]])))  # fmt: skip
    refused("may have been made up", other("again.csv", lambda t: t.assign(augmented_p=0.5)))
    refused("say which class to make with --make", other("even.csv", lambda t: t.groupby("progression").head(40)))
    refused("ask for more with --ratio above", small.table, "o.csv", "--ratio", "0.1")
    refused("is none of", small.table, "o.csv", "--make", "medium")
    refused("two classes", other("one.csv", lambda t: t.assign(progression="slow")))
    assert (tmp_path / "there.csv").read_text() == "mine"


def test_what_cannot_be_written_is_known_before_anything_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_table, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"needs pyarrow \(pip install .sensecf-edge\[batch\]"):
        output_table.check(frame(), tmp_path / "o.parquet", False)
    monkeypatch.setattr(os, "access", lambda *_: False)  # for whoever may write everywhere
    with pytest.raises(TableError, match="may not be written into"):
        output_table.check(frame(), tmp_path / "o.csv", False)


def test_a_relation_without_a_slope_is_fitted_as_fit_does(small: Small, tmp_path: Path) -> None:
    left = {**json.loads(small.schema.read_text()), "relations": [{"kind": "band", "features": ["bp", "bmi"]}]}
    (tmp_path / "s.json").write_text(json.dumps(left))
    (band,) = _cohort(read_table(small.table), "progression", tmp_path / "s.json", None, None).schema.relations
    bp, bmi = (small.data.X[:, small.data.schema.index[n]] for n in ("bp", "bmi"))
    assert (np.abs(bp - band.slope * bmi - band.intercept) <= band.tolerance).mean() == pytest.approx(0.98, abs=0.01)


def test_how_many_rows_bring_a_class_to_a_ratio(small: Small) -> None:
    have, other = int(small.data.y.sum()), int((~small.data.y).sum())
    assert wanted_rows(small.data, 1.0) == other - have
    assert wanted_rows(small.data, 2.0) == 2 * other - have


def cells(out: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in sorted((out / "cells").iterdir())}


def test_an_interrupted_study_goes_on_without_doing_a_cell_again_and_ends_in_a_report(small: Small, tmp_path: Path) -> None:
    out = tmp_path / "study"
    choices: dict[str, Any] = {"scenarios": ("A",), "reductions": (30, 40), "methods": (*CHEAP, "ours"), "effort": "try", "seeds": 1,
                               "classifiers": ("random-forest", "svm"), "jobs": 1}  # fmt: skip

    class StopError(Exception):
        pass

    def stop(data: Cohort, plan: study.StudyPlan) -> None:
        def after_two(share: float, words: str) -> None:
            if len(list((out / "cells").glob("*.json"))) == 2:
                raise StopError

        study.study(data, plan, "t", out, 1, after_two)

    plan = replace(study.StudyPlan("progression", "fast"), **_plan(choices))
    with pytest.raises(StopError):
        stop(study.load(small.table, Schema.load(small.schema), plan), plan)
    before = cells(out)
    assert 4 <= len(before) < 6
    results = study_command.run(small.table, "progression", "fast", small.schema, out, **choices)
    after = cells(out)
    assert len(after) == 6 and {n: after[n] for n in before} == before
    assert (out / "report.html").stat().st_size > 1000 and json.loads((out / "results.json").read_text())["format"] == results["format"]
    for path in (out / "cells").glob("*-A*.json"):
        cell = json.loads(path.read_text())
        assert {r["method"] for r in cell["runs"]} == {*CHEAP, "ours"} and not any(r["why"] for r in cell["runs"])
        assert set(cell["trials"]) == {"random-forest", "svm"}
        assert cell["auc"] is not None and all(r["added"][0] == 0 for r in cell["runs"])
    with pytest.raises(TableError, match="with another plan"):
        study_command.run(small.table, "progression", "fast", small.schema, out, **{**choices, "scenarios": ("B",)})


def _plan(choices: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in choices.items() if k != "jobs"} | {"seeds": (0,)}


def test_interrupted_work_goes_on_wherever_its_folder_is_seen_from(small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever moves a study, or goes on with it from another folder, names the shared weights by another path."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.pt").write_bytes(training.weights(Work(small.work)).read_bytes())
    made = []
    for start in (Path("base.pt"), tmp_path / "base.pt"):
        left = methods.Left(small.data, (0, 5), 0, tmp_path / "work", "random-forest", training.TRY, {"fast": start})
        made.append(study.added_by("ours", left))
    assert [why for _, why in made] == ["", ""]
    (tmp_path / "base.pt").write_bytes(b"others")
    with pytest.raises(TableError, match="with another start"):
        training.train_bundle(
            small.data, training.TRY, Work(tmp_path / "work" / "short-1"), 0, "random-forest", lambda _: None, tmp_path / "base.pt"
        )


def test_a_reduction_that_leaves_too_few_rows_says_how_many_are_needed(small: Small, tmp_path: Path) -> None:
    plan = study.StudyPlan("progression", "fast", reductions=(20, 90))
    with pytest.raises(TableError, match=r"scenario A at 90 % .* needs at least 20 rows of 4 people .* leave that reduction out"):
        study.load(small.table, Schema.load(small.schema), plan)


@pytest.mark.parametrize("lasting", [True, False])
def test_a_cell_notes_what_a_method_cannot_do_and_not_what_the_machine_lacks(
    lasting: bool, small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A finished cell is never asked again: what a network or another folder would cure must not become its result."""
    left = methods.Left(small.data, (0, 10), 0, tmp_path, "random-forest", training.TRY)
    for error in (TableError("no row"),) if lasting else (MissingExtraError("no network"), OtherWorkError("another study's")):

        def fail(_: methods.Left, error: Exception = error) -> methods.Added:
            raise error

        monkeypatch.setitem(methods.METHODS, "smote", fail)
        if lasting:
            assert study.added_by("smote", left) == (None, "no row")
        else:
            with pytest.raises(type(error)):
                study.added_by("smote", left)


def test_a_study_wants_slopes_stated(small: Small, tmp_path: Path) -> None:
    schema = json.loads(small.schema.read_text())
    schema["relations"] = [{"kind": "band", "features": ["s1", "s2"]}]
    (tmp_path / "s.json").write_text(json.dumps(schema))
    with pytest.raises(TableError, match="band of s1 and s2 states no slope"):
        study_command.run(small.table, "progression", "fast", tmp_path / "s.json", tmp_path / "out")


def test_a_category_that_only_test_people_have_does_not_stop_a_study(small: Small) -> None:
    schema = Schema((*small.data.schema.features, Feature("colour", kind="choice", choices=("red", "blue", "green"))))
    X = np.column_stack([small.data.X, np.arange(len(small.data)) % 2])
    unseen = X[:30].copy()
    unseen[:, -1] = 2
    for kind in recipes.KINDS:
        assert np.isfinite(learners.learn(kind, schema, X, small.data.y, None, unseen, 0).scores).all()


def test_the_quick_plan_has_the_full_budget_in_one_cell_and_the_whole_plan_everywhere() -> None:
    whole = study.StudyPlan("t", "p")
    assert len(whole.cells()) == 5 + 5 * 3 * 7
    assert all("ours-full" in whole.asked(c) for c in whole.cells() if c.scarcity.scenario != "full")
    quick = whole.quickly()
    assert [str(c.scarcity) for c in quick.cells() if "ours-full" in quick.asked(c)] == ["A70"]


def test_the_command_line_knows_the_build_sides_words() -> None:
    assert tuple(methods.METHODS) == cli_augment.METHODS and tuple(SIDES) == cli_augment.SCENARIOS
    assert set(cli_augment.EFFORTS) <= set(training.EFFORTS)
