"""Pairs -> token ids: the prompt as the runtime will say it, and the canonical answer that the grammar derives."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sensecf_edge.errors import ConstraintError
from sensecf_edge.propose.grammar import Grammar
from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.schema import Schema
from sensecf_edge.space.admissible import Admissible, admissible
from sensecf_edge.space.constraints import Constraints

from ..answers import answer_text
from .tokens import Tokens

IGNORE = -100
HELD, LEAST_TO_PART = 48, 400
"""Pairs held out of a tuning, and how many there must be for that."""

Ask = Callable[[Admissible, float], str]
"""A record's answer space and its probability of the wanted class -> the prompt."""


@dataclass(frozen=True)
class Lessons:
    """What is learnt: prompt and answer of each pair as token ids. `left_out` pairs had an answer outside the grammar."""

    prompts: Sequence[list[int]]
    answers: Sequence[list[int]]
    left_out: int

    def __len__(self) -> int:
        return len(self.prompts)

    @property
    def longest(self) -> int:
        """Tokens of the longest prompt and answer together."""
        return max(len(p) + len(a) for p, a in zip(self.prompts, self.answers, strict=True))

    @property
    def longest_answer(self) -> int:
        """Tokens of the longest answer."""
        return max(map(len, self.answers))

    @property
    def hash(self) -> str:
        """sha256 of all of it, in hex."""
        return hashlib.sha256(repr((self.prompts, self.answers)).encode()).hexdigest()

    def parted(self, seed: int) -> tuple[Lessons, Lessons]:
        """Most of them to learn from, and a few held out; none of few."""
        count = HELD if len(self) >= LEAST_TO_PART else 0
        order = np.random.default_rng((seed, HELD)).permutation(len(self)).tolist()
        held, rest = order[:count], sorted(order[count:])
        parts = (Lessons([self.prompts[i] for i in at], [self.answers[i] for i in at], self.left_out) for at in (rest, held))
        return next(parts), next(parts)

    def rows(self, which: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """(tokens, labels), both (rows, longest of them) int64. Padding lies behind the answer, where causal attention keeps
        it from being seen; labels are IGNORE everywhere but on the answer."""
        width = max(len(self.prompts[i]) + len(self.answers[i]) for i in which)
        tokens, labels = np.zeros((len(which), width), np.int64), np.full((len(which), width), IGNORE, np.int64)
        for row, i in enumerate(which):
            start, end = len(self.prompts[i]), len(self.prompts[i]) + len(self.answers[i])
            tokens[row, :end] = [*self.prompts[i], *self.answers[i]]
            labels[row, start:end] = self.answers[i]
        return torch.from_numpy(tokens), torch.from_numpy(labels)


def encode(tokens: Tokens, schema: Schema, ask: Ask, X: Vector, Y: Vector, p: Vector, max_changes: int) -> Lessons:
    """Pairs X -> Y, both (pairs, features), with the probability p of the target as X stands, (pairs,).

    An answer ends with the token that ends a text, so that the model stops where no grammar makes it.
    """
    prompts, answers, limits = list[list[int]](), list[list[int]](), Constraints(max_changes=max_changes)
    for x, y, now in zip(X, Y, p, strict=True):
        try:
            space = admissible(Record(schema, x), limits)
        except ConstraintError:
            continue
        said = answer_text(space, y)
        if Grammar(space).start.accepts(said):
            prompts.append(tokens.prompt(ask(space, float(now))))
            answers.append(tokens.answer(said) + tokens.end)
    return Lessons(prompts, answers, len(X) - len(prompts))
