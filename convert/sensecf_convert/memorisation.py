"""Does a generator repeat the people it was trained on? Generated records beside real rows that it never saw.

A generated record that lies near a training row proves nothing by itself: people resemble each other. So every figure stands
beside the same figure of real unseen rows. Memorisation shows as generated records that are nearer to single training rows
than unseen people are. What this does not do: it bounds no attacker, it is no differential privacy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sensecf_edge.schema import Schema, Vector

from .gower import nearest
from .likeness import sampled
from .teachers.people import places
from .words import percent, plain

NNDR_PERCENTILE = 5
MOST_ROWS, MOST_TRAIN = 1_000, 10_000

Figures = dict[str, float | int | None]


def check(
    generated: Vector, train: Vector, unseen: Vector, schema: Schema, factuals: Vector | None = None
) -> dict[str, float | int | None]:
    """Nearness to training rows of generated records and of unseen rows, each of shape (rows, features), NaN for unknown.

    generated  counterfactual records that the generator led to
    train      all rows that anything was trained on
    unseen     real rows of people nobody was trained on: the yardstick
    factuals   made-up people that the teachers asked about, if at hand

    Keys, each with `_generated` and `_unseen` behind it (None where there is no row, or one training row where two are needed):

    exact      share of rows that are, value for value on the lattice, one of the training rows (unknown equals unknown): the
               identical match share of table-GAN (Park et al. 2018) and of Platzer and Reutterer 2021
    Distances are taken of MOST_ROWS rows at most of each kind to MOST_TRAIN training rows at most, drawn alike each time; copies are
    looked for among all.

    dcr        median distance to the closest record, Gower distance over the features known in both (table-GAN; Gower 1971)
    nndr       5th percentile of the nearest neighbour distance ratio, the distance to the closest training row over that to
               the second closest (CTAB-GAN, Zhao et al. 2021): near 0, a row sits on one person and far from everybody else

    `dcr_ratio` is dcr_generated / dcr_unseen: well below 1 means nearer to training rows than people are. None where unseen
    rows lie on training rows. `exact_factuals` is the share of exact copies among the factuals; `generated`, `unseen` and
    `train` count rows.
    """
    out: Figures = {"generated": len(generated), "unseen": len(unseen), "train": len(train)}
    near = sampled(train, MOST_TRAIN)
    for name, X in (("generated", generated), ("unseen", unseen)):
        out[f"exact_{name}"] = exact(schema, X, train)
        first, second = closest(schema, sampled(X, MOST_ROWS), near)
        out[f"dcr_{name}"] = float(np.median(first)) if len(first) else None
        out[f"nndr_{name}"] = float(np.percentile(_ratio(first, second), NNDR_PERCENTILE)) if len(second) else None
    ours, theirs = out["dcr_generated"], out["dcr_unseen"]
    out["dcr_ratio"] = ours / theirs if ours is not None and theirs else None
    out["exact_factuals"] = None if factuals is None else exact(schema, factuals, train)
    return out


def exact(schema: Schema, X: Vector, train: Vector) -> float | None:
    """Share of rows of X that equal a training row on the lattice, unknown equal to unknown; None where X has no row."""
    known = {row.tobytes() for row in places(schema, train)}
    return float(np.mean([row.tobytes() in known for row in places(schema, X)])) if len(X) else None


def closest(schema: Schema, X: Vector, train: Vector) -> tuple[Vector, Vector]:
    """Gower distances of every row of X to its closest and its second closest training row, each of shape (rows,); empty where
    there are not so many training rows."""
    nothing = np.empty(0)
    if not len(train) or not len(X):
        return nothing, nothing
    near = nearest(schema, X, train, 2)
    return near[:, 0], near[:, 1] if near.shape[1] > 1 else nothing


def _ratio(first: Vector, second: Vector) -> Vector:
    """first / second; 1 where two training rows are equally on the spot, since neither is then singled out."""
    return np.divide(first, second, out=np.ones_like(first), where=second > 0)


def words(figures: Mapping[str, Any]) -> str:
    """Rows of a Markdown table `| | generated records | unseen people |`, without its head."""

    rows = [
        ("rows", f"{figures['generated']:,}", f"{figures['unseen']:,}"),
        ("exact copies of a training row, on the lattice", percent(figures["exact_generated"]), percent(figures["exact_unseen"])),
        ("distance to the closest training row (Gower), median", plain(figures["dcr_generated"], 3), plain(figures["dcr_unseen"], 3)),
        ("the same as a ratio, generated over unseen", plain(figures["dcr_ratio"], 3), "1"),
        ("closest over second closest distance, 5th percentile", plain(figures["nndr_generated"], 3), plain(figures["nndr_unseen"], 3)),
        ("exact copies among the made-up people it learnt from", percent(figures["exact_factuals"]), ""),
    ]
    return "\n".join(f"| {title} | {ours} | {theirs} |" for title, ours, theirs in rows)
