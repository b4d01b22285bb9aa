"""Why a record could not be used: in full for the person's own files, and without any of its values for logs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..errors import RecordError
from ..schema.cells import Doubtful
from ..schema.record import encode
from ..schema.schema import Schema
from .lines import UnusableLine

LONGEST = 600
_COMMA = re.compile(r"[+-]?[0-9]+(,[0-9]+)+")
_NAMES = "the record's names do not fit the schema; "


class UnusableRecord(NamedTuple):
    """`reason` may hold a value of the record and goes only where the user asked for it; `quiet` never does."""

    reason: str
    remedy: str
    quiet: str = ""

    @property
    def log(self) -> str:
        """One line for a log: no value of the record."""
        return f"{self.quiet or self.reason}; {self.remedy}"


def unread(fault: UnusableLine | None) -> UnusableRecord:
    """From a line of a table that is no record."""
    assert fault is not None
    return UnusableRecord(_short(fault.reason), fault.remedy, fault.quiet)


def not_one_object(error: RecordError) -> UnusableRecord:
    """From `record.parse_object`. A key that stands twice is the one text of it that comes out of the record."""
    reason, remedy = _halves(str(error))
    return UnusableRecord(reason, remedy, "a key stands twice" if "stands twice" in reason else "")


def does_not_fit(schema: Schema, values: Mapping[str, Any], error: RecordError) -> UnusableRecord:
    """From `Record.from_mapping`. Names that are no features may be anything, so a log only counts them."""
    text = str(error)
    if text.startswith(_NAMES):
        unknown = len(set(values) - set(schema.names))
        lacking = [f.name for f in schema.features if not f.optional and f.name not in values]
        quiet = "names do not fit the schema: " + ", ".join([f"{unknown} unknown"] * bool(unknown) + [f"{n} is missing" for n in lacking])
        return UnusableRecord(_short(text.removesuffix(".")), "use the names of the schema", _short(quiet))
    reason, remedy = _halves(text)
    texts = [v for k, v in values.items() if isinstance(v, str) and schema[k].kind == "number"]
    if any(isinstance(v, Doubtful) for v in texts):
        remedy = f"the file has decimal commas too, so write numbers without thousands marks and with one decimal point; {remedy}"
    elif any(_COMMA.fullmatch(v) for v in texts):
        remedy = f"write a number with a decimal point and no comma, neither for decimals nor for thousands; {remedy}"
    return UnusableRecord(reason, remedy, _at_fault(schema, values))


def _at_fault(schema: Schema, values: Mapping[str, Any]) -> str:
    for feature in schema.features:
        try:
            encode(feature, values.get(feature.name))
        except RecordError:
            return f"{feature.name} has a value that is not allowed"
        if values.get(feature.name) is None and not feature.optional:
            return f"{feature.name} is missing"
    return "a value is not allowed"


def _halves(text: str) -> tuple[str, str]:
    """What is wrong, and what to do: the part behind the last semicolon, which never holds a value."""
    reason, _, remedy = text.rpartition("; ")
    return (_short(reason), remedy) if reason else (_short(text), "correct it")


def _short(text: str) -> str:
    plain = "".join(c if c.isprintable() else " " for c in text)
    return plain if len(plain) <= LONGEST else f"{plain[: LONGEST // 2]} … {plain[-LONGEST // 2 :]}"
