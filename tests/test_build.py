"""A table becomes a bundle: a small real fit from start to end, interrupted once, and what it must refuse and never leak."""

from __future__ import annotations

import json
import math
import random
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from conftest import Ran
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sensecf_convert import plan
from sensecf_convert.bundle.add import add
from sensecf_convert.bundle.refit_density import refit_density
from sensecf_convert.bundle.remeasure import remeasure
from sensecf_convert.classifier import making, onnx, recipes
from sensecf_convert.classifier.kinds import KINDS
from sensecf_convert.density import fitting
from sensecf_convert.evaluate import figures as evaluate
from sensecf_convert.evaluate import teaching
from sensecf_convert.evaluate.measure import spread
from sensecf_convert.export.quantize import fallbacks, quantize
from sensecf_convert.fit import Fit, fit
from sensecf_convert.generator import learners as tuning
from sensecf_convert.generator import practice
from sensecf_convert.generator.batches import batch_rows
from sensecf_convert.generator.scratch import training
from sensecf_convert.generator.scratch.gguf import write_gguf
from sensecf_convert.generator.scratch.vocabulary import SchemaVocabulary
from sensecf_convert.plan import About, FitPlan
from sensecf_convert.table import fit_relations, split
from sensecf_convert.table.cohort import Cohort, cohort, read_table, split_people
from sensecf_convert.table.draft import draft
from sensecf_convert.table.reference_ranges import with_references
from sensecf_convert.teachers import classroom
from sensecf_convert.teachers import lesson as teachers_lesson
from sensecf_convert.teachers import people as teachers_people
from sensecf_convert.work import Work
from strategies import spaces
from test_refine import Slope
from test_result import SHAPE

from sensecf_edge import Explainer
from sensecf_edge.bundle.bundle import Bundle, write_manifest
from sensecf_edge.bundle.risk_scale import scale_of
from sensecf_edge.errors import SchemaError, TableError
from sensecf_edge.generators.prompting import Prompting
from sensecf_edge.judge.classifier import OnnxChecker
from sensecf_edge.proof import every
from sensecf_edge.propose.instructions import Task
from sensecf_edge.schema import cells as of_cells
from sensecf_edge.schema.feature import Feature, Vector
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.schema import Schema
from sensecf_edge.space import rules
from sensecf_edge.space.admissible import Admissible, admissible
from sensecf_edge.space.constraints import Constraints

Command = Callable[..., Ran]
SIZES = {"pairs": 300, "passes": 30.0, "size": "tiny", "test_share": 0.2, "final_share": 0.15, "improve": True, "limit": 0}
HORIZON = "a year"
IMMUTABLE = ("age", "sex")
ABOUT = {"title": "Diabetes progression", "source": "scikit-learn", "licence": "BSD", "samples": 3}
FINISHED = ("plan.json", "classifier.onnx", "classifier.json", "density.json", "pairs.npz")


def diabetes() -> pd.DataFrame:
    """scikit-learn's diabetes table in its own units, two visits a person, and whether the disease went on fast."""
    from sklearn.datasets import load_diabetes

    data = load_diabetes(as_frame=True, scaled=False)
    table = data.data.copy()
    table["progression"] = np.where(data.target > 140, "fast", "slow")
    table["person"] = [f"p{i // 2}" for i in range(len(table))]
    return table


@dataclass
class Built:
    """What the one fit of this module left behind."""

    table: Path
    schema: Path
    about: Path
    work: Path
    out: Path
    figures: evaluate.Figures
    before: dict[str, tuple[bytes, int]]
    after: dict[str, tuple[bytes, int]]
    learnt: list[tuple[str, Cohort]]
    parity_rows: list[int]

    def parts(self) -> tuple[Cohort, Cohort]:
        return split.parts(Bundle.open(self.out), self.table)

    def final(self) -> Cohort:
        return split.kept_back(Bundle.open(self.out), split.parts_of(Bundle.open(self.out), self.table))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """A fit that is interrupted when the generator begins, and run again."""
    folder = tmp_path_factory.mktemp("build")
    table, schema, about, work, out = (folder / n for n in ("t.csv", "s.json", "about.json", "work", "diabetes"))
    diabetes().to_csv(table, index=False)
    drafted = draft(table, "progression", person="person")
    drafted["features"] = [f for f in drafted["features"] if f["name"] != "person"]
    for feature in drafted["features"]:
        if feature["name"] in IMMUTABLE:
            feature["mutable"] = False
    schema.write_text(json.dumps({**drafted, "horizon": HORIZON}))
    about.write_text(json.dumps(ABOUT))
    learnt: list[tuple[str, Cohort]] = []
    parity_rows: list[int] = []

    def spy(module: Any, name: str, patch: pytest.MonkeyPatch, at: int = 0) -> None:
        plain = getattr(module, name)

        def watched(*args: Any, **more: Any) -> Any:
            learnt.append((f"{module.__name__}.{name}", args[at]))
            return plain(*args, **more)

        patch.setattr(module, name, watched)

    def run() -> evaluate.Figures:
        return fit(table=table, target="progression", wanted="slow", schema_file=schema, out=out, person="person", work=work,
                   about=about, **SIZES)  # fmt: skip

    with pytest.MonkeyPatch.context() as patch:
        spy(recipes, "choose", patch, at=1)
        spy(fitting, "fit", patch)
        spy(classroom, "teach", patch, at=1)
        spy(practice, "practise", patch, at=2)
        spy(practice, "people", patch, at=2)
        plain = onnx.parity
        patch.setattr(onnx, "parity", lambda m, g, s, X: (parity_rows.append(len(X)), plain(m, g, s, X))[1])
        with pytest.MonkeyPatch.context() as interrupt:
            interrupt.setattr(training.Trainer, "run", _interrupt)
            with pytest.raises(KeyboardInterrupt):
                run()
        assert not out.exists()
        before = {n: ((work / n).read_bytes(), (work / n).stat().st_mtime_ns) for n in FINISHED}
        figures = run()
        after = {n: ((work / n).read_bytes(), (work / n).stat().st_mtime_ns) for n in FINISHED}
    yield Built(table, schema, about, work, out, figures, before, after, learnt, parity_rows)


