"""A process for a hub: what it answers, what it passes over, what it survives; over pipes and a real Mosquitto."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cohort import PROGRAM
from conftest import CALM, STRESSED, Ran

from sensecf_edge.errors import EngineError, TableError
from sensecf_edge.jobs.problem import Problem
from sensecf_edge.jobs.stream import Waiting
from sensecf_edge.jobs.watch import FAULTS, Watch, Watcher
from sensecf_edge.result import Explanation

Command = Callable[..., Ran]
MALFORMED = (
    b"{",
    b"[]",
    b"\xff\xfe",
    b'{"age": 44}',
    json.dumps({**STRESSED, "steps": "lots"}).encode(),
    b'{"a":1,"a":2}',
    b"x" * 1_100_000,
)


class Running:
    """A watch in a process of its own; lines of its output and talk as they come."""

    def __init__(self, *arguments: object, env: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen([*PROGRAM, "watch", *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env={**os.environ, **(env or {})})  # fmt: skip
        self.out: queue.Queue[bytes] = queue.Queue()
        self.talk: list[str] = []
        self.threads = [threading.Thread(target=self._listen, args=a) for a in ((self.process.stdout, self.out.put),
                        (self.process.stderr, lambda t: self.talk.append(t.decode())))]  # fmt: skip
        for thread in self.threads:
            thread.start()

    @staticmethod
    def _listen(pipe: Any, put: Callable[[bytes], object]) -> None:
        for line in pipe:
            put(line)
        pipe.close()

    def send(self, *messages: Any) -> None:
        assert self.process.stdin is not None
        for message in messages:
            self.process.stdin.write((message if isinstance(message, bytes) else json.dumps(message).encode()) + b"\n")
        self.process.stdin.flush()

    def answer(self, seconds: float = 20.0) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self.out.get(timeout=seconds))
        return data

    def says(self, text: str, seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while not any(text in line for line in self.talk):
            assert time.monotonic() < end, f"never said {text!r}: {self.talk}"
            time.sleep(0.02)

    def end(self, signum: int | None = None) -> int:
        """By closing its input, or by a signal. Returns the exit code."""
        if signum is None and self.process.stdin is not None:
            self.process.stdin.close()
        elif signum is not None:
            self.process.send_signal(signum)
        code = self.process.wait(20)
        for thread in self.threads:
            thread.join(5)
        if self.process.stdin is not None:
            self.process.stdin.close()
        return code


@pytest.fixture
def watching() -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(*arguments: object, **more: Any) -> Running:
        started.append(Running(*arguments, **more))
        return started[-1]

    yield start
    for running in started:
        running.end(signal.SIGKILL if running.process.poll() is None else None)


def test_a_record_whose_prediction_depends_on_what_is_unknown_is_not_passed_over_as_fine(
    watching: Callable[..., Running], toy: Path
) -> None:
    """With the gap filled in it would read as calm."""
    watch = watching("--model", toy, "--base-rate", "10%")
    watch.send({**STRESSED, "steps": 9500, "deep_sleep": None}, CALM)
    assert watch.end() == 0
    made = Explanation.from_json(watch.answer()["explanation"])
    assert (made.status, made.unknown[0].feature, made.risk.base_rate, watch.out.empty()) == ("depends", "deep_sleep", 0.1, True)


def test_only_unwanted_predictions_are_answered_and_the_rest_is_passed_over(watching: Callable[..., Running], toy: Path) -> None:
    watch = watching("--model", toy, "--id", "who")
    watch.send({"who": "a", **CALM}, {"who": "b", **STRESSED}, {"who": 7, **CALM})
    assert watch.end() == 0
    answer = watch.answer()
    assert (answer["number"], answer["id"], watch.out.empty()) == (2, "b", True)
    assert Explanation.from_json(answer["explanation"]).status == "found"
    assert "stopped after 3 messages, 1 explained" in watch.talk[-1]


def test_malformed_messages_go_to_the_dead_letters_and_the_log_names_no_value(
    watching: Callable[..., Running], toy: Path, tmp_path: Path
) -> None:
    watch = watching("--model", toy, "--dead", tmp_path / "dead.jsonl")
    for message in MALFORMED:
        watch.send(message, STRESSED)
    assert watch.end() == 0
    letters = [json.loads(line) for line in (tmp_path / "dead.jsonl").read_text().splitlines()]
    assert len(letters) == len(MALFORMED) and watch.out.qsize() == len(MALFORMED)
    assert letters[4]["reason"] == "steps must be a number, not 'lots'" and '"lots"' in letters[4]["message"]
    assert stat.S_IMODE((tmp_path / "dead.jsonl").stat().st_mode) == 0o600
    talk = "".join(watch.talk)
    assert "message 9 put aside: steps has a value that is not allowed; allowed is 0 to 20000" in talk and "lots" not in talk


def test_sigterm_ends_cleanly_while_the_sender_stays(watching: Callable[..., Running], toy: Path, tmp_path: Path) -> None:
    watch = watching("--model", toy, "--health", tmp_path / "health.json")
    watch.send(STRESSED)
    watch.answer()
    assert watch.end(signal.SIGTERM) == 0
    health = json.loads((tmp_path / "health.json").read_text())
    assert (health["status"], health["received"], health["explained"], health["found"]) == ("stopped", 1, 1, 1)
    assert stat.S_IMODE((tmp_path / "health.json").stat().st_mode) == 0o600
    assert not any("Traceback" in line or "Fatal" in line for line in watch.talk), watch.talk


def test_sighup_takes_a_new_bundle_and_keeps_the_old_one_where_the_new_does_not_verify(
    watching: Callable[..., Running], toy_copy: Path
) -> None:
    watch = watching("--model", toy_copy)
    watch.send(STRESSED)
    first = watch.answer()["explanation"]
    card = (toy_copy / "CARD.md").read_bytes()
    (toy_copy / "CARD.md").write_text("altered")
    watch.process.send_signal(signal.SIGHUP)
    watch.says("kept the old bundle")
    watch.send(STRESSED)
    assert watch.answer()["explanation"]["provenance"] == first["provenance"]
    (toy_copy / "CARD.md").write_bytes(card)
    manifest = json.loads((toy_copy / "manifest.json").read_text())
    (toy_copy / "manifest.json").write_text(json.dumps(manifest, indent=3))
    watch.process.send_signal(signal.SIGHUP)
    watch.says("now with toy")
    watch.send(STRESSED)
    assert watch.answer()["explanation"]["provenance"]["bundle"] != first["provenance"]["bundle"]
    assert watch.end() == 0


@pytest.mark.parametrize(("policy", "kept"), [("drop-oldest", [b"2", b"3"]), ("drop-newest", [b"0", b"1"])])
def test_a_full_queue_drops_what_the_policy_says_and_counts_it(policy: str, kept: list[bytes]) -> None:
    waiting = Waiting(2, policy)
    for i in range(4):
        waiting.put(str(i).encode())
    assert (waiting.received, waiting.dropped) == (4, 2)
    assert [m.data for m in (waiting.take(0), waiting.take(0)) if m] == kept
    assert waiting.take(0.01) is None


def test_a_sender_that_must_wait_loses_nothing() -> None:
    waiting, came = Waiting(2, "block"), []
    sender = threading.Thread(target=lambda: [waiting.put(str(i).encode()) for i in range(50)] and waiting.end())
    sender.start()
    while (message := waiting.take(5)) is not None:
        assert len(waiting) <= 2
        came.append(message.data)
    sender.join()
    assert came == [str(i).encode() for i in range(50)] and waiting.dropped == 0


class ScriptedPort:
    """A Port that hands out a list and keeps what it is given."""

    state = "ok"

    def __init__(self, *messages: bytes) -> None:
        self.messages = messages
        self.answers: list[dict[str, Any]] = []
        self.letters: list[Problem] = []
        self.facts: list[dict[str, Any]] = []

    def start(self, waiting: Waiting) -> None:
        for message in self.messages:
            waiting.put(message)
        waiting.end()

    def answer(self, answer: dict[str, Any]) -> None:
        self.answers.append(answer)

    def dead(self, data: bytes | None, problem: Problem) -> None:
        self.letters.append(problem)

    def health(self, facts: dict[str, Any]) -> None:
        self.facts.append(facts)

    def close(self) -> None:
        pass


def test_explanations_keep_their_distance_whatever_the_wall_clock_does(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port, now = ScriptedPort(*[json.dumps(STRESSED).encode()] * 60), [1000.0]
    watcher = Watcher(Watch(str(toy), every=10.0), port, lambda _: None)
    looks = watcher._is_due

    def a_second_later(record: Any) -> bool:
        now[0] += 1.0
        return looks(record)

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "time", lambda: -(now[0] ** 3))
    monkeypatch.setattr(watcher, "_is_due", a_second_later)
    watcher.run()
    assert [a["number"] for a in port.answers] == [1, 11, 21, 31, 41, 51]
    assert port.facts[-1]["too_soon"] == 54


def test_an_engine_that_fails_again_and_again_ends_the_process(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = ScriptedPort(*[json.dumps(STRESSED).encode()] * 20)
    watcher = Watcher(Watch(str(toy)), port, lambda _: None)

    def fail(*_: object) -> None:
        raise EngineError("llama.cpp could not decode (code -3)")

    monkeypatch.setattr(watcher.explainer, "explain_many", fail)
    with pytest.raises(EngineError, match="decode"):
        watcher.run()
    assert len(port.letters) == FAULTS - 1


def test_a_health_file_that_cannot_be_written_is_said_once(toy: Path) -> None:
    said: list[str] = []
    Watcher(Watch(str(toy), health=Path("/proc/health.json")), ScriptedPort(), said.append).run()
    assert sum("health.json" in text for text in said) == 1


def test_wishes_that_cannot_be_are_usage_errors(command: Command, toy: Path) -> None:
    for more, part in [
        (("--topic", "a"), "--mqtt"), (("--mqtt", "mqtt://h"), "--topic"),
        (("--mqtt", "mqtt://h", "--topic", "a", "--policy", "block"), "block"),
        (("--mqtt", "mqtt://u:p@h", "--topic", "a"), "SENSECF_MQTT_PASSWORD"), (("--mqtt", "http://h", "--topic", "a"), "mqtt://"),
        (("--mqtt", "mqtt://h", "--topic", "a/#"), "without + and #"),
        (("--mqtt", "mqtt://h", "--topic", "a", "--dead", "f"), "--dead-topic"),
        (("--mqtt", "mqtt://h", "--topic", "a/#", "--out-topic", "a/b"), "come back"),
        (("--mqtt", "mqtt://h", "--topic", "a", "--ca", "f"), "mqtts"),
        (("--mqtt", "mqtts://h", "--topic", "a", "--ca", "/no"), "certificate"),
    ]:  # fmt: skip
        ran = command("watch", "--model", toy, *more)
        assert ran.code == 2 and part in ran.err, ran


# A real Mosquitto on the loopback ---------------------------------------------------------------------------------------------


class Mosquitto:
    """A broker of the test's own. `secure`: TLS with a certificate of its own, and a password."""

    def __init__(self, folder: Path, secure: bool = False) -> None:
        self.folder, self.secure, self.port = folder, secure, free_port()
        self.process: subprocess.Popen[bytes] | None = None
        lines = [
            f"listener {self.port} 127.0.0.1",
            "persistence true",
            f"persistence_location {folder}/",
            "autosave_interval 1",
            "user root",
        ]
        if secure:
            make_certificates(folder)
            subprocess.run(["mosquitto_passwd", "-b", "-c", folder / "passwords", "hub", "secret"], check=True, capture_output=True)
            lines += ["allow_anonymous false", f"password_file {folder}/passwords"]
            lines += [f"cafile {folder}/ca.pem", f"certfile {folder}/broker.pem", f"keyfile {folder}/broker.key"]
        else:
            lines += ["allow_anonymous true"]
        (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")

    def start(self) -> None:
        self.process = subprocess.Popen(
            ["mosquitto", "-c", self.folder / "mosquitto.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("mosquitto does not answer")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_certificates(folder: Path) -> None:
    def openssl(*arguments: object) -> None:
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, cwd=folder)

    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", 2, "-subj", "/CN=test CA")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "broker.key", "-out", "broker.csr", "-subj", "/CN=localhost")
    openssl("x509", "-req", "-in", "broker.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "broker.pem", "-days", 2,
            "-extfile", "names")  # fmt: skip


@pytest.fixture
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Mosquitto]:
    pytest.importorskip("paho.mqtt.client", reason="the extra mqtt is not installed")
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    if shutil.which("mosquitto") is None:
        pytest.skip("mosquitto is not installed (Debian: apt-get install mosquitto)")
    secure = getattr(request, "param", False)
    if secure and (shutil.which("openssl") is None or shutil.which("mosquitto_passwd") is None):
        pytest.skip("openssl or mosquitto_passwd is not installed")
    (tmp_path / "broker").mkdir()
    broker = Mosquitto(tmp_path / "broker", secure)
    broker.start()
    yield broker
    broker.stop()


class Person:
    """Someone else at the broker: sends records, hears everything."""

    def __init__(self, broker: Mosquitto) -> None:
        import paho.mqtt.client as paho
        from paho.mqtt.enums import CallbackAPIVersion

        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id="person", clean_session=False)
        self.heard: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.client.on_message = lambda _, __, m: self.heard.put((m.topic, bytes(m.payload)))
        self.client.on_connect = lambda c, *_: c.subscribe([("answers", 1), ("dead", 1), ("health", 1)])
        if broker.secure:
            self.client.tls_set(str(broker.folder / "ca.pem"))
            self.client.username_pw_set("hub", "secret")
        self.client.reconnect_delay_set(1, 1)
        self.client.connect("127.0.0.1", broker.port)
        self.client.loop_start()

    def send(self, message: Any) -> None:
        data = message if isinstance(message, bytes) else json.dumps(message)
        self.client.publish("records", data, qos=1).wait_for_publish(20)

    def hear(self, topic: str, seconds: float = 25.0) -> dict[str, Any]:
        end = time.monotonic() + seconds
        while True:
            on, payload = self.heard.get(timeout=max(0.01, end - time.monotonic()))
            if on == topic:
                data: dict[str, Any] = json.loads(payload)
                return data

    def __enter__(self) -> Person:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()
        # The callbacks know us and the client knows them; a ring is freed in any order, its sockets perhaps before the client closes them.
        self.client.on_message = self.client.on_connect = None


