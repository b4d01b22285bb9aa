"""What the command line takes in and gives out, short of click: records, bounds and samples in; looks and lines out."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

from ..errors import ConstraintError, MissingExtraError, RecordError
from ..settings import RECORD

if TYPE_CHECKING:
    from ..bundle.bundle import Bundle

STANDARD_INPUT = "-"
LONGEST_MESSAGE = 900
WIDEST = 100
HARD_SPACE = "\ue000"
"""Between a number and its sign for per cent while lines are broken."""


def read_record(source: str, most: int = RECORD.max_bytes) -> dict[str, Any]:
    """The JSON object in a file or on standard input, read up to the limit and no further. Raises RecordError in one line."""
    from ..schema.record import parse_object

    where = "standard input" if source == STANDARD_INPUT else source
    try:
        with _opened(source) as file:
            data = file.read(most + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise RecordError(f"cannot read {where}: {reason}; give a JSON file, or - for standard input") from error
    return parse_object(data, where, most)


def _opened(source: str) -> contextlib.AbstractContextManager[BinaryIO]:
    if source != STANDARD_INPUT:
        return Path(source).open("rb")
    if sys.stdin is None:
        raise RecordError("standard input is closed; give a JSON file")
    if sys.stdin.isatty():
        print("Type a record as JSON, then Ctrl-D.", file=sys.stderr)
    return contextlib.nullcontext(sys.stdin.buffer)


def bounds(texts: Sequence[str]) -> dict[str, tuple[float, float]]:
    """FEATURE=LOW:HIGH, several of one feature intersected. Raises ConstraintError naming what cannot be."""
    out: dict[str, tuple[float, float]] = {}
    for text in texts:
        name, _, limits = text.rpartition("=")
        low_text, _, high_text = limits.partition(":")
        try:
            low, high = float(low_text), float(high_text)
        except ValueError as error:
            raise ConstraintError(f"--bound {text!r} is not FEATURE=LOW:HIGH, for example age=40:60") from error
        if name in out:
            low, high = max(low, out[name][0]), min(high, out[name][1])
            if low > high:
                raise ConstraintError(f"the bounds on {name} contradict each other: no value lies in all of them; keep one")
        out[name] = low, high
    return out


def costs(texts: Sequence[str]) -> dict[str, float]:
    """FEATURE=WEIGHT, each feature once. Raises ConstraintError naming what cannot be."""
    out: dict[str, float] = {}
    for text in texts:
        name, _, weight = text.rpartition("=")
        try:
            number = float(weight)
        except ValueError as error:
            raise ConstraintError(f"--cost {text!r} is not FEATURE=WEIGHT, for example steps=3") from error
        if out.setdefault(name, number) != number:
            raise ConstraintError(f"--cost gives {name} two weights; keep one")
    return out


def base_rate(text: str | None) -> float | None:
    """A share of people, as 0.14 or 14%. Raises ConstraintError for what is none."""
    if text is None:
        return None
    number, sign, rest = text.strip().partition("%")
    try:
        share = float(number) / (100 if sign else 1)
    except ValueError as error:
        raise ConstraintError(f"--base-rate {text!r} is no share of people; write 14% or 0.14") from error
    if rest or not 0 < share < 1:
        raise ConstraintError(f"--base-rate {text!r} is no share of people between 0 and 1; 14 % is 14% or 0.14")
    return share


def sample(bundle: Bundle, key: str) -> dict[str, Any]:
    """The values of a sample, by its number from 1 or its id. Raises RecordError naming what there is."""
    by_key = {str(i + 1): s for i, s in enumerate(bundle.samples)} | {s.id: s for s in bundle.samples}
    if key not in by_key:
        ids = ", ".join(s.id for s in bundle.samples[:8]) + (", …" if len(bundle.samples) > 8 else "")
        there = f"1 to {len(bundle.samples)}, or by id {ids}" if bundle.samples else "none"
        raise RecordError(f"model {bundle.name} has no sample {key!r}; there are {there}")
    return dict(by_key[key].values)


def print_style() -> dict[str, Any]:
    """How to print, as arguments of `render` and `bundles`: colour only for a terminal that wants it, ASCII where there is no more."""
    terminal = sys.stdout is not None and sys.stdout.isatty()
    color = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    width = 80
    if terminal:
        with contextlib.suppress(OSError):
            width = min(max(os.get_terminal_size(sys.stdout.fileno()).columns, 40), WIDEST)
    return {"width": width, "color": color, "unicode": _unicode()}


def _unicode() -> bool:
    return (getattr(sys.stdout, "encoding", None) or "ascii").lower().startswith("utf")


def printable(text: str) -> str:
    """Text of several lines that standard output can hold, whatever its encoding, and that cannot steer the terminal."""
    plain = "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text.replace("\r\n", "\n"))
    return plain if _unicode() else plain.encode("ascii", "replace").decode("ascii")


def wrapped(text: str) -> str:
    """A letter as `printable`: its lines broken at the width of the terminal, those of a list kept clear of their marks."""
    import textwrap

    width = print_style()["width"]
    lines = [textwrap.wrap(line, width, subsequent_indent="  " * line.startswith("- "), break_long_words=False, break_on_hyphens=False)
             or [""] for line in text.replace(" %", f"{HARD_SPACE}%").splitlines()]  # fmt: skip
    return printable("\n".join(part for line in lines for part in line).replace(HARD_SPACE, " ") + "\n")


def json_text(value: Any) -> str:
    """Indented JSON without NaN; escaped to ASCII where standard output has no more, and else where a character could steer it."""
    text = json.dumps(value, indent=2, ensure_ascii=not _unicode(), allow_nan=False)
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def one_line(message: str) -> str:
    """A message in one line without control characters; the middle of a very long one is left out, both ends say what matters."""
    plain = "".join(c if c.isprintable() else " " for c in message)
    half = LONGEST_MESSAGE // 2
    return plain if len(plain) <= LONGEST_MESSAGE else f"{plain[:half]} … {plain[-half:]}"


def say(text: str) -> None:
    """A line of talk on standard error. Where nobody listens any more it goes nowhere: the work is not for the talk."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            print(one_line(text), file=sys.stderr, flush=True)


def on_signal(name: str, action: Callable[..., object]) -> None:
    """Do this when the signal comes, unless whoever started us wants it ignored (`trap '' INT`, nohup)."""
    number = getattr(signal, name, None)
    if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
        with contextlib.suppress(ValueError):  # not in the main thread
            signal.signal(number, action)


def _interrupt(*_: object) -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    raise KeyboardInterrupt


@contextlib.contextmanager
def extra(name: str) -> Iterator[None]:
    """Around work of an optional part: a missing package becomes MissingExtraError with the command that installs it.

    Ctrl-C raises KeyboardInterrupt in there, so that progress bars and files are left tidy; a second one ends it at once.
    """
    on_signal("SIGINT", _interrupt)
    try:
        yield
    except ImportError as error:
        lacking = f"{error.name} is not installed" if error.name else str(error)
        raise MissingExtraError(f'this command needs an optional part ({lacking}): pip install "sensecf-edge[{name}]"') from error


def password(file: Path | None) -> str | None:
    """From a file, its last line end left out, or from SENSECF_MQTT_PASSWORD; never from an argument."""
    if file is None:
        return os.environ.get("SENSECF_MQTT_PASSWORD")
    try:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise RecordError(f"cannot read the password from {file}: {reason}; give a file that this user may read") from error


def discard_output() -> None:
    """Nobody reads any more: what is still buffered goes nowhere, so that the interpreter's last flush is quiet."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        with contextlib.suppress(OSError):
            os.dup2(nowhere, stream)
