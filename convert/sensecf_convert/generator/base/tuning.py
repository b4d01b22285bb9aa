"""Tuning a base on pairs: answers only, resumable from a checkpoint that is at most a minute old."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from sensecf_edge.errors import BaseModelError
from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.schema import Schema
from sensecf_edge.settings import LOOP

from ...work import Work, write_json
from ..batches import batch_rows
from ..steps import Steps
from . import adapters, frozen, memory
from .checkpoint import Base, chosen
from .lessons import IGNORE, Ask, Lessons, encode

CHECKPOINT_SECONDS = 50.0
SAVING_SHARE = 0.1
"""At most this share of the time goes into checkpoints: a fully tuned 8B model's is too large for one a minute."""

EVERY, PATIENCE, LEAST_FALL = 50, 4, 0.002
"""Steps between two looks at held-out pairs; how many looks without a fall of this share end a tuning."""

BATCH = {"cpu": 8, "cuda": 32}
"""Pairs a step, where the recipe does not say."""

NOT_OF_THE_RESULT = ("minutes", "device")
"""Parts of a recipe that a tuning may go on with others of."""

Report = Callable[[float, float], None]


@dataclass(frozen=True)
class Recipe:
    """How to tune: `how` is one of `memory.HOW`. Ends after `passes`, or fewer where those would take longer than `minutes` (see `steps`).
    `batch` pairs make a step (0: 8 on a CPU, 32 on CUDA), `rows` of them go through the model at once (0: as many as memory takes, at
    most 16; on a CPU within 6 GB). `rate` 0 means 2e-4 for adapters and 2e-5 for whole models. `scale` is LoRA's alpha over its rank."""

    how: str = "lora"
    device: str = "auto"
    seed: int = 0
    passes: float = 1.0
    minutes: float = math.inf
    batch: int = 0
    rows: int = 0
    rate: float = 0.0
    rank: int = 16
    scale: float = 2.0


@dataclass(frozen=True)
class Tuned:
    """What came out. `checkpoint`: the whole model (base and adapter merged), None where merging was left out; `adapter`:
    the adapter alone, None after full tuning. `longest` belongs into the manifest (context): a quarter more than any pair took,
    for a record to come may take more words."""

    checkpoint: Path | None
    adapter: Path | None
    longest: int
    facts: dict[str, Any]


