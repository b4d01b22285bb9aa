"""Answers -> one row per record and method. The ruler is the same for everyone, and reads nothing but the answers.

An answer is brought to what its record may become, and what follows is computed, just as the classifier showed it to the package
(`programs.limits`). Where only the immutables were asked for, numbers are put on their steps in the same way and nothing else is
done. Where the answer is lost by that, the steps on the other side are tried, for every method alike (`steps`). What was
unknown and stays untouched is unknown again for the classifier.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from sensecf_edge.judge.classifier import OnnxChecker
from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.record import decode
from sensecf_edge.space import measure, rules

from ..evaluate.metrics import METRICS, Context
from .methods import METHODS
from .question import Questions
from .running import Run
from .steps import as_given, brought, rounded

COLUMNS = (
    "table", "method", "record", "row", "person", "class", "reached", "answered", "why", "p_factual", "p", "valid", "plausible",
    "usable", "at_goal", "same_rules", *(metric.key for metric in METRICS), "relations_broken",
    "seconds", "rows", "changed", "before", "after", "fewest", "fewest_proven", "possible",
)  # fmt: skip
"""Columns of the CSV. Names of changed features and their values are JSON lists; figures of a record without an answer are empty.
The last three are `fewest.prove`'s to fill in."""


class Ruler:
    """Everything that measures, opened once for a table."""

    def __init__(self, asked: Questions, max_changes: int) -> None:
        bundle = asked.bundle
        self.asked, self.schema, self.max_changes = asked, asked.schema, max_changes
        self.checker = OnnxChecker(bundle.classifier_bytes(), len(self.schema), bundle.manifest.target.index)
        self.context = Context.of(bundle, asked.train)

    def factuals(self) -> dict[str, float]:
        """The records as they came: how far from typical they are to begin with."""
        X = self.asked.rows
        return {metric.key: float(metric.of(self.context, X, X).mean()) for metric in METRICS if metric.typical}

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
        if answer["y"] is None:
            return row | dict.fromkeys(("valid", "plausible", "usable", "at_goal", "same_rules"), False)
        given = as_given(asked, k, answer["y"])
        way = METHODS.get(method)
        ways = rounded(self.schema, asked.rows[k], given) if way and way.pinned else brought(asked, k, given)
        return row | self._measured(k, self._best(k, ways))

    def _best(self, k: int, ways: Vector) -> Vector:
        """Of the ways in which an answer may stand on steps, the first that keeps all rules at the goal; else the first of the best."""
        asked, best, found = self.asked, (False, False, False), 0
        for j, p in enumerate(self.checker.p_target(ways)):
            if p >= asked.threshold and not best[0]:
                fine = all(self._rules(k, ways[j]))
                worth = (fine and p >= asked.goal, fine, True)
                best, found = max((best, found), (worth, j), key=lambda got: got[0])
        return np.asarray(ways[found])

    def _measured(self, k: int, y: Vector) -> dict[str, Any]:
        asked, schema, x = self.asked, self.schema, self.asked.rows[k]
        p = float(self.checker.p_target(y[None])[0])
        plausible, kept = self._rules(k, y)
        fine, at = plausible and kept, np.flatnonzero(measure.changed(x, y[None])[0])
        at_goal = p >= asked.goal and fine
        return {
            "p": p,
            "valid": p >= asked.threshold,
            "plausible": plausible,
            "usable": p >= asked.threshold and fine,
            "at_goal": at_goal,
            "same_rules": at_goal and len(rules.proposed(schema, x, y)) <= self.max_changes,
            **{metric.key: float(metric.of(self.context, x[None], y[None])[0]) for metric in METRICS},
            "relations_broken": not kept,
            "changed": json.dumps([schema.names[i] for i in at]),
            "before": json.dumps([None if np.isnan(x[i]) else decode(schema.features[i], float(x[i])) for i in at]),
            "after": json.dumps([decode(schema.features[i], float(y[i])) for i in at]),
        }

    def _rules(self, k: int, y: Vector) -> tuple[bool, bool]:
        """Whether every changed feature stays where the record may go, and whether the relations are kept.

        A column that follows others and was moved is held against its relation alone. How many features change is a figure of
        its own.
        """
        space, completed = self.asked.spaces[k], self.schema.completed
        if space is None:
            return not measure.changed(self.asked.rows[k], y[None]).any(), True
        names = [rule for rule, mask in rules.broken(space, y[None]).items() if mask[0]]
        moved = {f"{name} may not change" for name in completed}
        limits = [n for n in names if n.endswith(("may not change", "is off its admissible values", "leaves its range"))]
        return not set(limits) - moved, not any(n.startswith("breaks ") for n in names)
