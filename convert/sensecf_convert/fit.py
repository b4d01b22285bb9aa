"""fit: a table becomes a verified bundle, step by step. Every finished step is kept, so an interrupted fit resumes.

    table -> split by person -> classifier -> realism -> pairs -> generator -> GGUF -> Q8_0 -> bundle -> figures, card

The work folder holds training rows (pairs): keep it where the table is kept. The bundle holds none.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from sensecf_edge.bundle import Bundle, write_manifest
from sensecf_edge.check import OnnxChecker
from sensecf_edge.errors import TableError
from sensecf_edge.manifest import MANIFEST
from sensecf_edge.record import Record
from sensecf_edge.schema import Schema
from sensecf_edge.settings import LOOP

from . import card, classifier, realism, teachers
from .evaluate import Figures, measure_bundle
from .progress import bar, step
from .tables import Cohort, cohort, read_table, split_people

THRESHOLD = 0.5
GOALS_ABOVE = (0.12, 0.08, 0.05)
"""How far above the threshold the teacher aims, strictest first."""


@dataclass(frozen=True)
class Plan:
    """All that decides what a fit makes. Equal plans on equal tables make equal bundles, up to floating point."""

    name: str
    target: str
    wanted: str
    person: str | None = None
    test_share: float = 0.3
    seed: int = 0
    pairs: int = 40_000
    passes: float = 6.0
    minutes: float = 30.0
    width: int = 128
    layers: int = 4
    quantization: str = "Q8_0"
    max_changes: int = LOOP.max_changes


@dataclass(frozen=True)
class About:
    """What the card says that no program can know."""

    title: str = ""
    source: str = "not stated"
    licence: str = "not stated"
    attribution: str = ""
    not_for: str = "Decisions about a person without a clinician; any claim that a change causes the outcome."
    notes: str = ""
    samples: int = 0

    @classmethod
    def load(cls, path: Path | None) -> About:
        """From a JSON file with these keys; unknown keys are refused. `samples` records of the test people are shipped:
        leave it 0 unless the table's licence allows it."""
        if path is None:
            return cls()
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise TableError(f"{path} is no description of a bundle: {error}") from error


