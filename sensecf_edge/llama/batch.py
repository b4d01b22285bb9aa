"""What is in a batch, and what decodes it: the words that `decoding` and `engine` share."""

from __future__ import annotations

import random
from array import array
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..propose.engine import Proposal, Request, Unanswered
from ..propose.grammar import Node
from .vocabulary import NextTokens, Scores


@dataclass(eq=False)
class Task:
    """One request at work. `prompt` ends with what the grammar forces at the start, `text`; `node` is the state there.

    `skip` tokens of the prompt are held by the decoder already. `held` are the task's sequences, all with the prompt in
    them; `idle` those between two proposals.
    """

    index: int
    request: Request
    prompt: list[int]
    limit: int
    node: Node
    text: bytes = b""
    alone: bool = False
    skip: int = 0
    waiting: deque[int] = field(default_factory=deque)
    held: list[int] = field(default_factory=list)
    idle: list[int] = field(default_factory=list)
    answers: dict[int, Proposal] = field(default_factory=dict)
    scores: NDArray[np.float64] | None = None
    fault: Unanswered | None = None


class Member:
    """A proposal at work: its number, its sequence, its draws (none: greedy) and how many of them are spent."""

    __slots__ = ("draws", "proposal", "sequence", "spent")

    def __init__(self, proposal: int, sequence: int, draws: array[float] | None) -> None:
        self.proposal, self.sequence, self.draws, self.spent = proposal, sequence, draws, 0


class Chunk:
    """One row of a batch: `tokens` to decode from position `start` on, for all `sequences`."""

    __slots__ = ("sequences", "start", "tokens")

    def __init__(self, tokens: list[int], start: int, sequences: list[int]) -> None:
        self.tokens, self.start, self.sequences = tokens, start, sequences


class Branch(Chunk):
    """The row of those members of a task that have said the same so far."""

    __slots__ = ("end", "members", "moves", "task", "text")

    def __init__(self, task: Task, members: list[Member], moves: NextTokens, text: bytes, tokens: list[int], start: int) -> None:
        super().__init__(tokens, start, [m.sequence for m in members])
        self.task, self.members, self.moves, self.text = task, members, moves, text
        self.end = start + len(tokens)


class Decoder(Protocol):
    """What decodes. `cells` are key-value cells, `rows` tokens in one batch, `context` tokens of one prompt and answer."""

    sequences: int
    cells: int
    rows: int
    context: int
    answer_tokens: int

    def tokenise(self, text: str) -> list[int]:
        """Token ids of a prompt."""
        ...

    def keep(self, prompts: Sequence[list[int]]) -> int:
        """Hold a beginning that all prompts share, for `lend`; its length, 0 where that is not worth it."""
        ...

    def lend(self, sequence: int, end: int) -> None:
        """Let a sequence hold the first `end` tokens of what is kept."""
        ...

    def decode(self, chunks: Sequence[Chunk]) -> Scores:
        """Scores of the token after each, shape (chunks, vocabulary), good until the next call. Raises EngineError."""
        ...

    def share(self, source: int, target: int, end: int) -> None:
        """Let `target` hold what `source` holds before position `end`."""
        ...

    def forget(self, sequence: int, start: int) -> None:
        """Drop what a sequence holds from position `start` on."""
        ...


@lru_cache(maxsize=512)
def draws(seed: int, proposal: int, count: int) -> array[float]:
    """The proposal's source of chance: `count` numbers in [0, 1), the same for every record."""
    source = random.Random(f"{seed}/{proposal}")
    return array("d", (source.random() for _ in range(count)))
