"""The only door to llama.cpp: prompts and grammars in, proposals out, many records in one batch.

llama.cpp tokenises, decodes and keeps the key-value cache. What may be said next is decided by `tokens`, who is decoded
next by `branches`; no sampler of llama.cpp is used. The low-level C API is called directly, because the package's
`Llama` class runs one sequence at a time.
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from collections import deque
from collections.abc import Iterable, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .branches import Branch, Fault, Proposal, Request, Run
from .errors import EngineError
from .settings import ENGINE, EngineSettings
from .tokens import Scores, Vocabulary

__all__ = ["Engine", "Fault", "LlamaEngine", "Proposal", "Request", "ScriptedEngine"]

_F16 = 2
_PLAIN_ATTENTION_BYTES = 64 << 20
_ERROR_LEVEL = 4


class Engine(Protocol):
    """What the loop needs. Answers come in the order of the requests: `n` proposals each, in order, or a fault."""

    def propose(self, requests: Sequence[Request]) -> list[list[Proposal] | Fault]:
        """Raises EngineError only where no request at all can be answered."""
        ...


class ScriptedEngine:
    """Answers from a queue, one entry a request: its texts, or a fault. Keeps the requests it saw in `history`.

    A text that ends with a brace counts as complete. Does not look at the grammar and does not cut or pad to `n`.
    """

    def __init__(self, script: Iterable[Sequence[str] | Fault]) -> None:
        self.script = deque(script)
        self.history: list[Request] = []

    def propose(self, requests: Sequence[Request]) -> list[list[Proposal] | Fault]:
        """The next entries of the script. Raises EngineError at its end."""
        out: list[list[Proposal] | Fault] = []
        for request in requests:
            self.history.append(request)
            if not self.script:
                raise EngineError(f"the script ended before request {len(self.history)}; give it more answers")
            entry = self.script.popleft()
            out.append(entry if isinstance(entry, Fault) else [Proposal(text, text.endswith("}")) for text in entry])
        return out


class LlamaEngine:
    """A GGUF model under llama.cpp. Open it on a verified file; close it, or use it as a context manager.

    `context` is the most tokens that one prompt and one answer take together (never more than the model was trained
    for). The key-value cache holds one such prompt and `max_sequences` answers; shared prompts and beginnings are held
    once. What else is in the batch moves scores by rounding only (about 1e-6 for small models), so that a near tie may
    fall otherwise. Safe to call from several threads: calls wait for each other.
    """

    def __init__(self, path: Path, settings: EngineSettings = ENGINE, context: int = 1024) -> None:
        self._lib = lib = _library()
        self._lock = threading.Lock()
        self._model = _open_model(lib, path)
        self._finalizer = weakref.finalize(self, _free, lib, self._model, None)
        self._vocab = lib.llama_model_get_vocab(self._model)
        self.n_vocab = int(lib.llama_vocab_n_tokens(self._vocab))
        self.context = min(context, int(lib.llama_model_n_ctx_train(self._model)) or context)
        self.sequences = max(1, min(settings.max_sequences, int(lib.llama_max_parallel_sequences())))
        self.answer_tokens = settings.max_answer_tokens
        self._context = self._open_context(path, settings)
        self._finalizer.detach()
        self._finalizer = weakref.finalize(self, _free, lib, self._model, self._context)
        self._memory = lib.llama_get_memory(self._context)
        self.cells = int(lib.llama_n_ctx(self._context))
        self.rows = int(lib.llama_n_batch(self._context))
        self._make_batch()

    def _open_context(self, path: Path, settings: EngineSettings) -> Any:
        lib = self._lib
        if lib.llama_model_is_recurrent(self._model) or lib.llama_model_is_hybrid(self._model) or lib.llama_model_has_encoder(self._model):
            raise EngineError(f"{path.name} is no plain decoder model, and sequences cannot share a prompt in it; use another generator")
        params = lib.llama_context_default_params()
        params.n_ctx = self.context + (self.sequences - 1) * min(self.context, self.answer_tokens)
        params.n_batch = min(params.n_ctx, max(256, self.context + self.sequences - 1))
        params.n_ubatch = min(params.n_batch, 512)
        params.n_seq_max = params.n_outputs_max = self.sequences
        params.n_threads = params.n_threads_batch = settings.threads
        params.kv_unified = True
        # Flash attention on a CPU moves scores by 1e-3 with the number of rows in a batch, plain attention by 1e-6: a record
        # alone and in a table should be answered alike. It is left to llama.cpp where the plain kind would need much memory.
        if 4 * params.n_ctx * params.n_ubatch * lib.llama_model_n_head(self._model) <= _PLAIN_ATTENTION_BYTES:
            params.flash_attn_type = lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
        context = lib.llama_init_from_model(self._model, params)
        if not context:
            raise EngineError(
                f"llama.cpp cannot make room for {params.n_ctx} tokens of {path.name}{_why()}; "
                "free memory, or lower max_sequences or max_answer_tokens in the engine's settings"
            )
        return context

    def _make_batch(self) -> None:
        """Arrays that live as long as the engine; `llama_batch` only points at them."""
        rows, lib = self.rows, self._lib
        self._tokens, self._positions, self._sharers = (np.zeros(rows, np.int32) for _ in range(3))
        self._sequences = np.zeros((rows, self.sequences), np.int32)
        self._wanted = np.zeros(rows, np.int8)
        self._starts = np.array([row.ctypes.data for row in self._sequences], np.uintp)
        arrays: dict[str, NDArray[Any]] = {
            "token": self._tokens, "pos": self._positions, "n_seq_id": self._sharers, "seq_id": self._starts, "logits": self._wanted,
        }  # fmt: skip
        kinds = dict(lib.llama_batch._fields_)
        self._batch = lib.llama_batch(n_tokens=0, **{k: ctypes.cast(a.ctypes.data, kinds[k]) for k, a in arrays.items()})

    def propose(self, requests: Sequence[Request]) -> list[list[Proposal] | Fault]:
        """Answer all requests in shared batches. Raises EngineError after `close`; a single record's trouble is a Fault."""
        with self._lock:
            if not self._finalizer.alive:
                raise EngineError("the engine is closed; open it again")
            self._lib.llama_memory_clear(self._memory, False)
            return Run(self, self.vocabulary, requests).run()

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The token texts, read from the model once."""
        lib, vocab, out = self._lib, self._vocab, []
        buffer = ctypes.create_string_buffer(256)
        for token in range(self.n_vocab):
            size = 0 if lib.llama_vocab_is_eog(vocab, token) else lib.llama_token_to_piece(vocab, token, buffer, len(buffer), 0, False)
            if size < 0:
                buffer = ctypes.create_string_buffer(-size)
                size = lib.llama_token_to_piece(vocab, token, buffer, len(buffer), 0, False)
            out.append(buffer.raw[:size])
        return Vocabulary(out)

    def tokenise(self, text: str) -> list[int]:
        """Token ids of a prompt, behind BOS where the model asks for one. Text never becomes a control token."""
        lib, data = self._lib, text.encode()
        out = (ctypes.c_int32 * (len(data) + 2))()
        count = lib.llama_tokenize(self._vocab, data, len(data), out, len(out), False, False)
        begin = [int(lib.llama_vocab_bos(self._vocab))] if lib.llama_vocab_get_add_bos(self._vocab) else []
        return begin + out[: max(0, count)]

    def decode(self, branches: Sequence[Branch]) -> Scores:
        """One step for all branches: scores of the next token, shape (branches, n_vocab), good until the next call."""
        tokens: list[int] = []
        positions: list[int] = []
        self._wanted[:] = 0
        for branch in branches:
            first, sequences = len(tokens), branch.sequences
            tokens += branch.tokens
            positions += range(branch.start, branch.end)
            self._sequences[first : len(tokens), : len(sequences)] = sequences
            self._sharers[first : len(tokens)] = len(sequences)
            self._wanted[len(tokens) - 1] = 1
        self._tokens[: len(tokens)] = tokens
        self._positions[: len(tokens)] = positions
        self._batch.n_tokens = len(tokens)
        code = self._lib.llama_decode(self._context, self._batch)
        if code != 0:
            raise EngineError(f"llama.cpp could not decode (code {code}){_why()}")
        return np.ctypeslib.as_array(self._lib.llama_get_logits(self._context), (len(branches), self.n_vocab))

    def share(self, source: int, target: int, end: int) -> None:
        """Let `target` hold what `source` holds before position `end`; no values are copied."""
        self._lib.llama_memory_seq_cp(self._memory, source, target, 0, end)

    def forget(self, sequence: int, start: int) -> None:
        """Drop what a sequence holds from position `start` on."""
        self._lib.llama_memory_seq_rm(self._memory, sequence, start, -1)

    @property
    def kv_bytes(self) -> int:
        """Bytes of the key-value cache, which is taken whole when the engine opens (half floats for every cell)."""
        lib, model = self._lib, self._model
        head = lib.llama_model_n_embd(model) // lib.llama_model_n_head(model)
        keys, values = (self._number(f"attention.{part}_length", head) for part in ("key", "value"))
        return int(lib.llama_model_n_layer(model)) * self.cells * int(lib.llama_model_n_head_kv(model)) * (keys + values) * _F16

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return int(self._lib.llama_model_n_params(self._model))

    @property
    def description(self) -> str:
        """llama.cpp's own short name for the model: architecture, size, quantization."""
        buffer = ctypes.create_string_buffer(128)
        self._lib.llama_model_desc(self._model, buffer, len(buffer))
        return buffer.value.decode("utf-8", "replace")

    def _number(self, key: str, default: int) -> int:
        """A whole number from the model's metadata, under its architecture's name."""
        buffer = ctypes.create_string_buffer(64)
        found = self._lib.llama_model_meta_val_str(self._model, b"general.architecture", buffer, len(buffer))
        name = f"{buffer.value.decode()}.{key}".encode()
        found = self._lib.llama_model_meta_val_str(self._model, name, buffer, len(buffer))
        return int(buffer.value) if found > 0 else default

    def close(self) -> None:
        """Give the native memory back. May be called twice."""
        with self._lock:
            self._finalizer()

    def __enter__(self) -> LlamaEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_errors: deque[str] = deque(maxlen=1)


