"""The wheels of a kit: llama-cpp-python with kernels for many processors, what the runtime needs for each Python, all stored plainly.

Everything but llama-cpp-python comes from the package index, as published; nothing is compiled here.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

DATE = (2026, 1, 1, 0, 0, 0)
"""Of every file in a wheel that is packed here: the same content makes the same bytes."""


def native(build: Path, compiler: str) -> dict[str, Path]:
    """Name in the wheel -> file: llama.cpp, ggml, its kernels, and OpenMP, which not every system has. Raises SystemExit."""
    wanted = re.compile(r"libllama\.so|libggml(-base)?\.so\.\d+|libggml-cpu-[^.]+(\.\d_\d)?\.so")
    found = {path.name: path for path in sorted((build / "bin").iterdir()) if wanted.fullmatch(path.name)}
    if "libllama.so" not in found or sum(name.startswith("libggml-cpu-") for name in found) < 2 or len(found) < 5:
        raise SystemExit(f"{build} holds no llama.cpp for many processors; remove it and run make kit again")
    openmp = subprocess.run([compiler, "-print-file-name=libgomp.so.1"], capture_output=True, text=True, check=True).stdout.strip()
    return {**found, "libgomp.so.1": Path(openmp).resolve()}


def glibc(files: list[Path]) -> tuple[int, int]:
    """The least C library that all of them run on, by the versions of the symbols they ask for."""
    told = subprocess.run(["readelf", "-V", *map(str, files)], capture_output=True, text=True, check=True).stdout
    return max((int(a), int(b)) for a, b in re.findall(r"GLIBC_(\d+)\.(\d+)", told))


def llama_wheel(sdist: Path, libraries: dict[str, Path], licences: dict[str, bytes], machine: str, into: Path) -> Path:
    """llama-cpp-python's own wheel without libraries, made from its source distribution, and ours put into it."""
    least = glibc(list(libraries.values()))
    env = {**os.environ, "CMAKE_ARGS": "-DLLAMA_BUILD=OFF -DLLAVA_BUILD=OFF"}
    with tempfile.TemporaryDirectory() as folder:
        # Without pip's cache, which tells builds of the same source with other settings not apart.
        pip(["wheel", "--no-deps", "--no-cache-dir", "-w", folder, str(sdist)], env)
        (bare,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(bare) as archive:
            files = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
    (info,) = {name.partition("/")[0] for name in files if name.partition("/")[0].endswith(".dist-info")}
    tag = f"py3-none-manylinux_{least[0]}_{least[1]}_{machine}"
    files[f"{info}/WHEEL"] = re.sub(rb"(?m)^Tag: .*$", f"Tag: {tag}".encode(), files[f"{info}/WHEEL"])
    files |= {f"llama_cpp/lib/{name}": path.read_bytes() for name, path in libraries.items()}
    files |= {f"{info}/licenses/{name}": text for name, text in licences.items()}
    del files[f"{info}/RECORD"]
    lines = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in sorted(files.items())]
    files[f"{info}/RECORD"] = ("\n".join([*lines, f"{info}/RECORD,,"]) + "\n").encode()
    made = into / f"{info.removesuffix('.dist-info')}-{tag}.whl"
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, DATE)
            entry.external_attr, entry.compress_type = 0o100644 << 16, zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return made


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def pip(arguments: list[str], env: dict[str, str] | None = None) -> None:
    """pip of this Python, loud only where it fails."""
    subprocess.run([sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments], env=env, check=True)


def download(requirement: str, own: list[Path], python: str, machine: str, least: tuple[int, int], into: Path) -> None:
    """Wheels of a requirement and of all it needs under one Python, the `own` ones among them."""
    pip(["download", *_meant(python, machine, least), "--dest", str(into),
         *(word for folder in {wheel.parent for wheel in own} for word in ("--find-links", str(folder))), requirement])  # fmt: skip


def unpack(requirement: str, wheels: Path, python: str, machine: str, least: tuple[int, int], place: Path) -> None:
    """What is installed on another machine, laid into an environment of this one: to be listed, not to be run."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    (site,) = place.glob("lib/python*/site-packages")
    pip(["install", *_meant(python, machine, least), "--no-index", "--find-links", str(wheels), "--target", str(site), requirement])


def _meant(python: str, machine: str, least: tuple[int, int]) -> list[str]:
    """pip's options for another Python, machine and C library than its own."""
    platforms = [*(f"manylinux_{least[0]}_{minor}_{machine}" for minor in range(least[1], 16, -1)), f"manylinux2014_{machine}"]
    return ["--only-binary=:all:", "--python-version", python, "--implementation", "cp",
            *(word for name in platforms for word in ("--platform", name))]  # fmt: skip


def metadata(wheel: Path) -> dict[str, list[str]]:
    """The headers of a wheel's metadata."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", n)]
        headers = HeaderParser().parsestr(archive.read(name).decode())
    return {key: headers.get_all(key, []) for key in set(headers)}


def lacking(requirement: str, wheels: list[Path], python: str) -> list[str]:
    """What no wheel is there for under that Python: pip reads conditions as of the Python that it runs on."""
    have: dict[str, list[tuple[Path, dict[str, list[str]]]]] = {}
    for wheel in wheels:
        facts = metadata(wheel)
        tag = wheel.name.split("-")[-3]
        if tag in ("py3", "py2.py3", f"cp{python.replace('.', '')}") or "-abi3-" in wheel.name:
            have.setdefault(canonicalize_name(facts["Name"][0]), []).append((wheel, facts))
    waiting, seen, out = [Requirement(requirement)], set(), []
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        fitting = [facts for _, facts in have.get(name, ()) if wanted.specifier.contains(facts["Version"][0], prereleases=True)]
        if not fitting:
            out.append(str(wanted))
        elif (name, frozenset(wanted.extras)) not in seen:
            seen.add((name, frozenset(wanted.extras)))
            for needs in (Requirement(text) for text in fitting[0].get("Requires-Dist", ())):
                where = {"python_version": python, "python_full_version": f"{python}.0"}
                if needs.marker is None or any(needs.marker.evaluate({**where, "extra": extra}) for extra in ("", *wanted.extras)):
                    waiting.append(needs)
    return out


def store(wheel: Path, into: Path) -> None:
    """The same wheel without compression: the archive around all of them compresses better what they have in common."""
    with zipfile.ZipFile(wheel) as archive, zipfile.ZipFile(into / wheel.name, "w", zipfile.ZIP_STORED) as out:
        for entry in archive.infolist():
            data = archive.read(entry)
            entry.compress_type = zipfile.ZIP_STORED
            out.writestr(entry, data)
