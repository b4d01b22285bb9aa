"""Engines without a language model, for tests and as a baseline: one answers from a queue, one by chance within what is admissible."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Sequence

import numpy as np

from .errors import EngineError
from .propose.engine import Proposal, Request, Unanswered
from .propose.grammar import Grammar, Node
from .schema.record import decode


class ScriptedEngine:
    """Answers from a queue, one entry a request: its texts, or a fault. Keeps the requests it saw in `history`.

    A text that ends with a brace counts as complete. Does not look at the grammar and does not cut or pad to `n`.
    """

    def __init__(self, script: Iterable[Sequence[str] | Unanswered]) -> None:
        self.script = deque(script)
        self.history: list[Request] = []

    def propose(self, requests: Sequence[Request]) -> list[list[Proposal] | Unanswered]:
        """The next entries of the script. Raises EngineError at its end."""
        out: list[list[Proposal] | Unanswered] = []
        for request in requests:
            self.history.append(request)
            if not self.script:
                raise EngineError(f"the script ended before request {len(self.history)}; give it more answers")
            entry = self.script.popleft()
            out.append(entry if isinstance(entry, Unanswered) else [Proposal(text, text.endswith("}")) for text in entry])
        return out


class RandomEngine:
    """Proposals by chance instead of a language model: 1 to `max_changes` features, each at any admissible value, all equally likely.

    Under a grammar of sentences: any text of it, at every state all that may follow equally likely.
    """

    def propose(self, requests: Sequence[Request]) -> list[list[Proposal] | Unanswered]:
        """`n` proposals a request. The same record and seed get the same ones."""
        return [[self._one(r, k) for k in range(r.n)] for r in requests]

    @staticmethod
    def _one(request: Request, k: int) -> Proposal:
        if not isinstance(request.grammar, Grammar):
            return Proposal(by_chance(request.grammar.start, np.random.default_rng([request.seed, k])), True)
        space = request.grammar.space
        rng = np.random.default_rng([request.seed, k, *space.record.vector.view(np.uint32)])
        count = int(rng.integers(1, min(space.max_changes, len(space.features)) + 1))
        chosen = sorted(rng.choice(space.features, size=count, replace=False))
        schema = space.record.schema
        changes = {schema.names[i]: decode(schema.features[i], float(rng.choice(space.values[i]))) for i in chosen}
        return Proposal(json.dumps(changes), True)


def by_chance(node: Node, rng: np.random.Generator) -> str:
    """A whole text of a grammar, from a state on: among the texts that a state may say each is equally likely."""
    out = b""
    while not node.final:
        at = int(rng.choice(node.possible()))
        out += node.texts.texts[at][len(node.said) :]
        node = node.then(at)
    return out.decode()
