"""Installs this kit into a folder. Called by `install`, which has found a Python that is served and has checked every file.

Stops before anything is written where the machine is another one, a part of Python is missing, the disk is full or the folder is
in use. Writes nothing outside that folder, and leaves it as it was where the installation fails; one that was ended from outside before
it could do so (SIGKILL, a power cut) is cleared away by the next. Needs neither pip nor ensurepip: a pip lies in the kit.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

KIT = Path(__file__).resolve().parent
ENOUGH = ("ctypes", "sqlite3", "ssl", "venv", "zipfile", "zlib")
"""Modules of Python that are needed and that some systems put into packages of their own."""


BEGUN = ".sensecf-installing"
"""Lies in a folder from before its first file is written until it is whole, locked by whoever fills it."""


class Refused(Exception):  # noqa: N818
    """Why it cannot be installed, and what to do."""


def main(arguments: list[str]) -> int:
    """The exit code: 0, 1 refused or failed, 2 called wrongly."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: ./install DIR     DIR: a folder that is not there yet, or is empty", file=sys.stderr)
        return 2 if arguments not in (["-h"], ["--help"]) else 0
    began = time.monotonic()
    try:
        facts = json.loads((KIT / "kit.json").read_text(encoding="utf-8"))
        check_machine(facts)
        place = check_place(Path(arguments[0]), facts)
        fill(place, facts)
    except Refused as error:
        print(f"install: {error}", file=sys.stderr)
        return 1
    print(f"Installed in {time.monotonic() - began:.0f} s, and it answers:")
    print(f"  {place / 'bin' / 'sensecf-edge'} explain --sample 1 --model heart")
    return 0


def check_machine(facts: dict[str, Any]) -> None:
    """Another processor, system, C library, or a Python with parts missing. Raises Refused."""
    here = (platform.system(), platform.machine())
    if here != (facts["system"], facts["machine"]):
        raise Refused(f"this kit is for {facts['system']} on {facts['machine']}, and this is {here[0]} on {here[1]}; fetch the kit for it")
    if sys.maxsize < 2**32 or platform.python_implementation() != "CPython":
        raise Refused("this kit needs a 64-bit CPython; name one with PYTHON=/path/to/python3")
    least, libc = facts["glibc"], _glibc()
    if libc is None or libc < tuple(least):
        told = "another C library" if libc is None else f"glibc {libc[0]}.{libc[1]}"
        raise Refused(
            f"this kit needs glibc {least[0]}.{least[1]} or newer (Debian 12, Ubuntu 22.04 and later), and this system has {told}; "
            "build from source there (README)"
        )
    lacking = sorted(set(facts["processor"]) - _processor()) if _processor() else []
    if lacking:
        raise Refused(f"this processor is too old: it lacks {', '.join(lacking)}, which NumPy needs")
    missing = [name for name in ENOUGH if not _there(name)]
    if missing:
        told = ", ".join(missing)
        raise Refused(f"{sys.executable} comes without {told}; install the whole Python (Debian, Ubuntu: apt-get install python3)")


def _glibc() -> tuple[int, ...] | None:
    try:
        name, _, number = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
        return tuple(map(int, number.split(".")[:2])) if name == "glibc" else None
    except (ValueError, OSError, AttributeError):
        return None


