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
from sensecf_convert.augment import decision_threshold, learners, out_of_fold, output_table, relaxed, remaining, rows, training
from sensecf_convert.augment.command import AugmentPlan, _cohort, augment, wanted_rows
from sensecf_convert.augment.relaxed import relaxed_schema, towards_class
from sensecf_convert.augment.study import command as study_command
from sensecf_convert.augment.study import methods, outside_knowledge, study
from sensecf_convert.augment.study.scarcity import SCENARIOS, Scarcity
from sensecf_convert.classifier import recipes
from sensecf_convert.classifier.kinds import KINDS
from sensecf_convert.compare import environments
from sensecf_convert.table import cohort as tables
from sensecf_convert.table.cohort import Cohort, cohort, folds_by_person, read_table
from sensecf_convert.table.draft import draft
from sensecf_convert.teachers.people import places, settle
from sensecf_convert.work import OtherWorkError, Work
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import TunedThresholdClassifierCV, cross_val_predict
from test_build import diabetes

from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.cli import augment as cli_augment
from sensecf_edge.errors import MissingExtraError, SenseCFError, TableError
from sensecf_edge.judge.classifier import OnnxChecker
from sensecf_edge.schema.feature import Feature
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.relation import Relation
from sensecf_edge.schema.schema import Schema
from sensecf_edge.space import rules
from sensecf_edge.space.admissible import admissible

Command = Callable[..., Ran]
CHEAP = ("none", "class-weights", "smote")
SIDES = SCENARIOS
POISON = 7


@dataclass
class Small:
    """A table short of one class, and what was trained from it."""

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


def test_a_loose_schema_keeps_what_makes_a_row_possible_and_drops_what_limits_advice() -> None:
    strict = Schema(
        (Feature("a", low=0, high=9, step=1, mutable=False),
         Feature("b", low=0, high=9, step=1, direction="increase", max_change=2, cost=3),
         Feature("c", low=0, high=9, step=1, never_advise=True), Feature("d", low=0, high=18, step=1)),
        (Relation("le", ("a", "d")), Relation("causes", ("a", "b"), slope=2)),
    )  # fmt: skip
    free = relaxed_schema(strict)
    assert free.relations == strict.relations[:1]
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


def reduced(data: Cohort, work: Path, scenario: str = "A", poisoned: bool = False) -> remaining.Remaining:
    """What a cell of seed 0 gives its methods: half of some labels taken away; everything else may be nonsense."""
    plan = study.StudyPlan("progression", "fast", seeds=(0,), effort="try", reductions=(50,))
    cell = study.Cell(0, Scarcity(scenario, 50))
    train = study.TrainTest.of(data, plan, 0).train
    if poisoned:  # labels decide who is left, and nothing else
        train = replace(outside_poisoned(train, cell.scarcity.left(train.y, 0)), y=train.y)
    way = outside_knowledge.towards_positive(with_directions(data.schema))
    return study.given(train, study.Material(data, way), plan, cell, work)


def with_directions(schema: Schema) -> Schema:
    """High blood pressure and body mass lead to fast progression, high s3 (HDL) away from it."""
    ways = {"bmi": "decrease", "bp": "decrease", "s3": "increase"}
    return replace(schema, features=tuple(replace(f, direction=ways.get(f.name, "either")) for f in schema.features))


@pytest.mark.parametrize("name", [*CHEAP, "directions", "ours"])
def test_no_row_outside_the_reduced_set_is_ever_read(small: Small, tmp_path: Path, name: str) -> None:
    """Everything outside is replaced by nonsense, test people included: each method still adds the very same rows."""
    added = [methods.METHODS[name](reduced(small.data, tmp_path / str(bad), poisoned=bad)) for bad in (False, True)]
    assert (added[0].X == added[1].X).all() and (added[0].y == added[1].y).all()
    assert (len(added[0].X) > 0) == (name not in ("none", "class-weights"))


