"""The files a batch writes: parts beside their final names, a journal between them; or standard output, which cannot resume."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ..errors import TableError
from ..schema import Schema
from ..table.opened import STANDARD
from . import layouts
from .answers import Answered, Plan
from .journal import Part, Progress


class Files:
    """Where one job writes."""

    def __init__(self, output: str, rejects: str | None, resume: bool = False, force: bool = False) -> None:
        self.streams, self.resume, self.force = output == STANDARD, resume, force
        self.final = Path(output)
        self.journal = None if self.streams else self.final.with_name(self.final.name + ".journal")
        chosen = rejects or (None if self.streams else f"{output}.rejects.csv")
        self.rejects_path = None if chosen is None else Path(chosen)
        self.output = None if self.streams else Part(self.final)
        self.rejects = Part(self.rejects_path) if self.rejects_path else None
        self.go_on = "nothing is kept, for standard output cannot resume" if self.streams else "run the same command with --resume to go on"

    def whole_already(self) -> bool:
        """With --resume: the output is there and no journal is."""
        return bool(self.resume and self.journal and not self.journal.exists() and self.final.exists())

    def check(self, source: str) -> None:
        """Raises TableError where something stands in the way that the person did not offer up."""
        if self.streams and self.resume:
            raise TableError("standard output cannot resume; give a file with -o")
        for path in (None if self.streams else self.final, self.rejects_path):
            if path is None:
                continue
            if path.is_dir():
                raise TableError(f"{path} is a folder; give a file")
            if path.exists() and source != STANDARD and path.samefile(source):
                raise TableError(f"{path} is the input; give another output")
            if path.exists() and not (self.force or self.resume):
                raise TableError(f"{path} exists; give another name, or --force to replace it")
        if self.journal is not None and self.journal.exists():
            if self.force:
                self.journal.unlink()
            elif not self.resume:
                raise TableError(f"an unfinished job stands beside {self.final}; go on with --resume, or start again with --force")

    def begin(self, progress: Progress, header: bytes) -> None:
        """Open the parts and cut off what did not count; a job that was publishing has no part to open any more."""
        if progress.finishing:
            return
        if self.output is not None:
            self.output.open(progress.output)
        if self.rejects is not None:
            self.rejects.open(progress.rejects)
        if not progress.rows:
            reject_header = layouts.as_csv([layouts.REJECTS])
            self.append(Answered(header, reject_header if self.rejects else b"", {}))

    def append(self, answered: Answered) -> None:
        """Onto the disk, or to whoever reads standard output."""
        if self.output is not None:
            self.output.append(answered.output)
        else:
            sys.stdout.buffer.write(answered.output)
            sys.stdout.buffer.flush()
        if self.rejects is not None:
            self.rejects.append(answered.rejects)

    @property
    def lengths(self) -> tuple[int, int]:
        """Of both parts."""
        return (self.output.length if self.output else 0, self.rejects.length if self.rejects else 0)

    def publish(self, plan: Plan, schema: Schema, some_rejected: bool) -> None:
        """Final names, the rejects first. Safe to do again after a crash in the middle."""
        self.close()
        if self.rejects is not None and some_rejected:
            self.rejects.publish()
        elif self.rejects is not None:
            self.rejects.drop()
        if self.output is not None:
            self.output.publish(_to_parquet(plan, schema) if plan.form == "parquet" else None)

    def drop(self) -> None:
        """Leave no part behind."""
        for part in (self.output, self.rejects):
            if part is not None:
                part.drop()

    def close(self) -> None:
        """Parts stay where they are."""
        for part in (self.output, self.rejects):
            if part is not None:
                part.close()


def _to_parquet(plan: Plan, schema: Schema) -> Callable[[Path, Path], None]:
    from .parquet import assemble

    about = {"model": Path(plan.folder).name, "bundle": plan.bundle, "seed": str(plan.budget.seed)}
    return partial(assemble, columns=layouts.columns(plan.layout, schema), about=about)
