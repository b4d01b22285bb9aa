"""The work folder of a fit: every finished step lies there as a file, so an interrupted fit goes on behind the last of them.

It holds training rows (pairs): keep it where the table is kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sensecf_edge.errors import TableError


class OtherWorkError(TableError):
    """The folder holds work of another plan or table."""


class Work:
    """One folder, readable by its owner alone."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def belongs(self, facts: Mapping[str, Any]) -> None:
        """A folder belongs to one plan on one table: what lies in it would be wrong for another. Raises OtherWorkError."""
        path, now = self / "plan.json", json.loads(json.dumps(facts))
        if not path.exists():
            write_json(path, now)
            return
        before = json.loads(path.read_text())
        differs = [k for k in now if before.get(k) != now[k]]
        if differs:
            raise OtherWorkError(f"{self.folder} holds work with another {' and '.join(differs)}; name another folder, or delete it")

    def kept(self, name: str, make: Callable[[], bytes]) -> bytes:
        """The bytes of a finished step; made and kept where they are not there yet."""
        path = self / name
        if not path.exists():
            write(path, make())
        return path.read_bytes()

    def facts(self, name: str) -> dict[str, Any]:
        """What a finished step wrote down."""
        out: dict[str, Any] = json.loads((self / name).read_text())
        return out

    def note(self, name: str, facts: Any) -> None:
        """Write down what a step found; whole or not at all."""
        write_json(self / name, facts)


def file_hash(path: Path) -> str | None:
    """sha256 of a file's content, None where there is none to read: whoever needs it says so."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def write_json(path: Path, data: Any) -> None:
    """JSON for people, whole or not at all."""
    write(path, json.dumps(data, indent=1).encode())


def write(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.replace(path)


def save(path: Path, arrays: Mapping[str, Any]) -> None:
    """Arrays as npz, whole or not at all."""
    part = path.with_suffix(".tmp.npz")
    np.savez(part, **arrays)
    part.replace(path)


@contextlib.contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Two processes are not in this block at once, where the system has file locks."""
    with lock.open("w") as file:
        with contextlib.suppress(ImportError):
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
