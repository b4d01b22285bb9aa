"""A table of known people against a schema: codes, labels and persons, or every fault at once.

Faults name column, data row and kind, and never what stands there: they may go to a log.
"""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import TableError
from ..schema.cells import FLAGS, Cell, Doubtful, Unreadable, as_text, from_text, names_somebody, plain_number, value, without_value
from ..schema.feature import UNKNOWN, Feature, Vector, name_fault
from ..schema.schema import Schema
from .read import Cells, Column

MOST_FAULTS = 20
COMMON, MOST_CLASSES = 20, 6
"""Rows that must share a class for it to be named where there are not two; so many are named."""
_BEGINS = re.compile(r"[-+<>=~.,−]*[0-9]")
_COMMAS = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)*,[0-9]+")


@dataclass(frozen=True)
class Known:
    """Rows of known people: codes in schema order (rows, features), NaN unknown; True for the wanted class; one id a row;
    the classes, unwanted and wanted."""

    X: Vector
    y: NDArray[np.bool_]
    persons: NDArray[np.str_]
    classes: tuple[str, str]


def known(table: Cells, schema: Schema, target: str, wanted: str, person: str | None = None) -> Known:
    """Check all of a table and code it. Raises TableError with every fault."""
    if twice := [n for n in (target, person) if n in schema.index]:
        raise TableError(f"{twice[0]} is a feature of the schema; take it out: it is what is predicted, or says who a row belongs to")
    asked = [*schema.names, target, *([person] if person else [])]
    faults = _absent(table, asked)
    X = np.full((len(table), len(schema)), math.nan)
    for i, feature in enumerate(schema.features):
        if feature.name in table.columns:
            X[:, i], more = coded(feature, table.columns[feature.name])
            faults += more
    faults += _units(table, schema)
    labels = _labels(table.columns[target], target, wanted, faults) if target in table.columns else None
    persons = np.array([str(i) for i in range(len(table))])
    if person and person in table.columns:
        persons = _persons(table.columns[person], person, faults)
    if faults or labels is None:
        raise TableError(*_most(faults), where=table.where)
    y, names = labels
    return Known(X, y, persons, names)


def _most(faults: Sequence[str]) -> list[str]:
    left = len(faults) - MOST_FAULTS
    return [*faults[:MOST_FAULTS], *([f"and {left} more faults"] if left > 0 else [])]


def _absent(table: Cells, asked: Sequence[str]) -> list[str]:
    """What the table lacks. Its own names are told only where some of them were asked for: a file without a header has a
    person's values there."""
    absent = [n for n in asked if n not in table.columns]
    if not absent:
        return []
    return [f"the table lacks {', '.join(map(repr, absent))}; {other_names(table, asked, absent)}"]


def other_names(table: Cells, asked: Iterable[str], absent: Iterable[str]) -> str:
    """What a table has instead of what it lacks."""
    names = [n for n in table.columns if n]
    near = {n: difflib.get_close_matches(n, names, n=1) for n in absent}
    told = [f"did you mean {found[0]!r} for {n!r}?" for n, found in near.items() if found]
    if told:
        return " ".join(told)
    if not set(asked) & set(names):
        return "its first line holds none of the names that are asked for; does the file begin with a header?"
    return f"its columns are {', '.join(names[:20])}" + (", …" if len(names) > 20 else "")


def coded(feature: Feature, column: Column) -> tuple[Vector, list[str]]:
    """The codes of a column, shape (rows,), and what is wrong with it."""
    made = [_code(feature, given) for given in column.cells]
    codes = np.array([code for code, _ in made] or [math.nan])[column.at]
    faults = []
    for kind in dict.fromkeys(kind for _, kind in made if kind):
        bad = np.array([k == kind for _, k in made])[column.at]
        held = [given for given, (_, k) in zip(column.cells, made, strict=True) if k == kind]
        faults.append(f"{feature.name} is {kind} in {_rows(bad)}{_remedy(feature, kind, held)}")
    return codes, faults


def _rows(bad: NDArray[np.bool_]) -> str:
    count = int(bad.sum())
    first = int(np.flatnonzero(bad)[0]) + 1
    return f"data row {first:,}" if count == 1 else f"{count:,} of {len(bad):,} rows, first in data row {first:,}"


MISSING, NO_NUMBER = "missing", "no number"


def _code(feature: Feature, given: Cell) -> tuple[float, str]:
    """A cell's code, and what is wrong with it, if anything."""
    held = value(feature, given)
    if held is None:
        return math.nan, "" if feature.optional else MISSING
    if feature.kind == "choice":
        if isinstance(held, str) and held in feature.choices:
            return float(feature.choices.index(held)), ""
        return math.nan, f"none of {', '.join(feature.choices)}"
    if isinstance(held, bool) or not isinstance(held, int | float):
        return math.nan, NO_NUMBER
    code = feature.coded(held)
    return (math.nan, f"outside {feature.allowed()}") if code is None else (float(code), "")


