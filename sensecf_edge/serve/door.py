"""Who may come in: every request is looked at here before anything else sees it, and every answer leaves with the same headers.

A browser on this machine also shows other people's pages, and these can send requests to 127.0.0.1. So a request needs a name of
ours in Host (else another name was made to lead here), a session of ours, and, where it does more than read, an origin of ours.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response

from ..settings import SERVE

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

CLOSED = "Open the address that sensecf-edge printed when it was started; it holds the key to this page."
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "content-security-policy": PAGE_POLICY, "x-content-type-options": "nosniff", "cache-control": "no-store",
    "referrer-policy": "no-referrer", "x-frame-options": "DENY", "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin", "permissions-policy": "camera=(), microphone=(), geolocation=()",
}  # fmt: skip
"""On every answer, unless it has one of its own."""
READS = ("GET", "HEAD")
PROGRAMS = "/cds-services"
"""Addresses for programs, which are no browser: they hold a key instead of a session."""


@dataclass(frozen=True)
class Address:
    """Where the page is. `names` are what Host may say, without the port."""

    names: tuple[str, ...]
    port: int

    @property
    def hosts(self) -> frozenset[str]:
        """What Host may say; the port is left out where it is that of HTTP."""
        return frozenset({f"{name}:{self.port}" for name in self.names} | (set(self.names) if self.port == 80 else set()))

    @property
    def url(self) -> str:
        """The address to open."""
        return f"http://{self.names[0]}:{self.port}/"


class Sessions:
    """Sessions of this process, by the hash of what their cookies hold. The oldest goes where there would be too many."""

    def __init__(self, most: int = SERVE.sessions) -> None:
        self.most, self._known = most, OrderedDict[bytes, None]()

    def begin(self) -> str:
        """A new one: what its cookie holds."""
        cookie = secrets.token_urlsafe(32)
        self._known[_digest(cookie)] = None
        while len(self._known) > self.most:
            self._known.popitem(last=False)
        return cookie

    def knows(self, cookie: str) -> bool:
        """Whether it is one of these."""
        return _digest(cookie) in self._known


class Door:
    """The outermost layer. Lets in who opened the address with its `token`, and from then on who holds the cookie.

    To the addresses for programs it lets in who sends `key` as a bearer token, and no page of any browser; none where there is no key.
    """

    def __init__(self, app: App, address: Address, token: str, key: str = "") -> None:
        self.app, self.address, self.token, self.key, self.sessions = app, address, token, key, Sessions()
        self.cookie = f"sensecf-{address.port}"  # a browser sends a cookie to every port of a host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers, new = _headers(scope), ""
        program = bool(self.key) and (scope["path"] == PROGRAMS or scope["path"].startswith(f"{PROGRAMS}/"))
        refusal = self._refuse_program(headers) if program else self._refuse(scope, headers)
        if refusal is None and not program and not self._known(headers):
            if scope["path"] == "/" and scope["method"] in READS and self._opens(scope):
                new = f"{self.cookie}={self.sessions.begin()}; HttpOnly; SameSite=Strict; Path=/"
            else:
                refusal = PlainTextResponse(CLOSED, 403)
        if refusal is not None:
            refusal.headers["connection"] = "close"  # what else it sends is not read
        await (refusal or self.app)(scope, Body(receive, SERVE.body_seconds), _with_headers(send, new))

    def _refuse(self, scope: Scope, headers: dict[str, list[str]]) -> Response | None:
        """Names, origins and sizes that no session makes good."""
        if refusal := self._refuse_any(headers):
            return refusal
        origins, sites = (headers.get(name, []) for name in ("origin", "sec-fetch-site"))
        own = [f"http://{host}" for host in self.address.hosts]
        if scope["method"] not in READS:
            same = sites == ["same-origin"]  # a form's origin reads null where no referrer is sent
            if len(origins) != 1 or not (origins[0] in own or (origins[0] == "null" and same)):
                return PlainTextResponse("Only this page itself may ask that.", 403)
        elif any(origin not in own for origin in origins):
            return PlainTextResponse("Only this page itself may ask that.", 403)
        if any(site not in ("same-origin", "none") for site in sites) and scope["path"] != "/":
            return PlainTextResponse("Only this page itself may ask that.", 403)
        return None

    def _refuse_program(self, headers: dict[str, list[str]]) -> Response | None:
        """Whoever holds no key; and every browser, for a page there could belong to anybody."""
        if refusal := self._refuse_any(headers):
            return refusal
        if headers.get("origin") or headers.get("sec-fetch-site"):
            return PlainTextResponse("Programs may ask that, no pages.", 403)
        given = headers.get("authorization", [])
        kind, _, key = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        if kind.lower() != "bearer" or not hmac.compare_digest(key.strip().encode("utf-8", "replace"), self.key.encode()):
            return PlainTextResponse("Send the key as: Authorization: Bearer KEY", 401, {"www-authenticate": "Bearer"})
        return None

    def _refuse_any(self, headers: dict[str, list[str]]) -> Response | None:
        """A name that is not ours, a body that is too large."""
        hosts = headers.get("host", [])
        if len(hosts) != 1 or hosts[0].lower() not in self.address.hosts:
            return PlainTextResponse(f"This page is at {self.address.url}, under no other name.", 421)
        length = headers.get("content-length", ["0"])[0]
        if not length.isdigit() or int(length) > SERVE.upload_bytes:
            return PlainTextResponse("That is too large.", 413)
        return None

    def _known(self, headers: dict[str, list[str]]) -> bool:
        held = [part.partition("=") for line in headers.get("cookie", []) for part in line.split(";")]
        return any(name.strip() == self.cookie and self.sessions.knows(value.strip()) for name, _, value in held)

    def _opens(self, scope: Scope) -> bool:
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        return len(given) == 1 and hmac.compare_digest(given[0].encode("utf-8", "replace"), self.token.encode())


class Body:
    """What a request sends, for as long as it may take: a slow one is cut off, and so is one that never ends."""

    def __init__(self, receive: Receive, seconds: float) -> None:
        self._receive, self._seconds, self._until, self._size, self._whole = receive, seconds, 0.0, 0, False
        self.most = SERVE.upload_bytes

    async def __call__(self) -> Message:
        """The next part. Raises HTTPException."""
        if self._whole:  # all that can follow is that the other side goes away
            return await self._receive()
        now = asyncio.get_running_loop().time()
        self._until = self._until or now + self._seconds
        try:
            message = await asyncio.wait_for(self._receive(), max(0.001, self._until - now))
        except asyncio.TimeoutError:
            raise HTTPException(408, headers={"connection": "close"}) from None
        self._size += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._size > self.most:
            raise HTTPException(413, headers={"connection": "close"})
        return message


def _headers(scope: Scope) -> dict[str, list[str]]:
    out = dict[str, list[str]]()
    for name, value in scope["headers"]:
        out.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return out


def _with_headers(send: Send, cookie: str) -> Send:
    async def out(message: Message) -> None:
        if message["type"] == "http.response.start":
            held: Iterable[tuple[bytes, bytes]] = message.get("headers", ())
            there = {name.lower() for name, _ in held}
            more = [(name.encode(), value.encode()) for name, value in HEADERS.items() if name.encode() not in there]
            message["headers"] = [*held, *more, *([(b"set-cookie", cookie.encode())] if cookie else [])]
        await send(message)

    return out


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()
