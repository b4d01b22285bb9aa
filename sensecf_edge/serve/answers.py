"""What a page asks, made strict; and an Explanation as the page shows it: sentences of `report`, and places on bars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .. import arguments
from ..answer.result import Change, Counterfactual, Explanation
from ..errors import ConstraintError
from ..explain import Explainer
from ..letter.content import content
from ..letter.grammar import template
from ..report import basis as sentences
from ..report import easing
from ..report.changes import by_text
from ..report.rendering import DISCLAIMER, HEADINGS
from ..report.wording import Wording, plain
from ..schema.feature import Feature, number_text
from ..settings import LOOP, SERVE
from ..space.constraints import Constraints
from ..wish.reading import understand
from .form import cell_text, record_of
from .texts import text

KEYS = {"model", "values", "answers", "freeze", "bounds", "costs", "max_changes", "base_rate", "moved"}


@dataclass(frozen=True)
class PageQuestion:
    """A question of the page. `values` are the fields' texts, `moved` those of a try by hand."""

    model: str
    values: Any
    answers: int
    constraints: Constraints
    base_rate: float | None
    moved: Any = None

    @classmethod
    def of(cls, data: Any) -> PageQuestion:
        """Parse. Raises ConstraintError for what is no question."""
        if not isinstance(data, dict) or not isinstance(data.get("model"), str) or set(data) - KEYS:
            raise ConstraintError("that is no question of this page; load it again")
        share, asked = data.get("base_rate"), {key: data.get(key) for key in ("freeze", "bounds", "costs")}
        return cls(
            data["model"], data.get("values"),
            arguments.whole("the number of answers", data.get("answers", SERVE.answers), 1, SERVE.most_answers),
            Constraints(frozenset(arguments.names("freeze", asked["freeze"] or ())), asked["bounds"] or {},
                        arguments.whole("max-changes", data.get("max_changes", LOOP.max_changes), 1, 100), asked["costs"] or {}),
            None if share is None else arguments.number("the base rate", share),
            data.get("moved"),
        )  # fmt: skip


def explained(explainer: Explainer, asked: PageQuestion) -> Explanation:
    """The answer, and why the prediction is what it is. Raises FieldsError, ConstraintError."""
    return explainer.explain(record_of(explainer.schema, asked.values), asked.answers, asked.constraints, why=True)


def understood(explainer: Explainer, asked: PageQuestion, wish: Any) -> dict[str, Any]:
    """What is understood of a wish for this record: in words, and as limits of the page. Raises FieldsError, ConstraintError."""
    if not isinstance(wish, str):
        raise ConstraintError("a wish is a text")
    schema, held = explainer.schema, record_of(explainer.schema, asked.values).to_mapping()
    found = understand(schema, wish)
    limits = found.constraints(schema, held)
    return {"sentences": found.sentences(schema), "freeze": sorted(limits.freeze), "bounds": limits.bounds, "costs": limits.costs}


def shown(explanation: Explanation, explainer: Explainer) -> dict[str, Any]:
    """The answer as the page shows it."""
    say, e = Wording(explanation, explainer.schema), explanation
    return {
        "explanation": e.to_json(),
        "status": e.status,
        "now": {
            "lines": say.prediction(), "deciding": say.deciding(), "notes": say.notes(), "unwanted": say.unwanted,
            "risk": {key: getattr(e.risk, key) for key in ("now", "low", "high", "threshold", "goal", "base_rate")},
            "texts": {key: say.risk(getattr(e.risk, key)) for key in ("now", "low", "high", "threshold", "goal")}, "base": say.base(),
        },
        "basis": basis(say),
        "options": say.options() if e.found else "",
        "none": say.none() if not e.found and e.status != "already" else "",
        "refusals": say.refusals() if not e.reason else [], "advice": say.advice() if not e.found else "", "proof": say.proof(),
        "easing": {"head": easing.head(say), "lines": easing.openings(say), "nothing": easing.nothing(say)},
        "disclaimer": DISCLAIMER, "letter": template(content(e, explainer.schema)),
        "cards": [card(say, answer, k) for k, answer in enumerate(e.found)],
        "made": f"{plain(e.provenance.model)} · {e.provenance.bundle[:12]} · seed {e.provenance.seed} · {e.seconds:.2f} s",
    }  # fmt: skip


