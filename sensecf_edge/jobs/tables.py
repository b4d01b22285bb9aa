"""Tables of records, read row by row, once: CSV, JSON Lines, Parquet. What a file is, its first bytes say, not its name.

One line is one record: a line break inside quotes is refused, so that a stray quote costs one row and not the rest of
the file. At most one line, or one batch of a Parquet row group, is held at a time. A row that cannot be read is a Row
with a Problem, never an exception; an exception (TableError) means that no row can be read at all. Nothing is
converted but text to numbers, and nothing is filled in.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import re
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

from ..errors import RecordError, TableError
from ..record import parse_object
from ..schema import Feature, Schema, spell_difference
from ..settings import RECORD
from .problem import Problem, not_one_object

STANDARD = "-"
DELIMITERS = (",", ";", "\t", "|")
HEAD_BYTES = 4_096
BOM = b"\xef\xbb\xbf"
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_OTHER_FILES = {
    b"\x1f\x8b": ("compressed (gzip)", "unpack it first, for example: gunzip -c FILE | sensecf-edge batch - …"),
    b"PK\x03\x04": ("a spreadsheet or zip archive", "save it as CSV (UTF-8)"),
    b"\xff\xfe": ("UTF-16", "save it as UTF-8"),
    b"\xfe\xff": ("UTF-16", "save it as UTF-8"),
    b"[": ("a JSON list", "write one JSON object per line, for example: jq -c '.[]'"),
}


class Row(NamedTuple):
    """One record as it was read, or why it could not be. `end` is how far the table is read with it, in the units of `Source.size`."""

    number: int
    id: str
    values: dict[str, Any] | None
    problem: Problem | None
    end: int


class Columns(NamedTuple):
    """What to do with columns that are no features: `id` names the records, `drop` are passed over."""

    id: str | None = None
    drop: frozenset[str] = frozenset()


class Source(Protocol):
    """A table to read, once. `size` is in the units of `Row.end`; None where nobody knows it: for a pipe."""

    size: int | None

    def rows(self) -> Iterator[Row]:
        """Every row, from the first."""
        ...


@contextlib.contextmanager
def open_source(name: str, schema: Schema, columns: Columns) -> Iterator[Source]:
    """The table at a path, or on standard input for `-`. Raises TableError where no row of it can be read."""
    with _opened(name) as file:
        yield _source(file, name, schema, columns)


def _source(file: BinaryIO, name: str, schema: Schema, columns: Columns) -> Source:
    where = "standard input" if name == STANDARD else name
    head = _head(file)
    start = head.removeprefix(BOM).lstrip()
    if not start:
        raise TableError(f"{where} is empty; give a table with a header line, or JSON Lines")
    for magic, (what, remedy) in _OTHER_FILES.items():
        if start.startswith(magic):
            raise TableError(f"{where} is {what}; {remedy}")
    size = None if name == STANDARD else _size(file)
    if start.startswith(b"PAR1"):
        if size is None:
            raise TableError("Parquet cannot be read from a pipe, its directory stands at the end; give the file")
        from .parquet import ParquetSource

        return ParquetSource(Path(name), schema, columns)
    reader = io.BufferedReader(_Again(head, file))
    return (JsonLines if start.startswith(b"{") else Csv)(reader, where, size, schema, columns)


def _head(file: BinaryIO) -> bytes:
    """The first bytes, as far as they tell what the table is: a slow pipe gives them little by little."""
    head = b""
    while len(head) < HEAD_BYTES and b"\n" not in head.removeprefix(BOM).lstrip() and (more := file.read(1)):
        head += more
    return head


def _size(file: BinaryIO) -> int | None:
    """Only a regular file has one, and only a regular file can be opened again and be the same: a pipe is read once."""
    there = os.fstat(file.fileno())
    return there.st_size if stat.S_ISREG(there.st_mode) else None


class _Again(io.RawIOBase):
    """A file whose first bytes were read already: they are given out again before the rest."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head, self._rest = head, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        some = self._head[: len(buffer)] or self._rest.read1(len(buffer))  # type: ignore[attr-defined]
        self._head = self._head[len(some) :]
        buffer[: len(some)] = some
        return len(some)


def _opened(name: str) -> contextlib.AbstractContextManager[BinaryIO]:
    if name == STANDARD:
        if sys.stdin is None:
            raise TableError("standard input is closed; give a file")
        return contextlib.nullcontext(sys.stdin.buffer)
    try:
        if stat.S_ISDIR(os.stat(name).st_mode):
            raise TableError(f"{name} is a folder; give one file")
        return open(name, "rb")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise TableError(f"cannot read {name}: {reason}; give a CSV, JSON Lines or Parquet file, or - for standard input") from error


def lines(file: BinaryIO, start: int) -> Iterator[tuple[bytes | None, int]]:
    """Lines without their end, each with the offset behind it; None for one that is too long to be a record."""
    limit = RECORD.max_bytes
    while line := file.readline(limit + 1):
        start += len(line)
        too_long = len(line) > limit and not line.endswith(b"\n")
        while too_long and line and not line.endswith(b"\n"):
            line = file.readline(limit)
            start += len(line)
        yield None if too_long else line.rstrip(b"\r\n"), start


TOO_LONG = Problem(
    f"the line holds over {RECORD.max_bytes:,} bytes", "a record is one short line; look for a missing line break", "the line is too long"
)


