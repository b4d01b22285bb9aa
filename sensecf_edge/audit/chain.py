"""Lines that are chained by their hashes, and whether a file of them is whole.

Every line names the hash of the one before and ends with its own. So a line that was altered, removed, put in or moved is found, by
anybody, without a key. Not found: lines cut off at the end, unless a hash that was told earlier (an anchor) is among them; and a
file that somebody wrote anew from some line on, with all hashes after it, which the anchor finds as well.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import AuditError
from ..schema.parsing import LooseJsonError, strict

START = "0" * 64
"""What the first line names as the one before."""
LONGEST = 1_000_000
"""Bytes of a line that are read; a longer one is none of ours."""
MOST_TOLD = 20


@dataclass(frozen=True)
class Verification:
    """What `verify` found. `faults` are (line, what is wrong), at most MOST_TOLD; `last` is the last line's hash: an anchor."""

    lines: int
    last: str
    faults: tuple[tuple[int, str], ...]


def sealed(entry: Mapping[str, Any], number: int, before: str) -> tuple[bytes, str]:
    """A line with its end, and its hash."""
    whole = {"n": number, **entry, "before": before}
    digest = digest_of(whole)
    text = json.dumps({**whole, "hash": digest}, ensure_ascii=False, allow_nan=False) + "\n"
    return text.encode(errors="backslashreplace"), digest  # half a surrogate pair, as JSON writes it


def digest_of(entry: Mapping[str, Any]) -> str:
    """sha256 of an entry without its own hash, whatever the order of its keys and the space between them."""
    plain = {key: value for key, value in entry.items() if key != "hash"}
    return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()).hexdigest()


def opened(line: bytes) -> dict[str, Any]:
    """A line as an entry whose hash holds. Raises ValueError that says what is wrong."""
    if not line.endswith(b"\n"):
        raise ValueError("it is cut off: no end of line, or too long")
    try:
        entry = strict(line.decode())
    except LooseJsonError as error:  # of a key that stands twice, some readers see the other value
        raise ValueError(f"it was altered: {error}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError("it is not JSON") from error
    if not isinstance(entry, dict) or not isinstance(entry.get("n"), int) or not isinstance(entry.get("before"), str):
        raise ValueError("it is no line of an audit log")
    try:
        held = digest_of(entry) == entry.get("hash")
    except (ValueError, RecursionError) as error:
        raise ValueError("it is no line of an audit log") from error
    if not held:
        raise ValueError("it was altered: its hash is another")
    return entry


def verify(path: Path, anchor: str | None = None) -> Verification:
    """Whether every line is there as it was written. `anchor`: a hash that `verify` or `Log` told earlier. Raises AuditError where the
    file cannot be read."""
    lines, before, expected, seen, faults = 0, START, 1, anchor is None, list[tuple[int, str]]()
    for lines, line in enumerate(_lines(path), 1):
        try:
            entry = opened(line)
        except ValueError as error:
            faults.append((lines, str(error)))
            before, expected = _as_told(line, before), expected + 1
            continue
        if entry["before"] != before:
            faults.append((lines, _moved(entry["n"], expected)))
        before, expected = entry["hash"], entry["n"] + 1
        seen = seen or before == anchor
    if not seen:
        faults.append((lines + 1, f"no line has the hash {str(anchor)[:12]}… of the anchor: lines were cut off the end, or written anew"))
    return Verification(lines, before, tuple(faults[:MOST_TOLD]))


def answers(path: Path) -> Iterator[tuple[str, int]]:
    """The answers that a log holds, by the hash of their line, each with how many options it showed. Raises AuditError where the file
    cannot be read."""
    for line in _lines(path):
        try:
            entry = opened(line)
        except ValueError:
            continue
        if entry.get("what") == "answer":
            yield entry["hash"], len(entry["shown"]["options"])


def _moved(number: int, expected: int) -> str:
    if number > expected:
        return f"it does not follow the line before it: {number - expected} missing here, or moved"
    return "it does not follow the line before it: a line was put in, moved or written anew"


def _as_told(line: bytes, before: str) -> str:
    """The hash that a line gives itself, true or not, so that one altered line is one fault."""
    try:
        told = json.loads(line)["hash"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return before
    return told if isinstance(told, str) else before


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while line := file.readline(LONGEST):
                yield line
    except OSError as error:
        raise AuditError(f"cannot read {path}: {error.strerror}; name an audit log") from error
