"""Units of readings, and how they become the one unit in which days are made.

A unit is stated by the file or by the user and never guessed from the size of a number: 5.6 mmol/L is 101 mg/dL. The dozen
units that matter stand in a table; a library of units would bring thousands and none of the spellings that exports use.
"""

from __future__ import annotations

import re
from functools import lru_cache

from ..errors import TableError

MG_DL_PER_MMOL_L = 18.016
"""Milligrams per decilitre in one millimole of glucose per litre: its molar mass of 180.16 g/mol over ten."""

CANONICAL = {
    "glucose": "mg/dL", "heart_rate": "beats/min", "resting_heart_rate": "beats/min", "stress": "score", "steps": "steps",
    "active_energy": "kcal", "active_time": "min", "vigorous_time": "min", "sedentary_time": "min", "sleep": "stage",
}  # fmt: skip
"""The unit in which days are made, by kind of reading."""

SPELLINGS = {
    "mg/dl": "mg/dL", "mgdl": "mg/dL", "mg dl-1": "mg/dL", "mmol/l": "mmol/L", "mmol": "mmol/L", "mmol l-1": "mmol/L",
    "beats/min": "beats/min", "bpm": "beats/min", "count/min": "beats/min", "score": "score",
    "stress level": "score", "steps": "steps", "count": "steps", "kcal": "kcal", "kilocalorie": "kcal", "kj": "kJ",
    "s": "s", "sec": "s", "min": "min", "h": "h", "hr": "h", "stage": "stage", "%": "%", "": "",
}  # fmt: skip
"""How exports spell units, in small letters."""
AS_WRITTEN = {"Cal": "kcal"}
"""Units in which a capital counts: `Cal` are kilocalories, `cal` may be either, a thousand times apart, and is no unit here."""
_MOLAR_MASS = re.compile(r"mmol<180\.[0-9]+>/l")
"""Apple names the molar mass of glucose within the unit, with digits that differ between versions."""

FACTORS = {
    ("mmol/L", "mg/dL"): MG_DL_PER_MMOL_L, ("mg/dL", "mmol/L"): 1 / MG_DL_PER_MMOL_L, ("kJ", "kcal"): 1 / 4.184, ("kcal", "kJ"): 4.184,
    ("s", "min"): 1 / 60, ("h", "min"): 60.0, ("min", "h"): 1 / 60, ("min", "s"): 60.0, ("h", "s"): 3600.0, ("s", "h"): 1 / 3600,
}  # fmt: skip


@lru_cache(maxsize=1_024)
def spelled(unit: str) -> str | None:
    """The unit that an export's spelling means; None for an unknown one."""
    if unit.strip() in AS_WRITTEN:
        return AS_WRITTEN[unit.strip()]
    small = " ".join(unit.replace("µ", "u").lower().split())
    return SPELLINGS.get(_MOLAR_MASS.sub("mmol/l", small))


def factor(unit: str, wanted: str, what: str = "a reading") -> float:
    """What to multiply a value in `unit` with, so that it is in `wanted`. Raises TableError where one cannot become the other."""
    have, want = spelled(unit), spelled(wanted)
    if have is not None and have == want:
        return 1.0
    if have is None or want is None or (have, want) not in FACTORS:
        said = f"unit {unit!r}" if unit else "no unit"
        raise TableError(f"{what} has {said}, which cannot become {wanted}; state it, for example --unit glucose=mmol/L")
    return FACTORS[have, want]


@lru_cache(maxsize=1_024)
def fits(kind: str, unit: str) -> bool:
    """Whether a reading of this kind can have this unit."""
    have = spelled(unit)
    return have is not None and (have == CANONICAL[kind] or (have, CANONICAL[kind]) in FACTORS)
