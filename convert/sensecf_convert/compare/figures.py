"""Rows -> figures with intervals: pooled and by class, each method beside ours on the records both answer, equal budgets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .. import statistics
from ..evaluate.metrics import METRICS
from ..presentation.numbers import percent


@dataclass(frozen=True)
class Measure:
    """One figure: the mean of a column over all records reached (`asked`), over those that have an answer at all under the same rules
    (`possible`), or over the answers. `better`: higher or lower. A `share` is of a column that says yes or no; `shown`: on the terminal,
    too."""

    key: str
    title: str
    column: str
    over: str
    better: str
    about: str
    digits: int = 2
    share: bool = False
    shown: bool = True

    def text(self, value: float) -> str:
        """A value in words."""
        return percent(value) if self.share else f"{value:,.{self.digits}f}"


MEASURES = (
    Measure("valid", "valid", "valid", "asked", "higher", "share of the records asked with an answer that has p >= threshold", share=True),
    Measure("usable", "usable", "usable", "asked", "higher",
            "share of the records asked with an answer that is valid and keeps all limits: every changed feature mutable, on its steps, "
            "inside the range, direction and reach this record was given, and no relation broken", share=True, shown=False),
    Measure("at_goal", "p >= goal", "at_goal", "asked", "higher", "the same, with p >= threshold + margin", share=True),
    Measure("same_rules", "same rules", "same_rules", "asked", "higher", "the same, with no more changes proposed than ours may make",
            share=True),
    Measure("of_possible", "of possible", "same_rules", "possible", "higher",
            "the same over the records for which at least one method has such an answer, or one is proven to exist", share=True),
    Measure("kept", "keep all limits", "keeps", "answers", "higher", "share of the answers, valid or not, that keep all limits", share=True,
            shown=False),
    *(Measure(m.key, m.title, m.key, "answers", m.better, m.about, m.digits, m.share, m.shown) for m in METRICS),
    Measure("relations_broken", "relations broken", "relations_broken", "answers", "lower",
            "share of answers that break a relation of the schema", share=True),
    Measure("rows", "rows asked", "rows", "asked", "lower", "rows the classifier was asked, a record", digits=0),
)  # fmt: skip
FLAGS = {measure.column for measure in MEASURES if measure.share}
TITLES = {m.key: m.title for m in MEASURES} | {"asked": "asked", "p50_ms": "p50 ms", "p95_ms": "p95 ms"}
SHOWN = ("asked", *(m.key for m in MEASURES if m.shown), "p50_ms")


def summary(rows: pd.DataFrame, seed: int) -> dict[str, dict[str, Any]]:
    """Figures of every method in the table, in the order of its rows."""
    rows = rows.assign(answerable=answerable(rows), keeps=rows.plausible.eq(True) & ~rows.relations_broken.eq(True))
    return {str(name): figures(part, seed) for name, part in rows.groupby("method", sort=False)}


def keys(rows: pd.DataFrame) -> pd.Series:
    """A name for each row's record."""
    return rows.table.astype(str) + "/" + rows.record.astype(str)


def answerable(rows: pd.DataFrame) -> pd.Series:
    """Whether each row's record has an answer under the same rules: some method shows one, or one is proven to exist."""
    names = keys(rows)
    some = set(names[rows.same_rules.astype(bool) | rows.possible.eq(1)])
    return names.isin(some)


def figures(rows: pd.DataFrame, seed: int) -> dict[str, Any]:
    """One method's figures: each with its 95 % interval (people resampled, the method's answers taken as they are)."""
    reached = rows[rows.reached]
    answers = reached[reached.answered]
    over = {"asked": reached, "answers": answers, "possible": reached[reached.answerable]}
    out: dict[str, Any] = {"asked": len(rows), "reached": len(reached), "answers": len(answers)}
    for measure in MEASURES:
        out[measure.key] = mean(over[measure.over], measure.column, seed)
    seconds = reached.seconds.dropna().to_numpy(float)
    out["p50_ms"] = 1000 * float(np.median(seconds)) if seconds.size else None
    out["p95_ms"] = 1000 * float(np.quantile(seconds, 0.95)) if seconds.size else None
    return out


def mean(rows: pd.DataFrame, column: str, seed: int) -> dict[str, Any] | None:
    """The mean of a column with its interval, and over how many records. None where there is no value."""
    part = rows[rows[column].notna()]
    how = statistics.share if column in FLAGS else statistics.mean
    return how(part[column].to_numpy(float), people(part), seed)


