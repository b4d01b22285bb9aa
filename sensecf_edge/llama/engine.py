"""The door to llama.cpp: prompts and grammars in, proposals out, many records in one batch.

llama.cpp tokenises, decodes and keeps the key-value cache. What may be said next is decided by `tokens`, who is decoded
next by `decoding`; no sampler of llama.cpp is used. The low-level C API is called directly, because the package's
`Llama` class runs one sequence at a time.
"""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EngineError
from ..propose.engine import Proposal, Request, Unanswered
from ..settings import ENGINE, LOOP, SMALL_MODEL, EngineSettings
from . import chat, library
from .batch import Chunk
from .decoding import Run
from .tokenizer import Tokenizer
from .vocabulary import Scores, Vocabulary

_F16 = 2
_PLAIN_ATTENTION_BYTES = 64 << 20
_WORTH_KEEPING = 16


class LlamaEngine:
    """A GGUF model under llama.cpp. Open it on a verified file; close it, or use it as a context manager.

    `context` is the most tokens that one prompt and one answer take together (never more than the model was trained
    for). With a `talk` the context is found out from the longest texts that may come. The key-value cache holds
    one such prompt and `max_sequences` answers; shared prompts and beginnings are held
    once, and what all prompts begin with stays there from call to call. What else is in the batch moves scores by
    rounding only (about 1e-6 for small models), so that a near tie may fall otherwise. `adapter` is a LoRA adapter in
    GGUF that was tuned on this very model; `sha256` and `adapter_sha256` what these files must still be when they are opened. Safe to call
    from several threads: calls wait for each other. After a fork a model with several threads is refused: llama.cpp's
    threads do not come along, and it would wait for them for ever.
    """

    def __init__(
        self, path: Path, settings: EngineSettings = ENGINE, context: int = 1024, adapter: Path | None = None, sha256: str | None = None,
        talk: chat.Talk | None = None, adapter_sha256: str | None = None,
    ) -> None:  # fmt: skip
        self._lib = lib = library.library()
        self._lock, self._process = threading.Lock(), os.getpid()
        self._threads = max(settings.threads or 1, settings.prompt_threads)
        library.claim_threads(self._threads)
        self._model = library.open_model(lib, path, settings, sha256)
        self._finalizer = weakref.finalize(self, library.free, lib, self._model, None)
        self._tokenizer = Tokenizer(lib, self._model)
        self.n_vocab, self.settings = self._tokenizer.size, settings
        self.context, self.answer_tokens = context, settings.max_answer_tokens
        self.sequences = max(1, min(settings.max_sequences, int(lib.llama_max_parallel_sequences()) - 1))
        on_cpu = settings.device == "cpu" or not lib.llama_supports_gpu_offload()
        if on_cpu and (talk is not None or path.stat().st_size >= SMALL_MODEL):  # more of them take memory there and save no time
            self.sequences = min(self.sequences, LOOP.proposals)
        if talk is not None:
            self._prepare(talk)
        self.context = min(self.context, int(lib.llama_model_n_ctx_train(self._model)) or self.context)
        self._context = self._open_context(path, settings)
        self._finalizer.detach()
        self._finalizer = weakref.finalize(self, library.free, lib, self._model, self._context)
        if adapter is not None:
            library.attach_adapter(lib, self._model, self._context, adapter, adapter_sha256)
        self._memory = lib.llama_get_memory(self._context)
        self.cells = int(lib.llama_n_ctx(self._context))
        self.rows = int(lib.llama_n_batch(self._context))
        self._kept: list[int] = []
        self._before: list[int] = []
        self._clean = True
        self._make_batch()

    def _prepare(self, talk: chat.Talk) -> None:
        """Wear the chat template, and take the room that the longest prompt and answers need, not more."""
        lib, tokens = self._lib, self._tokenizer
        template = lib.llama_model_chat_template(self._model, None) if talk.chat else None
        if template:
            begin = "" if tokens.begin else tokens.named("bos")
            tokens.set_frame(chat.frame(template.decode("utf-8", "replace"), begin, tokens.named("eos")))
        self.answer_tokens = min(self.answer_tokens, talk.answer_tokens(len(tokens.inner(talk.answer.encode()))))
        self.context = len(tokens.prompt(talk.prompt)) + self.answer_tokens

    def _open_context(self, path: Path, settings: EngineSettings) -> Any:
        lib = self._lib
        if lib.llama_model_is_recurrent(self._model) or lib.llama_model_is_hybrid(self._model) or lib.llama_model_has_encoder(self._model):
            raise EngineError(f"{path.name} is no plain decoder model, and sequences cannot share a prompt in it; use another generator")
        params = lib.llama_context_default_params()
        params.n_ctx = self.context + (self.sequences - 1) * min(self.context, self.answer_tokens)
        params.n_batch = min(params.n_ctx, max(256, self.context + self.sequences - 1))
        params.n_ubatch = min(params.n_batch, 512)
        params.n_seq_max = self.sequences + 1  # one more for what all prompts begin with
        params.n_outputs_max = params.n_seq_max
        params.n_threads = settings.threads or 1
        params.n_threads_batch = settings.prompt_threads or params.n_threads
        params.kv_unified = True
        # Flash attention on a CPU moves scores by 1e-3 with the number of rows in a batch, plain attention by 1e-6: a record
        # alone and in a table should be answered alike. It is left to llama.cpp where the plain kind would need much memory.
        if 4 * params.n_ctx * params.n_ubatch * lib.llama_model_n_head(self._model) <= _PLAIN_ATTENTION_BYTES:
            params.flash_attn_type = lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
        context = lib.llama_init_from_model(self._model, params)
        if not context:
            raise EngineError(
                f"llama.cpp cannot make room for {params.n_ctx} tokens of {path.name}{library.last_error()}; "
                "free memory, or lower max_sequences or max_answer_tokens in the engine's settings"
            )
        return context

    def _make_batch(self) -> None:
        """Arrays that live as long as the engine; `llama_batch` only points at them. Rows of a branch share their sequences."""
        rows, lib = self.rows, self._lib
        self._tokens, self._positions, self._sharers = (np.zeros(rows, np.int32) for _ in range(3))
        self._sequences = np.zeros(self.sequences + 1, np.int32)
        self._starts, self._wanted = np.zeros(rows, np.uintp), np.zeros(rows, np.int8)
        arrays: dict[str, NDArray[Any]] = {
            "token": self._tokens, "pos": self._positions, "n_seq_id": self._sharers, "seq_id": self._starts, "logits": self._wanted,
        }  # fmt: skip
        kinds = dict(lib.llama_batch._fields_)
        self._batch = lib.llama_batch(n_tokens=0, **{k: ctypes.cast(a.ctypes.data, kinds[k]) for k, a in arrays.items()})
        self._sequences_at = self._sequences.ctypes.data
        self._scores_at, self._scores = 0, np.empty((0, self.n_vocab), np.float32)

    def propose(self, requests: Sequence[Request]) -> list[list[Proposal] | Unanswered]:
        """Answer all requests in shared batches. Raises EngineError after `close`; a single record's trouble is a Fault."""
        if self._process != os.getpid():
            library.claim_threads(self._threads)
            self._lock, self._process, self._clean = threading.Lock(), os.getpid(), False
        with self._lock:
            self._check_open()
            if not self._clean:
                self.empty()
            self._clean = False
            answers = Run(self, self.vocabulary, requests).run()
            self._clean = True
            return answers

    def _check_open(self) -> None:
        if not self._finalizer.alive:
            raise EngineError("the engine is closed; open it again")

    def empty(self) -> None:
        """Forget everything: what a call that was interrupted has left, too."""
        self._check_open()
        self._lib.llama_memory_clear(self._memory, False)
        self._kept = []

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The token texts, read from the model once."""
        self._check_open()
        return self._tokenizer.vocabulary()

    def tokenise(self, text: str) -> list[int]:
        """Token ids of a prompt, within the chat template where one was asked for. Text never becomes a control token."""
        self._check_open()
        return self._tokenizer.prompt(text)

    def keep(self, prompts: Sequence[list[int]]) -> int:
        """Hold what all prompts begin with; of a single one, what the call before began with as well. 0: not worth it."""
        if not prompts:
            return 0
        others = prompts if len(prompts) > 1 else [*prompts, self._before]
        shared, self._before = _alike(min(others), max(others)), prompts[0]
        end = min(len(shared), min(map(len, prompts)) - 1)
        held = min(len(_alike(self._kept, prompts[0])), end if len(prompts) > 1 else len(prompts[0]) - 1)
        if held >= max(_WORTH_KEEPING, end - _WORTH_KEEPING):
            return held
        if self._kept:
            self.empty()
        if end < _WORTH_KEEPING:
            return 0
        try:
            for start in range(0, end, self.rows):
                self._decode([shared[start : min(end, start + self.rows)]], [start], [[self.sequences]])
        except EngineError:
            self.empty()
            return 0
        self._kept = shared[:end]
        return end

    def feed(self, tokens: list[int], start: int) -> None:
        """Decode tokens for one sequence and forget their scores: what calibration times. Raises EngineError."""
        self._check_open()
        self._clean = False
        self._decode([tokens], [start], [[0]])

    def lend(self, sequence: int, end: int) -> None:
        """Let a sequence hold the first `end` tokens of what is kept."""
        self.share(self.sequences, sequence, end)

    def decode(self, chunks: Sequence[Chunk]) -> Scores:
        """One step for all chunks: scores of the token after each, shape (chunks, n_vocab), good until the next call."""
        return self._decode([c.tokens for c in chunks], [c.start for c in chunks], [c.sequences for c in chunks])

    def _decode(self, parts: list[list[int]], starts: list[int], sequences: list[list[int]]) -> Scores:
        tokens: list[int] = []
        positions: list[int] = []
        shared: list[int] = []
        first: list[int] = []
        sharers: list[int] = []
        ends: list[int] = []
        for part, start, these in zip(parts, starts, sequences, strict=True):
            count = len(part)
            tokens += part
            positions += range(start, start + count)
            first += [len(shared)] * count
            sharers += [len(these)] * count
            shared += these
            ends.append(len(tokens) - 1)
        n = len(tokens)
        self._tokens[:n], self._positions[:n], self._sharers[:n] = tokens, positions, sharers
        self._sequences[: len(shared)] = shared
        self._starts[:n] = first
        self._starts[:n] *= self._sequences.itemsize
        self._starts[:n] += np.uintp(self._sequences_at)
        self._wanted[:n] = 0
        self._wanted[ends] = 1
        self._batch.n_tokens = n
        code = self._lib.llama_decode(self._context, self._batch)
        if code != 0:
            raise EngineError(f"llama.cpp could not decode (code {code}){library.last_error()}")
        return self._view()[: len(parts)]

    def _view(self) -> Scores:
        """The scores where llama.cpp keeps them; it seldom moves them."""
        pointer = self._lib.llama_get_logits(self._context)
        at = ctypes.addressof(pointer.contents)
        if at != self._scores_at:
            self._scores_at, self._scores = at, np.ctypeslib.as_array(pointer, (self.sequences, self.n_vocab))
        return self._scores

    def share(self, source: int, target: int, end: int) -> None:
        """Let `target` hold what `source` holds before position `end`; no values are copied."""
        self._lib.llama_memory_seq_cp(self._memory, source, target, 0, end)

    def forget(self, sequence: int, start: int) -> None:
        """Drop what a sequence holds from position `start` on."""
        self._lib.llama_memory_seq_rm(self._memory, sequence, start, -1)

    @property
    def kv_bytes(self) -> int:
        """Bytes of the key-value cache, which is taken whole when the engine opens (half floats for every cell)."""
        self._check_open()
        lib, model = self._lib, self._model
        head = lib.llama_model_n_embd(model) // lib.llama_model_n_head(model)
        keys, values = (self._number(f"attention.{part}_length", head) for part in ("key", "value"))
        return int(lib.llama_model_n_layer(model)) * self.cells * int(lib.llama_model_n_head_kv(model)) * (keys + values) * _F16

    @property
    def parameters(self) -> int:
        """Number of weights."""
        self._check_open()
        return int(self._lib.llama_model_n_params(self._model))

    @property
    def description(self) -> str:
        """llama.cpp's own short name for the model: architecture, size, quantization."""
        self._check_open()
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


def _alike(a: list[int], b: list[int]) -> list[int]:
    """What two lists begin with."""
    end = next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return a[:end]
