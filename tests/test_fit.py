"""What a fit promises whoever runs it: the same seed makes the same bundle, the line is where it was asked for, and nothing is
left to be believed that was not so. Tiny fits of one small table."""

from __future__ import annotations

import json
import os
import shutil
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import Ran

pytest.importorskip("torch", reason="the build side is not installed")

from sensecf_convert import fit as fitting
from sensecf_convert import plan
from sensecf_convert.classifier import onnx, recipes, threshold
from sensecf_convert.evaluate import plausibility
from sensecf_convert.evaluate.figures import Figures
from sensecf_convert.evaluate.plausibility import Realism
from sensecf_convert.fit import Fit, fit, publish
from sensecf_convert.generator import learners
from sensecf_convert.generator.scratch import training
from sensecf_convert.generator.scratch.vocabulary import SchemaVocabulary
from sensecf_convert.plan import About, FitPlan
from sensecf_convert.table import cohort as tables
from sensecf_convert.table import leakage, locked_out
from sensecf_convert.table.cohort import Cohort, cohort
from sensecf_convert.table.split import parts
from sensecf_convert.teachers import collect

from sensecf_edge import Explainer
from sensecf_edge.answer.risk import logit
from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.errors import BundleError, TableError
from sensecf_edge.judge.classifier import OnnxChecker
from sensecf_edge.schema.feature import Feature
from sensecf_edge.schema.schema import Schema

Command = Callable[..., Ran]
TINY: dict[str, Any] = {"target": "y", "wanted": "well", "pairs": 150, "passes": 4.0, "size": "tiny", "name": "tiny"}
FEATURES = (
    Feature("age", low=20, high=90, step=1, mutable=False),
    Feature("load", low=0, high=100, step=1),
    Feature("smokes", "choice", choices=("no", "yes")),
    Feature("share", low=0, high=1, step=0.05),
)


def people(rows: int = 200, ill: float = 0.5, seed: int = 0) -> pd.DataFrame:
    """A person a row; `ill`: the share of them that is."""
    chance = np.random.default_rng(seed)
    load, smokes, share = chance.integers(20, 80, rows), chance.choice(["no", "yes"], rows), chance.random(rows).round(2)
    score = load + 20 * share + 8 * (smokes == "yes") + chance.normal(0, 14, rows)
    y = np.where(score > np.quantile(score, 1 - ill), "ill", "well")
    return pd.DataFrame({"age": chance.integers(20, 90, rows), "load": load, "smokes": smokes, "share": share, "y": y})


@pytest.fixture(scope="module")
def quick() -> Any:
    """Fewer points of the lattice and fewer people for the gain: what is tested here does not hang on their number."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx, "LATTICE_ROWS", 2_000)
        patch.setattr(learners, "HELD_OUT", 40)
        yield patch


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tiny")
    people().to_csv(folder / "t.csv", index=False)
    (folder / "s.json").write_text(json.dumps(Schema(FEATURES).to_json()))
    return folder / "t.csv", folder / "s.json"


def run(files: tuple[Path, Path], out: Path, **more: Any) -> Figures:
    return fit(table=files[0], schema_file=files[1], out=out, work=out.with_name(f"{out.name}-work"), **{**TINY, **more})


@pytest.fixture(scope="module")
def risky(files: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory, quick: Any) -> tuple[Path, Figures]:
    """A fit for whom a missed case is worth three false alarms."""
    out = tmp_path_factory.mktemp("risky") / "tiny"
    return out, run(files, out, miss_cost=3.0, about=_about(out.parent))


def _about(folder: Path) -> Path:
    (folder / "about.json").write_text(json.dumps({"title": "Tiny", "samples": 2}))
    return folder / "about.json"


def test_the_same_seed_makes_the_same_bundle_byte_for_byte(
    risky: tuple[Path, Figures], files: tuple[Path, Path], tmp_path: Path, quick: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On one core and on all of them; with a checkpoint behind every step, and behind none."""
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    run(files, tmp_path / "tiny", miss_cost=3.0, about=_about(tmp_path))
    one, other = risky[0], tmp_path / "tiny"
    assert sorted(p.name for p in one.iterdir()) == sorted(p.name for p in other.iterdir())
    for path in one.iterdir():
        same, again = path.read_bytes(), (other / path.name).read_bytes()
        if path.name == "manifest.json":
            same, again = (json.dumps({**json.loads(data), "created": ""}).encode() for data in (same, again))
        assert same == again, path.name


