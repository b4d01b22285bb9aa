"""Tables that somebody's program or hand has spoilt, read by draft, fit and batch: they must agree, and none may crash.

    python tests/soak/mutated.py [COUNT] [SEED]

Each table is whole first, then changed at random: separators, quotes, bytes, encodings, line ends, types, names. What a fit
takes, a batch of the same file takes whole and codes alike; what a fit refuses because of a line or cell, a batch rejects or
refuses.
"""

from __future__ import annotations

import gzip
import json
import random
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from sensecf_convert import progress
from sensecf_convert.table.draft import draft

from sensecf_edge.batch.records import OtherColumns, open_source
from sensecf_edge.errors import RecordError, SchemaError, TableError
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.schema import Schema
from sensecf_edge.table.labelled import known
from sensecf_edge.table.read import read

HEADER = ["id", "age", "sex", "glucose", "steps", "smoker", "code", "outcome"]
SCHEMA = Schema.from_json({"features": [
    {"name": "age", "low": 0, "high": 120, "step": 1}, {"name": "sex", "kind": "choice", "choices": ["f", "m"]},
    {"name": "glucose", "low": 0, "high": 40, "step": 0.1, "optional": True}, {"name": "steps", "low": 0, "high": 40000, "step": 50},
    {"name": "smoker", "kind": "choice", "choices": ["FALSE", "TRUE"]}, {"name": "code", "kind": "choice", "choices": ["01", "02", "11"]},
]})  # fmt: skip
ODD_CELLS = (
    "",
    " ",
    "?",
    "NA",
    "NaN",
    "null",
    "None",
    "-",
    "-999",
    "9999",
    "1,5",
    "1.234",
    "1,234",
    "1.234,5",
    '"',
    '""',
    '"x',
    'x"y',
    "\u00a0",
    "\u200b",
    "007",
    "7",
    "1.0",
    "TRUE",
    "true",
    "False",
    "é",
    "e\u0301",
    "\t",
    "\0",
    "\r",
    "inf",
    "1e5",
    "0x1",
    "<5",
    "٣",
    "\ufeff",
    "m ",
    " f",
    "\u2028",
)


def people(chance: random.Random, count: int = 44) -> list[list[str]]:
    return [
        [f"p{i}", str(chance.randrange(20, 90)), chance.choice("fm"), chance.choice(["", f"{chance.uniform(4, 12):.1f}"]),
         f"{chance.randrange(1000, 20000)}", chance.choice(["TRUE", "FALSE"]), chance.choice(["01", "02", "11"]),
         "ill" if i % 2 else "well"]
        for i in range(count)
    ]  # fmt: skip


def written(rows: list[list[str]], chance: random.Random) -> bytes:
    """A whole table in some form."""
    way = chance.choice(["csv", "csv", "csv", "quoted", "json", "gzip", "utf-16"])
    if way == "json":
        return "\n".join(json.dumps({k: _typed(v, chance) for k, v in zip(HEADER, row, strict=True)}) for row in rows).encode()
    delimiter, end = chance.choice(",,;\t|"), chance.choice(["\n", "\n", "\r\n"])
    quote = (lambda t: f'"{t}"') if way == "quoted" else str
    comma = delimiter != "," and chance.random() < 0.3
    lines = [delimiter.join(HEADER), *(delimiter.join(quote(t.replace(".", ",") if comma else t) for t in row) for row in rows)]
    text = end.join(lines) + end
    return gzip.compress(text.encode()) if way == "gzip" else text.encode("utf-16" if way == "utf-16" else "utf-8")


def _typed(text: str, chance: random.Random) -> Any:
    if text in ("TRUE", "FALSE"):
        return chance.choice([text, text == "TRUE"])
    try:
        return text if text.startswith("0") else chance.choice([text, json.loads(text)])
    except ValueError:
        return text


def spoilt(data: bytes, chance: random.Random) -> bytes:
    """One change of the bytes."""
    at = chance.randrange(len(data))
    how = chance.choice(["insert", "remove", "double", "cut", "replace", "line", "none"])
    odd = chance.choice([b",", b";", b"\t", b'"', b"\n", b"\r", b"\xff", b"\xe9", b" ", b"\xc2\xa0", b"0", b".", b"\x00"])
    lines = data.split(b"\n")
    if how == "line" and len(lines) > 2:
        i = chance.randrange(len(lines))
        return b"\n".join([*lines[:i], chance.choice([b"", lines[i] + odd, lines[i] * 2, lines[0]]), *lines[i + 1 :]])
    return {
        "insert": data[:at] + odd + data[at:], "remove": data[:at] + data[at + 1 :], "double": data[:at] + data[at : at + 30] + data[at:],
        "cut": data[:at], "replace": data.replace(odd, chance.choice([b",", b";", b"x", b""]), chance.randrange(1, 30)),
    }.get(how, data)  # fmt: skip


def try_one(path: Path) -> str:
    """What the three said, in one word. Raises AssertionError where they do not agree; any other exception is a crash."""
    with suppress(TableError, SchemaError):
        draft(path, "outcome", "id", allow=("repeated",))
    fit = faults = None
    try:
        fit = known(read(str(path)), SCHEMA, "outcome", "well", "id").X
    except TableError as error:
        faults = error.faults
    try:
        rejected, vectors = batch(path)
    except TableError:
        assert fit is None, "a fit takes what a batch refuses"
        return "refused by both"
    if fit is None:
        assert rejected or any(word in f for f in faults or () for word in ("outcome", "class", "id is missing", "no record", "lacks")), (
            faults
        )
        return "refused by fit, rejected in part by batch"
    assert not rejected and np.array_equal(np.array(vectors), fit, equal_nan=True), "a batch rejects or codes otherwise what a fit takes"
    return "taken by both"


def batch(path: Path) -> tuple[int, list[Any]]:
    """How many rows a batch rejects, and the codes of the others."""
    extra = frozenset({"outcome", *_columns(path)} - {"id", *SCHEMA.names})
    rejected, vectors = 0, []
    with open_source(str(path), SCHEMA, OtherColumns("id", extra)) as source:
        for row in source.rows():
            if row.values is None:
                rejected += 1
                continue
            try:
                vectors.append(Record.from_mapping(SCHEMA, row.values).vector)
            except RecordError:
                rejected += 1
    return rejected, vectors


def _columns(path: Path) -> set[str]:
    try:
        return set(read(str(path)).columns)
    except TableError:
        return set()


def main(count: int, seed: int) -> None:
    progress.console.quiet = True
    told = Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        for i in range(seed, seed + count):
            chance = random.Random(i)
            rows = people(chance)
            for _ in range(chance.randrange(3)):
                chance.choice(rows)[chance.randrange(len(HEADER))] = chance.choice(ODD_CELLS)
            data = written(rows, chance)
            for _ in range(chance.randrange(3)):
                data = spoilt(data, chance) or b"\n"
            path.write_bytes(data)
            try:
                told[try_one(path)] += 1
            except Exception:
                print(f"table {i} ({data[:80]!r} …):", file=sys.stderr)
                raise
    for how, number in told.most_common():
        print(f"{number:8,} {how}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000, int(sys.argv[2]) if len(sys.argv) > 2 else 0)
