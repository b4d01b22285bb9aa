"""Tables as people send them, spoilt by chance: what a draft, a fit and a batch make of each.

A row that chance left alone comes out once and as it was written, or is rejected in words, or the whole table is refused. Where
a fit takes a table, a batch rejects nothing and reads the same codes, by the schema that is known and by the one a draft makes.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sensecf_convert.table.cohort import read_table
from sensecf_convert.table.draft import draft

from sensecf_edge.batch.records import OtherColumns, Row, open_source
from sensecf_edge.errors import RecordError, SenseCFError
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.schema import Schema
from sensecf_edge.table.labelled import known

SCHEMA = Schema.from_json({"format": 1, "features": [
    {"name": "age", "kind": "number", "low": 18, "high": 90, "step": 1, "optional": True},
    {"name": "dose", "kind": "number", "low": 0, "high": 9, "step": 0.1, "optional": True},
    {"name": "smoker", "kind": "choice", "choices": ["yes", "no"], "optional": True},
    {"name": "pain", "kind": "choice", "choices": ["none", "some", "Überall"], "optional": True},
]})  # fmt: skip
People = list[dict[str, Any]]
Lines = list[str]


def people(chance: random.Random, count: int) -> People:
    """Every tenth value is unknown."""
    out = []
    for i in range(count):
        row = {"age": chance.randint(18, 90), "dose": chance.randint(0, 90) / 10, "smoker": chance.choice(["yes", "no"]),
               "pain": chance.choice(["none", "some", "Überall"])}  # fmt: skip
        known_values = {k: None if i > 1 and chance.random() < 0.1 else v for k, v in row.items()}
        out.append({"id": f"p{i:03d}", **known_values, "outcome": "ill" if i % 2 else "well"})
    return out


def as_text(rows: People, chance: random.Random) -> Lines:
    """CSV of some dialect, or JSON Lines."""
    if chance.random() < 0.2:
        import json

        return [json.dumps({k: v for k, v in row.items() if v is not None}, ensure_ascii=False) for row in rows]
    mark = chance.choice(",;\t|")
    comma = mark != "," and chance.random() < 0.3
    quote = chance.choice(["", "", '"'])

    def cell(value: Any) -> str:
        text = "" if value is None else str(value)
        text = text.replace(".", ",") if comma and isinstance(value, float) else text
        return f"{quote}{text}{quote}"

    return [mark.join(map(cell, line)) for line in (rows[0], *(row.values() for row in rows))]


def _spoil(lines: Lines, at: int, chance: random.Random) -> str:
    line, where = lines[at], chance.randrange(len(lines[at]) + 1)
    odd = chance.choice(['"', ",", ";", "\t", "|", ".", "'", "\u200b", "\xa0", "\x00", "NA", "1e999", "=1+1", "{", "é", "\r", "٣", "null"])
    how = chance.randrange(5)
    if how == 0:
        return line[:where] + odd + line[where:]
    if how == 1:
        return line[:where] + line[where + 1 :]
    if how == 2:
        return line[:where]
    if how == 3:
        return line + odd
    return line[:where] + odd + line[where + 1 :]


def mutated(lines: Lines, header: bool, chance: random.Random) -> tuple[Lines, set[int]]:
    """Up to three lines spoilt, and perhaps an empty one put in; and which people's lines those were (-1: the header)."""
    lines, spoilt = list(lines), set()
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(lines)) if chance.random() < 0.1 else chance.randrange(int(header), len(lines))
        lines[at] = _spoil(lines, at, chance)
        spoilt.add(at - header)
    if chance.random() < 0.2:
        lines.insert(chance.randrange(len(lines) + 1), "")
    return lines, spoilt


def as_bytes(lines: Lines, chance: random.Random) -> bytes:
    """Line ends, marks and packing of some kind."""
    text = chance.choice(["\n", "\r\n"]).join(lines) + chance.choice(["", "\n"])
    data = text.encode("utf-16") if chance.random() < 0.1 else chance.choice(["", "\ufeff"]).encode() + text.encode()
    return gzip.compress(data) if chance.random() < 0.1 else data


