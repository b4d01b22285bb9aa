"""Messages in, answers out: what `watcher` needs of a line to the world, and standard input and output as one.

A bounded queue stands between the thread that listens and the loop that answers, so that a burst costs a stated number
of messages and no memory.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from .. import private_files
from ..answer.result import Explanation
from ..answer.risk import Risk
from ..errors import SenseCFError, TableError
from ..schema.schema import Schema
from ..settings import RECORD, WATCH
from ..table.lines import lines
from ..table.unusable import UnusableRecord

LETTER = 4_000
Say = Callable[[str], None]


Done = Callable[[], None]


def nothing() -> None:
    """Nobody waits to hear that a message is done with."""


class Message(NamedTuple):
    """What came, as which one since the start, and when on the monotonic clock. No data: it was too long to be held.

    `done` is called when it is answered, put aside or passed over: until then whoever sent it may keep it.
    """

    data: bytes | None
    number: int
    came: float
    done: Done = nothing


class MessageQueue:
    """At most `size` messages. When it is full, `policy` says which one goes, or that the sender waits."""

    def __init__(self, size: int, policy: str) -> None:
        self.size, self.policy = size, policy
        self.received = self.dropped = 0
        self.ended = False
        self._messages: deque[Message] = deque()
        self._changed = threading.Condition()

    def put(self, data: bytes | None, done: Done = nothing) -> None:
        """From the listening thread."""
        with self._changed:
            self.received += 1
            while self.policy == "block" and len(self._messages) >= self.size and not self.ended:
                self._changed.wait(1.0)
            message = Message(data, self.received, time.monotonic(), done)
            gone = None
            if len(self._messages) >= self.size:
                self.dropped += 1
                gone = message if self.policy == "drop-newest" else self._messages.popleft()
            if gone is not message:
                self._messages.append(message)
            self._changed.notify_all()
        if gone is not None:
            gone.done()

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
    """A way for messages in and answers out. `done` is called once what is sent cannot be lost any more.

    `state` is ok, or what is the matter; `full` says that so much waits to be sent that no more should be made.
    """

    @property
    def state(self) -> str:
        """One word or line for the health."""
        ...

    @property
    def full(self) -> bool:
        """No more before some of it is away."""
        ...

    @property
    def shows(self) -> bool:
        """Whether somebody looks at every record's risk, not only at answers."""
        ...

    def start(self, waiting: MessageQueue) -> None:
        """Listen from now on. Raises SenseCFError where that can never work."""
        ...

    def check(self) -> None:
        """Try again what waits to be sent. Raises SenseCFError where nothing will ever come any more."""
        ...

    def answer(self, answer: dict[str, Any], done: Done) -> None:
        """Send one answer."""
        ...

    def show(self, name: str | int | None, schema: Schema, moment: datetime, risk: Risk, made: Explanation | None) -> None:
        """The risk of one record, measured at that moment, and what is said of it where something is."""
        ...

    def dead(self, data: bytes | None, unusable: UnusableRecord, done: Done) -> None:
        """Put a message aside, with the reason."""
        ...

    def health(self, facts: dict[str, Any]) -> None:
        """Tell who asked for it how things are."""
        ...

    def close(self) -> None:
        """Send what is on its way, then stop. Raises SenseCFError where some of it is lost."""
        ...


def letter(data: bytes | None, unusable: UnusableRecord) -> str:
    """A dead letter: reason, remedy, and the beginning of the message. It holds values: it goes only where it was asked to go."""
    text = None if data is None else data[:LETTER].decode("utf-8", "replace")
    return json.dumps({"reason": unusable.reason, "remedy": unusable.remedy, "message": text})


class Outlet:
    """Lines to a file, in order. What a full disk does not take waits, and is tried again with the next line and when asked."""

    def __init__(self, where: str, opened: Callable[[], int], say: Say) -> None:
        self.where, self.say, self._opened = where, say, opened
        self._left, self.trouble = bytearray(), ""

    @property
    def full(self) -> bool:
        """More than may wait."""
        return len(self._left) > WATCH.held_bytes

    def put(self, line: str) -> None:
        """One more line. Raises BrokenPipeError where its reader is gone."""
        self._left += f"{line}\n".encode()
        self.flush()

    def flush(self) -> None:
        """As much as goes."""
        if not self._left:
            return
        try:
            handle = self._opened()
            try:
                while self._left:
                    del self._left[: os.write(handle, self._left)]
            finally:
                os.close(handle)
        except BrokenPipeError:
            self._left.clear()
            raise
        except OSError as error:
            if not self.trouble:
                self.say(f"cannot write {self.where}: {error.strerror}; what comes waits and is tried again")
            self.trouble = f"cannot write {self.where}"
            return
        if self.trouble:
            self.say(f"{self.where} is written again")
        self.trouble = ""

    def close(self) -> None:
        """The last try. Raises SenseCFError where something is left."""
        self.flush()
        if self._left:
            raise SenseCFError(f"{len(self._left):,} bytes could not be written to {self.where} and are lost; free space, then start again")


