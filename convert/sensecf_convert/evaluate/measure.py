"""evaluate: what a bundle is worth on people that nothing was trained on.

Every record of the test people that the classifier puts in the unwanted class is explained with the default budget.
Where no answer is found, `prover` looks at the whole lattice, so that "none exists" is told apart from "none found"; where one is
found, it says how few features any answer must change.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensecf_edge.answer.result import Explanation
from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.bundle.risk_scale import scale_of
from sensecf_edge.errors import TableError
from sensecf_edge.explain import Explainer
from sensecf_edge.generators.choice import Choice
from sensecf_edge.generators.opening import prepared
from sensecf_edge.proof.effort import Effort
from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.schema import Schema
from sensecf_edge.search.found import with_changes
from sensecf_edge.space import measure
from sensecf_edge.space.admissible import admissible
from sensecf_edge.space.constraints import Constraints
from sensecf_edge.trial import opened

from .. import statistics
from ..baselines import row_budget
from ..baselines.comparison import first_tries_compared
from ..baselines.usage import Usage
from ..classifier import calibration
from ..progress import bar, note
from ..proof.prover import Fewest, Prover, summed
from ..table.cohort import Cohort
from ..table.locked_out import locked_out
from ..table.split import kept_back, parts_of
from . import advice, groups, outcomes
from .figures import Figures
from .formatting import table_of
from .metrics import METRICS, Context

ALTERNATIVES = 3


def measure_bundle(
    bundle: Bundle, train: Cohort, test: Cohort, limit: int | None = None, report: Callable[[float, str], None] | None = None,
    prover: Prover | None = None, fewest: bool = False, curve: bool = False, generator: Choice | None = None,
    effort: Effort | None = None, typical: bool = False,
) -> Figures:  # fmt: skip
    """Figures over the test people (at most `limit` records, spread evenly over the table). `train` is only the yardstick of realism.

    `prover` may come from another measurement of the same classifier: it remembers what it has proved. `fewest`: prove as well
    how few features an answer must change. `curve`: measure as well who is answered for how few rows of the classifier.
    `generator`: who proposes instead of the bundle's own. `effort`: what all proofs that an answer exists may take.
    `typical`: the most typical answers are asked for.
    """
    with Explainer.load(bundle.folder, generator=generator or Choice()) as explainer:
        explainer.impute = None  # unknown values as the classifier fills them in: so do the proofs that an answer exists
        p = explainer.checker.p_target(test.X)
        predicted = np.flatnonzero(p < explainer.target.threshold)
        unwanted = spread(predicted, limit)
        rows, persons = test.X[unwanted], test.persons[unwanted]
        _explain(explainer, rows[0]) if len(rows) else None
        answers, usage = [], Usage()
        for k, x in enumerate(rows):
            with usage.watching(explainer):
                answers.append(_explain(explainer, x, typical))
            if report:
                report((k + 1) / len(rows), f"{k + 1} of {len(rows)} records")
        several = [len(_kinds(explainer, x)) for x, e in zip(rows, answers, strict=True) if e is not None and e.found]
        prover = prover or Prover(explainer.checker, bundle.classifier_bytes(), train, bundle.manifest.target.index)
        effort, possible = effort or Effort(), list[tuple[bool, bool, bool]]()
        for k, (x, e) in enumerate(zip(rows, answers, strict=True)):
            possible.append(_possible(explainer, x, e, prover, effort.record()))
            if report:
                report((k + 1) / len(rows), f"{k + 1} of {len(rows)} records: does an answer exist")
        told_beside = first_tries_compared(explainer, rows, answers, possible, usage, persons, report)
        spent = row_budget.curve(explainer, rows[[ok for _, ok, _ in possible]], report) if curve else {}
        least = _fewest(explainer, rows, answers, prover, report) if fewest else {}
        told = dataclasses.asdict(calibration.measured(scale_of(bundle.manifest), p, test.y, explainer.target.threshold, test.persons))
    figures = _figures(bundle, train, test, rows, answers, possible, persons)
    auc = statistics.statistic(lambda at, W: statistics.auc(test.y, p, at, W), test.persons)
    figures.intervals["auc"] = auc
    seen = float("nan") if auc["value"] is None else auc["value"]
    more = {"fewest": least, "calibration": calibration.rounded(told), "rivals": told_beside, "curve": spent}
    return dataclasses.replace(figures, auc=seen, predicted=len(predicted), alternatives=_mean(several), **more)


def spread(rows: NDArray[np.intp], limit: int | None) -> NDArray[np.intp]:
    """At most so many of the rows, shape (rows,), evenly from the first to the last: tables are often sorted by something."""
    return rows if limit is None or len(rows) <= limit else rows[np.arange(limit) * len(rows) // limit]


def _explain(explainer: Explainer, x: Vector, typical: bool = False) -> Explanation | None:
    """None where the record's own values leave nothing to change."""
    explanation = explainer.explain(Record(explainer.schema, x), ease=False, typical=typical)
    return None if explanation.reason else explanation


def _kinds(explainer: Explainer, x: Vector) -> set[frozenset[str]]:
    """The sets of features that several answers to one record change."""
    found = explainer.explain(Record(explainer.schema, x), n=ALTERNATIVES, ease=False).found
    return {frozenset(change.feature for change in answer.changes) for answer in found}


