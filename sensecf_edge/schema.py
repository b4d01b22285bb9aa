"""What a record may hold: features with units, lattices and limits, and the relations between them.

A number lives on a lattice `low, low + step, … high`; a choice on its list of choices. Inside the runtime a record is
a float64 vector in schema order, where a choice is its index in the list and an unknown value is NaN; this module is
the one home of that order and of those codes.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import SchemaError

FORMAT = 1
DIRECTIONS = ("either", "increase", "decrease")
FORBIDDEN = frozenset('"\\=;{}')
MAX_LATTICE = 2_000

Vector = NDArray[np.float64]


def number_text(value: float) -> str:
    """The shortest plain decimal that reads back as `value`, the way numbers are written in answers: 8, 7.25, -0.5."""
    text = format(Decimal(repr(float(value))).normalize(), "f")
    return "0" if text == "-0" else text


def _check_name(text: str, what: str) -> None:
    if not text or len(text) > 64 or text != text.strip() or not text.isprintable() or FORBIDDEN & set(text):
        raise SchemaError(f"{what} {text!r} cannot be used: 1 to 64 printable characters without any of {''.join(sorted(FORBIDDEN))}")


@dataclass(frozen=True)
class Feature:
    """One column.

    `low`/`high` are what a record may hold at all, `reference` the range seen in training people: advice stays inside
    it, a record outside it is answered with a warning. `direction` and `max_change` (in units, or in places of the
    list for choices) limit advice, never the record. `cost` weighs a change of this feature against the others.
    """

    name: str
    kind: str = "number"
    label: str = ""
    unit: str = ""
    low: float | None = None
    high: float | None = None
    step: float | None = None
    choices: tuple[str, ...] = ()
    mutable: bool = True
    optional: bool = False
    direction: str = "either"
    max_change: float | None = None
    cost: float = 1.0
    reference: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        _check_name(self.name, "feature name")
        where = f"feature {self.name!r}"
        if self.kind not in ("number", "choice"):
            raise SchemaError(f"{where}: kind {self.kind!r} is neither 'number' nor 'choice'")
        if self.direction not in DIRECTIONS:
            raise SchemaError(f"{where}: direction {self.direction!r} is none of {', '.join(DIRECTIONS)}")
        if self.max_change is not None and not self.max_change > 0:
            raise SchemaError(f'{where}: max_change must be above 0, not {self.max_change}; use "mutable": false to forbid a change')
        if not (math.isfinite(self.cost) and self.cost > 0):
            raise SchemaError(f"{where}: cost must be a finite number above 0, not {self.cost}")
        if self.kind == "choice":
            self._check_choices(where)
        else:
            self._check_numbers(where)

    def _check_choices(self, where: str) -> None:
        if len(self.choices) < 2 or len(set(self.choices)) != len(self.choices):
            raise SchemaError(f"{where}: a choice needs two or more different choices, not {list(self.choices)}")
        for choice in self.choices:
            _check_name(choice, f"{where}: choice")
        if self.low is not None or self.high is not None or self.step is not None or self.reference is not None:
            raise SchemaError(f"{where}: low, high, step and reference belong to numbers, not to choices")

    def _check_numbers(self, where: str) -> None:
        if self.choices:
            raise SchemaError(f"{where}: choices belong to kind 'choice', not to numbers")
        if self.low is None or self.high is None or self.step is None:
            raise SchemaError(f"{where}: a number needs low, high and step")
        if not all(map(math.isfinite, (self.low, self.high, self.step))) or self.step <= 0 or self.high <= self.low:
            raise SchemaError(f"{where}: needs finite low < high and step > 0, not {self.low}, {self.high}, {self.step}")
        if (self.high - self.low) / self.step > MAX_LATTICE:
            raise SchemaError(f"{where}: {self.low}..{self.high} by {self.step} is over {MAX_LATTICE} values; use a coarser step")
        if self.reference is not None and not (self.low <= self.reference[0] <= self.reference[1] <= self.high):
            raise SchemaError(f"{where}: reference {list(self.reference)} does not lie inside {self.low}..{self.high}")

    @cached_property
    def lattice(self) -> Vector:
        """All codes a change may name: shape (values,), ascending; indices for choices."""
        if self.kind == "choice":
            return np.arange(len(self.choices), dtype=np.float64)
        assert self.low is not None and self.high is not None and self.step is not None
        low, high, step = (Decimal(repr(float(v))) for v in (self.low, self.high, self.step))
        return np.array([float(low + i * step) for i in range(int((high - low) / step) + 1)])

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The lattice as people and prompts read it, in the order of `lattice`."""
        return self.choices if self.kind == "choice" else tuple(number_text(v) for v in self.lattice)

    @cached_property
    def span(self) -> float:
        """Width of the reference range (of the possible range where none is stated); 1 for choices. Unit of distances."""
        if self.kind == "choice":
            return 1.0
        low, high = self.reference or (self.low, self.high)
        assert low is not None and high is not None
        return max(float(high) - float(low), float(self.step or 0))

    @property
    def title(self) -> str:
        """The label for people; the name where none is given."""
        return self.label or self.name

    def text(self, code: float) -> str:
        """A code in words: '7.25', 'male', 'unknown'. Does not round."""
        if math.isnan(code):
            return "unknown"
        return self.choices[int(code)] if self.kind == "choice" else number_text(code)

    def nearest(self, code: float) -> int:
        """Index into `lattice` of the value nearest to `code` (the lower one of two equally near)."""
        return int(np.abs(self.lattice - code).argmin())

    def allowed(self) -> str:
        """What a record may hold, in words, for messages."""
        if self.kind == "choice":
            return "one of " + ", ".join(self.choices)
        return f"{number_text(self.low or 0)} to {number_text(self.high or 0)} {self.unit}".rstrip()

    def to_json(self) -> dict[str, Any]:
        """Only what differs from the defaults, so that a schema file stays readable."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        kept = {k: v for k, v in plain.items() if k in ("name", "kind") or v != Feature.__dataclass_fields__[k].default}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in kept.items()}


@dataclass(frozen=True)
class Relation:
    """Something that holds between features. Skipped for a record in which one of them is unknown.

    `sum`      features add up to `total` within `tolerance`
    `ratio`    features[0] = scale * features[1] / features[2] ** power within `tolerance` (bmi: scale 10000, power 2, cm)
    `le`       features[0] <= features[1]
    `implies`  features[0] among `if_values` only when features[1] is among `then_values`

    `completes` names the feature that follows the others: it is never proposed, it is computed (sum and ratio only).
    A record that breaks a relation to begin with may keep its own deviation, not enlarge it.
    """

    kind: str
    features: tuple[str, ...]
    total: float = 0.0
    tolerance: float = 0.0
    scale: float = 1.0
    power: float = 1.0
    if_values: tuple[str, ...] = ()
    then_values: tuple[str, ...] = ()
    completes: str | None = None

    def __post_init__(self) -> None:
        where = f"relation {self.kind!r} over {', '.join(self.features)}"
        sizes = {"ratio": 3, "le": 2, "implies": 2}
        if self.kind not in ("sum", *sizes):
            raise SchemaError(f"{where}: kind is none of sum, ratio, le, implies")
        count = len(self.features)
        if count < 2 or len(set(self.features)) != count or count != sizes.get(self.kind, count):
            raise SchemaError(f"{where}: needs {sizes.get(self.kind, 'two or more')} different features")
        if self.kind == "implies" and not (self.if_values and self.then_values):
            raise SchemaError(f"{where}: needs if_values and then_values")
        if self.completes is None:
            return
        if self.kind not in ("sum", "ratio") or self.completes not in self.features:
            raise SchemaError(f"{where}: only sum and ratio complete a feature, and only one of their own; not {self.completes!r}")
        if self.kind == "ratio" and self.completes != self.features[0]:
            raise SchemaError(f"{where}: a ratio completes its first feature, {self.features[0]!r}")

    def words(self) -> str:
        """The relation as a sentence for messages."""
        f = self.features
        if self.kind == "sum":
            return f"{' + '.join(f)} = {number_text(self.total)}"
        if self.kind == "ratio":
            power = "" if self.power == 1 else f"^{number_text(self.power)}"
            return f"{f[0]} = {number_text(self.scale)} x {f[1]} / {f[2]}{power}"
        if self.kind == "le":
            return f"{f[0]} <= {f[1]}"
        return f"{f[0]} in ({', '.join(self.if_values)}) only if {f[1]} in ({', '.join(self.then_values)})"

    def to_json(self) -> dict[str, Any]:
        """Only what differs from the defaults."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        kept = {k: v for k, v in plain.items() if k in ("kind", "features") or v != Relation.__dataclass_fields__[k].default}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in kept.items()}