def test_the_line_lies_where_a_missed_case_costs_three_false_alarms(risky: tuple[Path, Figures], files: tuple[Path, Path]) -> None:
    out, figures = risky
    manifest = json.loads((out / "manifest.json").read_text())
    line, target = manifest["target"]["threshold"], manifest["target"]
    assert target["chosen"] == {"miss_cost": 3.0} and line > 0.55
    assert threshold.scale_of({**manifest["classifier"], "risk": manifest["risk"]}).risk(line) == pytest.approx(0.25)
    bundle = Bundle.open(out)
    _, test = parts(bundle, files[0])
    checker = OnnxChecker(bundle.classifier_bytes(), 4, 1)
    assert figures.asked == (checker.p_target(test.X) < line).sum() > (checker.p_target(test.X) < 0.5).sum()
    pairs = np.load(out.with_name("tiny-work") / "pairs.npz")
    assert (checker.p_target(pairs["X"]) < line).all() and (checker.p_target(pairs["Y"]) >= threshold.goals(line)[-1] - 1e-6).all()
    assert figures.first_try_valid is not None and figures.usable == 1.0 and figures.broken == 0
    assert f"threshold {line:.3g}" in bundle.card and f"p >= {threshold.goal_of(line):.3g} after" in bundle.card
    assert len(bundle.samples) == 2
    with Explainer.load(out) as explainer:
        for sample in bundle.samples:
            found = explainer.explain(sample.values)
            assert found.found and found.threshold == line and found.found[0].p_target >= threshold.goal_of(line) - 1e-6


def test_nobody_says_people_where_none_is_named(risky: tuple[Path, Figures]) -> None:
    out, figures = risky
    manifest = json.loads((out / "manifest.json").read_text())
    assert figures.people is None and manifest["classifier"]["people_train"] is None and manifest["classifier"]["rows_train"] == 140
    card = (out / "CARD.md").read_text()
    assert "AUC on unseen rows" in card and "| | rows |" in card and "the best of 3 recipes" in card and "people to" not in card


def test_durations_and_the_machine_stay_out_of_the_bundle(risky: tuple[Path, Figures]) -> None:
    manifest = json.loads((risky[0] / "manifest.json").read_text())
    assert not {"minutes", "resumed_at", "memory"} & set(manifest["generator"])
    assert not [k for k in manifest["metrics"] if k.endswith("_ms")]
    assert manifest["generator"]["steps"] == manifest["generator"]["steps_planned"] > 0


