"""How far a quantized generator's next-token distributions lie from those of the f32 model it was made from.

The f32 model's greedy answers under the grammar are read to every model token by token (teacher forcing), so all are asked
the same question at the same place. Compared are whole distributions over the vocabulary, before any grammar.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensecf_edge.llama.engine import LlamaEngine
from sensecf_edge.propose.engine import Request, Unanswered

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Script:
    """A prompt and its answer as token ids; the answer begins at `start`. The last token is read to no one."""

    tokens: list[int]
    start: int


@dataclass(frozen=True)
class Divergence:
    """Of one model from f32: Kullback-Leibler divergence in nats (mean and 99th percentile over `positions`), and how often
    both find the same token likeliest (0..1)."""

    mean: float
    high: float
    same: float
    positions: int


def scripts(engine: LlamaEngine, asked: Sequence[Request]) -> list[Script]:
    """What `engine` answers greedily; a prompt that gets no answer is left out."""
    requests = [replace(r, n=1, greedy_first=True) for r in asked]
    out = []
    for request, answer in zip(requests, engine.propose(requests), strict=True):
        if isinstance(answer, Unanswered) or not answer[0].complete:
            continue
        prompt, whole = engine.tokenise(request.prompt), engine.tokenise(request.prompt + answer[0].text)
        same = next((k for k, (a, b) in enumerate(zip(prompt, whole, strict=False)) if a != b), len(prompt))
        if same < len(whole):
            out.append(Script(whole, max(1, same)))
    return out


def compare(engines: Sequence[LlamaEngine], lines: Sequence[Script]) -> Iterator[list[tuple[Floats, NDArray[np.bool_]]]]:
    """For every script, one pair for each engine behind the first: divergences from the first and whether the likeliest token
    is the same, both of shape (answer tokens,)."""
    try:
        for line in lines:
            exact, *others = (_log_probabilities(engine, line) for engine in engines)
            weights, likeliest = np.exp(exact), exact.argmax(axis=1)
            yield [((weights * (exact - q)).sum(axis=1), q.argmax(axis=1) == likeliest) for q in others]
    finally:
        for engine in engines:
            engine.empty()


def summed(parts: Sequence[tuple[Floats, NDArray[np.bool_]]]) -> Divergence:
    """One model's figures over all scripts. Rounding alone can make a divergence a little negative; it counts as nought."""
    nats = np.maximum(np.concatenate([p for p, _ in parts]), 0.0)
    return Divergence(float(nats.mean()), float(np.quantile(nats, 0.99)), float(np.concatenate([s for _, s in parts]).mean()), len(nats))


def _log_probabilities(engine: LlamaEngine, line: Script) -> Floats:
    """log p of every token at every place of the answer, shape (answer tokens, vocabulary)."""
    engine.empty()
    parts = [line.tokens[: line.start], *([t] for t in line.tokens[line.start : -1])]
    at, out = 0, []
    for first in range(0, len(parts), engine.sequences):  # the engine gives so many rows of scores a step
        rows: list[Any] = []
        for part in parts[first : first + engine.sequences]:
            rows.append(SimpleNamespace(tokens=part, start=at, sequences=[0]))
            at += len(part)
        out.append(engine.decode(rows).astype(np.float64))
    scores = np.concatenate(out)
    scores -= scores.max(axis=1, keepdims=True)
    return np.asarray(scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)))
