"""A model folder opened safely: parse the manifest, audit every file against it, and only then build anything.

Nothing here imports llama_cpp or onnxruntime. What they get later are the bytes that were hashed, and a GGUF that is still the file that
was (`hashing`). Hashes say that a bundle is whole, not where it is from: whoever changes
a file can write its hash into the manifest. Who a bundle is from a signature says (`signature`), or `Bundle.hash` where its
maker told you that on another way.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import BundleError, SchemaError
from ..judge.density import Density
from ..schema.schema import Schema
from .audit import audited, beginning, entry_of
from .manifest import (
    ADAPTER,
    CARD,
    CLASSIFIER,
    DENSITY,
    FILES,
    FORMAT,
    GENERATOR,
    MANIFEST,
    POPULATION,
    REALISM,
    REBUILD,
    REFERENCE,
    RIVALS,
    SAMPLES,
    SCHEMA,
    SIGNATURE,
    Manifest,
    parse_json,
    without_file,
)
from .reference import Reference
from .required import REQUIRED
from .shared import SharedWeights

MAX_TEXT, MAX_GRAPH = 4_000_000, 256 << 20
"""Bytes of a file that is held in memory: a text, or a graph, whose weights have no more room in onnxruntime either."""


@dataclass(frozen=True)
class Sample:
    """A made-up or published record to try the bundle on; `values` have not been checked against the schema."""

    id: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Bundle:
    """An audited bundle. Make one with `Bundle.open`. `hash` is the sha256 of manifest.json, which covers every file.

    `density` is None in a bundle of format 1, which has an ONNX graph instead. `population` says how ordinary records are among all
    training people; None in bundles that do not know.
    """

    folder: Path
    manifest: Manifest
    hash: str
    schema: Schema
    reference: Reference
    samples: tuple[Sample, ...]
    card: str
    density: Density | None
    population: Density | None
    _classifier: bytes = field(repr=False)
    _realism: bytes | None = field(repr=False)
    _rivals: tuple[bytes, ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        """The bundle's own name, as the manifest has it."""
        return self.manifest.name

    @property
    def generator_path(self) -> Path:
        """The GGUF whose hash held when the bundle was opened: its own, or one that it shares with other bundles. Raises BundleError where
        the bundle has no generator."""
        if self.manifest.generator.none:
            raise BundleError(f"{self.name} has no generator; its answers come from the search alone")
        return self._shared.path if self._shared else self.folder / GENERATOR

    @property
    def _shared(self) -> SharedWeights | None:
        return None if GENERATOR in self.manifest.files else self.manifest.generator.weights

    @property
    def generator_sha256(self) -> str:
        """What the generator's file must still be when it is opened."""
        return self._shared.sha256 if self._shared else self.manifest.files[GENERATOR].sha256

    @property
    def generator_bytes(self) -> int:
        """The size of that file; 0 without a generator."""
        if self.manifest.generator.none:
            return 0
        return self._shared.bytes if self._shared else self.manifest.files[GENERATOR].bytes

    @property
    def adapter_path(self) -> Path | None:
        """The LoRA adapter that goes over the generator, where the bundle lists one; its hash held, too."""
        return self.folder / ADAPTER if ADAPTER in self.manifest.files else None

    def classifier_bytes(self) -> bytes:
        """The classifier's ONNX: the bytes that were hashed."""
        return self._classifier

    def realism_bytes(self) -> bytes | None:
        """The density model's ONNX in a bundle of format 1, which has no `density`: the bytes that were hashed."""
        return self._realism

    def rivals_bytes(self) -> tuple[bytes, ...]:
        """Other classifiers as good as the bundle's own, where it lists some: the bytes that were hashed."""
        return self._rivals

    @property
    def unlisted(self) -> list[str]:
        """Names in the folder that the manifest does not list, a signature left out. They are never read."""
        return sorted(set(os.listdir(self.folder)) - set(self.manifest.files) - {MANIFEST, SIGNATURE})

    @property
    def hashes(self) -> dict[str, str]:
        """The sha256 of every file that is read, the manifest's among them."""
        return {MANIFEST: self.hash, **{name: entry.sha256 for name, entry in self.manifest.files.items()}}

    @classmethod
    def open(cls, name_or_path: str | Path) -> Bundle:
        """Open a shipped bundle by name, or a folder by path; where `required.REQUIRED` names keys, one that they signed.

        Raises BundleError naming the file and what differs.
        """
        folder = find(name_or_path)
        manifest, digest = read_manifest(folder)
        texts = (SCHEMA, REFERENCE, SAMPLES, CARD, DENSITY, POPULATION)
        most = dict.fromkeys(texts, MAX_TEXT) | dict.fromkeys((CLASSIFIER, REALISM, *RIVALS), MAX_GRAPH)
        contents = {n: audited(folder, n, e, most.get(n)) for n, e in manifest.files.items()}
        if (shared := manifest.generator.weights) is not None and GENERATOR not in contents:
            shared.audit()
        schema = _schema(contents[SCHEMA], manifest)
        density = None if DENSITY not in contents else Density.from_json(parse_json(contents[DENSITY], DENSITY), schema)
        everybody = contents.get(POPULATION) if density else None
        bundle = cls(
            folder=folder,
            manifest=manifest,
            hash=digest,
            schema=schema,
            reference=Reference.from_json(parse_json(contents[REFERENCE], REFERENCE), schema, density is None),
            samples=_samples(parse_json(contents[SAMPLES], SAMPLES)),
            card=contents[CARD].decode("utf-8", "replace"),
            density=density,
            population=density.of_everybody(parse_json(everybody, POPULATION), POPULATION) if density and everybody else None,
            _classifier=contents[CLASSIFIER],
            _realism=contents.get(REALISM) if density is None else None,
            _rivals=tuple(contents[name] for name in RIVALS if name in contents),
        )
        if REQUIRED.keys is not None:
            from .signature import check, trusted  # needed by few

            check(bundle.name, folder, bundle.hashes, trusted(REQUIRED.keys))
        return bundle

    @staticmethod
    def available() -> list[tuple[str, Path]]:
        """Shipped bundles as (name, folder), by name. Their files are not looked at."""
        found = {p.parent.name: p.parent for root in reversed(_roots()) for p in root.glob(f"*/{MANIFEST}")}
        return sorted(found.items())


