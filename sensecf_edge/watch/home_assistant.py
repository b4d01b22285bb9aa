"""What Home Assistant is told over MQTT: which devices and sensors there are, and what they show. Makes messages, sends none.

One device for the watch itself, and where records have ids one for each of them, so that nobody's risk stands where another's stood.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .. import __version__
from ..answer.result import Explanation
from ..answer.risk import Risk
from ..report import short
from ..report.rendering import DISCLAIMER
from ..schema.schema import Schema

MOST_DEVICES = 50
"""Ids that get a device of their own: a key that names every record anew must not fill somebody's home with devices."""
ONLINE = "{{ 'online' if value_json.status == 'ok' else 'offline' }}"

Sent = tuple[str, str, bool]
"""A topic, a message, and whether the broker keeps it."""


def slug(text: str) -> str:
    """As topics and ids may be written; what had to be altered is told apart by a hash."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", text)[:40]
    return plain if plain == text else f"{plain}_{hashlib.sha256(text.encode()).hexdigest()[:6]}"


@dataclass
class HomeAssistant:
    """Discovery and states. `topic` is what states stand under, `health` the topic of the health; `expire` seconds after which a
    state counts as unknown; `prefix` Home Assistant's own discovery prefix; `named`: records have ids."""

    name: str
    topic: str
    health: str
    expire: int
    prefix: str = "homeassistant"
    named: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    newest: dict[str, datetime] = field(default_factory=dict)
    refused: int = 0

    @property
    def birth(self) -> str:
        """Where Home Assistant says that it has started, so that everything is told again."""
        return f"{self.prefix}/status"

    @property
    def id(self) -> str:
        """Of the watch, among all devices."""
        return slug(f"sensecf-edge_{self.name}")

    def announce(self) -> Iterator[Sent]:
        """Every device with its sensors: at the start, and whenever Home Assistant starts."""
        sensors = self._diagnostics() | ({} if self.named else self._sensors(self.id))
        yield self._config(self.id, self._device(self.id, f"SenseCF-Edge {self.name}"), sensors)
        for device in list(self.newest) if self.named else ():
            yield self._of_person(device)

    def _of_person(self, device: str) -> Sent:
        about = self._device(f"{self.id}_{device}", f"SenseCF-Edge {device}") | {"via_device": self.id}
        return self._config(f"{self.id}_{device}", about, self._sensors(f"{self.id}_{device}", device))

    def show(self, name: str | int | None, schema: Schema, moment: datetime, risk: Risk, made: Explanation | None) -> Iterator[Sent]:
        """What one record says. Nothing where a newer one of the same id has been shown, or where there are too many ids."""
        device = slug(str(name)) if self.named else ""
        if device not in self.newest:
            if len(self.newest) >= MOST_DEVICES:
                self.refused += 1
                return
            self.newest[device] = moment
            if self.named:
                yield self._of_person(device)
        elif moment < self.newest[device]:
            return
        self.newest[device] = moment
        at, place = moment.isoformat(timespec="seconds"), self._place(device)
        told = {"risk": risk.now, "lowest": risk.low, "highest": risk.high, "threshold": risk.threshold, "base_rate": risk.base_rate}
        yield f"{place}/risk", json.dumps({k: round(100 * v, 2) for k, v in told.items()} | {"measured": at}), False
        if made is not None:
            options = [short.option(made, schema, answer) for answer in made.found]
            text = {"advice": short.line(made, schema), "status": made.status, "options": options, "warnings": list(made.warnings),
                    "note": DISCLAIMER, "measured": at}  # fmt: skip
            yield f"{place}/advice", json.dumps(text, ensure_ascii=False), False

    def _place(self, device: str) -> str:
        return f"{self.topic}/{device}" if device else self.topic

    def _config(self, id_: str, device: dict[str, Any], components: dict[str, Any]) -> Sent:
        data = {
            "device": device,
            "origin": {"name": "SenseCF-Edge", "sw_version": __version__},
            "availability": [{"topic": self.health, "value_template": ONLINE}],
            "components": components,
            "qos": 1,
        }
        return f"{self.prefix}/device/{id_}/config", json.dumps(data, ensure_ascii=False), True

    def _device(self, id_: str, name: str) -> dict[str, Any]:
        return {"identifiers": [id_], "name": name, "manufacturer": "SenseCF-Edge", "sw_version": __version__,
                "model": str(self.facts.get("model", "")), "hw_version": f"bundle {str(self.facts.get('bundle', ''))[:12]}"}  # fmt: skip

    def _sensors(self, id_: str, device: str = "") -> dict[str, Any]:
        """Risk, advice in words, and when the newest data were measured, which is shown as their age."""
        place = self._place(device)
        risk, advice = f"{place}/risk", f"{place}/advice"
        return {
            "risk": _sensor(id_, "risk", "Risk", risk, "{{ value_json.risk }}", expire_after=self.expire, unit_of_measurement="%",
                            state_class="measurement", suggested_display_precision=0, icon="mdi:heart-pulse", json_attributes_topic=risk),
            "advice": _sensor(id_, "advice", "Advice", advice, "{{ value_json.advice }}", expire_after=self.expire,
                              icon="mdi:text-box-outline", json_attributes_topic=advice),
            "newest": _sensor(id_, "newest", "Newest data", risk, "{{ value_json.measured }}", device_class="timestamp"),
        }  # fmt: skip

    def _diagnostics(self) -> dict[str, Any]:
        """Of the watch itself, from its health."""
        out = {"status": _sensor(self.id, "status", "Status", self.health, "{{ value_json.status }}", entity_category="diagnostic",
                                 json_attributes_topic=self.health)}  # fmt: skip
        if self.named:
            out["newest"] = _sensor(self.id, "newest", "Newest data", self.health, "{{ value_json.newest }}", device_class="timestamp")
        for key, name in (("explained", "Explained"), ("dead", "Put aside"), ("dropped", "Dropped"), ("too_old", "Too old")):
            out[key] = _sensor(self.id, key, name, self.health, f"{{{{ value_json.{key} | default(0) }}}}", entity_category="diagnostic",
                               state_class="total_increasing")  # fmt: skip
        return out


def _sensor(device: str, key: str, name: str, topic: str, template: str, **more: Any) -> dict[str, Any]:
    return {"platform": "sensor", "unique_id": f"{device}_{key}", "name": name, "state_topic": topic, "value_template": template, **more}
