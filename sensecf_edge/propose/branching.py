"""A finite language said state by state: which texts may come next, and the state behind each. Texts of a person's language, not JSON.

The same two forms as `grammar` has: an automaton over bytes that the engine walks, and GBNF for llama.cpp. None of the texts of a
state may begin another one of it, so where a text ends is never in doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import cached_property, partial
from typing import Any

from ..errors import GrammarError
from .grammar import END, Node, Texts

Steps = Sequence[tuple[str, Hashable]]


class Branching:
    """The texts that `steps` leads through from `begin` on: at each state (text, state behind it); no step where the text is at its end.

    `steps` is asked once for each state and has to lead to an end. Raises GrammarError, when it is walked or written down, for a state
    with an empty text or one that another text of the state begins with. `json_schema` says the same where the texts are JSON, for
    servers that read no grammar.
    """

    def __init__(self, begin: Hashable, steps: Callable[[Hashable], Steps], json_schema: dict[str, Any] | None = None) -> None:
        self._begin, self._ask, self.json_schema = begin, steps, json_schema
        self._steps: dict[Hashable, Steps] = {}
        self._nodes: dict[Hashable, Node] = {}
        self._texts: dict[tuple[tuple[bytes, ...], bytes], Texts] = {}

    @cached_property
    def start(self) -> Node:
        """The automaton's first state."""
        return self._node(self._begin)

    def gbnf(self) -> str:
        """The same language in llama.cpp's notation; its rules are numbered as they are met."""
        rules, lines = {self._begin: "root"}, list[str]()
        waiting = [self._begin]
        while waiting:
            state = waiting.pop()
            ends = []
            for text, behind in self._of(state):
                if behind not in rules:
                    rules[behind] = f"s{len(rules)}"
                    waiting.append(behind)
                ends.append(f"{_quoted(text)} {rules[behind]}" if self._of(behind) else _quoted(text))
            if ends:
                lines.append(f"{rules[state]} ::= {' | '.join(ends)}")
        return "\n".join(lines) + "\n"

    def _of(self, state: Hashable) -> Steps:
        steps = self._steps.get(state)
        if steps is None:
            steps = self._steps[state] = list(self._ask(state))
            texts = [text for text, _ in steps]
            if "" in texts or len(texts) != len(apart(texts)):
                raise GrammarError("a text of this grammar is empty, or begins another one beside it")
        return steps

    def _node(self, state: Hashable) -> Node:
        node = self._nodes.get(state)
        if node is None:
            steps = self._of(state)
            if not steps:
                return END
            follow = bytes(sorted({text.encode()[0] for _, behind in steps for text, _ in self._of(behind)}))
            key = tuple(text.encode() for text, _ in steps), follow
            texts = self._texts.setdefault(key, Texts(*key))
            node = self._nodes[state] = Node(texts, b"", b"\1" * len(steps), partial(self._then, steps))
        return node

    def _then(self, steps: Steps, at: int) -> Node:
        return self._node(steps[at][1])


def apart(texts: Sequence[str]) -> list[str]:
    """Those of the texts that neither begin another one nor are begun by one before them, in their order."""
    out: list[str] = []
    for text in texts:
        if text and not any(text.startswith(other) or other.startswith(text) for other in out):
            out.append(text)
    return out


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
