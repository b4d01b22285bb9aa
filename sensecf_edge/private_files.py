"""Files of one's own: readable by their owner only, never somebody else's by way of a link, and on the disk when it is said.

What is written here holds values of people, often in folders that others may write to as well.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import Any

from .errors import TableError

OWNER_ONLY = 0o600
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


def need_posix(command: str) -> None:
    """Raises TableError on Windows, where files are locked, replaced and brought to the disk by other means than these."""
    if os.name != "posix":
        raise TableError(f"{command} runs on Linux and macOS; on Windows run it inside WSL (wsl --install)")


def fresh(path: Path) -> int:
    """A new file to write to; what had the name before is no part of it, be it a link or a file that others can read."""
    path.unlink(missing_ok=True)
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | _NO_LINK, OWNER_ONLY)


def kept(path: Path) -> int:
    """A file to go on with, made where it is not there. Raises TableError where it is a link, no plain file or another user's."""
    try:
        handle = os.open(path, os.O_CREAT | os.O_RDWR | _NO_LINK, OWNER_ONLY)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise TableError(f"{path} is a link, which is not followed; move it away") from error
        raise
    there = os.fstat(handle)
    if not stat.S_ISREG(there.st_mode) or there.st_uid != os.geteuid():
        os.close(handle)
        raise TableError(f"{path} is no plain file of this user's; move it away")
    os.fchmod(handle, OWNER_ONLY)
    return handle


def write(handle: int, data: bytes) -> None:
    """All of it."""
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def append(handle: int, data: bytes) -> None:
    """At the end and onto the disk: all of it, or none where the disk is full. Raises OSError."""
    end = os.lseek(handle, 0, os.SEEK_END)
    try:
        write(handle, data)
        sync(handle)
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(handle, end)
        raise


def sync(handle: int) -> None:
    """Onto the disk, through the disk's own memory where the system can ask for that (macOS)."""
    import fcntl

    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is not None:
        with contextlib.suppress(OSError):  # a file system that cannot
            fcntl.fcntl(handle, full)
            return
    os.fsync(handle)


def sync_folder(folder: Path) -> None:
    """The names in it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        sync(handle)
    finally:
        os.close(handle)


def replace(path: Path, text: str) -> None:
    """A reader sees the old text or the new one, never half of it. Raises OSError with the old one kept."""
    beside = path.with_name(path.name + ".part")
    try:
        handle = fresh(beside)
        try:
            write(handle, text.encode())
        finally:
            os.close(handle)
        os.replace(beside, path)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def plain_file(stream: Any) -> os.stat_result | None:
    """The regular file behind a standard stream."""
    try:
        there = os.fstat(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return None
    return there if stat.S_ISREG(there.st_mode) else None