MQTT = (
    "--topic",
    "records",
    "--out-topic",
    "answers",
    "--dead-topic",
    "dead",
    "--health-topic",
    "health",
    "--client",
    "hub",
    "--id",
    "who",
)


def test_records_come_and_answers_go_over_mqtt(watching: Callable[..., Running], toy: Path, broker: Mosquitto) -> None:
    with Person(broker) as person:
        watch = watching("--model", toy, "--mqtt", f"mqtt://127.0.0.1:{broker.port}", *MQTT)
        watch.says("connected")
        assert person.hear("health")["status"] == "ok"
        person.send({"who": "calm", **CALM})
        person.send({"who": "a", **STRESSED})
        assert person.hear("answers")["id"] == "a"
        for message in MALFORMED:
            person.send(message)
            assert person.hear("dead")["reason"]
        person.send({"who": "b", **STRESSED})
        assert person.hear("answers")["id"] == "b"
        assert watch.end(signal.SIGTERM) == 0
        while person.hear("health")["status"] != "stopped":
            pass
        assert "lots" not in "".join(watch.talk)


def test_a_broker_that_goes_and_comes_back_costs_no_record(watching: Callable[..., Running], toy: Path, broker: Mosquitto) -> None:
    with Person(broker) as person:
        watch = watching("--model", toy, "--mqtt", f"mqtt://127.0.0.1:{broker.port}", *MQTT)
        watch.says("connected")
        for i in range(2):
            person.send({"who": i, **STRESSED})
            assert person.hear("answers")["id"] == i
            time.sleep(1.2)
            broker.stop()
            watch.says("no connection")
            watch.talk.clear()
            broker.start()
            watch.says("connected")
        person.send({"who": "last", **STRESSED})
        assert person.hear("answers")["id"] == "last"
        assert watch.end(signal.SIGTERM) == 0


