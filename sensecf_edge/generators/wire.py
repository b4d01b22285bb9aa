"""One request to a server that was named, and nothing else: the only door to httpx.

A reply is taken as hostile. It has a limit in bytes and one in seconds, over all of it, however slowly it drips; a redirect
is an error, wherever it leads; nothing is unpacked; no proxy and no password is taken from the surroundings. Where only this
machine may be asked, the address that is connected to is looked at, not its name.
"""

from __future__ import annotations

import ipaddress
import json
import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from ..errors import ConstraintError, EngineError, MissingExtraError

try:
    import httpcore
    import httpx
except ImportError as error:
    raise MissingExtraError("a server as generator needs httpx: pip install 'sensecf-edge[llm]'") from error

MOST_BYTES = 1_000_000
CONNECT_SECONDS = 10.0


class WireError(EngineError):
    """A request that came to nothing; says neither what was asked nor what came back. `status` is the server's where it refused."""

    def __init__(self, words: str, status: int | None = None) -> None:
        self.status = status
        super().__init__(words)


def address(url: str, allowed: tuple[str, ...]) -> tuple[str, bool]:
    """The host that a URL asks, and whether it is this machine. Raises ConstraintError for a URL that may not be asked."""
    parts = urlsplit(url)
    try:
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    if parts.scheme not in ("http", "https") or not host or parts.query or any(c.isspace() or not c.isprintable() for c in url):
        raise ConstraintError("the server's URL must be http://HOST[:PORT][/PATH] or https://…, without spaces or a query")
    if parts.username is not None or parts.password is not None:
        raise ConstraintError("the server's URL holds a password, which would stand in logs; give a key in SENSECF_API_KEY instead")
    here = _here(host)
    if not here and host not in allowed:
        raise ConstraintError(f"{host} is another machine, and records would go there; if that is meant, say --allow-host {host}")
    return host, here


def _here(host: str) -> bool:
    """Whether a name means this machine, by itself; `localhost` is looked at again when it is connected to."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Wire:
    """A connection to one URL. `key` goes into one header of its requests and nowhere else."""

    def __init__(self, url: str, key: str = "", only_here: bool = True, seconds: float = 120.0, most: int = MOST_BYTES) -> None:
        self.url, self.seconds, self.most = url, seconds, most
        self._clock = _Clock(only_here)
        safe = httpx.create_ssl_context() if url.startswith("https") else None
        transport = httpx.HTTPTransport(verify=safe or False, trust_env=False)
        transport._pool = httpcore.ConnectionPool(ssl_context=safe, network_backend=self._clock, max_connections=1)
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", **({"Authorization": f"Bearer {key}"} if key else {})}
        self._client = httpx.Client(transport=transport, headers=headers, follow_redirects=False, trust_env=False)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """The JSON that the server answers with. Raises WireError for anything else; its words hold nothing that was sent or came."""
        self._clock.ends = time.monotonic() + self.seconds
        try:
            with self._client.stream("POST", self.url + path, json=body, timeout=self.seconds) as reply:
                if 300 <= reply.status_code < 400:
                    raise WireError("the server sends the request elsewhere, which is not followed; give the URL that is meant")
                if reply.status_code != 200:
                    raise WireError(f"the server answers with status {reply.status_code}{_advice(reply.status_code)}", reply.status_code)
                if reply.headers.get("content-encoding", "identity").lower() != "identity":
                    raise WireError("the server answers packed, which was not asked for")
                return _json(_read(reply.iter_raw(), self.most))
        except httpx.TimeoutException as error:
            raise WireError(f"the server has not answered within {self.seconds:g} s") from error
        except httpx.HTTPError as error:
            raise WireError(f"the server cannot be asked ({type(error).__name__})") from error

    def close(self) -> None:
        """Close the connection. May be called twice."""
        self._client.close()


def _read(parts: Iterable[bytes], most: int) -> bytes:
    out = bytearray()
    for part in parts:
        out += part
        if len(out) > most:
            raise WireError(f"the server answers with more than {most:,} bytes")
    return bytes(out)


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise WireError("the server answers something that is no JSON; is this the URL of an OpenAI-compatible server?") from error


def _advice(status: int) -> str:
    key = "; give a key in SENSECF_API_KEY"
    return {401: key, 403: key, 404: "; does the URL end with /v1?"}.get(status, "")


class _Clock(httpcore.NetworkBackend):  # type: ignore[misc, unused-ignore]
    """Connects as httpcore does, with one deadline over every wait of a request, and to this machine only where that is asked."""

    def __init__(self, only_here: bool) -> None:
        self._plain, self._only_here, self.ends = httpcore.SyncBackend(), only_here, 0.0

    def left(self) -> float:
        """Seconds until the deadline."""
        left = self.ends - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the deadline has passed")
        return left

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, local_address: str | None = None,
                    socket_options: Iterable[Any] | None = None) -> httpcore.NetworkStream:  # fmt: skip
        """See httpcore. The peer is looked at before anything is sent."""
        stream = self._plain.connect_tcp(host, port, min(CONNECT_SECONDS, self.left()), local_address, socket_options)
        peer = stream.get_extra_info("server_addr")
        if self._only_here and not ipaddress.ip_address(peer[0]).is_loopback:
            stream.close()
            raise httpcore.ConnectError("the name leads to another machine")
        return _Stream(stream, self)

    def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        """No such thing is asked for."""
        raise httpcore.ConnectError("no sockets but TCP")

    def sleep(self, seconds: float) -> None:
        """httpcore sleeps between tries; there are none."""


class _Stream(httpcore.NetworkStream):  # type: ignore[misc, unused-ignore]
    """A connection whose every wait ends with the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, clock: _Clock) -> None:
        self._stream, self._clock = stream, clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """See httpcore."""
        return self._stream.read(max_bytes, self._clock.left())  # type: ignore[no-any-return]

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """See httpcore."""
        self._stream.write(buffer, self._clock.left())

    def close(self) -> None:
        """See httpcore."""
        self._stream.close()

    def start_tls(self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None) -> httpcore.NetworkStream:
        """See httpcore."""
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, self._clock.left()), self._clock)

    def get_extra_info(self, info: str) -> Any:
        """See httpcore."""
        return self._stream.get_extra_info(info)
