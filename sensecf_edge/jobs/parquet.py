"""Parquet in and out, a batch at a time: the only door to pyarrow (extra `batch`)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import TableError
from ..schema import Schema
from .layouts import Column
from .problem import Problem
from .tables import Columns, Row, check_names

BATCH = 1_000
GROUP = 20_000
_TYPES = {"text": pa.string(), "number": pa.float64(), "value": pa.float64(), "whole": pa.int64(), "flag": pa.bool_()}


class ParquetSource:
    """Rows of a Parquet file; at most one batch is turned into values at a time. `Row.end` counts rows.

    NaN counts as unknown, as pandas writes it. A whole float may name a choice, because pandas turns whole numbers with
    gaps into floats.
    """

    def __init__(self, path: Path, schema: Schema, columns: Columns) -> None:
        self.path, self.schema, self.columns = path, schema, columns
        try:
            self.file = pq.ParquetFile(path)
        except (pa.ArrowException, OSError) as error:
            raise TableError(f"{path} is damaged or no Parquet file; write it again") from error
        table = self.file.schema_arrow
        nested = [f.name for f in table if pa.types.is_nested(f.type) and f.name not in columns.drop]
        if nested:
            raise TableError(f"the columns {', '.join(nested)} of {path} are nested; flatten them to one value per row, or --drop them")
        check_names(table.names, schema, columns, str(path))
        self.names = [name for name in table.names if name not in columns.drop]
        self.size: int | None = self.file.metadata.num_rows
        if not self.size:
            raise TableError(f"{path} is empty; it holds columns and no row")

    def rows(self) -> Iterator[Row]:
        """Every row, from the first."""
        number = 0
        for batch in self.file.iter_batches(batch_size=BATCH, columns=self.names, use_threads=False):
            for values in batch.to_pylist():
                number += 1
                yield self._row(number, values)

    def _row(self, number: int, values: dict[str, Any]) -> Row:
        name: Any = number
        if self.columns.id is not None:
            name = values.pop(self.columns.id)
            if name is None or name == "":
                problem = Problem(f"{self.columns.id} is empty", f"give every record its {self.columns.id}")
                return Row(number, str(number), None, problem, number)
        return Row(number, str(name), {k: self._value(k, v) for k, v in values.items()}, None, number)

    def _value(self, name: str, value: Any) -> Any:
        if isinstance(value, float):
            if math.isnan(value):
                return None
            if self.schema[name].kind == "choice" and value.is_integer():
                return int(value)
        return value


def assemble(part: Path, out: Path, columns: Sequence[Column], about: Mapping[str, str]) -> None:
    """JSON Lines to a Parquet file, a row group at a time."""
    schema = pa.schema([(column.name, _TYPES[column.kind]) for column in columns], metadata=dict(about))
    with part.open("rb") as lines, pq.ParquetWriter(out, schema) as writer:
        rows: list[dict[str, Any]] = []
        for line in lines:
            rows.append(json.loads(line))
            if len(rows) == GROUP:
                writer.write_table(pa.Table.from_pylist(rows, schema))
                rows.clear()
        if rows:
            writer.write_table(pa.Table.from_pylist(rows, schema))
