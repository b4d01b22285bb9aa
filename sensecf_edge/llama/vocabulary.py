"""Which tokens may come next: the vocabulary's texts laid over the grammar's automaton. Knows nothing of llama.cpp.

At each state exactly those tokens are allowed whose whole text the automaton can read, the set that llama.cpp's own
grammar sampler leaves over. What a token says about a list of texts (`Overlay`) is worked out once and serves every
record; a record's own mask is then one look-up or one pass over small arrays, whatever the size of the vocabulary.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..propose.grammar import Node, Texts
from ..space.measure import distinct

Scores = NDArray[np.float32]
Ids = NDArray[np.intp]

REMEMBERED = 2_000_000
"""Token ids that remembered masks may hold together: 16 MB. Beyond that they are forgotten and made again."""


@dataclass(frozen=True)
class TokenMask:
    """What may follow inside one list of texts. `common` and `sole`: see `Node.common`. `free`: a choice is due now."""

    ids: Ids
    common: bytes
    sole: int | None
    free: bool


class NextTokens:
    """What may follow a state: token `ids`, shape (moves,), ascending. `free` is False where it may be only one text."""

    __slots__ = ("_after", "_node", "_pieces", "free", "ids", "mask", "vocabulary")

    def __init__(self, vocabulary: Vocabulary, node: Node, mask: TokenMask, ids: Ids) -> None:
        self.vocabulary, self._node, self._pieces, self.mask, self.ids = vocabulary, node, vocabulary.pieces, mask, ids
        self.free = mask.free
        self._after: dict[int, Node] = {}

    def after(self, token: int) -> Node:
        """The state behind an allowed token; the same object every time."""
        node = self._after.get(token)
        if node is None:
            node = self._node.read(self._pieces[token])
            assert node is not None
            self._after[token] = node
        return node


class Vocabulary:
    """Token texts by id, as bytes; empty for tokens that say nothing (control, unused): those are never allowed.

    `tokenise` gives a model's own tokens of a text; without it nothing is ever `forced`.
    """

    def __init__(self, pieces: Sequence[bytes], tokenise: Callable[[bytes], list[int]] | None = None) -> None:
        self.pieces, self.tokenise = pieces, tokenise
        self._ids = sorted((i for i, piece in enumerate(pieces) if piece), key=pieces.__getitem__)
        self._sorted = [pieces[i] for i in self._ids]
        self._overlays: dict[tuple[Texts, bytes], Overlay] = {}
        self._masks: dict[tuple[Texts, bytes, bytes], TokenMask] = {}
        self._forced: dict[tuple[int, bytes], list[int]] = {}
        self._held = 0

    def moves(self, node: Node) -> NextTokens:
        """The allowed tokens at a state; remembered for as long as the state lives."""
        moves = node.notes
        if moves is None or moves.vocabulary is not self:
            overlay, mask = self._overlay(node), self._mask(node)
            more = overlay.crossing(node) if overlay.beyond else set()
            if (ended := node.ended()) is not None:
                more.update(self.moves(node.then(ended)).ids.tolist())
            ids = distinct(np.append(mask.ids, np.fromiter(more, np.intp))) if more else mask.ids
            moves = node.notes = NextTokens(self, node, mask, ids)
        return moves  # type: ignore[no-any-return]

    def forced(self, node: Node, last: int | None) -> tuple[list[int], Node]:
        """The tokens that a text without choice takes behind token `last`, and the state behind them; often none.

        They are the model's own tokens of that text. They end where an allowed token says more than is forced: from
        there on the model chooses, because its own token border may lie behind.
        """
        text, _ = self.only(node)
        if not text or self.tokenise is None:
            return [], node
        before = self.pieces[last] if last is not None else b""
        key = (-1 if last is None else last, text)
        tokens = self._forced.get(key)
        if tokens is None:
            tokens = self.tokenise(before + text)
            if before:
                tokens = tokens[1:] if tokens and tokens[0] == last else self.tokenise(text)
            if b"".join(self.pieces[t] for t in tokens) != text:
                tokens = []
            if len(self._forced) > 10_000:
                self._forced.clear()
            self._forced[key] = tokens
        out: list[int] = []
        left = len(text)
        for token in tokens:
            moves = self.moves(node)
            allowed = moves.ids.tolist()
            if token not in allowed or any(len(self.pieces[i]) > left for i in allowed):
                break
            node, left = moves.after(token), left - len(self.pieces[token])
            out.append(token)
        return out, node

    def only(self, node: Node) -> tuple[bytes, Node]:
        """The text up to the next choice, and the state behind it; all of the answer's rest where no choice is left."""
        out = b""
        while not node.final:
            mask = self._mask(node)
            out += mask.common
            if mask.sole is None:
                return out, self._behind(node, mask.common)
            node = node.then(mask.sole)
        return out, node

    @staticmethod
    def _behind(node: Node, text: bytes) -> Node:
        behind = node.read(text)
        assert behind is not None
        return behind

    def _overlay(self, node: Node) -> Overlay:
        key = (node.texts, node.said)
        overlay = self._overlays.get(key)
        if overlay is None:
            if len(self._overlays) > 20_000:
                self._overlays.clear()
            overlay = self._overlays[key] = Overlay(self._sorted, self._ids, *key)
        return overlay

    def _mask(self, node: Node) -> TokenMask:
        key = (node.texts, node.said, node.open)
        mask = self._masks.get(key)
        if mask is None:
            ids = self._overlay(node).within(node.open)
            common, sole = node.common()
            free = sole is None and (not common or any(len(self.pieces[i]) > len(common) for i in ids.tolist()))
            mask = TokenMask(ids, common, sole, free)
            self._held += len(ids) + 100
            if self._held > REMEMBERED:
                self._masks.clear()
                self._held = len(ids)
            self._masks[key] = mask
        return mask