def test_no_score_out_of_fold_has_seen_its_own_person(small: Small, tmp_path: Path) -> None:
    """The left-out part of each fold becomes nonsense before anything is made or learnt: the fold makes the same rows and gives the rest
    the same scores. So no line can have been moved by rows that were made from the people it was tested on."""
    whole = reduced(small.data, tmp_path)
    seen = 0
    for at, (part, test) in enumerate(whole.folds()):
        rest = np.setdiff1d(np.arange(len(whole.data)), test)
        assert not set(part.data.persons) & set(whole.data.persons[test]) and (whole.data.X[rest] == part.data.X).all()
        assert part.work != whole.work and not part.bundles
        bad = replace(whole, data=outside_poisoned(whole.data, rest))
        made = [methods.METHODS["smote"](replace(one, data=one.data.take(rest))) for one in (whole, bad)]
        assert (made[0].X == made[1].X).all()
        if at == 0:
            scores, _ = out_of_fold.judged(["svm"], part, made[0], whole.data.X[test])
            held = out_of_fold.crossed(methods.METHODS["smote"], ["svm"], whole)
            assert (held[0, test] == scores[0]).all()
        seen += len(test)
    assert seen == len(whole.data)


def test_a_cell_tells_its_methods_nothing_of_the_rows_that_are_gone(small: Small, tmp_path: Path) -> None:
    """What is wanting is read from the reduced rows, as `augment` reads it from a table: the short class up to the other."""
    for scenario in SIDES:
        got = reduced(small.data, tmp_path, scenario)
        y = got.data.y
        assert got.wanting == abs(int(y.sum()) - int((~y).sum())) == wanted_rows(got.towards, 1.0)
        assert got.made == got.data.classes[int(y.sum() <= (~y).sum())]
        assert got.data.fingerprint == reduced(small.data, tmp_path, scenario, poisoned=True).data.fingerprint


def test_people_without_a_label_are_told_where_that_does_not_tell_the_label_and_no_label_comes_along(small: Small, tmp_path: Path) -> None:
    assert reduced(small.data, tmp_path, "A").unlabelled is None is reduced(small.data, tmp_path, "B").unlabelled
    both = reduced(small.data, tmp_path, "C")
    assert both.unlabelled is not None and not both.unlabelled.y.any() and not set(both.unlabelled.persons) & set(both.data.persons)
    added = methods.METHODS["unlabelled"](both)
    assert len(added.y) == 2 * len(both.unlabelled) and added.weights is not None
    weights = added.weights[len(both.data) :]
    assert weights[added.y] + weights[~added.y] == pytest.approx(1)
    with pytest.raises(SenseCFError, match="one class alone has lost labels"):
        methods.METHODS["unlabelled"](reduced(small.data, tmp_path, "A"))


def test_in_a_fold_nobody_left_out_is_among_those_without_a_label(small: Small, tmp_path: Path) -> None:
    both = reduced(small.data, tmp_path, "C")
    assert both.unlabelled is not None
    shared = replace(both, unlabelled=replace(both.unlabelled, persons=both.data.persons[: len(both.unlabelled)]))
    for part, test in shared.folds():
        assert part.unlabelled is not None and not set(part.unlabelled.persons) & set(both.data.persons[test])


def test_rows_by_directions_go_only_the_way_that_leads_to_their_class(small: Small, tmp_path: Path) -> None:
    """Each made row is some real row of its class with one to three stated features further on; nothing else differs."""
    for scenario, sign in (("A", 1), ("B", -1)):
        whole = reduced(small.data, tmp_path, scenario)
        whole = replace(whole, made=whole.data.classes[int(sign > 0)], ratio=2.0)
        added = methods.METHODS["directions"](whole)
        own, way = settle(whole.data.schema, whole.data.X[whole.towards.y])[0], sign * whole.directions
        assert len(added.X) == whole.wanting > 0
        for row in added.X[:40]:
            gap = row - own
            assert (((gap == 0) | (gap * way > 0)).all(axis=1) & ((gap != 0).sum(axis=1) <= outside_knowledge.AT_ONCE)).any()


def test_another_table_and_what_it_teaches_need_one(small: Small, tmp_path: Path) -> None:
    alone = reduced(small.data, tmp_path)
    for name in ("elsewhere", "taught"):
        with pytest.raises(SenseCFError, match="no other table was given"):
            methods.METHODS[name](alone)
    other = small.data.take(np.arange(0, len(small.data), 2))
    told = replace(alone, elsewhere=other)
    assert (methods.METHODS["elsewhere"](told).X == other.X).all()
    taught = methods.METHODS["taught"](told)
    assert taught.weights is not None and len(taught.weights) == len(told.data) + len(taught.y)


