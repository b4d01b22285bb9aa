"""The computed tables of docs/large-models.md: memory, disk and time of each step. `python -m sensecf_convert.generator.base.costs`."""

from __future__ import annotations

from collections.abc import Iterator

from . import memory
from .architecture import Architecture
from .memory import Work
from .rehearsal import LARGE

NAMES = {"llama": "LLaMA-3.1-8B", "mistral": "BioMistral-7B"}
PAIRS = 40_000
"""Pairs of a fit, gone through once."""

RATES = {
    "24 GB card, 165 TFLOP/s": ("qlora", 165e12),
    "80 GB card, 312 TFLOP/s": ("lora", 312e12),
    "80 GB card, 989 TFLOP/s": ("lora", 989e12),
    "one CPU core, 80 GFLOP/s": ("lora", 80e9),
}
"""Cards by their makers' dense bfloat16 rate, and how one would tune there; one core by what was measured."""

SHARE = {"qlora": 0.175, "lora": 0.35}
"""Of a card's rate, what is taken to be sustained. An assumption: no GPU was at hand. QLoRA unpacks weights as it goes."""


def work(kind: str, how: str, device: str) -> Work:
    """A prompt of a 12-feature table and its answer: 354 and 12 tokens counted on `stress` for Llama 3, 468 and 18 for Mistral."""
    length, answer = (384, 16) if kind == "llama" else (512, 24)
    return Work(how, device, 4, length, answer)


def tables() -> Iterator[str]:
    """Lines of Markdown."""
    sizes = {kind: Architecture.from_config(config, kind) for kind, config in LARGE.items()}
    yield "| step, GB of memory | " + " | ".join(NAMES.values()) + " |"
    yield "|---|---|---|"
    for how, device in (("qlora", "cuda"), ("lora", "cuda"), ("lora", "cpu"), ("full", "cuda")):
        need = (memory.tuning(s, work(kind, how, device))["total"] / 1e9 for kind, s in sizes.items())
        yield f"| `--tune {how} --device {device}`, 4 prompts at once | " + " | ".join(f"{n:.1f}" for n in need) + " |"
    later = {kind: memory.after(s, "Q4_K_M") for kind, s in sizes.items()}
    for step in ("merge", "convert", "quantize", "explain"):
        yield f"| {step} (main memory) | " + " | ".join(f"{later[kind][step]['memory'] / 1e9:.1f}" for kind in sizes) + " |"
    yield ""
    yield "| step, GB of disk | " + " | ".join(NAMES.values()) + " |"
    yield "|---|---|---|"
    for step, what in (("fetch", "the base"), ("merge", "the merged checkpoint"), ("convert", "GGUF, bf16"), ("quantize", "GGUF, Q4_K_M")):
        yield f"| {step}: {what} | " + " | ".join(f"{later[kind][step]['disk'] / 1e9:.1f}" for kind in sizes) + " |"
    yield ""
    yield f"| {PAIRS:,} pairs once | " + " | ".join(NAMES.values()) + " |"
    yield "|---|---|---|"
    counted = (f"{memory.flops(s, work(k, 'lora', 'cuda'), PAIRS):.1e}" for k, s in sizes.items())
    yield "| operations, LoRA on CUDA | " + " | ".join(counted) + " |"
    for name, (how, rate) in RATES.items():
        device, share = ("cuda", SHARE[how]) if "card" in name else ("cpu", 1.0)
        hours = [memory.flops(s, work(k, how, device), PAIRS) / (rate * share) / 3600 for k, s in sizes.items()]
        yield f"| {name}, {how} | " + " | ".join(f"{h:.1f} h" if h < 48 else f"{h / 24:.0f} days" for h in hours) + " |"


if __name__ == "__main__":
    print("\n".join(tables()))
