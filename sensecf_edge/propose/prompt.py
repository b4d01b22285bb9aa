"""(schema, record, target, p) -> the text a generator reads. One style per kind of generator, named in the manifest.

`scored`    for generators tuned on this very schema: an item that says how likely the classifier finds the wanted class
            as the record stands (how far a person has to go need not be guessed), then one short item per feature, on
            the feature's lattice. Its vocabulary (see `score_items`, `items`) holds each item as one token, so a record
            costs about as many tokens as it has features.
`brief`     for generators tuned on this very schema that read text: what helps, or the record, in the fewest words, see `brief`.
`instruct-2`  for general models: the schema, its limits and the form of the answer in words, see `instructions`.
`instruct`  the same as earlier versions said it; read for bundles whose generator was tuned on it, never written.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..errors import BundleError
from ..schema.feature import UNKNOWN, Feature
from ..schema.schema import Schema
from ..space.admissible import Admissible
from . import brief, instructions
from .instructions import Hint, Task, quoted

STYLES = ("scored", "brief", "instruct-2", "instruct")
BRIEF, GENERAL = "brief", "instruct-2"
ARROW = "=>"
SCORE_STEP = 0.02


def build(style: str, space: Admissible, target: str, p: float, task: Task | None = None, hints: Sequence[Hint] = ()) -> str:
    """The prompt for one record whose probability of the target class is p, 0..1, before any change.

    `task` says in words what a general model is asked for, `hints` what single changes would give. Deterministic; the same for every
    proposal of the record.
    Raises BundleError for a style that this version does not know.
    """
    if style == "scored":
        return want(target) + score_item(p) + _values(space) + ARROW
    if style == BRIEF:
        return brief.build(space, p, hints)
    if style == GENERAL:
        return instructions.build(task or Task(target), space, p, hints)
    if style == "instruct":
        return _instruct(space, target, p)
    raise BundleError(f"prompt style {style!r} is not known; this version has {', '.join(STYLES)}")


def want(target: str) -> str:
    """The item that opens a scored prompt."""
    return _item("want", target)


def _item(name: str, text: str) -> str:
    """What may stand in a name or a text is told from the item's own signs by a backslash before it."""
    return f"{_escaped(name)}={_escaped(text)};"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("=", "\\=").replace(";", "\\;")


def score_item(p: float) -> str:
    """The item that says p, rounded down to a step of 0.02."""
    return f"p={int(p / SCORE_STEP + 1e-9) * SCORE_STEP:.2f};"


def score_items() -> list[str]:
    """Every item that may say a probability, ascending."""
    return [score_item(k * SCORE_STEP) for k in range(round(1 / SCORE_STEP) + 1)]


def items(feature: Feature) -> list[str]:
    """Every item a scored prompt may hold for a feature: one per lattice value, then the one for unknown."""
    return [_item(feature.name, text) for text in (*feature.texts, UNKNOWN)]


def _values(space: Admissible) -> str:
    """Values are shown on the lattice: the nearest one. The exact value is what the classifier judges."""
    record, out = space.record, list[str]()
    for feature, code in zip(record.schema.features, record.vector, strict=True):
        text = UNKNOWN if math.isnan(code) else feature.texts[feature.nearest(code)]
        out.append(_item(feature.name, text))
    return "".join(out)


def _instruct(space: Admissible, target: str, p: float) -> str:
    record = space.record
    lines = [
        "A classifier has judged this person's record. Name the smallest realistic change of values that would make it",
        f"predict: {target}. Now it gives {target} a probability of {p:.2f}.",
        "",
        "Record:",
    ]
    for i, feature in enumerate(record.schema.features):
        text = feature.text(record.vector[i])
        now = f"{quoted(text) if feature.kind == 'choice' else text} {feature.measure}".rstrip()
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
        return f" (may become {', '.join(quoted(feature.text(v)) for v in values)})"
    return f" (may become {feature.text(values[0])} to {feature.text(values[-1])} in steps of {feature.step:g})"


def _relations(schema: Schema) -> list[str]:
    return [f"Always true: {r.sentence()}." for r in schema.relations]
