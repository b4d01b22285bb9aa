"""The generator's first tries beside baselines, on the same records: validity, changes, distance, realism, rows of the classifier."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensecf_edge.answer.result import Explanation
from sensecf_edge.explain import Explainer
from sensecf_edge.judge.objective import Judge
from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.record import Record
from sensecf_edge.search.found import with_changes
from sensecf_edge.settings import LOOP
from sensecf_edge.space import measure
from sensecf_edge.space.admissible import admissible
from sensecf_edge.space.constraints import Constraints

from .. import statistics
from ..presentation.numbers import percent, plain
from .methods import NAMES, answer
from .usage import Usage

SAME = 1e-6
GENERATOR, LOOP_NAME = "generator", "whole loop"
WORDS = {
    GENERATOR: "generator, greedy",
    "additive": "additive, one batch",
    "chance": "chance, one draw",
    "search": "search, no generator",
    LOOP_NAME: "whole loop",
}
HEADS = ("", "valid", "usable", "changed", "Gower", "realism", "classifier rows")


@dataclass
class _Tried:
    """What one way handed over for each record, and what it asked of the classifier for it."""

    answers: list[Vector | None] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)

    def add(self, answer: Vector | None, rows: int) -> None:
        self.answers.append(answer)
        self.rows.append(rows)


def first_tries_compared(
    explainer: Explainer, rows: Vector, answers: Sequence[Explanation | None], possible: Sequence[tuple[bool, bool, bool]], usage: Usage,
    persons: Any = None, report: Callable[[float, str], None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The table of all ways over the records of `rows`, shape (records, features); see `_figures`.

    `answers` are the loop's and `usage` what it took for them; `possible` says of each record whether p >= threshold and
    p >= goal can be reached. `persons`: whose each record is, shape (records,); without it each is a person's of its own.
    """
    tried = {name: _Tried() for name in (GENERATOR, *NAMES, LOOP_NAME)}
    spent = iter(usage.rows)
    for k, (x, e) in enumerate(zip(rows, answers, strict=True)):
        tried[GENERATOR].add(_first(explainer, x, e), 1 if e else 0)  # the prompt states the record's own p
        for name in NAMES:
            made = answer(name, explainer.checker, explainer.schema, x, explainer.goal, realism=explainer.realism, seed=LOOP.seed)
            tried[name].add(*made)
        found = with_changes(explainer.schema, x, e.found[0].changes) if e and e.found else None
        tried[LOOP_NAME].add(found, next(spent))
        if report:
            report((k + 1) / len(rows), f"{k + 1} of {len(rows)} records: baselines")
    whose = np.arange(len(rows)) if persons is None else np.asarray(persons)
    figures = _figures(explainer, rows, tried, np.array(possible, dtype=bool).reshape(-1, 3), whose)
    return figures | {"loop": usage.figures(), "search_beside_loop": _duel(explainer, rows, tried["search"], tried[LOOP_NAME])}


def _first(explainer: Explainer, x: Vector, e: Explanation | None) -> Vector | None:
    """The greedy proposal, where it could be read and keeps the rules."""
    first = e.first_try if e else None
    return with_changes(explainer.schema, x, first.changes) if first and first.p_target is not None else None


def _figures(explainer: Explainer, rows: Vector, tried: Mapping[str, _Tried], possible: NDArray[np.bool_], persons: Any) -> dict[str, Any]:
    """JSON-ready.

    valid, usable    records whose answer has p >= threshold, p >= goal, of those of which one exists: `of_valid`, `of_usable`
    n_changed, distance, realism   means over the valid answers to the `common` records: those that all ways but chance answer
                     validly. Chance: over those of them that it answers
    rows             asked of the classifier for a record, mean over all asked; what tells whether an answer is valid is not
                     counted where the way does not ask for it itself
    ahead            by how much of the records additive's share of valid answers is above the generator's, with its interval by
                     person over the same records; see `statistics.mean`
    """
    probability = {name: _probability(explainer, way.answers) for name, way in tried.items()}
    valid = {name: (p >= explainer.target.threshold) & possible[:, 0] for name, p in probability.items()}
    common = np.logical_and.reduce([flags for name, flags in valid.items() if name != "chance"])
    methods = {}
    for name, way in tried.items():
        usable = (probability[name] >= explainer.goal) & possible[:, 1]
        methods[name] = {
            "valid": int(valid[name].sum()), "usable": int(usable.sum()), "rows": round(float(np.mean(way.rows)), 1) if way.rows else None,
            **_means(explainer.judge, explainer, rows, way.answers, np.flatnonzero(common & valid[name])),
        }  # fmt: skip
    apart = (valid["additive"].astype(float) - valid[GENERATOR])[possible[:, 0]]
    return {
        "of_valid": int(possible[:, 0].sum()), "of_usable": int(possible[:, 1].sum()), "common": int(common.sum()), "methods": methods,
        "ahead": statistics.mean(apart, persons[possible[:, 0]]),
    }  # fmt: skip


