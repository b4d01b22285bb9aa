"""How far a batch has come, kept so that a crash at any moment costs no row and doubles none.

Results go to part files first and reach the disk; then one SQLite transaction says how long the parts are and which row
came last. What a part holds behind that length is from a chunk that did not count, and is cut off on resume. The same
file keeps which ids were seen (hashes, not ids), so that memory does not grow with the table. One job holds the file at
a time. Not kept: values of records.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any

from ..errors import SenseCFError, TableError

OWNER_ONLY = 0o600


@dataclass
class Progress:
    """What is done for good: rows read, how far and with which hash, lengths of the parts, what came out, seconds spent."""

    rows: int = 0
    start: int = 0
    read: str = ""
    output: int = 0
    rejects: int = 0
    seconds: float = 0.0
    finishing: bool = False
    counts: dict[str, int] = field(default_factory=dict)


class Journal:
    """Open it with a path, or with none for a job that cannot resume: then it is a private file that vanishes.

    Raises TableError where another job has it open or where it belongs to other settings.
    """

    def __init__(self, path: Path | None, job: dict[str, Any], resume: bool) -> None:
        self.path = path
        if path is not None:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, OWNER_ONLY))
        with _told(path):
            self._db = sqlite3.connect("" if path is None else str(path), timeout=0, isolation_level=None)
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA cache_size = -8000")
            self._db.execute("BEGIN EXCLUSIVE")
            self._db.execute("CREATE TABLE IF NOT EXISTS state (job TEXT, progress TEXT)")
            self._db.execute("CREATE TABLE IF NOT EXISTS seen (key BLOB PRIMARY KEY, row INTEGER) WITHOUT ROWID")
            self.progress = self._begin(job, resume)

    def _begin(self, job: dict[str, Any], resume: bool) -> Progress:
        kept = self._db.execute("SELECT job, progress FROM state").fetchone() if resume else None
        if kept is None:
            self._db.execute("DELETE FROM state")
            self._db.execute("DELETE FROM seen")
            self._db.execute("INSERT INTO state VALUES (?, ?)", (json.dumps(job), json.dumps(asdict(Progress()))))
            self._db.execute("COMMIT")
            self._db.execute("BEGIN")
            return Progress()
        before = json.loads(kept[0])
        changed = [k for k in job if before.get(k) != job[k]]
        if changed:
            raise TableError(
                f"the interrupted job had another {', '.join(changed)}; resume with the same command, or start again with --force"
            )
        progress = Progress(**json.loads(kept[1]))
        self._db.execute("DELETE FROM seen WHERE row > ?", (progress.rows,))
        return progress

    def doubles(self, rows: Sequence[tuple[int, str]]) -> dict[int, int]:
        """Row number -> the earlier row that has the same id. Rows that are read again after a crash do not meet themselves."""
        keys = [(blake2b(name.encode("utf-8", "replace"), digest_size=16).digest(), number) for number, name in rows]
        out = {}
        with _told(self.path):
            self._db.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?)", keys)
            for key, number in keys:
                (first,) = self._db.execute("SELECT row FROM seen WHERE key = ?", (key,)).fetchone()
                if first != number:
                    out[number] = first
        return out

    def commit(self) -> None:
        """Make `progress` the truth. The parts must be on the disk already."""
        with _told(self.path):
            self._db.execute("UPDATE state SET progress = ?", (json.dumps(asdict(self.progress)),))
            self._db.execute("COMMIT")
            self._db.execute("BEGIN")

    def remove(self) -> None:
        """The job is whole: nothing to resume."""
        self._db.close()
        if self.path is not None:
            self.path.unlink(missing_ok=True)
            Path(f"{self.path}-journal").unlink(missing_ok=True)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._db.close()


class Part:
    """A file that grows by whole chunks and becomes `final` at the end; nothing is buffered here."""

    def __init__(self, final: Path) -> None:
        self.final, self.path = final, final.with_name(final.name + ".part")
        self._file, self.length = -1, 0

    def open(self, length: int) -> None:
        """Go on behind the first `length` bytes; what stands behind them did not count."""
        self._file = os.open(self.path, os.O_CREAT | os.O_RDWR, OWNER_ONLY)
        _sync(self.path.parent)
        there = os.fstat(self._file).st_size
        if there < length:
            raise TableError(f"{self.path} is shorter than the journal says; start again with --force")
        os.ftruncate(self._file, length)
        os.lseek(self._file, length, os.SEEK_SET)
        self.length = length

    def append(self, data: bytes) -> None:
        """Write all of it and reach the disk. Raises OSError (a full disk, say)."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]
        if data:
            os.fsync(self._file)
        self.length += len(data)

    def close(self) -> None:
        """Leave the part where it is."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def publish(self, convert: Callable[[Path, Path], None] | None = None) -> None:
        """Give it its final name, by way of `convert` where the final form is another; done already is fine."""
        self.close()
        if not self.path.exists():
            return
        whole = self.path
        if convert is not None:
            whole = self.final.with_name(self.final.name + ".whole.part")
            os.close(os.open(whole, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, OWNER_ONLY))
            convert(self.path, whole)
            _sync(whole)
        os.replace(whole, self.final)
        _sync(self.final.parent)
        self.path.unlink(missing_ok=True)

    def drop(self) -> None:
        """Nothing came: leave no file behind."""
        self.close()
        self.path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():  # folders cannot be opened there
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _told(path: Path | None) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if "locked" in text:
            raise TableError(f"another batch is writing this output ({path}); wait for it, or choose another output") from error
        if "full" in text:
            raise OSError(28, "No space left on device") from error
        raise SenseCFError(f"the journal {path} cannot be used: {text}; free space, then run again with --resume") from error
    except sqlite3.DatabaseError as error:
        raise TableError(f"{path} is no journal of a batch; move it away, or start again with --force") from error
