"""Which readings count. Times that cannot be, error codes, duplicates, contradictions and overlaps are left out and counted.

The order in which readings came plays no part in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import tzinfo

import numpy as np
from numpy.typing import NDArray

from ..errors import TableError
from .clocks import DAY, check_fixed, from_stated, from_wall, local_day, midnights
from .measures import ABOVE, BELOW
from .notes import SHOWN, Notes
from .quantities import CANONICAL, factor, spelled
from .readings import MOMENTS, NOT_SAID, Lengths, Readings, Series, Times, Values, Where

SINCE = 946_684_800
"""2000-01-01. Older times are clocks that were never set: 0, 1970, 1989 (where FIT begins to count)."""
PLAUSIBLE = {"glucose": (20, 600), "heart_rate": (25, 250), "resting_heart_rate": (25, 150), "stress": (0, 100), "sleep": (0, 5)}
PER_MINUTE = {"steps": 300.0, "active_energy": 40.0, "active_time": 1.1, "vigorous_time": 1.1, "sedentary_time": 1.1}
"""The most that a minute can hold of what is counted. 65535, which counters hold when they hold nothing, is above it."""
SAME = {"glucose": 1.5}
"""Readings of one moment that differ by no more are one reading in two units, each rounded: up to 1.4 mg/dL lie between them. The next
value in mmol/L is 1.8 mg/dL away."""
LEAST_SHOWN = 39.0
"""mg/dL under which sensors say Low. 22 mmol/L that passes for 22 mg/dL lies there all day, and no person's glucose does."""
LONGEST = 25 * 3600
PART = 1 << 18
SUSPICIOUS, SUSPICIOUS_SHARE = 100, 0.05
"""So many contradictions in one source, and so large a share of it, are two people or two devices under one name."""


