"""Words of foreign errors, short enough for a message of ours."""

from __future__ import annotations


def first_line(error: BaseException) -> str:
    """The first line that says something."""
    lines = [part.strip() for part in str(error).splitlines() if part.strip()]
    return (lines or [type(error).__name__])[0][:200]
