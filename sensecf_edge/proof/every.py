"""Every answer of a small space tried, one after another: what is found or not found so needs no trees."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from ..judge.classifier import Checker
from ..schema.feature import Vector
from ..space import measure, rules
from ..space.admissible import Admissible
from .branch_and_bound import without_dead_ends
from .effort import ENDLESS, Effort

EXHAUSTIVE = 30_000_000
CHUNK = 50_000


def highest(
    checker: Checker, space: Admissible, goal: float, effort: Effort = ENDLESS, most: float = math.inf, each: float = 1.0
) -> float | None:
    """The highest p that any admissible answer reaches that changes at most `most` features, those that follow included.
    Stops early at the goal.

    None where there are more than 30 million combinations to try, or the effort is spent; a row costs `each` units.
    """
    best = best_of_all(checker, space, goal, effort, most, each)
    return None if best is None else best[0]


def best_of_all(
    checker: Checker, space: Admissible, goal: float, effort: Effort, most: float = math.inf, each: float = 1.0
) -> tuple[float, Vector | None] | None:
    """As `highest`, with the answer that reaches it; None in its place where there is none."""
    schema, x = space.record.schema, space.record.vector
    space = without_dead_ends(space)
    if combinations(space) > EXHAUSTIVE:
        return None
    best, answer = 0.0, None
    for Y in every_answer(space):
        effort.spend(each * len(Y))
        Y = rules.complete(schema, x, Y)
        Y = Y[rules.admitted(space, Y) & (measure.sparsity(x, Y) <= most)]
        p = checker.p_target(Y)
        if p.max(initial=0.0) > best:
            best, answer = float(p.max()), Y[int(p.argmax())]
        if best >= goal:
            break
        if effort.over:
            return None
    return best, answer


def combinations(space: Admissible) -> float:
    """How many combinations of values `every_answer` gives."""
    of_size = np.eye(1, space.max_changes + 1)[0]
    for values in space.values:
        of_size[1:] += len(values) * of_size[:-1]
    return float(of_size.sum())


def every_answer(space: Admissible) -> Iterator[Vector]:
    """All combinations of as many admissible values as may change, the record itself first, each once, in chunks of shape
    (<= 50,000, features)."""
    x = space.record.vector
    for size in range(min(space.max_changes, len(space.features)) + 1):
        for columns in itertools.combinations(space.features, size):
            total = math.prod(len(space.values[i]) for i in columns)
            for start in range(0, total, CHUNK):
                at = np.arange(start, min(start + CHUNK, total))
                Y = np.repeat(x[None, :], len(at), axis=0)
                for i in columns:
                    at, digit = np.divmod(at, len(space.values[i]))
                    Y[:, i] = space.values[i][digit]
                yield Y