def _interrupt(*_: Any) -> float:
    raise KeyboardInterrupt


def test_a_table_becomes_a_bundle_that_verifies_and_explains(built: Built, command: Command) -> None:
    bundle = Bundle.open(built.out)
    assert bundle.name == "diabetes" and bundle.manifest.target.classes == ("fast", "slow") and bundle.unlisted == []
    assert command("models", "verify", built.out).code == 0
    for k in range(len(bundle.samples)):
        ran = command("explain", "--sample", k + 1, "--model", built.out, "--json")
        data = json.loads(ran.out)
        jsonschema.Draft202012Validator(SHAPE).validate(data)
        assert (ran.code, ran.err) == (3 if data["status"] == "none" else 0, "")
        assert not {c["feature"] for answer in data["found"] for c in answer["changes"]} & set(IMMUTABLE)


def test_most_test_records_get_an_answer_and_none_breaks_a_rule(built: Built) -> None:
    figures = built.figures
    assert figures.asked > 30 and figures.broken == 0
    assert figures.usable is not None and figures.usable > 0.8
    assert 0.6 < figures.auc < 0.95 and 0 < (figures.answers["n_changed"] or 0) < 4


def test_an_interrupted_fit_goes_on_behind_its_last_finished_step(built: Built) -> None:
    assert built.before == built.after
    names = [name for name, _ in built.learnt]
    learners = [
        "classifier.recipes.choose",
        "density.fitting.fit",
        "teachers.classroom.teach",
        "generator.practice.people",
        "generator.practice.practise",
        "generator.practice.people",
    ]
    learners += ["teachers.classroom.teach"]  # new pairs, for the memorisation check
    assert names == [f"sensecf_convert.{name}" for name in learners]


def test_nothing_of_a_test_or_final_person_is_learnt_from(built: Built) -> None:
    (train, test), final = built.parts(), built.final()
    for one, other in ((train, test), (train, final), (test, final)):
        assert not set(one.persons) & set(other.persons)
    for name, seen in built.learnt:
        assert set(seen.persons) == set(train.persons), name
        assert len(seen) == len(train) and not _shared_rows(seen.X, np.concatenate([test.X, final.X])), name
    assert len(train) + len(test) + len(final) == 442


def test_what_final_people_are_like_changes_nothing_that_a_fit_makes(built: Built, tmp_path: Path) -> None:
    """The final people's values are replaced by other people's, in another order for each column; their labels stay."""
    strange, chance = diabetes(), np.random.default_rng(5)
    rows = np.flatnonzero(np.isin(strange.person, built.final().persons))
    for feature in Bundle.open(built.out).schema.names:
        strange.loc[rows, feature] = chance.permutation(strange[feature])[: len(rows)]
    strange.to_csv(tmp_path / "strange.csv", index=False)
    schema, left = fit_relations.read_schema(built.schema)
    sizes = {**SIZES, "person": "person", "name": "diabetes"}
    job = Fit(tmp_path / "strange.csv", schema, FitPlan(target="progression", wanted="slow", **sizes), About(), tmp_path / "work", 1, left)
    assert not _shared_rows(job.parts.final.X, built.final().X) and job.table != Bundle.open(built.out).manifest.split["table"]
    graph, facts = job._classifier()
    job._pairs(job._lesson(graph, job._line(graph, facts)))
    for name in ("classifier.onnx", "classifier.json", "density.json", "pairs.npz"):
        assert (tmp_path / "work" / name).read_bytes() == (built.work / name).read_bytes(), name
    assert job.schema == Bundle.open(built.out).schema


def test_the_card_says_what_the_bundle_remembers_of_whom_and_what_was_not_asked(built: Built) -> None:
    bundle, (train, test), final = Bundle.open(built.out), built.parts(), built.final()
    found = bundle.manifest.metrics["memorisation"]
    assert set(found) == {"said", "generator", "classifier", "density", "pairs", "exact_factuals"} and found["exact_factuals"] == 0
    sizes = (len(set(train.persons)), len({*test.persons, *final.persons}))
    for name in ("said", "classifier"):
        assert (found[name]["people_in"], found[name]["people_out"]) == sizes
    assert found["pairs"]["auc"] > 0.5, "30 passes over 300 pairs leave a trace"
    assert "## Memorisation" in bundle.card and "no differential privacy" in bundle.card and "reference.json" in bundle.card
    for _, figures in ((name, f) for name, f in found.items() if name in ("generator", "classifier", "density", "pairs")):
        assert f"AUC {figures['auc']:.3f}" in bundle.card


def test_headline_figures_are_those_of_the_final_people_and_say_so(built: Built, command: Command) -> None:
    bundle, final = Bundle.open(built.out), built.final()
    told = json.loads((built.out / "manifest.json").read_text())
    assert told["metrics"]["part"] == "final" and told["split"]["final_share"] == SIZES["final_share"]
    assert (told["metrics"]["people"], told["metrics"]["rows"]) == (final.people, len(final))
    assert (told["parts"]["final"]["people"], told["parts"]["test"]["people"]) == (final.people, built.parts()[1].people)
    assert told["parts"]["final"]["auc"] == bundle.manifest.classifier.auc  # by which answers are called those of a weak classifier
    assert f"**{bundle.manifest.classifier.auc:.3f}**" in bundle.card and "| test people |" in bundle.card
    assert told["metrics"]["auc"] == pytest.approx(told["parts"]["final"]["auc"], abs=1e-4) != told["parts"]["test"]["auc"]
    sure = told["metrics"]["intervals"]
    for name in ("first_try_valid", "usable", "n_changed", "realism"):
        assert sure[name]["value"] == pytest.approx(told["metrics"][name], abs=1e-4)
        assert sure[name]["low"] <= sure[name]["value"] <= sure[name]["high"] and 10 <= sure[name]["people"] < sure[name]["n"]
    assert sure["auc"]["people"] == sure["auc"]["n"] / 2 == final.people  # two visits each
    assert sure["usable"]["n"] == told["metrics"]["asked"] and f"{sure['usable']['people']} people)" in bundle.card
    assert "95 % interval" in command("models", "show", built.out).out
    for part in ("## Figures on the final people", f"Of {final.people} people, {len(final)} rows", "On the final rows", "On the test rows"):
        assert part in bundle.card
    ran = command("evaluate", built.table, "--model", built.out, "--final", "--json")
    assert ran.code == 0 and json.loads(ran.out)["usable"] == told["metrics"]["usable"]


