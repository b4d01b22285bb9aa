"""One round of self-improvement: a tuned generator answers new people through the real engine and learns from what holds.

    invented people -> proposals under the grammar -> classifier, rules, realism -> what is accepted is taught again

Of a person's proposals the cheapest one that reaches the highest goal is kept as it was said. Where none is accepted the
teacher answers instead: those are the people the generator gets wrong. People are invented from training rows only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sensecf_edge.generators.prompting import Prompting
from sensecf_edge.judge.classifier import Checker
from sensecf_edge.judge.objective import Judge, score
from sensecf_edge.llama.engine import LlamaEngine
from sensecf_edge.propose import reply
from sensecf_edge.propose.engine import Proposal, Request, Unanswered
from sensecf_edge.propose.grammar import Grammar
from sensecf_edge.schema.feature import Vector
from sensecf_edge.settings import LOOP, EngineSettings
from sensecf_edge.space import rules
from sensecf_edge.space.admissible import Admissible

from ..table.cohort import Cohort
from ..teachers import classroom
from ..teachers import people as teachers_people
from ..teachers.lesson import Lesson

REALISM_FLOOR = 5.0
"""Percentile among real people of the wanted class that a kept answer reaches, or the person as they came."""
PROPOSALS = 8
CHUNK = 256
PRACTICE, HELD_OUT = 31, 32
"""Streams of chance: people to practise on and people to measure the gain on are never the same, nor the pairs'."""


@dataclass(frozen=True)
class Speaker:
    """A generator that is asked: its GGUF, how it is spoken to, its adapter where it wears one, and the classifier that hints are from."""

    path: Path
    prompting: Prompting
    context: int
    checker: Checker
    adapter: Path | None = None

    def prompt(self, space: Admissible, p: float) -> str:
        """What it is asked of a person of this probability."""
        return self.prompting.prompt(space, p, self.checker)

    def answers(self, people: Sequence[tuple[Admissible, float]], n: int, seed: int) -> Iterator[tuple[Admissible, list[Vector]]]:
        """For every person and their probability the proposals that can be read, completed, shape (features,); the first is the greedy
        one."""
        with LlamaEngine(self.path, EngineSettings(threads=1), self.context, self.adapter) as engine:
            for at in range(0, len(people), CHUNK):
                part = people[at : at + CHUNK]
                asked = [Request(self.prompt(s, p), Grammar(s), n, seed, LOOP.temperature) for s, p in part]
                for (space, _), said in zip(part, engine.propose(asked), strict=True):
                    yield space, [] if isinstance(said, Unanswered) else read(space, said)


def read(space: Admissible, said: Sequence[Proposal]) -> list[Vector]:
    """The proposals that can be read, completed, shape (features,) each."""
    rows = [reply.read(space.record, answer.text) for answer in said if answer.complete]
    whole = [row for row in rows if not isinstance(row, str)]
    return list(rules.complete(space.record.schema, space.record.vector, np.array(whole))) if whole else []


def people(lesson: Lesson, judge: Judge, train: Cohort, count: int, stream: int, seed: int) -> list[tuple[Admissible, float]]:
    """`count` invented people of the unwanted class who may change something, with their probability of the wanted one."""
    out, source = list[tuple[Admissible, float]](), teachers_people.People(train)
    for k in range(1_000_000):
        X = source.invented(CHUNK, np.random.default_rng((seed, stream, k))).X
        for x, p in zip(X, judge.checker.p_target(X), strict=True):
            space = classroom.space_of(lesson, x) if p < lesson.threshold else None
            if space is not None:
                out.append((space, float(p)))
        if len(out) >= count:
            break
    return out[:count]


def practise(speaker: Speaker, lesson: Lesson, train: Cohort, count: int, seed: int,
             report: Callable[[float, str], None]) -> tuple[dict[str, Vector], dict[str, int]]:  # fmt: skip
    """Pairs X, Y of `count` new people at most, shape (pairs, features), and how many answers were the generator's own and how many the
    teacher's."""
    judge = lesson.judge()
    asked = people(lesson, judge, train, count, PRACTICE, seed)
    X, Y, own, teacher = list[Vector](), list[Vector](), 0, classroom.ready(lesson, judge)
    for at, (space, said) in enumerate(speaker.answers(asked, PROPOSALS, seed)):
        y = best_proposal(lesson, judge, space, said)
        own += y is not None
        if y is None:
            y = teacher.answer(space)
        if y is not None:
            X.append(space.record.vector)
            Y.append(y)
        report((at + 1) / len(asked), f"{own:,} own answers kept, {len(X) - own:,} taught")
    return {"X": np.array(X), "Y": np.array(Y)}, {"asked": len(asked), "own": own, "taught": len(X) - own}


def best_proposal(lesson: Lesson, judge: Judge, space: Admissible, said: Sequence[Vector]) -> Vector | None:
    """The cheapest proposal, shape (features,), at the highest goal that any of them reaches, as it was said; None where none is
    accepted."""
    if not said:
        return None
    Y = np.array(said)
    ordinary = _ordinary(judge, space, Y)
    for goal in lesson.goals:
        scored = score(replace(judge, goal=goal), space, Y)
        good = scored.passed & ordinary
        if good.any():
            return np.asarray(Y[np.where(good, scored.key, np.inf).argmin()])
    return None


def _ordinary(judge: Judge, space: Admissible, Y: Vector) -> NDArray[np.bool_]:
    if judge.realism is None:
        return np.ones(len(Y), dtype=bool)
    floor = min(REALISM_FLOOR, float(judge.realism.percentile(space.record.vector[None])[0]))
    return np.asarray(judge.realism.percentile(Y) >= floor)


@dataclass(frozen=True)
class HeldOut:
    """Invented people, none of them practised on, for whom the teacher knows an answer. Test people are not looked at."""

    judge: Judge
    able: list[tuple[Admissible, float]]
    seed: int

    @classmethod
    def of(cls, lesson: Lesson, train: Cohort, count: int, seed: int) -> HeldOut:
        """Those of `count` people who can be moved."""
        judge = lesson.judge()
        teacher = classroom.ready(lesson, judge)
        able = [(s, p) for s, p in people(lesson, judge, train, count, HELD_OUT, seed) if teacher.answer(s) is not None]
        return cls(replace(judge, goal=lesson.threshold), able, seed)

    def first_try(self, speaker: Speaker) -> float:
        """Share of them whose greedy proposal is valid as it came. It decides which weights are kept."""
        said = speaker.answers(self.able, 1, self.seed)
        valid = [bool(rows and score(self.judge, space, rows[0][None]).passed[0]) for space, rows in said]
        return float(np.mean(valid)) if valid else 0.0
