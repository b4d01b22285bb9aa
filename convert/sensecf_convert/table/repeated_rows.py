"""Several rows a person, and nobody said so: then a person stands on both sides of the split, and every figure is too good.

Four signs are looked for, strongest first: a column that names people; what never changes in a life telling rows apart
like a name; neighbouring rows that agree in it; rows that come in tight clumps. `unlike` says how much a column varies
within groups of rows, as a share of how much it varies at all: 1 by chance, 0 where it stands still.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensecf_edge.errors import TableError
from sensecf_edge.schema.cells import as_text, is_code, plain_number, without_value
from sensecf_edge.table.read import Cells, Column

from . import column_names

REPEATED = "repeated"
"""What is allowed by this name is rows that look like several of one person, and are not."""
NAMED, VALUES, GROUPED = 5, 8, 0.5
"""Different values that a column must have to name people, by its own name or by what it holds; share of the rows that must share
theirs with another."""
CONSTANT, STILL, CALM, MOST = 0.02, 0.1, 0.3, 0.5
"""`unlike` below which a column is constant within groups, the label stands still, a feature hardly varies; and the share of
features that must hardly vary."""
TOLD_APART, TOLD = 0.75, 0.3
"""Median of `unlike` among rows that agree in what never changes, below which they are thought to be one person's (from 0.86 on in
tables of one row a person, up to 0.70 in others); and the share of rows that must agree with another."""
BUMP, FIRST_BUMP, FEWEST, SEEN = 0.35, 1.0, 200, 1_500
"""How far a step between distances rises above those on both sides, as a share of the median step, where rows come in clumps; the
same for the very first step, which is uneven anyhow; rows needed, and rows looked at at most."""
ADJOIN, BY_CHANCE, FALLS = 0.4, 0.1, (0.25, 0.75)
"""Share of neighbouring rows that agree in what never changes, from which on they are one person's; at most so many would by chance;
and how often a table that is not sorted falls from one person to the next."""
PLACES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96)

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Held:
    """One column: each row's place among its different values (-1 unknown), and their numbers where all are numbers."""

    at: NDArray[np.intp]
    numbers: Numbers | None

    @property
    def names(self) -> bool:
        """Whether its values may be names: texts, or whole numbers."""
        return self.numbers is None or bool((self.numbers == np.round(self.numbers)).all())

    @property
    def varies(self) -> bool:
        """Whether it has two values at least."""
        return bool(self.at.max(initial=0) > 0)


def refuse_repeated_people(columns: Mapping[str, Held], target: str, allowed: bool) -> list[str]:
    """Refuse a table whose rows look like several a person; returns questions for whoever fits.

    Raises TableError naming the column and what to do.
    """
    found = naming(columns, target) or alike(columns, target) or adjoining(columns, target)
    if found and not allowed:
        raise TableError(
            f"{found}. A person in both parts of the split makes every figure too good: name the column that says whose a row is "
            f"(--person), or, where every row is a person of its own, say so with --allow {REPEATED}"
        )
    if found:
        return [f"{found}; allowed by name"]
    near = "" if allowed else clumps(columns, target)
    return [f"{near}: are there several rows a person? Then name the column that says whose a row is (--person)"] if near else []


def naming(columns: Mapping[str, Held], target: str) -> str:
    """A column that names people, in words; empty where none does."""
    first = sorted(columns, key=lambda name: (not column_names.people(name), column_names.lifelong(name)))
    for name in first:
        held = columns[name]
        sizes = np.bincount(held.at[held.at >= 0])
        grouped = sizes[sizes > 1].sum() >= GROUPED * len(held.at)
        if name == target or not held.names or len(sizes) < NAMED or not grouped:
            continue
        told = f"{name} has {len(sizes):,} different values in {len(held.at):,} rows"
        if column_names.people(name):
            return f"{told} and is called like a column that names people"
        if len(sizes) >= VALUES and (why := _like_names(name, held, columns, target)):
            return f"{told}, and {why}: it seems to name people"
    return ""


