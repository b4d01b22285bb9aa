"""A file of an export: its text whatever its encoding and packing, its beginning to be recognised by, its rows."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import math
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import TableError
from ..table.delimited import DELIMITERS
from ..table.opening import ENCODING, GZIP
from .clocks import parse_slashed
from .notes import Notes, Places

HEAD = 1 << 15
PREAMBLE = 40
"""Lines above the names of columns that an export may have."""
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF16_LE: "utf-16",
          codecs.BOM_UTF16_BE: "utf-16"}  # fmt: skip
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,(?:[0-9]{1,2}|[0-9]{4,})")
_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(?:,[0-9]{3})+")


class DamagedError(TableError):
    """A file that breaks off, or of which no more can be unpacked or read from some place on."""


@dataclass(frozen=True)
class ReadOptions:
    """What the user says about the files: whose they are, units by kind, the order of day and month (DMY, MDY)."""

    person: str = ""
    units: Mapping[str, str] = field(default_factory=dict)
    dates: str = ""

    def unit(self, kind: str, stated: str) -> str:
        """The unit of a kind: what the file states, else what the user does."""
        return stated or self.units.get(kind, "")


@dataclass(frozen=True)
class Export:
    """One file. `asked` is what the user says about it, `places` is told how far it has been read."""

    path: Path
    asked: ReadOptions = field(default_factory=ReadOptions)
    places: Places = field(default_factory=Places)

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.path.name

    def at(self, line: int) -> str:
        """A place in it, for messages."""
        return f"{self.path}, line {line:,}"

    def slashed(self, text: str) -> int | None:
        """A time by the order of day and month that the user says. Raises TableError for one that has the other order: then the days
        that could be either would be wrong as well."""
        order = self.asked.dates
        if not order:
            return None
        second = parse_slashed(text, order)
        if second is None and parse_slashed(text, order[1] + order[0] + order[2]) is not None:
            raise TableError(
                f"{self.places.text(self.places.now) or self.path}: {text.strip()[:30]!r} is no date of --dates {order}, but one of the "
                "other order; a file that holds both has to be exported anew"
            )
        return second

    def opened(self) -> io.BufferedIOBase:
        """Its bytes, unpacked. Raises TableError."""
        try:
            with self.path.open("rb") as file:
                packed = file.read(2) == GZIP
            return gzip.open(self.path, "rb") if packed else self.path.open("rb")
        except OSError as error:
            raise TableError(f"cannot read {self.path}: {error.strerror or error}") from error

    @cached_property
    def first(self) -> bytes:
        """The first bytes, unpacked as far as they can be. Raises TableError."""
        try:
            with self.path.open("rb") as file:
                raw = file.read(HEAD)
        except OSError as error:
            raise TableError(f"cannot read {self.path}: {error.strerror or error}") from error
        if not raw.startswith(GZIP):
            return raw
        try:
            return zlib.decompressobj(31).decompress(raw, HEAD)
        except zlib.error:
            return b""

    @cached_property
    def encoding(self) -> str:
        """By its mark, else as the user names it, else UTF-8."""
        return next((name for mark, name in _MARKS.items() if self.first.startswith(mark)), ENCODING.get() or "utf-8")

    @cached_property
    def head(self) -> str:
        """The first text, as far as it tells what this is."""
        return self.first.decode(self.encoding, "replace").lstrip("\ufeff")

    def text(self) -> Iterator[str]:
        """Lines with their ends. Raises TableError for another encoding and for what is cut off or damaged."""
        done = 0
        try:
            for line in self._wide() if self.encoding in ("utf-16", "utf-32") else self._lines():
                done += 1
                yield line
        except UnicodeError as error:
            raise TableError(
                f"{self.at(done + 1)}: this is not {self.encoding}; name the encoding with --encoding cp1252 (or latin-1), "
                "or save it as UTF-8"
            ) from error
        except (OSError, EOFError, zlib.error) as error:
            raise DamagedError(f"{self.at(done + 1)}: the file is damaged or cut off (gzip); export it again") from error

    def _wide(self) -> Iterator[str]:
        with io.TextIOWrapper(self.opened(), self.encoding, newline="") as file:  # type: ignore[type-var]
            yield from file

    def _lines(self) -> Iterator[str]:
        """One decoded after the other, so that a fault is in a line and not somewhere in a block."""
        with self.opened() as file:
            yield next(iter(file), b"").decode(self.encoding)
            later = self.encoding.removesuffix("-sig")
            for line in file:
                yield line.decode(later)

    def json(self) -> Any:
        """All of it as JSON. Raises TableError with the line where it breaks off."""
        try:
            return json.loads("".join(self.text()))
        except (ValueError, RecursionError) as error:
            line = getattr(error, "lineno", 1)
            what = getattr(error, "msg", error)
            raise DamagedError(f"{self.at(line)}: this is no whole JSON ({what}); is the file cut off? Export it again") from error

    def objects(self, notes: Notes) -> Iterator[dict[str, Any]]:
        """The objects of a JSON list, of JSON Lines, or the one that the file is; what is none goes into `notes`. Raises TableError."""
        begin = self.head.lstrip()
        if begin.startswith("{") and _is_lines(begin):
            found = self._line_by_line(notes)
        else:
            held = self.json()
            found = iter(held if isinstance(held, list) else [held])
            self.places.called("entry")
        for number, one in enumerate(found, 1):
            if self.places.word == "entry":
                self.places.at(number)
            if isinstance(one, dict):
                yield one
            else:
                notes.drop("entries that are no JSON objects")

    def _line_by_line(self, notes: Notes) -> Iterator[Any]:
        for number, line in enumerate(self.text(), 1):
            self.places.at(number)
            if line.strip():
                try:
                    yield json.loads(line.lstrip("\ufeff"))
                except (ValueError, RecursionError):
                    notes.drop("lines that are no JSON (is the file cut off? Export it again)")

    def sheet(self, is_header: Callable[[Sequence[str]], bool]) -> Sheet | None:
        """Its rows under the line of names, wherever that stands in the beginning; None where no line is one."""
        lines = self.head.replace("\r\n", "\n").split("\n")[:PREAMBLE]
        for number, line in enumerate(lines, 1):
            for mark in DELIMITERS:
                names = _cut(line, mark)
                if len(names) > 1 and is_header(names):
                    return Sheet(self, tuple(names), number, mark)
        return None


def has_sheet(is_header: Callable[[Sequence[str]], bool]) -> Callable[[Export], bool]:
    """A reader's `recognises`: whether an export has such a line of names."""
    return lambda export: export.sheet(is_header) is not None


