"""Weights that several bundles share: named by their hash in a manifest, kept once in the user's cache instead of in each folder."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import BundleError, WeightsAwayError
from ..llama.hashing import still
from .json_object import JsonObject


@dataclass(frozen=True)
class SharedWeights:
    """A GGUF by sha256 (hex) and size; `name` says where it is from: `smollm2`, or the file that was given."""

    sha256: str
    bytes: int
    name: str

    @classmethod
    def of(cls, part: JsonObject) -> SharedWeights:
        """From the manifest. Raises BundleError."""
        if not re.fullmatch("[0-9a-f]{64}", part.text("sha256")):
            raise part.wrong("sha256")
        return cls(part.text("sha256"), int(part.take("bytes", int)), part.text("name"))

    @property
    def path(self) -> Path:
        """Where it lies, whether it is there or not."""
        return weights_home() / f"{self.sha256}.gguf"

    def audit(self) -> None:
        """Raises WeightsAwayError where it is not there, BundleError where it is not the one that is meant."""
        fetch = f"sensecf-edge models fetch {self.name}" if self.name == "smollm2" else f"copy {self.name} to {self.path}"
        if not self.path.is_file():
            raise WeightsAwayError(f"this bundle goes on from weights that are not on this machine ({self.name}); {fetch}")
        with self.path.open("rb") as file:
            same = still(file, self.sha256)
        if not same:
            raise BundleError(f"{self.path} is not the file that its name says; delete it, then {fetch}")


def cache() -> Path:
    """Where what is fetched or built once is kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sensecf-edge"


def weights_home() -> Path:
    """Where shared weights lie, each under its hash."""
    return cache() / "weights"
