"""compare: real methods of ours on a toy bundle, the ruler, the trees inside real classifiers, the files and the page."""

from __future__ import annotations

import csv
import json
import os
import re
import stat
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from conftest import PATIENCE, SCHEMA, Ran, toy_classifier, toy_manifest, write_toy
from hypothesis import given
from hypothesis import strategies as st
from sensecf_convert.compare import command, environments, fewest, figures, methods, plots, question, running, scoring, steps
from sensecf_convert.evaluate import formatting
from sensecf_convert.evaluate import typical as beside
from sensecf_convert.table.cohort import cohort, read_table
from sensecf_convert.table.split import parts

from sensecf_edge.bundle.bundle import Bundle, write_manifest
from sensecf_edge.bundle.realism import realism
from sensecf_edge.cli.compare import NAMES
from sensecf_edge.judge.classifier import OnnxChecker
from sensecf_edge.proof import trees
from sensecf_edge.propose import reply
from sensecf_edge.propose.engine import Request
from sensecf_edge.propose.grammar import Grammar
from sensecf_edge.schema.feature import Feature
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.relation import Relation
from sensecf_edge.schema.schema import Schema
from sensecf_edge.settings import COST
from sensecf_edge.space import measure, rules
from sensecf_edge.space.admissible import admissible
from sensecf_edge.space.constraints import Constraints
from sensecf_edge.testing import RandomEngine

Command = Callable[..., Ran]
Forest = tuple[bytes, Schema, np.ndarray]
OURS = ("ours", "ours-first-try", "ours-without-llm", "ours-without-llm-rows", "additive", "chance", "search", "teacher", "ours-nearest",
        "ours-typical")  # fmt: skip
ASKED = 12
FRACTION = 0.37
"""A share of steps that no toy record has by chance: its digits are looked for where no value may stand."""


def toy_table(path: Path) -> Path:
    """240 people of the toy schema, four rows each person in two of three, labelled by the toy classifier and some chance."""
    rng, schema = np.random.default_rng(0), Schema.from_json(SCHEMA)
    X = np.column_stack([
        rng.integers(18, 91, 240), rng.integers(2, 33, 240) * 500 + FRACTION, rng.integers(0, 41, 240), rng.integers(0, 2, 240)
    ]).astype(float)  # fmt: skip
    X[rng.random(240) < 0.4, 2] = np.nan
    p = OnnxChecker(toy_classifier(), 4, 1).p_target(X)
    smoker = np.array(schema["smoker"].choices)[X[:, 3].astype(int)]
    table = pd.DataFrame({"age": X[:, 0], "steps": X[:, 1], "deep_sleep": X[:, 2], "smoker": smoker})
    table["stressed"] = np.where(rng.random(240) < p, "calm", "stressed")
    table["person"] = [f"p{i // 4 if i % 12 < 8 else 1000 + i}" for i in range(240)]
    table.to_csv(path, index=False)
    return path


@dataclass
class Compared:
    """A toy bundle fitted, as far as anyone can tell, on a table; and what `compare` made of them."""

    bundle: Path
    table: Path
    out: Path
    ran: Ran

    def asked(self, seed: int = 0) -> question.Questions:
        bundle = Bundle.open(self.bundle)
        return question.questions_of(bundle, *parts(bundle, self.table), ASKED, seed)

    def rows(self) -> pd.DataFrame:
        return pd.read_csv(self.out / "results.csv")


def known(folder: Path, name: str = "toy") -> tuple[Path, Path]:
    """A toy bundle whose manifest knows its table."""
    folder.mkdir(parents=True, exist_ok=True)
    table, bundle = toy_table(folder / "table.csv"), write_toy(folder / name)
    data = cohort(read_table(table), Schema.from_json(SCHEMA), "stressed", "calm", "person")
    split = {"seed": 0, "test_share": 0.3, "person": "person", "table": data.fingerprint}
    write_manifest(bundle, {**toy_manifest(), "name": name, "split": split})
    return bundle, table


