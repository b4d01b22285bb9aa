"""Tables of separated values: a header line, then one record a line.

The separator is the one under which the header holds the names that are asked for; where none does, the one that parts the
first lines most evenly. A comma inside a number is a decimal comma where the whole file says so, and only there.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import BinaryIO

from ..errors import TableError
from ..schema.cells import from_text, visible
from ..settings import RECORD
from .decimal_marks import SUSPICIOUS, SUSPICIOUS_QUOTED, Mark, judge
from .lines import Line, Lines, UnusableLine, lines, split
from .opening import UTF8_MARK, Opened

DELIMITERS = (",", ";", "\t", "|")
LOOKED_AT = 50
BLOCK = 1 << 20
_SEPARATOR_LINE = re.compile(rb"sep=(.)", re.IGNORECASE)


class Csv(Lines):
    """A header line and one record a line. `known` are names that somebody asks for; `above` lines stand above the header."""

    def __init__(self, source: Opened, known: Collection[str], above: int = 0) -> None:
        super().__init__(source)
        self.delimiter, self.above = "", above
        header, head = self._header(), source.head
        self.delimiter = self.delimiter or _delimiter(header, head, known)
        names = split(header, self.delimiter)
        if names is None:
            raise TableError(f"the first line of {self.where} has a quote that does not close; a CSV starts with column names")
        self.names = tuple(visible(n) for n in names)
        self.open_end = len(self.names) > 1 and not self.names[-1]
        """The header ends in a separator: so may every line, with nothing behind it."""
        if self.open_end:
            self.names = self.names[:-1]
        self._check_names(known)
        self.mark = self._mark(source, head)

    def _header(self) -> str:
        """The first line that holds something, behind a line `sep=;` where there is one."""
        for number, (line, end) in enumerate(lines(self.file, 0), 1):
            self.line, self.first = number, end
            if self.line <= self.above:
                continue
            if line is None:
                raise TableError(f"the first line of {self.where} holds over {RECORD.max_bytes:,} bytes; a CSV starts with column names")
            plain = line.removeprefix(UTF8_MARK)
            if not plain.strip(b" \t"):
                continue
            if not self.delimiter and (stated := _SEPARATOR_LINE.fullmatch(plain.strip(b" "))):
                self.delimiter = stated[1].decode("latin-1")
                continue
            return self._decoded(plain)
        raise TableError(f"{self.where} is empty; give a table with a header line, or JSON Lines")

    def _decoded(self, line: bytes) -> str:
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise TableError(
                f"{self.where} is not UTF-8 (byte {error.start} of its first line); name its encoding with --encoding (latin-1, cp1252), "
                "or save it as UTF-8"
            ) from error
        if "\r" in text:
            raise TableError(f"the lines of {self.where} end in a bare carriage return; save it with line feeds")
        return text

    def _check_names(self, known: Collection[str]) -> None:
        """No name may stand twice; a line of data may not pass for names. Says no name that nobody asked for."""
        at = dict[str, int]()
        for place, name in enumerate(self.names, 1):
            if name in at:
                if not name:
                    raise TableError(f"the columns {at[name]} and {place} of {self.where} have no name; is there a title above the names?")
                told = f" {name!r}" if set(known) & set(self.names) else ""
                raise TableError(f"{self.where} has the column{told} twice, as columns {at[name]} and {place}; keep one")
            at[name] = place

    def _blank(self, line: bytes) -> bool:
        """Empty cells are a record; so is an empty line where there is one column."""
        return not line.strip(b" ") if len(self.names) > 1 or self.open_end else False

    def _line(self, number: int, line: bytes, end: int) -> Line:
        fields = self._fields(line)
        if isinstance(fields, UnusableLine):
            return Line(number, None, fields, end)
        if self.mark is Mark.POINT:
            return Line(number, dict(zip(self.names, map(from_text, fields), strict=True)), None, end)
        return Line(number, {name: self.mark.read(from_text(text)) for name, text in zip(self.names, fields, strict=True)}, None, end)

    def _mark(self, source: Opened, head: bytes) -> Mark:
        """By the whole file; what can be read but once is judged by its beginning, and its commas are never read as decimals."""
        suspicious = SUSPICIOUS_QUOTED if self.delimiter == "," else SUSPICIOUS
        if not source.twice:
            mark = judge(self._texts(head.splitlines())) if suspicious.search(head) else Mark.POINT
        else:
            with source.again() as file:
                if not _holds(file, suspicious):
                    return Mark.POINT
            with source.again() as file:
                mark = judge(self._texts(line for line, _ in lines(file, 0) if line is not None))
        return Mark.DOUBT if mark is Mark.COMMA and (self.delimiter == "," or not source.twice) else mark

    def _texts(self, some: Iterable[bytes]) -> Iterator[str | None]:
        for line in some:
            fields = self._fields(line)
            if not isinstance(fields, UnusableLine):
                yield from map(from_text, fields)

    def _fields(self, line: bytes) -> list[str] | UnusableLine:
        """The texts of one line, one a column."""
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            return UnusableLine(
                f"the line is not UTF-8 (byte {error.start})", "save the table as UTF-8, or name its encoding with --encoding"
            )
        if "\x00" in text or "\r" in text:
            return UnusableLine("the line holds a NUL byte or a bare carriage return", "write the table again as plain text")
        fields = split(text, self.delimiter)
        if fields is None:
            return UnusableLine("the line has a quote that does not close, or a line break inside a value", "write each record in one line")
        if self.open_end and len(fields) == len(self.names) + 1 and not fields[-1].strip():
            del fields[-1]
        if len(fields) != len(self.names):
            return _wrong_count(fields, self.names, self.delimiter)
        return fields


def _wrong_count(fields: list[str], names: Sequence[str], delimiter: str) -> UnusableLine:
    hint = ""
    if len(fields) > len(names):
        if not any(text.strip() for text in fields[len(names) :]):
            hint = "; does every line end in a separator that the header lacks?"
        elif delimiter == ",":
            hint = "; numbers need decimal points, not commas, and texts with commas need quotes"
    return UnusableLine(f"the line has {len(fields)} values, the header {len(names)}", f"give one value per column{hint}")


def _delimiter(header: str, head: bytes, known: Collection[str]) -> str:
    """The separator: by known names in the header, then by how evenly it parts the first lines, then by how much it parts."""
    texts = [line.decode("utf-8", "replace") for line in head.splitlines()[:LOOKED_AT] if line.strip()]

    def score(delimiter: str) -> tuple[int, float, int]:
        names = [visible(n) for n in split(header, delimiter) or ()]
        counts = [len(split(text, delimiter) or ()) for text in texts]
        even = sum(count == len(names) for count in counts) / max(1, len(counts)) if len(names) > 1 else 0.0
        return len(set(known) & set(names)), even, len(names)

    return max(DELIMITERS, key=score)


def _holds(file: BinaryIO, pattern: re.Pattern[bytes]) -> bool:
    """Whether some line holds the pattern. Nearly no file does, and this is quick."""
    tail = b""
    while block := file.read(BLOCK):
        if pattern.search(tail + block):
            return True
        tail = block[-64:]
    return False
