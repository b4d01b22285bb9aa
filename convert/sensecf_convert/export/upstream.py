"""llama.cpp's own converters, at exactly the commit that the pinned llama-cpp-python is built from.

They lie in that package's source distribution, which pip fetches once, by version and hash, into the user's cache:
`$XDG_CACHE_HOME/sensecf-edge/llama` (`~/.cache` where that is not set). `make bench` keeps llama.cpp in the same place.
Nothing of the distribution is built or run here but the converters, and those only by `convert`.

`python -m sensecf_convert.export.upstream` fetches it and prints where it is.
"""

from __future__ import annotations

import os
import tarfile
from pathlib import Path, PurePosixPath

from sensecf_edge.bundle.shared import cache
from sensecf_edge.errors import ExportError
from sensecf_edge.generators.pinned import download
from sensecf_edge.generators.weights import digest

from ..progress import step

VERSION, SHA256 = "0.3.36", "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"

ARCHIVE = f"llama_cpp_python-{VERSION}.tar.gz"
_INSIDE = PurePosixPath(f"llama_cpp_python-{VERSION}/vendor/llama.cpp")
_NEEDED = ("convert_hf_to_gguf.py", "convert_lora_to_gguf.py", "conversion/", "gguf-py/gguf/", "models/ggml-vocab-", "LICENSE")
_STAMP = f".unpacked-{SHA256[:16]}"
_DOWNLOAD = f"pip download --no-deps --no-binary llama-cpp-python llama-cpp-python=={VERSION}"


def sources() -> Path:
    """The folder of llama.cpp: converters, `conversion`, `gguf-py` and `models/ggml-vocab-*`, fetched where they are not there.

    Offline once they are. Raises ExportError saying which file to put where when they cannot be fetched, or when the
    archive is not the one this version was made for.
    """
    folder = home() / _INSIDE
    if (folder / _STAMP).is_file():
        return folder
    archive = home() / ARCHIVE
    if not archive.is_file():
        with step("llama.cpp") as say:
            _fetch(archive)
            say(f"fetched {ARCHIVE}, {archive.stat().st_size / 1e6:.0f} MB, kept in {home()}")
    _audit(archive)
    _unpack(archive, folder)
    return folder


def cached() -> bool:
    """Whether `sources` needs no network."""
    return (home() / _INSIDE / _STAMP).is_file() or (home() / ARCHIVE).is_file()


def home() -> Path:
    """Where the archive lies and is unpacked."""
    return cache() / "llama"


def _fetch(archive: Path) -> None:
    _make(archive.parent)
    pinned, form = f"llama-cpp-python=={VERSION}", ("--no-binary", "llama-cpp-python")
    if why := download("llama.cpp's converters", pinned, SHA256, form, _DOWNLOAD, archive):
        raise ExportError(why)


def _audit(archive: Path) -> None:
    if (found := digest(archive)) != SHA256:
        raise ExportError(
            f"{archive} is not llama-cpp-python {VERSION}: its sha256 is {found[:12]}…, not {SHA256[:12]}…; "
            "delete it and run the same command again"
        )


def _unpack(archive: Path, folder: Path) -> None:
    """Plain files below llama.cpp that the converters need, and nothing else; the stamp comes last."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                inside = _place(member)
                if inside is not None and (data := tar.extractfile(member)) is not None:
                    _write(folder / inside, data.read())
    except (tarfile.TarError, EOFError) as error:
        raise ExportError(f"{archive} cannot be unpacked ({error}); delete it and run the same command again") from error
    _write(folder / _STAMP, f"{VERSION} {SHA256}\n".encode())


def _place(member: tarfile.TarInfo) -> PurePosixPath | None:
    """Where a member goes below llama.cpp's folder; None for what is not needed or could lead anywhere else."""
    path = PurePosixPath(member.name)
    if not member.isreg() or ".." in path.parts or not path.is_relative_to(_INSIDE):
        return None
    inside = path.relative_to(_INSIDE)
    return inside if str(inside).startswith(_NEEDED) else None


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all: another process may be unpacking the same."""
    _make(path.parent)
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_bytes(data)
    part.replace(path)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(f"cannot make {folder} ({error.strerror}); set XDG_CACHE_HOME to a folder that can be written") from error


if __name__ == "__main__":
    print(sources())
