"""Units of UCUM that matter here, and how a value in one becomes a value in another.

A unit is stated and never guessed from the size of a number. Milligrams become millimoles by the molar mass of what the code measures.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ..errors import RecordError
from ..schema.codes import LOINC, Coding
from ..sensors.quantities import MG_DL_PER_MMOL_L, factor

SYSTEM = "http://unitsofmeasure.org"
KCAL_PER_KJ = factor("kJ", "kcal")
DIGITS = 5
"""Of a converted value: the molar masses have no more."""


class Unit(NamedTuple):
    """What is measured, and how many of the first unit of that dimension one of this is."""

    dimension: str
    size: float


UNITS = {
    "1": Unit("share", 1.0), "%": Unit("share", 0.01),
    "m": Unit("length", 1.0), "cm": Unit("length", 0.01), "mm": Unit("length", 0.001), "[in_i]": Unit("length", 0.0254),
    "[ft_i]": Unit("length", 0.3048),
    "kg": Unit("mass", 1.0), "g": Unit("mass", 0.001), "[lb_av]": Unit("mass", 0.45359237), "[oz_av]": Unit("mass", 0.028349523125),
    "mm[Hg]": Unit("pressure", 1.0), "kPa": Unit("pressure", 1 / 0.133322387415), "kg/m2": Unit("mass over area", 1.0),
    "/min": Unit("rate", 1.0), "/s": Unit("rate", 60.0), "Hz": Unit("rate", 60.0), "/h": Unit("rate", 1 / 60),
    "/d": Unit("per day", 1.0), "/(24.h)": Unit("per day", 1.0), "/wk": Unit("per day", 1 / 7),
    "h": Unit("time", 1.0), "min": Unit("time", 1 / 60), "s": Unit("time", 1 / 3600), "d": Unit("time", 24.0),
    "h/d": Unit("time a day", 1.0), "min/d": Unit("time a day", 1 / 60), "d/wk": Unit("days a week", 1.0),
    "a": Unit("age", 1.0), "mo": Unit("age", 1 / 12),
    "kcal": Unit("energy", 1.0), "kJ": Unit("energy", KCAL_PER_KJ), "kcal/d": Unit("energy a day", 1.0),
    "kJ/d": Unit("energy a day", KCAL_PER_KJ),
    "mg/dL": Unit("mass in volume", 1.0), "g/L": Unit("mass in volume", 100.0), "mg/L": Unit("mass in volume", 0.1),
    "g/dL": Unit("mass in volume", 1000.0), "mmol/L": Unit("amount in volume", 1.0), "umol/L": Unit("amount in volume", 0.001),
}  # fmt: skip
SPELLINGS = {
    "mmHg": "mm[Hg]", "mm Hg": "mm[Hg]", "bpm": "/min", "beats/min": "/min", "beats/minute": "/min", "1/min": "/min", "lb": "[lb_av]",
    "lbs": "[lb_av]", "in": "[in_i]", "inches": "[in_i]", "kg/m²": "kg/m2", "kg/m^2": "kg/m2", "years": "a", "year": "a", "yr": "a",
    "months": "mo", "hours": "h", "hour": "h", "hr": "h", "minutes": "min", "days/week": "d/wk", "mg/dl": "mg/dL", "mmol/l": "mmol/L",
    "kg/(m2)": "kg/m2", "1/d": "/d", "percent": "%", "µmol/L": "umol/L", "μmol/L": "umol/L",
}  # fmt: skip
"""How systems write units that are no code of UCUM; small and large letters matter, as in UCUM."""

CHOLESTEROL_MG_DL_PER_MMOL_L, TRIGLYCERIDES_MG_DL_PER_MMOL_L = 38.67, 88.57
"""Milligrams per decilitre in one millimole per litre: molar masses of 386.7 and 885.7 g/mol over ten, as laboratories convert them."""
SUBSTANCES = {
    MG_DL_PER_MMOL_L: ("2339-0", "2345-7", "1558-6", "14749-6", "14771-0", "15074-8", "97507-8", "105273-7"),
    CHOLESTEROL_MG_DL_PER_MMOL_L: ("2093-3", "14647-2", "2085-9", "14646-4", "2089-1", "13457-7", "18262-6", "22748-8", "39469-2"),
    TRIGLYCERIDES_MG_DL_PER_MMOL_L: ("2571-8", "14927-8"),
}
"""LOINC codes of what has a molar mass, by milligrams per decilitre in one millimole per litre."""


def code_of(unit: str) -> str:
    """A unit as the table has it: without {annotations}, which change nothing of a number."""
    plain = re.sub(r"\{[^{}]*\}", "", unit.strip())
    plain = SPELLINGS.get(plain, plain)
    return (plain[1:] if plain.startswith("1/") else plain) or "1"


def converted(value: float, unit: str, wanted: str, measures: Sequence[Coding] = ()) -> float:
    """A value in `unit` as one in `wanted`, both of UCUM. `measures`: codes of what is measured, for its molar mass.

    Raises RecordError, which names both units.
    """
    have, want = code_of(unit), code_of(wanted)
    if have == want:
        return value
    a, b = UNITS.get(have), UNITS.get(want)
    if a is None or b is None:
        raise RecordError(f"the unit {unit!r} is not known here; {wanted or 'none'} is needed")
    if a.dimension == b.dimension:
        return rounded(value * a.size / b.size)
    by = next((by for by, codes in SUBSTANCES.items() if {(LOINC, code) for code in codes} & set(measures)), None)
    both = (a.dimension, b.dimension)
    if by and both == ("amount in volume", "mass in volume"):
        return rounded(value * a.size * by / b.size)
    if by and both == ("mass in volume", "amount in volume"):
        return rounded(value * a.size / by / b.size)
    raise RecordError(f"{unit} cannot become {wanted}")


def rounded(value: float) -> float:
    """With the digits that a conversion has."""
    return float(f"{value:.{DIGITS}g}")
