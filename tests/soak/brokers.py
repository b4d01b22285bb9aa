"""Parts of the soak: a watch over MQTT, its broker restarted, itself killed; each record is answered (QoS 1: at least once)."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

from conftest import STRESSED
from soak import demand
from test_watch import MQTT, Mosquitto, Person, Running


def broker_restarts(toy: Path, work: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Records go on coming while the broker is restarted five times: each is answered (QoS 1: at least once)."""
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    (work / "broker").mkdir()
    broker = Mosquitto(work / "broker")
    broker.start()
    heard: Counter[int] = Counter()
    sent = 0
    watch = Running("--model", toy, "--mqtt", f"mqtt://127.0.0.1:{broker.port}", "--queue", 10_000, *MQTT)
    try:
        watch.says("connected")
        with Person(broker) as person:
            for restart in range(6):
                for _ in range(50):
                    person.client.publish("records", json.dumps({"who": sent, **STRESSED}), qos=1)
                    sent += 1
                    time.sleep(0.01)
                if restart < 5:
                    time.sleep(1.5)
                    broker.stop()
                    time.sleep(0.5)
                    broker.start()
            end = time.monotonic() + 60
            while len(heard) < sent and time.monotonic() < end:
                with contextlib.suppress(Exception):
                    heard[person.hear("answers", 1)["id"]] += 1
    finally:
        code = watch.end(signal.SIGTERM)
        broker.stop()
    figures = {"restarts": 5, "sent": sent, "lost": sent - len(heard), "answered_again": sum(n - 1 for n in heard.values())}
    demand(code == 0 and figures["lost"] == 0, str(figures))
    return figures


def watch_kills(toy: Path, work: Path, options: argparse.Namespace) -> dict[str, Any]:
    """kill -9 of the watch at random moments, records coming all the while: each is answered at least once (QoS 1, a session kept)."""
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    (work / "broker").mkdir()
    broker, chance = Mosquitto(work / "broker"), random.Random(6)
    broker.start()
    heard: Counter[int] = Counter()
    arguments = ("--model", toy, "--mqtt", f"mqtt://127.0.0.1:{broker.port}", "--queue", 10_000, *MQTT)
    sent = hit = 0
    watch = Running(*arguments)
    try:
        watch.says("connected", 60)
        with Person(broker) as person:

            def listen(seconds: float) -> None:
                end = time.monotonic() + seconds
                while time.monotonic() < end:
                    with contextlib.suppress(Exception):
                        heard[person.hear("answers", max(0.01, end - time.monotonic()))["id"]] += 1

            while hit < options.kills:
                for _ in range(20):
                    person.client.publish("records", json.dumps({"who": sent, **STRESSED}), qos=1)
                    sent += 1
                listen(chance.random())
                hit += watch.end(signal.SIGKILL) == -signal.SIGKILL
                watch = Running(*arguments)
                if chance.random() < 0.7:  # else it is killed before it is ready
                    watch.says("connected", 60)
            watch.says("connected", 60)
            still = time.monotonic()
            while len(heard) < sent and time.monotonic() - still < 30:  # what waited is answered yet; a busy machine takes its time
                before = len(heard)
                listen(1.0)
                still = time.monotonic() if len(heard) > before else still
    finally:
        code = watch.end(signal.SIGTERM)
        broker.stop()
    figures = {"kills": hit, "sent": sent, "lost": sent - len(heard), "answered_again": sum(n - 1 for n in heard.values())}
    demand(code == 0 and figures["lost"] == 0, str(figures))
    return figures


BROKERS = (broker_restarts, watch_kills)
