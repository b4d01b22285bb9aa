"""Explanation -> what a letter says, paragraph by paragraph: for each sentence all the ways it may be said, filled in. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..answer.result import Change, Counterfactual, Explanation
from ..report.changes import by_text
from ..report.rendering import DISCLAIMER
from ..report.wording import Wording, of_hundred, plain
from ..schema.feature import Feature
from ..schema.schema import Schema
from . import phrases
from .phrases import LETTER

Ways = tuple[str, ...]
UNUSUAL = 10
"""Percentile of realism under which a letter says so."""


@dataclass(frozen=True)
class Said:
    """One sentence, in any of these ways. `before` is what parts it from what stands in front of it."""

    ways: Ways
    before: str = " "


@dataclass(frozen=True)
class Listed:
    """Sentences of which each is said once, in any order, a line each."""

    items: tuple[Ways, ...]


Passage = Said | Listed


def content(explanation: Explanation, schema: Schema, kind: str = LETTER) -> list[Passage]:
    """What a letter or a note says, in order; the first way of each sentence is the template's."""
    return list(_Content(Wording(explanation, schema), kind).parts())


@dataclass(frozen=True)
class _Content:
    say: Wording
    kind: str

    def parts(self) -> Iterator[Passage]:
        e = self.say.explanation
        greeting = [Said(phrases.GREETING, "")] if self.kind == LETTER else []
        yield from greeting
        yield Said(_filled(phrases.OPENING[self.kind], model=plain(e.provenance.model)), "\n\n" if greeting else "")
        yield from self._now()
        if e.found:
            yield from self._found()
        elif e.status == "none" or e.rounds_used:
            yield from self._none()
        yield from self._mind()
        if closing := phrases.CLOSING[self.kind]:
            yield Said(closing, "\n\n")
        yield Said((DISCLAIMER,), "\n\n")

    def _now(self) -> Iterator[Passage]:
        """The risk as it stands, and what is predicted."""
        say, e, r = self.say, self.say.explanation, self.say.explanation.risk
        told = {"unwanted": say.unwanted, "target": say.target, "risk": say.risk(r.now), "base": say.base()}
        yield Said(_filled(phrases.NOW[self.kind], **told), "\n\n")
        if span := say.span(r.low, r.high):
            yield Said(_filled(phrases.SPAN, span=span))
        yield Said(_filled(phrases.LINE, target=say.target, threshold=say.risk(r.threshold)))
        if e.status == "already":
            yield Said(_filled(phrases.ALREADY, target=say.target))
            if say.narrow:
                yield Said(_filled(phrases.NARROW, edge=say.narrow))
            elif say.settled:
                yield Said(phrases.SETTLED[self.kind])
        if e.status == "depends":
            yield Said(phrases.DEPENDS)
        if deciding := say.deciding():
            yield Said((deciding,))

    def _found(self) -> Iterator[Passage]:
        e = self.say.explanation
        many, asked = len(e.found), e.provenance.answers
        lead = phrases.LEAD if many == 1 else phrases.LEAD_SEVERAL
        yield Said(_filled(lead[self.kind], target=self.say.target, count=str(many)), "\n\n")
        fewer = [Said(_filled(phrases.FEWER, asked=str(asked)))] if many < asked else []
        if many > 1:
            yield from fewer
        for k, answer in enumerate(e.found, 1):
            if many > 1:
                yield Said(_filled(phrases.WAY, number=str(k)), "\n\n")
            yield from self._answer(answer)
        if many == 1:
            yield from fewer
        if any(_kind(c, self._feature(c)) == "marker" for a in e.found for c in a.changes):
            yield Said(phrases.FINDINGS[self.kind], "\n\n")

    def _answer(self, answer: Counterfactual) -> Iterator[Passage]:
        say, e = self.say, self.say.explanation
        titles = self._titles(answer.changes)
        for kind in ("lever", "marker", "follows"):
            if items := tuple(self._change(c, titles[c.feature]) for c in answer.changes if _kind(c, self._feature(c)) == kind):
                yield Listed(items)
        after = phrases.AFTER if len(answer.changes) > 1 else phrases.AFTER_ONE
        yield Said(_filled(after, after=say.after(answer), risk=say.risk(e.risk.now)), "\n\n")
        if say.cases and (span := say.span(answer.risk_low, answer.risk_high)):
            yield Said(_filled(phrases.AFTER_SPAN, span=span))
        if answer.realism is not None and answer.realism < UNUSUAL:
            rare = phrases.RARE if answer.realism < 1 else phrases.UNUSUAL
            yield Said(_filled(rare, typical=of_hundred(answer.realism), target=say.target))

    def _change(self, change: Change, title: str) -> Ways:
        """One change, filled in from it alone."""
        feature = self._feature(change)
        before, after, by = by_text(change, feature)
        raised, unit = _raised(change), plain(change.unit).strip()
        kind = phrases.CHANGES[_kind(change, feature), raised is not None]
        if raised is None:
            return _filled(kind, title=title, before=before, after=after)
        step = by.removesuffix(unit).strip()[1:]
        return _filled(kind, title=title, before=before, after=f"{after} {unit}".rstrip(), by=step, **phrases.RAISED[raised])

    def _titles(self, changes: Sequence[Change]) -> Mapping[str, str]:
        """What the features are called; with their names where two labels are the same."""
        labels = {c.feature: self.say.title(c.feature) for c in changes}
        shared = Counter(labels.values())
        return {name: title if shared[title] == 1 else f"{title} ({plain(name)})" for name, title in labels.items()}

    def _feature(self, change: Change) -> Feature | None:
        return self.say.schema[change.feature] if change.feature in self.say.schema.index else None

    def _none(self) -> Iterator[Passage]:
        say, e = self.say, self.say.explanation
        said = phrases.NOTHING if e.reason else phrases.NONE[self.kind]
        yield Said(_filled(said, reason=plain(e.reason), goal=say.reach()), "\n\n")
        yield Said(phrases.COMFORT[self.kind])

    def _mind(self) -> Iterator[Passage]:
        """What weakens the answer, whole and as it is always said."""
        if notes := self.say.notes():
            yield Said(phrases.MIND[self.kind], "\n\n")
            yield Listed(tuple((_sentence(note),) for note in notes))


def _filled(ways: Sequence[str], **told: str) -> Ways:
    return tuple(way.format(**told) for way in ways)


def _sentence(text: str) -> str:
    """With a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}"


def _kind(change: Change, feature: Feature | None) -> str:
    return "follows" if change.follows else feature.role if feature is not None else "lever"


def _raised(change: Change) -> bool | None:
    """Whether a number goes up; None for what is none."""
    before, after = change.before, change.after
    return after > before if isinstance(before, int | float) and isinstance(after, int | float) else None
