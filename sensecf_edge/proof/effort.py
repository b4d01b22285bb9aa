"""How much may be spent on proofs, counted in work and not in seconds: what is proven on a fast machine is proven on a slow one."""

from __future__ import annotations

from dataclasses import dataclass

RECORD, ALL = 2e8, 1e10
"""Units for one record, and for all of one measurement: some 20 seconds and a quarter of an hour on one core of a small machine."""


@dataclass
class Effort:
    """Units of work that are left. What is spent here is spent of `whole` as well."""

    left: float = ALL
    whole: Effort | None = None

    def record(self) -> Effort:
        """A share of this effort for one record."""
        return Effort(RECORD, self)

    def spend(self, units: float) -> None:
        """Said before work is done; the last piece may go beyond what was left."""
        self.left -= units
        if self.whole is not None:
            self.whole.spend(units)

    @property
    def over(self) -> bool:
        """Whether nothing is left, here or of the whole."""
        return self.left <= 0 or (self.whole is not None and self.whole.over)


ENDLESS = Effort(float("inf"))
