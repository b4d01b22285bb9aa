"""A wish -> rules: part by part, and only where what is said can mean one thing.

Whatever word is not known, whatever could be meant in two ways, is left and said to be left: a rule that was not meant changes advice.
"""

from __future__ import annotations

from ..errors import ConstraintError
from ..schema.feature import Feature
from ..schema.schema import Schema
from . import cues
from .parts import UNKNOWN, Clause, Item, parts
from .rules import BOUND, EASY, FREEZE, HARD, VERY_HARD, WEIGHTS, Rule, Understood, settled
from .text import split
from .units import in_unit

LONGEST = 2_000
TWO_WAYS = "this may mean two things"


def understand(schema: Schema, wish: str) -> Understood:
    """The rules that a wish means for this schema, and what was left of it. Raises ConstraintError for a text over 2,000 characters."""
    if len(wish) > LONGEST:
        raise ConstraintError(f"a wish holds {len(wish):,} characters; say it in {LONGEST:,}")
    rules: list[Rule] = []
    left: list[tuple[str, str]] = []
    for sentence in split(wish):
        before: tuple[Clause, ...] = ()
        found = parts(sentence, schema)
        for part, behind in zip(found, [*found[1:], None], strict=False):
            said = wish[part.items[0].start : max(item.end for item in part.items)]
            made = part.why or _Reading(schema, part, said, before, behind).rules()
            if isinstance(made, str):
                left += [(said, made)] if part.why or not part.idle else []
            else:
                rules += made
            before = (*before, part)
    kept = settled(tuple(rules))
    return Understood(kept.rules, (*left, *kept.left))


