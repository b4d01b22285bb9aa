"""One change, as a person writes it. Pure."""

from __future__ import annotations

from ..answer.counterfactual import Change
from ..schema.feature import Feature, number_text
from ..schema.record import Value
from .phrases import change_texts, digits_of
from .wording import plain


def by_text(change: Change, feature: Feature | None = None) -> tuple[str, str, str]:
    """A change as a person writes it: before, after, and the difference with its unit ('+5 %', '−25 mg/dL'; empty between choices)."""
    before, after = change.before, change.after
    if not isinstance(before, int | float) or not isinstance(after, int | float):
        return _value(before), _value(after), ""
    first, second, step = change_texts(before, after, digits_of(feature.low, feature.step) if feature else 0)
    ends = [feature.beyond(value) if feature else "" for value in (before, after)]
    least = " or more" if any(ends) else ""  # how far beyond nobody knows
    return first + ends[0], second + ends[1], f"{step}{least} {plain(change.unit)}".rstrip()


def _value(value: Value) -> str:
    if value is None:
        return "unknown"
    return plain(value) if isinstance(value, str) else number_text(value)
