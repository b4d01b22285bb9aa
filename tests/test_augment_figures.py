"""augment study, its figures and page: made-up cells whose true figures are computed by scikit-learn and by hand."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sensecf_convert.augment.study import command, figures, gains, page, plots, results
from sensecf_convert.augment.study.folders import read as read_folders
from sensecf_convert.augment.trial import TRIED
from sklearn import metrics

from sensecf_edge.errors import TableError

METHODS = ("none", "duplicate", "class-weights", "smote", "dice", "nice", "ours", "ours-full")
CLASSIFIERS = ("svm", "random-forest")
STRENGTH = {"none": 0.0, "duplicate": 0.1, "class-weights": 0.4, "smote": 0.3, "dice": 0.2, "nice": 0.35, "ours": 0.7, "ours-full": 0.8}
"""Which share of what the reduction took away a made-up method gives back."""
LEFT = "it needs 2 rows"
Change = Callable[[dict[str, Any], dict[str, Any]], None]


def make_study(folder: Path, name: str = "toy", people: int = 60, reductions: tuple[int, ...] = (30, 50, 70),
               methods: tuple[str, ...] = METHODS, classifiers: tuple[str, ...] = CLASSIFIERS, seeds: tuple[int, ...] = (0, 1),
               change: Change | None = None) -> Path:  # fmt: skip
    """A study folder whose scores get worse with the reduction and better with a method's strength."""
    about = {"format": 2, "name": name, "target": "stressed", "positive": "yes", "negative": "no", "rows": 500, "people": 200,
             "seeds": list(seeds), "reductions": list(reductions), "scenarios": ["A", "B", "C"], "classifiers": list(classifiers),
             "methods": list(methods), "quick": False, "checker": {"kind": "random-forest", "auc": 0.81}, "options": {"seed": 0},
             "versions": {"sensecf-edge": "0"}}  # fmt: skip
    (folder / "cells").mkdir(parents=True)
    (folder / "study.json").write_text(json.dumps(about))
    for seed in seeds:
        for scenario, reduction in [("full", 0), *((s, r) for s in "ABC" for r in reductions)]:
            said, held = _cell(seed, scenario, reduction, people, ("none",) if scenario == "full" else methods, classifiers)
            if change:
                change(said, held)
            place = folder / "cells" / f"{seed}-{scenario}-{reduction}"
            place.with_suffix(".json").write_text(json.dumps(said))
            np.savez(place.with_suffix(".npz"), **held)
    return folder


