"""docs/schema.md: every key stands in it, and every example is a schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sensecf_edge.schema.feature import Feature
from sensecf_edge.schema.parsing import _FORMS, built
from sensecf_edge.schema.relation import Relation
from sensecf_edge.schema.schema import Schema

PAGE = (Path(__file__).parents[1] / "docs" / "schema.md").read_text(encoding="utf-8")
EXAMPLES = [json.loads(text) for text in re.findall(r"^```json\n(.*?)^```", PAGE, flags=re.M | re.S)]


@pytest.mark.parametrize("key", [*_FORMS, "format", "features", "relations"])
def test_the_reference_names_every_key_says_what_it_changes_and_shows_it(key: str) -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("|") and f"`{key}`" in line]
    assert rows and all(cell.strip() for line in rows for cell in re.split(r"(?<!\\)\|", line)[1:4])
    assert any(key in example for example in parts(EXAMPLES)), f"no example has {key}"


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
