"""Numbers as tables and cards have them."""

from __future__ import annotations


def percent(share: float | None) -> str:
    """A share of 0..1 in per cent."""
    return "-" if share is None else f"{100 * share:.1f} %"


def plain(value: float | None, digits: int = 2) -> str:
    """A number with so many digits behind the point."""
    return "-" if value is None else f"{value:.{digits}f}"
