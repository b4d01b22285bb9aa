"""Whose values are said? Every answer's changed values beside all people, those who were trained on and those who were not.

A holder of an answer is a person who has all of its values together. Where nothing is remembered, holders were trained on as
often as people are at large; what is repeated has a holder who was. The same answers with the values of one training
person each, a parrot, say how much of that would show: little where an answer names what hundreds have, and then it gives
nobody away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.stats import norm

from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.schema import Schema
from sensecf_edge.space import rules

from .. import statistics
from ..table.cohort import Cohort
from ..teachers.people import places
from .inference import FEW, LEVEL, POWER

SHUFFLES = 1000
Figures = dict[str, Any]
Codes = NDArray[np.int32]
Columns = tuple[int, ...]


@dataclass(frozen=True)
class Crowd:
    """Rows of people who were trained on and of people who were not, on the lattice, each person's rows behind each other."""

    schema: Schema
    rows: Codes
    starts: NDArray[np.intp]
    people: tuple[str, ...]
    trained: NDArray[np.bool_]

    @classmethod
    def of(cls, train: Cohort, unseen: Cohort) -> Crowd:
        """Names of people of the two cohorts are taken to be different ones."""
        rows = np.concatenate([places(train.schema, train.X), places(train.schema, unseen.X)])
        names = np.array([*(f"in {p}" for p in train.persons), *(f"out {p}" for p in unseen.persons)])
        people, at = np.unique(names, return_inverse=True)
        order = np.argsort(at, kind="stable")
        trained = np.array([name.startswith("in ") for name in people])
        return cls(train.schema, rows[order], np.searchsorted(at[order], np.arange(len(people))), tuple(people), trained)

    def holders(self, y: Codes, columns: Columns, asked: int | None) -> NDArray[np.intp]:
        """People who have the values of y in all these columns, on the lattice: shape (people,). `asked` is left out: what is said to
        somebody is never theirs."""
        rows = np.full(len(self.rows), bool(columns))  # who says nothing repeats nobody
        for i in columns:
            rows &= self.rows[:, i] == y[i]
        holds = np.logical_or.reduceat(rows, self.starts)
        if asked is not None:
            holds[asked] = False
        return np.flatnonzero(holds)


@dataclass(frozen=True)
class Spoken:
    """Answers, one a row: the record X that was asked about, what was said of it Y, both (answers, features), and whose record it is
    ("" where nobody's, else as `Crowd.people` names them)."""

    X: Vector
    Y: Vector
    asked: tuple[str, ...]


def repeated(crowd: Crowd, spoken: Spoken, wanted: Vector, seed: int = 0) -> Figures:
    """How often answers lead to people who were trained on, against chance and against a parrot.

    wanted   rows of training people of the wanted class, shape (rows, features): the parrot's

    answers, people_in, people_out   how many answers; how many people there are of each kind
    share, low, high   share of answers that repeat one training person, 0..1, estimated from how often holders were trained on, as
                       a parrot's are, with its 95 % interval (`statistics`); below 0 by chance
    p                  chance of so much or more where people are exchangeable: trained or not is shuffled among them
    smallest           share of parroted answers that the test finds four times in five; None: not even a parrot would be found
    held               answers that anybody holds
    alone, alone_in, alone_chance   answers whose values one person alone holds, how many of these persons were trained on,
                       and how many would be by chance
    most_in, most_out  how many answers the person holds alone who alone holds most, of those trained on and of the others. No test: one
                       person may be either by chance. A generator that repeats a single person again and again shows here
    found              whether p lies below LEVEL
    """
    rng = np.random.default_rng(seed)
    index = {name: k for k, name in enumerate(crowd.people)}
    out: Figures = {"answers": len(spoken.X), "people_in": int(crowd.trained.sum()), "people_out": int((~crowd.trained).sum())}
    asked = [index.get(name) for name in spoken.asked]
    said = [(tuple(rules.proposed(crowd.schema, x, y)), who) for x, y, who in zip(spoken.X, spoken.Y, asked, strict=True)]
    if min(out["people_in"], out["people_out"]) < FEW or not said:
        return out
    own = _Held.of(crowd, places(crowd.schema, spoken.Y), said)
    parrot = _Held.of(crowd, *_parroted(crowd, spoken, said, places(crowd.schema, wanted), rng))
    labels = np.stack([crowd.trained, *(rng.permutation(crowd.trained) for _ in range(SHUFFLES))], axis=1).astype(np.float32)
    gain, all_parroted = own.gain(labels), float(parrot.gain(labels[:, :1])[0])
    spread = float(gain[1:].std())
    out["p"] = float((1 + (gain[1:] >= gain[0] - 1e-9).sum()) / (1 + SHUFFLES))
    told = _share(crowd, own, parrot, seed) if all_parroted > 0 else {"value": None, "low": None, "high": None}
    out |= {
        "share": told["value"], "low": told["low"], "high": told["high"],
        "smallest": _smallest(spread, all_parroted), **own.alone(crowd), "found": out["p"] < LEVEL,
    }  # fmt: skip
    return out


