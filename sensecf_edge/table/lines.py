"""Lines of a table: one line is one record. At most one line is held at a time."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, Protocol

from ..errors import RecordError
from ..schema.cells import Cell, cell, visible
from ..schema.record import parse_object
from ..settings import RECORD
from .opening import Opened

NUL, STAND_IN = "\0", "\ufdd0"
"""Python 3.10's csv takes no U+0000. What stands in for it is no character of Unicode, so no text holds it."""


class UnusableLine(NamedTuple):
    """Why a line or cell cannot be used. `reason` may hold what stands there; `quiet`, where given, says it without."""

    reason: str
    remedy: str
    quiet: str = ""


class Line(NamedTuple):
    """One record as it was read, cells by column, or why it could not be. `end` is how far the table is read with it."""

    number: int
    cells: dict[str, Cell] | None
    fault: UnusableLine | None
    end: int


class Table(Protocol):
    """A table to be read once.

    `size` is in the units of `Line.end`, None where that is unknown. `names` are the columns, () where every record has its
    own; `nested` are those of which no cell can be read; `orders` holds ordered categories, first to last, once rows have been read.
    """

    where: str
    size: int | None
    names: tuple[str, ...]
    nested: frozenset[str]
    orders: dict[str, list[str]]

    def rows(self) -> Iterator[Line]:
        """Every record, from the first."""
        ...


TOO_LONG = UnusableLine(
    f"the line holds over {RECORD.max_bytes:,} bytes", "a record is one short line; look for a missing line break", "the line is too long"
)


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


class Lines:
    """What CSV and JSON Lines share: count the lines that hold something. `line` is the last one read, counting all of the file."""

    names: tuple[str, ...] = ()
    nested: frozenset[str] = frozenset()
    first = line = 0

    def __init__(self, source: Opened) -> None:
        self.orders = dict[str, list[str]]()
        self.file, self.where, self.size = source.file, source.where, source.size

    def rows(self) -> Iterator[Line]:
        """Every record, from the first."""
        count = 0
        for number, (line, end) in enumerate(lines(self.file, self.first), self.line + 1):
            self.line = number
            if line is not None and self._blank(line):
                continue
            count += 1
            yield Line(count, None, TOO_LONG, end) if line is None else self._line(count, line, end)

    def _blank(self, line: bytes) -> bool:
        """A line of nothing is no record."""
        return not line.strip()

    def _line(self, number: int, line: bytes, end: int) -> Line:
        raise NotImplementedError


class JsonLines(Lines):
    """One JSON object a line. Every line may have names of its own."""

    def _line(self, number: int, line: bytes, end: int) -> Line:
        try:
            values = parse_object(line, "the line")
        except RecordError as error:
            reason, _, remedy = str(error).rpartition("; ")
            quiet = "a key stands twice" if "stands twice" in reason else ""
            return Line(number, None, UnusableLine(reason, remedy, quiet) if reason else UnusableLine(remedy, "correct it", quiet), end)
        cells = {visible(name): cell(held) for name, held in values.items()}
        if len(cells) != len(values):
            return Line(number, None, UnusableLine("two keys differ only in what cannot be seen", "keep one"), end)
        return Line(number, cells, None, end)


def split(text: str, delimiter: str) -> list[str] | None:
    """One line cut at the delimiter; None where its quotes do not close."""
    if '"' not in text:
        return text.split(delimiter)
    if NUL in text:
        cells = split(text.replace(NUL, STAND_IN), delimiter)
        return cells and [cell.replace(STAND_IN, NUL) for cell in cells]
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True, skipinitialspace=delimiter != "\t"))
    except (csv.Error, StopIteration):
        return None