def _duel(explainer: Explainer, rows: Vector, search: _Tried, loop: _Tried) -> dict[str, int]:
    """Records whose answer by search is cheaper than the loop's, dearer, or as cheap, by what the runtime itself compares answers
    by; and those that only one of the two answers."""
    out = dict.fromkeys(("cheaper", "dearer", "same", "search_only", "loop_only"), 0)
    for x, one, other in zip(rows, search.answers, loop.answers, strict=True):
        if one is None or other is None:
            out["search_only"] += one is not None
            out["loop_only"] += other is not None
            continue
        costs = explainer.judge.cost(admissible(Record(explainer.schema, x), Constraints()), np.array([one, other]))
        out["same" if abs(costs[0] - costs[1]) < SAME else "cheaper" if costs[0] < costs[1] else "dearer"] += 1
    return out


def _probability(explainer: Explainer, answers: Sequence[Vector | None]) -> Vector:
    """The probability of the wanted class, shape (records,); 0 without an answer. No way is charged for it."""
    out, have = np.zeros(len(answers)), [k for k, y in enumerate(answers) if y is not None]
    if have:
        out[have] = explainer.checker.p_target(np.array([answers[k] for k in have]))
    return out


def _means(judge: Judge, explainer: Explainer, rows: Vector, answers: Sequence[Vector | None], at: Any) -> dict[str, float | None]:
    if not len(at):
        return {"n_changed": None, "distance": None, "realism": None}
    pairs = [(rows[k], np.array(answers[k])[None]) for k in at]
    percentile = judge.percentile(np.concatenate([y for _, y in pairs]))
    return {
        "n_changed": round(float(np.mean([measure.sparsity(x, y)[0] for x, y in pairs])), 4),
        "distance": round(float(np.mean([measure.proximity(explainer.schema, x, y)[0] for x, y in pairs])), 4),
        "realism": None if percentile is None else round(float(percentile.mean()), 1),
    }


def cells(figures: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The table's rows as texts, HEADS first."""
    out: list[tuple[str, ...]] = [HEADS]
    for name, m in figures["methods"].items():
        shares = [_of(m[key], figures[f"of_{key}"]) for key in ("valid", "usable")]
        means = plain(m["n_changed"]), plain(m["distance"], 4), plain(m["realism"], 0)
        out.append((WORDS[name], *shares, *means, f"{m['rows']:,.0f}" if m["rows"] is not None else "-"))
    return out


def notes(figures: Mapping[str, Any], unit: str, time: bool = True) -> list[str]:
    """What the columns mean, what the loop asks and, with `time`, where its time goes. `unit`: what persons are called."""
    said = [
        f"valid: of the {figures['of_valid']:,} for whom an answer at the threshold exists, which search and loop do not aim at",
        f"usable: of the {figures['of_usable']:,} for whom one at threshold and margin exists",
        f"changed, Gower, realism: means over the {figures['common']:,} records that all ways but chance answer validly",
        "classifier rows: asked for a record, mean; additive and chance hand their answer over unchecked, as the generator does",
    ]
    if ahead := figures.get("ahead"):
        apart = statistics.with_interval(ahead, lambda share: f"{100 * share:+.1f}", unit, many=False)
        said.append(f"additive less generator, points of valid: {apart}")
    duel = figures.get("search_beside_loop", {})
    if sum(duel.values()):
        said.append(
            f"search beside the whole loop: cheaper answers for {duel['cheaper']:,}, dearer for {duel['dearer']:,}, as cheap for "
            f"{duel['same']:,}; only search answers {duel['search_only']:,}, only the loop {duel['loop_only']:,}"
        )
    if loop := figures.get("loop"):
        parts = ", ".join(f"{name} {percent(share)}" for name, share in loop.get("time", {}).items())
        asks = f"the whole loop asks {loop['rows_p50']:,.0f} rows in half of the records, {loop['rows_p95']:,.0f} in 19 of 20, at most"
        said.append(f"{asks}; its time: {parts}" if time else asks)
    return said


def text(figures: Mapping[str, Any], unit: str = "people") -> str:
    """The table and its notes for a terminal."""
    table = cells(figures)
    widths = [max(len(row[k]) for row in table) for k in range(len(HEADS))]
    lines = ["  ".join(c.ljust(w) if not k else c.rjust(w) for k, (c, w) in enumerate(zip(row, widths, strict=True))) for row in table]
    head = "Beside baselines: what each hands over for the same records"
    return "\n".join([head, *(f"  {line}" for line in [*lines, *notes(figures, unit)])])


def markdown(figures: Mapping[str, Any], unit: str = "people") -> str:
    """The same for a card."""
    head, *rest = ("| " + " | ".join(row) + " |" for row in cells(figures))
    said = "; ".join(notes(figures, unit, time=False))
    return "\n".join([head, "|---" * len(HEADS) + "|", *rest, "", said[0].upper() + said[1:] + "."])


def _of(count: int, whole: int) -> str:
    return percent(count / whole) if whole else "-"
