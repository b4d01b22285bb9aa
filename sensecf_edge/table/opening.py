"""A table's bytes, wherever they come from: a file, standard input; packed or in another encoding. Out comes UTF-8."""

from __future__ import annotations

import codecs
import contextlib
import gzip
import io
import os
import stat
import sys
import zlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

from ..errors import TableError

STANDARD = "-"
ENCODING: ContextVar[str] = ContextVar("encoding", default="")
"""The encoding that the person at the command line names for tables; '' where nobody named one."""
BUFFER = 1 << 16
UTF8_MARK, GZIP, PARQUET = b"\xef\xbb\xbf", b"\x1f\x8b", b"PAR1"
FORMATS = "a CSV, JSON Lines or Parquet file"


class Readable(Protocol):
    """What gives bytes as they come."""

    def read1(self, size: int) -> bytes:
        """Some of them, none at the end."""
        ...


_OTHER_FILES = {
    b"PK\x03\x04": ("a spreadsheet or zip archive", "save it as CSV (UTF-8)"),
    b"\xd0\xcf\x11\xe0": ("an old spreadsheet (.xls)", "save it as CSV (UTF-8)"),
    b"BZh": ("compressed (bzip2)", "unpack it first (bunzip2)"),
    b"\xfd7zXZ\x00": ("compressed (xz)", "unpack it first (unxz)"),
    b"\x28\xb5\x2f\xfd": ("compressed (zstd)", "unpack it first (unzstd)"),
    b"%PDF": ("a PDF", "save the table as CSV (UTF-8)"),
    b"SQLite format 3": ("a database (SQLite)", "export the table as CSV (UTF-8)"),
    b"ARROW1": ("an Arrow or Feather file", "write it as Parquet"),
    b"[": ("a JSON list", "write one JSON object per line, for example: jq -c '.[]'"),
}
_MARKS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass
class Opened:
    """A table whose first bytes were looked at: `head`, up to a line's end at least, is still to be read from `file`.

    `size` is how many bytes `file` will give, None where nobody knows; `twice` says whether it can be read `again`.
    """

    file: io.BufferedReader[Any]
    where: str
    size: int | None
    head: bytes
    name: str = STANDARD
    twice: bool = False

    @property
    def parquet(self) -> bool:
        """Whether it is Parquet."""
        return self.head.startswith(PARQUET)

    @contextlib.contextmanager
    def again(self) -> Iterator[BinaryIO]:
        """The same bytes from their beginning."""
        with opened(self.name) as other:
            yield other.file


@contextlib.contextmanager
def opened(name: str) -> Iterator[Opened]:
    """The table at a path, or on standard input for `-`. Raises TableError for what can be no table, in words.

    gzip is unpacked, UTF-16 and UTF-32 are known by their marks, any other encoding must be named.
    """
    with _bytes(name) as raw:
        yield _looked_at(raw, name, None if name == STANDARD else _size(raw))


@dataclass
class Held(Opened):
    """A table that is in memory."""

    data: bytes = b""

    @contextlib.contextmanager
    def again(self) -> Iterator[BinaryIO]:
        """The same bytes from their beginning."""
        yield held(self.data, self.name).file


def held(data: bytes, name: str) -> Opened:
    """A table that is in memory, as `opened`; `name` is for messages. Parquet has to be a file. Raises TableError."""
    seen = _looked_at(io.BytesIO(data), name, None)
    return Held(seen.file, seen.where, None, seen.head, name, twice=True, data=data)


def _looked_at(raw: Any, name: str, size: int | None) -> Opened:
    where = "standard input" if name == STANDARD else name
    head = _head(raw)
    packed = head.startswith(GZIP)
    file = io.BufferedReader(_Again(head, raw), BUFFER)
    if packed:
        unpacked = _Unpacked(file, where)
        head = _head(unpacked)
        file = io.BufferedReader(_Again(head, unpacked), BUFFER)
    coding = _coding(head, ENCODING.get())
    if coding:
        recoded = _Recoded(file, coding, where)
        head = _head(recoded)
        file = io.BufferedReader(_Again(head, recoded), BUFFER)
    table = Opened(file, where, None if packed or coding else size, head, name, twice=size is not None)
    _refuse_others(table)
    return table


