"""The words of wishes by what they do: `words.json`. What stands there or in a schema is understood; any other word spoils its part.

`hollow` words make their whole sentence one that says nothing for sure of what this person wants: conditions, reports, doubts. `others`
speak of somebody else, or of the past: what comes behind them counts again from the next "I", "my" or "but" on.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from .text import stem

NOT, CAN, WANT, MUST, MORE, LESS = "not", "can", "want", "must", "more", "less"
KEEP, CHANGE, STOP, HARD, EASY, VERY = "keep", "change", "stop", "hard", "easy", "very"
OUT, MOOT = "out", "moot"
MOST, LEAST, OVER, UNDER, BETWEEN, RAISE, LOWER, ONLY, FACT = "most", "least", "over", "under", "between", "raise", "lower", "only", "fact"
FILL, FEATURE, NUMBER, PERIOD = "fill", "feature", "number", "period"
MOVING = (MORE, LESS, RAISE, LOWER)
COMPARING = (MOST, LEAST, OVER, UNDER, BETWEEN, ONLY)
PERIODS = {"day": "day", "daily": "day", "night": "day", "nightly": "day", "week": "week", "weekly": "week", "month": "month",
           "monthly": "month", "year": "year", "yearly": "year"}  # fmt: skip


@lru_cache(maxsize=1)
def word_table() -> dict[str, Any]:
    """The file."""
    out: dict[str, Any] = json.loads((Path(__file__).parent / "words.json").read_text(encoding="utf-8"))
    return out


@lru_cache(maxsize=1)
def phrases() -> dict[tuple[str, ...], str]:
    """Every phrase as its words -> what it does."""
    return {phrase: kind for kind, lines in word_table()["does"].items() for phrase in split("; ".join(lines))}


@lru_cache(maxsize=8)
def single(which: str) -> frozenset[str]:
    """One of the lists of single words."""
    return frozenset(map(stem, " ".join(word_table()[which]).split()))


def split(line: str) -> list[tuple[str, ...]]:
    """The phrases of a line, apart by semicolons, in the words that `text.stem` leaves."""
    return [tuple(map(stem, phrase.split())) for phrase in line.split(";")]


def period(said: tuple[str, ...]) -> str:
    """Which time a phrase speaks of."""
    return next((PERIODS[word] for word in said if word in PERIODS), "")