class _Lines:
    """What CSV and JSON Lines share: count the lines that hold something."""

    def __init__(self, file: BinaryIO, where: str, size: int | None, schema: Schema, columns: Columns) -> None:
        self.file, self.where, self.size, self.schema, self.columns = file, where, size, schema, columns
        self.first = 0
        self._open()

    def _open(self) -> None: ...

    def rows(self) -> Iterator[Row]:
        """A line that is empty is no row; one without any value is: it has its delimiters."""
        count = 0
        for line, end in lines(self.file, self.first):
            if line is not None and not line.strip(b" "):
                continue
            count += 1
            yield Row(count, str(count), None, TOO_LONG, end) if line is None else self._row(count, line, end)

    def _row(self, number: int, line: bytes, end: int) -> Row:
        raise NotImplementedError


class JsonLines(_Lines):
    """One JSON object a line. Names are checked record by record, for every line may have its own."""

    def _row(self, number: int, line: bytes, end: int) -> Row:
        try:
            values = parse_object(line, "the line")
        except RecordError as error:
            return Row(number, str(number), None, not_one_object(error), end)
        for name in self.columns.drop:
            values.pop(name, None)
        if self.columns.id is None:
            return Row(number, str(number), values, None, end)
        name = values.pop(self.columns.id, None)
        if isinstance(name, bool) or not isinstance(name, str | int) or name == "":
            problem = Problem(f"{self.columns.id} is missing or no text or whole number", f"give every record its {self.columns.id}")
            return Row(number, str(number), None, problem, end)
        return Row(number, str(name), values, None, end)


class Csv(_Lines):
    """A header line and one record a line. The delimiter is the one under which the header fits the schema best."""

    def _open(self) -> None:
        line, self.first = next((line, end) for line, end in lines(self.file, 0) if line is None or line.removeprefix(BOM).strip(b" "))
        if line is None:
            raise TableError(f"the first line of {self.where} holds over {RECORD.max_bytes:,} bytes; a CSV starts with column names")
        try:
            text = line.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise TableError(f"{self.where} is not UTF-8 (byte {error.start}); save it as UTF-8, or: iconv -f LATIN1 -t UTF-8") from error
        if "\r" in text:
            raise TableError(f"the lines of {self.where} end in a bare carriage return; save it with line feeds")
        known = {*self.schema.names, *self.columns.drop, self.columns.id}
        self.delimiter = max(DELIMITERS, key=lambda d: len(known & set(_fields(text, d) or ())))
        self.header = _fields(text, self.delimiter) or []
        check_names(self.header, self.schema, self.columns, self.where)

    def _row(self, number: int, line: bytes, end: int) -> Row:
        def refused(reason: str, remedy: str) -> Row:
            return Row(number, str(number), None, Problem(reason, remedy), end)

        try:
            fields = _fields(line.decode("utf-8"), self.delimiter)
        except UnicodeDecodeError as error:
            return refused(f"the line is not UTF-8 (byte {error.start})", "save the table as UTF-8")
        if fields is None:
            return refused("the line has a quote that does not close, or a line break inside a value", "write each record in one line")
        if len(fields) != len(self.header):
            hint = "; numbers need decimal points, not commas" if len(fields) > len(self.header) and self.delimiter == "," else ""
            return refused(f"the line has {len(fields)} values, the header {len(self.header)}", f"give one value per column{hint}")
        named = dict(zip(self.header, fields, strict=True))
        name = named.pop(self.columns.id).strip() if self.columns.id is not None else str(number)
        if not name:
            return refused(f"{self.columns.id} is empty", f"give every record its {self.columns.id}")
        values = {k: from_text(self.schema[k], v) for k, v in named.items() if k not in self.columns.drop}
        return Row(number, name, values, None, end)


def _fields(text: str, delimiter: str) -> list[str] | None:
    """One line cut at the delimiter; None where its quotes do not close."""
    if '"' not in text:
        return text.split(delimiter)
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True))
    except (csv.Error, StopIteration):
        return None


def from_text(feature: Feature, text: str) -> Any:
    """A cell as a JSON value: nothing is unknown, plain numbers are numbers. Anything else stays the text it is, to be refused."""
    text = text.strip()
    if not text:
        return None
    if feature.kind == "choice" or not _NUMBER.fullmatch(text):
        return text
    return int(text) if text.lstrip("+-").isdigit() and len(text) < 16 else float(text)


def check_names(header: Sequence[str], schema: Schema, columns: Columns, where: str) -> None:
    """Column names against the schema: every lacking and every unknown one is named, in any order. Raises TableError."""
    if len(header) == 1 and len(schema.names) > 1:
        raise TableError(f"{where} has one column, {header[0][:80]!r}; part the columns by a comma, semicolon, tab or |")
    doubled = sorted({name for name in header if list(header).count(name) > 1})
    if doubled:
        raise TableError(f"{where} has the column {doubled[0]!r} twice; keep one")
    if columns.id is not None and columns.id not in header:
        raise TableError(f"{where} has no column {columns.id!r} for --id; {_some(header)}")
    names = [name for name in header if name not in columns.drop and name != columns.id]
    optional = [f.name for f in schema.features if f.optional]
    if set(names) - set(schema.names) or set(schema.names) - {*names, *optional}:
        unknown = sorted(set(names) - set(schema.names))
        remedy = f"; leave columns out with --drop {unknown[0]}, or name the records with --id {unknown[0]}" if unknown else ""
        raise TableError(f"the columns of {where} do not fit the schema; {spell_difference([*names, *optional], schema.names)}{remedy}")


def _some(header: Sequence[str]) -> str:
    return "its columns are " + ", ".join(header[:20]) + (", …" if len(header) > 20 else "")
