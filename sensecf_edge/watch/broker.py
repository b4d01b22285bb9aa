"""Which MQTT broker, as whom, and how safely: what a person says about it, checked before anything is sent."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import TableError

PORTS = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True)
class Broker:
    """Where and as whom. Make one with `Broker.parse`, so that no password stands on a command line."""

    host: str
    port: int
    tls: bool
    user: str | None
    password: str | None = field(repr=False)
    ca: Path | None
    client: str

    @classmethod
    def parse(cls, url: str, password: str | None = None, ca: Path | None = None, client: str = "", plain: bool = False) -> Broker:
        """mqtt://[USER@]HOST[:PORT] or mqtts://…; `plain` allows what anybody on the way can read. Raises TableError."""
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
        if parts.scheme == "mqtt" and not plain and (password is not None or not _this_machine(parts.hostname)):
            what = "the password" if password is not None else "records"
            raise TableError(f"mqtt:// sends {what} in clear; give mqtts://{parts.hostname}, or --plain where the network is trusted")
        return cls(parts.hostname, port or PORTS[parts.scheme], parts.scheme == "mqtts", parts.username, password, ca, client)


def _this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
