"""augment study, its figures and page: made-up cells whose true figures are computed by scikit-learn and by hand."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sensecf_convert.augment.study import command, effects, figures, page, plots, results
from sensecf_convert.augment.study.folders import read as read_folders
from sensecf_convert.augment.study.variants import Run
from sensecf_convert.statistics import weights
from sklearn import metrics
from sklearn.linear_model import LogisticRegression

from sensecf_edge.errors import TableError

METHODS = ("none", "class-weights", "smote", "ours")
CLASSIFIERS = ("svm", "random-forest")
STRENGTH = {"none": 0.0, "class-weights": 0.4, "smote": 0.3, "ours": 0.7}
"""Which share of what the reduction took away a made-up method gives back."""
LEFT = "it needs 2 rows"
SMALL: dict[str, Any] = {"reductions": (50, 70), "seeds": (0,), "classifiers": ("svm",)}
"""A study for what does not hang on how large it is."""

Change = Callable[[dict[str, Any], dict[str, Any]], None]


def make_study(folder: Path, name: str = "toy", people: int = 60, reductions: tuple[int, ...] = (30, 50, 70),
               methods: tuple[str, ...] = METHODS, classifiers: tuple[str, ...] = CLASSIFIERS, seeds: tuple[int, ...] = (0, 1),
               change: Change | None = None) -> Path:  # fmt: skip
    """A study folder whose scores get worse with the reduction and better with a method's strength."""
    about = {"format": 3, "name": name, "target": "stressed", "positive": "yes", "negative": "no", "rows": 500, "people": 200,
             "seeds": list(seeds), "reductions": list(reductions), "scenarios": ["A", "B", "C"], "classifiers": list(classifiers),
             "methods": list(methods), "checker": {"kind": "random-forest"}, "options": {"seed": 0},
             "versions": {"sensecf-edge": "0"}}  # fmt: skip
    (folder / "cells").mkdir(parents=True)
    (folder / "study.json").write_text(json.dumps(about))
    for seed in seeds:
        for scenario, reduction in [("full", 0), *((s, r) for s in "ABC" for r in reductions)]:
            for method in ("none",) if scenario == "full" else methods:
                said, held = _part(seed, scenario, reduction, people, method, classifiers)
                if change:
                    change(said, held)
                place = folder / "cells" / f"{seed}-{scenario}-{reduction}-{method}"
                place.with_suffix(".json").write_text(json.dumps(said))
                np.savez(place.with_suffix(".npz"), **held)
    return folder


