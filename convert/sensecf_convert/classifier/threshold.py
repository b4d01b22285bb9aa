"""From which risk on a person counts as a case: asked for as a risk or as a cost, kept as a score of the classifier.

By default the line is the balanced score 0.5: as much like the one class as like the other. A classifier that is calibrated to
a rare outcome puts nobody beyond that line, and then there is nothing to explain; a lower risk is the answer, not more features.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sensecf_edge.answer.risk import TRAINING, RiskScale, logit
from sensecf_edge.errors import TableError
from sensecf_edge.schema.feature import Vector
from sensecf_edge.settings import LOOP

from ..plan import GOALS_ABOVE, THRESHOLD, FitPlan
from ..table.cohort import Cohort

ENDS = (0.002, 0.998)
"""Scores beyond these are told badly apart in float32, and leave an answer no room."""
FEW = 20
"""Rows beyond the line, under which figures say little."""


def scale_of(facts: Mapping[str, Any]) -> RiskScale:
    """How the classifier's scores are told as risks among the training people."""
    if measured := facts.get("risk"):
        return RiskScale(measured["intercept"], measured["slope"], measured["base_rate"], TRAINING)
    unwanted = 1 - float(facts["wanted_share"])
    return RiskScale(0.0 if facts["class_weights"] == "as brought" else logit(unwanted), 1.0, unwanted, TRAINING)


def risk_of(facts: Mapping[str, Any]) -> dict[str, float]:
    """`scale_of` as the manifest's `risk`."""
    scale = scale_of(facts)
    return {"intercept": scale.intercept, "slope": scale.slope, "base_rate": scale.base_rate}


def score_of(plan: FitPlan, facts: Mapping[str, Any]) -> float:
    """The score below which a person counts as a case. Raises TableError for a risk that the classifier never tells."""
    risk = plan.risk
    if risk is None:
        return THRESHOLD
    score = scale_of(facts).score(risk)
    if not ENDS[0] <= score <= ENDS[1]:
        raise TableError(f"{_asked(plan)}: a risk of {risk:.2g} lies where this classifier tells nobody apart; choose another risk")
    return score


def chosen(plan: FitPlan) -> dict[str, float]:
    """What was asked for, for manifest and card; empty for the balanced line."""
    given = {"risk": plan.threshold, "miss_cost": plan.miss_cost}
    return {name: value for name, value in given.items() if value is not None}


def goal_of(threshold: float) -> float:
    """The score that an answer of the runtime reaches: the line and its margin, never beyond half way to certainty."""
    return threshold + min(LOOP.margin, (1.0 - threshold) / 2)


def goals(threshold: float) -> tuple[float, ...]:
    """Scores that a teacher aims at, strictest first. Where there is less room above the line they lie closer together."""
    room = 1.0 - threshold
    closer = min(1.0, room / (2 * LOOP.margin))  # as the runtime's margin is
    return tuple(dict.fromkeys(threshold + min(closer * above, 0.8 * room) for above in GOALS_ABOVE))


def check(plan: FitPlan, facts: Mapping[str, Any], p: Vector, data: Cohort) -> list[str]:
    """Whether anybody stands on each side of the line, p being the training rows' scores; returns warnings.

    Raises TableError naming the cause: the line, not the features.
    """
    line, scale = score_of(plan, facts), scale_of(facts)
    unwanted, wanted = data.classes
    cases = int((p < line).sum())
    said = f"from a risk of {scale.risk(line):.2g} on a row counts as {unwanted}"
    if cases == len(p):
        raise TableError(f"{said}, and all {len(p):,} training rows do, so nobody is {wanted}; {_remedy(scale, p, 'a higher')}")
    if not cases:
        raise TableError(
            f"{said}, but the highest risk among {len(p):,} training rows is {scale.risk(float(p.min())):.2g}, so there is nobody to "
            f"explain. The share of {unwanted} is {scale.base_rate:.2g}; {_remedy(scale, p, 'a lower')}"
        )
    return [f"{said}: {cases:,} of {len(p):,} training rows; read every figure as that of these few"] if cases < FEW else []


def _remedy(scale: RiskScale, p: Vector, which: str) -> str:
    tenth = scale.risk(float(np.quantile(p, 0.1)))
    return f"choose {which} one with --threshold (a tenth of the rows have {tenth:.2g} or more), or --miss-cost"


def _asked(plan: FitPlan) -> str:
    return f"--threshold {plan.threshold:g}" if plan.miss_cost is None else f"--miss-cost {plan.miss_cost:g}"
