"""A table in, a table out: read, answer, write down, commit; every row once, however often the job was interrupted."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import stat
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from .. import __version__, private_files
from ..budget import Budget
from ..bundle.bundle import Bundle
from ..errors import SenseCFError, TableError
from ..generators.choice import Choice
from ..generators.opening import prepared
from ..schema.schema import Schema
from ..settings import BATCH
from ..space.constraints import Constraints, check_constraints
from ..table.opening import ENCODING, STANDARD
from ..trial import opened
from . import layouts
from .answers import Chunk, JobSettings
from .files import Files
from .progress import Meter, clock
from .records import OtherColumns, Source, open_source
from .rows import Rows
from .store import Job as Identity
from .store import Progress, Store, differing
from .workers import Answers, alone, pooled

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
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
    columns: OtherColumns = field(default_factory=OtherColumns)
    budget: Budget = field(default_factory=Budget)
    constraints: Constraints = field(default_factory=Constraints)
    base_rate: float | None = None
    workers: int = 1
    chunk: int = BATCH.chunk
    ray: str | None = None
    generator: Choice = field(default_factory=Choice)
    tell: str = ""
    resume: bool = False
    force: bool = False


def run(job: Job, say: Say) -> Counter[str]:
    """Do the job and publish its files; returns how many rows ended how. Raises SenseCFError, or KeyboardInterrupt with all kept.

    An output that is whole already is left alone with `resume`.
    """
    private_files.need_posix("batch")
    bundle = opened(job.model)
    check_constraints(bundle.schema, job.constraints)
    plan = _plan(job, bundle)
    who = prepared(job.generator, say)
    files = Files(job.output, job.rejects, job.resume, job.force)
    with open_source(job.source, bundle.schema, job.columns) as source:
        if job.resume and files.whole:
            _known_again(job, _identity(job, plan, who), source, files)
            say(f"{job.output} is whole already; nothing to resume")
            return Counter()
        files.check(job.source)
        for feature, column in layouts.renamed(plan.layout, bundle.schema, bool(plan.tell)).items():
            say(f"the new value of {feature} stands in the column {column}, for {feature} is the name of another")
        before = _look(job.source)
        try:
            progress = _complete(job, plan, who, source, bundle.schema, files, say)
        except KeyboardInterrupt:
            say(f"interrupted; {files.go_on}")
            raise
        except OSError as error:
            raise _output_fault(error, files) from error
    if before != _look(job.source):
        say(f"{job.source} changed while it was read; what was written to it meanwhile may be missing or half there")
    say(summarise(progress, files.rejects_name))
    return Counter(progress.counts)


def _known_again(job: Job, identity: Identity, source: Source, files: Files) -> None:
    """Raises TableError unless the output was made from these rows with these settings."""
    made = files.made_from()
    if made is None:
        raise TableError(f"{job.output} is there, and nothing says what it was made from; give another name, or --force to make it again")
    if changed := differing(identity, made["job"]):
        raise TableError(f"{job.output} was made with another {', '.join(changed)}; give another name, or --force to make it again")
    rows = Rows(source, job.source)
    rows.pass_over(Progress(made["rows"], read=made["read"]))
    if next(rows, None) is not None:
        raise TableError(
            f"{job.source} holds more than the {made['rows']:,} rows that {job.output} was made from; --force makes it again from all"
        )


def _complete(job: Job, plan: JobSettings, who: str, source: Source, schema: Schema, files: Files, say: Say) -> Progress:
    """From wherever the store stands to published files. A job that fails before its first chunk leaves nothing behind."""
    identity = _identity(job, plan, who)
    with Store(files.journal, identity, job.resume, job.force) as store:
        if store.progress.rows:
            say(f"going on behind row {store.progress.rows:,}")
        try:
            _work(job, plan, source, store, _stream(plan, schema) if files.output is None else None)
        except BaseException:
            if not store.progress.rows:
                store.remove()
            elif files.output is None:  # what was rejected so far cannot be had again from a stream
                files.publish(None, _rejects(store), job.force, None)
            raise
        done = store.progress
        mark = {"job": identity, "rows": done.rows, "read": done.read}
        files.publish(_output(plan, schema, store), _rejects(store), done.replace, mark)
        store.remove()
        return done


def _work(job: Job, plan: JobSettings, source: Source, store: Store, stream: BinaryIO | None) -> None:
    """The main loop: a chunk counts when the store has it on the disk."""
    before, began, size = store.progress, time.monotonic(), source.size

    def share() -> float | None:
        return store.progress.end / size if size else None

    rows = Rows(source, job.source)
    rows.pass_over(before)
    chunks = rows.chunks(job.chunk, store if job.columns.id is not None else None)
    with Meter(before.rows, share()) as meter:
        for chunk, answered in _answers(job, plan, chunks):
            if stream is not None:
                stream.write(answered.output)
                stream.flush()
            counts = dict(Counter(store.progress.counts) + Counter(answered.counts))
            seconds = before.seconds + time.monotonic() - began
            progress = Progress(chunk.last, chunk.end, chunk.read, before.replace, seconds, counts)
            store.add(progress, b"" if stream is not None else answered.output, answered.rejects)
            meter.update(progress.rows, share())
    if not store.progress.rows:
        raise TableError(f"{job.source} holds no record; give at least one row")


def _answers(job: Job, plan: JobSettings, chunks: Iterator[Chunk]) -> Answers:
    if job.ray is not None:
        from .ray import on_ray

        return on_ray(plan, chunks, job.ray, job.workers)
    return alone(plan, chunks) if job.workers == 1 else pooled(plan, chunks, job.workers)


def _stream(plan: JobSettings, schema: Schema) -> BinaryIO:
    """Standard output, its header written."""
    if sys.stdout is None:
        raise TableError("standard output is closed; give a file with -o")
    sys.stdout.buffer.write(plan.header(schema))
    return sys.stdout.buffer


def _output(plan: JobSettings, schema: Schema, store: Store) -> Callable[[BinaryIO], None]:
    def write(file: BinaryIO) -> None:
        if plan.form == "parquet":
            from .parquet import assemble

            about = {"model": Path(plan.folder).name, "bundle": plan.bundle, "seed": str(plan.budget.seed)}
            assemble(file, store.all("output"), plan.columns(schema), about)
            return
        file.write(plan.header(schema))
        file.writelines(store.all("output"))

    return write


def _rejects(store: Store) -> Callable[[BinaryIO], None] | None:
    def write(file: BinaryIO) -> None:
        file.write(layouts.as_csv([layouts.REJECTS]))
        file.writelines(store.all("rejects"))

    return write if store.progress.counts.get("rejected") else None


def _look(source: str) -> tuple[int, int] | None:
    """Size and time of a plain file."""
    with contextlib.suppress(OSError):
        there = os.stat(source)
        return (there.st_size, there.st_mtime_ns) if stat.S_ISREG(there.st_mode) else None
    return None


def _plan(job: Job, bundle: Bundle) -> JobSettings:
    """Form and layout from the output's name and the wishes. Raises TableError for a pair that does not go together."""
    form = "json" if job.output == STANDARD and job.layout == "json" else FORMS.get(Path(job.output).suffix.lower(), "")
    form = form or ("csv" if job.output == STANDARD else "")
    if not form:
        raise TableError(f"{job.output} has no ending that says what to write; give .csv, .jsonl or .parquet")
    layout = job.layout or ("json" if form == "json" else "long")
    if layout == "json" and form != "json":
        raise TableError(f"the layout json is JSON Lines; name the output {Path(job.output).stem}.jsonl, or choose long or wide")
    return JobSettings(
        str(bundle.folder.resolve()), bundle.hash, form, layout, job.budget, job.constraints, job.base_rate, job.generator, job.tell
    )