class Fit:
    """One fit in one work folder."""

    def __init__(self, table: Path, schema: Schema, plan: Plan, about: About, work: Path, jobs: int) -> None:
        self.plan, self.about, self.work, self.jobs = plan, about, work, jobs
        data = cohort(read_table(table), schema, plan.target, plan.wanted, plan.person)
        self.fingerprint = data.fingerprint
        work.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._same_plan(schema)
        test, self.test_share = split_people(data, plan.test_share, plan.seed)
        self.schema = with_references(schema, data.take(~test))
        whole = replace(data, schema=self.schema)
        self.train, self.test = whole.take(~test), whole.take(test)

    def _same_plan(self, schema: Schema) -> None:
        """A work folder belongs to one plan on one table: what lies in it would be wrong for another."""
        path = self.work / "plan.json"
        now = {"plan": asdict(self.plan), "table": self.fingerprint, "schema": schema.hash}
        if path.exists():
            before = json.loads(path.read_text())
            differs = [k for k in now if before.get(k) != now[k]]
            if differs:
                raise TableError(
                    f"{self.work} holds an unfinished fit with another {' and '.join(differs)}; name another --work folder, or delete it"
                )
        else:
            _write(path, json.dumps(now, indent=1).encode())

    def run(self, out: Path) -> Figures:
        """All steps; returns the figures on the people of the test part."""
        with step("split") as say:
            people = [len(np.unique(part.persons)) for part in (self.train, self.test)]
            say(f"{len(self.train):,} rows of {people[0]} people to train, {len(self.test):,} rows of {people[1]} people to test")
        self._classifier()
        self._realism()
        pairs = self._pairs()
        self._generator(pairs)
        folder = self._bundle(people)
        with step("evaluate") as say:
            figures = measure_bundle(Bundle.open(folder), self.train, self.test)
            say(figures.line())
        self._finish(folder, figures, out)
        return figures

    def _kept(self, name: str, make: Callable[[], bytes]) -> bytes:
        """The bytes of a finished step; made and kept where they are not there yet."""
        path = self.work / name
        if not path.exists():
            _write(path, make())
        return path.read_bytes()

    def _classifier(self) -> None:
        def make() -> bytes:
            model = classifier.fit(self.train, self.plan.seed)
            graph = classifier.to_onnx(model.pipeline, len(self.schema))
            rows = np.concatenate([self.train.X, self.test.X])
            facts = {
                "kind": "random-forest", "recipe": model.recipe, "auc_cv": model.cv_auc,
                "auc": classifier.auc(graph, self.test), "parity": classifier.parity(model.pipeline, graph, rows), "parity_rows": len(rows),
            }  # fmt: skip
            _write(self.work / "classifier.json", json.dumps(facts, indent=1).encode())
            return graph

        with step("classifier") as say:
            self.graph = self._kept("classifier.onnx", make)
            self.facts: dict[str, Any] = json.loads((self.work / "classifier.json").read_text())
            say("AUC {auc:.3f} on unseen people; ONNX parity {parity:.1e} on {parity_rows:,} rows".format(**self.facts))

    def _realism(self) -> None:
        def make() -> bytes:
            model, quantiles = realism.fit(self.train, self.plan.seed)
            _write(self.work / "quantiles.json", json.dumps(quantiles).encode())
            return realism.to_onnx(model, len(self.schema))

        with step("realism") as say:
            self.density = self._kept("realism.onnx", make)
            self.quantiles: list[float] = json.loads((self.work / "quantiles.json").read_text())
            say(f"density of {int(self.train.y.sum()):,} {self.plan.wanted} rows")

    def _pairs(self) -> Mapping[str, np.ndarray]:
        path = self.work / "pairs.npz"
        with step("pairs") as say:
            if not path.exists():
                self._teach(path)
            pairs = dict(np.load(path))
            pairs["p"] = OnnxChecker(self.graph, len(self.schema), wanted=1).p_target(pairs["X"])
            changed = ~((pairs["X"] == pairs["Y"]) | np.isnan(pairs["X"]))
            say(f"{len(pairs['X']):,} invented people with an answer, {changed.sum(axis=1).mean():.2f} features changed")
        return pairs

    def _lesson(self) -> teachers.Lesson:
        goals = tuple(THRESHOLD + above for above in GOALS_ABOVE)
        return teachers.Lesson(self.schema, self.graph, self.density, self.quantiles, THRESHOLD, goals, self.plan.max_changes)

    def _teach(self, path: Path) -> None:
        """Chunks are kept as they come, so that an interruption loses a minute at most."""
        part, wanted = self.work / "pairs.part.npz", self.plan.pairs
        X, Y, chunks = [], [], 0
        if part.exists():
            kept = np.load(part)
            X, Y, chunks = [kept["X"]], [kept["Y"]], int(kept["chunks"])
        count = sum(map(len, X))
        with bar("pairs") as show:
            for taught in teachers.teach(self._lesson(), self.train, self.plan.seed, self.jobs, skip=chunks):
                chunks += 1
                if taught:
                    X.append(np.array([x for x, _, _ in taught]))
                    Y.append(np.array([y for _, y, _ in taught]))
                    count += len(taught)
                show(count / wanted, f"{count:,} of {wanted:,}")
                if chunks >= 200 and count < chunks / 50:
                    raise TableError(
                        f"only {count} of {chunks * teachers.CHUNK:,} invented people can be moved to {self.plan.wanted}; "
                        "free more features in the schema"
                    )
                if chunks % 200 == 0 or count >= wanted:
                    _write_pairs(part, X, Y, chunks)
                if count >= wanted:
                    break
        part.replace(path)

    def _generator(self, pairs: Mapping[str, np.ndarray]) -> None:
        from . import generator, gguf_file
        from .vocabulary import SchemaVocabulary

        final, plain = self.work / "generator.gguf", self.work / "generator-f32.gguf"
        vocabulary = SchemaVocabulary(self.schema, self.plan.wanted)
        self.context = vocabulary.longest
        with step("generator") as say:
            if not final.exists():
                shape = generator.Shape(self.plan.width, 3 * self.plan.width, self.plan.layers, self.plan.width // 32)
                tuning = generator.Tuning(self.plan.passes, self.plan.minutes, seed=self.plan.seed)
                trainer = generator.Trainer(generator.new_model(vocabulary, shape, self.plan.seed), tuning, self.work / "generator.pt")
                tokens, labels = generator.encode(vocabulary, pairs["X"], pairs["Y"], pairs["p"])
                with bar("generator") as show:
                    loss = trainer.run(tokens, labels, lambda share, loss: show(share, f"loss {loss:.3f}"))
                gguf_file.write_gguf(trainer.model, vocabulary, plain)
                gguf_file.quantize(plain, self.work / "generator.part", self.plan.quantization)
                facts = {
                    "parameters": trainer.model.num_parameters(),
                    "loss": loss,
                    "minutes": trainer.spent / 60,
                    "vocabulary": len(vocabulary.tokens),
                }
                _write(self.work / "generator.json", json.dumps(facts, indent=1).encode())
                (self.work / "generator.part").replace(final)
            self.generator_facts: dict[str, Any] = json.loads((self.work / "generator.json").read_text())
            size = final.stat().st_size / 1e6
            say("{parameters:,} parameters, loss {loss:.3f}, {size:.1f} MB".format(size=size, **self.generator_facts))

    def _bundle(self, people: list[int]) -> Path:
        """All files but the figures, verified by opening them."""
        folder = self.work / "bundle"
        folder.mkdir(exist_ok=True)
        _write(folder / "schema.json", _pretty(self.schema.to_json()))
        _write(folder / "classifier.onnx", self.graph)
        _write(folder / "realism.onnx", self.density)
        shutil.copyfile(self.work / "generator.gguf", folder / "generator.gguf")
        _write(folder / "reference.json", _pretty(self._reference()))
        _write(folder / "samples.json", _pretty(self._samples()))
        _write(folder / "CARD.md", b"Not measured yet.\n")
        self.manifest: dict[str, Any] = {
            "name": self.plan.name, "version": "1", "title": self.about.title or self.plan.name, "created": date.today().isoformat(),
            "target": {"column": self.plan.target, "classes": list(self.train.classes), "wanted": self.plan.wanted, "threshold": THRESHOLD},
            "classifier": {
                **self.facts, "people_train": people[0], "people_test": people[1],
                "rows_train": len(self.train), "rows_test": len(self.test),
            },
            "generator": {
                "prompt": "scored", "architecture": "llama", "quantization": self.plan.quantization, "context": self.context,
                "pairs": self.plan.pairs, **self.generator_facts,
            },
            "data": {"source": self.about.source, "licence": self.about.licence, "attribution": self.about.attribution},
            "split": {"seed": self.plan.seed, "test_share": self.plan.test_share, "person": self.plan.person, "table": self.fingerprint},
            "not_for": self.about.not_for, "seed": self.plan.seed, "versions": _versions(),
        }  # fmt: skip
        write_manifest(folder, self.manifest)
        Bundle.open(folder)
        return folder

    def _reference(self) -> dict[str, Any]:
        """Aggregates of the training people; ends are left out of the quantiles, an extreme value is one person's."""
        levels = np.clip(np.linspace(0, 1, 11), 0.01, 0.99)
        quantiles, mad = {}, {}
        for i, feature in enumerate(self.schema.features):
            known = self.train.X[:, i][~np.isnan(self.train.X[:, i])]
            quantiles[feature.name] = [round(float(q), 6) for q in np.quantile(known, levels)]
            mad[feature.name] = round(float(np.median(np.abs(known - np.median(known)))), 6)
        return {"quantiles": quantiles, "mad": mad, "realism_quantiles": self.quantiles}

    def _samples(self) -> list[dict[str, Any]]:
        """A few records of test people in the unwanted class that have an answer, without ids; as many as `about` allows."""
        lesson, out = self._lesson(), list[dict[str, Any]]()
        judge = lesson.judge()
        p = judge.checker.p_target(self.test.X)
        complete = ~np.isnan(self.test.X).any(axis=1)
        rows = np.flatnonzero((p < THRESHOLD) & ~self.test.y & complete)
        for i in np.random.default_rng(self.plan.seed).permutation(rows):
            if len(out) == self.about.samples:
                break
            record = Record(self.schema, self.test.X[i])
            if teachers.answer(lesson, judge, record) is not None:
                out.append({"id": str(len(out) + 1), "values": record.to_mapping()})
        return out

    def _finish(self, folder: Path, figures: Figures, out: Path) -> None:
        self.manifest["metrics"] = {k: v for k, v in figures.to_json().items() if not k.endswith("_ms")}  # those are the machine's
        _write(folder / "CARD.md", card.text(self.manifest, self.about.notes).encode())
        write_manifest(folder, self.manifest)
        Bundle.open(folder)
        if out.exists():
            shutil.rmtree(out)
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(folder, out)


def with_references(schema: Schema, train: Cohort) -> Schema:
    """The schema with every number's reference range filled in where it states none: the 1 to 99 % range of the training
    rows, widened to the lattice. Advice stays inside it."""
    features = []
    for i, feature in enumerate(schema.features):
        known = train.X[:, i][~np.isnan(train.X[:, i])]
        if not known.size:
            raise TableError(f"{feature.name} is unknown in every training row; leave it out of the schema")
        if feature.kind == "number" and feature.reference is None:
            low, high = (feature.lattice[feature.nearest(q)] for q in np.quantile(known, [0.01, 0.99]))
            feature = replace(feature, reference=(float(low), float(high)))
        features.append(feature)
    return Schema(tuple(features), schema.relations)


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.replace(path)


def _write_pairs(path: Path, X: list[np.ndarray], Y: list[np.ndarray], chunks: int) -> None:
    part = path.with_suffix(".tmp.npz")
    np.savez(part, X=np.concatenate(X), Y=np.concatenate(Y), chunks=chunks)
    part.replace(path)


def _pretty(data: Any) -> bytes:
    return (json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode()


def _versions() -> dict[str, str]:
    names = ("sensecf-edge", "llama-cpp-python", "onnxruntime", "scikit-learn", "skl2onnx", "torch", "transformers", "gguf")
    return {name: version(name) for name in names}


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
    **sizes: Any,
) -> Figures:
    """The whole fit. `sizes` are fields of Plan (pairs, passes, minutes, …); None means the default. Raises TableError,
    SchemaError before anything long begins."""
    name = name or out.name
    if out.exists() and not ((out / MANIFEST).is_file() or (out.is_dir() and not any(out.iterdir()))):
        raise TableError(f"{out} is there already and is no bundle; it would be replaced, so name another folder")
    given = {k: v for k, v in sizes.items() if v is not None}
    plan = Plan(name=name, target=target, wanted=wanted, person=person, seed=seed, **given)
    jobs = max(1, os.cpu_count() or 1)
    job = Fit(table, Schema.load(schema_file), plan, About.load(about), work or Path("fit-work") / name, jobs)
    return job.run(out)
