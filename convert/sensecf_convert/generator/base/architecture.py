"""The sizes of a Llama or Mistral, read from config.json and held against what llama.cpp computes. Reads no weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from sensecf_edge.errors import BaseModelError

KNOWN = ("LlamaForCausalLM", "MistralForCausalLM")
ROPE = ("default", "linear", "llama3", "yarn")
"""Ways to stretch positions that llama.cpp's converter carries over; it drops others with a warning only."""

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""The matrices of a layer, all of which LoRA adapts."""


@dataclass(frozen=True)
class Architecture:
    """Sizes of a model: `context` tokens at most, embeddings shared with the output where `tied`."""

    name: str
    vocabulary: int
    width: int
    inner: int
    layers: int
    heads: int
    kv_heads: int
    head: int
    context: int
    tied: bool

    @classmethod
    def from_config(cls, config: Mapping[str, Any], where: str) -> Architecture:
        """Read and check. Raises BaseModelError naming the key of config.json and the remedy."""
        name = str((config.get("architectures") or ["?"])[0])
        if name not in KNOWN:
            raise BaseModelError(
                f"{where} is a {name}; generators are tuned from {' or '.join(KNOWN)}. Take a Llama or Mistral base, such as "
                "LLaMA-3.1-8B or BioMistral-7B"
            )
        if config.get("quantization_config"):
            raise BaseModelError(
                f"{where} is quantized already (config.json has a quantization_config); bring the checkpoint it was made from, "
                "and let --type quantize the result"
            )
        number = partial(_whole, config, where=where)
        sizes = cls(
            name,
            number("vocab_size"),
            number("hidden_size"),
            number("intermediate_size"),
            number("num_hidden_layers"),
            heads := number("num_attention_heads"),
            number("num_key_value_heads", default=heads),
            number("head_dim", default=max(1, int(config["hidden_size"]) // heads)),
            _context(config, where),
            bool(config.get("tie_word_embeddings", False)),
        )
        sizes._check(config, where)
        return sizes

    def _check(self, config: Mapping[str, Any], where: str) -> None:
        broken = "config.json is damaged: fetch the checkpoint again"
        if "head_dim" not in config and self.width % self.heads:
            raise BaseModelError(f"{where}: hidden_size {self.width} is no multiple of num_attention_heads {self.heads}; {broken}")
        if self.heads % self.kv_heads or self.head % 2:
            raise BaseModelError(f"{where}: {self.heads} heads of {self.head} and {self.kv_heads} key-value heads do not fit; {broken}")
        if config.get("hidden_act", "silu") not in ("silu", "swish"):
            raise BaseModelError(f"{where} uses hidden_act {config['hidden_act']!r}, llama.cpp's Llama only silu; take another base")
        rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
        kind = str(rope.get("rope_type", rope.get("type", "default")))
        if kind not in ROPE:
            raise BaseModelError(
                f"{where} stretches positions by {kind!r}, which would be lost in GGUF; llama.cpp's converter keeps {', '.join(ROPE)}"
            )

    @property
    def layer(self) -> int:
        """Weights of the matrices of one layer."""
        return sum(rows * columns for rows, columns in self.projections().values())

    @property
    def matrices(self) -> int:
        """Weights in the matrices of all layers: what LoRA adapts and QLoRA packs."""
        return self.layers * self.layer

    @property
    def table(self) -> int:
        """Weights of one vocabulary matrix (embeddings, or the output)."""
        return self.vocabulary * self.width

    @property
    def parameters(self) -> int:
        """All weights, biases apart."""
        return self.matrices + (1 if self.tied else 2) * self.table + (2 * self.layers + 1) * self.width

    def adapter(self, rank: int) -> int:
        """Weights of a LoRA adapter of this rank over all projections."""
        return self.layers * sum(rank * (rows + columns) for rows, columns in self.projections().values())

    def projections(self) -> dict[str, tuple[int, int]]:
        """(outputs, inputs) of a layer's matrices by name."""
        q, kv = self.heads * self.head, self.kv_heads * self.head
        return {
            "q_proj": (q, self.width), "k_proj": (kv, self.width), "v_proj": (kv, self.width), "o_proj": (self.width, q),
            "gate_proj": (self.inner, self.width), "up_proj": (self.inner, self.width), "down_proj": (self.width, self.inner),
        }  # fmt: skip


def _context(config: Mapping[str, Any], where: str) -> int:
    """Positions a prompt may use. A sliding window counts: llama.cpp attends to all positions, the model was not trained so."""
    most, window = _whole(config, "max_position_embeddings", where), config.get("sliding_window")
    return min(most, int(window)) if window else most


def _whole(config: Mapping[str, Any], key: str, where: str, default: int | None = None) -> int:
    value = config.get(key)
    value = default if value is None else value
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise BaseModelError(f"{where}: {key} in config.json cannot be {value!r}; fetch the checkpoint again")
    return value
