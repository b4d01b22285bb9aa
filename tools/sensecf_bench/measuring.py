"""What `comparisons` measures with: made-up records, the engine under a spy, and llama.cpp alone on the same work.

Speeds are tokens or rows a second of one run on one machine; only their ratios mean something elsewhere.
"""

from __future__ import annotations

import ctypes
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.errors import ConstraintError
from sensecf_edge.llama import library
from sensecf_edge.llama.engine import LlamaEngine
from sensecf_edge.llama.vocabulary import Scores
from sensecf_edge.propose import prompt
from sensecf_edge.propose.engine import Request, Unanswered
from sensecf_edge.propose.grammar import Grammar
from sensecf_edge.schema.record import Record
from sensecf_edge.settings import EngineSettings
from sensecf_edge.space.admissible import Admissible, admissible
from sensecf_edge.space.constraints import Constraints

NOW = 0.3
"""The probability that a measured prompt states; speed does not depend on it."""


def clock(threads: int) -> Callable[[], float]:
    """Processor time where one thread works: other programs stretch the wall's time of long work more than that of short."""
    return time.process_time if threads == 1 else time.perf_counter


def records(bundle: Bundle, count: int, seed: int = 0) -> list[Record]:
    """Made-up records: every value drawn from the feature's reference range. No person's."""
    chance, schema, out = np.random.default_rng(seed), bundle.schema, []
    for _ in range(count):
        codes = []
        for feature in schema.features:
            low, high = feature.reference or (feature.lattice[0], feature.lattice[-1])
            inside = feature.lattice[(feature.lattice >= low) & (feature.lattice <= high)]
            codes.append(chance.choice(inside if feature.kind == "number" and len(inside) else feature.lattice))
        out.append(Record(schema, np.array(codes)))
    return out


def spaces(people: Sequence[Record]) -> list[Admissible]:
    """The answer spaces of those records that have one."""
    out = []
    for record in people:
        try:
            out.append(admissible(record, Constraints()))
        except ConstraintError:
            continue
    return out


@dataclass
class Spied:
    """What the engine asked of llama.cpp in one call: every decode with its arrays, every change of the cache."""

    steps: list[tuple[Any, ...]] = field(default_factory=list)
    decodes: int = 0
    turns: int = 0
    rows: int = 0
    prompt_tokens: int = 0


class SpiedEngine(LlamaEngine):
    """An engine that remembers what it asks of llama.cpp, so that the same can be asked again without it."""

    spied: Spied | None = None

    def _decode(self, parts: list[list[int]], starts: list[int], sequences: list[list[int]]) -> Scores:
        scores = super()._decode(parts, starts, sequences)
        if self.spied is not None:
            n = sum(map(len, parts))
            new = sum(len(p) for p, start in zip(parts, starts, strict=True) if start == 0)
            self.spied.steps.append(("decode", self._copy(n)))
            self.spied.decodes += 1
            self.spied.turns += sum(len(these) for these, start in zip(sequences, starts, strict=True) if start)
            self.spied.prompt_tokens += new
            self.spied.rows += n - new
        return scores

    def _copy(self, n: int) -> tuple[Any, list[Any]]:
        lib, kinds = self._lib, dict(self._lib.llama_batch._fields_)
        together = self._sequences.copy()
        starts = self._starts[:n] - np.uintp(self._sequences_at) + np.uintp(together.ctypes.data)
        arrays = {
            "token": self._tokens[:n].copy(), "pos": self._positions[:n].copy(), "n_seq_id": self._sharers[:n].copy(),
            "seq_id": starts, "logits": self._wanted[:n].copy(),
        }  # fmt: skip
        batch = lib.llama_batch(n_tokens=n, **{k: ctypes.cast(a.ctypes.data, kinds[k]) for k, a in arrays.items()})
        return batch, [together, *arrays.values()]

    def share(self, source: int, target: int, end: int) -> None:
        """As LlamaEngine."""
        super().share(source, target, end)
        if self.spied is not None:
            self.spied.steps.append(("share", source, target, end))

    def forget(self, sequence: int, start: int) -> None:
        """As LlamaEngine."""
        super().forget(sequence, start)
        if self.spied is not None:
            self.spied.steps.append(("forget", sequence, start))

    def spy(self, requests: Sequence[Request]) -> tuple[list[str], Spied]:
        """Answers, and what they took, from an empty cache."""
        self.empty()
        self.spied = spied = Spied()
        answers = [p.text for a in self.propose(requests) if not isinstance(a, Unanswered) for p in a]
        self.spied = None
        return answers, spied

    def replay(self, spied: Spied, now: Callable[[], float] = time.perf_counter) -> float:
        """Seconds that llama.cpp takes for the same decodes and changes of its cache, with nothing chosen in between."""
        self.empty()
        lib, began = self._lib, now()
        for kind, *what in spied.steps:
            if kind == "decode":
                lib.llama_decode(self._context, what[0][0])
                lib.llama_get_logits(self._context)
            elif kind == "share":
                lib.llama_memory_seq_cp(self._memory, what[0], what[1], 0, what[2])
            else:
                lib.llama_memory_seq_rm(self._memory, what[0], what[1], -1)
        return now() - began

    def said(self, answers: Sequence[str]) -> int:
        """Tokens that the answers take, in the model's own spelling."""
        return sum(len(self._tokenizer.plain(text.encode())) for text in answers)


