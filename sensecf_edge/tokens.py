"""Which tokens may come next: the vocabulary's texts laid over the grammar's automaton. Knows nothing of llama.cpp.

At each state exactly those tokens are allowed whose whole text the automaton can read, the set that llama.cpp's own
grammar sampler leaves over. It is found by walking the sorted vocabulary and the automaton together, so the cost goes
with what is allowed, not with the size of the vocabulary.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from .grammar import Node

Scores = NDArray[np.float32]


class Moves:
    """What may follow a state: token `ids`, shape (moves,), ascending. The states behind are made when asked for."""

    def __init__(self, ids: NDArray[np.intp], node: Node) -> None:
        self.ids = ids
        self._alternatives = node.alternatives  # not the node itself: it is the weak key under which this is remembered
        self._after: dict[bytes, Node] = {}

    def after(self, piece: bytes) -> Node:
        """The state behind an allowed token's text; the same object every time."""
        if piece not in self._after:
            node = Node(self._alternatives).read(piece)
            assert node is not None
            self._after[piece] = node
        return self._after[piece]


class Vocabulary:
    """Token texts by id, as bytes; empty for tokens that say nothing (control, unused): those are never allowed."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.pieces = pieces
        self._ids = sorted((i for i, piece in enumerate(pieces) if piece), key=pieces.__getitem__)
        self._texts = [pieces[i] for i in self._ids]
        self._first = {text: at for at, text in reversed(list(enumerate(self._texts)))}
        self._moves: WeakKeyDictionary[Node, Moves] = WeakKeyDictionary()

    def moves(self, node: Node) -> Moves:
        """The allowed tokens at a state; remembered for as long as the state lives."""
        found = self._moves.get(node)
        if found is None:
            places = self._within(node) | self._beyond(node)
            found = self._moves[node] = Moves(np.sort(np.array([self._ids[at] for at in places], dtype=np.intp)), node)
        return found

    def _within(self, node: Node) -> set[int]:
        """Places (in sorted order) of the tokens that say a beginning of one of the state's texts, or all of it."""
        first, texts, out = self._first, self._texts, set()
        for beginning in {text[:end] for text, _ in node.alternatives for end in range(1, len(text) + 1)}:
            at = first.get(beginning)
            while at is not None:
                out.add(at)
                at = at + 1 if at + 1 < len(texts) and texts[at + 1] == beginning else None
        return out

    def _beyond(self, start: Node) -> set[int]:
        """Places of the tokens that say one of the state's texts and part of what follows it.

        Depth first over (state, text read so far, range of sorted texts that begin so).
        """
        texts, out, stack = self._texts, set(), []
        for text, then in start.alternatives:
            low = self._first.get(text, -1)
            low = bisect_left(texts, text) if low < 0 else low
            while low < len(texts) and texts[low] == text:
                low += 1
            if low < len(texts) and texts[low].startswith(text):
                stack.append((then(), text, low, bisect_left(texts, _behind(text), low)))
        while stack:
            node, read, low, high = stack.pop()
            while low < high and len(texts[low]) == len(read):
                out.add(low)
                low += 1
            for byte, behind in node.edges.items() if low < high else ():
                longer = read + bytes((byte,))
                first = bisect_left(texts, longer, low, high)
                if first < high and texts[first].startswith(longer):
                    stack.append((behind, longer, first, bisect_left(texts, _behind(longer), first, high)))
        return out


def _behind(text: bytes) -> bytes:
    """The least text that sorts behind everything that begins with `text`. A text of nothing but 255 has none: not UTF-8."""
    return text[:-1] + bytes((text[-1] + 1,))


def only_ending(node: Node) -> bytes | None:
    """The bytes to the end of the answer where no choice is left, empty at the end itself; None where a choice is left."""
    out = b""
    while not node.final:
        if len(node.alternatives) > 1:
            return None
        ((text, then),) = node.alternatives
        out, node = out + text, then()
    return out


def cumulative(scores: Scores, temperature: float) -> NDArray[np.float64]:
    """Running sums of softmax(scores / temperature) over the allowed tokens only, shape (moves,); the last is 1."""
    weights = np.exp((scores.astype(np.float64) - float(scores.max())) / temperature).cumsum()
    share: NDArray[np.float64] = weights / weights[-1]
    return share
