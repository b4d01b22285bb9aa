"""One answer on one sheet of A4: what is predicted, what would have to be otherwise, what was kept, and what it all comes from.

A document of its own (`report_html`), printed or kept as it is, and the same as a part of another page (`card_html`). Nothing is
fetched, nothing runs, no style stands in an element: a page with a strict policy need only allow `STYLE`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from ..answer.result import Explanation
from ..bundle.bundle import Bundle
from ..report import easing
from ..report.phrases import auc_text, class_text, rate_text
from ..report.rendering import DISCLAIMER
from ..report.wording import Wording, listed, plain
from ..schema.feature import number_text
from ..schema.schema import Schema
from . import bars, options
from .basis import basis
from .html import Html, el, joined

STYLE = (Path(__file__).parent / "sheet.css").read_text(encoding="utf-8")
PAGE = (
    "@page { size: A4; margin: 9mm 12mm; } html { color-scheme: light dark; } body { margin: 0 auto; max-width: 186mm; }"
    "@media screen { body { padding: 4mm; } } @media screen and (prefers-color-scheme: dark) { html { background: #16181c; } }"
)
"""The style of the whole document, which `card_html` leaves to the page around it."""
MOST_REASONS = 5


def report_html(explanation: Explanation, bundle: Bundle, when: str | None = None) -> str:
    """A whole document. `when` is the date that stands on it, today's where none is given."""
    title = f"{bundle.manifest.title or bundle.name}: {Wording(explanation, bundle.schema).prediction()[0]}"
    head = el("title", title), el("style", Html(STYLE + PAGE))
    meta = '<meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="referrer" content="no-referrer">'
    return f'<!DOCTYPE html>\n<html lang="en"><head>{meta}{joined(head)}</head>\n<body>{sheet(explanation, bundle, when)}</body></html>\n'


def card_html(explanation: Explanation, bundle: Bundle, when: str | None = None) -> str:
    """The sheet with its style, to be put into another page."""
    return joined([el("style", Html(STYLE)), sheet(explanation, bundle, when)])


def sheet(explanation: Explanation, bundle: Bundle, when: str | None = None) -> Html:
    """The sheet itself, without its style."""
    say = Wording(explanation, bundle.schema)
    parts = [_head(bundle, when or date.today().isoformat()), _risk(say), _record(say), _options(say), basis(say), *_weak(say),
             _limits(say), _origin(say, bundle), _signature(say), *_letter(say)]  # fmt: skip
    long = explanation.found or (explanation.easing and explanation.easing.openings)
    full = explanation.why is not None and bool(long)
    return el("div", *parts, cls="sensecf full" if full else "sensecf")  # a full one is printed a little smaller, to stay on its sheet


def _head(bundle: Bundle, when: str) -> Html:
    return el("header", el("h1", bundle.manifest.title or bundle.name), el("span", when))


def _risk(say: Wording) -> Html:
    e, r = say.explanation, say.explanation.risk
    first, *others = say.prediction()
    after = [a.risk for a in e.found[: options.MOST] if a.risk is not None]
    said = f"Risk now {say.risk(r.now)}; the model’s line {say.risk(r.threshold)}"
    marks = (r.threshold, f"the model’s line: {say.risk(r.threshold)}"), (r.base_rate, f"average: {rate_text(r.base_rate)}")
    bar = bars.risk_bar(r.now, (r.low, r.high), marks, after, said)
    key = el("span", "○ now", *(["   ● ", "options" if len(after) > 1 else "instead"] if after else []), cls="dim")
    return el("section", el("p", first, cls="lead"), *(el("p", text) for text in others), el("p", bar, key, cls="risk wide"),
              el("p", say.deciding(), cls="note") if say.deciding() else None)  # fmt: skip


def _record(say: Wording) -> Html:
    """Every value, with its unit; what is unknown stands apart from what is known."""
    rows = [
        el("li", el("span", say.title(name)), el("b", say.value(name)), cls="unknown" if value is None and name not in say.computed else "")
        for name, value in say.explanation.factual.items()
    ]
    return el("section", el("h2", "The record"), el("ul", *rows, cls="record"))


def _options(say: Wording) -> Html:
    e = say.explanation
    if e.found:
        more = len(e.found) - options.MOST
        moved = any(c.follows for a in e.found[: options.MOST] for c in a.changes)
        notes = ["* moves along with the others." if moved else "", say.options(),
                 f"{more} more stand in the JSON of this answer." if more > 0 else "", say.proof()]  # fmt: skip
        so = {"lever": "were so", "marker": "read so"}
        kinds = options.kinds(say)
        head = f"If these {so[kinds[0]] if len(kinds) == 1 else 'were and read so'}, the model would put the risk at {say.goal()} or less"
        return el("section", el("h2", head), options.table(say), el("p", " ".join(filter(None, notes)), cls="dim"), *_outside(say))
    if e.status == "already" or not (e.reason or e.rounds_used):
        return Html()
    return el("section", el("h2", "No answer"), el("p", say.none(), cls="note"), *_reasons(say),
              *(el("p", text) for text in (say.proof(), say.advice()) if text), *_outside(say))  # fmt: skip


def _outside(say: Wording) -> Iterator[Html]:
    """What would have to give, apart from every answer; as much of it as a sheet has room for."""
    lines = easing.openings(say)[: options.MOST]
    if lines:
        yield el("p", easing.head(say), cls="note")
        yield el("ul", *(el("li", line) for line in lines), cls="none")
    elif nothing := easing.nothing(say):
        yield el("p", nothing)


