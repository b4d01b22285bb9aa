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
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import jinja2
import jsonschema
import pytest
from cohort import PROGRAM
from conftest import CALM, PATIENCE, STRESSED, Ran, toy_manifest

from sensecf_edge.answer.result import Explanation
from sensecf_edge.answer.risk import Risk
from sensecf_edge.bundle.bundle import Bundle, write_manifest
from sensecf_edge.errors import EngineError, SenseCFError, TableError
from sensecf_edge.explain import Explainer
from sensecf_edge.report import short
from sensecf_edge.table.unusable import UnusableRecord
from sensecf_edge.watch import age
from sensecf_edge.watch.home_assistant import HomeAssistant, slug
from sensecf_edge.watch.ports import MessageQueue
from sensecf_edge.watch.watcher import FAULTS, Watch, Watcher

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

    def answer(self, seconds: float = PATIENCE) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self.out.get(timeout=seconds))
        return data

    def says(self, text: str, seconds: float = PATIENCE) -> None:
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
        code = self.process.wait(PATIENCE)
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
    waiting = MessageQueue(2, policy)
    for i in range(4):
        waiting.put(str(i).encode())
    assert (waiting.received, waiting.dropped) == (4, 2)
    assert [m.data for m in (waiting.take(0), waiting.take(0)) if m] == kept
    assert waiting.take(0.01) is None


def test_a_sender_that_must_wait_loses_nothing() -> None:
    waiting, came = MessageQueue(2, "block"), []
    sender = threading.Thread(target=lambda: [waiting.put(str(i).encode()) for i in range(50)] and waiting.end())
    sender.start()
    while (message := waiting.take(PATIENCE)) is not None:
        assert len(waiting) <= 2
        came.append(message.data)
    sender.join()
    assert came == [str(i).encode() for i in range(50)] and waiting.dropped == 0


class ScriptedPort:
    """A Port that hands out a list and keeps what it is given."""

    state = "ok"
    full = shows = False

    def __init__(self, *messages: bytes) -> None:
        self.messages = messages
        self.answers: list[dict[str, Any]] = []
        self.letters: list[UnusableRecord] = []
        self.facts: list[dict[str, Any]] = []

    def start(self, waiting: MessageQueue) -> None:
        for message in self.messages:
            waiting.put(message)
        waiting.end()

    def check(self) -> None:
        pass

    def answer(self, answer: dict[str, Any], done: Callable[[], None]) -> None:
        self.answers.append(answer)
        done()

    def dead(self, data: bytes | None, unusable: UnusableRecord, done: Callable[[], None]) -> None:
        self.letters.append(unusable)
        done()

    def show(self, *_: object) -> None:
        raise AssertionError("nobody looks")

    def health(self, facts: dict[str, Any]) -> None:
        self.facts.append(facts)

    def close(self) -> None:
        pass


def test_explanations_keep_their_distance_whatever_the_wall_clock_does(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port, now = ScriptedPort(*[json.dumps(STRESSED).encode()] * 60), [1000.0]
    watcher = Watcher(Watch(str(toy), every=10.0), port, lambda _: None)
    looks = watcher._is_due

    def a_second_later(name: Any, record: Any) -> bool:
        now[0] += 1.0
        return looks(name, record)

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
        (("--mqtt", "mqtt://hub.example", "--topic", "a"), "--plain"), (("--plain",), "--plain needs --mqtt"),
        (("--dead", "f", "--health", "./f"), "one file"),
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
            self.process.wait(PATIENCE)
            self.process = None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_certificates(folder: Path) -> None:
    def openssl(*arguments: object) -> None:
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, cwd=folder)

    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", 2, "-subj", "/CN=test CA",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign")  # fmt: skip
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


HEARD = ("answers", "answers/now/#", "dead", "health", "homeassistant/device/#")


