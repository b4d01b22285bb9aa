"""A finished bundle, changed in a copy that takes its place only when it opens; and what a manifest says of a measured bundle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from sensecf_edge import __version__
from sensecf_edge.bundle.bundle import Bundle, write_manifest
from sensecf_edge.bundle.manifest import CARD

from ..evaluate import groups, unseen
from ..evaluate.figures import Figures
from ..plan import About
from ..table.split import Parts
from ..work import write
from .card import card_text
from .pack import copied, stated

Change = Callable[[Path, dict[str, Any]], None]
"""Writes files into a bundle's folder and entries into its manifest."""


def revised(bundle: Bundle, about: About, out: Path, what: Sequence[str], change: Change) -> Bundle:
    """The bundle after a change, at `out`, which may be its own folder. The card is written anew, so `about` is the description that the
    fit had; `what` says in the manifest what was added or measured. Raises what `change` raises, BundleError."""
    with copied(bundle, out) as (folder, manifest):
        change(folder, manifest)
        manifest["data"] |= stated(about)
        manifest |= {"intended": about.intended} if about.intended else {}
        before = manifest.get("added", {}).get("what", [])
        manifest["added"] = {"what": [*dict.fromkeys([*before, *what])], "on": date.today().isoformat(), "sensecf-edge": __version__}
        write_manifest(folder, manifest)
        write(folder / CARD, card_text(manifest, about.notes, Bundle.open(folder).schema).encode())
        write_manifest(folder, manifest)
    return Bundle.open(out)


def told(manifest: dict[str, Any], bundle: Bundle, parts: Parts, figures: Figures) -> None:
    """Writes into the manifest what was measured: classifier and risks part by part and by groups, and the figures of the last part."""
    manifest["parts"] = unseen.measured(bundle, parts)
    manifest["classifier"] |= unseen.headline(manifest["parts"])
    manifest["groups"] = groups.measured(bundle, parts.train, parts.last[1])
    manifest["metrics"] = figures.repeatable()
