"""The vocabulary of a generator tuned for one schema, derived from the schema alone.

Every item of a scored prompt is one token, every key of an answer with its punctuation is one, every value is one. A
record of 12 features is 15 tokens, a change is 2: that is most of the engine's speed. The 256 bytes are there too, so
that any text can be read and any grammar written, as llama.cpp expects of a byte-level vocabulary.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cached_property

import numpy as np

from sensecf_edge.propose import prompt
from sensecf_edge.propose.grammar import answer_value
from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.schema import Schema
from sensecf_edge.space import rules

BEGIN, END = "<|begin|>", "<|end|>"
CLOSE = "}"
CHUNK = 2_000
"""Records that are laid beside a lattice at once: all of them would take their number times its length in memory."""


def byte_characters() -> list[str]:
    """The character that stands for each byte in byte-level vocabularies (GPT-2's table), by byte."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = iter(range(256, 512))
    return [chr(b) if b in printable else chr(next(others)) for b in range(256)]


class SchemaVocabulary:
    """Token texts by id and the two encodings a generator is trained on."""

    def __init__(self, schema: Schema, target: str) -> None:
        self.schema, self.target = schema, target

    @cached_property
    def fixed(self) -> list[str]:
        """The 256 bytes, begin and end."""
        return [*byte_characters(), BEGIN, END]

    @cached_property
    def tokens(self) -> list[str]:
        """All token texts, by id."""
        fixed = set(self.fixed)
        return [*self.fixed, *(t for t in dict.fromkeys(self._items()) if t not in fixed)]

    def _items(self) -> Iterable[str]:
        yield prompt.want(self.target)
        yield prompt.ARROW
        yield from prompt.score_items()
        for feature in self.schema.features:
            yield from prompt.items(feature)
        for feature in self.schema.features:
            key = json.dumps(feature.name, ensure_ascii=False) + ":"
            yield from ("{" + key, "," + key)
            yield from (answer_value(text, feature.kind) for text in feature.texts)

    @cached_property
    def ids(self) -> dict[str, int]:
        """Token text -> id."""
        return {t: i for i, t in enumerate(self.tokens)}

    @cached_property
    def longest(self) -> int:
        """Tokens of a prompt and the longest answer."""
        return self.prompt_length + 2 * len(self.schema) + 1

    @property
    def prompt_length(self) -> int:
        """Tokens of every prompt: the class, the present probability, one per feature, the arrow."""
        return len(self.schema) + 3

    def prompts(self, X: Vector, p: Vector) -> np.ndarray:
        """`scored` prompts of many records as token ids, shape (records, prompt_length); values go to the nearest lattice
        point. `p`: probability of the target as the records stand, shape (records,)."""
        out = np.empty((len(X), self.prompt_length), dtype=np.int32)
        out[:, 0], out[:, -1] = self.ids[prompt.want(self.target)], self.ids[prompt.ARROW]
        out[:, 1] = [self.ids[prompt.score_item(float(now))] for now in p]
        for i, feature in enumerate(self.schema.features):
            ids = np.array([self.ids[item] for item in prompt.items(feature)])
            for at in range(0, len(X), CHUNK):
                values = X[at : at + CHUNK, i]
                nearest = np.abs(np.nan_to_num(values)[:, None] - feature.lattice).argmin(axis=1)
                out[at : at + CHUNK, i + 2] = np.where(np.isnan(values), ids[-1], ids[nearest])
        return out

    def answer(self, x: Vector, y: Vector) -> list[int]:
        """The answer that turns x into y, as token ids. Features that follow others are not said."""
        out: list[int] = []
        for i in rules.proposed(self.schema, x, y):
            feature = self.schema.features[i]
            key = ("," if out else "{") + json.dumps(feature.name, ensure_ascii=False) + ":"
            out += [self.ids[key], self.ids[answer_value(feature.text(y[i]), feature.kind)]]
        return [*out, self.ids[CLOSE]]

    def starting_embeddings(self, width: int, seed: int) -> np.ndarray:
        """Random embeddings in which neighbouring values of a feature start as neighbours, shape (tokens, width).

        A value's vector is a sum of waves over its place in the feature's range (random Fourier features), so order and
        distance need not be learnt from the pairs alone.
        """
        rng = np.random.default_rng(seed)
        out = rng.normal(0, 0.02, (len(self.tokens), width)).astype(np.float32)
        for feature in self.schema.features:
            if feature.kind != "number":
                continue
            place = (feature.lattice - feature.lattice[0]) / feature.span
            waves = 0.02 * np.sqrt(2) * np.cos(place[:, None] * rng.normal(0, 6, width) + rng.uniform(0, 2 * np.pi, width))
            offset = rng.normal(0, 0.02, width)
            items = prompt.items(feature)[:-1]
            out[[self.ids[item] for item in items]] = offset + waves
        scores = prompt.score_items()
        place = np.linspace(0, 1, len(scores))[:, None]
        waves = 0.02 * np.sqrt(2) * np.cos(place * rng.normal(0, 6, width) + rng.uniform(0, 2 * np.pi, width))
        out[[self.ids[item] for item in scores]] = rng.normal(0, 0.02, width) + waves
        numbers = sorted({t for f in self.schema.features if f.kind == "number" for t in f.texts}, key=float)
        values = np.array([float(t) for t in numbers])
        waves = sum(
            np.cos(values[:, None] / scale * rng.normal(0, 1, width) + rng.uniform(0, 2 * np.pi, width)) for scale in (3.0, 30.0, 300.0)
        )
        out[[self.ids[t] for t in numbers]] = 0.02 * np.sqrt(2 / 3) * waves
        return out
