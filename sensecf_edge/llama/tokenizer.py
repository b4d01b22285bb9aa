"""Texts to token ids and back, as llama.cpp does it for one model."""

from __future__ import annotations

import ctypes
from typing import Any

from .chat import Frame
from .vocabulary import Vocabulary

_BEFORE = b"\n"


class Tokenizer:
    """The vocabulary of an open model. `frame`: what stands around every prompt, where control tokens count as such.

    It asks for BOS where the model does. A prompt itself never becomes a control token.
    """

    def __init__(self, lib: Any, model: Any) -> None:
        self._lib = lib
        self.vocab = lib.llama_model_get_vocab(model)
        self.size = int(lib.llama_vocab_n_tokens(self.vocab))
        self.begin = [int(lib.llama_vocab_bos(self.vocab))] if lib.llama_vocab_get_add_bos(self.vocab) else []
        self._around: tuple[list[int], list[int]] = ([], [])

    def set_frame(self, frame: Frame) -> None:
        """Put this frame around every prompt from now on."""
        before, behind = (self.plain(part.encode(), special=True) for part in frame)
        self._around = (before[1:] if self.begin and before[:1] == self.begin else before, behind)

    def prompt(self, text: str) -> list[int]:
        """Token ids of a prompt, behind BOS where the model asks for one."""
        before, behind = self._around
        return [*self.begin, *before, *(self.inner(text.encode()) if before else self.plain(text.encode())), *behind]

    def inner(self, data: bytes) -> list[int]:
        """Token ids of text that goes on behind another: some vocabularies put a space in front of a text's first word."""
        return self.plain(_BEFORE + data)[len(self.plain(_BEFORE)) :]

    def plain(self, data: bytes, special: bool = False) -> list[int]:
        """Token ids of a text by itself; control tokens where `special`."""
        out = (ctypes.c_int32 * (len(data) + 2))()
        count = self._lib.llama_tokenize(self.vocab, data, len(data), out, len(out), False, special)
        return list(out[: max(0, count)])

    def named(self, which: str) -> str:
        """The text of the model's `bos` or `eos`, as templates write it; empty where there is none."""
        token = int(getattr(self._lib, f"llama_vocab_{which}")(self.vocab))
        text = self._lib.llama_vocab_get_text(self.vocab, token) if token >= 0 else None
        return (text or b"").decode("utf-8", "replace")

    def vocabulary(self) -> Vocabulary:
        """All token texts; empty for those that end an answer."""
        lib, vocab, out = self._lib, self.vocab, []
        buffer = ctypes.create_string_buffer(256)
        for token in range(self.size):
            size = 0 if lib.llama_vocab_is_eog(vocab, token) else lib.llama_token_to_piece(vocab, token, buffer, len(buffer), 0, False)
            if size < 0:
                buffer = ctypes.create_string_buffer(-size)
                size = lib.llama_token_to_piece(vocab, token, buffer, len(buffer), 0, False)
            out.append(buffer.raw[:size])
        return Vocabulary(out, self.inner)
