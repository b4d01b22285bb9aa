"""manifest.json of a bundle: what it must say, parsed strictly. `bundle` holds the folder against it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..answer.basis import Group
from ..answer.risk import TRAINING, RiskScale
from ..errors import BundleError
from ..propose.prompt import STYLES
from ..schema.parsing import strict
from .json_object import MANIFEST as MANIFEST
from .json_object import REBUILD as REBUILD
from .json_object import JsonObject
from .shared import SharedWeights

FORMAT, READ = 2, (1, 2)
"""The bundle format that is written, and those that are read. Format 1 had an ONNX graph for its density."""
SCHEMA, CLASSIFIER, GENERATOR = "schema.json", "classifier.onnx", "generator.gguf"
REFERENCE, DENSITY, SAMPLES, CARD = "reference.json", "density.json", "samples.json", "CARD.md"
REALISM = "realism.onnx"
POPULATION = "population.json"
"""How ordinary records are among all training people; not in bundles of earlier versions."""
ADAPTER = "adapter.gguf"
SIGNATURE = "model.sig"
CHAT, RAW = "chat", "raw"
RIVALS = tuple(f"rival-{k}.onnx" for k in (1, 2, 3))
"""Other classifiers as good as the bundle's own: a second opinion on answers, never their judge."""
FILES = (SCHEMA, CLASSIFIER, GENERATOR, REFERENCE, DENSITY, SAMPLES, CARD)
FILES_1 = tuple(REALISM if name == DENSITY else name for name in FILES)


@dataclass(frozen=True)
class FileEntry:
    """What the manifest says of one file: sha256 in hex, size in bytes."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Target:
    """`classes` stand in the order of the classifier's output columns; `threshold` (0..1) is on the wanted class."""

    column: str
    classes: tuple[str, ...]
    wanted: str
    threshold: float

    @property
    def index(self) -> int:
        """The classifier's output column of the wanted class."""
        return self.classes.index(self.wanted)

    @property
    def unwanted(self) -> str:
        """The other class by name; 'not <wanted>' where there are several."""
        others = [c for c in self.classes if c != self.wanted]
        return others[0] if len(others) == 1 else f"not {self.wanted}"


@dataclass(frozen=True)
class ClassifierFacts:
    """How well the classifier tells people apart. `auc` is on unseen people, None where it was not measured;
    `wanted_share` (0..1) of the training rows, `class_weights` in words."""

    auc: float | None
    kind: str
    people_train: int | None
    people_test: int | None
    rows_train: int | None
    rows_test: int | None
    wanted_share: float | None = None
    class_weights: str = ""


@dataclass(frozen=True)
class GeneratorFacts:
    """How to speak to the generator: the style of prompt, its context length in tokens, whether it was tuned with hints; `weights` are
    those that it shares with other bundles, an adapter.gguf over them or none. `none`: the bundle has no generator, search answers.
    `untuned`: a general model, asked as `--generator` would ask it, CHAT in its own template or RAW without."""

    prompt: str
    context: int
    architecture: str
    parameters: int | None
    quantization: str
    hints: bool = False
    weights: SharedWeights | None = None
    none: bool = False
    untuned: str = ""


@dataclass(frozen=True)
class DataFacts:
    """Where the training table came from, under which licence, and of which time it is."""

    source: str
    licence: str
    attribution: str
    dates: str = ""


@dataclass(frozen=True)
class Manifest:
    """manifest.json, parsed. `split`, `metrics` and `versions` are free; keys unknown to this version are left out."""

    name: str
    files: Mapping[str, FileEntry]
    schema_hash: str
    features: tuple[str, ...]
    target: Target
    classifier: ClassifierFacts
    generator: GeneratorFacts
    data: DataFacts
    version: str
    title: str
    created: str
    not_for: str
    seed: int | None
    split: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, Any] = field(default_factory=dict)
    risk: RiskScale | None = None
    groups: tuple[Group, ...] = ()
    intended: str = ""

    @classmethod
    def from_json(cls, data: Any) -> Manifest:
        """Parse. Raises BundleError naming the key; the format number is judged before anything else."""
        if not isinstance(data, dict):
            raise BundleError(f"{MANIFEST} is not a JSON object; {REBUILD}")
        _check_format(data.get("format"))
        top = JsonObject(data, "")
        return cls(
            name=top.text("name"),
            files=_files(top),
            schema_hash=top.text("schema_hash"),
            features=top.texts("features"),
            target=_target(top.part("target")),
            classifier=_classifier(top.part("classifier")),
            generator=_generator(top.part("generator")),
            data=_data(top.part("data")),
            version=top.text("version", ""),
            title=top.text("title", ""),
            created=top.text("created", ""),
            not_for=top.text("not_for", ""),
            seed=top.whole("seed"),
            split=top.take("split", dict, {}),
            metrics=top.take("metrics", dict, {}),
            versions=top.take("versions", dict, {}),
            risk=_risk(top.part("risk")) if top.data.get("risk") is not None else None,
            intended=top.text("intended", ""),
            groups=tuple(_group(top, k, item) for k, item in enumerate(top.take("groups", list, []))),
        )


