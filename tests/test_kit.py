"""The offline kit: what `install` refuses before it writes anything, and that a kit that was built installs and answers."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import PATIENCE, Ran
from sensecf_kit import papers

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "tools" / "sensecf_kit"
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"

pytestmark = pytest.mark.skipif(platform.system() != "Linux" or platform.libc_ver()[0] != "glibc", reason="kits are for Linux with glibc")


def tiny_wheel(folder: Path, exit_code: int | str) -> None:
    """A package with the project's name whose command prints and ends as it is told."""
    info = "sensecf_edge-9.dist-info"
    files = {
        "tiny.py": f"import sys\ndef main():\n    print('risk'); sys.exit({exit_code})\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: sensecf-edge\nVersion: 9\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\nsensecf-edge = tiny:main\n",
    }
    with zipfile.ZipFile(folder / "sensecf_edge-9-py3-none-any.whl", "w") as archive:
        for name, text in {**files, f"{info}/RECORD": "".join(f"{name},,\n" for name in files)}.items():
            archive.writestr(name, text)


@pytest.fixture
def kit(tmp_path: Path) -> Callable[..., Path]:
    """A kit as `make kit` lays it out, with one tiny package in it and the pip that Python brings."""
    ensurepip = importlib.util.find_spec("ensurepip")
    if ensurepip is None or ensurepip.origin is None:
        pytest.skip("this Python comes without ensurepip")
    bundled = next(Path(ensurepip.origin).parent.glob("_bundled/pip-*.whl"))

    def build(exit_code: int | str = 0, pythons: str = HERE, **other: Any) -> Path:
        folder = tmp_path / "kit"
        (folder / "wheels").mkdir(parents=True)
        for name in ("install", "install.py"):
            shutil.copy(SOURCES / name, folder)
        shutil.copy(bundled, folder / "wheels")
        tiny_wheel(folder / "wheels", exit_code)
        facts = {"system": "Linux", "machine": platform.machine(), "glibc": [2, 17], "processor": [], "megabytes": 1,
                 "requirement": "sensecf-edge==9", **other}  # fmt: skip
        (folder / "kit.json").write_text(json.dumps(facts))
        (folder / "PYTHONS").write_text(pythons + "\n")
        papers.checksums(folder)
        return folder

    return build


def install(kit: Path, *arguments: object, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    env = {"PATH": "/usr/bin:/bin", "HOME": "/nowhere", "PIP_INDEX_URL": "http://127.0.0.1:9/", "PYTHONPATH": "/nowhere"}
    return subprocess.run([kit / "install", *map(str, arguments)], env=env | ({"PYTHON": python} if python else {}), cwd="/",
                          capture_output=True, text=True, timeout=120)  # fmt: skip


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_kit_installs_into_its_folder_and_writes_nowhere_else(kit: Callable[..., Path], tmp_path: Path) -> None:
    made = kit()
    before = everything(tmp_path)
    ran = install(made, tmp_path / "in here")
    assert ran.returncode == 0 and "it answers" in ran.stdout, ran
    assert {k: v for k, v in everything(tmp_path).items() if not k.startswith("in here")} == before
    program = tmp_path / "in here" / "bin" / "sensecf-edge"
    assert subprocess.run([program], capture_output=True, text=True, timeout=30).stdout == "risk\n"
    assert not (tmp_path / "in here" / "tmp").exists() and not list((tmp_path / "in here").glob("bin/pip*"))
    again = install(made, tmp_path / "in here")
    assert again.returncode == 1 and "is not empty" in again.stderr and program.exists()


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"machine": "riscv64"}, "for Linux on riscv64, and this is Linux on"),
        ({"system": "Darwin"}, "for Darwin on"),
        ({"glibc": [9, 1]}, "needs glibc 9.1 or newer"),
        ({"processor": ["sse9"]}, "too old: it lacks sse9"),
        ({"megabytes": 10**9}, "needs 1000000000 MB"),
        ({"pythons": "3.5 3.6"}, f"serves Python 3.5 3.6. {sys.executable} is Python {HERE}."),
    ],
)
def test_another_machine_or_python_is_told_before_anything_is_written(
    facts: dict[str, Any], told: str, kit: Callable[..., Path], tmp_path: Path
) -> None:
    ran = install(kit(**facts), tmp_path / "there")
    assert ran.returncode == 1 and told in ran.stderr, ran
    assert not (tmp_path / "there").exists()


