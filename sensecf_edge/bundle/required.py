"""Which keys every bundle must be signed with. Apart from `signature`, which is loaded only where it is asked for."""

from __future__ import annotations

from pathlib import Path


class Required:
    """Where the keys lie that every bundle must be signed with, in all threads of this process; None: nowhere."""

    keys: Path | None = None


REQUIRED = Required()
"""Where this names keys, `Bundle.open` opens nothing that none of them has signed; they are read anew each time."""