def basis(say: Wording) -> dict[str, Any]:
    """What the answer rests on: what moves the risk, whether anybody is like the record, on whom the model was measured."""
    why = say.explanation.why
    out = {"likeness": sentences.likeness(say), "groups": sentences.groups(say), "next": sentences.measure_next(say)}
    if why is None:
        return {**out, "why": None}
    parts = sentences.beyond_error(why)
    most = max((abs(part.adds) for part in parts), default=1.0) or 1.0
    told = [{"text": sentences.values(say, part), "adds": sentences.signed(part), "share": part.adds / most} for part in parts]
    return {**out, "why": {"start": sentences.start(say, why), "parts": told, "error": sentences.error(why)}}


def card(say: Wording, answer: Counterfactual, k: int) -> dict[str, Any]:
    """One answer beside the others."""
    schema, found = say.schema, say.explanation.found
    moved = {change.feature for change in answer.changes}
    frozen = set(say.explanation.provenance.freeze)
    known = {name for name, held in say.explanation.factual.items() if held is not None}
    free = [f for f in schema.features if f.mutable and f.name in known - schema.completed - moved]
    roles = {role for change in answer.changes if (role := schema[change.feature].role)}
    return {
        "title": text("option", number=k + 1), "best": say.best_at(answer) if len(found) > 1 else [],
        "headline": say.headline(answer, "", [role for role in HEADINGS if role in roles]),
        "risk": 1 - answer.p_target if answer.risk is None else answer.risk, "risk_text": say.after(answer),
        "changes": [change_row(change, schema[change.feature]) for change in answer.changes],
        "figures": say.figures(answer),
        "kept": [plain(f.title) for f in free if f.name not in frozen],
        "frozen": [plain(f.title) for f in schema.features if f.name in frozen],
        "given_up": given_up(say, answer, k),
    }  # fmt: skip


def change_row(change: Change, feature: Feature) -> dict[str, Any]:
    """One change: in words, and on a bar where it is a number."""
    before, after, by = by_text(change, feature)
    row: dict[str, Any] = {
        "feature": feature.name, "title": plain(feature.title), "before": before, "after": after, "by": by, "role": feature.role,
        "heading": HEADINGS[feature.role], "follows": change.follows, "unit": plain(feature.unit), "raw": cell_text(change.after),
    }  # fmt: skip
    if isinstance(change.before, int | float) and isinstance(change.after, int | float):
        row["bar"] = bar(feature, float(change.before), float(change.after))
    return row


def bar(feature: Feature, before: float, after: float) -> dict[str, Any]:
    """Where a value stands and would stand, as shares of a bar that shows the reference range and both of them."""
    low, high = feature.reference or (feature.low or 0.0, feature.high or 0.0)
    ends = min(low, before, after), max(high, before, after)
    width = ends[1] - ends[0] or 1.0
    place = {name: (at - ends[0]) / width for name, at in (("before", before), ("after", after), ("low", low), ("high", high))}
    return {**place, "range": text("reference", low=number_text(low), high=number_text(high), unit=plain(feature.unit)).rstrip()}


def given_up(say: Wording, answer: Counterfactual, k: int) -> list[str]:
    """In what other answers, or the shorter way to this one, are better."""
    others = [(n, other) for n, other in enumerate(say.explanation.found) if n != k]
    out = []
    if others:
        n, least = min(others, key=lambda item: item[1].n_changed)
        if least.n_changed < answer.n_changed:
            out.append(text("given_up_fewer", count=least.n_changed, own=answer.n_changed, number=n + 1))
        n, lowest = max(others, key=lambda item: item[1].p_target)
        if say.after(lowest) != say.after(answer) and lowest.p_target > answer.p_target:
            out.append(text("given_up_risk", risk=say.after(lowest), number=n + 1))
        n, typical = max(others, key=lambda item: item[1].realism or 0.0)
        if (typical.realism or 0.0) >= (answer.realism or 0.0) + 5:
            out.append(text("given_up_typical", number=n + 1))
    return out
