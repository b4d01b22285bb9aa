"""A classifier made elsewhere -> the ONNX graph that a bundle takes: float32 codes in, probabilities (unwanted, wanted) out."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from sensecf_edge.errors import ExportError

from ...table import fit_relations
from ...table.cohort import cohort, read_table
from ..onnx import LATTICE_ROWS, lattice_points, parity
from .bring import load_own


def to_onnx_file(model: Path, out: Path, schema_file: Path, table: Path, target: str, wanted: str) -> list[str]:
    """Audit `model` (.skops or .onnx), write its graph to `out`, and say in lines what was found.

    The rows of `table` decide which column is the wanted class: swapped columns would be answered, not refused. Where the
    model itself is at hand (skops), graph and model are compared on those rows and on 100,000 points of the lattice.
    Raises CheckError, TableError, SchemaError or ExportError; then nothing is written.
    """
    if out.is_dir() or not out.parent.is_dir():
        raise ExportError(f"{out} cannot be written: it is a folder, or its folder is not there")
    schema, _ = fit_relations.read_schema(schema_file)
    rows = cohort(read_table(table), schema, target, wanted)
    brought = load_own(model, rows)
    said = [f"{brought.kind}: the wanted class is known {brought.order}", *brought.warnings]
    if brought.model is not None:
        found = parity(brought.model, brought.graph, schema, np.concatenate([rows.X, lattice_points(schema, LATTICE_ROWS, seed=0)]))
        said.append(f"graph and model agree within {found.worst:.1e} on {found.rows:,} rows; {found.ties} stand on a tree's threshold")
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        part.write_bytes(brought.graph)
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    return said
