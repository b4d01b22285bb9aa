"""How likely a generator finds an answer that others have written: log-likelihoods under the real llama.cpp."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sensecf_edge.llama.batch import Chunk
from sensecf_edge.llama.engine import LlamaEngine
from sensecf_edge.schema.feature import Vector
from sensecf_edge.settings import EngineSettings
from sensecf_edge.space.admissible import Admissible

from ..generator.answers import answer_text
from ..generator.practice import Speaker

Tokens = list[int]


@dataclass(frozen=True)
class AnsweredQuestion:
    """One question with an answer: whose it is, the record's answer space, its probability `p` of the wanted class, the answer."""

    person: str
    space: Admissible
    p: float
    y: Vector


def log_likelihoods(speaker: Speaker, asked: Sequence[AnsweredQuestion]) -> Vector:
    """Natural logarithm of the probability of each whole answer behind its prompt, shape (asked,).

    Over the whole vocabulary: what the grammar would have ruled out counts as well. The tokens are the model's own.
    """
    with LlamaEngine(speaker.path, EngineSettings(threads=1), speaker.context, speaker.adapter) as engine:
        tokenise = engine.vocabulary.tokenise
        assert tokenise is not None  # an engine's vocabulary has its model's
        prompts = [speaker.prompt(a.space, a.p) for a in asked]
        answers = [answer_text(a.space, a.y).encode() for a in asked]
        return of_tokens(engine, [(engine.tokenise(p), tokenise(a)) for p, a in zip(prompts, answers, strict=True)])


def of_tokens(engine: LlamaEngine, words: Sequence[tuple[Tokens, Tokens]]) -> Vector:
    """Of each (prompt, answer), both as token ids, the logarithm of the answer's probability, shape (words,). Several go through
    in one batch: each prompt is one part of it, each token of an answer but the last is another."""
    out = np.zeros(len(words))
    for group in _groups(engine, words):
        parts, said = list[Chunk](), list[tuple[int, int]]()
        for sequence, at in enumerate(group):
            question, answer = words[at]
            parts.append(Chunk(question, 0, [sequence]))
            parts += [Chunk([token], len(question) + k, [sequence]) for k, token in enumerate(answer[:-1])]
            said += [(at, token) for token in answer]
        scores = np.asarray(engine.decode(parts), dtype=np.float64)
        top = scores.max(axis=1)
        whole = top + np.log(np.exp(scores - top[:, None]).sum(axis=1))
        for row, (at, token) in enumerate(said):
            out[at] += scores[row, token] - whole[row]
        for sequence in range(len(group)):
            engine.forget(sequence, 0)
    return out


def _groups(engine: LlamaEngine, words: Sequence[tuple[Tokens, Tokens]]) -> Iterator[list[int]]:
    """Places of as many as fit into one batch each."""
    group, rows, scores = list[int](), 0, 0
    for at, (question, answer) in enumerate(words):
        new = len(question) + len(answer) - 1
        if group and (rows + new > engine.rows or scores + len(answer) > engine.sequences):
            yield group
            group, rows, scores = [], 0, 0
        group, rows, scores = [*group, at], rows + new, scores + len(answer)
    if group:
        yield group
