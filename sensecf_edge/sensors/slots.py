"""Days cut into quarters of an hour: what coverage is counted in, and where one source gives way to another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo

import numpy as np
from numpy.typing import NDArray

from .clocks import local_day, midnights
from .measures import QUARTER
from .readings import Lengths, Times, Values

IN_A_DAY = 128
"""Slots that a day's number is kept apart by; the longest day has 100."""

Slots = NDArray[np.int64]


class Calendar:
    """The local dates of a stretch of time. `starts` are their first seconds and the end of the last, shape (days + 1,)."""

    def __init__(self, first: int, last: int, place: tzinfo) -> None:
        self.place, self.first = place, local_day(first, place)
        self.starts = midnights(self.first, local_day(last, place), place)
        self.seconds = np.diff(self.starts)
        self.slots = -(-self.seconds // QUARTER)

    def __len__(self) -> int:
        return len(self.seconds)

    def day(self, moments: Times) -> Slots:
        """The index of each moment's date, same shape."""
        return np.searchsorted(self.starts, moments, side="right") - 1

    def slot(self, moments: Times) -> Slots:
        """Each moment's quarter of an hour, as one number for day and quarter; same shape."""
        day = self.day(moments)
        return day * IN_A_DAY + (moments - self.starts[day]) // QUARTER

    def share(self, slots: Slots) -> Values:
        """The share of each day that different slots take, shape (days,)."""
        shares: Values = np.bincount(slots // IN_A_DAY, minlength=len(self))[: len(self)] / np.maximum(self.slots, 1)
        return shares


def pieces(calendar: Calendar, start: Times, length: Lengths, value: Values, whole_days: bool) -> tuple[Slots, Values]:
    """Counts spread evenly over the time they were taken in, cut at midnights (or at quarters of an hour): slots and parts,
    both of shape (pieces,).

    A count is cut only where it must be, and nearly none must.
    """
    end = start + length
    one = calendar.day(start) == calendar.day(end - 1) if whole_days else calendar.slot(start) == calendar.slot(end - 1)
    slots, parts = [calendar.slot(start[one])], [value[one]]
    for i in np.flatnonzero(~one):
        a, b = int(start[i]), int(end[i])
        edges = calendar.starts if whole_days else _quarters(calendar, a, b)
        cut = np.r_[a, edges[(edges > a) & (edges < b)], b]
        slots.append(calendar.slot(cut[:-1]))
        parts.append(value[i] * np.diff(cut) / (b - a))
    return np.concatenate(slots), np.concatenate(parts)


def _quarters(calendar: Calendar, begin: int, end: int) -> Times:
    days = range(int(calendar.day(np.array([begin]))[0]), int(calendar.day(np.array([end - 1]))[0]) + 1)
    return np.unique(np.concatenate([np.arange(calendar.starts[d], calendar.starts[d + 1] + 1, QUARTER) for d in days]))


def owned(presence: Mapping[str, Slots], calendar: Calendar, prefer: Sequence[str], pulse: Mapping[str, Slots]) -> dict[str, Slots]:
    """The slots in which each source counts, shape (slots,): in every slot one, of those that are there in it. `presence` holds different
    slots.

    Last comes a device that measures a `pulse` and has none in the slot: it was not worn. First comes who is preferred, then who has
    a pulse, then who is there in most of that day's slots, then the alphabet.
    """
    if len(presence) < 2:
        return dict(presence)
    names = sorted(presence)
    where, score, who = [], [], []
    for i, name in enumerate(names):
        wish = list(prefer).index(name) if name in prefer else len(prefer)
        there = np.bincount(presence[name] // IN_A_DAY, minlength=len(calendar))[presence[name] // IN_A_DAY]
        where.append(presence[name])
        off = (~np.isin(presence[name], pulse[name])).astype(np.int64) if name in pulse else 0
        rank = (off * (len(prefer) + 1) + wish) * 2 + (name not in pulse)
        score.append((rank * IN_A_DAY + (IN_A_DAY - there)) * len(names) + i)
        who.append(np.full(len(presence[name]), i))
    slot, source = np.concatenate(where), np.concatenate(who)
    order = np.lexsort((np.concatenate(score), slot))
    slot, source = slot[order], source[order]
    first = np.r_[True, slot[1:] != slot[:-1]] if len(slot) else np.zeros(0, bool)
    return {name: slot[first & (source == i)] for i, name in enumerate(names)}
