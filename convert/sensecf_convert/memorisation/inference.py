"""Can be told from a score who was trained on? Membership inference by person, with what it could have found.

A score is asked to be higher for people whose rows were trained on (in) than for people who were kept out. By chance it is as
often lower. Two questions: over everybody (AUC), and among the few with the highest scores, where a generator that knows
some people by heart would show itself though most are safe (Carlini et al. 2022, "Membership inference attacks from first
principles"). What this does not do: it is one attack, not the best one, and no bound on any attacker.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensecf_edge.schema.feature import Vector

from .. import statistics
from ..statistics import LEAST_PEOPLE

LEVEL = 0.005
"""Chance of a false alarm of each of the two questions, so that both together stay at one in a hundred."""
POWER = 0.8
FEW = LEAST_PEOPLE
"""People on either side, below which nothing is said: no interval, no test."""
HIGHEST = 0.05

Figures = dict[str, Any]


def told_apart(inside: Vector, outside: Vector, *, seed: int = 0, of_people: bool = True) -> Figures:
    """Figures of scores of people who were in, shape (people in,), and of people who were not, shape (people out,).

    `of_people`: a score is one person's. Scores of pairs are not: a pair is mixed of several people's rows, so nobody can be drawn
    again, and there is no interval.

    people_in, people_out   how many; with fewer than ten on either side nothing else
    auc, low, high          chance that somebody in scores above somebody out, 0..1, with its 95 % interval (`statistics`), which is
                            None to None where scores are no people's
    p                       chance of such an AUC or a higher one where nothing can be told (Mann-Whitney)
    smallest                the AUC that the test would find four times in five
    highest, highest_in     so many people have the highest scores, and so many of them were in
    highest_chance          how many of them would have been by chance
    highest_p               chance of so many in or more (hypergeometric)
    smallest_known          share of people in, 0..1, whose scores would have to stand above everybody else's for the second question
                            to find them four times in five; None: there are too few people for it to find any
    found                   whether either question says that who was in can be told, at a false alarm in a hundred
    """
    from scipy.stats import hypergeom, mannwhitneyu

    n, m = len(inside), len(outside)
    out: Figures = {"people_in": n, "people_out": m}
    if min(n, m) < FEW:
        return out
    told = _auc(inside, outside, seed) if of_people else {"value": auc(inside, outside), "low": None, "high": None}
    top = max(1, round(HIGHEST * (n + m)))
    order = np.argsort(-np.concatenate([inside, outside]), kind="stable")[:top]
    among = int((order < n).sum())
    out |= {
        "auc": told["value"], "low": told["low"], "high": told["high"],
        "p": float(mannwhitneyu(inside, outside, alternative="greater").pvalue), "smallest": smallest_auc(n, m),
        "highest": top, "highest_in": among, "highest_chance": top * n / (n + m),
        "highest_p": float(hypergeom.sf(among - 1, n + m, n, top)), "smallest_known": smallest_known(n, m, top),
    }  # fmt: skip
    return {**out, "found": out["p"] < LEVEL or out["highest_p"] < LEVEL}


def auc(inside: Vector, outside: Vector) -> float:
    """Chance that a score of `inside` lies above one of `outside`, ties counting half."""
    scores, was_in = _both(inside, outside)
    return float(statistics.auc(was_in, scores, np.arange(len(scores)), np.ones((len(scores), 1)))[0])


def _auc(inside: Vector, outside: Vector, seed: int) -> statistics.Figure:
    scores, was_in = _both(inside, outside)
    return statistics.statistic(lambda at, W: statistics.auc(was_in, scores, at, W), np.arange(len(scores)), seed)


def _both(inside: Vector, outside: Vector) -> tuple[Vector, NDArray[np.bool_]]:
    return np.concatenate([inside, outside]), np.arange(len(inside) + len(outside)) < len(inside)


def smallest_auc(n: int, m: int) -> float:
    """The AUC that a one-sided test at LEVEL finds with a chance of POWER among n people in and m out; 1 where none does.

    Normal approximation with the standard errors of Hanley and McNeil (1982).
    """
    from scipy.stats import norm

    a = np.linspace(0.5, 1.0, 5001)
    q1, q2 = a / (2 - a), 2 * a**2 / (1 + a)
    spread = np.sqrt((a * (1 - a) + (n - 1) * (q1 - a**2) + (m - 1) * (q2 - a**2)) / (n * m))
    chance = np.sqrt((n + m + 1) / (12 * n * m))
    seen = a >= 0.5 + norm.isf(LEVEL) * chance + norm.ppf(POWER) * spread
    return float(a[seen.argmax()]) if seen.any() else 1.0


def smallest_known(n: int, m: int, top: int) -> float | None:
    """The share of n people in who would have to be known by heart, so that they stand above m people out and all others, for the
    `top` highest scores to give them away with a chance of POWER; None where not even n would."""
    from scipy.stats import hypergeom

    for known in range(min(n, top) + 1):
        among = known + int(hypergeom.ppf(1 - POWER, n + m - known, n - known, top - known)) if known < top else top
        if hypergeom.sf(among - 1, n + m, n, top) < LEVEL:
            return known / n
    return None


def by_person(persons: list[str], scores: Vector) -> Vector:
    """The mean score of each person, shape (people,), in the order of their names."""
    _, at = np.unique(np.array(persons, dtype=str), return_inverse=True)
    return np.asarray(np.bincount(at, scores) / np.bincount(at)) if len(scores) else np.empty(0)
