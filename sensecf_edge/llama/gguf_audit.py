"""The head of a GGUF file, read far enough to refuse what would end the process inside llama.cpp.

llama.cpp refuses most damaged files with an error, but some it only asserts about, and an assertion cannot be caught.
What is checked here is what it asserts: no token stands twice, and the tokens' types and scores are as many as they are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from ..errors import EngineError

MAGIC = b"GGUF"
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_STRING, _ARRAY = 8, 9
_TOKENS, _BESIDE = b"tokenizer.ggml.tokens", (b"tokenizer.ggml.token_type", b"tokenizer.ggml.scores")
_LENGTH = struct.Struct("<Q").unpack
_REBUILD = "fetch or build the bundle again"


def check_head(file: BinaryIO, name: str) -> None:
    """Raises EngineError where llama.cpp would abort, or where the head cannot be read to its end."""
    if file.read(4) != MAGIC:
        raise EngineError(f"{name} is not a GGUF file; {_REBUILD}")
    try:
        counts = dict(_lengths(file, name))
    except (struct.error, MemoryError, OverflowError, ValueError) as error:
        raise EngineError(f"{name} is cut off or damaged in its first part; {_REBUILD}") from error
    for key in _BESIDE:
        if _TOKENS in counts and counts.get(key, counts[_TOKENS]) != counts[_TOKENS]:
            raise EngineError(f"{name} has {counts[_TOKENS]:,} tokens and {counts[key]:,} of {key.decode()}; {_REBUILD}")


def _lengths(file: BinaryIO, name: str) -> Iterator[tuple[bytes, int]]:
    """Every array of the head by key, with its length; the tokens are looked at on the way."""
    _, _, pairs = _take(file, "<IQQ")
    for _ in range(pairs):
        key, (kind,) = _string(file), _take(file, "<I")
        if kind != _ARRAY:
            _skip(file, kind)
            continue
        kind, count = _take(file, "<IQ")
        yield key, count
        if kind == _STRING:
            texts = [text for _ in range(count) if (text := _string(file)) or key != _TOKENS]
            if key == _TOKENS and len(set(texts)) < len(texts):
                raise EngineError(f"{name} lists a token twice, which llama.cpp does not survive; {_REBUILD}")
        else:
            file.seek(count * _SIZES[kind], 1) if kind in _SIZES else _skip(file, kind)


def _skip(file: BinaryIO, kind: int) -> None:
    if kind == _STRING:
        _string(file)
    elif kind in _SIZES:
        file.seek(_SIZES[kind], 1)
    else:
        raise ValueError(f"no value has the type {kind}")


def _string(file: BinaryIO) -> bytes:
    (size,) = _LENGTH(file.read(8))
    text = file.read(min(size, 1 << 30))
    if len(text) != size:
        raise ValueError("a text ends behind the file")
    return text


def _take(file: BinaryIO, form: str) -> tuple[int, ...]:
    return struct.unpack(form, file.read(struct.calcsize(form)))
