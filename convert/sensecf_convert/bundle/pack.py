"""The last step of a fit: models, schema and aggregates become a bundle that opens."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from sensecf_edge.bundle.bundle import Bundle, write_manifest
from sensecf_edge.bundle.manifest import ADAPTER, GENERATOR, MANIFEST, POPULATION, RIVALS
from sensecf_edge.errors import TableError
from sensecf_edge.judge.density import Density
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.schema import Schema

from ..classifier.threshold import chosen, goal_of, risk_of
from ..density import fitting
from ..plan import About, FitPlan
from ..table.cohort import Cohort
from ..teachers import classroom
from ..teachers.lesson import Lesson
from ..work import write

OF_THE_MACHINE = ("minutes", "resumed_at", "memory")
"""Facts of a training that say something of the machine and not of the model: they stay in the work folder."""


@dataclass(frozen=True)
class Contents:
    """What a bundle is made of. `classifier` and `generator` are facts for the manifest; `generator_file` a GGUF;
    `rivals` other classifiers as good, as ONNX, three at most; `population` is population.json; with an
    `adapter` that is held instead of a GGUF of its own. No `generator_file`: the bundle has no generator."""

    schema: Schema
    lesson: Lesson
    classifier: dict[str, Any]
    generator: dict[str, Any]
    generator_file: Path | None
    train: Cohort
    test: Cohort
    table: str
    rivals: tuple[bytes, ...] = ()
    population: bytes | None = None
    adapter: Path | None = None

    @property
    def people(self) -> tuple[int | None, int | None]:
        """People to train and to test, None where the table does not name them."""
        return self.train.people, self.test.people


def pack(folder: Path, plan: FitPlan, about: About, inside: Contents) -> dict[str, Any]:
    """Write the bundle, all but its figures, and open it once. Returns the manifest's entries for `write_manifest`."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    lesson, typical = inside.lesson, inside.lesson.realism
    assert isinstance(typical, Density)  # what `fitting.fit` made
    write(folder / "schema.json", pretty_json(inside.schema.to_json()))
    write(folder / "classifier.onnx", lesson.classifier)
    write(folder / "density.json", fitting.packed(typical.to_json()))
    if inside.population is not None:
        write(folder / POPULATION, inside.population)
    for name, graph in zip(RIVALS, inside.rivals, strict=False):
        write(folder / name, graph)
    if adapter := inside.adapter:
        shutil.copyfile(adapter, folder / ADAPTER)
    elif inside.generator_file is not None and not inside.generator.get("untuned"):
        shutil.copyfile(inside.generator_file, folder / GENERATOR)
    write(folder / "reference.json", pretty_json(_reference(inside)))
    write(folder / "samples.json", pretty_json(_samples(inside, about.samples, plan.seed)))
    write(folder / "CARD.md", b"Not measured yet.\n")
    manifest = _manifest(plan, about, inside)
    write_manifest(folder, manifest)
    Bundle.open(folder)
    return manifest


def _manifest(plan: FitPlan, about: About, inside: Contents) -> dict[str, Any]:
    people = inside.people
    generator = {k: v for k, v in inside.generator.items() if k not in OF_THE_MACHINE}
    if generator.get("untuned"):
        generator["quantization"] = "as given"
    elif not generator.get("none"):
        kind = "as given" if inside.adapter else plan.quantization
        generator |= {"quantization": kind, "pairs": plan.pairs, "teachers": list(plan.teachers)}
    return {
        "name": plan.name, "version": "1", "title": about.title or plan.name, "created": date.today().isoformat(),
        "target": {"column": plan.target, "classes": list(inside.train.classes), "wanted": plan.wanted,
                   "threshold": inside.lesson.threshold, **({"chosen": asked} if (asked := chosen(plan)) else {})},
        "risk": risk_of(inside.classifier),
        "classifier": {
            **{k: v for k, v in inside.classifier.items() if k != "risk"}, "people_train": people[0], "people_test": people[1],
            "rows_train": len(inside.train), "rows_test": len(inside.test),
        },
        "generator": generator,
        "data": {"source": about.source, "licence": about.licence, "attribution": about.attribution} | stated(about),
        "split": {"seed": plan.seed, "test_share": plan.test_share, "final_share": plan.final_share, "person": plan.person,
                  "table": inside.table},
        **({"intended": about.intended} if about.intended else {}), "not_for": about.not_for, "seed": plan.seed, "versions": versions(),
    }  # fmt: skip


