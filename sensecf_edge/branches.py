"""Many records, many proposals, one batch: who is decoded next, who chooses what, whose sequence comes free.

A *branch* is the proposals of one record that agree so far; it is one row of the batch however many they are. A record
starts as one branch, its prompt; every token that two proposals choose differently splits it. Pure bookkeeping: what
decodes is handed in as a `Decoder`, so nothing here knows llama.cpp.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from .errors import EngineError
from .grammar import Grammar, Node
from .tokens import Scores, Vocabulary, cumulative, only_ending


@dataclass(frozen=True)
class Request:
    """`n` proposals for one record. Proposal 0 is greedy when `greedy_first`; the others are sampled at `temperature`.

    A temperature of 0 makes all of them greedy. Proposal k draws from its own source of chance, seeded by (seed, k), so
    it depends neither on what else is in the batch nor on n.
    """

    prompt: str
    grammar: Grammar
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
class Fault:
    """Why one record got no proposals while others did. The text names no value of the record."""

    reason: str


@dataclass(eq=False)
class _Task:
    """One request at work. `held` are its sequences, all with the prompt in them; `idle` those between two proposals."""

    index: int
    request: Request
    prompt: list[int]
    limit: int
    alone: bool = False
    waiting: deque[int] = field(default_factory=deque)
    held: list[int] = field(default_factory=list)
    idle: list[int] = field(default_factory=list)
    answers: dict[int, Proposal] = field(default_factory=dict)
    scores: Scores | None = None
    fault: Fault | None = None


@dataclass(eq=False)
class _Member:
    """A proposal at work: its number, its sequence, and its source of chance (none: greedy)."""

    proposal: int
    sequence: int
    chance: random.Random | None


@dataclass(eq=False)
class Branch:
    """One row of a batch: `tokens` to decode from position `start` on, for all `sequences`. The rest is bookkeeping."""

    task: _Task
    members: list[_Member]
    node: Node
    text: bytes
    tokens: list[int]
    start: int

    @property
    def sequences(self) -> list[int]:
        """The sequences that share these tokens."""
        return [m.sequence for m in self.members]

    @property
    def end(self) -> int:
        """The position behind the last token."""
        return self.start + len(self.tokens)


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

    def decode(self, branches: Sequence[Branch]) -> Scores:
        """Scores of the next token, shape (branches, vocabulary), good until the next call. Raises EngineError."""
        ...

    def share(self, source: int, target: int, end: int) -> None:
        """Let `target` hold what `source` holds before position `end`."""
        ...

    def forget(self, sequence: int, start: int) -> None:
        """Drop what a sequence holds from position `start` on."""
        ...


class Run:
    """One call's worth of requests. Make it, `run` it once, throw it away."""

    def __init__(self, decoder: Decoder, vocabulary: Vocabulary, requests: Sequence[Request]) -> None:
        self.decoder, self.vocabulary = decoder, vocabulary
        self.out: list[list[Proposal] | Fault] = [Fault("not reached")] * len(requests)
        self.free = list(range(decoder.sequences))
        self.cells = decoder.cells
        self.tasks: list[_Task] = []
        self.branches: list[Branch] = []
        self.queue: deque[_Task] = deque()
        for index, request in enumerate(requests):
            self._enqueue(index, request)

    def run(self) -> list[list[Proposal] | Fault]:
        """All answers, in the order of the requests."""
        while self._fill():
            branches, self.branches = self.branches, []
            try:
                rows = self.decoder.decode(branches)
            except EngineError as error:
                self._undecoded(branches, str(error))
                continue
            for branch, row in zip(branches, rows, strict=True):
                if branch.task.fault is None:
                    self._choose(branch, row[self.vocabulary.moves(branch.node).ids])
        return self.out

    def _enqueue(self, index: int, request: Request) -> None:
        """Faults here are the request's own: it never enters a batch."""
        prompt = self.decoder.tokenise(request.prompt)
        room = self.decoder.context - len(prompt)
        if request.n < 1:
            self.out[index] = []
        elif not prompt:
            self.out[index] = Fault("the prompt is empty")
        elif room < 1:
            self.out[index] = Fault(f"the prompt takes {len(prompt)} tokens and the context has room for {self.decoder.context}")
        else:
            task = _Task(index, request, prompt, min(room, self.decoder.answer_tokens), waiting=deque(range(request.n)))
            self.queue.append(task)

    def _fill(self) -> bool:
        """Free sequences go to proposals of records at work first, then to the next records. False when all is done."""
        for task in list(self.tasks):
            while task.waiting and (members := self._members(task)):
                assert task.scores is not None
                self._choose(Branch(task, members, task.request.grammar.start, b"", task.prompt, 0), task.scores)
            self._release(task, list(task.idle))
        rows = self.decoder.rows - sum(len(b.tokens) for b in self.branches)
        while self.queue and self.free:
            task = self.queue[0]
            fits = rows >= len(task.prompt) and self.cells >= len(task.prompt) + task.limit
            if not fits or (self.tasks and (task.alone or self.tasks[0].alone)):
                break
            self.queue.popleft()
            self.tasks.append(task)
            self.cells -= len(task.prompt)
            rows -= len(task.prompt)
            self.branches.append(Branch(task, self._members(task), task.request.grammar.start, b"", task.prompt, 0))
        return bool(self.branches)

    def _members(self, task: _Task) -> list[_Member]:
        """As many waiting proposals as there are sequences for; each reserves cells for its longest answer."""
        out = []
        while task.waiting:
            if task.idle:
                sequence = task.idle.pop()
            elif self.free and self.cells >= task.limit:
                sequence = self.free.pop()
                self.cells -= task.limit
                if task.scores is not None:
                    self.decoder.share(task.held[0], sequence, len(task.prompt))
                task.held.append(sequence)
            else:
                break
            k = task.waiting.popleft()
            greedy = task.request.temperature <= 0 or (k == 0 and task.request.greedy_first)
            out.append(_Member(k, sequence, None if greedy else random.Random(f"{task.request.seed}/{k}")))
        return out

    def _choose(self, branch: Branch, scores: Scores) -> None:
        """Let every member choose its next token; `scores` are those of the allowed tokens, shape (moves,)."""
        task, moves = branch.task, self.vocabulary.moves(branch.node)
        if not len(scores) or not math.isfinite(scores.max()):
            why = "the model answered no finite score" if len(scores) else "the model's vocabulary cannot write the answer"
            self._end(task, Fault(why))
            return
        if branch.end == len(task.prompt) and task.waiting:
            task.scores = scores
        sums = None
        groups: dict[int, list[_Member]] = {}
        for member in branch.members:
            if member.chance is None:
                pick = int(scores.argmax())
            else:
                sums = cumulative(scores, task.request.temperature) if sums is None else sums
                pick = int(np.searchsorted(sums, member.chance.random(), side="right"))
            groups.setdefault(pick, []).append(member)
        for pick, members in groups.items():
            self._step(branch, members, int(moves.ids[pick]))

    def _step(self, branch: Branch, members: list[_Member], token: int) -> None:
        """Members that chose the same token: done, cut, or a branch of the next batch."""
        task, piece = branch.task, self.vocabulary.pieces[token]
        node, text = self.vocabulary.moves(branch.node).after(piece), branch.text + piece
        ending = only_ending(node)
        if ending is None and branch.end + 1 - len(task.prompt) < task.limit:
            self.branches.append(Branch(task, members, node, text, [token], branch.end))
            return
        proposal = Proposal((text + (ending or b"")).decode("utf-8", "ignore"), ending is not None)
        for member in members:
            task.answers[member.proposal] = proposal
            self.decoder.forget(member.sequence, len(task.prompt))
            task.idle.append(member.sequence)
        if len(task.answers) == task.request.n:
            self._end(task, None)

    def _release(self, task: _Task, sequences: list[int]) -> None:
        for sequence in sequences:
            self.decoder.forget(sequence, 0)
            task.held.remove(sequence)
            self.cells += task.limit
        task.idle = [s for s in task.idle if s not in sequences]
        self.free.extend(sequences)

    def _end(self, task: _Task, fault: Fault | None) -> None:
        """The record is answered, or cannot be: nothing of it stays in the batch."""
        task.fault = fault
        self.out[task.index] = fault or [task.answers[k] for k in range(task.request.n)]
        self._leave(task)

    def _leave(self, task: _Task) -> None:
        self._release(task, list(task.held))
        self.cells += len(task.prompt)
        self.tasks.remove(task)
        self.branches = [b for b in self.branches if b.task is not task]

    def _undecoded(self, branches: Sequence[Branch], reason: str) -> None:
        """A batch failed: each of its records is begun again alone, so that only the one at fault fails."""
        tasks = list(dict.fromkeys(b.task for b in branches))
        for task in reversed(tasks):
            if len(tasks) == 1:
                self._end(task, Fault(reason))
                continue
            self._leave(task)
            self.queue.appendleft(_Task(task.index, task.request, task.prompt, task.limit, True, deque(range(task.request.n))))