class Person:
    """Someone else at the broker: sends records, hears everything."""

    def __init__(self, broker: Mosquitto) -> None:
        import paho.mqtt.client as paho
        from paho.mqtt.enums import CallbackAPIVersion

        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id="person", clean_session=False)
        self.heard: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.client.on_message = lambda _, __, m: self.heard.put((m.topic, bytes(m.payload)))
        self.client.on_connect = lambda c, *_: c.subscribe([(topic, 1) for topic in HEARD])
        if broker.secure:
            self.client.tls_set(str(broker.folder / "ca.pem"))
            self.client.username_pw_set("hub", "secret")
        self.client.reconnect_delay_set(1, 1)
        self.client.connect("127.0.0.1", broker.port)
        self.client.loop_start()

    def send(self, message: Any) -> None:
        data = message if isinstance(message, bytes) else json.dumps(message)
        end = time.monotonic() + PATIENCE
        while not self.client.is_connected() and time.monotonic() < end:  # a broker that has just come back
            time.sleep(0.02)
        self.client.publish("records", data, qos=1).wait_for_publish(PATIENCE)

    def hear(self, topic: str, seconds: float = PATIENCE) -> dict[str, Any]:
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
    assert wrong.process.wait(PATIENCE) == 1
    wrong.says("refuses us: Not authorized")
    stranger = watching("--model", toy, "--mqtt", url, *MQTT, env={"SENSECF_MQTT_PASSWORD": "secret"})
    stranger.says("certificate")
    assert stranger.end(signal.SIGTERM) == 0
    watch = watching("--model", toy, "--mqtt", url, *MQTT, *ca, "--password-file", tmp_path / "password")
    watch.says("connected")
    broker.stop()
    watch.says("no connection")
    (tmp_path / "other").mkdir()
    make_certificates(tmp_path / "other")
    for name in ("broker.pem", "broker.key"):
        shutil.copy(tmp_path / "other" / name, broker.folder)
    broker.start()
    watch.says("certificate")  # a second reason of the same outage
    assert watch.end(signal.SIGTERM) == 0


def test_a_url_says_where_and_as_whom() -> None:
    pytest.importorskip("paho.mqtt.client", reason="the extra mqtt is not installed")
    from sensecf_edge.watch.broker import Broker

    assert Broker.parse("mqtts://hub@box.local", "s", None, "x") == Broker("box.local", 8883, True, "hub", "s", None, "x")
    for url in ("box", "mqtt://", "mqtt://h:x", "mqtt://h/path", "ws://h"):
        with pytest.raises(TableError):
            Broker.parse(url)


def test_plain_text_is_for_this_machine_unless_it_is_allowed_and_no_password_is_shown() -> None:
    pytest.importorskip("paho.mqtt.client", reason="the extra mqtt is not installed")
    from sensecf_edge.watch.broker import Broker

    for host in ("localhost", "127.0.0.1", "127.9.9.9", "[::1]", "LOCALHOST"):
        assert not Broker.parse(f"mqtt://{host}").tls
        with pytest.raises(TableError, match="password in clear"):
            Broker.parse(f"mqtt://hub@{host}", "secret")
    for host in ("hub.local", "192.168.0.2", "localhost.example.org", "[fe80::1]", "0.0.0.0"):
        with pytest.raises(TableError, match="records in clear"):
            Broker.parse(f"mqtt://{host}")
        assert Broker.parse(f"mqtt://{host}", plain=True) and Broker.parse(f"mqtts://{host}")
    assert "secret" not in repr(Broker.parse("mqtts://hub@h", "secret"))


