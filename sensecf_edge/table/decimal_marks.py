"""Which mark parts the decimals of a file's numbers, judged by all of its numbers and never by one."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable

from ..schema.cells import Doubtful

SLIPS = 10
"""So many numbers with a sure decimal point outweigh one with a sure decimal comma: that one is a slip of the hand."""
SUSPICIOUS = re.compile(rb"[0-9],[0-9]")
SUSPICIOUS_QUOTED = re.compile(rb'"\s*[+-]?[0-9.]+,[0-9]+\s*"')
_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+(?:[eE][+-]?[0-9]+)?")
_COMMA_OR_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")
_BOTH_MARKS = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:\.[0-9]{3})+,[0-9]+")
_POINT = re.compile(r"[+-]?[0-9]*\.[0-9]+(?:[eE][+-]?[0-9]+)?")
_POINT_OR_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:\.[0-9]{3})+")


def typed(given: str, possible: Callable[[float], bool]) -> str:
    """A number that stands by itself, as somebody types it: a decimal comma becomes a point. Where it may part thousands it is read as
    the one of both that is `possible`, and doubtful where both are, or neither."""
    if not _COMMA.fullmatch(given):
        return given
    ways = (given.replace(",", "."), given.replace(",", "")) if _COMMA_OR_THOUSANDS.fullmatch(given) else (given.replace(",", "."),)
    may = [way for way in ways if len(ways) == 1 or possible(float(way))]
    return may[0] if len(may) == 1 else Doubtful(given)


class Mark(enum.Enum):
    """How the numbers of a file are to be read.

    POINT  a point parts decimals, and a comma makes a text of a number
    COMMA  a comma parts decimals; a number with a point (8.801) may be thousands
    DOUBT  both are found: numbers with a comma, or with a point that may part thousands, are nobody's guess
    """

    POINT = "point"
    COMMA = "comma"
    DOUBT = "doubt"

    def read(self, given: str | None) -> str | None:
        """A cell as it is to be read: decimal commas as points; what may be two numbers as doubtful."""
        if given is None or self is Mark.POINT:
            return given
        if _COMMA.fullmatch(given):
            return given.replace(",", ".") if self is Mark.COMMA else Doubtful(given)
        return Doubtful(given) if _POINT_OR_THOUSANDS.fullmatch(given) else given


def judge(texts: Iterable[str | None]) -> Mark:
    """From all cells of a file. 6,17 is sure to have a decimal comma, 6.17 a decimal point; 8,801 and 8.801 may be thousands."""
    commas = points = 0
    for given in texts:
        if given is None or given.isalnum():
            continue
        if _COMMA.fullmatch(given):
            commas += not _COMMA_OR_THOUSANDS.fullmatch(given)
        elif _BOTH_MARKS.fullmatch(given):
            commas += 1
        elif _POINT.fullmatch(given):
            points += not _POINT_OR_THOUSANDS.fullmatch(given)
    if not commas or points >= SLIPS * commas:
        return Mark.POINT
    return Mark.DOUBT if points else Mark.COMMA
