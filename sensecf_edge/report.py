"""Explanation -> words and tables for people. Pure: it computes no answer, opens nothing and prints nothing itself.

Risk is 1 - p_target: the model's probability that the prediction is not the wanted one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from io import StringIO
from typing import TYPE_CHECKING

from .record import Value
from .result import Change, Counterfactual, Explanation
from .schema import Schema, number_text
from .settings import SEARCH, WEAK_AUC

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

WIDTH = 80
DISCLAIMER = "This is what the model would predict. It does not show that the change causes it, and it is not medical advice."
GIVEN_UP = {"n_changed": "changes more features", "distance": "moves farther", "realism": "is less typical"}  # p stands in the headline
HEADINGS = ("What", "Now", "Change to", "By")
ASCII = str.maketrans({"→": "->", "−": "-", "─": "-", "·": "-", "…": "...", "—": "-", "“": '"', "”": '"'})


def render(explanation: Explanation, schema: Schema, *, width: int = WIDTH, color: bool = False, unicode: bool = True) -> str:
    """The whole answer as text of at most `width` columns, ending in a newline.

    `color` puts ANSI styles in; without `unicode` the text is plain ASCII. `schema` gives labels; values and units come
    from the explanation.
    """
    console = _console(width, color)
    _now(console, explanation)
    if explanation.status == "none":
        _none(console, explanation)
    for i, answer in enumerate(explanation.found):
        _answer(console, explanation, schema, answer, f"Option {i + 1}: change" if len(explanation.found) > 1 else "Change")
    if explanation.found and explanation.proof and explanation.provenance.search > SEARCH.rows:
        console.print(hanging("", proven_text(explanation), "dim"))
    _notes(console, explanation, schema)
    return _text(console, unicode)


def drawn(parts: Iterable[RenderableType], *, width: int = WIDTH, color: bool = False, unicode: bool = True) -> str:
    """Lines and tables as text, one below the other, in the look that `render` has."""
    console = _console(width, color)
    for part in parts:
        console.print(part)
    return _text(console, unicode)


def columns(headings: Sequence[str], right: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table in the house's look; the columns named in `right` stand to the right."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, header_style="dim", padding=(0, 1))
    for heading in headings:
        table.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def hanging(mark: str, text: str, style: str = "") -> Table:
    """A paragraph that keeps clear of its mark."""
    from rich.table import Table

    grid = Table.grid(padding=0)
    grid.add_column(width=len(mark))
    grid.add_column(overflow="fold")
    grid.add_row(mark, text, style=style)
    return grid


def plain(text: str) -> str:
    """Without control characters: a bundle's words must not steer the terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def unwanted(explanation: Explanation) -> str:
    """The name of what risk is a risk of."""
    return explanation.predicted if explanation.predicted != explanation.target else f"not {explanation.target}"


def risk_text(p_target: float) -> str:
    """Risk in whole per cent; never rounded to certainty."""
    risk = 100 * (1 - p_target)
    if 0 < risk < 1:
        return "under 1%"
    return "over 99%" if 99 < risk < 100 else f"{risk:.0f}%"


def realism_text(percentile: float, target: str) -> str:
    """How ordinary the changed record is among real ones of the wanted class, in words."""
    if percentile < 1:
        return f"Very unusual: hardly any real “{target}” record is as rare as this."
    word = "Unusual" if percentile < 10 else "Less common" if percentile < 30 else "Ordinary"
    return f"{word}: more typical than {percentile:.0f} of 100 real “{target}” records."


def stability_text(share: float) -> str:
    """How often the answer holds when every reading is a little off, in words."""
    word = "Steady" if share >= 0.9 else "Fairly steady" if share >= 0.7 else "Shaky"
    return f"{word}: it holds in {100 * share:.0f} of 100 cases when every reading is as far off as sensors are."


def agreement_text(share: float) -> str:
    """What other classifiers, as good as the one that judged, say of an answer, in words."""
    if share == 1:
        return "Other models, as good as this one, predict the same for it."
    if share == 0:
        return "No other model, of those as good as this one, predicts the same for it: rest nothing on it."
    return f"Of other models, as good as this one, {100 * share:.0f}% predict the same for it."


def proven_text(explanation: Explanation) -> str:
    """What a search over all sets of features has proven; empty where it has proven nothing."""
    k = explanation.proof.features if explanation.proof else 0
    if not k:
        return ""
    many = "one feature" if k == 1 else f"up to {k} features"
    if explanation.status == "none":
        return f"None exists that changes {many}: every combination was ruled out."
    return f"Nothing better exists that changes {many}, by the cost this model weighs: every combination was ruled out."


def by_text(change: Change) -> str:
    """The change as a signed number with its unit: '+5 %', '−25 mg/dL'; empty between choices."""
    before, after = change.before, change.after
    if not isinstance(before, int | float) or not isinstance(after, int | float):
        return ""
    step = float(Decimal(repr(after)) - Decimal(repr(before)))
    return f"{'+' if step > 0 else '−'}{number_text(abs(step))} {plain(change.unit)}".rstrip()