def test_methods_add_the_same_number_and_repeat_rows_where_they_have_too_few(small: Small, tmp_path: Path) -> None:
    rest = remaining.Remaining(small.data, "fast", 0, tmp_path, "random-forest", training.TRY, bundles={"fast": small.bundle})
    for name in ("smote", "ours"):
        added = methods.METHODS[name](rest)
        assert len(added.X) == rest.wanting == 80 and added.y.all() and 0 < added.distinct <= 80
    few = remaining.filled(rest, lambda _: small.data.X[:3])
    assert len(few.X) == 80 and few.distinct == 3 and len(np.unique(few.X, axis=0)) == 3
    weights = methods.METHODS["class-weights"](rest).weights
    assert weights is not None
    assert weights[small.data.y].sum() == pytest.approx(weights[~small.data.y].sum())


scored = st.lists(st.tuples(st.integers(-6, 6), st.booleans()), min_size=2, max_size=40).filter(lambda rows: any(y for _, y in rows))


@given(scored)
def test_a_line_gives_the_highest_f1_that_any_line_gives(rows: list[tuple[int, bool]]) -> None:
    scores, y = np.array([s for s, _ in rows], dtype=float), np.array([y for _, y in rows])
    best = max(f1_score(y, scores >= at, zero_division=0.0) for at in (-np.inf, *scores))
    line = decision_threshold.best_threshold(scores, y)
    assert line.f1 == pytest.approx(best) == pytest.approx(f1_score(y, scores >= line.at, zero_division=0.0))


@given(scored, st.integers(1, 4))
def test_rows_that_count_several_times_move_a_line_as_if_they_were_there_several_times(rows: list[tuple[int, bool]], times: int) -> None:
    scores, y = np.array([s for s, _ in rows], dtype=float), np.array([y for _, y in rows])
    often = np.where(y, times, 1)
    found = decision_threshold.best_threshold(scores, y, often.astype(float))
    assert found == decision_threshold.best_threshold(scores.repeat(often), y.repeat(often))


def test_the_line_of_scikit_learn_does_no_better() -> None:
    """TunedThresholdClassifierCV on a rare class: the same logistic regression, the same folds, judged on rows of the same kind.

    It averages five curves, ours is of all scores at once; over 20 tables the mean F1 differs by less than two points either way.
    """
    gaps = []
    for seed in range(20):
        X, y = make_classification(1_200, n_features=8, weights=[0.88], class_sep=0.8, random_state=seed)
        X, later, y, truth = X[:300], X[300:], y[:300], y[300:]
        folds = folds_by_person(np.arange(300).astype(str), y.astype(bool), 5, seed)
        plain = LogisticRegression()
        tuned = TunedThresholdClassifierCV(plain, scoring="f1", cv=folds, refit=True).fit(X, y)
        held = cross_val_predict(plain, X, y, cv=folds, method="decision_function")
        line = decision_threshold.best_threshold(held, y.astype(bool))
        scores = plain.fit(X, y).decision_function(later)
        gaps.append(f1_score(truth, scores >= line.at) - f1_score(truth, tuned.predict(later)))
    assert abs(float(np.mean(gaps))) < 0.02


def test_a_sigmoid_tells_shares_as_they_are_and_as_they_will_be() -> None:
    """Scores of two normal classes: the mean of p is the share it was fitted on; moved to another share, it is that one's."""
    rng = np.random.default_rng(0)
    y = rng.random(6_000) < 0.3
    scores = rng.normal(np.where(y, 1.0, -1.0), 1.5)
    bent = decision_threshold.sigmoid(scores, y)
    assert bent.p(scores).mean() == pytest.approx(y.mean(), abs=1e-3)
    often = rng.random(6_000) < 0.6
    assert bent.p(rng.normal(np.where(often, 1.0, -1.0), 1.5), 0.6).mean() == pytest.approx(0.6, abs=0.03)
    assert decision_threshold.sigmoid(-scores, y).slope > 0


@pytest.mark.parametrize("name", ["dice", "nice"])
def test_packages_give_valid_rows_of_the_class_by_the_same_checker(small: Small, tmp_path: Path, name: str) -> None:
    if environments.cached(name) is None:
        pytest.skip(f"the environment of {name} is not installed here; `sensecf-edge augment study` makes it")
    rest = remaining.Remaining(small.data, "fast", 0, tmp_path, "random-forest", training.TRY, 0.52, bundles={"fast": small.bundle})
    added = methods.METHODS[name](rest)
    assert len(added.X) == rest.wanting == 13 and added.y.all() and added.distinct > 0
    assert (small.checker().p_target(added.X) >= 0.5).all()


