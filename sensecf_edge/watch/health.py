"""The health file: whose place it may take."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from ..errors import TableError
from ..private_files import plain_file


def own(health: Path) -> None:
    """The health file is put in the place of what has its name: what this process reads or writes, or a device, would be lost.

    Raises TableError.
    """
    try:
        there = os.stat(health)
    except OSError:
        return
    if not stat.S_ISREG(there.st_mode):
        raise TableError(f"{health} is no plain file; give --health a file of its own")
    for what, stream in (("standard input", sys.stdin), ("standard output", sys.stdout), ("the log", sys.stderr)):
        behind = plain_file(stream)
        if behind is not None and os.path.samestat(behind, there):
            raise TableError(f"--health {health} is the file of {what}; give it a file of its own")
