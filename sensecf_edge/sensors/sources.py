"""From paths to readings: which files there are, which reader knows each, and whose they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from ..errors import SenseCFError, TableError, place
from .exports import DamagedError, Export, ReadOptions
from .readings import COUNTS, Key, Readings, Times, Values

READERS = ("ai_readi", "open_mhealth", "nightscout", "fitbit", "apple_health", "garmin_fit", "t1d_uom", "dexcom", "libreview",
           "plain_table")  # fmt: skip
"""Modules of `readers`, in the order in which they are asked."""
OTHERS = {
    b"PK\x03\x04": "a zip archive or spreadsheet: unpack it, or save it as CSV",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet: save it as CSV",
    b"id,person,date,hours,": "a table of days already, as `days` writes it: give it to batch or fit",
    b"%PDF": "a PDF: export the readings as CSV or JSON",
}
TOGETHER, ALIKE = 20, 0.5
"""Two files with so many readings of one time, of which fewer than this share are the same, are of two people."""


class Reader(Protocol):
    """What a module of `readers` offers."""

    NAME: str
    LOOKS_FOR: str

    def recognises(self, export: Export) -> bool:
        """Whether the file is its own."""
        ...

    def read(self, export: Export, readings: Readings) -> None:
        """Puts what the file holds into `readings`."""
        ...


def readers() -> list[Reader]:
    """All of them."""
    return [cast(Reader, import_module(f".readers.{name}", __package__)) for name in READERS]


def names() -> list[str]:
    """What `--source` may be."""
    return [reader.NAME for reader in readers()]


@dataclass(frozen=True)
class ReadResult:
    """What was read: the readings, how many files each reader knew, how many nobody did, by the end of their names."""

    readings: Readings
    known: dict[str, int]
    unknown: dict[str, int]


def read_sources(sources: Sequence[str], asked: ReadOptions | None = None, source: str = "", by_folder: bool = False) -> ReadResult:
    """All readings of the files at `sources`, folders and all that is in them.

    `source` names the one reader that may be used; `by_folder` makes every folder of a source a person. Raises TableError for what
    is not there, for a folder without any known file, for files of two people that pass for one.
    """
    asked, able = asked or ReadOptions(), [r for r in readers() if source in ("", r.NAME)]
    if not able:
        raise TableError(f"there is no source {source!r}; there are {', '.join(names())}")
    run = _Run(able)
    for path, person in _files(sources, by_folder):
        run.take(Export(path, replace(asked, person=asked.person or person), run.readings.notes.places))
    if run.damaged and len(run.damaged) == sum(run.known.values()):
        raise run.damaged[0]
    if not run.known:
        _nothing(sources, able, run.unknown, run.changed)
    readings = run.readings
    readings.notes.places.now = 0
    if len(run.nameless) > 1:
        readings.notes.tell("files that say nobody's name, taken as one person's (else --person or --by-folder)", len(run.nameless))
    readings.settle()
    _one_person(readings, run.spans)
    return ReadResult(readings, dict(run.known), dict(run.unknown))


class _Run:
    """Takes files one after the other, each by the first of the `able` readers that knows it."""

    def __init__(self, able: Sequence[Reader]) -> None:
        self.able, self.readings = able, Readings()
        self.known, self.unknown = Counter[str](), Counter[str]()
        self.damaged, self.changed, self.nameless = list[DamagedError](), list[str](), list[Path]()
        self.spans: dict[Key, list[tuple[Path, int, int]]] = {}

    def take(self, export: Export) -> None:
        """One file. Raises TableError where somebody has to decide something about it."""
        path, readings, reader = export.path, self.readings, _reader(export, self.able)
        readings.notes.places.begin(str(path))
        if reader is None:
            self.unknown[path.suffix.lower() or "without an ending"] += 1
            if resembled := _resembled(export, self.able):
                self.changed.append(resembled)
                readings.notes.drop(f"files that are {resembled}, changed by another program, a spreadsheet perhaps: export them anew")
            return
        self.known[reader.NAME] += 1
        before, told = {key: len(series) for key, series in readings.all.items()}, readings.told
        try:
            reader.read(export, readings)
        except DamagedError as error:
            self.damaged.append(error)
            readings.notes.drop("files that are damaged or break off, from there on (export them again)")
        except (SenseCFError, MemoryError):
            raise
        except Exception as error:
            fault = f"a fault in this program ({place(error)}); please report it, without the file"
            raise TableError(f"{path}, read as {reader.NAME}: {fault}, and go on without this one") from error
        if readings.told == told:
            readings.notes.tell("files that hold nothing")
        for key, series in readings.all.items():
            if len(series) > before.get(key, 0):
                self.nameless += [path] if not key.person and path not in self.nameless[-1:] else []
                self.spans.setdefault(key, []).append((path, before.get(key, 0), len(series)))


def _files(sources: Sequence[str], by_folder: bool) -> Iterator[tuple[Path, str]]:
    for name in sources:
        top = Path(name)
        if not top.exists():
            raise TableError(f"{name} is not there; give a file or folder of an export")
        if top.is_file():
            yield top, ""
            continue
        for path in sorted(p for p in top.rglob("*") if p.is_file() and not any(part.startswith(".") for part in p.relative_to(top).parts)):
            inside = path.relative_to(top).parts
            yield path, inside[0] if by_folder and len(inside) > 1 else ""


def _reader(export: Export, able: Sequence[Reader]) -> Reader | None:
    if not export.first.strip():
        return None
    return next((reader for reader in able if reader.recognises(export)), None)


def _resembled(export: Export, able: Sequence[Reader]) -> str:
    """The export that a file nobody knows was, by its look; '' where it looks like none."""
    return next((reader.NAME for reader in able if (look := getattr(reader, "RESEMBLES", None)) and look.search(export.head)), "")


def _nothing(sources: Sequence[str], able: Sequence[Reader], unknown: Counter[str], changed: Sequence[str]) -> None:
    """Raises TableError that says what was looked for and what is there."""
    if changed:
        raise TableError(
            f"{', '.join(map(str, sources))}: this looks like an export of {changed[0]} that another program has changed (its line of "
            "names is not as it was: quoted as a whole, merged, or renamed); export it anew, and open it in no spreadsheet before"
        )
    if len(sources) == 1 and Path(sources[0]).is_file():
        first = Export(Path(sources[0])).first
        if not first.strip():
            raise TableError(f"{sources[0]} is empty; export it again")
        for magic, what in OTHERS.items():
            if first.startswith(magic):
                raise TableError(f"{sources[0]} is {what}")
    there = ", ".join(f"{count} {ending}" for ending, count in unknown.most_common(6)) or "nothing"
    raise TableError(
        f"{', '.join(map(str, sources))}: no file of a known export (there: {there}). Looked for: "
        + "; ".join(f"{reader.NAME}: {reader.LOOKS_FOR}" for reader in able)
    )


def _one_person(readings: Readings, spans: dict[Key, list[tuple[Path, int, int]]]) -> None:
    """Files that hold the same days of the same sensor are exports of one thing and agree; if they do not, they are of two people."""
    for key, files in spans.items():
        if key.kind not in (*COUNTS, "glucose", "heart_rate", "stress") or len(files) < 2:
            continue
        starts, _, values = readings.all[key].columns()
        times = sorted(((path, _moments(starts[a:b], values[a:b])) for path, a, b in files), key=lambda held: int(held[1][0][0]))
        reach, held = times[0]
        for path, moments in times[1:]:
            if (_disagree if key.kind in COUNTS else _apart)(held, moments):
                raise TableError(
                    f"{reach} and {path} both hold {key.kind.replace('_', ' ')} of the same days and hardly a reading is in both: are they "
                    "of two people? Run them apart with --person NAME, or put each person's files into a folder and give --by-folder"
                )
            if moments[0][-1] > held[0][-1]:
                reach, held = path, moments


def _moments(starts: Times, values: Values) -> tuple[Times, Values]:
    """Each moment of a file once, and its value."""
    moments, first = np.unique(starts, return_index=True)
    return moments, values[first]


def _apart(one: tuple[Times, Values], other: tuple[Times, Values]) -> bool:
    """Whether two files have readings of one time and hardly a moment in common."""
    a, b = one[0], other[0]
    both = b[(b >= a[0]) & (b <= a[-1])], a[(a >= b[0]) & (a <= b[-1])]
    least = min(map(len, both))
    return least > TOGETHER and len(np.intersect1d(*both)) < ALIKE * least


def _disagree(one: tuple[Times, Values], other: tuple[Times, Values]) -> bool:
    """Whether two files count hardly anything alike in what both count: every watch counts by the same minutes."""
    _, a, b = np.intersect1d(one[0], other[0], assume_unique=True, return_indices=True)
    first, second = one[1][a], other[1][b]
    counted = (first > 0) | (second > 0)
    return bool(counted.sum() > TOGETHER and (first == second)[counted].mean() < ALIKE)