@pytest.mark.parametrize("kind", KINDS)
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
    said = re.sub(r"\s+", " ", capfd.readouterr().err)
    told = r"plain random-forest over folds of rows: 0\.\d\d as it comes, 0\.\d\d with its threshold moved, 0\.\d\d with such rows"
    assert re.search(told, said), said
    whole, made = tables.frame(read_table(small.table)), pd.read_csv(out)
    assert count.rows == count.asked == len(made) > 0
    assert [*made.columns] == [*whole.columns, *output_table.PROVENANCE]
    assert (made.progression == "fast").all() and made.visit.isna().all() and set(made.sex) <= {"f", "m"}
    real = made[made.augmented_method == rows.COUNTERFACTUAL]
    assert made.augmented_p.between(0.5, 1).all() and 0 < len(real) < len(made)
    assert (whole.progression.iloc[real.augmented_source.astype(int) - 1] == "slow").all()
    assert made.augmented_source.isna().sum() == len(made) - len(real)
    assert (made.age == made.age.round()).all() and "." not in out.read_text().splitlines()[1].split(",")[0]
    both = tmp_path / "all.parquet"
    augment(small.table, "progression", both, small.schema, work=small.work.parent / "cli", effort="try", ratio=0.6, append=True,
            trial=False)  # fmt: skip
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
    (band,) = _cohort(read_table(small.table), AugmentPlan("progression"), tmp_path / "s.json").schema.relations
    bp, bmi = (small.data.X[:, small.data.schema.index[n]] for n in ("bp", "bmi"))
    assert (np.abs(bp - band.slope * bmi - band.intercept) <= band.tolerance).mean() == pytest.approx(0.98, abs=0.01)


def test_how_many_rows_bring_a_class_to_a_ratio(small: Small) -> None:
    have, other = int(small.data.y.sum()), int((~small.data.y).sum())
    assert wanted_rows(small.data, 1.0) == other - have
    assert wanted_rows(small.data, 2.0) == 2 * other - have


def cells(out: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in sorted((out / "cells").iterdir())}


def test_an_interrupted_study_goes_on_and_ends_in_a_report_and_methods_may_join_later(small: Small, tmp_path: Path) -> None:
    out = tmp_path / "study"
    choices: dict[str, Any] = {"scenarios": ("A",), "reductions": (30, 40), "methods": CHEAP, "effort": "try", "seeds": 1,
                               "classifiers": ("random-forest", "svm"), "jobs": 1}  # fmt: skip

    class StopError(Exception):
        pass

    def after_three(share: float, words: str) -> None:
        if len(list((out / "cells").glob("*.json"))) == 3:
            raise StopError

    plan = replace(study.StudyPlan("progression", "fast"), **_plan(choices))
    with pytest.raises(StopError):
        study.study(study.load(small.table, Schema.load(small.schema), plan), plan, "t", out, 1, after_three)
    before = cells(out)
    assert 6 <= len(before) < 14
    study_command.run(small.table, "progression", "fast", small.schema, out, **choices)
    after = cells(out)
    assert len(after) == 2 * (3 + 2 * 2) and {n: after[n] for n in before} == before
    results = study_command.run(small.table, "progression", "fast", small.schema, out, **{**choices, "methods": ("directions",)})
    assert {n: v for n, v in cells(out).items() if n in after} == after and results["tables"][0]["missing"] == 0
    assert {"smote+threshold", "threshold", "prior", "everybody", "told"} <= set(results["methods"])
    assert (out / "report.html").stat().st_size > 1000 and json.loads((out / "results.json").read_text())["format"] == results["format"]
    for path in (out / "cells").glob("*-A*.json"):
        cell = json.loads(path.read_text())
        assert not cell["why"] or cell["method"] == "directions"  # the drafted schema states none
        assert cell["added"] == cell["rows"][0] - cell["rows"][1] or cell["method"] != "smote"
    with pytest.raises(TableError, match="with another plan"):
        study_command.run(small.table, "progression", "fast", small.schema, out, **{**choices, "scenarios": ("B",)})


def _plan(choices: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in choices.items() if k != "jobs"} | {"seeds": (0,)}