def tune(
    base: Base, schema: Schema, ask: Ask, X: Vector, Y: Vector, *, p: Vector, work: Path, recipe: Recipe,
    max_changes: int = LOOP.max_changes, merged: bool = True, report: Report | None = None,
) -> Tuned:  # fmt: skip
    """Tune on pairs X -> Y, both (pairs, features), where p, (pairs,), is the target's probability as X stands and `ask` makes the
    prompts.

    `report(share done, loss)` after each step. `work` belongs to this tuning: run the same call again to go on or to get the finished
    result. Raises BaseModelError where memory or prompt length forbid it, TableError where `work` holds another tuning.
    """
    device = chosen(recipe.device, recipe.how)
    recipe = replace(recipe, device=device, batch=recipe.batch or BATCH[device])
    lessons = encode(base.tokens, schema, ask, X, Y, p, max_changes)
    _check_lengths(base, lessons)
    asked = {name: value for name, value in asdict(recipe).items() if name not in NOT_OF_THE_RESULT}
    plan = {"base": _fingerprint(base), "schema": schema.hash, **asked, "prompts": lessons.hash,
            "pairs": hashlib.sha256(b"".join(a.tobytes() for a in (X, Y, p))).hexdigest()}  # fmt: skip
    Work(work).belongs(plan)
    adapter, whole, done = work / "adapter", work / "merged", work / "tuned.json"
    if not done.exists():
        room = _room(base, lessons, recipe)
        tuner = Tuner(base, replace(recipe, rows=room.rows), work / "tuning.pt", room.twice)
        tuner.run(*lessons.parted(recipe.seed), report or (lambda share, loss: None))
        if recipe.how == "full":
            adapters.save(tuner.model, base, whole)
        else:
            adapters.save_adapter(tuner.model, base, adapter)
        write_json(done, {**tuner.facts(), "base": base.name, "how": recipe.how, "device": device, "pairs": len(lessons),
                          "left_out": lessons.left_out, "memory": memory.tuning(base.sizes, room)["total"]})  # fmt: skip
        (work / "tuning.pt").unlink(missing_ok=True)
        del tuner
    if recipe.how != "full" and merged and not whole.exists():
        adapters.merge(base, adapter, whole)
    there = whole if whole.exists() else None
    longest = min(base.sizes.context, lessons.longest * 5 // 4)
    return Tuned(there, None if recipe.how == "full" else adapter, longest, json.loads(done.read_text()))


class Tuner:
    """The loop. `checkpoint` holds what is being trained, and is read back by the next Tuner of the same plan."""

    def __init__(self, base: Base, recipe: Recipe, checkpoint: Path, again: bool = False) -> None:
        self.recipe, self.device, self.checkpoint, self.whole = recipe, recipe.device, checkpoint, recipe.how == "full"
        narrow = torch.bfloat16 if self.device == "cuda" else frozen.fastest()
        self.model = adapters.load(base, torch.float32 if self.whole else narrow, self.device, packed=recipe.how == "qlora")
        if not self.whole:
            self.model = adapters.adapted(self.model, recipe.rank, recipe.scale, recipe.seed, packed=recipe.how == "qlora")
            if self.device == "cpu":
                frozen.joined(self.model)
        self.inner = self.model if self.whole else self.model.get_base_model()
        if again:
            adapters.computed_again(self.inner)
        self.model.train()
        self.trained = {name: weights for name, weights in self.model.named_parameters() if weights.requires_grad}
        self.rate = recipe.rate or (2e-5 if self.whole else 2e-4)
        self.optimizer = torch.optim.AdamW(self.trained.values(), lr=self.rate, betas=(0.9, 0.98), weight_decay=0.01)
        self.step, self.decided, self.spent, self.loss, self.first, self.resumed = 0, 0, 0.0, math.nan, math.nan, 0
        self.held: list[float] = []
        if checkpoint.exists():
            self._load()

    def run(self, lessons: Lessons, held: Lessons, report: Report) -> None:
        """Train to the end, or until the loss on held-out pairs has not fallen for `PATIENCE` looks at it."""
        recipe = self.recipe
        steps = self.steps = Steps(max(1, round(recipe.passes * len(lessons) / recipe.batch)), recipe.minutes, self.decided)
        began, saved, cost = time.monotonic() - self.spent, time.monotonic(), 0.0
        while (done := steps.share(self.step)) < 1:
            for group in self.optimizer.param_groups:
                group["lr"] = self.rate * _schedule(done, steps.total)
            ends = began + 60 * recipe.minutes
            loss = self._one(lessons, batch_rows(recipe.seed, self.step, recipe.batch, len(lessons)).tolist(), ends)
            self.first = loss if math.isnan(self.first) else self.first
            self.loss = loss if math.isnan(self.loss) else 0.9 * self.loss + 0.1 * loss
            self.step += 1
            steps.took(self.step)
            if time.monotonic() >= ends:
                steps.decided = self.step
            if len(held) and self.step % EVERY == 0:
                self.held.append(self._loss_of(held))
                if len(self.held) > PATIENCE and min(self.held[-PATIENCE:]) > (1 - LEAST_FALL) * min(self.held[:-PATIENCE]):
                    steps.decided = steps.planned = self.step
            self.spent = time.monotonic() - began
            report(steps.share(self.step), self.loss)
            if time.monotonic() - saved > max(CHECKPOINT_SECONDS, cost / SAVING_SHARE):
                cost, saved = self.save(), time.monotonic()

    def _one(self, lessons: Lessons, rows: list[int], ends: float = math.inf) -> float:
        """One step over a batch, `recipe.rows` pairs at a time. The output layer sees positions that predict an answer only.

        Where the time `ends` inside it, the step is made of the pairs that were seen.
        """
        wanted = sum(len(lessons.answers[i]) for i in rows)
        loss = 0.0
        wide = torch.autocast("cuda", torch.bfloat16) if self.device == "cuda" and self.whole else nullcontext()
        for at in range(0, len(rows), self.recipe.rows):
            tokens, labels = (part.to(self.device) for part in lessons.rows(rows[at : at + self.recipe.rows]))
            with wide:
                hidden = self.inner.model(input_ids=tokens).last_hidden_state[:, :-1]
                keep = labels[:, 1:] != IGNORE
                scores = self.inner.lm_head(hidden[keep])
            part = functional.cross_entropy(scores.float(), labels[:, 1:][keep], reduction="sum") / wanted
            part.backward()
            loss += float(part.detach())
            if time.monotonic() >= ends and at + self.recipe.rows < len(rows):
                loss *= wanted / sum(len(lessons.answers[i]) for i in rows[: at + self.recipe.rows])
                break
        torch.nn.utils.clip_grad_norm_(list(self.trained.values()), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if not math.isfinite(loss):
            raise BaseModelError(f"the loss is {loss} at step {self.step}; lower Recipe.rate, or check the base's weights")
        return loss

    @torch.no_grad()
    def _loss_of(self, lessons: Lessons) -> float:
        """The loss per token of pairs that are not learnt from."""
        loss, count = 0.0, 0
        for at in range(0, len(lessons), self.recipe.rows):
            tokens, labels = (part.to(self.device) for part in lessons.rows(range(at, min(at + self.recipe.rows, len(lessons)))))
            hidden = self.inner.model(input_ids=tokens).last_hidden_state[:, :-1]
            keep = labels[:, 1:] != IGNORE
            loss += float(functional.cross_entropy(self.inner.lm_head(hidden[keep]).float(), labels[:, 1:][keep], reduction="sum"))
            count += int(keep.sum())
        return loss / max(1, count)

    def facts(self) -> dict[str, Any]:
        """For the manifest and the card."""
        still = sum(w.numel() for w in self.model.parameters() if not w.requires_grad)
        trained = sum(w.numel() for w in self.trained.values())
        return {
            "parameters": still + (trained if self.whole else 0), "trainable": trained, **self.steps.facts(),
            "resumed_at": self.resumed, "loss_held": self.held[-1] if self.held else None,
            "loss_first": self.first, "loss": self.loss, "minutes": self.spent / 60,
        }  # fmt: skip

    def save(self) -> float:
        """Write the checkpoint, whole or not at all; returns the seconds it took."""
        began, part = time.monotonic(), self.checkpoint.with_suffix(".part")
        weights = {name: w.detach() for name, w in self.trained.items()}
        state = {"weights": weights, "optimizer": self.optimizer.state_dict(), "step": self.step, "decided": self.steps.decided,
                 "spent": self.spent, "loss": self.loss, "first": self.first, "held": self.held}  # fmt: skip
        torch.save(state, part)
        part.replace(self.checkpoint)
        return time.monotonic() - began

    def _load(self) -> None:
        state = torch.load(self.checkpoint, weights_only=True, map_location="cpu")
        with torch.no_grad():
            for name, weights in self.trained.items():
                weights.copy_(state["weights"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.decided, self.spent, self.loss, self.first = (state[k] for k in ("step", "decided", "spent", "loss", "first"))
        self.held, self.resumed = list(state.get("held", ())), self.step


def _schedule(done: float, total: int) -> float:
    """Warm up over 3 % (at least a step), then down to a twentieth along a cosine."""
    return min((done + 1 / total) / 0.03, 1.0) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(done, 1.0))))


def _room(base: Base, lessons: Lessons, recipe: Recipe) -> memory.Work:
    """As many rows at once as fit in what is free, or as many as the recipe says; layers computed again where not even one fits."""
    device = recipe.device
    one = memory.Work(recipe.how, device, 1, lessons.longest, lessons.longest_answer, recipe.rank)
    if recipe.rows:
        one = replace(one, rows=recipe.rows)
    else:
        free = memory.available(device) if device == "cuda" else min(memory.available(device), memory.MOST_ON_CPU)
        sizes = (replace(one, rows=n) for n in (16, 8, 4, 2) if n <= recipe.batch)
        one = next((w for w in sizes if memory.tuning(base.sizes, w)["total"] <= free), one)
    one = memory.least(base.sizes, one)
    memory.check(base.sizes, one, base.name)
    return one


def _check_lengths(base: Base, lessons: Lessons) -> None:
    if not len(lessons):
        raise BaseModelError("no pair has an answer that the grammar can say; check the schema's steps and max_changes against the pairs")
    if lessons.longest > base.sizes.context:
        raise BaseModelError(
            f"the longest prompt and answer take {lessons.longest} tokens, {base.name} reads {base.sizes.context}; "
            "use a schema with fewer features, or another base"
        )


def _fingerprint(base: Base) -> str:
    """Config and tokenizer by content, weights by name and size."""
    digest = hashlib.sha256((base.folder / "config.json").read_bytes())
    for path in sorted(p for p in base.folder.iterdir() if p.suffix in (".safetensors", ".bin", ".model")):
        digest.update(f"{path.name} {path.stat().st_size}".encode())
    return digest.hexdigest()
