"""What runs in the process of its own in which a bundle is tried (`trial`): it opens the bundle, asks it, and says what is wrong."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .bundle.bundle import find, read_manifest
from .bundle.required import REQUIRED
from .errors import BundleError, EngineError, SenseCFError, place
from .trial import REFUSED

if TYPE_CHECKING:
    from .explain import Explainer

_LARGEST = 16 << 30
"""Bytes of a file that memory is given for: a manifest may say any number."""


def child(model: str, kind: str, threads: str, device: str, megabytes: str, keys: str, digest: str) -> None:
    """What the process of `bundle_trial` runs: exit code 0, or the reason as the last line of standard error."""
    try:
        REQUIRED.keys = Path(keys) if keys else None
        named = Path(model) if kind == "path" else model
        largest = max(file.bytes for file in read_manifest(find(named))[0].files.values())  # what else lies there is never read
        _limit(int(megabytes) + 2 * min(largest, _LARGEST) // 1_000_000)
        from .explain import Explainer  # under the limit, with all that it brings

        with Explainer.load(named, int(threads), device, trial=False) as explainer:
            if digest not in ("", explainer.bundle.hash):
                raise BundleError(f"{model} changed while it was tried; wait until its folder is whole, then try again")
            _ask(explainer)
    except SenseCFError as error:
        _leave(" ".join(str(error).split()))
    except MemoryError:
        _leave(f"{model} wants more than {megabytes} MB of memory to be opened and asked; build it again, smaller")
    except Exception as error:
        _leave(f"{model} cannot be used: a fault in this program ({place(error)})")


def _ask(explainer: Explainer) -> None:
    """Whatever is native once, also where the bundle has no sample, or only ones that need no generator and no rival."""
    import numpy as np

    from .propose.branching import Branching
    from .propose.engine import Request
    from .settings import LOOP

    for sample in explainer.bundle.samples[:1]:
        explainer.explain(sample.values, rounds=1, ease=False)
    digits = Branching("", lambda said: [(digit, f"{said}{digit}") for digit in "0123456789"] if len(str(said)) < 4 else [])
    with contextlib.suppress(EngineError):  # it need not know digits
        explainer.engine.propose([Request("1, 2, 3, ", digits, LOOP.proposals, LOOP.seed, LOOP.temperature)])
    for checker in (explainer.checker, *explainer.rivals):
        checker.p_target(np.full((1, len(explainer.schema)), np.nan))


def _limit(megabytes: int) -> None:
    """As far as the system can: no more memory of its own (Linux), and no core file, which would hold the sample's values."""
    if os.name == "posix":
        import resource

        machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
        megabytes = min(megabytes, 3 * machine // 4)  # beyond that the system would end some process, perhaps another one
        with contextlib.suppress(OSError, ValueError):  # a stricter limit holds already
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_DATA, (megabytes << 20, megabytes << 20))


def _leave(words: str) -> None:
    print(words, file=sys.stderr)
    sys.exit(REFUSED)
