"""Sentences that several places say alike: rounding that never contradicts a threshold, and what a weak classifier is called. Pure."""

from __future__ import annotations

from .settings import WEAK_AUC


def auc_text(auc: float) -> str:
    """With two digits, and with more where two would put it on the other side of what counts as weak."""
    return next(text for digits in range(2, 18) if ((text := f"{auc:.{digits}f}") and (float(text) < WEAK_AUC) == (auc < WEAK_AUC)))


def weak_text(auc: float | None) -> str | None:
    """The sentence that every answer of a weak or unmeasured classifier carries; None for one that is good enough."""
    if auc is None:
        return "Nobody has measured how well this model tells people apart whom it has not seen (no AUC)."
    if auc >= WEAK_AUC:
        return None
    return f"This model tells people apart poorly (AUC {auc_text(auc)} on unseen people; 0.50 is chance); read its advice with doubt."