def _remedy(feature: Feature, kind: str, held: Sequence[Cell]) -> str:
    if kind == MISSING:
        return "; give a value, or mark it optional in the schema"
    if kind == NO_NUMBER:
        if any(map(with_a_comma, held)):
            return "; write 7080 or 7.08, as it is meant, and never 7,080"
        return "; write a number, or nothing where it is unknown"
    return "; correct the table, or the schema"


def _units(table: Cells, schema: Schema) -> list[str]:
    """A line of units under the names spoils several columns, in the first row alone."""
    spoilt = 0
    for feature in schema.features:
        if feature.kind == "number" and feature.name in table.columns:
            column = table.columns[feature.name]
            spoilt += only_first(column, like_a_unit)
    return ["data row 1 holds words where every other row has numbers: units? take that line out"] if spoilt else []


def like_a_unit(given: Cell) -> bool:
    """Whether a cell is a word, and not a number that somebody wrote oddly."""
    return isinstance(given, str) and not without_value(given) and plain_number(given) is None and not _BEGINS.match(given)


def with_a_comma(given: Cell) -> bool:
    """Whether a cell is a number with a comma, or one of which nobody knows what its mark parts."""
    return isinstance(given, Doubtful) or (isinstance(given, str) and _COMMAS.fullmatch(given) is not None)


def only_first(column: Column, odd: Callable[[Cell], bool]) -> bool:
    """Whether the first row, of several, is the only one with an odd cell."""
    bad = np.array([odd(given) for given in column.cells] or [False])[column.at]
    return len(bad) > 1 and bool(bad[0]) and int(bad.sum()) == 1


def class_key(given: Cell) -> str:
    """What makes two cells the same class: true and TRUE are, 0 and 0.0 are, 1 and 01 are not."""
    text = as_text(given)
    return str(FLAGS[text.lower()]).lower() if text.lower() in FLAGS else text


def classes(column: Column) -> dict[str, str]:
    """The classes of a target by their keys, each as it is first written."""
    out = dict[str, str]()
    for given in column.cells:
        if not without_value(given):
            out.setdefault(class_key(given), as_text(given))
    return out


def _labels(column: Column, target: str, wanted: str, faults: list[str]) -> tuple[NDArray[np.bool_], tuple[str, str]] | None:
    """Which rows are of the wanted class, and the classes' names, unwanted and wanted."""
    lacking = np.array([without_value(given) for given in column.cells] or [True])[column.at]
    if lacking.any():
        faults.append(f"{target} is missing in {_rows(lacking)}: a row without an outcome teaches nothing; drop such rows")
    odd = np.array([isinstance(given, Unreadable) for given in column.cells] or [False])[column.at]
    if odd.any():
        faults.append(f"{target} is neither text nor number in {_rows(odd)}; write one class a row")
        return None
    names = classes(column)
    if len(names) != 2:
        faults.append(f"{target} must have two classes, it has {len(names):,}{_common(column, names)}; name another, or make it two")
        return None
    faults += [fault for name in names.values() if (fault := name_fault(name, f"{target}: class"))]
    wish = from_text(wanted)
    key = "" if wish is None or wanted == UNKNOWN else class_key(wish)
    if key not in names:
        faults.append(f"the wanted class {wanted!r} is none of {', '.join(names.values())}")
        return None
    other = next(name for k, name in names.items() if k != key)
    return np.array([not without_value(c) and class_key(c) == key for c in column.cells])[column.at], (other, names[key])


def _common(column: Column, names: dict[str, str]) -> str:
    """The classes that many rows share: the others may be somebody's own words."""
    counts = np.bincount(column.at, minlength=len(column.cells))
    rows = Counter[str]()
    for given, count in zip(column.cells, counts, strict=True):
        if not without_value(given):
            rows[class_key(given)] += int(count)
    common = [names[key] for key, count in rows.items() if count >= COMMON][:MOST_CLASSES]
    rarer = len(names) - len(common)
    return ": " + ", ".join([*sorted(common), *([f"{rarer:,} rarer"] if rarer else [])]) if common else ""


def _persons(column: Column, person: str, faults: list[str]) -> NDArray[np.str_]:
    lacking = np.array([without_value(given) for given in column.cells] or [True])[column.at]
    if lacking.any():
        faults.append(f"{person} is missing in {_rows(lacking)}: nobody knows whose they are; drop such rows")
    odd = np.array([not without_value(given) and not names_somebody(given) for given in column.cells] or [False])[column.at]
    if odd.any():
        faults.append(f"{person} is no text or number in {_rows(odd)}; write one id a row")
    return np.array([as_text(given) for given in column.cells] or [""])[column.at]
