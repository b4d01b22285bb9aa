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
    """What the engine may use. One thread by default: ggml's barrier spins when another program takes a core."""

    threads: int = 1
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