@dataclass
class Track:
    """Readings of one person, kind and source that count, by time: starts and lengths in seconds (UTC), values in the
    canonical unit, `band` -1 below, 0 in, 1 above range (glucose alone), `places` where they stand. All of shape (n,)."""

    source: str
    start: Times
    length: Lengths
    value: Values
    band: NDArray[np.int8]
    places: Where

    def of(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> Track:
        """The readings that a mask or places name; the track itself where a mask leaves nothing out."""
        if which.dtype == bool and which.all():
            return self
        return Track(self.source, self.start[which], self.length[which], self.value[which], self.band[which], self.places[which])

    def parts(self) -> Iterator[Track]:
        """The same, a piece after the other: what is computed of each needs little memory at a time."""
        for at in range(0, len(self), PART):
            yield self.of(np.arange(at, min(at + PART, len(self))))

    def __len__(self) -> int:
        return len(self.start)


def cleaned(readings: Readings, person: str, kind: str, place: tzinfo, now: int) -> list[Track]:
    """The tracks of a person and kind, by source. Raises TableError where two people seem to be one."""
    by_source = dict[str, list[Track]]()
    for series in readings.of_person(person, kind):
        track = _placed(series, place, now, readings.notes)
        by_source.setdefault(series.key.source, []).append(_plausible(track, kind, place, readings.notes))
    out = []
    for source, tracks in sorted(by_source.items()):
        whole = _joined(source, tracks)
        track = (_one_a_moment if kind in MOMENTS else _one_at_a_time)(whole, kind, readings.notes)
        if len(track):
            out.append(track)
    return out


def _placed(series: Series, place: tzinfo, now: int, notes: Notes) -> Track:
    """In UTC and the canonical unit."""
    start, length, value, places = series.held()
    kind, told = series.key.kind, series.key.kind.replace("_", " ")
    fine = (start >= SINCE - (DAY if series.key.wall else 0)) & (start <= now + DAY)
    if not fine.all():
        _drop(notes, f"{told} at a time that cannot be (before 2000, or in the future)", ~fine, places)
        start, length, value, places = start[fine], length[fine], value[fine], places[fine]
    if series.key.wall and len(start):
        stated = series.key.offset
        start, lost = from_wall(start, place) if stated == NOT_SAID else from_stated(start, stated, place)
        _drop(notes, f"{told} in an hour that comes twice, or never was, when clocks change", lost, places)
        start, length, value, places = start[~lost], length[~lost], value[~lost], places[~lost]
        if len(start):
            check_fixed(place, int(start.min()), int(start.max()))
    band = np.zeros(len(start), np.int8)
    if kind == "glucose":
        value, band = _within(series, value, places, notes)
    by = factor(series.key.unit, CANONICAL[kind], told)
    return Track(series.key.source, start, length, value if by == 1 else value * by, band, places)


def _drop(notes: Notes, reason: str, which: NDArray[np.bool_], places: Where) -> None:
    """Those that a mask names are left out."""
    notes.drop(reason, int(np.count_nonzero(which)), places[np.flatnonzero(which)[:SHOWN]])


def _within(series: Series, value: Values, places: Where, notes: Notes) -> tuple[Values, NDArray[np.int8]]:
    """Low and High count below and above range, and as the sensor's limit in the mean. Ranges are those of the reading's unit."""
    unit = spelled(series.key.unit) or ""
    low, high = series.limits
    for name, which, limit in (("Low", np.isneginf(value), low), ("High", np.isposinf(value), high)):
        if which.any():
            at = places[np.flatnonzero(which)[:SHOWN]]
            notes.tell(f"glucose {name!r}, counted as the sensor's limit of {limit:g} {unit}", int(which.sum()), at)
            value = np.where(which, limit, value)
    below, above = BELOW.get(unit, np.nan), ABOVE.get(unit, np.nan)
    return value, (value > above).astype(np.int8) - (value < below).astype(np.int8)


def _plausible(track: Track, kind: str, place: tzinfo, notes: Notes) -> Track:
    told = kind.replace("_", " ")
    if kind in PLAUSIBLE:
        low, high = PLAUSIBLE[kind]
        fine = (track.value >= low) & (track.value <= high)
        reason = f"{told} outside {low} to {high} {CANONICAL[kind]} (error codes, or another unit than stated)"
        if kind == "stress":
            reason = "stress outside 0 to 100 (Garmin's -1 and -2: no valid reading)"
    else:
        fine = np.concatenate([np.zeros(0, bool), *(_countable(part, PER_MINUTE[kind]) for part in track.parts())])
        reason = f"{told} below 0 or over {PER_MINUTE[kind]:g} a minute (error codes)"
    _drop(notes, reason, ~fine, track.places)
    if kind == "glucose" and not (shown := fine & (track.value >= LEAST_SHOWN)).all():
        fine = _of_believed_dates(track, fine, shown, place, notes)
    if kind not in MOMENTS:
        right = (track.length > 0) & (track.length <= LONGEST)
        _drop(notes, f"{told} over a time of nothing, backwards, or of over a day", fine & ~right, track.places)
        fine &= right
    return track.of(fine)


def _of_believed_dates(track: Track, fine: NDArray[np.bool_], shown: NDArray[np.bool_], place: tzinfo, notes: Notes) -> NDArray[np.bool_]:
    """Without dates of which most moments are nothing that is `shown`: 22 mmol/L that passes for 22 mg/dL would turn a high into a low."""
    first, last = (local_day(int(at), place) for at in (track.start.min(), track.start.max()))
    begins = midnights(first, last, place)
    moments = np.unique(2 * track.start + shown)  # each once, however often a file holds it
    day = np.searchsorted(begins, moments // 2, side="right")
    mostly = 2 * np.bincount(day, moments % 2) < np.bincount(day)
    kept = fine & ~mostly[np.searchsorted(begins, track.start, side="right")]
    reason = "glucose of dates of which most is outside, or lower than sensors show (another unit than stated?)"
    _drop(notes, reason, fine & ~kept, track.places)
    return kept


def _countable(track: Track, per_minute: float) -> NDArray[np.bool_]:
    return (track.value >= 0) & (track.value <= per_minute * np.maximum(track.length / 60, 1))


def _joined(source: str, tracks: Iterable[Track]) -> Track:
    """By time, then the longer first, then the larger first."""
    parts = list(tracks)
    if len(parts) == 1:
        return _by_time(parts[0])
    whole = Track(source, *(np.concatenate([getattr(t, name) for t in parts]) for name in ("start", "length", "value", "band", "places")))
    return _by_time(whole)


def _by_time(whole: Track) -> Track:
    start, length, value = whole.start, whole.length, whole.value
    before = (start[:-1] < start[1:]) | ((start[:-1] == start[1:]) & ((length[:-1] > length[1:]) | (
        (length[:-1] == length[1:]) & (value[:-1] >= value[1:]))))  # fmt: skip
    return whole if before.all() else whole.of(np.lexsort((-whole.value, -whole.length, whole.start)))


def _one_a_moment(track: Track, kind: str, notes: Notes) -> Track:
    """The same value twice counts once; different values of one moment do not count at all."""
    told = kind.replace("_", " ")
    again = track.start[1:] == track.start[:-1]
    if not again.any():
        return track
    several = np.r_[again, False] | np.r_[False, again]
    at = np.flatnonzero(several)
    first = np.flatnonzero(np.r_[True, track.start[at[1:]] != track.start[at[:-1]]])
    count = np.diff(np.r_[first, len(at)])
    spread = np.maximum.reduceat(track.value[at], first) - np.minimum.reduceat(track.value[at], first)
    clear = spread <= SAME.get(kind, 0.0)
    repeated = track.places[at[(first + count - 1)[clear][:SHOWN]]]
    notes.drop(f"{told} that stands there already (duplicates, exports that overlap)", int((count[clear] - 1).sum()), repeated)
    against = int(count[~clear].sum())
    disputed = np.sort(track.places[at[np.repeat(~clear, count)]])[:SHOWN]
    notes.drop(f"{told} with different values at one moment (nobody can say which is right)", against, disputed)
    if against > SUSPICIOUS and against > SUSPICIOUS_SHARE * len(track):
        raise TableError(
            f"{against:,} of {len(track):,} {told} readings of {track.source} have different values at one moment "
            f"({notes.where(disputed)}); are these files of "
            "several people, or of several devices? Give each person a run with --person, or a folder of their own with --by-folder"
        )
    keep = ~several
    keep[at[(first + count - 1)[clear]]] = True  # the least of nearly equal values, whatever their order
    return track.of(keep)


def _one_at_a_time(track: Track, kind: str, notes: Notes) -> Track:
    """Counts of one source that overlap: one in whose time several others lie is their sum, or an error, and gives way to them; of the
    rest the one that began first counts, of two the longer, then the larger.

    Stages of one and the same time that differ do not count at all; sleep without a stage gives way to sleep with one, later.
    """
    told = kind.replace("_", " ")
    same = (track.start[1:] == track.start[:-1]) & (track.length[1:] == track.length[:-1])
    twice = np.r_[False, same & (track.value[1:] == track.value[:-1])] if len(track) else np.zeros(0, bool)
    _drop(notes, f"{told} that stands there already (duplicates, exports that overlap)", twice, track.places)
    track = track.of(~twice)
    if kind == "sleep":
        return track
    sums = _sums(track)
    _drop(notes, f"{told} over a time in which the same source states several shorter counts, which go before", sums, track.places)
    track = track.of(~sums)
    end = track.start + track.length
    keep, last = np.ones(len(track), bool), 0
    latest = np.maximum.accumulate(end) if len(track) else end
    for i in np.flatnonzero(track.start[1:] < latest[:-1]) + 1:
        last = i - 1 if keep[i - 1] else last
        keep[i] = track.start[i] >= end[last]
    _drop(notes, f"{told} of one source over a time that is counted already", ~keep, track.places)
    return track.of(keep)


def _sums(track: Track) -> NDArray[np.bool_]:
    """Which counts hold two or more shorter ones within their time, one behind the other. `track` is by time."""
    end = track.start + track.length
    if (track.start[1:] >= end[:-1]).all():
        return np.zeros(len(track), bool)
    least = np.r_[np.minimum.accumulate(end[::-1])[::-1], np.iinfo(np.int64).max]  # of all ends from here on
    own = np.searchsorted(track.start, track.start)  # the first of those that begin with it
    first = least[own]
    second = least[np.searchsorted(track.start, first)]
    found: NDArray[np.bool_] = (first < end) & (second <= end)
    return found
