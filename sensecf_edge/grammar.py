"""(admissible values) -> the exact language of answers, twice: as GBNF text and as an automaton over bytes.

An answer is one JSON object without spaces that names only what changes, `{"glucose_mean":150,"steps":9000}`: one to
`max_changes` features, in schema order, each at most once, each with one of its admissible values. The language is
finite and both forms derive exactly it; relations between features are not part of it (see `rules`).

`gbnf` is what llama.cpp reads, and what the tests put beside the automaton. The engine walks the automaton, because
llama.cpp's own sampler tests every token of the vocabulary at every step.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cached_property, lru_cache

import numpy as np

from .admissible import Admissible
from .errors import GrammarError
from .schema import Feature

Alternative = tuple[bytes, Callable[[], "Node"]]


class Node:
    """A state of the automaton: the texts that may follow, each with the state behind it. No texts: the answer is whole."""

    def __init__(self, alternatives: tuple[Alternative, ...]) -> None:
        self.alternatives = alternatives

    @property
    def final(self) -> bool:
        """True when a whole answer has been read; nothing may follow."""
        return not self.alternatives

    @cached_property
    def edges(self) -> dict[int, Node]:
        """Next byte -> next state. Deterministic: texts that share their first byte share the edge."""
        groups: dict[int, list[Alternative]] = {}
        for text, then in self.alternatives:
            groups.setdefault(text[0], []).append((text[1:], then))
        return {byte: _merge(group) for byte, group in groups.items()}

    def read(self, text: bytes) -> Node | None:
        """The state after `text`, or None where the language has no such beginning. Makes no state on the way."""
        if not text:
            return self
        ends: list[Alternative] = []
        for other, then in self.alternatives:
            if other.startswith(text):
                ends.append((other[len(text) :], then))
            elif text.startswith(other):
                behind = then().read(text[len(other) :])
                ends.extend([(b"", lambda behind=behind: behind)] if behind else [])  # type: ignore[misc]
        return _merge(ends) if ends else None

    def accepts(self, text: str) -> bool:
        """True for whole answers."""
        node = self.read(text.encode())
        return node is not None and node.final


def _merge(group: list[Alternative]) -> Node:
    """One state for texts that share a beginning; a text that ended goes on as what stands behind it."""
    if len(group) == 1 and not group[0][0]:
        return group[0][1]()
    out: list[Alternative] = []
    for text, then in group:
        if text:
            out.append((text, then))
        else:
            out.extend(then().alternatives)
    return Node(tuple(out))


class Grammar:
    """The answers admissible for one record. Raises GrammarError where there are none."""

    def __init__(self, space: Admissible) -> None:
        self.features = space.features
        if not self.features:
            raise GrammarError("no feature may change, so there is no answer to derive")
        schema = space.record.schema
        self.keys = {i: json.dumps(schema.features[i].name, ensure_ascii=False) + ":" for i in self.features}
        self.space = space
        self.max_changes = min(space.max_changes, len(self.features))
        self._tails: dict[tuple[int, int], Node] = {}
        self._values: dict[tuple[int, int], Node] = {}

    @cached_property
    def start(self) -> Node:
        """The automaton's first state."""
        return Node(tuple(self._changes(0, self.max_changes, "{")))

    def _changes(self, first: int, left: int, opening: str) -> list[Alternative]:
        """`opening`, a key, and behind it its values: for every feature from position `first` on."""
        return [
            (f"{opening}{self.keys[i]}".encode(), lambda at=at, i=i: self._value(at, i, left))  # type: ignore[misc]
            for at, i in enumerate(self.features)
            if at >= first
        ]

    def _value(self, at: int, i: int, left: int) -> Node:
        """Behind a key: its values. One continuation for all of them: a closure each would cost more than the rest."""
        if (at, left) not in self._values:

            def then() -> Node:
                return self._tail(at + 1, left - 1)

            self._values[at, left] = Node(tuple((text, then) for text in self._texts(i)))
        return self._values[at, left]

    def _texts(self, i: int) -> list[bytes]:
        """The admissible values of feature i as they stand in an answer."""
        feature = self.space.record.schema.features[i]
        texts = _lattice_texts(feature)
        return [texts[at] for at in np.searchsorted(feature.lattice, self.space.values[i])]

    def _tail(self, first: int, left: int) -> Node:
        """Behind a value: the end, or a comma and another change."""
        if (first, left) not in self._tails:
            more = self._changes(first, left, ",") if left else []
            self._tails[first, left] = Node(((b"}", lambda: Node(())), *more))
        return self._tails[first, left]

    def gbnf(self) -> str:
        """The same language in llama.cpp's notation. Rule names hold letters, digits and hyphens only."""
        pending = [(0, self.max_changes)]
        lines, seen = [], {pending[0]}
        while pending:
            first, left = pending.pop()
            ends = [] if (first, left) == (0, self.max_changes) else ['"}"']
            opening = '"{" ' if not ends else '"," '
            for at in range(first, len(self.features) if left else first):
                ends.append(f"{opening}{_quoted(self.keys[self.features[at]])} v{at} t{at + 1}-{left - 1}")
                if (at + 1, left - 1) not in seen:
                    seen.add((at + 1, left - 1))
                    pending.append((at + 1, left - 1))
            name = "root" if opening == '"{" ' else f"t{first}-{left}"
            lines.append(f"{name} ::= {' | '.join(ends)}")
        lines += [f"v{at} ::= {' | '.join(_quoted(text.decode()) for text in self._texts(i))}" for at, i in enumerate(self.features)]
        return "\n".join(lines) + "\n"


@lru_cache(maxsize=1024)
def _lattice_texts(feature: Feature) -> tuple[bytes, ...]:
    """Every value of a feature as it stands in an answer, in the order of its lattice; made once for all records."""
    return tuple(answer_value(text, feature.kind).encode() for text in feature.texts)


def answer_value(text: str, kind: str) -> str:
    """A lattice value as it stands in an answer: numbers bare, choices in quotes."""
    return text if kind == "number" else json.dumps(text, ensure_ascii=False)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
