"""Records out of a file that was handed to the page: JSON, a FHIR Bundle, rows of a table, days of a sensor's export.

The file is read in memory. A raw export, which its readers want as files, lies in a folder of this user's alone for as long as that
takes, in memory where the system has such a place.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from ..errors import RecordError, TableError
from ..schema.cells import Cell, as_text, cell, value
from ..schema.record import parse_object
from ..schema.schema import Schema
from ..settings import FHIR
from ..table.opening import GZIP, held
from ..table.read import table_of
from .form import cell_text, texts_of
from .texts import text

MOST_ROWS, HEAD = 500, 4_096
MEMORY = "/dev/shm"
NO_EXPORT = "no file of a known export"
Rows = list[dict[str, Any]]


def rows_of(schema: Schema, files: Sequence[tuple[str, bytes]], place: str = "") -> Rows:
    """Records by name, as fields hold them; values that do not fit stay as they are. Days of an export are those of the zone `place`.

    Raises SenseCFError in words.
    """
    if not files or not any(data for _, data in files):
        raise RecordError("the file is empty; give a record as JSON, a table with a header line, or a sensor's export")
    if any(data.startswith(GZIP) for _, data in files):
        raise TableError("the file is packed (gzip); unpack it first")  # who knows how long it is
    if len(files) > 1:
        return _days(schema, files, place)
    name, data = files[0]
    try:
        found = _object(data)
        if found is None:
            return _rows(schema, name, data)
        return _bundle(schema, found) if "resourceType" in found else _one_object(schema, found)
    except (TableError, RecordError) as error:
        if not _knows_days(schema):
            raise
        try:
            return _days(schema, files, place)
        except TableError as other:
            raise (error if NO_EXPORT in str(other) else other) from None


def _object(data: bytes) -> dict[str, Any] | None:
    """One JSON object over one or several lines, and no JSON Lines; None where it is none. Raises RecordError for a broken Bundle."""
    try:
        return parse_object(data, "the file", FHIR.max_bytes)
    except RecordError:
        if b'"resourceType"' in data[:HEAD]:
            raise
        return None


def _one_object(schema: Schema, values: dict[str, Any]) -> Rows:
    return [_row(schema, "1", {key: cell(given) for key, given in values.items()})]


def _bundle(schema: Schema, data: dict[str, Any]) -> Rows:
    """The person of a FHIR Bundle; what it was read from is told."""
    from ..fhir import moments
    from ..fhir.reading import read

    reading = read(schema, data, moments.within(FHIR.within))
    what = "file_window" if reading.values else "file_nothing"
    told = [text(what, time=moments.told(FHIR.within)), *reading.lines()]
    return [{"label": "1", "values": texts_of(reading.values), "unused": [], "told": told}]


def _rows(schema: Schema, name: str, data: bytes) -> Rows:
    table = table_of(held(data, name), schema.names)
    if table.names and not set(table.names) & set(schema.names):
        names = ", ".join(schema.names[:6])
        raise TableError(f"the first line of {name} holds none of the model's names ({names}, …); name its columns so")
    out = Rows()
    for line in islice(table.rows(), MOST_ROWS):
        if line.cells is None:
            raise TableError(f"{line.fault.reason if line.fault else 'no record'} in data row {line.number} of {name}")
        beside = [f"{key} {as_text(given)}" for key, given in line.cells.items() if key not in schema.index and given is not None]
        out.append(_row(schema, ", ".join([str(line.number), *beside[:1]])[:60], line.cells))
    if not out:
        raise TableError(f"{name} holds no record; give at least one row")
    return out


def _row(schema: Schema, label: str, cells: dict[str, Cell]) -> dict[str, Any]:
    if not set(cells) & set(schema.names):
        raise RecordError(f"none of the model's names is in it ({', '.join(schema.names[:6])}, …)")
    known = {f.name: value(f, cells[f.name]) for f in schema.features if f.name in cells}
    texts = {name: repr(given) if not isinstance(given, str | int | float | None) else cell_text(given) for name, given in known.items()}
    return {"label": label, "values": texts, "unused": [str(key)[:60] for key in cells if key not in schema.index][:20]}


def _knows_days(schema: Schema) -> bool:
    from ..sensors import records

    try:
        return bool(records.columns(schema))
    except TableError:
        return False


def _days(schema: Schema, files: Sequence[tuple[str, bytes]], place: str) -> Rows:
    from ..sensors import records
    from ..sensors.clocks import zone
    from ..sensors.daily import Rules, days
    from ..sensors.sources import read_sources

    with _folder(files) as folder:
        made = days(read_sources([str(folder)]).readings, Rules(zone(place) if place else None))
    if not made:
        raise TableError("the export holds no day that can be used")
    return [
        {
            "label": " ".join(filter(None, (day.person, day.date))),
            "values": texts_of(records.values(day, schema)),
            "unused": [],
            "day": True,
        }
        for day in made[-MOST_ROWS:]
    ][::-1]


@contextlib.contextmanager
def _folder(files: Sequence[tuple[str, bytes]]) -> Iterator[Path]:
    place = MEMORY if os.path.isdir(MEMORY) and os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="sensecf-", dir=place) as folder:  # readable by its owner only
        for k, (name, data) in enumerate(files):
            plain = re.sub(r"[^\w.-]", "_", name.replace("\\", "/").rpartition("/")[2]).lstrip(".")[-100:] or "export"
            target = Path(folder) / plain
            (target if not target.exists() else target.with_name(f"{k}-{plain}")).write_bytes(data)
        try:
            yield Path(folder)
        except TableError as error:  # names files as the person knows them
            raise TableError(str(error).replace(f"{folder}{os.sep}", "").replace(folder, "the export")) from None
