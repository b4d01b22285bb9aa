"""What a day says: every measure with its definition, unit, source and the least coverage at which it is known.

Coverage is the share of a day's quarters of an hour that hold a reading (of the time asleep that was measured, for sleep).
Below its floor a measure is unknown: a small number made of few readings would pass for a small number.
"""

from __future__ import annotations

from dataclasses import dataclass

QUARTER = 900
"""Seconds of a slot: every zone's days begin on a quarter of an hour, and sensors speak at least that often."""


@dataclass(frozen=True)
class Measure:
    """One column of a day. `digits` is how it is rounded, `of` which coverage it has, `floor` the least of it (0..1)."""

    name: str
    unit: str
    digits: int
    of: str
    floor: float
    about: str


CGM = "Battelino et al., Diabetes Care 2019;42:1593: at least 70 % of the readings"
WORN = 10 / 24
"""Ten hours of wear make a valid day: Troiano et al., Med Sci Sports Exerc 2008;40:181."""

MEASURES = (
    Measure("glucose_mean", "mg/dL", 1, "glucose", 0.7, f"Mean of the day's readings. {CGM}."),
    Measure("glucose_sd", "mg/dL", 1, "glucose", 0.7, "Standard deviation of the readings (n - 1). Same source."),
    Measure("glucose_cv", "%", 1, "glucose", 0.7, "100 SD / mean. Same source; 36 % parts stable from labile."),
    Measure("gmi", "%", 2, "glucose", 0.7, "Glucose management indicator, 3.31 + 0.02392 mean (Bergenstal et al., Diabetes Care "
            "2018;41:2275); meant for 14 days: of one day it is only the mean in other clothes."),
    Measure("time_below_range_pct", "% of readings", 1, "glucose", 0.7, "Readings under 70 mg/dL (3.9 mmol/L). Same source as the mean."),
    Measure("time_in_range_pct", "% of readings", 1, "glucose", 0.7, "Readings of 70 to 180 mg/dL (3.9 to 10.0 mmol/L), ends included."),
    Measure("time_above_range_pct", "% of readings", 1, "glucose", 0.7, "Readings over 180 mg/dL (10.0 mmol/L)."),
    Measure("sleep_h", "h", 2, "sleep", 0.8, "Hours asleep (light, deep, REM, without stage) in the longest sleep that ended on it."),
    Measure("nap_h", "h", 2, "sleep", 0.8, "Hours asleep in all other sleep that ended on the date, 0 for none."),
    Measure("deep_sleep_pct", "% of sleep", 0, "stages", 0.8, "Deep sleep as a share of the time asleep, whole percent."),
    Measure("rem_sleep_pct", "% of sleep", 0, "stages", 0.8, "REM sleep as a share of the time asleep, whole percent."),
    Measure("light_sleep_pct", "% of sleep", 0, "stages", 0.8, "What deep and REM sleep leave of 100."),
    Measure("steps", "per day", 0, "steps", WORN, "Steps that the device counted, its own count."),
    Measure("active_kcal", "kcal/day", 0, "active_energy", WORN, "Energy above rest as the device estimates it."),
    Measure("active_min", "min/day", 0, "active_time", WORN, "Minutes that Garmin calls ACTIVE, highly active ones not among them."),
    Measure("vigorous_min", "min/day", 0, "vigorous_time", WORN, "Minutes that Garmin calls HIGHLY_ACTIVE, Fitbit very active."),
    Measure("sedentary_min", "min/day", 0, "sedentary_time", WORN, "Minutes that the device calls sedentary."),
    Measure("resting_hr", "beats/min", 0, "resting_heart_rate", 0.0, "The device's own, the last one of the date. Never made from pulses."),
    Measure("stress_mean", "score 0-100", 1, "stress", 0.35, "Mean of the device's valid stress readings (Garmin); -1 and -2 are "
            "none. The floor is about 100 readings a day."),
)  # fmt: skip
BY_NAME = {m.name: m for m in MEASURES}
BELOW, ABOVE = {"mg/dL": 70.0, "mmol/L": 3.9}, {"mg/dL": 180.0, "mmol/L": 10.0}
"""The ends of the range in the unit that a reading was made in: 10.0 mmol/L is in range though it is 180.2 mg/dL."""
