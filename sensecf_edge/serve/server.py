"""The door to uvicorn: a socket on this machine, a server that says nothing of what it serves, and an end that is quiet."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import secrets
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from ..audit.log import Log
from ..errors import ConstraintError
from ..settings import SERVE
from . import hooks
from .app import Page, app
from .door import Address, Door
from .line import Line
from .models import Models

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Place:
    """Where to listen. `port` 0 is any that is free."""

    host: str = LOOPBACK
    port: int = SERVE.port

    @property
    def loopback(self) -> bool:
        """Whether nobody outside this machine can reach it."""
        return self.host == "localhost" or _address(self.host).is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        raise ConstraintError(f"--host {host} is no address; give one of this machine, such as {LOOPBACK}") from None


def listening(place: Place) -> tuple[socket.socket, Address]:
    """A socket, and what the page's address is. Raises ConstraintError that says what to do."""
    host = LOOPBACK if place.host == "localhost" else place.host
    address = _address(host)
    if address.is_unspecified:
        raise ConstraintError(f"--host {host} is every address of this machine; give the one that others type")
    sock = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, place.port))
        sock.listen(SERVE.connections)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            taken = f"port {place.port} is in use, perhaps by another page of ours"
            raise ConstraintError(f"{taken}; end that one, or give --port 0 for any that is free") from error
        raise ConstraintError(f"cannot listen on {host}, port {place.port}: {error.strerror}; give another --host or --port") from error
    sock.setblocking(False)
    name = f"[{host}]" if address.version == 6 else host
    names = (name, *(("localhost",) if address.is_loopback else ()))
    return sock, Address(names, sock.getsockname()[1])


class Patient(H11Protocol):
    """One connection, closed where it does not say in time what it asks."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Time begins to count."""
        super().connection_made(transport)
        self._late = self.loop.call_later(SERVE.head_seconds, transport.close)

    def data_received(self, data: bytes) -> None:
        """Time ends where a request has begun, and begins again with a part of the next one."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._on_time()
        elif self._late is None and self.conn.trailing_data[0]:
            self._late = self.loop.call_later(SERVE.head_seconds, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is left to count."""
        self._on_time()
        super().connection_lost(exc)

    def _on_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


class Quiet(uvicorn.Server):
    """A server whose signals are the command's own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None."""
        yield


class Serving:
    """The page, from its first request to its last; with a `key`, CDS Hooks for the programs that send it."""

    def __init__(self, models: Models, place: Place, say: Callable[[str], None], log: Log | None = None, key: str = "") -> None:
        self.models, self.line, token = models, Line(), secrets.token_urlsafe(24)
        self.sock, self.address = listening(place)
        page = Page(models, self.line, say, log)
        door = Door(app(page, hooks.routes(page) if key else ()), self.address, token, key)
        self.url = f"{self.address.url}?token={token}"
        self.server = Quiet(uvicorn.Config(
            door, http=Patient, ws="none", loop="asyncio", lifespan="off", log_config=None, log_level="critical", access_log=False,
            server_header=False, date_header=False, proxy_headers=False, limit_concurrency=SERVE.connections,
            timeout_keep_alive=int(SERVE.head_seconds), timeout_graceful_shutdown=2,
        ))  # fmt: skip

    def stop(self, *_: object) -> None:
        """End after what is being answered; at once where it is asked again."""
        self.server.force_exit = self.server.should_exit
        self.server.should_exit = True

    def run(self, ready: Callable[[str], None]) -> None:
        """Serve until `stop`. The first model is opened meanwhile, so that the first answer need not wait."""
        self.line.worker.submit(self._open_first)
        try:
            ready(self.url)
            asyncio.run(self.server.serve([self.sock]))
        finally:
            self.sock.close()
            self.line.close()
            self.line.worker.shutdown(wait=True)
            self.models.close()

    def _open_first(self) -> None:
        with contextlib.suppress(Exception):  # whoever asks for it is told why
            self.models.explainer(next(iter(self.models.offered)))

