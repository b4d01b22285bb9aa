"""What was measured of a bundle, as plain data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import statistics
from ..presentation.numbers import percent


@dataclass(frozen=True)
class Figures:
    """One bundle's figures. Shares are 0..1; a share over no records is None.

    asked              test records that were asked for, of the `predicted` in the unwanted class: all, or evenly drawn ones
    possible_valid     of those, records that some answer of the default request (at most four changes) moves to p >= threshold
    possible_usable    the same for p >= threshold + margin
    unproven           records with no answer whose lattice is too large to be searched whole; counted as possible
    first_try_valid    greedy proposal, untouched, p >= threshold, over possible_valid; first_try_valid_of_asked over asked
    usable             answers with p >= threshold + margin, plausible, over asked
    usable_of_possible the same over possible_usable
    locked             records asked that may change nothing at all (see `locked_out`)
    broken             answers that are immutable-breaking, out of range or off the lattice (must be 0)
    answers            key of a metric -> its mean over the answers; see `metrics.METRICS`. In JSON these stand beside the rest
    factual            the same of the answered records as they came, for the metrics that say something of those; in JSON "KEY_factual"
    alternatives       different sets of changed features among three answers asked for, mean over records with an answer
    fewest             how few features the same records' answers must change; see `prover.summed`. Empty where that was not asked
    memorisation       what a fit found of the people it was made of in its bundle; see `checks.check`. Empty elsewhere
    p50_ms, p95_ms     per record, warm
    advice             which way answers move each feature, and how many do what none should; see `advice.measured`
    calibration        how true the risks told at the training share are on all test rows, and whom the model predicts unwanted; see
                       `calibration.Calibration`
    intervals          name of a share or mean above -> its value, 95 % interval by person, rows and people; see `statistics`
    part               whose figures these are: people of the `test` part, or of the `final` part (see `split`)
    rivals             the generator's first tries beside simpler ways to an answer, and the rows they ask; see `baselines.comparison`
    curve              share answered over rows of the classifier allowed; see `baselines.row_budget`. Empty where that was not asked
    """

    auc: float
    people: int | None
    rows: int
    asked: int
    possible_valid: int
    possible_usable: int
    unproven: int
    first_try_valid: float | None
    first_try_usable: float | None
    usable: float | None
    usable_of_possible: float | None
    broken: int
    answers: Mapping[str, float | None]
    factual: Mapping[str, float | None]
    rounds: float | None
    p50_ms: float | None
    p95_ms: float | None
    alternatives: float | None = None
    fewest: dict[str, Any] = field(default_factory=dict)
    memorisation: dict[str, Any] = field(default_factory=dict)
    locked: int = 0
    calibration: dict[str, Any] = field(default_factory=dict)
    part: str = "test"
    predicted: int = 0
    rivals: dict[str, Any] = field(default_factory=dict)
    curve: dict[str, Any] = field(default_factory=dict)
    advice: dict[str, Any] = field(default_factory=dict)
    first_try_valid_of_asked: float | None = None
    intervals: dict[str, statistics.Figure] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values, rounded to what the sample size can carry."""
        plain = {k: v for k, v in dataclasses.asdict(self).items() if v != {} and k not in ("answers", "factual")}
        plain |= {**self.answers, **{f"{key}_factual": value for key, value in self.factual.items()}}
        return {k: (None if np.isnan(v) else round(v, 4)) if isinstance(v, float) else v for k, v in plain.items()}

    def repeatable(self) -> dict[str, Any]:
        """`to_json` without what was measured of this machine: times."""
        plain = {k: v for k, v in self.to_json().items() if not k.endswith("_ms")}
        if "loop" in self.rivals:
            plain["rivals"] = {**self.rivals, "loop": {k: v for k, v in self.rivals["loop"].items() if k != "time"}}
        return plain

    def line(self) -> str:
        """The figures that matter most, in one line."""
        first = f"first try valid {percent(self.first_try_valid)} of {self.possible_valid}"
        whole = f"AUC {self.auc:.3f} on the {self.part} {'rows' if self.people is None else 'people'}, {first}"
        return f"{whole}, usable {percent(self.usable_of_possible)} of {self.possible_usable}, changed {self.answers['n_changed'] or 0:.2f}"
