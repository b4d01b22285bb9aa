"""Why a record is predicted what it is, in risks: the record or what it may be, drawn people beside it, Shapley values of both."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..answer.basis import Why
from ..answer.risk import RiskScale
from ..schema.feature import Vector
from ..settings import WHY
from .classifier import Checker
from .imputation import Case, Imputed, exactly
from .shapley import why

Draw = Callable[[int, int], Vector]
"""How many people, a seed -> made-up people, shape (people, features); `Density.people`."""


def reasons(checker: Checker, case: Case, draw: Draw | None, scale: RiskScale, seed: int, rows: int = WHY.rows) -> Why | None:
    """What each known value adds to the risk; see `shapley.why`. Asks the classifier about `rows` rows at most. None where nobody can
    be drawn, or nothing of the record is known."""
    if draw is None or np.isnan(case.record.vector).all():
        return None
    schema, imputed = case.record.schema, case.judge.checker
    people = exactly(schema, draw(WHY.most, seed), np.ones(len(schema), dtype=bool))
    if isinstance(imputed, Imputed):
        at = np.random.default_rng(seed).choice(len(imputed.rows), WHY.most, p=imputed.weights)
        cases = imputed.rows[at]
    else:
        cases = np.repeat(case.record.vector[None], WHY.most, axis=0)

    def ask(Y: Vector) -> Vector:
        return risks(scale, checker.p_target(Y))

    return why(ask, case.record, cases, people, seed, rows)


def risks(scale: RiskScale, p: Vector) -> Vector:
    """`RiskScale.risk` of many scores, same shape."""
    with np.errstate(divide="ignore", over="ignore"):
        odds = scale.intercept - scale.slope * (np.log(p) - np.log1p(-p))
        return np.asarray(1.0 / (1.0 + np.exp(-odds)), dtype=np.float64)
