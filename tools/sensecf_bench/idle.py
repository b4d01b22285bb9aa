"""`PYTHONPATH=tools python -m sensecf_bench.idle --model NAME --minutes 10`: what a `watch` takes while nothing comes.

Told to Home Assistant over a real Mosquitto (`apt-get install mosquitto`) on this machine, with its health in a file as well. Processor
time, so that what else runs counts little.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click

from sensecf_edge.cli.options import MODEL_HELP, model_or_usage_error

SETTLED = 15.0
"""Seconds until it has started, connected and told what it is."""


@contextlib.contextmanager
def broker(folder: Path) -> Iterator[int]:
    """A Mosquitto for this machine alone; its port."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if program is None:
        raise click.UsageError("mosquitto is not installed (Debian: apt-get install mosquitto)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    (folder / "mosquitto.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    process = subprocess.Popen([program, "-c", str(folder / "mosquitto.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        yield port
    finally:
        process.terminate()
        process.wait()


def worked(pid: int) -> float:
    """Seconds of processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def megabytes(pid: int) -> float:
    """Resident memory of a process."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


@click.command(help=__doc__)
@click.option("--model", help=MODEL_HELP)
@click.option("--minutes", type=float, default=10.0, show_default=True)
def main(model: str | None, minutes: float) -> None:
    """Start both, wait, say what it took."""
    with tempfile.TemporaryDirectory() as place, broker(Path(place)) as port:
        program = [sys.executable, "-m", "sensecf_edge", "watch", "--model", model_or_usage_error(model), "--mqtt", f"mqtt://127.0.0.1:{port}",
                   "--topic", "hub/record", "--client", "idle", "--home-assistant", "--health", f"{place}/health.json"]  # fmt: skip
        watch = subprocess.Popen(program, stderr=subprocess.DEVNULL)
        try:
            time.sleep(SETTLED)
            before, began = worked(watch.pid), time.monotonic()
            time.sleep(60 * minutes)
            share, most = (worked(watch.pid) - before) / (time.monotonic() - began), megabytes(watch.pid)
        finally:
            watch.terminate()
            watch.wait()
    click.echo(f"idle for {minutes:g} minutes: {100 * share:.3f} % of one core, {most:.0f} MB")


if __name__ == "__main__":
    main()
