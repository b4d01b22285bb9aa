"""Text -> tokens: words without their endings, numbers however they are written, ranges, and where each stands in the text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

_TOKEN = re.compile(r"(?P<number>\d+(?:[.,]\d+)*)|(?P<word>[^\W\d_]+(?:['’][^\W\d_]+)*)|(?P<sign>[^\w\s]|_)")
_SHORT = {
    "cannot": "can not", "can't": "can not", "won't": "will not", "shan't": "shall not", "i'm": "i am", "it's": "it is", "let's": "let us",
    "that's": "that is",
    "cant": "can not", "unable": "not able", "impossible": "not able to",
    "dont": "do not", "wont": "will not", "didnt": "did not", "doesnt": "does not",
}  # fmt: skip
_ENDINGS = {"'ve": "have", "'d": "would", "'ll": "will", "'re": "are", "'s": "of"}
_UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
COUNTS = {word: float(at) for at, word in enumerate(_UNITS.split())} | {word: 10.0 * at for at, word in enumerate(_TENS.split(), 2)}
SCALES = {"hundred": 100.0, "thousand": 1000.0, "k": 1000.0}
PARTS = {"half": 0.5, "quarter": 0.25}
TIMES = {"hour": 60.0, "hr": 60.0, "h": 60.0, "minute": 1.0, "min": 1.0}


@dataclass(frozen=True)
class Token:
    """`word` in lower case without its ending, `number` where it is one; `start` and `end` are places in the text.

    `unsure`: a number that may be read in two ways.
    """

    word: str
    start: int
    end: int
    number: float | None = None
    unsure: bool = False


def tokens(text: str) -> list[Token]:
    """All of a text, short forms written out and numbers read."""
    return _numbers(list(_raw(text)))


def stem(word: str) -> str:
    """A word without the ending of a plural: days and day are one, glass and glasses stay two."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def _raw(text: str) -> Iterator[Token]:
    for found in _TOKEN.finditer(text):
        start, end = found.span()
        if found["number"]:
            value, unsure = _read(found["number"])
            yield Token(found["number"], start, end, value, unsure)
        elif found["word"]:
            for word in _written_out(found["word"].lower().replace("’", "'")):
                yield Token(stem(word), start, end)
        else:
            yield Token(found["sign"], start, end)


def _written_out(word: str) -> list[str]:
    if word in _SHORT:
        return _SHORT[word].split()
    if word.endswith("n't"):
        return [word[:-3], "not"]
    for ending, said in _ENDINGS.items():
        if word.endswith(ending) and len(word) > len(ending):
            return [word.removesuffix(ending), said]
    return [word]


def _read(text: str) -> tuple[float, bool]:
    """A number in digits: 10,000 and 7,5 are told apart by the digits behind the comma; 10.000 may be either."""
    if re.fullmatch(r"[1-9]\d{0,2}(,\d{3})+(\.\d+)?", text):
        return float(text.replace(",", "")), False
    if text.count(",") + text.count(".") > 1:
        return 0.0, True
    return float(text.replace(",", ".")), re.fullmatch(r"[1-9]\d{0,2}\.\d{3}", text) is not None


def _numbers(raw: Sequence[Token]) -> list[Token]:
    """Words that are a number as one token: ten thousand, seven and a half, half an hour, an hour and a half."""
    out: list[Token] = []
    at = 0
    while at < len(raw):
        number, used = _number(raw[at:])
        out.append(raw[at] if number is None else number)
        at += used
    return out


def _number(rest: Sequence[Token]) -> tuple[Token | None, int]:
    """The number that the tokens begin with, and how many of them it takes; None and 1 where there is none."""
    words = [token.word for token in rest[:6]]
    if words[:3] == ["a", "quarter", "of"] or (words[0] in PARTS and words[1:3] in (["an", "hour"], ["of", "an"], ["a", "minute"])):
        used = next((k for k, word in enumerate(words) if word in TIMES), 0)
        part = next(PARTS[word] for word in words if word in PARTS)
        return (replace(rest[0], number=part, word="", end=rest[used - 1].end), used) if used else (None, 1)
    if words[0] in ("a", "an") and words[1:2] and words[1] in TIMES and words[2:5] not in (["and", "a", "half"],):
        return (replace(rest[0], number=1.0, word=""), 1) if words[1] not in ("h", "min") else (None, 1)
    if words[:5] in (["an", "hour", "and", "a", "half"], ["one", "hour", "and", "a", "half"]):
        return replace(rest[0], number=90.0, word="min", end=rest[4].end), 5
    value, used, unsure = _plain(rest)
    if value is None:
        return None, 1
    if words[used : used + 3] == ["and", "a", "half"]:
        value, used = value + 0.5, used + 3
    return replace(rest[0], number=value, word="", end=rest[used - 1].end, unsure=unsure), used


def _plain(rest: Sequence[Token]) -> tuple[float | None, int, bool]:
    """Digits or words for a count, and a scale behind them."""
    first = rest[0]
    value, used = first.number, 1
    if value is None:
        if first.word not in COUNTS:
            return None, 0, False
        value = COUNTS[first.word]
        joined = 2 if len(rest) > 2 and rest[1].word == "-" else 1
        if value >= 20 and len(rest) > joined and 0 < COUNTS.get(rest[joined].word, 0) < 10:
            value, used = value + COUNTS[rest[joined].word], joined + 1
    while len(rest) > used and rest[used].word in SCALES and (rest[used].word != "k" or rest[used].start == first.end):
        value, used = value * SCALES[rest[used].word], used + 1
    return value, used, first.unsure


def split(text: str) -> Iterator[list[Token]]:
    """Sentence by sentence, what ends them left out; one that asks ends with the token '?'."""
    out: list[Token] = []
    every = tokens(text)
    for token, behind in zip(every, [*every[1:], None], strict=False):
        if token.word == "." and out and out[-1].word in ("max", "min") and behind is not None and behind.number is not None:
            continue
        if token.word in (".", ";", "!", "?") and token.number is None:
            yield [*out, *([token] if token.word == "?" else [])]
            out = []
        else:
            out.append(token)
    yield out
