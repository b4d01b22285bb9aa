"""What decides a fit: the plan, and what its card says that no program can know."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from sensecf_edge.errors import TableError
from sensecf_edge.generators.choice import FILE, Choice
from sensecf_edge.settings import LOOP

SIZES = {"tiny": (32, 1), "small": (128, 4), "large": (256, 5)}
"""Generators from nothing: width and layers. Tiny is for trying the software; small and large have about 1 and 4 million
parameters. Rows of 256 suit every K-quant."""

SMALL_TABLE = 1_000
EFFORT = {"small": {"pairs": 8_000, "passes": 8.0}, "large": {"pairs": 8_000, "passes": 6.0}}
"""What is done by default for tables of fewer than SMALL_TABLE rows, and for others."""

FIRST, BETTER = "tuned", "improved"
"""Names of the generator in the work folder, before and behind practice."""

MEASURED = 200
"""Records that the figures of a card are of, at most: each takes a third of a second, and `evaluate` measures all."""

MOST_UNSEEN = 0.9
"""Share of people, at most, that training leaves out."""

OWN, NONE = "own", "none"
"""Who proposes in the bundle: a generator of its own, or nobody: the search alone answers then. Else the text of a general model
(`smollm2`, FILE.gguf, raw:FILE.gguf), which the bundle names by its hash and asks as it comes."""

BRIEF, WORDS = "brief", "words"
"""How a given base is spoken to: in the fewest words, or told the whole schema as a general model is."""

THRESHOLD = 0.5
GOALS_ABOVE = (0.12, 0.08, 0.05, 0.01)
"""How far above the threshold the teacher aims, strictest first. The last is for people whom nothing moves past the margin: what
is said of them should at least be valid."""


@dataclass(frozen=True)
class FitPlan:
    """All that decides what a fit makes. Equal plans on equal tables make equal bundles, byte for byte, on equal machines and
    versions; processors that add in another order differ in the last digits. `minutes` is a limit that is turned into steps by
    this machine's speed, so a fit that it cuts is not the same elsewhere; there is none by default. `batch`, `rate` and `rank` are
    those of a given base's tuning; 0 leaves them to it. `prompt` is the style it is spoken to in, `hints` whether it is told what
    single changes would give (None: a base that is tuned is, a general model is not). `generator`: OWN, NONE for a bundle without a
    language model, or a general model. `improve`: None practises where first tries ask for it. `limit`: records that the card's figures
    are of, at most; 0 for all."""

    name: str
    target: str
    wanted: str
    person: str | None = None
    test_share: float = 0.3
    final_share: float = 0.0
    seed: int = 0
    pairs: int = 0
    passes: float = 0.0
    minutes: float | None = None
    size: str = "small"
    quantization: str = "Q8_0"
    max_changes: int = LOOP.max_changes
    classifier: str = "random-forest"
    teachers: tuple[str, ...] = ("search",)
    improve: bool | None = None
    study: bool = False
    rivals: bool = False
    base: str | None = None
    tune: str = "lora"
    device: str = "auto"
    generator: str = OWN
    allow: tuple[str, ...] = ()
    turned: bool = False
    limit: int = MEASURED
    threshold: float | None = None
    miss_cost: float | None = None
    batch: int = 0
    rate: float = 0.0
    rank: int = 16
    prompt: str = BRIEF
    hints: bool | None = None

    def __post_init__(self) -> None:
        if min(self.test_share, self.final_share) < 0 or self.test_share + self.final_share > MOST_UNSEEN:
            raise TableError(f"--test-share {self.test_share:g} and --final-share {self.final_share:g} leave too few people to train on")
        if self.generator == NONE and (self.base or self.study):
            raise TableError("--generator none makes a bundle without a language model; --base and --study are about one")
        if self.general and (self.base or self.study or self.improve):
            raise TableError(f"--generator {self.generator} takes a model as it comes; to tune it: --base {self.general.place}")
        if self.threshold is not None and self.miss_cost is not None:
            raise TableError("--threshold and --miss-cost both say where the line is drawn; give one of them")
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise TableError(f"--threshold {self.threshold:g}: a risk lies between 0 and 1; 14 % is 0.14")
        if self.miss_cost is not None and not self.miss_cost > 0:
            raise TableError(f"--miss-cost {self.miss_cost:g}: how many false alarms a missed case is worth; a number above 0")

    @property
    def general(self) -> Choice | None:
        """The general model that is to propose as it comes, if there is to be one. Raises TableError, ConstraintError."""
        if self.generator in (OWN, NONE):
            return None
        choice = Choice.parse(self.generator)
        if choice.kind != FILE:
            raise TableError(f"a bundle cannot hold {self.generator!r}; give own, none, smollm2, FILE.gguf or raw:FILE.gguf")
        return choice

    @property
    def risk(self) -> float | None:
        """The risk from which on a person counts as a case: of least cost where a miss costs `miss_cost` false alarms; None for the
        balanced line."""
        return self.threshold if self.miss_cost is None else 1 / (1 + self.miss_cost)

    def sized(self, rows: int) -> FitPlan:
        """The plan with pairs and passes filled in where they were left open. A given base does not practise then, for each of its answers
        takes seconds."""
        effort = EFFORT["small" if rows < SMALL_TABLE else "large"]
        improve = self.improve if self.base is None and self.general is None else bool(self.improve)
        hints = self.base is not None if self.hints is None else self.hints
        pairs, passes = self.pairs or int(effort["pairs"]), self.passes or effort["passes"]
        return replace(self, pairs=pairs, passes=passes, improve=improve, hints=hints)


@dataclass(frozen=True)
class About:
    """What the card says that no program can know."""

    title: str = ""
    source: str = "not stated"
    licence: str = "not stated"
    attribution: str = ""
    not_for: str = "Decisions about a person without a clinician; any claim that a change causes the outcome."
    notes: str = ""
    samples: int = 0
    dates: str = ""
    intended: str = ""

    @classmethod
    def load(cls, path: Path | None) -> About:
        """From a JSON file with these keys; unknown keys are refused. `samples` records of the test people are shipped:
        leave it 0 unless the table's licence allows it. `dates`: of which time the data are; `intended`: who should use it for what."""
        if path is None:
            return cls()
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise TableError(f"{path} is no description of a bundle: {error}") from error
