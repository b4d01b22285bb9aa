"""schema draft: a first schema from a table, to be edited by hand. It knows nothing of medicine: what may change, which
way, how far and in which unit is for a person to say."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sensecf_edge.errors import SchemaError, TableError
from sensecf_edge.schema.cells import FLAGS, Cell, Unreadable, as_text, is_code, plain_number, without_value
from sensecf_edge.schema.feature import MAX_LATTICE, Feature, Vector, name_fault
from sensecf_edge.schema.parsing import LARGEST
from sensecf_edge.schema.schema import Schema
from sensecf_edge.table.labelled import like_a_unit, only_first, other_names, with_a_comma
from sensecf_edge.table.outliers import Far, bulk, far
from sensecf_edge.table.read import Cells, Column, read

from ..progress import say
from . import column_names, repeated_rows
from .free_memory import free_memory

FEW = 6
MANY_CHOICES = 30
VALUES = 60
"""Fewer different numbers are choices; more different texts are no feature; about so many values make a lattice."""
_DATE = re.compile(
    r"[0-9]{4}-[0-9]{1,2}(-[0-9]{1,2})?([T ][0-9:.]+(Z|[+-][0-9:]+)?)?|[0-9]{1,2}[./][0-9]{1,2}[./]([0-9]{4}|[0-9]{2})"
    r"|[0-9]{1,2}:[0-9]{2}(:[0-9.]+)?"
)
_NUMBER_AND_MORE = re.compile(r"[^0-9A-Za-z]{0,3}[0-9][0-9.,'’ _]*[^0-9]{0,12}[0-9]?")


def draft(table: Path, target: str, person: str | None = None, allow: tuple[str, ...] = ()) -> dict[str, Any]:
    """The draft as JSON values. Columns that cannot be features are left out, each with its reason on stderr.

    Raises TableError for a table whose rows look like several a person where no person is named; `allow` may hold `repeated_rows`.
    """
    needed = [target, *([person] if person else [])]
    held = read(str(table), needed, free_memory)
    out = drafted(held, target, person)
    columns = repeated_rows.columns_of(held)
    if repeated_rows.nobody_named(columns, person):
        for question in repeated_rows.refuse_repeated_people(columns, target, repeated_rows.REPEATED in allow):
            say(f"note: {question}")
    return out


def drafted(table: Cells, target: str, person: str | None = None) -> dict[str, Any]:
    """The draft of a table that is read; what is called like something that nobody can change is marked immutable.

    Raises TableError where no column can be a feature, and for a line of units.
    """
    asked = [target, *([person] if person else [])]
    if absent := [name for name in asked if name not in table.columns]:
        raise TableError(*(f"{table.where} has no column {name!r}; {other_names(table, asked, [name])}" for name in absent))
    columns = {name: _Looked.at(column) for name, column in table.columns.items() if name not in asked}
    _refuse_units(table, columns)
    features = []
    for place, name in enumerate(table.columns, 1):
        if name in asked:
            continue
        feature = _feature(name, columns[name])
        if isinstance(feature, str):
            say(f"left out {name or f'column {place}'}: {feature}")
        else:
            features.append(replace(feature, mutable=not column_names.lifelong(feature.name)))
    if not features:
        raise TableError("no column is left that could be a feature; see what was said of each")
    fixed = [feature.name for feature in features if not feature.mutable]
    say(f"marked immutable by their names: {', '.join(fixed) or 'none; mark what nobody can change'}")
    return Schema(tuple(features)).to_json()


@dataclass(frozen=True)
class _Looked:
    """One column, looked through: which rows know it, and as what number."""

    column: Column
    known: np.ndarray
    numbers: Vector

    @classmethod
    def at(cls, column: Column) -> _Looked:
        """A number that starts with a zero makes the whole column text: 01 and 1 are two codes."""
        coded = any(is_code(c) for c in column.cells)
        numbers = [math.nan if coded or (n := plain_number(c)) is None else float(n) for c in column.cells]
        return cls(column, np.array([not without_value(c) for c in column.cells])[column.at], np.array(numbers)[column.at])

    def rows(self, kind: Callable[[Cell], bool]) -> np.ndarray:
        """Which rows hold a cell of a kind, shape (rows,)."""
        return np.array([kind(c) for c in self.column.cells])[self.column.at]

    @property
    def cells(self) -> list[Cell]:
        """The different cells that say something."""
        return [c for c in self.column.cells if not without_value(c)]

    @property
    def mostly_numbers(self) -> bool:
        """Whether it is a measure, whatever else is written in it."""
        count = int((~np.isnan(self.numbers)).sum())
        return 2 * count > self.known.sum() and len(np.unique(self.numbers[~np.isnan(self.numbers)])) > FEW


def _refuse_units(table: Cells, columns: dict[str, _Looked]) -> None:
    odd = [name for name, looked in columns.items() if looked.mostly_numbers and only_first(looked.column, like_a_unit)]
    if odd:
        raise TableError(f"data row 1 holds words where every other row has numbers ({', '.join(odd)}): units? take that line out")


def _feature(name: str, looked: _Looked) -> Feature | str:
    """A feature, or why there is none."""
    if not name:
        return "it has no name, as row numbers have none"
    if fault := name_fault(name, "the name"):
        return f"{fault}; rename it in the table"
    if nested := next((c for c in looked.cells if isinstance(c, Unreadable)), None):
        return f"it is {nested.kind}; write one number or word a row"
    if len({as_text(c) for c in looked.cells}) < 2:
        return "it has fewer than two values"
    _say_of_unknown(name, looked)
    optional = not bool(looked.known.all())
    if looked.mostly_numbers:
        return _number(name, looked, optional)
    if len(looked.cells) > FEW and (why := _nearly_numbers(looked)):
        return why
    if np.isfinite(looked.numbers[looked.known]).all():
        return _choice(name, sorted({as_text(c) for c in looked.cells}, key=float), optional)
    if all(isinstance(c, str) and _DATE.fullmatch(c) for c in looked.cells):
        return "it holds dates; write what matters of them as a number (days since …, a month, an hour)"
    return _choice(name, _ordered(looked.column, looked.cells), optional)


def _nearly_numbers(looked: _Looked) -> str | None:
    """Why most of a column would be numbers and is not; None where it would not be."""
    kinds: dict[str, Callable[[Cell], bool]] = {
        "hold a comma in a number, or a point that may part thousands; write 7080 or 7.08, as it is meant, and never 7,080": with_a_comma,
        "start with a zero, so they are codes and no numbers, and there are too many to choose from": is_code,
        "hold a number and something else (a unit, a sign, a mark for thousands); write the number alone": _nearly,
    }
    for told, kind in kinds.items():
        rows = looked.rows(kind)
        few_codes = kind is is_code and len(looked.cells) <= MANY_CHOICES
        if not few_codes and (2 * rows.sum() > looked.known.sum() or (kind is is_code and rows.any())):
            return f"{_where(rows)} {told}"
    return None


def _nearly(given: Cell) -> bool:
    return isinstance(given, str) and plain_number(given) is None and _NUMBER_AND_MORE.fullmatch(given) is not None


def _where(bad: np.ndarray) -> str:
    return f"{int(bad.sum()):,} of {len(bad):,} cells, first in data row {int(np.flatnonzero(bad)[0]) + 1:,},"


def _say_of_unknown(name: str, looked: _Looked) -> None:
    told = looked.rows(lambda c: c is not None and without_value(c))
    if told.any():
        kinds = sorted({str(c) for c in looked.column.cells if c is not None and without_value(c)})
        say(f"note {name}: {_where(told)} say {', '.join(kinds)}: unknown; if that is a word of its own, add it to the choices")


def _number(name: str, looked: _Looked, optional: bool) -> Feature | str:
    """A number over the bulk of what is there; what stands far away is named, and left to a person."""
    others = looked.known & np.isnan(looked.numbers)
    if others.any():
        say(f"look at {name}: {_where(others)} are no numbers; write a number, or nothing where it is unknown: fit refuses them")
    values = looked.numbers
    if np.isinf(values).any():
        return "it holds infinite numbers"
    if np.nanmax(np.abs(bulk(values))) > LARGEST:
        return f"it holds numbers over {LARGEST:,}, like an id or a time; write them in a larger unit"
    if counts_rows(values):
        return "it counts the rows"
    for odd in far(values):
        say(f"look at {name}: {told_of(odd)}")
    kept = bulk(values)
    if odd_ends := int((~np.isnan(values)).sum()) - len(kept):
        say(f"look at {name}: the range drafted leaves {odd_ends:,} such rows out, and fit refuses them")
    try:
        low, high, step = _lattice(kept)
        return Feature(name, optional=optional, low=low, high=high, step=step)
    except SchemaError as error:
        return str(error)


def told_of(odd: Far) -> str:
    """A value that is far from all others, in words. A single one is somebody's own: it is told by its row."""
    if odd.rows == 1:
        return f"data row {odd.first + 1:,} holds a value far away from all others; a slip? correct it, or take it out"
    how = f"{odd.spans:,.1f} spans from the rest" if odd.sure else "and nothing else is near it"
    return f"{odd.rows:,} rows hold {odd.text}, {how}; a code for missing? write nothing there"


