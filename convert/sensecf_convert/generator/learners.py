"""The steps that make a generator: a learner takes pairs, from nothing or from a given base; then a round of self-improvement."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sensecf_edge.bundle.shared import SharedWeights
from sensecf_edge.generators.prompting import Prompting
from sensecf_edge.judge.classifier import Checker
from sensecf_edge.propose import prompt
from sensecf_edge.propose.instructions import Task
from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.schema import Schema

from ..export.quantize import quantize
from ..plan import BETTER, FIRST, SIZES, WORDS, FitPlan
from ..progress import bar
from ..table.cohort import Cohort
from ..teachers.lesson import Lesson
from ..work import Work, save
from . import practice as improve
from .practice import Speaker
from .scratch.gguf import write_gguf
from .scratch.vocabulary import SchemaVocabulary

if TYPE_CHECKING:
    from .base.checkpoint import Base

PRACTICE_SHARE, PRACTICE_PASSES, PRACTICE_RATE = 0.5, 3.0, 8e-4
HELD_OUT = 1000
ENOUGH = 0.98
"""First tries on invented people, from which on practice is left out unless it was asked for: it has hardly anything to gain."""
Pairs = Mapping[str, Vector]
"""X and Y, shape (pairs, features), and p, shape (pairs,): the factuals' probability of the wanted class."""


@dataclass(frozen=True)
class Made:
    """A generator as a quantized GGUF, the same unquantized, and facts for manifest and card (prompt style, context, …). With an
    `adapter` the GGUF is one that bundles share, and the adapter goes over it."""

    file: Path
    plain: Path
    facts: dict[str, Any]
    task: Task | None = None
    adapter: Path | None = None

    def speaker(self, target: str, checker: Checker) -> Speaker:
        """The generator, ready to be asked; hints, where it was tuned with some, are this classifier's."""
        prompting = Prompting(self.facts["prompt"], target, self.task or Task(target), hints=self.facts.get("hints", False))
        return Speaker(self.file, prompting, self.facts["context"], checker, self.adapter)


@dataclass(frozen=True)
class Learner(ABC):
    """Makes a generator out of pairs. `name` is FIRST, or BETTER: then it goes on from what FIRST became."""

    work: Work
    plan: FitPlan

    @abstractmethod
    def learn(self, pairs: Pairs, name: str, passes: float) -> Made:
        """Train, write GGUF, quantize. Goes on from its last checkpoint; what is finished is only read."""

    def _quantized(self, name: str, plain: Path, train: Callable[[], dict[str, Any]]) -> Made:
        """What `train` leaves as the GGUF `plain`, in the plan's type; `train` returns the facts. Only read where it is finished."""
        file = self.work / f"{name}.gguf"
        if not file.exists():
            self.work.note(f"{name}.json", train())
            quantize(plain, file, self.plan.quantization)
        return Made(file, plain, self.work.facts(f"{name}.json"))


