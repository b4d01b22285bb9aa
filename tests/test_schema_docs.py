"""docs/schema.md: every key stands in it, and every example is a schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import pytest

from sensecf_edge.schema.feature import Feature
from sensecf_edge.schema.parsing import _FORMS, built
from sensecf_edge.schema.relation import KINDS, Relation
from sensecf_edge.schema.schema import Schema

PAGE = (Path(__file__).parents[1] / "docs" / "schema.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in PAGE.splitlines() if line.startswith("|")]
EXAMPLES = [json.loads(text) for text in re.findall(r"^```json\n(.*?)^```", PAGE, flags=re.M | re.S)]


@pytest.mark.parametrize("key", [*_FORMS, "format", "features", "relations"])
def test_the_reference_names_every_key_says_what_it_changes_and_shows_it(key: str) -> None:
    rows = [cells for cells in ROWS if f"`{key}`" in cells[0]]
    assert rows and all(cell for cells in rows for cell in cells)
    assert any(key in example for example in parts(EXAMPLES)), f"no example has {key}"


@pytest.mark.parametrize("field", fields(Relation), ids=lambda field: field.name)
def test_every_key_of_a_relation_has_a_row_with_its_default(field: Field[Any]) -> None:
    (row,) = (cells for cells in ROWS if len(cells) == 4 and cells[0] == f"`{field.name}`")
    if isinstance(field.default, float) and field.name != "slope":  # whose 0 stands for "not stated"
        assert float(row[1]) == field.default
    assert all(row)


def test_every_kind_of_relation_has_a_row_and_an_example() -> None:
    shown = {relation["kind"] for example in EXAMPLES if isinstance(example, list) for relation in example}
    assert shown == {*KINDS} == {cells[0].strip("`") for cells in ROWS if len(cells) == 2} & {*KINDS}


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every object within JSON."""
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from parts(part)


@pytest.mark.parametrize("example", EXAMPLES, ids=[str(i) for i in range(len(EXAMPLES))])
def test_every_example_of_the_reference_is_read(example: Any) -> None:
    if isinstance(example, list):
        relations, faults = built(Relation, example, ("kind", "features"))
        assert not faults and len(relations) == len(example)
    elif "features" in example:
        assert len(Schema.from_json(example)) == len(example["features"])
    else:
        features, faults = built(Feature, [example], ("name",))
        assert not faults and features[0] is not None
