"""Toy models: random weights in the real file formats, written in a fraction of a second."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np


def byte_alphabet() -> list[str]:
    """The character that stands for each byte in gpt2-style vocabularies, by byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    return [chr(b) if b in printable else chr(256 + others.index(b)) for b in range(256)]


def toy_gguf(
    path: Path, tokens: Sequence[str] = (), width: int = 32, layers: int = 2, seed: int = 0, begin: bool = False, template: str = "",
    context: int = 1024,
) -> Path:  # fmt: skip
    """A Llama with random weights over bytes, BOS, EOS and `tokens` (user-defined, matched whole). Returns `path`.

    Token ids: 0-255 the bytes, 256 BOS (asked for where `begin`), 257 EOS, 258.. `tokens`. `width` is a multiple of 32.
    `template` is a chat template. Weights are float32 and large enough that the next-token distribution is far from flat.
    """
    import gguf

    known = [*byte_alphabet(), "<|begin|>", "<|end|>"]
    added = [t for t in dict.fromkeys(tokens) if t not in known]  # llama.cpp ends the process on a token that stands twice
    vocab = [*known, *added]
    kinds = [gguf.TokenType.NORMAL] * 256 + [gguf.TokenType.CONTROL] * 2 + [gguf.TokenType.USER_DEFINED] * len(added)
    heads, inner = max(1, width // 32), 2 * width
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("toy")
    writer.add_context_length(context)
    if template:
        writer.add_chat_template(template)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // heads)
    writer.add_vocab_size(len(vocab))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(vocab)
    writer.add_token_types(kinds)
    writer.add_token_merges([f"{vocab[0]} {vocab[0]}"])  # llama.cpp wants one; two NULs never meet in a prompt
    writer.add_bos_token_id(256)
    writer.add_eos_token_id(257)
    writer.add_add_bos_token(begin)
    random = np.random.default_rng(seed)

    def add(name: str, *shape: int) -> None:
        value = np.ones(shape) if len(shape) == 1 else random.normal(0, 1.5 / shape[-1] ** 0.5, shape)
        writer.add_tensor(name, value.astype(np.float32))

    add("token_embd.weight", len(vocab), width)
    add("output_norm.weight", width)
    for i in range(layers):
        for part in ("attn_norm", "ffn_norm"):
            add(f"blk.{i}.{part}.weight", width)
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"blk.{i}.{part}.weight", width, width)
        add(f"blk.{i}.ffn_gate.weight", inner, width)
        add(f"blk.{i}.ffn_up.weight", inner, width)
        add(f"blk.{i}.ffn_down.weight", width, inner)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
