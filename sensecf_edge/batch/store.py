"""What a batch has answered, kept so that a crash at any moment costs no row and doubles none.

One SQLite file beside the output holds everything: the answers, compressed, chunk by chunk; how far the table is read and
a hash of what was read; which ids were seen (hashes, not ids), so that memory does not grow with the table. One
transaction adds a chunk; the output is written from here when all are there. One job holds the file at a time.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from .. import private_files
from ..errors import SenseCFError, TableError

FORMAT = 2
_TABLES = """
    CREATE TABLE state (job TEXT, progress TEXT);
    CREATE TABLE seen (key BLOB PRIMARY KEY, row INTEGER) WITHOUT ROWID;
    CREATE TABLE answers (last INTEGER PRIMARY KEY, output BLOB, rejects BLOB);
"""
# A write-ahead log is whole up to some chunk whatever happens. That the last ones reach the disk at once is not asked for:
# after a loss of power they are answered again.
_PRAGMAS = ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = NORMAL", "checkpoint_fullfsync = 1", "cache_size = -8000")
Job = Mapping[str, Any]


@dataclass
class Progress:
    """What is done for good: rows, how far the table is read and with which hash, what came out, seconds spent. `replace`: the
    job began with leave to replace an output that was there."""

    rows: int = 0
    end: int = 0
    read: str = ""
    replace: bool = False
    seconds: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)


class Store:
    """Open it with a path, or with none for a job that cannot resume: then it is a private file that vanishes.

    An unfinished job that it holds is gone on with (`resume`), thrown away (`force`) or in the way. Raises TableError where
    it is in the way, belongs to other settings, or is held by another process; nothing is thrown away then.
    """

    def __init__(self, path: Path | None, job: Job, resume: bool = False, force: bool = False) -> None:
        self.path, self._handle = path, -1 if path is None else private_files.kept(path)
        with self._told():
            self._db = sqlite3.connect("" if path is None else str(path), timeout=0, isolation_level=None)
        try:
            with self._told():
                self._lock()
                self.progress = self._begin(job, resume, force)
        except BaseException:
            self.close()
            raise

    def _lock(self) -> None:
        """The file is this process's until `close`; a name that meanwhile means another file means that a job has just ended."""
        for wish in _PRAGMAS:
            self._db.execute(f"PRAGMA {wish}")
        self._db.execute("BEGIN EXCLUSIVE")
        if self.path is not None and not os.path.samestat(os.fstat(self._handle), os.lstat(self.path)):
            raise TableError(f"another batch has just written this output ({self.path}); look at it before you run again")

    def _begin(self, job: Job, resume: bool, force: bool) -> Progress:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if not version and not self._db.execute("SELECT 1 FROM sqlite_master").fetchone():
            for table in filter(str.strip, _TABLES.split(";")):
                self._db.execute(table)
            self._db.execute(f"PRAGMA user_version = {FORMAT}")
        elif version != FORMAT:
            raise TableError(f"{self.path} is no journal of a batch by this version; move it away")
        kept = self._db.execute("SELECT job, progress FROM state").fetchone()
        if kept is not None and resume:
            return self._resume(job, json.loads(kept[0]), Progress(**json.loads(kept[1])))
        if kept is not None and not force:
            raise TableError(f"an unfinished job stands in {self.path}; go on with --resume, or start again with --force")
        for table in ("state", "seen", "answers"):
            self._db.execute(f"DELETE FROM {table}")
        progress = Progress(replace=force)
        self._db.execute("INSERT INTO state VALUES (?, ?)", (json.dumps(job), json.dumps(asdict(progress))))
        self._end_transaction()
        return progress

    def _resume(self, job: Job, before: Job, progress: Progress) -> Progress:
        if changed := differing(job, before):
            raise TableError(
                f"the interrupted job had another {', '.join(changed)}; resume with the same command, or start again with --force"
            )
        # Ids that were read ahead of the answers: the rows behind them come again, and may be others by now.
        self._db.execute("DELETE FROM seen WHERE row > ?", (progress.rows,))
        return progress

    def doubles(self, rows: Sequence[tuple[int, str]]) -> dict[int, int]:
        """Row number -> the earlier row that has the same id."""
        keys = [(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest(), number) for number, name in rows]
        out = {}
        with self._told():
            self._db.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?)", keys)
            for key, number in keys:
                (first,) = self._db.execute("SELECT row FROM seen WHERE key = ?", (key,)).fetchone()
                if first != number:
                    out[number] = first
        return out

    def add(self, progress: Progress, output: bytes, rejects: bytes) -> None:
        """One more chunk, up to `progress`. Raises OSError (a full disk, say), and then it is not added."""
        with self._told():
            self._db.execute("INSERT INTO answers VALUES (?, ?, ?)", (progress.rows, _packed(output), _packed(rejects)))
            self._db.execute("UPDATE state SET progress = ?", (json.dumps(asdict(progress)),))
            self._end_transaction()
        self.progress = progress

    def _end_transaction(self) -> None:
        self._db.execute("COMMIT")
        self._db.execute("BEGIN")

    def all(self, what: Literal["output", "rejects"]) -> Iterator[bytes]:
        """All of the output or the rejects, in the order of the rows. Raises TableError where the file is damaged."""
        with self._told():
            for (packed,) in self._db.execute(f"SELECT {what} FROM answers WHERE {what} IS NOT NULL ORDER BY last"):
                try:
                    yield zlib.decompress(packed)
                except zlib.error as error:
                    raise TableError(f"{self.path} is damaged; start again with --force") from error

    def remove(self) -> None:
        """The job is whole, or has not begun: nothing to resume. The names go while the lock still stands, the log's first."""
        if self.path is not None:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
                self._db.execute("PRAGMA journal_mode = DELETE")
            self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """What is not added is not kept."""
        with contextlib.suppress(sqlite3.Error):
            self._db.close()
        if self._handle >= 0:
            os.close(self._handle)  # only now: closing any handle of a file gives up a process's locks on it
            self._handle = -1

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            text = str(error)
            if "locked" in text:
                raise TableError(f"another batch is writing this output ({self.path}); wait for it, or choose another output") from error
            if "full" in text:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
            if "I/O" in text:  # a quota, a limit on the size of a file, a failing disk: SQLite does not say
                raise OSError(errno.EIO, os.strerror(errno.EIO)) from error
            raise SenseCFError(f"the journal {self.path} cannot be used: {text}; give another place with -o") from error
        except sqlite3.DatabaseError as error:
            raise TableError(f"{self.path} is no journal of a batch, or damaged; move it away") from error


def differing(job: Job, before: Job) -> list[str]:
    """Names of what two jobs do not have in common."""
    return [name for name in {**job, **before} if json.dumps(job.get(name)) != json.dumps(before.get(name))]


def _packed(data: bytes) -> bytes | None:
    return zlib.compress(data, 1) if data else None
