"""One file of a bundle held against what the manifest says of it: its place, its size, its hash."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from ..errors import BundleError
from ..llama.hashing import CHUNK, identity, remember
from .manifest import REBUILD, FileEntry


def entry_of(path: Path) -> FileEntry:
    """What a manifest says of a file that lies there."""
    data = path.read_bytes()
    return FileEntry(hashlib.sha256(data).hexdigest(), len(data))


def check_place(folder: Path, path: Path) -> None:
    """A regular file inside the folder, also when every link is followed."""
    try:
        mode = path.stat().st_mode
        inside = path.resolve().parent == folder.resolve()
    except (OSError, RuntimeError) as error:
        raise BundleError(f"{path.name} is missing from {folder}; {REBUILD}") from error
    if not inside:
        raise BundleError(f"{path.name} is a link that leads out of {folder}; put the file itself there")
    if not stat.S_ISREG(mode):
        raise BundleError(f"{path.name} in {folder} is not a plain file; {REBUILD}")


def beginning(folder: Path, path: Path, most: int) -> bytes:
    """The first `most` bytes, at most, of a file of the folder. Raises BundleError."""
    check_place(folder, path)
    try:
        with path.open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}; {REBUILD}") from error


def audited(folder: Path, name: str, entry: FileEntry, most: int | None) -> bytes:
    """Size, then sha256, of the bytes as they are read, once. Returns them where they may be `most`, and nothing where that is None.

    Raises BundleError before anything is read where the size differs, or is more than may be held.
    """
    if most is not None and entry.bytes > most:
        raise BundleError(f"{name} holds over {most:,} bytes; {REBUILD}")
    path = folder / name
    check_place(folder, path)
    digest, kept = hashlib.sha256(), bytearray()
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size != entry.bytes:
                raise BundleError(f"{name} in {folder} holds {size:,} bytes, the manifest says {entry.bytes:,}; {REBUILD}")
            before = identity(file)
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                if most is not None:
                    kept += chunk
            remember(file, before, digest.hexdigest())
    except OSError as error:
        raise BundleError(f"cannot read {name} in {folder}: {error.strerror}; {REBUILD}") from error
    if digest.hexdigest() != entry.sha256:
        raise BundleError(
            f"{name} in {folder} was altered: sha256 is {digest.hexdigest()[:12]}…, the manifest says {entry.sha256[:12]}…; {REBUILD}"
        )
    return bytes(kept)
