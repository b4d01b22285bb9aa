"""What would have to give, as sentences: which limit, by how much, and what that would open; or that nothing helps. Pure.

Nothing of it is an answer within the limits, and every text says so.
"""

from __future__ import annotations

from ..answer.easing import Eased, Easing, Opening
from ..answer.result import Change, Counterfactual
from ..schema.feature import number_text
from .changes import by_text
from .phrases import digits_of
from .wording import Wording, listed, plain

OUTSIDE = "Outside the limits that were set, and so no answer to the question that was asked:"
CAUTION = "This says what the model goes by, not that nothing can be done for this person."
SHOWN = 6


def head(say: Wording) -> str:
    """What stands above the openings; empty where there are none."""
    easing = say.explanation.easing
    if easing is None or not easing.openings:
        return ""
    one = "another answer" if say.explanation.found else "an answer"
    each = ", each by itself" if len(easing.openings) > 1 else ""
    return f"What would have to give for {one}{each}. {OUTSIDE}"


def openings(say: Wording) -> list[str]:
    """A sentence for each opening, the least first."""
    easing = say.explanation.easing
    return [] if easing is None else [opening(say, one) for one in easing.openings[:SHOWN]]


def opening(say: Wording, one: Opening) -> str:
    """What would have to give, and the answer that this would open."""
    given = listed([_limit(say, part, one.answer) for part in one.limits])
    sure = " Proven: no less of it does." if one.least and any(part.eased is not None for part in one.limits) else ""
    return f"If {given}: {changed(say, one.answer)}; the model would then put the risk at {say.after(one.answer)}.{sure}"


def changed(say: Wording, answer: Counterfactual) -> str:
    """The changes of an answer in one line."""
    return listed([_change(say, c.feature, c.before, c.after, c.unit) for c in answer.changes])


def _change(say: Wording, name: str, before: object, after: object, unit: str) -> str:
    if isinstance(before, int | float) and isinstance(after, int | float):
        feature = say.schema[name] if name in say.schema.index else None
        first, second, _ = by_text(Change(name, before, after, unit), feature)
        return f"{say.title(name)} {second} {plain(unit)}".rstrip() + f" rather than {first}"
    return f"{say.title(name)} {plain(str(after))} rather than {plain(str(before))}"


def _limit(say: Wording, part: Eased, answer: Counterfactual) -> str:
    """One limit that would have to give, as what follows 'if'."""
    title, source = say.title(part.feature) if part.feature else "", _source(say, part)
    stood, eased = (_amount(say, part, value) for value in (part.stood, part.eased))
    end = "down to" if part.side == "low" else "up to"
    if part.kind == "freeze":
        return f"{title} were not kept as it is, as was asked"
    if part.kind == "bound":
        return f"{title} might go {end} {eased}, and not only {end} {stood}, as was asked"
    if part.kind == "max_changes":
        return f"{eased} features might change, and not only {stood}"
    if part.kind == "margin":
        line = say.risk(say.explanation.risk.threshold)
        return f"a risk of {_enough(say, part, answer)} were enough, nearer to the model’s line of {line}"
    if part.kind == "reach":
        return f"{title} might change by {eased}, and not only by {stood}{_horizon(say)}"
    if part.kind == "advise":
        return f"{title} {end} {eased} were advised, and not only {end} {stood}{source}"
    return f"a change of {title} were advised to this person{source}"


def _enough(say: Wording, part: Eased, answer: Counterfactual) -> str:
    """The risk at the margin that is left. Of what is unknown a share has to reach it, so there it is not the answer's own risk."""
    e = say.explanation
    if part.eased is None or not say.cases:
        return say.after(answer)
    return say.reach(e.risk.between(part.eased / e.margin, e.threshold, e.margin))


def _amount(say: Wording, part: Eased, value: float | None) -> str:
    """A number of a limit, with its unit; a choice's end by its name, its reach in places."""
    if value is None:
        return ""
    feature = say.schema[part.feature] if part.feature in say.schema.index else None
    if feature is not None and feature.kind == "choice":
        return f"{number_text(value)} place{'s'[: value != 1]} of its list"
    digits = digits_of(feature.low, feature.step) if feature else 0
    unit = plain(feature.unit) if feature else ""
    return f"{number_text(round(value, max(digits, 2) if part.kind == 'reach' else 6))} {unit}".rstrip()


def _source(say: Wording, part: Eased) -> str:
    """Why the schema limits it, in its own words."""
    feature = say.schema[part.feature] if part.feature in say.schema.index else None
    said = plain(feature.advise_source).rstrip(".") if feature else ""
    return f" (the limit has a reason: {said})" if said else ""


def _horizon(say: Wording) -> str:
    return f" (meant for {plain(say.schema.horizon)})" if say.schema.horizon else ""


def nothing(say: Wording) -> str:
    """That nothing helps, with its proof; or that nothing was found, which proves nothing. Empty where something would open an answer."""
    e, easing = say.explanation, say.explanation.easing
    if easing is None or easing.openings or e.found:
        return ""
    if easing.proof is None:
        more = "" if easing.whole else "; the work that may be spent on it ended first"
        among = f"among {easing.tried:,} changed records that were tried{more}"
        return f"Nothing was found either with any of the limits eased, {among}. That is no proof."
    reach = say.risk(e.risk.threshold if easing.proof.goal < e.threshold + e.margin - 1e-9 else e.risk.goal)
    if easing.proof.scope == "all":
        held = [f"{say.title(name)} {say.value(name)}" for name in easing.fixed if e.factual.get(name) is not None]
        who = f"What cannot change decides: {listed(held)}." if held else "No value of anything decides."
        return (
            f"{who} Proven over every value of all that may change at all, whatever way and however far: "
            f"the model never puts the risk at {reach} or less. {CAUTION}"
        )
    return (
        f"No limit that could give helps, nor all of them at once: proven. What is left are changes in ways that are advised to nobody, "
        f"or to values that the training people did not have. {CAUTION}"
    )


def easing_text(say: Wording) -> str:
    """All of it in one line, for a column of a table; empty where nothing was looked at."""
    easing: Easing | None = say.explanation.easing
    if easing is None:
        return ""
    return " | ".join(openings(say)) or nothing(say)
