"""A unit of UCUM taken apart: what it measures, and how large it is.

Prefixes, exponents, products, quotients and brackets are those of UCUM; of its atoms only those that records of people are written in.
Nothing cancels: millimoles per mole, grams per gram and per cent are three things, for what is measured in one is seldom meant in another.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from ..sensors.quantities import factor

KCAL_PER_KJ = factor("kJ", "kcal")
MOST_CHARACTERS, LARGEST_POWER = 64, 9
PREFIXES = dict(G=1e9, M=1e6, k=1e3, h=1e2, da=10.0, d=0.1, c=0.01, m=1e-3, u=1e-6, n=1e-9, p=1e-12, f=1e-15)
METRIC: Mapping[str, tuple[str, float]] = {
    "m": ("length", 1.0), "g": ("mass", 1.0), "s": ("time", 1.0), "L": ("volume", 1.0), "l": ("volume", 1.0), "mol": ("amount", 1.0),
    "m[Hg]": ("pressure", 1000.0), "m[H2O]": ("pressure", 1000 * 9.80665 / 133.322387415), "Pa": ("pressure", 1 / 133.322387415),
    "bar": ("pressure", 1e5 / 133.322387415), "cal": ("energy", 0.001), "J": ("energy", KCAL_PER_KJ / 1000), "Hz": ("/time", 1.0),
    "[iU]": ("arbitrary", 1.0), "[IU]": ("arbitrary", 1.0), "U": ("catalysis", 1.0), "kat": ("catalysis", 6e7), "eq": ("charges", 1.0),
    "g%": ("mass/volume", 10.0),
}  # fmt: skip
"""Dimension, and size in its first unit; pressures in mm[Hg], energies in kcal. These may have a prefix."""
PLAIN: Mapping[str, tuple[str, float]] = {
    "1": ("", 1.0), "%": ("", 0.01), "[ppth]": ("", 1e-3), "[ppm]": ("", 1e-6),
    "[in_i]": ("length", 0.0254), "[in_us]": ("length", 100 / 3937), "[ft_i]": ("length", 0.3048), "[ft_us]": ("length", 1200 / 3937),
    "[yd_i]": ("length", 0.9144), "[mi_i]": ("length", 1609.344),
    "[lb_av]": ("mass", 453.59237), "[oz_av]": ("mass", 28.349523125), "[stone_av]": ("mass", 6350.29318), "t": ("mass", 1e6),
    "min": ("time", 60.0), "h": ("time", 3600.0), "d": ("time", 86_400.0), "wk": ("time", 604_800.0),
    "mo": ("time", 2_629_800.0), "mo_j": ("time", 2_629_800.0), "a": ("time", 31_557_600.0), "a_j": ("time", 31_557_600.0),
    "[Cal]": ("energy", 1.0), "[in_i'Hg]": ("pressure", 25.4), "[psi]": ("pressure", 51.7149325716),
}  # fmt: skip
_DEGREES = {"Cel": (1.0, 0.0), "[degF]": (5 / 9, -32.0), "K": (1.0, -273.15)}
"""Size in degrees Celsius, and what is added before."""
_TOKEN = re.compile(r"10[*^][+-]?[0-9]{1,2}|[0-9]+|[./()]|[+-][0-9]+|(?:[A-Za-z_%]|\[[^\]]*\])+")


class Unit(NamedTuple):
    """What is measured, and how many of the first unit of that dimension one of this is, after `shift` was added."""

    dimension: str
    size: float
    shift: float = 0.0


@lru_cache(maxsize=1_024)
def unit(code: str) -> Unit | None:
    """A unit of UCUM; None for what is none, or has an atom that is not known here."""
    plain = re.sub(r"\{[^{}]*\}", "", code)
    if plain in _DEGREES:
        return Unit("temperature", *_DEGREES[plain])
    tokens = _TOKEN.findall(plain)
    if len(plain) > MOST_CHARACTERS or "".join(tokens) != plain:
        return None
    try:
        powers, size = _Reader(tokens).whole()
    except (ValueError, OverflowError, ZeroDivisionError):
        return None
    named = sorted((name, power) for name, power in powers.items() if power)
    return Unit(" ".join(f"{name}^{power}" for name, power in named) or "share", size)


Parsed = tuple[Counter[str], float]


class _Reader:
    """Powers of dimensions and a size, out of tokens; those that divide are counted apart ('/time'). Raises ValueError."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens, self.at = tokens, 0

    def whole(self) -> Parsed:
        out = self._term()
        if self.at < len(self.tokens):
            raise ValueError(self.tokens[self.at])
        return out

    def _next(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1] if self.at <= len(self.tokens) else ""

    def _term(self) -> Parsed:
        """From left to right; a division holds for one part."""
        if not self.tokens:
            return Counter(), 1.0
        over = self.tokens[self.at : self.at + 1] == ["/"]
        self.at += over
        powers, size = _power(self._part(), -1 if over else 1)
        while self.tokens[self.at : self.at + 1] in (["."], ["/"]):
            sign = -1 if self._next() == "/" else 1
            other, times = _power(self._part(), sign)
            powers, size = powers + other, size * times
        return powers, size

    def _part(self) -> Parsed:
        token = self._next()
        if token == "(":
            inside = self._term()
            if self._next() != ")":
                raise ValueError("a bracket is open")
            return inside
        if re.fullmatch(r"10[*^][+-]?[0-9]+", token):
            return Counter(), 10.0 ** int(token[3:])
        if token.isdigit():
            return Counter(), float(token)
        dimension, size = _atom(token)
        power = 1
        if self.at < len(self.tokens) and re.fullmatch(r"[+-]?[0-9]+", self.tokens[self.at]):
            power = int(self._next())
            if not 1 <= abs(power) <= LARGEST_POWER:
                raise ValueError("a power")
        return _power((_powers(dimension), size), power)


def _powers(dimension: str) -> Counter[str]:
    first, _, below = dimension.partition("/")
    return Counter({name: 1 for name in (first, f"/{below}" if below else "") if name})


def _power(parsed: Parsed, power: int) -> Parsed:
    powers, size = parsed
    turned = Counter({_turned(name) if power < 0 else name: count * abs(power) for name, count in powers.items()})
    return turned, size**power


def _turned(name: str) -> str:
    return name[1:] if name.startswith("/") else f"/{name}"


def _atom(token: str) -> tuple[str, float]:
    """An atom, with or without a prefix. Raises ValueError."""
    if token in PLAIN:
        return PLAIN[token]
    if token in METRIC:
        return METRIC[token]
    for prefix, times in PREFIXES.items():
        if token.startswith(prefix) and (atom := METRIC.get(token[len(prefix) :])):
            return atom[0], times * atom[1]
    raise ValueError(token)