def test_who_is_in_which_part_rests_on_sizes_and_labels_alone(built: Built) -> None:
    data = cohort(read_table(built.table), Bundle.open(built.out).schema, "progression", "slow", "person")
    other = replace(data, X=np.zeros_like(data.X))
    for share in (0.0, 0.2):
        one, two = (split.divided(table, 0.3, share, 4) for table in (data, other))
        assert [p.persons.tolist() for p in (one.train, one.test)] == [p.persons.tolist() for p in (two.train, two.test)]
    plain = split.divided(data, 0.3, 0.0, 4)
    np.testing.assert_array_equal(plain.test.persons, data.persons[split_people(data, 0.3, 4)[0]])
    assert plain.final is None and plain.last[0] == "test"


def _shared_rows(a: Vector, b: Vector) -> set[bytes]:
    return {row.tobytes() for row in a} & {row.tobytes() for row in b}


def test_parity_is_asserted_on_every_row_but_the_final_ones(built: Built) -> None:
    rows = 442 - len(built.final())
    assert built.parity_rows == [rows, onnx.LATTICE_ROWS]
    facts = json.loads((built.work / "classifier.json").read_text())
    assert facts["parity_rows"] == rows and facts["parity"] <= onnx.PARITY >= facts["parity_lattice"]


def test_no_training_row_is_inside_any_file_of_the_bundle(built: Built) -> None:
    """Runs of four values of a row side by side, as float32 and float64 bytes, and rows that any JSON object spells out."""
    train, _ = built.parts()
    files = {path.name: path.read_bytes() for path in built.out.iterdir()}
    for row in train.X:
        for kind in (np.float32, np.float64):
            data = row.astype(kind)
            for start in range(len(row) - 3):
                run = data[start : start + 4].tobytes()
                assert not [name for name, content in files.items() if run in content]
    width = train.X.shape[1]
    for values in _rows_of([json.loads(content) for name, content in files.items() if name.endswith(".json")]):
        for start in range(len(values) - width + 1):
            agree = (np.abs(train.X - values[start : start + width]) < 1e-6).sum(axis=1)
            assert agree.max() < width - 2


def _rows_of(data: Any) -> Iterator[np.ndarray]:
    """Every list of numbers, and the numbers of every object, in some JSON; a text stands for NaN."""
    if isinstance(data, dict | list):
        inside = list(data.values()) if isinstance(data, dict) else data
        yield np.array([float(v) if isinstance(v, int | float) else np.nan for v in inside])
        for value in inside:
            yield from _rows_of(value)


def test_samples_are_test_people_in_the_unwanted_class_without_a_name(built: Built) -> None:
    bundle = Bundle.open(built.out)
    train, test = built.parts()
    known, unseen = ({row.tobytes() for row in part.X} for part in (train, test))
    assert len(bundle.samples) == ABOUT["samples"]
    for sample in bundle.samples:
        x = Record.from_mapping(bundle.schema, sample.values).vector
        assert x.tobytes() in unseen and x.tobytes() not in known
        assert "person" not in sample.values and not sample.id.startswith("p")


def test_the_card_says_what_a_reader_must_know(built: Built) -> None:
    card = Bundle.open(built.out).card
    for part in ("scikit-learn", "BSD", "AUC on unseen people", "first-try validity, of all", "usable after the loop", "Not for", "realism",
                 "## Risk", "told → seen", "PPV", "Slope and intercept were fitted to the scores of training people"):  # fmt: skip
        assert part in card
    assert "@" not in card and "None" not in card and "nan" not in card


def test_risks_are_told_at_the_share_among_the_training_rows_and_measured_on_the_others(built: Built) -> None:
    bundle = Bundle.open(built.out)
    (train, _), test = built.parts(), built.final()
    told, scale = bundle.manifest.metrics["calibration"], scale_of(bundle.manifest)
    assert scale.source == "training" and scale.base_rate == pytest.approx(1 - train.y.mean())
    assert told["rows"] == len(test) and told["seen"] == pytest.approx(1 - test.y.mean(), abs=1e-4)
    with Explainer.load(built.out) as explainer:
        p = explainer.checker.p_target(test.X)
        assert explainer.scale == scale
    risk = np.array([scale.risk(float(q)) for q in p])
    assert told["brier"] == pytest.approx(float(((risk - ~test.y) ** 2).mean()), abs=1e-4)
    assert (told["predicted"], told["recorded"]) == ((p < 0.5).sum(), ((p < 0.5) & ~test.y).sum())


