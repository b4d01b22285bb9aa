"""Who of a table trains, who tests, and who is kept for the last measurement: whole people, drawn from sizes and labels alone.

final   drawn first, of everybody; nothing but the last measurement of a fit sees them. Nobody, where no share is asked for
test    drawn of the others; the classifier is measured on them, samples come from them, comparisons ask them
train   all the rest
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.errors import TableError
from sensecf_edge.schema.schema import Schema

from .cohort import Cohort, cohort, read_table, split_people

LAST = 1
"""What parts the seed of the final draw from the seed of the test draw."""


@dataclass(frozen=True)
class Parts:
    """Three parts of one cohort that share no person; `final` is None where none was asked for."""

    train: Cohort
    test: Cohort
    final: Cohort | None = None

    @property
    def last(self) -> tuple[str, Cohort]:
        """Name and people of the part that headline figures are of: final where there is one, else test."""
        return ("test", self.test) if self.final is None else ("final", self.final)

    @property
    def untrained(self) -> Cohort:
        """Everybody whom nothing was trained on: the test and the final part together."""
        test, final = self.test, self.final
        if final is None:
            return test
        X, y, persons = (np.concatenate([getattr(part, name) for part in (test, final)]) for name in ("X", "y", "persons"))
        return replace(test, X=X, y=y, persons=persons)

    def line(self) -> str:
        """The sizes of all parts, in words."""
        last = "" if self.final is None else f", {counted(self.final)} for the last figures"
        return f"{counted(self.train)} to train, {counted(self.test)} to test{last}"

    def under(self, schema: Schema) -> Parts:
        """The same people under a schema with the same features."""
        final = None if self.final is None else replace(self.final, schema=schema)
        return Parts(replace(self.train, schema=schema), replace(self.test, schema=schema), final)


def counted(part: Cohort) -> str:
    """Rows, and people where the table names them."""
    return f"{len(part):,} rows" + (f" of {part.people:,} people" if part.people else "")


def final_people(data: Cohort, share: float, seed: int) -> NDArray[np.bool_]:
    """A mask (rows,) of the final part; empty where `share` is 0."""
    if not share:
        return np.zeros(len(data), dtype=bool)
    own = int(np.random.SeedSequence([seed, LAST]).generate_state(1)[0])
    mask, _ = split_people(data, share, own)
    return mask


def divided(data: Cohort, test_share: float, final_share: float, seed: int) -> Parts:
    """The three parts. Both shares are of the whole cohort; raises TableError where a part would lack a class."""
    final = final_people(data, final_share, seed)
    others = data.take(~final) if final.any() else data
    test, _ = split_people(others, test_share / (1 - final_share), seed)
    return Parts(others.take(~test), others.take(test), data.take(final) if final.any() else None)


def parts_of(bundle: Bundle, table: Path) -> Parts:
    """The parts of the table a bundle was fitted on, as `fit` drew them. Raises TableError for another table."""
    manifest = bundle.manifest
    split: Mapping[str, Any] = manifest.split
    data = cohort(read_table(table), bundle.schema, manifest.target.column, manifest.target.wanted, split.get("person"))
    if split.get("table") != data.fingerprint:
        raise TableError(f"{table} is not the table that {bundle.name} was fitted on, so its unseen people cannot be told from the others")
    return divided(data, split["test_share"], split.get("final_share", 0.0), split["seed"])


def parts(bundle: Bundle, table: Path) -> tuple[Cohort, Cohort]:
    """(train, test); see `parts_of`. The final part is in neither."""
    drawn = parts_of(bundle, table)
    return drawn.train, drawn.test


def kept_back(bundle: Bundle, drawn: Parts) -> Cohort:
    """The people kept for the last measurement. Raises TableError where the bundle was fitted without any."""
    if drawn.final is None:
        raise TableError(f"{bundle.name} was fitted without a final part; leave --final out, or fit it with --final-share")
    return drawn.final
