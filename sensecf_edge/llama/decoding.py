"""Many records, many proposals, one batch: who is decoded next, who chooses what, whose sequence comes free.

A *branch* is the proposals of one record that agree so far; it is one row of the batch however many they are. A record
starts as one branch, its prompt; every token that two proposals choose differently splits it. Text that the grammar
leaves no choice about goes in together with the token before it. Pure bookkeeping: what decodes is handed in as a
`Decoder`, so nothing here knows llama.cpp.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from ..errors import EngineError
from ..propose.engine import Proposal, Request, Unanswered
from . import sampling
from .batch import Branch, Decoder, Member, Task, draws
from .sampling import Counts, Flat
from .vocabulary import Vocabulary

NO_WORDS = Unanswered("the model's vocabulary cannot write the answer")
NOT_FINITE = Unanswered("the model answered no finite score")


class Run:
    """One call's worth of requests. Make it, `run` it once, throw it away."""

    def __init__(self, decoder: Decoder, vocabulary: Vocabulary, requests: Sequence[Request]) -> None:
        self.decoder, self.vocabulary = decoder, vocabulary
        self.out: list[list[Proposal] | Unanswered] = [Unanswered("not reached")] * len(requests)
        self.free = list(range(decoder.sequences))
        self.tasks: list[Task] = []
        self.branches: list[Branch] = []
        self.queue: deque[Task] = deque()
        for index, request in enumerate(requests):
            self._enqueue(index, request)
        kept = decoder.keep([t.prompt for t in self.queue])
        for task in self.queue:
            task.skip = kept
        self.cells = decoder.cells - kept

    def run(self) -> list[list[Proposal] | Unanswered]:
        """All answers, in the order of the requests."""
        while self._fill():
            branches = self._batch()
            try:
                rows = self.decoder.decode(branches)
            except EngineError as error:
                self._undecoded(branches, str(error))
                continue
            self._choose(branches, *sampling.allowed_scores(rows, branches))
        return self.out

    def _enqueue(self, index: int, request: Request) -> None:
        """Faults here are the request's own: it never enters a batch. An answer without any choice needs no model."""
        prompt, start = self.decoder.tokenise(request.prompt), request.grammar.start
        room = self.decoder.context - len(prompt)
        if request.n < 1:
            self.out[index] = []
        elif not prompt:
            self.out[index] = Unanswered("the prompt is empty")
        elif room < 1:
            self.out[index] = Unanswered(f"the prompt takes {len(prompt)} tokens and the context has room for {self.decoder.context}")
        elif (whole := self.vocabulary.only(start))[1].final:
            self.out[index] = [Proposal(whole[0].decode(), True)] * request.n
        else:
            tokens, node = self.vocabulary.forced(start, prompt[-1])
            limit = min(room, self.decoder.answer_tokens)
            if len(tokens) >= limit:
                tokens, node = [], start
            if not len(self.vocabulary.moves(node).ids):
                self.out[index] = NO_WORDS
                return
            text = b"".join(self.vocabulary.pieces[t] for t in tokens)
            task = Task(index, request, prompt + tokens, limit - len(tokens), node, text, waiting=deque(range(request.n)))
            self.queue.append(task)

    def _fill(self) -> bool:
        """Free sequences go to proposals of records at work first, then to the next records. False when all is done."""
        while openings := [
            self._opening(task, members)
            for task in self.tasks
            if task.waiting and task.scores is not None and (members := self._members(task))
        ]:
            scores = [b.task.scores for b in openings if b.task.scores is not None]
            self._choose(openings, np.concatenate(scores), np.fromiter(map(len, scores), np.intp, len(scores)))
        for task in self.tasks:
            if task.idle:
                self._release(task)
        rows = self.decoder.rows - sum(len(b.tokens) for b in self.branches)
        while self.queue and self.free:
            task = self.queue[0]
            new = len(task.prompt) - task.skip
            fits = rows >= new and self.cells >= new + task.limit
            if not fits or (self.tasks and (task.alone or self.tasks[0].alone)):
                break
            self.queue.popleft()
            self.tasks.append(task)
            self.cells -= new
            rows -= new
            self.branches.append(self._opening(task, self._members(task)))
        return bool(self.branches)

    def _batch(self) -> list[Branch]:
        """The next branches to decode, as many as a batch has rows for; the others wait."""
        rows, count = self.decoder.rows, 0
        while count < len(self.branches) and len(self.branches[count].tokens) <= rows:
            rows -= len(self.branches[count].tokens)
            count += 1
        out, self.branches = self.branches[:count], self.branches[count:]
        return out

    def _opening(self, task: Task, members: list[Member]) -> Branch:
        return Branch(task, members, self.vocabulary.moves(task.node), task.text, task.prompt[task.skip :], task.skip)

    def _members(self, task: Task) -> list[Member]:
        """As many waiting proposals as there are sequences for; each reserves cells for its longest answer."""
        out = []
        while task.waiting:
            if task.idle:
                sequence = task.idle.pop()
                self.decoder.forget(sequence, len(task.prompt))
            elif self.free and self.cells >= task.limit:
                sequence = self.free.pop()
                self.cells -= task.limit
                if task.scores is not None:
                    self.decoder.share(task.held[0], sequence, len(task.prompt))
                elif task.skip:
                    self.decoder.lend(sequence, task.skip)
                task.held.append(sequence)
            else:
                break
            k = task.waiting.popleft()
            greedy = task.request.temperature <= 0 or (k == 0 and task.request.greedy_first)
            out.append(Member(k, sequence, None if greedy else draws(task.request.seed, k, self.decoder.answer_tokens)))
        return out

    def _choose(self, branches: list[Branch], flat: Flat, counts: Counts) -> None:
        """Let every member choose its next token; `flat` are the scores of the allowed ones, row behind row."""
        tops = sampling.tops(flat, counts)
        finite = np.isfinite(tops)
        if not finite.all():
            for task in dict.fromkeys(b.task for b, ok in zip(branches, finite, strict=True) if not ok):
                self._end(task, NOT_FINITE)
            kept = np.array([b.task.fault is None for b in branches])
            branches = [b for b in branches if b.task.fault is None]
            flat, counts, tops = flat[np.repeat(kept, counts)], counts[kept], tops[kept]
            if not branches:
                return
        ends = np.cumsum(counts)
        for branch, picks, count, end in zip(branches, sampling.choose(branches, flat, counts, tops), counts, ends, strict=True):
            if branch.end == len(branch.task.prompt) and branch.task.waiting and branch.task.scores is None:
                branch.task.scores = flat[end - count : end].copy()
            if branch.task.fault is None:
                self._split(branch, picks)

    def _split(self, branch: Branch, picks: list[int]) -> None:
        if len(picks) == 1:
            self._step(branch, branch.members, int(branch.moves.ids[picks[0]]))
            return
        groups: dict[int, list[Member]] = {}
        for member, pick in zip(branch.members, picks, strict=True):
            groups.setdefault(pick, []).append(member)
        for pick, members in groups.items():
            if branch.task.fault is not None:
                break
            self._step(branch, members, int(branch.moves.ids[pick]))

    def _step(self, branch: Branch, members: list[Member], token: int) -> None:
        """Members that chose the same token: done, cut, or a branch of the next batch, with what is forced behind it."""
        task, vocabulary = branch.task, self.vocabulary
        node, text, tokens = branch.moves.after(token), branch.text + vocabulary.pieces[token], [token]
        if node.final:
            return self._done(task, members, text, True)
        moves = vocabulary.moves(node)
        if not moves.free:
            rest, behind = vocabulary.only(node)
            if behind.final:
                return self._done(task, members, text + rest, True)
            forced, node = vocabulary.forced(node, token)
            if forced:
                tokens, moves = [token, *forced], vocabulary.moves(node)
                text += b"".join(vocabulary.pieces[t] for t in forced)
        if branch.end + len(tokens) - len(task.prompt) >= task.limit:
            return self._done(task, members, text, False)
        if not len(moves.ids):
            return self._end(task, NO_WORDS)
        self.branches.append(Branch(task, members, moves, text, tokens, branch.end))

    def _done(self, task: Task, members: list[Member], text: bytes, complete: bool) -> None:
        proposal = Proposal(text.decode("utf-8", "ignore"), complete)
        for member in members:
            task.answers[member.proposal] = proposal
            task.idle.append(member.sequence)
        if len(task.answers) == task.request.n:
            self._end(task, None)

    def _release(self, task: Task) -> None:
        """Idle sequences go back to all."""
        for sequence in task.idle:
            self.decoder.forget(sequence, 0)
            task.held.remove(sequence)
        self.cells += task.limit * len(task.idle)
        self.free.extend(task.idle)
        task.idle = []

    def _end(self, task: Task, fault: Unanswered | None) -> None:
        """The record is answered, or cannot be: nothing of it stays in the batch."""
        task.fault = fault
        self.out[task.index] = fault or [task.answers[k] for k in range(task.request.n)]
        self._leave(task)

    def _leave(self, task: Task) -> None:
        task.idle = list(task.held)
        self._release(task)
        self.cells += len(task.prompt) - task.skip
        self.tasks.remove(task)
        self.branches = [b for b in self.branches if b.task is not task]

    def _undecoded(self, branches: Sequence[Branch], reason: str) -> None:
        """A batch failed: each of its records is begun again alone, so that only the one at fault fails."""
        tasks = list(dict.fromkeys(b.task for b in branches))
        for task in reversed(tasks):
            if len(tasks) == 1:
                self._end(task, Unanswered(reason))
                continue
            self._leave(task)
            again = Task(task.index, task.request, task.prompt, task.limit, task.node, task.text, alone=True, skip=task.skip)
            again.waiting.extend(range(task.request.n))
            self.queue.appendleft(again)
