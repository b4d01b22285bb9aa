"""Which column of an own classifier is the wanted class, and whether it reads choices in the order they are given.

Neither can be seen in the numbers themselves: swapped classes and renumbered choices are answered, not refused. So names
are held against names where the model has them, and the answers against the table's rows always.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from sensecf_edge.check import OnnxChecker
from sensecf_edge.errors import CheckError
from sensecf_edge.schema import Feature, Vector

from ..tables import Cohort

TELLING = 0.05
"""How far from 0.5 the AUC on the training rows must be, to tell from it which column is the wanted class."""
FALLS = 0.02
"""An AUC this much higher with choices numbered otherwise, and beyond chance, is that of the model as it was fitted."""
FEW = 4
"""Of features with so few choices all orders are tried, of others the ones that encoders make."""
DRAWS = 100


def settle(graph: bytes, labels: Sequence[str], train: Cohort) -> tuple[str, bool]:
    """How it is known which column is the wanted class, in words, and whether the columns must change places.

    Raises CheckError where names and answers contradict each other, or choices are read in another order."""
    checker = OnnxChecker(graph, len(train.schema), wanted=1, classes=2)
    p = checker.p_target(train.X)
    auc = float(roc_auc_score(train.y, p))
    place = _place(labels, train.classes)
    if place is None:
        words, turned = f"by AUC on the training rows ({max(auc, 1 - auc):.2f})", auc < 0.5
        if labels:
            words += f"; its own names {labels[0]}, {labels[1]} are not the table's"
    else:
        words, turned = f"by its labels {labels[0]}, {labels[1]}", place == 0
    right = 1 - auc if turned else auc
    if place is not None and right < 0.5 - TELLING:
        raise CheckError(
            f"the classifier's labels say that column {place} is {train.classes[1]}, but read so "
            f"its AUC on the training rows is {right:.2f}; its features are in another order, or its labels are exchanged"
        )
    _refuse_other_order(checker, train, right, turned)
    if abs(auc - 0.5) < TELLING:
        raise CheckError(
            f"the classifier's AUC on the training rows is {auc:.2f}: it does not know this target, or takes the features in another "
            f"order; it must take {', '.join(train.schema.names)}"
        )
    return words, turned


def _place(labels: Sequence[str], classes: Sequence[str]) -> int | None:
    """The column of the wanted class by the model's own names; None where these do not say."""
    if len(labels) != 2:
        return None
    ours, theirs = [_plain(c) for c in classes], [_plain(c) for c in labels]
    if ours[0] == ours[1] or theirs[0] == theirs[1] or not set(ours) & set(theirs):
        return None
    return theirs.index(ours[1]) if ours[1] in theirs else 1 - theirs.index(ours[0])


def _plain(label: str) -> str:
    label = label.strip().casefold()
    return label[:-2] if label.endswith(".0") else label


def _refuse_other_order(checker: OnnxChecker, train: Cohort, right: float, turned: bool) -> None:
    """Raises CheckError where the model knows the rows clearly better with some feature's choices numbered otherwise."""
    features = [(i, f) for i, f in enumerate(train.schema.features) if f.kind == "choice" and len(f.choices) > 1]
    rows = _some_rows(train)
    X, y = train.X[rows], train.y[rows]

    def scores(Z: Vector) -> Vector:
        p = checker.p_target(Z)
        return -p if turned else p

    best, orders = (_auc(y, scores(X)), X), dict[str, list[str]]()
    plain = best[0]
    together = _renumbered(X, [(i, f, encoded) for i, f in features for encoded in [_as_encoders(f)]])
    if (found := _auc(y, scores(together))) > best[0] + FALLS:
        best = (found, together)
        orders = {f.name: _as_encoders(f) for _, f in features if _as_encoders(f) != list(f.choices)}
    else:
        for i, f in features:
            for order in _orders(f):
                tried = _renumbered(best[1], [(i, f, order)])
                if (found := _auc(y, scores(tried))) > best[0] + FALLS:
                    best, orders[f.name] = (found, tried), order
    if orders and _beyond_chance(y, scores(X), scores(best[1])):
        first, order = next(iter(orders.items()))
        raise CheckError(
            f"the classifier's AUC on the training rows is {right:.2f} with the choices in the schema's order, and {best[0]:.2f} with those of "
            f"{', '.join(orders)} in another ({first}: {', '.join(order)}): it was fitted on choices numbered otherwise "
            f"(encoders sort them by letters). Put the schema's choices in that order, or fit the model again on the schema's "
            f"numbers; nothing was taken at {plain:.2f}"
        )


def _some_rows(train: Cohort) -> NDArray[np.intp]:
    """At most 2,000 rows, drawn alike for both classes' sake of time."""
    return np.sort(np.random.default_rng(0).permutation(len(train))[:2_000])


def _auc(y: NDArray[np.bool_], p: Vector) -> float:
    return float(roc_auc_score(y, p)) if 0 < y.sum() < len(y) else 0.5


def _as_encoders(feature: Feature) -> list[str]:
    """The order of scikit-learn's and pandas' encoders: numbers by value, words by their letters."""
    try:
        return sorted(feature.choices, key=float)
    except ValueError:
        return sorted(feature.choices)


def _orders(feature: Feature) -> Iterator[list[str]]:
    """Other orders in which a model may have numbered the choices."""
    given = list(feature.choices)
    some = [_as_encoders(feature), given[::-1], sorted(given), sorted(given, key=str.casefold), sorted(given, key=lambda c: (len(c), c))]
    tried = [list(p) for p in permutations(given)] if len(given) <= FEW else some
    seen = {tuple(given)}
    for order in tried:
        if tuple(order) not in seen:
            seen.add(tuple(order))
            yield order


def _renumbered(X: Vector, changes: Sequence[tuple[int, Feature, list[str]]]) -> Vector:
    """The rows with the choices of some features numbered in another order."""
    out = X.copy()
    for i, feature, order in changes:
        codes = np.array([float(order.index(c)) for c in feature.choices])
        known = ~np.isnan(X[:, i])
        out[known, i] = codes[X[known, i].astype(int)]
    return out


def _beyond_chance(y: NDArray[np.bool_], one: Vector, other: Vector) -> bool:
    """Whether the gain holds in 99 of 100 samples of these rows, drawn with repeats."""
    rng, gains = np.random.default_rng(0), []
    for _ in range(DRAWS):
        rows = rng.integers(0, len(y), len(y))
        gains.append(_auc(y[rows], other[rows]) - _auc(y[rows], one[rows]))
    return bool(np.quantile(gains, 0.01) > 0)
