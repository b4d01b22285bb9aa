"""MQTT as a way in and out: the only door to paho (extra `mqtt`).

Messages go and come at least once (QoS 1): a record is acknowledged when the broker has its answer, or its dead letter,
or when it is passed over. The connection is made again for as long as the process lives. With a client name of its own
the broker keeps what is not acknowledged, and what comes while we are away; without one, neither comes again.
"""

from __future__ import annotations

import functools
import json
import ssl
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from ..answer.result import Explanation
from ..answer.risk import Risk
from ..errors import SenseCFError, TableError, place
from ..schema.schema import Schema
from ..settings import WATCH
from ..table.unusable import UnusableRecord
from .broker import Broker
from .home_assistant import HomeAssistant
from .ports import Done, MessageQueue, Say, letter, nothing

FINAL_REFUSALS = ("Not authorized", "Bad user name or password", "Client identifier not valid", "Unsupported protocol version")
GOODBYE = 5.0


@dataclass(frozen=True)
class Topics:
    """Where records come from and where everything else goes; None: nowhere."""

    records: str
    answers: str
    dead: str | None = None
    health: str | None = None
    shown: str | None = None

    def __post_init__(self) -> None:
        out = [name for name in (self.answers, self.dead, self.health, self.shown and f"{self.shown}/risk") if name is not None]
        for name in out:
            if not name or "+" in name or "#" in name:
                raise TableError(f"{name!r} is no topic to publish to; give one without + and #")
        try:
            echo = [name for name in out if paho.topic_matches_sub(self.records, name)]
        except ValueError as error:
            raise TableError(f"{self.records!r} is no topic to listen to") from error
        if echo:
            raise TableError(f"{echo[0]} is also listened to by --topic {self.records}: answers would come back as records; choose another")


@dataclass
class _Taken:
    """A record that is here and not acknowledged; `connection` is the one on which the broker waits for that."""

    mid: int
    qos: int
    connection: int


def _guarded(callback: Callable[..., None]) -> Callable[..., None]:
    """An exception in a callback would end the thread that listens, without a word."""

    @functools.wraps(callback)
    def guarded(self: MqttPort, *arguments: Any) -> None:
        try:
            callback(self, *arguments)
        except Exception as error:
            self.fault = f"a fault in this program ({place(error)}); please report it"

    return guarded


class _Client(paho.Client):
    """Keeps why its thread ended: what paho's own code raises there would end it without a word."""

    ended = ""

    def loop_forever(self, timeout: float = 1.0, retry_first_connection: bool = False) -> MQTTErrorCode:
        try:
            return super().loop_forever(timeout, retry_first_connection)
        except Exception as error:
            self.ended = f"the thread that listens to it has ended ({place(error)})"
            return MQTTErrorCode.MQTT_ERR_UNKNOWN