def _reasons(say: Wording) -> Iterator[Html]:
    refusals = [] if say.explanation.reason else say.refusals()
    if refusals:
        yield el("p", "Why proposals were refused, equal ones counted once:", cls="dim")
        yield el("ul", *(el("li", f"{count} × {reason}") for count, reason in refusals[:MOST_REASONS]), cls="none")


def _weak(say: Wording) -> Iterator[Html]:
    """What weakens the answer."""
    notes = say.notes()
    if notes:
        yield el("section", el("h2", "To be looked at"), *(el("p", note, cls="note") for note in notes))


def _limits(say: Wording) -> Html:
    """What every answer kept: of the schema, and of the request."""
    made, schema = say.explanation.provenance, say.schema
    never = [f.title for f in schema.features if not f.mutable]
    said = [
        f"Never changed: {listed(never)}." if never else "",
        f"Kept as it is, as asked: {listed([say.title(name) for name in made.freeze])}." if made.freeze else "",
        *(f"{say.title(name)} within {number_text(low)} to {number_text(high)}, as asked." for name, (low, high) in made.bounds.items()),
        *(f"A change of {say.title(name)} counts {number_text(weight)} times, as asked." for name, weight in made.costs.items()),
        f"At most {made.max_changes} changes, each to a value that the training people have{_advised(schema)}.",
        f"Computed from the others: {listed([schema[name].title for name in schema.names if name in schema.completed])}."
        if schema.completed
        else "",
    ]
    return el("section", el("h2", "Limits kept"), el("p", " ".join(filter(None, said)), cls="small"))


def _advised(schema: Schema) -> str:
    """What else bounds a change, in words."""
    sized = any(f.max_change or f.relative_max_change for f in schema.features)
    ways = {"direction": any(f.direction != "either" for f in schema.features), "size": sized}
    stated = [word for word, there in ways.items() if there]
    return f", in the {listed(stated)} that its schema states" if stated else ""


def _origin(say: Wording, bundle: Bundle) -> Html:
    e, m = say.explanation, bundle.manifest
    auc = "not measured" if e.auc is None else auc_text(e.auc)
    classes = f"{class_text(m.target.unwanted, m.target.column)} → {class_text(m.target.wanted, m.target.column)}"
    words = [
        f"Model {m.name}{f', version {m.version}' if m.version else ''}{f', made {m.created}' if m.created else ''}: {classes}. "
        f"{_kind(m.classifier.kind)}, AUC on unseen people {auc}.",
        f"Data: {m.data.source}{f'; of the time: {m.data.dates}' if m.data.dates else ''}. Licence: {m.data.licence}.",
        f"Meant for: {m.intended}" if m.intended else "",
        f"Not for: {m.not_for}" if m.not_for else "",
    ]
    versions = ", ".join(f"{name} {number}" for name, number in e.provenance.versions.items())
    who = "" if e.provenance.generator == "bundle" else f" · generator {e.provenance.generator}"
    made = f"bundle {e.provenance.bundle} · schema {bundle.schema.hash[:12]}{who} · seed {e.provenance.seed} · {versions}"
    said = [*(el("p", plain(text), cls="small") for text in words if text), el("p", made, cls="hash"), el("p", DISCLAIMER, cls="note")]
    return el("section", el("h2", "Model and data"), _calibration(bundle, said))


def _kind(name: str) -> str:
    return name.replace("-", " ").capitalize() or "Classifier"


def _calibration(bundle: Bundle, said: list[Html]) -> Html:
    """The words, with a picture of told against seen risks beside them where the bundle was measured."""
    figures = bundle.manifest.metrics.get("calibration")
    curve = figures.get("curve") if isinstance(figures, dict) else None
    try:
        points = [(float(bin_["told"]), float(bin_["seen"])) for bin_ in curve or ()]
    except (TypeError, KeyError, ValueError):
        points = []
    if len(points) < 2:
        return joined(said)
    told = el("small", "Risk told (across), seen (up)")
    return el("div", el("div", *said), el("div", bars.curve(points, "Told risks against what was seen on unseen people"), told), cls="two")


def _signature(say: Wording) -> Html:
    boxes = "" if not say.explanation.found else "☐ accepted   ☐ not followed, because: ____________________________________________"
    lines = [el("div", word) for word in ("Name or number of the person", "Seen by (signature)", "Date")]
    return el("section", el("p", boxes, cls="taken") if boxes else None, el("div", *lines, cls="sign"))


def _letter(say: Wording) -> Iterator[Html]:
    """The answer in plain words, on a sheet of its own; nothing where none was asked for."""
    if say.explanation.letter is not None:
        blocks = say.explanation.letter.text.strip().split("\n\n")
        yield el("section", el("h2", "In plain words"), *(part for block in blocks for part in _block(block.splitlines())), cls="letter")


def _block(lines: Sequence[str]) -> Iterator[Html]:
    """A paragraph, and the list that stands in it or behind it."""
    items = [line.removeprefix("- ") for line in lines if line.startswith("- ")]
    if text := " ".join(line for line in lines if not line.startswith("- ")):
        yield el("p", text)
    if items:
        yield el("ul", *(el("li", item) for item in items))
