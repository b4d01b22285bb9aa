"""Answers side by side: a row for each feature that one of them changes, a column for each of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..answer.result import Change, Counterfactual
from ..report.changes import by_text
from ..report.phrases import percent
from ..report.rendering import HEADINGS
from ..report.wording import TINY, Wording, of_hundred
from . import bars
from .html import Html, el

MOST = 3
"""Answers that a sheet has room for."""
BEST = "Best at"


def table(say: Wording) -> Html:
    """Up to MOST answers. Values of choices have no bar."""
    found = say.explanation.found[:MOST]
    head = ["Now", "Range", *(f"Option {k}" if len(found) > 1 else "Instead" for k in range(1, len(found) + 1))]
    rows = [row for role in HEADINGS for row in _kind(say, role, found)]
    for words, cells in _figures(say, found):
        wide = "words" if words == BEST else ""
        rows.append(el("tr", el("th", words, colspan=3, scope="row"), *(el("td", cell) for cell in cells), cls=wide))
    titles = [el("th", part, scope="col", cls="bar" if part == "Range" else "") for part in head]
    return el("div", el("table", el("thead", el("tr", el("td"), *titles)), el("tbody", *rows)), cls="wide")


def kinds(say: Wording) -> list[str]:
    """What is in the answers that are shown: levers, markers or both."""
    changed = {_role(say, c.feature) for answer in say.explanation.found[:MOST] for c in answer.changes}
    return [role for role in HEADINGS if role in changed]


def _kind(say: Wording, role: str, found: tuple[Counterfactual, ...]) -> Iterator[Html]:
    """The rows of levers, or of markers, under their heading."""
    changed = {c.feature for answer in found for c in answer.changes}
    order = [name for name in say.explanation.factual if name in changed and _role(say, name) == role]
    if order:
        yield el("tr", el("th", HEADINGS[role], colspan=3 + len(found), scope="rowgroup"), cls="kind")
    for name in order:
        moves = [next((c for c in answer.changes if c.feature == name), None) for answer in found]
        known = [change for change in moves if change is not None]
        feature = say.schema[name] if name in say.schema.index else None
        mark = " *" if any(change.follows for change in known) else ""
        before = f"{by_text(known[0], feature)[0]} {known[0].unit}".rstrip()
        yield el("tr", el("th", say.title(name) + mark, scope="row"), el("td", before), el("td", _bar(say, name, moves), cls="bar"),
                 *(_cell(say, change) for change in moves))  # fmt: skip


def _cell(say: Wording, change: Change | None) -> Html:
    if change is None:
        return el("td", "as it is", cls="dim")
    feature = say.schema[change.feature] if change.feature in say.schema.index else None
    _, after, by = by_text(replace(change, unit=""), feature)  # the unit stands beside the present value
    return el("td", el("b", after), " ", el("small", f"({by})") if by else None)


def _bar(say: Wording, name: str, moves: list[Change | None]) -> Html | None:
    feature = say.schema[name] if name in say.schema.index else None
    now = say.explanation.factual[name]
    if feature is None or feature.kind != "number" or not isinstance(now, int | float):
        return None
    targets = {str(k): float(c.after) for k, c in enumerate(moves, 1) if c is not None and isinstance(c.after, int | float)}
    return bars.range_bar(feature, float(now), targets)


def _figures(say: Wording, found: tuple[Counterfactual, ...]) -> Iterator[tuple[str, list[str]]]:
    """What else is known of the answers, where it is known of any."""
    e = say.explanation
    yield f"Risk of “{say.unwanted}” then", [say.after(answer) for answer in found]
    if say.cases:
        held = ["all" if answer.holds > 1 - TINY else percent(answer.holds) for answer in found]
        yield f"Holds, of {e.completions} cases tried for what is unknown", held
    if any(a.realism is not None for a in found):
        own = "" if e.realism is None else f"; as it is: {of_hundred(e.realism)}"
        yield f"More typical than, of “{say.target}” records{own}", ["–" if a.realism is None else of_hundred(a.realism) for a in found]
    if any(a.draws for a in found):
        yield "Held in draws with sensors’ stated errors", [
            "–" if a.stability is None or not a.draws else f"{round(a.stability * a.draws)} of {a.draws}" for a in found
        ]
    if any(a.agreement is not None for a in found):
        yield "Other models as good that agree", ["–" if a.agreement is None else percent(a.agreement) for a in found]
    if len(found) > 1:
        yield BEST, [", ".join(say.best_at(a)) or "–" for a in found]


def _role(say: Wording, name: str) -> str:
    return say.schema[name].role if name in say.schema.index else "lever"