def _identity(job: Job, plan: JobSettings, who: str) -> Identity:
    """What must be the same for a resumed job to give the rows that the interrupted one would have given."""
    limits = job.constraints
    return {
        "version of sensecf-edge": __version__, "model": plan.bundle, "form": plan.form, "layout": plan.layout,
        "request": dataclasses.asdict(plan.budget), "chunk size": job.chunk, "rejects file": job.rejects,
        "id column": job.columns.id, "base rate": plan.base_rate, "generator": who, "encoding": ENCODING.get(), "letters": plan.tell,
        "dropped columns": sorted(job.columns.drop), "frozen features": sorted(limits.freeze), "limit of changes": limits.max_changes,
        "bounds": {name: list(pair) for name, pair in sorted(limits.bounds.items())}, "costs": dict(sorted(limits.costs.items())),
    }  # fmt: skip


def summarise(progress: Progress, rejects: str | None) -> str:
    """One line: how many ended how, how good the first tries were, how long it took."""
    n = Counter(progress.counts)
    parts = [f"{progress.rows:,} rows: {n['found']:,} found, {n['none']:,} none, {n['already']:,} already fine, {n['rejected']:,} rejected"]
    if n["depends"]:
        parts[0] = parts[0].replace(" already fine,", f" already fine, {n['depends']:,} depending on what is unknown,")
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
    if error.errno in FULL:
        return SenseCFError(f"the disk is full; free space, then {files.go_on}")
    if error.errno == errno.EIO:
        return SenseCFError(f"the disk is full, over a quota or failing; free space, then {files.go_on}")
    where = f" {error.filename}" if error.filename else ""
    return TableError(f"cannot write{where}: {error.strerror or type(error).__name__}; give another place with -o")
