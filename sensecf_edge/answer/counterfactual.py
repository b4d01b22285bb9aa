"""One answer as plain data: its changes, its figures, and what was proven of answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..schema.record import Value
from .reading import known
from .risk import RiskScale


@dataclass(frozen=True)
class Change:
    """One feature's change. `follows` is true where a relation, not the advice, moved it."""

    feature: str
    before: Value
    after: Value
    unit: str = ""
    follows: bool = False


@dataclass(frozen=True)
class Proof:
    """What was proven: of the answers that change up to `features` proposed features within `scope`, none has p_target >= `goal`
    where status is not 'found'; where it is, none that has is cheaper than the one shown first.

    scope  'advice': all that the model may advise at all; 'request': that, within the request's own limits
    """

    features: int
    goal: float
    scope: str = "advice"


@dataclass(frozen=True)
class Counterfactual:
    """One checked answer. Only what passed the rules and the classifier is ever made into one.

    p_target   the classifier's score of the wanted class for the changed record, both classes weighed alike
    n_changed  features that differ from the factual, those that follow a relation included
    distance   mean over all features of |change| / reference range, choices 0 or 1 (Gower's, without unknown values)
    realism    percentile (0-100) of the changed record's density among real people of the wanted class; None without a model
    origin     'first try' (greedy, untouched), 'proposal' (sampled, untouched), 'refined' (a proposal, improved) or
               'search' (a set of features that the search found)
    margin     p_target less the threshold
    stability  share (0..1) of `draws` noisy readings of the answer with p_target >= threshold; None unless every number that
               was moved states its sensor's error; see `stability`
    agreement  share (0..1) of the bundle's other, equally good classifiers to which p_target >= threshold; None without such
    strengths  what it is best at among the answers shown: 'fewest features', 'smallest change', 'most typical'
    given_up   figures in which it is worse than the valid answer it was made from: 'n_changed', 'distance', 'realism',
               'p_target'
    risk       of the changed record, as `Risk.now`; risk_low and risk_high as there
    holds      share (0..1) of the completions of unknown values with p_target >= threshold; 1 where nothing is unknown
    """

    changes: tuple[Change, ...]
    p_target: float
    n_changed: int
    distance: float
    realism: float | None
    origin: str
    margin: float | None = None
    stability: float | None = None
    agreement: float | None = None
    strengths: tuple[str, ...] = ()
    given_up: tuple[str, ...] = ()
    risk: float | None = None
    risk_low: float | None = None
    risk_high: float | None = None
    holds: float = 1.0
    draws: int | None = None

    def with_risk(self, scale: RiskScale, low: float | None = None, high: float | None = None) -> Counterfactual:
        """With its risk; `low` and `high` are the scores that completions of unknown values range over."""
        worst, best = (self.p_target if p is None else p for p in (low, high))
        return replace(self, risk=scale.risk(self.p_target), risk_low=scale.risk(best), risk_high=scale.risk(worst))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Counterfactual:
        """The Counterfactual that JSON was made of."""
        lists = {name: tuple(data.get(name, ())) for name in ("strengths", "given_up")}
        return cls(**{**known(cls, data), **lists, "changes": changes_of(data["changes"])})


def changes_of(items: list[Mapping[str, Any]]) -> tuple[Change, ...]:
    """The changes that JSON was made of."""
    return tuple(Change(**known(Change, item)) for item in items)