def _bytes(name: str) -> contextlib.AbstractContextManager[Any]:
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
        raise TableError(f"cannot read {name}: {reason}; give {FORMATS}, or - for standard input") from error


def _size(file: BinaryIO) -> int | None:
    """Only a regular file has one, and only a regular file can be opened again and be the same."""
    there = os.fstat(file.fileno())
    return there.st_size if stat.S_ISREG(there.st_mode) else None


def _head(file: Readable) -> bytes:
    """The first bytes, as far as they tell what the table is: a slow pipe gives them little by little."""
    head = b""
    while len(head) < BUFFER and b"\n" not in head.removeprefix(UTF8_MARK).lstrip() and (more := file.read1(BUFFER - len(head))):
        head += more
    return head


def _coding(head: bytes, encoding: str) -> str:
    """The encoding to be turned into UTF-8, '' for none: what the file's mark says goes before what is asked for."""
    if encoding and _is_utf8(encoding):
        encoding = ""
    if head.startswith((UTF8_MARK, PARQUET)):
        return ""
    return next((name for mark, name in _MARKS.items() if head.startswith(mark)), encoding)


def _refuse_others(table: Opened) -> None:
    if table.parquet and table.size is None:
        raise TableError("Parquet cannot be read from a pipe or packed, its directory stands at the end; give the file itself")
    head = table.head.removeprefix(UTF8_MARK)
    if not head.strip():
        raise TableError(f"{table.where} is empty; give a table with a header line, or JSON Lines")
    for magic, (what, remedy) in _OTHER_FILES.items():
        if head.lstrip().startswith(magic):
            raise TableError(f"{table.where} is {what}; {remedy}")
    if b"\x00" in head.partition(b"\n")[0] and not table.parquet:
        raise TableError(f"{table.where} holds NUL bytes, as UTF-16 without its mark or a program's own file does; save it as CSV (UTF-8)")


def _is_utf8(coding: str) -> bool:
    try:
        return codecs.lookup(coding).name in ("utf-8", "utf-8-sig", "ascii")
    except LookupError as error:
        raise TableError(f"--encoding {coding}: there is no such encoding; for example latin-1, cp1252, utf-16") from error


class _Unpacked:
    """Bytes that gzip packed."""

    def __init__(self, file: BinaryIO, where: str) -> None:
        self.file, self.where = gzip.GzipFile(fileobj=file, mode="rb"), where

    def read1(self, size: int) -> bytes:
        """Some of them, none at the end."""
        try:
            return self.file.read1(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise TableError(f"{self.where} is damaged or cut off (gzip); pack it again, or give what gunzip makes of it") from error


class _Recoded:
    """Bytes of another encoding as UTF-8, a piece at a time."""

    def __init__(self, file: Readable, coding: str, where: str) -> None:
        self.file, self.coding, self.where = file, coding, where
        self.decoder = codecs.getincrementaldecoder(coding)()
        self.ended = False

    def read1(self, size: int) -> bytes:
        """Some of them, none at the end."""
        while not self.ended:
            data = self.file.read1(max(1, size // 4))
            self.ended = not data
            try:
                text = self.decoder.decode(data, final=self.ended)
            except UnicodeError as error:
                raise TableError(f"{self.where} is not {self.coding}; name its encoding with --encoding, or save it as UTF-8") from error
            if text:
                return text.encode()
        return b""


class _Again(io.RawIOBase):
    """A file whose first bytes were read already: they are given out again before the rest."""

    def __init__(self, head: bytes, rest: Readable) -> None:
        self._left, self._rest = head, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self._left = self._rest.read1(len(buffer))
        some, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(some)] = some
        return len(some)
