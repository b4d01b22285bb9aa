"""Answers of a batch as lines: long (a row per change), wide (a row per answer, a column per feature) or json. Pure.

Every record has at least one line, whatever its status, so that no row of the input is missing from the output. A column
says itself what stands in it: one more is one line here. The header of a CSV is not written here. Risks are those of the
unwanted class at `base_rate`; `risk_low` and `risk_high` are the record's own over what is unknown, `measure_first` names
the unknown value that decides most where the prediction depends on such, `holds` is the share of such cases that an answer
holds in; p_before and p_after are the classifier's balanced scores of the wanted class. `would_have_to_give` says in words
what lies outside the limits; it is never part of an answer.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from ..answer.result import Change, Counterfactual, Explanation
from ..report import easing
from ..report.wording import Wording
from ..schema.feature import Feature
from ..schema.record import Value
from ..schema.schema import Schema
from ..table.lines import NUL, STAND_IN
from ..table.unusable import UnusableRecord

REJECTS = ("row", "id", "reason", "remedy")


class Line(NamedTuple):
    """What one line of the output is about: a record, and where there is one an answer and one of its changes."""

    row: int
    id: str
    explanation: Explanation
    answer: int | None = None
    found: Counterfactual | None = None
    change: Change | None = None


class Column(NamedTuple):
    """`kind` is text, whole, flag, number (a figure, in CSV to six digits) or value (a feature's, as it was checked)."""

    name: str
    kind: str
    of: Callable[[Line], Any]


def _found(name: str) -> Callable[[Line], Any]:
    return lambda line: getattr(line.found, name, None)


def _change(name: str) -> Callable[[Line], Any]:
    return lambda line: getattr(line.change, name, None)


def _first_try_valid(line: Line) -> bool | None:
    return line.explanation.first_try.valid if line.explanation.first_try else None


_RECORD = (
    Column("row", "whole", lambda line: line.row),
    Column("id", "text", lambda line: line.id),
    Column("status", "text", lambda line: line.explanation.status),
    Column("answer", "whole", lambda line: line.answer),
)
_CHANGE = (
    Column("feature", "text", _change("feature")),
    Column("before", "text", lambda line: _text(_change("before")(line))),
    Column("after", "text", lambda line: _text(_change("after")(line))),
    Column("unit", "text", _change("unit")),
    Column("follows", "flag", _change("follows")),
)
_MEASURES = (
    Column("risk_before", "number", lambda line: line.explanation.risk.now),
    Column("risk_after", "number", _found("risk")),
    Column("base_rate", "number", lambda line: line.explanation.risk.base_rate),
    Column("risk_low", "number", lambda line: line.explanation.risk.low),
    Column("risk_high", "number", lambda line: line.explanation.risk.high),
    Column("measure_first", "text", lambda line: next((u.feature for u in line.explanation.unknown), None)),
    Column("holds", "number", _found("holds")),
    Column("p_before", "number", lambda line: line.explanation.p_target),
    Column("p_after", "number", _found("p_target")),
    Column("n_changed", "whole", _found("n_changed")),
    Column("distance", "number", _found("distance")),
    Column("realism", "number", _found("realism")),
    Column("first_try_valid", "flag", _first_try_valid),
)
EASING, READ_AS, LETTER = "would_have_to_give", "read_as", "letter"
_WHOLE = (*_RECORD[:2], Column("explanation", "text", lambda line: line.explanation.to_json()))


def columns(layout: str, schema: Schema, letters: bool = False) -> tuple[Column, ...]:
    """What stands in a line. `wide` has one per feature that may move: its new value, nothing where it stays. With `letters` the
    first line of each record holds its letter; in `json` it is in the Explanation."""
    if layout == "json":
        return _WHOLE
    told = (*_MEASURES, _easing(schema), *_stated(schema), *([Column(LETTER, "text", _letter)] if letters else []))
    if layout == "long":
        return (*_RECORD, *_CHANGE, *told)
    moving, taken = [f for f in schema.features if f.mutable or f.name in schema.moved], _taken(letters)
    return (*_RECORD, *told, *(_feature(f, _free(f.name, taken, schema)) for f in moving))


def renamed(layout: str, schema: Schema, letters: bool = False) -> dict[str, str]:
    """Features of `wide` whose own name is another column's already, and how their column is called."""
    taken = _taken(letters)
    return {name: _free(name, taken, schema) for name in schema.names if name in taken} if layout == "wide" else {}


def _taken(letters: bool) -> set[str]:
    return {*(column.name for column in (*_RECORD, *_MEASURES)), EASING, READ_AS, *([LETTER] if letters else [])}


def _letter(line: Line) -> str | None:
    """The record's letter, on its first line."""
    letter, found = line.explanation.letter, line.found
    first = found is None or (line.answer == 1 and line.change in (None, found.changes[0]))
    return letter.text if letter and first else None


def _easing(schema: Schema) -> Column:
    """What would have to give, in words; only where it was looked for."""
    return Column(EASING, "text", lambda line: easing.easing_text(Wording(line.explanation, schema)) or None)


def _stated(schema: Schema) -> Iterator[Column]:
    """Which values were read as an end that stands for all beyond it, in words; only where the schema has such ends."""

    def read(line: Line) -> str | None:
        say = Wording(line.explanation, schema)
        return "; ".join(f"{say.title(name)} as {say.value(name)}" for name in line.explanation.stated) or None

    if any(f.top_coded is not None or f.bottom_coded is not None for f in schema.features):
        yield Column(READ_AS, "text", read)


def _free(name: str, taken: set[str], schema: Schema) -> str:
    free = name
    while free in taken or (free != name and free in schema.index):
        free = f"new_{free}"
    return free


def _feature(feature: Feature, name: str) -> Column:
    def new(line: Line) -> Value:
        return next((c.after for c in (line.found.changes if line.found else ()) if c.feature == feature.name), None)

    return Column(name, "value" if feature.kind == "number" else "text", new)


def lines(layout: str, shown: Sequence[Column], row: int, name: str, explanation: Explanation) -> Iterator[list[Any]]:
    """One record's answers as rows of the columns that `columns` gives for this layout."""
    about = [Line(row, name, explanation)]
    if layout != "json" and explanation.found:
        about = [Line(row, name, explanation, k, found) for k, found in enumerate(explanation.found, 1)]
    if layout == "long":
        about = [line._replace(change=c) for line in about for c in (line.found.changes if line.found else (None,))]
    for line in about:
        yield [column.of(line) for column in shown]


def rejected(row: int, name: str, unusable: UnusableRecord) -> bytes:
    """One line of the rejects file."""
    return as_csv([[row, name, unusable.reason, unusable.remedy]])


def written(form: str, shown: Sequence[Column], rows: Iterable[Sequence[Any]]) -> bytes:
    """CSV lines, or one JSON object a line; in CSV figures keep six digits, values of features all of theirs."""
    if form != "csv":
        names = [column.name for column in shown]
        return "".join(json.dumps(dict(zip(names, row, strict=True)), allow_nan=False) + "\n" for row in rows).encode()
    figures = [column.kind == "number" for column in shown]
    return as_csv([f"{v:.6g}" if figure and v is not None else v for figure, v in zip(figures, row, strict=True)] for row in rows)


def as_csv(rows: Iterable[Sequence[Any]]) -> bytes:
    """CSV lines. Nothing is an empty cell, a flag is true or false, a number has all its digits."""
    text, cells = io.StringIO(), [[_flag(v) if isinstance(v, bool) else v for v in row] for row in rows]
    if odd := any(isinstance(v, str) and NUL in v for row in cells for v in row):
        cells = [[v.replace(NUL, STAND_IN) if isinstance(v, str) else v for v in row] for row in cells]
    csv.writer(text, lineterminator="\n").writerows(cells)
    written = text.getvalue()
    return (written.replace(STAND_IN, NUL) if odd else written).encode("utf-8", "replace")


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _text(value: Value) -> str | None:
    return None if value is None else str(value)