def test_explanations_of_different_ids_do_not_wait_for_each_other(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    messages = [json.dumps({"who": i % 3, **STRESSED}).encode() for i in range(9)]
    port, now = ScriptedPort(*messages), [1000.0]
    watcher = Watcher(Watch(str(toy), every=5.0, id="who"), port, lambda _: None)
    looks = watcher._is_due

    def a_second_later(name: Any, record: Any) -> bool:
        now[0] += 1.0
        return looks(name, record)

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(watcher, "_is_due", a_second_later)
    watcher.run()
    assert [a["number"] for a in port.answers] == [1, 2, 3, 7, 8, 9] and len(watcher.due) == 3
    now[0] += 100
    watcher._not_before("other", now[0])
    assert list(watcher.due) == ["other"], "who waits no more is forgotten"


def test_dead_letters_wait_for_a_full_disk_and_the_answers_go_on(watching: Callable[..., Running], toy: Path, tmp_path: Path) -> None:
    place = tmp_path / "dead.jsonl"
    place.symlink_to("/dev/full")
    watch = watching("--model", toy, "--dead", place, "--health", tmp_path / "health.json")
    watch.send(b"{", STRESSED)
    watch.answer()
    watch.says("cannot write")
    place.unlink()
    watch.send(b"[]", STRESSED)
    watch.answer()
    watch.says("written again")
    assert watch.end() == 0
    assert [json.loads(line)["message"] for line in place.read_text().splitlines()] == ["{", "[]"]
    full = watching("--model", toy, "--dead", "/dev/full")
    full.send(b"{")
    full.says("cannot write")
    assert full.end() == 1 and "are lost" in full.talk[-1]


def test_a_watch_does_not_read_what_it_writes(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("{\n")
    with (tmp_path / "in").open() as stdin, (tmp_path / "in").open("a") as stdout:
        for out, more in ((stdout, ()), (subprocess.PIPE, ("--dead", tmp_path / "in"))):
            arguments = [*PROGRAM, "watch", "--model", toy, *more]
            ran = subprocess.run(arguments, stdin=stdin, stdout=out, stderr=subprocess.PIPE, timeout=PATIENCE)
            assert ran.returncode == 2 and b"different files" in ran.stderr
    assert (tmp_path / "in").read_text() == "{\n"


@pytest.mark.parametrize("stream", ["stdin", "stdout", "stderr"])
def test_the_health_takes_the_place_of_no_file_that_is_read_or_written(stream: str, toy: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("{}\n")
    os.link(tmp_path / "file", tmp_path / "other name")
    arguments = [*PROGRAM, "watch", "--model", toy, "--health", tmp_path / "other name"]
    with (tmp_path / "file").open("a+") as file:
        streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: file}
        assert subprocess.run(arguments, timeout=PATIENCE, **streams).returncode == 2
    assert (tmp_path / "file").samefile(tmp_path / "other name") and (tmp_path / "file").read_text().startswith("{}\n")


def test_the_health_takes_the_place_of_no_device(toy: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "health")
    with pytest.raises(TableError, match="no plain file"):
        Watcher(Watch(str(toy), health=tmp_path / "health"), ScriptedPort(), print)


@pytest.mark.parametrize("command", ["watch", "batch"])
def test_a_signal_that_is_to_be_ignored_stays_ignored(command: str, watching: Callable[..., Running], toy: Path, tmp_path: Path) -> None:
    wish = {"watch": "", "batch": f"- -o {tmp_path}/out.csv"}[command]
    program = f"trap '' INT; exec {' '.join(PROGRAM)} {command} {wish} --model {toy}"
    process = subprocess.Popen(["sh", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(json.dumps(STRESSED).encode() + b"\n")
    process.stdin.flush()
    if command == "watch":
        assert process.stdout.readline()
    else:
        time.sleep(2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err


class Refusing(threading.Thread):
    """A broker that takes the connection, answers a subscription with `code`, and hands out `messages` once."""

    def __init__(self, code: int, *messages: bytes) -> None:
        super().__init__(daemon=True)
        self.code, self.messages = code, messages
        self.acknowledged: list[int] = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.start()

    def run(self) -> None:
        connection, _ = self.socket.accept()
        with connection, connection.makefile("rb") as file:
            while head := file.read(1):
                length, shift = 0, 0
                while True:
                    byte = file.read(1)[0]
                    length, shift = length | (byte & 127) << shift, shift + 7
                    if byte < 128:
                        break
                self.heard(connection, head[0], file.read(length))

    def heard(self, connection: socket.socket, head: int, body: bytes) -> None:
        if head >> 4 == 1:
            connection.sendall(b"\x20\x02\x00\x00")
        if head >> 4 == 8:
            connection.sendall(b"\x90\x03" + body[:2] + bytes([self.code]))
            for i, message in enumerate(self.messages, 1):
                packet = b"\x00\x07records" + i.to_bytes(2, "big") + message
                assert len(packet) < 128
                connection.sendall(bytes([0x32, len(packet)]) + packet)
        if head >> 4 == 4:
            self.acknowledged.append(int.from_bytes(body[:2], "big"))
        if head >> 4 == 3 and head & 6:
            topic = int.from_bytes(body[:2], "big")
            connection.sendall(b"\x40\x02" + body[2 + topic : 4 + topic])

    def close(self) -> None:
        self.join(5)
        self.socket.close()


def test_a_refused_subscription_is_a_refusal_and_no_quiet_watch(command: Command, toy: Path) -> None:
    pytest.importorskip("paho.mqtt.client", reason="the extra mqtt is not installed")
    broker = Refusing(0x80)
    ran = command("watch", "--model", toy, "--mqtt", f"mqtt://127.0.0.1:{broker.port}", "--topic", "records")
    broker.close()
    assert ran.code == 1 and "refuses the subscription to records" in ran.err and ran.err.count("Error") == 1


def test_a_record_is_acknowledged_when_it_is_answered_and_not_before() -> None:
    pytest.importorskip("paho.mqtt.client", reason="the extra mqtt is not installed")
    from sensecf_edge.watch.broker import Broker
    from sensecf_edge.watch.mqtt import MqttPort, Topics

    broker = Refusing(1, b"1", b"2", b"3")
    waiting = MessageQueue(10, "block")
    port = MqttPort(Broker.parse(f"mqtt://127.0.0.1:{broker.port}", client="hub"), Topics("records", "out"), lambda _: None)
    port.start(waiting)
    messages = [waiting.take(PATIENCE), waiting.take(PATIENCE), waiting.take(PATIENCE)]
    time.sleep(0.3)
    assert port.state == "ok" and broker.acknowledged == []
    first, second, _ = (m for m in messages if m is not None)
    port.answer({"number": 1}, first.done)
    port.dead(second.data, UnusableRecord("no record", "send one"), second.done)
    end = time.monotonic() + PATIENCE
    while sorted(broker.acknowledged) != [1, 2] and time.monotonic() < end:
        time.sleep(0.02)
    assert sorted(broker.acknowledged) == [1, 2]
    port.close()
    broker.close()


def test_a_callback_that_fails_ends_the_watch_in_words() -> None:
    pytest.importorskip("paho.mqtt.client", reason="the extra mqtt is not installed")
    from sensecf_edge.watch.broker import Broker
    from sensecf_edge.watch.mqtt import MqttPort, Topics

    def say(_: str) -> None:
        raise BrokenPipeError(32, "nobody listens")

    broker = Refusing(1, b"1")
    port = MqttPort(Broker.parse(f"mqtt://127.0.0.1:{broker.port}"), Topics("records", "out"), say)
    with pytest.raises(SenseCFError, match="a fault in this program"):
        port.start(MessageQueue(10, "block"))
    assert port.state != "ok"
    port.close()
    broker.close()


def test_a_bundle_that_ends_the_process_that_tries_it_is_not_taken(toy_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    port = ScriptedPort(json.dumps(STRESSED).encode())
    watcher = Watcher(Watch(str(toy_copy)), port, said.append)
    (toy_copy / "CARD.md").write_text(f"# Another, which this machine does not know: {time.time_ns()}")
    write_manifest(toy_copy, toy_manifest())
    monkeypatch.setattr("sensecf_edge.trial._CHILD", "import os; os.abort()")
    watcher.reload()
    watcher.run()
    assert any("kept the old bundle" in text and "SIGABRT" in text for text in said) and len(port.answers) == 1


# The age of records -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "seconds"),
    [("2026-05-01T08:00:00Z", 60.0), ("2026-05-01T10:00:30+02:00", 30.0), (1777622460, 0.0), (1777622460_000.0 - 2500, 2.5),
     ("2026-05-01T08:03:00+00:00", 0.0)],
)  # fmt: skip
def test_a_time_is_text_with_an_offset_or_a_number_of_seconds_or_milliseconds(told: Any, seconds: float) -> None:
    assert age.age(age.measured(told), datetime(2026, 5, 1, 8, 1, tzinfo=timezone.utc)) == seconds


@pytest.mark.parametrize("told", [None, True, "", "yesterday", "2026-05-02T08:00:00", "2026-05-02", [], float("inf"), 1e30, "1e400"])
def test_what_is_no_time_is_refused_without_its_value(told: Any) -> None:
    with pytest.raises(ValueError) as refused:
        age.measured(told)
    assert not told or str(told) not in str(refused.value)


def test_records_of_long_ago_are_not_answered_and_those_of_unknown_age_are_put_aside(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime(2026, 5, 1, 8, 0, tzinfo=timezone.utc)
    times = [now - timedelta(seconds=40), now - timedelta(seconds=90), now + timedelta(hours=2), None]
    messages = [json.dumps({**STRESSED, "at": at and at.isoformat()}).encode() for at in times]
    monkeypatch.setattr(age, "now", lambda: now)
    port = ScriptedPort(*messages)
    Watcher(Watch(str(toy), time="at", max_age=60.0), port, lambda _: None).run()
    assert [(a["number"], a["age"]) for a in port.answers] == [(1, 40.0)] and port.facts[-1]["too_old"] == 1
    assert port.facts[-1]["newest"] == "2026-05-01T07:59:20+00:00"
    assert [letter.reason for letter in port.letters] == [
        "at lies in the future by this machine's clock; set the clock of the one that is wrong",
        "at is missing or no time; give ISO 8601 with an offset, or seconds since 1970",
    ]
    monkeypatch.setattr(age, "now", lambda: datetime(1970, 1, 1, tzinfo=timezone.utc))
    for limit, answered in ((60.0, 0), (None, 1)):
        port = ScriptedPort(messages[0])
        Watcher(Watch(str(toy), time="at", max_age=limit), port, lambda _: None).run()
        assert len(port.answers) == answered == 1 - len(port.letters)
        assert all("clock, which has not been set" in letter.reason for letter in port.letters)
    with pytest.raises(TableError, match="is a feature"):
        Watcher(Watch(str(toy), time="steps"), ScriptedPort(), print)


def test_a_record_of_the_future_does_not_stay_the_newest_for_years(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime(2026, 5, 1, 8, 0, tzinfo=timezone.utc)
    monkeypatch.setattr(age, "now", lambda: now)
    port = ScriptedPort(*(json.dumps({**STRESSED, "at": at}).encode() for at in ("2099-01-01T00:00:00Z", "2026-05-01T07:00:00Z")))
    Watcher(Watch(str(toy), time="at"), port, lambda _: None).run()
    assert len(port.answers) == 2 and port.facts[-1]["newest"] == now.isoformat(timespec="seconds")


# Home Assistant ---------------------------------------------------------------------------------------------------------------

TEXT = {"type": "string", "minLength": 1}
SENSOR = {
    "type": "object", "required": ["platform", "unique_id", "name", "state_topic", "value_template"], "additionalProperties": False,
    "properties": {
        **dict.fromkeys(("unique_id", "name", "state_topic", "value_template", "json_attributes_topic", "unit_of_measurement"), TEXT),
        "platform": {"const": "sensor"}, "icon": {"pattern": "^mdi:[a-z-]+$"}, "device_class": {"enum": ["timestamp"]},
        "state_class": {"enum": ["measurement", "total_increasing"]}, "expire_after": {"type": "integer", "minimum": 1},
        "entity_category": {"enum": ["diagnostic"]}, "suggested_display_precision": {"type": "integer", "minimum": 0},
    },
    "not": {"required": ["device_class", "unit_of_measurement"]},
}  # fmt: skip
DEVICE = {
    "type": "object", "required": ["device", "origin", "components"], "additionalProperties": False,
    "properties": {
        "device": {"type": "object", "required": ["identifiers", "name"], "additionalProperties": False, "properties": {
            **dict.fromkeys(("name", "manufacturer", "model", "sw_version", "hw_version", "via_device"), TEXT),
            "identifiers": {"type": "array", "minItems": 1, "items": TEXT}}},
        "origin": {"type": "object", "required": ["name"], "additionalProperties": False,
                   "properties": dict.fromkeys(("name", "sw_version", "support_url"), TEXT)},
        "availability": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["topic"], "additionalProperties": False,
                         "properties": dict.fromkeys(("topic", "value_template", "payload_available", "payload_not_available"), TEXT)}},
        "components": {"type": "object", "minProperties": 1, "additionalProperties": SENSOR},
        "qos": {"enum": [0, 1, 2]},
    },
}  # fmt: skip
"""What Home Assistant's MQTT integration accepts as a device's discovery (its own checks, stated anew), as far as we use it."""


def shown(sensor: dict[str, Any], payload: dict[str, Any]) -> str:
    """What Home Assistant makes of a message."""
    return str(jinja2.Template(sensor["value_template"]).render(value_json=payload))


def test_home_assistant_finds_the_watch_and_every_person_and_is_told_again_when_it_starts(
    watching: Callable[..., Running], toy: Path, broker: Mosquitto
) -> None:
    url = f"mqtt://127.0.0.1:{broker.port}"
    with Person(broker) as person:
        watch = watching("--model", toy, "--mqtt", url, *MQTT, "--home-assistant", "--time", "at", "--max-age", 600)
        hub = person.hear("homeassistant/device/sensecf-edge_hub/config")
        person.send({"who": "Ann B", "at": time.time() - 5, **STRESSED})
        (id_,) = (f"sensecf-edge_hub_{slug('Ann B')}",)
        ann = person.hear(f"homeassistant/device/{id_}/config")
        for config in (hub, ann):
            jsonschema.validate(config, DEVICE)
        sensors = ann["components"]
        assert set(sensors) == {"risk", "advice", "newest"} and ann["device"]["via_device"] == hub["device"]["identifiers"][0]
        ids = [s["unique_id"] for config in (hub, ann) for s in config["components"].values()]
        assert len(set(ids)) == len(ids) and sensors["risk"]["expire_after"] == 600
        risk, advice = person.hear(sensors["risk"]["state_topic"]), person.hear(sensors["advice"]["state_topic"])
        made = Explanation.from_json(person.hear("answers")["explanation"])
        assert float(shown(sensors["risk"], risk)) == round(100 * made.risk.now, 2)
        assert datetime.fromisoformat(shown(sensors["newest"], risk)) <= datetime.now(timezone.utc)
        said = shown(sensors["advice"], advice)
        assert said.startswith("The model would put the risk at") and len(said) <= 255 and "not medical advice" in advice["note"]
        person.send({"who": "Ann B", "at": time.time() - 300, **CALM})  # came late: what is newer stays
        person.send({"who": "Ann B", "at": time.time(), **CALM})
        assert person.hear(sensors["risk"]["state_topic"])["risk"] < risk["risk"]
        assert "calm, as wanted" in shown(sensors["advice"], person.hear(sensors["advice"]["state_topic"]))
        while (health := person.hear("health"))["status"] != "ok":
            pass
        assert shown({"value_template": hub["availability"][0]["value_template"]}, health) == "online"
        person.client.publish("homeassistant/status", "online").wait_for_publish(PATIENCE)
        assert person.hear("homeassistant/device/sensecf-edge_hub/config") == hub
        assert person.hear(f"homeassistant/device/{id_}/config") == ann
        assert watch.end(signal.SIGKILL) == -9
        while (health := person.hear("health"))["status"] == "ok":
            pass
        assert shown({"value_template": hub["availability"][0]["value_template"]}, health) == "offline"
    assert {"homeassistant/device/sensecf-edge_hub/config", f"homeassistant/device/{id_}/config", "health"} == kept(broker)


def kept(broker: Mosquitto) -> set[str]:
    """Topics of what the broker kept for somebody who comes when all is over."""
    import paho.mqtt.client as paho
    from paho.mqtt.enums import CallbackAPIVersion

    topics: set[str] = set()
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _, __, message: topics.add(message.topic)
    client.on_connect = lambda c, *_: c.subscribe("#")
    client.on_subscribe = lambda c, *_: c.publish("mark", b"", qos=1)  # comes behind all that was kept
    client.connect("127.0.0.1", broker.port)
    end = time.monotonic() + PATIENCE
    while "mark" not in topics and time.monotonic() < end:
        client.loop(0.1)
    client.disconnect()
    client.on_message = client.on_connect = client.on_subscribe = None
    return topics - {"mark"}


def test_home_assistant_gets_no_more_devices_than_a_home_holds() -> None:
    home = HomeAssistant("hub", "now", "health", 60, named=True)
    moment, risk = datetime(2026, 5, 1, tzinfo=timezone.utc), Risk(0.5, 0.5, 0.5, 0.5, 0.5)
    schema = Bundle.open("heart").schema
    sent = [list(home.show(i, schema, moment, risk, None)) for i in range(60)]
    assert sum(map(bool, sent)) == 50 and home.refused == 10 and len(list(home.announce())) == 51
    assert list(home.show(3, schema, moment - timedelta(seconds=1), risk, None)) == []


def test_one_line_holds_what_is_said_and_ends_between_words() -> None:
    with Explainer.load("heart") as explainer:
        for sample in explainer.bundle.samples:
            made = explainer.explain(sample.values)
            assert 20 < len(short.line(made, explainer.schema)) <= 255
    assert short.cut("one two three", 9) == "one two…" and short.cut("one", 3) == "one"


def test_a_thread_that_ends_ends_the_watch_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("paho.mqtt.client", reason="the extra mqtt is not installed")
    from sensecf_edge.watch.broker import Broker
    from sensecf_edge.watch.mqtt import MqttPort, Topics

    def broken(*_: Any) -> None:
        raise RuntimeError("70 kg")

    port = MqttPort(Broker.parse("mqtt://127.0.0.1:1"), Topics("records", "out"), lambda _: None)
    monkeypatch.setattr(port.client, "reconnect", broken)
    with pytest.raises(SenseCFError, match=r"cannot be listened to: the thread that listens to it has ended \(RuntimeError"):
        port.start(MessageQueue(10, "block"))
    assert port.state == "disconnected"
    port.close()