def people(rows: pd.DataFrame) -> NDArray[np.intp]:
    """A number for each row's person, shape (rows,); the same number in two tables is two people."""
    return np.asarray(pd.factorize(rows.table.astype(str) + "/" + rows.person.astype(str))[0])


def by_class(rows: pd.DataFrame, seed: int) -> dict[str, dict[str, dict[str, Any]]]:
    """Figures apart for people whose recorded class is the unwanted one, and for those the classifier is wrong about."""
    names = rows.table.nunique() > 1
    label = rows["class"].where(~pd.Series(names, rows.index), rows.table + ": " + rows["class"])
    return {str(name): summary(part, seed) for name, part in rows.groupby(label, sort=True)}


def paired(rows: pd.DataFrame, seed: int, reference: str = "ours") -> dict[str, dict[str, Any]]:
    """Each method minus `reference`, over the records for which both have an answer at the goal: fair where one answers fewer."""
    keys = ["table", "record"]
    ours = rows[(rows.method == reference) & rows.at_goal]
    out: dict[str, dict[str, Any]] = {}
    for name, part in rows.groupby("method", sort=False):
        both = part[part.at_goal].merge(ours, on=[*keys, "person"], suffixes=("", "_ours"))
        if name == reference or not len(both):
            continue
        out[str(name)] = {"n": len(both)} | {
            c: mean(both.assign(gap=both[c] - both[f"{c}_ours"]), "gap", seed) for c in ("n_changed", "distance", "knn_ratio", "realism")
        }
    return out


def possible(rows: pd.DataFrame) -> dict[str, Any]:
    """Records that have an answer under the same rules, each method's share of them, and which of them `missing` ours has none for.

    `missing` names table and row among the people asked. `proven`: of the records that no method answers, those proven to have no
    answer; `open`: those of which that is not known, named by `unproven`.
    """
    some, names = answerable(rows), keys(rows)
    records = set(names[some])
    share = {str(n): len(set(names[part.index][part.same_rules.astype(bool)])) / max(1, len(records))
             for n, part in rows.groupby("method", sort=False)}  # fmt: skip
    mine = set(names[(rows.method == "ours") & rows.same_rules.astype(bool)])
    lacking = rows[names.isin(records - mine)]
    none = set(names[rows.possible.eq(0)]) - records
    missing = [] if "ours" not in share else named(lacking)
    unproven = named(rows[~names.isin(records | none)])
    return {"records": len(records), "asked": names.nunique(), "share": share, "missing": missing, "proven": len(none),
            "open": len(unproven), "unproven": unproven}  # fmt: skip


def named(rows: pd.DataFrame) -> list[list[Any]]:
    """Table and row, among the people asked, of each record that these rows are of."""
    return [[str(one.table), int(one.row)] for one in rows.drop_duplicates(["table", "record"]).itertuples()]


def changes(rows: pd.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    """table -> method -> feature -> share of that method's answers that change it."""
    import json

    out: dict[str, dict[str, dict[str, float]]] = {}
    for (table, method), part in rows[rows.answered].groupby(["table", "method"], sort=False):
        counts: dict[str, int] = {}
        for text in part.changed:
            for name in json.loads(text):
                counts[name] = counts.get(name, 0) + 1
        out.setdefault(str(table), {})[str(method)] = {n: c / len(part) for n, c in counts.items()}
    return out


def lines(figures: dict[str, dict[str, Any]], keys: Iterable[str]) -> str:
    """A plain table for the terminal."""
    keys = list(keys)
    wide = {k: max(len(TITLES[k]), 8) + 2 for k in keys}
    out = [f"{'method':<22}" + "".join(f"{TITLES[k]:>{wide[k]}}" for k in keys)]
    for name, got in figures.items():
        out.append(f"{name:<22}" + "".join(f"{cell(k, got.get(k)):>{wide[k]}}" for k in keys))
    return "\n".join(out)


def cell(key: str, figure: Any) -> str:
    """A figure in words. Raises KeyError for one that is none of ours."""
    value = figure["value"] if isinstance(figure, dict) else figure
    if value is None:
        return "-"
    if key in ("asked", "reached", "answers"):
        return f"{value:,}"
    if key in ("p50_ms", "p95_ms"):
        return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"
    return _TEXTS[key](value)


_TEXTS = {measure.key: measure.text for measure in MEASURES}
