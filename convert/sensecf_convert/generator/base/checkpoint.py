"""A base model opened safely: every reason why tuning it would fail is looked for before anything long begins."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from sensecf_edge.errors import BaseModelError, ExportError, MissingExtraError
from sensecf_edge.settings import DEVICES

from ...export import checks as exported
from ...export.upstream import sources
from . import hub, memory
from .architecture import PROJECTIONS, Architecture
from .dequantized import checkpoint, is_gguf
from .tokens import Tokens, highest


@dataclass(frozen=True)
class Base:
    """A whole Llama or Mistral checkpoint whose tokenizer llama.cpp knows. Make one with `Base.open`.

    `name` is the hub id or the folder's own name (it goes into manifests: no path of a machine), `stored` the type of its
    weights as config.json has it (float32, bfloat16, float16).
    """

    name: str
    folder: Path
    sizes: Architecture
    stored: str
    tokens: Tokens = field(repr=False, compare=False)

    @classmethod
    def open(cls, where: str | Path, how: str = "lora", device: str = "auto", work: memory.Work | None = None) -> Base:
        """A checkpoint folder, a hub id, a GGUF or `smollm2`, to be tuned in the way `how` on `device` (auto, cpu or cuda).

        Raises BaseModelError for another architecture, a tokenizer that llama.cpp does not know, too little memory, files
        that are missing or damaged, a hub that cannot be reached; MissingExtraError for a package. Weights of a hub id are
        fetched last, when all else has been found right.
        """
        for_what = work or memory.Work(how, chosen(device, how))
        name = Path(where).resolve().name if Path(where).is_dir() else Path(where).name if is_gguf(where) else str(where)
        folder = checkpoint(where) if is_gguf(where) else hub.small(where)
        config = hub.read_config(folder)
        sizes = Architecture.from_config(config, str(where))
        memory.check(sizes, memory.least(sizes, memory.Work(**{**vars(for_what), "rows": 1})), str(where))
        if (most := highest(folder)) >= sizes.vocabulary:
            raise BaseModelError(
                f"{where}: the tokenizer has a token {most:,}, config.json says vocab_size {sizes.vocabulary:,}; "
                "they belong to different models, fetch the checkpoint again"
            )
        tokens = Tokens.of(folder, str(where))
        folder = folder if is_gguf(where) else hub.whole(where)
        _weights(folder, sizes, str(where))
        stored = str(config.get("dtype") or config.get("torch_dtype") or "float32").removeprefix("torch.")
        return cls(name, folder, sizes, stored, tokens)


def chosen(device: str, how: str) -> str:
    """`cpu` or `cuda`, where that can be had for tuning in this way. Raises BaseModelError, MissingExtraError."""
    if how not in memory.HOW:
        raise BaseModelError(f"there is no tuning {how!r}; take one of {', '.join(memory.HOW)}")
    if device not in DEVICES:
        raise BaseModelError(f"there is no device {device!r}; take {', '.join(DEVICES[:-1])} or {DEVICES[-1]}")
    lacking = [name for name in ("torch", "transformers", *(() if how == "full" else ("peft",))) if find_spec(name) is None]
    if lacking:
        raise MissingExtraError(f"tuning a base needs {', '.join(lacking)}: pip install 'sensecf-edge[convert]'")
    import torch

    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise BaseModelError("PyTorch finds no CUDA device here; use --device cpu, or install PyTorch's CUDA build on a machine with a GPU")
    found = "cuda" if there and device != "cpu" else "cpu"
    if how == "qlora" and found == "cpu":
        raise BaseModelError("--tune qlora packs the base to 4 bits, which works on CUDA only; use --tune lora on a CPU")
    if how == "qlora" and find_spec("bitsandbytes") is None:
        raise MissingExtraError("--tune qlora needs bitsandbytes: pip install bitsandbytes")
    return found


def _weights(folder: Path, sizes: Architecture, where: str) -> None:
    """All files whole; every tensor there and of the shape config.json says, where the headers tell."""
    try:
        exported.whole_model(folder, sources())
        found = {name: shape for path in sorted(folder.glob("model*.safetensors")) for name, shape in exported.shapes(path).items()}
    except ExportError as error:
        raise BaseModelError(f"{where} cannot be the base of a generator: {error}") from error
    if not found:
        return  # pytorch_model.bin has no header to read; what it lacks shows when it is loaded
    for name, shape in expected(sizes).items():
        if found.get(name) != shape:
            has = "lacks it" if name not in found else f"has {'x'.join(map(str, found[name]))}"
            raise BaseModelError(
                f"{where}: config.json asks for {name} of {'x'.join(map(str, shape))}, the checkpoint {has}; fetch the checkpoint again"
            )


def expected(sizes: Architecture) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the matrices of a Llama or Mistral as transformers stores it."""
    out: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (sizes.vocabulary, sizes.width)}
    if not sizes.tied:
        out["lm_head.weight"] = (sizes.vocabulary, sizes.width)
    shapes = sizes.projections()
    for i in range(sizes.layers):
        for part in PROJECTIONS:
            block = "mlp" if part in ("gate_proj", "up_proj", "down_proj") else "self_attn"
            out[f"model.layers.{i}.{block}.{part}.weight"] = shapes[part]
    return out
