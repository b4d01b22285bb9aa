"""Every default of the project, once. The command line reads its defaults from here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LoopSettings:
    """How hard `explain` tries, and what it accepts.

    `margin` is added to the classifier's threshold: advice that sits on the threshold is a coin toss.
    """

    proposals: int = 8
    rounds: int = 3
    margin: float = 0.05
    max_changes: int = 4
    answers: int = 1
    seed: int = 0
    temperature: float = 0.7
    temperature_step: float = 0.4


@dataclass(frozen=True)
class EngineSettings:
    """What the engine may use. `threads` 0 leaves their number to `threads.rule`, which never takes all of many cores.

    `prompt_threads` 0 means as many as `threads`. `device`: auto, cpu or cuda; `gpu_layers` go to the GPU where one is
    used, -1 for all.
    """

    threads: int = 0
    prompt_threads: int = 0
    device: str = "auto"
    gpu_layers: int = -1
    max_sequences: int = 32
    max_answer_tokens: int = 256


@dataclass(frozen=True)
class RecordSettings:
    """Limits on what is read as a record."""

    max_bytes: int = 1_000_000


LOOP = LoopSettings()
ENGINE = EngineSettings()
RECORD = RecordSettings()

WEAK_AUC = 0.7
"""Below this AUC on unseen people every answer says that the classifier is weak."""


@dataclass(frozen=True)
class CostSettings:
    """Weights of `measure.cost` beside one point per changed feature."""

    distance: float = 1.0
    realism: float = 0.5


@dataclass(frozen=True)
class RefineSettings:
    """How long a proposal is improved: passes of single-feature moves, each one batch for all proposals."""

    passes: int = 6


COST = CostSettings()
REFINE = RefineSettings()


@dataclass(frozen=True)
class BatchSettings:
    """Rows that are answered in shared batches and committed together: more are faster, fewer are lost to an interruption."""

    chunk: int = 64


BATCH = BatchSettings()


@dataclass(frozen=True)
class WatchSettings:
    """Limits of the long-running process, in seconds and messages."""

    every: float = 0.0
    queue: int = 100
    policy: str = "drop-oldest"
    patience: float = 0.5
    tell: float = 5.0
    told: int = 20
    longest_pause: int = 30
    first_contact: float = 5.0
    unsent: int = 1_000


WATCH = WatchSettings()
