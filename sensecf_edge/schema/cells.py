"""What one cell of a table says, alike for CSV, JSON Lines and Parquet and for whoever reads: a draft, a fit, a batch.

A cell is a text, a number, true or false, or None for unknown; an `Unreadable` stands for what is none of these. Texts
lose what nobody can see: spaces at their ends, characters without width; odd spaces become plain ones. The empty cell and
`?` are unknown. What R, pandas and spreadsheets write for "no value" is unknown as well, unless the schema has a choice
of that name. Nothing else is guessed.
"""

from __future__ import annotations

import math
import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple, TypeVar

from .feature import UNKNOWN, Feature, number_text

NO_VALUE = frozenset(
    ["NA", "N/A", "n/a", "<NA>", "#NA", "#N/A", "#N/A N/A", "NaN", "nan", "-NaN", "-nan", "NaT", "NULL", "null", "#NULL!", "#DIV/0!",
     "#VALUE!", "#REF!", "#NUM!", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN", "."]
)  # fmt: skip
"""How other programs write an unknown value. `None` is missing here on purpose: it is a word (no symptoms, no drinks)."""
FLAGS = {"true": True, "false": False}
LARGEST_WHOLE = 16
_NUMBER = re.compile(r"[+-]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[Ii]nf(?:inity)?)")
_CODE = re.compile(r"[+-]?0[0-9]+")
_INVISIBLE = dict.fromkeys([0xAD, 0x34F, 0x61C, 0x180E, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2065), 0xFEFF])
_SPACES = {0xA0: " ", 0x1680: " ", **dict.fromkeys([*range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000], " ")}
_PLAIN = {**_INVISIBLE, **_SPACES}


class Doubtful(str):
    """A text that would be a number, but nobody can say which: its mark may part thousands or decimals."""


class Unreadable:
    """What a cell holds that is neither text nor number, in words: nested, bytes, a duration."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __repr__(self) -> str:
        return self.kind

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unreadable) and other.kind == self.kind

    def __hash__(self) -> int:
        return hash(self.kind)


Key = TypeVar("Key")
Cell = str | int | float | bool | Unreadable | None


def visible(text: str) -> str:
    """A text without what cannot be seen; equal letters have one spelling."""
    if text.isascii():
        return text.strip()
    return unicodedata.normalize("NFC", text.translate(_PLAIN)).strip()


def cell(value: object) -> Cell:
    """A value of JSON or Parquet as a cell."""
    if isinstance(value, str):
        return from_text(value)
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if value is None or isinstance(value, bool | int | Unreadable):
        return value
    return Unreadable("nested" if isinstance(value, list | dict) else "no text and no number")


def from_text(text: str) -> str | None:
    """A text as a cell. In a CSV this comes before decimal marks are judged, so a quirk that is taken off here is off for them too."""
    text = visible(text)
    return None if not text or text == UNKNOWN else text


def plain_number(given: Cell) -> float | int | None:
    """The number that a cell writes plainly, with a decimal point if any; None for everything else."""
    if isinstance(given, str):
        if isinstance(given, Doubtful) or not _NUMBER.fullmatch(given):
            return None
        return int(given) if len(given) < LARGEST_WHOLE and given.lstrip("+-").isdigit() else float(given)
    return None if isinstance(given, bool) or not isinstance(given, int | float) else given


def is_code(given: Cell) -> bool:
    """Whether a cell looks like a number and is none: its first digit is a zero that a number would lose."""
    return isinstance(given, str) and _CODE.fullmatch(given) is not None


def as_text(given: Cell) -> str:
    """A cell as the text of a choice, a class or an id: whole numbers have no fraction, so that 1 and 1.0 are the same."""
    if isinstance(given, bool):
        return str(given).lower()
    if isinstance(given, float):
        return number_text(given) if math.isfinite(given) else str(given)
    number = None if is_code(given) else plain_number(given)
    if isinstance(number, int):
        return str(number)
    return number_text(number) if isinstance(number, float) and number.is_integer() else str(given)


def without_value(given: Cell) -> bool:
    """Whether a cell says that there is no value."""
    return given is None or (isinstance(given, str) and given in NO_VALUE)


def names_somebody(given: Cell) -> bool:
    """Whether a cell may be an id: a text or a number."""
    return isinstance(given, str | int | float) and not isinstance(given, bool)


def value(feature: Feature, given: Cell) -> Cell:
    """A cell as a value of the feature. What does not fit stays as it is, to be refused by name."""
    if given is None:
        return None
    if feature.kind == "choice":
        known = choice(feature.choices, given)
        return known if known is not None else None if without_value(given) else given
    if isinstance(given, str):
        number = plain_number(given)
        return number if number is not None else None if given in NO_VALUE else given
    return given


def choice(choices: tuple[str, ...], given: Cell) -> str | None:
    """The choice that a cell names: by its text, as true or false in any spelling, or as a number of equal value."""
    names = _names(choices)
    if isinstance(given, bool):
        return names.flags.get(given)
    if isinstance(given, str):
        if given in names.texts:
            return names.texts[given]
        if given.lower() in FLAGS:
            return names.flags.get(FLAGS[given.lower()])
        return None if is_code(given) else names.numbers.get(plain_number(given))
    return names.numbers.get(given) if isinstance(given, int | float) else None


class _Names(NamedTuple):
    texts: dict[str, str]
    flags: dict[bool, str]
    numbers: dict[float | None, str]


@lru_cache(maxsize=4096)
def _names(choices: tuple[str, ...]) -> _Names:
    """What may name a choice. Where two choices have a name in common it names neither."""
    texts, flags, numbers = dict[str, list[str]](), dict[bool, list[str]](), dict[float | None, list[str]]()
    for text in choices:
        texts.setdefault(visible(text), []).append(text)
        if text.lower() in FLAGS:
            flags.setdefault(FLAGS[text.lower()], []).append(text)
        number = None if is_code(text) else plain_number(text)
        if number is not None:
            numbers.setdefault(number, []).append(text)
    return _Names({**_single(texts), **{t: t for t in choices}}, _single(flags), _single(numbers))


def _single(names: dict[Key, list[str]]) -> dict[Key, str]:
    return {name: texts[0] for name, texts in names.items() if len(texts) == 1}