def _cell(
    seed: int, scenario: str, reduction: int, people: int, methods: tuple[str, ...], classifiers: tuple[str, ...]
) -> tuple[dict[str, Any], dict[str, Any]]:
    rng = np.random.default_rng(seed)
    persons = np.sort(np.concatenate([np.arange(people), rng.integers(0, people, people // 2)]))
    y = rng.random(people)[persons] < 0.5
    noise = np.random.default_rng([seed, ord(scenario[0]), reduction])
    runs, scores = [], []
    for classifier in classifiers:
        base = noise.normal(0, 1, len(y))
        for method in methods:
            lost = reduction / 100 * (1 - STRENGTH[method])
            shift = {"A": -1.6, "B": 1.6}.get(scenario, 0) * lost
            scores.append(np.where(y, 0.8, -0.8) * (1 - 0.5 * lost) + base + noise.normal(0, 0.2, len(y)) + shift)
            runs.append({"classifier": classifier, "method": method, "added": [0, 10], "made": [0, 8], "why": "", "seconds": 0.5})
    after = 0.4 if scenario == "B" and len(classifiers) > 1 else 0.6
    trials = {c: {"before": [0.5, 0.5], "after": [0.5, after if c == classifiers[0] else 0.6]} for c in classifiers}
    said = {"seed": seed, "scenario": scenario, "reduction": reduction, "rows": [90, 90 - reduction], "people": 120 - reduction,
            "auc": 0.8 - reduction / 1000, "runs": runs, "trials": {} if scenario == "full" else trials, "seconds": 3.0}  # fmt: skip
    table = np.array(scores, dtype=np.float32)
    return said, {"persons": persons, "y": y, "scores": table, "predicted": table > 0}


def left_out(method: str, classifier: str, seeds: tuple[int, ...] = (0, 1)) -> Change:
    """A change that leaves these runs out, as the study does."""

    def change(said: dict[str, Any], held: dict[str, Any]) -> None:
        for at, run in enumerate(said["runs"]):
            if (run["method"], run["classifier"]) == (method, classifier) and said["seed"] in seeds:
                run["why"] = LEFT
                held["scores"][at], held["predicted"][at] = np.nan, False

    return change


def f1(folder: Path, seed: int, scenario: str, reduction: int, classifier: str, method: str) -> float:
    """By scikit-learn, straight from the files."""
    place = folder / "cells" / f"{seed}-{scenario}-{reduction}"
    runs = json.loads(place.with_suffix(".json").read_text())["runs"]
    at = next(i for i, r in enumerate(runs) if (r["classifier"], r["method"]) == (classifier, method))
    held = np.load(place.with_suffix(".npz"))
    return float(metrics.f1_score(held["y"], held["predicted"][at]))


def read(*folders: Path, resamples: int = 50) -> dict[str, Any]:
    return results.summarise(read_folders(folders), 0, resamples)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_study(tmp_path_factory.mktemp("made") / "study")


@pytest.fixture(scope="module")
def written(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("written") / "out"
    results.write((study,), out, seed=0, resamples=50)
    return out


def test_metrics_of_every_draw_are_those_of_scikit_learn_with_the_draws_weights() -> None:
    rng = np.random.default_rng(0)
    persons, y = rng.integers(0, 40, 200), rng.random(200) < 0.4
    scores = np.round(y + rng.normal(0, 1, 200), 1)  # rounded: many ties
    W = figures.weights(40, (0, 1), 30)
    got = figures.measured(y, scores > 0.3, scores, persons, W)
    assert got.shape == (5, 31) and (W[:, 1:].sum(axis=0) == 40).all() and (W[:, 0] == 1).all()
    for draw in range(31):
        w, predicted = W[persons, draw], scores > 0.3
        precision, recall, score, _ = metrics.precision_recall_fscore_support(y, predicted, average="binary", sample_weight=w)
        true = [metrics.accuracy_score(y, predicted, sample_weight=w), precision, recall, score,
                metrics.roc_auc_score(y, scores, sample_weight=w)]  # fmt: skip
        assert got[:, draw] == pytest.approx(true, abs=1e-6)


def test_what_a_missing_class_leaves_without_a_value_has_none() -> None:
    y, scores = np.zeros(4, dtype=bool), np.arange(4.0)
    accuracy, precision, recall, score, auc = figures.point(y, np.array([True, False, False, False]), scores)
    assert (accuracy, precision, recall, score, auc) == (0.75, 0.0, None, None, None)
    assert figures.point(~y, y, scores) == (0.0, 0.0, 0.0, 0.0, None)
    assert figures.figure(np.array([np.nan, 1.0])) is None
    assert figures.figure(np.array([0.5, np.nan, 0.5])) == {"value": 0.5, "low": 0.5, "high": 0.5}


def test_a_single_person_has_a_value_and_no_interval() -> None:
    y = np.array([True, False])
    got = figures.measured(y, y, np.array([1.0, 0.0]), np.zeros(2, dtype=int), figures.weights(1, (0,), 20))
    assert figures.figure(got[0]) == {"value": 1.0, "low": None, "high": None}


def test_intervals_of_f1_hold_the_truth_as_often_as_they_say() -> None:
    """Two like rows a person. F1 is 0.8 in truth (hits 0.8, false alarms 0.2, half are positive).

    400 samples of 100 people. An interval of the right width covers about 94 %: fewer than 358 come by chance once in 10,000 runs. Rows
    drawn alone would cover 83 %, and pass once in 1,000.
    """
    held = 0
    for trial in range(400):
        rng = np.random.default_rng(trial)
        y = rng.random(100) < 0.5
        predicted = rng.random(100) < np.where(y, 0.8, 0.2)
        twice = np.repeat(np.arange(100), 2)
        W = figures.weights(100, (trial,), 300)
        got = figures.measured(y[twice], predicted[twice], twice.astype(float), twice, W)
        one = figures.figure(got[figures.METRICS.index("f1")])
        held += one["low"] <= 0.8 <= one["high"]  # type: ignore[index,operator]
    assert held >= 358


def test_rows_of_one_person_are_drawn_together() -> None:
    rng = np.random.default_rng(1)
    y, W = rng.random(30) < 0.5, figures.weights(30, (3,), 100)
    scores, persons = rng.normal(0, 1, 30), np.arange(30)
    alone = figures.measured(y, scores > 0, scores, persons, W)
    many = figures.measured(np.tile(y, 5), np.tile(scores > 0, 5), np.tile(scores, 5), np.tile(persons, 5), W)
    assert many == pytest.approx(alone, abs=1e-6, nan_ok=True)


def test_every_run_of_a_seed_is_drawn_alike_and_a_difference_to_itself_is_nothing(tmp_path: Path) -> None:
    def same(said: dict[str, Any], held: dict[str, Any]) -> None:
        for at, run in enumerate(said["runs"]):
            if run["method"] == "ours":
                held["scores"][at], held["predicted"][at] = held["scores"][at - 1], held["predicted"][at - 1]

    got = read(make_study(tmp_path / "s", methods=("none", "ours"), change=same))
    assert got["chosen"]["methods"]["ours"]["gain"]["f1"] == {"value": 0, "low": 0, "high": 0}
    assert got["chosen"]["methods"]["ours"]["worse"] == []


def test_paired_intervals_are_narrower_than_the_metrics_own(study: Path) -> None:
    got = read(study, resamples=200)["chosen"]["methods"]["ours"]
    width = {k: f["high"] - f["low"] for k, f in (("f1", got["f1"]), ("gain", got["gain"]["f1"]))}
    assert width["gain"] / 100 < 0.8 * width["f1"]


def test_f1_recovered_and_its_share_are_those_of_the_files(study: Path) -> None:
    got = read(study)["chosen"]
    cells = [(seed, s, r, c) for seed in (0, 1) for s in "ABC" for r in (50, 70) for c in CLASSIFIERS]
    for method in METHODS[1:]:
        gain = [f1(study, *cell, method) - f1(study, *cell, "none") for cell in cells]
        lost = [f1(study, seed, "full", 0, c, "none") - f1(study, seed, s, r, c, "none") for seed, s, r, c in cells]
        mine = got["methods"][method]
        assert mine["gain"]["f1"]["value"] == pytest.approx(100 * np.mean(gain), abs=1e-3)
        assert mine["share"]["value"] == pytest.approx(np.sum(gain) / np.sum(lost), abs=1e-4)
        assert mine["cells"] == got["cells"] == 12 and got["loss"]["value"] == pytest.approx(100 * np.mean(lost), abs=1e-3)
        assert list(mine["by_seed"].values()) == pytest.approx([100 * np.mean(gain[:12]), 100 * np.mean(gain[12:])], abs=1e-3)
    ours = np.mean([f1(study, *cell, "ours") - f1(study, *cell, "smote") for cell in cells])
    assert got["beside"]["smote"]["value"] == pytest.approx(100 * ours, abs=1e-3)
    assert got["checker_auc"] == {"mean": 0.74, "low": 0.73, "high": 0.75}


def test_a_share_of_next_to_no_loss_is_not_formed(tmp_path: Path) -> None:
    def nothing_lost(said: dict[str, Any], held: dict[str, Any]) -> None:
        held["scores"][:] = np.where(held["y"], 1, -1) * (np.arange(len(held["y"])) > 20)
        held["predicted"] = held["scores"] > 0

    got = read(make_study(tmp_path / "s", change=nothing_lost))
    assert got["chosen"]["loss"]["value"] == 0 and got["chosen"]["methods"]["ours"]["share"] is None
    assert got["chosen"]["severe"] == {"cells": [], "loss": None, "checker_auc": None, "methods": {}}


def test_severe_cells_are_those_that_lost_fifteen_points(study: Path) -> None:
    got = read(study)["all"]["severe"]
    lost = {
        (s, r, c): 100 * np.mean([f1(study, k, "full", 0, c, "none") - f1(study, k, s, r, c, "none") for k in (0, 1)])
        for s in "ABC" for r in (30, 50, 70) for c in CLASSIFIERS
    }  # fmt: skip
    true = {cell for cell, points in lost.items() if points >= 15}
    assert 0 < len(true) < len(lost)
    assert {(c["scenario"], c["reduction"], c["classifier"]) for c in got["cells"]} == true
    assert got["loss"]["value"] == pytest.approx(np.mean([lost[c] for c in true]), abs=1e-3)
    assert got["methods"]["ours"]["share"]["value"] > got["methods"]["dice"]["share"]["value"]


def test_a_method_that_does_harm_is_named_cell_by_cell(tmp_path: Path) -> None:
    def harm(said: dict[str, Any], held: dict[str, Any]) -> None:
        for at, run in enumerate(said["runs"]):
            if (run["method"], run["classifier"], said["scenario"], said["reduction"]) == ("ours", "svm", "C", 50):
                held["predicted"][at] = ~held["y"]

    got = read(make_study(tmp_path / "s", change=harm))
    worse = got["chosen"]["methods"]["ours"]["worse"]
    assert {"table": "toy", "scenario": "C", "reduction": 50, "classifier": "svm"}.items() <= worse[0].items() and worse[0]["high"] < 0
    mark = next(m for m in got["marks"] if m["method"] == "ours" and m["title"].startswith("nowhere worse"))
    assert mark["met"] is False and mark["text"].startswith(f"{len(worse)} of 12 cells")


def test_the_marks_say_what_was_reached(study: Path) -> None:
    got = read(study)["marks"]
    assert [m["method"] for m in got] == [m for m in ("ours", "ours-full", "ours+trial", "ours-full+trial") for _ in range(3)]
    assert all(m["met"] is True for m in got[:6])
    assert "class-weights" in got[0]["text"] and "%" in got[2]["text"] and "+trial" not in got[0]["text"]


def test_behind_the_trial_a_method_is_itself_where_rows_are_let_in_and_none_elsewhere(study: Path, written: Path) -> None:
    """In these studies the trial of the first classifier is against filling up in scenario B."""
    rows = pd.read_csv(written / "results.csv").set_index(["seed", "scenario", "reduction", "classifier", "method"])
    for place, row in rows[rows.index.get_level_values("method").str.endswith(TRIED)].iterrows():
        closed = (place[1], place[3]) == ("B", CLASSIFIERS[0])
        same = rows.loc[(*place[:4], "none" if closed else place[4].removesuffix(TRIED))]
        assert all(row[m] == same[m] for m in (*figures.METRICS, "added_positive")), place
    got = read(study)
    assert {(t["scenario"], t["open"], t["trials"]) for t in got["trials"]} == {("A", 12, 12), ("B", 6, 12), ("C", 12, 12)}
    assert next(t for t in got["trials"] if t["scenario"] == "B")["promised"] == 0.0
    block = got["by"]["scenario"]["B"]
    assert block["beside"]["smote+trial"]["value"] < block["beside"]["smote"]["value"]
    marks = {m["title"]: m for m in got["marks"] if m["method"] == "ours+trial"}
    text = marks["mean F1 at least every other method's"]["text"]
    assert "smote" in text and "smote+trial" in text  # held against both


def test_a_method_ahead_of_ours_is_said(tmp_path: Path) -> None:
    def perfect(said: dict[str, Any], held: dict[str, Any]) -> None:
        for at, run in enumerate(said["runs"]):
            if run["method"] == "smote":
                held["predicted"][at] = held["y"]

    first = read(make_study(tmp_path / "s", change=perfect))["marks"][0]
    assert first["met"] is False and re.match(r"smote is ahead: -\d+\.\d \(-.* to -.*\) points$", first["text"])


def test_the_best_method_of_a_table_is_that_of_the_highest_mean(study: Path) -> None:
    got = read(study)
    means = {m: b["f1"]["value"] for m, b in got["chosen"]["methods"].items()}
    best = got["best"]["toy"]
    assert best["method"] == max(means, key=lambda m: means[m]) and best["cells"] == 12 and best["ahead"]["value"] > 0


def test_a_method_that_has_few_cells_is_neither_ranked_nor_judged(tmp_path: Path) -> None:
    def once(said: dict[str, Any], held: dict[str, Any]) -> None:
        asked = (said["seed"], said["scenario"], said["reduction"]) == (0, "A", 70)
        kept = [at for at, run in enumerate(said["runs"]) if asked or run["method"] != "ours-full"]
        said["runs"] = [said["runs"][at] for at in kept]
        held["scores"], held["predicted"] = held["scores"][kept], held["predicted"][kept]

    got = read(make_study(tmp_path / "s", reductions=(50, 70), change=once))
    assert got["chosen"]["methods"]["ours-full"]["cells"] == 2 and got["left_out"] == []
    assert got["best"]["toy"]["method"] == "ours" and got["best"]["toy"]["cells"] == 12
    assert {m["method"] for m in got["marks"]} == {"ours", "ours+trial"}
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


def test_curves_are_means_over_classifiers_and_do_not_jump_where_a_method_lacks_one(study: Path, tmp_path: Path) -> None:
    def at(got: dict[str, Any], kind: str | None) -> float:
        where = {"table": "toy", "scenario": "A", "reduction": 50, "classifier": kind, "method": "class-weights"}
        return next(p["value"] for p in got["curves"] if where.items() <= p.items())

    whole = read(study)
    true = np.mean([f1(study, k, "A", 50, c, "class-weights") for k in (0, 1) for c in CLASSIFIERS])
    assert at(whole, None) == pytest.approx(true, abs=1e-5)
    lacks = make_study(tmp_path / "s", change=left_out("class-weights", "svm"))
    base = np.mean([f1(study, k, "A", 50, c, "none") for k in (0, 1) for c in CLASSIFIERS])
    rest = np.mean([f1(study, k, "A", 50, "random-forest", m) * sign for k in (0, 1) for m, sign in (("class-weights", 2), ("none", -2))])
    assert at(read(lacks), None) == pytest.approx(base + rest, abs=1e-5)


def test_a_run_left_out_is_listed_and_counts_nowhere(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "s", change=left_out("dice", "svm", (1,)))
    got = read(folder)
    one = next(c for c in got["cells"] if (c["method"], c["classifier"], c["scenario"], c["reduction"]) == ("dice", "svm", "A", 50))
    assert one["seeds"] == [0]
    true = 100 * (f1(folder, 0, "A", 50, "svm", "dice") - f1(folder, 0, "A", 50, "svm", "none"))
    assert one["gain"]["value"] == pytest.approx(true, abs=1e-3)  # against `none` of the same seed
    (left,) = got["left_out"]
    assert left["method"] == "dice" and left["why"] == LEFT and left["runs"] == 9 and "A 30 %" in left["where"]
    results.write((folder,), tmp_path / "out", resamples=20)
    rows = pd.read_csv(tmp_path / "out" / "results.csv")
    gone = rows[rows.why.notna()]
    assert len(gone) == 9 and gone.f1.isna().all() and rows[rows.why.isna()].f1.notna().all()
    assert LEFT in (tmp_path / "out" / "report.html").read_text()


def test_a_row_a_run_stands_in_the_csv_with_its_metrics(study: Path, written: Path) -> None:
    rows = pd.read_csv(written / "results.csv")
    assert tuple(rows.columns) == results.CSV and len(rows) == 2 * (2 + 9 * (16 + 14))
    for seed, method in ((0, "ours"), (1, "nice")):
        one = rows.query(f"seed == {seed} and scenario == 'B' and reduction == 70 and classifier == 'svm' and method == '{method}'")
        assert one.f1.item() == pytest.approx(f1(study, seed, "B", 70, "svm", method), abs=1e-6)
        assert (one.added_negative.item(), one.added_positive.item(), one.made_positive.item(), one.seconds.item()) == (0, 10, 8, 0.5)


def test_the_same_seed_gives_the_same_figures_and_another_seed_other_intervals(study: Path, written: Path) -> None:
    got = json.loads((written / "results.json").read_text())
    assert json.loads(json.dumps(read(study))) == got
    other = results.summarise(read_folders((study,)), 1, 50)["chosen"]["methods"]["ours"]
    assert other["f1"]["value"] == got["chosen"]["methods"]["ours"]["f1"]["value"] and other["f1"] != got["chosen"]["methods"]["ours"]["f1"]


def test_pooled_tables_weigh_alike_and_do_not_change_each_other(study: Path, tmp_path: Path) -> None:
    second = make_study(tmp_path / "s", "other", people=40, seeds=(0, 1, 2), classifiers=("svm", "random-forest", "xgboost"))
    one, two, both = read(study), read(second), read(study, second)
    a, b, c = (r["chosen"]["methods"]["ours"]["gain"]["f1"]["value"] for r in (one, two, both))
    assert c == pytest.approx((12 * a + 18 * b) / 30, abs=1e-3)
    assert both["by"]["table"] == {"toy": one["chosen"], "other": two["chosen"]}
    assert [t["name"] for t in both["tables"]] == ["toy", "other"] and both["classifiers"] == ["svm", "random-forest", "xgboost"]


def test_an_interrupted_study_shows_what_is_there_and_counts_what_is_not(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "s", classifiers=("svm",))
    for gone in ("0-A-50.npz", "1-C-70.json", "1-full-0.npz"):
        (folder / "cells" / gone).unlink()
    got = results.write((folder,), tmp_path / "out", resamples=20)
    assert (got["tables"][0]["cells"], got["tables"][0]["missing"]) == (17, 3)
    assert "3 of 20 cells are missing" in (tmp_path / "out" / "report.html").read_text()
    assert "toy: 3 of 20 cells are missing" in results.lines(got)
    assert got["chosen"]["methods"]["ours"]["share"] is not None  # over the seed that has the full training set
    one = next(c for c in got["cells"] if (c["method"], c["scenario"], c["reduction"]) == ("ours", "A", 50))
    assert one["seeds"] == [1] and one["loss"] is None


@pytest.mark.parametrize("keep", ["0-full-0", "0-A-30"])
def test_a_study_with_a_single_cell_is_a_page_already(keep: str, tmp_path: Path) -> None:
    folder = make_study(tmp_path / "s", classifiers=("svm",))
    for place in (folder / "cells").iterdir():
        if place.stem != keep:
            place.unlink()
    got = results.write((folder,), tmp_path / "out", resamples=20)
    assert got["tables"][0]["missing"] == 19 and got["chosen"]["cells"] == (0 if keep == "0-full-0" else 1)
    assert got["chosen_reductions"] == ([] if keep == "0-full-0" else [30])  # neither 50 nor 70: all there are
    assert bool(got["marks"]) == (keep != "0-full-0")
    assert "19 of 20 cells are missing" in (tmp_path / "out" / "report.html").read_text()


def test_cells_of_another_grid_are_left_aside_and_counted(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "s")
    about = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps({**about, "seeds": [0]}))
    got = read(folder)["tables"][0]
    assert (got["cells"], got["missing"], got["extra"]) == (10, 0, 10)


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
    places = [make_study(tmp_path / n, reductions=(50,), seeds=(0,)) for n in ("one", "other")]
    for place in places:
        about = json.loads((place / "study.json").read_text())
        (place / "study.json").write_text(json.dumps({**about, "table": place.name}))
    assert [s.name for s in read_folders(tuple(places))] == ["toy (one)", "toy (other)"]


def test_a_pool_overwrites_nothing_but_an_earlier_pool(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "pool"
    for _ in range(2):
        results.write((study,), out, resamples=20)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "results.csv").write_text("compared")
    other = make_study(tmp_path / "other", name="other")
    for taken in (tmp_path / "mine", other):
        with pytest.raises(TableError, match="holds something else"):
            results.write((study, other), taken, resamples=20)
    assert (tmp_path / "mine" / "results.csv").read_text() == "compared"


def test_a_folder_without_a_study_or_without_a_cell_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="holds no study"):
        read_folders((tmp_path,))
    folder = make_study(tmp_path / "s")
    for place in (folder / "cells").iterdir():
        place.unlink()
    with pytest.raises(TableError, match="without a finished cell"):
        read_folders((folder,))


def test_another_format_is_refused(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "s")
    about = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps({**about, "format": 1}))
    with pytest.raises(TableError, match="format 1; this version reads 2"):
        read_folders((folder,))


def test_a_damaged_cell_is_named(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "s")
    (folder / "cells" / "0-A-50.npz").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(TableError, match=r"0-A-50.json is damaged; delete it"):
        read_folders((folder,))


def test_a_score_that_is_missing_without_a_reason_is_refused(tmp_path: Path) -> None:
    def unsaid(said: dict[str, Any], held: dict[str, Any]) -> None:
        held["scores"][-1, 0] = np.nan

    with pytest.raises(TableError, match="has no score for some test row"):
        read_folders((make_study(tmp_path / "s", change=unsaid),))


def test_a_test_set_that_is_not_the_same_in_all_cells_is_refused(tmp_path: Path) -> None:
    def touched(said: dict[str, Any], held: dict[str, Any]) -> None:
        if said["reduction"] == 70:
            held["y"][0] = ~held["y"][0]

    with pytest.raises(TableError, match="two cells of seed 0 were tested on different rows"):
        read_folders((make_study(tmp_path / "s", change=touched),))


def test_one_cell_twice_is_refused(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "s")
    for suffix in (".json", ".npz"):
        (folder / "cells" / f"copy{suffix}").write_bytes((folder / "cells" / f"0-A-50{suffix}").read_bytes())
    with pytest.raises(TableError, match="seed 0, scenario A, 50 % twice"):
        read_folders((folder,))


def test_the_page_holds_everything_and_fetches_nothing(written: Path) -> None:
    text = (written / "report.html").read_text(encoding="utf-8")
    assert "://" not in text and "<script" not in text and "<link" not in text and "url(" not in text
    assert all(source.startswith("data:image/png;base64,") for source in re.findall(r'src="([^"]*)', text))
    assert text.count("data:image/png") == 2 + len(CLASSIFIERS)  # by table only where there are several
    parts = ("share of the loss recovered", "The severe cases", "Behind the trial", "Beside the papers", "The tables and the splits differ",
             "Left out", "What a reader should know", "How each method works", "AUC of the checking classifier", *METHODS)  # fmt: skip
    for part in parts:
        assert part in text


def test_a_name_from_a_table_cannot_become_markup_or_a_formula(tmp_path: Path) -> None:
    got = read(make_study(tmp_path / "s", name="<script>alert(1)</script> $x_$", reductions=(50,), classifiers=("svm",)))
    text = page.render(got)
    assert "<script" not in text and "&lt;script&gt;" in text


def test_the_table_for_the_terminal_has_a_line_a_method(study: Path) -> None:
    text = results.lines(read(study))
    assert re.search(r"^ours +12 +0\.\d{3} +\+\d+\.\d \(.* to .*\) +\d+ % +- +0$", text, re.M), text
    assert [line.split()[0] for line in text.splitlines()[1:]] == [*METHODS, *(m + TRIED for m in METHODS[1:])]


@pytest.mark.skipif(os.name == "nt", reason="file modes are those of POSIX")
def test_a_new_folder_of_results_is_its_owners_alone(written: Path) -> None:
    assert stat.S_IMODE(written.stat().st_mode) == 0o700


def test_every_picture_is_drawn_with_one_method_alone(tmp_path: Path) -> None:
    got = read(make_study(tmp_path / "s", methods=("none",)))
    assert plots.curves(got, None).startswith(b"\x89PNG") and plots.bars({"all": got["chosen"]}, got["methods"]).startswith(b"\x89PNG")
    assert gains.points_text(None) == "-" and got["chosen"]["beside"] == {}
