"""The words for a general language model (the style `instruct-2`): what is asked and the schema first, then one record.

The first part is the same for every record of a schema, so that an engine decodes it once. It says what each column is,
with unit and range, what never changes and what follows others; then come examples, where there are some. The second part
is the record, what of it may become what, and what the classifier says of it. It ends with a line break: a space at the
end would cut a piece off the model's own first token.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from ..schema.feature import Feature, number_text
from ..schema.schema import Schema
from ..space.admissible import Admissible

MOST_HINTS = 6
LONGEST_P, LONGEST_NUMBER = 1.0, 8
UNCLEAR = frozenset(',;=()"\\{}')


@dataclass(frozen=True)
class Task:
    """What a model is asked for: the classes in words ("no heart disease"), and whole `shots`, question and answer each."""

    wanted: str
    unwanted: str = "another class"
    shots: tuple[str, ...] = ()


@dataclass(frozen=True)
class Hint:
    """What one change alone would make of the record's probability p, 0..1. `text` as in answers, without quotes."""

    name: str
    text: str
    p: float


def build(task: Task, space: Admissible, p: float, hints: Sequence[Hint] = ()) -> str:
    """The whole prompt of one record whose probability of the wanted class is p. The same for every proposal."""
    return opening(space.record.schema, task) + question(space, p, task.wanted, hints)


@lru_cache(maxsize=16)
def opening(schema: Schema, task: Task) -> str:
    """What all prompts of a schema begin with, shots included."""
    lines = [
        f"A model reads a person's record and predicts either {task.unwanted} or {task.wanted}. For the last record below it predicts",
        f"{task.unwanted}. Name the smallest realistic change of values that would make it predict {task.wanted}.",
        "",
        "What a record holds:",
        *(_line(schema, feature) for feature in schema.features),
        *(f"Always true: {r.sentence()}." for r in schema.relations if r.moves is None),
        "",
        'Answer with one JSON object of what changes and nothing else, in the order above: {"name":value}.',
        "",
    ]
    return "\n".join([*lines, *task.shots, ""])


def _line(schema: Schema, feature: Feature) -> str:
    """One column: what it means, its range or choices, and what is always true of its changes."""
    said = [feature.label] if feature.label and feature.label != feature.name else []
    if feature.kind == "choice":
        said.append(f"one of {', '.join(map(quoted, feature.choices))}")
    else:
        low, high = feature.reference or (feature.low or 0.0, feature.high or 0.0)
        ends = f"{number_text(low)} to {number_text(high)} {feature.measure}".rstrip()
        said.append(f"{ends} in steps of {number_text(feature.step or 0)}")
    if follows := [r.sentence() for r in schema.relations if r.moves == feature.name]:
        said.append(f"{'follows others' if feature.name in schema.completed else 'also moves with others'}: {'; '.join(follows)}")
    if not feature.mutable:
        said.append("never changes")
    elif feature.direction != "either" and feature.name not in schema.completed:
        said.append(f"may only {feature.direction}")
    return f"- {feature.name}: {', '.join(said)}"


def question(space: Admissible, p: float, wanted: str, hints: Sequence[Hint] = ()) -> str:
    """One record, up to where the answer begins."""
    schema, record = space.record.schema, space.record
    now = [(f.name, _now(f, code)) for f, code in zip(schema.features, record.vector, strict=True)]
    may = [(schema.names[i], _reach(schema.features[i], [schema.features[i].text(v) for v in space.values[i]])) for i in space.features]
    return _question(now, may, p, wanted, space.max_changes, hints)


def _now(feature: Feature, code: float) -> str:
    """A present value; a number that was computed, and not written by anybody, with the digits that matter."""
    text = feature.text(code)
    return text if feature.kind == "choice" or len(text) <= LONGEST_NUMBER else f"{code:.{LONGEST_NUMBER - 2}g}"


def _question(
    now: Sequence[tuple[str, str]], may: Sequence[tuple[str, str]], p: float, wanted: str, most: int, hints: Sequence[Hint]
) -> str:
    lines = [
        f"Record: {', '.join(f'{name}={quoted(text)}' for name, text in now)}",
        f"May change: {', '.join(f'{name} to {text}' for name, text in may)}",
        f"The model gives {wanted} a probability of {p:.2f}. Change {'one value' if most == 1 else f'at most {most} values'}.",
    ]
    if hints:
        lines.append(f"Changed alone: {', '.join(f'{h.name}={quoted(h.text)} makes it {h.p:.2f}' for h in hints)}")
    return "\n".join([*lines, "Answer:", ""])


def shot(space: Admissible, p: float, wanted: str, answer: str, hints: Sequence[Hint] = ()) -> str:
    """An example: a made-up record and its answer."""
    return question(space, p, wanted, hints) + answer + "\n"


def _reach(feature: Feature, texts: Sequence[str]) -> str:
    if feature.kind == "choice":
        return " or ".join(map(quoted, texts))
    return texts[0] if len(texts) == 1 else f"{texts[0]}..{texts[-1]}"


def quoted(choice: str) -> str:
    """A choice in running text: in quotes where it would not be clear where it ends."""
    return json.dumps(choice, ensure_ascii=False) if UNCLEAR & set(choice) else choice


def longest(schema: Schema, task: Task, most: int, hints: bool) -> tuple[str, str]:
    """A prompt and an answer at least as long as any that this schema gives with up to `most` changes: what an engine makes room for."""
    texts = [max((*f.texts, "unknown"), key=len) for f in schema.features]
    now = list(zip(schema.names, texts, strict=True))
    may = [(f.name, _reach(f, f.choices if f.kind == "choice" else [t, t + " "])) for f, t in zip(schema.features, texts, strict=True)]
    given = [Hint(name, text, LONGEST_P) for name, text in sorted(now, key=lambda pair: -len("".join(pair)))[:MOST_HINTS]]
    prompt = opening(schema, task) + _question(now, may, LONGEST_P, task.wanted, most, given if hints else ())
    said = sorted((f'"{name}":"{text}",' for name, text in now), key=len, reverse=True)[:most]
    return prompt, "{" + "".join(said) + "}"
