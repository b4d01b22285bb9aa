"""`PYTHONPATH=tools python -m sensecf_bench.days`: what days of sensors cost in time and memory, on readings that are made up here.

Every measurement is a process of its own. Seconds are those of the processor, so that other programs count less; MB are the most that
the process held at any time. Made files lie in a temporary folder and go with it.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

import click

ZONE = ("--zone", "Europe/London")
FIRST = date(2023, 1, 1)
WATCH = "Somebody's Watch"


class Ran:
    """A process that has ended: seconds of the processor and of the clock, the most MB, and what was seen of them meanwhile."""

    def __init__(self, words: Sequence[object], given: Path | None = None) -> None:
        began, self.seen = time.monotonic(), list[float]()
        with open(given or os.devnull, "rb") as source:
            command, pipe = [sys.executable, "-m", *map(str, words)], subprocess.PIPE
            process = subprocess.Popen(command, stdin=source, stdout=pipe, stderr=pipe)
        watcher = threading.Thread(target=self._look, args=(process.pid,), daemon=True)
        watcher.start()
        out, error = process.communicate()
        watcher.join()
        if process.returncode:
            raise click.ClickException(error.decode("utf-8", "replace")[-600:])
        self.out, self.wall = out.decode(), time.monotonic() - began

    def _look(self, pid: int) -> None:
        """Linux tells how things stand; the last look before the end is nearly the end."""
        self.seconds = 0.0
        while True:
            try:
                pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
                cells = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except (OSError, IndexError):
                return
            if pages:
                self.seen.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
            self.seconds = (int(cells[11]) + int(cells[12])) / os.sysconf("SC_CLK_TCK")
            if cells[0] == "Z":
                return
            time.sleep(0.05)

    @property
    def most(self) -> float:
        """MB."""
        return max(self.seen)

    @property
    def growth(self) -> float:
        """MB between the first third, when all is loaded, and the end."""
        third = len(self.seen) // 3
        return max(self.seen[2 * third :]) - max(self.seen[: third + 1])


def told(what: str, value: float, unit: str, goal: str = "", met: bool | None = None) -> None:
    """One figure."""
    verdict = "" if met is None else "met" if met else "MISSED"
    click.echo(f"{what:<58} {value:>12,.1f} {unit:<12} {goal:<22} {verdict}".rstrip())


def minutes(of_a_day: Callable[[int, str], str], seed: int = 0) -> str:
    """A day of lines, one a minute; DATE stands for its date."""
    chance = random.Random(seed)
    return "".join(of_a_day(chance.randrange(20, 120), f"DATE{{}}{m // 60:02}:{m % 60:02}") for m in range(1440))


def dates(count: int) -> Iterator[str]:
    """So many dates as texts."""
    return ((FIRST + timedelta(days=i)).isoformat() for i in range(count))


def year() -> None:
    """In this process: a year of one person, read and made into days."""
    import numpy as np

    from sensecf_edge.sensors.clocks import zone
    from sensecf_edge.sensors.daily import Rules, days
    from sensecf_edge.sensors.readings import Readings

    chance, begin, readings = np.random.default_rng(0), 1_767_225_600, Readings()
    readings.series("glucose", "cgm", "mg/dL").extend(begin + 300 * np.arange(105_120), chance.normal(120, 20, 105_120).round())
    at = begin + 60 * np.arange(525_600)
    readings.series("steps", "watch", "steps").extend(at, chance.poisson(5, 525_600).astype(float), np.full(525_600, 60))
    nights = readings.series("sleep", "watch", "stage")
    for day in range(365):
        second = begin + 86_400 * day - 7_200
        for stage, hours in ((1, 2), (2, 1), (3, 1), (1, 2), (0, 0.25), (2, 0.5), (1, 1)):
            nights.add(second, stage, int(3600 * hours))
            second += int(3600 * hours)
    began = time.process_time()
    made = days(readings, Rules(zone("Europe/London"), now=begin + 400 * 86_400))
    click.echo(json.dumps({"seconds": time.process_time() - began, "days": len(made)}))


def person_year(work: Path, size: int) -> None:
    """Readings in memory -> days; then the same from a table."""
    ran = Ran(["sensecf_bench.days", "--child"])
    seconds = json.loads(ran.out)["seconds"]
    told("a person-year, readings in memory to days", seconds, "s", "<= 2 s", seconds <= 2)
    told("  memory, readings and Python in it", ran.most, "MB", "<= 100 MB", ran.most <= 100)


def t1d_uom(work: Path, size: int) -> None:
    """The data set whole, where SENSECF_DATA says that it is."""
    folder = Path(os.environ.get("SENSECF_DATA", "")) / "t1d_uom"
    if not folder.is_dir():
        click.echo("T1D-UOM: set SENSECF_DATA to the folder that holds t1d_uom")
        return
    ran = Ran(["sensecf_edge", "days", folder, *ZONE, "-o", work / "t1d.csv"])
    told("T1D-UOM whole, files to table", ran.seconds, "s", "<= 30 s", ran.seconds <= 30)
    told("  memory", ran.most, "MB")


def apple(work: Path, size: int) -> None:
    """A made export of `size` MB: pulses and steps each minute."""
    day, path = '<Record type="HKQuantityTypeIdentifier{}" sourceName="{}" unit="{}" creationDate="{}:59 +0000" ', work / "export.xml"
    day += 'startDate="{}:00 +0000" endDate="{}:59 +0000" value="{}"/>\n'

    def lines(value: int, at: str) -> str:
        at = at.format(" ")
        rest = (at, at, at, value)
        return day.format("HeartRate", WATCH, "count/min", *rest) + day.format("StepCount", WATCH, "count", *rest)

    text, written = minutes(lines), 0
    with path.open("w") as file:
        file.write('<?xml version="1.0" encoding="UTF-8"?>\n<HealthData locale="en_GB">\n')
        for when in dates(100_000):
            written += file.write(text.replace("DATE", when))
            if written >= size * 1e6:
                break
        file.write("</HealthData>\n")
    ran = Ran(["sensecf_edge", "days", path, "-o", work / "apple.csv", *ZONE])
    speed = path.stat().st_size / 1e6 / ran.seconds
    told(f"Apple export of {size:,} MB", speed, "MB/s", ">= 20 MB/s", speed >= 20)
    told("  memory", ran.most, "MB", "<= 200 MB", ran.most <= 200)


def table(work: Path, size: int) -> None:
    """A CSV of `size` rows, a person after the other, half a year of minutes each."""
    def line(value: int, at: str) -> str:
        return f"NAME,{at.format('T')}:00Z,heart_rate,{value},bpm\n"

    path, text, written, name = work / "table.csv", minutes(line), 0, 0
    with path.open("w") as file:
        file.write("person,time,kind,value,unit\n")
        while written < size:
            for when in dates(180):
                file.write(text.replace("NAME", f"p{name}").replace("DATE", when))
                written += 1440
                if written >= size:
                    break
            name += 1
    ran = Ran(["sensecf_edge", "days", path, "-o", work / "table.days.csv", *ZONE])
    told(f"table of {written:,} rows, {name:,} people", written / ran.seconds, "rows/s")
    told("  memory", ran.most, "MB")


def stream(work: Path, size: int) -> None:
    """`size` readings through `watch --readings`, four people in turn, in the order of time."""
    source = work / "readings.jsonl"

    def lines(value: int, at: str) -> str:
        begin = f'"time": "{at.format("T")}:00Z"'
        return "".join(f'{{"person": "p{p}", "kind": "heart_rate", "value": {value}, "unit": "bpm", {begin}}}\n' for p in range(4))

    text, written = minutes(lines), 0
    with source.open("w") as file:
        for when in dates(100_000):
            file.write(text.replace("DATE", when))
            written += 4 * 1440
            if written >= size:
                break
    words = ("watch", "--readings", "--model", "stress", "--store", work / "stream.sqlite", "--health", work / "health.json", *ZONE)
    ran = Ran(["sensecf_edge", *words], source)
    kept = json.loads((work / "health.json").read_text())["readings"]
    told(f"stream of {kept:,} readings", kept / ran.seconds, "readings/s", ">= 5,000 readings/s", kept / ran.seconds >= 5000)
    told("  by the clock", kept / ran.wall, "readings/s")
    told("  memory", ran.most, "MB")
    told("  memory, last third over first", ran.growth, "MB", "flat (<= 5 MB)", ran.growth <= 5)
    told("  file of open days", (work / "stream.sqlite").stat().st_size / 1e6, "MB")


PARTS = {"year": person_year, "t1d-uom": t1d_uom, "apple": apple, "table": table, "stream": stream}


@click.command()
@click.option("--only", type=click.Choice(list(PARTS)), multiple=True, help="Measure this alone. Repeatable.")
@click.option("--apple-mb", type=click.IntRange(1), default=200, help="Size of the made Apple export.")
@click.option("--rows", type=click.IntRange(1440), default=1_000_000, help="Rows of the made table.")
@click.option("--readings", type=click.IntRange(5760), default=100_000, help="Readings of the stream.")
@click.option("--child", is_flag=True, hidden=True)
def main(only: tuple[str, ...], apple_mb: int, rows: int, readings: int, child: bool) -> None:
    """Measure what days of sensors cost. Linux alone tells how much memory a process holds."""
    if child:
        year()
        return
    sizes = {"apple": apple_mb, "table": rows, "stream": readings}
    with tempfile.TemporaryDirectory() as folder:
        for name in only or PARTS:
            PARTS[name](Path(folder), sizes.get(name, 0))


if __name__ == "__main__":
    main(prog_name="python -m sensecf_bench.days")
