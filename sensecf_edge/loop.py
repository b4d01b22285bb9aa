"""explain(): propose, read, check, refine, rank, within a budget of rounds. The whole way of a record on one screen."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from . import __version__, measure, prompt, reply, rules
from .admissible import Admissible, Constraints, admissible, check
from .bundle import Bundle
from .check import Checker, OnnxChecker, OnnxRealism
from .engine import Engine, Fault, LlamaEngine, Proposal, Request
from .grammar import Grammar
from .rank import distinct, rank
from .record import Record, decode
from .refine import Judge, Scored, refine, score
from .result import Change, Counterfactual, Explanation, FirstTry, Provenance
from .schema import Schema, Vector
from .settings import ENGINE, LOOP, WEAK_AUC


@dataclass(frozen=True)
class Budget:
    """How much one request may cost: n answers, proposals a round, rounds, and where chance starts."""

    answers: int = LOOP.answers
    proposals: int = LOOP.proposals
    rounds: int = LOOP.rounds
    seed: int = LOOP.seed


@dataclass
class _Search:
    """What the rounds have found so far for one record."""

    scored: Scored
    origins: list[str]
    refusals: Counter[str]
    first_try: FirstTry | None = None
    rounds: int = 0


class Explainer:
    """A bundle ready to explain. Load it once, explain many records, close it (or use it as a context manager)."""

    def __init__(self, bundle: Bundle, engine: Engine, checker: Checker, realism: OnnxRealism | None) -> None:
        self.bundle, self.engine, self.checker, self.realism = bundle, engine, checker, realism
        self.schema: Schema = bundle.schema
        self.target = bundle.manifest.target
        self.goal = self.target.threshold + LOOP.margin

    @classmethod
    def load(cls, model: str | Path, threads: int = ENGINE.threads) -> Explainer:
        """Open a shipped bundle by name or any by path. Raises BundleError, EngineError, CheckError."""
        bundle = Bundle.open(model)
        size, target = len(bundle.schema), bundle.manifest.target
        checker = OnnxChecker(bundle.classifier_bytes(), size, target.index, threads, len(target.classes))
        realism = OnnxRealism(bundle.realism_bytes(), size, bundle.reference.realism_quantiles, threads)
        engine = LlamaEngine(bundle.generator_path, replace(ENGINE, threads=threads), bundle.manifest.generator.context)
        return cls(bundle, engine, checker, realism)

    def explain(
        self,
        record: Mapping[str, Any] | Record,
        n: int = LOOP.answers,
        constraints: Constraints | None = None,
        seed: int = LOOP.seed,
        proposals: int = LOOP.proposals,
        rounds: int = LOOP.rounds,
    ) -> Explanation:
        """Up to n checked counterfactuals of one record, as different as possible; finding none is an answer.

        Raises RecordError for a record that does not fit the schema, ConstraintError where nothing may change,
        EngineError or CheckError where a model fails. Same record, seed and bundle: same answer.
        """
        began, budget = time.perf_counter(), Budget(n, proposals, rounds, seed)
        constraints = constraints or Constraints()
        factual = record if isinstance(record, Record) else Record.from_mapping(self.schema, record)
        check(self.schema, constraints)
        p = float(self.checker.p_target(factual.vector[None, :])[0])
        if p >= self.target.threshold:
            return self._explanation("already", factual, p, None, budget, began)
        space = admissible(factual, constraints)
        search = self._search(space, budget)
        status = "found" if search.scored.passed.any() else "none"
        return self._explanation(status, factual, p, search, budget, began)

    def _search(self, space: Admissible, budget: Budget) -> _Search:
        """Rounds of propose, read, check, refine, until enough different answers are found or the budget is spent."""
        judge, x = Judge(self.checker, self.realism, self.goal), space.record.vector
        grammar, text = Grammar(space), prompt.build(self.bundle.manifest.generator.prompt, space, self.target.wanted)
        search = _Search(_nothing(x), [], Counter())
        for search.rounds in range(1, budget.rounds + 1):
            heat = LOOP.temperature + LOOP.temperature_step * (search.rounds - 1)
            greedy = search.rounds == 1
            request = Request(text, grammar, budget.proposals, budget.seed + 1_000_003 * (search.rounds - 1), heat, greedy)
            answers = self.engine.propose([request])[0]
            candidates = self._read(space, answers, search.refusals)
            raw = self._audit(judge, space, candidates, search.refusals)
            if greedy:
                search.first_try = self._first_try(space, answers, raw)
            refined = refine(judge, space, raw.Y)
            _collect(search, raw, refined, x)
            if distinct(x, search.scored) >= budget.answers:
                break
        return search

    def _read(self, space: Admissible, answers: list[Proposal] | Fault, refusals: Counter[str]) -> Vector:
        """Answers that can be read, each once, with the features that follow completed; shape (candidates, features)."""
        record, rows = space.record, dict[bytes, Vector]()
        if isinstance(answers, Fault):
            refusals[answers.reason] += 1
            answers = []
        for answer in answers:
            read = reply.read(record, answer.text) if answer.complete else reply.CUT
            if isinstance(read, str):
                refusals[read] += 1
            else:
                rows.setdefault(read.tobytes(), read)
        return rules.complete(self.schema, record.vector, np.array(list(rows.values())).reshape(-1, len(self.schema)))

    def _audit(self, judge: Judge, space: Admissible, Y: Vector, refusals: Counter[str]) -> Scored:
        """Rules and classifier over a round's candidates; why each one that fails does is counted."""
        scored = score(judge, space, Y)
        for rule, mask in rules.broken(space, Y).items():
            refusals[rule] += int(mask.sum())
        low = np.isfinite(scored.key) & ~scored.passed
        if low.any():
            refusals[f"p({self.target.wanted}) stays under {self.goal:.2f}"] += int(low.sum())
        return scored

    def _first_try(self, space: Admissible, answers: list[Proposal] | Fault, raw: Scored) -> FirstTry:
        """The greedy proposal as it came. It is the first that was read, unless it could not be read at all."""
        if isinstance(answers, Fault) or not answers[0].complete or isinstance(reply.read(space.record, answers[0].text), str):
            return FirstTry(False, False, None, ())
        fits, p = bool(np.isfinite(raw.key[0])), float(raw.p[0])
        changes = self._changes(space.record, raw.Y[0])
        return FirstTry(fits and p >= self.target.threshold, bool(raw.passed[0]), p, changes)

    def _explanation(self, status: str, factual: Record, p: float, search: _Search | None, budget: Budget, began: float) -> Explanation:
        found = (
            tuple(self._counterfactual(factual, search, i) for i in rank(factual.vector, search.scored, budget.answers)) if search else ()
        )
        weak = self.bundle.manifest.classifier.auc
        notes = factual.warnings()
        if weak is not None and weak < WEAK_AUC:
            notes.append(f"this classifier tells people apart poorly (AUC {weak:.2f} on unseen people); read its advice with doubt")
        return Explanation(
            status=status,
            target=self.target.wanted,
            predicted=self.target.wanted if status == "already" else self.target.unwanted,
            p_target=p,
            threshold=self.target.threshold,
            margin=LOOP.margin,
            factual=factual.to_mapping(),
            found=found,
            first_try=search.first_try if search else None,
            refusals=dict(search.refusals) if search else {},
            warnings=tuple(notes),
            auc=weak,
            rounds_used=search.rounds if search else 0,
            seconds=time.perf_counter() - began,
            provenance=self._provenance(budget),
        )

    def _counterfactual(self, factual: Record, search: _Search, row: int) -> Counterfactual:
        x, y = factual.vector, search.scored.Y[row]
        return Counterfactual(
            changes=self._changes(factual, y),
            p_target=float(search.scored.p[row]),
            n_changed=int(measure.sparsity(x, y[None])[0]),
            distance=float(measure.proximity(self.schema, x, y[None])[0]),
            realism=float(self.realism.percentile(y[None])[0]) if self.realism else None,
            origin=search.origins[row],
        )

    def _changes(self, factual: Record, y: Vector) -> tuple[Change, ...]:
        out = []
        for i in factual.differences(y):
            feature = self.schema.features[i]
            before, after = decode(feature, factual.vector[i]), decode(feature, y[i])
            out.append(Change(feature.name, before, after, feature.unit, feature.name in self.schema.completed))
        return tuple(out)

    def _provenance(self, budget: Budget) -> Provenance:
        versions = {"sensecf-edge": __version__, **{n: version(n) for n in ("llama-cpp-python", "onnxruntime")}}
        return Provenance(self.bundle.name, self.bundle.hash, budget.seed, budget.proposals, budget.rounds, LOOP.temperature, versions)

    def close(self) -> None:
        """Give native memory back."""
        if isinstance(self.engine, LlamaEngine):
            self.engine.close()

    def __enter__(self) -> Explainer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _nothing(x: Vector) -> Scored:
    return Scored(np.empty((0, len(x))), np.empty(0), np.empty(0))


def _collect(search: _Search, raw: Scored, refined: Scored, x: Vector) -> None:
    """Add a round's refined candidates, and say of each where it came from."""
    untouched = (raw.Y == refined.Y) | (np.isnan(raw.Y) & np.isnan(refined.Y))
    for i, same in enumerate(untouched.all(axis=1)):
        first = search.rounds == 1 and i == 0 and search.first_try is not None and search.first_try.p_target is not None
        search.origins.append("refined" if not same else "first try" if first else "proposal")
    kept = search.scored
    search.scored = Scored(*(np.concatenate(pair) for pair in ((kept.Y, refined.Y), (kept.p, refined.p), (kept.key, refined.key))))