class Overlay:
    """What the tokens of a vocabulary say about a list of texts of which `said` has been said.

    `ids` are the tokens that say a beginning of what is left of some texts, or all of it; those texts stand in `_places`
    from `_starts[k]` on for token k. `beyond` are those that end a text and say more: (text, token, the more).
    """

    def __init__(self, pieces: list[bytes], numbers: list[int], texts: Texts, said: bytes) -> None:
        found: dict[int, list[int]] = {}
        self.beyond: list[tuple[int, int, bytes]] = []
        for place in texts.beginnings[said].tolist() if said in texts.beginnings else ():
            left = texts.texts[place][len(said) :]
            for end in range(1, len(left) + 1):
                at = bisect_left(pieces, left[:end])
                while at < len(pieces) and pieces[at] == left[:end]:
                    found.setdefault(numbers[at], []).append(place)
                    at += 1
            for byte in texts.follow if left else b"":
                start = left + bytes((byte,))
                for at in range(bisect_left(pieces, start), bisect_right(pieces, start + b"\xff" * 8)):
                    self.beyond.append((place, numbers[at], pieces[at][len(left) :]))
        order = sorted(found)
        self._ids = np.array(order, np.intp)
        self._places = np.array([place for token in order for place in found[token]], np.intp)
        self._starts = np.cumsum([0, *(len(found[token]) for token in order[:-1])], dtype=np.intp)

    def within(self, open_: bytes) -> Ids:
        """The tokens that stay within the open texts, shape (tokens,)."""
        if not len(self._ids):
            return self._ids
        may = np.frombuffer(open_, np.bool_)[self._places]
        ids: Ids = self._ids[np.logical_or.reduceat(may, self._starts)]
        return ids

    def crossing(self, node: Node) -> set[int]:
        """The tokens that end one of the state's texts and begin what stands behind it."""
        read: dict[tuple[int, bytes], bool] = {}
        out = set()
        for place, token, more in self.beyond:
            if node.open[place]:
                behind = node.then(place)
                key = (id(behind), more)
                if key not in read:
                    read[key] = behind.read(more) is not None
                if read[key]:
                    out.add(token)
        return out
