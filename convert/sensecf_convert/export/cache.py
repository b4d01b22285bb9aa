"""Where what is fetched and built once is kept: in the user's cache."""

from __future__ import annotations

import os
from pathlib import Path


def cache() -> Path:
    """Where `make bench` puts what it fetches and builds."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sensecf-edge"
