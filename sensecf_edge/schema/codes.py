"""What a feature is called where records are exchanged: codes of terminologies, its unit in UCUM, codes of its choices.

Nothing of an answer depends on it: prompts, grammar, classifier and search know names alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Coding = tuple[str, str]
"""System and code: ("http://loinc.org", "8480-6")."""

LOINC = "http://loinc.org"
_SYSTEM = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s]{1,200}")
_CODE = re.compile(r"[^\s\x00-\x1f]{1,64}(?: [^\s\x00-\x1f]{1,64}){0,4}")
_UCUM = re.compile(r"[\x21-\x7e]{1,64}")


def is_coding(value: Any) -> bool:
    """Whether JSON is one code: an object with system and code, and nothing else."""
    return isinstance(value, dict) and set(value) == {"system", "code"} and all(isinstance(part, str) for part in value.values())


def are_codings(value: Any) -> bool:
    """Whether JSON is one code or a list of them."""
    return is_coding(value) or (isinstance(value, list) and bool(value) and all(map(is_coding, value)))


def frozen(value: Any) -> tuple[Coding, ...]:
    """JSON for which `are_codings` holds, as tuples."""
    return tuple((one["system"], one["code"]) for one in (value if isinstance(value, list) else [value]))


def plain(codings: Sequence[Coding]) -> Any:
    """The JSON that `frozen` reads: one object where there is one code."""
    out = [{"system": system, "code": code} for system, code in codings]
    return out[0] if len(out) == 1 else out


def faults(
    kind: str, choices: Sequence[str], code: Sequence[Coding], ucum: str, choice_codes: Mapping[str, Sequence[Coding]], cut: float | None
) -> Iterator[str]:
    """What is wrong with the codes of a feature."""
    every = [*code, *(one for codings in choice_codes.values() for one in codings)]
    for system, one in every:
        if not _SYSTEM.fullmatch(system) or not _CODE.fullmatch(one):
            yield f"code {one!r} of {system!r} is none; a system is an address such as {LOINC}, a code has no space at its ends"
    if len(set(every)) != len(every):
        yield "the same code stands twice"
    if ucum and not _UCUM.fullmatch(ucum):
        yield f"ucum {ucum!r} is no unit of UCUM: at most 64 characters, none of them a space, such as mg/dL or mm[Hg]"
    if not code and (ucum or choice_codes or cut is not None):
        yield "ucum, choice_codes and cut belong to a code, and none is stated"
    if kind != "choice" and (choice_codes or cut is not None):
        yield "choice_codes and cut belong to choices, not to numbers"
        return
    for name in choice_codes:
        if name not in choices:
            yield f"choice_codes names {name!r}, which is none of its choices"
    if cut is not None and len(choices) != 2:
        yield "cut parts two choices, no more: up to it the first, over it the second"
    if kind == "choice" and ucum and cut is None:
        yield "ucum of a choice is the unit of its cut, and none is stated"
