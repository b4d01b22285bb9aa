"""A table in, a table out: read, answer, write down, commit; every row once, however often the job was interrupted."""

from __future__ import annotations

import dataclasses
import errno
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from pathlib import Path

from .. import __version__
from ..admissible import Constraints, check
from ..budget import Budget
from ..bundle import Bundle
from ..errors import SenseCFError, TableError
from ..schema import Schema
from ..settings import BATCH
from ..table.opened import STANDARD
from . import layouts
from .answers import Chunk, Plan
from .journal import Journal, Progress
from .meter import Meter, clock
from .places import Files
from .problem import Problem
from .tables import Columns, Row, Source, open_source
from .workers import Answers, alone, pooled

FORMS = {".csv": "csv", ".parquet": "parquet", ".jsonl": "json", ".ndjson": "json"}
Say = Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """One command's wishes. Names of files are as the person gave them; `-` is standard input or output."""

    source: str
    output: str
    model: str
    layout: str | None = None
    rejects: str | None = None
    columns: Columns = field(default_factory=Columns)
    budget: Budget = field(default_factory=Budget)
    constraints: Constraints = field(default_factory=Constraints)
    workers: int = 1
    chunk: int = BATCH.chunk
    ray: str | None = None
    resume: bool = False
    force: bool = False


def run(job: Job, say: Say) -> Counter[str]:
    """Do the job and publish its files; returns how many rows ended how. Raises SenseCFError, or KeyboardInterrupt with all kept.

    An output that is whole already is left alone with `resume`.
    """
    bundle = Bundle.open(job.model)
    check(bundle.schema, job.constraints)
    plan = _plan(job, bundle)
    files = Files(job.output, job.rejects, job.resume, job.force)
    if files.whole_already():
        say(f"{job.output} is whole already; nothing to resume")
        return Counter()
    files.check(job.source)
    for feature, column in layouts.renamed(plan.layout, bundle.schema).items():
        say(f"the new value of {feature} stands in the column {column}, for {feature} is the name of another")
    with open_source(job.source, bundle.schema, job.columns) as source:
        try:
            progress = _complete(job, plan, source, bundle.schema, files, say)
        except KeyboardInterrupt:
            say(f"interrupted; {files.go_on}")
            raise
        except OSError as error:
            raise _output_fault(error, files) from error
        finally:
            files.close()
    say(summarise(progress, files.rejects_path))
    return Counter(progress.counts)


def _complete(job: Job, plan: Plan, source: Source, schema: Schema, files: Files, say: Say) -> Progress:
    """From wherever the journal stands to published files. A job that fails before its first chunk leaves nothing behind."""
    with Journal(files.journal, _identity(job, plan), job.resume) as journal:
        progress, began = journal.progress, time.monotonic()
        before = progress.seconds
        if progress.rows:
            say(f"going on behind row {progress.rows:,}")
        try:
            files.begin(progress, plan.header(schema))
            if not progress.finishing:
                _work(job, plan, source, journal, files)
        except BaseException:
            if not progress.rows:
                files.drop()
                journal.remove()
            raise
        files.publish(plan, schema, bool(progress.counts.get("rejected")))
        journal.remove()
        progress.seconds = before + time.monotonic() - began
        return progress


def _work(job: Job, plan: Plan, source: Source, journal: Journal, files: Files) -> None:
    """The main loop: a chunk counts when its lines are on the disk and the journal says so."""
    progress, size = journal.progress, source.size
    before, began = progress.seconds, time.monotonic()

    def share() -> float | None:
        return progress.start / size if size else None

    table = _Table(source)
    _pass_over(table, progress, job.source)
    chunks = _chunks(job, table, journal)
    with Meter(progress.rows, share()) as meter:
        for chunk, answered in _answers(job, plan, chunks):
            files.append(answered)
            progress.rows, progress.start, progress.read = chunk.last, chunk.end, chunk.read
            progress.output, progress.rejects = files.lengths
            progress.counts = dict(Counter(progress.counts) + Counter(answered.counts))
            progress.seconds = before + time.monotonic() - began
            journal.commit()
            meter.update(progress.rows, share())
    if not progress.rows:
        raise TableError(f"{job.source} holds no record; give at least one row")
    progress.finishing = True
    journal.commit()


def _answers(job: Job, plan: Plan, chunks: Iterator[Chunk]) -> Answers:
    if job.ray is not None:
        from .ray_job import on_ray

        return on_ray(plan, chunks, job.ray, job.workers)
    return alone(plan, chunks) if job.workers == 1 else pooled(plan, chunks, job.workers)