def _processor() -> set[str]:
    """What the processor says it can; empty where it does not say."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            return next((set(line.partition(":")[2].split()) for line in file if line.startswith(("flags", "Features"))), set())
    except OSError:
        return set()


def _there(module: str) -> bool:
    try:
        __import__(module)
    except ImportError:
        return False
    return True


def check_place(wish: Path, facts: dict[str, Any]) -> Path:
    """The folder to fill: empty or not there yet, writable, with room, not in the kit. Raises Refused."""
    place = Path(os.path.abspath(wish))
    if os.pathsep in str(place):
        raise Refused(f"{place} holds a '{os.pathsep}', which Python cannot have in the path of an environment; choose another folder")
    if told := sorted(set(str(place)) & set('$`"\\\n')):
        raise Refused(f"{place} holds {' '.join(map(repr, told))}, which a shell reads as more than a letter; choose another folder")
    if place.resolve() == KIT or KIT in place.resolve().parents:
        raise Refused(f"{place} lies inside the kit; choose a folder outside it")
    if not place.parent.is_dir():
        raise Refused(f"there is no folder {place.parent}; make it first")
    try:
        used = any(place.iterdir()) and not broken_off(place) if os.path.lexists(place) else False
    except OSError as error:
        raise Refused(f"{place} cannot be used: {error.strerror}; choose another folder") from error
    if used:
        raise Refused(f"{place} is not empty; choose a new folder, or remove that one first if an older installation is all it holds")
    if not os.access(place if place.exists() else place.parent, os.W_OK | os.X_OK):
        raise Refused(f"you may not write to {place if place.exists() else place.parent}; choose another folder, or ask its owner")
    room = shutil.disk_usage(place.parent).free >> 20
    if room < facts["megabytes"]:
        raise Refused(f"{place} needs {facts['megabytes']} MB, and its disk has {room} left; free some, or choose another folder")
    return place


def broken_off(place: Path) -> bool:
    """Whether all that lies there is of an installation that was ended from outside. Raises Refused where one is going on."""
    mark = place / BEGUN
    if mark.is_symlink() or not mark.is_file():
        return False
    with mark.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Refused(f"another installation is filling {place}; wait for it") from None
    return True


def fill(place: Path, facts: dict[str, Any]) -> None:
    """An environment of its own, the wheels of the kit, one record explained. Raises Refused, with the folder as it was."""
    made = not place.exists()
    try:
        place.mkdir(exist_ok=True)
        with (place / BEGUN).open("ab") as mark:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if any(entry.name != BEGUN for entry in place.iterdir()):
                print(f"install: an installation was broken off in {place}; it is cleared away first", file=sys.stderr)
                _empty(place, keep=BEGUN)
            _fill(place, facts, mark.fileno())
            (place / BEGUN).unlink()
    except BlockingIOError as error:
        raise Refused(f"another installation is filling {place}; wait for it") from error
    except BaseException as error:
        shutil.rmtree(place, ignore_errors=True) if made else _empty(place)
        if isinstance(error, OSError | ValueError):
            raise Refused(f"{place} could not be filled ({error}); nothing was left there") from error
        raise


def _fill(place: Path, facts: dict[str, Any], mark: int) -> None:
    import venv

    venv.EnvBuilder(symlinks=True, with_pip=False).create(place)
    (place / "tmp").mkdir()
    pip = next(iter(sorted((KIT / "wheels").glob("pip-*.whl"))))
    quiet = ["--quiet", "--no-warn-script-location", "--disable-pip-version-check"]
    here = ["--no-index", "--no-cache-dir", "--find-links", str(KIT / "wheels")]
    _run(place, mark, str(place / "bin" / "python"), "-I", f"{pip}/pip", "install", *quiet, *here, facts["requirement"])
    _run(place, mark, str(place / "bin" / "sensecf-edge"), "explain", "--sample", "1", "--model", "heart")
    shutil.rmtree(place / "tmp")


def _run(place: Path, mark: int, *command: str) -> None:
    """Without the user's settings of Python and pip, temporary files in the folder; the lock `mark` holds as long as it runs, whatever
    becomes of this process. Raises Refused with what it said last."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "PYTHON", "VIRTUAL_ENV", "LD_", "SENSECF_"))}
    env = {**kept, "PIP_CONFIG_FILE": os.devnull, "HOME": str(place), "TMPDIR": str(place / "tmp")}
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False, cwd=place, pass_fds=(mark,))
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
        raise Refused(f"{Path(command[0]).name} failed with exit code {done.returncode} ({said[-1][:300]}); nothing was left in {place}")


def _empty(folder: Path, keep: str = "") -> None:
    for entry in folder.iterdir():
        if entry.name == keep:
            continue
        shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
