"""Numbers and names as people are told them, wherever they are told: rounding never contradicts a threshold. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from decimal import Decimal

from ..answer.risk import BALANCED, REQUEST, SCHEMA, TRAINING
from ..settings import WEAK_AUC

BASES = {
    TRAINING: "average in the training data: {}", REQUEST: "average, as the request states it: {}",
    SCHEMA: "average, as the schema states it: {}", BALANCED: "reckoned as if {} had it; how many do is not known",
}  # fmt: skip
FINEST = 3
"""Most digits behind the point of a percentage, unless it is a rare one; two that are nearer than that are told apart in words."""
MOST = 9
ROUNDED = Decimal("0.05")
"""Share of a number that its rounding may swallow or add."""
SHORT = 5
"""A record's number of so many digits was written by somebody; a longer one was computed."""
YES, NO = {"yes", "true", "1", "y", "positive", "present"}, {"no", "false", "0", "n", "negative", "absent"}


def percent(share: float, digits: int = 0) -> str:
    """A share of 0..1 in per cent; never rounded to certainty, so near 0 and 100 with a digit more."""
    value = 100 * share
    digits = max(digits, 1) if min(value, 100 - value) < 1 else digits
    text, least = f"{value:.{digits}f}", Decimal(1).scaleb(-digits)
    if float(text) in (0.0, 100.0):
        return f"under {least:f} %" if value < 50 else f"over {100 - least:f} %"
    return f"{text} %"


def rate_text(share: float) -> str:
    """A share that people are told as such, however rare: with the digits that keep it within a twentieth of what it is."""
    digits = _telling(share)
    return f"{100 * share:.{digits}f} %" if digits < MOST else percent(share, MOST)


def _telling(share: float) -> int:
    """How many digits keep a share in per cent within a twentieth of what it is; MOST where that many do not."""
    near = float(ROUNDED) * min(share, 1 - share)
    return next((digits for digits in range(MOST) if abs(float(f"{100 * share:.{digits}f}") / 100 - share) <= near), MOST)


def percents(edge: float, shares: Iterable[float]) -> Callable[[float], str]:
    """How to write shares that are told beside an edge: with as many digits as it takes that none reads like the edge unless it is it,
    and that the edge is told to a twentieth of what it is: a line of 9.5 % is nowhere one of 10 %."""
    others = [share for share in shares if share != edge]
    rare = 100 * max(min(edge, 1 - edge), 1e-12)
    finest = max(FINEST, 2 - math.floor(math.log10(rare)))
    least = min(_telling(edge), finest)
    digits = next((d for d in range(least, finest) if percent(edge, d) not in {percent(s, d) for s in others}), finest)

    def text(share: float) -> str:
        said = percent(share, digits)
        if share == edge or said != percent(edge, digits):
            return said
        return f"just {'over' if share > edge else 'under'} {said}"

    return text


def class_text(name: str, outcome: str) -> str:
    """A class that says by itself what it is: its own name, or that of the column it answers yes or no to."""
    if not outcome:
        return name
    if name.startswith("not ") and name != outcome:
        return f"not {class_text(name.removeprefix('not '), outcome)}"
    if name.casefold() in YES:
        return outcome
    if name.casefold() in NO:
        return f"no {outcome}"
    return f"{outcome} {name}" if _is_number(name) else name


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def auc_text(auc: float, digits: int = 2) -> str:
    """With so many digits, and with more where those would put it on the other side of what counts as weak."""
    texts = (f"{auc:.{count}f}" for count in range(digits, 17))
    return next((text for text in texts if (float(text) < WEAK_AUC) == (auc < WEAK_AUC)), repr(auc))


def weak_text(auc: float | None) -> str | None:
    """The sentence that every answer of a weak or unmeasured classifier carries; None for one that is good enough."""
    if auc is None:
        return "Nobody has measured how well this model tells people apart whom it has not seen (no AUC)."
    if auc >= WEAK_AUC:
        return None
    return f"This model tells people apart poorly (AUC {auc_text(auc)} on unseen people; 0.50 is chance)."


def change_texts(before: float, after: float, digits: int = 0) -> tuple[str, str, str]:
    """Before, after and the signed difference as a person writes them: with the `digits` of the feature's step, or with the
    record's own where it is a short number.

    With more where that many would hide the change, or move any of the three by more than a twentieth; they always agree.
    """
    digits = max(digits, digits_of(before) if len(Decimal(repr(float(before))).normalize().as_tuple().digits) <= SHORT else 0)
    exact = [Decimal(repr(float(value))) for value in (before, after)]
    first, second = exact
    for count in range(digits, 18):
        first, second = (round(value, count) for value in exact)
        if all(map(_near, (first, second, second - first), (*exact, exact[1] - exact[0]))):
            break
    step = second - first
    return decimal_text(first), decimal_text(second), f"{'+' if step > 0 else '−'}{decimal_text(abs(step))}"


def _near(said: Decimal, exact: Decimal) -> bool:
    return abs(said - exact) <= ROUNDED * abs(exact)


def digits_of(*values: float | None) -> int:
    """How many digits behind the point it takes to write all of these exactly."""
    exponents = [Decimal(repr(float(v))).normalize().as_tuple().exponent for v in values if v is not None]
    return max([0, *(-e for e in exponents if isinstance(e, int))])


def decimal_text(value: Decimal) -> str:
    """The shortest plain decimal: 8, 7.25, -0.5."""
    text = format(value.normalize(), "f")
    return "0" if text == "-0" else text


def base_text(base_rate: float, source: str) -> str:
    """A base rate and where it is from."""
    return BASES.get(source, "average: {}").format(rate_text(base_rate))


def stability_text(share: float, draws: int) -> str:
    """How often the answer holds when readings are as far off as their sensors are stated to be, in words."""
    word = "Steady" if share >= 0.9 else "Fairly steady" if share >= 0.7 else "Shaky"
    return f"{word}: it held in {round(share * draws)} of {draws} draws with the sensors' stated errors."


def agreement_text(share: float) -> str:
    """What other classifiers, as good as the one that judged, say of an answer, in words."""
    if share == 1:
        return "Other models, as good as this one, predict the same for it."
    if share == 0:
        return "No other model, of those as good as this one, predicts the same for it."
    return f"Of other models, as good as this one, {percent(share)} predict the same for it."
