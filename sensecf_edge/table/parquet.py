"""Parquet, a batch at a time: with `parquet`, which writes it, the only door to pyarrow (extra `batch`).

Every type becomes the cells that the same table has as a CSV: categories their names, decimals and narrow floats the
number that is written, dates their ISO text, bytes their UTF-8 text. What is nested stays an `Unreadable`.
"""

from __future__ import annotations

import decimal
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..errors import TableError
from ..schema.cells import Cell, Unreadable, cell, visible
from .lines import Line
from .opening import Opened

BATCH = 1_000
_NOTHING = re.compile(r"( 00:00:00)?(\.0+)?$")


def unpacked_bytes(path: str) -> tuple[int, int]:
    """How many bytes and how many cells a file holds once unpacked, by its directory. (0, 0) where that cannot be read."""
    try:
        about = pq.read_metadata(path)
    except (pa.ArrowException, OSError):
        return 0, 0
    return sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups)), about.num_rows * about.num_columns


class Parquet:
    """Rows of a Parquet file; at most one batch is turned into cells at a time. `Line.end` counts rows."""

    def __init__(self, source: Opened) -> None:
        self.where = source.where
        try:
            self.file = pq.ParquetFile(source.name)
        except (pa.ArrowException, OSError) as error:
            raise TableError(f"{self.where} is damaged or no Parquet file; write it again") from error
        fields = list(self.file.schema_arrow)
        self.names = tuple(visible(f.name) for f in fields)
        twice = next((n for n in self.names if self.names.count(n) > 1), None)
        if twice is not None:
            raise TableError(f"{self.where} has the column {twice!r} twice; keep one")
        self.size: int | None = self.file.metadata.num_rows
        if not self.size:
            raise TableError(f"{self.where} is empty; it holds columns and no row")
        self.nested = frozenset(visible(f.name) for f in fields if pa.types.is_nested(f.type))
        self.orders = dict[str, list[str]]()
        """Ordered categories, first to last, by column."""

    def rows(self) -> Iterator[Line]:
        """Every row, from the first."""
        number = 0
        try:
            for batch in self.file.iter_batches(batch_size=BATCH, use_threads=False):
                columns = [self._cells(name, batch.column(i)) for i, name in enumerate(self.names)]
                for row in zip(*columns, strict=True):
                    number += 1
                    yield Line(number, dict(zip(self.names, row, strict=True)), None, number)
        except (pa.ArrowException, OSError) as error:
            raise TableError(f"{self.where} is damaged behind row {number:,}; write it again") from error

    def _cells(self, name: str, column: Any) -> list[Cell]:
        kind = column.type
        if pa.types.is_dictionary(kind):
            if kind.ordered:
                self.orders[name] = [v for v in map(_text, column.dictionary.to_pylist()) if isinstance(v, str)]
            column, kind = column.dictionary_decode(), kind.value_type
        if isinstance(column, pa.ExtensionArray):
            column, kind = column.storage, column.storage.type
        if pa.types.is_nested(kind):
            return [None if v is None else Unreadable("nested") for v in column.is_valid().to_pylist()]
        if pa.types.is_float16(kind):
            return [None if v is None else cell(float(str(np.float16(v)))) for v in column.to_pylist()]
        if pa.types.is_float32(kind):
            column = pc.cast(pc.cast(column, pa.string()), pa.float64())  # the shortest number, as it is written
        if pa.types.is_timestamp(kind):
            column = column.cast(pa.timestamp(kind.unit))  # without its zone: the moment in UTC
        if pa.types.is_temporal(kind) and not pa.types.is_duration(kind):
            column = pc.cast(column, pa.string())
        if pa.types.is_duration(kind):
            column = column.cast(pa.int64())
        read = next((read for is_kind, read in _READ if is_kind(kind)), cell)
        return [read(v) for v in column.to_pylist()]


def _text(value: Any) -> Cell:
    if isinstance(value, bytes):
        try:
            return cell(value.decode("utf-8"))
        except UnicodeDecodeError:
            return Unreadable("bytes that are no UTF-8 text")
    return cell(value)


def _decimal(value: decimal.Decimal | None) -> Cell:
    if value is None:
        return None
    return int(value) if value == value.to_integral_value() else cell(float(value))


def _moment(value: str | None) -> Cell:
    """A date, a time or both, as ISO writes them; midnight and parts of a second that are none are left out."""
    return None if value is None else _NOTHING.sub("", value)


def _duration(value: Any) -> Cell:
    return None if value is None else Unreadable("a duration")


_READ: tuple[tuple[Callable[[Any], bool], Callable[[Any], Cell]], ...] = (
    (lambda k: pa.types.is_binary(k) or pa.types.is_large_binary(k) or pa.types.is_fixed_size_binary(k), _text),
    (pa.types.is_decimal, _decimal),
    (lambda k: pa.types.is_timestamp(k) or pa.types.is_date(k) or pa.types.is_time(k), _moment),
    (pa.types.is_duration, _duration),
)
