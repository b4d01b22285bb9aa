"""What an answer rests on, as plain data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Unknown:
    """An unknown value that the verdict hangs on. `decides`: share (0..1) of the doubt that knowing it alone would end."""

    feature: str
    decides: float
