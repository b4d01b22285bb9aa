"""What the loop asks of an engine and what it answers: the words that every engine shares, whatever is behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from .grammar import Node


class Language(Protocol):
    """What may be answered, in the two forms that engines read: `grammar.Grammar` for changes, `branching.Branching` for sentences."""

    @property
    def start(self) -> Node:
        """The automaton's first state."""
        ...

    def gbnf(self) -> str:
        """The same in llama.cpp's notation."""
        ...


@dataclass(frozen=True)
class Request:
    """`n` proposals for one record. Proposal 0 is greedy when `greedy_first`; the others are sampled at `temperature`.

    A temperature of 0 makes all of them greedy. Proposal k draws from its own source of chance, seeded by (seed, k), so
    it depends neither on what else is in the batch nor on n.
    """

    prompt: str
    grammar: Language
    n: int
    seed: int
    temperature: float
    greedy_first: bool = True


@dataclass(frozen=True)
class Proposal:
    """One answer. `complete` is False where the limit on answer tokens ended it: then `text` is only a beginning."""

    text: str
    complete: bool


@dataclass(frozen=True)
class Unanswered:
    """Why one record got no proposals while others did. The text names no value of the record."""

    reason: str


class Engine(Protocol):
    """What the loop needs. Answers come in the order of the requests: `n` proposals each, in order, or a fault."""

    def propose(self, requests: Sequence[Request]) -> list[list[Proposal] | Unanswered]:
        """Raises EngineError only where no request at all can be answered."""
        ...


@runtime_checkable
class Closing(Protocol):
    """An engine that holds something which has to be given back."""

    def close(self) -> None:
        """Give it back. May be called twice."""
        ...
