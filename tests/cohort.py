"""Made-up cohorts for the toy bundle, and the command line in a process of its own."""

from __future__ import annotations

import csv
import io
import json
import random
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

PROGRAM = [sys.executable, "-m", "sensecf_edge"]
HOSTILE = (
    {"steps": "abc"}, {"steps": "1e999"}, {"steps": "72,5"}, {"smoker": "perhaps"}, {"age": "-1"}, {"age": ""}, {"deep_sleep": "low"},
    {"smoker": "yes\x00"}, {"steps": "9" * 500}, {"age": "١٢"}, {"steps": '"'}, {"steps": "=1+1"},
)  # fmt: skip


def people(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Records of the toy schema with an id each; about half are in the unwanted class."""
    chance = random.Random(seed)
    return [
        {
            "id": f"p{i}",
            "age": chance.randrange(18, 91),
            "steps": chance.randrange(0, 16001, 500),
            "deep_sleep": chance.choice(["", chance.randrange(0, 41)]),
            "smoker": chance.choice(["yes", "no"]),
        }
        for i in range(1, count + 1)
    ]


def write_csv(path: Path, rows: Sequence[dict[str, Any]], delimiter: str = ",", encoding: str = "utf-8") -> Path:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows({k: v.replace("\0", "\ufdd0") if isinstance(v, str) else v for k, v in row.items()} for row in rows)
    with path.open("w", newline="", encoding=encoding) as file:
        file.write(text.getvalue().replace("\ufdd0", "\0"))  # Python 3.10 cannot write U+0000 itself
    return path


def write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps({k: v for k, v in row.items() if v != ""}) + "\n" for row in rows), encoding="utf-8")
    return path


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def launch(*arguments: object, **more: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*PROGRAM, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
