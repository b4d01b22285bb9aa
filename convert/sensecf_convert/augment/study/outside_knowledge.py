"""Rows that carry what the reduced rows do not hold: what is known of directions, people without a label, another table.

SMOTE, and this project's own rows, are made from the rows at hand and hold nothing that those do not. Each method here is told something
more, and says what.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from sensecf_edge.errors import SenseCFError
from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.schema import Schema

from ...table.cohort import Cohort
from ...teachers.people import invent, settle
from .. import learners
from ..remaining import Added, Remaining, filled

AT_ONCE = 3
"""Features that one row has changed at most."""
TEACHER = "random-forest"
INVENTED = 1_000
DRAWS = 20


def towards_positive(schema: Schema) -> Vector:
    """Which way each feature leads to the positive class, shape (features,): 1 up, -1 down, 0 not stated.

    Advice leads away from the condition, so it is the opposite of the way in which a feature may be advised to change.
    """
    return np.array([{"increase": -1.0, "decrease": 1.0}.get(f.direction, 0.0) for f in schema.features])


def directions(left: Remaining) -> Added:
    """Real rows of the short class with up to three features moved further its own way, to values that other people have.

    What is added is the schema's word that the direction is so: a patient whose blood pressure is higher still is a patient.
    """
    way = left.directions if left.made == left.data.classes[1] else -left.directions
    if not way.any():
        raise SenseCFError("the schema states no direction")
    data, rng = left.data, np.random.default_rng((left.seed, 3))
    own, movable = data.X[left.towards.y], np.flatnonzero(way)

    def further(count: int) -> Vector:
        out = list[Vector]()
        for _ in range(DRAWS):
            X = own[rng.integers(len(own), size=2 * count)].copy()
            other = data.X[rng.integers(len(data), size=len(X))]
            chosen = _some_of(movable, X.shape, rng) & ((other - X) * way > 0)
            moved = np.where(chosen, other, X)[chosen.any(axis=1)]
            out.append(settle(data.schema, moved)[0])
            if sum(map(len, out)) >= count:
                break
        return np.concatenate(out)

    return filled(left, further)


def _some_of(columns: NDArray[np.intp], shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which features of each row are tried: up to AT_ONCE of `columns`, shape (rows, features)."""
    chosen = np.zeros(shape, dtype=bool)
    for row in chosen:
        row[rng.permutation(columns)[: rng.integers(1, AT_ONCE + 1)]] = True
    return chosen


def unlabelled(left: Remaining) -> Added:
    """People whose labels were taken away, each as a row of both classes, weighing as a random forest of the labelled rows says.

    What is added is how people are spread. Raises SenseCFError where one class alone lost labels: to have none would tell the class.
    """
    if left.unlabelled is None:
        raise SenseCFError("one class alone has lost labels, so that having none would tell it")
    return _softly(left, left.data.X, left.data.y, left.unlabelled.X)


def elsewhere(left: Remaining) -> Added:
    """Another table's labelled rows, as they are. What is added is other people."""
    other = _other(left)
    return Added(other.X, other.y, len(other))


def taught(left: Remaining) -> Added:
    """Invented people, mixed from the rows at hand, each as a row of both classes, weighing as a forest of the other table says."""
    other = _other(left)
    people = invent(left.data, INVENTED, np.random.default_rng((left.seed, 5)))
    return _softly(left, other.X, other.y, people)


def _other(left: Remaining) -> Cohort:
    if left.elsewhere is None:
        raise SenseCFError("no other table was given (--elsewhere)")
    return left.elsewhere


def _softly(left: Remaining, X: Vector, y: NDArray[np.bool_], rows: Vector) -> Added:
    """`rows` as rows of both classes, in the weights that a forest of X and y gives them."""
    p = expit(learners.learn(TEACHER, left.data.schema, X, y, None, rows, left.seed).scores.astype(np.float64))
    real = np.ones(len(left.data))
    both = np.repeat([True, False], len(rows))
    return Added(np.concatenate([rows, rows]), both, len(rows), np.concatenate([real, p, 1 - p]))