def weak_text(explanation: Explanation) -> str | None:
    """The sentence that every answer of a weak or unmeasured classifier carries; None for one that is good enough."""
    if explanation.auc is None:
        return "Nobody has measured how well this model tells people apart whom it has not seen (no AUC)."
    if explanation.auc >= WEAK_AUC:
        return None
    return f"This model tells people apart poorly (AUC {explanation.auc:.2f} on unseen people; 0.50 is chance)."


def _now(console: Console, explanation: Explanation) -> None:
    name, target = plain(unwanted(explanation)), plain(explanation.target)
    if explanation.status == "already":
        console.print(f"Prediction now: {target}, as wanted. Nothing needs to change.", style="bold")
        console.print(f"Risk of “{name}”: {risk_text(explanation.p_target)}")
        return
    console.print(f"Prediction now: {name}, risk {risk_text(explanation.p_target)}", style="bold")
    console.print(f"Wanted: {target}, which the model predicts at a risk of {risk_text(explanation.threshold)} or less", style="dim")
    if len(explanation.found) > 1:
        console.print(f"Any one of these {len(explanation.found)} options is enough.")


def _answer(console: Console, explanation: Explanation, schema: Schema, answer: Counterfactual, title: str) -> None:
    before, after = risk_text(explanation.p_target), risk_text(answer.p_target)
    best = f" ({', '.join(answer.strengths)})" if answer.strengths else ""
    console.print(f"\n{title} this, and the risk goes {before} → {after}{best}", style="bold green")
    console.print(columns(HEADINGS, right=HEADINGS[1:], rows=[_row(schema, change) for change in answer.changes]))
    if any(c.follows for c in answer.changes):
        console.print("  * moves along with the others", style="dim")
    if answer.realism is not None:
        console.print(hanging("  ", realism_text(answer.realism, plain(explanation.target))))
    if answer.stability is not None:
        console.print(hanging("  ", stability_text(answer.stability)))
    if answer.agreement is not None:
        console.print(hanging("  ", agreement_text(answer.agreement)))
    lost = [GIVEN_UP[name] for name in answer.given_up if name in GIVEN_UP]
    if lost:
        console.print(hanging("  ", f"It {_listed(lost)} than the answer it was made from.", "dim"))


def _row(schema: Schema, change: Change) -> tuple[str, str, str, str]:
    title = _title(schema, change.feature) + (" *" if change.follows else "")
    if change.follows and isinstance(change.before, int | float) and isinstance(change.after, int | float):
        change = replace(change, before=round(change.before, 2), after=round(change.after, 2))  # computed: off the lattice
    return title, _value(change.before), _value(change.after), by_text(change)


def _title(schema: Schema, name: str) -> str:
    """The label, or the name itself where the schema has no such feature."""
    return plain(schema[name].title if name in schema.index else name)


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _none(console: Console, explanation: Explanation) -> None:
    rounds = explanation.rounds_used
    tried = explanation.provenance.proposals * rounds
    console.print(f"\nNo answer found: none of {tried} proposals in {rounds} round{'s'[: rounds != 1]} held.", style="bold yellow")
    console.print("Why, equal proposals counted once:" if explanation.refusals else "No proposal could be read.")
    for reason, count in sorted(explanation.refusals.items(), key=lambda item: (-item[1], item[0])):
        console.print(f"  {count:>4} x  {plain(reason)}")
    if explanation.proof:
        console.print(proven_text(explanation))
    console.print("Allow more changes, free a frozen feature or widen a bound, and ask again.")


def _notes(console: Console, explanation: Explanation, schema: Schema) -> None:
    """What the answer does not claim, what weakens it, and where it comes from."""
    unknown = [_title(schema, name) for name, value in explanation.factual.items() if value is None]
    weak = weak_text(explanation)
    notes = [plain(w) for w in explanation.warnings]
    if weak and not any("AUC" in w for w in notes):
        notes.insert(0, weak)
    if schema.horizon and explanation.found:
        notes.append(f"How far each feature may change is meant for {plain(schema.horizon)}.")
    if unknown:
        notes.append(f"Not in the record and left unknown: {', '.join(unknown)}.")
    console.print()
    for note in notes:
        console.print(hanging("! ", note, "yellow"))
    if notes:
        console.print()
    console.print(DISCLAIMER)
    made = explanation.provenance
    console.print(f"Model {plain(made.model)} · bundle {made.bundle[:12]} · seed {made.seed} · {explanation.seconds:.2f} s", style="dim")


def _value(value: Value) -> str:
    if value is None:
        return "unknown"
    return plain(value) if isinstance(value, str) else number_text(value)


def _console(width: int, color: bool) -> Console:
    """A console that writes to memory."""
    from rich.console import Console

    return Console(
        file=StringIO(), width=width, force_terminal=color, color_system="standard" if color else None, no_color=not color,
        markup=False, emoji=False, highlight=False, legacy_windows=False,
    )  # fmt: skip


def _text(console: Console, unicode: bool) -> str:
    assert isinstance(console.file, StringIO)
    text = "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()).rstrip() + "\n"
    return text if unicode else text.translate(ASCII).encode("ascii", "replace").decode("ascii")
