"""What this machine has left."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psutil

GROUP = Path("/sys/fs/cgroup")


def free_memory() -> int:
    """Bytes this process may still take: what the system says is available, or less inside a container.

    A container's file cache counts as free: the kernel gives it back.
    """
    free = int(psutil.virtual_memory().available)
    with suppress(OSError, ValueError):  # no such file, or "max"
        most, taken = (int((GROUP / name).read_text(encoding="ascii")) for name in ("memory.max", "memory.current"))
        lines = (GROUP / "memory.stat").read_text(encoding="ascii").splitlines()
        cache = next((int(line.split()[1]) for line in lines if line.startswith("file ")), 0)
        free = min(free, max(0, most - taken + cache))
    return free