def _possible(explainer: Explainer, x: Vector, answer: Explanation | None, prover: Prover, effort: Effort) -> tuple[bool, bool, bool]:
    """Whether p >= threshold and p >= goal can be reached at all, and whether that was proven within the effort."""
    if answer is None:
        return False, False, True
    if answer.found:
        return True, True, True
    space = admissible(Record(explainer.schema, x), Constraints())
    reached = prover.reaches(space, explainer.goal, effort)
    if reached is not False:
        return True, True, bool(reached)
    first = answer.first_try is not None and answer.first_try.valid
    valid = True if first else prover.reaches(space, explainer.target.threshold, effort)
    return valid is not False, False, valid is not None


def _fewest(
    explainer: Explainer, rows: Vector, answers: list[Explanation | None], prover: Prover, report: Callable[[float, str], None] | None
) -> dict[str, Any]:
    """How few features any answer must change, over the records that have one."""
    effort, counts, proven = Effort(), list[int](), list[Fewest]()
    for k, (x, e) in enumerate(zip(rows, answers, strict=True)):
        if e is not None and e.found:
            counts.append(int(measure.sparsity(x, vector(explainer.schema, x, e)[None])[0]))
            space = admissible(Record(explainer.schema, x), Constraints())
            proven.append(prover.fewest(space, explainer.goal, effort.record(), counts[-1]))
        if report:
            report((k + 1) / len(rows), f"{k + 1} of {len(rows)} records: how few features are enough")
    return summed(counts, proven)


def _figures(
    bundle: Bundle, train: Cohort, test: Cohort, rows: Vector, answers: list[Explanation | None], possible: list[tuple[bool, bool, bool]],
    persons: NDArray[np.str_],
) -> Figures:  # fmt: skip
    schema = bundle.schema
    found = [(x, e) for x, e in zip(rows, answers, strict=True) if e is not None and e.found]
    Y = np.array([vector(schema, x, e) for x, e in found]).reshape(-1, len(schema))
    X = np.array([x for x, _ in found]).reshape(-1, len(schema))
    shares = outcomes.shares(answers, possible)
    context, seconds = Context.of(bundle, train), [e.seconds for e in answers if e]
    means = {metric.key: metric.of(context, X, Y) for metric in METRICS}
    averages: dict[str, Any] = {name: _mean(flags) for name, flags in shares.items()}
    answered = np.array([e is not None and bool(e.found) for e in answers], dtype=bool)
    return Figures(
        auc=float("nan"),
        people=test.people,
        rows=len(test),
        asked=len(rows),
        locked=len(locked_out(schema, rows)),
        possible_valid=sum(p[0] for p in possible),
        possible_usable=sum(p[1] for p in possible),
        unproven=sum(not p[2] for p in possible),
        **averages,
        intervals=outcomes.intervals(shares, persons, means, persons[answered]),
        broken=sum(_broken(schema, x, y) for x, y in zip(X, Y, strict=True)),
        answers={key: _mean(values) for key, values in means.items()},
        factual={metric.key: _mean(metric.of(context, X, X)) for metric in METRICS if metric.typical},
        rounds=_mean([e.rounds_used for e in answers if e]),
        advice=advice.measured(schema, X, Y),
        p50_ms=1000 * float(np.median(seconds)) if seconds else None,
        p95_ms=1000 * float(np.quantile(seconds, 0.95)) if seconds else None,
    )


def vector(schema: Schema, x: Vector, explanation: Explanation) -> Vector:
    """The first answer's record, shape (features,), rebuilt from what the Explanation says, not from what the loop held."""
    return with_changes(schema, x, explanation.found[0].changes)


def _broken(schema: Schema, x: Vector, y: Vector) -> bool:
    """An answer that changes an immutable, leaves the range or the lattice. Written apart from `rules` on purpose."""
    for i in np.flatnonzero(measure.changed(x, y[None])[0]):
        feature = schema.features[i]
        if feature.name in schema.moved:
            if not (feature.low or 0) <= y[i] <= (feature.high or 0):
                return True
        elif not feature.mutable or np.abs(feature.lattice - y[i]).min() > 1e-9:
            return True
    return False


def _mean(values: Any) -> float | None:
    """The mean of what has a value, None where nothing has."""
    known = np.asarray(values, dtype=float)
    known = known[~np.isnan(known)]
    return float(known.mean()) if known.size else None


def evaluate(
    table: Path, model: str, limit: int | None, as_json: bool, final: bool = False, curve: bool = False, plot: Path | None = None,
    generator: Choice | None = None, typical: bool = False,
) -> Figures:  # fmt: skip
    """Measure the test part, or the final part, print to stdout, return.

    `curve`: measure as well who is answered for how few rows of the classifier; `plot`: write a PNG of that there. `typical`: of the most
    typical answers.
    """
    if plot and not plot.parent.is_dir():
        raise TableError(f"{plot.parent} is no folder; make it, or name another place for the picture")
    bundle = opened(model)
    drawn = parts_of(bundle, table)
    asked = kept_back(bundle, drawn) if final else drawn.test
    began, generator = time.monotonic(), generator or Choice()
    prepared(generator, note)
    with bar("evaluate") as show:
        curve = curve or plot is not None
        figures = measure_bundle(bundle, drawn.train, asked, limit, show, fewest=True, curve=curve, generator=generator, typical=typical)
    figures = dataclasses.replace(figures, part="final" if final else "test")
    by_group = groups.measured(bundle, drawn.train, asked)
    if as_json:
        print(json.dumps({**figures.to_json(), "groups": by_group}, indent=1))
    else:
        print(table_of(bundle, figures, time.monotonic() - began, ALTERNATIVES))
        print(f"\nfor whom it was measured:\n{groups.text(by_group, bundle.schema)}" if by_group else "")
    if plot:
        from ..baselines.plot import picture

        plot.write_bytes(picture(figures.curve))
    return figures
