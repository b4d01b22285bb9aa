"""Fits the densities of a bundle: one of people of the wanted class, one of everybody. Becomes density.json.

They keep shares, means, covariances and probabilities of choices, no row. How ordinary the drawn people are that a record
is compared with and how ordinary real people are is measured on people the mixture was not fitted on (folds of people),
because a density always flatters its own training rows.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensecf_edge.bundle.manifest import DENSITY, POPULATION
from sensecf_edge.judge import copies as judge_copies
from sensecf_edge.judge.density import Density
from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.schema import Schema

from ..table.cohort import Cohort, folds_by_person
from ..work import Work
from . import copies
from .column_order import by_content, rows_by_content
from .em import Parameters, Table, em

COMPONENTS = (1, 2, 4, 8)
ROWS_PER_COMPONENT = 15
MOST_ROWS, MOST_HELD_OUT, MOST_TRIED = 20_000, 5_000, 3_000
"""Rows that a density is fitted on at most; that are fitted on and scored by folds; and while the number of components is chosen."""
FOLDS, FEW_ROWS = 5, 2_000
LEVELS = np.linspace(0.0, 1.0, 101)

Rows = NDArray[np.intp]


def fit(data: Cohort, seed: int) -> dict[str, Any]:
    """density.json for the people of a cohort, as plain JSON. The same people in another order of rows or choices, in other
    units, with columns by other names or in another order, or with a column that stands there twice give the same densities."""
    from threadpoolctl import threadpool_limits

    copied = copies.found(data)
    told = {"copies": judge_copies.told(copied, data.schema)} if copied else {}
    data = rows_by_content(copies.without(data, copied))
    with threadpool_limits(1):  # threads gain nothing on so little, and sums in another order are not the same seed's
        mixture, scores = _of(data.take(data.y), seed)
        return {"format": 1, "wanted": mixture, "everybody": _mixture(data, _best(data, seed), seed), "scores": scores, **told}


def of_wanted(data: Cohort, seed: int) -> Density:
    """The density of the wanted class alone: it says what is typical, and nothing of what is unknown."""
    copied = copies.found(data)
    once = rows_by_content(copies.without(data, copied))
    mixture, scores = _of(once.take(once.y), seed)
    told = {"copies": judge_copies.told(copied, data.schema)}
    return Density.from_json({"format": 1, "wanted": mixture, "everybody": mixture, "scores": scores, **told}, data.schema)


def _of(data: Cohort, seed: int) -> tuple[dict[str, Any], list[float]]:
    count = _best(data, seed)
    return _mixture(data, count, seed), [round(float(s), 6) for s in np.quantile(_held_out_scores(data, count, seed), LEVELS)]


def population(data: Cohort, density: Density, seed: int) -> dict[str, Any]:
    """population.json: how ordinary the people of a cohort are, all classes together, under the density's mixture of everybody. Scored
    by folds of people, each under a mixture of as many components that was fitted without them."""
    from threadpoolctl import threadpool_limits

    data = rows_by_content(copies.without(data, density.copied))
    with threadpool_limits(1):
        scores = np.quantile(_held_out_scores(data, len(density.everybody.weights), seed), LEVELS)
    return {"format": 1, "scores": [round(float(s), 6) for s in scores]}


def kept_population(work: Work, data: Cohort, density: Density, seed: int) -> bytes:
    """population.json as a finished step of a work folder."""
    return work.kept(POPULATION, lambda: packed(population(data, density, seed)))


def kept(work: Work, data: Cohort, seed: int) -> Density:
    """The density of a cohort as a finished step of its work folder; fitted where it is not there yet."""
    return Density.from_json(json.loads(work.kept(DENSITY, lambda: packed(fit(data, seed)))), data.schema)


def packed(density: dict[str, Any]) -> bytes:
    """density.json."""
    return (json.dumps(density, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def _best(data: Cohort, seed: int) -> int:
    """The number of components with the best mean log-density of people it was not fitted on; the fewest of equals."""
    folds = folds_of(data, seed)
    folds = folds if len(data) <= FEW_ROWS else folds[:2]
    tried = {1: 0.0}
    for count in COMPONENTS if folds else ():
        if all(len(train) >= count * ROWS_PER_COMPONENT for train, _ in folds) or count == 1:
            tried[count] = float(np.mean(np.concatenate([foretold(data, count, seed, *fold) for fold in folds])))
    return max(tried, key=lambda count: (round(tried[count], 3), -count))


def foretold(data: Cohort, count: int, seed: int, train: Rows, test: Rows) -> Vector:
    """Log-densities of the test rows, or of a draw of so many, shape (rows,), in units of the whole table's spread, so that folds
    compare."""
    density = _density(data, _mixture(data.take(_some(train, MOST_TRIED, seed)), count, seed))
    spread = np.array([_frame(data.X[:, i], f.step or 1.0)[1] if f.kind == "number" else 1.0 for i, f in enumerate(data.schema.features)])
    rows = data.X[_some(test, MOST_TRIED, seed)]
    scaled: Vector = (~np.isnan(rows) * np.log(spread)).sum(axis=1)
    return density.log_density(rows) + scaled


def _held_out_scores(data: Cohort, count: int, seed: int) -> Vector:
    """Scores of every row under a mixture fitted without that row's fold of people; as if the mixture were right where
    there are no two people to make folds of."""
    parts = [
        _density(data, _mixture(data.take(_some(train, MOST_HELD_OUT, seed)), count, seed)).score(data.X[_some(test, MOST_HELD_OUT, seed)])
        for train, test in folds_of(data, seed)
    ]
    share = np.clip(LEVELS, 0.005, 0.995)
    return np.concatenate(parts) if parts else np.log(share / (1 - share))


def folds_of(data: Cohort, seed: int) -> list[tuple[Rows, Rows]]:
    """(train rows, test rows) of folds of people, places of shape (rows,); none where there is one person only."""
    return folds_by_person(data.persons, np.zeros(len(data), dtype=bool), FOLDS, seed) if len(np.unique(data.persons)) > 1 else []


def _some(rows: Rows, most: int, seed: int) -> Rows:
    """All of the rows, or a draw of so many."""
    return rows if len(rows) <= most else np.sort(np.random.default_rng(seed).permutation(rows)[:most])


def _density(data: Cohort, mixture: dict[str, Any]) -> Density:
    return Density.from_json({"format": 1, "wanted": mixture, "everybody": mixture, "scores": LEVELS.tolist()}, data.schema)


def _mixture(data: Cohort, count: int, seed: int) -> dict[str, Any]:
    """A mixture fitted to the rows, as JSON in the units of the table. Features go by what they hold (`by_content`), choices by name."""
    schema = data.schema
    order = [schema.features[i] for i in by_content(data)]
    numbers, choices = ([f.name for f in order if f.kind == kind] for kind in ("number", "choice"))
    X = data.X[_some(np.arange(len(data)), MOST_ROWS, seed)]
    frame = np.array([_frame(X[:, schema.index[n]], schema[n].step or 1.0) for n in numbers]).reshape(len(numbers), 2)
    places, names = _places(schema, choices, X)
    standard = (X[:, [schema.index[n] for n in numbers]] - frame[:, 0]) / frame[:, 1]
    parts = em(Table(standard, places, tuple(len(texts) for texts in names)), count, seed)
    return _json(parts, numbers, frame, dict(zip(choices, names, strict=True)))


def _frame(values: Vector, step: float) -> tuple[float, float]:
    """Middle and spread of a column; a column that stands still is as wide as its step, an unknown one around 0."""
    known = values[~np.isnan(values)]
    return (float(known.mean()), max(float(known.std()), step)) if known.size else (0.0, step)


def _places(schema: Schema, choices: list[str], X: Vector) -> tuple[Rows, list[list[str]]]:
    """Choices as places in the sorted list of their names, -1 unknown, shape (rows, choices), and those lists."""
    out = np.full((len(X), len(choices)), -1, dtype=np.intp)
    lists = [sorted(schema[name].choices) for name in choices]
    for j, name in enumerate(choices):
        codes = X[:, schema.index[name]]
        known = ~np.isnan(codes)
        out[known, j] = np.array([lists[j].index(c) for c in schema[name].choices])[codes[known].astype(np.intp)]
    return out, lists


def _json(parts: Parameters, numbers: list[str], frame: Vector, choices: dict[str, list[str]]) -> dict[str, Any]:
    means = parts.means * frame[:, 1] + frame[:, 0]
    covariances = parts.covariances * frame[:, 1] * frame[:, 1, None]
    tables = {
        name: {text: _digits(row) for text, row in zip(texts, table, strict=True)}
        for (name, texts), table in zip(choices.items(), parts.tables, strict=True)
    }
    return {
        "weights": _digits(parts.weights), "numbers": numbers, "means": _digits(means),
        "covariances": _digits((covariances + covariances.transpose(0, 2, 1)) / 2), "choices": tables,
    }  # fmt: skip


def _digits(values: Vector) -> Any:
    """Nested lists of numbers of nine digits."""
    return [_digits(v) for v in values] if values.ndim else float(f"{float(values):.9g}")
