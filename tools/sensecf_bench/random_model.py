"""Models without a mind, for yardsticks: the real Llama 3 vocabulary over random weights, in the real file formats.

`python -m sensecf_bench.random_model VOCAB.gguf OUT.gguf [--shape tiny|8b] [--layers N]`. Nothing a person would read comes
out of them; speed and the grammar's cost are those of a real model of that shape. The 8B shape is written in llama.cpp's
Q4_K_M mixture without being quantized from anything: blocks of random bytes with small scales.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Shape:
    """Sizes of a Llama. `kinds`: how weights are stored, f32 or the Q4_K_M mixture."""

    width: int
    layers: int
    heads: int
    kv_heads: int
    inner: int
    kinds: str


SHAPES = {"tiny": Shape(64, 1, 2, 2, 128, "f32"), "8b": Shape(4096, 32, 32, 8, 14336, "q4_k_m")}
_Q4_K, _Q6_K = 144, 210


def write(vocabulary: Path, out: Path, shape: Shape, seed: int = 0) -> Path:
    """A GGUF with the vocabulary of one file and random weights of the given shape. Returns `out`."""
    import gguf

    reader = gguf.GGUFReader(vocabulary)
    tokens = len(reader.fields["tokenizer.ggml.tokens"].data)
    partial = out.with_suffix(".partial")
    writer = gguf.GGUFWriter(partial, "llama")
    _sizes(writer, shape, tokens)
    for name, field in reader.fields.items():
        if name.startswith("tokenizer."):
            writer.add_key_value(name, field.contents(), field.types[0], field.types[1] if len(field.types) > 1 else None)
    random = np.random.default_rng(seed)
    for name, rows, columns in _tensors(shape, tokens):
        _add(writer, name, rows, columns, _kind(shape, name), random)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    partial.rename(out)
    return out


def _sizes(writer: Any, shape: Shape, tokens: int) -> None:
    writer.add_name("random weights")
    writer.add_context_length(8192)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(shape.width // shape.heads)
    writer.add_rope_freq_base(500_000.0)
    writer.add_vocab_size(tokens)


def _tensors(shape: Shape, tokens: int) -> list[tuple[str, int, int]]:
    """Name, rows (0: a vector of ones) and columns of every tensor."""
    kv = shape.width // shape.heads * shape.kv_heads
    out = [("token_embd", tokens, shape.width), ("output", tokens, shape.width), ("output_norm", 0, shape.width)]
    for i in range(shape.layers):
        out += [(f"blk.{i}.{part}", 0, shape.width) for part in ("attn_norm", "ffn_norm")]
        rows = {
            "attn_q": shape.width,
            "attn_k": kv,
            "attn_v": kv,
            "attn_output": shape.width,
            "ffn_gate": shape.inner,
            "ffn_up": shape.inner,
        }
        out += [(f"blk.{i}.{part}", count, shape.width) for part, count in rows.items()]
        out.append((f"blk.{i}.ffn_down", shape.width, shape.inner))
    return out


def _kind(shape: Shape, name: str) -> str:
    """As in llama.cpp's Q4_K_M: the output, and v and down of half of the layers, are finer."""
    if shape.kinds == "f32":
        return "f32"
    finer = name == "output"
    if name.endswith(("attn_v", "ffn_down")):
        layer = int(name.split(".")[1])
        finer = layer < shape.layers // 8 or layer >= 7 * shape.layers // 8 or (layer - shape.layers // 8) % 3 == 2
    return "q6_k" if finer else "q4_k"


def _add(writer: Any, name: str, rows: int, columns: int, kind: str, random: np.random.Generator) -> None:
    import gguf

    if not rows:
        writer.add_tensor(f"{name}.weight", np.ones(columns, np.float32))
    elif kind == "f32":
        writer.add_tensor(f"{name}.weight", random.normal(0, 1.5 / columns**0.5, (rows, columns)).astype(np.float32))
    else:
        size, number = (_Q4_K, gguf.GGMLQuantizationType.Q4_K) if kind == "q4_k" else (_Q6_K, gguf.GGMLQuantizationType.Q6_K)
        blocks = _blocks(kind, min(rows, 512) * columns // 256, size, columns, random)
        data = np.resize(blocks.reshape(-1, columns // 256 * size), (rows, columns // 256 * size))
        writer.add_tensor(f"{name}.weight", data, raw_dtype=number)


def _blocks(kind: str, count: int, size: int, columns: int, random: np.random.Generator) -> np.ndarray:
    """Blocks of random bytes whose scales make weights of about 1 / sqrt(columns)."""
    out = random.integers(0, 256, (count, size), dtype=np.uint8)
    scale = np.array([1.0 / columns**0.5 / (32 * 8 if kind == "q4_k" else 73 * 18)], np.float16)
    if kind == "q4_k":
        least = np.array([8 * float(scale[0])], np.float16)
        out[:, :2], out[:, 2:4] = scale.view(np.uint8), least.view(np.uint8)
    else:
        out[:, -2:] = scale.view(np.uint8)
    return out


def main() -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("vocabulary", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--shape", choices=SHAPES, default="tiny")
    parser.add_argument("--layers", type=int)
    given = parser.parse_args()
    shape = SHAPES[given.shape]
    if given.layers:
        shape = Shape(**{**vars(shape), "layers": given.layers})
    write(given.vocabulary, given.out, shape)


if __name__ == "__main__":
    main()
