"""What an answer rests on, as plain data: why the prediction, for whom the model was measured, what is unknown and matters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .reading import known


@dataclass(frozen=True)
class Unknown:
    """An unknown value that the verdict hangs on. `decides`: share (0..1) of the doubt that knowing it alone would end."""

    feature: str
    decides: float


@dataclass(frozen=True)
class Measure:
    """An unknown value, and what measuring it alone may show.

    turns      share (0..1) of what it may be at which the verdict (wanted, unwanted, or that it depends) would be another than now
    low, high  the risk where it turns out best, and worst
    """

    feature: str
    turns: float
    low: float
    high: float


@dataclass(frozen=True)
class Attribution:
    """What a feature, or features that follow from each other, add to the risk (-1..1); `error`: half width of a 95 % interval."""

    features: tuple[str, ...]
    adds: float
    error: float


@dataclass(frozen=True)
class Why:
    """Why this prediction: Shapley values of the risk against `people` drawn from the model's density; see `judge.shapley`.

    start  mean risk of the drawn people, with what is unknown of the record as it may be
    now    mean risk of the record over what is unknown; start and all that `parts` add
    parts  largest first
    exact  every set of features was tried; else `people` random orders of them and their reverses
    """

    start: float
    now: float
    parts: tuple[Attribution, ...]
    exact: bool
    people: int

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Why:
        """The Why that JSON was made of."""
        parts = tuple(Attribution(**{**known(Attribution, part), "features": tuple(part["features"])}) for part in data["parts"])
        return cls(**{**known(cls, data), "parts": parts})


@dataclass(frozen=True)
class Group:
    """How well the model did on unseen people of one group, whom this record belongs to.

    feature, label        the group: a feature, and the choice or the range of it
    low, high             that range, over `low` and up to `high`; None for a choice or where it is open
    people, rows          how many; people is None where the table named none
    auc, auc_low, auc_high      of the classifier, and its 95 % interval by person; None of too few people, or of one class alone
    told, seen            mean risk told to them, and the share that had the unwanted class
    seen_low, seen_high   its 95 % interval by person; None of too few people
    """

    feature: str
    label: str
    rows: int
    told: float
    seen: float
    low: float | None = None
    high: float | None = None
    people: int | None = None
    auc: float | None = None
    auc_low: float | None = None
    auc_high: float | None = None
    seen_low: float | None = None
    seen_high: float | None = None
