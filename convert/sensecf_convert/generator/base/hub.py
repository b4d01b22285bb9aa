"""A hub id -> a folder. Small files first, so that what is wrong is known before gigabytes are fetched; offline it says what is missing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from sensecf_edge.errors import BaseModelError

_SMALL = ("config.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
          "generation_config.json")  # fmt: skip
_SAFE, _OLD = ("*.safetensors", "*.safetensors.index.json"), ("pytorch_model*.bin", "pytorch_model.bin.index.json")
_ID = re.compile(r"[\w.-]+/[\w.-]+")


def small(where: str | Path) -> Path:
    """The folder with at least config.json and the tokenizer. Raises BaseModelError saying what to bring, and how."""
    folder = Path(where)
    if folder.is_dir():
        return folder
    if not _ID.fullmatch(str(where)):
        raise BaseModelError(f"there is no folder {where}, and it is no hub id (owner/name); give the folder of a checkpoint")
    return _snapshot(str(where), list(_SMALL))


def whole(where: str | Path) -> Path:
    """The folder with the weights as well; nothing is fetched that lies there already."""
    folder = Path(where)
    if folder.is_dir():
        return folder
    found = _snapshot(str(where), [*_SMALL, *_SAFE])
    if not any(found.glob("*.safetensors")):
        found = _snapshot(str(where), [*_SMALL, *_OLD])
    return found


def _snapshot(name: str, patterns: list[str]) -> Path:
    """Files of a repository: asked from the hub, and where it cannot be reached taken from the cache, if they are there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=patterns))
    except GatedRepoError as error:
        raise BaseModelError(
            f"{name} is given out under a licence to be accepted first: accept it on the model's page, then `hf auth login`, "
            "then run the same command again"
        ) from error
    except RepositoryNotFoundError as error:
        raise BaseModelError(f"the hub has no model {name}, or it needs a login (`hf auth login`); check the name") from error
    except Exception as error:  # whatever says "no network": the classes differ between versions of the hub's client
        raise BaseModelError(missing(name, error)) from error


def missing(name: str, reason: object) -> str:
    """What to bring by hand where the hub cannot be reached."""
    why = str(reason).strip().splitlines()[0][:120] if str(reason).strip() else type(reason).__name__
    return (
        f"{name} is not on this machine and the hub cannot be reached ({why}). On a machine with a network run "
        f"`hf download {name} --local-dir {name.split('/')[1]}`; it holds config.json, tokenizer.json or tokenizer.model, "
        "tokenizer_config.json and the weights (model*.safetensors with their index). Copy that folder here and give it as --base FOLDER"
    )


def read_config(folder: Path) -> dict[str, Any]:
    """config.json. Raises BaseModelError."""
    try:
        data = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if not isinstance(data, dict):
            raise ValueError("no JSON object")
        return data
    except FileNotFoundError as error:
        raise BaseModelError(f"{folder} has no config.json, so it is no checkpoint; bring the whole folder") from error
    except (OSError, ValueError) as error:
        raise BaseModelError(f"config.json in {folder} cannot be read ({error}); fetch it again") from error
