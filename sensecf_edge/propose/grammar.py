"""(admissible values) -> the exact language of answers, twice: as GBNF text and as an automaton over bytes.

An answer is one JSON object without spaces that names only what changes, `{"glucose_mean":150,"steps":9000}`: one to
`max_changes` features, in schema order, each at most once, each with one of its admissible values. The language is
finite and both forms derive exactly it; relations between features are not part of it (see `rules`).

`gbnf` is what llama.cpp reads, and what the tests put beside the automaton. The engine walks the automaton, because
llama.cpp's own sampler tests every token of the vocabulary at every step. The texts that states choose from (`Texts`)
are shared by all records of a schema, so what is learnt about them for one record serves the next.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import GrammarError
from ..schema.feature import Feature
from ..schema.schema import Schema
from ..space.admissible import Admissible

CLOSE = b"}"


class Texts:
    """What one kind of state chooses from: a feature's values, or the keys. Each text once, none of them empty.

    `follow` are the bytes that may stand behind a text; no text goes on with one of them, so where a text ends is never
    in doubt.
    """

    def __init__(self, texts: tuple[bytes, ...], follow: bytes) -> None:
        self.texts, self.follow = texts, follow
        self.index = {text: at for at, text in enumerate(texts)}

    @cached_property
    def beginnings(self) -> dict[bytes, NDArray[np.intp]]:
        """Every beginning of a text, the whole one included -> the texts that begin so, shape (texts,)."""
        out: dict[bytes, list[int]] = {b"": list(range(len(self.texts)))}
        for at, text in enumerate(self.texts):
            for end in range(1, len(text) + 1):
                out.setdefault(text[:end], []).append(at)
        return {beginning: np.array(places, np.intp) for beginning, places in out.items()}


class Node:
    """A state: `said` is the beginning of one of the `texts`; `open` tells, byte by byte, which texts it may be at all.

    `then(i)` is the state behind text i. `notes` belongs to whoever walks the automaton.
    """

    __slots__ = ("notes", "open", "said", "texts", "then")

    def __init__(self, texts: Texts, said: bytes, open_: bytes, then: Callable[[int], Node]) -> None:
        self.texts, self.said, self.open, self.then = texts, said, open_, then
        self.notes: Any = None

    @property
    def final(self) -> bool:
        """True when a whole answer has been read; nothing may follow."""
        return not self.open

    def possible(self) -> NDArray[np.intp]:
        """The texts that what was said may still become, places in `texts`, shape (texts,)."""
        places = self.texts.beginnings.get(self.said)
        if places is None:
            return np.empty(0, np.intp)
        return places[np.frombuffer(self.open, np.bool_)[places]]

    def ended(self) -> int | None:
        """The place of the text that has been said whole, where longer ones are possible as well."""
        at = self.texts.index.get(self.said)
        return at if at is not None and self.open[at] else None

    @property
    def edges(self) -> dict[int, Node]:
        """Next byte -> next state."""
        have, end = len(self.said), self.ended()
        bytes_ = {self.texts.texts[at][have] for at in self.possible() if len(self.texts.texts[at]) > have}
        behind = {byte: node for byte in bytes_ if (node := self.read(bytes((byte,))))}
        return {**behind, **(self.then(end).edges if end is not None else {})}

    def read(self, text: bytes) -> Node | None:
        """The state after `text`, or None where the language has no such beginning."""
        if not text:
            return self
        said, index = self.said + text, self.texts.index
        at = index.get(said)
        if at is not None and self.open[at] and len(self.texts.beginnings[said]) == 1:
            return self.then(at)
        for end in range(len(self.said), len(said)):
            at = index.get(said[:end])
            if at is not None and self.open[at] and (behind := self.then(at).read(said[end:])):
                return behind
        longer = Node(self.texts, said, self.open, self.then)
        possible = longer.possible()
        if len(possible) == 1 and self.texts.texts[possible[0]] == said:
            return self.then(int(possible[0]))
        return longer if len(possible) else None

    def accepts(self, text: str) -> bool:
        """True for whole answers."""
        node = self.read(text.encode())
        return node is not None and node.final

    def common(self) -> tuple[bytes, int | None]:
        """The bytes that every text still possible goes on with, and that text's place where only one is possible."""
        possible = self.possible()
        if not len(possible) or self.ended() is not None:
            return b"", None
        texts, have = self.texts.texts, len(self.said)
        if len(possible) == 1:
            return texts[possible[0]][have:], int(possible[0])
        low, high = min(texts[i] for i in possible), max(texts[i] for i in possible)
        end = next((k for k in range(have, len(low)) if low[k] != high[k]), len(low))
        return low[have:end], None


