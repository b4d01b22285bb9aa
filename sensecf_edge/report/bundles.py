"""Bundles -> words and tables for people: what there is, and what one model is, needs and must not be used for. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..answer.risk import RiskScale
from ..bundle.bundle import Bundle, read_manifest
from ..bundle.manifest import Manifest
from ..bundle.risk_scale import scale_of
from ..errors import SenseCFError
from ..schema.feature import Feature, number_text
from ..schema.schema import Schema
from ..settings import WEAK_AUC
from .phrases import auc_text, base_text, class_text, percent, rate_text
from .rendering import columns, drawn, hanging
from .wording import plain


def overview(shipped: Sequence[tuple[str, Path]], **look: Any) -> str:
    """One line a model, from its manifest; files are not hashed. A damaged manifest is said to be one."""
    rows = [(name, *_summary(folder)) for name, folder in shipped]
    if not rows:
        return "No models are shipped with this installation. Give explain a bundle's folder: --model PATH\n"
    table = columns(("Model", "What it moves", "AUC", "Size", "Licence"), right=("AUC", "Size"), rows=rows)
    return drawn([table, "More: sensecf-edge models show MODEL"], **look)


def _summary(folder: Path) -> tuple[str, str, str, str]:
    try:
        manifest, _ = read_manifest(folder)
    except SenseCFError as error:
        return plain(f"damaged: {error}"), "", "", ""
    size = sum(entry.bytes for entry in manifest.files.values()) / 1e6
    shared = f" + {manifest.generator.weights.bytes / 1e6:.0f}" if manifest.generator.weights else ""
    what = f"{_class(manifest, manifest.target.unwanted)} → {_class(manifest, manifest.target.wanted)}"
    if manifest.title:
        what = f"{manifest.title} ({what})"
    return plain(what), _auc(manifest), f"{size:.1f}{shared} MB", plain(manifest.data.licence)


def page(bundle: Bundle, base_rate: float | None = None, **look: Any) -> str:
    """Everything a user of one model should know, without hashes and paths; its risks at `base_rate` where one is given."""
    m, schema = bundle.manifest, bundle.schema
    told = facts(bundle, base_rate)
    if bundle.samples:
        told["Samples"] = f"1 to {len(bundle.samples)}: sensecf-edge explain --sample 1 --model {_handle(bundle)}"
    rows = [(f.name, f.title if f.title != f.name else "", f.allowed(), _may(f, f.name in schema.completed)) for f in schema.features]
    parts: list[Any] = [plain(m.title or bundle.name), ""]
    parts += [hanging(f"{key:<11}", value) for key, value in told.items()]
    parts += [columns(("Feature", "What", "Allowed", "May change"), right=(), rows=[tuple(map(plain, row)) for row in rows])]
    parts += [f"Always true: {plain(relation.sentence())}" for relation in schema.relations]
    why = [(f.title, text) for f in schema.features for text in _sources(schema, f)]
    parts += [*(["", "Where that comes from:"] if why else []), *(hanging("  ", plain(f"{title}: {text}")) for title, text in why)]
    return drawn(parts, **look)


def facts(bundle: Bundle, base_rate: float | None = None) -> dict[str, str]:
    """What one should know of a model, heading -> sentence; only what is known."""
    m = bundle.manifest
    told = {
        "Moves": f"{_class(m, m.target.unwanted)} → {_class(m, m.target.wanted)}",
        "Risk": _risk(m, scale_of(m, bundle.schema.base_rate, base_rate)),
        "Classifier": _classifier(m),
        "Generator": _generator(m),
        "Measured": _measured(m),
        "Data": _joined(m.data.source, m.data.dates, m.data.licence, m.data.attribution),
        "Meant for": m.intended,
        "Not for": m.not_for,
        "Bundle": _joined(f"version {m.version}" if m.version else "", m.created, bundle.hash[:12]),
    }
    return {key: plain(value) for key, value in told.items() if value}


def _generator(manifest: Manifest) -> str:
    facts = manifest.generator
    if facts.none:
        return "none: the search alone answers"
    if facts.untuned and facts.weights:
        return f"{facts.weights.name}, as it comes: a general model, not tuned on this schema"
    over = f"an adapter over the weights of {facts.weights.name} ({facts.weights.bytes / 1e6:.0f} MB)" if facts.weights else ""
    return _joined(over or facts.architecture, facts.quantization, _parameters(manifest), f"prompt style {facts.prompt}")


def _handle(bundle: Bundle) -> str:
    """What `--model` takes to open this very bundle."""
    return next((name for name, folder in Bundle.available() if folder.resolve() == bundle.folder.resolve()), str(bundle.folder))


def _class(manifest: Manifest, name: str) -> str:
    return class_text(name, manifest.target.column)


def _risk(manifest: Manifest, scale: RiskScale) -> str:
    """Up to which risk the wanted class is predicted, the base rate, and how true risks were on rows it has not seen."""
    target, threshold = manifest.target, scale.risk(manifest.target.threshold)
    base = base_text(scale.base_rate, scale.source)
    said = [f"{_class(manifest, target.wanted)} is predicted up to a risk of {rate_text(threshold)} ({base})"]
    figures = manifest.metrics.get("calibration")
    if isinstance(figures, dict) and isinstance(figures.get("ppv"), int | float):
        of = f"of {figures.get('predicted')} rows predicted {_class(manifest, target.unwanted)}"
        said.append(f"{of}, {percent(figures['ppv'])} were, on {_unit(manifest)} it has not seen")
    return "; ".join(said)


def _auc(manifest: Manifest) -> str:
    auc = manifest.classifier.auc
    return "unknown" if auc is None else f"{auc_text(auc)}{' weak' if auc < WEAK_AUC else ''}"


def _classifier(manifest: Manifest) -> str:
    facts = manifest.classifier
    measured = manifest.metrics.get("people")
    unseen = measured if isinstance(measured, int) else facts.people_test
    people = f"{facts.people_train} people in training, {unseen} unseen" if facts.people_train is not None else ""
    return _joined(facts.kind, f"AUC {_auc(manifest)} on unseen {_unit(manifest)}", people)


def _unit(manifest: Manifest) -> str:
    """What is counted: rows where the table named no people."""
    return "rows" if manifest.classifier.people_train is None else "people"


def _parameters(manifest: Manifest) -> str:
    count = manifest.generator.parameters
    return "" if count is None else f"{count / 1e6:.1f} M parameters"


def _may(feature: Feature, completed: bool) -> str:
    """Whether advice may change it, how, and whether a record may lack it."""
    how = WAYS[feature.direction] + (", finding" if feature.role == "marker" else "")
    how += ", by the moves listed" if feature.moves else ""
    may = "follows others" if completed else how if feature.mutable else "no"
    return may + ("; may be unknown" if feature.optional else "")


WAYS = {"either": "yes", "increase": "only up", "decrease": "only down"}


def _sources(schema: Schema, feature: Feature) -> Iterator[str]:
    """Why a feature moves that way, what is advised and to whom, and how far one reading may be off; each with its source."""
    if feature.direction_source and feature.mutable:
        yield feature.direction_source
    if feature.advise_source:
        to = f"advised {_range(feature, feature.advise)}" if feature.advise else "advised"
        whom = f"to whom it stands at {_range(feature, feature.advise_for)}" if feature.advise_for else ""
        others = " and ".join(f"{name} is {_among(schema[name], among)}" for name, among in feature.advise_if)
        yield f"{' '.join(filter(None, (to, whom, others and f'where {others}')))}. {feature.advise_source}"
    if feature.error_source:
        share, size = feature.relative_error, number_text(feature.error or 0)
        error = f"{number_text(round(100 * share, 4))} % of it" if share is not None else f"{size} {feature.unit}".rstrip()
        yield f"a reading errs by {error}. {feature.error_source}"


def _among(feature: Feature, among: tuple[Any, ...]) -> str:
    return " or ".join(among) if feature.kind == "choice" else _range(feature, (among[0], among[1]))


def _range(feature: Feature, ends: tuple[float, float]) -> str:
    """A range of values in words, without an end that is the feature's own."""
    low, high = (feature.text(end) for end in ends)
    if ends[0] == feature.low:
        return f"up to {high}"
    return f"from {low} on" if ends[1] == feature.high else f"{low} to {high}"


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def _measured(manifest: Manifest) -> str:
    """The figures that say whether to trust the bundle; the card has them all. Empty where they were not measured."""
    figures, parts = manifest.metrics, list[str]()
    asked, valid, usable, changed = (figures.get(key) for key in ("asked", "possible_valid", "possible_usable", "n_changed"))
    if isinstance(asked, int) and isinstance(valid, int):
        margin = f", {usable} one with a margin" if isinstance(usable, int) else ""
        rows = "rows" if _unit(manifest) == "rows" else "records of people"
        said = f"of {asked} {rows} it has not seen, predicted {_class(manifest, manifest.target.unwanted)}"
        parts.append(f"{said}, {valid} have an answer at all{margin}")
    for words, count, name in (
        ("the generator's first try is an answer for", valid, "first_try_valid"),
        ("the whole search finds one with a margin for", usable, "usable_of_possible"),
    ):
        share = figures.get(name)
        if isinstance(share, int | float):
            parts.append(f"{words} {100 * share:.1f} % of {count}{_sure(manifest, name)}")
    if isinstance(changed, int | float):
        parts.append(f"answers change {changed:.2f} features on average")
    return "; ".join(parts)


def _sure(manifest: Manifest, name: str) -> str:
    """A share's 95 % interval in brackets, or that it is of too few people for one; empty where the bundle does not say."""
    held = manifest.metrics.get("intervals")
    figure = held.get(name) if isinstance(held, dict) else None
    if not isinstance(figure, dict):
        return ""
    low, high, people = (figure.get(key) for key in ("low", "high", "people"))
    if isinstance(low, int | float) and isinstance(high, int | float):
        return f" (95 % interval {100 * low:.1f} to {100 * high:.1f})"
    return f" ({people} {_unit(manifest)}: too few for an interval)"
