"""What the loop needs of an engine, and a stand-in that answers from a queue."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Protocol

from .errors import EngineError
from .proposals import Fault, Proposal, Request


class Engine(Protocol):
    """What the loop needs. Answers come in the order of the requests: `n` proposals each, in order, or a fault."""

    def propose(self, requests: Sequence[Request]) -> list[list[Proposal] | Fault]:
        """Raises EngineError only where no request at all can be answered."""
        ...


class ScriptedEngine:
    """Answers from a queue, one entry a request: its texts, or a fault. Keeps the requests it saw in `history`.

    A text that ends with a brace counts as complete. Does not look at the grammar and does not cut or pad to `n`.
    """

    def __init__(self, script: Iterable[Sequence[str] | Fault]) -> None:
        self.script = deque(script)
        self.history: list[Request] = []

    def propose(self, requests: Sequence[Request]) -> list[list[Proposal] | Fault]:
        """The next entries of the script. Raises EngineError at its end."""
        out: list[list[Proposal] | Fault] = []
        for request in requests:
            self.history.append(request)
            if not self.script:
                raise EngineError(f"the script ended before request {len(self.history)}; give it more answers")
            entry = self.script.popleft()
            out.append(entry if isinstance(entry, Fault) else [Proposal(text, text.endswith("}")) for text in entry])
        return out
