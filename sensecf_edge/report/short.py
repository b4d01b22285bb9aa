"""Explanation -> one short line, for places that hold no more: a display, a state of a home automation. Pure."""

from __future__ import annotations

from ..answer.result import Counterfactual, Explanation
from ..schema.schema import Schema
from .changes import by_text
from .wording import Wording, plain


def line(explanation: Explanation, schema: Schema, longest: int = 255) -> str:
    """What is predicted, or the first answer, in at most so many characters; cut only between words, and then with '…'."""
    say = Wording(explanation, schema)
    if explanation.found:
        text = option(explanation, schema, explanation.found[0])
    elif explanation.status == "none":
        text = f"{say.prediction()[0]}. {say.none()}"
    else:
        text = " ".join(filter(None, [say.prediction()[0], say.deciding()]))
    return cut(text, longest)


def option(explanation: Explanation, schema: Schema, answer: Counterfactual) -> str:
    """One answer as a sentence: what would be otherwise, and what the model would then say."""
    say, parts = Wording(explanation, schema), []
    for change in answer.changes:
        before, after, _ = by_text(change, schema[change.feature] if change.feature in schema.index else None)
        unit = f" {plain(change.unit)}" if change.unit and isinstance(change.after, int | float) else ""
        parts.append(f"{say.title(change.feature)} {after}{unit} rather than {before}")
    return f"The model would put the risk at {say.after(answer)} rather than {say.risk(explanation.risk.now)} with {', '.join(parts)}"


def cut(text: str, longest: int) -> str:
    """At most so many characters."""
    if len(text) <= longest:
        return text
    return text[: longest - 1].rpartition(" ")[0] + "…"