class _Reading:
    """One part; `before` are those in front of it in its sentence, `behind` is the next one."""

    def __init__(self, schema: Schema, part: Clause, said: str, before: tuple[Clause, ...], behind: Clause | None) -> None:
        self.schema, self.part, self.said, self.before, self.behind = schema, part, said, before, behind
        self.has, self.nots = part.has, len(part.of(cues.NOT))

    def rules(self) -> list[Rule] | str:
        """The rules, or why there are none."""
        part = self.part
        if self.has(UNKNOWN):
            return ""
        if self.nots > 1 and not all(item.words == ("no",) or "neither" in item.words for item in part.of(cues.NOT)[1:]):
            return TWO_WAYS
        if self.has(cues.MOOT):
            return TWO_WAYS
        if numbers := part.of(cues.NUMBER):
            return self._bounds(numbers)
        mentioned = part.of(cues.FEATURE)
        if not mentioned:
            return ""
        features = [self.schema[name] for name in dict.fromkeys(name for item in mentioned for name in item.features)]
        kind = self._kind(features, mentioned)
        if isinstance(kind, str) and kind not in (FREEZE, HARD, EASY):
            return kind
        if not isinstance(kind, str):
            return kind
        weight = VERY_HARD if kind == HARD and self.has(cues.VERY) else WEIGHTS.get(kind, 1.0)
        return [Rule(kind, feature.name, self.said, weight=weight) for feature in features]

    def _kind(self, features: list[Feature], mentioned: list[Item]) -> str | list[Rule]:
        """What is said of features without a number: a kind of rule, rules, or why there is none."""
        has, no = self.has, self.nots > 0
        if has(cues.OUT):
            only_up = all(f.direction == "increase" for f in features) and not has(cues.LESS, cues.LOWER)
            return FREEZE if only_up and not no and not has(cues.HARD, cues.EASY, cues.KEEP, cues.CHANGE) else TWO_WAYS
        if has(cues.HARD):
            return TWO_WAYS if no or has(cues.EASY, cues.KEEP) else HARD
        if has(cues.KEEP):
            fact = has(cues.FACT) and not has(cues.MUST, cues.WANT, cues.EASY)
            goes_on = any(f.direction == "increase" for f in features) and any(item.words[0].endswith("ing") for item in mentioned)
            return TWO_WAYS if no or fact or goes_on or has(cues.CHANGE, cues.STOP, *cues.MOVING) else FREEZE
        if has(cues.EASY):
            compared = len(mentioned) > 1 and any({"prefer", "rather"}.intersection(item.words) for item in self.part.of(cues.EASY))
            return TWO_WAYS if no or compared or self._content(mentioned) else EASY
        if has(cues.CHANGE):
            tells = any(item.words[0] == "i" for item in self.part.of(cues.FACT)) and not has(cues.CAN, cues.MUST, cues.WANT)
            if tells and no:
                return TWO_WAYS  # "I don't touch alcohol"
            return FREEZE if no and not has(*cues.MOVING, cues.ONLY) else "" if no or has(cues.ONLY) else "that it may change needs no rule"
        if has(cues.STOP):
            falls = all(feature.direction == "decrease" for feature in features)
            return (FREEZE if no else EASY if has(cues.WANT) else "") if falls and not has(*cues.MOVING) else TWO_WAYS
        if has(*cues.MOVING):
            return self._moving(features, no)
        if not no:
            return ""
        return self._forbidden(features, mentioned)

    def _moving(self, features: list[Feature], no: bool) -> str | list[Rule]:
        """More or less of something: wanted, or not."""
        verbs, words = self.part.of(cues.RAISE, cues.LOWER), self.part.of(cues.MORE, cues.LESS)
        ups = {item.kind in (cues.RAISE, cues.MORE) for item in verbs or words}
        if len(ups) != 1 or (verbs and any(item.kind == cues.LESS for item in words)):
            return TWO_WAYS
        up = ups.pop()
        if not no:
            return EASY if self.has(cues.WANT) and all(f.direction in ("either", _way(up)) for f in features) else ""
        return self._never(features, up)

    def _never(self, features: list[Feature], up: bool) -> str | list[Rule]:
        """No more of it, or no less: where it could only go there it stays as it is."""
        if any(f.direction != "either" and f.direction != _way(up) for f in features):
            return f"{'more' if up else 'less'} of it is never advised anyway"
        if any(f.kind == "choice" and f.direction == "either" for f in features):
            return TWO_WAYS
        return [
            Rule(FREEZE, f.name, self.said) if f.direction == _way(up) else Rule(BOUND, f.name, self.said, now="high" if up else "low")
            for f in features
        ]

    def _forbidden(self, features: list[Feature], mentioned: list[Item]) -> str | list[Rule]:
        """ "I cannot walk", "no sport": what is only advised to grow stays as it is."""
        grows = all(f.direction == "increase" for f in features)
        active = all(word in cues.single("active") for item in mentioned for word in item.words[:1])
        refused = any(item.words == ("no",) for item in self.part.of(cues.NOT))
        if grows and (refused or (self.has(cues.CAN, cues.MUST, cues.WANT) and (active or self._does()))):
            return FREEZE
        if self.has(cues.CAN) and self.part.items[-1].kind == cues.NOT and any(part.has(cues.CHANGE) for part in self.before[-1:]):
            return FREEZE
        return TWO_WAYS if refused else ""

    def _content(self, mentioned: list[Item]) -> bool:
        """ "My weight is fine" may say that it should stay; "walking is fine" does not."""
        content = any(cues.single("content").intersection(item.words) for item in self.part.of(cues.EASY))
        doing = any(word.endswith("ing") or word in cues.single("active") for item in mentioned for word in item.words)
        return content and self.has(cues.FACT) and not doing and not self.has(cues.CHANGE, *cues.MOVING)

    def _does(self) -> bool:
        return any(item.words == ("do",) for item in self.part.items)

    def _bounds(self, numbers: list[Item]) -> list[Rule] | str:
        """A range out of one number and how it is compared."""
        number = numbers[0]
        if len(numbers) > 1 or number.unsure or self.has(cues.RAISE, cues.LOWER, cues.CHANGE, cues.STOP, cues.HARD):
            return TWO_WAYS
        ends = self._ends(number)
        if isinstance(ends, str):
            return ends
        feature = self._feature(number)
        if isinstance(feature, str):
            return feature
        periods = {period for item in self.part.of(cues.PERIOD) if (period := cues.period(item.words))}
        if len(periods) > 1:
            return TWO_WAYS
        out = []
        for end in ends:
            value = None if end is None else in_unit(feature, end, number.unit, next(iter(periods), ""))
            if isinstance(value, str):
                return value
            out.append(value)
        assert feature.low is not None and feature.high is not None
        if any(value is not None and not feature.low <= value <= feature.high for value in out):
            return f"{feature.title} is {feature.allowed()}"
        return [Rule(BOUND, feature.name, self.said, out[0], out[1])]

    def _ends(self, number: Item) -> tuple[float | None, float | None] | str:
        """The lower and the upper end that are said, in the number's own unit."""
        kinds, no = [item.kind for item in self.part.of(*cues.COMPARING)], self.nots > 0
        if number.upper is not None:
            right = not no and set(kinds) <= {cues.BETWEEN} and not self.has(*cues.MOVING) and (number.value or 0) <= number.upper
            return (number.value, number.upper) if right else TWO_WAYS
        if len(kinds) != 1 or kinds == [cues.BETWEEN]:
            return TWO_WAYS
        kind, stated = kinds[0], self.has(cues.FACT) and not self.has(cues.MUST, cues.WANT, cues.KEEP, cues.CAN)
        if self.has(cues.MORE, cues.LESS):
            return TWO_WAYS  # "a minimum of 1500 fewer steps" is no range
        if kind in (cues.OVER, cues.UNDER):
            if (stated and not no) or (not no and self.has(cues.CAN, cues.EASY)):
                return TWO_WAYS
            upper = (kind == cues.UNDER) != no
        else:
            if no or (stated and any(item.words[0] == "i" and item.words[1] in cues.single("habits") for item in self.part.of(cues.FACT))):
                return TWO_WAYS  # "I sleep at most five hours" says how it is
            upper = kind in (cues.MOST, cues.ONLY)
        return (None, number.value) if upper else (number.value, None)

    def _feature(self, number: Item) -> Feature | str:
        """The one feature that the number can be about: of this part, else of the number before it in the sentence."""
        mentioned = self.part.of(cues.FEATURE)
        if not mentioned:
            others = [*reversed(self.before), *([self.behind] if self.behind is not None else [])]
            told = [
                p for p in others if p.has(cues.FEATURE) and not p.why and (p.has(cues.NUMBER) or (number.unit and p in self.before[-1:]))
            ]
            mentioned = told[0].of(cues.FEATURE) if told else []
        every = [item.features for item in mentioned]
        held = [name for name in dict.fromkeys(name for names in every for name in names) if all(name in names for names in every)]
        meant = [f for f in (self.schema[name] for name in held) if f.kind == "number"]
        if len(meant) > 1:
            meant = [f for f in meant if number.unit is None or not isinstance(in_unit(f, number.value or 0.0, number.unit, ""), str)]
        if not meant:
            return "a range is about one number" if every else ""
        return meant[0] if len(meant) == 1 else f"it may be {' or '.join(f.title for f in meant)}"


def _way(up: bool) -> str:
    return "increase" if up else "decrease"