def _share(crowd: Crowd, own: _Held, parrot: _Held, seed: int) -> statistics.Figure:
    """How much of a parrot's gain the answers have, with its interval: people are drawn again, as holders and as who was asked."""

    def of(_: NDArray[np.intp], W: NDArray[np.float64]) -> Vector:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(own.drawn(crowd.trained, W) / parrot.drawn(crowd.trained, W))

    return statistics.statistic(of, np.arange(len(crowd.people)), seed)


def _smallest(spread: float, parroted: float) -> float | None:
    share = (norm.isf(LEVEL) + norm.ppf(POWER)) * spread / parroted if parroted > 0 else np.inf
    return float(share) if share <= 1 else None


@dataclass(frozen=True)
class _Held:
    """Each answer's holders with equal weights that sum to 1, shape (answers, people), none where it has none; who was asked."""

    weights: Any
    asked: tuple[int | None, ...]

    @classmethod
    def of(cls, crowd: Crowd, Y: Codes, said: list[tuple[Columns, int | None]]) -> _Held:
        found = [crowd.holders(y, columns, who) for y, (columns, who) in zip(Y, said, strict=True)]
        counts = [len(people) for people in found]
        values = np.repeat([1 / max(1, count) for count in counts], counts).astype(np.float32)
        columns = np.concatenate(found) if found else np.empty(0, dtype=np.intp)
        weights = csr_array((values, columns, np.cumsum([0, *counts])), shape=(len(found), len(crowd.people)))
        return cls(weights, tuple(who for _, who in said))

    def gain(self, trained: NDArray[np.float32]) -> Vector:
        """Share of holders who were trained on beyond chance, the mean over answers (0 for one without a holder), for each column
        of labels, shape (labellings,)."""
        people, total = len(trained), trained.sum(axis=0)
        chance = np.stack([total / people if who is None else (total - trained[who]) / (people - 1) for who in self.asked])
        held = np.asarray(self.weights.sum(axis=1))[:, None]
        return np.asarray((self.weights @ trained - chance * held).mean(axis=0), dtype=float)

    def drawn(self, trained: NDArray[np.bool_], W: NDArray[np.float64]) -> Vector:
        """`gain` where each person counts so often, W of shape (people, draws); shape (draws,). An answer counts as often as who was
        asked, and one whose holders are not drawn has none."""
        ours = np.array([-1 if who is None else who for who in self.asked])
        asked = np.where(ours[:, None] < 0, 0.0, W[ours])
        holds, of_trained = (np.asarray(self.weights @ w) for w in (W, W * trained[:, None]))
        rest = W.sum(axis=0) - asked
        chance = np.divide(trained @ W - asked * trained[ours][:, None], rest, out=np.zeros_like(rest), where=rest > 0)
        share = np.divide(of_trained, holds, out=chance.copy(), where=holds > 0)
        counts = np.where(ours[:, None] < 0, 1.0, asked)
        return np.asarray((counts * (share - chance)).sum(axis=0) / counts.sum(axis=0))

    def alone(self, crowd: Crowd) -> Figures:
        counts = np.diff(self.weights.indptr)
        own = self.weights.indices[self.weights.indptr[:-1][counts == 1]]
        chance = round(float(crowd.trained.mean()) * len(own), 1)
        each = np.bincount(own, minlength=len(crowd.people))
        return {
            "held": int((counts > 0).sum()), "alone": len(own), "alone_in": int(crowd.trained[own].sum()), "alone_chance": chance,
            "most_in": int(each[crowd.trained].max()), "most_out": int(each[~crowd.trained].max()),
        }  # fmt: skip


def _parroted(
    crowd: Crowd, spoken: Spoken, said: list[tuple[Columns, int | None]], rows: Codes, rng: np.random.Generator
) -> tuple[Codes, list[tuple[Columns, int | None]]]:
    """What a parrot says instead: in the same features the values of one row that differ from the record's in all of them; answers
    for which there is no such row are left out."""
    out, kept = list[Codes](), list[tuple[Columns, int | None]]()
    for x, (columns, who) in zip(places(crowd.schema, spoken.X), said, strict=True):
        here = list(columns)
        may = np.flatnonzero((rows[:, here] >= 0).all(axis=1) & (rows[:, here] != x[here]).all(axis=1))
        if len(may):
            y = x.copy()
            y[here] = rows[rng.choice(may), here]
            out.append(y)
            kept.append((columns, who))
    return np.array(out, dtype=np.int32).reshape(-1, len(crowd.schema)), kept