@cache
def _library() -> Any:
    """llama_cpp's low-level module, loaded once and silent: its errors are kept for our messages, all else is dropped."""
    try:
        import llama_cpp.llama_cpp as lib
    except (ImportError, OSError, RuntimeError) as error:
        raise EngineError(f"llama-cpp-python cannot be loaded ({error}); install it again: pip install llama-cpp-python==0.3.36") from error

    def listen(level: int, text: bytes, _: Any) -> None:
        if level == _ERROR_LEVEL:
            _errors.append(text.decode("utf-8", "replace").strip())

    lib.sensecf_log = lib.llama_log_callback(listen)  # kept there: llama.cpp calls it for as long as the process lives
    lib.llama_log_set(lib.sensecf_log, None)
    lib.llama_backend_init()
    return lib


def _why() -> str:
    return f": {_errors.pop()}" if _errors else ""


def _open_model(lib: Any, path: Path) -> Any:
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise EngineError(f"cannot read the model {path}: {error.strerror}") from error
    if magic != b"GGUF":
        raise EngineError(f"{path} is not a GGUF file; fetch or build the bundle again")
    _errors.clear()
    model = lib.llama_model_load_from_file(str(path).encode(), lib.llama_model_default_params())
    if not model:
        raise EngineError(f"llama.cpp cannot load {path}{_why()}; fetch or build the bundle again")
    return model


def _free(lib: Any, model: Any, context: Any) -> None:
    if context:
        lib.llama_free(context)
    lib.llama_model_free(model)
