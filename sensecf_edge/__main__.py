"""The entry of the command `sensecf-edge` and of `python -m sensecf_edge`: Ctrl-C is made quiet before anything else is imported."""

from __future__ import annotations

import os
import signal
from typing import NoReturn

from .errors import INTERRUPTED  # a module without imports: nothing may come before the handler


def main() -> NoReturn:
    """Run the command line and leave with its exit code."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # whoever started us may want it ignored
        signal.signal(signal.SIGINT, _leave)
    from .cli.main import main as run

    run()


def _leave(*_: object) -> NoReturn:
    """At once and without a word. Raising KeyboardInterrupt would not do: native callbacks and imports swallow it or print it.

    `explain` and its like have nothing to tidy up; the build side takes interrupts back (see `terminal.extra`).
    """
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
