"""fit: a table becomes a verified bundle, step by step. Every finished step is kept, so an interrupted fit resumes.

    table -> split by person -> classifier -> realism -> pairs -> generator -> GGUF -> quantized -> bundle -> figures, card

The work folder holds training rows (pairs): keep it where the table is kept. The bundle holds none.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sensecf_edge import __version__
from sensecf_edge.bundle.bundle import Bundle, write_manifest
from sensecf_edge.bundle.manifest import MANIFEST, Target
from sensecf_edge.bundle.shared import SharedWeights
from sensecf_edge.errors import TableError
from sensecf_edge.generators.prompting import task_of
from sensecf_edge.judge.classifier import OnnxChecker
from sensecf_edge.judge.density import Density
from sensecf_edge.proof.effort import Effort
from sensecf_edge.propose.instructions import Task
from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.schema import Schema

from . import plan as sensecf_convert_plan
from .bundle import card
from .bundle.pack import Contents, pack, publish
from .bundle.revised import told
from .classifier import making, threshold
from .classifier.kinds import KINDS
from .density import fitting
from .evaluate import quantizations, teaching
from .evaluate.figures import Figures
from .evaluate.measure import measure_bundle
from .generator.scratch.vocabulary import SchemaVocabulary
from .generator.steps import cut
from .memorisation import checks
from .memorisation import formatting as memorisation
from .plan import About, FitPlan
from .progress import bar, note, step
from .table import fit_relations, leakage, locked_out, repeated_rows
from .table.cohort import cohort, read_table
from .table.reference_ranges import with_references
from .table.split import divided, final_people
from .teachers import classroom, collect
from .teachers import lesson as teachers_lesson
from .teachers.lesson import Lesson
from .work import Work, file_hash, write

if TYPE_CHECKING:
    from .generator import learners
    from .generator.base.checkpoint import Base


ADDED = ("study", "rivals", "generator", "limit")
"""Parts of a plan that add to a bundle and change nothing else of it."""

OF_A_BASE = ("batch", "rate", "rank", "prompt", "hints")
"""Parts of a plan that nothing depends on without a base."""

MOST_OF_A_BASE = 100
"""Records that a given base is measured on at most: each of its answers takes seconds."""

AS_GOOD = 0.02
"""AUC over folds of people that another classifier may lack and still be called as good."""

PROOFS = 5e8
"""Units of work that proofs may take in a fit that measures no more than some records: about a minute."""

STUDIED = 300
"""Training records, at most, that each quantization is measured on: a choice must not rest on the test people."""


class Fit:
    """One fit in one work folder."""

    def __init__(self, table: Path, schema: Schema, plan: FitPlan, about: About, work: Path, jobs: int, left: Sequence[Any] = ()) -> None:
        """`left`: relations of the schema whose numbers are to be fitted on the training people, as JSON."""
        read = read_table(table)
        data = cohort(read, schema, plan.target, plan.wanted, plan.person)
        plan = replace(plan.sized(len(data)), wanted=data.classes[1])  # as the table writes it
        self.path, self.plan, self.about, self.jobs = table, plan, about, jobs
        looked_at = data.take(~final_people(data, plan.final_share, plan.seed))
        for warning in [*_repeated(read, plan), *leakage.refuse_leaks(looked_at, plan.allow), *leakage.immutable(schema, plan.allow)]:
            note(warning)
        self.table = data.fingerprint
        self.work = Work(work)
        made_by = {k: v for k, v in asdict(plan).items() if k not in ADDED and (plan.base or k not in OF_A_BASE)}
        brought = file_hash(Path(plan.classifier)) if plan.classifier not in KINDS else None
        self.work.belongs({"version": __version__, "plan": made_by, "table": self.table, "schema": schema.hash, "open": list(left),
                           "classifier file": brought})  # fmt: skip
        drawn = divided(data, plan.test_share, plan.final_share, plan.seed)
        classroom.check(plan.teachers, drawn.train)
        if plan.rivals and plan.classifier not in KINDS:
            raise TableError("nobody knows how good a classifier from a file is over folds of people, so none is as good; drop --rivals")
        self.base = _base(plan)
        self.schema = with_references(fit_relations.with_fitted_relations(schema, left, drawn.train), drawn.train)
        self.parts = drawn.under(self.schema)
        self.train, self.test = self.parts.train, self.parts.test

    def run(self, out: Path) -> Figures:
        """All steps; returns the figures on the people of the last part: final where there is one, else test."""
        with step("split") as say:
            say(self.parts.line())
        graph, facts = self._classifier()
        lesson = self._lesson(graph, self._line(graph, facts))
        pairs = self._pairs(lesson) if self.plan.generator == sensecf_convert_plan.OWN else None
        generator = None if self.plan.generator == sensecf_convert_plan.NONE else self._generator(lesson, pairs)
        inside = Contents(
            self.schema, lesson, facts, generator.facts if generator else {"none": True}, generator.file if generator else None,
            self.train, self.test, self.table, self._rivals(facts) if self.plan.rivals else (), self._population(lesson),
            generator.adapter if generator else None,
        )  # fmt: skip
        folder = self.work / "bundle"
        manifest = pack(folder, self.plan, self.about, inside)
        with step("evaluate") as say, bar("evaluate") as show:
            limit, (name, people) = MOST_OF_A_BASE if self.base or self.plan.general else self.plan.limit or None, self.parts.last
            effort = Effort(PROOFS) if self.plan.limit else None
            figures = replace(measure_bundle(Bundle.open(folder), self.train, people, limit, show, effort=effort), part=name)
            say(figures.line())
        figures.memorisation.update(self._memorised(Bundle.open(folder), pairs))
        if self.plan.study and generator is not None:  # of its own: a plan refuses it for others
            manifest |= self._studied(lesson, Bundle.open(folder), generator.plain)
        self._finish(folder, manifest, figures, out)
        return figures

    def _classifier(self) -> tuple[bytes, dict[str, Any]]:
        with step("classifier") as say:

            def make() -> bytes:
                made = making.make(self.plan.classifier, self.train, self.test, self.plan.seed, say)
                for warning in made.warnings:
                    note(warning)
                self.work.note("classifier.json", made.facts)
                return made.graph

            graph = self.work.kept("classifier.onnx", make)
            facts = self.work.facts("classifier.json")
            say(making.facts_line(facts, self.train.unit))
        return graph, facts

    def _rivals(self, own: dict[str, Any]) -> tuple[bytes, ...]:
        """Classifiers of the other kinds that are as good over folds of the training people, best first."""
        others, rivals = [kind for kind in KINDS if kind != own["kind"]], list[tuple[float, bytes]]()
        with step("rivals") as say:

            def make(kind: str) -> bytes:
                made = making.make(kind, self.train, self.test, self.plan.seed, say)
                self.work.note(f"rival-{kind}.json", {"auc_cv": made.facts["auc_cv"]})
                return made.graph

            for kind in others:
                graph = self.work.kept(f"rival-{kind}.onnx", partial(make, kind))
                auc = float(self.work.facts(f"rival-{kind}.json")["auc_cv"])
                rivals += [(auc, graph)] if auc >= own["auc_cv"] - AS_GOOD else []
            say(f"{len(rivals)} of {len(others)} other kinds are as good as {own['kind']}")
        return tuple(graph for _, graph in sorted(rivals, key=lambda rival: -rival[0]))

    def _line(self, graph: bytes, facts: dict[str, Any]) -> float:
        """The score that parts the classes, once it is known that people stand on both sides of it."""
        line, p = threshold.score_of(self.plan, facts), OnnxChecker(graph, len(self.schema), wanted=1).p_target(self.train.X)
        locked = locked_out.sentence(self.schema, self.train.X[p < line], self.train.classes[0])
        for warning in [*threshold.check(self.plan, facts, p, self.train), *([locked] if locked else [])]:
            note(warning)
        return line

    def _lesson(self, graph: bytes, line: float) -> Lesson:
        with step("realism") as say:
            typical = fitting.kept(self.work, self.train, self.plan.seed)
            say(f"density of {int(self.train.y.sum()):,} {self.plan.wanted} rows, {len(typical.wanted.weights)} components")
        most, names, goals = self.plan.max_changes, self.plan.teachers, threshold.goals(line)
        return Lesson(self.schema, graph, typical, line, goals, most, teachers=names, data=self.train)

    def _population(self, lesson: Lesson) -> bytes:
        assert isinstance(lesson.realism, Density)  # what `fitting.kept` made
        return fitting.kept_population(self.work, self.train, lesson.realism, self.plan.seed)

    def _pairs(self, lesson: Lesson) -> Mapping[str, Vector]:
        with step("pairs") as say:
            pairs = dict(collect.collect_pairs(self.work, lesson, self.train, self.plan.pairs, self.plan.seed, self.jobs))
            pairs["p"] = OnnxChecker(lesson.classifier, len(self.schema), wanted=1).p_target(pairs["X"])
            changed = ~((pairs["X"] == pairs["Y"]) | np.isnan(pairs["X"]))
            say(f"{len(pairs['X']):,} invented people with an answer, {changed.sum(axis=1).mean():.2f} features changed")
        return pairs

    def _generator(self, lesson: Lesson, pairs: Mapping[str, Vector] | None) -> learners.Made | None:
        from .generator import given, learners  # torch

        if pairs is None:
            return given.taken(self.plan, self.schema, self._task())
        plan, vocabulary = self.plan, SchemaVocabulary(self.schema, self.plan.wanted)
        learner: learners.Learner = (
            learners.FromBase(self.work, plan, self.base, self.schema, self._task(), lesson.judge().checker, _shared(plan))
            if self.base
            else learners.FromScratch(self.work, plan, vocabulary)
        )
        with step("generator") as say:
            made = learner.learn(pairs, sensecf_convert_plan.FIRST, plan.passes)
            size = made.file.stat().st_size / 1e6
            say("{parameters:,} parameters, loss {loss:.3f}, {mb:.1f} MB".format(mb=size, **made.facts))
        if plan.improve is not False:
            with step("improvement") as say:
                made = learners.after_practice(learner, pairs, made, lesson, self.train)
                gain = made.facts["improvement"]
                after = f"{gain['after']:.1%} after" if "after" in gain else "which is left as it is"
                say(f"first try on new invented people {gain['before']:.1%} before practice, {after}")
        if cut_short := cut(made.facts):
            note(f"{cut_short}; --passes {plan.passes * made.facts['steps'] / made.facts['steps_planned']:.3g} trains as long anywhere")
        return made

    def _task(self) -> Task:
        """What a general model is told it is for."""
        return task_of(Target(self.plan.target, tuple(self.train.classes), self.plan.wanted, sensecf_convert_plan.THRESHOLD))

    def _memorised(self, bundle: Bundle, pairs: Mapping[str, Vector] | None) -> dict[str, Any]:
        with step("memorisation") as say:
            found = checks.check(bundle, self.train, self.parts.untrained, pairs, checks.most_of(self.plan))
            say(memorisation.summary(found))
        return found

    def _studied(self, lesson: Lesson, bundle: Bundle, plain: Path) -> dict[str, Any]:
        """For the card: what each teacher contributes, and what each quantization costs."""
        vocabulary = SchemaVocabulary(self.schema, self.plan.wanted)
        with step("teachers") as say:
            taught = teaching.study_teachers(self.work, self.plan, vocabulary, lesson, self.train, self.jobs)
            say(", ".join(f"{row['teacher']} {row['first_try']:.1%}" for row in taught))
        with step("types") as say, bar("types") as show:
            types = quantizations.measure(bundle, self.path, plain, people="training", limit=STUDIED, report=show)
            say(f"the smallest within {100 * quantizations.LOST:.1f} points of the whole: {quantizations.choose(types)}")
        return {"teachers": taught, "quantizations": types}

    def _finish(self, folder: Path, manifest: dict[str, Any], figures: Figures, out: Path) -> None:
        told(manifest, Bundle.open(folder), self.parts, figures)
        write(folder / "CARD.md", card.card_text(manifest, self.about.notes, self.schema).encode())
        write_manifest(folder, manifest)
        Bundle.open(folder)
        publish(folder, out)


def _repeated(table: Any, plan: FitPlan) -> list[str]:
    """Questions about rows that may be several of one person, where the plan names no person. Raises TableError."""
    columns = repeated_rows.columns_of(table)
    if not repeated_rows.nobody_named(columns, plan.person):
        return []
    return repeated_rows.refuse_repeated_people(columns, plan.target, repeated_rows.REPEATED in plan.allow)


def _base(plan: FitPlan) -> Base | None:
    """The checkpoint to be tuned, looked through before anything long begins."""
    if plan.base is None:
        return None
    from .generator.base.checkpoint import Base  # transformers

    return Base.open(plan.base, plan.tune, plan.device)


def _shared(plan: FitPlan) -> SharedWeights | None:
    """The weights that the bundle refers to instead of holding them: of a GGUF under a LoRA adapter, where nothing is to be tuned over
    that."""
    from .generator.base import dequantized

    if plan.base is None or plan.tune != "lora" or plan.improve or plan.study or not dequantized.is_gguf(plan.base):
        return None
    return dequantized.shared(plan.base)


def fit(
    table: Path,
    target: str,
    wanted: str,
    schema_file: Path,
    out: Path,
    person: str | None = None,
    name: str | None = None,
    seed: int = 0,
    work: Path | None = None,
    about: Path | None = None,
    **choices: Any,
) -> Figures:
    """The whole fit. `choices` are fields of Plan (classifier, teachers, pairs, …); None or () means the default.

    Raises TableError, SchemaError before anything long begins.
    """
    name = name or out.name
    if out.exists() and not ((out / MANIFEST).is_file() or (out.is_dir() and not any(out.iterdir()))):
        raise TableError(f"{out} is there already and is no bundle; it would be replaced, so name another folder")
    given = {k: v for k, v in choices.items() if v is not None and v != ()}
    plan = FitPlan(name=name, target=target, wanted=wanted, person=person, seed=seed, **given)
    schema, left = fit_relations.read_schema(schema_file)
    schema = teachers_lesson.turned(schema) if plan.turned else schema
    job = Fit(table, schema, plan, About.load(about), work or Path("fit-work") / name, max(1, os.cpu_count() or 1), left)
    return job.run(out)
