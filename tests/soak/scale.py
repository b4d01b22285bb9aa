"""How batch and watch grow, measured: the figures of docs/scale.md. Needs two free cores for the lines with two workers.

python tests/soak/scale.py MODEL [--sizes 100 1000 10000] [--only PART]...
"""

from __future__ import annotations

import argparse
import json
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from cohort import PROGRAM, launch, write_csv
from soak import Memory

from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.explain import Explainer
from sensecf_edge.schema.record import Record
from sensecf_edge.settings import BATCH


def invented(model: str, count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Records between the reference quantiles of each feature, drawn apart from each other: no person is like this."""
    bundle, chance = Bundle.open(model), random.Random(seed)
    out = []
    for i in range(1, count + 1):
        row: dict[str, Any] = {"id": f"p{i}"}
        for f in bundle.schema.features:
            if f.kind == "choice":
                row[f.name] = chance.choice(f.choices)
            else:
                q = bundle.reference.quantiles[f.name]
                at = chance.random() * (len(q) - 1)
                row[f.name] = f.texts[f.nearest(q[int(at)] + (q[int(at) + 1] - q[int(at)]) * (at % 1))]
        out.append(row)
    return out


def engine_alone(model: str, rows: list[dict[str, Any]]) -> dict[str, float]:
    """Records a second, and a second of CPU time, which other programs disturb less, of `explain_many` by the chunk.

    No reading, writing or checking; loading is not counted.
    """
    from sensecf_edge.schema.cells import from_text, value

    with Explainer.load(model) as explainer:
        schema = explainer.schema
        records = iter([Record.from_mapping(schema, {k: value(schema[k], from_text(v)) for k, v in r.items() if k != "id"}) for r in rows])
        explainer.explain_many(list(islice(records, 1)))
        began, busy, done = time.perf_counter(), time.process_time(), 1
        while some := list(islice(records, BATCH.chunk)):
            explainer.explain_many(some)
            done += len(some)
        return {"per_s": round(done / (time.perf_counter() - began), 1), "per_cpu_s": round(done / (time.process_time() - busy), 1)}


def batch(model: str, source: Path, *more: object) -> dict[str, float]:
    """One job: rows a second over the whole process, start and end included; memory of its main process."""
    out = source.with_suffix(".out.csv")
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    job = launch("batch", source, "-o", out, "--model", model, "--id", "id", "--force", *more)
    memory = Memory(job, lambda: 0)
    _, err = job.communicate()
    assert job.returncode in (0, 3), err
    rows = int(re.search(r"([\d,]+) rows", err.decode().splitlines()[-1])[1].replace(",", ""))  # type: ignore[index]
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "rows": rows, "seconds": round(seconds, 2), "per_s": round(rows / seconds, 1), "per_cpu_s": round(rows / busy, 1),
        "peak_mb": round(max(mb for _, mb in memory.seen), 1),
    }  # fmt: skip


def resume_cost(model: str, work: Path) -> dict[str, float]:
    """A quarter of a million rows, killed near the end: from the command with --resume to the first new rows on the disk."""
    rows = [{**r, "age": ""} if i < 250_000 else r for i, r in enumerate(invented(model, 1_000) * 250 + invented(model, 1), 1)]
    for i, row in enumerate(rows):
        row["id"] = f"p{i}"
    source = write_csv(work / "long.csv", rows)
    job = launch("batch", source, "-o", work / "long.out.csv", "--model", model, "--id", "id", "--chunk", 1000)

    def written() -> tuple[int, ...]:
        """Sizes and times of what the job keeps; they change with every chunk."""
        return tuple(n for f in sorted(work.glob("long.out.csv.journal*")) for n in (f.stat().st_size, f.stat().st_mtime_ns))

    while job.poll() is None and sum(written()[::2]) < 0.9 * 250_000 * 60:
        time.sleep(0.01)
    job.kill()
    job.communicate()
    before, began = written(), time.perf_counter()
    job = launch("batch", source, "-o", work / "long.out.csv", "--model", model, "--id", "id", "--chunk", 1000, "--resume")
    while job.poll() is None and (len(written()) < len(before) or sum(written()[::2]) <= sum(before[::2])):
        time.sleep(0.005)
    cost = time.perf_counter() - began
    _, err = job.communicate()
    return {"seconds_to_new_rows": round(cost, 2), "rows_before": float(re.sub(r"\D", "", err.decode().splitlines()[0]) or 0)}


def latency(model: str, count: int = 400) -> dict[str, float]:
    """One record at a time through `watch` on pipes, from writing it to reading its answer; only unwanted ones."""
    watch = subprocess.Popen(
        [*PROGRAM, "watch", "--model", model], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert watch.stdin and watch.stdout
    with Explainer.load(model) as explainer:
        from sensecf_edge.schema.cells import from_text, value

        schema, taken = explainer.schema, []
        for row in invented(model, 4 * count, seed=1):
            values = {k: value(schema[k], from_text(v)) for k, v in row.items() if k != "id"}
            if explainer.checker.p_target(Record.from_mapping(schema, values).vector[None])[0] < explainer.target.threshold:
                taken.append(values)
    seconds = []
    for values in taken[:count]:
        began = time.perf_counter()
        watch.stdin.write(json.dumps(values).encode() + b"\n")
        watch.stdin.flush()
        if not watch.stdout.readline():
            raise RuntimeError("the watch ended")
        seconds.append(time.perf_counter() - began)
    watch.stdin.close()
    watch.wait()
    watch.stdout.close()
    warm = np.array(seconds[20:])
    p50, p99 = np.percentile(warm, [50, 99])
    return {"records": len(warm), "p50_ms": round(1000 * p50, 1), "p99_ms": round(1000 * p99, 1), "ratio": round(p99 / p50, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--sizes", type=int, nargs="*", default=[100, 1_000, 10_000])
    parser.add_argument("--only", action="append", choices=["engine", "one", "two", "ray", "resume", "latency"])
    options = parser.parse_args()

    def wanted(part: str) -> bool:
        return not options.only or part in options.only

    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        work = Path(folder)
        for size in options.sizes:
            rows = invented(options.model, size)
            source = write_csv(work / f"{size}.csv", rows)
            if wanted("engine"):
                print(size, "engine", json.dumps(engine_alone(options.model, rows)), flush=True)
            for part, more in (("one", ()), ("two", ("--workers", 2)), ("ray", ("--workers", 2, "--ray"))):
                if wanted(part):
                    print(size, part, json.dumps(batch(options.model, source, *more)), flush=True)
        if wanted("resume"):
            print("resume", json.dumps(resume_cost(options.model, work)), flush=True)
        if wanted("latency"):
            print("latency", json.dumps(latency(options.model)), flush=True)


if __name__ == "__main__":
    main()
