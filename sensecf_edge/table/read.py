"""A whole table in memory: for each column its different cells, and for each row which of them it has.

The same reader as for streams, so that a draft, a fit and a batch see the same cells. A table of which some line cannot
be read is refused, with all such lines.
"""

from __future__ import annotations

import contextlib
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import TableError
from ..schema.cells import Cell
from .delimited import Csv
from .lines import JsonLines, Line, Table, UnusableLine
from .opening import UTF8_MARK, Opened, opened

CODE_BYTES, CELL_BYTES = 4, 200
ROWS_BETWEEN_LOOKS = 10_000


@dataclass
class Column:
    """One column: `cells` are the different ones in the order in which they first stand there; `at` says which a row has."""

    cells: list[Cell] = field(default_factory=list)
    codes: array[int] = field(default_factory=lambda: array("i"))
    order: tuple[str, ...] = ()
    """Ordered categories where the file says so."""
    _places: dict[Any, int] = field(default_factory=dict)

    @property
    def at(self) -> NDArray[np.int32]:
        """Row -> place in `cells`, shape (rows,)."""
        return np.frombuffer(self.codes, dtype=np.int32) if self.codes else np.zeros(0, np.int32)

    def add(self, given: Cell) -> None:
        """The cell of one more row."""
        key = given if type(given) is str else (type(given), given)  # 1, 1.0 and true are equal and not the same
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = len(self.cells)
            self.cells.append(given)
        self.codes.append(place)

    def rows(self) -> Iterator[Cell]:
        """The cells row by row."""
        return map(self.cells.__getitem__, self.codes)


@dataclass
class Cells:
    """A table: its columns by name, all equally long. A column without a name is called ''."""

    where: str
    columns: dict[str, Column]
    count: int = 0

    def __len__(self) -> int:
        return self.count

    @classmethod
    def of(cls, columns: Mapping[str, Iterable[Cell]], where: str = "the table") -> Cells:
        """From cells that are in memory already."""
        out = cls(where, {name: Column() for name in columns})
        for name, held in columns.items():
            for given in held:
                out.columns[name].add(given)
        out.count = max((len(c.codes) for c in out.columns.values()), default=0)
        return out


@contextlib.contextmanager
def table(name: str, known: Collection[str] = (), above: int = 0) -> Iterator[Table]:
    """The table at a path or on standard input, to be read row by row. Raises TableError where no row of it can be read."""
    with opened(name) as source:
        yield table_of(source, known, above)


def table_of(source: Opened, known: Collection[str] = (), above: int = 0) -> Table:
    """The table that was opened; of a CSV, `above` lines stand above the names of columns. Raises TableError."""
    if source.parquet:
        from .parquet import Parquet

        return Parquet(source)
    head = source.head.removeprefix(UTF8_MARK).lstrip()
    return JsonLines(source) if head.startswith(b"{") else Csv(source, known, above)


def read(name: str, known: Collection[str] = (), free: Callable[[], int] | None = None) -> Cells:
    """All of a table. `known` are names that it should have. Raises TableError for what is no table, for lines that are no
    records, and where it would take more memory than `free` says there is."""
    with table(name, known) as source:
        out = Cells(source.where, {n: Column() for n in source.names})
        faults, limit = Faults(), free() if free else None
        for line in source.rows():
            if line.cells is None or line.fault is not None:
                faults.add(line)
                continue
            if not source.names:
                _widen(out, line.cells)
            for column, given in zip(out.columns.values(), line.cells.values(), strict=True):
                column.add(given)
            out.count += 1
            if limit is not None and out.count % ROWS_BETWEEN_LOOKS == 0:
                _check_memory(out, limit)
        faults.refuse(source.where)
        for name, order in source.orders.items():
            out.columns[name].order = tuple(order)
    if not out.count:
        raise TableError(f"{out.where} holds no record; give at least one row")
    return out


def _widen(table: Cells, cells: dict[str, Cell]) -> None:
    """A record with names of its own: columns that are new are unknown before it, columns that it lacks are unknown in it."""
    for name in cells:
        if name not in table.columns:
            table.columns[name] = new = Column()
            for _ in range(table.count):
                new.add(None)
    ordered = {name: cells.get(name) for name in table.columns}
    cells.clear()
    cells.update(ordered)


def _check_memory(table: Cells, limit: int) -> None:
    needed = sum(CODE_BYTES * len(c.codes) + CELL_BYTES * len(c.cells) for c in table.columns.values())
    if needed > limit:
        raise TableError(
            f"{table.where} takes over {needed / 1e9:.1f} GB to read and more than is free; write a table with fewer rows (a sample of the "
            "people) or only the columns of the schema"
        )


class Faults:
    """Lines that are no records: one entry for every kind, with how many there are and where the first one stands."""

    def __init__(self) -> None:
        self.kinds = dict[str, tuple[int, int, UnusableLine]]()

    def add(self, line: Line) -> None:
        """One more line."""
        assert line.fault is not None
        told = line.fault.quiet or line.fault.reason
        count, first, fault = self.kinds.get(told, (0, line.number, line.fault))
        self.kinds[told] = count + 1, first, fault

    def refuse(self, where: str) -> None:
        """Raises TableError with all of them, where there is one."""
        told = [
            f"{told} in data row {first}" + (f" and {count - 1:,} more" if count > 1 else "") + f"; {fault.remedy}"
            for told, (count, first, fault) in self.kinds.items()
        ]
        if told:
            raise TableError(*told, where=where)
