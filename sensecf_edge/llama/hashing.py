"""The sha256 of files that are open, and whether a file that is open is still the one whose hash this process has taken.

A file of gigabytes is hashed once: what it is called can be given to another file, what the system knows it by cannot, and the system
writes down when it was changed last.
"""

from __future__ import annotations

import hashlib
import os
import time
from typing import BinaryIO

CHUNK = 1 << 20
SETTLED = 1.0
"""Seconds since a file was changed, after which another change is sure to show in its time."""
_known: dict[tuple[int, ...], str] = {}


def sha256_of(file: BinaryIO) -> str:
    """The hash (hex) of a file from where it stands, which is read to its end; remembered."""
    before, digest = identity(file), hashlib.sha256()
    while chunk := file.read(CHUNK):
        digest.update(chunk)
    remember(file, before, digest.hexdigest())
    return digest.hexdigest()


def remember(file: BinaryIO, before: tuple[int, ...], sha256: str) -> None:
    """That this open file, which was `before` when its reading began, has this hash; not where it changes or has just changed."""
    held = os.fstat(file.fileno())
    if before == identity(file) and time.time() - held.st_ctime > SETTLED:
        _known[before] = sha256


def still(file: BinaryIO, sha256: str) -> bool:
    """Whether an open file has this hash; it is read again only where it is another one than was hashed, or was changed."""
    if _known.get(identity(file)) == sha256:
        return True
    file.seek(0)
    found = sha256_of(file)
    file.seek(0)
    return found == sha256


def identity(file: BinaryIO) -> tuple[int, ...]:
    """What the system knows an open file by, and since when it is as it is."""
    held = os.fstat(file.fileno())
    return held.st_dev, held.st_ino, held.st_size, held.st_mtime_ns, held.st_ctime_ns
