"""What an answer rests on, as sentences: why the prediction, whether anybody is like the record, whom the model was measured on. Pure."""

from __future__ import annotations

from collections.abc import Callable

from ..answer.basis import Attribution, Group, Measure, Why
from ..settings import WHY
from .phrases import auc_text, percent
from .wording import Wording, listed, of_hundred, plain

CAUTION = "This is what the model goes by; it does not show what causes the outcome."
SHOWN = 3


def why(say: Wording) -> list[str]:
    """What the prediction goes by, in plain words; empty where that was not asked."""
    reason = say.explanation.why
    if reason is None:
        return []
    up, down = ([part for part in beyond_error(reason) if (part.adds > 0) == raises][: WHY.listed] for raises in (True, False))
    said = [start(say, reason)]
    for word, parts in (("Raises", up), ("Lowers", down)):
        said += [f"{word} the risk most: {'; '.join(_part(say, part) for part in parts)}."] if parts else []
    return [*said, error(reason)]


def beyond_error(reason: Why) -> list[Attribution]:
    """The parts that are not lost in their own error, largest first."""
    return [part for part in reason.parts if abs(part.adds) > part.error]


def start(say: Wording, reason: Why) -> str:
    """What the parts lead from and to. Where values are unknown the risk is told once, elsewhere: a mean of risks is not the risk of a
    mean score, and is over other cases."""
    among = f"Why this prediction: the average risk of people as the model knows them is {percent(reason.start)}"
    return f"{among}, {'with what is unknown here as it may be' if say.open else f'here {say.risk(say.explanation.risk.now)}'}."


def error(reason: Why) -> str:
    """How sure the parts are, and what they do not say."""
    off = max((part.error for part in reason.parts), default=0.0)
    how = "all sets of values tried" if reason.exact else "values taken in random order"
    return f"Each give or take {points(off, off)} at most ({how} beside {reason.people} made-up people). {CAUTION}"


def _part(say: Wording, part: Attribution) -> str:
    return f"{values(say, part)} ({signed(part)})"


def signed(part: Attribution) -> str:
    """What a part adds, in points of risk."""
    return f"{'+' if part.adds > 0 else '−'}{points(abs(part.adds), part.error)}"


def values(say: Wording, part: Attribution) -> str:
    """The features of a part with what the record has; those that follow from each other count as one."""
    named = [f"{say.title(name)} {say.value(name)}" for name in part.features]
    return listed(named) + (" together" if len(named) > 1 else "")


def points(share: float, error: float) -> str:
    """A difference of risks, with the digits that its error leaves it."""
    digits = 0 if error >= 0.01 else 1 if error >= 0.001 else 2
    text = f"{100 * share:.{digits}f}"
    return "under 0.01 points" if float(text) == 0 and digits == 2 else f"{text} point{'s'[: text != '1']}"


def likeness(say: Wording) -> str:
    """How ordinary the record as a whole is among all training people."""
    share = say.explanation.likeness
    if share is None:
        return "Whether anybody in training was like this record is not known for this model."
    if share < 1:
        return "This record is unlike anything the model has learnt from: fewer than 1 of 100 training people were as unusual."
    word = "Unusual: more" if share < 10 else "More"
    return f"{word} ordinary than {of_hundred(share)} of all training people, by all that is known of the record."


def groups(say: Wording) -> list[str]:
    """How well the model did on unseen people like this person; empty where it was not measured by group."""
    return [_group(say, group) for group in say.explanation.measured]


def _group(say: Wording, group: Group) -> str:
    unit = say.schema[group.feature].unit if group.feature in say.schema.index and group.label[-1:].isdigit() else ""
    whom = plain(f"{say.title(group.feature)} {group.label} {unit}".rstrip())
    many = f"{group.rows:,} rows" + ("" if group.people is None else f" of {group.people:,} people")
    auc = "no AUC, all are of one class"
    if group.auc is not None:
        auc = f"AUC {auc_text(group.auc)}{_ends(group.auc_low, group.auc_high, auc_text)}"
    seen = f"risk told {percent(group.told)} on average, seen {percent(group.seen)}{_ends(group.seen_low, group.seen_high, percent)}"
    few = "; too few people for an interval" if group.people is not None and group.seen_low is None else ""
    return f"Measured on unseen people with {whom} ({many}): {auc}; {seen}{few}."


def _ends(low: float | None, high: float | None, text: Callable[[float], str]) -> str:
    if low is None or high is None:
        return ""
    return f" (95 % interval {text(low)} to {text(high)})"


def measure_next(say: Wording) -> list[str]:
    """Which unknown values alone might make another verdict of it once they are measured, the most telling first; that none would; empty
    where nothing is unknown."""
    unknown = [measure for measure in say.explanation.next if measure.feature not in say.computed]
    telling = [measure for measure in unknown if measure.turns]
    if unknown and not telling:
        return [f"No unknown value alone would {'settle the prediction' if _depends(say) else 'change what is said'}."]
    return [_measure(say, measure) for measure in telling[:SHOWN]]


def _measure(say: Wording, measure: Measure) -> str:
    settled = "would settle the prediction" if _depends(say) else "would make the prediction another, or open"
    span = f"risk {percent(measure.low)} to {percent(measure.high)} by what it shows"
    return f"{say.title(measure.feature)}: it alone {settled} in {percent(measure.turns)} of what it may be; {span}."


def _depends(say: Wording) -> bool:
    return say.explanation.status == "depends"


def block(say: Wording) -> list[str]:
    """All of it, for a text."""
    measured = [f"What to measure next: {text}" for text in measure_next(say)[:1]]
    return [*why(say), likeness(say), *groups(say), *measured]