def _chunks(job: Job, table: _Table, journal: Journal) -> Iterator[Chunk]:
    """Rows by the chunk; a row whose id was seen before becomes a reject."""
    while some := list(islice(table, job.chunk)):
        if job.columns.id is not None:
            doubles = journal.doubles([(r.number, r.id) for r in some if r.problem is None])
            some = [
                row._replace(problem=Problem(f"the id stands in row {doubles[row.number]} already", "give every record an id of its own"))
                if row.number in doubles else row for row in some
            ]  # fmt: skip
        yield Chunk(some, some[-1].number, some[-1].end, table.read)


class _Table:
    """The rows of a source, and a running hash of all that was read of them."""

    def __init__(self, source: Source) -> None:
        self._rows = source.rows()
        self._hash = blake2b(digest_size=16)

    def __iter__(self) -> Iterator[Row]:
        return self

    def __next__(self) -> Row:
        row = next(self._rows)
        self._hash.update(repr((row.id, row.values, row.problem)).encode("utf-8", "backslashreplace"))
        return row

    @property
    def read(self) -> str:
        """The same for the same rows only."""
        return self._hash.hexdigest()


def _pass_over(table: _Table, progress: Progress, name: str) -> None:
    """Rows that are done are read again, which proves that they are the same: a pipe cannot be entered in the middle, and
    what stands in a file may have changed. Raises TableError where they are others."""
    passed = sum(1 for _ in islice(table, progress.rows))
    if progress.rows and (passed < progress.rows or table.read != progress.read):
        raise TableError(
            f"{name} is another input: its first {progress.rows:,} rows are not those that the interrupted job has answered; "
            "resume with the same table, or start again with --force"
        )


def _plan(job: Job, bundle: Bundle) -> Plan:
    """Form and layout from the output's name and the wishes. Raises TableError for a pair that does not go together."""
    form = "json" if job.output == STANDARD and job.layout == "json" else FORMS.get(Path(job.output).suffix.lower(), "")
    form = form or ("csv" if job.output == STANDARD else "")
    if not form:
        raise TableError(f"{job.output} has no ending that says what to write; give .csv, .jsonl or .parquet")
    layout = job.layout or ("json" if form == "json" else "long")
    if layout == "json" and form != "json":
        raise TableError(f"the layout json is JSON Lines; name the output {Path(job.output).stem}.jsonl, or choose long or wide")
    return Plan(str(bundle.folder.resolve()), bundle.hash, form, layout, job.budget, job.constraints)


def _identity(job: Job, plan: Plan) -> dict[str, object]:
    """What must be the same for a resumed job to give the rows that the interrupted one would have given."""
    limits = job.constraints
    return {
        "version of sensecf-edge": __version__, "model": plan.bundle, "form": plan.form, "layout": plan.layout,
        "request": dataclasses.asdict(plan.budget), "chunk size": job.chunk, "rejects file": job.rejects,
        "id column": job.columns.id,
        "dropped columns": sorted(job.columns.drop), "frozen features": sorted(limits.freeze), "limit of changes": limits.max_changes,
        "bounds": {name: list(pair) for name, pair in sorted(limits.bounds.items())}, "costs": dict(sorted(limits.costs.items())),
    }  # fmt: skip


def summarise(progress: Progress, rejects: Path | None) -> str:
    """One line: how many ended how, how good the first tries were, how long it took."""
    n = Counter(progress.counts)
    parts = [f"{progress.rows:,} rows: {n['found']:,} found, {n['none']:,} none, {n['already']:,} already fine, {n['rejected']:,} rejected"]
    if n["rejected"]:
        parts[0] += f" (see {rejects})" if rejects else " (say where to with --rejects FILE)"
    if n["first_tries"]:
        parts.append(f"first try valid {100 * n['first_valid'] / n['first_tries']:.1f} %")
    seconds = progress.seconds
    parts.append(f"{clock(seconds) if seconds >= 60 else f'{seconds:.1f} s'} ({progress.rows / max(seconds, 1e-9):.1f}/s)")
    return "; ".join(parts)


def _output_fault(error: OSError, files: Files) -> SenseCFError:
    if isinstance(error, BrokenPipeError):
        raise error
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return SenseCFError(f"the disk is full; free space, then {files.go_on}")
    where = f" {error.filename}" if error.filename else ""
    return TableError(f"cannot write{where}: {error.strerror or type(error).__name__}; give another place with -o")
