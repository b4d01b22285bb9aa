"""A table on disk -> a Cohort: codes in schema order, labels, persons. Strict: what does not fit is named, not dropped."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sensecf_edge.errors import TableError
from sensecf_edge.schema.cells import cell, is_code, plain_number, without_value
from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.schema import Schema
from sensecf_edge.table.labelled import known
from sensecf_edge.table.opening import ENCODING
from sensecf_edge.table.read import Cells, Column, read

from .free_memory import free_memory

if TYPE_CHECKING:
    import pandas as pd

MIN_PEOPLE_PER_CLASS = 4
MIN_ROWS_PER_CLASS = 20
"""Below these no split and no fold holds both classes; `leakage` asks for more before a figure is believed."""
CSV_GROWS = 6
PARQUET_GROWS = 4
CELL_BYTES = 32
"""How much memory reading takes for a byte of CSV, a byte of unpacked Parquet, and at least for a cell of Parquet."""


@dataclass(frozen=True)
class Cohort:
    """Rows of known people.

    X        codes in schema order, shape (rows, features), NaN unknown
    y        True for the wanted class, shape (rows,)
    persons  one id per row, shape (rows,); every row its own person where the table names none
    named    whether the table names them: else nobody knows how many people the rows are, and nobody says "people"
    """

    schema: Schema
    X: Vector
    y: NDArray[np.bool_]
    persons: NDArray[np.str_]
    classes: tuple[str, str]
    named: bool = False

    def __len__(self) -> int:
        return len(self.X)

    def take(self, rows: NDArray[Any]) -> Cohort:
        """The cohort of some rows (indices or mask)."""
        return Cohort(self.schema, self.X[rows], self.y[rows], self.persons[rows], self.classes, self.named)

    @property
    def unit(self) -> str:
        """What is counted: people where they are named, else rows."""
        return "people" if self.named else "rows"

    @property
    def people(self) -> int | None:
        """How many people there are, None where nobody knows."""
        return len(np.unique(self.persons)) if self.named else None

    @property
    def fingerprint(self) -> str:
        """sha256 over values, labels and persons: says whether two tables are the same, tells nothing about their rows."""
        digest = hashlib.sha256(np.ascontiguousarray(self.X).tobytes() + self.y.tobytes())
        digest.update("\x00".join(self.persons).encode())
        return digest.hexdigest()


def read_table(path: Path) -> Cells:
    """Every cell of a table, as all commands read it: see `sensecf_edge.table`.

    Raises TableError for what is no table, and before reading for one that would not fit into memory.
    """
    free = free_memory()
    _fits_memory(path, free)
    try:
        about = path.stat()
    except OSError:
        return read(str(path))  # which says what is wrong
    return _read(str(path), free, about.st_size, about.st_mtime_ns)


_last = dict[tuple[Any, ...], Cells]()


def _read(path: str, free: int, *state: int) -> Cells:
    """The last table is kept: a fit looks through it before its long imports, and then uses it."""
    key = (path, ENCODING.get(), *state)
    if key not in _last:
        _last.clear()
        _last[key] = read(path, (), lambda: free)
    return _last[key]


def frame(table: Cells) -> pd.DataFrame:
    """A table as a DataFrame: columns of numbers as numbers, every other cell as the text it is."""
    import pandas as pd

    return pd.DataFrame({name: _series(column) for name, column in table.columns.items()})


def _series(column: Column) -> pd.Series[Any]:
    import pandas as pd

    if any(is_code(c) for c in column.cells) or any(plain_number(c) is None and not without_value(c) for c in column.cells):
        return pd.Series(list(column.rows()), dtype=object)
    numbers = [plain_number(c) for c in column.cells]
    whole = all(n is None or isinstance(n, int) for n in numbers)
    held = pd.array(numbers, dtype="Int64" if whole else "Float64")
    series = pd.Series(held[column.at]) if numbers else pd.Series(dtype=object)
    return series if whole and series.isna().any() else series.astype("int64" if whole else "float64")


def of_frame(table: pd.DataFrame) -> Cells:
    """A DataFrame that is in memory as cells: what pandas calls missing is unknown."""
    return Cells.of({str(name): _plain(table[name]) for name in table.columns})


def _plain(column: pd.Series[Any]) -> list[Any]:
    lacking = column.isna().tolist()
    held = [None if no else v.item() if isinstance(v, np.generic) else v for v, no in zip(column.tolist(), lacking, strict=True)]
    return [cell(v) for v in held]


def _fits_memory(path: Path, free: int) -> None:
    """Raises TableError where reading the file would take more than `free` bytes."""
    needed = 0
    with suppress(OSError), path.open("rb") as file:
        start = file.read(4)
        if start == b"PAR1":
            needed = _parquet_bytes(path)
        elif start.startswith(b"\x1f\x8b"):
            file.seek(-4, os.SEEK_END)  # where gzip keeps the length of what it packed, up to 4 GB
            needed = CSV_GROWS * max(int.from_bytes(file.read(4), "little"), path.stat().st_size)
        else:
            needed = CSV_GROWS * path.stat().st_size
    if needed > free:
        raise TableError(
            f"{path} would take about {needed / 1e9:.1f} GB to read, {free / 1e9:.1f} GB are free; "
            "write a table with fewer rows (a sample of the people) or only the columns of the schema"
        )


def _parquet_bytes(path: Path) -> int:
    from sensecf_edge.table.parquet import unpacked_bytes

    plain, cells = unpacked_bytes(str(path))
    return max(PARQUET_GROWS * plain, CELL_BYTES * cells)


def cohort(table: Cells | pd.DataFrame, schema: Schema, target: str, wanted: str, person: str | None = None) -> Cohort:
    """Check the table against the schema and code it.

    Raises TableError with every fault, each naming its column: absent, a value outside the schema, missing where not optional, a
    target that has not two classes; or too few rows or people in one of them.
    """
    held = known(table if isinstance(table, Cells) else of_frame(table), schema, target, wanted, person)
    out = Cohort(schema, held.X, held.y, held.persons, held.classes)
    out = replace(out, named=person is not None)
    _check_size(out, target)
    return out


def _check_size(data: Cohort, target: str) -> None:
    for name, mask in zip(data.classes, (~data.y, data.y), strict=True):
        people = len(np.unique(data.persons[mask]))
        if mask.sum() < MIN_ROWS_PER_CLASS or people < MIN_PEOPLE_PER_CLASS:
            raise TableError(
                f"{target} = {name} has {int(mask.sum())} rows{f' of {people} people' if data.named else ''}; "
                f"at least {MIN_ROWS_PER_CLASS} rows of {MIN_PEOPLE_PER_CLASS} people are needed"
            )


def split_people(data: Cohort, share: float, seed: int) -> tuple[NDArray[np.bool_], float]:
    """A mask of test rows, shape (rows,), whole people only, and the share of rows it holds.

    Of 200 seeded draws of people the one whose rows and class balance come nearest to `share` of the whole is taken:
    with a dozen people a single draw is often badly off. Only sizes and labels are looked at, no feature, no model.
    """
    rng = np.random.default_rng(seed)
    people, at = np.unique(data.persons, return_inverse=True)
    best, best_off = np.zeros(len(data), dtype=bool), np.inf
    for _ in range(200):
        chosen = np.zeros(len(people), dtype=bool)
        chosen[rng.permutation(len(people))[: max(1, round(share * len(people)))]] = True
        mask = chosen[at]
        if any(data.y[part].all() or not data.y[part].any() for part in (mask, ~mask)):
            continue
        off = abs(mask.mean() - share) + abs(data.y[mask].mean() - data.y.mean())
        if off < best_off:
            best, best_off = mask, off
    if not best.any():
        raise TableError("no split by person leaves both classes in both parts; more people are needed")
    return best, float(best.mean())


def folds_by_person(persons: Sequence[str] | NDArray[np.str_], y: NDArray[np.bool_], count: int, seed: int) -> list[tuple[Any, Any]]:
    """Cross-validation folds (train rows, test rows) that keep a person's rows together and classes balanced."""
    from sklearn.model_selection import StratifiedGroupKFold

    count = min(count, len(np.unique(persons)))
    folder = StratifiedGroupKFold(n_splits=count, shuffle=True, random_state=seed)
    return list(folder.split(np.zeros(len(y)), y, groups=persons))
