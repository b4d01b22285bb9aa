"""The question every method is asked: unseen people in the unwanted class, what may change and how far, and training rows."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import sensecf_edge
from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.errors import ConstraintError, TableError
from sensecf_edge.generators.choice import Choice
from sensecf_edge.generators.opening import identity
from sensecf_edge.judge.classifier import OnnxChecker
from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.schema import Schema
from sensecf_edge.settings import LOOP
from sensecf_edge.space.admissible import Admissible, admissible

from ..table.cohort import Cohort
from ..table.imputation import imputed_values
from .programs.asked import SAFE


@dataclass(frozen=True)
class Options:
    """What decides the answers beside bundle and table. `seconds` of processor time limit a record, `minutes` by the clock a method.

    With `shift`, packages that cannot be asked for a probability are shown a classifier whose 0.5 is the goal. `max_changes`
    is ours to keep: the packages know no such limit. `final`: people of the final part instead of the test part. `generator`: who
    proposes in our methods, instead of the bundle's own.
    """

    limit: int | None = None
    seed: int = LOOP.seed
    seconds: float = 5.0
    minutes: float = 30.0
    shift: bool = False
    max_changes: int = LOOP.max_changes
    final: bool = False
    generator: Choice = field(default_factory=Choice)

    def of(self, own: bool) -> dict[str, Any]:
        """What of it decides the answers of our own methods, or of the packages."""
        apart = {"generator"} if own else {"generator", "max_changes"}
        who = {"generator": identity(self.generator)} if own and self.generator != Choice() else {}
        return {**{k: v for k, v in asdict(self).items() if k not in apart}, **who}


@dataclass(frozen=True)
class Questions:
    """The records and what may change in them.

    rows      codes as they came, shape (records, features), NaN unknown
    filled    the same for methods that take no unknown values: the classifier is given what it would put there itself
    spaces    what each record may change to; None where its own values leave nothing to change
    low, high, vary   ranges and what may vary, shape (records, features): what follows others is computed, so it may not vary
    labels    True where the person's recorded class is the wanted one (the classifier is wrong about them)
    persons   a number for each record's person; every row its own where the table names none
    places    each record's row among the people asked
    named     whether the table says whose row is whose
    """

    bundle: Bundle
    train: Cohort
    rows: Vector
    filled: Vector
    p: Vector
    spaces: list[Admissible | None]
    low: Vector
    high: Vector
    vary: NDArray[np.bool_]
    labels: NDArray[np.bool_]
    persons: NDArray[np.intp]
    places: NDArray[np.intp]
    goal: float
    named: bool = False

    @property
    def schema(self) -> Schema:
        """The bundle's schema."""
        return self.bundle.schema

    @property
    def threshold(self) -> float:
        """The classifier's own threshold."""
        return self.bundle.manifest.target.threshold

    @property
    def moved(self) -> list[str]:
        """Names of the features that may vary in some record."""
        return [self.schema.names[i] for i in np.flatnonzero(self.vary.any(axis=0))]


def questions_of(bundle: Bundle, train: Cohort, test: Cohort, limit: int | None, seed: int | None = None) -> Questions:
    """At most `limit` records in the unwanted class, drawn by `seed`; the first ones without it. Raises TableError for none."""
    target, schema = bundle.manifest.target, bundle.schema
    checker = OnnxChecker(bundle.classifier_bytes(), len(schema), target.index)
    p = checker.p_target(test.X)
    at = np.flatnonzero(p < target.threshold)
    if not len(at):
        raise TableError(f"the classifier of {bundle.name} puts no unseen person of the table in the unwanted class; nothing to compare")
    at = at[:limit] if seed is None else drawn(at, test.persons[at], limit, seed)
    rows = test.X[at]
    spaces = [_space(schema, x) for x in rows]
    low, high, vary = _ranges(rows, spaces)
    _, persons = np.unique(test.persons[at], return_inverse=True)
    goal = target.threshold + min(LOOP.margin, (1.0 - target.threshold) / 2)
    filled = np.where(np.isnan(rows), imputed_values(train), rows)
    return Questions(bundle, train, rows, filled, p[at], spaces, np.where(vary, low, filled), np.where(vary, high, filled), vary,
                 test.y[at], persons, at, goal, test.named)  # fmt: skip