class StandardPort:
    """JSON Lines on standard input and output; dead letters go to a file where one is named, their reasons to the log."""

    shows = False

    def __init__(self, say: Say, dead_file: Path | None = None) -> None:
        if sys.stdin is None or sys.stdout is None:
            raise TableError("standard input or output is closed; pipe records in and answers out, or listen with --mqtt")
        self.fault = ""
        self.answers = Outlet("standard output", lambda: os.dup(sys.stdout.fileno()), say)
        self.letters = None if dead_file is None else Outlet(str(dead_file), lambda: _appending(dead_file), say)
        if dead_file is not None:
            try:
                os.close(_appending(dead_file))
            except OSError as error:
                raise TableError(f"cannot write {dead_file}: {error.strerror}; give another file") from error
        _all_different(sys.stdin, sys.stdout, dead_file)

    @property
    def _outlets(self) -> list[Outlet]:
        return [self.answers] if self.letters is None else [self.answers, self.letters]

    @property
    def state(self) -> str:
        """ok, or which file cannot be written."""
        return next((outlet.trouble for outlet in self._outlets if outlet.trouble), "ok")

    @property
    def full(self) -> bool:
        """So many lines wait for a disk that the sender has to wait as well."""
        return any(outlet.full for outlet in self._outlets)

    def start(self, waiting: MessageQueue) -> None:
        """A thread reads; it is left behind at the end, for nothing can interrupt it."""
        threading.Thread(target=self._read, args=(waiting,), daemon=True).start()

    def _read(self, waiting: MessageQueue) -> None:
        # A file object of its own: the interpreter waits at its end for locks of sys.stdin, which this thread may hold.
        try:
            with open(os.dup(sys.stdin.fileno()), "rb") as file:
                for line, _ in lines(file, 0):
                    if line is None or line.strip():
                        waiting.put(line)
        except Exception as error:
            self.fault = str(getattr(error, "strerror", None) or type(error).__name__)
        finally:
            waiting.end()

    def check(self) -> None:
        """Standard input may break off, disks may have room again."""
        for outlet in self._outlets:
            outlet.flush()
        if self.fault:
            raise SenseCFError(f"standard input cannot be read any more: {self.fault}; start the sender and this again")

    def answer(self, answer: dict[str, Any], done: Done) -> None:
        """One line on standard output, at once."""
        self.answers.put(json.dumps(answer, allow_nan=False))
        done()

    def show(self, *_: object) -> None:
        """Nobody looks."""

    def dead(self, data: bytes | None, unusable: UnusableRecord, done: Done) -> None:
        """Into the file, or nowhere; the log has the reason without values already."""
        if self.letters is not None:
            self.letters.put(letter(data, unusable))
        done()

    def health(self, facts: dict[str, Any]) -> None:
        """Nobody to tell: the health file is written by the watch itself."""

    def close(self) -> None:
        """What waited for a disk is tried once more."""
        for outlet in self._outlets:
            outlet.close()


def _all_different(*places: Any) -> None:
    """What is written to a file that is read would come back as a record. Raises TableError."""
    taken: set[tuple[int, int]] = set()
    for place in places:
        try:
            there = os.stat(place if isinstance(place, Path) else place.fileno())
        except (OSError, ValueError, AttributeError):
            continue
        if stat.S_ISREG(there.st_mode) and (there.st_dev, there.st_ino) in taken:
            raise TableError("standard input, standard output and --dead must be different files")
        taken.add((there.st_dev, there.st_ino))


def _appending(path: Path) -> int:
    """Opened anew for each letter, so that the file can be moved away at any time. Readable by its owner only."""
    return os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, private_files.OWNER_ONLY)


TOO_LONG = UnusableRecord(f"the message holds over {RECORD.max_bytes:,} bytes", "a record is one small JSON object")
