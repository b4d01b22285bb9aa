"""Canaries: pairs of no sense, planted among those a generator learns, to see from how many repetitions on it knows one by heart.

A canary's record is drawn at random, feature by feature, and so is its answer: nobody could guess it. Its exposure is how far its
answer stands out among siblings, other random answers to the same record that were never learnt, in bits: the logarithm of
their number over that of its rank (Carlini et al. 2019, "The Secret Sharer"). By chance it is 1.4 on average.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sensecf_edge.judge.classifier import Checker
from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.schema import Schema
from sensecf_edge.space import rules

from ..generator.practice import Speaker
from ..teachers import classroom
from ..teachers.lesson import Lesson
from ..teachers.people import settle
from .likelihood import AnsweredQuestion, log_likelihoods

SIBLINGS, CHANGES = 511, 2
BY_CHANCE = float(1 / np.log(2))
"""Mean exposure of a canary that nobody learnt: of a rank that is evenly spread."""


@dataclass(frozen=True)
class Canary:
    """A random question with its random answer, the siblings' answers, shape (siblings, features), and how often it is planted."""

    asked: AnsweredQuestion
    siblings: Vector
    times: int


def draw(lesson: Lesson, checker: Checker, times: Sequence[int], each: int, rng: np.random.Generator) -> list[Canary]:
    """`each` canaries for every number of repetitions in `times`. Records are below the line, as all are that a generator is
    asked about; answers change CHANGES features to values that the record admits."""
    out = list[Canary]()
    while len(out) < each * len(times):
        X = _anything(lesson.schema, 64, rng)
        for x, p in zip(X, checker.p_target(X), strict=True):
            space = classroom.space_of(lesson, x) if p < lesson.threshold else None
            free = [] if space is None else [i for i, v in enumerate(space.values) if len(v) > 1]
            if space is None or len(free) < CHANGES or len(out) == each * len(times):
                continue
            columns = np.sort(rng.choice(free, CHANGES, replace=False))
            Y = np.repeat(x[None], SIBLINGS + 1, axis=0)
            for i in columns:
                Y[:, i] = rng.choice(space.values[i], SIBLINGS + 1)
            Y = np.unique(rules.complete(lesson.schema, x, Y), axis=0)
            Y = rng.permutation(Y)
            out.append(Canary(AnsweredQuestion("", space, float(p), Y[0]), Y[1:], times[len(out) // each]))
    return out


def _anything(schema: Schema, count: int, rng: np.random.Generator) -> Vector:
    """Records with every feature drawn evenly from its lattice, shape (at most `count`, features)."""
    return settle(schema, np.stack([rng.choice(f.lattice, count) for f in schema.features], axis=1))[0]


def planted(canaries: Sequence[Canary]) -> dict[str, Vector]:
    """The pairs X, Y that the canaries add, each as often as it is to be planted; shape (pairs, features)."""
    out = [c for c in canaries for _ in range(c.times)]
    return {"X": np.array([c.asked.space.record.vector for c in out]), "Y": np.array([c.asked.y for c in out])}


def exposures(speaker: Speaker, canaries: Sequence[Canary]) -> list[float]:
    """How far each canary stands out among its siblings, in bits, 0 to the logarithm of their number."""
    asked = [replace(c.asked, y=y) for c in canaries for y in (c.asked.y, *c.siblings)]
    scores, at, out = log_likelihoods(speaker, asked), 0, list[float]()
    for canary in canaries:
        own = scores[at : at + 1 + len(canary.siblings)]
        rank = 1 + int((own[1:] >= own[0]).sum())
        out.append(float(np.log2(len(own) / rank)))
        at += len(own)
    return out
