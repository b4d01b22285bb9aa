"""What was left out, why, how often and where. No value of anybody stands in it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

SHOWN = 3
"""Places that are remembered of each reason, the first ones."""
MOST, OTHERS = 200, "for other reasons"
"""Reasons that are told apart: some hold names of the file."""
LAST = (1 << 31) - 1


@lru_cache(maxsize=4_096)
def printable(name: str) -> str:
    """A name of a file as a file and a terminal can hold it: what cannot be seen, and half a pair of surrogates, by its number."""
    if name.isprintable():
        return name
    return "".join(c if c.isprintable() else " " if c.isspace() and c > "~" else f"\\u{ord(c):04x}" for c in name)


class Places:
    """Where readings stand, as one number for file and line (or entry, message): 0 is nowhere. `now` is what is being read."""

    def __init__(self) -> None:
        self.now, self.base = 0, 0
        self._firsts, self._files = list[int](), list[str]()
        self._words = list[str]()

    def begin(self, path: str, word: str = "line") -> None:
        """A file is read from here on."""
        self.base = self.now = min(self.now + 1, LAST)
        self._firsts.append(self.base)
        self._files.append(printable(path))
        self._words.append(word)

    @property
    def word(self) -> str:
        """What the numbers of the present file count."""
        return self._words[-1] if self._words else ""

    def called(self, word: str) -> None:
        """Says what they count: lines where nothing else is said."""
        if self._words:
            self._words[-1] = printable(word)

    def at(self, number: int) -> None:
        """So far the present file has been read."""
        self.now = min(self.base + number, LAST)

    def text(self, place: int) -> str:
        """A place in words; '' for nowhere, and beyond what can be counted."""
        if not self._firsts or not self._firsts[0] <= place < LAST:
            return ""
        file = bisect_right(self._firsts, place) - 1
        number = place - self._firsts[file]
        return f"{self._files[file]}, {self._words[file]} {number:,}" if number else self._files[file]


@dataclass
class Note:
    """One reason: how many readings (or files) it concerns, and where the first of them stand."""

    count: int = 0
    where: list[str] = field(default_factory=list)

    def told(self) -> str:
        """The places in brackets; '' where there are none. A file is named once."""
        out, before = list[str](), ""
        for place in self.where:
            file, _, line = place.rpartition(", ")
            out.append(line if file and file == before else place)
            before = file
        return f" ({'first: ' if self.count > len(out) else ''}{', '.join(out)})" if out else ""


class Notes:
    """Reasons in the order in which they were met. `used` tells what was done, `left` what was left out."""

    def __init__(self) -> None:
        self.left: dict[str, Note] = {}
        self.used: dict[str, Note] = {}
        self.places = Places()

    def drop(self, reason: str, count: int = 1, places: Iterable[int] | None = None) -> None:
        """So many readings are left out for that reason. Without `places` they stand where is being read."""
        self._count(self.left, reason, count, places)

    def tell(self, what: str, count: int = 1, places: Iterable[int] | None = None) -> None:
        """Something that whoever reads the days should know, about readings that count."""
        self._count(self.used, what, count, places)

    @property
    def total(self) -> int:
        """How much has been noted in all."""
        return sum(note.count for notes in (self.left, self.used) for note in notes.values())

    def where(self, places: Iterable[int]) -> str:
        """Places in words, for messages."""
        return Note(0, [text for text in map(self.places.text, map(int, places)) if text]).told().strip(" ()")

    @property
    def dropped(self) -> int:
        """How many readings were left out."""
        return sum(note.count for note in self.left.values())

    def lines(self) -> list[str]:
        """Each reason as a line for people."""
        return [f"{reason}: {note.count:,}{note.told()}" for notes in (self.used, self.left) for reason, note in notes.items()]

    def to_json(self) -> dict[str, list[dict[str, Any]]]:
        """The same for programs."""
        named = (("counted", self.used), ("left_out", self.left))
        return {name: [{"reason": r, "count": n.count, "where": n.where} for r, n in notes.items()] for name, notes in named}

    def _count(self, notes: dict[str, Note], reason: str, count: int, places: Iterable[int] | None) -> None:
        if count <= 0:
            return
        reason = printable(reason)
        note = notes.setdefault(reason if reason in notes or len(notes) < MOST else OTHERS, Note())
        note.count += int(count)
        if len(note.where) < SHOWN:
            for place in (self.places.now,) if places is None else places:
                text = self.places.text(int(place))
                if text and text not in note.where:
                    note.where.append(text)
                if len(note.where) == SHOWN:
                    break
