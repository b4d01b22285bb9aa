"""What a stream keeps: readings of open days, what has been told of them, when each kind was last measured. One SQLite file.

A reading that stands there already is the same one. What `commit` has taken is on the disk; what came after it is lost in a crash and
has to be sent again. One watch holds the file at a time.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ... import private_files
from ...errors import SenseCFError, TableError
from ...sensors.readers.plain_table import LIMITS
from ...sensors.readings import Readings
from .arriving import Arrived

FORMAT = 1
_TABLES = """
    CREATE TABLE kept (place TEXT);
    CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT UNIQUE, closed INTEGER DEFAULT 0);
    CREATE TABLE series (id INTEGER PRIMARY KEY, person INTEGER, kind TEXT, source TEXT, unit TEXT, newest INTEGER DEFAULT 0,
                         pulse INTEGER DEFAULT 0, UNIQUE (person, kind, source, unit));
    CREATE TABLE reading (series INTEGER, start INTEGER, length INTEGER, value REAL,
                          PRIMARY KEY (series, start, length, value)) WITHOUT ROWID;
    CREATE TABLE told (person INTEGER, day INTEGER, digest TEXT, over INTEGER, PRIMARY KEY (person, day)) WITHOUT ROWID;
"""
# FULL: a message is acknowledged once its reading is kept, and then it has to outlast a loss of power as well.
_PRAGMAS = ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL", "checkpoint_fullfsync = 1", "cache_size = -8000")


class Store:
    """Open it with a path and the name of the zone in which its days are. Raises TableError where another watch holds it, where it was
    kept for another zone, and where it is no such file."""

    def __init__(self, path: Path, place: str) -> None:
        self.path = path
        try:
            self._handle = private_files.kept(path)
        except OSError as error:
            raise TableError(f"cannot keep readings in {path}: {error.strerror}; give another place with --store") from error
        self._waiting = dict[tuple[int, int, int, float], None]()
        self._newest = dict[int, int]()
        try:
            with self._said():
                self._db = sqlite3.connect(str(path), timeout=0, isolation_level=None)
                for wish in _PRAGMAS:
                    self._db.execute(f"PRAGMA {wish}")
                self._db.execute("BEGIN EXCLUSIVE")
                self._begin(place)
                self._db.execute("COMMIT")
        except BaseException:
            self.close()
            raise

    def _begin(self, place: str) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if not version and not self._db.execute("SELECT 1 FROM sqlite_master").fetchone():
            for table in filter(str.strip, _TABLES.split(";")):
                self._db.execute(table)
            self._db.execute("INSERT INTO kept VALUES (?)", (place,))
            self._db.execute(f"PRAGMA user_version = {FORMAT}")
        elif version != FORMAT:
            raise TableError(f"{self.path} holds no open days of this version; move it away, or give another place with --store")
        (before,) = self._db.execute("SELECT place FROM kept").fetchone()
        if before != place:
            raise TableError(f"the days in {self.path} are those of {before}; start with --zone {before}, or with another --store")

    def people(self) -> Iterator[tuple[int, str, int, dict[str, int]]]:
        """Everybody who ever had a reading: number, name, the first date that is not closed, and the newest of each kind."""
        with self._said():
            found = self._db.execute("SELECT id, name, closed FROM person ORDER BY id").fetchall()
            for person, name, closed in found:
                newest = self._db.execute("SELECT kind, MAX(newest) FROM series WHERE person = ? GROUP BY kind", (person,)).fetchall()
                yield person, name, closed, dict(newest)

    def person(self, name: str) -> int:
        """The number of somebody new."""
        with self._written():
            return int(self._db.execute("INSERT INTO person (name) VALUES (?)", (name,)).lastrowid or 0)

    def all_series(self, person: int) -> dict[tuple[str, str, str], int]:
        """By kind, source and unit."""
        with self._said():
            rows = self._db.execute("SELECT kind, source, unit, id FROM series WHERE person = ?", (person,)).fetchall()
        return {(kind, source, unit): number for kind, source, unit, number in rows}

    def series(self, person: int, kind: str, source: str, unit: str) -> int:
        """The number of a new one."""
        row = (person, kind, source, unit)
        with self._written():
            return int(self._db.execute("INSERT INTO series (person, kind, source, unit) VALUES (?, ?, ?, ?)", row).lastrowid or 0)

    def add(self, series: int, reading: Arrived) -> None:
        """Takes it, to be kept with the next `commit`."""
        self._waiting[series, reading.start, reading.length, reading.value] = None
        self._newest[series] = max(self._newest.get(series, 0), reading.end)

    def commit(self) -> None:
        """All that was added, onto the disk. Raises SenseCFError or OSError, and then it is still there to be tried again."""
        if not self._waiting:
            return
        with self._written():
            self._db.executemany("INSERT OR IGNORE INTO reading VALUES (?, ?, ?, ?)", self._waiting)
            newest = [(end, series) for series, end in self._newest.items()]
            self._db.executemany("UPDATE series SET newest = MAX(newest, ?) WHERE id = ?", newest)
        self._waiting.clear()
        self._newest.clear()

    def held(self, person: int) -> int:
        """How many readings of somebody are kept."""
        query = "SELECT COUNT(*) FROM series JOIN reading ON reading.series = series.id WHERE series.person = ?"
        with self._said():
            return int(self._db.execute(query, (person,)).fetchone()[0])

    def readings(self, person: int, name: str) -> Readings:
        """All that are kept of somebody, with the devices that are known to measure a pulse."""
        out = Readings()
        with self._said():
            found = self._db.execute("SELECT id, kind, source, unit, pulse FROM series WHERE person = ?", (person,)).fetchall()
            for number, kind, source, unit, pulse in found:
                if pulse:
                    out.pulses.setdefault(name, set()).add(source)
                rows = self._db.execute("SELECT start, length, value FROM reading WHERE series = ? ORDER BY start", (number,)).fetchall()
                if rows:
                    columns = np.array(rows, dtype=float)
                    series = out.series(kind, source, unit, name, limits=LIMITS[unit] if kind == "glucose" else None)
                    series.extend(columns[:, 0].astype(np.int64), columns[:, 2], columns[:, 1].astype(np.int64))
        return out

    def told(self, person: int) -> dict[int, tuple[str, bool]]:
        """What was last told of each date: a hash of it, and whether the date was over."""
        with self._said():
            rows = self._db.execute("SELECT day, digest, over FROM told WHERE person = ?", (person,)).fetchall()
        return {day: (digest, bool(over)) for day, digest, over in rows}

    def tell(self, told: Sequence[tuple[int, int, str, bool]]) -> None:
        """Of a person and date that has been told, and whether the date was over."""
        with self._written():
            self._db.executemany("INSERT OR REPLACE INTO told VALUES (?, ?, ?, ?)", told)

    def close_days(self, person: int, closed: int, before: int, pulses: set[str]) -> None:
        """Dates before `closed` take nothing any more, and readings that end at or before the second `before` go. `pulses` are the devices
        that were seen to measure one, which is remembered."""
        worn = [(person, source) for source in sorted(pulses)]
        gone = "series IN (SELECT id FROM series WHERE person = ?) AND start + length <= ? AND start < ?"
        with self._written():
            self._db.execute("UPDATE person SET closed = ? WHERE id = ?", (closed, person))
            self._db.executemany("UPDATE series SET pulse = 1 WHERE person = ? AND source = ? AND pulse = 0", worn)
            self._db.execute(f"DELETE FROM reading WHERE {gone}", (person, before, before))
            self._db.execute("DELETE FROM told WHERE person = ? AND day < ?", (person, closed))

    def close(self) -> None:
        """What is not committed is not kept."""
        with contextlib.suppress(sqlite3.Error, AttributeError):
            self._db.close()
        os.close(self._handle)  # only now: closing any handle of a file gives up a process's locks on it

    @contextlib.contextmanager
    def _written(self) -> Iterator[None]:
        with self._said():
            self._db.execute("BEGIN")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise TableError(f"another watch keeps its days in {self.path}; give each a --store of its own") from error
            raise SenseCFError(f"cannot keep readings in {self.path}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise TableError(f"{self.path} holds no open days, or is damaged; move it away, or give another place with --store") from error
