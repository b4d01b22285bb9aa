"""Base models of random weights, and pairs on the toy schema to tune them with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SCHEMA as TOY
from sensecf_convert.export.upstream import sources
from sensecf_convert.generator.base import rehearsal

from sensecf_edge.errors import ExportError
from sensecf_edge.schema.schema import Schema

SCHEMA = Schema.from_json(TOY)
NARROW = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1}


def need_sources() -> None:
    """Skip where llama.cpp's sources (converters, golden vocabularies) are neither cached nor to be fetched."""
    try:
        sources()
    except ExportError as error:
        pytest.skip(str(error))


def narrow(folder: Path, **sizes: Any) -> Path:
    """A Mistral of a million weights, in a second."""
    return rehearsal.write("mistral", folder, **{**NARROW, **sizes})


def pairs(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(X, Y, p): people who walk little and are told to walk 4,000 steps more; a third of them also to sleep deeper."""
    chance = np.random.default_rng(seed)
    columns = [chance.integers(18, 80, count), 500 * chance.integers(3, 20, count), chance.integers(5, 20, count), np.zeros(count)]
    X = np.stack(columns, axis=1).astype(float)
    Y = X.copy()
    Y[:, 1] += 4000
    Y[::3, 2] += 5
    return X, Y, chance.uniform(0.1, 0.4, count)
