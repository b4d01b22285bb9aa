"""Numbers with units beside features with units: what a number of hours means to a feature in minutes, and what means nothing to it."""

from __future__ import annotations

import re

from ..schema.feature import Feature, number_text
from .cues import PERIODS
from .names import split_name

KINDS: dict[str, tuple[str, float]] = {
    "h": ("time", 60.0), "hr": ("time", 60.0), "hrs": ("time", 60.0),
    "lbs": ("mass", 0.45359237), "kgs": ("mass", 1.0), "hour": ("time", 60.0), "min": ("time", 1.0), "minute": ("time", 1.0),
    "kg": ("mass", 1.0), "kilo": ("mass", 1.0), "kilogram": ("mass", 1.0), "lb": ("mass", 0.45359237), "pound": ("mass", 0.45359237),
    "stone": ("mass", 6.35029318), "g": ("mass", 0.001), "cm": ("length", 1.0), "km": ("length", 100_000.0), "m": ("length", 100.0),
    "%": ("share", 1.0), "percent": ("share", 1.0), "kcal": ("energy", 1.0), "calorie": ("energy", 1.0), "kilocalorie": ("energy", 1.0),
    "bpm": ("beats", 1.0), "beat": ("beats", 1.0), "mm hg": ("pressure", 1.0), "mmhg": ("pressure", 1.0), "mg / dl": ("mg/dl", 1.0),
    "mmol / l": ("mmol/l", 1.0), "mm": ("small length", 1.0), "day": ("days", 1.0), "night": ("days", 1.0), "time": ("days", 1.0),
}  # fmt: skip
"""How units are written, in the words that `text.tokens` leaves -> what they measure, and how much of it one is."""

WORDS = {tuple(text.split()): kind for text, kind in KINDS.items()}


def unit_of(feature: Feature) -> tuple[tuple[str, float] | None, str, bool]:
    """What a feature's unit measures, per which time, and whether it is none but that time."""
    text = re.sub(r"\([^)]*\)", "", feature.unit).strip().lower()
    found = re.search(r"(?:\bper\s+|/\s*)(day|night|week|month|year)\b", text)
    period = PERIODS[found[1]] if found else ""
    base = (text[: found.start()] if found else text).split(" of ")[0].strip()
    return KINDS.get(base) or KINDS.get(base.replace("/", " / ")), period, not base


def in_unit(feature: Feature, value: float, kind: tuple[str, float] | None, period: str) -> float | str:
    """The number in the feature's own unit, or why it is none of it."""
    own, own_period, bare = unit_of(feature)
    if period and period != (own_period or "day"):
        return f"{feature.title} counts per {own_period or 'day'}"
    if kind is None:
        return value
    if kind[0] == "days" and bare and "day" in split_name(f"{feature.name} {feature.title}"):
        return value
    if own is None or own[0] != kind[0]:
        return f"{feature.title} is given in {feature.unit}" if feature.unit else f"{feature.title} has no unit"
    digits = 6 if own == kind else 1
    return round(value * kind[1] / own[1], digits)


def told(feature: Feature, value: float) -> str:
    """A value with its unit."""
    return f"{number_text(value)} {re.sub(r'[(][^)]*[)]', '', feature.unit).strip()}".rstrip()