def find(name_or_path: str | Path) -> Path:
    """The folder that is meant: a shipped name first, so that no folder in the working directory can pose as one.

    Raises BundleError listing the names there are.
    """
    shipped = dict(Bundle.available())
    text = str(name_or_path)
    if isinstance(name_or_path, str) and text in shipped:
        return shipped[text]
    names = f"shipped models: {', '.join(shipped) or 'none'}"
    as_path = isinstance(name_or_path, Path) or any(s in text for s in (os.sep, os.altsep) if s) or (text and Path(text).is_dir())
    if not as_path:
        raise BundleError(f"no model is called {text!r} ({names}); give one of these names or the path of a bundle's folder")
    folder = Path(text)
    if not folder.is_dir():
        raise BundleError(f"there is no folder {text} ({names}); give a bundle's folder or one of these names")
    if not (folder / MANIFEST).exists():
        raise BundleError(f"{text} has no {MANIFEST}, so it is no bundle ({names})")
    return folder


def read_manifest(folder: Path) -> tuple[Manifest, str]:
    """The parsed manifest and its sha256; no other file is looked at. Raises BundleError."""
    data = beginning(folder, folder / MANIFEST, MAX_TEXT + 1)
    if len(data) > MAX_TEXT:
        raise BundleError(f"{MANIFEST} holds over {MAX_TEXT:,} bytes; {REBUILD}")
    return Manifest.from_json(parse_json(data, MANIFEST)), hashlib.sha256(data).hexdigest()


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> Path:
    """Write manifest.json last, over the files that lie in the folder: format, hashes, sizes, schema hash, feature order.

    What the folder itself can say is taken from it; everything else comes from `manifest`. An adapter.gguf, rivals and a
    population.json in the folder are listed, too. Raises BundleError where a file is missing or a key the runtime needs is.
    """
    needed = [name for name in FILES if name != GENERATOR or not without_file(manifest.get("generator", {}))]
    missing = [name for name in needed if not (folder / name).is_file()]
    if missing:
        raise BundleError(f"{folder} lacks {', '.join(missing)}; a bundle is written before its manifest")
    schema = Schema.load(folder / SCHEMA)
    present = (*needed, *(name for name in (ADAPTER, POPULATION, *RIVALS) if (folder / name).is_file()))
    entries = {name: entry_of(folder / name) for name in present}
    files = {name: dataclasses.asdict(entry) for name, entry in entries.items()}
    whole = {"format": FORMAT, **manifest, "files": files, "schema_hash": schema.hash, "features": list(schema.names)}
    Manifest.from_json(whole)
    part = folder / f"{MANIFEST}.part"
    part.write_text(json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    return part.replace(folder / MANIFEST)


def _roots() -> list[Path]:
    """Where shipped bundles lie: inside the package (wheel), else beside it (source checkout)."""
    package = Path(__file__).resolve().parents[1]
    checkout = [package.parent / "models"] if (package.parent / "pyproject.toml").is_file() else []
    return [package / "models", *checkout]


def _schema(data: bytes, manifest: Manifest) -> Schema:
    """The schema, if it is the one the models were made for."""
    try:
        schema = Schema.from_json(parse_json(data, SCHEMA))
    except SchemaError as error:
        raise BundleError(f"{SCHEMA} is not a schema: {error}; {REBUILD}") from error
    if schema.names != manifest.features:
        at = next((i for i, (a, b) in enumerate(zip(schema.names, manifest.features, strict=False)) if a != b), None)
        differ = (
            f"{len(schema.names)} features, the manifest {len(manifest.features)}"
            if at is None
            else f"{schema.names[at]!r} as feature {at + 1}, the manifest {manifest.features[at]!r}"
        )
        raise BundleError(f"the order of features differs: {SCHEMA} has {differ}; the classifier would read swapped columns. {REBUILD}")
    if schema.hash != manifest.schema_hash:
        raise BundleError(
            f"{SCHEMA} is not the one this bundle was built with: hash {schema.hash[:12]}…, "
            f"the manifest says {manifest.schema_hash[:12]}…; {REBUILD}"
        )
    return schema


def _samples(data: Any) -> tuple[Sample, ...]:
    if not isinstance(data, list):
        raise BundleError(f"{SAMPLES} is not a list; {REBUILD}")
    for i, item in enumerate(data):
        if not isinstance(item, dict) or not isinstance(item.get("id"), str) or not isinstance(item.get("values"), dict):
            raise BundleError(f"{SAMPLES}: sample {i + 1} is not an object with id and values; {REBUILD}")
    return tuple(Sample(item["id"], item["values"]) for item in data)
