"""A server on this machine that answers as it is told, byte by byte: for replies that no well-behaved server would give."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

Answer = Callable[[dict[str, Any]], Iterable[bytes]]
"""A request's JSON -> what is sent back, piece by piece, status line and headers included."""


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads, allow_reuse_address = True, True
    answer: Answer
    heads: list[str]
    bodies: list[dict[str, Any]]

    def handle_error(self, *_: Any) -> None:
        """A client that leaves in the middle is no fault here."""


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        head, size = b"", 0
        while (line := self.rfile.readline()) not in (b"", b"\r\n"):
            head += line
            if line.lower().startswith(b"content-length:"):
                size = int(line.split(b":")[1])
        if not head:
            return
        self.server.heads.append(head.decode())
        self.server.bodies.append(json.loads(self.rfile.read(size) or b"{}"))
        for piece in self.server.answer(self.server.bodies[-1]):
            self.wfile.write(piece)
            self.wfile.flush()


@contextmanager
def serving(answer: Answer) -> Iterator[tuple[str, _Server]]:
    """The URL of a running server, and the server, which keeps what it was asked in `heads` and `bodies`."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.answer, server.heads, server.bodies = answer, [], []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1", server
        finally:
            server.shutdown()
            thread.join()


def http(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """A whole reply."""
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def completion(text: str) -> bytes:
    """A reply as a chat completion is."""
    return http(json.dumps({"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}).encode())
