"""What an answer rests on, as a part of the sheet: what moves the risk, whether anybody is like the record, on whom it was measured."""

from __future__ import annotations

from ..report import basis as sentences
from ..report.wording import Wording
from . import bars
from .html import Html, el

MOST = 6
"""Parts of a prediction that a sheet has room for."""


def basis(say: Wording) -> Html:
    """The section: why on the left, the rest beside it; without the left where nobody asked why."""
    measured = sentences.groups(say) or ["How well the model does on people like this one, by group, was not measured."]
    said = [el("p", text, cls="small") for text in (sentences.likeness(say), *measured)]
    said += [el("p", f"To measure next. {text}", cls="small") for text in sentences.measure_next(say)]
    why = _why(say)
    inside = [el("div", el("div", *why), el("div", *said), cls="halves")] if why else said
    return el("section", el("h2", "What it rests on"), *inside)


def _why(say: Wording) -> list[Html]:
    reason = say.explanation.why
    if reason is None:
        return []
    parts = sentences.beyond_error(reason)[:MOST]
    largest = max((abs(part.adds) for part in parts), default=0.0)
    rows = list[Html]()
    for part in parts:
        bar = el("td", bars.share_bar(part.adds, largest), cls="bar")
        rows.append(el("tr", el("th", sentences.values(say, part), scope="row"), bar, el("td", sentences.signed(part))))
    table = el("table", el("tbody", *rows), cls="why") if rows else None
    return [el("p", sentences.start(say, reason)), table or Html(), el("p", sentences.error(reason), cls="small")]
