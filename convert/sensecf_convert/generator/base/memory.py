"""How much memory each step from a base to a bundle takes, how long it lasts, and how much there is. Bytes and seconds.

Computed from the sizes in config.json alone, so it can be said before the weights are there. Sizes of weights, gradients
and optimizer states are exact; activations and reserves are estimates on the high side.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sensecf_edge.errors import BaseModelError

from ...table.free_memory import free_memory
from .architecture import Architecture

HOW = ("lora", "full", "qlora")
BITS = {"f32": 32.0, "bf16": 16.0, "f16": 16.0, "Q8_0": 8.5, "Q6_K": 6.5625, "Q5_K_M": 5.69, "Q4_K_M": 4.89, "Q4_0": 4.55}
"""Bits a weight takes in a GGUF file. The K mixtures and Q4_0 hold some matrices finer: their figures are those of an 8B Llama."""

NF4 = 4.127 / 8
"""Bytes a weight packed by QLoRA takes: 4 bits, and scales that are packed themselves."""

_RESERVE = {"cpu": 0.6e9, "cuda": 1.2e9}
_FRAGMENTED = 1.1
_HELD = 2.1
MOST_ON_CPU = 6e9
"""What tuning takes of main memory at most where it has the choice: more prompts at once gain nothing on a CPU."""

_ADAM = 4 + 4 + 4
"""Bytes beside each trained weight: its gradient and two moments, float32."""


@dataclass(frozen=True)
class Work:
    """One tuning: how, on which device, `rows` prompts of `length` tokens at once, `answer` of them answer; LoRA's rank.

    `again`: layers are computed a second time on the way back instead of being kept. Slower by a third; None: on CUDA only.
    """

    how: str = "lora"
    device: str = "cuda"
    rows: int = 4
    length: int = 640
    answer: int = 24
    rank: int = 16
    again: bool | None = None

    @property
    def twice(self) -> bool:
        """Whether layers are computed again."""
        return self.device == "cuda" if self.again is None else self.again


def tuning(sizes: Architecture, work: Work) -> dict[str, float]:
    """Bytes the device needs while tuning, by what takes them, and their sum under `total`."""
    wide = 4 if work.device == "cpu" else 2  # activations and frozen weights: float32 on a CPU, bfloat16 on CUDA
    everything = sizes.parameters
    trained = everything if work.how == "full" else sizes.adapter(work.rank)
    if work.how == "full":
        weights = 4.0 * everything
    elif work.how == "qlora":
        weights = NF4 * sizes.matrices + 2.0 * (everything - sizes.matrices) + 4.0 * trained
    else:
        weights = float(wide * everything + 4 * trained)
    parts = {"weights": weights, "gradients and optimizer": float(_ADAM * trained), "activations": _activations(sizes, work, wide)}
    parts["reserve"] = _RESERVE[work.device] + (_FRAGMENTED - 1) * sum(parts.values())
    return {**parts, "total": sum(parts.values())}


def _activations(sizes: Architecture, work: Work, wide: int) -> float:
    """What autograd keeps of the layers, and the scores of the answers.

    Where layers are computed again: the input of every layer, and one layer in full. Where they are not: all of every layer. That
    was counted tensor by tensor; the process holds `_HELD` times as much, for what is passing through and what the allocator
    does not give back.
    """
    tokens = work.rows * work.length
    if not work.twice:
        kept = tokens * sizes.layers * (4 * sizes.width + 5 * sizes.heads * sizes.head + 4 * sizes.inner)
        return float(_HELD * wide * kept + 3 * 4 * work.rows * work.answer * sizes.vocabulary)
    layer = tokens * (8 * sizes.width + 4 * sizes.heads * sizes.head + 4 * sizes.inner + 2 * sizes.kv_heads * sizes.head)
    if work.how != "full":
        layer += tokens * work.rank * 14
    scores = 3 * 4 * work.rows * work.answer * sizes.vocabulary
    return float(wide * (tokens * sizes.width * (sizes.layers + 2) + 2 * layer) + scores)


def least(sizes: Architecture, work: Work) -> Work:
    """The work as it is, or with layers computed again where it would not fit otherwise."""
    return work if work.twice or tuning(sizes, work)["total"] <= available(work.device) else replace(work, again=True)


def after(sizes: Architecture, kind: str, context: int = 1024, sequences: int = 8) -> dict[str, dict[str, float]]:
    """Bytes of main memory and of disk that each step after tuning takes, for an end result of type `kind`.

    merge: the base in bfloat16, and one file of the result. convert and quantize go tensor by tensor. explain: the file,
    the key-value cache in half floats and buffers of the computation.
    """
    whole, table = sizes.parameters, sizes.table
    file = file_bytes(sizes, kind)
    cells = context + (sequences - 1) * 256
    cache = 2.0 * 2 * sizes.layers * cells * sizes.kv_heads * sizes.head
    scores = 4.0 * (sequences + 1) * sizes.vocabulary + 8.0 * 512 * (sizes.width + sizes.inner)
    return {
        "fetch": {"memory": 0.2e9, "disk": 2.0 * whole},
        "merge": {"memory": 2.0 * whole + 4.0 * table + 0.6e9, "disk": 2.0 * whole},
        "convert": {"memory": 0.6e9 + 3 * 4.0 * table, "disk": file_bytes(sizes, "bf16")},
        "quantize": {"memory": 0.3e9 + 2 * 4.0 * table, "disk": file},
        "explain": {"memory": file + cache + scores + 0.25e9, "disk": file},
    }


def file_bytes(sizes: Architecture, kind: str) -> float:
    """Bytes of the GGUF of this type, vocabulary apart. Vectors stay float32."""
    vectors = (2 * sizes.layers + 1) * sizes.width
    return (sizes.parameters - vectors) * BITS[kind] / 8 + 4.0 * vectors


def flops(sizes: Architecture, work: Work, pairs: float) -> float:
    """Operations to tune on this many pairs (all passes together), the output layer on answers only.

    A product of a weight costs 2 forward and 2 for the gradient that goes on; 2 more where the weight itself learns; 2
    more for layers computed again.
    """
    learns = 2 if work.how == "full" else 0
    again = 2 if work.twice else 0
    tokens = pairs * work.length
    attention = 2.0 * sizes.layers * sizes.heads * sizes.head * work.length  # 4 per pair of positions, half of them masked
    adapters = 0 if work.how == "full" else 6.0 * sizes.adapter(work.rank)
    layers = tokens * ((4 + learns + again) * sizes.matrices + (6 + again) / 2 * attention + adapters)
    return float(layers + pairs * work.answer * (4 + learns) * sizes.table)


def check(sizes: Architecture, work: Work, where: str) -> dict[str, float]:
    """The memory that tuning takes, held against what is free now. Raises BaseModelError with both and what would fit."""
    need, free = tuning(sizes, work), available(work.device)
    if need["total"] <= free:
        return need
    ways = [how for how in HOW if how != work.how and not (how == "qlora" and work.device == "cpu")]
    fits = [how for how in ways if tuning(sizes, Work(**{**vars(work), "how": how}))["total"] <= free]
    told = ", ".join(f"{name} {size / 1e9:.1f}" for name, size in need.items() if name != "total")
    remedy = f"--tune {fits[-1]} would fit" if fits else "take a smaller base, or a machine with more memory"
    raise BaseModelError(
        f"tuning {where} with --tune {work.how} on {work.device} takes about {need['total'] / 1e9:.1f} GB ({told}), "
        f"and {free / 1e9:.1f} GB are free; {remedy}"
    )


def available(device: str) -> float:
    """Bytes free for this process on `cpu` (main memory, within a container's limit) or `cuda`."""
    if device == "cuda":
        import torch

        return float(torch.cuda.mem_get_info()[0])
    return float(free_memory())
