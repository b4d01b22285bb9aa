"""The English of the page, from its one catalogue: `texts.json`. Sentences about an answer are `report`'s."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent


@cache
def texts() -> dict[str, str]:
    """All of it, by key."""
    held: dict[str, str] = json.loads((HERE / "texts.json").read_text(encoding="utf-8"))
    return held


def text(key: str, **values: object) -> str:
    """One text with its {places} filled in."""
    said = texts()[key]
    for name, value in values.items():
        said = said.replace(f"{{{name}}}", str(value))
    return said
