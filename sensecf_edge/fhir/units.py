"""How a value in one unit becomes a value in another, and with which digits.

A unit is stated and never guessed from the size of a number. Milligrams become millimoles by the molar mass of what the code measures.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from ..errors import RecordError
from ..report.phrases import digits_of
from ..schema.codes import LOINC, Coding
from ..sensors.quantities import MG_DL_PER_MMOL_L
from .ucum import Unit, unit

SYSTEM = "http://unitsofmeasure.org"
DIGITS = 5
"""Of a converted value where nothing else limits them: the molar masses have no more."""
SPELLINGS = {
    "mmHg": "mm[Hg]", "mm Hg": "mm[Hg]", "mm(Hg)": "mm[Hg]", "cmH2O": "cm[H2O]", "bpm": "/min", "BPM": "/min", "beats/min": "/min",
    "beats/minute": "/min", "beats per minute": "/min", "lb": "[lb_av]", "lbs": "[lb_av]", "lb_av": "[lb_av]", "pounds": "[lb_av]",
    "oz": "[oz_av]", "st": "[stone_av]", "stone": "[stone_av]", "in": "[in_i]", "inches": "[in_i]", "inch": "[in_i]", "ft": "[ft_i]",
    "feet": "[ft_i]", "kgs": "kg", "kilograms": "kg", "centimeters": "cm", "centimetres": "cm", "kg/m²": "kg/m2", "kg/m^2": "kg/m2",
    "years": "a", "year": "a", "yrs": "a", "yr": "a", "months": "mo", "weeks": "wk", "days": "d", "hours": "h", "hour": "h", "hr": "h",
    "hrs": "h", "minutes": "min", "mins": "min", "sec": "s", "seconds": "s", "days/week": "d/wk", "days per week": "d/wk", "/week": "/wk",
    "per week": "/wk", "/day": "/d", "per day": "/d", "/year": "/a", "per year": "/a", "mg/dl": "mg/dL", "mg/100ml": "mg/dL",
    "mg/100 mL": "mg/dL", "mg/100 ml": "mg/dL",
    "mmol/l": "mmol/L", "percent": "%", "°C": "Cel", "°F": "[degF]", "C": "Cel", "F": "[degF]", "degC": "Cel",
    "degF": "[degF]", "IU/L": "[iU]/L", "IU/l": "[iU]/L", "U/l": "U/L",
}  # fmt: skip
"""How systems write units that are no code of UCUM."""
AMOUNT, MASS = "/volume^1 amount^1", "/volume^1 mass^1"
_DAYS_A_WEEK = "d/wk"
"""Days on which something is done, counted a week: one a week is `/wk` as well, and never so many hours a day."""

CHOLESTEROL_MG_DL_PER_MMOL_L, TRIGLYCERIDES_MG_DL_PER_MMOL_L = 38.67, 88.57
CREATININE_MG_DL_PER_MMOL_L = 11.312
"""Milligrams per decilitre in one millimole per litre: molar masses of 386.7, 885.7 and 113.12 g/mol over ten, as laboratories convert."""
SUBSTANCES = {
    MG_DL_PER_MMOL_L: ("2339-0", "2345-7", "1558-6", "14749-6", "14771-0", "15074-8", "97507-8", "105273-7"),
    CHOLESTEROL_MG_DL_PER_MMOL_L: ("2093-3", "14647-2", "2085-9", "14646-4", "2089-1", "13457-7", "18262-6", "22748-8", "39469-2"),
    TRIGLYCERIDES_MG_DL_PER_MMOL_L: ("2571-8", "14927-8"),
    CREATININE_MG_DL_PER_MMOL_L: ("2160-0", "14682-9", "38483-4"),
}
"""LOINC codes of what has a molar mass, by milligrams per decilitre in one millimole per litre."""


def code_of(written: str) -> str:
    """A unit as UCUM has it: without {annotations}, which change nothing of a number."""
    plain = re.sub(r"\{[^{}]*\}", "", written.strip()).translate(_MICRO)
    plain = SPELLINGS.get(plain, plain)
    if unit(plain) is None:  # no code of UCUM, so capitals mean nothing
        plain = _SMALL.get(plain.lower(), plain)
    plain = re.sub(r"/100(m[lL])\b", r"/(100.\1)", plain)
    return (plain[1:] if plain.startswith("1/") else plain) or "1"


_MICRO = {0xB5: "u", 0x3BC: "u"}
_SMALL = {**{written.lower(): code for written, code in SPELLINGS.items()}, "kg": "kg", "cm": "cm", "mm[hg]": "mm[Hg]", "kg/m2": "kg/m2"}
"""Spellings whatever their capitals, and what UCUM itself writes in capitals where those do not matter."""


def converted(value: float, unit: str, wanted: str, measures: Sequence[Coding] = (), step: float | None = None) -> float:
    """A value in `unit` as one in `wanted`, both of UCUM. `measures`: codes of what is measured, for its molar mass. It gets the digits
    that `value` and the feature's `step` have, whichever are finer; DIGITS of them without a step.

    Raises RecordError, which names both units.
    """
    have, want = code_of(unit), code_of(wanted)
    if have == want:
        return value
    a, b = _unit(have), _unit(want)
    if a is None or b is None:
        raise RecordError(f"the unit {unit!r} is not known here; {wanted or 'none'} is needed")
    by = next((by for by, codes in SUBSTANCES.items() if {(LOINC, code) for code in codes} & set(measures)), None)
    times = a.size / b.size
    if by and {a.dimension, b.dimension} == {AMOUNT, MASS}:  # sizes are in mol/L and g/L
        times *= 10 * by if a.dimension == AMOUNT else 1 / (10 * by)
    elif a.dimension != b.dimension:
        raise RecordError(f"{unit} cannot become {wanted}")
    return finely(((value + a.shift) * times) - b.shift, times * 10.0 ** -digits_of(value), step)


def _unit(code: str) -> Unit | None:
    return Unit("/time^1", 1 / 604_800) if code == _DAYS_A_WEEK else unit(code)


def finely(value: float, resolution: float, step: float | None) -> float:
    """A computed number with the digits that tell values of this resolution, or of this step, apart: 83.9 for 185 pounds."""
    short = float(f"{value:.{DIGITS}g}")
    if step is None:
        return short
    digits = max(0, math.ceil(-math.log10(min(resolution, step)) - 1e-9))
    return min(round(value, digits), short, key=lambda number: digits_of(number))
