"""What was understood of a wish, as rules: told back in words, and made constraints of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from shlex import quote

from ..report.wording import plain
from ..schema.feature import number_text
from ..schema.record import Value
from ..schema.schema import Schema
from ..space.constraints import Constraints
from . import units

FREEZE, BOUND, HARD, EASY = "freeze", "bound", "hard", "easy"
WEIGHTS = {HARD: 3.0, EASY: 0.5}
VERY_HARD = 10.0


@dataclass(frozen=True)
class Rule:
    """One feature that is kept (`freeze`), lies in a range (`bound`), or is `hard` or `easy` to change for this person.

    `low` and `high` are in the feature's unit, None where open; `now`: "low" or "high" where that end is what the record has. `weight`
    multiplies the schema's own cost. `said` is the part of the wish that it was read from.
    """

    kind: str
    feature: str
    said: str
    low: float | None = None
    high: float | None = None
    now: str = ""
    weight: float = 1.0


@dataclass(frozen=True)
class Understood:
    """`rules`, and the parts of the wish that were `left`, each with why it was not taken (empty where nothing can be said)."""

    rules: tuple[Rule, ...] = ()
    left: tuple[tuple[str, str], ...] = ()

    def sentences(self, schema: Schema) -> list[str]:
        """The rules back in words, and what was not understood, one sentence each."""
        out = [f"{_sentence(schema, rule)} (“{plain(rule.said)}”)." for rule in self.rules]
        for said, why in self.left:
            out.append(f"Not understood and not used: “{plain(said)}”{f': {plain(why)}' if why else ''}.")
        return out or ["Nothing was said."]

    def options(self, schema: Schema, values: Mapping[str, Value]) -> list[str]:
        """The rules as options of the command line, for this record."""
        made, text = self.constraints(schema, values), number_text
        bounds = (f"--bound {quote(f'{name}={text(low)}:{text(high)}')}" for name, (low, high) in made.bounds.items())
        costs = (f"--cost {quote(f'{name}={text(weight)}')}" for name, weight in made.costs.items())
        return [*(f"--freeze {quote(name)}" for name in sorted(made.freeze)), *bounds, *costs]

    def constraints(self, schema: Schema, values: Mapping[str, Value], more: Constraints | None = None) -> Constraints:
        """`more` with these rules; `values` is the record. A bound that `more` has as well becomes the range in both.

        Raises ConstraintError where the two contradict each other.
        """
        more = more or Constraints()
        bounds, costs, freeze = dict(more.bounds), dict(more.costs), set(more.freeze)
        for rule in self.rules:
            if rule.kind == FREEZE or (rule.now and values.get(rule.feature) is None):
                freeze.add(rule.feature)
            elif rule.kind == BOUND:
                low, high = _ends(schema, rule, values)
                before = bounds.get(rule.feature, (low, high))
                bounds[rule.feature] = max(low, before[0]), min(high, before[1])
            else:
                costs.setdefault(rule.feature, schema[rule.feature].cost * rule.weight)
        return replace(more, freeze=frozenset(freeze), bounds=bounds, costs=costs)


def _ends(schema: Schema, rule: Rule, values: Mapping[str, Value]) -> tuple[float, float]:
    feature, value = schema[rule.feature], values.get(rule.feature)
    now = float(value) if isinstance(value, int | float) else None
    low, high = (now if rule.now == end and now is not None else getattr(rule, end) for end in ("low", "high"))
    return (feature.low or 0.0) if low is None else low, (feature.high or 0.0) if high is None else high


def _sentence(schema: Schema, rule: Rule) -> str:
    feature = schema[rule.feature]
    title, low, high = plain(feature.title), rule.low, rule.high
    if rule.kind == FREEZE:
        return f"{title}: kept as it is"
    if rule.kind == HARD:
        return f"{title}: harder than usual to change, counts {number_text(rule.weight)} times"
    if rule.kind == EASY:
        return f"{title}: easier than usual to change, counts half"
    if rule.now:
        return f"{title}: does not go {'up' if rule.now == 'high' else 'down'}"
    least, most = ("" if value is None else plain(units.told(feature, value)) for value in (low, high))
    return f"{title}: between {least} and {most}" if least and most else f"{title}: at {f'least {least}' if least else f'most {most}'}"


def settled(rules: tuple[Rule, ...]) -> Understood:
    """Rules that do not contradict each other: two ranges of a feature become one; where they are at odds neither is taken."""
    kept: list[Rule] = []
    left: list[tuple[str, str]] = []
    for name in dict.fromkeys(rule.feature for rule in rules):
        mine = [rule for rule in rules if rule.feature == name]
        merged = _merged(mine)
        if merged is None:
            left += [(said, "this contradicts something else that was said") for said in dict.fromkeys(rule.said for rule in mine)]
        else:
            kept += merged
    return Understood(tuple(kept), tuple(left))


def _merged(mine: list[Rule]) -> list[Rule] | None:
    """The rules of one feature as few as they can be; None where they contradict each other."""
    bounds = [rule for rule in mine if rule.kind == BOUND]
    others = list({rule.kind: rule for rule in mine if rule.kind != BOUND}.values())
    if len(others) > 1 or (others and bounds and others[0].kind == FREEZE):
        return None
    plain_ones = [rule for rule in bounds if not rule.now]
    if len(plain_ones) > 1:
        lows, highs = ([getattr(r, end) for r in plain_ones if getattr(r, end) is not None] for end in ("low", "high"))
        low, high = max(lows, default=None), min(highs, default=None)
        if low is not None and high is not None and low > high:
            return None
        said = " … ".join(dict.fromkeys(rule.said for rule in plain_ones))
        plain_ones = [replace(plain_ones[0], low=low, high=high, said=said)]
    return [*others, *plain_ones, *(rule for rule in bounds if rule.now)][: len(mine)]
