"""What lies beside the wheels: the licences of all that is inside, a list of it (SBOM), checksums."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import zipfile
from pathlib import Path
from typing import Any

from .wheels import metadata

LICENCE = re.compile(r"(^|/)(licen[sc]e|copying|notice|thirdparty|authors)[^/]*$|\.dist-info/licenses/.+[^/]$", re.IGNORECASE)
GCC_COPYRIGHT, GPL = Path("/usr/share/doc/libgomp1/copyright"), Path("/usr/share/common-licenses/GPL-3")


def of_native_code(llama_cpp: Path, compiler: str) -> dict[str, bytes]:
    """Licences of what is compiled into llama-cpp-python's wheel. Raises SystemExit where a text is not at hand."""
    for path in (GCC_COPYRIGHT, GPL):
        if not path.exists():
            raise SystemExit(f"{path} is not there; it has to go with libgomp (Debian: apt-get install libgomp1 base-files)")
    built = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    told = (
        f"libgomp.so.1 in this wheel is GCC's OpenMP library, as this compiler brings it and unaltered: {built}.\n"
        "GPL-3 with the GCC Runtime Library Exception 3.1. Its source is the gcc package of that release: https://gcc.gnu.org, or\n"
        "apt-get source on the system named.\n\n"
    )
    return {
        "llama.cpp-LICENSE": (llama_cpp / "LICENSE").read_bytes(),
        "llama-cpp-python-LICENSE.md": (llama_cpp.parents[1] / "LICENSE.md").read_bytes(),
        "libgomp-copyright": told.encode() + GCC_COPYRIGHT.read_bytes(),
        "libgomp-GPL-3": GPL.read_bytes(),
    }


def licences(wheels: list[Path], apache: Path, into: Path) -> None:
    """Every licence text of every wheel, in a folder of its name. Raises SystemExit where one brings none."""
    for wheel in wheels:
        name = "-".join(wheel.name.split("-")[:2])
        folder = into / name
        with zipfile.ZipFile(wheel) as archive:
            texts = [entry for entry in archive.namelist() if LICENCE.search(entry) and not entry.endswith((".py", "/"))]
            for entry in texts:
                target = folder / entry.replace("/", "__")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(entry))
            if name.startswith("sensecf_edge-"):
                for entry in (n for n in archive.namelist() if re.search(r"/models/[^/]+/CARD\.md$", n)):
                    (folder / entry.replace("/", "__")).write_bytes(archive.read(entry))
        if not texts:
            said = " ".join(metadata(wheel).get("License", []))
            if "apache" not in said.lower():
                raise SystemExit(f"{wheel.name} brings no licence text ({said or 'none named'}); the kit cannot pass it on")
            folder.mkdir(parents=True, exist_ok=True)
            told = f"{name}: {said}. Its wheel brings no text; this is the Apache License 2.0.\n\n"
            (folder / "LICENSE").write_text(told + apache.read_text())


def sbom(program: Path, python: Path, wheels: list[Path], published: dict[str, str], native: dict[str, str], into: Path) -> None:
    """CycloneDX's list of what is installed for one Python, completed: the wheels for other Pythons, hashes, native code inside."""
    made = subprocess.run([str(program), "environment", "--output-format", "JSON", "--output-reproducible", str(python)],
                          capture_output=True, check=True).stdout  # fmt: skip
    data = json.loads(made)
    components: list[dict[str, Any]] = data["components"]
    by_name = {_plain(c["name"]): c for c in components}
    for wheel in wheels:
        facts = metadata(wheel)
        name, version = facts["Name"][0], facts["Version"][0]
        found = next((c for c in components if _plain(c["name"]) == _plain(name) and c.get("version") == version), None)
        if found is None:
            found = json.loads(json.dumps(by_name.get(_plain(name), {"type": "library"})))
            found |= {"name": name, "version": version, "bom-ref": f"{name}=={version}", "purl": f"pkg:pypi/{_plain(name)}@{version}"}
            components.append(found)
        found.setdefault("properties", []).append({"name": "sensecf-edge:wheel", "value": wheel.name})
        if wheel.name in published:
            found["properties"].append({"name": f"sensecf-edge:published-sha256:{wheel.name}", "value": published[wheel.name]})
    for name, version in native.items():
        components.append({"type": "library", "name": name, "version": version, "bom-ref": f"native:{name}", "description": "compiled"})
    into.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n")


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    held = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            held.update(block)
    return held.hexdigest()


def checksums(folder: Path) -> None:
    """SHA256SUMS of every file, as `sha256sum --check` reads it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    (folder / "SHA256SUMS").write_text("".join(f"{digest(path)}  {path.relative_to(folder).as_posix()}\n" for path in files))