def drawn(at: NDArray[np.intp], persons: NDArray[np.str_], limit: int | None, seed: int) -> NDArray[np.intp]:
    """At most `limit` of the rows `at`, ascending, shape (rows,): people in an order of chance, one row of each before a second of any."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(at))
    _, person = np.unique(persons, return_inverse=True)
    turn, seen = np.empty(len(at), dtype=np.intp), dict[int, int]()
    for k in order:
        turn[k] = seen[person[k]] = seen.get(person[k], -1) + 1
    rank = np.argsort(order)
    return np.sort(at[np.lexsort((rank, turn))[:limit]])


def _space(schema: Schema, x: Vector) -> Admissible | None:
    try:
        return admissible(Record(schema, x))
    except ConstraintError:
        return None


def _ranges(rows: Vector, spaces: list[Admissible | None]) -> tuple[Vector, Vector, NDArray[np.bool_]]:
    """What each feature of each record may move between, its present value included; and whether it may move."""
    low, high = rows.copy(), rows.copy()
    vary = np.zeros(rows.shape, dtype=bool)
    for k, space in enumerate(spaces):
        for i, values in enumerate(space.values if space else ()):
            if values.size:
                low[k, i], high[k, i] = min(rows[k, i], values[0]), max(rows[k, i], values[-1])
                vary[k, i] = True
    return low, high, vary


def pinned(asked: Questions) -> Questions:
    """The same records with the immutables pinned and nothing else: every other known feature may be all that a record may hold."""
    schema, rows = asked.schema, asked.rows
    vary = np.array([f.mutable for f in schema.features]) & ~np.isnan(rows)
    ends = np.array([f.lattice[[0, -1]] for f in schema.features])
    low, high = np.fmin(ends[:, 0], asked.filled), np.fmax(ends[:, 1], asked.filled)
    return replace(asked, low=np.where(vary, low, asked.filled), high=np.where(vary, high, asked.filled), vary=vary)


def write(asked: Questions, folder: Path, options: Options, shifted: bool, pin: bool = False) -> None:
    """The question as files that any environment can read: no pickle. `shifted`: this method's 0.5 is the goal. `pin`: it is told
    of the immutables alone."""
    asked = pinned(asked) if pin else asked
    schema, target = asked.schema, asked.bundle.manifest.target
    plain: dict[str, Any] = {
        "names": list(schema.names),
        "kinds": [f.kind for f in schema.features],
        "steps": [[f.step or 1.0, f.low or 0.0] for f in schema.features],
        "spans": schema.spans.tolist(),
        "choices": [len(f.choices) for f in schema.features],
        "allowed": [_allowed(asked, k, pin) for k in range(len(asked.rows))],
        "pinned": pin,
        "schema": schema.to_json(),
        "runtime": str(Path(sensecf_edge.__file__).parent),
        "linear": _linear(schema),
        "wanted": target.index,
        "turn": asked.goal + SAFE if shifted else asked.threshold,
        "goal": asked.goal + SAFE,
        "seconds": options.seconds,
        "seed": options.seed,
        "max_changes": options.max_changes,
        "bundle": str(asked.bundle.folder),
        "generator": asdict(options.generator),
    }
    (folder / "question.json").write_text(json.dumps(plain), encoding="utf-8")
    train = np.where(np.isnan(asked.train.X), imputed_values(asked.train), asked.train.X)
    np.savez(folder / "question.npz", X=train, y=asked.train.y.astype(int), records=asked.filled, low=asked.low, high=asked.high,
             vary=asked.vary, exact=asked.rows)  # fmt: skip
    (folder / "classifier.onnx").write_bytes(asked.bundle.classifier_bytes())


def _allowed(asked: Questions, k: int, pin: bool) -> list[list[int]]:
    """For every feature the codes a choice may have, the present one among them; empty for numbers."""
    space, out = asked.spaces[k], []
    for i, feature in enumerate(asked.schema.features):
        codes = {int(asked.filled[k, i])} if feature.kind == "choice" else set()
        if feature.kind == "choice" and asked.vary[k, i]:
            codes |= set(range(len(feature.choices))) if pin or space is None else {int(v) for v in space.values[i]}
        out.append(sorted(codes))
    return out


def _linear(schema: Schema) -> list[dict[str, Any]]:
    """The relations that are linear, for methods that take those: coefficients by feature, operator, right-hand side."""
    out: list[dict[str, Any]] = []
    for relation in schema.relations:
        at = [schema.index[n] for n in relation.features]
        if relation.kind == "sum":
            out.append({"coefficients": [[i, 1.0] for i in at], "op": "==", "rhs": relation.total, "tolerance": relation.tolerance})
        elif relation.kind == "le":
            out.append({"coefficients": [[at[0], 1.0], [at[1], -(relation.slope or 1.0)]], "op": "<=", "rhs": relation.intercept})
        elif relation.kind not in ("ratio", "implies", "band", "causes"):  # which they cannot be told
            raise NotImplementedError(f"whether {relation.kind} is linear")
    return out
