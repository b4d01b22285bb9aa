"""How a generator is spoken to: the words of its prompts, and what it is called in answers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..bundle.bundle import Bundle
from ..bundle.manifest import Target
from ..judge.classifier import Checker
from ..propose import instructions, prompt
from ..propose.instructions import Hint, Task
from ..report.phrases import class_text
from ..schema.schema import Schema
from ..settings import LOOP
from ..space import rules
from ..space.admissible import Admissible
from .choice import BUNDLE

WIDEST = 2_048
"""Single changes, at most, that hints are taken from; more are thinned evenly."""

LEAST_GAIN = 0.005


@dataclass(frozen=True)
class Prompting:
    """`name` is what answers say of the generator, `style` one of prompt.STYLES; `task`, `shots` and `hints` are for general models."""

    style: str
    target: str
    task: Task
    name: str = BUNDLE
    shots: int = 0
    hints: bool = False

    @classmethod
    def of(cls, bundle: Bundle) -> Prompting:
        """As the bundle's own generator is spoken to."""
        facts, target = bundle.manifest.generator, bundle.manifest.target
        return cls(facts.prompt, target.wanted, task_of(target), hints=facts.hints)

    def prompt(self, space: Admissible, p: float, checker: Checker) -> str:
        """The prompt for one record of probability p; hints take one batch of the classifier."""
        hints = hints_of(checker, space, p) if self.hints else ()
        return prompt.build(self.style, space, self.target, p, self.task, hints)

    def longest(self, schema: Schema) -> tuple[str, str]:
        """The longest prompt and answer that may come, as texts."""
        return instructions.longest(schema, self.task, min(LOOP.max_changes, len(schema)), self.hints)

    def with_shots(self, shots: tuple[str, ...]) -> Prompting:
        """The same with examples in front of every record."""
        return replace(self, task=replace(self.task, shots=shots), shots=len(shots))


def task_of(target: Target) -> Task:
    """What a general model is asked for, in words: the classes with the column's meaning where they are no more than yes and no."""
    wanted, unwanted = (class_text(name, target.column) for name in (target.wanted, target.unwanted))
    return Task(wanted, unwanted)


def hints_of(checker: Checker, space: Admissible, p: float) -> tuple[Hint, ...]:
    """What the best single change of each feature alone would give, best first: one batch of the classifier."""
    schema, x = space.record.schema, space.record.vector
    columns, values = space.singles
    if len(values) > WIDEST:
        part = np.linspace(0, len(values) - 1, WIDEST).astype(np.intp)
        columns, values = columns[part], values[part]
    rows = np.repeat(x[None], len(values), axis=0)
    rows[np.arange(len(rows)), columns] = values
    rows = rules.complete(schema, x, rows)
    kept = rules.admitted(space, rows)
    if not kept.any():
        return ()
    columns, values, scores = columns[kept], values[kept], checker.p_target(rows[kept])
    best: dict[int, tuple[float, float]] = {}
    for i, value, score in zip(columns.tolist(), values.tolist(), scores.tolist(), strict=True):
        if score > best.get(i, (p + LEAST_GAIN, 0.0))[0]:
            best[i] = score, value
    order = sorted(best, key=lambda i: -best[i][0])[: instructions.MOST_HINTS]
    return tuple(Hint(schema.names[i], schema.features[i].text(best[i][1]), best[i][0]) for i in order)