def ask_for(command: Command, bundle: Path, table: Path, out: Path, names: tuple[str, ...] = OURS, *more: object) -> Ran:
    named = [part for name in names for part in ("--methods", name)]
    return command("compare", table, "--model", bundle, "-o", out, "--limit", ASKED, *named, *more)


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Compared:
    """One real run of the command, in a process of its own."""
    import subprocess

    folder = tmp_path_factory.mktemp("compared")
    bundle, table = known(folder)
    named = [part for name in (*OURS, "treecf") for part in ("--methods", name)]
    line = ["compare", table, "--model", bundle, "-o", folder / "out", "--limit", ASKED, *named]
    ran = subprocess.run([sys.executable, "-m", "sensecf_edge", *map(str, line)], capture_output=True, text=True, timeout=PATIENCE)
    return Compared(bundle, table, folder / "out", Ran(ran.returncode, ran.stdout, ran.stderr))


def test_the_names_of_the_command_line_are_the_methods() -> None:
    assert tuple(methods.METHODS) == NAMES


def test_a_method_brings_what_it_needs() -> None:
    assert [m.name for m in methods.chosen(("ours-without-llm-time",))] == ["ours", "ours-without-llm-time"]


def test_the_most_typical_answers_are_held_beside_another_method_s(compared: Compared, tmp_path: Path) -> None:
    line = [str(compared.table), "--model", str(compared.bundle), "--method", "teacher", "--beside"]
    ran = CliRunner().invoke(beside.main, [*line, str(compared.out)], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    said = {way: float(r) for way, r in re.findall(r"^(\w+) +changed \d\.\d+, kNN ratio (\d+\.\d+)", ran.output, re.M)}
    assert set(said) == {"teacher", "plain", "typical"} and "typical less teacher" in ran.output
    ran = CliRunner().invoke(beside.main, [*line, str(tmp_path)], catch_exceptions=False)
    assert ran.exit_code == 1 and "holds no results" in ran.output


def test_every_method_of_ours_answers_and_the_table_is_printed(compared: Compared) -> None:
    assert compared.ran.code == 0, compared.ran.err
    for name in OURS:
        assert re.search(rf"^{name} +{ASKED} ", compared.ran.out, re.M), compared.ran.out
        assert re.search(rf"^{name} +\d+ of {ASKED} records answered", compared.ran.err, re.M)


def test_what_cannot_be_run_is_left_out_with_its_reason(compared: Compared) -> None:
    left = json.loads((compared.out / "results.json").read_text())["left_out"]
    assert left == {"treecf": "it holds no single tree ensemble"}
    assert "treecf" in compared.ran.err and "treecf" not in compared.ran.out


def test_a_row_for_each_record_and_method(compared: Compared) -> None:
    rows = compared.rows()
    assert tuple(rows.columns) == scoring.COLUMNS
    assert rows.groupby("method", sort=False).record.apply(list).to_dict() == {name: list(range(ASKED)) for name in OURS}


def test_answers_of_ours_are_at_the_goal_and_cost_what_the_count_says(compared: Compared) -> None:
    rows = compared.rows()
    mine = rows[rows.method.isin(["ours", "search"]) & rows.answered]
    assert len(mine) > ASKED and mine.same_rules.all() and (mine.p >= 0.55).all() and not mine.relations_broken.any()
    asked_rows = rows.groupby("method").rows
    assert asked_rows.max()["chance"] == 0 and asked_rows.max()["ours-first-try"] == 1
    assert (asked_rows.min().drop(["chance", "ours-first-try"]) > 1).all()
    budget = rows[rows.method == "ours"].rows.to_numpy()
    spent = rows[rows.method == "ours-without-llm-rows"].rows.to_numpy()
    assert (spent >= budget).all()


def test_figures_of_a_method_are_the_means_of_its_rows(compared: Compared) -> None:
    got = json.loads((compared.out / "results.json").read_text())["pooled"]["ours"]
    rows = compared.rows()
    mine = rows[rows.method == "ours"]
    answers = mine[mine.answered]
    assert got["asked"] == ASKED
    assert got["at_goal"]["value"] == pytest.approx(mine.at_goal.mean(), abs=1e-6)
    assert got["distance"]["value"] == pytest.approx(answers.distance.mean(), abs=1e-6)
    assert got["distance"]["low"] <= got["distance"]["value"] <= got["distance"]["high"]
    assert got["p50_ms"] == pytest.approx(1000 * mine.seconds.median())


def test_both_recorded_classes_and_the_equal_budget_stand_in_the_results(compared: Compared) -> None:
    got = json.loads((compared.out / "results.json").read_text())
    assert set(got["classes"]) <= {"calm", "stressed"}
    assert sum(part["ours"]["asked"] for part in got["classes"].values()) == ASKED
    assert {"search", "ours-without-llm"} <= set(got["paired"]) <= set(OURS) - {"ours"}
    found = got["possible"]
    assert found["asked"] == ASKED and 0 < found["share"]["ours"] <= 1
    assert len(found["missing"]) == round(found["records"] * (1 - found["share"]["ours"]))
    assert got["methods"]["ours"]["cold_start"] > 0


def test_other_prices_trade_one_figure_for_another(compared: Compared) -> None:
    rows = compared.rows()
    both = {n: rows[(rows.method == n) & rows.at_goal].set_index("record") for n in ("ours-nearest", "ours-typical")}
    assert all(len(part) > ASKED / 2 for part in both.values())
    near, typical = (part.loc[both["ours-nearest"].index.intersection(both["ours-typical"].index)] for part in both.values())
    assert near.distance.mean() < typical.distance.mean() and near.realism.mean() < typical.realism.mean()
    got = json.loads((compared.out / "results.json").read_text())["trade"]["near and typical"]["search"]
    assert set(got["ours"]) == {"ours", "ours-nearest", "ours-typical"} and got["factor"] > 0


def test_the_page_holds_everything_and_fetches_nothing(compared: Compared) -> None:
    text = (compared.out / "report.html").read_text(encoding="utf-8")
    assert "://" not in text and "<script" not in text and "<link" not in text and "url(" not in text
    assert all(source.startswith("data:image/png;base64,") for source in re.findall(r'src="([^"]*)', text))
    assert text.count("data:image/png") == 10
    headings = ("What the language model contributes", "all that ours can trade", "Worked examples")
    for part in (*headings, "it holds no single tree ensemble", *OURS):
        assert part in text
    assert text.count("<td>the record</td>") == 3


def test_a_name_from_the_bundle_cannot_become_markup(compared: Compared) -> None:
    from sensecf_convert.compare import page

    results = json.loads((compared.out / "results.json").read_text())
    results["tables"][0]["title"] = "<script>alert(1)</script>"
    text = page.render(results, compared.rows())
    assert "<script" not in text and "&lt;script&gt;" in text


def test_a_limit_of_changes_binds_ours_and_asks_no_package_again(compared: Compared, command: Command, tmp_path: Path) -> None:
    ran = ask_for(command, compared.bundle, compared.table, tmp_path / "out", ("ours", "ours-without-llm", "search"), "--max-changes", 1)
    assert ran.code == 0, ran.err
    counts = pd.read_csv(tmp_path / "out" / "results.csv").n_changed.dropna()
    assert set(counts) == {1}
    few, many = question.Options(max_changes=1), question.Options(max_changes=4)
    assert few.of(own=False) == many.of(own=False) and few.of(own=True) != many.of(own=True)


def test_the_fewest_features_are_proven_for_what_ours_answers(compared: Compared, command: Command, tmp_path: Path) -> None:
    ran = ask_for(command, compared.bundle, compared.table, tmp_path / "out", ("ours", "ours-typical"), "--fewest")
    assert ran.code == 0, ran.err
    rows, got = pd.read_csv(tmp_path / "out" / "results.csv"), compared.asked()
    checker, typical = OnnxChecker(toy_classifier(), 4, 1), rows[rows.method == "ours-typical"].set_index("record")
    ours = rows[(rows.method == "ours") & rows.at_goal]
    for k, least in zip(ours.record, ours.fewest, strict=True):
        space = got.spaces[k]
        assert space is not None and typical.fewest[k] == least
        Y = np.array(list(product(*([*values, got.rows[k][i]] for i, values in enumerate(space.values)))))
        Y = Y[checker.p_target(Y) >= got.goal]
        assert measure.sparsity(got.rows[k], Y).min() == least
    assert len(ours) > ASKED / 2 and ours.fewest_proven.all()
    said = json.loads((tmp_path / "out" / "results.json").read_text())["fewest"]
    more, mean = int((ours.n_changed > ours.fewest).sum()), round(ours.fewest.mean(), 4)
    assert said == {"changed": round(ours.n_changed.mean(), 4), "answers": len(ours), "proven": len(ours), "mean": mean, "more": more,
                    "unproven": [], "agreement": {}}  # fmt: skip
    line = f"the fewest possible {ours.fewest.mean():.2f}  (proven for {len(ours)} of {len(ours)}; {more} change more)"
    assert line in ran.out and line.split("possible ")[1] in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    pooled = command("compare-pool", tmp_path / "out", "-o", tmp_path / "pooled")
    assert pooled.code == 0 and line in pooled.out
    plain = json.loads((compared.out / "results.json").read_text())
    assert plain["fewest"] == {} and "the fewest possible" not in compared.ran.out


def test_where_distance_alone_counts_no_answer_is_nearer_however_rare(compared: Compared, command: Command, tmp_path: Path) -> None:
    seed = 5  # people among whom the nearest answer of some is a rare one
    ran = ask_for(command, compared.bundle, compared.table, tmp_path / "out", ("ours-distance-exact", "search"), "--seed", seed)
    assert ran.code == 0, ran.err
    rows, got = pd.read_csv(tmp_path / "out" / "results.csv"), compared.asked(seed)
    checker, least = OnnxChecker(toy_classifier(), 4, 1), []
    density = realism(got.bundle)
    for k, distance in rows[(rows.method == "ours-distance-exact") & rows.at_goal].set_index("record").distance.items():
        x, space = got.rows[k], got.spaces[k]
        if np.isnan(x).any():
            continue  # an answer has to hold whatever the unknown value is: that may take more
        Y = np.array(list(product(*([*values, x[i]] for i, values in enumerate(space.values)))))
        Y = Y[checker.p_target(Y) >= got.goal]
        far = measure.proximity(got.schema, x, Y)
        assert distance == pytest.approx(far.min(), abs=1e-9)
        least.append(density.percentile(Y[far.argmin()][None])[0])
    assert min(least) < COST.floor  # else the floor of realism would have changed nothing


def test_finished_methods_are_kept_and_changed_ones_asked_again(compared: Compared, command: Command) -> None:
    kept = compared.out / "methods" / "search.json"
    before = kept.stat().st_mtime_ns
    again = ask_for(command, compared.bundle, compared.table, compared.out)
    training = len(set(OURS) & set(methods.CURVE))
    assert again.err.count("kept from before") == len(OURS) + training and kept.stat().st_mtime_ns == before
    other = ask_for(command, compared.bundle, compared.table, compared.out, ("search",), "--seed", 1)
    assert "kept" not in other.err and kept.stat().st_mtime_ns > before


def test_no_value_of_a_record_is_said(compared: Compared) -> None:
    digits = str(FRACTION)[1:]
    assert digits in (compared.out / "results.csv").read_text()  # else this test could not fail
    assert digits not in compared.ran.err


@pytest.mark.skipif(os.name == "nt", reason="file modes are those of POSIX")
def test_a_new_folder_of_results_is_its_owners_alone(compared: Compared) -> None:
    assert stat.S_IMODE(compared.out.stat().st_mode) == 0o700


def test_another_table_is_refused(compared: Compared, command: Command, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("".join(compared.table.read_text().splitlines(keepends=True)[:-1]))
    ran = ask_for(command, compared.bundle, other, tmp_path / "out")
    assert ran.code == 2 and "is not the table" in ran.err and not (tmp_path / "out").exists()


def test_pooled_tables_count_each_record_once(compared: Compared, command: Command, tmp_path: Path) -> None:
    bundle, table = known(tmp_path / "second", "toy2")
    assert ask_for(command, bundle, table, tmp_path / "two", ("ours", "search")).code == 0
    assert ask_for(command, compared.bundle, compared.table, tmp_path / "one", ("ours", "search")).code == 0
    ran = command("compare-pool", tmp_path / "one", tmp_path / "two", "-o", tmp_path / "both")
    assert ran.code == 0, ran.err
    got = json.loads((tmp_path / "both" / "results.json").read_text())
    assert got["pooled"]["ours"]["asked"] == 2 * ASKED and [t["name"] for t in got["tables"]] == ["toy", "toy2"]
    assert {name.split(":")[0] for name in got["classes"]} == {"toy", "toy2"}
    with (tmp_path / "both" / "results.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 4 * ASKED
    twice = command("compare-pool", tmp_path / "one", tmp_path / "one", "-o", tmp_path / "x")
    assert twice.code == 2 and "more than once" in twice.err
    empty = command("compare-pool", tmp_path, "-o", tmp_path / "x")
    assert empty.code == 2 and "sensecf-edge compare" in empty.err


def test_ranges_hold_all_that_a_record_may_change_to_and_its_present_value(compared: Compared) -> None:
    got = compared.asked()
    schema = got.schema
    assert not got.vary[:, schema.index["age"]].any() and got.vary[:, schema.index["steps"]].all()
    for k, space in enumerate(got.spaces):
        assert space is not None
        for i, values in enumerate(space.values):
            assert got.vary[k, i] == bool(values.size)
            if values.size:
                assert got.low[k, i] <= min(*values, got.rows[k, i]) and got.high[k, i] >= max(*values, got.rows[k, i])
            else:
                assert got.low[k, i] == got.high[k, i] == got.filled[k, i]
    assert not np.isnan(got.filled).any() and (got.p < got.threshold).all()


def test_where_only_immutables_are_pinned_everything_else_may_vary(compared: Compared) -> None:
    got = compared.asked()
    free, schema = question.pinned(got), got.schema
    assert not free.vary[:, schema.index["age"]].any()
    known = ~np.isnan(got.rows[:, schema.index["deep_sleep"]])
    assert (free.vary[:, schema.index["deep_sleep"]] == known).all()
    steps = schema["steps"].lattice
    assert (free.low[:, schema.index["steps"]] <= steps[0]).all() and (free.high[:, schema.index["steps"]] >= steps[-1]).all()


@given(persons=st.lists(st.integers(0, 6), min_size=1, max_size=30), limit=st.integers(1, 30), seed=st.integers(0, 99))
def test_records_are_drawn_by_person_and_a_smaller_draw_is_part_of_a_larger_one(persons: list[int], limit: int, seed: int) -> None:
    names, at = np.array([f"p{p}" for p in persons]), np.arange(len(persons)) * 3
    got = question.drawn(at, names, limit, seed)
    assert len(got) == min(limit, len(at)) == len(set(got)) and set(got) <= set(at)
    assert np.array_equal(got, question.drawn(at, names, limit, seed))
    assert set(got) <= set(question.drawn(at, names, limit + 1, seed))
    taken, there = Counter(names[got // 3]), Counter(names)
    most = max(taken.values())
    assert all(taken[name] >= min(most - 1, count) for name, count in there.items())


def test_another_seed_draws_other_people() -> None:
    names, at = np.array([f"p{k}" for k in range(200)]), np.arange(200)
    assert len({tuple(question.drawn(at, names, 20, seed)) for seed in range(5)}) == 5


def scored(compared: Compared, change: Callable[[np.ndarray], np.ndarray], k: int = 0) -> dict[str, Any]:
    """The row of an invented answer: record k after `change`."""
    got = compared.asked()
    y = change(got.filled[k].copy())
    answers = [{"y": None, "seconds": 0.1, "rows": 1, "why": "none found"}] * len(got.rows)
    answers[k] = {"y": y.tolist(), "seconds": 0.1, "rows": 1, "why": ""}
    return scoring.Ruler(got, 4).rows("invented", running.Run(answers, 0.1))[k]


def test_an_answer_is_measured_inside_the_record_s_limits_as_the_classifier_showed_it(compared: Compared) -> None:
    def moved(i: int, value: float) -> Callable[[np.ndarray], np.ndarray]:
        return lambda y: np.where(np.arange(4) == i, value, y)

    x, values = compared.asked().rows[0], compared.asked().spaces[0].values[1]  # type: ignore[union-attr]
    last, before = float(values[-1]), float(values[-2])
    fine = scored(compared, moved(1, last))
    assert fine["plausible"] and fine["n_changed"] == 1 and json.loads(fine["changed"]) == ["steps"]
    assert fine["distance"] == pytest.approx(abs(last - x[1]) / 15000 / 4)
    assert scored(compared, moved(0, 19.0))["n_changed"] == 0  # immutable
    assert json.loads(scored(compared, moved(1, last + 4000))["after"]) == [last]
    between = scored(compared, moved(1, before + 130))
    assert before > x[1] and json.loads(between["after"]) == [last] and between["plausible"]  # on the next step away from the record


def test_an_answer_that_its_step_would_cost_is_taken_for_the_one_before(compared: Compared) -> None:
    """first must not exceed second; both fall. On the steps beyond, 14 and 13, it would; on the other side of the first it does not help,
    on the other side of the second it does, where the classifier agrees."""
    schema = Schema(tuple(Feature(n, low=0, high=100, step=1) for n in ("first", "second")), (Relation("le", ("first", "second")),))
    x = np.array([20.0, 21.0])
    got = question.Questions(*[None] * 2, x[None], *[None] * 2, [admissible(Record(schema, x))], *[None] * 6, 0.55)  # type: ignore[arg-type]
    got.__dict__["bundle"] = SimpleNamespace(schema=schema, manifest=SimpleNamespace(target=SimpleNamespace(threshold=0.5)))
    ruler = object.__new__(scoring.Ruler)
    ruler.asked, ruler.schema = got, schema
    ways = steps.brought(got, 0, np.array([14.9, 13.95]))
    assert sorted(map(tuple, ways[1:])) == [(14.0, 14.0), (15.0, 13.0), (15.0, 14.0)] and tuple(ways[0]) == (14.0, 13.0)
    for falls_to, p, best in ((14.0, 0.6, (14.0, 14.0)), (13.0, 0.6, (14.0, 13.0)), (14.0, 0.4, (14.0, 13.0))):
        ruler.checker = SimpleNamespace(p_target=lambda Y, to=falls_to, p=p: np.where(Y[:, 1] <= to, p, 0.1))  # type: ignore[assignment]
        assert tuple(ruler._best(0, ways)) == best
    assert [tuple(y) for y in steps.brought(got, 0, np.array([14.0, 15.0]))] == [(14.0, 15.0)]  # on its steps: as it is
    assert [tuple(y) for y in steps.rounded(schema, x, np.array([20.0, 22.5]))] == [(20.0, 23.0), (20.0, 22.0)]


def test_where_only_immutables_were_pinned_the_ruler_sees_what_an_answer_breaks(compared: Compared) -> None:
    got = compared.asked()

    def row(i: int, value: float) -> dict[str, Any]:
        y = np.where(np.arange(4) == i, value, got.filled[0])
        return scoring.Ruler(got, 4)._row("nice-sparsity-pinned", 0, {"y": y.tolist(), "seconds": 0.1, "rows": 1, "why": ""})

    last = float(got.spaces[0].values[1][-1])  # type: ignore[union-attr]
    assert row(1, last)["plausible"] and row(1, last)["same_rules"] == row(1, last)["at_goal"]
    assert not row(0, 19.0)["plausible"] and not row(1, last + 3000)["plausible"] and not row(1, last + 3000)["at_goal"]


def test_an_answer_without_a_change_is_no_answer(compared: Compared) -> None:
    same = scored(compared, lambda y: y)
    assert same["n_changed"] == 0 and not same["valid"] and not same["at_goal"]


def test_what_is_unknown_and_untouched_stays_unknown(compared: Compared) -> None:
    got = compared.asked()
    k = int(np.flatnonzero(np.isnan(got.rows[:, 2]))[0]) if np.isnan(got.rows[:, 2]).any() else -1
    assert k >= 0, "the table has no unknown value among the records asked"
    row = scored(compared, lambda y: np.where(np.arange(4) == 1, 15000.0, y), k)
    assert json.loads(row["changed"]) == ["steps"]


def test_a_broken_relation_is_seen_and_a_column_that_follows_may_be_moved() -> None:
    parts_ = tuple(Feature(n, low=0, high=100, step=1) for n in ("deep", "rem", "light"))
    for completes in (None, "light"):
        schema = Schema(parts_, (Relation("sum", ("deep", "rem", "light"), total=100, tolerance=0.5, completes=completes),))
        space = admissible(Record(schema, np.array([20.0, 20.0, 60.0])))
        got = question.Questions(*[None] * 5, [space], *[None] * 6, 0.55)  # type: ignore[arg-type]
        got.__dict__["bundle"] = SimpleNamespace(schema=schema)
        ruler = object.__new__(scoring.Ruler)
        ruler.asked, ruler.schema = got, schema
        assert ruler._rules(0, np.array([30.0, 20.0, 50.0])) == (True, True)
        assert ruler._rules(0, np.array([30.0, 20.0, 60.0]))[1] is False


def test_random_proposals_are_admissible_repeatable_and_reach_every_number_of_changes(compared: Compared) -> None:
    schema = Bundle.open(compared.bundle).schema
    space = admissible(Record(schema, np.array([44.0, 3000.0, 10.0, 0.0])), Constraints(max_changes=3))
    request = Request("", Grammar(space), 60, 7, 0.7)
    (first,), (second,) = RandomEngine().propose([request]), RandomEngine().propose([request])
    assert first == second
    read = np.array([reply.read(space.record, p.text) for p in first])  # type: ignore[union-attr]
    assert rules.admitted(space, read).all()
    counts = (read != space.record.vector).sum(axis=1)
    assert set(counts) == {1, 2, 3}
    (other,) = RandomEngine().propose([replace(request, seed=8)])
    assert other != first


def forest_graph(kind: str, X: np.ndarray, y: np.ndarray, schema: Schema) -> bytes:
    """A real classifier of the build side, as it is exported."""
    from sensecf_convert.classifier.making import make
    from sensecf_convert.table.cohort import Cohort

    half = np.arange(len(X)) % 2 == 0
    data = Cohort(schema, X, y, np.arange(len(X)).astype(str), ("stressed", "calm"))
    return bytes(make(kind, data.take(half), data.take(~half), 0, lambda _: None).graph)


@pytest.fixture(scope="module", params=["random-forest", "xgboost"])
def forest(request: pytest.FixtureRequest, compared: Compared) -> Forest:
    if request.param == "xgboost":
        pytest.importorskip("xgboost")
    schema = Schema.from_json(SCHEMA)
    data = cohort(read_table(compared.table), schema, "stressed", "calm", "person")
    return forest_graph(request.param, data.X, data.y, schema), schema, data.X


def test_trees_read_out_of_a_graph_decide_as_the_graph_does(forest: Forest) -> None:
    graph, schema, X = forest
    rng = np.random.default_rng(3)
    points = np.column_stack([rng.choice(f.lattice, 4000) for f in schema.features])
    points[rng.random(points.shape) < 0.1] = np.nan
    read = trees.read(graph, schema, 1, X).forest(0.55)
    p = OnnxChecker(graph, 4, 1).p_target(points)
    above = read.base + trees.evaluate(read.trees, points) >= read.goal
    assert 0.05 < above.mean() < 0.95
    assert (above == (p >= 0.55))[np.abs(p - 0.55) > 1e-5].all()


def test_a_classifier_that_is_no_forest_is_refused_with_a_reason(compared: Compared) -> None:
    with pytest.raises(trees.NoTreesError, match="no single tree ensemble"):
        trees.read(toy_classifier(), Schema.from_json(SCHEMA), 1, compared.asked().rows)


def test_another_lock_asks_a_package_again(compared: Compared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "LOCKS", tmp_path)
    keys = set()
    for text in ("treecf==0.3.2\n", "treecf==0.3.2\nnumpy==2.4.6\n"):
        (tmp_path / "treecf.txt").write_text(text)
        keys.add(command._key(methods.METHODS["treecf"], compared.asked(), question.Options(), None))
    assert len(keys) == 2


@pytest.mark.parametrize("name", ["dice-random", "dice-kdtree", "cfnow-greedy", "nice-sparsity", "nice-plausibility"])
def test_a_real_package_answers_within_what_it_may_change(name: str, compared: Compared, tmp_path: Path) -> None:
    method = methods.METHODS[name]
    if environments.cached(method.environment) is None:
        pytest.skip(f"the environment of {name} is not installed here; `sensecf-edge compare` makes it")
    got = compared.asked()
    question.write(got, tmp_path, question.Options(seconds=10), shifted=False)
    done = running.run(method, tmp_path, 3, question.Options(seconds=10), lambda *_: None)
    assert not done.failed and all(a["rows"] > 0 for a in done.answers)
    for k, answer in enumerate(done.answers):
        assert answer["y"] is not None or answer["why"] in ("none found", "time limit")
        if answer["y"] is not None:
            y = np.array(answer["y"])
            assert np.array_equal(y[~got.vary[k]], got.filled[k][~got.vary[k]])
            assert (y >= got.low[k] - 1e-9).all() and (y <= got.high[k] + 1e-9).all()


@pytest.mark.parametrize("name", ["treecf", "treecf-exact"])
def test_treecf_answers_on_the_trees_of_the_graph(name: str, forest: Forest, compared: Compared, tmp_path: Path) -> None:
    if environments.cached("treecf") is None:
        pytest.skip("the environment of treecf is not installed here; `sensecf-edge compare` makes it")
    graph, schema, X = forest
    checker, got = OnnxChecker(graph, 4, 1), compared.asked()
    question.write(got, tmp_path, question.Options(), shifted=False)
    read = trees.read(graph, schema, 1, X).forest(0.55 + 1e-6)
    (tmp_path / "trees.json").write_text(json.dumps(read.to_json()))
    done = running.run(methods.METHODS[name], tmp_path, 6, question.Options(), lambda *_: None)
    answers = [(k, np.array([np.nan if v is None else v for v in a["y"]])) for k, a in enumerate(done.answers) if a["y"]]
    assert not done.failed and answers
    for k, y in answers:
        assert checker.p_target(y[None])[0] >= 0.55
        assert np.array_equal(y[~got.vary[k]], got.rows[k][~got.vary[k]], equal_nan=True)


@pytest.mark.parametrize("name", ["search", "ours-nearest", "nobody"])
def test_every_picture_is_drawn_with_one_method_alone(name: str, compared: Compared) -> None:
    """Be it one that crowded pictures leave out, or one that answers nothing."""
    rows = compared.rows()
    alone = rows[rows.method == "search"].assign(method=name)
    if name == "nobody":
        alone = alone.assign(answered=False, distance=np.nan, knn_ratio=np.nan)
    made = figures.summary(alone, 0)
    for picture in (
        plots.radar(alone, ["steps", "deep_sleep", "smoker"], "toy"),
        plots.counts(alone),
        plots.box_plot(alone, "distance", "distance"),
        plots.trade(made, ("distance", "distance"), ("knn_ratio", "kNN")),
        plots.latency(alone, {name: None}),
    ):
        assert picture.startswith(b"\x89PNG") and len(picture) > (2000 if name != "nobody" else 500)


def test_records_that_nobody_answers_and_nobody_has_proven_to_have_no_answer_are_named() -> None:
    rows = pd.DataFrame({
        "table": "t", "record": [0, 1, 2, 3], "row": [5, 6, 7, 8], "method": "ours", "same_rules": [True, False, False, False],
        "possible": [1.0, 0.0, np.nan, 1.0], "fewest": [2.0] + [np.nan] * 3, "fewest_proven": [False, None, None, None],
        "n_changed": [2.0] + [np.nan] * 3, "why": "",
    })  # fmt: skip
    found = figures.possible(rows)
    assert (found["proven"], found["open"], found["unproven"], found["missing"]) == (1, 1, [["t", 7]], [["t", 8]])
    assert formatting.possible(found).endswith("1 proven to have none, 1 open: t row 7; ours answers 1 of the 2, not t row 8")
    assert fewest.summary(rows)["unproven"] == [["t", 5]]