def test_a_kit_that_was_damaged_on_the_way_is_not_installed(kit: Callable[..., Path], tmp_path: Path) -> None:
    made = kit()
    whole = (made / "install.py").read_bytes()
    for name, damage, told in [
        ("install.py", lambda path: path.write_bytes(whole[:200]), "install.py is not as it was made"),
        ("wheels/sensecf_edge-9-py3-none-any.whl", Path.unlink, "-none-any.whl is missing"),
        ("wheels/other.whl", lambda path: path.write_bytes(b""), "other.whl is no part of it"),
        ("SHA256SUMS", lambda path: path.write_bytes(path.read_bytes()[:70]), "this kit is not whole"),
        ("PYTHONS", Path.unlink, "PYTHONS, SHA256SUMS or install.py is missing"),
    ]:
        damage(made / name)
        ran = install(made, tmp_path / "there")
        assert ran.returncode == 1 and told in ran.stderr and "copy the archive again" in ran.stderr, (name, ran)
        assert not (tmp_path / "there").exists()
        shutil.rmtree(made)
        kit()


def test_folders_that_cannot_be_filled_are_told(kit: Callable[..., Path], tmp_path: Path) -> None:
    made = kit()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter").write_text("dear")
    (tmp_path / "file").write_text("")
    for place, told in [("full", "is not empty"), ("no/such", "there is no folder"), ("kit/in", "lies inside the kit"),
                        ("a:b", "holds a ':'"), ("a $b", "holds '$'"), ("file", "cannot be used")]:  # fmt: skip
        ran = install(made, tmp_path / place)
        assert ran.returncode == 1 and told in ran.stderr, ran
    assert (tmp_path / "full" / "letter").read_text() == "dear" and not (made / "in").exists()
    assert install(made).returncode == 2 and "usage" in install(made, "--force").stderr


def test_an_installation_that_does_not_answer_leaves_nothing_behind(kit: Callable[..., Path], tmp_path: Path) -> None:
    made = kit(exit_code=3)
    (tmp_path / "empty").mkdir()
    for place in ("empty", "new"):
        ran = install(made, tmp_path / place)
        assert ran.returncode == 1 and "sensecf-edge failed with exit code 3" in ran.stderr, ran
    assert list((tmp_path / "empty").iterdir()) == [] and not (tmp_path / "new").exists()


