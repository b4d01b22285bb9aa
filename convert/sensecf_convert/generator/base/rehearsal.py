"""Checkpoints without a mind, to go through the whole path before the real weights are there.

`python -m sensecf_convert.generator.base.rehearsal llama|mistral FOLDER` writes random weights in the architecture of LLaMA-3.1-8B
(its stretched rotations, shared key-value heads, 128,256 tokens) or BioMistral-7B (SentencePiece, 32,000 tokens), narrow
and shallow, over the real vocabularies that llama.cpp's sources bring. What comes out says nothing sensible.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import click
import numpy as np

from ...export.upstream import sources
from .architecture import Architecture
from .checkpoint import expected

KINDS = {"llama": "llama-bpe", "mistral": "llama-spm"}
"""Architectures, and the golden vocabularies of llama.cpp's sources that they speak."""

_COMMON = {"hidden_act": "silu", "rms_norm_eps": 1e-5, "tie_word_embeddings": False, "torch_dtype": "float32", "use_cache": True,
           "initializer_range": 0.02}  # fmt: skip
LARGE: dict[str, dict[str, Any]] = {
    "llama": {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 128256, "hidden_size": 4096,
        "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
        "max_position_embeddings": 131072, "rope_theta": 500000.0, "bos_token_id": 128000, "eos_token_id": 128001,
        "rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192,
                         "rope_type": "llama3"},
        "attention_bias": False, "mlp_bias": False, **_COMMON,
    },
    "mistral": {
        "architectures": ["MistralForCausalLM"], "model_type": "mistral", "vocab_size": 32000, "hidden_size": 4096,
        "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
        "max_position_embeddings": 32768, "sliding_window": 4096, "rope_theta": 10000.0, "bos_token_id": 1, "eos_token_id": 2, **_COMMON,
    },
}  # fmt: skip
"""config.json of the models the path is for: LLaMA-3.1-8B, and Mistral-7B as BioMistral-7B goes on from it."""

SMALL = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1}
"""Narrow and shallow; heads stay 128 wide, so that every rotation is the large model's."""

_TEXT = 8
_BEGIN = "<|begin_of_text|>"
_SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
"""How Llama 3 cuts a text before byte pairs are joined. llama.cpp's converter knows it by what it does to a test text."""


def write(kind: str, folder: Path, seed: int = 0, **sizes: Any) -> Path:
    """A whole checkpoint folder: config, tokenizer, random float32 weights. `sizes` are keys of config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {**LARGE[kind], **SMALL, **sizes}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    (_llama_tokenizer if kind == "llama" else _mistral_tokenizer)(folder)
    _weights(folder, Architecture.from_config(config, str(folder)), seed)
    return folder


def golden(kind: str) -> tuple[Path, list[tuple[str, list[int]]]]:
    """llama.cpp's vocabulary file of a kind, and its golden texts with their token ids (without BOS)."""
    path = sources() / "models" / f"ggml-vocab-{KINDS[kind]}.gguf"
    texts = Path(f"{path}.inp").read_bytes().decode("utf-8").split("\n__ggml_vocab_test__\n")
    ids = [[int(i) for i in line.split()] for line in Path(f"{path}.out").read_text().split("\n")]
    return path, list(zip(texts, ids, strict=False))


def _weights(folder: Path, sizes: Architecture, seed: int) -> None:
    """Large enough that the scores are far from flat, and a wrong rotation, order or head would show."""
    from safetensors.numpy import save_file

    random = np.random.default_rng(seed)
    out = {}
    for name, shape in expected(sizes).items():
        spread = 1.0 if "embed" in name else 1.0 / shape[1] ** 0.5
        out[name] = random.normal(0, spread, shape).astype(np.float32)
    norms = [f"model.layers.{i}.{part}_layernorm" for i in range(sizes.layers) for part in ("input", "post_attention")]
    out.update({f"{name}.weight": random.uniform(0.5, 1.5, sizes.width).astype(np.float32) for name in (*norms, "model.norm")})
    save_file(out, folder / "model.safetensors", metadata={"format": "pt"})