def test_evaluate_measures_the_bundle_on_its_table_and_refuses_another(built: Built, command: Command, tmp_path: Path) -> None:
    ran = command("evaluate", built.table, "--model", built.out, "--limit", "4", "--json")
    figures = json.loads(ran.out)
    assert ran.code == 0 and figures["asked"] == 4 and figures["broken"] == 0
    least = figures["fewest"]
    assert least["proven"] == least["answers"] == round(4 * figures["usable"]) > 0 and least["mean"] <= figures["n_changed"]
    ran = command("evaluate", built.table, "--model", built.out, "--limit", "2", "--curve", "--plot", tmp_path / "curve.png")
    assert ran.code == 0 and "first try valid" in ran.out and "additive, one batch" in ran.out
    assert "by rows of the classifier allowed" in ran.out and (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert re.search(r"the fewest that any answer must change, mean +\d\.\d\d  \(proven for", ran.out)
    other = diabetes()
    other.loc[0, "bmi"] += 0.1
    other.to_csv(tmp_path / "other.csv", index=False)
    ran = command("evaluate", tmp_path / "other.csv", "--model", built.out)
    assert (ran.code, ran.out) == (2, "") and "is not the table that diabetes was fitted on" in ran.err


def test_a_finished_fit_run_again_makes_the_same_models_at_once(built: Built, tmp_path: Path) -> None:
    fit(table=built.table, target="progression", wanted="slow", schema_file=built.schema, out=tmp_path / "again", person="person",
        work=built.work, about=built.about, name="diabetes", **SIZES)  # fmt: skip
    for name in ("classifier.onnx", "density.json", "generator.gguf", "schema.json", "samples.json", "reference.json"):
        assert (tmp_path / "again" / name).read_bytes() == (built.out / name).read_bytes()


def test_other_kinds_that_are_as_good_are_shipped_and_asked(built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(KINDS, "xgboost")
    facts = json.loads((built.work / "classifier.json").read_text())
    made = making.make
    worse = {"svm": 0.0, "neural-network": 0.03}

    def known(kind: str, *more: Any) -> Any:
        got = made("svm", *more)
        return replace(got, facts={**got.facts, "auc_cv": facts["auc_cv"] - worse[kind]})

    monkeypatch.setattr(making, "make", known)
    fit(table=built.table, target="progression", wanted="slow", schema_file=built.schema, out=tmp_path / "two", person="person",
        work=built.work, about=built.about, name="diabetes", rivals=True, **SIZES)  # fmt: skip
    bundle = Bundle.open(tmp_path / "two")
    assert bundle.rivals_bytes() == ((built.work / "rival-svm.onnx").read_bytes(),)  # the other kind is not as good
    assert bundle.classifier_bytes() == Bundle.open(built.out).classifier_bytes()
    with Explainer.load(tmp_path / "two") as explainer:
        answers = [explainer.explain(sample.values).found for sample in bundle.samples]
    assert answers and all(a.agreement in (0.0, 1.0) for found in answers for a in found)
    with pytest.raises(TableError, match="--rivals"):
        fit(table=built.table, target="progression", wanted="slow", schema_file=built.schema, out=tmp_path / "no", person="person",
            work=tmp_path / "work", classifier="own.onnx", rivals=True)  # fmt: skip


def test_a_stated_horizon_stands_in_the_bundle(built: Built) -> None:
    assert Bundle.open(built.out).schema.horizon == HORIZON


def test_a_work_folder_belongs_to_one_plan_on_one_table(built: Built, tmp_path: Path) -> None:
    schema = Schema.load(built.schema)
    plan = FitPlan("diabetes", "progression", "slow", "person", **SIZES)  # type: ignore[arg-type]
    other = tmp_path / "other.csv"
    diabetes().iloc[1:].to_csv(other, index=False)
    for table, changed in ((built.table, FitPlan("diabetes", "progression", "fast", "person")), (other, plan)):
        with pytest.raises(TableError, match=r"holds work with another (plan|table)"):
            Fit(table, schema, changed, About(), built.work, 1)


@pytest.mark.parametrize("content", ["notes.txt", "manifest.txt"])
def test_a_folder_that_is_no_bundle_is_never_replaced(built: Built, tmp_path: Path, content: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / content).write_text("precious")
    with pytest.raises(TableError, match="is there already and is no bundle"):
        fit(table=built.table, target="progression", wanted="slow", schema_file=built.schema, out=tmp_path / "mine", work=tmp_path / "work")
    assert (tmp_path / "mine" / content).read_text() == "precious" and not (tmp_path / "work").exists()


NUMBERS = Schema(
    (Feature("a", low=0, high=100, step=1), Feature("b", "choice", choices=("no", "yes")), Feature("c", low=0, high=1, step=0.1))
)


def people(rows: int = 120, seed: int = 0) -> pd.DataFrame:
    chance = np.random.default_rng(seed)
    a = chance.integers(20, 80, rows)
    return pd.DataFrame(
        {
            "a": a.astype(object), "b": chance.choice(["no", "yes"], rows), "c": chance.random(rows).round(2),
            "y": np.where(a + chance.normal(0, 8, rows) > 50, "ill", "well"), "who": [f"p{i % 30}" for i in range(rows)],
        }
    )  # fmt: skip


def spoilt(**columns: Any) -> pd.DataFrame:
    """People with one cell (or a whole column) replaced."""
    table = people()
    for name, value in columns.items():
        if isinstance(value, list):
            table[name] = value
        else:
            table[name] = table[name].astype(object)
            table.loc[7, name] = value
    return table


TABLES: dict[str, tuple[pd.DataFrame, dict[str, Any], str]] = {
    "a column is missing": (people().drop(columns="c"), {}, "the table lacks 'c'; its columns are a, b, y, who"),
    "the target is missing": (people().drop(columns="y"), {}, "the table lacks 'y'"),
    "the person is missing": (people(), {"person": "id"}, "the table lacks 'id'"),
    "one class": (spoilt(y=["ill"] * 120), {}, "y must have two classes, it has 1: ill;"),
    "three classes": (spoilt(y="dead"), {}, "y must have two classes, it has 3: ill, well, 1 rarer;"),
    "no such class": (people(), {"wanted": "happy"}, "the wanted class 'happy' is none of ill, well"),
    "too few rows": (people(30), {}, r"y = \w+ has \d+ rows; at least 20 rows of 4 people"),
    "too few people": (spoilt(who=[f"p{i % 3}" for i in range(120)]), {"person": "who"}, "rows of 3 people; at least 20 rows of 4 people"),
    "a row without a class": (spoilt(y=None), {}, "y is missing in data row 8: a row without an outcome"),
    "a row without a person": (spoilt(who=None), {"person": "who"}, "who is missing in data row 8: nobody knows whose"),
    "a value outside the schema": (spoilt(a=101), {}, "a is outside 0 to 100 in data row 8; correct"),
    "infinity": (spoilt(c=math.inf), {}, "c is outside 0 to 1 in data row 8"),
    "a text for a number": (spoilt(a="many"), {}, "a is no number in data row 8; write a number"),
    "an unknown choice": (spoilt(b="maybe"), {}, "b is none of no, yes in data row 8"),
    "missing and not optional": (spoilt(c=None), {}, "c is missing in data row 8; give a value, or mark it optional"),
    "the target is a feature": (people(), {"target": "b", "wanted": "no"}, "b is a feature of the schema; take it out"),
    "the person is a feature": (people(), {"person": "a"}, "a is a feature of the schema; take it out"),
    "no rows": (people().iloc[:0], {}, "holds no record"),
}


@pytest.mark.parametrize("case", TABLES, ids=list(TABLES))
def test_a_table_that_does_not_fit_is_refused_by_column(case: str, tmp_path: Path) -> None:
    table, how, message = TABLES[case]
    table.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(TableError, match=message) as error:
        cohort(read_table(tmp_path / "t.csv"), NUMBERS, **{"target": "y", "wanted": "well", **how})
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00a,b\n")
    refused = {"none.csv": "No such file", "empty.csv": "is empty", "bytes.csv": "is not utf-16", ".": "is a folder"}
    for name, message in refused.items():
        with pytest.raises(TableError, match=message):
            read_table(tmp_path / name)


def test_all_faults_of_a_table_are_told_at_once_and_none_tells_a_value(tmp_path: Path) -> None:
    table = people().assign(who=[f"Jane{i}" for i in range(120)]).astype(object)
    for name, odd in {"a": "secret", "b": "secret", "c": 77.25, "y": None, "who": None}.items():
        table.loc[7, name] = odd
    table.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(TableError) as error:
        cohort(read_table(tmp_path / "t.csv"), NUMBERS, "y", "well", "who")
    assert [fault.split()[0] for fault in error.value.faults] == ["a", "b", "c", "y", "who"] and error.value.where.endswith("t.csv")
    assert not any(word in str(error.value) for word in ("secret", "77.25", "Jane"))


def test_the_word_none_is_data_and_what_programs_write_for_no_value_is_missing(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\nNone,1\nNA,2\n,3\n?,4\nNaN,5\n")
    cells = list(read_table(tmp_path / "t.csv").columns["a"].rows())
    schema = Schema((Feature("a", "choice", choices=("None", "some"), optional=True),))
    assert [of_cells.value(schema["a"], given) for given in cells] == ["None", None, None, None, None]
    named = Schema((Feature("a", "choice", choices=("NA", "None"), optional=True),))
    assert [of_cells.value(named["a"], given) for given in cells] == ["None", "NA", None, None, None], "a choice of its own"


def test_a_feature_that_no_training_row_knows_is_refused() -> None:
    schema = Schema((Feature("a", low=0, high=9, step=1, optional=True), Feature("b", low=0, high=9, step=1)))
    data = Cohort(schema, np.array([[np.nan, 1.0]] * 4), np.array([True, False] * 2), np.array(list("abcd")), ("x", "y"))
    with pytest.raises(TableError, match="a is unknown in every training row; leave it out"):
        with_references(schema, data)


@given(st.integers(0, 10_000), st.integers(8, 40), st.floats(0.1, 0.5))
@settings(max_examples=60, deadline=None)
def test_a_split_never_shares_a_person_and_leaves_both_classes_in_both_parts(seed: int, count: int, share: float) -> None:
    chance = np.random.default_rng(seed)
    persons = np.array([f"p{k}" for k in chance.integers(0, count, 200)])
    data = Cohort(NUMBERS, chance.random((200, 3)), chance.random(200) < 0.4, persons, ("ill", "well"))
    test, held = split_people(data, share, seed)
    assert not set(persons[test]) & set(persons[~test])
    assert all(data.y[part].any() and not data.y[part].all() for part in (test, ~test))
    assert abs(held - share) < 0.25 and held == test.mean()
    np.testing.assert_array_equal(test, split_people(data, share, seed)[0])


def test_a_drafted_schema_is_one_and_its_lattice_holds_the_table(built: Built, command: Command, tmp_path: Path) -> None:
    ran = command("schema", "draft", built.table, "--target", "progression", "--person", "person", "-o", tmp_path / "s.json")
    assert ran.code == 0 and "now mark what is immutable" in ran.err and "count along it" in ran.err
    schema = Schema.load(tmp_path / "s.json")
    assert "progression" not in schema.index and schema["sex"].kind == "choice" and schema["bmi"].kind == "number"
    cohort(diabetes(), Schema(tuple(f for f in schema.features if f.name != "person")), "progression", "slow")
    assert json.loads(command("schema", "draft", built.table, "--target", "progression", "--person", "person").out) == schema.to_json()


def test_a_draft_leaves_out_what_cannot_be_a_feature_and_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = people().assign(same=1, notes=[f"text {i}" for i in range(120)], endless=[math.inf, *range(119)])
    table["a"] = table["a"].astype(float)
    table.loc[3, "a"] = np.nan
    table.to_csv(tmp_path / "t.csv", index=False)
    schema = Schema.from_json(draft(tmp_path / "t.csv", "y"))
    assert {"same", "notes", "endless", "y"}.isdisjoint(schema.names) and schema["a"].optional and not schema["c"].optional
    said = capsys.readouterr().err
    assert "left out same" in said and "left out notes" in said and "left out endless" in said
    with pytest.raises(TableError, match="has no column 'z'"):
        draft(tmp_path / "t.csv", "z")


@given(st.lists(st.floats(-1e6, 1e6).map(lambda v: float(f"{v:.4g}")), min_size=8, max_size=30, unique=True))
@settings(max_examples=60, deadline=None)
def test_a_drafted_lattice_covers_what_it_was_drafted_from(values: list[float]) -> None:
    from sensecf_convert.table.draft import _lattice

    low, high, step = _lattice(np.array(values))
    try:
        feature = Feature("a", low=low, high=high, step=step)
    except SchemaError:
        return  # said aloud by draft: the spread of the middle is too small for the ends
    assert feature.low is not None and feature.high is not None
    assert feature.low <= min(values) and max(values) <= feature.high


@given(where=spaces(most=3), chance=st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_the_exhaustive_search_finds_what_brute_force_finds(where: Admissible, chance: random.Random) -> None:
    record = where.record
    space = admissible(record, Constraints(max_changes=len(record.schema)))
    checker = Slope(record.schema, np.array([chance.uniform(-3, 3) for _ in record.schema.features]), -1.0)
    options = [np.append(v, record.vector[i]) for i, v in enumerate(space.values)]
    Y = rules.complete(record.schema, record.vector, np.array(list(product(*options))))
    best = float(checker.p_target(Y[rules.admitted(space, Y)]).max(initial=0.0))
    for goal in (2.0, best):
        found = every.highest(checker, space, goal)
        assert found is not None and found == pytest.approx(best)


def test_every_answer_of_a_lattice_is_tried_once_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(every, "CHUNK", 7)
    space = admissible(Record(NUMBERS, np.array([5.0, 0.0, 0.5])), Constraints(bounds={"a": (0, 9)}))
    chunks = list(every.every_answer(space))
    rows = {row.tobytes() for row in np.concatenate(chunks)}
    assert max(map(len, chunks)) == 7 and len(rows) == sum(map(len, chunks)) == 10 * 2 * 11


def test_a_lattice_too_large_to_search_is_unproven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(every, "EXHAUSTIVE", 10)
    checker = Slope(NUMBERS, np.ones(3))
    space = admissible(Record(NUMBERS, np.array([5.0, 0.0, 0.5])), Constraints())
    assert every.highest(checker, space, 0.55) is None and checker.asked == []


def test_invented_people_are_mixes_of_training_people_inside_the_schema(built: Built) -> None:
    train, _ = built.parts()
    X = teachers_people.invent(train, 64, np.random.default_rng(0))
    np.testing.assert_array_equal(X, teachers_people.invent(train, 64, np.random.default_rng(0)))
    for i, feature in enumerate(train.schema.features):
        low, high = feature.reference or (0, len(feature.choices) - 1)
        assert (X[:, i] >= low).all() and (X[:, i] <= high).all()
    assert len(_shared_rows(X, train.X)) < 0.1 * len(X)


def test_every_pair_taught_is_an_admissible_answer_that_the_classifier_accepts(built: Built) -> None:
    bundle = Bundle.open(built.out)
    pairs = np.load(built.work / "pairs.npz")
    checker = OnnxChecker(bundle.classifier_bytes(), len(bundle.schema), 1)
    assert (checker.p_target(pairs["X"]) < 0.5).all() and (checker.p_target(pairs["Y"]) >= 0.55 - 1e-6).all()
    for x, y in zip(pairs["X"], pairs["Y"], strict=True):
        assert rules.admitted(admissible(Record(bundle.schema, x)), y[None])[0]


def test_an_interrupted_training_goes_on_as_if_it_had_not_been(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vocabulary = SchemaVocabulary(NUMBERS, "well")
    chance = np.random.default_rng(0)
    X = np.column_stack([chance.integers(0, 40, 64), chance.integers(0, 2, 64), chance.integers(0, 10, 64) / 10]).astype(float)
    Y = X + np.array([50, 0, 0])
    tokens, labels = training.encode(vocabulary, X, Y, np.full(len(X), 0.3))
    tuning = training.Tuning(passes=6, batch=16)

    def trainer(name: str) -> training.Trainer:
        return training.Trainer(training.new_model(vocabulary, training.Shape(32, 32, 1, 1), 0), tuning, tmp_path / name)

    whole = trainer("whole.pt")
    loss = whole.run(tokens, labels, lambda *_: None)
    assert math.isfinite(loss) and whole.step == 24

    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0.0)
    halves = trainer("halves.pt")

    def leave(share: float, loss: float) -> None:
        if halves.step == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        halves.run(tokens, labels, leave)
    again = trainer("halves.pt")
    assert again.step == 9
    again.run(tokens, labels, lambda *_: None)
    for (name, a), b in zip(whole.model.named_parameters(), again.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4, msg=lambda m, name=name: f"{name}: {m}")


def test_the_halves_of_a_step_add_up_to_the_step_of_the_whole(tmp_path: Path) -> None:
    vocabulary, chance = SchemaVocabulary(NUMBERS, "well"), np.random.default_rng(0)
    X = np.column_stack([chance.integers(0, 40, 7), chance.integers(0, 2, 7), chance.integers(0, 10, 7) / 10]).astype(float)
    Y = X + np.array([50, 0, 0])
    Y[:2, 2] = np.round(0.9 - X[:2, 2], 1)  # answers of several lengths
    tokens, labels = training.encode(vocabulary, X, Y, np.full(len(X), 0.3))
    whole = training.new_model(vocabulary, training.Shape(32, 32, 1, 1), 0)
    loss = whole(input_ids=tokens, labels=labels).loss
    loss.backward()
    same = training.new_model(vocabulary, training.Shape(32, 32, 1, 1), 0)
    trainer = training.Trainer(same, training.Tuning(rate=0.0), tmp_path / "none.pt")
    torch.nn.utils.clip_grad_norm_(whole.parameters(), 1.0)
    assert trainer._one(tokens, labels) == pytest.approx(loss.item(), rel=1e-5)
    for a, b in zip(whole.parameters(), trainer.model.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-6)
    assert trainer._one(tokens[:1], labels[:1]) > 0, "a step of one row has one half"


def test_a_short_training_takes_more_and_smaller_steps() -> None:
    assert [training.batch_of(6.0, 6_000), training.batch_of(7.0, 60_000)] == [training.FEW, training.BATCH]


@given(count=st.integers(0, 500), limit=st.one_of(st.none(), st.integers(1, 600)))
def test_records_that_are_measured_are_spread_over_all(count: int, limit: int | None) -> None:
    rows = spread(np.arange(count), limit)
    assert len(set(rows.tolist())) == len(rows) == min(count, limit or count) and (np.diff(rows) <= -(-count // max(1, len(rows)))).all()


def test_every_pass_of_training_sees_every_pair_once() -> None:
    rows = np.concatenate([batch_rows(3, step, 16, 64) for step in range(8)]).reshape(2, 64)
    assert all(sorted(part.tolist()) == list(range(64)) for part in rows) and rows[0].tolist() != rows[1].tolist()


def test_the_bundle_in_hand_answers_from_python_too(built: Built) -> None:
    with Explainer.load(built.out) as explainer:
        first, again = (explainer.explain(explainer.bundle.samples[0].values, n=2, seed=1).to_json() for _ in range(2))
    for made in (first, again):
        del made["seconds"]
    assert first == again


def test_a_bundle_gets_the_density_that_a_fit_would_give_it(built: Built, tmp_path: Path) -> None:
    renewed = refit_density(built.table, built.out, tmp_path / "new")
    before = Bundle.open(built.out)
    assert before.density is not None and renewed.density is not None
    X = built.parts()[0].X
    assert renewed.density.percentile(X) == pytest.approx(before.density.percentile(X), abs=1e-3)
    assert renewed.manifest.metrics == before.manifest.metrics and not (tmp_path / "new.part").exists()


def test_what_is_added_to_a_finished_bundle_is_what_its_fit_wrote_and_all_else_stays(built: Built, tmp_path: Path) -> None:
    before = Bundle.open(built.out)
    assert before.population is not None and before.population.everybody is before.density.everybody  # type: ignore[union-attr]
    shutil.copytree(built.out, tmp_path / "old")
    bare = json.loads((tmp_path / "old" / "manifest.json").read_text(encoding="utf-8"))
    bare.pop("groups")
    (tmp_path / "old" / "population.json").unlink()
    write_manifest(tmp_path / "old", bare)
    assert Bundle.open(tmp_path / "old").population is None and not Bundle.open(tmp_path / "old").manifest.groups
    made = add(built.table, tmp_path / "old", About(**ABOUT), tmp_path / "old")
    assert made.manifest.groups == before.manifest.groups and made.hash != before.hash
    assert {name: entry for name, entry in made.manifest.files.items() if name != "CARD.md"} == {
        name: entry for name, entry in before.manifest.files.items() if name != "CARD.md"
    }
    assert made.card == before.card and not list(tmp_path.glob(".old*"))
    diabetes().iloc[:-4].to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(TableError, match="not the table"):
        add(tmp_path / "other.csv", tmp_path / "old", About(), tmp_path / "new")


def test_a_bundle_measured_again_has_its_fit_s_figures_and_the_relations_that_are_stated(built: Built, tmp_path: Path) -> None:
    before, wide = Bundle.open(built.out), {"kind": "le", "features": ["bmi", "bp"], "slope": 1, "intercept": 1_000}
    path = tmp_path / "narrow.json"
    path.write_text(json.dumps({**before.schema.to_json(), "relations": [wide]}), encoding="utf-8")
    made = remeasure(built.table, built.out, About(**ABOUT), tmp_path / "again", path)
    assert [r.to_json() for r in made.schema.relations] == [wide] and made.schema.features == before.schema.features
    assert made.manifest.metrics == before.manifest.metrics and made.card == before.card
    same = {"classifier.onnx", "generator.gguf", "density.json", "population.json", "reference.json", "samples.json"}
    assert all(made.manifest.files[name] == before.manifest.files[name] for name in same)
    told = json.loads((tmp_path / "again" / "manifest.json").read_text(encoding="utf-8"))
    assert told["added"]["what"] == ["figures", "relations"]
    path.write_text(json.dumps({**before.schema.to_json(), "relations": [{"kind": "band", "features": ["bmi", "bp"]}]}), encoding="utf-8")
    with pytest.raises(TableError, match="leaves 1 relations to be fitted"):
        remeasure(built.table, built.out, About(**ABOUT), tmp_path / "open", path)


PROGRAMS = {
    "memorisation.__main__": (("--people", 40), "people"), "memorisation.parrots": (("--times", 1), "one training person, always"),
    "evaluate.density_study": (("--doubles", 0, "--rows", 60), "nats a row"), "evaluate.price": (("--limit", 5), "|"),
    "evaluate.easing": (("--limit", 2, "--drawn"), "fills them in"), "evaluate.made_up": (("--count", 4), "additive"),
}  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_measure_a_fitted_bundle_and_refuse_another_table(built: Built, program: str, tmp_path: Path) -> None:
    more, said = PROGRAMS[program]
    main = import_module(f"sensecf_convert.{program}").main
    ran = CliRunner().invoke(main, [str(a) for a in (built.table, "--model", built.out, *more)], catch_exceptions=False)
    assert ran.exit_code == 0 and said in ran.output, ran.output
    diabetes().iloc[:-4].to_csv(tmp_path / "other.csv", index=False)
    ran = CliRunner().invoke(main, [str(a) for a in (tmp_path / "other.csv", "--model", built.out)], catch_exceptions=False)
    assert ran.exit_code == 1 and "not the table" in ran.output


@pytest.mark.parametrize("program", ["add", "codes", "refit_density", "remeasure"])
def test_programs_write_a_changed_bundle_beside_the_one_they_were_given_and_over_nothing_else(
    built: Built, program: str, tmp_path: Path
) -> None:
    main = import_module(f"sensecf_convert.bundle.{program}").main
    given = [str(built.schema if program == "codes" else built.table), "--model", str(built.out)]
    given += ["--about", str(built.about)] if program in ("add", "remeasure") else []
    (tmp_path / "there").mkdir()
    ran = CliRunner().invoke(main, [*given, "-o", str(tmp_path / "there")], catch_exceptions=False)
    assert ran.exit_code == 1 and "there already" in ran.output and not list((tmp_path / "there").iterdir())
    ran = CliRunner().invoke(main, [*given, "-o", str(tmp_path / "new")], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    made, before = Bundle.open(tmp_path / "new"), Bundle.open(built.out)
    assert made.classifier_bytes() == before.classifier_bytes() and sorted(p.name for p in tmp_path.iterdir()) == ["new", "there"]


def _lesson(built: Built, **more: Any) -> tuple[teachers_lesson.Lesson, Cohort]:
    bundle = Bundle.open(built.out)
    train, _ = built.parts()
    train = replace(train, schema=bundle.schema)
    assert bundle.density is not None
    values: dict[str, Any] = {"goals": (0.62, 0.58, 0.55), "max_changes": 4, "data": train, **more}
    return teachers_lesson.Lesson(bundle.schema, bundle.classifier_bytes(), bundle.density, 0.5, **values), train


def test_practice_keeps_what_is_accepted_and_teaches_the_rest(built: Built) -> None:
    lesson, train = _lesson(built)
    facts = json.loads((built.work / "tuned.json").read_text())
    speaker = practice.Speaker(
        built.work / "tuned.gguf", Prompting(facts["prompt"], "slow", Task("slow")), facts["context"], lesson.judge().checker
    )
    pairs, counts = practice.practise(speaker, lesson, train, 60, 5, lambda share, words: None)
    assert counts["asked"] == 60 and counts["own"] > 0 and counts["own"] + counts["taught"] == len(pairs["X"]) > 50
    checker = lesson.judge().checker
    assert (checker.p_target(pairs["X"]) < 0.5).all() and (checker.p_target(pairs["Y"]) >= 0.55).all()
    for x, y in zip(pairs["X"], pairs["Y"], strict=True):
        space = admissible(Record(lesson.schema, x), Constraints(max_changes=4))
        assert rules.admitted(space, y[None])[0]
    assert not _shared_rows(pairs["X"], train.X)


def test_of_several_proposals_the_cheapest_at_the_highest_goal_is_kept(built: Built) -> None:
    lesson, train = _lesson(built)
    judge = lesson.judge()
    ((space, _),) = practice.people(lesson, judge, train, 1, practice.HELD_OUT, 3)
    options = [space.record.vector]
    for i in space.features:
        for value in space.values[i]:
            y = space.record.vector.copy()
            y[i] = value
            options.append(y)
    p = judge.checker.p_target(np.array(options))
    kept = practice.best_proposal(lesson, judge, space, options)
    reached = [goal for goal in lesson.goals if p.max() >= goal]
    assert kept is None or (reached and judge.checker.p_target(kept[None])[0] >= reached[0])
    assert practice.best_proposal(lesson, judge, space, []) is None
    assert practice.best_proposal(replace(lesson, goals=(1.01,)), judge, space, options) is None


def test_the_study_asks_only_teachers_that_the_table_can_have(built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teaching, "PAIRS", 120)
    monkeypatch.setattr(tuning, "HELD_OUT", 40)
    lesson, train = _lesson(built)
    plan = FitPlan("diabetes", "progression", "slow", "person", **SIZES)  # type: ignore[arg-type]
    vocabulary = SchemaVocabulary(lesson.schema, "slow")
    rows = teaching.study_teachers(Work(tmp_path / "w"), plan, vocabulary, lesson, train, 1)
    possible = {"search", "neighbours", "pairs"}
    assert {row["teacher"] for row in rows} <= possible and len(rows) >= 2
    for row in rows:
        assert 0 <= row["first_try"] <= 1 and row["p"] >= 0.55 and row["n_changed"] >= 1 and 0 <= row["realism"] <= 100
    again = teaching.study_teachers(Work(tmp_path / "w"), plan, vocabulary, lesson, train, 1)
    assert again == rows and all(row["teacher"] in teaching.markdown(rows) for row in rows)


def test_the_command_line_offers_what_the_build_side_has() -> None:

    from sensecf_convert.export.quantize import QUANTIZATIONS

    from sensecf_edge.cli import build

    assert next(iter(KINDS)) == build.KINDS[0] and set(KINDS) == set(build.KINDS)  # the first is the default
    assert (tuple(classroom.TEACHERS), tuple(plan.SIZES)) == (build.TEACHERS, build.SIZES)
    assert set(build.TYPES) <= set(QUANTIZATIONS)


def test_the_large_size_has_four_million_weights_and_suits_every_k_quant(tmp_path: Path) -> None:
    width, layers = plan.SIZES["large"]
    vocabulary = SchemaVocabulary(NUMBERS, "well")
    model = training.new_model(vocabulary, training.Shape(width, 3 * width, layers, width // 32), 0)
    assert 3_500_000 < model.num_parameters() < 5_000_000
    plain = write_gguf(model, vocabulary, tmp_path / "plain.gguf")
    small = quantize(plain, tmp_path / "small.gguf", "Q4_K_M")
    assert fallbacks(small, "Q4_K_M") == [] and small.stat().st_size < plain.stat().st_size / 5


def test_the_other_direction_is_a_fit_with_one_way_features_turned(built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Fit] = []
    monkeypatch.setattr(Fit, "run", lambda self, out: made.append(self))
    one_way = json.loads(built.schema.read_text())
    bmi = next(f for f in one_way["features"] if f["name"] == "bmi")
    bmi["direction"] = "decrease"
    (tmp_path / "s.json").write_text(json.dumps(one_way))
    for turned, wanted in ((False, "slow"), (True, "fast")):
        fit(table=built.table, target="progression", wanted=wanted, schema_file=tmp_path / "s.json", out=tmp_path / "o", person="person",
            work=tmp_path / wanted, turned=turned, **SIZES)  # fmt: skip
    assert [job.schema["bmi"].direction for job in made] == ["decrease", "increase"]
    assert [job.train.classes[1] for job in made] == ["slow", "fast"] and not made[1].schema["age"].mutable


def test_a_card_without_figures_by_group_says_why() -> None:
    from sensecf_convert.bundle.card import _groups

    heart, stress = Bundle.open("heart"), Bundle.open("stress")
    few = {"groups": [], "classifier": {"people_test": 3}}
    assert "the schema marks no other as `group`. With 3 unseen people" in _groups(few, stress.schema) and "With 3" in stress.card
    assert "every group has under ten rows.\n" in _groups({"groups": [], "classifier": {"people_test": None}}, heart.schema)
    assert _groups({"classifier": {"people_test": 3}}, stress.schema) == ""
