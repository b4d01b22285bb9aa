"""A base's vocabulary as llama.cpp reads it: prompts and answers become the very token ids that the runtime will use."""

from __future__ import annotations

import ctypes
import hashlib
import json
import weakref
from pathlib import Path
from typing import Any

from sensecf_edge.errors import BaseModelError, ExportError
from sensecf_edge.llama.library import last_error, library

from ...export import upstream
from ...export.convert import vocabulary_to_gguf

FILES = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
         "vocab.json", "merges.txt")  # fmt: skip
_AWAY = "\n"
"""A text that no vocabulary joins with what follows it."""


class Tokens:
    """A vocabulary in llama.cpp's hands, without weights. `size`: number of tokens; `end`: the token that ends a text, if there is one."""

    def __init__(self, gguf: Path) -> None:
        self._lib = lib = library()
        params = lib.llama_model_default_params()
        params.vocab_only = True
        self._model = lib.llama_model_load_from_file(str(gguf).encode(), params)
        if not self._model:
            raise BaseModelError(f"llama.cpp cannot load the vocabulary in {gguf}{last_error()}; delete it and run the same command again")
        weakref.finalize(self, lib.llama_model_free, self._model)
        self._vocab: Any = lib.llama_model_get_vocab(self._model)
        self.size = int(lib.llama_vocab_n_tokens(self._vocab))
        self._away = len(self.plain(_AWAY))
        end = int(lib.llama_vocab_eos(self._vocab))
        self.end = [end] if end >= 0 else []

    @classmethod
    def of(cls, folder: Path, where: str) -> Tokens:
        """The vocabulary of a checkpoint folder (config.json and tokenizer; no weights needed), converted once and kept in
        the cache. Raises BaseModelError where llama.cpp does not know it."""
        digest = hashlib.sha256()
        for name in ("config.json", *FILES):
            if (folder / name).is_file():
                digest.update(name.encode() + (folder / name).read_bytes())
        kept = upstream.home() / "vocabularies" / f"{digest.hexdigest()[:32]}.gguf"
        if not kept.is_file():
            try:
                kept.parent.mkdir(parents=True, exist_ok=True)
                vocabulary_to_gguf(folder, kept)
            except (ExportError, OSError) as error:
                raise BaseModelError(f"{where} cannot be the base of a generator: {error}") from error
        return cls(kept)

    def prompt(self, text: str) -> list[int]:
        """Token ids of a prompt, as the engine makes them: behind BOS where the model asks for one, nothing read as control."""
        lib = self._lib
        begin = [int(lib.llama_vocab_bos(self._vocab))] if lib.llama_vocab_get_add_bos(self._vocab) else []
        return begin + self.plain(text)

    def answer(self, text: str) -> list[int]:
        """Token ids of a text that goes on behind another: without the space that some vocabularies put in front."""
        return self.plain(_AWAY + text)[self._away :]

    def plain(self, text: str) -> list[int]:
        """Token ids of a text by itself."""
        data = text.encode()
        room = len(data) + 2
        out = (ctypes.c_int32 * room)()
        count = self._lib.llama_tokenize(self._vocab, data, len(data), out, room, False, False)
        return list(out[: max(0, count)])

    def text(self, ids: list[int]) -> str:
        """The text that token ids say; control tokens say nothing."""
        out, buffer = b"", ctypes.create_string_buffer(512)
        for token in ids:
            size = self._lib.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, False)
            out += buffer.raw[: max(0, size)]
        return out.decode("utf-8", "replace")


def highest(folder: Path) -> int:
    """The highest token id that the tokenizer in a folder can say; -1 where there is none to be read."""
    try:
        if (folder / "tokenizer.json").is_file():
            data = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
            vocab = data["model"]["vocab"]
            ids = vocab.values() if isinstance(vocab, dict) else range(len(vocab))
            return max((*ids, *(int(token["id"]) for token in data.get("added_tokens", ()))), default=-1)
        if (folder / "tokenizer.model").is_file():
            from sentencepiece import SentencePieceProcessor

            return int(SentencePieceProcessor(model_file=str(folder / "tokenizer.model")).get_piece_size()) - 1
    except (ValueError, KeyError, TypeError, RuntimeError, OSError) as error:
        raise BaseModelError(f"the tokenizer in {folder} cannot be read ({error}); fetch it again") from error
    return -1
