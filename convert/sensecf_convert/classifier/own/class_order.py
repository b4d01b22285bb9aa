"""Which column of an own classifier is the wanted class, and whether it reads choices in the order they are given.

Neither can be seen in the numbers themselves: swapped classes and renumbered choices are answered, not refused. So names
are held against names where the model has them, and the answers against the table's rows always.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from sensecf_edge.errors import CheckError
from sensecf_edge.judge.classifier import OnnxChecker
from sensecf_edge.schema.feature import Feature, Vector

from ... import statistics
from ...table.cohort import Cohort

TELLING = 0.05
"""How far from 0.5 the AUC on the training rows must be, to tell from it which column is the wanted class."""
FALLS = 0.02
"""An AUC this much higher with choices numbered otherwise, and beyond chance, is that of the model as it was fitted."""
FEW = 4
"""Of features with so few choices all orders are tried, of others the ones that encoders make."""
DRAWS, MOST_ROWS = 100, 2_000


@dataclass(frozen=True)
class Numbering:
    """What stands for each choice of a feature, and how to say it."""

    feature: str
    codes: tuple[float, ...]
    description: str


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
    rows = np.sort(np.random.default_rng(0).permutation(len(train))[:MOST_ROWS])
    X, y = train.X[rows], train.y[rows]

    def scores(Z: Vector) -> Vector:
        try:
            p = checker.p_target(Z)
        except CheckError:  # an encoder inside knows no such number
            return np.zeros(len(Z))
        return -p if turned else p

    best, found = X, list[Numbering]()
    plain = highest = _auc(y, scores(X))
    for every in (_as_encoders, _as_values):  # a table is mostly numbered in one way throughout
        made = [(i, n) for i, f in features if (n := every(f)) is not None]
        tried = _renumbered(X, made)
        if made and (auc := _auc(y, scores(tried))) > highest + FALLS:
            best, highest, found = tried, auc, [n for _, n in made]
    if not found:
        for i, f in features:
            for numbering in _numberings(f):
                tried = _with(best, X, i, numbering)
                if (auc := _auc(y, scores(tried))) > highest + FALLS:
                    best, highest = tried, auc
                    found = [*(n for n in found if n.feature != f.name), numbering]
    if found and _beyond_chance(y, scores(X), scores(best), train.persons[rows]):
        raise CheckError(
            f"the classifier's AUC on the training rows is {right:.2f} where choices have the numbers of the schema's list, and "
            f"{right + highest - plain:.2f} where {'; '.join(n.description for n in found[:4])}: it was fitted on choices numbered so. "
            "List the schema's choices in that order, or fit the model again on the schema's numbers (0, 1, …)"
        )


def _auc(y: NDArray[np.bool_], p: Vector) -> float:
    return float(roc_auc_score(y, p)) if 0 < y.sum() < len(y) else 0.5


def _as_encoders(feature: Feature) -> Numbering | None:
    """As scikit-learn's and pandas' encoders number them: numbers by value, words by their letters."""
    try:
        return _ordered(feature, sorted(feature.choices, key=float))
    except ValueError:
        return _ordered(feature, sorted(feature.choices))


def _as_values(feature: Feature) -> Numbering | None:
    """The values themselves, where choices are numbers."""
    try:
        codes = tuple(float(c) for c in feature.choices)
    except ValueError:
        return None
    if codes == tuple(range(len(codes))):
        return None
    return Numbering(feature.name, codes, f"{feature.name} is its own value")


def _ordered(feature: Feature, order: list[str]) -> Numbering | None:
    if order == list(feature.choices):
        return None
    codes = tuple(float(order.index(c)) for c in feature.choices)
    return Numbering(feature.name, codes, f"{feature.name} is {', '.join(order[:8])}")


def _numberings(feature: Feature) -> Iterator[Numbering]:
    """Other numbers that a model may have been given for the choices."""
    given = list(feature.choices)
    some = [given[::-1], sorted(given), sorted(given, key=str.casefold), sorted(given, key=lambda c: (len(c), c))]
    made = [_as_encoders(feature), _as_values(feature)]
    made += [_ordered(feature, list(order)) for order in (permutations(given) if len(given) <= FEW else some)]
    yield from dict.fromkeys(n for n in made if n is not None)


def _renumbered(X: Vector, changes: Sequence[tuple[int, Numbering]]) -> Vector:
    """The rows with the choices of some features numbered otherwise."""
    out: Vector = X.copy()
    for i, numbering in changes:
        known = ~np.isnan(X[:, i])
        out[known, i] = np.array(numbering.codes)[X[known, i].astype(int)]
    return out


def _with(best: Vector, X: Vector, i: int, numbering: Numbering) -> Vector:
    """`best` with one feature of X numbered otherwise."""
    out: Vector = best.copy()
    out[:, i] = _renumbered(X, [(i, numbering)])[:, i]
    return out


def _beyond_chance(y: NDArray[np.bool_], one: Vector, other: Vector, persons: NDArray[np.str_]) -> bool:
    """Whether the gain holds in 99 of 100 draws of these people; of rows where there are too few people to draw."""
    people, at = np.unique(persons, return_inverse=True)
    count = len(people)
    if count < statistics.LEAST_PEOPLE:
        count, at = len(y), np.arange(len(y))
    W = statistics.weights(count, 0, DRAWS)[:, 1:]
    gains = statistics.auc(y, other, at, W) - statistics.auc(y, one, at, W)
    return bool(np.nanquantile(gains, 0.01) > 0)