def as_parquet(rows: People, path: Path, chance: random.Random) -> None:
    """Types of some kind: categories, decimals, doubles, plain text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist(rows)
    wishes: dict[str, list[Any]] = {
        "age": [pa.float64(), pa.int8(), pa.decimal128(22, 1), pa.string()], "dose": [pa.float64(), pa.decimal128(6, 2)],
        "smoker": [pa.dictionary(pa.int8(), pa.string()), pa.large_string()], "pain": [pa.string(), pa.dictionary(pa.int8(), pa.string())],
    }  # fmt: skip
    for name, types in wishes.items():
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, table[name].cast(chance.choice(types)))
    pq.write_table(table, path, row_group_size=chance.choice([5, 7, 100]))


def codes(rows: list[Row], schema: Schema) -> dict[int, Any]:
    """Row number -> its record's codes, None where it is rejected."""
    out: dict[int, Any] = {}
    for row in rows:
        try:
            out[row.number] = None if row.unusable or row.values is None else Record.from_mapping(schema, row.values).vector
        except RecordError:
            out[row.number] = None
    return out


def by_batch(path: Path, schema: Schema, drop: frozenset[str]) -> list[Row]:
    with open_source(str(path), schema, OtherColumns("id", drop)) as source:
        return list(source.rows())


def look(path: Path, truth: People, spoilt: set[int]) -> Counter[str]:
    """One table, three ways."""
    seen: Counter[str] = Counter(tables=1)
    try:
        rows = by_batch(path, SCHEMA, frozenset({"outcome"}))
    except SenseCFError:
        rows = []
        seen["refused by batch"] += 1
        seen["wrong"] += not spoilt  # nothing was the matter with it
    said, numbers = codes(rows, SCHEMA), [row.number for row in rows]
    seen["lost"] += numbers != list(range(1, len(rows) + 1))
    named = Counter(row.id for row in rows if row.unusable is None)
    seen["twice"] += 0 if spoilt else sum(n - 1 for n in named.values())
    at = {row.id: row.number for row in rows if row.unusable is None}
    for k, person in enumerate(truth):
        if rows and k not in spoilt and -1 not in spoilt:
            if person["id"] not in at:
                seen["lost"] += 1
                continue
            code = said[at[person["id"]]]
            right = Record.from_mapping(SCHEMA, {name: person[name] for name in SCHEMA.names}).vector
            seen["rejected though sound"] += code is None
            seen["wrong"] += code is not None and not np.array_equal(code, right, equal_nan=True)
    _as_fit(path, SCHEMA, seen)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            drawn = Schema.from_json(draft(path, "outcome", "id"))
    except SenseCFError:
        seen["refused by draft"] += 1
    else:
        _as_fit(path, drawn, seen)
    return seen


def _as_fit(path: Path, schema: Schema, seen: Counter[str]) -> None:
    try:
        drop = frozenset(set(read_table(path).columns) - {"id", *schema.names})
        fit = known(read_table(path), schema, "outcome", "well", "id").X
    except SenseCFError:
        seen["refused by fit"] += 1
        return
    seen["taken by fit"] += 1
    try:
        batch = list(codes(by_batch(path, schema, drop), schema).values())
    except SenseCFError:
        batch = []
    same = len(batch) == len(fit) and all(b is not None and np.array_equal(a, b, equal_nan=True) for a, b in zip(fit, batch, strict=True))
    seen["fit and batch differ"] += not same


def soak(work: Path, count: int, seed: int = 6, tell: Callable[[int, Counter[str]], None] | None = None) -> Counter[str]:
    """`count` tables; figures over all of them."""
    seen: Counter[str] = Counter()
    for i in range(count):
        chance = random.Random(seed * 1_000_003 + i)
        truth, path = people(chance, chance.randint(6, 30)), work / "table.csv"
        path.unlink(missing_ok=True)
        spoilt: set[int] = set()
        if chance.random() < 0.1:
            as_parquet(truth, path, chance)
        else:
            lines = as_text(truth, chance)
            lines, spoilt = mutated(lines, len(lines) > len(truth), chance)
            path.write_bytes(as_bytes(lines, chance))
        found = look(path, truth, spoilt)
        seen += found
        if tell is not None:
            tell(i, found)
    return seen