def test_a_broker_that_is_not_there_yet_is_waited_for(watching: Callable[..., Running], toy: Path, broker: Mosquitto) -> None:
    broker.stop()
    watch = watching("--model", toy, "--mqtt", f"mqtt://127.0.0.1:{broker.port}", *MQTT)
    watch.says("no connection")
    broker.start()
    watch.says("connected")
    assert watch.end(signal.SIGTERM) == 0


@pytest.mark.parametrize("broker", [True], indirect=True, ids=["TLS and password"])
def test_tls_and_password_are_kept_to(watching: Callable[..., Running], toy: Path, broker: Mosquitto, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")
    ca = ("--ca", broker.folder / "ca.pem")
    url = f"mqtts://hub@127.0.0.1:{broker.port}"
    with Person(broker) as person:
        watch = watching("--model", toy, "--mqtt", url, *MQTT, *ca, "--password-file", tmp_path / "password")
        watch.says("connected")
        person.send({"who": "a", **STRESSED})
        assert person.hear("answers")["id"] == "a"
        assert watch.end(signal.SIGTERM) == 0
    wrong = watching("--model", toy, "--mqtt", url, *MQTT, *ca, env={"SENSECF_MQTT_PASSWORD": "guess"})
    assert wrong.process.wait(20) == 1
    wrong.says("refuses us: Not authorized")
    stranger = watching("--model", toy, "--mqtt", url, *MQTT, env={"SENSECF_MQTT_PASSWORD": "secret"})
    stranger.says("certificate")
    assert stranger.end(signal.SIGTERM) == 0


def test_a_url_says_where_and_as_whom() -> None:
    pytest.importorskip("paho.mqtt.client", reason="the extra mqtt is not installed")
    from sensecf_edge.jobs.mqtt import Broker

    assert Broker.parse("mqtts://hub@box.local", "s", None, "x") == Broker("box.local", 8883, True, "hub", "s", None, "x")
    for url in ("box", "mqtt://", "mqtt://h:x", "mqtt://h/path", "ws://h"):
        with pytest.raises(TableError):
            Broker.parse(url)
