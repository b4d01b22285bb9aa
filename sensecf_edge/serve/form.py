"""A schema as a form: what each field may hold, and what is wrong with what it holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..bundle.bundle import Bundle
from ..errors import ConstraintError, RecordError
from ..explain import Explainer
from ..report.bundles import facts
from ..report.phrases import base_text, class_text, weak_text
from ..report.wording import plain
from ..schema.cells import Cell, Doubtful, from_text, value
from ..schema.feature import Feature, number_text
from ..schema.record import Record, Value, faults_in
from ..schema.schema import Schema
from ..table.decimal_marks import typed
from .texts import text


class FieldsError(RecordError):
    """What is wrong, field by field; `faults` holds a sentence for each name."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        self.faults = dict(faults)
        super().__init__("; ".join(self.faults.values()))


def form(explainer: Explainer, key: str) -> dict[str, Any]:
    """All that the page needs to ask for a record of this model."""
    bundle, schema, target = explainer.bundle, explainer.schema, explainer.target
    return {
        "key": key, "title": plain(bundle.manifest.title or bundle.name),
        "unwanted": plain(class_text(target.unwanted, target.column)), "wanted": plain(class_text(target.wanted, target.column)),
        "fields": [field(schema, feature) for feature in schema.features],
        "samples": [{"id": plain(s.id), "values": texts_of(s.values)} for s in bundle.samples],
        "facts": facts_of(bundle), "weak": weak_text(bundle.manifest.classifier.auc) or "",
        "base": base_text(explainer.scale.base_rate, explainer.scale.source), "base_share": explainer.scale.base_rate,
        "max_changes": len([f for f in schema.features if f.mutable and f.name not in schema.completed]),
    }  # fmt: skip


def facts_of(bundle: Bundle) -> list[list[str]]:
    """Headings and sentences on a model."""
    return [[heading, said] for heading, said in facts(bundle).items()]


def field(schema: Schema, feature: Feature) -> dict[str, Any]:
    """One field: what is asked, in which unit, what is possible, and whether advice may move it."""
    follows = feature.name in schema.completed
    out: dict[str, Any] = {
        "name": feature.name, "title": plain(feature.title), "unit": plain(feature.unit), "kind": feature.kind,
        "optional": feature.optional, "role": feature.role, "advised": feature.mutable and not follows, "follows": follows,
        "allowed": plain(feature.allowed()), "cost": feature.cost,
    }  # fmt: skip
    if feature.kind == "choice":
        return {**out, "choices": list(feature.choices)}
    return {**out, "low": feature.low, "high": feature.high, "step": feature.step, "reference": feature.reference,
            "advise": feature.advise}  # fmt: skip


def texts_of(values: Mapping[str, Any]) -> dict[str, str | None]:
    """Values as fields hold them."""
    return {name: cell_text(held) for name, held in values.items()}


def cell_text(held: Value) -> str | None:
    """A value as a field holds it; None for unknown."""
    if isinstance(held, bool):
        return str(held).lower()
    return None if held is None else number_text(held) if isinstance(held, int | float) else str(held)


def record_of(schema: Schema, fields: Any) -> Record:
    """The record that the fields hold, read as the cells of a table are. Raises FieldsError."""
    if not isinstance(fields, dict) or not all(isinstance(held, str | None) for held in fields.values()):
        raise ConstraintError("the values of a record are texts by feature")
    read = {name: _cell(schema[name], held) if name in schema.index else held for name, held in fields.items()}
    faults = faults_in(schema, read)
    if faults:
        titles = {f.name: f.title for f in schema.features}
        doubts = {name: text("comma", value=held) for name, held in read.items() if isinstance(held, Doubtful)}
        raise FieldsError({name: plain(doubts.get(name, said.replace(name, titles.get(name, name), 1))) for name, said in faults.items()})
    return Record.from_mapping(schema, read)


def _cell(feature: Feature, held: str | None) -> Cell:
    """What a field says: as a cell of a table, and a number with a decimal comma too, for nobody's keyboard is the page's to choose."""
    given = None if held is None else from_text(held)
    if given is None or feature.kind != "number":
        return value(feature, given)
    thousands = feature.high is not None and feature.high >= 1000  # then 25,500 is thousands to most who type it, even where it is too many
    return value(feature, typed(given, lambda number: feature.coded(number) is not None or (thousands and number >= 1000)))
