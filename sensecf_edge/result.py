"""What an explanation says: plain data that goes to JSON and back without loss.

`explanation.schema.json` beside this file describes the JSON for other programs.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import SenseCFError
from .record import Value

FORMAT = 1


@dataclass(frozen=True)
class Change:
    """One feature's change. `follows` is true where a relation, not the advice, moved it."""

    feature: str
    before: Value
    after: Value
    unit: str = ""
    follows: bool = False


@dataclass(frozen=True)
class Counterfactual:
    """One checked answer. Only what passed the rules and the classifier is ever made into one.

    p_target   the classifier's probability of the wanted class for the changed record
    n_changed  features that differ from the factual, those that follow a relation included
    distance   mean over all features of |change| / reference range, choices 0 or 1 (Gower's, without unknown values)
    realism    percentile (0-100) of the changed record's density among real people of the wanted class; None without a model
    origin     'first try' (greedy, untouched), 'proposal' (sampled, untouched), 'refined' (a proposal, improved) or
               'search' (a set of features that the search found)
    margin     p_target less the threshold
    stability  share (0..1) of noisy readings of the answer with p_target >= threshold; see `stability`
    agreement  share (0..1) of the bundle's other, equally good classifiers to which p_target >= threshold; None without such
    strengths  what it is best at among the answers shown: 'fewest features', 'smallest change', 'most typical'
    given_up   figures in which it is worse than the valid answer it was made from: 'n_changed', 'distance', 'realism',
               'p_target'
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

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Counterfactual:
        """The Counterfactual that JSON was made of."""
        lists = {name: tuple(data.get(name, ())) for name in ("strengths", "given_up")}
        return cls(**{**data, **lists, "changes": _changes(data["changes"])})


@dataclass(frozen=True)
class FirstTry:
    """What the greedy proposal was worth, untouched. `valid`: p_target >= threshold, no margin, rules kept.

    `p_target` is None where it could not be read or breaks a rule: then the classifier was not asked.
    """

    valid: bool
    usable: bool
    p_target: float | None
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Provenance:
    """All that is needed, beside the factual, to compute the same answer again. `bundle` is the manifest's sha256.

    `costs` are the request's own, `search` is how many rows the search over sets of features might ask about.
    """

    model: str
    bundle: str
    seed: int
    answers: int
    proposals: int
    rounds: int
    temperature: float
    max_changes: int
    freeze: tuple[str, ...]
    bounds: Mapping[str, tuple[float, float]]
    versions: Mapping[str, str]
    costs: Mapping[str, float] = field(default_factory=dict)
    search: int = 0

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Provenance:
        """The Provenance that JSON was made of."""
        bounds = {name: (low, high) for name, (low, high) in data["bounds"].items()}
        return cls(**{**data, "freeze": tuple(data["freeze"]), "bounds": bounds})


@dataclass(frozen=True)
class Explanation:
    """The answer for one record.

    status     'found', 'none' (nothing within budget) or 'already' (the prediction is the wanted one)
    refusals   reason -> how many proposals were refused for it over all rounds; equal readable ones count once
    warnings   for people: values outside the training range, a weak classifier
    auc        the classifier's AUC on unseen people
    proven     sets of up to so many proposed features were searched whole: none of them holds a cheaper answer than those
               found, or any where status is 'none'; 0: nothing was searched whole
    """

    status: str
    target: str
    predicted: str
    p_target: float
    threshold: float
    margin: float
    factual: Mapping[str, Value]
    found: tuple[Counterfactual, ...]
    first_try: FirstTry | None
    refusals: Mapping[str, int]
    warnings: tuple[str, ...]
    auc: float | None
    rounds_used: int
    seconds: float
    provenance: Provenance
    proven: int = 0
    format: int = field(default=FORMAT)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; valid under the shipped JSON Schema."""
        plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return plain

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Explanation:
        """The Explanation that `to_json` gave. Raises SenseCFError for another format or missing parts."""
        if data.get("format") != FORMAT:
            raise SenseCFError(f"explanation format {data.get('format')!r} is not known; this version reads format {FORMAT}")
        try:
            found = tuple(map(Counterfactual.from_json, data["found"]))
            first = data["first_try"]
            first_try = FirstTry(**{**first, "changes": _changes(first["changes"])}) if first else None
            provenance = Provenance.from_json(data["provenance"])
            return cls(**{**data, "found": found, "first_try": first_try, "warnings": tuple(data["warnings"]), "provenance": provenance})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SenseCFError(f"not an explanation: {error}") from error


def _changes(items: list[Mapping[str, Any]]) -> tuple[Change, ...]:
    return tuple(Change(**item) for item in items)
