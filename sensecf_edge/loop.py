"""explain(): propose, read, check, refine, rank, within a budget of rounds. The whole way of a record on one screen."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from . import __version__, prompt, reply, rules
from .admissible import Admissible, Constraints, admissible, check
from .bundle import Bundle
from .check import Checker, OnnxChecker, onnxruntime_version, realism
from .density import Realism
from .engine import Engine, Fault, LlamaEngine, Proposal, Request
from .errors import ConstraintError
from .found import Found, changes
from .grammar import Grammar
from .native import llama_version
from .rank import distinct
from .record import Record
from .refine import Judge, Known, Scored, refine, score
from .result import Explanation, FirstTry, Proof, Provenance, Risk
from .risk import scale_of
from .schema import Schema, Vector
from .sentences import weak_text
from .settings import ENGINE, LOOP, SEARCH
from .threads import settled


@dataclass(frozen=True)
class Budget:
    """How much one request may cost: n answers, proposals a round, rounds, and where chance starts.

    `search` is how many rows the search over sets of features may ask the classifier about; 0 leaves it out.
    """

    answers: int = LOOP.answers
    proposals: int = LOOP.proposals
    rounds: int = LOOP.rounds
    seed: int = LOOP.seed
    search: int = SEARCH.rows

    def __post_init__(self) -> None:
        for name, given in (("answers", self.answers), ("proposals", self.proposals), ("rounds", self.rounds)):
            if given < 1:
                raise ConstraintError(f"the number of {name} is {given}; it must be 1 or more")
        if self.search < 0:
            raise ConstraintError(f"the search may ask about {self.search} rows; it must be 0 or more")


@dataclass
class _Search:
    """One record on its way, and what its rounds have found so far."""

    space: Admissible
    grammar: Grammar
    prompt: str
    found: Found = field(init=False)
    refusals: Counter[str] = field(default_factory=Counter)
    first_try: FirstTry | None = None
    rounds: int = 0
    stuck: bool = False
    seen: set[bytes] = field(default_factory=set)
    known: Known = field(default_factory=Known)
    proven: int = 0

    def __post_init__(self) -> None:
        self.found = Found(self.space.record)

    def widen(self, judge: Judge, answers: int, rows: int) -> None:
        """Search sets of features besides the proposals; not at all with 0 rows."""
        if rows:
            self.proven = max(self.proven, self.found.widen(judge, self.space, self.known, answers, rows))

    @property
    def answers(self) -> int:
        """How many different sets of changed features have passed."""
        return distinct(self.space.record.vector, self.found.scored)

    @property
    def highest(self) -> float:
        """The highest probability of the wanted class so far."""
        return float(self.found.scored.p.max(initial=0.0))


class Explainer:
    """A bundle ready to explain. Load it once, explain many records, close it (or use it as a context manager).

    `margin` is how far above the classifier's threshold an answer must lie; `base_rate` the share of people with the
    unwanted class where this is used, for the risks that are told.
    """

    def __init__(
        self, bundle: Bundle, engine: Engine, checker: Checker, realism: Realism | None, rivals: Sequence[Checker] = (),
        margin: float = LOOP.margin, base_rate: float | None = None,
    ) -> None:  # fmt: skip
        self.bundle, self.engine, self.checker, self.realism, self.rivals = bundle, engine, checker, realism, rivals
        self.schema: Schema = bundle.schema
        self.target = bundle.manifest.target
        self.margin = min(margin, (1.0 - self.target.threshold) / 2)  # never beyond half way to certainty
        self.goal = self.target.threshold + self.margin
        self.judge = Judge(checker, realism, self.goal)
        self.scale = scale_of(bundle.manifest, bundle.schema.base_rate, base_rate)
        self._margin_asked, self._base_rate_asked = margin, base_rate
        self._versions = {"sensecf-edge": __version__, "llama-cpp-python": llama_version(), "onnxruntime": onnxruntime_version()}

    @classmethod
    def load(
        cls, model: str | Path, threads: int = ENGINE.threads, device: str = ENGINE.device, margin: float = LOOP.margin,
        base_rate: float | None = None,
    ) -> Explainer:  # fmt: skip
        """Open a shipped bundle by name or any by path. Raises BundleError, EngineError, CheckError."""
        bundle = Bundle.open(model)
        size, target = len(bundle.schema), bundle.manifest.target
        checker = OnnxChecker(bundle.classifier_bytes(), size, target.index, max(1, threads), len(target.classes), device)
        typical = realism(bundle, max(1, threads), device)
        settings = settled(bundle.generator_path, replace(ENGINE, threads=threads, device=device))
        context = bundle.manifest.generator.context
        engine = LlamaEngine(bundle.generator_path, settings, context, bundle.adapter_path, bundle.generator_sha256)
        others = [OnnxChecker(g, size, target.index, max(1, threads), len(target.classes), device) for g in bundle.rivals_bytes()]
        return cls(bundle, engine, checker, typical, others, margin, base_rate)

    def explain(
        self,
        record: Mapping[str, Any] | Record,
        n: int = LOOP.answers,
        constraints: Constraints | None = None,
        seed: int = LOOP.seed,
        proposals: int = LOOP.proposals,
        rounds: int = LOOP.rounds,
        search: int = SEARCH.rows,
    ) -> Explanation:
        """Up to n checked counterfactuals of one record, as different as possible; finding none is an answer.

        Raises RecordError for a record that does not fit the schema, ConstraintError where nothing may change,
        EngineError or CheckError where a model fails. Same record, seed and bundle: same answer.
        """
        factual = record if isinstance(record, Record) else Record.from_mapping(self.schema, record)
        (answer,) = self.explain_many([factual], constraints, Budget(n, proposals, rounds, seed, search))
        if isinstance(answer, ConstraintError):
            raise answer
        return answer

    def explain_many(
        self, records: Sequence[Record], constraints: Constraints | None = None, budget: Budget | None = None
    ) -> list[Explanation | ConstraintError]:
        """As `explain`, for many records in shared batches; answers in the order of the records.

        A record whose own values leave nothing to change is answered with the ConstraintError itself. `seconds` of an
        answer are those of the whole call over the number of records. What a record is answered does not depend on the
        others (floating point aside, see `LlamaEngine`).
        """
        began, budget, constraints = time.perf_counter(), budget or Budget(), constraints or Constraints()
        check(self.schema, constraints)
        p = self.checker.p_target(np.array([r.vector for r in records]).reshape(-1, len(self.schema)))
        spaces = [self._space(r, constraints) if now < self.target.threshold else None for r, now in zip(records, p, strict=True)]
        searches = self._search([(s, float(now)) for s, now in zip(spaces, p, strict=True) if isinstance(s, Admissible)], budget)
        seconds = (time.perf_counter() - began) / max(1, len(records))
        how = self._provenance(budget, constraints)
        out: list[Explanation | ConstraintError] = []
        for record, now, space in zip(records, p, spaces, strict=True):
            search = searches.popleft() if isinstance(space, Admissible) else None
            answer = space if isinstance(space, ConstraintError) else self._explanation(record, float(now), search, how, seconds)
            out.append(answer)
        return out

    @staticmethod
    def _space(record: Record, constraints: Constraints) -> Admissible | ConstraintError:
        try:
            return admissible(record, constraints)
        except ConstraintError as error:
            return error

    def _search(self, spaces: Sequence[tuple[Admissible, float]], budget: Budget) -> deque[_Search]:
        """Rounds of propose, read, check, refine; a record leaves when it has enough different answers.

        Without any answer it leaves as well after a second or later round that raised the probability no further: hotter
        proposals then end where the others did.
        """
        searches = deque(_Search(space, Grammar(space), self._prompt(space, p)) for space, p in spaces)
        for k in range(budget.rounds):
            active = [s for s in searches if s.answers < budget.answers and not s.stuck]
            heat = LOOP.temperature + LOOP.temperature_step * k
            seed = budget.seed + 1_000_003 * k
            requests = [Request(s.prompt, s.grammar, budget.proposals, seed, heat, greedy_first=k == 0) for s in active]
            for search, answers in zip(active, self.engine.propose(requests), strict=True):
                search.rounds, before = k + 1, search.answers
                self._round(search, answers)
                if search.rounds == 1 or (search.answers and not before):
                    search.widen(self.judge, budget.answers, min(budget.search, SEARCH.rows))
        for search in searches:
            if budget.search > SEARCH.rows:
                search.widen(self.judge, budget.answers, budget.search)
            if budget.search and budget.answers > 1:
                search.found.cover(self.judge, search.space)
                search.found.differ(self.judge, search.space, budget.answers)
        return searches

    def _prompt(self, space: Admissible, p: float) -> str:
        return prompt.build(self.bundle.manifest.generator.prompt, space, self.target.wanted, p)

    def _round(self, search: _Search, answers: list[Proposal] | Fault) -> None:
        """One record's proposals of one round: read, judged as they came, refined, kept."""
        before = search.highest
        candidates = self._read(search, answers)
        raw = self._audit(search.space, candidates, search.refusals)
        if search.rounds == 1:
            search.first_try = self._first_try(search.space, answers, raw)
        first = search.rounds == 1 and search.first_try is not None and search.first_try.p_target is not None
        search.found.refined(raw, refine(self.judge, search.space, raw.Y, raw, search.known), "first try" if first else "proposal")
        search.stuck = search.rounds > 1 and not search.answers and search.highest <= before

    def _read(self, search: _Search, answers: list[Proposal] | Fault) -> Vector:
        """Answers that can be read and that no round has had before, completed; shape (candidates, features)."""
        record, rows = search.space.record, list[Vector]()
        if isinstance(answers, Fault):
            search.refusals[answers.reason] += 1
            answers = []
        for answer in answers:
            read = reply.read(record, answer.text) if answer.complete else reply.CUT
            if isinstance(read, str):
                search.refusals[read] += 1
            elif read.tobytes() not in search.seen:
                search.seen.add(read.tobytes())
                rows.append(read)
        return rules.complete(self.schema, record.vector, np.array(rows).reshape(-1, len(self.schema)))

    def _audit(self, space: Admissible, Y: Vector, refusals: Counter[str]) -> Scored:
        """Rules and classifier over a round's candidates; why each one that fails does is counted."""
        scored = score(self.judge, space, Y)
        if not np.isfinite(scored.key).all():
            for rule, mask in rules.broken(space, Y).items():
                refusals[rule] += int(mask.sum())
        low = np.isfinite(scored.key) & ~scored.passed
        if low.any():
            refusals[f"p({self.target.wanted}) stays under {self.goal:.2f}"] += int(low.sum())
        return scored

    def _first_try(self, space: Admissible, answers: list[Proposal] | Fault, raw: Scored) -> FirstTry:
        """The greedy proposal as it came. It is the first that was read, unless it could not be read at all."""
        if (
            isinstance(answers, Fault)
            or not answers
            or not answers[0].complete
            or isinstance(reply.read(space.record, answers[0].text), str)
        ):
            return FirstTry(False, False, None, ())
        p = float(raw.p[0]) if np.isfinite(raw.key[0]) else None
        valid = p is not None and p >= self.target.threshold
        return FirstTry(valid, bool(raw.passed[0]), p, changes(space.record, raw.Y[0]))

    def _explanation(self, factual: Record, p: float, search: _Search | None, how: Provenance, seconds: float) -> Explanation:
        found = search.found.shown(self.judge, how.answers, self.target.threshold, how.seed, self.rivals) if search else ()
        status = "already" if search is None else "found" if found else "none"
        weak = self.bundle.manifest.classifier.auc
        notes = [*factual.warnings(), *filter(None, [weak_text(weak)])]
        return Explanation(
            status=status,
            target=self.target.wanted,
            predicted=self.target.wanted if status == "already" else self.target.unwanted,
            p_target=p,
            threshold=self.target.threshold,
            margin=self.margin,
            factual=factual.to_mapping(),
            found=tuple(answer.told(self.scale) for answer in found),
            first_try=search.first_try if search else None,
            refusals=dict(search.refusals) if search else {},
            warnings=tuple(notes), auc=weak, rounds_used=search.rounds if search else 0, seconds=seconds, provenance=how,
            risk=Risk.of(self.scale, (p, p, p), self.target.threshold, self.goal),
            unwanted=self.target.unwanted, outcome=self.target.column,
            proof=Proof(search.proven, self.goal, "request") if search and search.proven else None,
        )  # fmt: skip

    def _provenance(self, budget: Budget, constraints: Constraints) -> Provenance:
        return Provenance(
            model=self.bundle.name, bundle=self.bundle.hash,
            seed=budget.seed, answers=budget.answers, proposals=budget.proposals, rounds=budget.rounds,
            temperature=LOOP.temperature, max_changes=constraints.max_changes,
            freeze=tuple(sorted(constraints.freeze)), bounds=dict(constraints.bounds), costs=dict(constraints.costs),
            search=budget.search, versions=self._versions, margin=self._margin_asked, base_rate=self._base_rate_asked,
        )  # fmt: skip

    def close(self) -> None:
        """Give native memory back."""
        if isinstance(self.engine, LlamaEngine):
            self.engine.close()

    def __enter__(self) -> Explainer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
