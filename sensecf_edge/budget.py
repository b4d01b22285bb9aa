"""What one request may cost, and what is said of a request before anything is loaded or asked: checks at the door."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .arguments import whole
from .errors import ConstraintError, RecordError
from .schema.record import Record
from .schema.schema import Schema
from .settings import LOOP, SEARCH

LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True)
class Budget:
    """How much one request may cost: n answers, proposals a round, rounds, and where chance starts.

    `search` is how many rows the search over sets of features may ask the classifier about; 0 leaves it out. `ease`: where fewer
    answers than asked for are found, look for what would have to give. `typical`: of the answers within all limits the one nearest to
    people of the wanted class, rather than the one that changes least.
    """

    answers: int = LOOP.answers
    proposals: int = LOOP.proposals
    rounds: int = LOOP.rounds
    seed: int = LOOP.seed
    search: int = SEARCH.rows
    ease: bool = False
    typical: bool = False

    def __post_init__(self) -> None:
        for name, what, least in (
            ("answers", "the number of answers", 1), ("proposals", "the number of proposals", 1), ("rounds", "the number of rounds", 1),
            ("seed", "the seed", 0), ("search", "the number of rows to search", 0),
        ):  # fmt: skip
            object.__setattr__(self, name, whole(what, getattr(self, name), least))
        if self.seed > LARGEST_SEED:
            raise ConstraintError(f"the seed is {self.seed}; it must be at most {LARGEST_SEED}")


def margin_of(given: Any) -> float:
    """A margin as a plain number. Raises ConstraintError."""
    if isinstance(given, bool | np.bool_) or not isinstance(given, int | float | np.number) or not 0 <= float(given) < 1:
        raise ConstraintError(f"the margin is {given!r}; it must be a number from 0 to below 1")
    return float(given)


def same_schema(records: Sequence[Record], schema: Schema) -> None:
    """Raises RecordError for what is no Record, and for one of another schema: its codes would be taken for something else."""
    for record in records:
        if not isinstance(record, Record):
            raise RecordError(f"a {type(record).__name__} is no Record; make one with Record.from_mapping(explainer.schema, values)")
        if record.schema is not schema and record.schema != schema:
            raise RecordError("the record was made for another schema; make it with Record.from_mapping(explainer.schema, values)")
