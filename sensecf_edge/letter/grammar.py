"""What a letter says -> the exact language of its letters: every sentence once, each in one of its ways, lists in any order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import factorial, prod

from ..propose.branching import Branching, Steps, apart
from .content import Passage, Said

MOST_IN_ANY_ORDER = 6
"""A longer list keeps its order: its grammar has a state for every set of what is still to be said."""
BULLET = "\n- "
Slots = list[Said | tuple[Said, ...]]


def language(parts: Sequence[Passage]) -> Branching:
    """The letters that say these parts. A state is the place of the slot, and which of its sentences are still to come."""
    slots = _slots(parts)

    def steps(state: object) -> Steps:
        at, left = state if isinstance(state, tuple) else (0, ())
        if at == len(slots):
            return []
        slot = slots[at]
        if isinstance(slot, Said):
            return [(text, _begin(slots, at + 1)) for text in _texts(slot)]
        out: list[tuple[str, object]] = []
        for k in left:
            rest = tuple(other for other in left if other != k)
            out += [(text, (at, rest) if rest else _begin(slots, at + 1)) for text in _texts(slot[k])]
        return out

    return Branching(_begin(slots, 0), steps)


def template(parts: Sequence[Passage]) -> str:
    """The letter that no model is needed for: every sentence in the first of its ways, lists as they come."""
    said = (_texts(item)[0] for slot in _slots(parts) for item in ([slot] if isinstance(slot, Said) else slot))
    return "".join(said)


def letters(parts: Sequence[Passage]) -> int:
    """How many different letters there are."""
    slots = _slots(parts)
    return prod(len(_texts(s)) if isinstance(s, Said) else factorial(len(s)) * prod(len(_texts(item)) for item in s) for s in slots)


def _begin(slots: Slots, at: int) -> tuple[int, tuple[int, ...]]:
    slot = slots[at] if at < len(slots) else None
    return at, tuple(range(len(slot))) if isinstance(slot, tuple) else ()


def _slots(parts: Sequence[Passage]) -> Slots:
    """The sentences one by one; those of a list together where they may come in any order and none begins another."""
    out: Slots = []
    for part in parts:
        if isinstance(part, Said):
            out.append(part)
            continue
        lines = _lines(part.items)
        texts = [text for line in lines for text in _texts(line)]
        together = 1 < len(lines) <= MOST_IN_ANY_ORDER and len(apart(texts)) == len(texts)
        out += [lines] if together else lines
    return out


def _lines(items: Iterable[Sequence[str]]) -> tuple[Said, ...]:
    return tuple(Said(tuple(item), BULLET) for item in items)


def _texts(said: Said) -> list[str]:
    return apart([said.before + way for way in said.ways])
