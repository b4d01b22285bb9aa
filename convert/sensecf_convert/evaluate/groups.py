"""For whom a classifier was measured: its AUC and how true its risks are, group by group of unseen people.

Groups are sexes, bands of age, and whatever features the schema marks with `group`: a choice has a group for each of its values,
a number three bands of about as many training rows each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensecf_edge.answer.basis import Group
from sensecf_edge.answer.risk import RiskScale
from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.bundle.risk_scale import scale_of
from sensecf_edge.judge.classifier import OnnxChecker
from sensecf_edge.judge.reasons import risks
from sensecf_edge.report.phrases import auc_text
from sensecf_edge.schema.feature import Feature, Vector, number_text
from sensecf_edge.schema.schema import Schema

from .. import statistics
from ..classifier.calibration import rounded
from ..presentation.numbers import percent
from ..table.cohort import Cohort

UNASKED = {"sex", "gender", "age"}
"""Names of features that groups are made of without a mark in the schema."""
BANDS = 3
LEAST_ROWS = 10
"""Rows below which a group is left out: its figures would be single people's."""

Rows = NDArray[np.bool_]


def measured(bundle: Bundle, train: Cohort, part: Cohort) -> list[dict[str, Any]]:
    """The groups of a part of people, as plain JSON for the manifest. `train` says only where bands of numbers end."""
    manifest = bundle.manifest
    p = OnnxChecker(bundle.classifier_bytes(), len(bundle.schema), manifest.target.index).p_target(part.X)
    scale, out = scale_of(manifest), list[dict[str, Any]]()
    for feature in asked(bundle.schema):
        column = bundle.schema.index[feature.name]
        for label, low, high, rows in _groups(feature, train.X[:, column], part.X[:, column]):
            if rows.sum() >= LEAST_ROWS:
                out.append(rounded(asdict(_figures(feature.name, label, low, high, part.take(rows), p[rows], scale))))
    return out


def asked(schema: Schema) -> list[Feature]:
    """The features that groups are made of."""
    return [f for f in schema.features if f.group or f.name.casefold() in UNASKED]


def _groups(feature: Feature, train: Vector, part: Vector) -> Iterator[tuple[str, float | None, float | None, Rows]]:
    """Label, ends of a band, and which rows are of the group."""
    if feature.kind == "choice":
        for code, choice in enumerate(feature.choices):
            yield choice, None, None, part == code
        return
    inner = np.quantile(train[~np.isnan(train)], np.arange(1, BANDS) / BANDS) if not np.isnan(train).all() else np.empty(0)
    edges = [None, *sorted({float(feature.lattice[feature.nearest(edge)]) for edge in inner}), None]
    for low, high in pairwise(edges):
        rows = ~np.isnan(part) & (part > (-np.inf if low is None else low)) & (part <= (np.inf if high is None else high))
        yield _band(low, high), low, high, rows


def _band(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return "any value"
    if low is None or high is None:
        return f"over {number_text(low)}" if low is not None else f"up to {number_text(high or 0.0)}"
    return f"over {number_text(low)} up to {number_text(high)}"


def _figures(name: str, label: str, low: float | None, high: float | None, part: Cohort, p: Vector, scale: RiskScale) -> Group:
    auc = statistics.statistic(lambda persons, W: statistics.auc(part.y, p, persons, W), part.persons)
    seen = statistics.share(~part.y, part.persons)
    assert seen is not None  # a group has rows
    ends = (auc["low"], auc["high"]) if auc["value"] is not None else (None, None)
    return Group(
        name, label, len(part), float(risks(scale, p).mean()), seen["value"], low, high, part.people,
        auc["value"], ends[0], ends[1], seen["low"], seen["high"],
    )  # fmt: skip


def markdown(groups: list[dict[str, Any]], schema: Schema | None, unit: str) -> str:
    """A table for the card."""
    lines = [f"| | {unit} | AUC | risk told, mean | seen |", "|---|---|---|---|---|"]
    for one in groups:
        g = Group(**one)
        title = schema[g.feature].title if schema is not None and g.feature in schema.index else g.feature
        auc = "one class only" if g.auc is None else auc_text(g.auc, 3) + _ends(g.auc_low, g.auc_high, lambda v: f"{v:.3f}")
        many = f"{g.rows:,}" if g.people is None else f"{g.people:,} ({g.rows:,} rows)"
        seen = percent(g.seen) + _ends(g.seen_low, g.seen_high, percent)
        lines.append(f"| {title}: {g.label} | {many} | {auc} | {percent(g.told)} | {seen} |")
    return "\n".join(lines)


def text(groups: list[dict[str, Any]], schema: Schema) -> str:
    """The same as lines for a terminal."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in markdown(groups, schema, "rows").splitlines()]
    del rows[1]
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return "\n".join("  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def _ends(low: float | None, high: float | None, text: Any) -> str:
    return "; too few people for an interval" if low is None or high is None else f" ({text(low)} to {text(high)})"