def test_ours_in_a_study_makes_what_augment_makes(small: Small, tmp_path: Path) -> None:
    """The same table, class, seed and effort: the rows of the method are the rows of the command, one by one."""
    out = tmp_path / "o.csv"
    augment(small.table, "progression", out, small.schema, work=small.work.parent / "cli", effort="try", trial=False)
    data = replace(small.data, schema=_cohort(read_table(small.table), AugmentPlan("progression"), small.schema).schema)
    added = methods.METHODS["ours"](remaining.Remaining(data, "fast", 0, tmp_path / "method", "random-forest", training.TRY))
    names = [f.name for f in data.schema.features if f.kind == "number"]
    made = pd.read_csv(out)[names].to_numpy(dtype=float)
    assert added.distinct == len(made)
    assert np.sort(made, axis=0) == pytest.approx(np.sort(added.X[: len(made), [data.schema.index[n] for n in names]], axis=0), abs=1e-6)


def test_a_request_that_cannot_be_met_in_full_says_so_and_ends_with_its_own_code(tmp_path: Path, command: Command) -> None:
    """Two yes-or-no questions and one of three have 12 combinations: no hundred rows of them are new."""
    rng = np.random.default_rng(0)
    y = np.repeat(["sick", "well"], [40, 160])
    table = pd.DataFrame({"a": rng.random(200) < np.where(y == "sick", 0.8, 0.3), "b": rng.random(200) < np.where(y == "sick", 0.7, 0.3),
                          "c": rng.integers(0, 3, 200), "y": y})  # fmt: skip
    table.astype({"a": int, "b": int}).replace({"a": {0: "no", 1: "yes"}, "b": {0: "no", 1: "yes"}}).to_csv(tmp_path / "t.csv", index=False)
    ran = command("augment", str(tmp_path / "t.csv"), "--target", "y", "-o", str(tmp_path / "o.csv"), "--work", str(tmp_path / "w"),
                  "--effort", "try", "--no-trial")  # fmt: skip
    made = len(pd.read_csv(tmp_path / "o.csv")) if (tmp_path / "o.csv").exists() else 0
    assert made < 120 and ran.code == (cli_augment.FEWER_MADE if made else cli_augment.NONE_MADE), ran.err
    assert f"only {made} of the 120 rows" in re.sub(r"\s+", " ", ran.err)


def test_a_reduction_that_leaves_too_few_rows_says_how_many_are_needed(small: Small, tmp_path: Path) -> None:
    plan = study.StudyPlan("progression", "fast", reductions=(20, 90))
    with pytest.raises(TableError, match=r"scenario A at 90 % .* needs at least 20 rows of 4 people .* leave that reduction out"):
        study.load(small.table, Schema.load(small.schema), plan)


@pytest.mark.parametrize("lasting", [True, False])
def test_a_cell_notes_what_a_method_cannot_do_and_not_what_the_machine_lacks(
    lasting: bool,
) -> None:
    """A finished cell is never asked again: what a network or another folder would cure must not become its result."""
    for error in (TableError("no row"),) if lasting else (MissingExtraError("no network"), OtherWorkError("another study's")):
        if lasting:
            with out_of_fold.noting_refusals() as why:
                raise error
            assert why == ["no row"]
        else:
            with pytest.raises(type(error)), out_of_fold.noting_refusals():
                raise error


def test_a_study_wants_slopes_stated_but_those_of_effects_which_it_drops(small: Small, tmp_path: Path) -> None:
    schema = json.loads(small.schema.read_text())
    schema["relations"] = [{"kind": "causes", "features": ["bmi", "bp"]}]
    (tmp_path / "s.json").write_text(json.dumps(schema))
    assert not relaxed.relaxed_schema(study_command._schema(tmp_path / "s.json")).relations
    schema["relations"] = [{"kind": "band", "features": ["s1", "s2"]}]
    (tmp_path / "s.json").write_text(json.dumps(schema))
    with pytest.raises(TableError, match="band of s1 and s2 states no slope"):
        study_command.run(small.table, "progression", "fast", tmp_path / "s.json", tmp_path / "out")


def test_a_category_that_only_test_people_have_does_not_stop_a_study(small: Small) -> None:
    schema = Schema((*small.data.schema.features, Feature("colour", kind="choice", choices=("red", "blue", "green"))))
    X = np.column_stack([small.data.X, np.arange(len(small.data)) % 2])
    unseen = X[:30].copy()
    unseen[:, -1] = 2
    for kind in KINDS:
        assert np.isfinite(learners.learn(kind, schema, X, small.data.y, None, unseen, 0).scores).all()


def test_the_command_line_knows_the_build_sides_words() -> None:
    assert tuple(methods.METHODS) == cli_augment.METHODS and tuple(SIDES) == cli_augment.SCENARIOS
    assert set(cli_augment.EFFORTS) <= set(training.EFFORTS)