def _nowhere(_: int) -> Node:
    raise IndexError("nothing follows the end of an answer")


END = Node(Texts((), b""), b"", b"", _nowhere)


class Grammar:
    """The answers admissible for one record. Raises GrammarError where there are none."""

    def __init__(self, space: Admissible) -> None:
        self.features = space.features
        if not self.features:
            raise GrammarError("no feature may change, so there is no answer to derive")
        self.schema, self.space = space.record.schema, space
        self._openings, self._closings, self._texts = _tables(self.schema)
        self.max_changes = min(space.max_changes, len(self.features))
        self._values: dict[tuple[int, int], Node] = {}
        self._tails: dict[tuple[int, int], Node] = {}
        self._opened: dict[int, bytes] = {}

    @cached_property
    def start(self) -> Node:
        """The automaton's first state."""
        return Node(self._openings, b"", self._keys(0), lambda i: self._value(i, self.max_changes))

    def _keys(self, first: int) -> bytes:
        """Which features from `first` on may still be said, one byte each."""
        out = bytearray(len(self.schema))
        for i in self.features:
            out[i] = i >= first
        return bytes(out)

    def _value(self, i: int, left: int) -> Node:
        """Behind the key of feature i: its values."""
        node = self._values.get((i, left))
        if node is None:
            if i not in self._opened:
                self._opened[i] = _open(self.schema, i, self.space.values[i].tobytes())
            tail = self._tail(i + 1, left - 1)
            node = self._values[i, left] = Node(self._texts[i], b"", self._opened[i], lambda _: tail)
        return node

    def _tail(self, first: int, left: int) -> Node:
        """Behind a value: the end, or a comma and another change."""
        node = self._tails.get((first, left))
        if node is None:
            more = self._keys(first) if left else bytes(len(self.schema))
            node = Node(self._closings, b"", more + b"\1", lambda i: END if i == len(self.schema) else self._value(i, left))
            self._tails[first, left] = node
        return node

    def gbnf(self) -> str:
        """The same language in llama.cpp's notation. Rule names hold letters, digits and hyphens only."""
        pending = [(0, self.max_changes)]
        lines, seen = [], {pending[0]}
        while pending:
            first, left = pending.pop()
            ends = [] if (first, left) == (0, self.max_changes) else ['"}"']
            opening = '"{" ' if not ends else '"," '
            for at in range(first, len(self.features) if left else first):
                key = _quoted(_key(self.schema.features[self.features[at]]))
                ends.append(f"{opening}{key} v{at} t{at + 1}-{left - 1}")
                if (at + 1, left - 1) not in seen:
                    seen.add((at + 1, left - 1))
                    pending.append((at + 1, left - 1))
            name = "root" if opening == '"{" ' else f"t{first}-{left}"
            lines.append(f"{name} ::= {' | '.join(ends)}")
        for at, i in enumerate(self.features):
            feature = self.schema.features[i]
            texts = (answer_value(feature.text(code), feature.kind) for code in self.space.values[i])
            lines.append(f"v{at} ::= {' | '.join(map(_quoted, texts))}")
        return "\n".join(lines) + "\n"


@lru_cache(maxsize=16)
def _tables(schema: Schema) -> tuple[Texts, Texts, tuple[Texts, ...]]:
    """The texts of a schema, made once: keys that open an answer, keys that go on or the end, values by feature."""
    keys = [_key(f).encode() for f in schema.features]
    values = tuple(Texts(tuple(answer_value(t, f.kind).encode() for t in f.texts), b",}") for f in schema.features)
    first = bytes({text[0] for table in values for text in table.texts})
    return Texts(tuple(b"{" + k for k in keys), first), Texts((*(b"," + k for k in keys), CLOSE), first), values


@lru_cache(maxsize=1024)
def _open(schema: Schema, i: int, values: bytes) -> bytes:
    """Which values of feature i the codes are, one byte each; many records share their answer."""
    lattice = schema.features[i].lattice
    may = np.zeros(len(lattice), np.bool_)
    may[np.searchsorted(lattice, np.frombuffer(values))] = True
    return may.tobytes()


def _key(feature: Feature) -> str:
    return json.dumps(feature.name, ensure_ascii=False) + ":"


def answer_value(text: str, kind: str) -> str:
    """A lattice value as it stands in an answer: numbers bare, choices in quotes."""
    return text if kind == "number" else json.dumps(text, ensure_ascii=False)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
