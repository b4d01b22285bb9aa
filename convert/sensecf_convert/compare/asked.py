"""The question every method is asked: unseen people in the unwanted class, what may change and how far, and training rows."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensecf_edge.admissible import Admissible, Constraints, admissible, reach
from sensecf_edge.bundle import Bundle
from sensecf_edge.check import OnnxChecker
from sensecf_edge.errors import ConstraintError, TableError
from sensecf_edge.record import Record
from sensecf_edge.schema import Schema, Vector
from sensecf_edge.settings import LOOP

from ..peer_programs.asked import SAFE
from ..stand_ins import stand_ins
from ..tables import Cohort


@dataclass(frozen=True)
class Options:
    """What decides the answers beside bundle and table. `seconds` of processor time limit a record, `minutes` by the clock a method.

    With `shift`, packages that cannot be asked for a probability are shown a classifier whose 0.5 is the goal. `max_changes`
    is ours to keep: the packages know no such limit.
    """

    limit: int | None = None
    seed: int = LOOP.seed
    seconds: float = 5.0
    minutes: float = 30.0
    shift: bool = False
    max_changes: int = LOOP.max_changes

    def of(self, own: bool) -> dict[str, Any]:
        """What of it decides the answers of our own methods, or of the packages."""
        return asdict(self) if own else {k: v for k, v in asdict(self).items() if k != "max_changes"}


@dataclass(frozen=True)
class Asked:
    """The records and what may change in them.

    rows      codes as they came, shape (records, features), NaN unknown
    filled    the same for methods that take no unknown values: the classifier is given what it would put there itself
    spaces    what each record may change to; None where its own values leave nothing to change
    low, high, vary   ranges and what may vary, shape (records, features)
    labels    True where the person's recorded class is the wanted one (the classifier is wrong about them)
    persons   a number for each record's person
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

    @property
    def schema(self) -> Schema:
        """The bundle's schema."""
        return self.bundle.schema

    @property
    def threshold(self) -> float:
        """The classifier's own threshold."""
        return self.bundle.manifest.target.threshold


def ask(bundle: Bundle, train: Cohort, test: Cohort, limit: int | None) -> Asked:
    """The first `limit` unseen records in the unwanted class. Raises TableError where there is none."""
    target, schema = bundle.manifest.target, bundle.schema
    checker = OnnxChecker(bundle.classifier_bytes(), len(schema), target.index)
    p = checker.p_target(test.X)
    at = np.flatnonzero(p < target.threshold)[:limit]
    if not len(at):
        raise TableError(f"the classifier of {bundle.name} puts no unseen person of the table in the unwanted class; nothing to compare")
    rows = test.X[at]
    spaces = [_space(schema, x) for x in rows]
    low, high, vary = _ranges(schema, rows, spaces)
    _, persons = np.unique(test.persons[at], return_inverse=True)
    goal = target.threshold + min(LOOP.margin, (1.0 - target.threshold) / 2)
    filled = np.where(np.isnan(rows), stand_ins(train), rows)
    return Asked(bundle, train, rows, filled, p[at], spaces, np.where(vary, low, filled), np.where(vary, high, filled), vary,
                 test.y[at], persons, at, goal)  # fmt: skip


def _space(schema: Schema, x: Vector) -> Admissible | None:
    try:
        return admissible(Record(schema, x))
    except ConstraintError:
        return None


def _ranges(schema: Schema, rows: Vector, spaces: list[Admissible | None]) -> tuple[Vector, Vector, NDArray[np.bool_]]:
    """What each feature of each record may move between, its present value included; and whether it may move."""
    low, high = rows.copy(), rows.copy()
    vary = np.zeros(rows.shape, dtype=bool)
    for k, space in enumerate(spaces):
        if space is None:
            continue
        for i, values in enumerate(space.values):
            if values.size:
                low[k, i], high[k, i] = min(rows[k, i], values[0]), max(rows[k, i], values[-1])
                vary[k, i] = True
            elif schema.names[i] in schema.completed and not np.isnan(rows[k, i]):
                low[k, i], high[k, i] = _following(schema, i, float(rows[k, i]))
                vary[k, i] = low[k, i] < high[k, i]
    return low, high, vary


def _following(schema: Schema, i: int, now: float) -> tuple[float, float]:
    """A feature that follows others in ours is a column like any other to the packages: its own limits hold."""
    feature = schema.features[i]
    ends = feature.reference or (feature.low or 0.0, feature.high or 0.0)
    near, far = reach(feature, now, Constraints())
    return max(near, min(ends[0], now)), min(far, max(ends[1], now))


def write(asked: Asked, folder: Path, options: Options, shifted: bool) -> None:
    """The question as files that any environment can read: no pickle. `shifted`: this method's 0.5 is the goal."""
    schema, target = asked.schema, asked.bundle.manifest.target
    plain: dict[str, Any] = {
        "names": list(schema.names),
        "kinds": [f.kind for f in schema.features],
        "steps": [[f.step or 1.0, f.low or 0.0] for f in schema.features],
        "spans": schema.spans.tolist(),
        "choices": [len(f.choices) for f in schema.features],
        "allowed": [_allowed(asked, k) for k in range(len(asked.rows))],
        "linear": _linear(schema),
        "wanted": target.index,
        "turn": asked.goal + SAFE if shifted else asked.threshold,
        "goal": asked.goal + SAFE,
        "seconds": options.seconds,
        "seed": options.seed,
        "max_changes": options.max_changes,
        "bundle": str(asked.bundle.folder),
    }
    (folder / "question.json").write_text(json.dumps(plain), encoding="utf-8")
    train = np.where(np.isnan(asked.train.X), stand_ins(asked.train), asked.train.X)
    np.savez(folder / "question.npz", X=train, y=asked.train.y.astype(int), records=asked.filled, low=asked.low, high=asked.high,
             vary=asked.vary, exact=asked.rows)  # fmt: skip
    (folder / "classifier.onnx").write_bytes(asked.bundle.classifier_bytes())


def _allowed(asked: Asked, k: int) -> list[list[int]]:
    """For every feature the codes a choice may have, the present one among them; empty for numbers."""
    space, out = asked.spaces[k], []
    for i, feature in enumerate(asked.schema.features):
        codes = {int(asked.filled[k, i])} if feature.kind == "choice" else set()
        if feature.kind == "choice" and space is not None:
            codes |= {int(v) for v in space.values[i]}
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
    return out