def test_a_training_that_was_cut_says_so_in_log_manifest_and_card(
    files: tuple[Path, Path], tmp_path: Path, quick: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    run(files, tmp_path / "tiny", passes=300.0, minutes=0.001, improve=False)
    said, card = capsys.readouterr().err, (tmp_path / "tiny" / "CARD.md").read_text()
    facts = json.loads((tmp_path / "tiny" / "manifest.json").read_text())["generator"]
    assert facts["steps"] < facts["steps_planned"]
    told = f"training was cut to {facts['steps']:,} of {facts['steps_planned']:,} steps"
    assert told in said and "--passes" in said and told in card


def test_a_replaced_classifier_file_is_another_plan(files: tuple[Path, Path], tmp_path: Path) -> None:
    own, schema = tmp_path / "own.onnx", Schema(FEATURES)
    own.write_bytes(b"one")
    chosen = FitPlan("tiny", "y", "well", classifier=str(own), pairs=150)
    Fit(files[0], schema, chosen, About(), tmp_path / "w", 1)
    Fit(files[0], schema, chosen, About(), tmp_path / "w", 1)
    own.write_bytes(b"two")
    with pytest.raises(TableError, match="holds work with another classifier file"):
        Fit(files[0], schema, chosen, About(), tmp_path / "w", 1)


def test_work_of_another_version_is_another_plan(files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = FitPlan("tiny", "y", "well", pairs=150)
    Fit(files[0], Schema(FEATURES), chosen, About(), tmp_path / "w", 1)
    monkeypatch.setattr(fitting, "__version__", "0.0.0")
    with pytest.raises(TableError, match="holds work with another version"):
        Fit(files[0], Schema(FEATURES), chosen, About(), tmp_path / "w", 1)


def test_the_old_bundle_lies_there_until_the_new_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new, out = tmp_path / "new", tmp_path / "bundles" / "out"
    for folder, text in ((new, "new"), (out, "old")):
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(text)
    (out / "stale").touch()
    copy = shutil.copytree

    def half(source: Path, target: Path) -> None:
        target.mkdir()
        raise OSError("disk full")

    monkeypatch.setattr(shutil, "copytree", half)
    with pytest.raises(OSError, match="disk full"):
        publish(new, out)
    assert (out / "manifest.json").read_text() == "old"
    monkeypatch.setattr(shutil, "copytree", copy)
    publish(new, out)
    assert (out / "manifest.json").read_text() == "new" and [p.name for p in out.parent.iterdir()] == ["out"]
    assert not (out / "stale").exists()


WRONG = (
    ({"threshold": 14.0}, "14 % is 0.14"), ({"threshold": 0.0}, "between 0 and 1"), ({"miss_cost": -1.0}, "above 0"),
    ({"threshold": 0.1, "miss_cost": 9.0}, "one of them"),
)  # fmt: skip


@pytest.mark.parametrize(("given", "said"), WRONG)
def test_a_line_that_is_none_is_refused_at_once(given: dict[str, float], said: str) -> None:
    with pytest.raises(TableError, match=said):
        FitPlan("a", "b", "c", **given)  # type: ignore[arg-type]


def facts(share: float, brought: bool = False) -> dict[str, Any]:
    return {"wanted_share": share, "class_weights": "as brought" if brought else "both classes alike"}


def test_a_cost_and_the_risk_it_stands_for_draw_the_same_line() -> None:
    by_risk, by_cost = FitPlan("a", "b", "c", threshold=0.1), FitPlan("a", "b", "c", miss_cost=9.0)
    for known in (facts(0.9), facts(0.99, True), {**facts(0.9), "risk": {"intercept": -2.0, "slope": 0.7, "base_rate": 0.1}}):
        assert threshold.score_of(by_risk, known) == pytest.approx(threshold.score_of(by_cost, known))
        assert threshold.scale_of(known).risk(threshold.score_of(by_risk, known)) == pytest.approx(0.1)
        assert threshold.score_of(FitPlan("a", "b", "c"), known) == 0.5
    measured = {**facts(0.9), "risk": {"intercept": -2.0, "slope": 0.7, "base_rate": 0.1}}
    assert -2.0 - 0.7 * logit(threshold.score_of(by_risk, measured)) == pytest.approx(logit(0.1))


@pytest.mark.parametrize("line", [0.02, 0.3, 0.5, 0.8, 0.95, 0.99, 0.998])
def test_goals_lie_above_the_line_and_below_certainty_and_reach_the_margin(line: float) -> None:
    goals = threshold.goals(line)
    assert list(goals) == sorted(goals, reverse=True) and all(line < goal < 1 for goal in goals)
    assert any(goal >= threshold.goal_of(line) - 1e-9 for goal in goals) and goals[-1] < threshold.goal_of(line)
    assert line != 0.5 or goals == pytest.approx((0.62, 0.58, 0.55, 0.51))


def rare() -> Cohort:
    table = people(300, ill=0.1)
    return cohort(table, Schema(FEATURES), "y", "well")


def test_a_calibrated_classifier_of_a_rare_outcome_names_the_line_and_not_the_features() -> None:
    data = rare()
    p = np.linspace(0.6, 0.999, len(data))
    known = facts(float(data.y.mean()), brought=True)
    with pytest.raises(TableError, match=r"the highest risk among 300 training rows is 0\.4, .* --threshold .* or --miss-cost"):
        threshold.check(FitPlan("a", "y", "well"), known, p, data)
    assert threshold.check(FitPlan("a", "y", "well", threshold=0.2), known, p, data) == []
    (few,) = threshold.check(FitPlan("a", "y", "well", threshold=0.39), known, p, data)
    assert "read every figure as that of these few" in few
    with pytest.raises(TableError, match=r"nobody is well; choose a higher"):
        threshold.check(FitPlan("a", "y", "well", threshold=0.05), known, p - 0.5, data)


def test_hardly_anybody_to_move_names_the_line_or_the_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    data = rare()

    class Said:
        def __init__(self, p: float) -> None:
            self.checker, self.threshold, self.p = self, 0.5, p

        def judge(self) -> Said:
            return self

        def p_target(self, X: np.ndarray) -> np.ndarray:
            return np.full(len(X), self.p)

    why: Any = collect._why_hardly_any
    assert "--threshold or --miss-cost" in why(Said(0.9), data, 3, 12_800, 0)
    assert "although 100% are predicted ill; free more features" in why(Said(0.1), data, 3, 12_800, 0)


def test_a_schema_in_which_everything_may_change_is_asked_about() -> None:
    free = Schema(tuple(replace(f, mutable=True) for f in FEATURES))
    with pytest.raises(TableError, match=r"everything may change, age too: .* --allow all-mutable"):
        leakage.immutable(free)
    assert "allowed by name" in leakage.immutable(free, ("all-mutable",))[0]
    assert leakage.immutable(Schema(FEATURES)) == []
    half = Schema((*FEATURES, Feature("height", low=100, high=220, step=1)))
    assert leakage.immutable(half)[0].startswith("height may change by this schema")


def test_a_column_known_only_later_is_asked_about() -> None:
    chance = np.random.default_rng(0)
    y = np.arange(300) % 2 == 0
    days = np.clip(np.where(y, 130.0, 100.0) + chance.normal(0, 20, 300), 1, 300).round()
    for name, asked in (("follow_up_days", True), ("pulse", False)):
        schema = Schema((FEATURES[0], Feature(name, low=0, high=300, step=1)))
        X = np.column_stack([chance.integers(20, 90, 300), days]).astype(float)
        said = leakage.refuse_leaks(Cohort(schema, X, y, np.array([str(k) for k in range(300)]), ("ill", "well")))
        assert bool(said) == asked and (not asked or "known when a record is to be explained" in said[0])


def test_people_whom_max_change_and_advise_lock_out_are_counted() -> None:
    schema = Schema((FEATURES[0], Feature("bmi", low=15, high=60, step=1, max_change=3, advise=(18, 25))))
    X = np.array([[40.0, 27.0], [40.0, 50.0], [40.0, 55.0], [40.0, np.nan]])
    assert len(locked_out.locked_out(schema, X)) == 3
    said = locked_out.sentence(schema, X, "ill")
    assert said.startswith("3 of 4 training rows predicted ill may change nothing") and "2 of them only because max_change ends" in said
    assert "(bmi)" in said and locked_out.sentence(schema, X[:1], "ill") == ""


def twins(rows: int = 120, seed: int = 0) -> pd.DataFrame:
    """A few yes/no questions: everybody has many twins."""
    chance = np.random.default_rng(seed)
    table = pd.DataFrame({name: chance.choice(["no", "yes"], rows) for name in ("sex", "tired", "cough", "fever")})
    count = (table[["tired", "cough", "fever"]] == "yes").sum(axis=1) + chance.normal(0, 0.4, rows)
    return table.assign(y=np.where(count > 1.5, "ill", "well"))


def test_a_table_of_choices_only_becomes_a_bundle(tmp_path: Path, quick: Any) -> None:
    names = ("sex", "tired", "cough", "fever")
    schema = Schema(tuple(Feature(name, "choice", choices=("no", "yes"), mutable=name != "sex") for name in names))
    twins(400).to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "s.json").write_text(json.dumps(schema.to_json()))
    figures = run((tmp_path / "t.csv", tmp_path / "s.json"), tmp_path / "tiny", improve=False)
    assert figures.answers["knn_ratio"] is None and figures.usable is not None
    assert "NaN" not in (tmp_path / "tiny" / "manifest.json").read_text() and "nan" not in (tmp_path / "tiny" / "CARD.md").read_text()


def test_a_generator_that_is_good_enough_does_not_practise_unless_it_is_asked_to(
    files: tuple[Path, Path], tmp_path: Path, quick: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learners, "ENOUGH", 0.0)
    run(files, tmp_path / "left")
    assert not (tmp_path / "left-work" / "practice.npz").exists()
    gain = json.loads((tmp_path / "left" / "manifest.json").read_text())["generator"]["improvement"]
    assert set(gain) == {"before"} and "it did not practise" in (tmp_path / "left" / "CARD.md").read_text()
    run(files, tmp_path / "asked", improve=True)
    gain = json.loads((tmp_path / "asked" / "manifest.json").read_text())["generator"]["improvement"]
    assert set(gain) == {"before", "after", "asked", "own", "taught"}


def test_a_card_says_of_how_many_records_its_figures_are(files: tuple[Path, Path], tmp_path: Path, quick: Any) -> None:
    figures = run(files, tmp_path / "tiny", generator="none", limit=5)
    card = (tmp_path / "tiny" / "CARD.md").read_text()
    assert figures.asked == 5 < figures.predicted and f"5 of {figures.predicted}, evenly" in card and "evaluate --limit 5" in card
    again = run(files, tmp_path / "tiny", generator="none", limit=0)
    assert again.asked == again.predicted == figures.predicted, "the work folder serves any number of them"


def test_few_people_of_one_class_each_are_folded_or_refused_in_words() -> None:
    table = people(160).sort_values("y", ignore_index=True)
    for count, fine in ((8, True), (4, True), (2, False)):
        who = np.array([f"p{k * count // 160}" for k in range(160)])
        data = replace(cohort(table, Schema(FEATURES), "y", "well"), persons=who)
        if fine:
            chosen = recipes.choose("random-forest", data, 0, lambda _: None)
            assert 0.4 < chosen.auc_cv <= 1 and np.isfinite(chosen.brier_cv)
        else:
            with pytest.raises(TableError, match="1 people to train with hold the rarer class"):
                recipes.choose("random-forest", data, 0, lambda _: None)


def big(rows: int) -> Cohort:
    chance = np.random.default_rng(0)
    schema = Schema(tuple(Feature(f"f{k}", low=0, high=100, step=1) for k in range(6)))
    who = np.array([str(k) for k in range(rows)])
    return Cohort(schema, chance.integers(0, 101, (rows, 6)).astype(float), np.ones(rows, dtype=bool), who, ("ill", "well"))


def test_the_yardsticks_of_realism_take_the_memory_of_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plausibility, "MOST_ROWS", 300)
    data = big(20_000)
    tracemalloc.start()
    try:
        real = Realism(data)
        ratio = real.knn_ratio(data.X[:50])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(real.rows) == 300 and peak < 60e6 and 0.3 < np.median(ratio) < 1.5
    again = Realism(data)
    np.testing.assert_array_equal(again.rows, real.rows)