def _part(
    seed: int, scenario: str, reduction: int, people: int, method: str, classifiers: tuple[str, ...]
) -> tuple[dict[str, Any], dict[str, Any]]:
    rng = np.random.default_rng(seed)
    persons = np.sort(np.concatenate([np.arange(people), rng.integers(0, people, people // 2)])) + 10 * seed
    y = rng.random(people)[persons - 10 * seed] < 0.5
    left = np.random.default_rng([seed, ord(scenario[0]), reduction]).random(120) < {"A": 0.3, "B": 0.7}.get(scenario, 0.5)
    lost = reduction / 100 * (1 - STRENGTH[method])
    shift = {"A": -1.6, "B": 1.6}.get(scenario, 0) * lost
    scores, held = (
        np.stack([_scores(labels, lost, shift, (seed, ord(scenario[0]), reduction, len(labels), at, *map(ord, method)))
                  for at in range(len(classifiers))]) for labels in (y, left)
    )  # fmt: skip
    said = {"seed": seed, "scenario": scenario, "reduction": reduction, "method": method, "rows": [int((~left).sum()), int(left.sum())],
            "whole": [100, 100], "people": 120 - reduction, "auc": 0.8 - reduction / 1000 if method == "ours" else None, "made": "yes",
            "added": 10, "distinct": 8, "why": "", "seconds": 0.5}  # fmt: skip
    return said, {"persons": persons, "y": y, "scores": scores, "predicted": scores >= 0, "left_y": left, "held": held}


def _scores(y: np.ndarray, lost: float, shift: float, seed: tuple[int, ...]) -> np.ndarray:
    own, shared = np.random.default_rng(seed), np.random.default_rng(seed[:5])
    noise = shared.normal(0, 1, len(y)) + own.normal(0, 0.2, len(y))
    return (np.where(y, 0.8, -0.8) * (1 - 0.5 * lost) + noise + shift).astype(np.float32)


def only(method: str, act: Change) -> Change:
    """A change to one method's parts."""

    def change(said: dict[str, Any], held: dict[str, Any]) -> None:
        if said["method"] == method:
            act(said, held)

    return change


def left_out(method: str, seeds: tuple[int, ...] = (0, 1)) -> Change:
    """A change that leaves these parts out, as the study does."""

    def gone(said: dict[str, Any], held: dict[str, Any]) -> None:
        if said["seed"] in seeds:
            said["why"] = LEFT
            held["scores"][:], held["predicted"][:], held["held"][:] = np.nan, False, np.nan

    return only(method, gone)


@cache
def f1(folder: Path, seed: int, scenario: str, reduction: int, classifier: str, method: str) -> float:
    """Straight from the files; METHOD+threshold by trying every line."""
    plain = {"threshold": "none"}.get(method, method.removesuffix("+threshold"))
    held = np.load(folder / "cells" / f"{seed}-{scenario}-{reduction}-{plain}.npz")
    at = CLASSIFIERS.index(classifier)
    if plain == method:
        return plain_f1(held["y"], held["predicted"][at])
    s = np.unique(held["held"][at])
    tried = [-np.inf, *((s[1:] + s[:-1]) / 2)]
    best = max(tried[::-1], key=lambda line: plain_f1(held["left_y"], held["held"][at] >= line))
    return plain_f1(held["y"], held["scores"][at] >= best)


def plain_f1(y: np.ndarray, said: np.ndarray) -> float:
    return float(2 * (y & said).sum() / (y.sum() + said.sum()))


@cache
def read(*folders: Path, resamples: int = 50) -> dict[str, Any]:
    """A folder is read once: it is whole before its first reading."""
    return results.summarise(read_folders(folders), 0, resamples)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_study(tmp_path_factory.mktemp("made") / "study")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_study(tmp_path_factory.mktemp("small") / "study", "small", **SMALL)


@pytest.fixture(scope="module")
def written(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("written") / "out"
    results.write((study,), out, seed=0, resamples=50)
    return out


def test_metrics_of_every_draw_are_those_of_scikit_learn_with_the_draws_weights() -> None:
    rng = np.random.default_rng(0)
    persons, y = rng.integers(0, 40, 200), rng.random(200) < 0.4
    scores = np.round(y + rng.normal(0, 1, 200), 1)  # rounded: many ties
    p = 1 / (1 + np.exp(-scores))
    W = weights(40, (0, 1), 30)
    got = figures.measured(y, scores > 0.3, scores, p, persons, W)
    assert got.shape == (len(figures.METRICS), 31) and (W[:, 1:].sum(axis=0) == 40).all() and (W[:, 0] == 1).all()
    for draw in range(31):
        w, predicted = W[persons, draw], scores > 0.3
        precision, recall, score, _ = metrics.precision_recall_fscore_support(y, predicted, average="binary", sample_weight=w)
        true = [metrics.accuracy_score(y, predicted, sample_weight=w), metrics.balanced_accuracy_score(y, predicted, sample_weight=w),
                precision, recall, score, metrics.roc_auc_score(y, scores, sample_weight=w),
                metrics.average_precision_score(y, scores, sample_weight=w), metrics.brier_score_loss(y, p, sample_weight=w),
                metrics.log_loss(y, p, sample_weight=w)]  # fmt: skip
        assert got[:, draw] == pytest.approx(true, abs=1e-6)


def test_intervals_of_f1_hold_the_truth_as_often_as_they_say() -> None:
    """Two like rows a person. F1 is 0.8 in truth (hits 0.8, false alarms 0.2, half are positive).

    400 samples of 100 people. An interval of the right width covers about 94 %: fewer than 358 come by chance once in 10,000 runs. Rows
    drawn alone would cover 83 %, and pass once in 1,000.
    """
    held, twice = 0, np.repeat(np.arange(100), 2)
    for trial in range(400):
        rng = np.random.default_rng(trial)
        y = rng.random(100) < 0.5
        predicted = (rng.random(100) < np.where(y, 0.8, 0.2))[twice]
        got = figures.measured(y[twice], predicted, twice.astype(float), np.full(200, 0.5), twice, weights(100, (trial,), 300))
        one = figures.figure(got[figures.METRICS.index("f1")])
        held += one["low"] <= 0.8 <= one["high"]  # type: ignore[index,operator]
    assert held >= 358


def test_rows_of_one_person_are_drawn_together() -> None:
    rng = np.random.default_rng(1)
    y, W = rng.random(30) < 0.5, weights(30, (3,), 100)
    scores, p, persons = rng.normal(0, 1, 30), rng.random(30), np.arange(30)
    alone = figures.measured(y, scores > 0, scores, p, persons, W)
    five = (np.tile(part, 5) for part in (y, scores > 0, scores, p, persons))
    assert figures.measured(*five, W) == pytest.approx(alone, abs=1e-6, nan_ok=True)


def test_what_a_missing_class_leaves_without_a_value_has_none() -> None:
    y, scores = np.zeros(4, dtype=bool), np.arange(4.0)
    run = Run("svm", "none", 0, 0, "", 0.0, scores, np.array([True, False, False, False]), np.full(4, 0.5), scores)
    got = dict(zip(figures.METRICS, figures.point(y, run), strict=True))
    assert got["accuracy"] == 0.75 and got["precision"] == 0.0 and got["brier"] == 0.25
    assert [got[k] for k in ("balanced", "recall", "f1", "auc", "auprc")] == [None] * 5
    assert figures.slope(y, scores / 4) is None and figures.slope(np.array([True, False]), np.full(2, 0.5)) is None
    assert figures.figure(np.array([np.nan, 1.0])) is None
    assert figures.figure(np.array([0.5, np.nan, 0.5])) == {"value": 0.5, "low": 0.5, "high": 0.5}


def test_a_slope_tells_probabilities_that_are_too_sure() -> None:
    """Labels drawn from p: slope 1 within 0.1 (three standard errors at 4,000 rows); log-odds doubled: half of it."""
    rng = np.random.default_rng(0)
    odds = rng.normal(0, 1.5, 4_000)
    y = rng.random(4_000) < 1 / (1 + np.exp(-odds))
    assert figures.slope(y, 1 / (1 + np.exp(-odds))) == pytest.approx(1.0, abs=0.13)
    assert figures.slope(y, 1 / (1 + np.exp(-2 * odds))) == pytest.approx(0.5, abs=0.08)


def test_a_table_with_fewer_than_ten_test_people_has_values_and_no_interval(tmp_path: Path) -> None:
    few = read(make_study(tmp_path / "few", people=9, reductions=(50,), seeds=(0,)))["chosen"]["methods"]["ours"]["metrics"]["f1"]
    assert few["value"] > 0 and few["low"] is None is few["high"]
    both = read(make_study(tmp_path / "two", name="two", reductions=(50,)), tmp_path / "few")
    pooled = both["chosen"]["methods"]["ours"]["metrics"]["f1"]
    assert pooled["low"] is None and both["by"]["table"]["two"]["methods"]["ours"]["metrics"]["f1"]["low"] is not None
    assert "-" not in effects.points_text({**few, "value": 4.0})


def test_a_person_of_two_seeds_tests_is_drawn_once_for_both(tmp_path: Path) -> None:
    """Two seeds that hold the very same test rows: their mean has the interval of one of them, not a narrower one."""

    def alike(said: dict[str, Any], held: dict[str, Any]) -> None:
        one = _part(0, said["scenario"], said["reduction"], 60, said["method"], ("svm",))[1]
        held.update(one)

    two = read(make_study(tmp_path / "two", reductions=(50,), classifiers=("svm",), change=alike), resamples=200)
    one = read(make_study(tmp_path / "one", **SMALL | {"reductions": (50,)}), resamples=200)
    for method in ("none", "ours", "threshold"):
        got, alone = (r["chosen"]["methods"][method]["metrics"]["f1"] for r in (two, one))
        assert [got[k] for k in ("value", "low", "high")] == pytest.approx([alone[k] for k in ("value", "low", "high")], abs=1e-6)


def test_every_run_of_a_seed_is_drawn_alike_and_a_difference_to_itself_is_nothing(tmp_path: Path) -> None:
    def same(said: dict[str, Any], held: dict[str, Any]) -> None:
        held.update(_part(said["seed"], said["scenario"], said["reduction"], 60, "none", CLASSIFIERS)[1])

    got = read(make_study(tmp_path / "s", reductions=(50,), methods=("none", "ours"), change=only("ours", same)))["chosen"]["methods"]
    for method in ("ours", "ours+threshold", "ours+told", "ours+trial"):
        assert got[method]["gain"]["f1"] == {"value": 0, "low": 0, "high": 0} and got[method]["worse"] == []


def test_paired_intervals_are_narrower_than_the_metrics_own(study: Path) -> None:
    got = read(study)["chosen"]["methods"]["ours"]
    width = {k: f["high"] - f["low"] for k, f in (("f1", got["metrics"]["f1"]), ("gain", got["gain"]["f1"]))}
    assert width["gain"] / 100 < 0.8 * width["f1"]


def test_f1_gained_is_that_of_the_files_over_none_and_over_a_moved_line(study: Path) -> None:
    got = read(study)["chosen"]
    cells = [(seed, s, r, c) for seed in (0, 1) for s in "ABC" for r in (50, 70) for c in CLASSIFIERS]
    pairs = {"threshold": "none", **dict.fromkeys(METHODS[1:], "none"), **{f"{m}+threshold": "threshold" for m in METHODS[1:]}}
    for method, base in pairs.items():
        gain = [f1(study, *cell, method) - f1(study, *cell, base) for cell in cells]
        mine = got["methods"][method]
        assert mine["base"] == base and mine["gain"]["f1"]["value"] == pytest.approx(100 * np.mean(gain), abs=1e-3), method
        assert mine["cells"] == got["cells"] == 12
        assert list(mine["by_seed"].values()) == pytest.approx([100 * np.mean(gain[:12]), 100 * np.mean(gain[12:])], abs=1e-3)
    for mine, other in (("ours", "smote"), ("ours+threshold", "smote+threshold"), ("ours+threshold", "threshold")):
        gap = np.mean([f1(study, *cell, mine) - f1(study, *cell, other) for cell in cells])
        assert got["beside"][other]["value"] == pytest.approx(100 * gap, abs=1e-3)
    lost = [f1(study, k, "full", 0, c, "none") - f1(study, k, s, r, c, "none") for k, s, r, c in cells]
    assert got["loss"]["none"]["value"] == pytest.approx(100 * np.mean(lost), abs=1e-3)
    assert got["checker_auc"] == {"mean": 0.74, "low": 0.73, "high": 0.75}


def test_everybody_and_prior_are_what_they_say(study: Path, written: Path) -> None:
    rows = pd.read_csv(written / "results.csv")
    everybody = rows[rows.method == "everybody"]
    assert (everybody.recall == 1).all() and (everybody.auc == 0.5).all() and (everybody.balanced == 0.5).all()
    assert (everybody.precision == everybody.auprc).all()
    held = np.load(study / "cells" / "0-A-70-none.npz")
    line = LogisticRegression(C=1e6).fit(held["held"][0][:, None], held["left_y"])
    said = line.predict_proba(held["scores"][0][:, None])[:, 1] >= held["left_y"].mean()
    one = rows.query("seed == 0 and scenario == 'A' and reduction == 70 and classifier == 'svm' and method == 'prior'")
    assert one.f1.item() == pytest.approx(metrics.f1_score(held["y"], said), abs=0.02)


def test_what_is_told_counts_the_classes_as_they_were(study: Path, written: Path) -> None:
    """By hand: of every line the best over rows that are repeated until both classes are as common as before (100 each)."""
    held = np.load(study / "cells" / "1-B-50-ours.npz")
    y, s = held["left_y"], held["held"][1]
    weights = np.where(y, 100 / y.sum(), 100 / (~y).sum())
    lines = np.unique(s)
    best = max(lines, key=lambda at: metrics.f1_score(y, s >= at, sample_weight=weights))
    below = lines[lines < best].max(initial=-np.inf)
    true = metrics.f1_score(held["y"], held["scores"][1] >= (best + below) / 2)
    rows = pd.read_csv(written / "results.csv")
    one = rows.query("seed == 1 and scenario == 'B' and reduction == 50 and classifier == 'random-forest' and method == 'ours+told'")
    assert one.f1.item() == pytest.approx(true, abs=1e-6)


def test_behind_the_trial_rows_stand_where_they_did_better_out_of_fold_and_nowhere_else(study: Path, written: Path) -> None:
    rows = pd.read_csv(written / "results.csv").set_index(["seed", "scenario", "reduction", "classifier", "method"])
    seen = set()
    for place, row in rows[rows.index.get_level_values("method").str.endswith("+trial")].iterrows():
        seed, scenario, reduction, classifier, method = place
        files = [np.load(study / "cells" / f"{seed}-{scenario}-{reduction}-{m}.npz") for m in ("none", method.removesuffix("+trial"))]
        at = CLASSIFIERS.index(classifier)
        without, rows_in = (max(plain_f1(f["left_y"], f["held"][at] >= line) for line in f["held"][at]) for f in files)
        same = rows.loc[(*place[:4], method.replace("+trial", "+threshold") if rows_in > without else "threshold")]
        assert all(row[m] == same[m] for m in figures.METRICS), place
        seen.add(bool(rows_in > without))
    assert seen == {True, False}


def test_a_method_that_does_harm_is_named_cell_by_cell(tmp_path: Path) -> None:
    def harm(said: dict[str, Any], held: dict[str, Any]) -> None:
        if (said["scenario"], said["reduction"]) == ("C", 50):
            held["predicted"][0] = ~held["y"]

    worse = read(make_study(tmp_path / "s", reductions=(50,), change=only("ours", harm)))["chosen"]["methods"]["ours"]["worse"]
    assert {"table": "toy", "scenario": "C", "reduction": 50, "classifier": "svm"}.items() <= worse[0].items() and worse[0]["high"] < 0


def test_a_method_that_has_some_of_the_cells_has_its_figures_of_those(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "s", reductions=(50, 70))
    for place in (folder / "cells").glob("*-smote.*"):
        if not place.name.startswith("0-A-70"):
            place.unlink()
    got = read(folder)
    assert got["chosen"]["methods"]["smote"]["cells"] == 2 and got["left_out"] == [] and got["tables"][0]["missing"] == 11
    assert "2 of 12 cells" in page.render(got)


def test_rows_added_and_how_many_are_repetitions_are_told(study: Path) -> None:
    ours = next(r for r in read(study)["rows"] if r["method"] == "ours")
    assert ours == {"table": "toy", "method": "ours", "added": 10, "made": 0.8, "seconds": 0.5}


def test_the_papers_figures_stand_beside_ours_measured_the_same_way(study: Path) -> None:
    got = read(study)["papers"]
    assert got["papers"][0]["f1"] == 22.4 and got["papers"][0]["mean_f1"] == 19.9 and got["papers"][1]["accuracy"] == 5.0
    ours = next(row for row in got["methods"] if row["who"] == "ours")
    cells = [(k, s, 50, c) for k in (0, 1) for s in "ABC" for c in CLASSIFIERS]
    gain = {cell: 100 * (f1(study, *cell, "ours") - f1(study, *cell, "none")) for cell in cells}
    assert ours["mean_f1"]["value"] == pytest.approx(np.mean(list(gain.values())), abs=1e-3)
    assert ours["f1"]["value"] == pytest.approx(np.mean([v for cell, v in gain.items() if cell[1] == "A"]), abs=1e-3)


def test_curves_are_means_over_classifiers(study: Path) -> None:
    where = {"table": "toy", "scenario": "A", "reduction": 50, "classifier": None, "method": "class-weights+threshold"}
    point = next(p["value"] for p in read(study)["curves"] if where.items() <= p.items())
    assert point == pytest.approx(np.mean([f1(study, k, "A", 50, c, where["method"]) for k in (0, 1) for c in CLASSIFIERS]), abs=1e-5)


def test_a_run_left_out_is_listed_and_counts_nowhere(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "s", change=left_out("smote", (1,)))
    got = results.write((folder,), tmp_path / "out", resamples=20)
    one = next(c for c in got["cells"] if (c["method"], c["classifier"], c["scenario"], c["reduction"]) == ("smote", "svm", "A", 50))
    assert one["seeds"] == [0]
    true = 100 * (f1(folder, 0, "A", 50, "svm", "smote") - f1(folder, 0, "A", 50, "svm", "none"))
    assert one["gain"]["value"] == pytest.approx(true, abs=1e-3)  # against `none` of the same seed
    assert {(x["method"], x["why"], x["runs"]) for x in got["left_out"]} == {("smote", LEFT, 9)} and len(got["left_out"]) == 2
    rows = pd.read_csv(tmp_path / "out" / "results.csv")
    gone = rows[rows.why.notna()]
    assert len(gone) == 18 and gone.f1.isna().all() and rows[rows.why.isna()].f1.notna().all()
    assert LEFT in (tmp_path / "out" / "report.html").read_text()


def test_a_row_a_run_stands_in_the_csv_with_its_metrics(study: Path, written: Path) -> None:
    rows = pd.read_csv(written / "results.csv")
    variants = 5 + 4 * (len(METHODS) - 1)  # none, threshold, told, prior, everybody; each other as it comes, moved, told, tried
    assert tuple(rows.columns) == results.CSV and len(rows) == 2 * 2 * (5 + 9 * (variants))
    for seed, method in ((0, "ours"), (1, "smote"), (1, "smote+threshold"), (0, "threshold")):
        one = rows.query(f"seed == {seed} and scenario == 'B' and reduction == 70 and classifier == 'svm' and method == '{method}'")
        assert one.f1.item() == pytest.approx(f1(study, seed, "B", 70, "svm", method), abs=1e-6)
        assert (one.added.item(), one.distinct.item(), one.seconds.item()) == (10, 8, 0.5)


def test_the_same_seed_gives_the_same_figures_and_another_seed_other_intervals(small: Path, tmp_path: Path) -> None:
    results.write((small,), tmp_path / "out", seed=0, resamples=50)
    got = json.loads((tmp_path / "out" / "results.json").read_text())
    assert json.loads(json.dumps(read(small))) == got
    other = results.summarise(read_folders((small,)), 1, 50)["chosen"]["methods"]["ours"]
    one, two = other["metrics"]["f1"], got["chosen"]["methods"]["ours"]["metrics"]["f1"]
    assert one["value"] == two["value"] and one != two


def test_pooled_tables_weigh_alike_and_do_not_change_each_other(study: Path, tmp_path: Path) -> None:
    second = make_study(tmp_path / "s", "other", people=40, reductions=(50, 70), seeds=(0,), classifiers=(*CLASSIFIERS, "xgboost"))
    one, two, both = read(study), read(second), read(study, second)
    a, b, c = (r["chosen"]["methods"]["ours"]["gain"]["f1"]["value"] for r in (one, two, both))
    assert c == pytest.approx((12 * a + 18 * b) / 30, abs=1e-3)
    assert both["by"]["table"] == {"toy": one["chosen"], "other": two["chosen"]}
    assert [t["name"] for t in both["tables"]] == ["toy", "other"] and both["classifiers"] == ["svm", "random-forest", "xgboost"]


def test_an_interrupted_study_shows_what_is_there_and_counts_what_is_not(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "s", classifiers=("svm",))
    for gone in ("0-A-50-none.npz", "1-C-70-ours.json", "1-full-0-none.npz"):
        (folder / "cells" / gone).unlink()
    got = results.write((folder,), tmp_path / "out", resamples=20)
    whole = 2 * (1 + 9 * len(METHODS))
    assert (got["tables"][0]["cells"], got["tables"][0]["missing"]) == (18, 3)
    assert f"3 of {whole} parts (a method in a cell) are missing" in (tmp_path / "out" / "report.html").read_text()
    assert f"toy: 3 of {whole} parts (a method in a cell) are missing" in results.lines(got)
    one = next(c for c in got["cells"] if (c["method"], c["scenario"], c["reduction"]) == ("ours", "A", 50))
    assert one["seeds"] == [1]  # the other has nothing to be held against


@pytest.mark.parametrize("keep", ["0-full-0-none", "0-A-30-none"])
def test_a_study_with_a_single_cell_is_a_page_already(keep: str, tmp_path: Path) -> None:
    folder = make_study(tmp_path / "s", classifiers=("svm",))
    for place in (folder / "cells").iterdir():
        if place.stem != keep:
            place.unlink()
    got = results.write((folder,), tmp_path / "out", resamples=20)
    full = keep.startswith("0-full")
    assert got["tables"][0]["missing"] == 73 and got["chosen"]["cells"] == (0 if full else 1)
    assert got["chosen_reductions"] == ([] if full else [30])  # neither 50 nor 70: all there are
    assert "73 of 74 parts" in (tmp_path / "out" / "report.html").read_text()


def test_cells_of_another_grid_are_left_aside_and_counted(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "s", classifiers=("svm",))
    about = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps({**about, "seeds": [0]}))
    got = read(folder)["tables"][0]
    assert (got["cells"], got["missing"], got["extra"]) == (10, 0, 37)


def test_results_that_would_replace_a_file_are_refused(study: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("mine")
    with pytest.raises(TableError, match=r"mine\.csv is a file; name a folder"):
        command.pool((study,), tmp_path / "mine.csv")
    with pytest.raises(TableError, match=r"mine\.csv is a file; name a folder"):
        command.run(tmp_path / "t.csv", "y", "yes", tmp_path / "s.json", tmp_path / "mine.csv")


def test_one_table_twice_is_refused(study: Path) -> None:
    with pytest.raises(TableError, match="toy is given more than once"):
        read_folders((study, study))


def test_two_tables_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    places = [make_study(tmp_path / n, **SMALL) for n in ("one", "other")]
    for place in places:
        about = json.loads((place / "study.json").read_text())
        (place / "study.json").write_text(json.dumps({**about, "table": place.name}))
    assert [s.name for s in read_folders(tuple(places))] == ["toy (one)", "toy (other)"]


def test_a_pool_overwrites_nothing_but_an_earlier_pool(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "pool"
    for _ in range(2):
        results.write((small,), out, resamples=20)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "results.csv").write_text("compared")
    other = make_study(tmp_path / "other", name="other", **SMALL)
    for taken in (tmp_path / "mine", other):
        with pytest.raises(TableError, match="holds something else"):
            results.write((small, other), taken, resamples=20)
    assert (tmp_path / "mine" / "results.csv").read_text() == "compared"


def test_a_folder_without_a_study_or_without_a_cell_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="holds no study"):
        read_folders((tmp_path,))
    folder = make_study(tmp_path / "s", **SMALL)
    for place in (folder / "cells").iterdir():
        place.unlink()
    with pytest.raises(TableError, match="without a finished cell"):
        read_folders((folder,))


def test_another_format_is_refused(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "s", **SMALL)
    about = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps({**about, "format": 1}))
    with pytest.raises(TableError, match="format 1; this version reads 3"):
        read_folders((folder,))


def test_a_damaged_cell_is_named(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "s", **SMALL)
    (folder / "cells" / "0-A-50-ours.npz").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(TableError, match=r"0-A-50-ours.json is damaged; delete it"):
        read_folders((folder,))


def test_a_score_that_is_missing_without_a_reason_is_refused(tmp_path: Path) -> None:
    def unsaid(said: dict[str, Any], held: dict[str, Any]) -> None:
        held["scores"][-1, 0] = np.nan

    with pytest.raises(TableError, match="has no score for some test row"):
        read_folders((make_study(tmp_path / "s", **SMALL, change=unsaid),))


def test_a_test_set_that_is_not_the_same_in_all_cells_is_refused(tmp_path: Path) -> None:
    def touched(said: dict[str, Any], held: dict[str, Any]) -> None:
        if said["reduction"] == 70:
            held["y"][0] = ~held["y"][0]

    with pytest.raises(TableError, match="two cells of seed 0 were tested on different rows"):
        read_folders((make_study(tmp_path / "s", **SMALL, change=touched),))


def test_a_part_that_was_left_other_rows_than_its_cell_is_refused(tmp_path: Path) -> None:
    def other(said: dict[str, Any], held: dict[str, Any]) -> None:
        held["left_y"][0] = ~held["left_y"][0]

    with pytest.raises(TableError, match="was left other rows than the rest of its cell"):
        read_folders((make_study(tmp_path / "s", **SMALL, change=only("smote", other)),))


def test_one_part_twice_is_refused(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "s", **SMALL)
    for suffix in (".json", ".npz"):
        (folder / "cells" / f"copy{suffix}").write_bytes((folder / "cells" / f"0-A-50-ours{suffix}").read_bytes())
    with pytest.raises(TableError, match="ours of seed 0, scenario A, 50 % twice"):
        read_folders((folder,))


def test_the_page_holds_everything_and_fetches_nothing(written: Path) -> None:
    text = (written / "report.html").read_text(encoding="utf-8")
    assert "://" not in text and "<script" not in text and "<link" not in text and "url(" not in text
    assert all(source.startswith("data:image/png;base64,") for source in re.findall(r'src="([^"]*)', text))
    assert text.count("data:image/png") == 2  # by table only where there are several
    parts = ("What rows add once the threshold is right", "As they come", "Beside the papers", "The tables and the splits differ",
             "Left out", "What a reader should know", "How each method works",
             "AUC of the checking classifier", "calibration slope", "everybody",
             "METHOD+trial", *METHODS)  # fmt: skip
    for part in parts:
        assert part in text


def test_a_name_from_a_table_cannot_become_markup_or_a_formula(tmp_path: Path) -> None:
    got = read(make_study(tmp_path / "s", name="<script>alert(1)</script> $x_$", reductions=(50,), classifiers=("svm",)))
    text = page.render(got)
    assert "<script" not in text and "&lt;script&gt;" in text


def test_the_tables_for_the_terminal_have_a_line_a_method(study: Path) -> None:
    text = results.lines(read(study))
    assert re.search(r"^ours\+threshold +12 +0\.\d{3} +0\.\d{3} +threshold: [+-]\d+\.\d \(.* to .*\)( +\d\.\d+){6}$", text, re.M), text
    first, second = (part.splitlines() for part in text.split("\n\n"))
    assert [line.split()[0] for line in first[1:]] == [*METHODS, "threshold", "told", "prior", "everybody"]
    moved = [f"{m}{v}" for v in ("+threshold", "+trial") for m in METHODS[1:]]
    assert sorted(line.split()[0] for line in second[1:]) == sorted(["threshold", *moved])


@pytest.mark.skipif(os.name == "nt", reason="file modes are those of POSIX")
def test_a_new_folder_of_results_is_its_owners_alone(written: Path) -> None:
    assert stat.S_IMODE(written.stat().st_mode) == 0o700


def test_every_picture_is_drawn_with_one_method_alone(tmp_path: Path) -> None:
    got = read(make_study(tmp_path / "s", methods=("none",), reductions=(50, 70), seeds=(0,)))
    assert plots.curves(got, None).startswith(b"\x89PNG") and plots.bars({"all": got["chosen"]}, got["methods"]) is None
    assert effects.points_text(None) == "-" and got["chosen"]["beside"] == {} and "bars" not in page.render(got)
    both = read(make_study(tmp_path / "both", methods=("none", "ours"), reductions=(50, 70), seeds=(0,)))
    drawn = plots.bars({"all": both["chosen"]}, both["methods"])
    assert drawn is not None and drawn.startswith(b"\x89PNG")
