"""Metrics of answers: one row each, and everything that tells them takes them from there."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sensecf_convert.compare import figures, page, scoring
from sensecf_convert.evaluate import formatting, metrics, outcomes
from sensecf_convert.evaluate.figures import Figures
from sensecf_convert.evaluate.metrics import METRICS, Context
from sensecf_convert.evaluate.plausibility import Realism
from test_plausibility import SCHEMA, cohort, rows

from sensecf_edge.cli.build import evaluate
from sensecf_edge.space import measure


def context(people: int) -> Context:
    density = SimpleNamespace(percentile=lambda Y: np.full(len(Y), 40.0))
    return Context(SCHEMA, np.array([10.0, 1.0, 1.0]), Realism(cohort(rows(people))), density)  # type: ignore[arg-type]


def plain(**means: float) -> Figures:
    empty: dict[str, Any] = dict.fromkeys(Figures.__dataclass_fields__, 0)
    parts: dict[str, Any] = {"rivals": {}, "fewest": {}, "curve": {}, "advice": {}, "calibration": {}, "memorisation": {}, "intervals": {}}
    return Figures(**{**empty, **parts, "part": "test", "answers": means, "factual": {}})


def test_every_metric_has_a_value_for_every_answer() -> None:
    X, Y = rows(40, seed=1), rows(40, seed=2)
    for metric in METRICS:
        values = metric.of(context(60), X, Y)
        assert values.shape == (40,) and values.dtype == float and np.isfinite(values).all(), metric.key
        assert metric.of(context(60), X[:0], Y[:0]).shape == (0,)


def test_metrics_of_a_change_are_those_of_each_pair() -> None:
    X, Y = rows(20, seed=1), rows(20, seed=2)
    X[3, 0] = np.nan
    got = {m.key: m.of(context(60), X, Y) for m in METRICS}
    for k, (x, y) in enumerate(zip(X, Y, strict=True)):
        assert got["n_changed"][k] == measure.sparsity(x, y[None])[0] == 3 - got["n_unchanged"][k]
        assert got["distance"][k] == measure.proximity(SCHEMA, x, y[None])[0]


def test_a_new_metric_is_told_everywhere_without_another_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """One row makes a line of evaluate and card; an interval; columns of results.csv, of compare's report and of its terminal."""
    for metric in METRICS:
        assert metric.key in scoring.COLUMNS and metric.key in figures.TITLES and metric.key in page.MAIN
        assert (metric.key in figures.SHOWN) == metric.shown and figures.cell(metric.key, 0.25) != "-"
    new = replace(METRICS[0], key="invented", label="an invented step", digits=4, of=lambda c, X, Y: np.abs(Y - X).max(axis=1))
    for module in (formatting, outcomes):
        monkeypatch.setattr(module, "METRICS", (*metrics.METRICS, new))
    held = plain(invented=0.5).to_json()
    assert held["invented"] == 0.5 and formatting.metric_rows(held, "people") == [("an invented step", "0.5000")]
    people = np.array([str(k) for k in range(12)])
    told = outcomes.intervals({}, people, {"invented": np.linspace(0, 1, 12)}, people)
    assert told["invented"]["value"] == 0.5
    assert formatting.metric_rows({**held, "intervals": told}, "people")[0][1].startswith("0.5000 (95 % interval by people 0.3")


def test_a_metric_that_nobody_has_defined_is_an_error_and_no_empty_cell() -> None:
    with pytest.raises(KeyError):
        figures.cell("invented", 0.5)
    with pytest.raises(KeyError):
        outcomes.intervals({}, np.array(["a"]), {"invented": np.ones(1)}, np.array(["a"]))


def test_the_help_of_evaluate_defines_every_metric() -> None:
    said = " ".join((evaluate.help or "").split())
    assert not [metric.key for metric in METRICS if metric.label.removesuffix(", mean") not in said]