def test_prompts_of_many_records_are_not_laid_beside_their_lattice_at_once() -> None:
    schema = Schema((Feature("a", low=0, high=1999, step=1), Feature("b", low=0, high=10, step=1)))
    X = np.column_stack([np.random.default_rng(0).uniform(0, 1999, 20_000), np.ones(20_000)])
    vocabulary = SchemaVocabulary(schema, "well")
    vocabulary.prompts(X[:1], np.full(1, 0.3))
    tracemalloc.start()
    try:
        made = vocabulary.prompts(X, np.full(len(X), 0.3))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 150e6  # 20,000 times 2,000 numbers would be 320 MB
    np.testing.assert_array_equal(made[-1], vocabulary.prompts(X[-1:], np.full(1, 0.3))[0])


@pytest.mark.parametrize(("kind", "said"), [("random-forest", "both classes alike"), ("neural-network", "rows alike")])
def test_the_manifest_says_where_both_classes_count_alike(kind: str, said: str) -> None:
    assert recipes.weights_of(kind, False) == said
    assert "calibration" in recipes.weights_of("neural-network", True)


def test_figures_without_a_value_are_no_numbers_in_json() -> None:
    nothing = {"distance": float("nan")}
    told = Figures(**{**dict.fromkeys(Figures.__dataclass_fields__, float("nan")), "answers": nothing, "factual": nothing}).to_json()  # type: ignore[arg-type]
    assert set(told.values()) == {None} and json.dumps(told, allow_nan=False)


