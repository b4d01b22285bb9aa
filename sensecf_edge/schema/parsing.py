"""JSON values -> Features and Relations, every key and type checked. What is wrong is gathered, not raised at the first."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from ..errors import SchemaError
from . import codes

LARGEST = 10**12
SUGGESTED = "suggested"
"""A key of drafts alone: what a language model suggested, by key, and nobody has checked."""
LONGEST = 60
"""Characters of a wrong value that a message repeats."""

_TEXT, _NUMBER, _FLAG, _TEXTS, _PAIR, _MOVES = "a text", "a number", "true or false", "a list of texts", "a list [low, high]", "an object"
_WHOM = "an object of ranges and lists of choices"
_CODES, _CODES_OF = "a code or a list of codes", "an object of codes by choice"
_FORMS: Mapping[str, str] = {
    "name": _TEXT, "kind": _TEXT, "label": _TEXT, "unit": _TEXT, "low": _NUMBER, "high": _NUMBER, "step": _NUMBER,
    "bottom_coded": _NUMBER, "top_coded": _NUMBER,
    "choices": _TEXTS, "mutable": _FLAG, "optional": _FLAG, "direction": _TEXT, "max_change": _NUMBER, "cost": _NUMBER,
    "relative_max_change": _NUMBER, "reference": _PAIR, "advise": _PAIR, "advise_for": _PAIR, "advise_if": _WHOM,
    "never_advise": _FLAG, "group": _FLAG, "error": _NUMBER, "relative_error": _NUMBER,
    "role": _TEXT, "error_source": _TEXT, "advise_source": _TEXT, "direction_source": _TEXT, "moves": _MOVES, "features": _TEXTS,
    "total": _NUMBER, "tolerance": _NUMBER, "scale": _NUMBER, "power": _NUMBER, "if_values": _TEXTS, "then_values": _TEXTS,
    "completes": _TEXT, "slope": _NUMBER, "intercept": _NUMBER, "horizon": _TEXT, "base_rate": _NUMBER,
    "synonyms": _TEXTS, "code": _CODES, "ucum": _TEXT, "choice_codes": _CODES_OF, "cut": _NUMBER,
}  # fmt: skip
_EXAMPLES = {
    "moves": ' as {"from": ["to", ...]}', "advise_if": ' as {"age": [18, 64], "sex": ["female"]}', "horizon": ', for example "four weeks"',
    "code": ', each as {"system": "http://loinc.org", "code": "8480-6"}',
    "choice_codes": ' as {"yes": {"system": "http://snomed.info/sct", "code": "373066001"}}',
}  # fmt: skip


class LooseJsonError(ValueError):
    """What Python reads as JSON and nobody can mean. `remedy` says what to do, `within` with which pair its object begins."""

    def __init__(self, what: str, remedy: str, within: str = "") -> None:
        self.remedy, self.within = remedy, within
        super().__init__(what)


def strict(text: str) -> Any:
    """One JSON value in which no key stands twice and nothing is NaN or infinite. Raises LooseJsonError, ValueError, RecursionError."""
    return json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise LooseJsonError(f"the key {short(twice)} stands twice", "keep one", f"{short(names[0])}: {short(pairs[0][1])}")
    return out


def _no_constant(name: str) -> float:
    raise LooseJsonError(f"{name} is not a value", "leave the key out, or give null where that is allowed")


def built(kind: type[Any], items: Sequence[Any], needed: tuple[str, ...]) -> tuple[list[Any], list[str]]:
    """One Feature or Relation for each item, None for those that are none; and all faults."""
    out, faults = list[Any](), list[str]()
    for at, item in enumerate(items):
        where = f"{kind.__name__.lower()} {at}"
        wrong = _faults(kind, item, where, needed)
        made = None
        if not wrong:
            try:
                made = kind(**{key: _frozen(key, value) for key, value in item.items()})
            except SchemaError as error:
                wrong = list(error.faults)
        out.append(made)
        faults += wrong
    return out, faults


def _faults(kind: type[Any], item: Any, where: str, needed: tuple[str, ...]) -> list[str]:
    """What is wrong with the keys and the types of one item."""
    if not isinstance(item, dict):
        return [f"{where} is not a JSON object"]
    called = item.get("name", item.get("kind", "?"))
    where = f"{where} ({called if isinstance(called, str) else '?'})"
    known = {f.name for f in fields(kind)}
    out = [f"{where}: unknown key {short(key)}; known are {', '.join(sorted(known))}" for key in item if key not in {*known, SUGGESTED}]
    if SUGGESTED in item:
        keys = ", ".join(map(str, item[SUGGESTED])) if isinstance(item[SUGGESTED], dict | list) else short(item[SUGGESTED])
        out.append(f"{where}: nobody has checked what was suggested ({keys}); correct what is wrong and take the key {SUGGESTED!r} out")
    out += [f"{where}: {fault}" for key, value in item.items() if key in known and (fault := key_fault(key, value))]
    lacking = [key for key in needed if key not in item]
    return [*out, f"{where}: {', '.join(lacking)} is missing"] if lacking else out


def key_fault(key: str, value: Any) -> str | None:
    """What is wrong with the type or size of a key's value, None where nothing is."""
    form = _FORMS[key]
    right = {
        _TEXT: lambda: isinstance(value, str),
        _FLAG: lambda: isinstance(value, bool),
        _NUMBER: lambda: _is_number(value),
        _TEXTS: lambda: _are_texts(value),
        _PAIR: lambda: _is_pair(value),
        _MOVES: lambda: isinstance(value, dict) and all(map(_are_texts, value.values())),
        _WHOM: lambda: isinstance(value, dict) and all(_is_pair(part) or (_are_texts(part) and part) for part in value.values()),
        _CODES: lambda: codes.are_codings(value),
        _CODES_OF: lambda: isinstance(value, dict) and bool(value) and all(map(codes.are_codings, value.values())),
    }[form]()
    if not right:
        return f"{key} cannot be {short(value)}; it is {form}{_EXAMPLES.get(key, '')}"
    of_whom = [number for part in value.values() for number in part if _is_number(number)] if form == _WHOM else []
    numbers = value if form == _PAIR else [value] if form == _NUMBER else of_whom
    if not all(-LARGEST <= number <= LARGEST for number in numbers):  # false for NaN as well
        return f"{key} must be {'a number' if form == _NUMBER else 'numbers'} of at most {LARGEST:,}"
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_pair(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_number, value))


def _are_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(part, str) for part in value)


def _frozen(key: str, value: Any) -> Any:
    """Lists as tuples and objects as tuples of pairs, which can be hashed."""
    if _FORMS[key] == _CODES:
        return codes.frozen(value)
    if _FORMS[key] == _CODES_OF:
        return tuple((name, codes.frozen(part)) for name, part in value.items())
    if isinstance(value, dict):
        return tuple((key, tuple(part)) for key, part in value.items())
    return tuple(value) if isinstance(value, list) else value


def short(value: Any) -> str:
    """A value for messages, cut where it is long."""
    try:
        text = repr(value)
    except RecursionError:
        text = "nested deeply"
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"
