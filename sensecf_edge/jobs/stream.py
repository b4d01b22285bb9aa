"""Messages in, answers out: what `watch` needs of a line to the world, and standard input and output as one.

A bounded queue stands between the thread that listens and the loop that answers, so that a burst costs a stated number
of messages and no memory.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ..errors import TableError
from ..settings import RECORD
from ..table.lines import lines
from .owned import OWNER_ONLY
from .problem import Problem

POLICIES = ("drop-oldest", "drop-newest", "block")
LETTER = 4_000
Say = Callable[[str], None]


class Message(NamedTuple):
    """What came, as which one since the start, and when on the monotonic clock. No data: it was too long to be held."""

    data: bytes | None
    number: int
    came: float


class Waiting:
    """At most `size` messages. When it is full, `policy` says which one goes, or that the sender waits."""

    def __init__(self, size: int, policy: str) -> None:
        self.size, self.policy = size, policy
        self.received = self.dropped = 0
        self.ended = False
        self._messages: deque[Message] = deque()
        self._changed = threading.Condition()

    def put(self, data: bytes | None) -> None:
        """From the listening thread."""
        with self._changed:
            self.received += 1
            while self.policy == "block" and len(self._messages) >= self.size and not self.ended:
                self._changed.wait(1.0)
            if len(self._messages) >= self.size:
                self.dropped += 1
                if self.policy == "drop-newest":
                    return
                self._messages.popleft()
            self._messages.append(Message(data, self.received, time.monotonic()))
            self._changed.notify_all()

    def take(self, seconds: float) -> Message | None:
        """The oldest message; None where none comes in time or ever."""
        with self._changed:
            self._changed.wait_for(lambda: self._messages or self.ended, seconds)
            if not self._messages:
                return None
            self._changed.notify_all()
            return self._messages.popleft()

    def end(self) -> None:
        """No more will come."""
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def __len__(self) -> int:
        return len(self._messages)


class Port(Protocol):
    """A way for messages in and answers out. `dead` takes the message that could not be used and why."""

    state: str

    def start(self, waiting: Waiting) -> None:
        """Listen from now on. Raises SenseCFError where that can never work."""
        ...

    def answer(self, answer: dict[str, Any]) -> None:
        """Send one answer."""
        ...

    def dead(self, data: bytes | None, problem: Problem) -> None:
        """Put a message aside, with the reason."""
        ...

    def health(self, facts: dict[str, Any]) -> None:
        """Tell who asked for it how things are."""
        ...

    def close(self) -> None:
        """Send what is on its way, then stop."""
        ...


def letter(data: bytes | None, problem: Problem) -> str:
    """A dead letter: reason, remedy, and the beginning of the message. It holds values: it goes only where it was asked to go."""
    text = None if data is None else data[:LETTER].decode("utf-8", "replace")
    return json.dumps({"reason": problem.reason, "remedy": problem.remedy, "message": text})


class StandardPort:
    """JSON Lines on standard input and output; dead letters go to a file where one is named, their reasons to the log."""

    def __init__(self, say: Say, dead_file: Path | None = None) -> None:
        if sys.stdin is None:
            raise TableError("standard input is closed; pipe records in, or listen with --mqtt")
        self.say, self.dead_file, self.state = say, dead_file, "ok"
        if dead_file is not None:
            os.close(open_own(dead_file))

    def start(self, waiting: Waiting) -> None:
        """A thread reads; it is left behind at the end, for nothing can interrupt it."""
        threading.Thread(target=self._read, args=(waiting,), daemon=True).start()

    def _read(self, waiting: Waiting) -> None:
        # A file object of its own: the interpreter waits at its end for locks of sys.stdin, which this thread may hold.
        try:
            with open(os.dup(sys.stdin.fileno()), "rb") as file:
                for line, _ in lines(file, 0):
                    if line is None or line.strip():
                        waiting.put(line)
        finally:
            waiting.end()

    def answer(self, answer: dict[str, Any]) -> None:
        """One line on standard output, at once."""
        sys.stdout.write(json.dumps(answer, allow_nan=False) + "\n")
        sys.stdout.flush()

    def dead(self, data: bytes | None, problem: Problem) -> None:
        """Into the file, or nowhere; the log has the reason without values already."""
        if self.dead_file is not None:
            handle = open_own(self.dead_file)
            try:
                os.write(handle, (letter(data, problem) + "\n").encode())
            finally:
                os.close(handle)

    def health(self, facts: dict[str, Any]) -> None:
        """Nobody to tell: the health file is written by the watch itself."""

    def close(self) -> None:
        """Nothing is under way."""


def open_own(path: Path) -> int:
    """A file to append to, readable by its owner only. Raises TableError."""
    try:
        return os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, OWNER_ONLY)
    except OSError as error:
        raise TableError(f"cannot write {path}: {error.strerror}; give another file") from error


TOO_LONG = Problem(f"the message holds over {RECORD.max_bytes:,} bytes", "a record is one small JSON object")