def _like_names(name: str, held: Held, columns: Mapping[str, Held], target: str) -> str:
    """What among rows of equal value is as equal as one person's rows are."""
    if target in columns and not _ordered(held, columns[target]) and unlike(held, columns[target]) < STILL:
        return f"rows of equal {name} have the same {target}"
    others = {n: unlike(held, c) for n, c in columns.items() if n not in (name, target) and c.varies}
    still = [n for n, share in others.items() if share < CONSTANT and column_names.lifelong(n)]
    if len(still) > 1 and not column_names.lifelong(name):
        return f"{' and '.join(still)} stand still among rows of equal {name}"
    if len(others) > 2 and np.mean([share < CALM for share in others.values()]) >= MOST:
        return f"most other columns hardly vary among rows of equal {name}"
    return ""


def unlike(groups: Held, column: Held) -> float:
    """How much a column varies within groups of equal values, over how much it varies at all; near 1 by chance, 0 for constant."""
    known = (groups.at >= 0) & (column.at >= 0)
    g = groups.at[known]
    if column.numbers is not None:
        return _variance(g, column.numbers[column.at[known]])
    return _disagreement(g, column.at[known])


def _variance(g: NDArray[np.intp], values: Numbers) -> float:
    total = float(values.var(ddof=1)) if len(values) > 1 else 0.0
    sizes = np.bincount(g)
    inner = int((sizes[sizes > 0] - 1).sum())
    if not total or not inner:
        return 1.0
    means = np.bincount(g, weights=values) / np.maximum(sizes, 1)
    return float(((values - means[g]) ** 2).sum() / inner / total)


def _disagreement(g: NDArray[np.intp], values: NDArray[np.intp]) -> float:
    def unequal_pairs(labels: NDArray[np.intp]) -> tuple[float, float]:
        """Pairs that differ, and pairs, within equal labels."""
        pairs = np.bincount(labels).astype(float)
        same = np.bincount(together([labels, values])).astype(float)
        return float((pairs * (pairs - 1)).sum() - (same * (same - 1)).sum()), float((pairs * (pairs - 1)).sum())

    inside, among = unequal_pairs(g)
    apart, all_pairs = unequal_pairs(np.zeros_like(g))
    return (inside / among) / (apart / all_pairs) if among and apart else 1.0


def together(columns: list[NDArray[np.intp]]) -> NDArray[np.intp]:
    """For each row the place of its combination of values among those that occur, shape (rows,)."""
    out = np.zeros(len(columns[0]), dtype=np.intp)
    for column in columns:
        out = np.unique(out * (int(column.max(initial=0)) + 2) + column + 1, return_inverse=True)[1].astype(np.intp)
    return out


def _ordered(held: Held, label: Held) -> bool:
    """Whether the label follows the order of the values, as it does behind a measurement that tells much."""
    if held.numbers is None or label.at.max(initial=0) != 1:
        return False
    from sklearn.metrics import roc_auc_score

    known = (held.at >= 0) & (label.at >= 0)
    y = label.at[known]
    if len(np.unique(y)) < 2:
        return False
    auc = float(roc_auc_score(y, held.numbers[held.at[known]]))
    return max(auc, 1 - auc) > 0.85


def alike(columns: Mapping[str, Held], target: str) -> str:
    """Rows that agree in all that never changes in a life and are alike in the rest as well, in words; empty where there are none."""
    fixed = [name for name, held in columns.items() if name != target and column_names.lifelong(name) and held.varies]
    others = [held for name, held in columns.items() if name not in (target, *fixed) and held.varies]
    if not fixed or len(others) < 3:
        return ""
    at = together([columns[name].at for name in fixed])
    sizes = np.bincount(at)
    if (sizes[at] > 1).mean() < TOLD or len(sizes) < VALUES:
        return ""
    share = float(np.median([unlike(Held(at, None), held) for held in others]))
    if share >= TOLD_APART:
        return ""
    return f"rows that agree in {', '.join(fixed)} are alike in most other columns too (they vary by {share:.0%} of what all do)"


