"""Every error a user can meet, in one tree.

    SenseCFError              exit code
    ├── SchemaError                2      the schema itself is wrong
    ├── RecordError                2      the record does not fit the schema
    ├── ConstraintError            2      the request asks for what cannot be
    │   └── NothingToChangeError   3      what is asked and the record's own values leave nothing that may change
    ├── TableError                 2      a table cannot be used as asked
    ├── ExportError                1      a model cannot be written in another format
    ├── BaseModelError             1      a base model cannot be tuned as asked
    ├── BundleError                1      a model folder is damaged, altered or too new
    │   └── WeightsAwayError       1      it goes on from weights that are not on this machine
    ├── EngineError                1      llama.cpp refused or failed
    ├── AuditError                 1      an audit log is not whole, or cannot be written
    ├── CheckError                 1      onnxruntime refused, failed or answered NaN
    └── MissingExtraError          1      an optional part is not installed

A message says what is wrong, where, and what to do next. Errors of llama_cpp, onnxruntime and click never pass
the one module that imports them.
"""

from __future__ import annotations

from collections.abc import Mapping

INTERRUPTED = 130
"""Exit code after Ctrl-C, as a shell gives it."""


def place(error: BaseException) -> str:
    """An unexpected exception by its kind and place. Its own words are left out: they may hold a record's value."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" at {trace.tb_frame.f_code.co_filename.replace(chr(92), '/').rpartition('/')[2]}:{trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}{where}"


class SenseCFError(Exception):
    """Base of all errors that are raised on purpose; `exit_code` is what the command line returns."""

    exit_code = 1


class FaultsError(SenseCFError):
    """`faults` holds all that is wrong, a sentence each, `where` the file; the message has them all, numbered where there are several."""

    exit_code = 2

    def __init__(self, *faults: str, where: str = "") -> None:
        self.faults, self.where = faults, where
        numbered = "; ".join(f"({at}) {fault}" for at, fault in enumerate(faults, 1))
        super().__init__((f"{where}: " if where else "") + (faults[0] if len(faults) == 1 else f"{len(faults)} faults: {numbered}"))


class SchemaError(FaultsError):
    """The schema is not one: unknown key, empty lattice, relation over features that do not exist."""


class RecordError(SenseCFError):
    """A record's names or values do not fit the schema."""

    exit_code = 2


class ConstraintError(SenseCFError):
    """Freezes, bounds or the number of changes leave no admissible change."""

    exit_code = 2


class NothingToChangeError(ConstraintError):
    """A record's own values and the request leave no value to move to; `causes` says why, feature by feature (see `reasons`)."""

    exit_code = 3

    def __init__(self, message: str, causes: Mapping[str, str]) -> None:
        self.causes = dict(causes)
        super().__init__(message)


class TableError(FaultsError):
    """A table cannot be read, or cannot carry what was asked of it."""


class ExportError(SenseCFError):
    """A model cannot be written in the format that was asked for, or what that takes is not there."""


class BaseModelError(SenseCFError):
    """A checkpoint that a generator should be tuned from is not whole, of the wrong kind, or too large for the machine."""


class GrammarError(SenseCFError):
    """No exact grammar exists for the request (never an approximate one)."""


class BundleError(SenseCFError):
    """A bundle's files are not what its manifest says, or the manifest cannot be used.

    Of a message that quotes what stands in a file, the first `LONGEST` characters are kept, and what does not print is written out.
    """

    LONGEST = 1_000

    def __init__(self, message: str) -> None:
        kept = message if len(message) <= self.LONGEST else f"{message[: self.LONGEST]}…"
        super().__init__("".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in kept))


class WeightsAwayError(BundleError):
    """A model folder is whole, but goes on from weights that it shares with others and that have not been fetched."""


class EngineError(SenseCFError):
    """The language model could not be loaded or run."""


class CheckError(SenseCFError):
    """The classifier could not be loaded or run, or answered something that is no probability."""


class AuditError(SenseCFError):
    """An audit log cannot be read or written, or its last line is not whole."""


class MissingExtraError(SenseCFError):
    """A command needs an optional part of the distribution that is not installed."""
