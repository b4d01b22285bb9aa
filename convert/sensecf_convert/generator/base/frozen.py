"""LoRA over frozen matrices on a CPU, with few passes over tables of numbers.

PEFT multiplies by the matrix and by the adapter's two, scales and adds what comes out, each a pass over memory of its own, and a norm
is seven: a small model spends more time on those than on products. Here each is one step with a way back of its own, and what the
adapter learns is the same but for rounding. Frozen weights lie in bfloat16 where the processor multiplies that several times as fast
(AMX), else in float32; the adapter itself is always float32.
"""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

WORTH_IT = 2.0
"""How many times as fast bfloat16 must be: rounding costs something, and a measured time is never exact."""

ATTENTION = "sdpa_float32"


@cache
def fastest() -> torch.dtype:
    """The type in which this processor multiplies frozen weights fastest: bfloat16 or float32."""
    took = {}
    for dtype in (torch.float32, torch.bfloat16):
        a, b = torch.ones(512, 512, dtype=dtype), torch.ones(1024, 512, dtype=dtype)
        took[dtype] = min(_seconds(a, b) for _ in range(6))
    return torch.bfloat16 if took[torch.float32] > WORTH_IT * took[torch.bfloat16] else torch.float32


def _seconds(a: torch.Tensor, b: torch.Tensor) -> float:
    began = time.perf_counter()
    functional.linear(a, b)
    return time.perf_counter() - began


def joined(model: Any) -> Any:
    """The PEFT model with every adapted matrix, norm and attention computed as this module says; the same weights, names and file."""
    AttentionInterface.register(ATTENTION, _attention)
    model.get_base_model().config._attn_implementation = ATTENTION
    for module in model.modules():
        if hasattr(module, "lora_A") and isinstance(module.base_layer, torch.nn.Linear):
            module.forward = _Forward(module)
        elif type(module).__name__ in ("LlamaRMSNorm", "MistralRMSNorm"):
            module.forward = _Norm(module)
    return model


class _Forward:
    """What an adapted projection does with its input."""

    def __init__(self, module: Any) -> None:
        self.frozen, self.scale = module.base_layer, module.scaling["default"]
        self.down, self.up = module.lora_A["default"].weight, module.lora_B["default"].weight

    def __call__(self, x: torch.Tensor) -> Any:
        made = _Product.apply(x, self.down, self.up, self.frozen.weight, self.scale)
        return made if self.frozen.bias is None else made + self.frozen.bias


class _Product(torch.autograd.Function):
    """x (..., in) times W + scale B A, for W (out, in), A (rank, in), B (out, rank); W does not learn."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, down: torch.Tensor, up: torch.Tensor, frozen: torch.Tensor, scale: float) -> torch.Tensor:
        flat, down, up = x.reshape(-1, x.shape[-1]), down.to(x.dtype), up.to(x.dtype)
        inner = flat @ down.t()
        ctx.save_for_backward(flat, inner, down, up, frozen)
        ctx.scale = scale
        return (flat @ frozen.t()).addmm_(inner, up.t(), alpha=scale).view(*x.shape[:-1], len(frozen))

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        flat, inner, down, up, frozen = ctx.saved_tensors
        g = grads[0].reshape(-1, len(frozen))
        inner_g = g @ up
        back = (g @ frozen).addmm_(inner_g, down, alpha=ctx.scale).view(*grads[0].shape[:-1], -1) if ctx.needs_input_grad[0] else None
        return back, ctx.scale * (inner_g.t() @ flat).float(), ctx.scale * (g.t() @ inner).float(), None, None


class _Norm:
    """What a root mean square norm does with its input."""

    def __init__(self, module: Any) -> None:
        self.module = module

    def __call__(self, x: torch.Tensor) -> Any:
        return _RootMeanSquare.apply(x, self.module.weight, self.module.variance_epsilon)


class _RootMeanSquare(torch.autograd.Function):
    """x over the root of its mean square, times a weight that does not learn."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, least: float) -> torch.Tensor:
        size = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
        inverse = torch.rsqrt(size.square() / x.shape[-1] + least).to(x.dtype)
        even = x * inverse
        ctx.save_for_backward(even, inverse, weight)
        return even * weight

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        even, inverse, weight = ctx.saved_tensors
        g = grads[0] * weight
        return (g - even * (g * even).mean(-1, keepdim=True)) * inverse, None, None


def _attention(module: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: Any, **more: Any) -> Any:
    """Attention in float32: in bfloat16 PyTorch's is several times slower on a CPU."""
    out, weights = sdpa_attention_forward(module, q.float(), k.float(), v.float(), mask, **more)
    return out.to(q.dtype), weights
