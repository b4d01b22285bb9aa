"""Writes an audit log: one file of this user's, one line for each answer and for each note on one, on the disk before it is shown."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .. import private_files
from ..answer.result import Explanation
from ..errors import AuditError, TableError
from .chain import LONGEST, START, opened, sealed

LONGEST_REASON = 500


class Log:
    """An audit log to go on with, or a new one. Several programs may write to one. Raises AuditError where the last line is not whole.

    `values`: keep the record and what would have to be otherwise as well, not only the names of what was asked and shown.
    """

    def __init__(self, path: Path, values: bool = False) -> None:
        self.path, self.values = path, values
        private_files.need_posix("an audit log")
        with self._held() as handle:
            self._last(handle)

    def answered(self, explanation: Explanation, when: datetime | None = None) -> str:
        """A line for an answer, before it is shown. Returns its hash, by which `noted` names it. Raises AuditError."""
        return self._append({"what": "answer", **_asked(explanation), **_shown(explanation, self.values)}, when)

    def noted(self, answer: str, accepted: bool, reason: str = "", option: int | None = None, when: datetime | None = None) -> str:
        """A line that says what came of an answer, named by its hash: whether it was accepted, which option, why. Raises AuditError."""
        said = " ".join(reason.split())
        if len(said) > LONGEST_REASON:
            raise AuditError(f"the reason has {len(said)} characters; {LONGEST_REASON} are kept")
        return self._append({"what": "note", "of": answer, "accepted": accepted, "option": option, "reason": said}, when)

    def _append(self, entry: dict[str, Any], when: datetime | None) -> str:
        at = (when or datetime.now(timezone.utc)).astimezone(timezone.utc).isoformat(timespec="seconds")
        with self._held() as handle:
            number, before = self._last(handle)
            line, digest = sealed({"format": 1, "at": at, **entry}, number + 1, before)
            if len(line) > LONGEST:
                raise AuditError(f"what should be written to {self.path} is over {LONGEST:,} bytes; nothing was written")
            private_files.append(handle, line)
        return digest

    def _last(self, handle: int) -> tuple[int, str]:
        """Number and hash of the last line."""
        size = os.lseek(handle, 0, os.SEEK_END)
        if not size:
            return 0, START
        start = max(0, size - LONGEST)
        tail = os.pread(handle, size - start, start)
        try:
            entry = opened(tail[tail[:-1].rfind(b"\n") + 1 :])
        except ValueError as error:
            fix = "look at it with `sensecf-edge audit verify`, keep it, and begin a new file"
            raise AuditError(f"the last line of {self.path} is not whole ({error}); {fix}") from error
        return int(entry["n"]), str(entry["hash"])

    @contextmanager
    def _held(self) -> Iterator[int]:
        """The file, ours alone while it is read and written. Errors of the system become AuditError."""
        import fcntl

        try:
            handle = private_files.kept(self.path)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                yield handle
            finally:
                os.close(handle)
        except TableError as error:
            raise AuditError(str(error)) from error
        except OSError as error:
            raise AuditError(f"cannot write {self.path}: {error.strerror}; name another place for the audit log") from error


def _asked(explanation: Explanation) -> dict[str, Any]:
    """Of whom it was asked, and under which limits; no value of the record."""
    made = explanation.provenance
    limits = {"answers": made.answers, "max_changes": made.max_changes, "freeze": list(made.freeze), "bounds": dict(made.bounds),
              "costs": dict(made.costs), "base_rate": made.base_rate, "margin": made.margin, "seed": made.seed,
              **({"typical": True} if made.typical else {})}  # fmt: skip
    return {"model": made.model, "bundle": made.bundle, "versions": dict(made.versions), "asked": limits}


def _shown(explanation: Explanation, values: bool) -> dict[str, Any]:
    """What was shown: the verdict, its risk, and for each answer what it would change."""
    risk = explanation.risk
    options = [{"changes": [c.feature for c in a.changes], "risk": a.risk} for a in explanation.found]
    shown: dict[str, Any] = {
        "status": explanation.status, "predicted": explanation.predicted, "risk": risk.now, "threshold": risk.threshold,
        "base_rate": risk.base_rate, "unknown": [name for name, value in explanation.factual.items() if value is None],
        "likeness": explanation.likeness, "options": options,
    }  # fmt: skip
    if not values:
        return {"shown": shown}
    told = [{c.feature: c.after for c in a.changes} for a in explanation.found]
    return {"shown": shown, "values": {"record": dict(explanation.factual), "options": told}}
