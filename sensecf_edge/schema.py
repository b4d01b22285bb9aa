"""What a record may hold: features with units, lattices and limits, and the relations between them.

A number lives on a lattice `low, low + step, … high`; a choice on its list of choices. Inside the runtime a record is
a float64 vector in schema order, where a choice is its index in the list and an unknown value is NaN; this module is
the one home of that order and of those codes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import SchemaError
from .feature import Feature, Vector, check_name, number_text
from .relation import Relation

__all__ = ["Feature", "Relation", "Schema", "Vector", "number_text", "spell_difference"]

FORMAT = 1
LARGEST = 10**12


@dataclass(frozen=True)
class Schema:
    """The ordered features and their relations. Equal schemas have equal `hash`es, whatever file they came from.

    `horizon` says in words for what time `max_change` is meant ("four weeks"); empty where nobody said.
    """

    features: tuple[Feature, ...]
    relations: tuple[Relation, ...] = ()
    horizon: str = ""
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
        if self.horizon:
            check_name(self.horizon, "the schema's horizon")
        self._check_moved()
        _ = self.followers

    def _check_moved(self) -> None:
        for name in sorted(self.moved):
            kinds = {r.kind for r in self.relations if r.moves == name}
            if len(kinds) > 1:
                raise SchemaError(f"{name} follows from a {' and a '.join(sorted(kinds))}; let one of them only check, or leave it out")
            if self[name].never_advise:
                raise SchemaError(f"{name} is marked never_advise, so no relation may move it; leave the relation out or let it only check")

    def _check_relation(self, relation: Relation) -> None:
        for name in relation.features:
            if name not in self.index:
                raise SchemaError(f"relation {relation.words()}: no feature is called {name!r}")
        kinds = [self[name].kind for name in relation.features]
        if relation.kind != "implies":
            if "choice" in kinds:
                raise SchemaError(f"relation {relation.words()}: {relation.kind} is between numbers")
            if relation.kind == "ratio" and not (self[relation.features[2]].low or 0) > 0:
                raise SchemaError(f"relation {relation.words()}: {relation.features[2]} divides, so its low must be above 0")
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
    def moved(self) -> frozenset[str]:
        """Features that some relation moves: those completed, and effects of causes, which may be proposed as well."""
        return frozenset(r.moves for r in self.relations if r.moves)

    @cached_property
    def moved_at(self) -> list[int]:
        """Positions of what `moved` holds."""
        return sorted(self.index[name] for name in self.moved)

    @cached_property
    def followers(self) -> tuple[tuple[str, tuple[Relation, ...]], ...]:
        """What `moved` holds with the relations that move it, each behind those it reads. Raises SchemaError for a circle."""
        waiting = {n: tuple(r for r in self.relations if r.moves == n) for n in sorted(self.moved, key=self.index.__getitem__)}
        out = list[tuple[str, tuple[Relation, ...]]]()
        while waiting:
            ready = [n for n, moving in waiting.items() if not set(waiting) & ({f for r in moving for f in r.features} - {n})]
            if not ready:
                name, moving = next(iter(waiting.items()))
                raise SchemaError(f"relation {moving[0].words()}: {name} follows from itself; let one relation only check")
            out += [(n, waiting.pop(n)) for n in ready]
        return tuple(out)

    @cached_property
    def following(self) -> tuple[Relation, ...]:
        """The relations that say exactly what a feature is (sum and ratio), each behind those that complete what it reads."""
        return tuple(r for _, relations in self.followers for r in relations if r.kind in ("sum", "ratio"))

    @cached_property
    def choices(self) -> tuple[int, ...]:
        """Positions of the features that are choices."""
        return tuple(i for i, f in enumerate(self.features) if f.kind == "choice")

    @cached_property
    def spans(self) -> Vector:
        """Unit of distance of every feature, shape (features,)."""
        return np.array([f.span for f in self.features])

    @cached_property
    def furthest(self) -> Vector:
        """How far any change of a feature may count in units of distance, shape (features,): 1 for choices, else endless."""
        return np.array([1.0 if f.kind == "choice" else np.inf for f in self.features])

    @cached_property
    def lattices(self) -> Vector:
        """Every feature's lattice, shape (features, longest), filled up with NaN."""
        longest = max(len(f.lattice) for f in self.features)
        return np.array([np.append(f.lattice, np.full(longest - len(f.lattice), np.nan)) for f in self.features])

    @cached_property
    def _places(self) -> Vector:
        """First code, distance between codes and last place of every lattice, shape (3, features)."""
        out: Vector = np.array([(f.lattice[0], f.step or 1.0, len(f.lattice) - 1) for f in self.features]).T
        return out

    def nearest(self, columns: NDArray[np.intp], codes: Vector) -> NDArray[np.intp]:
        """The place in its feature's lattice that is nearest to each code, shape (codes,); any place for what is unknown."""
        first, step, last = self._places[:, columns]
        out: NDArray[np.intp] = np.fmin(np.fmax(np.rint((codes - first) / step), 0), last).astype(np.intp)
        return out

    @cached_property
    def hash(self) -> str:
        """sha256 over the canonical JSON of the schema, in which 1 and 1.0 are the same number."""
        return hashlib.sha256(json.dumps(_as_floats(self.to_json()), sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """The schema as plain JSON values; `from_json` reads it back to an equal schema."""
        out: dict[str, Any] = {"format": FORMAT, "features": [f.to_json() for f in self.features]}
        if self.relations:
            out["relations"] = [r.to_json() for r in self.relations]
        return {**out, "horizon": self.horizon} if self.horizon else out

    @classmethod
    def from_json(cls, data: Any) -> Schema:
        """Parse and check. Raises SchemaError that names the feature and key at fault; unknown keys are errors."""
        if not isinstance(data, dict) or not isinstance(data.get("features"), list):
            raise SchemaError('a schema is a JSON object with a list "features"')
        if data.get("format", FORMAT) != FORMAT:
            raise SchemaError(f"schema format {data.get('format')!r} is not known; this version reads format {FORMAT}")
        if not isinstance(data.get("relations", []), list):
            raise SchemaError('"relations" of a schema is a list')
        if not isinstance(data.get("horizon", ""), str):
            raise SchemaError('"horizon" of a schema is a text, for example "four weeks"')
        unknown = sorted(set(data) - {"format", "features", "relations", "horizon"})
        if unknown:
            raise SchemaError(f"unknown key {unknown[0]!r} in the schema")
        features = tuple(_build(Feature, item, f"feature {i}") for i, item in enumerate(data["features"]))
        relations = tuple(_build(Relation, item, f"relation {i}") for i, item in enumerate(data.get("relations", [])))
        return cls(features, relations, data.get("horizon", ""))

    @classmethod
    def load(cls, path: Path) -> Schema:
        """Read a schema file. Raises SchemaError that names the file."""
        try:
            return cls.from_json(json.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise SchemaError(f"cannot read the schema {path}: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise SchemaError(f"{path} is not JSON: {error}") from error


_TEXT, _NUMBER, _FLAG, _TEXTS = (str,), (int, float), (bool,), (list, tuple)
_TYPES: Mapping[str, tuple[type, ...]] = {
    "name": _TEXT, "kind": _TEXT, "label": _TEXT, "unit": _TEXT, "low": _NUMBER, "high": _NUMBER, "step": _NUMBER,
    "choices": _TEXTS, "mutable": _FLAG, "optional": _FLAG, "direction": _TEXT, "max_change": _NUMBER, "cost": _NUMBER,
    "reference": _TEXTS, "features": _TEXTS, "total": _NUMBER, "tolerance": _NUMBER, "scale": _NUMBER, "power": _NUMBER,
    "if_values": _TEXTS, "then_values": _TEXTS, "completes": _TEXT, "advise": _TEXTS, "never_advise": _FLAG, "error": _NUMBER,
    "slope": _NUMBER, "intercept": _NUMBER,
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
        if isinstance(value, int | float) and not -LARGEST <= value <= LARGEST:
            raise SchemaError(f"{where}: {key} must be a number of at most {LARGEST:,}")
    needed = {"name"} if kind is Feature else {"kind", "features"}
    if needed - set(item):
        raise SchemaError(f"{where}: {', '.join(sorted(needed - set(item)))} is missing")
    return kind(**{key: _freeze(key, value, where) for key, value in item.items()})


def _freeze(key: str, value: Any, where: str) -> Any:
    if not isinstance(value, list | tuple):
        return value
    pair = key in ("reference", "advise")
    wanted: tuple[type, ...] = _NUMBER if pair else _TEXT
    if not all(isinstance(v, wanted) and not isinstance(v, bool) for v in value) or (pair and len(value) != 2):
        raise SchemaError(f"{where}: {key} cannot be {value!r}")
    return tuple(value)


def _as_floats(value: Any) -> Any:
    """JSON values with every number as a float."""
    if isinstance(value, dict):
        return {k: _as_floats(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_as_floats(v) for v in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def spell_difference(given: Sequence[str], known: Sequence[str]) -> str:
    """How two lists of names differ, with the nearest known name for each unknown one."""
    import difflib

    parts = []
    for name in sorted(set(given) - set(known)):
        near = difflib.get_close_matches(name, known, n=1)
        parts.append(f"unknown: {name}" + (f" (did you mean {near[0]}?)" if near else ""))
    parts += [f"missing: {name}" for name in known if name not in given]
    return "; ".join(parts)
