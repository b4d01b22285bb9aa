"""Options that programs of the build side share."""

from __future__ import annotations

from pathlib import Path

import click

model_option = click.option("--model", required=True, help="Shipped bundle by name, or a bundle's folder.")
new_bundle_option = click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder of the new bundle; may be the bundle's own."
)
