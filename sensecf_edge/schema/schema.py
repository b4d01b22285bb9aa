"""What a record may hold: features with units, lattices and limits, and the relations between them.

A number lives on a lattice `low, low + step, … high`; a choice on its list of choices. Inside the runtime a record is
a float64 vector in schema order, where a choice is its index in the list and an unknown value is NaN; this module is
the one home of that order and of those codes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SchemaError
from .feature import Feature, Vector, name_fault, readable
from .parsing import LooseJsonError, built, key_fault, short, strict
from .relation import Relation

FORMAT = 1


@dataclass(frozen=True)
class Schema:
    """The ordered features and their relations. Equal schemas have equal `hash`es, whatever file they came from.

    `horizon` says in words for what time `max_change` is meant ("four weeks"); empty where nobody said. `base_rate` is the
    share (0..1) of people with the unwanted class where the model is used; None where nobody said.
    """

    features: tuple[Feature, ...]
    relations: tuple[Relation, ...] = ()
    horizon: str = ""
    base_rate: float | None = None
    index: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        known, names = {f.name: f for f in self.features}, [f.name for f in self.features]
        faults = [*_name_faults(names), *_own_faults(self.horizon, self.base_rate), *_relation_faults(known, names, self.relations)]
        faults += _whom_faults(known, names)
        if faults:
            raise SchemaError(*faults)
        object.__setattr__(self, "index", {n: i for i, n in enumerate(names)})
        faults = list(self._moved_faults())
        if faults:
            raise SchemaError(*faults)
        _ = self.followers

    def _moved_faults(self) -> Iterator[str]:
        for name in sorted(self.moved):
            kinds = {r.kind for r in self.relations if r.moves == name}
            if len(kinds) > 1:
                yield f"{name} follows from a {' and a '.join(sorted(kinds))}; let one of them only check, or leave it out"
            if self[name].never_advise:
                yield f"{name} is marked never_advise, so no relation may move it; leave the relation out or let it only check"
            elif not self[name].mutable:
                yield f'{name} follows others and is marked "mutable": false, which would freeze those as well; leave the mark out'

    def __hash__(self) -> int:
        return hash(self.names)  # caches are asked for a schema in every batch; equal ones have equal names

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
                raise SchemaError(f"relation {moving[0].sentence()}: {name} follows from itself; let one relation only check")
            out += [(n, waiting.pop(n)) for n in ready]
        return tuple(out)

    @cached_property
    def following(self) -> tuple[Relation, ...]:
        """The relations that say exactly what a feature is (sum and ratio), each behind those that complete what it reads."""
        return tuple(r for _, relations in self.followers for r in relations if r.exact)

    @cached_property
    def choices(self) -> tuple[int, ...]:
        """Positions of the features that are choices."""
        return tuple(i for i, f in enumerate(self.features) if f.kind == "choice")

    @cached_property
    def spans(self) -> Vector:
        """Unit of distance of every feature, shape (features,)."""
        return np.array([f.span for f in self.features])

    @cached_property
    def largest_steps(self) -> Vector:
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
        if self.horizon:
            out["horizon"] = self.horizon
        return out if self.base_rate is None else {**out, "base_rate": self.base_rate}

    @classmethod
    def from_json(cls, data: Any) -> Schema:
        """Parse and check. Raises SchemaError with every fault, feature and key named; unknown keys are errors."""
        if not isinstance(data, dict) or not isinstance(data.get("features"), list):
            raise SchemaError('a schema is a JSON object with a list "features"')
        if data.get("format", FORMAT) != FORMAT:
            raise SchemaError(f"schema format {data.get('format')!r} is not known; this version reads format {FORMAT}")
        if not isinstance(data.get("relations", []), list):
            raise SchemaError('"relations" of a schema is a list')
        items, stated = data["features"], {key: data[key] for key in ("horizon", "base_rate") if key in data}
        features, faults = built(Feature, items, ("name",))
        relations, more = built(Relation, data.get("relations", []), ("kind", "features"))
        unknown = [key for key in data if key not in {"format", "features", "relations", *stated}]
        faults = [*(f"unknown key {short(key)} in the schema" for key in unknown), *faults, *more]
        for key, value in stated.items():
            fault = key_fault(key, value)
            faults += [f"the schema's {fault}"] if fault else list(_own_faults(**{key: value}))
        if faults:
            names = [item["name"] for item in items if isinstance(item, dict) and isinstance(item.get("name"), str)]
            known = {f.name: f for f in features if f is not None}
            faults += [*_name_faults(names), *_relation_faults(known, names, [r for r in relations if r is not None])]
            faults += _whom_faults(known, names)
            raise SchemaError(*faults)
        return cls(tuple(features), tuple(relations), **stated)

    @classmethod
    def load(cls, path: Path) -> Schema:
        """Read a schema file. Raises SchemaError that names the file and every fault."""
        try:
            return cls.from_json(strict(path.read_text(encoding="utf-8-sig")))
        except OSError as error:
            raise SchemaError(f"cannot read the schema {path}: {error.strerror}") from error
        except LooseJsonError as error:
            within = f" in {error.within}" if error.within else ""
            raise SchemaError(f"{error}{within}; {error.remedy}", where=str(path)) from error
        except (ValueError, RecursionError) as error:
            raise SchemaError(f"{path} is not JSON: {error}") from error
        except SchemaError as error:
            raise SchemaError(*error.faults, where=str(path)) from error


def _own_faults(horizon: str = "", base_rate: float | None = None) -> Iterator[str]:
    if horizon and (fault := name_fault(horizon, "the schema's horizon")):
        yield fault
    if base_rate is not None and not 0 < base_rate < 1:
        yield f"base_rate is the share of people with the unwanted class, above 0 and under 1, not {readable(base_rate)}"


def _name_faults(names: Sequence[str]) -> Iterator[str]:
    if not names:
        yield "the schema has no features"
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        yield f"the schema names {', '.join(twice)} more than once"


def _whom_faults(known: Mapping[str, Feature], names: Sequence[str]) -> Iterator[str]:
    """What is wrong with `advise_if` beside the features; those that are at fault themselves are in `names` alone."""
    for feature in known.values():
        for name, among in feature.advise_if:
            other, where = known.get(name), f"feature {feature.name!r}: advise_if"
            if name not in names:
                yield f"{where} names {name!r}, which is no feature"
            elif other is not None and other.kind == "choice":
                never = [part for part in among if part not in other.choices]
                if never:
                    yield f"{where}: {name} is never {', '.join(map(short, never))}; it is {other.allowed()}"
            elif other is not None and (isinstance(among[0], str) or not (other.low or 0) <= among[0] <= among[1] <= (other.high or 0)):
                yield f"{where} needs [low, high] inside {other.allowed()} for {name}, not {short(list(among))}"


def _relation_faults(known: Mapping[str, Feature], names: Sequence[str], relations: Sequence[Relation]) -> Iterator[str]:
    """What is wrong with relations beside the features; those that are at fault themselves are in `names` alone."""
    for relation in relations:
        for fault in _relation_fault(known, names, relation):
            yield f"relation {relation.sentence()}: {fault}"
    completed = [r.completes for r in relations if r.completes]
    if len(set(completed)) != len(completed):
        yield "two relations complete the same feature; let one of them only check"


def _relation_fault(known: Mapping[str, Feature], names: Sequence[str], relation: Relation) -> Iterator[str]:
    unknown = [name for name in relation.features if name not in names]
    yield from (f"no feature is called {name!r}" for name in unknown)
    features = [known.get(name) for name in relation.features]
    if relation.kind not in NEEDS:
        raise NotImplementedError(f"what a schema must hold for {relation.kind}")
    yield from NEEDS[relation.kind](relation, features)


def _numbers(relation: Relation, features: Sequence[Feature | None]) -> Iterator[str]:
    if any(f is not None and f.kind == "choice" for f in features):
        yield f"{relation.kind} is between numbers"


def _divisible(relation: Relation, features: Sequence[Feature | None]) -> Iterator[str]:
    faults = list(_numbers(relation, features))
    yield from faults
    if not faults and (below := features[2]) is not None and not (below.low or 0) > 0:
        yield f"{below.name} divides, so its low must be above 0"


def _possible(relation: Relation, features: Sequence[Feature | None]) -> Iterator[str]:
    for feature, values in zip(features, (relation.if_values, relation.then_values), strict=True):
        never = [] if feature is None else [v for v in values if v not in feature.texts]
        if feature is not None and never:
            yield f"{feature.name} is never {', '.join(never)}"


NEEDS = {"sum": _numbers, "ratio": _divisible, "le": _numbers, "implies": _possible, "band": _numbers, "causes": _numbers}
"""What a schema must hold for each kind of relation; NotImplementedError for one that is not here."""


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
