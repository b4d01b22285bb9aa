"""Tiny real checkpoints: a Llama with random weights and a SentencePiece vocabulary, and a LoRA adapter for it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

TEXTS = [f"glucose_mean={g};sleep={s};want=calm;" + '{"glucose_mean":' + str(g // 2) + "}" for g in range(60, 200, 3) for s in range(4)]


def converters() -> Path:
    """llama.cpp's converters; skips the test where they are neither cached nor to be had."""
    from sensecf_convert.export.upstream import sources

    from sensecf_edge.errors import ExportError

    try:
        return sources()
    except ExportError as error:
        pytest.skip(f"the source distribution of llama-cpp-python is neither cached nor reachable: {error}")


def tiny_checkpoint(folder: Path, width: int = 64, seed: int = 0, architecture: str = "llama", shards: str = "5GB", **more: Any) -> Path:
    """config.json, tokenizer.model and safetensors in `folder`, as transformers saves them; returns `folder`."""
    import sentencepiece
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

    folder.mkdir(parents=True, exist_ok=True)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS), model_prefix=str(folder / "tokenizer"), vocab_size=320, model_type="bpe", byte_fallback=True,
        split_digits=True, minloglevel=2, hard_vocab_limit=False,
    )  # fmt: skip
    (folder / "tokenizer.vocab").unlink()
    size = sentencepiece.SentencePieceProcessor(str(folder / "tokenizer.model")).vocab_size()
    torch.manual_seed(seed)
    kinds = {"llama": (LlamaConfig, LlamaForCausalLM), "mistral": (MistralConfig, MistralForCausalLM)}
    config, model = kinds[architecture]
    sizes = {
        "vocab_size": size, "hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 256, "tie_word_embeddings": False, "initializer_range": width**-0.5,
    }  # fmt: skip
    made = model(config(**{**sizes, **more}))
    made.save_pretrained(folder, max_shard_size=shards)
    return folder


def tiny_adapter(base: Path, folder: Path, rank: int = 4, seed: int = 1, strength: float = 0.1, **more: Any) -> Path:
    """A LoRA over all projections of `base` whose B is not nought, as PEFT saves it; returns `folder`."""
    adapted(base, rank, seed, strength, **more).save_pretrained(folder)
    return folder


def adapted(base: Path, rank: int = 4, seed: int = 1, strength: float = 0.1, **more: Any) -> Any:
    """The PEFT model itself."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)  # A is drawn by PEFT
    parts = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = get_peft_model(
            AutoModelForCausalLM.from_pretrained(base), LoraConfig(**{"r": rank, "lora_alpha": 2 * rank, "target_modules": parts, **more})
        )
    for name, value in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=strength)
    return model
