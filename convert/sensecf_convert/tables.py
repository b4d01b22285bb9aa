"""A table on disk -> a Cohort: codes in schema order, labels, persons. Strict: what does not fit is named, not dropped."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensecf_edge.errors import TableError
from sensecf_edge.feature import check_name
from sensecf_edge.schema import Feature, Schema, Vector

from .machine import free_memory

MIN_PEOPLE_PER_CLASS = 4
MIN_ROWS_PER_CLASS = 20
"""Below these no split and no fold holds both classes; `suspects` asks for more before a figure is believed."""
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


def read_table(path: Path) -> pd.DataFrame:
    """CSV (by default UTF-8, comma) or Parquet. Only the empty cell and `?` are missing: the word None is data.

    Raises TableError for what is no table, and before reading for one that would not fit into memory.
    """
    try:
        _fits_memory(path, free_memory())
        if path.suffix in (".parquet", ".pq"):
            return pd.read_parquet(path)
        return pd.read_csv(path, keep_default_na=False, na_values=["", "?"], low_memory=False)
    except FileNotFoundError as error:
        raise TableError(f"{path} is not there") from error
    except (OSError, ValueError, ImportError) as error:
        raise TableError(f"{path} cannot be read as a table: {error}") from error


def _fits_memory(path: Path, free: int) -> None:
    """Raises TableError where reading the file would take more than `free` bytes."""
    size = path.stat().st_size
    if path.suffix in (".parquet", ".pq"):
        import pyarrow.parquet

        about = pyarrow.parquet.read_metadata(path)
        plain = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
        needed = max(PARQUET_GROWS * plain, CELL_BYTES * about.num_rows * about.num_columns)
    else:
        needed = CSV_GROWS * size
    if needed > free:
        raise TableError(
            f"{path} would take about {needed / 1e9:.1f} GB to read, {free / 1e9:.1f} GB are free; "
            "write a table with fewer rows (a sample of the people) or only the columns of the schema"
        )


def cohort(table: pd.DataFrame, schema: Schema, target: str, wanted: str, person: str | None = None) -> Cohort:
    """Check the table against the schema and code it.

    Raises TableError naming the column: absent, a value outside the schema, missing where not optional, a target
    that has not two classes or too few rows or people in one of them.
    """
    needed = [*schema.names, target, *([person] if person else [])]
    if twice := [n for n in (target, person) if n in schema.index]:
        raise TableError(f"{twice[0]} is a feature of the schema; take it out: it is what is predicted, or says who a row belongs to")
    absent = [n for n in needed if n not in table.columns]
    if absent:
        raise TableError(f"the table lacks {', '.join(absent)}; it has {', '.join(map(str, table.columns))}")
    labels = table[target]
    for name in (target, *([person] if person else [])):
        if table[name].isna().any():
            raise TableError(f"{int(table[name].isna().sum())} rows have no {name}; drop them first")
    names = labels.map(cell_text)
    classes = sorted(names.unique())
    if len(classes) != 2:
        raise TableError(f"{target} must have two classes, it has {len(classes)}: {', '.join(classes[:6])}")
    for name in classes:
        check_name(name, f"{target}: class")
    if wanted not in classes:
        raise TableError(f"the wanted class {wanted!r} is none of {', '.join(classes)}")
    X = np.column_stack([_codes(f, table[f.name]) for f in schema.features])
    persons = table[person].map(cell_text).to_numpy(str) if person else np.array([str(i) for i in range(len(table))])
    y = (names == wanted).to_numpy()
    out = Cohort(schema, X, y, persons, (next(c for c in classes if c != wanted), wanted))
    _check_size(out, target)
    return out


def _check_size(data: Cohort, target: str) -> None:
    for name, mask in zip(data.classes, (~data.y, data.y), strict=True):
        people = len(np.unique(data.persons[mask]))
        if mask.sum() < MIN_ROWS_PER_CLASS or people < MIN_PEOPLE_PER_CLASS:
            raise TableError(
                f"{target} = {name} has {int(mask.sum())} rows of {people} people; "
                f"at least {MIN_ROWS_PER_CLASS} rows of {MIN_PEOPLE_PER_CLASS} people are needed"
            )


def cell_text(value: Any) -> str:
    """A cell as text; whole floats without their fraction, so that 1 and 1.0 are the same choice or class."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _codes(feature: Feature, column: pd.Series[Any]) -> Vector:
    missing = column.isna().to_numpy()
    if missing.any() and not feature.optional:
        raise TableError(f"{feature.name} is missing in {int(missing.sum())} rows and the schema does not mark it optional")
    if feature.kind == "choice":
        texts = column.map(cell_text, na_action="ignore")
        unknown = sorted(set(texts[~missing]) - set(feature.choices))
        if unknown:
            raise TableError(f"{feature.name} holds {', '.join(unknown[:5])}; the schema knows {', '.join(feature.choices)}")
        codes = texts.map({c: float(i) for i, c in enumerate(feature.choices)}).to_numpy(float)
        return np.where(missing, np.nan, codes)
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(float)
    _refuse(feature, column, np.isnan(numbers) & ~missing, "no number")
    assert feature.low is not None and feature.high is not None
    _refuse(feature, column, (numbers < feature.low) | (numbers > feature.high), f"outside {feature.allowed()}")
    return numbers


def _refuse(feature: Feature, column: pd.Series[Any], bad: NDArray[np.bool_], why: str) -> None:
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise TableError(f"{feature.name} is {why} in {int(bad.sum())} rows, first in data row {row + 1} ({column.iloc[row]!r})")


def split_people(data: Cohort, share: float, seed: int) -> tuple[NDArray[np.bool_], float]:
    """A mask of test rows, whole people only, and the share of rows it holds.

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