def counts_rows(values: Vector) -> bool:
    """Whether every row holds a number one above that of the row before."""
    return len(values) > 2 and bool((np.diff(values) == 1).all())


def _choice(name: str, choices: list[str], optional: bool) -> Feature | str:
    if len(choices) > MANY_CHOICES:
        return f"it has {len(choices)} different texts, like an id or a free text; group them into {MANY_CHOICES} at most to have it in"
    if len({text.lower() for text in choices}) < len(choices):
        say(f"look at {name}: words of it differ in capitals alone; if they mean the same, write them alike")
    try:
        return Feature(name, kind="choice", choices=tuple(choices), optional=optional)
    except SchemaError:
        return "a text of it cannot be a choice: over 64 characters, or with some that cannot be printed; rename it in the table"


def _ordered(column: Column, cells: list[Cell]) -> list[str]:
    """Texts as whoever encodes them orders them: as the file says where it has ordered categories, else by the alphabet."""
    texts = {as_text(c): None for c in cells}
    if {FLAGS.get(t.lower()) for t in texts} == {False, True}:
        spelt = {FLAGS[t.lower()]: t if len(texts) == 2 else t.lower() for t in sorted(texts)}
        return [spelt[False], spelt[True]]
    return [*column.order] if set(texts) <= set(column.order) else sorted(texts)


def _lattice(values: Vector) -> tuple[float, float, float]:
    """Low, high, step: a range a little wider than the data, a step that people use (1, 2 or 5 times a power of ten), about 60 values."""
    low, high = float(values.min()), float(values.max())
    spread = float(np.quantile(values, 0.99) - np.quantile(values, 0.01)) or high - low
    rough = max(spread / VALUES, (high - low) / (MAX_LATTICE - 2))
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough)
    if (values == np.round(values)).all():
        step = max(step, 1.0)
    places = max(0, -math.floor(math.log10(step)))
    ends = math.floor(low / step) * step, math.ceil(high / step) * step
    return round(ends[0], places), round(ends[1], places), round(step, places)
