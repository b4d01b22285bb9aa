"""Explanation -> sentences for people. Pure: nothing is computed anew, nothing printed.

No sentence asks for anything to be done or says that a change causes something: it says what the model would predict.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from ..answer.result import Counterfactual, Explanation
from ..errors import RecordError
from ..schema.feature import number_text
from ..schema.record import Record
from ..schema.schema import Schema
from ..settings import SEARCH, UNKNOWN
from ..space.rules import computed
from .phrases import agreement_text, base_text, class_text, digits_of, percent, percents, stability_text, weak_text

MOST_DECIDING, ALONE = 3, 0.005
TINY = 1e-9


@dataclass(frozen=True)
class Wording:
    """The sentences of one explanation. `schema` gives the labels."""

    explanation: Explanation
    schema: Schema

    @cached_property
    def target(self) -> str:
        """The wanted class by name."""
        return plain(class_text(self.explanation.target, self.explanation.outcome))

    @cached_property
    def unwanted(self) -> str:
        """The name of what risk is a risk of."""
        e = self.explanation
        name = e.unwanted or (e.predicted if e.predicted != e.target else f"not {e.target}")
        return plain(class_text(name, e.outcome))

    @cached_property
    def risk(self) -> Callable[[float], str]:
        """How this explanation's risks are written: none reads like the threshold, or like the goal if it misses it."""
        e, r = self.explanation, self.explanation.risk
        told = [r.now, r.low, r.high, r.goal]
        outside = [opening.answer for opening in e.easing.openings] if e.easing else []
        told += [risk for a in (*e.found, *outside) for risk in (a.risk, a.risk_low, a.risk_high) if risk is not None]
        return percents(r.threshold, told)

    @property
    def open(self) -> bool:
        """Whether values are unknown, which the others do not say exactly either."""
        return any(value is None and name not in self.computed for name, value in self.explanation.factual.items())

    @property
    def cases(self) -> int:
        """Over how many cases of what is unknown everything is said; 0 where nothing is."""
        many = self.explanation.completions
        return many if self.open or many > 1 else 0

    def base(self) -> str:
        """The base rate and where it is from."""
        return base_text(self.explanation.risk.base_rate, self.explanation.risk.base_rate_from)

    def span(self, low: float | None, high: float | None) -> str:
        """A range of risks; empty where it is none."""
        first, last = (self.risk(0 if share is None else share) for share in (low, high))
        return "" if first == last else f"{first} to {last}"

    def prediction(self) -> list[str]:
        """What is predicted now, at which risk, and what is wanted; the first line says the most."""
        e, r = self.explanation, self.explanation.risk
        span = self.span(r.low, r.high)
        holds = self.share(e.holds_now, ", as it does in {}")
        must = f"{self.threshold()}{holds}; an answer must reach {self.reach()}."
        if e.status == "depends":
            return [f"Prediction now: it depends on what is unknown. Risk of “{self.unwanted}”: {span or self.risk(r.now)} ({self.base()})",
                    must if e.found else f"{self.threshold()}{holds}."]  # fmt: skip
        about = f"{span} depending on what is unknown; {self.base()}" if span else self.base()
        if e.status == "already":
            return [f"Prediction now: {self.target}, as wanted{self._already()}",
                    f"Risk of “{self.unwanted}”: {self.risk(r.now)} ({about})", f"{self.threshold()}."]  # fmt: skip
        return [f"Prediction now: {self.unwanted}, risk {self.risk(r.now)} ({about})", must]

    def threshold(self) -> str:
        """Up to which risk the wanted class is predicted."""
        return f"The model predicts “{self.target}” up to a risk of {self.risk(self.explanation.risk.threshold)}"

    def goal(self) -> str:
        """The risk that an answer must reach."""
        return self.risk(self.explanation.risk.goal)

    def reach(self, risk: float | None = None) -> str:
        """What an answer must reach, or the risk that is given, and for how much of what is unknown."""
        many = f" in {percent(UNKNOWN.share)} of such cases" if self.cases else ""
        return f"{self.goal() if risk is None else self.risk(risk)} or less{many}"

    def _already(self) -> str:
        if self.narrow:
            return f", but only just: an answer would have to reach {self.narrow} or less."
        return ". Nothing needs to change." if self.settled else self.share(self.explanation.holds_now, ", in {}") + "."

    @cached_property
    def narrow(self) -> str:
        """The risk that an answer would have to reach, where the record is on the wanted side by less; empty elsewhere."""
        r = self.explanation.risk
        return percents(r.goal, [r.now])(r.goal) if self._inside and r.now > r.goal else ""

    @property
    def settled(self) -> bool:
        """Whether nothing needs to change: the record is on the wanted side for sure, and inside all that was asked for."""
        return self._inside and not self.narrow

    @cached_property
    def _inside(self) -> bool:
        e = self.explanation
        outside = any(self._outside(name, low, high) for name, (low, high) in e.provenance.bounds.items())
        return e.status == "already" and not (self.open or outside)

    def share(self, holds: float | None, text: str) -> str:
        """How much of what the unknown values may be something holds for; empty where that was not looked at."""
        e = self.explanation
        if holds is None or not self.cases:
            return ""
        part = "all" if holds > 1 - TINY else "none" if holds < TINY else percent(holds)
        many = f"{part} of the {e.completions} cases" if e.completions > 1 else "the one case" if part == "all" else "none of the cases"
        return text.format(f"{many} tried for what is unknown")

    def deciding(self) -> str:
        """Which unknown values would decide, most deciding first; empty where none would."""
        named = self.explanation.unknown[:MOST_DECIDING]
        if not named:
            return ""
        ends = [" of the doubt ends with it alone", *[""] * (len(named) - 1)]
        parts = [f"{self.title(u.feature)} ({percent(u.decides)}{end})" for u, end in zip(named, ends, strict=True)]
        if named[0].decides > 1 - ALONE:
            parts[0] = f"{self.title(named[0].feature)} (it alone decides)"
        return f"Measure these first: {', '.join(parts)}."

    def options(self) -> str:
        """How many answers follow, and how many were asked for."""
        found, asked = len(self.explanation.found), self.explanation.provenance.answers
        many = f"{found} options; each stands by itself." if found > 1 else ""
        few = f"{found} of the {asked} that were asked for {'was' if found == 1 else 'were'} found." if found < asked else ""
        return f"{many} {few}".strip()

    def headline(self, answer: Counterfactual, title: str, kinds: Sequence[str]) -> str:
        """What the model would say of an answer: `kinds` names what is in it, 'lever', 'marker' or both."""
        so = {"lever": "were so", "marker": "read so"}
        said = so[kinds[0]] if len(kinds) == 1 else "were and read so"
        names = self.best_at(answer)
        best = f" ({', '.join(names)})" if names else ""
        start = f"{title}{best}: if" if title else "If"
        before, after = self.risk(self.explanation.risk.now), self.after(answer)
        return f"{start} these {said}, the model would put the risk at {after} rather than {before}"

    def best_at(self, answer: Counterfactual) -> list[str]:
        """What an answer is best at among those shown."""
        others = [a for a in self.explanation.found if a is not answer]
        shared = {"fewest features"} if any(a.n_changed <= answer.n_changed for a in others) else set()  # no two have the fewest
        return [name for name in answer.strengths if name not in shared]

    def after(self, answer: Counterfactual) -> str:
        """The risk of the changed record."""
        return self.risk(1 - answer.p_target if answer.risk is None else answer.risk)

    def figures(self, answer: Counterfactual) -> list[str]:
        """What else is known of an answer."""
        out = []
        if self.cases:
            span = self.span(answer.risk_low, answer.risk_high)
            out.append(f"{self.share(answer.holds, 'It holds in {}')}{f': a risk of {span}' if span else ''}.")
        if answer.realism is not None:
            out.append(realism_text(answer.realism, self.target, self.explanation.realism))
        if answer.stability is not None and answer.draws:
            out.append(stability_text(answer.stability, answer.draws))
        if answer.agreement is not None:
            out.append(agreement_text(answer.agreement))
        return out

    def none(self) -> str:
        """That nothing was found, and what it would have had to reach; or that nothing was looked for, and why."""
        if self.explanation.reason:
            return f"No answer: {plain(self.explanation.reason)}."
        e = self.explanation
        tried = e.rows_asked - (e.easing.tried if e.easing else 0)
        many = f"; the model was asked about {tried:,} changed record{'s'[: tried != 1]}" if tried > 0 else ""
        return f"No answer found that reaches a risk of {self.reach()}{many}."

    def refusals(self) -> list[tuple[int, str]]:
        """Why proposals were refused, most frequent first; scores are told as risks."""
        e = self.explanation
        low = f"p({e.target}) stays under {e.threshold + e.margin:.2f}"
        high = f"the risk stays over {self.goal()}{' in too many such cases' if self.cases else ''}"
        reasons = {high if reason == low else plain(reason): count for reason, count in e.refusals.items()}
        return sorted(((count, reason) for reason, count in reasons.items()), key=lambda item: (-item[0], item[1]))

    def proof(self) -> str:
        """What was proven, and among which answers; empty where nothing was, or nothing worth a sentence."""
        e = self.explanation
        if e.proof is None or (e.found and e.provenance.search <= SEARCH.rows):
            return ""
        k = e.proof.features
        among = "among the values this model may advise" + (", within this request's limits" if e.proof.scope == "request" else "")
        many = "one feature" if k == 1 else f"up to {k} features"
        if e.found:
            return f"Proven {among}: no answer that moves {many} costs less than {'the first' if len(e.found) > 1 else 'this one'}."
        reach = f"a risk of {self.reach()}" if abs(e.proof.goal - e.threshold - e.margin) < TINY else f"a score of {e.proof.goal:g}"
        return f"Proven {among}: moving {many} never reaches {reach}."

    def advice(self) -> str:
        """What of the request stands in the way, after nothing was found; empty where nothing does."""
        made, easing = self.explanation.provenance, self.explanation.easing
        if self.explanation.reason or (easing and (easing.openings or easing.proof)):
            return ""  # it is said already, more exactly
        ways = ["free a frozen feature"] * bool(made.freeze) + ["widen a bound"] * bool(made.bounds)
        if made.max_changes < sum(f.mutable for f in self.schema.features):
            ways.append("allow more changes")
        if self.explanation.proof is None:
            ways.append("search on with --exact")
        return f"To ask again: {listed(ways, 'or')}." if ways else ""

    def notes(self) -> list[str]:
        """What weakens an answer."""
        e, out = self.explanation, [plain(text) for text in self.explanation.warnings]
        weak = weak_text(e.auc)
        if weak and not any("AUC" in note for note in out):
            out.insert(0, weak)
        if self.schema.horizon and e.found:
            out.append(f"How far each feature may change is meant for {plain(self.schema.horizon)}.")
        out += filter(None, (self._outside(name, low, high) for name, (low, high) in e.provenance.bounds.items()))
        unknown = [self.title(name) for name, value in e.factual.items() if value is None and name not in self.computed]
        if unknown:
            out.append(f"Not in the record and left unknown: {', '.join(unknown)}.")
        if self.computed:
            told = listed([f"{self.title(name)} {self.value(name)}" for name in self.computed])
            out.append(f"Not in the record and computed from the other values: {told}.")
        return out

    def _outside(self, name: str, low: float, high: float) -> str:
        """That a bound does not hold for what the record has, where some answer leaves it."""
        now, found = self.explanation.factual.get(name), self.explanation.found
        if not isinstance(now, int | float) or low <= now <= high or (found and all(name in {c.feature for c in a.changes} for a in found)):
            return ""
        lies = (
            f"{self.title(name)} ({self.value(name)}) lies outside the range that was asked for, {number_text(low)} to {number_text(high)}"
        )
        if self.explanation.status == "already":
            return f"{lies}, and nothing inside it was looked for: the prediction is the wanted one already."
        return f"{lies}: every answer would have to bring it in."

    @cached_property
    def computed(self) -> dict[str, float]:
        """What is not in the record and yet said exactly by what is, as a body mass index by height and weight."""
        if not any(relation.exact for relation in self.schema.relations):
            return {}
        try:
            held = Record.from_mapping(self.schema, self.explanation.factual).vector
        except RecordError:  # of a bundle whose schema was another
            return {}
        digits = {f.name: digits_of(f.low, f.step) for f in self.schema.features}
        return {name: round(value, digits[name]) for name, value in computed(self.schema, held).items()}

    def value(self, name: str) -> str:
        """What the record has, or says exactly, with its unit: '84.2 kg', '80 years or over', 'not known'."""
        held, feature = self.explanation.factual.get(name), self.schema[name] if name in self.schema.index else None
        held = self.computed.get(name) if held is None else held
        text = "not known" if held is None else held if isinstance(held, str) else number_text(held)
        return plain(f"{text} {feature.unit if feature and held is not None else ''}".rstrip() + (feature.beyond(held) if feature else ""))

    def title(self, name: str) -> str:
        """The label, or the name itself where the schema has no such feature."""
        return plain(self.schema[name].title if name in self.schema.index else name)


def plain(text: str) -> str:
    """Without control characters: a bundle's words must not steer the terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def listed(words: Sequence[str], last: str = "and") -> str:
    """'a, b and c'."""
    return f" {last} ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else ""


def realism_text(percentile: float, target: str, own: float | None = None) -> str:
    """How typical the changed record is of real ones of the wanted class, and how typical the record is as it is (`own`)."""
    beside = "" if own is None else f"; the record as it is: {of_hundred(own)}"
    if percentile < 1:
        return f"Very unusual: hardly any real “{target}” record is as rare as this{beside}."
    word = "Unusual: more" if percentile < 10 else "Less common: more" if percentile < 30 else "More"
    return f"{word} typical than {of_hundred(percentile)} real “{target}” records{beside}."


def of_hundred(percentile: float) -> str:
    """A percentile as people are told it."""
    return "under 1 of 100" if percentile < 1 else f"{min(int(percentile), 99)} of 100"