def adjoining(columns: Mapping[str, Held], target: str) -> str:
    """Neighbouring rows that agree in all that never changes in a life, in words; empty where they do not, or are merely sorted.

    People whose readings differ much are told by nothing but the order of the file: visits of one person stand together.
    """
    fixed = [name for name, held in columns.items() if name != target and column_names.lifelong(name) and held.varies]
    counted = [h for n in fixed if (h := columns[n]).numbers is not None and h.at.max() >= VALUES]
    if not counted:
        return ""
    at = together([columns[name].at for name in fixed])
    changes = np.diff(at) != 0
    sizes = np.bincount(at) / len(at)
    if (~changes).mean() < ADJOIN or float((sizes**2).sum()) > BY_CHANCE:
        return ""
    for held in counted:
        steps = np.diff(np.where(held.at < 0, np.nan, held.numbers[held.at]))[changes]  # type: ignore[index]
        steps = steps[np.isfinite(steps) & (steps != 0)]
        if len(steps) < VALUES or not FALLS[0] < float((steps < 0).mean()) < FALLS[1]:
            return ""
    return f"{float((~changes).mean()):.0%} of neighbouring rows agree in {', '.join(fixed)}, though the table is not sorted by them"


def clumps(columns: Mapping[str, Held], target: str) -> str:
    """Rows that come in tight clumps of a few, in words; empty where they do not.

    The distance to the k-th nearest row grows evenly with k where rows are drawn one by one. Where each person has m rows, it leaps
    behind the (m - 1)-th. Only columns of measurements are looked at: choices lie on top of each other anyhow.
    """
    measured = [
        h for n, h in columns.items() if n != target and not column_names.people(n) and h.numbers is not None and len(h.numbers) >= 20
    ]
    if len(measured) < 3:
        return ""
    X = np.stack([np.where(h.at < 0, np.nan, h.numbers[np.maximum(h.at, 0)]) for h in measured if h.numbers is not None], axis=1)
    X = X[~np.isnan(X).any(axis=1)]
    if len(X) < FEWEST or len(np.unique(X, axis=0)) < 0.95 * len(X):
        return ""
    steps = _steps(_ranked(X))
    size = _bump(steps)
    return f"rows come in clumps of about {size}, far nearer to each other than to all others" if size else ""


def _ranked(X: Numbers) -> Numbers:
    """Each column as its values' places, 0 to 1: spread alike, whatever its outliers."""
    places = [np.searchsorted(ordered := np.sort(c), c, side="left") + np.searchsorted(ordered, c, side="right") for c in X.T]
    return np.stack(places, axis=1) / (2.0 * len(X))


def _steps(X: Numbers) -> Numbers:
    """How the distance to the k-th nearest row grows from one of PLACES to the next, in logarithms of both."""
    from sklearn.neighbors import NearestNeighbors

    asked = X[np.sort(np.random.default_rng(0).choice(len(X), min(SEEN, len(X)), replace=False))]
    places = [k for k in PLACES if k <= len(X) // 8]
    far = NearestNeighbors(n_neighbors=places[-1] + 1).fit(X).kneighbors(asked)[0][:, places]
    floor = max(1e-3 * float(np.median(far[:, -1])), 1e-9)
    return np.asarray(np.diff(np.log(np.maximum(far, floor)).mean(axis=0)) / np.diff(np.log(places)))


def _bump(steps: Numbers) -> int:
    """How many rows a clump has, where one step stands out; 0 where none does. The last step says nothing: it has one side only."""
    usual, best = float(np.median(steps)), int(steps[:-1].argmax())
    sides = [steps[best + 1 :].min(), *([steps[:best].min()] if best else [])]
    high = (float(steps[best]) - float(max(sides))) / max(usual, 1e-9)
    return PLACES[best] + 1 if high >= (BUMP if best else FIRST_BUMP) else 0


def nobody_named(columns: Mapping[str, Held], person: str | None) -> bool:
    """Whether no column says whose a row is, or one that says of no two rows that they are one person's."""
    if person is None:
        return True
    named = columns[person].at
    return bool(np.bincount(named[named >= 0], minlength=1).max() < 2)


def columns_of(table: Cells) -> dict[str, Held]:
    """The columns of a table as read; a column without a name is left out."""
    return {name: _held(column) for name, column in table.columns.items() if name}


def _held(column: Column) -> Held:
    places: dict[str, int] = {}
    place = np.array([-1 if without_value(c) else places.setdefault(as_text(c), len(places)) for c in column.cells] or [-1])
    numbers = [None if is_code(text) else plain_number(text) for text in places]
    plain = np.array([np.nan if number is None else float(number) for number in numbers])
    return Held(place[column.at].astype(np.intp), plain if len(plain) and np.isfinite(plain).all() else None)