@dataclass(frozen=True)
class FromScratch(Learner):
    """A small Llama with a vocabulary of the schema's own.

    `start`: a checkpoint of another such training, of the same schema and class, whose weights this one begins with.
    """

    vocabulary: SchemaVocabulary
    start: Path | None = None

    def learn(self, pairs: Pairs, name: str, passes: float) -> Made:
        """See `Learner`."""
        plain = self.work / f"{name}-f32.gguf"
        return self._quantized(name, plain, lambda: self._train(pairs, name, passes, plain))

    def _train(self, pairs: Pairs, name: str, passes: float, plain: Path) -> dict[str, Any]:
        from .scratch import training  # torch

        width, layers = SIZES[self.plan.size]
        model = training.new_model(self.vocabulary, training.Shape(width, 3 * width, layers, width // 32), self.plan.seed)
        batch = training.batch_of(passes, len(pairs["X"]))
        tuning = training.Tuning(passes, self.plan.minutes or math.inf, batch, seed=self.plan.seed)
        if begin := self.work / f"{FIRST}.pt" if name == BETTER else self.start:
            training.load_weights(model, begin)
            tuning = replace(tuning, rate=PRACTICE_RATE)
        trainer = training.Trainer(model, tuning, self.work / f"{name}.pt")
        tokens, labels = training.encode(self.vocabulary, pairs["X"], pairs["Y"], pairs["p"])
        with bar(name) as show:
            loss = trainer.run(tokens, labels, lambda share, loss: show(share, f"loss {loss:.3f}"))
        write_gguf(model, self.vocabulary, plain)
        return {
            "prompt": "scored", "architecture": "llama", "context": self.vocabulary.longest, "how": "from nothing", "size": self.plan.size,
            "parameters": model.num_parameters(), "loss": loss, "minutes": trainer.spent / 60, "vocabulary": len(self.vocabulary.tokens),
            **trainer.steps.facts(),
        }  # fmt: skip


@dataclass(frozen=True)
class FromBase(Learner):
    """A given Llama or Mistral checkpoint, tuned whole or by LoRA on prompts whose hints are the `checker`'s; adapters are merged before
    the export.

    Where the base is `shared` weights, a GGUF, the adapter alone is exported, to go over them.
    """

    base: Base
    schema: Schema
    task: Task
    checker: Checker
    shared: SharedWeights | None = None

    def learn(self, pairs: Pairs, name: str, passes: float) -> Made:
        """See `Learner`."""
        if self.shared:
            return self._over(self.shared, pairs, name, passes)
        plain = self.work / f"{name}-plain.gguf"
        return replace(self._quantized(name, plain, lambda: self._train(pairs, name, passes, plain)), task=self.task)

    def _over(self, shared: SharedWeights, pairs: Pairs, name: str, passes: float) -> Made:
        """An adapter over weights that stay as they are."""
        from ..export.convert import lora_to_gguf

        adapter, facts = self.work / f"{name}-adapter.gguf", f"{name}.json"
        if not adapter.exists():
            tuned, found = self._tune(pairs, name, passes)
            self.work.note(facts, {**found, "weights": asdict(shared)})
            lora_to_gguf(tuned, self.base.folder, adapter, "f16")
        return Made(shared.path, shared.path, self.work.facts(facts), self.task, adapter)

    def _train(self, pairs: Pairs, name: str, passes: float, plain: Path) -> dict[str, Any]:
        from ..export.convert import hf_to_gguf

        checkpoint, facts = self._tune(pairs, name, passes)
        if not plain.exists():
            hf_to_gguf(checkpoint, plain, "f32" if self.base.stored == "float32" else "bf16")
        return facts

    def _tune(self, pairs: Pairs, name: str, passes: float) -> tuple[Path, dict[str, Any]]:
        """The merged checkpoint, or the adapter's folder where weights are shared; and the facts."""
        from .base.checkpoint import Base
        from .base.tuning import Recipe, tune

        plan, folder = self.plan, self.work / name
        base = Base.open(self.work / FIRST / "merged", plan.tune, plan.device) if name == BETTER else self.base
        recipe = Recipe(plan.tune, plan.device, plan.seed, passes, plan.minutes or math.inf, plan.batch, rate=plan.rate, rank=plan.rank)
        prompting = Prompting(prompt.GENERAL if plan.prompt == WORDS else prompt.BRIEF, plan.wanted, self.task, hints=bool(plan.hints))
        with bar(name) as show:
            tuned = tune(
                base, self.schema, partial(prompting.prompt, checker=self.checker), pairs["X"], pairs["Y"], p=pairs["p"], work=folder,
                recipe=recipe, max_changes=plan.max_changes, merged=not self.shared,
                report=lambda share, loss: show(share, f"loss {loss:.3f}"),
            )  # fmt: skip
        facts = {**tuned.facts, "base": self.base.name, "how": plan.tune, "prompt": prompting.style, "hints": plan.hints,
                 "context": tuned.longest, "architecture": self.base.sizes.name, "vocabulary": self.base.tokens.size}  # fmt: skip
        made = tuned.adapter if self.shared else tuned.checkpoint
        assert made is not None  # an adapter where weights are shared, else merged
        return made, facts


def after_practice(learner: Learner, pairs: Pairs, first: Made, lesson: Lesson, train: Cohort) -> Made:
    """`first` after a round of self-improvement, or `first` itself where that is better on people neither practised on, or good enough
    not to practise at all."""
    work, plan = learner.work, learner.plan
    if not (work / "gain.json").exists():
        held_out = improve.HeldOut.of(lesson, train, HELD_OUT, plan.seed)
        checker = lesson.judge().checker
        gain = {"before": held_out.first_try(first.speaker(plan.wanted, checker))}
        if plan.improve or gain["before"] < ENOUGH:
            practice, counts = _practised(work, plan, first, lesson, train)
            old = np.random.default_rng(plan.seed).permutation(len(pairs["X"]))[: len(practice["X"])]
            mixed = {k: np.concatenate([practice[k], pairs[k][old]]) for k in ("X", "Y", "p")}
            better = learner.learn(mixed, BETTER, PRACTICE_PASSES)
            gain = {**counts, **gain, "after": held_out.first_try(better.speaker(plan.wanted, checker))}
        work.note("gain.json", gain)
    gain = work.facts("gain.json")
    if gain.get("after", -1.0) < gain["before"]:
        return replace(first, facts={**first.facts, "improvement": gain})
    better = learner.learn({}, BETTER, PRACTICE_PASSES)  # finished: only read
    both = {k: first.facts[k] + better.facts[k] for k in ("minutes", "steps", "steps_planned")}
    return replace(better, facts={**better.facts, **both, "improvement": gain})


def _practised(work: Work, plan: FitPlan, first: Made, lesson: Lesson, train: Cohort) -> tuple[Pairs, dict[str, Any]]:
    path = work / "practice.npz"
    if not path.exists():
        checker = lesson.judge().checker
        with bar("practice") as show:
            speaker = first.speaker(plan.wanted, checker)
            practice, counts = improve.practise(speaker, lesson, train, int(PRACTICE_SHARE * plan.pairs), plan.seed, show)
        practice["p"] = checker.p_target(practice["X"])
        work.note("practice.json", counts)
        save(path, practice)
    return dict(np.load(path)), work.facts("practice.json")
