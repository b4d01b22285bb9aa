"""Records out of a table, for jobs: its columns against the schema, its cells as the schema's values, each row with its id.

How a table is read is `table`'s matter. A row that cannot be read is a Row with a Problem, never an exception; an
exception (TableError) means that no row can be read at all. Nothing is filled in.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from ..errors import TableError
from ..schema.cells import as_text, names_somebody, value, without_value
from ..schema.schema import Schema, spell_difference
from ..table.lines import Line, Table
from ..table.read import table
from ..table.unusable import UnusableRecord, unread


class Row(NamedTuple):
    """One record as it was read, or why it could not be. `end` is how far the table is read with it, in the units of `Source.size`."""

    number: int
    id: str
    values: dict[str, Any] | None
    unusable: UnusableRecord | None
    end: int


class OtherColumns(NamedTuple):
    """What to do with columns that are no features: `id` names the records, `drop` are passed over."""

    id: str | None = None
    drop: frozenset[str] = frozenset()


class Source(Protocol):
    """A table to read, once. `size` is in the units of `Row.end`; None where nobody knows it: for a pipe, for what is packed."""

    size: int | None

    def rows(self) -> Iterator[Row]:
        """Every row, from the first."""
        ...


@contextlib.contextmanager
def open_source(name: str, schema: Schema, columns: OtherColumns) -> Iterator[Source]:
    """The table at a path, or on standard input for `-`. Raises TableError where no row of it can be read."""
    known = {*schema.names, *columns.drop, *filter(None, [columns.id])}
    with table(name, known) as read:
        yield Records(read, schema, columns)


class Records:
    """The records of a table, checked as to their columns."""

    def __init__(self, table: Table, schema: Schema, columns: OtherColumns) -> None:
        columns = columns._replace(drop=columns.drop | beside(table.names, schema, columns))
        self.table, self.schema, self.columns, self.size = table, schema, columns, table.size
        if table.names:
            check_names(table.names, schema, columns, table.where)
            _refuse_nested(table, columns)

    def rows(self) -> Iterator[Row]:
        """Every row, from the first."""
        return map(self._row, self.table.rows())

    def _row(self, line: Line) -> Row:
        number = line.number
        if line.cells is None or line.fault is not None:
            return Row(number, str(number), None, unread(line.fault), line.end)
        named = str(number)
        if self.columns.id is not None:
            held = line.cells.pop(self.columns.id, None)
            if without_value(held) or not names_somebody(held):
                what = "is empty" if without_value(held) else "is no text or number"
                unusable = UnusableRecord(f"{self.columns.id} {what}", f"give every record its {self.columns.id}")
                return Row(number, str(number), None, unusable, line.end)
            named = as_text(held)
        index, features, drop = self.schema.index, self.schema.features, self.columns.drop
        values = {k: value(features[index[k]], v) if k in index else v for k, v in line.cells.items() if k not in drop}
        return Row(number, named, values, None, line.end)


def beside(header: Sequence[str], schema: Schema, columns: OtherColumns) -> frozenset[str]:
    """What `days` writes beside a day's features, in a table that has all of it: to be passed over, like columns that are dropped."""
    coverage = [name for name in header if name.endswith("_coverage")]
    if not coverage or not {"id", "person", "date", "hours"} <= set(header):
        return frozenset()
    return frozenset({"id", "person", "date", "hours", *coverage} - set(schema.names) - {columns.id})


def _refuse_nested(table: Table, columns: OtherColumns) -> None:
    nested = [name for name in table.names if name in table.nested and name not in columns.drop]
    if nested:
        raise TableError(f"the columns {', '.join(nested)} of {table.where} are nested; flatten them to one value per row, or --drop them")


def check_names(header: Sequence[str], schema: Schema, columns: OtherColumns, where: str) -> None:
    """Column names against the schema: every lacking and every unknown one is named, in any order. Raises TableError.

    A first line in which nothing is what was asked for may be data: then none of it is repeated.
    """
    asked = {*schema.names, *columns.drop, columns.id}
    if len(header) == 1 and len(schema.names) > 1:
        raise TableError(f"{where} has one column; part the columns by a comma, semicolon, tab or |")
    if not asked & set(header):
        raise TableError(f"the first line of {where} holds none of the schema's names; does the file begin with a header?")
    if columns.id is not None and columns.id not in header:
        raise TableError(f"{where} has no column {columns.id!r} for --id; {_some(header)}")
    if "" in header and "" not in columns.drop:
        raise TableError(f"column {list(header).index('') + 1} of {where} has no name (row numbers?); leave it out with --drop ''")
    names = [name for name in header if name not in columns.drop and name != columns.id]
    optional = [f.name for f in schema.features if f.optional]
    if set(names) - set(schema.names) or set(schema.names) - {*names, *optional}:
        unknown = sorted(set(names) - set(schema.names))
        remedy = f"; leave columns out with --drop {unknown[0]}, or name the records with --id {unknown[0]}" if unknown else ""
        raise TableError(f"the columns of {where} do not fit the schema; {spell_difference([*names, *optional], schema.names)}{remedy}")


def _some(header: Sequence[str]) -> str:
    return "its columns are " + ", ".join(header[:20]) + (", …" if len(header) > 20 else "")
