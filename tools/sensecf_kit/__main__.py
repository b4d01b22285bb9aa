"""`make kit`: builds the archive and says where it lies. Every step is a line of `main`."""

from __future__ import annotations

import argparse
import json
import lzma
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from . import papers, wheels

HERE = Path(__file__).parent
PROCESSOR = {"x86_64": ["cx16", "ssse3", "sse4_1", "sse4_2", "popcnt"], "aarch64": ["asimd"]}
"""What NumPy's wheels ask of a processor, in the words of /proc/cpuinfo."""
MEGABYTES = 600
DICTIONARY = 128 << 20
"""How far back the compression looks, in bytes: wheels of one package for several Pythons have most of their content in common, and
finding that is worth more than trying hard (three Pythons: 406 MB become 52 at the lowest setting, in a minute)."""


def main() -> int:
    """Make the wheels, put all beside each other, install it once (unpack, for another machine), list and weigh it, pack it."""
    asked = _arguments()
    (project,) = asked.dist.glob(f"sensecf_edge-{asked.version}-*.whl")
    name = f"sensecf-edge-kit-{asked.version}-{asked.machine}-linux-gnu"
    with tempfile.TemporaryDirectory(dir=asked.work) as folder:
        work = Path(folder)
        kit = work / name
        (kit / "wheels").mkdir(parents=True)
        libraries = wheels.native(asked.llama, asked.compiler)
        llama_cpp = asked.source / "vendor" / "llama.cpp"
        sdist = asked.source.parent / f"{asked.source.name}.tar.gz"
        llama = wheels.llama_wheel(sdist, libraries, papers.of_native_code(llama_cpp, asked.compiler), asked.machine, work)
        least = wheels.glibc(list(libraries.values()))
        requirement = f"sensecf-edge[mqtt,serve]=={asked.version}"
        published = download_wheels(asked, requirement, [project, llama], least, work / "published", kit / "wheels")
        write_texts(kit, asked, least, requirement)
        papers.licences(sorted((kit / "wheels").glob("*.whl")), HERE.parents[1] / "LICENSE", kit / "licences")
        papers.checksums(kit)
        if asked.machine == asked.here:
            subprocess.run([str(kit / "install"), str(work / "tried")], check=True, env={"PATH": "/usr/bin:/bin", "PYTHON": sys.executable})
        else:
            wheels.unpack(requirement, kit / "wheels", asked.pythons[0], asked.machine, least, work / "tried")
        tried, native = work / "tried" / "bin" / "python", {"llama.cpp": f"of {asked.source.name}", "libgomp": "see licences"}
        papers.sbom(asked.cyclonedx, tried, sorted((kit / "wheels").glob("*.whl")), published, native, kit / "sbom.json")
        papers.checksums(kit)
        archive = asked.dist / f"{name}.tar.xz"
        pack(kit, archive)
    print(f"{archive}  {archive.stat().st_size / 1e6:.0f} MB\nsha256 {papers.digest(archive)}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sensecf_kit", description=__doc__)
    parser.add_argument("--dist", type=Path, required=True, help="holds the project's wheel, gets the archive")
    parser.add_argument("--version", required=True)
    parser.add_argument("--llama", type=Path, required=True, help="where llama.cpp was built for many processors")
    parser.add_argument("--source", type=Path, required=True, help="llama-cpp-python's source distribution, unpacked beside its archive")
    parser.add_argument("--machine", default="x86_64", choices=PROCESSOR)
    parser.add_argument("--here", default="x86_64", help="the machine this runs on: its kit is installed once before it is packed")
    parser.add_argument("--compiler", default="cc")
    parser.add_argument("--pythons", nargs="+", required=True)
    parser.add_argument("--cyclonedx", type=Path, required=True, help="the program cyclonedx-py")
    parser.add_argument("--pip", type=Path, required=True, help="folder with a wheel of pip")
    parser.add_argument("--work", type=Path, help="folder for temporary files")
    return parser.parse_args()


def download_wheels(
    asked: argparse.Namespace, requirement: str, own: list[Path], least: tuple[int, int], published: Path, into: Path
) -> dict[str, str]:
    """All wheels for all Pythons, stored plainly. Returns the published hash of each. Raises SystemExit where one is missing."""
    published.mkdir()
    for python in asked.pythons:
        wheels.download(requirement, own, python, asked.machine, least, published)
        gaps = wheels.lacking(requirement, list(published.glob("*.whl")), python)
        if gaps:
            raise SystemExit(f"no wheel under Python {python} for: {', '.join(gaps)}")
    (pip,) = asked.pip.glob("pip-*.whl")
    shutil.copy(pip, published)
    for wheel in sorted(published.glob("*.whl")):
        wheels.store(wheel, into)
    return {wheel.name: papers.digest(wheel) for wheel in published.glob("*.whl") if wheel.name not in {path.name for path in own}}


def write_texts(kit: Path, asked: argparse.Namespace, least: tuple[int, int], requirement: str) -> None:
    """`install` and what it reads, README."""
    for name in ("install", "install.py"):
        shutil.copy(HERE / name, kit)
    (kit / "PYTHONS").write_text(" ".join(asked.pythons) + "\n")
    facts = {"system": "Linux", "machine": asked.machine, "glibc": least, "processor": PROCESSOR[asked.machine],
             "megabytes": MEGABYTES, "requirement": requirement}  # fmt: skip
    (kit / "kit.json").write_text(json.dumps(facts, indent=1) + "\n")
    text = (HERE / "README.txt").read_text()
    for key, value in {"VERSION": asked.version, "SYSTEM": "Linux", "MACHINE": asked.machine, "PYTHONS": ", ".join(asked.pythons),
                       "GLIBC": ".".join(map(str, least))}.items():  # fmt: skip
        text = text.replace(f"@{key}@", value)
    (kit / "README.txt").write_text(text)


def pack(kit: Path, archive: Path) -> None:
    """The folder as .tar.xz, entries in order and nobody's: the same content makes the same archive."""

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = entry.mtime = 0
        entry.uname = entry.gname = ""
        entry.mode = 0o755 if entry.isdir() or entry.name.endswith("/install") else 0o644
        return entry

    part = archive.with_suffix(".part")
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 1, "dict_size": DICTIONARY}]
    with lzma.open(part, "wb", filters=filters) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as out:
        for path in [kit, *sorted(kit.rglob("*"))]:
            out.add(path, arcname=str(path.relative_to(kit.parent)), recursive=False, filter=plain)
    part.replace(archive)


if __name__ == "__main__":
    sys.exit(main())
