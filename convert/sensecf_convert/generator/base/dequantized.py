"""A GGUF as a base: its weights unpacked into a checkpoint folder, once, kept in the user's cache under the file's hash.

transformers reads a GGUF and cannot save what it read: it takes the model for one that is still quantized. So the plain
weights are written as a new checkpoint. Whether that can be tuned is asked like of any other folder.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

from sensecf_edge.bundle.shared import SharedWeights, cache
from sensecf_edge.errors import BaseModelError
from sensecf_edge.generators.choice import SMOLLM2
from sensecf_edge.generators.weights import digest, weights

from ...progress import note, step
from .tokens import FILES

FLOAT32_UP_TO = 1_000_000_000
"""Bytes of a GGUF up to which its weights are unpacked to float32; larger ones to bfloat16."""


def is_gguf(where: str | Path) -> bool:
    """Whether a base is given as a GGUF, or as the name of weights that are one."""
    return str(where) == SMOLLM2 or str(where).lower().endswith(".gguf")


def file_of(where: str | Path) -> Path:
    """The GGUF that is meant; fetched where it is the name of weights. Raises BaseModelError, EngineError."""
    path = weights(SMOLLM2, note) if str(where) == SMOLLM2 else Path(where)
    if not path.is_file():
        raise BaseModelError(f"there is no file {where}; give a GGUF, the folder of a checkpoint, or a hub id")
    return path


def shared(where: str | Path) -> SharedWeights:
    """The GGUF as bundles refer to it; it lies in the cache afterwards, beside the others."""
    path = file_of(where)
    found = SharedWeights(digest(path), path.stat().st_size, path.name if str(where) != SMOLLM2 else SMOLLM2)
    if not found.path.is_file():
        found.path.parent.mkdir(parents=True, exist_ok=True)
        part = found.path.with_suffix(".part")
        shutil.copyfile(path, part)
        part.replace(found.path)
    return found


def checkpoint(where: str | Path) -> Path:
    """The folder of plain weights of a GGUF: config.json, tokenizer, safetensors. Raises BaseModelError."""
    path = file_of(where)
    folder = cache() / "bases" / digest(path)
    if (folder / "config.json").is_file():
        return folder
    with step("base") as say:
        part = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        try:
            _unpack(path, part)
        except (OSError, ValueError, KeyError, RuntimeError, NotImplementedError, ImportError) as error:
            shutil.rmtree(part, ignore_errors=True)
            raise BaseModelError(f"{where} cannot be unpacked by transformers: {str(error).splitlines()[0][:200]}") from error
        part.replace(folder)
        say(f"weights of {where} unpacked into {folder}")
    return folder


def _unpack(path: Path, folder: Path) -> None:
    import torch
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    dtype = torch.float32 if path.stat().st_size <= FLOAT32_UP_TO else torch.bfloat16
    where = {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name, "local_files_only": True}
    with contextlib.redirect_stderr(io.StringIO()):  # a bar of its own, which cannot be switched off otherwise
        model = AutoModelForCausalLM.from_pretrained(**where, dtype=dtype)
    AutoTokenizer.from_pretrained(**where).save_pretrained(folder)
    for name in {p.name for p in folder.iterdir()} - {*FILES}:
        (folder / name).unlink()
    config: dict[str, Any] = model.config.to_dict()
    config.pop("quantization_config", None)
    config.update(architectures=[type(model).__name__], dtype=str(dtype).removeprefix("torch."))
    tied = {"lm_head.weight"} if config.get("tie_word_embeddings") else set[str]()
    save_file({k: v.contiguous() for k, v in model.state_dict().items() if k not in tied}, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config, indent=2, default=str) + "\n", encoding="utf-8")
