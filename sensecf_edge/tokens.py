"""Which tokens may come next: the vocabulary's texts laid over the grammar's automaton. Knows nothing of llama.cpp.

At each state exactly those tokens are allowed whose whole text the automaton can read, the set that llama.cpp's own
grammar sampler leaves over. It is found by walking the sorted vocabulary and the automaton together, so the cost goes
with what is allowed, not with the size of the vocabulary.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from .grammar import Node

Scores = NDArray[np.float32]


class Moves(NamedTuple):
    """What may follow a state: token ids, shape (moves,), and the state behind each."""

    ids: NDArray[np.intp]
    nodes: list[Node]


class Vocabulary:
    """Token texts by id, as bytes; empty for tokens that say nothing (control, unused): those are never allowed."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.pieces = pieces
        self._ids = sorted((i for i, piece in enumerate(pieces) if piece), key=pieces.__getitem__)
        self._texts = [pieces[i] for i in self._ids]
        self._moves: WeakKeyDictionary[Node, Moves] = WeakKeyDictionary()

    def moves(self, node: Node) -> Moves:
        """The allowed tokens at a state; remembered for as long as the state lives."""
        found = self._moves.get(node)
        if found is None:
            found = self._moves[node] = self._walk(node)
        return found

    def _walk(self, start: Node) -> Moves:
        """Depth first over (state, range of sorted texts that share `prefix`); every text ends in its own state."""
        texts, ids, nodes = self._texts, [], []
        stack = [(start, b"", 0, len(texts))]
        while stack:
            node, prefix, low, high = stack.pop()
            while low < high and len(texts[low]) == len(prefix):
                ids.append(self._ids[low])
                nodes.append(node)
                low += 1
            if low == high:
                continue
            if high - low == 1:
                end = node.read(texts[low][len(prefix) :])
                if end is not None:
                    ids.append(self._ids[low])
                    nodes.append(end)
                continue
            for byte, then in node.edges.items():
                longer = prefix + bytes((byte,))
                first = bisect_left(texts, longer, low, high)
                last = high if byte == 255 else bisect_left(texts, prefix + bytes((byte + 1,)), first, high)
                if first < last:
                    stack.append((then, longer, first, last))
        return Moves(np.array(ids, dtype=np.intp), nodes)


def only_ending(node: Node) -> bytes | None:
    """The bytes to the end of the answer where no choice is left, empty at the end itself; None where a choice is left."""
    out = bytearray()
    while not node.final:
        if len(node.edges) > 1:
            return None
        ((byte, node),) = node.edges.items()
        out.append(byte)
    return bytes(out)


def cumulative(scores: Scores, temperature: float) -> NDArray[np.float64]:
    """Running sums of softmax(scores / temperature) over the allowed tokens only, shape (moves,); the last is 1."""
    weights = np.exp((scores.astype(np.float64) - float(scores.max())) / temperature).cumsum()
    share: NDArray[np.float64] = weights / weights[-1]
    return share
