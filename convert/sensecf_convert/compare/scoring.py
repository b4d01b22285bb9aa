"""Answers -> one row per record and method. The ruler is the same for everyone, and reads nothing but the answers.

A package's number is put on the feature's steps before it is measured, as a person would be told it: on the next step away
from the record's own value, because the nearest would often undo what was just enough. `valid` alone is asked of the answer
as it came. What was unknown and stays untouched is unknown again for the classifier.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from sensecf_edge import measure, rules
from sensecf_edge.check import OnnxChecker, realism
from sensecf_edge.record import decode
from sensecf_edge.schema import Schema, Vector

from ..likeness import Realism, deviations, mad_distance
from .asked import Asked
from .running import Run

SAME = 1e-9
COLUMNS = (
    "table", "method", "record", "row", "person", "class", "reached", "answered", "why", "p_factual", "p_given", "p", "valid", "plausible",
    "usable", "at_goal", "n_changed", "n_unchanged", "distance", "distance_mad", "knn_ratio", "lof_inlier", "realism", "relations_broken",
    "seconds", "rows", "changed", "before", "after", "fewest", "fewest_proven",
)  # fmt: skip
"""Columns of the CSV. Names of changed features and their values are JSON lists; figures of a record without an answer are empty.
The last two are `fewest.prove`'s to fill in."""


class Ruler:
    """Everything that measures, opened once for a table."""

    def __init__(self, asked: Asked) -> None:
        bundle = asked.bundle
        self.asked, self.schema = asked, asked.schema
        self.checker = OnnxChecker(bundle.classifier_bytes(), len(self.schema), bundle.manifest.target.index)
        self.density = realism(bundle)
        self.real = Realism(asked.train)
        self.scale = deviations(bundle)

    def factuals(self) -> dict[str, float]:
        """The records as they came: how far from typical they are to begin with."""
        X = self.asked.rows
        return {"knn_ratio": float(self.real.knn_ratio(X).mean()), "lof_inliers": float(self.real.lof_inliers(X).mean()),
                "realism": float(self.density.percentile(X).mean())}  # fmt: skip

    def rows(self, method: str, run: Run) -> list[dict[str, Any]]:
        """One row for each record asked."""
        return [self._row(method, k, answer) for k, answer in enumerate(run.answers)]

    def _row(self, method: str, k: int, answer: dict[str, Any]) -> dict[str, Any]:
        asked, wanted = self.asked, self.asked.bundle.manifest.target
        row: dict[str, Any] = {
            "table": asked.bundle.name,
            "method": method,
            "record": k,
            "row": int(asked.places[k]),
            "person": int(asked.persons[k]),
            "class": wanted.wanted if asked.labels[k] else wanted.unwanted,
            "reached": answer["seconds"] is not None,
            "answered": answer["y"] is not None,
            "why": answer["why"],
            "p_factual": float(asked.p[k]),
            "seconds": answer["seconds"],
            "rows": answer["rows"],
        }
        given = None if answer["y"] is None else as_given(asked, k, answer["y"])
        return row | (self._measured(k, given) if given is not None else dict.fromkeys(("valid", "plausible", "usable", "at_goal"), False))

    def _measured(self, k: int, given: Vector) -> dict[str, Any]:
        asked, schema, x = self.asked, self.schema, self.asked.rows[k]
        y = rounded(schema, x, given, asked.low[k], asked.high[k])
        p_given, p = self.checker.p_target(np.stack([given, y]))
        plausible, kept = self._rules(k, y)
        Y = y[None]
        n = int(measure.sparsity(x, Y)[0])
        at = np.flatnonzero(measure.changed(x, Y)[0])
        return {
            "p_given": float(p_given),
            "p": float(p),
            "valid": bool(p_given >= asked.threshold),
            "plausible": plausible,
            "usable": bool(p >= asked.threshold) and plausible,
            "at_goal": bool(p >= asked.goal) and plausible,
            "n_changed": n,
            "n_unchanged": len(schema) - n,
            "distance": float(measure.proximity(schema, x, Y)[0]),
            "distance_mad": float(mad_distance(schema, self.scale, x, Y)[0]),
            "knn_ratio": float(self.real.knn_ratio(Y)[0]),
            "lof_inlier": bool(self.real.lof_inliers(Y)[0]),
            "realism": float(self.density.percentile(Y)[0]),
            "relations_broken": not kept,
            "changed": json.dumps([schema.names[i] for i in at]),
            "before": json.dumps([None if np.isnan(x[i]) else decode(schema.features[i], float(x[i])) for i in at]),
            "after": json.dumps([decode(schema.features[i], float(y[i])) for i in at]),
        }

    def _rules(self, k: int, y: Vector) -> tuple[bool, bool]:
        """Whether every changed feature stays where the record may go, and whether the relations are kept.

        The number of changes and the relations are not part of plausibility: they have figures of their own.
        """
        space = self.asked.spaces[k]
        if space is None:
            return not measure.changed(self.asked.rows[k], y[None]).any(), True
        names = [rule for rule, mask in rules.broken(space, y[None]).items() if mask[0]]
        relations = [n for n in names if n.startswith("breaks ")]
        limits = [n for n in names if n.endswith(("may not change", "is off its admissible values", "leaves its range"))]
        return not limits, not relations


def as_given(asked: Asked, k: int, y: list[float | None]) -> Vector:
    """A method's answer for record k as it came, with what was unknown and stays untouched unknown again, shape (features,)."""
    given = np.array([np.nan if v is None else v for v in y])
    untouched = np.isnan(given) | (np.abs(given - asked.filled[k]) <= SAME)
    out: Vector = np.where(untouched, asked.rows[k], given)
    return out


def rounded(schema: Schema, x: Vector, given: Vector, low: Vector, high: Vector) -> Vector:
    """An answer's changed numbers on their steps, choices on a place; what does not change stays exact. All shape (features,).

    A number between two steps goes to the one further from x, unless that leaves low to high.
    """
    y = given.copy()
    for i in np.flatnonzero(measure.changed(x, given[None])[0]):
        feature = schema.features[i]
        if feature.name in schema.completed:
            continue
        y[i] = nearest = feature.lattice[feature.nearest(float(given[i]))]
        if feature.kind == "number" and abs(nearest - given[i]) > SAME:
            up = given[i] > x[i]
            within = feature.lattice[(feature.lattice >= low[i] - SAME) & (feature.lattice <= high[i] + SAME)]
            beyond = within[within >= given[i]][:1] if up else within[within <= given[i]][-1:]
            y[i] = beyond[0] if beyond.size else nearest
        if abs(y[i] - x[i]) <= SAME:
            y[i] = x[i]
    return y
