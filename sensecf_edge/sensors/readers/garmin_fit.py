"""Garmin's FIT files of monitoring, stress and sleep, as the watch's folder or the account's export holds them (extra `sensors`).

Read with fitdecode (MIT); the vendor's own kit has a licence of its own. Steps and active energy are counters since midnight for each
kind of movement. A sleep level lasts until the next one of its file, so the last of a file has no length and is left out.
"""

from __future__ import annotations

import math
import warnings
from datetime import datetime
from typing import Any

from ...errors import MissingExtraError
from ..exports import Export, finite
from ..readings import AWAKE, DEEP, LIGHT, REM, UNMEASURED, Readings

NAME, LOOKS_FOR = "garmin-fit", "Garmin's .fit files of monitoring, stress and sleep"
SOURCE = "garmin"
LEVELS = {"unmeasurable": UNMEASURED, "awake": AWAKE, "light": LIGHT, "deep": DEEP, "rem": REM}
_NO_PULSE, _LOW_HALF = 255, 0xFFFF
_FIT_EPOCH = 631_065_600
"""1989-12-31 UTC, from which FIT counts."""


def recognises(export: Export) -> bool:
    """Whether it is such a file."""
    return bool(export.first[8:12] == b".FIT")


def read(export: Export, readings: Readings) -> None:
    """Puts what the file holds into `readings`; a file that is damaged is left out whole. Raises MissingExtraError."""
    try:
        import fitdecode
    except ImportError as error:
        raise MissingExtraError('FIT files need an optional part (fitdecode): pip install "sensecf-edge[sensors]"') from error
    messages = []
    try:
        with warnings.catch_warnings(), fitdecode.FitReader(str(export.path), check_crc=fitdecode.CrcCheck.RAISE) as fit:
            warnings.simplefilter("ignore")
            messages = [frame for frame in fit if isinstance(frame, fitdecode.FitDataMessage)]
    except Exception as error:  # what is damaged makes it fail in any way
        what = "its checksum is wrong" if isinstance(error, fitdecode.FitCRCError) else "it is damaged or cut off"
        readings.notes.drop(f"FIT files left out whole: {what} (copy them from the watch again)")
        return
    export.places.called("message")
    File(export.asked.person, readings).take(messages)


class File:
    """The messages of one file, in order."""

    def __init__(self, person: str, readings: Readings) -> None:
        self.person, self.readings = person, readings
        self.last = 0
        self.level: tuple[int, int] | None = None

    def take(self, messages: list[Any]) -> None:
        """All of them."""
        for number, message in enumerate(messages, 1):
            self.readings.notes.places.at(number)
            second = _second(message, "timestamp")
            self.last = second or self.last
            name = message.name
            if name == "monitoring":
                self._monitoring(message, second)
            elif name == "stress_level":
                at, value = _second(message, "stress_level_time"), _number(message, "stress_level_value")
                if at is not None and value is not None:
                    self._put("stress", "score", at, value)
            elif name == "monitoring_hr_data" and second is not None:
                value = _number(message, "resting_heart_rate")
                if value:
                    self._put("resting_heart_rate", "bpm", second, value)
            elif name == "sleep_level" and second is not None:
                self._sleep(second, str(message.get_value("sleep_level", fallback="")))

    def _put(self, kind: str, unit: str, second: int, value: float) -> None:
        self.readings.series(kind, SOURCE, unit, self.person).add(second, value)

    def _monitoring(self, message: Any, second: int | None) -> None:
        """A pulse has the lower half of its time alone, behind the last whole one."""
        half = _number(message, "timestamp_16")
        if half is not None and self.last:
            fit = self.last - _FIT_EPOCH
            second = self.last + ((int(half) - (fit & _LOW_HALF)) & _LOW_HALF)
        if second is None:
            return
        pulse = _number(message, "heart_rate")
        if pulse is not None and pulse != _NO_PULSE:
            self._put("heart_rate", "bpm", second, pulse)
        which = str(message.get_value("activity_type", fallback=""))
        for kind, unit, name in (("steps", "steps", "steps"), ("active_energy", "kcal", "active_calories")):
            value = _number(message, name)
            if value is not None:
                self.readings.count_up(kind, SOURCE, unit, self.person, which, second, value)

    def _sleep(self, second: int, level: str) -> None:
        if self.level is not None and second > self.level[0]:
            begin, stage = self.level
            self.readings.series("sleep", SOURCE, "stage", self.person).add(begin, stage, second - begin)
        self.level = (second, LEVELS.get(level, UNMEASURED))


def _second(message: Any, name: str) -> int | None:
    value = message.get_value(name, fallback=None)
    return round(value.timestamp()) if isinstance(value, datetime) else None


def _number(message: Any, name: str) -> float | None:
    value = message.get_value(name, fallback=None)
    number = finite(value) if isinstance(value, int | float) else math.nan
    return None if math.isnan(number) else number