class MqttPort:
    """A Port on a broker. `state` is ok, connecting, disconnected or refused."""

    full = False

    def __init__(self, broker: Broker, topics: Topics, say: Say, home: HomeAssistant | None = None) -> None:
        self.broker, self.topics, self.say, self.home, self.shows = broker, topics, say, home, home is not None
        self.state, self.fault, self._told = "connecting", "", set[str]()
        self.waiting: MessageQueue | None = None
        self.unsent = self._connection = 0
        self._facts = ""
        self._first = threading.Event()
        self._last: paho.MQTTMessageInfo | None = None
        self._lock = threading.Lock()
        self._taken: dict[int, _Taken] = {}
        self._sent: dict[int, Done] = {}
        self._early: set[int] = set()
        self.client = self._client()

    def _client(self) -> _Client:
        broker = self.broker
        client = _Client(CallbackAPIVersion.VERSION2, client_id=broker.client, clean_session=not broker.client, manual_ack=True)
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
        if self.home is not None:
            client.message_callback_add(self.home.birth, self._born)
        client.on_message, client.on_subscribe, client.on_publish = self._came, self._subscribed, self._published
        return client

    def start(self, waiting: MessageQueue) -> None:
        """Connect in the background, now or whenever the broker is there. Raises SenseCFError where it refuses us for good."""
        self.waiting = waiting
        self.client.connect_async(self.broker.host, self.broker.port, keepalive=30)
        self.client.loop_start()
        self._first.wait(WATCH.first_contact)
        if self.fault:
            self.client.loop_stop()
        self.check()

    def check(self) -> None:
        """Raises SenseCFError where the broker refuses us for good, or where nobody listens to it any more."""
        self.fault = self.fault or self.client.ended
        if self.fault:
            self.state = "refused" if self.state == "refused" else "disconnected"
            raise SenseCFError(f"the broker {self._where} cannot be listened to: {self.fault}")

    @property
    def _where(self) -> str:
        return f"{self.broker.host}:{self.broker.port}"

    @_guarded
    def _connected(self, client: paho.Client, _: Any, flags: Any, reason: Any, properties: Any) -> None:
        self._connection += 1
        if reason.is_failure:
            if str(reason) in FINAL_REFUSALS and self.state == "connecting":
                self._refused(f"it refuses us: {reason}; check user, password and access rights")
            self._lost(str(reason))
            self._first.set()
        else:
            client.subscribe([(self.topics.records, 1), *([(self.home.birth, 0)] if self.home is not None else [])])

    @_guarded
    def _subscribed(self, client: paho.Client, _: Any, mid: int, reasons: Any, properties: Any) -> None:
        """Only now records can come."""
        if reasons[0].is_failure:
            self._refused(f"it refuses the subscription to {self.topics.records}; check the access rights of the user")
        else:
            self.state, self._told = "ok", set()
            self.say(f"connected to {self._where}")
            if self.home is not None and reasons[-1].is_failure:
                self.say(f"the broker refuses {self.home.birth}: when Home Assistant starts again, it has to find what the broker kept")
            self._announce()
            self._send_health()
        self._first.set()

    @_guarded
    def _born(self, client: paho.Client, _: Any, message: paho.MQTTMessage) -> None:
        """Home Assistant has started, and knows nothing of us."""
        if message.payload == b"online":
            self._announce()
            self._send_health()

    def _announce(self) -> None:
        if self.home is not None and self.home.facts and self.state == "ok":
            for topic, text, retain in self.home.announce():
                self._send(topic, text, retain=retain)

    def show(self, name: str | int | None, schema: Schema, moment: datetime, risk: Risk, made: Explanation | None) -> None:
        """To Home Assistant, where it is told; not kept by the broker, for it holds values of a person."""
        if self.home is not None and self.state == "ok":
            for topic, text, retain in self.home.show(name, schema, moment, risk, made):
                self._send(topic, text, retain=retain)

    def _refused(self, why: str) -> None:
        self.state, self.fault = "refused", why

    @_guarded
    def _disconnected(self, client: paho.Client, _: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._lost(str(reason))

    @_guarded
    def _failed(self, *_: Any) -> None:
        error = sys.exc_info()[1]
        self._lost(str(getattr(error, "strerror", None) or type(error).__name__))
        self._first.set()

    def _lost(self, why: str) -> None:
        """Each reason is said once, not at every attempt: a broker that was gone may come back with a certificate that is not trusted."""
        if self.state == "refused":
            return
        if why not in self._told:
            self.say(f"no connection to {self._where} ({why}); trying again until there is one")
        self.state, self._told = "disconnected", {*self._told, why}

    @_guarded
    def _came(self, client: paho.Client, _: Any, message: paho.MQTTMessage) -> None:
        """A record. One that is brought again while it still waits here is the same one, not another."""
        if self.waiting is None:
            return
        done: Done = nothing
        if message.qos:
            with self._lock:
                held = self._taken.get(message.mid)
                if message.dup and held is not None and held.connection != self._connection:
                    held.connection = self._connection
                    return
                taken = self._taken[message.mid] = _Taken(message.mid, message.qos, self._connection)
            done = functools.partial(self._acknowledge, taken)
        self.waiting.put(bytes(message.payload), done)

    def _acknowledge(self, taken: _Taken) -> None:
        """The broker may forget the record. After a lost connection it brings it again instead."""
        with self._lock:
            if self._taken.get(taken.mid) is taken:
                del self._taken[taken.mid]
        if taken.connection == self._connection:
            self.client.ack(taken.mid, taken.qos)

    def answer(self, answer: dict[str, Any], done: Done) -> None:
        """Published, or kept for when the connection is back; beyond a limit it is lost, counted, and its record not acknowledged."""
        self._send(self.topics.answers, json.dumps(answer, allow_nan=False), done)

    def dead(self, data: bytes | None, unusable: UnusableRecord, done: Done) -> None:
        """To the dead-letter topic, where there is one."""
        if self.topics.dead:
            self._send(self.topics.dead, letter(data, unusable), done)
        else:
            done()

    def health(self, facts: dict[str, Any]) -> None:
        """Retained, so that whoever subscribes later knows at once."""
        self._facts = json.dumps({**facts, "unsent": self.unsent})
        if self.home is not None and self.home.facts.get("bundle") != facts["bundle"]:
            self.home.facts = facts
            self._announce()
        if self.state == "ok":
            self._send_health()

    def _send_health(self) -> None:
        if self.topics.health and self._facts:
            self._send(self.topics.health, self._facts, retain=True)

    def _send(self, topic: str, text: str, done: Done = nothing, retain: bool = False) -> None:
        self._last = info = self.client.publish(topic, text, qos=1, retain=retain)
        if info.rc == paho.MQTT_ERR_QUEUE_SIZE:
            self.unsent += 1
            return
        with self._lock:  # not around publish: the thread that listens holds paho's own lock when it comes to `_published`
            early = info.mid in self._early
            self._early.discard(info.mid)
            if not early:
                self._sent[info.mid] = done
        if early:
            done()

    @_guarded
    def _published(self, client: paho.Client, _: Any, mid: int, reason: Any, properties: Any) -> None:
        """The broker has it."""
        with self._lock:
            done = self._sent.pop(mid, None)
            if done is None:
                self._early.add(mid)
        if done is not None:
            done()

    def close(self) -> None:
        """What was published last is waited for, a few seconds long."""
        if self._last is not None and self.state == "ok":
            try:
                self._last.wait_for_publish(GOODBYE)
            except (RuntimeError, ValueError):
                self.unsent += 1
        self.client.disconnect()
        self.client.loop_stop()
        self.client.reinitialise()  # closes what a thread that ended in the middle leaves open
