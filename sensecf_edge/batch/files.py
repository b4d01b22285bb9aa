"""The files a batch writes: an output, rejects, a journal. Each under a name of its own, and none over what is not offered up.

An output appears whole, when the job is done, or not at all. Where the file system keeps attributes, the output carries
what it was made from, so that the same command with --resume knows it again.
"""

from __future__ import annotations

import contextlib
import filecmp
import json
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from .. import private_files
from ..errors import TableError
from ..private_files import plain_file
from ..table.opening import STANDARD

MARK = "user.sensecf-edge"
Write = Callable[[BinaryIO], None]


class Files:
    """Where one job writes. Raises TableError where that cannot be; nothing is written or removed before `publish`.

    `-` as output is standard output, which cannot resume."""

    def __init__(self, output: str, rejects: str | None, resume: bool, force: bool) -> None:
        self._force, streams = force, output == STANDARD
        if streams and resume:
            raise TableError("standard output cannot resume; give a file with -o")
        self.output = None if streams else Path(output).resolve()
        self.journal = None if self.output is None else self.output.with_name(f"{self.output.name}.journal")
        usual = None if streams else f"{output}.rejects.csv"
        self.rejects_name = rejects or usual
        self.rejects = Path(self.rejects_name).resolve() if self.rejects_name else None
        self.stale = [Path(usual)] if usual and rejects else []
        self.go_on = "nothing is kept, for standard output cannot resume" if streams else "run the same command with --resume to go on"

    @property
    def begun(self) -> bool:
        """An unfinished job is there, be it ours or another."""
        return self.journal is not None and os.path.lexists(self.journal) and self.journal.lstat().st_size > 0

    @property
    def whole(self) -> bool:
        """The output is there and no unfinished job is."""
        return self.output is not None and self.output.exists() and not self.begun

    def check(self, source: str) -> None:
        """Raises TableError where two of the files are one, or where one is in the way that was not offered up."""
        self._all_different(source)
        for path in filter(None, (self.output, self.rejects)):
            if path.exists() and not path.is_file():
                raise TableError(f"{path} is {'a folder' if path.is_dir() else 'no plain file'}; give a file")
        if self.begun or self._force:
            return
        for path in filter(None, (self.output, self.rejects, *self.stale, *(_part(p) for p in (self.output, self.rejects) if p))):
            if os.path.lexists(path):
                raise TableError(f"{path} exists; give another name, or --force to replace it")

    def _all_different(self, source: str) -> None:
        """By name as by what stands behind it, links and other spellings included; names that differ in case only are one
        name to some file systems."""
        names: dict[tuple[int, int, str], str] = {}
        files = {_key(there): f"the input {source}" for there in [_source(source)] if there}
        if self.output is None and (there := plain_file(sys.stdout)):
            _claim(files, _key(there), "standard output")
        for what, path in self._written():
            try:
                folder = os.stat(path.parent)
            except OSError as error:
                raise TableError(f"cannot write {path}: {error.strerror}; give another place with -o") from error
            _claim(names, (*_key(folder), path.name.casefold()), f"{what} {path}")
            with contextlib.suppress(OSError):
                _claim(files, _key(os.stat(path)), f"{what} {path}")

    def _written(self) -> list[tuple[str, Path]]:
        finals = [("the output", self.output), ("the rejects", self.rejects)]
        out = [(what, path) for what, path in finals if path is not None]
        out += [(f"a part of {what}", _part(path)) for what, path in out]
        if self.journal is not None:
            out += [("the journal", self.journal), ("the journal's log", Path(f"{self.journal}-wal"))]
        return out

    def publish(self, output: Write | None, rejects: Write | None, replace: bool, mark: Any) -> None:
        """Files under their final names, the rejects first; None: there are none. Safe to do again after a crash in the middle."""
        if self.rejects is not None and rejects is not None:
            self._put(self.rejects, rejects, replace, None)
        if replace:
            for path in [*self.stale, *([self.rejects] if self.rejects is not None and rejects is None else [])]:
                path.unlink(missing_ok=True)
        if self.output is not None and output is not None:
            self._put(self.output, output, replace, mark)

    def _put(self, final: Path, write: Write, replace: bool, mark: Any) -> None:
        part = _part(final)
        try:
            with open(private_files.fresh(part), "wb") as file:
                write(file)
                file.flush()
                _mark(file.fileno(), mark)
                private_files.sync(file.fileno())
            if replace or not self._named(part, final):
                os.replace(part, final)
        except Exception:
            part.unlink(missing_ok=True)
            raise
        private_files.sync_folder(final.parent)

    def _named(self, part: Path, final: Path) -> bool:
        """Give it a name that nobody has; False where only replacing will do. Raises TableError where somebody else took it."""
        try:
            os.link(part, final)
        except FileExistsError:
            if not filecmp.cmp(part, final, shallow=False):
                raise TableError(f"{final} was not there when the job began; move it away, then {self.go_on}") from None
            return False
        except OSError:  # a file system without second names
            if final.exists():
                raise TableError(f"{final} was not there when the job began; move it away, then {self.go_on}") from None
            return False
        part.unlink()
        return True

    def made_from(self) -> Any:
        """What the output was made from, as `publish` was told; None where nobody knows."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            return json.loads(os.getxattr(self.output, MARK)) if self.output else None
        return None


def _part(final: Path) -> Path:
    return final.with_name(f"{final.name}.part")


def _mark(handle: int, mark: Any) -> None:
    if mark is None:
        return
    with contextlib.suppress(OSError, AttributeError):
        os.setxattr(handle, MARK, json.dumps(mark).encode())


def _key(there: os.stat_result) -> tuple[int, int]:
    return there.st_dev, there.st_ino


def _claim(taken: dict[Any, str], key: Any, what: str) -> None:
    if key in taken:
        raise TableError(f"{what} is {taken[key]}; give each file a name of its own")
    taken[key] = what


def _source(source: str) -> os.stat_result | None:
    if source == STANDARD:
        return plain_file(sys.stdin)
    try:
        there = os.stat(source)
    except OSError:
        return None
    return there if stat.S_ISREG(there.st_mode) else None
