"""GGUF -> a smaller GGUF, through llama.cpp's own `llama_model_quantize`.

K-quants pack 256 weights of a row together; a row that is no multiple of 256 is stored in another, usually larger type,
which llama.cpp chooses. `fallbacks` says which tensors that befell.
"""

from __future__ import annotations

import ctypes
import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sensecf_edge.errors import EngineError, ExportError
from sensecf_edge.llama.library import last_error, library

QUANTIZATIONS = {"Q8_0": 7, "Q6_K": 18, "Q5_K_M": 17, "Q4_K_M": 15, "Q4_0": 2, "F16": 1, "BF16": 32}
"""Names of the types on offer and llama.cpp's numbers for them."""

_PLAIN = ("F32", "F16", "BF16")
_AT = re.compile(rb"\[\s*(\d+)/\s*(\d+)\]\s+(\S+)")
Report = Callable[[float, str], None]


def quantize(source: Path, target: Path, kind: str, threads: int = 1, again: bool = False, report: Report | None = None) -> Path:
    """Write `source` in the type `kind` to `target`, whole or not at all. Returns `target`.

    `again` allows a source that is quantized already (it loses twice). `report(share, tensor)` is called as it goes on.
    Raises ExportError for a source that cannot be meant, EngineError where llama.cpp fails.
    """
    if kind not in QUANTIZATIONS:
        raise ExportError(f"there is no type {kind!r} here; take one of {', '.join(QUANTIZATIONS)}")
    _check(source, target, kind, again)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        code = _call(source, part, kind, threads, again, report)
        if code != 0:
            raise EngineError(f"llama.cpp could not quantize {source.name} to {kind} (code {code}){last_error()}")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return target


@dataclass(frozen=True)
class Fallback:
    """One tensor that could not be stored in the type asked for: `columns` is its row length, `stored` what it became."""

    tensor: str
    columns: int
    stored: str

    def __str__(self) -> str:
        return f"{self.tensor}: rows of {self.columns}, stored as {self.stored}"


def fallbacks(path: Path, kind: str) -> list[Fallback]:
    """Matrices of a quantized file whose rows do not fit the blocks of `kind` (256 weights for K-quants, else 32)."""
    if kind in ("F16", "BF16"):
        return []
    block = 256 if "_K" in kind else 32
    matrices = [t for t in _reader(path).tensors if t.shape.size > 1]
    return [Fallback(t.name, int(t.shape[0]), t.tensor_type.name) for t in matrices if int(t.shape[0]) % block]


@dataclass(frozen=True)
class Shape:
    """What a GGUF holds, whatever its types: names and sizes of its tensors, its token texts; `packed`: quantized types in it."""

    tensors: dict[str, tuple[int, ...]]
    tokens: tuple[bytes, ...]
    packed: tuple[str, ...]


def shape(path: Path) -> Shape:
    """Raises ExportError where the file cannot be read."""
    reader = _reader(path)
    field = reader.get_field("tokenizer.ggml.tokens")
    tokens = () if field is None else tuple(bytes(field.parts[k]) for k in field.data)
    return Shape({t.name: tuple(map(int, t.shape)) for t in reader.tensors}, tokens, _packed(reader))


def _packed(reader: Any) -> tuple[str, ...]:
    return tuple(sorted({t.tensor_type.name for t in reader.tensors} - set(_PLAIN)))


def _check(source: Path, target: Path, kind: str, again: bool) -> None:
    if not source.is_file():
        raise EngineError(f"llama.cpp could not quantize {source.name}: there is no such file as {source}")
    if target.exists() and target.samefile(source):
        raise ExportError(f"{target} would be read and written at once; name another file to write")
    if target.is_dir() or not target.parent.is_dir():
        raise ExportError(f"{target} cannot be written: it is a folder, or its folder is not there")
    reader = _reader(source)
    field = reader.get_field("general.type")
    if field is not None and field.contents() == "adapter":
        raise ExportError(f"{source.name} is an adapter; quantize the model it goes with, adapters stay as they are")
    if (packed := _packed(reader)) and not again:
        raise ExportError(
            f"{source.name} is quantized already ({', '.join(packed)}); quantizing it to {kind} would lose twice. Take the f32 or f16 "
            "file it was made from, or allow it with --again"
        )


def _reader(path: Path) -> Any:
    """The tensors and metadata of a GGUF. Raises ExportError where it is none."""
    import gguf

    try:
        return gguf.GGUFReader(path)
    except (ValueError, KeyError, IndexError, OverflowError, OSError) as error:
        raise ExportError(f"{path} is no GGUF file that can be read ({error}); write it again") from error


def _call(source: Path, target: Path, kind: str, threads: int, again: bool, report: Report | None) -> int:
    """llama.cpp's code. It runs in a thread, so that Ctrl-C is heard; its log says how far it is."""
    lib, codes = library(), [-1]
    params = lib.llama_model_quantize_default_params()
    params.ftype, params.nthread, params.allow_requantize = QUANTIZATIONS[kind], threads, again

    def listen(level: int, text: bytes, data: Any) -> None:
        if report and (at := _AT.search(text)):
            report(int(at[1]) / max(1, int(at[2])), at[3].decode("utf-8", "replace"))
        lib.sensecf_log(level, text, data)

    def work() -> None:
        codes[0] = int(lib.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(params)))

    lib.sensecf_quantize_log = lib.llama_log_callback(listen)  # kept there: an interrupted call goes on speaking
    lib.llama_log_set(lib.sensecf_quantize_log, None)
    thread = threading.Thread(target=work, daemon=True)
    try:
        thread.start()
        while thread.is_alive():
            thread.join(0.1)
    finally:
        lib.llama_log_set(lib.sensecf_log, None)
    return codes[0]