def _array(data: bytes, key: str) -> list[Any]:
    """An array of texts or of 4-byte numbers in a GGUF's metadata. gguf's own reader makes views of each of 400,000 texts,
    which takes 17 s; this takes one."""
    name = f"tokenizer.ggml.{key}".encode()
    at = data.index(struct.pack("<Q", len(name)) + name) + 8 + len(name)
    _, kind, count = struct.unpack_from("<IIQ", data, at)
    at += 16
    if kind != _TEXT:
        return list(np.frombuffer(data, {5: "<i4", 6: "<f4"}[kind], count, at).tolist())
    out = []
    for _ in range(count):
        size = int.from_bytes(data[at : at + 8], "little")
        out.append(data[at + 8 : at + 8 + size].decode("utf-8"))
        at += 8 + size
    return out


def _fields(kind: str, *names: str) -> list[list[Any]]:
    data = golden(kind)[0].read_bytes()
    return [_array(data, name) for name in names]


def _llama_tokenizer(folder: Path) -> None:
    """tokenizer.json in the form of the tokenizers library: byte pairs, and the control tokens beside them."""
    tokens, kinds, merges = _fields("llama", "tokens", "token_type", "merges")
    begin = {"SpecialToken": {"id": _BEGIN, "type_id": 0}}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    as_bytes = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    data = {
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None,
        "added_tokens": [{"id": i, "content": token, **plain} for i, token in enumerate(tokens) if kinds[i] == 3],
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": _SPLIT}, "behavior": "Isolated", "invert": False}, as_bytes]},
        "post_processor": {
            "type": "TemplateProcessing", "single": [begin, text], "pair": [begin, text, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {_BEGIN: {"id": _BEGIN, "ids": [tokens.index(_BEGIN)], "tokens": [_BEGIN]}}},
        "decoder": as_bytes,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False, "ignore_merges": True,
                  "vocab": {token: i for i, token in enumerate(tokens) if kinds[i] == 1}, "merges": merges},
    }  # fmt: skip
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": _BEGIN, "eos_token": "<|end_of_text|>",
                "model_max_length": 131072, "clean_up_tokenization_spaces": False}  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def _mistral_tokenizer(folder: Path) -> None:
    """tokenizer.model as SentencePiece stores it."""
    from sentencepiece import sentencepiece_model_pb2 as stored

    tokens, kinds, scores = _fields("mistral", "tokens", "token_type", "scores")
    model = stored.ModelProto()
    for token, kind, score in zip(tokens, kinds, scores, strict=True):
        model.pieces.add(piece=token, score=score, type=kind)
    trained, normal = model.trainer_spec, model.normalizer_spec
    trained.model_type, trained.byte_fallback, trained.vocab_size = stored.TrainerSpec.BPE, True, len(tokens)
    trained.unk_id, trained.bos_id, trained.eos_id, trained.pad_id = 0, 1, 2, -1
    normal.name, normal.add_dummy_prefix, normal.remove_extra_whitespaces, normal.escape_whitespaces = "identity", True, False, True
    (folder / "tokenizer.model").write_bytes(model.SerializeToString())
    plain = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    settings = {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "add_eos_token": False, "bos_token": "<s>", "eos_token": "</s>",
                "unk_token": "<unk>", "added_tokens_decoder": {str(i): {"content": tokens[i], **plain} for i in range(3)},
                "model_max_length": 32768, "clean_up_tokenization_spaces": False, "legacy": True, "sp_model_kwargs": {}}  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


@click.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--seed", type=int, default=0, show_default=True)
def main(kind: str, folder: Path, seed: int) -> None:
    """Write a checkpoint of random weights, of a large model's architecture and tokenizer, to FOLDER."""
    click.echo(write(kind, folder, seed))


if __name__ == "__main__":
    main()