@dataclass(frozen=True)
class Speed:
    """One setting of the engine. Tokens are those of the answers; beside the prompts, `turns` are the decodes that answers
    took part in, each counted for itself, and `rows` what was decoded, what answers share counted once.
    """

    sequences: int
    answers: int
    tokens: int
    turns: int
    rows: int
    prompt_tokens: int
    decodes: int
    seconds: float
    bare_seconds: float


def speed(path: Path, style: str, wanted: str, context: int, where: Sequence[Admissible], sequences: int, seconds: float,
          settings: EngineSettings) -> Speed:  # fmt: skip
    """The engine with its grammar and llama.cpp alone on the same decodes, turn about; the best of each."""
    n, now = min(8, sequences), clock(settings.threads)
    engine = SpiedEngine(path, settings, context)
    with engine:

        def requests() -> list[Request]:
            return [Request(prompt.build(style, s, wanted, NOW), Grammar(s), n, 0, 0.7) for s in where]

        answers, spied = engine.spy(requests())
        best, bare, until = float("inf"), float("inf"), time.perf_counter() + seconds
        while best == float("inf") or time.perf_counter() < until:
            asked = requests()
            engine.empty()
            began = now()
            engine.propose(asked)
            best = min(best, now() - began)
            bare = min(bare, engine.replay(spied, now))
        tokens = engine.said(answers)
        return Speed(sequences, len(answers), tokens, spied.turns, spied.rows, spied.prompt_tokens, spied.decodes, best, bare)


def completions(path: Path, style: str, wanted: str, context: int, where: Sequence[Admissible], seconds: float, threads: int) -> float:
    """Tokens a second of llama-cpp-python's `create_completion` with the same grammars, one answer after another."""
    llama, grammar_class = library.high_level()
    model = llama(str(path), n_ctx=context, n_threads=threads, n_threads_batch=threads, seed=0, verbose=False)
    tokens, now = 0, clock(threads)
    began, until = now(), time.perf_counter() + seconds
    for space in itertools.cycle(where):
        grammar = grammar_class.from_string(Grammar(space).gbnf(), verbose=False)
        answer = model.create_completion(prompt.build(style, space, wanted, NOW), max_tokens=200, temperature=0.7, grammar=grammar)
        tokens += answer["usage"]["completion_tokens"]
        if time.perf_counter() > until:
            break
    rate = tokens / (now() - began)
    model.close()
    return rate
