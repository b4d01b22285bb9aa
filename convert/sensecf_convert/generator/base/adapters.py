"""The weights of a base in torch: loaded whole, frozen under a LoRA adapter or packed to 4 bits below one; merged and saved."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM
from transformers.utils import logging

from sensecf_edge.errors import BaseModelError

from .architecture import PROJECTIONS
from .checkpoint import Base
from .tokens import FILES


def load(base: Base, dtype: torch.dtype, device: str, packed: bool = False) -> Any:
    """The causal model of a checkpoint. Raises BaseModelError where a weight is missing or of the wrong shape."""
    more: dict[str, Any] = {}
    logging.disable_progress_bar()
    if packed:
        from transformers import BitsAndBytesConfig

        more["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
        )
    try:
        model, told = AutoModelForCausalLM.from_pretrained(
            base.folder, dtype=dtype, local_files_only=True, attn_implementation="sdpa", output_loading_info=True,
            device_map={"": 0} if device == "cuda" else None, **more,
        )  # fmt: skip
    except (OSError, ValueError, RuntimeError) as error:
        raise BaseModelError(f"the weights of {base.name} cannot be loaded: {str(error).splitlines()[0]}") from error
    lacking = sorted(str(name) for name in (*told["missing_keys"], *told.get("mismatched_keys", ())))
    if lacking:
        raise BaseModelError(f"{base.name} lacks {len(lacking)} weights, {lacking[0]} first; fetch the checkpoint again")
    model.config.use_cache = False
    return model


def adapted(model: Any, rank: int, scale: float, seed: int, packed: bool) -> Any:
    """The model frozen, with a new LoRA adapter in float32 on every projection. Beginnings depend on the seed alone."""
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    if packed:
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    config = LoraConfig(
        r=rank, lora_alpha=scale * rank, target_modules=list(PROJECTIONS), lora_dropout=0.0, bias="none", task_type="CAUSAL_LM"
    )
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)  # PEFT asks transformers by an old name
        torch.manual_seed(seed)
        return get_peft_model(model, config)


def computed_again(model: Any) -> None:
    """Layers are computed a second time on the way back instead of being kept; by the name that this transformers calls it."""
    if enable := getattr(model, "activation_checkpointing_enable", None):
        enable({"use_reentrant": False})
    else:
        model.gradient_checkpointing_enable({"use_reentrant": False})


def save_adapter(model: Any, base: Base, folder: Path) -> Path:
    """The adapter alone, as PEFT stores it."""
    model.peft_config["default"].base_model_name_or_path = base.name
    with _whole(folder) as part:
        model.save_pretrained(part, save_embedding_layers=False)
    return folder


def merge(base: Base, adapter: Path, folder: Path) -> Path:
    """The base with the adapter added to its weights, in the type the base is stored in, on the CPU."""
    from peft import PeftModel

    model = load(base, getattr(torch, base.stored), "cpu")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        merged = PeftModel.from_pretrained(model, adapter, local_files_only=True).merge_and_unload(safe_merge=True)
    return save(merged, base, folder)


def save(model: Any, base: Base, folder: Path) -> Path:
    """A checkpoint folder: the weights, and the base's own config and tokenizer, byte for byte but for the type of the weights."""
    with _whole(folder) as part:
        model.save_pretrained(part)
        config = json.loads((base.folder / "config.json").read_text(encoding="utf-8"))
        stored = str(next(model.parameters()).dtype).removeprefix("torch.")
        config.update({key: stored for key in ("dtype", "torch_dtype") if key in config})
        (part / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        for name in (*FILES, "generation_config.json"):
            if (base.folder / name).is_file():
                shutil.copyfile(base.folder / name, part / name)
    return folder


class _whole:  # noqa: N801  (reads as a statement)
    """A folder written beside its place and moved there when it is whole."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.part = folder, folder.with_name(folder.name + ".part")

    def __enter__(self) -> Path:
        shutil.rmtree(self.part, ignore_errors=True)
        self.part.mkdir(parents=True)
        return self.part

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.part.replace(self.folder)
