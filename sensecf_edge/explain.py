"""explain(): propose, read, check, refine, rank, within a budget of rounds. The way of a record is `explain_many`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import __version__, arguments, page
from .answer.basis import Measure, Why
from .answer.easing import Easing
from .answer.result import Counterfactual, Explanation, Proof, Provenance
from .answer.risk import Risk
from .budget import Budget, margin_of, same_schema
from .bundle.bundle import Bundle
from .bundle.groups import fitting
from .bundle.realism import realism
from .bundle.risk_scale import scale_of
from .errors import ConstraintError
from .generators.choice import BUNDLE, Choice
from .generators.opening import opened, quiet
from .generators.prompting import Prompting
from .generators.shots import DRAWN, people, shots_of
from .generators.silent import Silent
from .judge.classifier import Checker, OnnxChecker, onnxruntime_version
from .judge.counted import Counted
from .judge.density import Realism
from .judge.imputation import ALREADY, UNWANTED, Case, Impute, Verdict, evenly, imputed, placed
from .judge.objective import Judge
from .llama.library import llama_version
from .propose.engine import Closing, Engine, Request
from .propose.grammar import Grammar
from .report.phrases import weak_text
from .schema.record import Record
from .schema.schema import Schema
from .search.found import with_changes
from .search.record_search import Aim, RecordSearch
from .search.refine import refine
from .settings import DEVICES, ENGINE, LOOP, SEARCH
from .space.admissible import admissible, require_within_bounds
from .space.constraints import Constraints, check_constraints
from .space.contradictions import record_remarks, unlike_anybody
from .trial import ensure_tried

if TYPE_CHECKING:
    from .proof.prover import Prover

Told = tuple[tuple[Counterfactual, ...], Easing | None]


class Explainer:
    """A bundle ready to explain. Load it once, explain many records, close it (or use it as a context manager).

    `impute` says what unknown values may be; without it a record is judged as the classifier itself fills it in.
    `margin` is how far above the classifier's threshold an answer must lie; `base_rate` the share of people with the
    unwanted class where this is used, for the risks that are told.
    """

    def __init__(
        self, bundle: Bundle, engine: Engine, checker: Checker, realism: Realism | None, rivals: Sequence[Checker] = (),
        margin: float = LOOP.margin, base_rate: float | None = None, prompting: Prompting | None = None,
    ) -> None:  # fmt: skip
        self.bundle, self.engine, self.checker, self.realism, self.rivals = bundle, engine, checker, realism, rivals
        self.schema: Schema = bundle.schema
        self.prompting = prompting or Prompting.of(bundle)
        self.target = bundle.manifest.target
        self.margin = min(margin_of(margin), (1.0 - self.target.threshold) / 2)  # never beyond half way to certainty
        self.goal = self.target.threshold + self.margin
        self.judge = Judge(checker, realism, self.goal)
        self.impute: Impute | None = getattr(realism, "impute", None) or evenly(self.schema)
        self._own_graph = False  # set by `load`: the bundle's own graph is what judges
        self.scale = scale_of(bundle.manifest, bundle.schema.base_rate, base_rate)
        self._margin_asked, self._base_rate_asked = margin, base_rate

    @classmethod
    def load(
        cls, model: str | Path, threads: int = ENGINE.threads, device: str = ENGINE.device, margin: float = LOOP.margin,
        base_rate: float | None = None, generator: Choice | str = BUNDLE, say: Callable[[str], None] = quiet, trial: bool = True,
    ) -> Explainer:  # fmt: skip
        """Open a shipped bundle by name or any by path; one that this machine does not know is tried in a process of its own first, unless
        `trial` is False. `generator`: who proposes, instead of the bundle's own; see `generators`.

        `say` hears what is fetched and where records go. Raises BundleError, EngineError, CheckError, ConstraintError.
        """
        threads, device = arguments.whole("threads", threads, 0, 1024), arguments.one_of("device", device, DEVICES)
        choice = generator if isinstance(generator, Choice) else Choice.parse(generator)
        bundle = Bundle.open(model)
        if trial:
            ensure_tried(bundle, threads, device)
        size, target = len(bundle.schema), bundle.manifest.target
        checker = OnnxChecker(bundle.classifier_bytes(), size, target.index, max(1, threads), len(target.classes), device)
        typical = realism(bundle, max(1, threads), device)
        alone = cls(bundle, Silent(), checker, typical, (), margin, base_rate)
        shots = alone.shots(choice) if choice.shots else ()
        engine, prompting = opened(choice, bundle, ENGINE._replace(threads=threads, device=device), shots, say)
        others = [OnnxChecker(g, size, target.index, max(1, threads), len(target.classes), device) for g in bundle.rivals_bytes()]
        explainer = cls(bundle, engine, checker, typical, others, margin, base_rate, prompting)
        explainer._own_graph = True
        return explainer

    @cached_property
    def prover(self) -> Prover | None:
        """Who can say that no answer exists; None where nobody can. What it needs is imported when it is asked: for few records."""
        from .bundle.prover import prover_of

        return prover_of(self.bundle, self.checker, self.realism) if self._own_graph else None

    @staticmethod
    def _versions() -> dict[str, str]:
        return {"sensecf-edge": __version__, "llama-cpp-python": llama_version(), "onnxruntime": onnxruntime_version()}

    @property
    def aim(self) -> Aim:
        """What is looked for in every record."""
        return Aim(self.target.wanted, self.target.threshold, not isinstance(self.engine, Silent), lambda: self.prover)

    def shots(self, choice: Choice) -> tuple[str, ...]:
        """Examples for a general model: made-up people and what is answered them."""
        prompting = replace(self.prompting, hints=choice.hints)
        asked = people(self.schema, self.impute or evenly(self.schema), self.checker, self.target.threshold)[: DRAWN * choice.shots]
        return shots_of(prompting, self.checker, list(zip(asked, self.explain_many(asked), strict=True)), choice.shots)

    def explain(
        self,
        record: Mapping[str, Any] | Record,
        n: int = LOOP.answers,
        constraints: Constraints | None = None,
        seed: int = LOOP.seed,
        proposals: int = LOOP.proposals,
        rounds: int = LOOP.rounds,
        search: int = SEARCH.rows,
        why: bool = False,
        ease: bool = True,
        typical: bool = False,
    ) -> Explanation:
        """Up to n checked counterfactuals of one record, as different as possible; finding none is an answer.

        `why`: say as well what the prediction goes by, which takes some thousand rows of the classifier. `ease`: where fewer answers
        are found than asked for, say what would have to give; at most a few seconds. `typical`: the answer that is nearest to people of
        the wanted class, rather than the one that changes least.
        Raises RecordError for a record that does not fit the schema, ConstraintError for a request that no record could
        meet or for a bound that this one cannot be brought into, EngineError or CheckError where a model fails. Same record,
        seed, bundle, threads and device: same answer.
        """
        budget = Budget(n, proposals, rounds, seed, search, ease, typical)
        factual = record if isinstance(record, Record) else Record.from_mapping(self.schema, record)
        require_within_bounds(factual, constraints or Constraints())
        explanation = self.explain_many([factual], constraints, budget)[0]
        if why:
            explanation = replace(explanation, why=self.why(factual, budget.seed))
        bundle = self.bundle
        return explanation.shown_by(lambda shown: page.card_html(shown, bundle))  # what draws it is loaded where it is shown

    def why(self, record: Record, seed: int = LOOP.seed) -> Why | None:
        """What the prediction goes by (see `judge.shapley`); None where the bundle has no density to draw people from."""
        from .judge.reasons import reasons

        same_schema([record], self.schema)
        case = self.case(record, self.target.threshold, seed)
        return reasons(self.checker, case, getattr(self.realism, "people", None), self.scale, seed)

    def explain_many(
        self, records: Sequence[Record], constraints: Constraints | None = None, budget: Budget | None = None
    ) -> list[Explanation]:
        """As `explain`, for many records in shared batches; answers in the order of the records.

        `seconds` of an answer are those of the whole call over the number of records. What a record is answered does not
        depend on the others, but for the last bits of a sum: see `LlamaEngine` and `classifier`.
        """
        began, budget, constraints = time.perf_counter(), budget or Budget(), constraints or Constraints()
        check_constraints(self.schema, constraints)
        same_schema(records, self.schema)
        X = np.array([r.vector for r in records]).reshape(-1, len(self.schema))
        p, realism = self.checker.p_target(X), self.judge.percentile(X)
        cases = [self.case(record, float(p[k]), budget.seed) for k, record in enumerate(records)]
        cases = placed(cases, realism, self.bundle.population.percentile(X) if self.bundle.population else None)
        ways = [None if case.verdict.status == ALREADY else self._way(case, constraints) for case in cases]
        self._search([way for way in ways if isinstance(way, RecordSearch)], budget)
        told = [self._found(case, way, constraints, budget) for case, way in zip(cases, ways, strict=True)]
        seconds = (time.perf_counter() - began) / max(1, len(records))
        how = self._provenance(budget, constraints)
        return [self._explanation(case, way, *found, how, seconds) for case, way, found in zip(cases, ways, told, strict=True)]

    def case(self, record: Record, p: float, seed: int) -> Case:
        """A record with what is predicted of it, and the judge of its answers; p is what the classifier says of it as it is."""
        asked = Counted(self.judge.checker)
        if self.impute is None or not np.isnan(record.vector).any():
            return Case(record, replace(self.judge, checker=asked), Verdict.plain(p, self.target.threshold), p, asked)
        checker = imputed(asked, record, self.impute, seed, self.target.threshold)
        return Case(record, replace(self.judge, checker=checker), checker.verdict(self.target.threshold), p, asked)

    def _way(self, case: Case, constraints: Constraints) -> RecordSearch | str:
        """Where a record's search begins, or why nothing of it may change."""
        try:
            space = admissible(case.record, constraints)
        except ConstraintError as error:
            return str(error)
        return RecordSearch(space, case.judge, Grammar(space), self.prompting.prompt(space, case.p, case.judge.checker), self.aim)

    def _search(self, searches: Sequence[RecordSearch], budget: Budget) -> None:
        """Rounds of propose, read, check, refine; a record leaves when it has enough different answers.

        Where one answer is asked for, the first round is the greedy proposal alone: what else it takes the search finds, or a later
        round. Without any answer a record leaves as soon as it is proven that there is none, and after a second or later round that
        raised the probability no further: hotter proposals then end where the others did. A round in which nothing could be judged
        says nothing of that.
        """
        for k in range(budget.rounds):
            active = [s for s in searches if s.answers < budget.answers and not s.done]
            heat = LOOP.temperature + LOOP.temperature_step * k
            seed, many = budget.seed + 1_000_003 * k, budget.proposals if k or budget.answers > 1 else 1
            requests = [Request(s.prompt, s.grammar, many, seed, heat, greedy_first=k == 0) for s in active]
            for search, answers in zip(active, self.engine.propose(requests), strict=True):
                before = search.answers
                search.take(answers, budget.search)
                if search.rounds == 1 or (search.answers and not before):
                    search.widen(budget.answers, min(budget.search, SEARCH.rows))
        for search in searches:
            search.close(budget.answers, budget.search, budget.typical, budget.seed)

    def _found(self, case: Case, way: RecordSearch | str | None, constraints: Constraints, budget: Budget) -> Told:
        """The answers that are shown, and, where they are fewer than asked for, what would have to give for more."""
        found = self._shown(way, budget)
        if way is None or not (budget.ease and budget.search) or len(found) >= budget.answers or case.verdict.status != UNWANTED:
            return found, None
        from .search.openings import EasingCase, ease

        before, known = case.asked.rows, [with_changes(self.schema, case.record.vector, answer.changes) for answer in found]
        asked = EasingCase(case.judge, case.record, constraints, self.prover, self.target.threshold, budget.seed, self.rivals, self.scale)
        easing, inside = ease(asked, known)
        if inside is not None and isinstance(way, RecordSearch):
            way.found.searched(refine(way.judge, way.space, inside[None]))
            return self._shown(way, budget), None
        return found, replace(easing, tried=case.asked.rows - before)

    def _shown(self, way: RecordSearch | str | None, budget: Budget) -> tuple[Counterfactual, ...]:
        if not isinstance(way, RecordSearch):
            return ()
        return way.found.shown(way.judge, budget.answers, self.target.threshold, budget.seed, self.rivals, self.scale)

    def _explanation(
        self, case: Case, way: RecordSearch | str | None, found: tuple[Counterfactual, ...], easing: Easing | None, how: Provenance,
        seconds: float,
    ) -> Explanation:  # fmt: skip
        search, now = way if isinstance(way, RecordSearch) else None, case.verdict
        weak, scope = self.bundle.manifest.classifier.auc, "request" if how.freeze or how.bounds else "advice"
        unlike = unlike_anybody(case.realism, case.likeness)
        return Explanation(
            status=now.status if now.status != UNWANTED else "found" if found else "none",
            target=self.target.wanted,
            predicted=self.target.wanted if now.p >= self.target.threshold else self.target.unwanted,
            p_target=now.p, threshold=self.target.threshold, margin=self.margin,
            factual=case.record.to_mapping(),
            found=found,
            first_try=search.first_try if search else None,
            refusals=dict(search.refusals) if search else {},
            warnings=(*record_remarks(case.record, how.bounds), *filter(None, [unlike, weak_text(weak)])),
            auc=weak, rounds_used=search.rounds if search else 0, seconds=seconds, provenance=how,
            risk=Risk.of(self.scale, (now.p, now.low, now.high), self.target.threshold, self.goal),
            unwanted=self.target.unwanted, outcome=self.target.column,
            realism=case.realism,
            unknown=now.unknown, holds_now=now.holds, completions=now.completions,
            proof=Proof(search.proven, self.goal, scope) if search and search.proven else None,
            reason=way if isinstance(way, str) else "",
            likeness=case.likeness, measured=fitting(self.bundle.manifest.groups, case.record),
            next=tuple(Measure(name, turns, self.scale.risk(high), self.scale.risk(low)) for name, turns, low, high in now.open),
            easing=easing, calls=case.asked.calls, rows_asked=case.asked.rows, stated=dict(case.record.stated),
        )  # fmt: skip

    def _provenance(self, budget: Budget, constraints: Constraints) -> Provenance:
        settings = getattr(self.engine, "settings", ENGINE)
        return Provenance(
            model=self.bundle.name, bundle=self.bundle.hash, seed=budget.seed, temperature=LOOP.temperature,
            answers=budget.answers, proposals=budget.proposals, rounds=budget.rounds, max_changes=constraints.max_changes,
            freeze=tuple(sorted(constraints.freeze)), bounds=dict(constraints.bounds), costs=dict(constraints.costs),
            search=budget.search, versions=self._versions(), margin=self._margin_asked, base_rate=self._base_rate_asked,
            threads=settings.threads or None, device=settings.device,
            generator=self.prompting.name, shots=self.prompting.shots, hints=self.prompting.hints,
            typical=budget.typical,
        )  # fmt: skip

    def close(self) -> None:
        """Give native memory, or the connection, back."""
        if isinstance(self.engine, Closing):
            self.engine.close()

    def __enter__(self) -> Explainer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
