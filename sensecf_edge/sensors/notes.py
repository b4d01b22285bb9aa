"""What was left out, why, how often and where first. No value of anybody stands in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass
class Note:
    """One reason: how many readings (or files) it concerns, and where the first of them stands."""

    count: int = 0
    first: str = ""


class Notes:
    """Reasons in the order in which they were met. `used` tells what was done, `left` what was left out."""

    def __init__(self) -> None:
        self.left: dict[str, Note] = {}
        self.used: dict[str, Note] = {}

    def drop(self, reason: str, count: int = 1, where: str = "") -> None:
        """So many readings are left out for that reason; the first one is at `where`."""
        _count(self.left, reason, count, where)

    def tell(self, what: str, count: int = 1, where: str = "") -> None:
        """Something that whoever reads the days should know, about readings that count."""
        _count(self.used, what, count, where)

    @property
    def dropped(self) -> int:
        """How many readings were left out."""
        return sum(note.count for note in self.left.values())

    def lines(self) -> list[str]:
        """Each reason as a line for people."""
        return [
            f"{reason}: {note.count:,}" + (f" (first: {note.first})" if note.first else "")
            for notes in (self.used, self.left) for reason, note in notes.items()
        ]  # fmt: skip

    def to_json(self) -> dict[str, list[dict[str, Any]]]:
        """The same for programs."""
        named = (("counted", self.used), ("left_out", self.left))
        return {name: [{"reason": r, "count": n.count, "first": n.first} for r, n in notes.items()] for name, notes in named}


def _count(notes: dict[str, Note], reason: str, count: int, where: str) -> None:
    if count <= 0:
        return
    note = notes.setdefault(reason, Note())
    note.count += int(count)
    note.first = note.first or where
