"""Explanation -> text and tables for people. Pure: it computes no answer, opens nothing and prints nothing itself.

What is said is `wording`'s, how it looks is here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from typing import TYPE_CHECKING

from ..answer.result import Change, Counterfactual, Explanation
from ..schema.schema import Schema
from . import basis, easing
from .changes import by_text
from .wording import Wording, plain

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

WIDTH, HARD_SPACE = 80, "\ue000"
DISCLAIMER = "This is what the model would predict. It does not show that a change causes it, and it is not medical advice."
HEADINGS = {"lever": "Would have to be", "marker": "Would have to read"}
"""What stands over changes of each role; nobody can simply change what a marker reads."""
ASCII = str.maketrans({"→": "->", "−": "-", "─": "-", "·": "-", "…": "...", "—": "-", "“": '"', "”": '"'})


def render(explanation: Explanation, schema: Schema, *, width: int = WIDTH, color: bool = False, unicode: bool = True) -> str:
    """The whole answer as text of at most `width` columns, ending in a newline.

    `color` puts ANSI styles in; without `unicode` the text is plain ASCII. `schema` gives labels; values and units come
    from the explanation.
    """
    console, say = _console(width, color), Wording(explanation, schema)
    first, *others = say.prediction()
    _say(console, first, "bold")
    for text in others:
        _say(console, text, "dim")
    _say(console, say.deciding())
    if explanation.status == "none":
        _none(console, say)
    elif explanation.status == "depends" and explanation.rounds_used and not explanation.found:
        console.print()
        _say(console, say.none())
    if explanation.found:
        _found(console, say)
    if explanation.why is not None:
        console.print()
        for text in basis.block(say):
            _say(console, text)
    _notes(console, say)
    return _text(console, unicode)


def _found(console: Console, say: Wording) -> None:
    found = say.explanation.found
    _say(console, say.options())
    for k, answer in enumerate(found, 1):
        _answer(console, say, answer, f"Option {k}" if len(found) > 1 else "")
    _say(console, say.proof(), "dim")
    _easing(console, say)


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
    grid.add_row(mark, _unbroken(text), style=style)
    return grid


def _answer(console: Console, say: Wording, answer: Counterfactual, title: str) -> None:
    """One answer: what the model would say of it, levers apart from markers, and what else is known of it."""
    parts = {role: [c for c in answer.changes if _role(say.schema, c) == role] for role in HEADINGS}
    kinds = [role for role, changes in parts.items() if changes]
    console.print()
    _say(console, say.headline(answer, title, kinds), "bold green")
    console.print(_changes(say, {role: parts[role] for role in kinds}))
    if any(c.follows for c in answer.changes):
        console.print("  * moves along with the others", style="dim")
    for sentence in say.figures(answer):
        console.print(hanging("  ", sentence))


def _changes(say: Wording, parts: Mapping[str, Sequence[Change]]) -> Table:
    """Changes in one table, each kind of them under a heading of its own."""
    first, *others = parts
    table = columns((HEADINGS[first], "Now", "Instead", "By"), right=("Now", "Instead", "By"), rows=[])
    for role in (first, *others):
        if role != first:
            table.add_row()
            table.add_row(HEADINGS[role], style="dim")
        for change in parts[role]:
            feature = say.schema[change.feature] if change.feature in say.schema.index else None
            table.add_row(say.title(change.feature) + (" *" if change.follows else ""), *by_text(change, feature))
    return table


def _role(schema: Schema, change: Change) -> str:
    return schema[change.feature].role if change.feature in schema.index else "lever"


def _none(console: Console, say: Wording) -> None:
    console.print()
    _say(console, say.none(), "bold yellow")
    if not say.explanation.reason:
        refusals = say.refusals()
        console.print("Why, equal proposals counted once:" if refusals else "No proposal could be read.")
        for count, reason in refusals:
            console.print(hanging(f"  {count:>4} x  ", reason))
    _say(console, say.proof())
    _easing(console, say)
    _say(console, say.advice())


def _easing(console: Console, say: Wording) -> None:
    """What would have to give, apart from every answer."""
    lines = easing.openings(say)
    if lines:
        console.print()
        _say(console, easing.head(say), "bold yellow")
        for line in lines:
            console.print(hanging("  · ", line))
    _say(console, easing.nothing(say))


def _notes(console: Console, say: Wording) -> None:
    """What the answer does not claim, what weakens it, and where it comes from."""
    explanation, notes = say.explanation, say.notes()
    console.print()
    for note in notes:
        console.print(hanging("! ", note, "yellow"))
    if notes:
        console.print()
    console.print(DISCLAIMER)
    made = explanation.provenance
    who = "" if made.generator == "bundle" else f" · generator {plain(made.generator)}"
    line = f"Model {plain(made.model)} · bundle {made.bundle[:12]}{who} · seed {made.seed} · {explanation.seconds:.2f} s"
    console.print(line, style="dim")


def _say(console: Console, text: str, style: str = "") -> None:
    """A paragraph; nothing where there is no text."""
    if text:
        console.print(_unbroken(text), style=style)


def _unbroken(text: str) -> str:
    """No line ends between a number and its sign for per cent; see `_text`."""
    return text.replace(" %", f"{HARD_SPACE}%")


def _console(width: int, color: bool) -> Console:
    """A console that writes to memory."""
    from rich.console import Console

    return Console(
        file=StringIO(), width=width, force_terminal=color, color_system="standard" if color else None, no_color=not color,
        markup=False, emoji=False, highlight=False, legacy_windows=False,
    )  # fmt: skip


def _text(console: Console, unicode: bool) -> str:
    assert isinstance(console.file, StringIO)
    lines = console.file.getvalue().replace(HARD_SPACE, " ").splitlines()
    text = "\n".join(line.rstrip() for line in lines).rstrip() + "\n"
    return text if unicode else text.translate(ASCII).encode("ascii", "replace").decode("ascii")
