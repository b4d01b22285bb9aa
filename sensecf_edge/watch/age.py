"""When a record was measured, by what it says itself. Pure but for the clock that it is held against."""

from __future__ import annotations

import math
from datetime import datetime, timezone
from typing import Any

SKEW = 300.0
"""How far in the future, in seconds, a record may lie: clocks of sensors and of hubs differ by so much."""
MILLISECONDS = 1e11
"""A number from here on is one of milliseconds: as seconds it would lie beyond the year 5000."""
FIRST = datetime(2026, 1, 1, tzinfo=timezone.utc)
"""No clock that is right shows an earlier time: this program is younger."""


def measured(value: Any) -> datetime:
    """The time that a text (ISO 8601 with its offset or Z) or a number (seconds or milliseconds since 1970, UTC) stands for.

    Raises ValueError, in words that hold no value.
    """
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
        except ValueError:
            raise ValueError("is no time as ISO 8601 writes it, such as 2026-05-01T07:30:00+02:00") from None
        if moment.tzinfo is None:
            raise ValueError("does not say its offset from UTC; write 2026-05-01T07:30:00+02:00, or Z for UTC")
        return moment.astimezone(timezone.utc)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("is missing or no time; give ISO 8601 with an offset, or seconds since 1970")
    try:
        return datetime.fromtimestamp(value / 1000 if abs(value) >= MILLISECONDS else value, timezone.utc)
    except (OverflowError, OSError, ValueError):
        raise ValueError("is no time that there is; give ISO 8601 with an offset, or seconds since 1970") from None


def age(moment: datetime, now: datetime) -> float:
    """Seconds since then; 0 for what lies so little in the future that clocks may differ by it. Raises ValueError, in words."""
    if now < FIRST:
        raise ValueError("cannot be held against this machine's clock, which has not been set; set it (timedatectl)")
    seconds = (now - moment).total_seconds()
    if seconds < -SKEW:
        raise ValueError("lies in the future by this machine's clock; set the clock of the one that is wrong")
    return max(0.0, seconds)


def past(moment: datetime, now: datetime) -> datetime:
    """The moment; now, where it lies in the future by a clock that was set: as the newest it would keep out all that are measured later."""
    return moment if now < FIRST else min(moment, now)


def now() -> datetime:
    """This machine's clock."""
    return datetime.now(timezone.utc)
