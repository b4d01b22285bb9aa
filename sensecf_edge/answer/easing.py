"""What would have to give where no answer keeps all limits, as plain data. Nothing of it is an answer within the limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .counterfactual import Counterfactual, Proof
from .reading import known


@dataclass(frozen=True)
class Eased:
    """One limit, and how far it would have to give.

    kind     of the request: 'freeze' (a feature kept as it is), 'bound', 'max_changes', 'margin'; of the schema: 'reach' (how far a
             change may go), 'advise' (what is advised), 'whom' (to whom)
    feature  whose limit it is; empty for 'max_changes' and 'margin'
    side     of 'bound' and 'advise': the end that moves, 'low' or 'high'
    stood    where it stands: an end of a range in units, a reach in units (of a choice in places of its list), a number of changes, a
             margin of scores; None where it is either kept or not
    eased    where it would have to be, in the same unit
    """

    kind: str
    feature: str = ""
    side: str = ""
    stood: float | None = None
    eased: float | None = None


@dataclass(frozen=True)
class Opening:
    """Limits that would have to give together, one as a rule, and the answer that this would open, which lies outside them.

    least  it is proven that less of it opens none
    """

    limits: tuple[Eased, ...]
    answer: Counterfactual
    least: bool = False


@dataclass(frozen=True)
class Easing:
    """What was found when limits were eased, because no answer, or fewer than were asked for, kept them.

    openings  each by itself, the least first: the request's own limits, the margin, then the schema's; empty where none was found
    proof     where nothing helps: what was proven. Its scope is 'all' (whatever the features that may change at all were, over all that
              a record may hold: the fixed findings decide) or 'eased' (with every limit that could give gone at once)
    fixed     the features that may not change, where the scope is 'all'
    tried     changed records that the classifier was asked about for this
    whole     False where the work that may be spent on it ended before everything was looked at
    """

    openings: tuple[Opening, ...] = ()
    proof: Proof | None = None
    fixed: tuple[str, ...] = ()
    tried: int = 0
    whole: bool = True

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Easing:
        """The Easing that JSON was made of."""
        proof = data.get("proof")
        parts = {
            "openings": tuple(map(_opening, data["openings"])),
            "proof": Proof(**known(Proof, proof)) if proof else None,
            "fixed": tuple(data["fixed"]),
        }
        return cls(**{**known(cls, data), **parts})


def _opening(data: Mapping[str, Any]) -> Opening:
    limits = tuple(Eased(**known(Eased, part)) for part in data["limits"])
    return Opening(limits, Counterfactual.from_json(data["answer"]), bool(data["least"]))
