"""What would have to give, told: which of it is shown, in what order, with every figure that answers have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..answer.easing import Eased, Easing, Opening
from ..answer.result import Proof
from ..answer.risk import RiskScale
from ..judge.classifier import Checker
from ..judge.objective import Judge, Scored, keys
from ..proof.prover import Prover
from ..schema.feature import Vector
from ..schema.record import Record
from ..settings import EASING
from ..space import easing, rules
from ..space.admissible import admissible, outside_bounds
from ..space.constraints import Constraints
from .easing import Loosening, Opened
from .found import Found

ALL, EVERY_LIMIT = "all", "eased"
ORDER = (easing.FREEZE, easing.BOUND, easing.CHANGES, easing.MARGIN, easing.REACH, easing.ADVISE, easing.WHOM)
"""Which limits are named first: those that whoever asks has set, then the margin, then the schema's, which have reasons."""


@dataclass(frozen=True)
class EasingCase:
    """One record and what was asked for it, with all that answers are told by."""

    judge: Judge
    record: Record
    constraints: Constraints
    prover: Prover | None
    threshold: float
    seed: int
    rivals: Sequence[Checker]
    scale: RiskScale


def ease(asked: EasingCase, found: Sequence[Vector]) -> tuple[Easing, Vector | None]:
    """What would have to give for an answer, or for another than those `found`; and an answer that keeps all limits after all, shape
    (features,), where one was met, in place of that. `rows`: how many the classifier was asked about before, 0 where nobody counts."""
    if found:
        return _others(asked, found), None
    search = Loosening(asked.judge, asked.record, asked.constraints, asked.prover)
    within = search.best_within(search.space({}), asked.judge.goal)
    if within.answer is not None:
        return Easing(), within.answer
    opened = [one for one in [search.margin(asked.threshold)] if one]
    widest, proof, fixed = search.all_given(), None, tuple[str, ...]()
    if widest.answer is not None:
        opened += search.singles()
        together = None if opened or search.inside is not None else search.together(widest.answer)
        opened += [together] if together else []
    elif not opened:
        proof, fixed = _proof(asked, search, widest.sure)
    if search.inside is not None:
        return Easing(), search.inside
    return Easing(_told(asked, opened), proof, fixed, whole=not search.over), None


def _proof(asked: EasingCase, search: Loosening, sure: bool) -> tuple[Proof | None, tuple[str, ...]]:
    """What is proven where nothing helps, the strongest of it, and the features that decide."""
    features = asked.record.schema.features
    moving, fixed = sum(f.mutable for f in features), tuple(f.name for f in features if not f.mutable)
    for goal in dict.fromkeys((asked.threshold, asked.judge.goal)):
        if search.fixed(goal):
            return Proof(moving, goal, ALL), fixed
    return (Proof(moving, asked.judge.goal, EVERY_LIMIT) if sure else None), ()


def _others(asked: EasingCase, found: Sequence[Vector]) -> Easing:
    """What would have to give for answers that change something else: each without some feature of every answer that was found."""
    schema, opened, whole = asked.record.schema, list[Opened](), True
    sets = [rules.proposed(schema, asked.record.vector, y) for y in found]
    for first in sets[0][: EASING.without]:
        without = {first, *(others[0] for others in sets if first not in others)}
        if without & set(outside_bounds(asked.record, asked.constraints)):
            continue  # it has to move
        names = frozenset(schema.names[i] for i in without)
        constraints = replace(asked.constraints, freeze=asked.constraints.freeze | names,
                              bounds={name: ends for name, ends in asked.constraints.bounds.items() if name not in names})  # fmt: skip
        search = Loosening(asked.judge, asked.record, constraints, asked.prover, names)
        if search.best_within(search.space({}), asked.judge.goal).answer is None:
            opened += search.singles()
        whole = whole and not search.over
    return Easing(_told(asked, opened), whole=whole)


def _told(asked: EasingCase, opened: Sequence[Opened]) -> tuple[Opening, ...]:
    """Each kind of easing of a feature once, in ORDER, the cheapest answer first among equals."""
    best = dict[tuple[tuple[str, str, str], ...], tuple[tuple[int, int, float], Opening]]()
    for one in opened:
        told = _opening(asked, one)
        name = tuple((part.kind, part.feature, part.side) for part in told.limits)
        place = len(told.limits), max(ORDER.index(part.kind) for part in told.limits), told.answer.distance
        if name not in best or place < best[name][0]:
            best[name] = place, told
    return tuple(told for _, told in sorted(best.values(), key=lambda item: item[0])[: EASING.shown])


def _opening(asked: EasingCase, one: Opened) -> Opening:
    record, constraints = easing.eased(asked.record, asked.constraints, one.given)
    judge, y, found = replace(asked.judge, goal=one.goal), one.answer[None], Found(record)
    found.add(Scored(y, judge.checker.p_target(y), keys(judge.cost(admissible(record, constraints), y))), ["search"], [None])
    (answer,) = found.shown(judge, 1, asked.threshold, asked.seed, asked.rivals, asked.scale)
    limits = [
        Eased(limit.kind, limit.feature, limit.side, _number(limit.stood), _number(limit.steps[step])) for limit, step in one.given.items()
    ]
    if one.goal < asked.judge.goal:
        limits.append(Eased(easing.MARGIN, stood=asked.judge.goal - asked.threshold, eased=one.goal - asked.threshold))
    return Opening(tuple(limits), answer, one.least)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