def test_plans_that_leave_effort_open_take_it_from_the_size_of_the_table() -> None:
    small, large = (FitPlan("a", "b", "c").sized(rows) for rows in (200, 20_000))
    assert (small.pairs, small.passes, large.pairs, large.passes, large.minutes) == (8_000, 8.0, 8_000, 6.0, None)
    assert FitPlan("a", "b", "c", pairs=7, passes=2).sized(200).pairs == 7 and plan.THRESHOLD == 0.5 and tables.MIN_ROWS_PER_CLASS == 20
    asked, based = FitPlan("a", "b", "c", improve=True), FitPlan("a", "b", "c", base="d")
    assert (small.improve, asked.sized(200).improve, based.sized(200).improve) == (None, True, False)


def test_a_bundle_without_a_language_model_answers_by_search_and_says_so(
    files: tuple[Path, Path], tmp_path: Path, quick: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sensecf_edge.cli.doctor import memory_mb
    from sensecf_edge.report.bundles import page

    monkeypatch.setattr(Fit, "_pairs", lambda *_: pytest.fail("pairs are made for nobody"))
    figures = run(files, tmp_path / "tiny", generator="none")
    assert figures.first_try_valid is None and figures.usable_of_possible == 1.0 and set(figures.memorisation) == {"classifier", "density"}
    bundle = Bundle.open(tmp_path / "tiny")
    assert not list(bundle.folder.glob("*.gguf")) and bundle.manifest.generator.none and bundle.generator_bytes == 0 and memory_mb(bundle)
    assert "None: this bundle holds no language model." in bundle.card and "Generator  none: the search alone answers" in page(bundle)
    with pytest.raises(BundleError, match="has no generator"):
        _ = bundle.generator_path
    with Explainer.load(bundle.folder) as explainer:
        found = explainer.explain({"age": 50, "load": 75, "smokes": "yes", "share": 0.9})
        assert found.provenance.generator == "none" and found.first_try is None and (found.found or found.easing is not None)
    with pytest.raises(TableError, match="--base and --study are about one"):
        run(files, tmp_path / "other", generator="none", base="smollm2")
