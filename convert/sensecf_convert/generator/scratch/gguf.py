"""A small Llama tuned over a schema's own vocabulary -> GGUF in float32. Other models go through `convert`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from transformers import LlamaForCausalLM

from .vocabulary import SchemaVocabulary


def write_gguf(model: LlamaForCausalLM, vocabulary: SchemaVocabulary, path: Path) -> Path:
    """The model as float32 GGUF with its vocabulary: bytes normal, begin and end control, the rest user-defined.

    Rows of q and k are reordered: llama.cpp rotates neighbouring pairs, transformers rotates halves.
    """
    import gguf

    config = model.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("sensecf-edge generator")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_rope_freq_base(
        float(config.rope_parameters["rope_theta"]) if getattr(config, "rope_parameters", None) else config.rope_theta
    )
    writer.add_vocab_size(len(vocabulary.tokens))
    _add_vocabulary(writer, vocabulary)
    for name, value in model.state_dict().items():
        if (to := _gguf_name(name)) is not None:
            writer.add_tensor(to, _rows_for_llama(name, value, config))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_vocabulary(writer: object, vocabulary: SchemaVocabulary) -> None:
    import gguf

    assert isinstance(writer, gguf.GGUFWriter)
    tokens, fixed = vocabulary.tokens, len(vocabulary.fixed)
    kinds = [gguf.TokenType.NORMAL] * 256 + [gguf.TokenType.CONTROL] * 2 + [gguf.TokenType.USER_DEFINED] * (len(tokens) - fixed)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([f"{tokens[0]} {tokens[0]}"])  # llama.cpp refuses an empty list; two NULs never meet in a prompt
    writer.add_bos_token_id(256)
    writer.add_eos_token_id(257)
    writer.add_add_bos_token(False)


_LAYER = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip


def _gguf_name(name: str) -> str | None:
    """GGUF's name of a transformers tensor; None for the output layer, which shares the embeddings."""
    if name == "lm_head.weight":
        return None
    if name == "model.embed_tokens.weight":
        return "token_embd.weight"
    if name == "model.norm.weight":
        return "output_norm.weight"
    layer, part = name.removeprefix("model.layers.").split(".", 1)
    return f"blk.{layer}.{_LAYER[part.removesuffix('.weight')]}.weight"


def _rows_for_llama(name: str, value: torch.Tensor, config: object) -> np.ndarray:
    out: np.ndarray = value.detach().float().numpy()
    for part, heads in (("q_proj", "num_attention_heads"), ("k_proj", "num_key_value_heads")):
        if part in name:
            count = getattr(config, heads)
            out = out.reshape(count, 2, out.shape[0] // count // 2, out.shape[1]).swapaxes(1, 2).reshape(out.shape)
    return np.ascontiguousarray(out)
