"""Made rows as cells of the table they join: its columns and spellings, and beside them where each row came from."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sensecf_edge.errors import MissingExtraError, TableError
from sensecf_edge.schema.cells import as_text
from sensecf_edge.schema.feature import Feature, Vector
from sensecf_edge.schema.schema import Schema

from .rows import NOBODY, Row

SOURCE, METHOD, P, REALISM, SEED = PROVENANCE = tuple(f"augmented_{n}" for n in ("source", "method", "p", "realism", "seed"))
"""Columns that say where a row came from: data row of the table (from 1; empty for invented people), how it was made (see `rows`), p of
its class by the checker, percentile of its density among real people of the class, and the seed."""
SUFFIXES = (".csv", ".parquet", ".pq")


def check(table: pd.DataFrame, out: Path, force: bool) -> None:
    """What would be noticed only after long work. Raises TableError: another format, a file that is there, a folder that is not or
    may not be written into, a table that was augmented before (rows must be made from real ones); MissingExtraError for Parquet
    without pyarrow."""
    if out.suffix not in SUFFIXES:
        raise TableError(f"{out} must end in {', '.join(SUFFIXES[:2])}: that says how the rows are written")
    if out.suffix != ".csv" and find_spec("pyarrow") is None:
        raise MissingExtraError(f'{out} needs pyarrow (pip install "sensecf-edge[batch]"); or name a .csv')
    if out.is_dir():
        raise TableError(f"{out} is a folder; name a file")
    if not out.parent.is_dir():
        raise TableError(f"there is no folder {out.parent} to write {out.name} into; make it first")
    if not os.access(out.parent, os.W_OK):
        raise TableError(f"{out.parent} may not be written into; name a file in another folder")
    if out.exists() and not force:
        raise TableError(f"{out} is there already; name another file, or replace it with --force")
    if taken := [n for n in PROVENANCE if n in table.columns]:
        raise TableError(f"the table has the column {taken[0]}, so rows of it may have been made up; give the real rows alone")


def as_table(table: pd.DataFrame, schema: Schema, target: str, label: str, made: list[Row], seed: int) -> pd.DataFrame:
    """The rows with the table's columns in its order; columns that are neither features nor the target stay empty, ids among
    them: a made-up row is nobody."""
    Y = np.array([row.y for row in made])
    columns: dict[str, Any] = {}
    for name in table.columns:
        if name in schema.index:
            columns[name] = _cells(schema[name], Y[:, schema.index[name]], table[name])
        elif name == target:
            columns[name] = [_spelling(table[name]).get(label, label)] * len(made)
        else:
            columns[name] = pd.Series([None] * len(made), dtype=object)
    sources = pd.Series([None if row.source == NOBODY else row.source + 1 for row in made], dtype="Int64")
    provenance = {SOURCE: sources, METHOD: [row.method for row in made], P: [round(row.p, 4) for row in made],
                  REALISM: [round(row.realism, 1) for row in made], SEED: [seed] * len(made)}  # fmt: skip
    return pd.DataFrame({**columns, **provenance})


def _spelling(column: pd.Series[Any]) -> dict[str, Any]:
    """A cell's text -> the cell as the table has it."""
    return {as_text(v): v for v in column.dropna().unique()}


def _cells(feature: Feature, codes: Vector, column: pd.Series[Any]) -> pd.Series[Any]:
    """Codes as the table writes them: its own spelling of choices, whole numbers where it has only those."""
    if feature.kind == "choice":
        known = _spelling(column)
        return pd.Series([None if np.isnan(c) else known.get(feature.text(c), feature.text(c)) for c in codes], dtype=object)
    numbers = pd.to_numeric(column, errors="coerce").dropna()
    whole = bool((numbers == numbers.round()).all()) and not np.any(np.nan_to_num(codes) % 1)
    return pd.Series(codes).astype("Int64") if whole else pd.Series(codes)


def write(rows: pd.DataFrame, out: Path) -> None:
    """Whole or not at all."""
    part = out.with_name(out.name + ".part")
    if out.suffix == ".csv":
        rows.to_csv(part, index=False)
    else:
        rows.to_parquet(part, index=False)
    os.replace(part, out)
