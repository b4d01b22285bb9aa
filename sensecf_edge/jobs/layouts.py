"""Answers of a batch as lines: long (a row per change), wide (a row per answer, a column per feature) or json. Pure.

Every record has at least one line, whatever its status, so that no row of the input is missing from the output. The
header of a CSV is not written here.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..record import Value
from ..result import Explanation
from ..schema import Schema
from .problem import Problem

LAYOUTS = ("long", "wide", "json")
REJECTS = ("row", "id", "reason", "remedy")
Columns = list[tuple[str, str]]
_RECORD: Columns = [("row", "whole"), ("id", "text"), ("status", "text"), ("answer", "whole")]
_CHANGE: Columns = [("feature", "text"), ("before", "text"), ("after", "text"), ("unit", "text"), ("follows", "flag")]
_MEASURES: Columns = [
    ("p_before", "number"), ("p_after", "number"), ("n_changed", "whole"), ("distance", "number"), ("realism", "number"),
    ("first_try_valid", "flag"),
]  # fmt: skip


def columns(layout: str, schema: Schema) -> Columns:
    """Names and kinds of the columns. `wide` has one per feature that may move: its new value, nothing where it stays."""
    if layout == "json":
        return [("row", "whole"), ("id", "text"), ("explanation", "text")]
    if layout == "long":
        return _RECORD + _CHANGE + _MEASURES
    taken = {name for name, _ in _RECORD + _MEASURES}
    moving = [f for f in schema.features if f.mutable]
    return _RECORD + _MEASURES + [
        (f"new_{f.name}" if f.name in taken else f.name, "number" if f.kind == "number" else "text") for f in moving
    ]  # fmt: skip


def lines(layout: str, schema: Schema, row: int, name: str, explanation: Explanation) -> Iterator[list[Any]]:
    """One record's answers as rows of `columns`."""
    if layout == "json":
        yield [row, name, explanation.to_json()]
        return
    first = explanation.first_try.valid if explanation.first_try else None
    if not explanation.found:
        blank = len(_CHANGE) if layout == "long" else 0
        yield [row, name, explanation.status, None, *[None] * blank, explanation.p_target, None, None, None, None, first,
               *[None] * (sum(f.mutable for f in schema.features) if layout == "wide" else 0)]  # fmt: skip
    for k, found in enumerate(explanation.found, 1):
        head = [row, name, explanation.status, k]
        measures = [explanation.p_target, found.p_target, found.n_changed, found.distance, found.realism, first]
        if layout == "wide":
            new = {c.feature: c.after for c in found.changes}
            yield [*head, *measures, *(new.get(f.name) for f in schema.features if f.mutable)]
        else:
            for c in found.changes:
                yield [*head, c.feature, _text(c.before), _text(c.after), c.unit, c.follows, *measures]


def rejected(row: int, name: str, problem: Problem) -> bytes:
    """One line of the rejects file."""
    return as_csv([[row, name, problem.reason, problem.remedy]])


def as_csv(rows: Iterable[Sequence[Any]]) -> bytes:
    """CSV lines; probabilities and distances keep six digits."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_cell(v) for v in row] for row in rows)
    return text.getvalue().encode("utf-8", "replace")


def as_json(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """JSON Lines, one object a row."""
    return "".join(json.dumps(dict(zip(names, row, strict=True)), allow_nan=False) + "\n" for row in rows).encode()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}"
    return value


def _text(value: Value) -> str | None:
    return None if value is None else str(value)
