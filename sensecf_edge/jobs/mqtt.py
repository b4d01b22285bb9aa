"""MQTT as a way in and out: the only door to paho (extra `mqtt`).

Messages go and come at least once (QoS 1). The connection is made again for as long as the process lives. With a
client name of its own the broker keeps messages while we are away; without one, what came meanwhile is not seen.
"""

from __future__ import annotations

import json
import ssl
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from ..errors import SenseCFError, TableError
from ..settings import WATCH
from .problem import Problem
from .stream import Say, Waiting, letter

PORTS = {"mqtt": 1883, "mqtts": 8883}
FINAL_REFUSALS = ("Not authorized", "Bad user name or password", "Client identifier not valid", "Unsupported protocol version")
GOODBYE = 5.0


@dataclass(frozen=True)
class Broker:
    """Where and as whom. Make one with `Broker.parse`, so that no password stands on a command line."""

    host: str
    port: int
    tls: bool
    user: str | None
    password: str | None
    ca: Path | None
    client: str

    @classmethod
    def parse(cls, url: str, password: str | None = None, ca: Path | None = None, client: str = "") -> Broker:
        """mqtt://[USER@]HOST[:PORT] or mqtts://…. Raises TableError."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise TableError("--mqtt is no URL; give mqtt://HOST:PORT or mqtts://HOST:PORT") from error
        if parts.scheme not in PORTS or not parts.hostname or parts.path.strip("/") or parts.query:
            raise TableError("--mqtt is no URL of a broker; give mqtt://HOST:PORT or mqtts://HOST:PORT")
        if parts.password is not None:
            raise TableError(
                "a password on the command line can be read by everyone on this machine; set SENSECF_MQTT_PASSWORD or give --password-file"
            )
        if password is not None and not parts.username:
            raise TableError("there is a password but no user; give mqtt://USER@HOST")
        if ca is not None and parts.scheme != "mqtts":
            raise TableError("--ca needs TLS; give mqtts://HOST")
        return cls(parts.hostname, port or PORTS[parts.scheme], parts.scheme == "mqtts", parts.username, password, ca, client)


@dataclass(frozen=True)
class Topics:
    """Where records come from and where everything else goes; None: nowhere."""

    records: str
    answers: str
    dead: str | None = None
    health: str | None = None

    def __post_init__(self) -> None:
        for name in (self.answers, self.dead, self.health):
            if name is not None and (not name or "+" in name or "#" in name):
                raise TableError(f"{name!r} is no topic to publish to; give one without + and #")
        try:
            echo = [n for n in (self.answers, self.dead, self.health) if n is not None and paho.topic_matches_sub(self.records, n)]
        except ValueError as error:
            raise TableError(f"{self.records!r} is no topic to listen to") from error
        if echo:
            raise TableError(
                f"{echo[0]} is also listened to with --topic {self.records}: answers would come back as records; choose another"
            )


class MqttPort:
    """A Port on a broker. `state` is ok, connecting or disconnected."""

    def __init__(self, broker: Broker, topics: Topics, say: Say) -> None:
        self.broker, self.topics, self.say = broker, topics, say
        self.state = "connecting"
        self.waiting: Waiting | None = None
        self.unsent = 0
        self._facts = ""
        self._refused = ""
        self._first = threading.Event()
        self._last: paho.MQTTMessageInfo | None = None
        self.client = self._client()

    def _client(self) -> paho.Client:
        broker = self.broker
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id=broker.client, clean_session=not broker.client)
        if broker.user:
            client.username_pw_set(broker.user, broker.password)
        if broker.tls:
            try:
                client.tls_set_context(ssl.create_default_context(cafile=str(broker.ca) if broker.ca else None))
            except (OSError, ssl.SSLError) as error:
                raise TableError(f"cannot use the certificate {broker.ca}: {error.strerror or error}; give the CA's PEM file") from error
        client.reconnect_delay_set(1, WATCH.longest_pause)
        client.max_queued_messages_set(WATCH.unsent)
        if self.topics.health:
            client.will_set(self.topics.health, json.dumps({"status": "gone"}), qos=1, retain=True)
        client.on_connect, client.on_disconnect, client.on_connect_fail = self._connected, self._disconnected, self._failed
        client.on_message = self._came
        return client

    def start(self, waiting: Waiting) -> None:
        """Connect in the background, now or whenever the broker is there. Raises SenseCFError where it refuses us for good."""
        self.waiting = waiting
        self.client.connect_async(self.broker.host, self.broker.port, keepalive=30)
        self.client.loop_start()
        self._first.wait(WATCH.first_contact)
        if self._refused:
            self.client.loop_stop()
            raise SenseCFError(f"the broker {self._where} refuses us: {self._refused}; check user, password and access rights")

    @property
    def _where(self) -> str:
        return f"{self.broker.host}:{self.broker.port}"

    def _connected(self, client: paho.Client, _: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            if str(reason) in FINAL_REFUSALS and self.state == "connecting":
                self._refused = str(reason)
            self._lost(str(reason))
        else:
            client.subscribe(self.topics.records, qos=1)
            self.state = "ok"
            self.say(f"connected to {self._where}")
            self._send_health()
        self._first.set()

    def _disconnected(self, client: paho.Client, _: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._lost(str(reason))

    def _failed(self, *_: Any) -> None:
        error = sys.exc_info()[1]
        self._lost(str(getattr(error, "strerror", None) or type(error).__name__))
        self._first.set()

    def _lost(self, why: str) -> None:
        """Said once, not at every attempt."""
        if self.state != "disconnected":
            self.say(f"no connection to {self._where} ({why}); trying again until there is one")
        self.state = "disconnected"

    def _came(self, client: paho.Client, _: Any, message: paho.MQTTMessage) -> None:
        if self.waiting is not None:
            self.waiting.put(bytes(message.payload))

    def answer(self, answer: dict[str, Any]) -> None:
        """Published, or kept for when the connection is back; beyond a limit it is lost and counted."""
        self._send(self.topics.answers, json.dumps(answer, allow_nan=False))

    def dead(self, data: bytes | None, problem: Problem) -> None:
        """To the dead-letter topic, where there is one."""
        if self.topics.dead:
            self._send(self.topics.dead, letter(data, problem))

    def health(self, facts: dict[str, Any]) -> None:
        """Retained, so that whoever subscribes later knows at once."""
        self._facts = json.dumps({**facts, "unsent": self.unsent})
        if self.state == "ok":
            self._send_health()

    def _send_health(self) -> None:
        if self.topics.health and self._facts:
            self._last = self.client.publish(self.topics.health, self._facts, qos=1, retain=True)

    def _send(self, topic: str, text: str) -> None:
        self._last = self.client.publish(topic, text, qos=1)
        if self._last.rc == paho.MQTT_ERR_QUEUE_SIZE:
            self.unsent += 1

    def close(self) -> None:
        """What was published last is waited for, a few seconds long."""
        if self._last is not None and self.state == "ok":
            try:
                self._last.wait_for_publish(GOODBYE)
            except (RuntimeError, ValueError):
                self.unsent += 1
        self.client.disconnect()
        self.client.loop_stop()