def parse_json(data: bytes, what: str) -> Any:
    """Strict JSON: UTF-8, no NaN or Infinity, no key twice. Raises BundleError naming the file."""
    try:
        return strict(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{what} is not JSON: {error}; {REBUILD}") from error


def _check_format(number: Any) -> None:
    if number in READ and isinstance(number, int) and not isinstance(number, bool):
        return
    reads = f"this version of sensecf-edge reads formats {READ[0]} to {FORMAT}"
    if isinstance(number, int) and number > FORMAT:
        raise BundleError(f"{MANIFEST} has bundle format {number}, {reads}; upgrade with `pip install --upgrade sensecf-edge`")
    raise BundleError(f"{MANIFEST} has bundle format {number!r}, {reads}; {REBUILD}")


def _target(part: JsonObject) -> Target:
    target = Target(part.text("column"), part.texts("classes"), part.text("wanted"), float(part.take("threshold", (int, float))))
    if len(target.classes) < 2:
        raise part.wrong("classes")
    if target.wanted not in target.classes:
        raise part.wrong("wanted")
    if not 0 < target.threshold < 1:
        raise part.wrong("threshold")
    return target


def _classifier(part: JsonObject) -> ClassifierFacts:
    if "auc" not in part.data:
        raise BundleError(f"{MANIFEST}: classifier.auc is missing (null where it was not measured); {REBUILD}")
    auc = part.take("auc", (int, float), None)
    if auc is not None and not 0 <= auc <= 1:
        raise part.wrong("auc")
    people_train, people_test, rows_train, rows_test = map(part.whole, ("people_train", "people_test", "rows_train", "rows_test"))
    share = part.take("wanted_share", (int, float), None)
    return ClassifierFacts(
        None if auc is None else float(auc), part.text("kind", ""), people_train, people_test, rows_train, rows_test,
        None if share is None else float(share), part.text("class_weights", ""),
    )  # fmt: skip


def _risk(part: JsonObject) -> RiskScale:
    intercept, slope, rate = (float(part.take(key, (int, float))) for key in ("intercept", "slope", "base_rate"))
    if not math.isfinite(intercept):
        raise part.wrong("intercept")
    if not 0 < slope < math.inf:
        raise part.wrong("slope")
    if not 0 < rate < 1:
        raise part.wrong("base_rate")
    return RiskScale(intercept, slope, rate, TRAINING)


def _group(top: JsonObject, k: int, item: Any) -> Group:
    """How well the model did on unseen people of one group."""
    if not isinstance(item, dict):
        raise top.wrong("groups")
    part = JsonObject(item, f"groups[{k}].")
    numbers: dict[str, float | None] = {}
    for name in ("low", "high", "auc", "auc_low", "auc_high", "seen_low", "seen_high", "told", "seen"):
        value = part.take(name, (int, float), None)
        if value is not None and not (math.isfinite(value) and (name in ("low", "high") or 0 <= value <= 1)):
            raise part.wrong(name)
        numbers[name] = None if value is None else float(value)
    rows, told, seen = part.whole("rows"), numbers.pop("told"), numbers.pop("seen")
    if rows is None or told is None or seen is None:
        raise BundleError(f"{MANIFEST}: groups[{k}] lacks rows, told or seen; {REBUILD}")
    return Group(part.text("feature"), part.text("label"), rows, told, seen, people=part.whole("people"), **numbers)


def _generator(part: JsonObject) -> GeneratorFacts:
    if part.data.get("none") not in (None, True, False):
        raise part.wrong("none")
    if part.data.get("none"):
        return GeneratorFacts(next(iter(STYLES)), 1, "", None, "", none=True)
    prompt, context = part.text("prompt"), int(part.take("context", int))
    if context < 1:
        raise part.wrong("context")
    if prompt not in STYLES:
        raise BundleError(f"{MANIFEST}: generator.prompt {prompt!r} is not known; this version has {', '.join(STYLES)}")
    hints = part.data.get("hints", False)
    if not isinstance(hints, bool):
        raise part.wrong("hints")
    weights = SharedWeights.of(part.part("weights")) if part.data.get("weights") is not None else None
    untuned = part.text("untuned", "")
    if untuned not in ("", CHAT, RAW) or (untuned and weights is None):
        raise part.wrong("untuned")
    return GeneratorFacts(
        prompt, context, part.text("architecture", ""), part.whole("parameters"), part.text("quantization", ""), hints, weights,
        untuned=untuned,
    )  # fmt: skip


def without_file(generator: Mapping[str, Any]) -> bool:
    """Whether a manifest's generator has no file of its own in the bundle: it is shared with others, or there is none."""
    return generator.get("weights") is not None or generator.get("none") is True


def _data(part: JsonObject) -> DataFacts:
    return DataFacts(part.text("source"), part.text("licence"), part.text("attribution", ""), part.text("dates", ""))


def _files(top: JsonObject) -> dict[str, FileEntry]:
    """Plain names of files beside the manifest, each with hash and size; the required ones are all there."""
    files = {}
    for name, item in top.take("files", dict).items():
        if not _plain(name):
            raise BundleError(f"{MANIFEST} lists {name!r}, which leads out of the bundle's folder or could; do not use this bundle")
        if not isinstance(item, dict):
            raise BundleError(f"{MANIFEST}: files.{name} is not an object with sha256 and bytes; {REBUILD}")
        part = JsonObject(item, f"files.{name}.")
        files[name] = FileEntry(part.text("sha256"), int(part.take("bytes", int)))
        if not re.fullmatch("[0-9a-f]{64}", files[name].sha256):
            raise part.wrong("sha256")
    shared = isinstance(generator := top.data.get("generator"), dict) and without_file(generator)
    missing = [n for n in (FILES_1 if top.data["format"] == 1 else FILES) if n not in files and not (shared and n == GENERATOR)]
    if missing:
        raise BundleError(f"{MANIFEST} does not list {', '.join(missing)}; {REBUILD}")
    return files


def _plain(name: str) -> bool:
    """True for a name that can only mean a file in the same folder, on any system."""
    return name.isprintable() and not set(name) & set('/\\:*?"<>|') and name not in ("", ".", "..", MANIFEST)
