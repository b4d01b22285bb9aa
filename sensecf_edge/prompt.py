"""(schema, record, target) -> the text a generator reads. One style per kind of generator, named in the manifest.

`compact`   for generators tuned on this very schema: one short item per feature, on the feature's lattice. Its
            vocabulary (see `compact_items`) holds each item as one token, so a record costs about as many tokens as
            it has features.
`instruct`  for general instruction-tuned models: units, limits and the form of the answer in words.
"""

from __future__ import annotations

import math

from .admissible import Admissible
from .errors import BundleError
from .feature import UNKNOWN
from .schema import Feature, Schema

STYLES = ("compact", "instruct")
ARROW = "=>"


def build(style: str, space: Admissible, target: str) -> str:
    """The prompt for one record. Deterministic; the same for every proposal of the record."""
    if style == "compact":
        return _compact(space, target)
    if style == "instruct":
        return _instruct(space, target)
    raise BundleError(f"prompt style {style!r} is not known; this version has {', '.join(STYLES)}")


def want(target: str) -> str:
    """The item that opens a compact prompt."""
    return f"want={target};"


def compact_items(feature: Feature) -> list[str]:
    """Every item a compact prompt may hold for a feature: one per lattice value, then the one for unknown."""
    return [f"{feature.name}={text};" for text in (*feature.texts, UNKNOWN)]


def _compact(space: Admissible, target: str) -> str:
    """Values are shown on the lattice: the nearest one. The exact value is what the classifier judges."""
    record = space.record
    items = [want(target)]
    for feature, code in zip(record.schema.features, record.vector, strict=True):
        text = UNKNOWN if math.isnan(code) else feature.texts[feature.nearest(code)]
        items.append(f"{feature.name}={text};")
    return "".join(items) + ARROW


def _instruct(space: Admissible, target: str) -> str:
    record = space.record
    lines = [
        "A classifier has judged this person's record. Name the smallest realistic change of values that would make it",
        f"predict: {target}.",
        "",
        "Record:",
    ]
    for i, feature in enumerate(record.schema.features):
        now = f"{feature.text(record.vector[i])} {feature.unit}".rstrip()
        lines.append(f"- {feature.name} = {now}{_may(feature, space, i)}")
    lines += [
        "",
        *_relations(record.schema),
        f"Answer with one JSON object that holds only what changes, at most {space.max_changes} features,",
        'in the order above, for example {"name":value}.',
        "Answer: ",
    ]
    return "\n".join(lines)


def _may(feature: Feature, space: Admissible, i: int) -> str:
    values = space.values[i]
    if not values.size:
        return " (fixed)"
    if feature.kind == "choice":
        return f" (may become {', '.join(feature.text(v) for v in values)})"
    return f" (may become {feature.text(values[0])} to {feature.text(values[-1])} in steps of {feature.step:g})"


def _relations(schema: Schema) -> list[str]:
    return [f"Always true: {r.words()}." for r in schema.relations]
