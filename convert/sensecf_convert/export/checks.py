"""A checkpoint or an adapter looked at before the converter starts: all files there, the architecture known, shapes that fit."""

from __future__ import annotations

import ast
import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sensecf_edge.errors import ExportError

_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "tekken.json", "vocab.json")
_UNSAID: dict[str, tuple[Any, ...]] = {
    "use_dora": (False,), "use_rslora": (False,), "lora_bias": (False,), "bias": ("none",), "fan_in_fan_out": (False,),
    "alpha_pattern": ({},), "modules_to_save": ([],), "trainable_token_indices": ([], {}), "layer_replication": ([],),
    "target_parameters": ([],),
}  # fmt: skip


def whole_model(folder: Path, llama: Path) -> None:
    """Raises ExportError for a folder that the converter could not turn into a model."""
    vocabulary(folder, llama)
    _weights(folder)


def vocabulary(folder: Path, llama: Path) -> None:
    """Raises ExportError for a folder whose vocabulary the converter could not read."""
    _known_architecture(folder, llama)
    _tokenizer(folder)


def adapter(folder: Path, base: Path, llama: Path) -> None:
    """Raises ExportError for an adapter that is no plain LoRA, or that does not belong to `base`."""
    config = _json(folder, "adapter_config.json", "a LoRA adapter as PEFT saves it")
    if (kind := str(config.get("peft_type", "LORA"))) != "LORA":
        raise ExportError(f"{folder} is an adapter of type {kind}; llama.cpp reads LoRA only. Merge it into its base instead")
    for key, plain in _UNSAID.items():
        if (value := config.get(key)) is not None and value not in plain:
            raise ExportError(
                f"{folder} uses {key} = {value!r}, which an adapter in GGUF cannot say and would be lost without a word; "
                "merge the adapter into its base and convert the whole"
            )
    if not any((folder / name).is_file() for name in ("adapter_model.safetensors", "adapter_model.bin")):
        raise ExportError(f"{folder} has no adapter_model.safetensors; save the adapter again")
    _known_architecture(base, llama)
    _fits(folder, base)


@cache
def architectures(llama: Path) -> frozenset[str]:
    """Names of the text models that this llama.cpp converts, read from its table without importing it."""
    tree = ast.parse((llama / "conversion" / "__init__.py").read_text(encoding="utf-8"))
    for node in tree.body:
        target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(target, ast.Name) and target.id == "TEXT_MODEL_MAP" and (value := getattr(node, "value", None)):
            return frozenset(ast.literal_eval(value))
    raise ExportError(f"{llama} holds no table of architectures; delete it and run the same command again")


def _known_architecture(folder: Path, llama: Path) -> None:
    config = _json(folder, "config.json", "a checkpoint as transformers saves it")
    inner = config.get("text_config")
    names = (inner.get("architectures") if isinstance(inner, dict) else None) or config.get("architectures")
    if not isinstance(names, list) or not names:
        raise ExportError(f"config.json in {folder} names no architectures, so llama.cpp cannot know the model; save it with transformers")
    known = architectures(llama)
    if names[0] not in known:
        alike = sorted(n for n in known if n[:4].lower() == str(names[0])[:4].lower())
        raise ExportError(
            f"llama.cpp has no model of the architecture {names[0]} ({folder}); take a base of one of the {len(known)} it has"
            + (f", such as {', '.join(alike[:4])}" if alike else ", such as LlamaForCausalLM or MistralForCausalLM")
        )


def _tokenizer(folder: Path) -> None:
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        raise ExportError(f"{folder} has no tokenizer (none of {', '.join(_TOKENIZERS)}); copy the base model's tokenizer files there")
    if (folder / "tokenizer.model").is_file() and find_spec("sentencepiece") is None:
        raise ExportError(f"{folder}/tokenizer.model is read with sentencepiece, which is not installed: pip install sentencepiece")


def _weights(folder: Path) -> None:
    """Whole where one file, or every file that the index names, is there and as long as its own header says."""
    index = next((n for n in ("model.safetensors.index.json", "pytorch_model.bin.index.json") if (folder / n).is_file()), None)
    if index is not None:
        names = _json(folder, index, "an index of weights").get("weight_map")
        if not isinstance(names, dict) or not names:
            raise ExportError(f"{index} in {folder} has no weight_map; fetch the checkpoint again")
        files = sorted({str(name) for name in names.values()})
        lacking = [name for name in files if not (folder / name).is_file()]
        if lacking:
            raise ExportError(f"{folder} lacks {len(lacking)} of {len(files)} weight files, {lacking[0]} first; the rest has to be fetched")
    else:
        files = sorted(p.name for pattern in ("model*.safetensors", "pytorch_model*.bin") for p in folder.glob(pattern))
        if not files:
            tuned = (folder / "adapter_config.json").is_file()
            instead = "; it holds an adapter: give its base as CHECKPOINT and this folder with --adapter" if tuned else "; fetch it again"
            raise ExportError(f"{folder} has no weights (model.safetensors){instead}")
    for name in files:
        if name.endswith(".safetensors"):
            shapes(folder / name)


def shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors in a safetensors file, from its header alone. Raises ExportError where it is cut short."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            header = json.loads(file.read(length)) if length < size else None
            tensors = {k: v for k, v in header.items() if k != "__metadata__"}  # type: ignore[union-attr]
            end = max((int(t["data_offsets"][1]) for t in tensors.values()), default=0)
            found = {name: tuple(map(int, t["shape"])) for name, t in tensors.items()}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ExportError(f"{path} is no safetensors file; fetch it again") from error
    if size < 8 + length + end:
        raise ExportError(f"{path} is cut short: {size:,} of {8 + length + end:,} bytes; fetch it again")
    return found


def _fits(folder: Path, base: Path) -> None:
    """Every pair of the adapter has a tensor of the same outer shape in the base, where the base's weights are at hand."""
    file = folder / "adapter_model.safetensors"
    weights = {k: v for p in sorted(base.glob("model*.safetensors")) for k, v in shapes(p).items()}
    if not file.is_file() or not weights:
        return
    pairs = shapes(file)
    for name, a in pairs.items():
        if not name.endswith(".lora_A.weight"):
            continue
        plain = name.removeprefix("base_model.model.").replace(".lora_A.weight", ".weight")
        b = pairs.get(name.replace(".lora_A.", ".lora_B."))
        if b is None:
            raise ExportError(f"{file} holds {name} without its lora_B; save the adapter again")
        if plain == "lm_head.weight" and plain not in weights:
            raise ExportError(f"{folder} adapts lm_head, which {base} shares with its embeddings; merge the adapter instead")
        if plain not in weights or weights[plain] != (b[0], a[1]):
            has = "x".join(map(str, weights[plain])) if plain in weights else "no such tensor"
            raise ExportError(
                f"the adapter {folder} does not belong to {base}: {plain} should be {b[0]}x{a[1]}, the base has {has}; "
                "give the base that it was tuned on"
            )


def _json(folder: Path, name: str, what: str) -> dict[str, Any]:
    if not folder.is_dir():
        raise ExportError(f"there is no folder {folder}; give {what}. Models are not looked up on a hub here")
    if not (folder / name).is_file():
        raise ExportError(f"{folder} has no {name}, so it is not {what}")
    try:
        data = json.loads((folder / name).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ExportError(f"{name} in {folder} is not JSON ({error}); fetch it again") from error
    if not isinstance(data, dict):
        raise ExportError(f"{name} in {folder} is not a JSON object; fetch it again")
    return data
