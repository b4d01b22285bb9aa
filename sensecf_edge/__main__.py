"""`python -m sensecf_edge`, and the entry of the command `sensecf-edge`: an interrupt while importing is quiet, too."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and leave with its exit code."""
    try:
        from .cli import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
