"""What people call the features of a schema: names, labels, its own `synonyms`, and common words of health for what is labelled alike."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from ..schema.feature import Feature
from ..schema.schema import Schema
from .cues import single, split, word_table
from .text import stem

Words = tuple[str, ...]
WHOLE, COMMON, PART = 3, 2, 1
"""How sure a phrase is: a whole label, name or synonym; a common word for it; a part of one."""

_TAIL = frozenset(("under", "of", "by", "on", "to", "above", "over", "at", "in", "with", "per", "from", "for", "now"))
"""Behind these a label says more of what it names."""


@lru_cache(maxsize=16)
def names(schema: Schema) -> dict[Words, tuple[str, ...]]:
    """Every phrase that means one or more features -> their names, in schema order; a whole label goes before parts of others."""
    found: dict[Words, dict[str, int]] = {}
    for feature in schema.features:
        for words, rank in _of(feature):
            held = found.setdefault(words, {})
            held[feature.name] = max(rank, held.get(feature.name, 0))
    out = {}
    for words, held in found.items():
        best = max(held.values())
        meant = [name for name, rank in held.items() if rank == best]
        movable = [name for name in meant if schema[name].mutable]
        out[words] = tuple(movable or meant)
    return out


def _of(feature: Feature) -> Iterator[tuple[Words, int]]:
    for text in {feature.name, feature.title, *feature.synonyms}:
        words = split_name(text)
        if words:
            yield words, WHOLE
        head = words[: next((at for at, word in enumerate(words) if word in _TAIL), len(words))]
        for start in range(len(head)):
            for end in range(start + 1, len(head) + 1):
                part = head[start:end]
                if part != words and not single("empty").intersection((part[0], part[-1])) and len("".join(part)) > 2:
                    yield part, PART
    called = {split_name(feature.name), split_name(feature.title)}
    for begins, told in word_table()["common"]:
        if any(" ".join(words[k:]).startswith(begins) for words in called for k in range(len(words))) and _main(begins, called):
            yield from ((phrase, COMMON) for phrase in split(told))


def _main(begins: str, called: set[Words]) -> bool:
    """Sleep alone, not a kind or a trouble of it, is meant by words for sleeping."""
    return begins != "sleep" or any(words in (("sleep",), ("sleep", "h"), ("sleep", "hour")) for words in called)


def split_name(text: str) -> Words:
    """The words of a name: of sleep_h, of SleepHrsNight, of a label; what stands in brackets is left out."""
    text = re.sub(r"\([^)]*\)", " ", text)
    parts = re.findall(r"[^\W\d_]+|\d+", re.sub(r"(?<=[a-zß-ÿ])(?=[A-ZÀ-Þ])", " ", text))
    return tuple(stem(part.lower()) for part in parts)