@dataclass(frozen=True)
class Schema:
    """The ordered features and their relations. Equal schemas have equal `hash`es, whatever file they came from."""

    features: tuple[Feature, ...]
    relations: tuple[Relation, ...] = ()
    index: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.features:
            raise SchemaError("the schema has no features")
        names = [f.name for f in self.features]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise SchemaError(f"the schema names {', '.join(twice)} more than once")
        object.__setattr__(self, "index", {n: i for i, n in enumerate(names)})
        for relation in self.relations:
            self._check_relation(relation)
        completed = [r.completes for r in self.relations if r.completes]
        if len(set(completed)) != len(completed):
            raise SchemaError("two relations complete the same feature; let one of them only check")

    def _check_relation(self, relation: Relation) -> None:
        for name in relation.features:
            if name not in self.index:
                raise SchemaError(f"relation {relation.words()}: no feature is called {name!r}")
        kinds = [self[name].kind for name in relation.features]
        if relation.kind != "implies":
            if "choice" in kinds:
                raise SchemaError(f"relation {relation.words()}: {relation.kind} is between numbers")
            return
        for name, values in zip(relation.features, (relation.if_values, relation.then_values), strict=True):
            unknown = [v for v in values if v not in self[name].texts]
            if unknown:
                raise SchemaError(f"relation {relation.words()}: {name} is never {', '.join(unknown)}")

    def __getitem__(self, name: str) -> Feature:
        return self.features[self.index[name]]

    def __len__(self) -> int:
        return len(self.features)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Feature names in schema order."""
        return tuple(f.name for f in self.features)

    @cached_property
    def completed(self) -> frozenset[str]:
        """Features that follow others through a relation and are never proposed themselves."""
        return frozenset(r.completes for r in self.relations if r.completes)

    @cached_property
    def spans(self) -> Vector:
        """Unit of distance of every feature, shape (features,)."""
        return np.array([f.span for f in self.features])

    @cached_property
    def hash(self) -> str:
        """sha256 over the canonical JSON of the schema."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """The schema as plain JSON values; `from_json` reads it back to an equal schema."""
        out: dict[str, Any] = {"format": FORMAT, "features": [f.to_json() for f in self.features]}
        if self.relations:
            out["relations"] = [r.to_json() for r in self.relations]
        return out

    @classmethod
    def from_json(cls, data: Any) -> Schema:
        """Parse and check. Raises SchemaError that names the feature and key at fault; unknown keys are errors."""
        if not isinstance(data, dict) or not isinstance(data.get("features"), list):
            raise SchemaError('a schema is a JSON object with a list "features"')
        if data.get("format", FORMAT) != FORMAT:
            raise SchemaError(f"schema format {data.get('format')!r} is not known; this version reads format {FORMAT}")
        unknown = sorted(set(data) - {"format", "features", "relations"})
        if unknown:
            raise SchemaError(f"unknown key {unknown[0]!r} in the schema")
        features = tuple(_build(Feature, item, f"feature {i}") for i, item in enumerate(data["features"]))
        relations = tuple(_build(Relation, item, f"relation {i}") for i, item in enumerate(data.get("relations") or []))
        return cls(features, relations)

    @classmethod
    def load(cls, path: Path) -> Schema:
        """Read a schema file. Raises SchemaError that names the file."""
        try:
            return cls.from_json(json.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise SchemaError(f"cannot read the schema {path}: {error.strerror}") from error
        except ValueError as error:
            raise SchemaError(f"{path} is not JSON: {error}") from error


_TEXT, _NUMBER, _FLAG, _TEXTS = (str,), (int, float), (bool,), (list, tuple)
_TYPES: Mapping[str, tuple[type, ...]] = {
    "name": _TEXT, "kind": _TEXT, "label": _TEXT, "unit": _TEXT, "low": _NUMBER, "high": _NUMBER, "step": _NUMBER,
    "choices": _TEXTS, "mutable": _FLAG, "optional": _FLAG, "direction": _TEXT, "max_change": _NUMBER, "cost": _NUMBER,
    "reference": _TEXTS, "features": _TEXTS, "total": _NUMBER, "tolerance": _NUMBER, "scale": _NUMBER, "power": _NUMBER,
    "if_values": _TEXTS, "then_values": _TEXTS, "completes": _TEXT,
}  # fmt: skip


def _build(kind: type[Any], item: Any, where: str) -> Any:
    """A Feature or Relation from one JSON object, every key and type checked."""
    known = {f.name for f in fields(kind)}
    if not isinstance(item, dict):
        raise SchemaError(f"{where} is not a JSON object")
    where = f"{where} ({item.get('name', item.get('kind', '?'))})"
    for key, value in item.items():
        if key not in known:
            raise SchemaError(f"{where}: unknown key {key!r}; known are {', '.join(sorted(known))}")
        if not isinstance(value, _TYPES[key]) or (isinstance(value, bool) and _TYPES[key] is not _FLAG):
            raise SchemaError(f"{where}: {key} cannot be {value!r}")
    needed = {"name"} if kind is Feature else {"kind", "features"}
    if needed - set(item):
        raise SchemaError(f"{where}: {', '.join(sorted(needed - set(item)))} is missing")
    return kind(**{key: _freeze(key, value, where) for key, value in item.items()})


def _freeze(key: str, value: Any, where: str) -> Any:
    if not isinstance(value, list | tuple):
        return value
    wanted: tuple[type, ...] = _NUMBER if key == "reference" else _TEXT
    if not all(isinstance(v, wanted) and not isinstance(v, bool) for v in value) or (key == "reference" and len(value) != 2):
        raise SchemaError(f"{where}: {key} cannot be {value!r}")
    return tuple(value)


def spell_difference(given: Sequence[str], known: Sequence[str]) -> str:
    """How two lists of names differ, with the nearest known name for each unknown one."""
    import difflib

    parts = []
    for name in sorted(set(given) - set(known)):
        near = difflib.get_close_matches(name, known, n=1)
        parts.append(f"unknown: {name}" + (f" (did you mean {near[0]}?)" if near else ""))
    parts += [f"missing: {name}" for name in known if name not in given]
    return "; ".join(parts)
