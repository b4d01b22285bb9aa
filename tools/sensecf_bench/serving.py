"""`PYTHONPATH=tools python -m sensecf_bench.serving --model NAME`: the page as a person meets it, in seconds and megabytes."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.cli.options import MODEL_HELP, model_or_usage_error

FILES = ("page.css", "main.js", "dom.js", "api.js", "record.js", "options.js", "hand.js", "keep.js", "now.js", "icon.svg")


@dataclass
class Page:
    """A page in a process of its own, and how long that took to be there."""

    process: subprocess.Popen[str]
    port: int
    token: str
    cookie: str = ""
    ready: float = 0.0
    worked: float = 0.0

    @classmethod
    def start(cls, model: str) -> Page:
        """Ready once the page, all its files and the model's form have come."""
        began = time.perf_counter()
        program = [sys.executable, "-m", "sensecf_edge", "serve", "--model", model, "--port", "0"]
        process = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        page = cls(process, int(url.partition("127.0.0.1:")[2].partition("/")[0]), url.partition("/?")[2])
        page.cookie = page.session(page.token)
        for name in FILES:
            page.ask("GET", f"/static/{name}")
        page.ask("GET", f"/api/model?key={model}")
        page.ready, page.worked = time.perf_counter() - began, page.processor()
        return page

    def session(self, token: str) -> str:
        """A session of its own: its cookie."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request("GET", f"/?{token}")
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return str(answer.headers["set-cookie"]).partition(";")[0]

    def ask(self, method: str, path: str, question: Any = None, cookie: str = "") -> Any:
        """What comes back; raises where it is no 200."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        headers = {"Cookie": cookie or self.cookie, "Origin": f"http://127.0.0.1:{self.port}", "Content-Type": "application/json"}
        connection.request(method, path, None if question is None else json.dumps(question), headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {body[:200]!r}")
        return json.loads(body) if question is not None else body

    def memory(self) -> float:
        """Resident megabytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) / 1e3 for line in status.splitlines() if line.startswith("VmRSS"))

    def processor(self) -> float:
        """Seconds of processor time that its threads have had so far."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text(encoding="ascii").split()[0]) for task in tasks) / 1e9

    def end(self) -> None:
        """Stop it."""
        self.process.terminate()
        self.process.communicate(timeout=30)


def questions(model: str, answers: int, seed: int = 0) -> list[dict[str, Any]]:
    """The samples again and again, each number moved a little, as the page would ask."""
    bundle, chance = Bundle.open(model), np.random.default_rng(seed)
    out = []
    for k in range(answers):
        values = dict(bundle.samples[k % len(bundle.samples)].values)
        for feature in bundle.schema.features:
            held = values.get(feature.name)
            if feature.kind == "number" and isinstance(held, int | float):
                step, low, high = float(feature.step or 1), float(feature.low or 0), float(feature.high or 0)
                values[feature.name] = round(min(high, max(low, held + step * int(chance.integers(-2, 3)))), 6)
        out.append({"model": model, "values": {name: None if v is None else str(v) for name, v in values.items()}})
    return out


def at_once(page: Page, asked: list[dict[str, Any]], alone: list[Any]) -> tuple[float, int]:
    """All of these at the same time, by two sessions: seconds until the last has come, and how many are as they were alone."""
    cookies = [page.cookie, page.session(page.token)]
    got: dict[int, Any] = {}

    def one(k: int) -> None:
        got[k] = page.ask("POST", "/api/explain", asked[k], cookies[k % 2])

    threads = [threading.Thread(target=one, args=(k,)) for k in range(len(asked))]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    same = sum(k in got and got[k]["explanation"]["found"] == alone[k]["explanation"]["found"] for k in range(len(asked)))
    return time.perf_counter() - began, same


@click.command()
@click.option("--model", help=MODEL_HELP)
@click.option("--answers", type=click.IntRange(1), default=1000, help="Answers to ask for.")
@click.option("--starts", type=click.IntRange(1), default=5, help="Starts to time; the median counts.")
def main(model: str | None, answers: int, starts: int) -> int:
    """Time the page: ready after the command, answers (three options each), memory after them, and 50 at once."""
    name = model_or_usage_error(model)
    ready, worked = [], []
    for _ in range(starts):
        page = Page.start(name)
        ready.append(page.ready)
        worked.append(page.worked)
        if len(ready) < starts:
            page.end()
    asked, seconds, busy, told = questions(name, answers), [], [], []
    before = page.memory()
    for question in asked:
        began, so_far = time.perf_counter(), page.processor()
        told.append(page.ask("POST", "/api/explain", question))
        seconds.append(time.perf_counter() - began)
        busy.append(page.processor() - so_far)
    (median, most), (middle, high) = (np.quantile(times, [0.5, 0.95]) * 1e3 for times in (seconds, busy))
    fifty = min(50, answers)
    last, same = at_once(page, asked[:fifty], told)
    spent = f"of processor time {sorted(worked)[len(worked) // 2]:.2f} s"
    lines = [
        ("ready after the command (page, files, form)", f"{sorted(ready)[len(ready) // 2]:.2f} s",
         f"{min(ready):.2f} to {max(ready):.2f} s, {spent}"),
        (f"an answer, {answers} asked, 95 %", f"{most:.0f} ms",
         f"median {median:.0f} ms; of processor time {high:.0f} ms, median {middle:.0f} ms"),
        (f"memory after {answers} answers", f"{page.memory():.0f} MB", f"before {before:.0f} MB"),
        (f"{fifty} at once by two sessions", f"{same} of {fifty} as alone", f"the last after {last:.1f} s"),
    ]
    page.end()
    for what, figure, beside in lines:
        click.echo(f"{what:<44} {figure:>16}   {beside}")
    return int(same != fifty)


if __name__ == "__main__":
    main(prog_name="python -m sensecf_bench.serving")