def _is_lines(begin: str) -> bool:
    first, _, rest = begin.partition("\n")
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        return False
    return bool(rest.strip())


def _cut(line: str, mark: str) -> list[str]:
    try:
        return [name.strip() for name in next(csv.reader([line], delimiter=mark), [])]
    except csv.Error:
        return []


@dataclass(frozen=True)
class Sheet:
    """A table of an export: `names` stand in line `header`, `mark` parts the columns."""

    export: Export
    names: tuple[str, ...]
    header: int
    mark: str

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Line numbers and cells of each row that holds something; a row that was cut short has fewer cells than names.

        A line is a row: a quotation mark that never closes spoils its own line and not all behind it. The last cell of a file that breaks
        off within a row is left out: 25 may have been 250.
        """
        line = ""

        def lines() -> Iterator[str]:
            nonlocal line
            for line in self.export.text():
                yield f'{line.rstrip()}"' if line.count('"') % 2 else line

        reader = csv.reader(lines(), delimiter=self.mark)
        try:
            for cells in reader:
                if reader.line_num > self.header and cells:
                    self.export.places.at(reader.line_num)
                    cut = len(cells) < len(self.names) and line[-1:] not in ("\n", "\r")
                    yield reader.line_num, cells[:-1] if cut else cells
        except csv.Error as error:
            raise TableError(f"{self.export.at(reader.line_num)}: this is no row of a table ({error}); export it again") from error


def number(text: str) -> float:
    """A number as exports write it, with a point or a comma; NaN for what is none, and for 1,234, which may be two numbers."""
    plain = text.strip().replace("\u00a0", "")
    if "," in plain:
        if _THOUSANDS.fullmatch(plain) or not _DECIMAL_COMMA.fullmatch(plain):
            return math.nan
        plain = plain.replace(",", ".")
    return finite(plain) if plain.isascii() and "_" not in plain else math.nan


def finite(given: object) -> float:
    """A number, or the one that a text is; NaN for everything else, infinity among it, which would pass for High."""
    try:
        value = math.nan if isinstance(given, bool) else float(given)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return math.nan
    return value if math.isfinite(value) else math.nan


def inside(given: object, *path: str) -> Any:
    """What stands at a path of keys inside JSON; None where some of it is not there, or is of another shape."""
    for name in path:
        if not isinstance(given, dict):
            return None
        given = given.get(name)
    return given


def listed(given: object) -> list[Any]:
    """A list of JSON, or an empty one for everything else."""
    return given if isinstance(given, list) else []


def word(given: object) -> str:
    """A text of JSON, or a whole number as one; '' for everything else."""
    return str(given) if isinstance(given, str | int) and not isinstance(given, bool) else ""