def stated(about: About) -> dict[str, str]:
    """Of which time the data are, where somebody says."""
    return {"dates": about.dates} if about.dates else {}


def free_or_own(out: Path, bundle: Bundle) -> Path:
    """`out`, where it is free or the bundle's own folder. Raises TableError elsewhere."""
    if out.exists() and out.resolve() != bundle.folder.resolve():
        raise TableError(f"{out} is there already; name another folder, or the bundle's own")
    return out


@contextmanager
def copied(bundle: Bundle, out: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A copy of a bundle, with its manifest, to change and write; it takes the place of `out` once it opens. Raises BundleError."""
    manifest: dict[str, Any] = json.loads((bundle.folder / MANIFEST).read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "bundle"
        folder.mkdir()
        for name in (*bundle.manifest.files, MANIFEST):
            shutil.copyfile(bundle.folder / name, folder / name)
        yield folder, manifest
        Bundle.open(folder)
        publish(folder, out)


def publish(folder: Path, out: Path) -> None:
    """A copy of the bundle at `out`. What lies there goes only when the new one lies complete beside it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    new, old = (out.with_name(f".{out.name}.{part}") for part in ("new", "old"))
    for left_behind in (new, old):
        shutil.rmtree(left_behind, ignore_errors=True)
    shutil.copytree(folder, new)
    if out.exists():
        out.replace(old)
    new.replace(out)
    shutil.rmtree(old, ignore_errors=True)


def _reference(inside: Contents) -> dict[str, Any]:
    """Aggregates of the training people's numbers; ends are left out of the quantiles, an extreme value is one person's."""
    levels = np.clip(np.linspace(0, 1, 11), 0.01, 0.99)
    quantiles, mad = {}, {}
    for i, feature in enumerate(inside.schema.features):
        if feature.kind == "choice":
            continue  # a place in a list is no number
        known = inside.train.X[:, i][~np.isnan(inside.train.X[:, i])]
        quantiles[feature.name] = [round(float(q), 6) for q in np.quantile(known, levels)]
        mad[feature.name] = round(float(np.median(np.abs(known - np.median(known)))), 6)
    return {"quantiles": quantiles, "mad": mad}


def _samples(inside: Contents, count: int, seed: int) -> list[dict[str, Any]]:
    """A few records of test people in the unwanted class that have an answer with the margin, without ids; as many as `count` allows."""
    out = list[dict[str, Any]]()
    lesson, test = inside.lesson, inside.test
    lesson = replace(lesson, goals=tuple(goal for goal in lesson.goals if goal >= goal_of(lesson.threshold) - 1e-9))
    judge = lesson.judge()
    p = judge.checker.p_target(test.X)
    complete = ~np.isnan(test.X).any(axis=1)
    rows = np.flatnonzero((p < lesson.threshold) & ~test.y & complete)
    for i in np.random.default_rng(seed).permutation(rows):
        if len(out) == count:
            break
        record = Record(inside.schema, test.X[i])
        if classroom.answer(lesson, judge, record) is not None:
            out.append({"id": str(len(out) + 1), "values": record.to_mapping()})
    return out


def pretty_json(data: Any) -> bytes:
    """JSON for people."""
    return (json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode()


def versions() -> dict[str, str]:
    """Of everything a bundle was made with."""
    runtime = ("sensecf-edge", "llama-cpp-python", "onnxruntime")
    found = {}
    for name in (*runtime, "scikit-learn", "skl2onnx", "xgboost", "torch", "transformers", "peft", "gguf"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
