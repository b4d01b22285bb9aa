"""Hugging Face checkpoints and LoRA adapters -> GGUF, by llama.cpp's own converters in a process of their own.

What can be known to be wrong is said by `checkpoint` before the converter starts; what only the converter finds (a
tokenizer it does not know) it finds before it writes the first weight. No half-written file is ever left.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from sensecf_edge.errors import ExportError

from ..progress import bar
from . import checks
from .upstream import sources

KINDS = ("f32", "f16", "bf16", "Q8_0")

_SHARE = re.compile(r"Writing:\s+(\d+)%")
_UNKNOWN_TOKENIZER = "pre-tokenizer was not recognized"


def hf_to_gguf(checkpoint: Path, out: Path, kind: str = "f32") -> Path:
    """A folder with config.json, tokenizer and safetensors -> one GGUF at `out`, weights stored as `kind`.

    Raises ExportError naming the part that is missing or unknown to llama.cpp. Never looks for anything on the network
    but llama.cpp's converters themselves (see `upstream.sources`). Does not quantize below Q8_0: that is `quantize`.
    """
    _check(kind, out)
    llama = sources()
    checks.whole_model(checkpoint, llama)
    return _run(llama / "convert_hf_to_gguf.py", [str(checkpoint)], out, kind, checkpoint)


def lora_to_gguf(adapter: Path, base: Path, out: Path, kind: str = "f32") -> Path:
    """A PEFT LoRA folder -> an adapter GGUF at `out`, to lie beside the GGUF of `base` (a checkpoint folder).

    Raises ExportError for what a GGUF adapter cannot say (DoRA, rank-stabilised scaling, biases, whole modules saved
    beside) and for an adapter whose tensors do not fit the base.
    """
    _check(kind, out)
    llama = sources()
    checks.adapter(adapter, base, llama)
    return _run(llama / "convert_lora_to_gguf.py", ["--base", str(base), str(adapter)], out, kind, adapter)


def vocabulary_to_gguf(checkpoint: Path, out: Path) -> Path:
    """The vocabulary of a checkpoint folder alone -> a GGUF at `out`; needs config.json and the tokenizer, no weights.

    Raises ExportError where llama.cpp does not know the tokenizer: seconds, where the whole would take minutes to find out.
    """
    _check("f32", out)
    llama = sources()
    checks.vocabulary(checkpoint, llama)
    return _run(llama / "convert_hf_to_gguf.py", ["--vocab-only", str(checkpoint)], out, "f32", checkpoint)


def _check(kind: str, out: Path) -> None:
    if kind not in KINDS:
        raise ExportError(f"there is no type {kind!r} here; take one of {', '.join(KINDS)}, and `export quantize` for smaller ones")
    if out.is_dir():
        raise ExportError(f"{out} is a folder; name the GGUF file to write")
    if not out.parent.is_dir():
        raise ExportError(f"there is no folder {out.parent} to write {out.name} into; make it first")
    if "{" in str(out.absolute()):  # the converter fills names in between braces
        raise ExportError(f"{out} has a brace in its path, which llama.cpp's converter does not take; choose another")


def _run(script: Path, arguments: list[str], out: Path, kind: str, what: Path) -> Path:
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    command = [sys.executable, str(script), "--outfile", str(part), "--outtype", kind.lower(), *arguments]
    try:
        said = _watch(command, script.parent / "gguf-py")
        if said or not part.is_file():
            raise ExportError(_why(said, what))
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    return out


def _watch(command: list[str], gguf: Path) -> list[str]:
    """Run the converter with a bar on stderr. Returns its last lines where it failed, none where it did not."""
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    environment = {**os.environ, **offline, "PYTHONPATH": str(gguf), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"}
    environment.pop("NO_LOCAL_GGUF", None)
    last: deque[str] = deque(maxlen=40)
    with (
        bar("gguf") as show,
        subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as child,
    ):
        assert child.stdout is not None  # a pipe
        try:
            _follow(child.stdout, last, show)
        except BaseException:
            child.kill()
            raise
    code = child.returncode
    return list(last) or [f"exit code {code}"] if code else []


def _follow(stream: IO[bytes], last: deque[str], show: Callable[[float, str], None]) -> None:
    for line in _lines(stream):
        if share := _SHARE.search(line):
            show(int(share[1]) / 100, "writing")
        elif line.strip():
            last.append(line.rstrip())
            show(0.0, line.split(":")[-1].strip()[:40])


def _lines(stream: IO[bytes]) -> Iterator[str]:
    """Lines as they come; a progress bar ends its lines with a carriage return only."""
    held = b""
    while chunk := os.read(stream.fileno(), 4096):
        *whole, held = re.split(rb"[\r\n]", held + chunk)
        yield from (line.decode("utf-8", "replace") for line in whole)
    yield held.decode("utf-8", "replace")


def _why(said: list[str], what: Path) -> str:
    """The converter's failure in our words where it is a known one, else in its own."""
    text = "\n".join(said)
    if _UNKNOWN_TOKENIZER in text:
        return (
            f"llama.cpp does not know the tokenizer of {what}: its pre-tokenizer is none of those it was built with, and it "
            "would split texts otherwise than the model was trained on. Tune a base whose tokenizer llama.cpp knows, "
            "unchanged; a newer one needs a newer llama-cpp-python"
        )
    if missing := re.search(r"No module named '([\w.]+)'", text):
        return f"llama.cpp's converter needs the package {missing[1]}, which is not installed: pip install {missing[1]}"
    if "Can not map tensor" in text:
        name = re.search(r"Can not map tensor '?([^'\s]+)", text)
        return f"{what} holds the tensor {name[1] if name else '?'}, which llama.cpp's model of this architecture does not have"
    reason = next((line for line in reversed(said) if re.match(r"(\w+\.)*\w*(Error|Exception)\b|ERROR", line)), said[-1])
    return f"llama.cpp's converter cannot convert {what}: {reason}"
