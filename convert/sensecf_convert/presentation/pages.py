"""Pages made of templates of this package: one file each, nothing fetched, text escaped, one style."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any


def rendered(name: str, **values: Any) -> str:
    """A page of its template, by the path below this package, and of the values in it; `presentation/page.css` is for all. Pictures (PNG
    bytes) pass through `image`."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, loader=FileSystemLoader(Path(__file__).parents[1])
    )
    environment.filters["image"] = lambda data: "data:image/png;base64," + base64.b64encode(data).decode("ascii")
    return str(environment.get_template(name).render(values))
