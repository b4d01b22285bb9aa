"""What an explanation says: plain data that goes to JSON and back without loss.

`explanation.schema.json` beside this file describes the JSON for other programs. Keys may be added without a new format:
a reader passes over those it does not know.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import SenseCFError
from ..schema.record import Value
from .basis import Group, Measure, Unknown, Why
from .counterfactual import Change as Change
from .counterfactual import Counterfactual as Counterfactual
from .counterfactual import Proof as Proof
from .counterfactual import changes_of
from .easing import Easing
from .letter import Letter
from .reading import from_first, known
from .risk import Risk

FORMAT = 3
READ = (1, 2, FORMAT)
"""Formats that can be read; an older one becomes the present one."""


@dataclass(frozen=True)
class FirstTry:
    """What the greedy proposal was worth, untouched. `valid`: p_target >= threshold, no margin, rules kept.

    `p_target` is None where it could not be read or breaks a rule: then the classifier was not asked.
    """

    valid: bool
    usable: bool
    p_target: float | None
    changes: tuple[Change, ...]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FirstTry:
        """The FirstTry that JSON was made of."""
        return cls(**{**known(cls, data), "changes": changes_of(data["changes"])})


@dataclass(frozen=True)
class Provenance:
    """All that is needed, beside the factual, to compute the same answer again. `bundle` is the manifest's sha256.

    `costs` are the request's own, `search` is how many rows the search over sets of features might ask about. `threads`
    and `device` are what the models computed with: another number or kind may round otherwise. `margin` and `base_rate`
    are the request's own; None where it made no statement. `generator` says who proposed: "bundle" for the bundle's own, "none",
    or another by name and hash; it was shown `shots` examples, and with `hints` what single changes alone give. `typical`: the most typical
    answer was asked for.
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
    threads: int | None = None
    device: str = ""
    margin: float | None = None
    base_rate: float | None = None
    generator: str = "bundle"
    shots: int = 0
    hints: bool = False
    typical: bool = False

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Provenance:
        """The Provenance that JSON was made of."""
        bounds = {name: (low, high) for name, (low, high) in data["bounds"].items()}
        return cls(**{**known(cls, data), "freeze": tuple(data["freeze"]), "bounds": bounds})


@dataclass(frozen=True)
class Explanation:
    """The answer for one record.

    status       'found', 'none' (nothing within budget), 'already' (the prediction is the wanted one) or 'depends' (on values
                 that are unknown)
    target       the wanted class; `unwanted` the other one, whose risk it is; `outcome` the column they are classes of
    p_target     the classifier's score of the wanted class, both classes weighed alike; `threshold` and `margin` are scores too
    refusals     reason -> how many proposals were refused for it over all rounds; equal readable ones count once
    warnings     for people: values outside the training range, a weak classifier
    auc          the classifier's AUC on unseen people
    realism      percentile (0-100) of the record itself among real people of the wanted class, as in `Counterfactual`
    unknown      the unknown values that the verdict hangs on, most deciding first; empty where it hangs on none
    holds_now    share (0..1) of the completions of unknown values that are predicted wanted; None where nothing is unknown
    completions  how many completions that is taken over; 0 where nothing is unknown
    proof        what was proven; None where nothing was
    reason       why nothing of the record may change, so that nothing was looked for; empty elsewhere
    why          what the prediction goes by; None where that was not asked, or the bundle has no density
    likeness     percentile (0-100) of the record as a whole among all training people, whatever their class, by what is known of it;
                 None where the bundle does not know
    measured     how well the model did on unseen people of this person's groups; empty where the bundle does not know
    next         the unknown values and what measuring each may show, the most telling first
    letter       the answer in plain words; None where that was not asked
    easing       what would have to give where no answer, or fewer than were asked for, kept all limits; None where that was not looked at
    stated       numbers of the record beyond an end of their feature that stands for all beyond it, as they were stated, by name;
                 `factual` holds that end
    calls, rows_asked  how often the classifier was asked for this record, and about how many changed records (and completions of them)
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
    risk: Risk
    unwanted: str = ""
    outcome: str = ""
    realism: float | None = None
    unknown: tuple[Unknown, ...] = ()
    holds_now: float | None = None
    completions: int = 0
    proof: Proof | None = None
    reason: str = ""
    why: Why | None = None
    likeness: float | None = None
    measured: tuple[Group, ...] = ()
    next: tuple[Measure, ...] = ()
    letter: Letter | None = None
    easing: Easing | None = None
    calls: int = 0
    rows_asked: int = 0
    stated: Mapping[str, float] = field(default_factory=dict)
    format: int = field(default=FORMAT)

    def rows(self) -> list[dict[str, Any]]:
        """A row for each change of each answer, for a data frame; none where nothing was found."""
        return [
            {"option": k, **dataclasses.asdict(change), "risk_now": self.risk.now, "risk": answer.risk, "realism": answer.realism,
             "distance": answer.distance, "holds": answer.holds, "stability": answer.stability, "model": self.provenance.model}
            for k, answer in enumerate(self.found, 1)
            for change in answer.changes
        ]  # fmt: skip

    def shown_by(self, card: Callable[[Explanation], str]) -> Explanation:
        """The same, which a notebook shows by this card. It is in no JSON and no pickle: see `page.sheet.card_html`."""
        object.__setattr__(self, "_card", card)
        return self

    def _repr_html_(self) -> str | None:
        card: Callable[[Explanation], str] | None = getattr(self, "_card", None)
        return card(self) if card else None

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_card"}

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; valid under the shipped JSON Schema."""
        plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return plain

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Explanation:
        """The Explanation that `to_json` gave, of this format or an older one; unknown keys are passed over.

        Raises SenseCFError for another format or missing parts.
        """
        if data.get("format") not in READ:
            read = f"{READ[0]} to {FORMAT}"
            raise SenseCFError(f"explanation format {data.get('format')!r} is not known; this version reads formats {read}")
        try:
            return cls._read({**(from_first(data) if data["format"] == 1 else data), "format": FORMAT})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SenseCFError(f"not an explanation: {error}") from error

    @classmethod
    def _read(cls, data: Mapping[str, Any]) -> Explanation:
        first, proof, why, letter, easing = data["first_try"], *(data.get(name) for name in ("proof", "why", "letter", "easing"))
        parts = {
            "found": tuple(map(Counterfactual.from_json, data["found"])),
            "first_try": FirstTry.from_json(first) if first else None,
            "warnings": tuple(data["warnings"]),
            "provenance": Provenance.from_json(data["provenance"]),
            "risk": Risk(**known(Risk, data["risk"])),
            "unknown": tuple(Unknown(**known(Unknown, item)) for item in data.get("unknown", ())),
            "proof": Proof(**known(Proof, proof)) if proof else None,
            "why": Why.from_json(why) if why else None,
            "easing": Easing.from_json(easing) if easing else None,
            "measured": tuple(Group(**known(Group, item)) for item in data.get("measured", ())),
            "next": tuple(Measure(**known(Measure, item)) for item in data.get("next", ())),
            "letter": Letter(**known(Letter, letter)) if letter else None,
        }
        return cls(**{**known(cls, data), **parts})