def test_an_installation_that_was_killed_is_said_and_begun_anew_once_nothing_of_it_runs(kit: Callable[..., Path], tmp_path: Path) -> None:
    """A power cut, or kill -9 while it is tried: the folder is half filled, and what pip or the first answer is at goes on alone."""
    asleep = "__import__('pathlib').Path('pid').write_text(str(__import__('os').getpid())) and __import__('time').sleep(600)"
    made, place = kit(exit_code=asleep), tmp_path / "there"
    begun = subprocess.Popen([made / "install", place], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        ends = time.monotonic() + PATIENCE
        while not (place / "pid").exists() or not (place / "pid").read_text():
            assert begun.poll() is None and time.monotonic() < ends
            time.sleep(0.05)
    finally:
        begun.kill()
        begun.wait()
    held = install(made, place)
    assert held.returncode == 1 and "another installation is filling" in held.stderr, held
    os.kill(int((place / "pid").read_text()), signal.SIGKILL)
    shutil.rmtree(made)
    ran = install(kit(), place)
    while ran.returncode and "another installation" in ran.stderr and time.monotonic() < ends:
        ran = install(made, place)  # the lock goes when the system has buried who held it
    assert ran.returncode == 0 and "was broken off" in ran.stderr and "it answers" in ran.stdout, ran
    assert not (place / "pid").exists() and not list(place.glob(".sensecf*"))
    assert install(made, place).returncode == 1


# The kit that `make kit` built ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The newest archive for this machine, unpacked."""
    folder = Path(os.environ.get("SENSECF_KIT", ROOT / "dist"))
    archives = sorted(folder.glob(f"sensecf-edge-kit-*-{platform.machine()}-*.tar.xz"), key=lambda path: path.stat().st_mtime)
    if not archives:
        pytest.skip("no kit was built for this machine (make kit)")
    place = tmp_path_factory.mktemp("kit")
    subprocess.run([sys.executable, "-m", "tarfile", "-e", archives[-1], place], check=True)
    (kit,) = place.iterdir()
    return kit


@pytest.fixture(scope="session")
def installed(built: Path) -> Path:
    place = built.parent / "installed"
    apart = ["unshare", "-rn"] if subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode == 0 else []
    served = (built / "PYTHONS").read_text().split()
    python = "/usr/bin/python3" if HERE not in served else sys.executable
    env = {"PATH": "/usr/bin:/bin", "PYTHON": python}
    ran = subprocess.run([*apart, built / "install", place], env=env, capture_output=True, text=True)
    assert ran.returncode == 0, ran
    return place / "bin" / "sensecf-edge"


def test_what_was_built_installs_and_explains_as_the_native_build_does(installed: Path, command: Callable[..., Ran]) -> None:
    asked = ("explain", "--sample", "1", "--model", "heart", "--json")
    ran = subprocess.run([installed, *asked], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"}, cwd="/", check=True)
    theirs, ours = json.loads(ran.stdout), json.loads(command(*asked).out)
    assert theirs["status"] == "found"
    if theirs["provenance"]["bundle"] == ours["provenance"]["bundle"]:  # else the kit is of an earlier state
        assert [answer["changes"] for answer in theirs["found"]] == [answer["changes"] for answer in ours["found"]]


@pytest.mark.parametrize("processor", ["Nehalem", "SandyBridge"])
def test_what_was_built_runs_on_processors_without_avx2(processor: str, installed: Path) -> None:
    qemu = shutil.which("qemu-x86_64") or shutil.which("qemu-x86_64-static")
    if qemu is None or platform.machine() != "x86_64":
        pytest.skip("qemu-x86_64 is not installed (Debian: apt-get install qemu-user)")
    python = installed.parent / "python"
    asked = ["explain", "--sample", "1", "--model", "heart"]
    program = [qemu, "-cpu", processor, python.resolve(), "-I", "-c", QEMU, python.parents[1], *asked]
    ran = subprocess.run(program, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0 and "Prediction now" in ran.stdout, ran.stderr[-500:]


QEMU = """
import site, sys
place = sys.argv.pop(1)
site.addsitedir(f"{place}/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages")
from sensecf_edge.__main__ import main
main()
"""
"""The environment's own start goes over a link, which an emulator does not follow as Python does."""


def test_what_was_built_lists_what_is_inside(built: Path) -> None:
    data = json.loads((built / "sbom.json").read_text())
    listed = {(c["name"].lower().replace("_", "-"), c.get("version")) for c in data["components"]}
    wheels = {tuple(path.name.split("-")[:2]) for path in (built / "wheels").glob("*.whl")}
    assert data["bomFormat"] == "CycloneDX" and {(name.lower().replace("_", "-"), version) for name, version in wheels} <= listed
    assert {"-".join(wheel) for wheel in wheels} == {path.name for path in (built / "licences").iterdir()}


# The kernels ------------------------------------------------------------------------------------------------------------------


def test_kernels_are_looked_for_beside_the_library_and_nowhere_else(installed: Path, tmp_path: Path) -> None:
    """A working folder with kernels in it, a library without: llama.cpp by itself would take those of the working folder."""
    (libraries,) = (installed.parents[1] / "lib").glob("python3.*/site-packages/llama_cpp/lib")
    (tmp_path / "lib").mkdir()
    for path in libraries.iterdir():
        shutil.copy(path, tmp_path if path.name.startswith("libggml-cpu-") else tmp_path / "lib")
    ran = subprocess.run([installed, "explain", "--sample", "1", "--model", "heart"], capture_output=True, text=True, cwd=tmp_path,
                         env={"PATH": "/usr/bin:/bin", "LLAMA_CPP_LIB_PATH": str(tmp_path / "lib")})  # fmt: skip
    assert ran.returncode == 1 and "llama.cpp has no code for this processor" in ran.stderr, ran
