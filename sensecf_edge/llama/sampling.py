"""Tokens chosen for all rows of a batch in one pass: greedy, or drawn from the softmax over the allowed tokens only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .batch import Branch
from .vocabulary import Scores

Flat = NDArray[np.float64]
Counts = NDArray[np.intp]


def allowed_scores(rows: Scores, branches: Sequence[Branch]) -> tuple[Flat, Counts]:
    """The scores of the allowed tokens only, row behind row, shape (tokens,), and how many each row has, shape (rows,), never 0."""
    ids = [b.moves.ids for b in branches]
    counts = np.fromiter(map(len, ids), np.intp, len(ids))
    at = np.concatenate(ids)
    at += np.repeat(np.arange(len(ids)) * rows.shape[1], counts)
    return rows.reshape(-1)[at].astype(np.float64), counts


def tops(flat: Flat, counts: Counts) -> Flat:
    """The highest allowed score of each row, shape (rows,); NaN where one of them is."""
    out: Flat = np.maximum.reduceat(flat, np.cumsum(counts) - counts)
    return out


def choose(branches: Sequence[Branch], flat: Flat, counts: Counts, highest: Flat) -> list[list[int]]:
    """For every branch, for every member: the place of its next token in the branch's `moves.ids`.

    Scores are finite, and `highest` is the highest of each row. A draw u takes the first token whose running sum passes
    u. All rows share one running sum, which moves a border by less than 1e-12 with what else is in the batch.
    """
    ends = np.cumsum(counts)
    starts = ends - counts
    out: list[list[int]] = []
    owners, numbers, places = [], [], []
    for row, branch in enumerate(branches):
        picks = []
        for member in branch.members:
            if member.draws is None:
                picks.append(int(flat[starts[row] : ends[row]].argmax()))
            else:
                owners.append(row)
                numbers.append(member.draws[member.spent])
                member.spent += 1
                places.append((row, len(picks)))
                picks.append(-1)
        out.append(picks)
    if owners:
        heat = np.array([b.task.request.temperature for b in branches])
        heat[heat <= 0] = 1.0
        weights = np.exp((flat - np.repeat(highest, counts)) / np.repeat(heat, counts))
        sums = weights.cumsum()
        owner = np.array(owners)
        first, last = starts[owner], ends[owner] - 1
        low = sums[first] - weights[first]
        found = np.searchsorted(sums, low + np.array(numbers) * (sums[last] - low), side="right")
        for (row, member_at), pick in zip(places, (np.clip(found, first, last) - first).tolist(), strict=True):
            out[row][member_at] = pick
    return out
