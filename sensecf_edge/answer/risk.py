"""From the classifier's score to the risk that people are told, and back.

The score p_target (0..1, of the wanted class) is what search, threshold and margin work on; it weighs both classes alike,
whatever share of people each has. Risk is the probability of the unwanted class among people of whom a stated share has
it, the base rate: log-odds of risk = intercept + slope * log-odds of (1 - p_target). Another base rate moves the
log-odds by the difference of the base rates' own (Bayes: the likelihoods stay as they are).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ..arguments import number
from ..errors import ConstraintError

REQUEST, SCHEMA, TRAINING, BALANCED = "request", "schema", "training", "balanced"
"""Where a base rate comes from, strongest first; BALANCED: nobody knows, so both classes count alike."""


@dataclass(frozen=True)
class RiskScale:
    """How scores are told as risks. `base_rate` (0..1) is the share of people with the unwanted class, `source` where it is from."""

    intercept: float = 0.0
    slope: float = 1.0
    base_rate: float = 0.5
    source: str = BALANCED

    def risk(self, p_target: float) -> float:
        """Probability (0..1) of the unwanted class; falls as the score rises."""
        return inverse_logit(self.intercept - self.slope * logit(p_target))

    def score(self, risk: float) -> float:
        """The score that is told as this risk."""
        return inverse_logit((self.intercept - logit(risk)) / self.slope)

    def at(self, base_rate: float, source: str) -> RiskScale:
        """The same classifier among people of another base rate. Raises ConstraintError for one that is none."""
        if not 0 < number("the base rate", base_rate) < 1:
            raise ConstraintError(f"a base rate is a share of people between 0 and 1, not {base_rate:g}; 14 % is 0.14")
        return replace(self, intercept=self.intercept + logit(base_rate) - logit(self.base_rate), base_rate=base_rate, source=source)


@dataclass(frozen=True)
class Risk:
    """The probability (0..1) of the unwanted class, at `base_rate`; see `risk.RiskScale`.

    now             for the record as it is, told from `p_target`; where values are unknown, that is the mean over completions
    low, high       the range over the completions of what is unknown; both equal to `now` where nothing is
    threshold       the model predicts the wanted class at this risk or less
    goal            an answer must reach this risk or less
    base_rate       share of people with the unwanted class
    base_rate_from  'request', 'schema', 'training' (the share among the training rows), or 'balanced': nobody knows, so
                    both classes count alike
    """

    now: float
    low: float
    high: float
    threshold: float
    goal: float
    base_rate: float = 0.5
    base_rate_from: str = BALANCED

    def between(self, share: float, threshold: float, margin: float) -> float:
        """The risk at `share` (0..1) of the way from the score `threshold`, told as the field of that name, to that by `margin` over it,
        told as `goal`."""
        start, end, at = (logit(threshold + part * margin) for part in (0.0, 1.0, share))
        if not start < end < math.inf:  # no way between them, or one that is nowhere told
            return self.threshold
        return inverse_logit(logit(self.threshold) + (at - start) / (end - start) * (logit(self.goal) - logit(self.threshold)))

    @classmethod
    def of(cls, scale: RiskScale, p: tuple[float, float, float], threshold: float, goal: float) -> Risk:
        """From scores: `p` holds the present one, the lowest and the highest over completions."""
        now, high, low = map(scale.risk, p)
        return cls(now, low, high, scale.risk(threshold), scale.risk(goal), scale.base_rate, scale.source)


def logit(share: float) -> float:
    """Log-odds; infinite at 0 and 1."""
    if share <= 0 or share >= 1:
        return -math.inf if share <= 0 else math.inf
    return math.log(share) - math.log1p(-share)


def inverse_logit(odds: float) -> float:
    """The share whose log-odds they are."""
    return 1 / (1 + math.exp(-odds)) if odds >= 0 else (e := math.exp(odds)) / (1 + e)
